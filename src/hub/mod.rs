//! The hub: what madang is, without a socket and without a clock.
//!
//! # Contract
//! *Inputs* take the time and change the state: [`connect`](Hub::connect), [`connect_host`](Hub::connect_host),
//! [`receive`](Hub::receive), [`resume`](Hub::resume), [`finish`](Hub::finish), [`sent`](Hub::sent),
//! [`disconnect`](Hub::disconnect), [`tick`](Hub::tick), [`shutdown`](Hub::shutdown). *Outputs* are drained after
//! inputs:
//!
//! - [`next_owed`](Hub::next_owed): connections to visit. For each, [`output`](Hub::output) lends the slices to
//!   write, and [`sent`](Hub::sent) takes how many bytes were written. One that could not take all need only be visited
//!   again when it is writable.
//! - [`next_runnable`](Hub::next_runnable) and [`next_called`](Hub::next_called): connections that may be read again.
//!   Before a connection is read, [`resume`](Hub::resume) is asked; if it says no, the connection comes out of one of
//!   these when that may have changed.
//! - [`next_done`](Hub::next_done): connections to close; each is answered with [`disconnect`](Hub::disconnect),
//!   which alone frees its slot.
//! - [`next_deadline`](Hub::next_deadline): when [`tick`](Hub::tick) is wanted.
//!
//! A [`ConnId`] that is no longer in use is ignored by every input, so a late event can do no harm. Nothing that a
//! peer sends makes the hub panic; a panic is a fault of the hub or of its caller.
//!
//! # Where to read
//! `words` is what the contract speaks of, [`limits`] every cap. Then the leaves, each to be read on its own, in the
//! order of the data: `telnet`, `frame`, `text`, `command`, `name`, `session`, `log`, `room`, `outbox`. What composes
//! them is one `impl Hub` in six places: here the contract, in `requests` what a line does, in `crowd` who is where,
//! in `host` who sits at the server itself, in `pace` who waits for whom, in `flow` whose turn it is.

mod command;
mod crowd;
mod flow;
mod frame;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzz;
mod host;
pub mod limits;
mod log;
mod name;
mod outbox;
mod pace;
mod requests;
mod room;
mod session;
mod telnet;
mod text;
mod words;
#[cfg(any(test, fuzzing))]
#[cfg_attr(not(test), allow(dead_code))]
mod yard;

pub use command::COMMANDS;
use crowd::Crowd;
use flow::{Obstacle, Timer};
pub use frame::{Frame, Line};
use limits::Limits;
use name::Name;
pub use name::{LOBBY, is_persons_name};
use outbox::Outbox;
use session::{Phase, Session};
use slab::Slab;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::io::IoSlice;
pub use text::Text;
pub use words::{Census, ConnId, Now, Peer, Refusal, Resume, Totals, Wire};

/// One connection.
#[derive(Debug)]
struct Client {
    /// What tells it from others that have had its slot.
    serial: u32,
    session: Session,
    outbox: Outbox,
    /// Its room, and its seat among the room's members.
    room: u32,
    seat: u32,
    /// When a timer of its own rings; [`NEVER`] if none does.
    armed: Now,
    /// It is in the queue of connections that are owed bytes.
    queued: bool,
    /// It may not be read, and why; it comes out of the queue of runnable connections when that may have changed.
    paused: Option<Obstacle>,
    /// Its peer has finished, which is acted upon when all that is held has been taken.
    finished: bool,
}

impl Client {
    fn id(&self, slot: u32) -> ConnId {
        ConnId::new(slot, self.serial)
    }

    fn memory_bytes(&self) -> usize {
        self.outbox.memory_bytes() + self.session.intake.memory_bytes()
    }
}

const NEVER: Now = Now::from_micros(u64::MAX);

/// The whole state of the server. See the [module](self) for the order of calls.
#[derive(Debug)]
pub struct Hub {
    limits: Limits,
    clients: Slab<Client>,
    crowd: Crowd,
    /// Serial number of the last connection.
    serial: u32,
    /// Who the host is, or was.
    host: Option<ConnId>,
    shutting_down: bool,
    owed: VecDeque<ConnId>,
    /// Rooms whose carousel is turning, each once.
    turning: VecDeque<u32>,
    /// Whether the next visit is to a room's member, or to one that is owed something of its own.
    rooms_turn: bool,
    runnable: VecDeque<ConnId>,
    /// Of the runnable, those whom their room has refused, in the order in which it did.
    called: Vec<ConnId>,
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
            host: None,
            shutting_down: false,
            owed: VecDeque::new(),
            turning: VecDeque::new(),
            rooms_turn: false,
            runnable: VecDeque::new(),
            called: Vec::new(),
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
        let counted = peer.address.filter(|_| self.limits.clients_per_ip_max > 0);
        let address = counted.map(|address| address.to_canonical());
        if let Err(refusal) = self.admit(address) {
            self.totals.refused_connections += 1;
            return Err(refusal);
        }
        let slot = self.clients.vacant_key() as u32;
        let name = self.crowd.welcome(peer.wire, address, slot);
        Ok(self.let_in(now, name, peer.wire))
    }

    /// Bytes have been received, at most [`limits::READ_BYTES_MAX`] at a time and only after
    /// [`resume`](Hub::resume) said yes.
    pub fn receive(&mut self, now: Now, id: ConnId, bytes: &[u8]) {
        let Some(slot) = self.slot(id) else { return };
        let client = &mut self.clients[slot as usize];
        debug_assert!(bytes.len() <= limits::READ_BYTES_MAX);
        debug_assert!(
            !client.session.intake.has_held(),
            "received without asking first"
        );
        if client.session.phase == Phase::Open {
            client.session.heard_at = now;
            self.feed(now, slot, bytes);
        }
    }

    /// Asks whether the connection may be read, and takes what was held of it before.
    pub fn resume(&mut self, now: Now, id: ConnId) -> Resume {
        let Some(slot) = self.slot(id) else {
            return Resume::Blocked;
        };
        if let Some(obstacle) = self.obstacle(now, slot) {
            self.pause(now, slot, obstacle);
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
        let Some(client) = find(&mut self.clients, id) else {
            return false;
        };
        let number = client.room;
        let room = &mut self.crowd.rooms[number as usize];
        let until = client.session.until().unwrap_or(room.log.end());
        client.outbox.sent(&mut room.log, until, n);
        client.session.progress_at = now;
        let more = client.outbox.owes(until);
        let stalled = !room.stalled.is_empty();
        if client.paused.is_some() || client.session.phase != Phase::Open {
            self.settle(id.slot());
        }
        if stalled {
            self.wake_stalled(now, number);
        }
        more
    }

    /// The connection is closed, for whatever reason: its slot and its name are free.
    pub fn disconnect(&mut self, now: Now, id: ConnId) {
        let Some(slot) = self.slot(id) else { return };
        self.leave(now, slot);
        let client = self.clients.remove(slot as usize);
        self.crowd.farewell(&client.session.name, slot);
    }

    /// Does what is due by now.
    pub fn tick(&mut self, now: Now) {
        while let Some(&Reverse((due, timer))) = self.timers.peek()
            && due <= now
        {
            self.timers.pop();
            match timer {
                Timer::Client(id) => self.tick_client(now, id, due),
                Timer::Room(room) => self.tick_room(now, room, due),
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
    pub fn next_owed(&mut self, now: Now) -> Option<ConnId> {
        self.rooms_turn = !self.rooms_turn;
        if self.rooms_turn {
            self.next_member(now).or_else(|| self.next_queued())
        } else {
            self.next_queued().or_else(|| self.next_member(now))
        }
    }

    /// Whether [`next_owed`](Hub::next_owed) has anybody.
    pub fn has_owed(&self) -> bool {
        !self.owed.is_empty() || !self.turning.is_empty()
    }

    /// Lends what to write next to a connection, and returns how many slices that is; 0: nothing is owed.
    pub fn output<'a>(&'a mut self, id: ConnId, slices: &mut [IoSlice<'a>]) -> usize {
        let Some(client) = find(&mut self.clients, id) else {
            return 0;
        };
        if client.session.phase == Phase::Done {
            return 0;
        }
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

    /// The next connection that may be able to go on with its input, after those that wait already.
    pub fn next_runnable(&mut self) -> Option<ConnId> {
        self.runnable.pop_front()
    }

    /// The next connection that had to wait for its room and may be able to go on before all that were served since,
    /// or they would fill the room again and again. The one that has waited longest comes last: each is to be put at
    /// the head of the line.
    pub fn next_called(&mut self) -> Option<ConnId> {
        self.called.pop()
    }

    /// Whether [`next_runnable`](Hub::next_runnable) or [`next_called`](Hub::next_called) has anybody.
    pub fn has_runnable(&self) -> bool {
        !self.runnable.is_empty() || !self.called.is_empty()
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

    /// What is held right now. Looks at everything: for tests and operators, not for every turn.
    pub fn census(&self) -> Census {
        let clients = self
            .clients
            .iter()
            .map(|(_, client)| client.memory_bytes())
            .sum::<usize>();
        self.crowd.census(self.clients.len(), clients)
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
            .filter(|client| client.serial == id.serial())
            .map(|_| id.slot())
    }

    /// A newcomer takes the vacant slot.
    fn let_in(&mut self, now: Now, name: Name, wire: Wire) -> ConnId {
        self.totals.connections += 1;
        self.serial = self.serial.wrapping_add(1);
        let client = Client {
            serial: self.serial,
            session: Session::new(now, name, wire),
            outbox: Outbox::default(),
            room: 0,
            seat: 0,
            armed: NEVER,
            queued: false,
            paused: None,
            finished: false,
        };
        let slot = self.clients.insert(client) as u32;
        self.enter(now, slot, Crowd::first_room(wire));
        if wire == Wire::Chat {
            self.greet(slot);
        }
        self.arm(now, slot);
        ConnId::new(slot, self.serial)
    }
}

/// The client with this id. Asks for no more of the hub than it needs, so that the rest can be used beside it.
fn find(clients: &mut Slab<Client>, id: ConnId) -> Option<&mut Client> {
    clients
        .get_mut(id.slot() as usize)
        .filter(|client| client.serial == id.serial())
}

#[cfg(test)]
mod tests {
    use super::yard::Yard;
    use super::*;

    #[test]
    fn what_one_says_the_others_receive_and_it_does_not() {
        let mut yard = Yard::new(Limits::default());
        let (a, b, c) = (yard.join(), yard.join(), yard.join());
        yard.settle();
        yard.send(a, b"one\ntw");
        yard.send(b, b"1\n");
        yard.send(a, b"o\n");
        assert_eq!(yard.read(a), "guest2: 1\n");
        assert_eq!(yard.read(b), "guest1: one\nguest1: two\n");
        assert_eq!(yard.read(c), "guest1: one\nguest2: 1\nguest1: two\n");
    }

    #[test]
    fn every_byte_that_is_held_is_counted() {
        let mut yard = Yard::new(Limits {
            rate_lines: 1,
            burst_lines: 1,
            ..Limits::default()
        });
        let a = yard.knock(Wire::Chat).unwrap();
        // What is counted is what is taken for it: a record, and buffers that have place for more.
        let greeting = yard.hub.census().bytes;
        assert!((yard.read(a).len()..500).contains(&greeting));
        assert_eq!(yard.hub.census().bytes, 0);
        yard.send(a, b"12345");
        let partial = yard.hub.census().bytes;
        assert!((5..300).contains(&partial));
        // The room remembers the line; what it may not say yet is held.
        yard.send(a, b"67\nheld\nand more");
        let log = yard.hub.crowd.rooms[1].log.memory_bytes();
        assert!(log >= "guest1: 1234567\n".len());
        let held = yard.hub.census().bytes - log;
        assert!(("held\nand more".len()..300).contains(&held));
        yard.hub.disconnect(yard.now, a);
        assert_eq!(yard.hub.census().bytes, "guest1: 1234567\n".len());
    }

    #[test]
    fn who_comes_is_counted_and_who_is_refused() {
        let mut yard = Yard::new(Limits {
            clients_max: 2,
            ..Limits::default()
        });
        let (a, b) = (yard.join(), yard.join());
        assert!(yard.knock(Wire::Chat).is_err());
        let totals = yard.hub.totals();
        assert_eq!((totals.connections, totals.refused_connections), (2, 1));
        assert_eq!((a.serial(), b.serial()), (1, 2));
    }

    #[test]
    fn members_and_those_who_are_owed_something_of_their_own_take_turns() {
        let mut yard = Yard::new(Limits::default());
        let ids: Vec<ConnId> = (0..6).map(|_| yard.join()).collect();
        yard.settle();
        yard.send(ids[0], b"news\n");
        yard.send(ids[4], b"/help\n");
        yard.send(ids[5], b"/help\n");
        let visits: Vec<ConnId> = (0..4)
            .map(|_| yard.hub.next_owed(yard.now).unwrap())
            .collect();
        let of_their_own = [ids[4], ids[5]];
        assert!(
            [visits[0], visits[2]] == of_their_own || [visits[1], visits[3]] == of_their_own,
            "{visits:?}"
        );
        assert!(yard.hub.has_owed());
        yard.flush();
        assert!(!yard.hub.has_owed());
        yard.send(ids[4], b"/help\n");
        assert!(yard.hub.has_owed(), "something of its own is enough");
    }

    #[test]
    fn what_is_discarded_is_counted() {
        let mut yard = Yard::new(Limits {
            line_bytes_max: 64,
            ..Limits::default()
        });
        let a = yard.join();
        for (piece, sum) in [
            (&[b'x'; 100][..], 100),
            (b"yy\nfine\n", 103),
            (&[b'z'; 70], 173),
        ] {
            yard.send(a, piece);
            assert_eq!(yard.hub.totals().discarded_bytes, sum);
        }
    }

    #[test]
    fn whom_a_room_refuses_is_called_once_it_is_open_in_the_order_of_asking() {
        let mut yard = Yard::new(Limits::default());
        let ids: Vec<ConnId> = (0..4).map(|_| yard.join()).collect();
        yard.settle();
        let shut = |yard: &mut Yard| !yard.hub.crowd.rooms[1].is_open(yard.now, &yard.hub.limits);
        let flood = b"a\n".repeat(250);
        while !shut(&mut yard) {
            yard.send(ids[0], &flood);
            yard.hub.next_runnable();
        }
        for &id in &ids[1..] {
            assert_eq!(yard.send(id, b"me too\n"), Resume::Wait);
        }
        // It has been served and asks again: it comes after those who have not.
        assert_eq!(yard.hub.resume(yard.now, ids[0]), Resume::Wait);
        assert_eq!(
            (yard.hub.next_called(), yard.hub.has_runnable()),
            (None, false)
        );
        while shut(&mut yard) {
            assert!(!yard.hub.has_runnable(), "the room is shut");
            let id = yard.hub.next_owed(yard.now).unwrap();
            yard.read(id);
        }
        assert!(yard.hub.has_runnable());
        let called = std::iter::from_fn(|| yard.hub.next_called());
        assert_eq!(called.collect::<Vec<_>>(), [ids[0], ids[3], ids[2], ids[1]]);
    }

    #[test]
    fn a_room_that_was_left_in_the_middle_of_a_round_is_open_to_the_next() {
        let mut yard = Yard::new(Limits::default());
        let gone = yard.join();
        yard.flush();
        let long = [&[b'x'; 8000][..], b"\n"].concat();
        while yard.send(gone, &long) == Resume::Read {
            yard.hub.next_runnable();
        }
        yard.hub.disconnect(yard.now, gone);
        let next = yard.join();
        assert_eq!(yard.send(next, b"anybody here?\n"), Resume::Read);
    }

    #[test]
    fn whoever_waits_to_change_rooms_and_has_used_up_its_allowance_is_woken_by_time() {
        let mut yard = Yard::new(Limits {
            rate_lines: 1,
            burst_lines: 2,
            ..Limits::default()
        });
        let (a, b) = (yard.join(), yard.join());
        yard.settle();
        yard.send(b, b"hello\n");
        // What it negotiates counts too, though it is answered at once.
        yard.send(a, b"\xff\xfd\x01\xff\xfb\x18/join pond\n");
        // It is not moved before it has been given the line; then it has to wait for its allowance.
        assert_eq!(yard.hub.resume(yard.now, a), Resume::Blocked);
        assert!(yard.read(a).ends_with("guest2: hello\n"));
        while let Some(id) = yard.hub.next_runnable() {
            assert_eq!(yard.hub.resume(yard.now, id), Resume::Wait);
        }
        yard.pass(2_000_000);
        yard.run();
        assert_eq!(yard.read(a), "* you are in pond (1 here)\n");
    }

    #[test]
    fn a_late_event_can_do_no_harm() {
        let mut yard = Yard::new(Limits::default());
        let old = yard.join();
        yard.hub.disconnect(yard.now, old);
        let new = yard.join();
        assert_eq!(old.slot(), new.slot());
        assert_ne!(old, new);
        yard.hub.receive(yard.now, old, b"boo\n/quit\n");
        yard.hub.finish(yard.now, old);
        assert!(!yard.hub.sent(yard.now, old, 5));
        yard.hub.disconnect(yard.now, old);
        assert_eq!(
            (yard.hub.clients(), yard.hub.resume(yard.now, new)),
            (1, Resume::Read)
        );
    }

    #[test]
    fn an_id_is_a_token_and_the_tokens_above_are_free() {
        let id = ConnId::new(7, 9);
        assert_eq!(ConnId::from_token(id.to_token()), Some(id));
        assert_eq!((id.slot(), id.serial()), (7, 9));
        let high = ConnId::new(1_000_000, u32::MAX);
        assert_eq!(ConnId::from_token(high.to_token()), Some(high));
        assert_eq!(ConnId::from_token(usize::MAX), None);
        assert_eq!(ConnId::from_token(ConnId::SLOT_MAX as usize + 1), None);
    }

    #[test]
    fn over_its_rate_a_client_is_held_and_loses_nothing() {
        let limits = Limits {
            rate_lines: 10,
            burst_lines: 2,
            ..Limits::default()
        };
        let mut yard = Yard::new(limits);
        let (a, b) = (yard.join(), yard.join());
        yard.settle();
        yard.send(a, b"1\n2\n3\n4\n");
        assert_eq!(yard.read(b), "guest1: 1\nguest1: 2\n");
        assert_eq!(yard.send(a, b"x\n"), Resume::Wait);
        for line in ["guest1: 3\n", "guest1: 4\n"] {
            assert_eq!(yard.read(b), "");
            assert!(
                yard.hub
                    .next_deadline()
                    .is_some_and(|due| due <= yard.now.after(100_000))
            );
            yard.pass(100_000);
            yard.run();
            assert_eq!(yard.read(b), line);
        }
    }

    #[test]
    fn who_does_not_read_is_not_read() {
        let mut yard = Yard::new(Limits::default());
        let (a, b) = (yard.join(), yard.join());
        yard.settle();
        let mut asked = 0;
        while yard.send(a, &b"/help\n".repeat(20)) == Resume::Read {
            asked += 1;
            assert!(asked < 100, "replies without end");
        }
        assert_eq!(yard.send(a, b"/help\n"), Resume::Blocked);
        yard.send(b, b"/msg guest1 hello\n");
        assert_eq!(yard.read(b), "! line not sent: guest1 is not reading\n");
        yard.read(a);
        yard.run();
        yard.read(a);
        yard.send(b, b"/msg guest1 hello\n");
        assert!(yard.read(a).ends_with("guest2 -> you: hello\n"));
    }

    #[test]
    fn at_its_peers_end_a_client_is_given_all_and_closed() {
        for (half_close, closed) in [
            (limits::HalfClose::Close, true),
            (limits::HalfClose::Keep, false),
        ] {
            let mut yard = Yard::new(Limits {
                half_close,
                ..Limits::default()
            });
            let (a, b) = (yard.join(), yard.join());
            yard.settle();
            yard.send(b, b"before\n");
            yard.send(a, b"last wor");
            yard.send(a, b"ds");
            yard.hub.finish(yard.now, a);
            yard.send(b, b"after\n");
            assert_eq!(yard.read(b), "guest1: last words\n");
            assert!(yard.reap().is_empty(), "not before it has been given all");
            let given = yard.read(a);
            assert!(given.starts_with("guest2: before\n"));
            assert_eq!(given.ends_with("guest2: after\n"), !closed);
            assert_eq!(yard.reap() == [a], closed);
        }
    }

    #[test]
    fn who_is_silent_for_long_is_told_and_closed() {
        let mut yard = Yard::new(Limits {
            idle_timeout_us: 3_000_000,
            ..Limits::default()
        });
        let (a, b) = (yard.join(), yard.join());
        yard.settle();
        yard.pass(2_000_000);
        yard.send(b, b"here\n");
        yard.pass(1_500_000);
        assert!(
            yard.read(a)
                .ends_with("! closed: nothing received for 3 s\n")
        );
        assert_eq!(yard.reap(), [a]);
    }

    #[test]
    fn who_may_not_be_read_is_not_silent() {
        let mut yard = Yard::new(Limits {
            idle_timeout_us: 3_000_000,
            ..Limits::default()
        });
        let a = yard.join();
        yard.settle();
        while yard.send(a, &b"/help\n".repeat(20)) == Resume::Read {}
        yard.pass(3_000_000);
        assert!(yard.hub.next_deadline().is_some_and(|due| due > yard.now));
        yard.read(a);
        yard.run();
        yard.read(a);
        yard.pass(2_000_000);
        assert!(yard.reap().is_empty());
        yard.pass(1_000_000);
        assert_eq!(yard.read(a), "! closed: nothing received for 3 s\n");
        assert_eq!(yard.reap(), [a]);
    }

    #[test]
    fn an_unfinished_line_is_passed_on_after_a_silence() {
        let mut yard = Yard::new(Limits {
            partial_after_us: 50_000,
            ..Limits::default()
        });
        let (a, b) = (yard.join(), yard.join());
        yard.settle();
        yard.send(a, b"I am ");
        yard.pass(30_000);
        yard.send(a, b"a client");
        yard.pass(30_000);
        assert_eq!(yard.read(b), "");
        yard.pass(30_000);
        assert_eq!(yard.read(b), "guest1: I am a client\n");
    }

    #[test]
    fn at_the_end_everybody_is_told_and_let_go() {
        let mut yard = Yard::new(Limits::default());
        let (a, b) = (yard.join(), yard.join());
        yard.settle();
        yard.hub.shutdown(yard.now);
        assert_eq!(yard.read(a), "* server is shutting down\n");
        assert_eq!(yard.reap(), [a]);
        assert_eq!(yard.knock(Wire::Chat), Err(Refusal::ShuttingDown));
        yard.pass(4_999_999);
        assert!(yard.reap().is_empty());
        yard.pass(1);
        assert_eq!(yard.reap(), [b], "who does not read is not waited for");
    }

    #[test]
    fn newcomers_over_a_cap_are_told_which() {
        let limits = Limits {
            clients_max: 3,
            clients_per_ip_max: 2,
            ..Limits::default()
        };
        let mut yard = Yard::new(limits);
        let a = yard.join();
        yard.join();
        assert_eq!(yard.knock(Wire::Chat), Err(Refusal::PerAddress(2)));
        let mapped = "::ffff:127.0.0.1".parse().unwrap();
        let peer = Peer {
            address: Some(mapped),
            wire: Wire::Chat,
        };
        assert_eq!(
            yard.hub.connect(yard.now, peer),
            Err(Refusal::PerAddress(2))
        );
        yard.hub
            .connect(
                yard.now,
                Peer {
                    address: None,
                    wire: Wire::Chat,
                },
            )
            .unwrap();
        assert_eq!(yard.knock(Wire::Chat), Err(Refusal::Full(3)));
        yard.hub.disconnect(yard.now, a);
        assert!(yard.knock(Wire::Chat).is_ok());
        for (refusal, told) in [
            (Refusal::Full(3), "server is full: 3 connections"),
            (Refusal::PerAddress(2), "2 connections from your address"),
            (Refusal::ShuttingDown, "server is shutting down"),
        ] {
            assert!(refusal.to_string().contains(told), "{refusal}");
        }
    }
}
