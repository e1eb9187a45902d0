//! What the link says of nodes: this one is one of them, or has to begin anew; another has gone; the engine is away.

use super::Waiting;
use super::applying::{came, move_elsewhere, went};
use super::privately;
use super::telling;
use crate::hub::context::Context;
use crate::hub::directory::Directory;
use crate::hub::limits::ANNOUNCED_NAMES_MAX;
use crate::hub::link::item::{Announcement, Fact, PersonId};
use crate::hub::link::items::facts;
use crate::hub::link::{Event, Lost};
use crate::hub::name::{self, Name};
use crate::hub::room::append::append;
use crate::hub::schedule::Place;
use crate::protocol::{Notice, Refusal};
use std::collections::BTreeMap;

/// Clients of whom the others are told in one step.
const TOLD_A_STEP: u32 = 256;

/// Acts on an event.
pub fn handle(cx: &mut Context<'_>, directory: &mut Directory, event: Event) {
    match event {
        Event::Live { node } => live(cx, directory, node),
        Event::Restarting { .. } => restarting(cx),
        Event::Forget => forget(cx, directory),
        Event::Facts(bytes) => {
            for fact in facts(&bytes) {
                if let Ok(Fact::Person { id, name, room }) = fact {
                    person(cx, directory, id, name, room);
                }
            }
        }
        Event::NodeLost {
            node,
            incarnation,
            announce,
            ..
        } => node_lost(cx, directory, node, announce.then_some(incarnation)),
        Event::SnapshotWanted { incarnation } => snapshot(cx, incarnation),
        Event::CutOff => cut_off(cx),
        Event::Restored => tell_rooms(cx, Notice::ConnectedAgain {}),
    }
}

/// This node is one of the nodes, and has this number: the others are told of its clients, some with each [`tell_some`].
fn live(cx: &mut Context<'_>, directory: &mut Directory, node: u16) {
    let Some(cluster) = cx.cluster.as_deref_mut() else {
        return;
    };
    cluster.told = 0;
    cluster.has_joined = true;
    directory.set_node(node);
}

/// Tells the others of some more clients. False: they know all.
pub fn tell_some(cx: &mut Context<'_>, directory: &mut Directory) -> bool {
    let capacity = cx.clients.capacity() as u32;
    let Some(cluster) = cx.cluster.as_deref_mut() else {
        return false;
    };
    if !cluster.link.is_live() || cluster.told >= capacity {
        return false;
    }
    let from = cluster.told;
    cluster.told = from.saturating_add(TOLD_A_STEP).min(capacity);
    for slot in from..cluster_told(cx) {
        tell_again(cx, directory, slot);
    }
    true
}

fn cluster_told(cx: &Context<'_>) -> u32 {
    cx.cluster.as_deref().map_or(0, |cluster| cluster.told)
}

/// Tells the others of a client that was here before the node was one of them. It is a guest first: another may have taken its
/// name.
fn tell_again(cx: &mut Context<'_>, directory: &mut Directory, slot: u32) {
    let Some(client) = cx.clients.get(slot as usize) else {
        return;
    };
    let Some(before) = client.name.clone() else {
        return;
    };
    match before {
        Name::Host => return,
        Name::Guest(number) if directory.is_of_this_node(number) => {}
        Name::Guest(_) | Name::Chosen(_) => {
            let guest = directory.make_guest(slot, &before);
            if matches!(before, Name::Guest(_)) {
                let name = &*guest.to_string();
                cx.notify(slot, Notice::YouAreNow { name });
            }
            cx.clients[slot as usize].name = Some(guest);
        }
    }
    telling::tell_came(cx, slot);
    let Some(cluster) = cx.cluster.as_deref_mut() else {
        return;
    };
    let old = match before {
        Name::Chosen(name) => Some(name.to_string()),
        _ => match cluster.waiting.remove(&slot) {
            Some(Waiting::OldName(name)) => Some(name.into()),
            _ => None,
        },
    };
    if let Some(old) = old {
        telling::take_back(cx, slot, &old);
    }
}

/// The node begins anew: what clients wait for will not be answered.
fn restarting(cx: &mut Context<'_>) {
    let Some(cluster) = cx.cluster.as_deref_mut() else {
        return;
    };
    cluster.told = 0;
    cluster.held.clear();
    let waiting: Vec<u32> = cluster.waiting.keys().copied().collect();
    for slot in waiting {
        let Some(cluster) = cx.cluster.as_deref_mut() else {
            return;
        };
        match cluster.waiting.get(&slot) {
            // It waits until the node is one of the nodes again.
            Some(Waiting::OldName(_)) | None => {}
            Some(Waiting::Private { .. }) => privately::refuse_unknown(cx, slot),
            Some(_) => {
                cluster.waiting.remove(&slot);
                cx.refuse_line(slot, Refusal::NotNow {});
                cx.room_of(slot).wake(slot, Place::Last);
            }
        }
    }
}

/// Nothing is known of other nodes any more.
fn forget(cx: &mut Context<'_>, directory: &mut Directory) {
    let all = cx.cluster.as_deref().map(|cluster| {
        let ids = cluster.people.iter().map(|(_, person)| person.id);
        ids.collect::<Vec<PersonId>>()
    });
    for id in all.into_iter().flatten() {
        went(cx, directory, id);
    }
}

fn person(cx: &mut Context<'_>, directory: &mut Directory, id: PersonId, name: &str, room: &str) {
    came(cx, directory, id, name);
    let number = cx.cluster.as_deref().and_then(|it| it.people.find(id));
    let Some(number) = number else { return };
    let to = name::room_name(room).ok();
    let to = to.and_then(|to| cx.rooms.open(to, cx.limits));
    move_elsewhere(cx, number, to);
}

/// A node has gone, and its people with it. `close`: this node is to say so in every lane.
fn node_lost(cx: &mut Context<'_>, directory: &mut Directory, node: u16, close: Option<u64>) {
    let Some(cluster) = cx.cluster.as_deref() else {
        return;
    };
    let mut left: BTreeMap<u32, Vec<(u64, String)>> = BTreeMap::new();
    let mut ids = Vec::new();
    for number in cluster.people.of_node(node) {
        let Some(person) = cluster.people.get(number) else {
            continue;
        };
        ids.push(person.id);
        if let Some(room) = person.room {
            let names = left.entry(room).or_default();
            names.push((person.id.connection, person.name.to_string()));
        }
    }
    for id in ids {
        went(cx, directory, id);
    }
    if let Some(incarnation) = close {
        close_lanes(cx, incarnation, &left);
    }
    privately::node_lost(cx, node);
}

fn close_lanes(cx: &mut Context<'_>, incarnation: u64, left: &BTreeMap<u32, Vec<(u64, String)>>) {
    let announcements = left.iter().filter_map(|(&number, names)| {
        let room = cx.rooms.existing(number)?;
        let here = room.here();
        let is_heard = here > 0 && here <= cx.limits.announce_members_max;
        is_heard.then(|| {
            let first = names.iter().take(ANNOUNCED_NAMES_MAX + 1);
            let announcement = Announcement {
                joined: 0,
                joined_names: Vec::new(),
                left: names.len() as u32,
                left_names: first.map(|(id, name)| (*id, &**name)).collect(),
                here: here as u32,
            };
            (&*room.name, announcement)
        })
    });
    let announcements: Vec<(&str, Announcement<'_>)> = announcements.collect();
    if let Some(cluster) = cx.cluster.as_deref_mut() {
        cluster
            .link
            .close_batch(incarnation, announcements.into_iter());
    }
}

/// Tells a node that has begun all that is known: also of this node's own clients, as far as the others know them.
fn snapshot(cx: &mut Context<'_>, incarnation: u64) {
    let Some(cluster) = cx.cluster.as_deref_mut() else {
        return;
    };
    let rooms = &*cx.rooms;
    let room_name = |number: Option<u32>| number.map_or("", |number| &*rooms.get(number).name);
    let mut people: Vec<(PersonId, String, &str)> = Vec::new();
    for (_, person) in cluster.people.iter() {
        let name = person.name.to_string();
        people.push((person.id, name, room_name(person.room)));
    }
    for (slot, client) in cx.clients.iter() {
        let slot = slot as u32;
        let Some(name) = client.name.as_ref().filter(|name| **name != Name::Host) else {
            continue;
        };
        if cluster.knows(slot) {
            let id = cluster.id(client.id(slot));
            people.push((id, name.to_string(), telling::room_as_told(rooms, client)));
        }
    }
    let facts = people.iter();
    let facts = facts.map(|&(id, ref name, room)| Fact::Person { id, name, room });
    cluster.link.snapshot(incarnation, facts);
}

/// The engine is away: lines for which there is no space are refused from now on.
fn cut_off(cx: &mut Context<'_>) {
    tell_rooms(cx, Notice::CutOff {});
    let blocked = cx
        .cluster
        .as_deref_mut()
        .map(|cluster| std::mem::take(&mut cluster.blocked));
    for ids in blocked.into_iter().flat_map(BTreeMap::into_values) {
        telling::wake(cx, ids);
    }
}

/// Tells each room in which clients of this node are.
fn tell_rooms(cx: &mut Context<'_>, notice: Notice<'_>) {
    let mut line = Vec::new();
    notice.write(&mut line);
    let mut from = 0;
    while let Some(number) = cx.rooms.next_occupied(from) {
        from = number + 1;
        let mut view = cx.room(number);
        if !view.room.members.is_empty() {
            append(&mut view, line.len(), None, |out| {
                out.extend_from_slice(&line)
            });
        }
    }
}

/// Lines of a room are missing here: its members are told how many.
pub fn lost(cx: &mut Context<'_>, lost: &Lost) {
    let number = match &*lost.room {
        // There are no notices for raw connections.
        "" => return,
        room => name::room_name(room)
            .ok()
            .and_then(|room| cx.rooms.find(&room)),
    };
    let Some(number) = number else { return };
    let mut line = Vec::new();
    let lines = lost.lines;
    Notice::Missing { lines }.write(&mut line);
    let mut view = cx.room(number);
    if view.room.members.is_empty() {
        return;
    }
    view.totals.skipped_lines += lines * view.room.members.len() as u64;
    append(&mut view, line.len(), None, |out| {
        out.extend_from_slice(&line)
    });
}
