//! Entering and leaving rooms, and what is announced of it. Reads no input.

use super::client::Role;
use super::context::Context;
use super::limits::{ANNOUNCE_INTERVAL_US, MOVE_WORK};
use super::room::append::append;
use super::room::backpressure;
use super::room::view::RoomView;
use super::schedule::Timer;

/// A client enters a room: it reads on from where the room's history begins.
pub fn enter(cx: &mut Context<'_>, slot: u32, number: u32) {
    cx.totals.work += MOVE_WORK;
    if cx.rooms.get(number).members.is_empty() {
        cx.rooms.occupied(number);
    }
    let mut view = cx.room(number);
    let (now, room) = (view.now, &mut *view.room);
    let client = &mut view.clients[slot as usize];
    client.room = number;
    client.seat = room.members.len() as u32;
    client.progress_at = now;
    room.members.push(slot);
    room.carousel.reseat(room.members.len(), room.log.end());
    let at = match client.role {
        Role::Raw => room.log.end(),
        Role::Person | Role::Console => room.log.history_start(),
    };
    client.outbox.enter(&mut room.log, at);
    if client.role == Role::Console {
        room.console = Some(slot);
    }
    view.schedule.want_write(client.id(slot));
    if let Some(name) = &client.name {
        room.arrivals.join(name.to_string(), slot);
        announce(&mut view);
    }
}

/// A client leaves its room.
pub fn leave(cx: &mut Context<'_>, slot: u32) {
    cx.totals.work += MOVE_WORK;
    let mut view = cx.room_of(slot);
    let room = &mut *view.room;
    let client = &mut view.clients[slot as usize];
    client.outbox.leave(&mut room.log);
    if let Some(name) = &client.name {
        room.arrivals.leave(name.to_string());
    }
    if client.role == Role::Console {
        room.console = None;
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
    if view.room.members.is_empty() {
        let number = view.number;
        cx.schedule.forget_room(number);
        cx.rooms.vacated(number, cx.limits);
    } else {
        announce(&mut view);
    }
}

/// Announces who has come and gone, or arms a timer for when that may be done again.
pub fn announce(view: &mut RoomView<'_>) {
    let Some(due) = view.room.arrivals.due() else {
        return;
    };
    let here = view.room.members.len();
    let only_joined = view.room.arrivals.only_joined();
    let has_audience = here > usize::from(only_joined.is_some());
    if !has_audience || here > view.limits.announce_members_max {
        return view.room.arrivals.clear();
    }
    view.room.observe(view.now, view.limits);
    // A full room has no space for an announcement either.
    let due = if view.room.gate.is_full() {
        view.now.after(ANNOUNCE_INTERVAL_US)
    } else {
        due
    };
    if due > view.now {
        return view.schedule.arm(Timer::Room(view.number), due);
    }
    let mut line = Vec::new();
    view.room.arrivals.notice(here).write(&mut line);
    view.room.arrivals.announced(view.now);
    append(view, line.len(), only_joined, |out| {
        out.extend_from_slice(&line)
    });
}
