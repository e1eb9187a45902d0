//! How a line that is for one client alone is delivered, and what its sender is told if it is not. How much of them a client
//! holds is limited in `client/private_lines`.

use super::client::private_lines::PrivateFull;
use super::context::Context;
use super::limits::PRIVATE_BYTES_MARK;
use super::link::item::Delivery;
use crate::protocol::Refusal;

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
