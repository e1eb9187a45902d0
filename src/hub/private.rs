//! What one client sends to another alone: `/msg`, and how any such line is delivered. How much of them a client holds is
//! limited in `client/private_lines`.

use super::client::private_lines::PrivateFull;
use super::cluster::people::is_elsewhere;
use super::cluster::privately;
use super::context::Context;
use super::directory::Directory;
use super::input::text::Text;
use super::limits::PRIVATE_BYTES_MARK;
use super::link::item::Delivery;
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

/// Sends a client a line of another's, if it takes one. Otherwise the sender is told why not; false.
pub fn deliver(
    cx: &mut Context<'_>,
    slot: u32,
    target: u32,
    name: &str,
    render: impl FnOnce(&mut Vec<u8>),
) -> bool {
    let refusal = refusal_of(offer(cx, slot, target, render), name);
    let is_delivered = refusal.is_none();
    if let Some(refusal) = refusal {
        cx.refuse(slot, refusal);
    }
    is_delivered
}

/// What the sender of a private line is told of what has become of it, if it was not delivered.
pub fn refusal_of(outcome: Delivery, name: &str) -> Option<Refusal<'_>> {
    match outcome {
        Delivery::Delivered => None,
        Delivery::Gone => Some(Refusal::NobodyCalled { name }),
        Delivery::Ignored => Some(Refusal::IgnoringYou { name }),
        Delivery::NotReading => Some(Refusal::NotReading { name }),
        Delivery::Unread => Some(Refusal::LinesUnread { name }),
        Delivery::TooMany => Some(Refusal::TooManyLines { name }),
    }
}

/// Sends a client a line of another person's, if it takes one.
pub fn offer(
    cx: &mut Context<'_>,
    from: u32,
    target: u32,
    render: impl FnOnce(&mut Vec<u8>),
) -> Delivery {
    let receiver = &mut cx.clients[target as usize];
    if cx.ignoring.is_ignored_by(from, target) {
        return Delivery::Ignored;
    }
    if receiver.outbox.reply_bytes() > PRIVATE_BYTES_MARK {
        return Delivery::NotReading;
    }
    match receiver.outbox.private_lines().admit(from) {
        Err(PrivateFull::Share) => return Delivery::Unread,
        Err(PrivateFull::All) => return Delivery::TooMany,
        Ok(()) => {}
    }
    // It must not overtake what its sender has said in that room.
    let position = cx.rooms.get(receiver.room).log.end();
    receiver.outbox.push_line_of(from, position, render);
    cx.schedule.want_write(receiver.id(target));
    Delivery::Delivered
}
