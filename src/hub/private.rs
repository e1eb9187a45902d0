//! What one client sends to another alone: `/msg`. Whether it is taken is decided in `delivery`.

use super::cluster::people::is_elsewhere;
use super::cluster::privately;
use super::context::Context;
use super::delivery::deliver;
use super::directory::Directory;
use super::input::text::Text;
use super::name;
use crate::protocol::{self, Refusal};

/// `/msg NAME TEXT`
pub fn msg(cx: &mut Context<'_>, directory: &Directory, slot: u32, to: &str, text: Text<'_>) {
    cx.totals.work += name::work(to);
    let Some(target) = directory.find(to) else {
        let name = &*Text::of(to).to_string();
        return cx.refuse(slot, Refusal::NobodyCalled { name });
    };
    if cx.cluster.is_some() && target != slot {
        return privately::send(cx, slot, target, text);
    }
    debug_assert!(!is_elsewhere(target));
    let names = [slot, target].map(|slot| cx.clients[slot as usize].name.clone());
    let [Some(from), Some(to)] = names else {
        return;
    };
    let name = &*to.to_string();
    if target == slot {
        return cx.refuse(slot, Refusal::ToYourself { name });
    }
    if !deliver(cx, slot, target, name, |out| {
        protocol::received(out, &from, &text);
    }) {
        return;
    }
    cx.totals.work += 2 * text.as_sent().len() as u64;
    cx.clients[slot as usize].write_private(slot, 0, cx.schedule, |out| {
        protocol::confirmed(out, &to, &text);
    });
}
