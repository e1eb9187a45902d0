//! How far a client's input is handled now: the loop over its items, what stops it, and the client's timer.

use super::addresses::Addresses;
use super::client::{Block, Gate, Role, State};
use super::context::Context;
use super::directory::Directory;
use super::handlers;
use super::input::{Input, Item, Options};
use super::limits::{ITEM_WORK, STRANGER_BYTES_MAX, VISIT_WORK_ALONE_MAX, VISIT_WORK_MAX};
use super::password;
use super::room::backpressure;
use super::schedule::{Place, Timer};
use super::types::{Ending, Now, Report, Resume};
use crate::protocol::{Notice, Refusal};

/// All that reading a client may touch: what its requests may, the directory, and every client's input.
pub struct Reading<'a> {
    /// What a request may touch.
    pub cx: Context<'a>,
    /// Names.
    pub directory: &'a mut Directory,
    /// What each address has used of its rate.
    pub addresses: &'a mut Addresses,
    /// By slot. Apart from the clients, so that a line can be borrowed from its client's input while it is handled.
    pub inputs: &'a mut [Input],
}

/// Why the loop over a client's items has stopped before their end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// The client is closing, receives only, or waits to change rooms.
    NotOpen,
    /// The client may not go on.
    Blocked(Block),
    /// It has had its visit: others are served first.
    Yield,
}

impl Reading<'_> {
    /// Whether a client may be read. First handles what was deferred of its input.
    pub fn resume(&mut self, slot: u32) -> Resume {
        let client = &mut self.cx.clients[slot as usize];
        if client.is_blocked_by(Block::Room) {
            // It is among those that the room wakes.
            return Resume::Wait;
        }
        if let Some(to) = client.end_move(self.cx.now) {
            handlers::enter_room(&mut self.cx, slot, to);
        }
        if !matches!(self.cx.clients[slot as usize].state(), State::Open(_)) {
            return Resume::Blocked;
        }
        let waits = self.cx.clients[slot as usize].is_blocked_by(Block::Answer);
        let waits = waits.then_some(Block::Answer);
        if let Some(reason) = waits.or_else(|| self.block_reason(slot)) {
            // Others of its address may have used up the rate: a client that has not sent anything is not told.
            if reason == Block::RateLimit && self.inputs[slot as usize].has_deferred() {
                self.report_rate(slot);
            }
            return self.block(slot, reason);
        }
        let client = &mut self.cx.clients[slot as usize];
        client.unblock(self.cx.now);
        let input = &mut self.inputs[slot as usize];
        if input.debt >= VISIT_WORK_MAX as u32 {
            input.debt -= VISIT_WORK_MAX as u32;
            if self.cx.schedule.reads() > 0 {
                return self.stopped(slot, Some(Stop::Yield));
            }
            // Nobody else waits.
            input.debt = 0;
        }
        if self.inputs[slot as usize].has_deferred() {
            let bytes = self.inputs[slot as usize].take_deferred();
            return self.process(slot, &bytes, false);
        }
        self.arm(slot);
        Resume::Read
    }

    /// Nothing follows in a client's input, which is told so by `end`.
    pub fn end_input(&mut self, slot: u32, end: fn(&mut Input)) {
        let client = &self.cx.clients[slot as usize];
        if !client.is_receiving() {
            return;
        }
        let is_ready = matches!(client.state(), State::Open(Gate::Ready));
        let input = &mut self.inputs[slot as usize];
        let is_next = !input.has_deferred_bytes();
        end(input);
        if is_next && is_ready {
            self.process(slot, b"", false);
        }
    }

    /// Handles `bytes` of a client, item by item, as far as the client may go on now; the rest is deferred. With `flush`,
    /// its unfinished line counts as a line. Returns whether the client may be read at once.
    pub fn process(&mut self, slot: u32, bytes: &[u8], flush: bool) -> Resume {
        if self.cx.clients[slot as usize].is_stranger() {
            return self.process_stranger(slot, bytes, flush);
        }
        let Reading {
            cx,
            directory,
            addresses,
            inputs,
        } = self;
        let options = Options {
            raw: cx.clients[slot as usize].role == Role::Raw,
            line_bytes_max: cx.limits.line_bytes_max,
            flush,
        };
        let debt = u64::from(inputs[slot as usize].debt);
        let mut items = inputs[slot as usize].items(bytes, options);
        let mut stop = None;
        let work_max = match cx.schedule.reads() {
            0 => VISIT_WORK_ALONE_MAX,
            _ => VISIT_WORK_MAX,
        };
        // What earlier visits have cost too much counts as a part of this one.
        let begin = cx.totals.work - debt;
        while stop.is_none()
            && let Some(item) = items.next()
        {
            let is_charged = item != Item::Line(b"");
            if let Err(error) = handlers::handle(cx, directory, slot, item) {
                let by_telnet = items.is_telnet(error.is_cut);
                handlers::refuse_not_utf8(cx, slot, error, by_telnet);
            }
            cx.totals.work += ITEM_WORK;
            if is_charged {
                stop = charge(cx, addresses, slot);
            }
            if cx.totals.work - begin >= work_max {
                stop = stop.or(Some(Stop::Yield));
            }
        }
        cx.totals.discarded_bytes += u64::from(items.take_discarded());
        if !cx.clients[slot as usize].is_receiving() {
            items.discard();
        }
        drop(items);
        let work = cx.totals.work - begin;
        inputs[slot as usize].debt = work.saturating_sub(work_max) as u32;
        self.stopped(slot, stop)
    }

    /// The same of a client that has not said the password. What follows the password is handled as anybody's.
    fn process_stranger(&mut self, slot: u32, bytes: &[u8], flush: bool) -> Resume {
        let Reading {
            cx,
            directory,
            addresses,
            inputs,
        } = self;
        let options = Options {
            raw: false,
            line_bytes_max: cx.limits.line_bytes_max.min(STRANGER_BYTES_MAX),
            flush,
        };
        let mut items = inputs[slot as usize].items(bytes, options);
        let (mut stop, mut left) = (None, items.left());
        while stop.is_none()
            && cx.clients[slot as usize].is_stranger()
            && let Some(item) = items.next()
        {
            let sent = password::Sent::of(item);
            // First: what is beyond the bytes that it may send is not handled, however it is cut.
            if sent.is_counted() {
                password::count(cx, slot, left - items.left());
            }
            left = items.left();
            password::handle(cx, directory, slot, &sent);
            cx.totals.work += ITEM_WORK;
            stop = charge(cx, addresses, slot);
        }
        // What is left belongs to a line that has no end yet.
        password::count(cx, slot, left - items.left());
        cx.totals.discarded_bytes += u64::from(items.take_discarded());
        let client = &cx.clients[slot as usize];
        if !client.is_receiving() {
            items.discard();
        }
        drop(items);
        if stop.is_none() && !client.is_stranger() {
            let rest = self.inputs[slot as usize].take_deferred();
            return self.process(slot, &rest, flush);
        }
        self.stopped(slot, stop)
    }

    /// What follows when the loop has stopped.
    fn stopped(&mut self, slot: u32, stop: Option<Stop>) -> Resume {
        match stop {
            None => {
                self.arm(slot);
                Resume::Read
            }
            Some(Stop::NotOpen) => Resume::Blocked,
            Some(Stop::Blocked(reason @ (Block::RateLimit | Block::Backlog | Block::Answer))) => {
                if reason == Block::RateLimit {
                    self.report_rate(slot);
                }
                self.block(slot, reason)
            }
            // After its visit it waits for its room behind those that the room has refused meanwhile.
            Some(Stop::Yield | Stop::Blocked(Block::Room)) => {
                let id = self.cx.clients[slot as usize].id(slot);
                self.cx.schedule.want_read(id, Place::Last);
                Resume::Wait
            }
        }
    }

    /// A client's input may not be handled, for this reason, until the client is woken.
    fn block(&mut self, slot: u32, reason: Block) -> Resume {
        if reason == Block::Room {
            backpressure::block(&mut self.cx.room_of(slot), slot);
        } else {
            self.cx.clients[slot as usize].block(reason);
        }
        self.arm(slot);
        match reason {
            Block::RateLimit | Block::Room => Resume::Wait,
            Block::Backlog | Block::Answer => Resume::Blocked,
        }
    }

    /// Tells a client, once, that it sends faster than the rate limit allows.
    fn report_rate(&mut self, slot: u32) {
        if std::mem::replace(&mut self.inputs[slot as usize].is_told_of_rate, true) {
            return;
        }
        let rate = u64::from(self.cx.limits.rate_lines);
        self.cx.notify(slot, Notice::TooFast { rate });
        let id = self.cx.clients[slot as usize].id(slot);
        self.cx.schedule.reports.add(id, || Report::Throttled);
    }

    /// Why a client's input may not be handled now.
    fn block_reason(&mut self, slot: u32) -> Option<Block> {
        block_reason(&mut self.cx, self.addresses, slot)
    }

    /// Arms a client's timer for its next deadline.
    pub fn arm(&mut self, slot: u32) {
        let input = &self.inputs[slot as usize];
        let has_partial = !input.partial().is_empty() && !input.has_deferred();
        let client = &self.cx.clients[slot as usize];
        let free_at = free_at(&self.cx, self.addresses, slot);
        let mut due = client.deadline(self.cx.limits, has_partial, free_at);
        if client.is_stranger() && !client.is_closing() {
            due = due.into_iter().chain(password::due(&self.cx, slot)).min();
        }
        if let Some(due) = due {
            self.cx.schedule.arm(Timer::Client(slot), due);
        }
    }

    /// A client's timer has rung.
    pub fn tick(&mut self, slot: u32) {
        if self.cx.clients[slot as usize].is_stranger() {
            password::tick(&mut self.cx, self.directory, slot);
        }
        let (now, limits) = (self.cx.now, self.cx.limits);
        let is_due = |due: Option<Now>| due.is_some_and(|due| due <= now);
        let free_at = free_at(&self.cx, self.addresses, slot);
        let has_deferred = self.inputs[slot as usize].has_deferred();
        let client = &mut self.cx.clients[slot as usize];
        let is_unread = has_deferred || self.cx.schedule.is_read_queued(client.id(slot));
        match *client.state() {
            State::Draining(_) if is_due(client.deadline(limits, false, free_at)) => {
                client.cut_short();
                self.cx.schedule.want_close(client.id(slot));
            }
            State::Open(Gate::Blocked(Block::RateLimit)) if free_at <= now => {
                self.cx.room_of(slot).wake(slot, Place::Last);
            }
            // What has arrived and is not handled yet is no silence.
            State::Open(Gate::Ready) if is_unread && is_due(client.deadline(limits, true, now)) => {
                client.break_silence(now);
            }
            State::Open(Gate::Ready) if is_due(client.idle_due(limits)) => {
                let seconds = limits.idle_timeout_us / 1_000_000;
                let mut view = self.cx.room_of(slot);
                view.refuse(slot, Refusal::Idle { seconds });
                view.drain(slot, Ending::Idle);
            }
            State::Open(Gate::Ready) if is_due(client.partial_due(limits)) => {
                client.break_silence(now);
                match self.block_reason(slot) {
                    Some(reason) => self.block(slot, reason),
                    None => self.process(slot, b"", true),
                };
            }
            _ => {}
        }
        self.arm(slot);
    }
}

/// Counts an item against its sender's rate limit. Returns why the client may not go on, if it may not.
fn charge(cx: &mut Context<'_>, addresses: &mut Addresses, slot: u32) -> Option<Stop> {
    let client = &mut cx.clients[slot as usize];
    if cx.limits.rate_lines > 0 && !client.role.is_extra() {
        addresses.rate(slot).charge(cx.now, cx.limits);
    }
    match client.state() {
        State::Open(Gate::Blocked(Block::Answer)) => return Some(Stop::Blocked(Block::Answer)),
        State::Open(_) => {}
        _ => return Some(Stop::NotOpen),
    }
    block_reason(cx, addresses, slot).map(Stop::Blocked)
}

/// When a client's rate limit lets it go on: not later than now means at once.
fn free_at(cx: &Context<'_>, addresses: &Addresses, slot: u32) -> Now {
    if cx.limits.rate_lines == 0 {
        return Now::default();
    }
    addresses.free_at(slot, cx.limits)
}

/// Why a client's input may not be handled now.
fn block_reason(cx: &mut Context<'_>, addresses: &mut Addresses, slot: u32) -> Option<Block> {
    let client = &cx.clients[slot as usize];
    if client.has_backlog() {
        return Some(Block::Backlog);
    }
    let number = client.room;
    if free_at(cx, addresses, slot) > cx.now {
        return Some(Block::RateLimit);
    }
    let limits = cx.limits_of(number);
    let room = cx.rooms.get_mut(number);
    room.observe(cx.now, limits);
    (!room.accepts_lines(limits)).then_some(Block::Room)
}
