//! Entering and leaving rooms, and what is announced of it. Reads no input.

use super::client::Role;
use super::context::Context;
use super::limits::{ANNOUNCE_INTERVAL_US, ANNOUNCED_NAMES_MAX, MOVE_WORK};
use super::room::append::append;
use super::room::arrivals::Left;
use super::room::backpressure;
use super::room::view::RoomView;
use super::schedule::Timer;
use crate::protocol::Notice;
use std::ops::Range;

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
    if client.name.is_some() {
        client.entered_at = now;
        client.is_announced = false;
        room.arrivals.join(now, slot);
        announce(&mut view);
    }
}

/// Shows a client that has just entered its room what was said there before.
pub fn show_history(view: &mut RoomView<'_>, slot: u32) {
    let lines = view.room.log.history_lines();
    if lines > 0 && view.client(slot).role != Role::Raw {
        let until = view.room.log.end();
        match lines {
            1 => view.notify(slot, Notice::LastLine {}),
            _ => view.notify(slot, Notice::LastLines { lines }),
        }
        view.notify_after(slot, until, Notice::Now {});
    }
}

/// A client leaves its room.
pub fn leave(cx: &mut Context<'_>, slot: u32) {
    cx.totals.work += MOVE_WORK;
    let mut view = cx.room_of(slot);
    let room = &mut *view.room;
    let client = &mut view.clients[slot as usize];
    client.outbox.leave(&mut room.log);
    match &client.name {
        Some(name) if client.is_announced => room.arrivals.leave(name),
        Some(_) => room.arrivals.forget(client.entered_at, slot),
        None => {}
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

/// Announces who has come and gone, or arms a timer for when that may be done.
pub fn announce(view: &mut RoomView<'_>) {
    let Some(due) = view.room.arrivals.due() else {
        return;
    };
    if !has_audience(view) {
        return stay_silent(view);
    }
    view.room.observe(view.now, view.limits);
    // A full room has no space for an announcement either.
    let due = if view.room.gate.is_full() {
        view.now.after(ANNOUNCE_INTERVAL_US)
    } else {
        due
    };
    if due <= view.now {
        let newcomers = view.room.arrivals.take_newcomers(view.now);
        tell(view, newcomers);
    }
    if let Some(due) = view.room.arrivals.due() {
        view.schedule.arm(Timer::Room(view.number), due);
    }
}

/// A member is about to speak to its room: announces it before, unless that has been done.
pub fn announce_speaker(view: &mut RoomView<'_>, slot: u32) {
    let client = view.client(slot);
    if client.is_announced {
        return;
    }
    let since = client.entered_at;
    view.room.arrivals.forget(since, slot);
    if has_audience(view) {
        tell(view, vec![slot]);
    } else {
        stay_silent(view);
    }
    view.client(slot).is_announced = true;
}

/// A member is about to be renamed. First announces who has left: the new name may be that of one of these. Returns
/// whether the room knows the member.
pub fn announce_left(view: &mut RoomView<'_>, slot: u32) -> bool {
    let is_known = view.client(slot).is_announced;
    if is_known && view.room.arrivals.has_left() {
        if has_audience(view) {
            tell(view, Vec::new());
        } else {
            stay_silent(view);
        }
    }
    is_known
}

/// Whether anybody is to hear of comings and goings: a member that is not alone with having come, in a room that is not
/// too large.
fn has_audience(view: &RoomView<'_>) -> bool {
    match &*view.room.members {
        [only] => view.clients[*only as usize].is_announced,
        members => members.len() <= view.limits.announce_members_max,
    }
}

/// Nobody is to hear of those who have come and gone.
fn stay_silent(view: &mut RoomView<'_>) {
    for slot in view.room.arrivals.take_untold() {
        view.clients[slot as usize].is_announced = true;
    }
}

/// Announces `newcomers`, and those who have left. A newcomer does not read of itself: it is sent an announcement without
/// itself.
fn tell(view: &mut RoomView<'_>, mut newcomers: Vec<u32>) {
    // Those on their way out already will never have been there.
    newcomers.retain(|&slot| !view.clients[slot as usize].is_closing());
    let mut left = view.room.arrivals.take_left(view.now);
    let named = newcomers.iter().take(ANNOUNCED_NAMES_MAX + 1);
    let names: Vec<String> = named
        .filter_map(|&slot| view.client(slot).name.as_ref().map(ToString::to_string))
        .collect();
    if names.iter().any(|name| left.names.contains(name)) {
        // The one who has left and the one who has come are two: left is told first.
        append_announcement(view, &[], 0, &left);
        left = Left::default();
    }
    let Some(range) = append_announcement(view, &names, newcomers.len(), &left) else {
        return;
    };
    let here = view.room.members.len();
    for (nth, &slot) in newcomers.iter().enumerate() {
        let client = &mut view.clients[slot as usize];
        client.is_announced = true;
        client.outbox.leave_out(&mut view.room.log, range.clone());
        let others = names.iter().enumerate().filter(|(other, _)| *other != nth);
        let others: Vec<&str> = others.map(|(_, name)| &**name).collect();
        if let Some(text) = announcement(&others, newcomers.len() - 1, &left, here) {
            view.notify_after(slot, range.start, Notice::Other(&text));
        }
    }
}

/// Appends an announcement to the room's log, if there is anything to announce. Returns where it stands.
fn append_announcement(
    view: &mut RoomView<'_>,
    names: &[String],
    joined: usize,
    left: &Left,
) -> Option<Range<u64>> {
    let names: Vec<&str> = names.iter().map(|name| &**name).collect();
    let text = announcement(&names, joined, left, view.room.members.len())?;
    let mut line = Vec::new();
    Notice::Other(&text).write(&mut line);
    Some(append(view, line.len(), None, |out| {
        out.extend_from_slice(&line)
    }))
}

/// What is announced when `joined` members have come, the first of which have these names, and others have left.
fn announcement(names: &[&str], joined: usize, left: &Left, here: usize) -> Option<String> {
    let notice = |notice: Notice<'_>| Some(notice.to_string());
    let (names, left_names) = (&*names.join(", "), &*left.names.join(", "));
    if joined + left.count > ANNOUNCED_NAMES_MAX {
        let left = left.count;
        return match (joined, left) {
            (joined, 0) => notice(Notice::ManyJoined { joined, here }),
            (0, left) => notice(Notice::ManyLeft { left, here }),
            (joined, left) => notice(Notice::ManyJoinedAndLeft { joined, left, here }),
        };
    }
    match (joined, left.count) {
        (0, 0) => None,
        (_, 0) => notice(Notice::Joined { names, here }),
        (0, _) => notice(Notice::Left {
            names: left_names,
            here,
        }),
        _ => notice(Notice::JoinedAndLeft {
            joined: names,
            left: left_names,
            here,
        }),
    }
}
