//! What a client asks about another person or decides about it: `/ignore`, `/unignore`, `/whois`. Who ignores whom is kept
//! in `ignoring`; writes no words of its own.

use super::client::Client;
use super::cluster::people::is_elsewhere;
use super::context::Context;
use super::directory::Directory;
use super::ignoring::NotIgnored;
use super::input::text::Text;
use super::limits::{IGNORED_MAX, LIST_WORK, MARK_WORK};
use super::lists::sees_into;
use super::name;
use super::renaming::name_of;
use super::room::view::RoomView;
use super::rooms::Rooms;
use crate::protocol::{self, Notice, Refusal};
use std::ops::Range;

/// `/ignore NAME`
pub fn ignore(cx: &mut Context<'_>, directory: &Directory, slot: u32, raw: &str) {
    let Some((other, name)) = find(cx, directory, slot, raw) else {
        return;
    };
    let name = &*name;
    if other == slot {
        return cx.refuse_line(slot, Refusal::IgnoringYourself { name });
    }
    let client = cx.clients.get(other as usize);
    if client.is_some_and(Client::is_operator) {
        return cx.refuse_line(slot, Refusal::IgnoringOperator { name });
    }
    forget_gone(cx, slot);
    match cx.ignoring.begin(slot, other, name) {
        Err(NotIgnored::Already) => cx.refuse_line(slot, Refusal::IgnoredAlready { name }),
        Err(NotIgnored::Full) => {
            let ignored_max = IGNORED_MAX;
            cx.refuse_line(slot, Refusal::IgnoredFull { ignored_max });
        }
        Ok(person) => {
            if let Some(client) = cx.clients.get_mut(other as usize) {
                client.outbox.is_ignored = true;
            }
            let at = end_of_log(cx, slot);
            let outbox = &mut cx.clients[slot as usize].outbox;
            outbox.change_ignored(|ignored| ignored.begin(person, at));
            notify_in_place(cx, slot, Notice::YouIgnore { name });
        }
    }
}

/// `/unignore NAME`
pub fn unignore(cx: &mut Context<'_>, directory: &Directory, slot: u32, raw: &str) {
    cx.totals.work += name::work(raw);
    let raw_name = name::normal(raw).unwrap_or_else(|_| raw.into());
    let other = directory.find(raw);
    let Some(person) = cx.ignoring.find(slot, other, &raw_name) else {
        let name = &*Text::of(raw).to_string();
        return cx.refuse_line(slot, Refusal::NotIgnored { name });
    };
    let mut list = cx.ignoring.list(slot);
    let listed = list.find(|(_, number)| *number == person);
    let name = listed.map_or(String::new(), |(name, _)| name.into());
    drop(list);
    cx.ignoring.end(slot, person);
    if let Some(other) = other
        && let Some(client) = cx.clients.get_mut(other as usize)
    {
        client.outbox.is_ignored = cx.ignoring.is_ignored(other);
    }
    end_spans(cx, slot, &[person]);
    notify_in_place(cx, slot, Notice::YouIgnoreNoMore { name: &name });
}

/// `/ignore`
pub fn list_ignored(cx: &mut Context<'_>, slot: u32) {
    cx.totals.work += LIST_WORK;
    forget_gone(cx, slot);
    let list = cx.ignoring.list(slot);
    let mut names: Vec<String> = list.map(|(name, _)| name.into()).collect();
    names.sort_unstable();
    if names.is_empty() {
        return cx.notify(slot, Notice::YouIgnoreNobody {});
    }
    let list = &*protocol::list(&names, names.len());
    cx.notify(slot, Notice::Ignored { list });
}

/// `/whois NAME`
pub fn whois(cx: &mut Context<'_>, directory: &Directory, slot: u32, raw: &str) {
    let Some((other, name)) = find(cx, directory, slot, raw) else {
        return;
    };
    let name = &*name;
    if is_elsewhere(other) {
        return whois_elsewhere(cx, slot, other, name);
    }
    let other = &cx.clients[other as usize];
    let since = cx.ages.of(other.serial).unwrap_or(cx.now);
    let connected_us = cx.now.as_micros().saturating_sub(since.as_micros());
    let [connected, idle] = [connected_us, other.silent_us(cx.now)].map(protocol::time);
    let (connected, idle) = (&*connected, &*idle);
    let room = &*cx.rooms.get(other.room).name.clone();
    let is_hidden = cx.rooms.get(other.room).lock.is_some() && !sees_into(cx, slot, other.room);
    let notice = if is_hidden {
        Notice::WhoisApart {
            name,
            connected,
            idle,
        }
    } else if Rooms::is_none(other.room) {
        Notice::WhoisInNoRoom {
            name,
            connected,
            idle,
        }
    } else if other.is_operator() {
        Notice::WhoisOperator {
            name,
            room,
            connected,
            idle,
        }
    } else {
        Notice::Whois {
            name,
            room,
            connected,
            idle,
        }
    };
    cx.notify(slot, notice);
}

/// The same of a person on another node, of whom less is known here.
fn whois_elsewhere(cx: &mut Context<'_>, slot: u32, other: u32, name: &str) {
    let person = cx.cluster.as_deref().and_then(|it| it.people.get(other));
    let Some(person) = person else { return };
    let node = u64::from(person.id.node);
    match person.room {
        Some(room) => {
            let room = &*cx.rooms.get(room).name.clone();
            cx.notify(slot, Notice::WhoisElsewhere { name, room, node });
        }
        None => cx.refuse_line(slot, Refusal::NoSuchPerson { name }),
    }
}

/// A client that somebody ignores has said the line at `range`: marks it for those who do.
pub fn mark(view: &mut RoomView<'_>, slot: u32, range: Range<u64>) {
    for &person in view.ignoring.persons_of(slot) {
        view.room.log.mark(range.clone(), person);
        view.totals.work += MARK_WORK;
    }
}

/// The client that has this name, and its name; otherwise the client that asks is told that there is none.
fn find(
    cx: &mut Context<'_>,
    directory: &Directory,
    slot: u32,
    raw: &str,
) -> Option<(u32, String)> {
    cx.totals.work += name::work(raw);
    let found = directory
        .find(raw)
        .and_then(|other| Some((other, name_of(cx, other)?.to_string())));
    if found.is_none() {
        let name = &*Text::of(raw).to_string();
        cx.refuse_line(slot, Refusal::NoSuchPerson { name });
    }
    found
}

/// A client ignores those no more who cannot come back.
fn forget_gone(cx: &mut Context<'_>, slot: u32) {
    let gone = cx.ignoring.forget_gone(slot);
    end_spans(cx, slot, &gone);
}

fn end_spans(cx: &mut Context<'_>, slot: u32, persons: &[u32]) {
    let at = end_of_log(cx, slot);
    let outbox = &mut cx.clients[slot as usize].outbox;
    for &person in persons {
        outbox.change_ignored(|ignored| ignored.end(person, at));
    }
}

fn end_of_log(cx: &Context<'_>, slot: u32) -> u64 {
    cx.rooms.get(cx.clients[slot as usize].room).log.end()
}

/// Tells a client something between what was said before and what is said after.
fn notify_in_place(cx: &mut Context<'_>, slot: u32, notice: Notice<'_>) {
    let at = end_of_log(cx, slot);
    cx.room_of(slot).notify_after(slot, at, notice);
}
