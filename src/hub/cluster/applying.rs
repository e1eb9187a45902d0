//! What an entry of a lane says is applied: lines are appended to their rooms' logs, people come, go, and have other names and
//! rooms. Every node applies the same in the same order; what a client of this node waits for is answered here.

use super::privately;
use super::{Cluster, ROOM_NUMBERS_MAX, Waiting};
use crate::hub::announcements;
use crate::hub::client::{Destination, Role};
use crate::hub::comings::Comings;
use crate::hub::context::Context;
use crate::hub::directory::Directory;
use crate::hub::handlers;
use crate::hub::link::Applied;
use crate::hub::link::item::{Announcement, Item, PersonId};
use crate::hub::link::items::items;
use crate::hub::membership::set_elsewhere;
use crate::hub::name;
use crate::hub::people::mark;
use crate::hub::renaming;
use crate::hub::room::append::append;
use crate::hub::rooms::Rooms;
use crate::hub::schedule::Place;

/// Applies an entry.
pub fn apply(cx: &mut Context<'_>, directory: &mut Directory, applied: &Applied<'_>) {
    let node = applied.node;
    let mut room = None;
    for item in items(applied.payload) {
        // The link counts what cannot be read.
        let Ok(item) = item else { return };
        let person = |connection| PersonId { node, connection };
        match item {
            Item::Room { name, .. } => room = find_room(cx, name),
            Item::Line { author, line } => {
                if let Some(number) = room {
                    say(cx, number, applied.is_own, person(author), line);
                }
            }
            Item::Announcement(announcement) => {
                if let Some(number) = room {
                    let comings = comings(cx, applied, &announcement);
                    announcements::show(&mut cx.room(number), &comings);
                }
            }
            Item::Renamed {
                connection,
                old,
                new,
            } => {
                if let Some(number) = room {
                    let member = member(cx, number, applied.is_own, connection);
                    announcements::tell_renamed(&mut cx.room(number), member, old, new);
                }
            }
            Item::Private {
                from,
                to,
                of,
                received,
            } if is_of_this_process(cx, of) => {
                let from = (person(from), applied.incarnation);
                privately::hold(cx, applied.lane, from, to, received);
            }
            Item::PrivateOutcome { from, of, outcome } if is_of_this_process(cx, of) => {
                let own = cx.cluster.as_deref().map(|cluster| cluster.link.node());
                if own == Some(from.node) {
                    privately::outcome(cx, from.connection, outcome);
                }
            }
            Item::Came { connection, name } if !applied.is_own => {
                came(cx, directory, person(connection), name);
            }
            Item::Went { connection } => went(cx, directory, person(connection)),
            Item::Rename { connection, name } => {
                rename(cx, directory, applied.is_own, person(connection), name);
            }
            Item::Move { connection, room } => {
                go(cx, applied.is_own, person(connection), room);
            }
            _ => {}
        }
    }
}

/// The number of a room by its name as a node has written it; empty: that of raw connections.
fn find_room(cx: &mut Context<'_>, name: &str) -> Option<u32> {
    if name.is_empty() {
        return Some(Rooms::first(Role::Raw));
    }
    let cluster = cx.cluster.as_deref_mut()?;
    if let Some(&number) = cluster.room_numbers.get(name)
        && cx.rooms.is_called(number, name)
    {
        return Some(number);
    }
    let room = name::room_name(name).ok()?;
    let number = match cx.rooms.find(&room) {
        Some(number) => number,
        // Nobody is in it here: it is there for its history.
        None if cx.limits.history_lines > 0 => cx.rooms.open_for_history(room, cx.limits)?,
        None => return None,
    };
    if cluster.room_numbers.len() >= ROOM_NUMBERS_MAX {
        cluster.room_numbers.clear();
    }
    cluster.room_numbers.insert(name.into(), number);
    Some(number)
}

/// Who has come and gone: this node knows of its own clients to whom it is not to be shown.
fn comings(cx: &mut Context<'_>, applied: &Applied<'_>, item: &Announcement<'_>) -> Comings {
    let cluster = cx.cluster.as_deref_mut().filter(|_| applied.is_own);
    let told = cluster.and_then(|cluster| {
        let told = cluster.announced.get_mut(&applied.lane)?;
        told.pop_front_if(|comings| comings.is(item))
    });
    told.unwrap_or_else(|| Comings::of_item(item))
}

/// Connections of another process have the same ids.
fn is_of_this_process(cx: &Context<'_>, incarnation: u64) -> bool {
    let cluster = cx.cluster.as_deref();
    cluster.is_some_and(|cluster| cluster.link.is_own(incarnation))
}

/// The client of this node that is behind an entry of its own, if it still is in the room.
fn member(cx: &Context<'_>, number: u32, is_own: bool, connection: u64) -> Option<u32> {
    let slot = is_own.then(|| Cluster::client(cx.clients, connection));
    slot.flatten()
        .filter(|&slot| cx.clients[slot as usize].room == number)
}

/// Somebody has said a line.
fn say(cx: &mut Context<'_>, number: u32, is_own: bool, author: PersonId, line: &[u8]) {
    let slot = is_own.then(|| Cluster::client(cx.clients, author.connection));
    let slot = slot.flatten();
    let elsewhere = match (is_own, cx.cluster.as_deref()) {
        (false, Some(cluster)) if !cx.ignoring.is_empty() => cluster.people.find(author),
        _ => None,
    };
    let member = slot.filter(|&slot| cx.clients[slot as usize].room == number);
    let mut view = cx.room(number);
    let range = append(&mut view, line.len(), member, |out| {
        out.extend_from_slice(line);
    });
    if let Some(slot) = slot {
        let client = view.client(slot);
        client.said = client.said.saturating_add(1);
    }
    view.totals.lines += u64::from(is_own);
    if let Some(ignored) = slot.or(elsewhere)
        && view.ignoring.is_ignored(ignored)
    {
        mark(&mut view, ignored, range);
    }
}

/// A person has connected to another node.
pub fn came(cx: &mut Context<'_>, directory: &mut Directory, id: PersonId, name: &str) {
    let Some(cluster) = cx.cluster.as_deref_mut() else {
        return;
    };
    if cluster.people.find(id).is_some() {
        return;
    }
    let number = cluster.people.next_number();
    if let Ok(nickname) = name::nickname(name) {
        renaming::give_way(cx, directory, &nickname);
    }
    let Some(name) = directory.add_elsewhere(number, name) else {
        // No node says so.
        return;
    };
    let Some(cluster) = cx.cluster.as_deref_mut() else {
        return;
    };
    cluster.people.add(id, name);
    move_elsewhere(cx, number, Some(Rooms::first(Role::Person)));
}

/// A person has left its node.
pub fn went(cx: &mut Context<'_>, directory: &mut Directory, id: PersonId) {
    let Some(number) = cx
        .cluster
        .as_deref()
        .and_then(|cluster| cluster.people.find(id))
    else {
        return;
    };
    move_elsewhere(cx, number, None);
    let Some(cluster) = cx.cluster.as_deref_mut() else {
        return;
    };
    let person = cluster.people.remove(number);
    directory.release(number, &person.name);
    for other in cx.ignoring.leave(number) {
        if let Some(client) = cx.clients.get_mut(other as usize) {
            client.outbox.is_ignored = cx.ignoring.is_ignored(other);
        }
    }
}

/// A person of another node is in another room, or in none.
pub fn move_elsewhere(cx: &mut Context<'_>, number: u32, room: Option<u32>) {
    let Some(cluster) = cx.cluster.as_deref_mut() else {
        return;
    };
    let before = cluster.people.move_to(number, room);
    if before == room {
        return;
    }
    for (room, change) in [(room, 1), (before, -1)] {
        if let Some(room) = room {
            let elsewhere = cx.rooms.get(room).elsewhere;
            set_elsewhere(cx, room, elsewhere.wrapping_add_signed(change));
        }
    }
}

/// A person wants a name: it gets it if nobody has one like it.
fn rename(cx: &mut Context<'_>, directory: &mut Directory, is_own: bool, id: PersonId, name: &str) {
    let Ok(nickname) = name::nickname(name) else {
        return;
    };
    let slot = is_own.then(|| Cluster::client(cx.clients, id.connection));
    if let Some(slot) = slot.flatten() {
        let waiting = cx
            .cluster
            .as_deref_mut()
            .and_then(|cluster| cluster.waiting.remove(&slot));
        match waiting {
            Some(Waiting::OldName(_)) => renaming::take_back(cx, directory, slot, nickname),
            _ => renaming::decide(cx, directory, slot, nickname),
        }
        return cx.room_of(slot).wake(slot, Place::Last);
    }
    // It may be one of this node that has left since.
    if let Some(number) = cx.cluster.as_deref().and_then(|it| it.people.find(id)) {
        renaming::renamed_elsewhere(cx, directory, number, nickname);
    }
}

/// A person goes to another room.
fn go(cx: &mut Context<'_>, is_own: bool, id: PersonId, room: &str) {
    if is_own {
        let Some(slot) = Cluster::client(cx.clients, id.connection) else {
            return;
        };
        let waits = cx.cluster.as_deref_mut().is_some_and(|cluster| {
            let waits = matches!(cluster.waiting.get(&slot), Some(Waiting::Room));
            if waits {
                cluster.waiting.remove(&slot);
            }
            waits
        });
        if waits {
            cx.room_of(slot).wake(slot, Place::Last);
            if let Ok(room) = name::room_name(room) {
                let secret = None;
                handlers::go(cx, slot, Destination { room, secret });
            }
        }
        return;
    }
    let number = cx.cluster.as_deref().and_then(|it| it.people.find(id));
    let Some(number) = number else { return };
    let to = name::room_name(room).ok();
    let to = to.and_then(|to| cx.rooms.open(to, cx.limits));
    move_elsewhere(cx, number, to);
}
