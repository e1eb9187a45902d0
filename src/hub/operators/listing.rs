//! The lists of operators, one entry at a time: clients by their slots, so that none is shown twice however many come, go
//! and move meanwhile; bans in order of their ranges.

use super::acts::{self, tell};
use super::jobs::{Filter, Job};
use super::range::Range;
use super::state::seconds_left;
use crate::hub::client::{Block, Client, Gate, State};
use crate::hub::context::Context;
use crate::hub::limits::{PRIVATE_BYTES_MARK, SLOTS_A_STEP};
use crate::hub::types::{ConnId, Peers};
use crate::protocol::{NONE, Notice, Plain, Refusal, span};
use std::net::SocketAddr;

/// Lists the next client of `/clients`.
pub fn clients(
    cx: &mut Context<'_>,
    peers: &mut dyn Peers,
    by: ConnId,
    (filter, from, mut listed): (Filter, u32, usize),
) {
    let filter = match filter {
        Filter::FromAddressOf(id) => match peers.address(id) {
            Some(address) => Filter::From(Range::of(address.ip())),
            None => {
                let who = &*acts::label(cx, id);
                acts::refuse(cx, by, Refusal::HasNoAddress { who });
                return acts::finish(cx, by);
            }
        },
        filter => filter,
    };
    let slots = cx.clients.capacity() as u32;
    let until = slots.min(from + SLOTS_A_STEP);
    let mut slot = from;
    while slot < until {
        slot += 1;
        cx.totals.work += 1;
        if is_listed(cx, peers, slot - 1, filter) {
            list_client(cx, peers, by, slot - 1);
            listed += 1;
            break;
        }
    }
    if slot < slots {
        let job = Job::Clients {
            filter,
            slot,
            listed,
        };
        return cx.operators.jobs.push(by, job);
    }
    let connected = cx.clients.len();
    tell(cx, by, Notice::Clients { listed, connected });
    acts::finish(cx, by);
}

fn is_listed(cx: &Context<'_>, peers: &mut dyn Peers, slot: u32, filter: Filter) -> bool {
    let Some(client) = cx.clients.get(slot as usize) else {
        return false;
    };
    match filter {
        Filter::All => true,
        Filter::Slow => {
            let log = &cx.rooms.get(client.room).log;
            let outbox = &client.outbox;
            log.is_late(outbox.cursor())
                || outbox.skipped_lines() > 0
                || outbox.private_bytes() > PRIVATE_BYTES_MARK
        }
        Filter::From(range) => {
            let address = peers.address(client.id(slot));
            address.is_some_and(|address| range.contains(address.ip()))
        }
        Filter::FromAddressOf(_) => false,
    }
}

fn list_client(cx: &mut Context<'_>, peers: &mut dyn Peers, by: ConnId, slot: u32) {
    let client = &cx.clients[slot as usize];
    let (id, room) = (client.id(slot), cx.rooms.get(client.room));
    let address = peers.address(id).map(shown);
    let details = peers.details(id);
    let unread = client.outbox.cursor()..client.log_until(room.log.end());
    let behind_bytes = unread.end.saturating_sub(unread.start);
    let behind_lines = match behind_bytes {
        0 => 0,
        _ => room.log.lines_in(unread),
    };
    let or_none = |text: &str| if text.is_empty() { NONE } else { text }.to_owned();
    let name = client
        .name
        .as_ref()
        .map_or_else(String::new, ToString::to_string);
    let muted = match cx.operators.mutes.get(slot) {
        None => "no".into(),
        Some(ends) => span::ends(seconds_left(cx.now, ends)),
    };
    let idle_us = client.silent_us(cx.now);
    let notice = Notice::Client {
        number: Plain(id.serial().into()),
        name: &or_none(&name),
        room: &or_none(&room.name),
        address: &or_none(&address.unwrap_or_default()),
        age: Plain(details.seconds),
        idle: Plain(idle_us / 1_000_000),
        lines_in: Plain(client.said.into()),
        bytes_in: Plain(details.bytes_in),
        bytes_out: Plain(client.outbox.written.into()),
        behind_lines: Plain(behind_lines + client.outbox.skipped_lines()),
        behind_bytes: Plain(behind_bytes + client.outbox.private_bytes() as u64),
        blocked: blocked(client),
        muted: &muted,
        proxy: &or_none(&details.proxy.map_or_else(String::new, shown)),
        listener: &or_none(&details.listener),
    };
    let line = notice.to_string();
    tell(cx, by, Notice::Other(&line));
}

/// An address and port; an IPv4-mapped address as IPv4.
fn shown(address: SocketAddr) -> String {
    SocketAddr::new(address.ip().to_canonical(), address.port()).to_string()
}

/// What keeps a client's input from being handled, in one word.
fn blocked(client: &Client) -> &'static str {
    match client.state() {
        State::Open(Gate::Ready) => "no",
        State::Open(Gate::Blocked(Block::RateLimit)) => "rate",
        State::Open(Gate::Blocked(Block::Backlog)) => "output",
        State::Open(Gate::Blocked(Block::Room)) => "room",
        State::Open(Gate::Blocked(Block::Answer)) => "answer",
        State::Moving(_) => "move",
        State::ReceiveOnly => "finished",
        State::Draining(_) | State::Closed(_) | State::CutShort(_) => "leaving",
    }
}

/// Lists the next ban of `/bans`.
pub fn bans(cx: &mut Context<'_>, by: ConnId, after: Option<Range>, listed: usize) {
    let Some((range, ban)) = cx.operators.bans.next_after(after) else {
        tell(cx, by, Notice::Bans { bans: listed });
        return acts::finish(cx, by);
    };
    let notice = Notice::Ban {
        range: &range.to_string(),
        ends: &span::ends(seconds_left(cx.now, ban.ends)),
        by: &ban.by,
        hits: Plain(ban.hits),
        why: if ban.why.is_empty() { NONE } else { &ban.why },
    };
    let line = notice.to_string();
    tell(cx, by, Notice::Other(&line));
    cx.operators
        .jobs
        .push(by, Job::Bans(Some(range), listed + 1));
}
