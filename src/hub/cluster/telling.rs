//! What clients of this node do is told to the others. Applies nothing: what is told comes back from its lane.

use super::{Cluster, Waiting};
use crate::hub::client::{self, Block, Client, Role};
use crate::hub::comings::Comings;
use crate::hub::context::Context;
use crate::hub::directory::Directory;
use crate::hub::link::contract::Lane;
use crate::hub::link::item::Item;
use crate::hub::name::Name;
use crate::hub::room::view::RoomView;
use crate::hub::rooms::Rooms;
use crate::hub::schedule::Place;
use crate::hub::types::ConnId;
use crate::protocol::Refusal;

/// A client says a line to its room, if there are other nodes; otherwise `render` is given back.
pub fn say<R: FnOnce(&mut Vec<u8>)>(view: &mut RoomView<'_>, slot: u32, render: R) -> Option<R> {
    let author = view.client(slot).id(slot).to_token() as u64;
    let Some(cluster) = view.cluster.as_deref_mut() else {
        return Some(render);
    };
    let lane = cluster.link.lane_of(&view.room.name);
    if cluster.link.has_space(lane) {
        cluster.link.line(&view.room.name, author, render);
    } else {
        // Otherwise the client would wait until there is space.
        debug_assert!(cluster.refuses());
        view.totals.refused_lines += 1;
        view.refuse(slot, Refusal::LineNotNow {});
    }
    None
}

/// Some have come to a room and others have left it, all of this node; given back if there are no other nodes.
pub fn announce(view: &mut RoomView<'_>, comings: Comings) -> Option<Comings> {
    let Some(cluster) = view.cluster.as_deref_mut() else {
        return Some(comings);
    };
    if cluster.is_leaving {
        // The others will hear that all have left.
        return None;
    }
    cluster.link.announce(&view.room.name, &comings.to_item());
    let lane = cluster.link.lane_of(&view.room.name);
    cluster
        .announced
        .entry(lane)
        .or_default()
        .push_back(comings);
    None
}

/// A client has another name, which its room is to hear. False: there are no other nodes.
pub fn renamed(view: &mut RoomView<'_>, slot: u32, old: &str, new: &str) -> bool {
    let connection = view.client(slot).id(slot).to_token() as u64;
    let Some(cluster) = view.cluster.as_deref_mut() else {
        return false;
    };
    cluster.link.renamed(&view.room.name, connection, old, new);
    true
}

/// The lane in which a room's lines are.
fn lane_of(cluster: &Cluster, rooms: &Rooms, number: u32) -> Lane {
    cluster.link.lane_of(&rooms.get(room_of_lane(number)).name)
}

/// The room whose lane takes what clients in a room send; those that are in no room use the lobby's.
pub fn room_of_lane(number: u32) -> u32 {
    match Rooms::is_none(number) {
        true => Rooms::first(Role::Person),
        false => number,
    }
}

/// Whether a line said in this room has a place in its lane, or would be refused because it has none.
pub fn has_space(cx: &Context<'_>, number: u32) -> bool {
    let Some(cluster) = cx.cluster.as_deref() else {
        return true;
    };
    cluster.refuses() || cluster.link.has_space(lane_of(cluster, cx.rooms, number))
}

/// A client waits until the lane of its room has space.
pub fn block(cx: &mut Context<'_>, slot: u32) {
    let client = &mut cx.clients[slot as usize];
    let number = client.room;
    if client.block(Block::Lane)
        && let Some(cluster) = cx.cluster.as_deref_mut()
    {
        let lane = lane_of(cluster, cx.rooms, number);
        cluster
            .blocked
            .entry(lane)
            .or_default()
            .push(client.id(slot));
    }
}

/// A client has got a guest's name, and a room.
pub fn came(cx: &mut Context<'_>, slot: u32) {
    if let Some(cluster) = cx.cluster.as_deref_mut()
        && cluster.link.is_live()
        && slot <= cluster.told
    {
        cluster.told = cluster.told.max(slot + 1);
        tell_came(cx, slot);
    }
}

/// Tells that a client is here, under the name that it has now.
pub fn tell_came(cx: &mut Context<'_>, slot: u32) {
    let client = &cx.clients[slot as usize];
    let (Some(cluster), Some(name)) = (cx.cluster.as_deref_mut(), &client.name) else {
        return;
    };
    if *name == Name::Host {
        // Each node has its own.
        return;
    }
    let connection = client.id(slot).to_token() as u64;
    let name = &*name.to_string();
    cluster.link.tell(&Item::Came { connection, name });
    let room = room_as_told(cx.rooms, client);
    if room != &*cx.rooms.get(Rooms::first(Role::Person)).name {
        cluster.link.tell(&Item::Move { connection, room });
    }
}

/// A client has left: the others are told, and its name is free as soon as all know. False: there are no others, or they do not
/// know it.
pub fn left(
    cluster: &mut Option<Box<Cluster>>,
    directory: &mut Directory,
    id: ConnId,
    name: &Name,
) -> bool {
    let Some(cluster) = cluster.as_deref_mut() else {
        return false;
    };
    cluster.forget_client(id.slot());
    if !cluster.knows(id.slot()) || *name == Name::Host || cluster.is_leaving {
        return false;
    }
    let person = cluster.id(id);
    let number = cluster.people.next_number();
    directory.move_elsewhere(id.slot(), number, name);
    cluster.people.add(person, name.clone());
    let connection = person.connection;
    cluster.link.tell(&Item::Went { connection });
    true
}

/// The room in which a client is for the others: where it goes, also while it has not read all of its last one.
pub fn room_as_told<'a>(rooms: &'a Rooms, client: &'a Client) -> &'a str {
    match client.destination() {
        Some(to) => &to.room.name,
        None => &rooms.get(client.room).name,
    }
}

/// A client wants another name, which is valid. Its input waits for the answer.
pub fn rename(cx: &mut Context<'_>, slot: u32, name: &str) {
    ask(
        cx,
        slot,
        Waiting::Name,
        Refusal::NameNotNow {},
        |connection| Item::Rename { connection, name },
    );
}

/// A client goes to another room. Its input waits for the answer.
pub fn go(cx: &mut Context<'_>, slot: u32, room: &str) {
    ask(
        cx,
        slot,
        Waiting::Room,
        Refusal::RoomNotNow {},
        |connection| Item::Move { connection, room },
    );
}

fn ask<'a>(
    cx: &mut Context<'_>,
    slot: u32,
    what: Waiting,
    otherwise: Refusal<'_>,
    item: impl FnOnce(u64) -> Item<'a>,
) {
    let connection = cx.clients[slot as usize].id(slot).to_token() as u64;
    match cx.cluster.as_deref_mut() {
        Some(cluster) if cluster.is_up() && cluster.knows(slot) => {
            cluster.link.tell(&item(connection));
            cluster.wait(cx.clients, slot, what);
        }
        _ => cx.refuse_line(slot, otherwise),
    }
}

/// A client stays where it is, though the others think that it has moved.
pub fn stayed(cx: &mut Context<'_>, slot: u32) {
    let client = &cx.clients[slot as usize];
    let connection = client.id(slot).to_token() as u64;
    let room = &*cx.rooms.get(client.room).name;
    if let Some(cluster) = cx.cluster.as_deref_mut()
        && cluster.knows(slot)
    {
        cluster.link.tell(&Item::Move { connection, room });
    }
}

/// A client wants the name back that it has had before the node began anew.
pub fn take_back(cx: &mut Context<'_>, slot: u32, name: &str) {
    let connection = cx.clients[slot as usize].id(slot).to_token() as u64;
    if let Some(cluster) = cx.cluster.as_deref_mut() {
        cluster.link.tell(&Item::Rename { connection, name });
        cluster.wait(cx.clients, slot, Waiting::OldName(name.into()));
    }
}

/// Clients that waited for space in their lane do no more.
pub fn wake(cx: &mut Context<'_>, ids: Vec<ConnId>) {
    for id in ids {
        let client = client::find(cx.clients, id);
        if client.is_some_and(|client| client.is_blocked_by(Block::Lane)) {
            cx.room_of(id.slot()).wake(id.slot(), Place::Last);
        }
    }
}
