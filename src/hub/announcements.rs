//! What a room hears of comings and goings, in which words, and which members are sent other words instead. When it hears of
//! them is decided in `room/arrivals`.

use super::client;
use super::cluster::telling;
use super::comings::{Comings, Side, announcement};
use super::limits::{ANNOUNCE_INTERVAL_US, ANNOUNCED_NAMES_MAX, RENDER_BYTES_EXTRA};
use super::name::Name;
use super::room::append::append;
use super::room::view::RoomView;
use super::rooms::Rooms;
use super::schedule::Timer;
use super::types::ConnId;
use crate::protocol::Notice;
use std::ops::Range;

/// Comparisons of newcomers with those who have left, in one announcement.
const COMPARISONS_MAX: usize = 4096;

/// Announces who has come and gone, or arms a timer for when that may be done.
pub fn announce(view: &mut RoomView<'_>) {
    let Some(due) = view.room.arrivals.due() else {
        return;
    };
    if !has_audience(view) {
        return stay_silent(view);
    }
    view.room.observe(view.now, view.limits);
    if view.room.gate.is_full() {
        // A full room has no space for an announcement either.
        let due = due.max(view.now.after(ANNOUNCE_INTERVAL_US));
        return view.schedule.arm(Timer::Room(view.number), due);
    }
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
/// whether the room knows the member: nobody there knows a member that is in no room.
pub fn announce_left(view: &mut RoomView<'_>, slot: u32) -> bool {
    let is_known = view.client(slot).is_announced && Rooms::is_named(view.number);
    if is_known && view.room.arrivals.has_left() {
        if has_audience(view) {
            tell(view, Vec::new());
        } else {
            stay_silent(view);
        }
    }
    is_known
}

/// A member has another name: the others are told so.
pub fn tell_renamed(view: &mut RoomView<'_>, member: Option<u32>, old: &str, new: &str) {
    let renamed = Notice::Renamed { old, new };
    let bytes_max = RENDER_BYTES_EXTRA + 16;
    append(view, bytes_max, member, |out| renamed.write(out));
}

/// Whether anybody is to hear of comings and goings: there is a member that is not the only one that has come, and the room
/// is not too large.
fn has_audience(view: &RoomView<'_>) -> bool {
    match &*view.room.members {
        [only] if view.room.elsewhere == 0 => {
            view.clients[*only as usize].is_announced || view.room.arrivals.has_left()
        }
        _ => view.room.here() <= view.limits.announce_members_max,
    }
}

/// Nobody is to hear of those who have come and gone.
fn stay_silent(view: &mut RoomView<'_>) {
    for slot in view.room.arrivals.take_untold() {
        view.clients[slot as usize].is_announced = true;
    }
}

/// Announces `newcomers`, and those who have left.
fn tell(view: &mut RoomView<'_>, mut newcomers: Vec<u32>) {
    // Those on their way out already will never have been there.
    newcomers.retain(|&slot| !view.clients[slot as usize].is_closing());
    let mut left = view.room.arrivals.take_left(view.now);
    let clients = &view.clients;
    let has_come = |(id, name): &(ConnId, Name)| {
        newcomers.iter().any(|&slot| {
            let client = &clients[slot as usize];
            client.id(slot) == *id || client.name.as_ref() == Some(name)
        })
    };
    // Of very many it is not asked.
    let are_many = newcomers.len() * left.len() > COMPARISONS_MAX;
    if are_many || left.iter().any(has_come) {
        // The same has left before it has come, or another one of the same name.
        append_announcement(view, &[], &left);
        left.clear();
    }
    append_announcement(view, &newcomers, &left);
}

/// Appends an announcement, if there is anything to announce, to the logs of all nodes.
fn append_announcement(view: &mut RoomView<'_>, joined: &[u32], left: &[(ConnId, Name)]) {
    let clients = &view.clients;
    let named = ANNOUNCED_NAMES_MAX + 1;
    let joined_names = joined.iter().take(named);
    let joined_names = joined_names.filter_map(|&slot| clients[slot as usize].name.as_ref());
    let comings = Comings {
        joined: Side {
            count: joined.len(),
            ids: joined
                .iter()
                .map(|&slot| clients[slot as usize].id(slot))
                .collect(),
            names: joined_names.map(ToString::to_string).collect(),
        },
        left: Side {
            count: left.len(),
            ids: left.iter().map(|(id, _)| *id).collect(),
            names: left
                .iter()
                .take(named)
                .map(|(_, name)| name.to_string())
                .collect(),
        },
        here: view.room.here(),
    };
    for &slot in joined {
        view.clients[slot as usize].is_announced = true;
    }
    if let Some(comings) = telling::announce(view, comings) {
        show(view, &comings);
    }
}

/// Appends an announcement to the room's log. A member that it names does not read it: it is sent one without itself.
pub fn show(view: &mut RoomView<'_>, comings: &Comings) {
    let (joined, left, here) = (comings.joined.people(), comings.left.people(), comings.here);
    let Some(text) = announcement(joined, left, here) else {
        return;
    };
    let mut line = Vec::new();
    Notice::Other(&text).write(&mut line);
    let range = append(view, line.len(), None, |out| out.extend_from_slice(&line));
    for (nth, &id) in comings.joined.ids.iter().enumerate() {
        tell_instead(view, id, &range, || {
            announcement(joined.without(nth), left, here)
        });
    }
    for (nth, &id) in comings.left.ids.iter().enumerate() {
        // If it has come back.
        tell_instead(view, id, &range, || {
            announcement(joined, left.without(nth), here)
        });
    }
}

/// A member does not read the announcement at `range`, but `text` in its place.
fn tell_instead(
    view: &mut RoomView<'_>,
    id: ConnId,
    range: &Range<u64>,
    text: impl FnOnce() -> Option<String>,
) {
    let slot = id.slot();
    let Some(client) = client::find(view.clients, id) else {
        return;
    };
    if !view.room.is_member(slot, client.seat) {
        return;
    }
    client.outbox.leave_out(&mut view.room.log, range.clone());
    if let Some(text) = text() {
        view.notify_after(slot, range.start, Notice::Other(&text));
    }
}
