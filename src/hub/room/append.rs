//! Appends a line to a room's log: rendered once, and every member visited once more. The only caller of
//! [`Room::append`](super::Room::append).

use super::backpressure;
use super::view::RoomView;
use std::ops::Range;

/// Appends the line that `render` pushes, of at most `bytes_max` bytes. Its `author`, if it is a member, does not receive
/// it. Returns where the line stands.
pub fn append(
    view: &mut RoomView<'_>,
    bytes_max: usize,
    author: Option<u32>,
    render: impl FnOnce(&mut Vec<u8>),
) -> Range<u64> {
    backpressure::reserve(view, bytes_max);
    *view.log_bytes -= view.room.log.memory_bytes();
    let range = view.room.append(bytes_max, view.limits, render);
    *view.log_bytes += view.room.log.memory_bytes();
    view.totals.work += range.end - range.start;
    if view.room.carousel.is_turning() {
        view.schedule.want_fan_out(view.number);
    }
    if let Some(slot) = author {
        let outbox = &mut view.clients[slot as usize].outbox;
        outbox.leave_out(&mut view.room.log, range.clone());
    }
    range
}
