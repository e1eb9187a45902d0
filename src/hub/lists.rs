//! Lists that a client asks for: members of a room, rooms, commands. Writes no words of its own.

use super::context::Context;
use super::input::command::COMMANDS;
use super::input::operation::OPERATOR_COMMANDS;
use super::input::text::Text;
use super::limits::{LIST_ENTRIES_MAX, LIST_WORK};
use super::name;
use super::room::view::RoomView;
use crate::protocol::{self, Notice, Refusal};

/// `/who [ROOM]`
pub fn who(cx: &mut Context<'_>, slot: u32, room: Option<&str>) {
    cx.totals.work += LIST_WORK + room.map_or(0, name::work);
    let number = match room {
        None => cx.clients[slot as usize].room,
        Some(name) => match name::room_name(name).map(|name| cx.rooms.find(&name)) {
            Ok(Some(number)) => number,
            _ => {
                let room = &*Text::of(name).to_string();
                return cx.refuse(slot, Refusal::NoSuchRoom { room });
            }
        },
    };
    let room = cx.rooms.get(number);
    if room.lock.is_some() && !sees_into(cx, slot, number) {
        let room = &*room.name.clone();
        return cx.refuse(slot, Refusal::MembersHidden { room });
    }
    let members = room.members.iter().take(LIST_ENTRIES_MAX);
    let mut names: Vec<String> = members
        .filter_map(|&member| cx.clients[member as usize].name.as_ref())
        .map(ToString::to_string)
        .collect();
    if let Some(cluster) = cx.cluster.as_deref() {
        let elsewhere = cluster.people.in_room(number);
        let elsewhere = elsewhere.map(|person| person.name.to_string());
        names.extend(elsewhere.take(LIST_ENTRIES_MAX - names.len()));
    }
    names.sort_unstable();
    let here = room.here();
    let (room, list) = (&*room.name.clone(), &*protocol::list(&names, here));
    cx.notify(slot, Notice::Members { room, list, here });
}

/// Whether a client may see the members of a locked room.
pub fn sees_into(cx: &Context<'_>, slot: u32, number: u32) -> bool {
    let client = &cx.clients[slot as usize];
    client.room == number || client.is_operator()
}

/// `/rooms`
pub fn rooms(cx: &mut Context<'_>, slot: u32) {
    cx.totals.work += LIST_WORK;
    let shown = cx.rooms.list().take(LIST_ENTRIES_MAX);
    let shown: Vec<String> = shown
        .map(|room| {
            let mark = if room.lock.is_some() { ", locked" } else { "" };
            let here = protocol::grouped(room.here());
            format!("{} ({here}{mark})", room.name)
        })
        .collect();
    let list = &*protocol::list(&shown, cx.rooms.list().len());
    cx.notify(slot, Notice::Rooms { list });
}

/// `/help`
pub fn help(view: &mut RoomView<'_>, slot: u32) {
    for (usage, effect) in COMMANDS {
        view.notify(slot, Notice::Other(&format!("{usage:<19}  {effect}")));
    }
    view.notify(slot, Notice::Other("//text               say /text"));
    if view.client(slot).is_operator() {
        for (usage, effect) in OPERATOR_COMMANDS {
            view.notify(slot, Notice::Other(&format!("{usage:<38}  {effect}")));
        }
    }
}
