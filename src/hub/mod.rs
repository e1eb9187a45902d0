//! The hub: what madang is, without a socket and without a clock.
//!
//! # Contract
//! *Inputs* take the time and change the state: [`connect`](Hub::connect), [`receive`](Hub::receive),
//! [`resume`](Hub::resume), [`finish`](Hub::finish), [`sent`](Hub::sent), [`disconnect`](Hub::disconnect),
//! [`tick`](Hub::tick), [`shutdown`](Hub::shutdown). *Outputs* are drained after inputs:
//!
//! - [`next_owed`](Hub::next_owed): connections to visit. For each, [`output`](Hub::output) lends the slices to
//!   write, and [`sent`](Hub::sent) takes how many bytes were written. One that could not take all need only be visited
//!   again when it is writable.
//! - [`next_runnable`](Hub::next_runnable): connections that may be read again. Before a connection is read,
//!   [`resume`](Hub::resume) is asked; if it says no, the connection comes out of here when that may have changed.
//! - [`next_done`](Hub::next_done): connections to close; each is answered with [`disconnect`](Hub::disconnect),
//!   which alone frees its slot.
//! - [`next_deadline`](Hub::next_deadline): when [`tick`](Hub::tick) is wanted.
//!
//! A [`ConnId`] that is no longer in use is ignored by every input, so a late event can do no harm. Nothing that a
//! peer sends makes the hub panic; a panic is a fault of the hub or of its caller.
//!
//! `requests` does what a line asks for, `crowd` keeps who is where; everything else is a leaf that one can read on
//! its own, in the order of the data: `telnet`, `frame`, `text`, `command`, `name`, `session`, `log`, `room`, `outbox`.

mod command;
mod crowd;
mod frame;
pub mod limits;
mod log;
mod name;
mod outbox;
mod requests;
mod room;
mod session;
mod telnet;
mod text;

use crowd::Crowd;
use limits::{Limits, PRIVATE_BYTES_MARK};
use outbox::Outbox;
pub use session::Wire;
use session::{Phase, Session};
use slab::Slab;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::fmt;
use std::io::IoSlice;
use std::net::IpAddr;

/// A time: microseconds since a start that only the caller knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Now(u64);

impl Now {
    /// The time so many microseconds after the start.
    pub const fn from_micros(micros: u64) -> Now {
        Now(micros)
    }

    /// Microseconds since the start.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// The time so many microseconds later.
    pub const fn after(self, micros: u64) -> Now {
        Now(self.0.saturating_add(micros))
    }
}

/// A connection: the slot that it has (low half) and a serial number that nobody else in that slot has had (high
/// half). The same number is its poll token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(usize);

impl ConnId {
    /// The largest slot. The numbers above are free for other tokens.
    pub const SLOT_MAX: u32 = u32::MAX - 0x1_0000;

    fn new(slot: u32, serial: u32) -> ConnId {
        assert!(
            slot <= ConnId::SLOT_MAX,
            "no machine holds that many connections"
        );
        ConnId((serial as usize) << 32 | slot as usize)
    }

    /// The connection's slot: small, and free again once it is disconnected.
    pub fn slot(self) -> u32 {
        self.0 as u32
    }

    /// The id as a poll token.
    pub fn to_token(self) -> usize {
        self.0
    }

    /// The id of a poll token; `None` if the token is no connection's.
    pub fn from_token(token: usize) -> Option<ConnId> {
        (token as u32 <= ConnId::SLOT_MAX).then_some(ConnId(token))
    }
}

/// Who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its address; `None` for a Unix-domain socket.
    pub address: Option<IpAddr>,
    /// What the listener that it came to speaks.
    pub wire: Wire,
}

/// Why a newcomer is not let in. Its text is what the newcomer is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There are as many connections as there may be.
    Full(usize),
    /// There are as many from its address as there may be.
    PerAddress(usize),
    /// The server is about to end.
    ShuttingDown,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Full(clients) => {
                write!(f, "server is full: {clients} connections; try again later")
            }
            Refusal::PerAddress(clients) => {
                write!(
                    f,
                    "server is full for your address: {clients} connections; close one first"
                )
            }
            Refusal::ShuttingDown => f.write_str("server is shutting down"),
        }
    }
}

/// What has happened since the start, for the operator. Nothing is dropped that is not counted here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Connections let in.
    pub connections: u64,
    /// Newcomers not let in.
    pub refused_connections: u64,
    /// Lines said to a room.
    pub lines: u64,
    /// Lines refused: not UTF-8, too long, not understood.
    pub refused_lines: u64,
    /// Bytes of over-long lines that were discarded.
    pub discarded_bytes: u64,
    /// Lines skipped, summed over the members that they were taken from.
    pub skipped_lines: u64,
    /// Members closed because they read too slowly.
    pub slow_closed: u64,
}

/// One connection.
#[derive(Debug)]
struct Client {
    id: ConnId,
    session: Session,
    outbox: Outbox,
    /// Its room, and its seat among the room's members.
    room: u32,
    seat: u32,
    /// When a timer of its own rings; [`NEVER`] if none does.
    armed: Now,
    address: Option<IpAddr>,
    /// It is in the queue of connections that are owed bytes.
    queued: bool,
    /// It may not be read, and why; it comes out of the queue of runnable connections when that may have changed.
    paused: Option<Obstacle>,
    /// Its peer has finished, which is acted upon when all that is held has been taken.
    finished: bool,
}

const NEVER: Now = Now(u64::MAX);

/// What a timer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Client(ConnId),
    Room(u32),
}

/// Whether a connection may be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    /// Yes, once.
    Read,
    /// Not yet: time or the others will let it.
    Wait,
    /// Not unless it takes what it is owed, if ever again.
    Blocked,
}

impl From<Obstacle> for Resume {
    fn from(obstacle: Obstacle) -> Resume {
        match obstacle {
            Obstacle::Allowance | Obstacle::Room | Obstacle::Turn => Resume::Wait,
            Obstacle::Backlog | Obstacle::Over => Resume::Blocked,
        }
    }
}

/// Why a client may not speak right now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Obstacle {
    /// It has used up its allowance: a timer wakes it.
    Allowance,
    /// It does not read what it is owed, or has not read enough to change rooms: its own progress wakes it.
    Backlog,
    /// Its room has been said so much that the others must be given it first: the room wakes it.
    Room,
    /// It has had its visit, and is due again after the others.
    Turn,
    /// It has said all that it may say: nothing wakes it.
    Over,
}

/// The whole state of the server. See the [module](self) for the order of calls.
#[derive(Debug)]
pub struct Hub {
    limits: Limits,
    clients: Slab<Client>,
    crowd: Crowd,
    /// Serial number of the last connection.
    serial: u32,
    shutting_down: bool,
    owed: VecDeque<ConnId>,
    /// Rooms whose carousel is turning, each once.
    turning: VecDeque<u32>,
    /// Whether the next visit is to a room's member, or to one that is owed something of its own.
    rooms_turn: bool,
    runnable: VecDeque<ConnId>,
    done: VecDeque<ConnId>,
    timers: BinaryHeap<Reverse<(Now, Timer)>>,
    totals: Totals,
}

/// Inputs.
impl Hub {
    /// A hub without connections.
    pub fn new(limits: Limits) -> Hub {
        let crowd = Crowd::new(&limits);
        Hub {
            limits,
            clients: Slab::new(),
            crowd,
            serial: 0,
            shutting_down: false,
            owed: VecDeque::new(),
            turning: VecDeque::new(),
            rooms_turn: false,
            runnable: VecDeque::new(),
            done: VecDeque::new(),
            timers: BinaryHeap::new(),
            totals: Totals::default(),
        }
    }

    /// A newcomer. It is given a name, a place in the lobby, and a greeting.
    ///
    /// # Errors
    /// It may not come in; the refusal's text tells it why.
    pub fn connect(&mut self, now: Now, peer: Peer) -> Result<ConnId, Refusal> {
        let address = peer.address.map(|address| address.to_canonical());
        if let Err(refusal) = self.admit(address) {
            self.totals.refused_connections += 1;
            return Err(refusal);
        }
        self.totals.connections += 1;
        self.serial = self.serial.wrapping_add(1);
        let slot = self.clients.vacant_key() as u32;
        let id = ConnId::new(slot, self.serial);
        let name = self.crowd.welcome(peer.wire, address, slot);
        let client = Client {
            id,
            session: Session::new(now, name, peer.wire),
            outbox: Outbox::default(),
            room: 0,
            seat: 0,
            armed: NEVER,
            address,
            queued: false,
            paused: None,
            finished: false,
        };
        self.clients.insert(client);
        self.enter(now, slot, Crowd::first_room(peer.wire));
        if peer.wire == Wire::Chat {
            self.greet(slot);
        }
        self.arm(now, slot);
        Ok(id)
    }

    /// Bytes have been received, at most [`limits::READ_BYTES_MAX`] at a time and only after
    /// [`resume`](Hub::resume) said yes.
    pub fn receive(&mut self, now: Now, id: ConnId, bytes: &[u8]) {
        let Some(slot) = self.slot(id) else { return };
        let client = &mut self.clients[slot as usize];
        client.session.heard_at = now;
        debug_assert!(bytes.len() <= limits::READ_BYTES_MAX);
        debug_assert!(
            !client.session.intake.has_held(),
            "received without asking first"
        );
        if client.session.phase == Phase::Open {
            self.feed(now, slot, bytes);
        }
    }

    /// Asks whether the connection may be read, and takes what was held of it before.
    pub fn resume(&mut self, now: Now, id: ConnId) -> Resume {
        let Some(slot) = self.slot(id) else {
            return Resume::Blocked;
        };
        if let Some(obstacle) = self.obstacle(now, slot) {
            self.pause(now, slot);
            return obstacle.into();
        }
        let client = &mut self.clients[slot as usize];
        if client.paused.take().is_some() {
            client.session.heard_at = now;
        }
        if client.session.intake.has_held() {
            let held = client.session.intake.take_held();
            self.feed(now, slot, &held);
        }
        let client = &mut self.clients[slot as usize];
        if client.finished && client.paused.is_none() {
            self.finish_now(now, slot);
            return Resume::Blocked;
        }
        match (client.paused, client.session.phase) {
            (None, Phase::Open) => Resume::Read,
            (Some(obstacle), Phase::Open) => obstacle.into(),
            _ => Resume::Blocked,
        }
    }

    /// The peer has finished sending. An unterminated last line is a line.
    pub fn finish(&mut self, now: Now, id: ConnId) {
        let Some(slot) = self.slot(id) else { return };
        self.clients[slot as usize].finished = true;
        if !self.clients[slot as usize].session.intake.has_held() {
            self.finish_now(now, slot);
        }
    }

    /// The first `n` bytes of what [`output`](Hub::output) lent have been written. Returns whether more is owed.
    pub fn sent(&mut self, now: Now, id: ConnId, n: usize) -> bool {
        let Some(slot) = self.slot(id) else {
            return false;
        };
        let client = &mut self.clients[slot as usize];
        let room = &mut self.crowd.rooms[client.room as usize];
        let until = client.session.until().unwrap_or(room.log.end());
        client.outbox.sent(&mut room.log, until, n);
        client.session.progress_at = now;
        let more = client.outbox.owes(until);
        if client.paused.is_some() || client.session.phase != Phase::Open {
            self.settle(slot);
        }
        let client = &self.clients[slot as usize];
        self.wake_stalled(client.room);
        more
    }

    /// The connection is closed, for whatever reason: its slot and its name are free.
    pub fn disconnect(&mut self, now: Now, id: ConnId) {
        let Some(slot) = self.slot(id) else { return };
        self.leave(now, slot);
        let client = self.clients.remove(slot as usize);
        self.totals.discarded_bytes += client.session.intake.discarded_bytes();
        self.crowd.farewell(&client.session.name, client.address);
    }

    /// Does what is due by now.
    pub fn tick(&mut self, now: Now) {
        while let Some(&Reverse((due, timer))) = self.timers.peek()
            && due <= now
        {
            self.timers.pop();
            match timer {
                Timer::Client(id) => self.tick_client(now, id, due),
                Timer::Room(room) => self.tick_room(now, room),
            }
        }
    }

    /// The server is to end: everybody is told, given what it is owed, and closed.
    pub fn shutdown(&mut self, now: Now) {
        self.shutting_down = true;
        let slots: Vec<u32> = self.clients.iter().map(|(slot, _)| slot as u32).collect();
        for slot in slots {
            if self.clients[slot as usize].session.wire == Wire::Chat {
                self.notice(slot, format_args!("server is shutting down"));
            }
            self.drain(now, slot);
        }
    }
}

/// Outputs.
impl Hub {
    /// The next connection that is owed bytes. Those that are owed something of their own and the members of rooms in
    /// which something was said take turns.
    pub fn next_owed(&mut self) -> Option<ConnId> {
        self.rooms_turn = !self.rooms_turn;
        if self.rooms_turn {
            self.next_member().or_else(|| self.next_queued())
        } else {
            self.next_queued().or_else(|| self.next_member())
        }
    }

    /// Whether [`next_owed`](Hub::next_owed) has anybody.
    pub fn has_owed(&self) -> bool {
        !self.owed.is_empty() || !self.turning.is_empty()
    }

    /// Lends what to write next to a connection, and returns how many slices that is; 0: nothing is owed.
    pub fn output<'a>(&'a mut self, id: ConnId, slices: &mut [IoSlice<'a>]) -> usize {
        let Some(slot) = self.slot(id) else { return 0 };
        let client = &mut self.clients[slot as usize];
        if client.outbox.skipped_lines() > 0 && client.outbox.private_bytes() == 0 {
            let lines = client.outbox.take_skipped();
            client
                .outbox
                .push_private(|out| requests::skipped(out, lines));
        }
        let log = &self.crowd.rooms[client.room as usize].log;
        client
            .outbox
            .output(log, client.session.until().unwrap_or(log.end()), slices)
    }

    /// The next connection that may be able to go on with its input.
    pub fn next_runnable(&mut self) -> Option<ConnId> {
        self.runnable.pop_front()
    }

    /// The next connection that is to be closed and [disconnected](Hub::disconnect).
    pub fn next_done(&mut self) -> Option<ConnId> {
        self.done.pop_front()
    }

    /// When [`tick`](Hub::tick) is wanted.
    pub fn next_deadline(&self) -> Option<Now> {
        self.timers.peek().map(|Reverse((due, _))| *due)
    }

    /// How many connections there are.
    pub fn clients(&self) -> usize {
        self.clients.len()
    }

    /// What has happened since the start.
    pub fn totals(&self) -> Totals {
        self.totals
    }
}

/// What keeps the parts together.
impl Hub {
    fn slot(&self, id: ConnId) -> Option<u32> {
        self.clients
            .get(id.slot() as usize)
            .filter(|client| client.id == id)
            .map(|_| id.slot())
    }

    fn admit(&self, address: Option<IpAddr>) -> Result<(), Refusal> {
        if self.shutting_down {
            return Err(Refusal::ShuttingDown);
        }
        if self.clients.len() >= self.limits.clients_max {
            return Err(Refusal::Full(self.limits.clients_max));
        }
        let per_ip = self.limits.clients_per_ip_max;
        if per_ip > 0 && address.is_some_and(|address| self.crowd.from_address(address) >= per_ip) {
            return Err(Refusal::PerAddress(per_ip));
        }
        Ok(())
    }

    /// Takes bytes as far as the client may speak, and holds the rest.
    fn feed(&mut self, now: Now, slot: u32, bytes: &[u8]) {
        let session = &mut self.clients[slot as usize].session;
        let raw = session.wire == Wire::Raw;
        // The intake is lent to the loop, since each line of it changes the rest of the hub.
        let mut intake = std::mem::take(&mut session.intake);
        let line_bytes_max = self.limits.line_bytes_max;
        let verdict = intake.feed(raw, bytes, line_bytes_max, |input| {
            self.take(now, slot, input)
        });
        self.clients[slot as usize].session.intake = intake;
        if verdict == session::Verdict::Pause {
            self.pause(now, slot);
        } else {
            self.arm(now, slot);
        }
    }

    fn finish_now(&mut self, now: Now, slot: u32) {
        if self.clients[slot as usize].session.phase != Phase::Open {
            return;
        }
        self.take_partial(now, slot);
        match self.limits.half_close {
            limits::HalfClose::Close => self.drain(now, slot),
            limits::HalfClose::Keep => {
                let session = &mut self.clients[slot as usize].session;
                if matches!(session.phase, Phase::Open | Phase::Moving { .. }) {
                    session.phase = Phase::Listening;
                }
            }
        }
    }

    /// Hands the unfinished line on as if it were finished.
    fn take_partial(&mut self, now: Now, slot: u32) {
        let mut intake = std::mem::take(&mut self.clients[slot as usize].session.intake);
        intake.feed_partial(|line| self.take(now, slot, session::Input::Line(line)));
        self.clients[slot as usize].session.intake = intake;
    }

    /// What keeps a client from speaking.
    fn obstacle(&mut self, now: Now, slot: u32) -> Option<Obstacle> {
        let client = &self.clients[slot as usize];
        match client.session.phase {
            Phase::Open => {}
            Phase::Moving { until } if client.outbox.cursor() < until => {
                return Some(Obstacle::Backlog);
            }
            Phase::Moving { .. } => {}
            Phase::Listening | Phase::Draining { .. } | Phase::Done => return Some(Obstacle::Over),
        }
        let backlog = client.outbox.private_bytes() > PRIVATE_BYTES_MARK
            || client.outbox.own_ranges() >= limits::OWN_RANGES_MAX;
        if backlog {
            return Some(Obstacle::Backlog);
        }
        if client.session.may_speak_at(&self.limits) > now {
            return Some(Obstacle::Allowance);
        }
        (!self.crowd.rooms[client.room as usize].is_open(&self.limits)).then_some(Obstacle::Room)
    }

    /// Stops a client from being read, and sees to it that it is woken.
    fn pause(&mut self, now: Now, slot: u32) {
        let obstacle = self.obstacle(now, slot).unwrap_or(Obstacle::Turn);
        let client = &mut self.clients[slot as usize];
        client.paused = Some(obstacle);
        match obstacle {
            Obstacle::Turn => self.runnable.push_back(client.id),
            Obstacle::Room => {
                let room = client.room;
                self.crowd.rooms[room as usize].stalled.push(client.id);
                self.watch(now, room);
            }
            Obstacle::Allowance | Obstacle::Backlog | Obstacle::Over => {}
        }
        self.arm(now, slot);
    }

    /// Lets a client that was paused for this reason be asked again whether it may speak.
    fn wake(&mut self, slot: u32, obstacle: Obstacle) {
        let client = &self.clients[slot as usize];
        if client.paused == Some(obstacle) {
            self.runnable.push_back(client.id);
        }
    }

    /// Wakes those who waited for their room, if it is open again.
    fn wake_stalled(&mut self, room: u32) {
        let room = &mut self.crowd.rooms[room as usize];
        if room.stalled.is_empty() || !room.is_open(&self.limits) {
            return;
        }
        self.runnable.extend(room.stalled.drain(..));
    }

    /// A client has made progress, or has changed its phase: acts upon what it may have waited for.
    fn settle(&mut self, slot: u32) {
        let client = &mut self.clients[slot as usize];
        let until = client.session.until().unwrap_or(u64::MAX);
        if matches!(client.session.phase, Phase::Draining { .. }) && !client.outbox.owes(until) {
            client.session.phase = Phase::Done;
            self.done.push_back(client.id);
        }
        self.wake(slot, Obstacle::Backlog);
    }

    /// Gives a client all that it is owed by now, and closes it then.
    fn drain(&mut self, now: Now, slot: u32) {
        let client = &self.clients[slot as usize];
        let end = self.crowd.rooms[client.room as usize].log.end();
        self.drain_until(now, slot, client.session.until().unwrap_or(end));
    }

    /// Gives a client its private bytes and its room's log up to `until`, and closes it then.
    fn drain_until(&mut self, now: Now, slot: u32, until: u64) {
        let session = &mut self.clients[slot as usize].session;
        if matches!(session.phase, Phase::Draining { .. } | Phase::Done) {
            return;
        }
        session.phase = Phase::Draining {
            until,
            by: now.after(self.limits.drain_us),
        };
        self.owe(slot);
        self.arm(now, slot);
        self.settle(slot);
    }

    /// Puts a client into the queue of those who are owed bytes.
    fn owe(&mut self, slot: u32) {
        let client = &mut self.clients[slot as usize];
        if !client.queued {
            client.queued = true;
            self.owed.push_back(client.id);
        }
    }

    fn next_queued(&mut self) -> Option<ConnId> {
        while let Some(id) = self.owed.pop_front() {
            if let Some(slot) = self.slot(id) {
                self.clients[slot as usize].queued = false;
                return Some(id);
            }
        }
        None
    }

    fn next_member(&mut self) -> Option<ConnId> {
        while let Some(number) = self.turning.pop_front() {
            let room = &mut self.crowd.rooms[number as usize];
            let member = room.next_visit();
            if room.carousel.is_turning() {
                self.turning.push_back(number);
            }
            if !room.stalled.is_empty() {
                self.wake_stalled(number);
            }
            if let Some(member) = member {
                return Some(self.clients[member as usize].id);
            }
        }
        None
    }

    /// Sees to it that a client's next deadline is in the heap of timers. A later one that is there already rings in
    /// vain.
    fn arm(&mut self, now: Now, slot: u32) {
        let client = &mut self.clients[slot as usize];
        if let Some(due) = client.session.deadline(now, &self.limits)
            && due < client.armed
        {
            client.armed = due;
            self.timers.push(Reverse((due, Timer::Client(client.id))));
        }
    }

    fn tick_client(&mut self, now: Now, id: ConnId, due: Now) {
        let Some(slot) = self.slot(id) else { return };
        let client = &mut self.clients[slot as usize];
        if client.armed != due {
            return;
        }
        client.armed = NEVER;
        let session = &mut client.session;
        let idle_us = self.limits.idle_timeout_us;
        if let Phase::Draining { by, .. } = session.phase {
            if by <= now {
                session.phase = Phase::Done;
                self.done.push_back(id);
            }
        } else if session.phase == Phase::Open
            && idle_us > 0
            && session.heard_at.after(idle_us) <= now
            && client.paused.is_none()
        {
            self.refuse(
                slot,
                format_args!("closed: nothing received for {} s", idle_us / 1_000_000),
            );
            self.drain(now, slot);
        } else if session
            .partial_due(&self.limits)
            .is_some_and(|due| due <= now)
        {
            session.heard_at = now;
            if self.obstacle(now, slot).is_none() {
                self.take_partial(now, slot);
            }
        }
        self.wake(slot, Obstacle::Allowance);
        self.arm(now, slot);
    }
}
