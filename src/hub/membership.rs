//! Entering and leaving rooms, and the history that a newcomer is shown. What the room hears of it is in `announcements`.

use super::announcements;
use super::client::Role;
use super::context::Context;
use super::limits::MOVE_WORK;
use super::room::backpressure;
use super::room::view::RoomView;
use super::rooms::Rooms;
use crate::protocol::Notice;

/// A client enters a room: it reads on from where the room's history begins. Its caller tells it so, and then calls
/// [`entered`].
pub fn enter(cx: &mut Context<'_>, slot: u32, number: u32) {
    cx.totals.work += MOVE_WORK;
    if cx.rooms.get(number).here() == 0 {
        cx.rooms.occupied(number);
        let opener = cx.clients[slot as usize].id(slot);
        cx.rooms.get_mut(number).opener = Some(opener);
    }
    let view = cx.room(number);
    let (now, room) = (view.now, &mut *view.room);
    let client = &mut view.clients[slot as usize];
    client.room = number;
    client.seat = room.members.len() as u32;
    client.progress_at = now;
    room.members.push(slot);
    room.carousel.reseat(room.members.len(), room.log.end());
    let at = match client.role {
        Role::Raw => room.log.end(),
        _ => room.log.history_start(),
    };
    client.outbox.enter(&mut room.log, at);
    let before = room.here() - 1;
    if client.role == Role::Console {
        room.console = Some(slot);
    }
    view.schedule.want_write(client.id(slot));
    client.is_announced = !Rooms::is_named(number);
    if !client.is_announced {
        client.entered_at = now;
        room.arrivals.join(now, slot);
    }
    cx.rooms.resized(number, before);
}

/// A client has been told which room it has entered: shows it what was said there before, and arms the announcement.
pub fn entered(view: &mut RoomView<'_>, slot: u32) {
    let lines = view.room.log.history_lines();
    if lines > 0 {
        let until = view.room.log.end();
        match lines {
            1 => view.notify(slot, Notice::LastLine {}),
            _ => view.notify(slot, Notice::LastLines { lines }),
        }
        view.notify_after(slot, until, Notice::Now {});
    }
    announcements::announce(view);
}

/// A client leaves its room.
pub fn leave(cx: &mut Context<'_>, slot: u32) {
    cx.totals.work += MOVE_WORK;
    let mut view = cx.room_of(slot);
    let room = &mut *view.room;
    let client = &mut view.clients[slot as usize];
    client.outbox.leave(&mut room.log);
    match &client.name {
        Some(_) if !client.is_announced => room.arrivals.forget(client.entered_at, slot),
        Some(name) if Rooms::is_named(view.number) => {
            room.arrivals.leave(client.id(slot), name.clone());
        }
        Some(_) | None => {}
    }
    if client.role == Role::Console {
        room.console = None;
    }
    if room.opener == Some(client.id(slot)) {
        room.opener = None;
    }
    let seat = client.seat;
    room.members.swap_remove(seat as usize);
    room.carousel.reseat(room.members.len(), room.log.end());
    if let Some(&moved) = room.members.get(seat as usize) {
        let client = &mut view.clients[moved as usize];
        client.seat = seat;
        // It may have moved to a seat that the carousel has passed.
        view.schedule.want_write(client.id(moved));
    }
    view.room.gate.forget(slot);
    backpressure::wake_blocked(&mut view);
    let (number, here) = (view.number, view.room.here());
    if view.room.members.is_empty() {
        view.schedule.forget_visits(number);
    }
    if here > 0 {
        announcements::announce(&mut view);
    }
    cx.rooms.resized(number, here + 1);
    if here == 0 {
        cx.schedule.forget_room(number);
        cx.rooms.vacated(number, cx.limits);
    }
}

/// So many people of other nodes are in a room now.
pub fn set_elsewhere(cx: &mut Context<'_>, number: u32, elsewhere: u32) {
    cx.totals.work += MOVE_WORK;
    let room = cx.rooms.get_mut(number);
    let before = room.here();
    room.elsewhere = elsewhere;
    let here = room.here();
    if before == 0 && here > 0 {
        cx.rooms.occupied(number);
    }
    cx.rooms.resized(number, before);
    if before > 0 && here == 0 {
        cx.schedule.forget_room(number);
        cx.rooms.vacated(number, cx.limits);
    }
}
