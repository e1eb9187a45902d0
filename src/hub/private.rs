//! What one client sends to another alone: `/msg`, and how any such line is delivered. How much of them a client holds is
//! limited in `client/private_lines`.

use super::client::private_lines::PrivateFull;
use super::context::Context;
use super::directory::Directory;
use super::input::text::Text;
use super::limits::PRIVATE_BYTES_MARK;
use super::name;
use crate::protocol::{self, Refusal};

/// `/msg NAME TEXT`
pub fn msg(cx: &mut Context<'_>, directory: &Directory, slot: u32, to: &str, text: Text<'_>) {
    cx.totals.work += name::work(to);
    let Some(target) = directory.find(to) else {
        let name = &*Text::of(to).to_string();
        return cx.refuse(slot, Refusal::NobodyCalled { name });
    };
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

/// Sends a client a line of another's, if it takes one. Otherwise the sender is told why not; false.
pub fn deliver(
    cx: &mut Context<'_>,
    slot: u32,
    target: u32,
    name: &str,
    render: impl FnOnce(&mut Vec<u8>),
) -> bool {
    let receiver = &mut cx.clients[target as usize];
    let refusal = if cx.ignoring.is_ignored_by(slot, target) {
        Some(Refusal::IgnoringYou { name })
    } else if receiver.outbox.reply_bytes() > PRIVATE_BYTES_MARK {
        Some(Refusal::NotReading { name })
    } else {
        match receiver.outbox.private_lines().admit(slot) {
            Err(PrivateFull::Share) => Some(Refusal::LinesUnread { name }),
            Err(PrivateFull::All) => Some(Refusal::TooManyLines { name }),
            Ok(()) => None,
        }
    };
    if let Some(refusal) = refusal {
        cx.refuse(slot, refusal);
        return false;
    }
    // It must not overtake what its sender has said in that room.
    let position = cx.rooms.get(receiver.room).log.end();
    receiver.outbox.push_line_of(slot, position, render);
    cx.schedule.want_write(receiver.id(target));
    true
}
