//! The hub: what madang is, without a socket, a clock or a system call.
//!
//! # Contract
//! *Inputs* take the time and change the state: [`connect`](Hub::connect), [`connect_console`](Hub::connect_console),
//! [`readable`](Hub::readable), [`resume`](Hub::resume), [`receive`](Hub::receive), [`finish`](Hub::finish),
//! [`sent`](Hub::sent), [`disconnect`](Hub::disconnect), [`tick`](Hub::tick), [`set_limits`](Hub::set_limits),
//! [`count_address`](Hub::count_address), [`shutdown`](Hub::shutdown). *Outputs* are drained after inputs, until they
//! return `None`:
//!
//! - [`next_readable`](Hub::next_readable): connections that may have input, in the order in which they are to be read.
//!   Before one is read, [`resume`](Hub::resume) says whether it may be, and handles what was deferred.
//! - [`next_writable`](Hub::next_writable): connections to write to. [`output`](Hub::output) lends the slices, and
//!   [`sent`](Hub::sent) takes how many bytes were written, also if there was nothing to write. One that could not take all
//!   need only be visited again when it is writable.
//! - [`next_closed`](Hub::next_closed): connections to close. Each is answered with [`disconnect`](Hub::disconnect), which
//!   alone frees its slot.
//! - [`next_deadline`](Hub::next_deadline): when [`tick`](Hub::tick) is to be called, until it returns false.
//! - [`next_request`](Hub::next_request): what the hub cannot do itself. Each is answered by [`answer`](Hub::answer), at
//!   once or later. While [`has_jobs`](Hub::has_jobs), [`carry_on`](Hub::carry_on) does a step of an operator's command.
//!
//! An id that is no longer in use is ignored, so a late event can do no harm. Nothing that a peer sends makes the hub panic.
//!
//! The loop that drives a hub, here for two connections whose sockets are byte vectors:
//!
//! ```
//! use madang::hub::{Hub, Now, Peer, Resume, Wire, limits::Limits};
//! use std::io::IoSlice;
//!
//! let (mut hub, now) = (Hub::new(Limits::default()), Now::default());
//! let peer = Peer::new(None, Wire::Chat);
//! let [kim, lee] = [(); 2].map(|()| hub.connect(now, peer).unwrap());
//! let (mut received, mut written) = (Some(b"hello\n"), [const { Vec::new() }; 2]);
//!
//! hub.readable(kim); // the poll says so
//! while let Some(id) = hub.next_readable() {
//!     if hub.resume(now, id) == Resume::Read
//!         && let Some(bytes) = received.take() // read(2)
//!     {
//!         hub.receive(now, id, bytes);
//!     }
//! }
//! while let Some(id) = hub.next_writable(now) {
//!     let mut slices = [IoSlice::new(&[]); 16];
//!     let filled = hub.output(id, &mut slices);
//!     let bytes: Vec<u8> = slices[..filled].iter().flat_map(|slice| slice.to_vec()).collect();
//!     written[usize::from(id == lee)].extend_from_slice(&bytes); // writev(2)
//!     let _has_more = hub.sent(now, id, bytes.len());
//! }
//! while hub.tick(now) {}
//! while let Some(id) = hub.next_closed() {
//!     hub.disconnect(now, id); // close(2)
//! }
//! assert!(written[1].ends_with(b"guest1: hello\n"));
//! ```
//!
//! # Where to read
//! [`types`] and [`limits`]; then the parts, each with its own state and a `check()`: `input`, `client`, `room`,
//! `directory`, `addresses`, `rooms`, `schedule`. What acts on several of them takes a view that names them: `reading`,
//! `handlers` (one function a command), `membership`, `room::backpressure`. This file composes them.

#![warn(clippy::disallowed_types, clippy::disallowed_methods)]

pub(crate) mod accounts;
mod addresses;
mod admission;
mod ages;
mod announcements;
pub(crate) mod client;
pub(crate) mod cluster;
mod comings;
mod compose;
mod context;
mod delivery;
pub(crate) mod directory;
mod fair_queue;
mod guest_name;
mod handlers;
mod ignoring;
pub mod input;
mod inspect;
pub(crate) mod likeness;
mod limit_change;
pub mod limits;
pub mod link;
mod lists;
mod locks;
mod membership;
pub(crate) mod name;
mod name_days;
pub(crate) mod operators;
mod password;
mod people;
mod private;
mod reading;
mod registering;
mod renaming;
mod reports;
pub mod requests;
mod rights;
pub(crate) mod room;
pub(crate) mod rooms;
mod schedule;
pub mod secret;
mod shutdown;
mod strangers;
mod tries;
pub mod types;

pub use crate::protocol::Refusal;
use accounts::Accounts;
pub use accounts::{NameEvent, owners::Owners, users::Users};
use addresses::Addresses;
use ages::Ages;
use client::{Block, Clients};
use cluster::{Cluster, telling};
use directory::Directory;
use ignoring::Ignoring;
use input::Input;
pub use input::command::COMMANDS;
pub use input::frame::{Frame, Line};
pub use input::operation::OPERATOR_COMMANDS;
pub use input::text::Text;
use limit_change::LimitChange;
use limits::{LIGHT_VISIT_WORK_MAX, Limits, READ_BYTES_MAX};
pub use name::{LOBBY, is_persons_name};
use operators::acts;
pub use operators::range::{Range, Ranges};
use operators::state::Operators;
use room::backpressure;
use rooms::Rooms;
use schedule::{Place, Schedule, Timer};
use shutdown::Shutdown;
use std::io::IoSlice;
use strangers::Strangers;
use tries::Tries;
pub use types::{
    Census, ConnId, Deed, Details, Ending, LoggedIn, Now, Peer, Peers, Refused, Report, Resume,
    Survey, Totals, Wire,
};

/// The whole state of the server. See the [module](self) for the order of calls.
#[derive(Debug)]
pub struct Hub {
    limits: Limits,
    /// The limits, with larger caps as long as there are rooms and clients from before a change of limits.
    ceiling: Limits,
    limit_change: LimitChange,
    clients: Clients,
    /// By slot. Apart from `clients`, so that a line can be borrowed from here while it is handled.
    inputs: Vec<Input>,
    directory: Directory,
    addresses: Addresses,
    rooms: Rooms,
    schedule: Schedule,
    totals: Totals,
    ignoring: Ignoring,
    ages: Ages,
    /// The serial number of the last connection.
    serial: u32,
    /// The console's connection, if there has been one.
    console: Option<ConnId>,
    shutdown: Shutdown,
    operators: Operators,
    accounts: Accounts,
    strangers: Strangers,
    lock_tries: Tries<ConnId>,
    /// If it is one of several nodes.
    cluster: Option<Box<Cluster>>,
    /// Why the last newcomer from a banned address was refused.
    refusal_text: String,
    /// What was last lent to a telnet client: at most `TELNET_WRITE_BYTES_MAX`.
    telnet_write: Vec<u8>,
}

/// Inputs.
impl Hub {
    /// A hub without connections.
    pub fn new(limits: Limits) -> Hub {
        Hub {
            rooms: Rooms::new(&limits),
            ceiling: limits.clone(),
            limit_change: LimitChange::default(),
            limits,
            clients: Clients::new(),
            inputs: Vec::new(),
            directory: Directory::default(),
            addresses: Addresses::default(),
            schedule: Schedule::default(),
            totals: Totals::default(),
            ignoring: Ignoring::default(),
            ages: Ages::default(),
            serial: 0,
            console: None,
            shutdown: Shutdown::None,
            operators: Operators::default(),
            accounts: Accounts::default(),
            strangers: Strangers::default(),
            lock_tries: Tries::default(),
            cluster: None,
            refusal_text: String::new(),
            telnet_write: Vec::new(),
        }
    }

    /// A connection has become readable: it has bytes, or its peer's end.
    pub fn readable(&mut self, id: ConnId) {
        self.want_read(id, Place::New);
    }

    /// A connection has been read, and may have more input. `cost`: the bytes that were read, and the work of handling them.
    /// After a light visit it does not queue behind all that flood: what it says next may arrive while it would wait there.
    pub fn still_readable(&mut self, id: ConnId, cost: u64) {
        let is_light = cost <= LIGHT_VISIT_WORK_MAX;
        self.want_read(id, if is_light { Place::New } else { Place::Last });
    }

    fn want_read(&mut self, id: ConnId, place: Place) {
        // One that waits is read when what it waits for has happened.
        if let Some(client) = client::find(&mut self.clients, id)
            && !client.is_blocked_by(Block::RateLimit)
            && !client.is_blocked_by(Block::Room)
            && !client.is_blocked_by(Block::Lane)
        {
            self.schedule.want_read(id, place);
        }
    }

    /// Whether a connection may be read. First handles what was deferred of its input.
    #[must_use = "a connection may only be read after `Resume::Read`"]
    pub fn resume(&mut self, now: Now, id: ConnId) -> Resume {
        match self.slot(id) {
            Some(slot) => self.reading(now).resume(slot),
            None => Resume::Blocked,
        }
    }

    /// Bytes have been received: at most [`READ_BYTES_MAX`] at a time, and only after [`resume`](Hub::resume) has returned
    /// [`Resume::Read`].
    pub fn receive(&mut self, now: Now, id: ConnId, bytes: &[u8]) {
        debug_assert!(bytes.len() <= READ_BYTES_MAX);
        let Some(slot) = self.slot(id) else { return };
        let client = &mut self.clients[slot as usize];
        if client.is_receiving() {
            client.break_silence(now);
            self.totals.received_bytes += bytes.len() as u64;
            self.reading(now).process(slot, bytes, false);
        }
    }

    /// The peer has finished sending. An unterminated last line counts as a line.
    pub fn finish(&mut self, now: Now, id: ConnId) {
        if let Some(slot) = self.slot(id) {
            self.reading(now).end_input(slot, Input::finish);
        }
    }

    /// The connection was cut: nothing follows. An unterminated last line is refused, since the rest of it may be missing.
    pub fn cut(&mut self, now: Now, id: ConnId) {
        if let Some(slot) = self.slot(id) {
            self.reading(now).end_input(slot, Input::cut);
        }
    }

    /// The first `n` bytes that [`output`](Hub::output) lent have been written. Returns whether more is to be written.
    #[must_use = "a connection to which more is to be written is visited again"]
    pub fn sent(&mut self, now: Now, id: ConnId, n: usize) -> bool {
        let Some(client) = client::find(&mut self.clients, id) else {
            return false;
        };
        let number = client.room;
        let room = self.rooms.get_mut(number);
        let has_more = client.sent(now, &mut room.log, n);
        self.totals.sent_bytes += n as u64;
        self.totals.delivered_lines += room.log.take_delivered();
        if client.waits_for_progress() || room.gate.has_blocked() {
            if client.is_blocked_by(Block::Answer) {
                let left_bytes = client.outbox.reply_bytes();
                self.operators.jobs.has_read(id, left_bytes);
            }
            let mut cx = self.context(now);
            let mut view = cx.room(number);
            view.settle(id.slot());
            backpressure::wake_blocked(&mut view);
        }
        has_more
    }

    /// A connection is closed: its slot and its name are free.
    pub fn disconnect(&mut self, now: Now, id: ConnId) {
        let Some(slot) = self.slot(id) else { return };
        membership::leave(&mut self.context(now), slot);
        let client = self.clients.remove(slot as usize);
        if let Some(name) = &client.name
            && !telling::left(&mut self.cluster, &mut self.directory, id, name)
        {
            self.directory.release(slot, name);
        }
        for other in self.ignoring.leave(slot) {
            if let Some(other_client) = self.clients.get_mut(other as usize) {
                other_client.outbox.is_ignored = self.ignoring.is_ignored(other);
            }
        }
        self.operators.connected -= usize::from(client.role.is_extra());
        self.operators.jobs.forget(id);
        self.accounts.log_out(slot);
        self.accounts.disconnected(id);
        self.arm_names();
        self.operators.mutes.remove(slot);
        self.strangers.remove(slot);
        acts::end_if_drained(&mut self.operators, self.clients.len());
        self.addresses.remove(now, slot);
        self.inputs[slot as usize] = Input::default();
        self.schedule.forget_client(slot);
    }

    /// The server is to end: no newcomer is admitted any more. Each [`tick`](Hub::tick) tells one client so.
    pub fn shutdown(&mut self) {
        self.shutdown.begin();
        if let Some(cluster) = &mut self.cluster {
            cluster.is_leaving = true;
        }
    }

    /// Does one thing that is due by now; false: nothing is.
    pub fn tick(&mut self, now: Now) -> bool {
        let mut shutdown = self.shutdown;
        let has_told = shutdown.tell_next(&mut self.context(now));
        self.shutdown = shutdown;
        if has_told {
            return true;
        }
        if self.tick_cluster(now) {
            return true;
        }
        let timers_first = self.limit_change.yields();
        if !timers_first && self.step_limit_change(now) {
            return true;
        }
        match self.schedule.next_timeout(now) {
            None => return timers_first && self.step_limit_change(now),
            Some(Timer::Client(slot)) => self.reading(now).tick(slot),
            Some(Timer::Operators) => acts::expire(&mut self.context(now)),
            Some(Timer::Names) => name_days::expire(&mut self.context(now)),
            Some(Timer::Room(number)) => {
                let mut cx = self.context(now);
                let mut view = cx.room(number);
                announcements::announce(&mut view);
                backpressure::tick(&mut view);
            }
        }
        true
    }
}

/// Outputs.
impl Hub {
    /// The next connection that may have input. If it may have more, [`still_readable`](Hub::still_readable) is to be called.
    #[must_use = "a connection that has been taken out is to be read"]
    pub fn next_readable(&mut self) -> Option<ConnId> {
        self.schedule.next_read()
    }

    /// How many connections [`next_readable`](Hub::next_readable) has, at most.
    pub fn readables(&self) -> usize {
        self.schedule.reads()
    }

    /// The next connection to write to: by turns one with output of its own, and a member of a room with new lines.
    #[must_use = "a connection that has been taken out is to be written to"]
    pub fn next_writable(&mut self, now: Now) -> Option<ConnId> {
        if self.schedule.is_fan_out_next() {
            self.next_member(now).or_else(|| self.schedule.next_write())
        } else {
            self.schedule.next_write().or_else(|| self.next_member(now))
        }
    }

    fn next_member(&mut self, now: Now) -> Option<ConnId> {
        while let Some(number) = self.schedule.next_fan_out() {
            let room = self.rooms.get_mut(number);
            let member = room.next_visit();
            if room.carousel.is_turning() {
                self.schedule.fan_out_visited(room.visits_a_turn());
            } else {
                self.schedule.end_fan_out();
            }
            if room.gate.has_blocked() {
                backpressure::wake_blocked(&mut self.context(now).room(number));
            }
            if let Some(member) = member {
                return Some(self.clients[member as usize].id(member));
            }
        }
        None
    }

    /// Lends what to write next to a connection, and returns how many slices that is; 0: nothing.
    pub fn output<'a>(&'a mut self, id: ConnId, slices: &mut [IoSlice<'a>]) -> usize {
        let telnet_write = &mut self.telnet_write;
        match client::find(&mut self.clients, id) {
            Some(client) => client.output(&self.rooms.get(client.room).log, slices, telnet_write),
            None => 0,
        }
    }

    /// The next connection that is to be closed and [disconnected](Hub::disconnect).
    #[must_use = "a connection that has been taken out is to be closed"]
    pub fn next_closed(&mut self) -> Option<ConnId> {
        self.schedule.next_close()
    }

    /// When [`tick`](Hub::tick) is to be called.
    pub fn next_deadline(&self) -> Option<Now> {
        let shutdown = self.shutdown.deadline();
        let others = [
            self.schedule.deadline(),
            self.limit_change.deadline(),
            self.cluster_deadline(),
        ];
        shutdown.or_else(|| others.into_iter().flatten().min())
    }
}

#[cfg(test)]
mod tests;
