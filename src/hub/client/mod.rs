//! One client: its role, its state machine, its deadlines. What it has sent is in `input`, what is to be written to it in
//! `outbox`. Knows no room and no other client.

pub mod barriers;
mod crlf;
pub mod ignored;
pub mod outbox;
mod output;
mod pending;
pub mod private_lines;
pub mod rate;
mod role;
mod segments;

use super::limits::{Limits, OWN_RANGES_MAX, PRIVATE_BYTES_MARK};
use super::name::{Name, RoomName};
use super::schedule::Schedule;
use super::secret::Secret;
use super::types::{ConnId, Ending, Now};
use outbox::Outbox;
pub use role::Role;
use slab::Slab;

/// Where a client is in its life.
///
/// ```text
///            block / unblock
///           ┌──────┐
/// ─▶ Open(Ready | Blocked) ──▶ Moving ──▶ Open(Ready)
///           │        │            │
///           │        ▼            ▼
///           │    ReceiveOnly ─▶ Draining ─▶ Closed
///           └────────────────────▲
/// ```
#[derive(Debug)]
pub enum State {
    /// Sends and receives.
    Open(Gate),
    /// Changes rooms as soon as the old room's log has been written to it up to a position.
    Moving(Box<Move>),
    /// Its peer has finished sending; it goes on receiving.
    ReceiveOnly,
    /// Nothing is received from it any more. Its room's log up to `until` and its private bytes are written to it, then
    /// it is closed.
    Draining(Box<Drain>),
    /// To be disconnected: all is written.
    Closed(Ending),
    /// To be disconnected, although something is still to be written: it did not take that in time.
    CutShort(Ending),
}

/// Whether input is handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// As soon as it is received.
    Ready,
    /// Not until something has changed.
    Blocked(Block),
}

/// Why a client's input is not handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Block {
    /// The rate limit is exhausted. Ended by a timer.
    RateLimit,
    /// It does not read its own replies, or too many ranges of its own lines are still ahead of it. Ended by its own
    /// progress.
    Backlog,
    /// Its room does not accept lines. Ended by the room.
    Room,
    /// Its last command has not been answered by the other nodes. Ended by their answer, or by the end of the link.
    Cluster,
    /// The lane of its room has no space. Ended by the lane.
    Lane,
    /// Its last command, an operator's, has not been answered in full. Ended by the job that the command
    /// has begun.
    Answer,
}

/// A change of rooms that waits for the old room's log.
#[derive(Debug)]
pub struct Move {
    /// Position in the old room's log.
    until: u64,
    to: Destination,
}

/// Where a client goes that changes rooms.
#[derive(Debug)]
pub struct Destination {
    /// The room's name.
    pub room: RoomName,
    /// The secret that it has given.
    pub secret: Option<Secret>,
}

/// The last output of a client.
#[derive(Debug)]
pub struct Drain {
    /// Position in the room's log.
    until: u64,
    /// When this began. It may take `drain_us`.
    since: Now,
    why: Ending,
}

/// One client.
#[derive(Debug)]
pub struct Client {
    /// Tells the connection from others that have had its slot.
    pub serial: u32,
    /// The number of its room.
    pub room: u32,
    /// Its index among the room's members.
    pub seat: u32,
    /// When it entered the room.
    pub entered_at: Now,
    /// The room has been told that it has come, or nobody is to hear of it.
    pub is_announced: bool,
    /// Which rules hold for it.
    pub role: Role,
    /// Lines that it has said; no more than 65,535 are counted.
    pub said: u16,
    /// `None` for a raw connection.
    pub name: Option<Name>,
    state: State,
    /// What is to be written to it.
    pub outbox: Outbox,
    /// Since when nothing has been received from it while its input was handled.
    silent_since: Now,
    /// When something was last written to it.
    pub progress_at: Now,
}

/// All clients, by slot.
pub type Clients = Slab<Client>;

/// The client with this id, if it is still connected.
pub fn find(clients: &mut Clients, id: ConnId) -> Option<&mut Client> {
    clients
        .get_mut(id.slot() as usize)
        .filter(|client| client.serial == id.serial())
}

impl Client {
    /// A client that has just connected; it is in no room yet.
    pub fn new(now: Now, serial: u32, role: Role, name: Option<Name>, is_secure: bool) -> Client {
        let mut outbox = Outbox::default();
        outbox.is_overheard = !is_secure;
        Client {
            serial,
            room: 0,
            seat: 0,
            entered_at: now,
            is_announced: name.is_none(),
            role,
            said: 0,
            name,
            state: State::Open(Gate::Ready),
            outbox,
            silent_since: now,
            progress_at: now,
        }
    }

    /// Whether it may give the commands of operators. Everything that only operators may do asks this.
    pub fn is_operator(&self) -> bool {
        self.role.is_operator()
    }

    /// Whether it has not said the server's password.
    pub fn is_stranger(&self) -> bool {
        self.role == Role::Stranger
    }

    /// Whether nobody on the way can read what it sends: see [`Peer::is_secure`](super::types::Peer).
    pub fn is_secure(&self) -> bool {
        !self.outbox.is_overheard
    }

    /// Its id, given its slot.
    pub fn id(&self, slot: u32) -> ConnId {
        ConnId::new(slot, self.serial)
    }

    /// Memory besides the fixed record, in bytes.
    pub fn memory_bytes(&self) -> usize {
        let change = match &self.state {
            State::Moving(change) => {
                let room = &change.to.room;
                size_of::<Move>() + room.name.len() + room.likeness.bytes()
            }
            State::Draining(_) => size_of::<Drain>(),
            _ => 0,
        };
        self.outbox.memory_bytes() + change
    }

    /// Where it is in its life.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Whether its input is handled, now or later.
    pub fn is_receiving(&self) -> bool {
        matches!(self.state, State::Open(_) | State::Moving(_))
    }

    /// Whether it is on its way out.
    pub fn is_closing(&self) -> bool {
        self.ending().is_some()
    }

    /// Why it is on its way out, if it is.
    pub fn ending(&self) -> Option<Ending> {
        match &self.state {
            State::Draining(drain) => Some(drain.why),
            State::Closed(why) | State::CutShort(why) => Some(*why),
            State::Open(_) | State::Moving(_) | State::ReceiveOnly => None,
        }
    }

    /// Whether `reason` keeps its input from being handled.
    pub fn is_blocked_by(&self, reason: Block) -> bool {
        matches!(self.state, State::Open(Gate::Blocked(by)) if by == reason)
    }

    /// Up to where its room's log, which ends at `end`, is written to it.
    pub fn log_until(&self, end: u64) -> u64 {
        match &self.state {
            State::Moving(change) => change.until,
            State::Draining(drain) => drain.until,
            State::Open(_) | State::ReceiveOnly => end,
            State::Closed(_) | State::CutShort(_) => 0,
        }
    }

    /// Whether its own progress, or its end, changes what it may do.
    pub fn waits_for_progress(&self) -> bool {
        !matches!(self.state, State::Open(Gate::Ready) | State::ReceiveOnly)
    }

    /// Whether it does not read its own replies, or too many ranges of its own lines are ahead of it.
    pub fn has_backlog(&self) -> bool {
        self.outbox.reply_bytes() > PRIVATE_BYTES_MARK || self.outbox.own_ranges() >= OWN_RANGES_MAX
    }

    /// When something is due for it alone. `has_partial`: it has sent an unfinished line, and nothing is deferred.
    /// `free_at`: when its rate limit lets it go on.
    pub fn deadline(&self, limits: &Limits, has_partial: bool, free_at: Now) -> Option<Now> {
        match self.state {
            State::Open(Gate::Ready) => {
                let partial = self.partial_due(limits).filter(|_| has_partial);
                self.idle_due(limits).into_iter().chain(partial).min()
            }
            State::Open(Gate::Blocked(Block::RateLimit)) => Some(free_at),
            State::Draining(ref drain) => Some(drain.since.after(limits.drain_us)),
            State::Open(Gate::Blocked(
                Block::Backlog | Block::Room | Block::Answer | Block::Cluster | Block::Lane,
            ))
            | State::Moving(_)
            | State::ReceiveOnly
            | State::Closed(_)
            | State::CutShort(_) => None,
        }
    }

    /// Microseconds since something was last received from it while its input was handled.
    pub fn silent_us(&self, now: Now) -> u64 {
        now.as_micros()
            .saturating_sub(self.silent_since.as_micros())
    }

    /// When it is to be closed for its silence.
    pub fn idle_due(&self, limits: &Limits) -> Option<Now> {
        (limits.idle_timeout_us > 0 && !self.role.is_extra())
            .then(|| self.silent_since.after(limits.idle_timeout_us))
    }

    /// When its unfinished line, if there is one, counts as a line.
    pub fn partial_due(&self, limits: &Limits) -> Option<Now> {
        (limits.partial_after_us > 0 && self.role != Role::Console)
            .then(|| self.silent_since.after(limits.partial_after_us))
    }
}

/// Output.
impl Client {
    /// Whether anything is to be written to it, now that its room's log ends at `end`.
    pub fn has_output(&self, end: u64) -> bool {
        self.outbox.has_output(self.log_until(end))
    }

    /// Appends a line of the server's, or a private one, to what is written to this client alone: once its room's log has
    /// been written to it up to `position`; 0: at once. A raw connection receives none.
    pub fn write_private(
        &mut self,
        slot: u32,
        position: u64,
        schedule: &mut Schedule,
        render: impl FnOnce(&mut Vec<u8>),
    ) {
        if self.role != Role::Raw {
            self.outbox.push_private(position, render);
            schedule.want_write(self.id(slot));
        }
    }
}

/// Transitions.
impl Client {
    /// Its silence begins anew.
    pub fn break_silence(&mut self, now: Now) {
        self.silent_since = now;
    }

    /// Its input is not handled until [`unblock`](Client::unblock). Returns whether that is new.
    pub fn block(&mut self, reason: Block) -> bool {
        let is_new = !self.is_blocked_by(reason);
        if let State::Open(gate) = &mut self.state {
            *gate = Gate::Blocked(reason);
        }
        is_new
    }

    /// Its input is handled again. While it was not, the client could not be heard: its silence begins anew.
    pub fn unblock(&mut self, now: Now) {
        if let State::Open(gate @ Gate::Blocked(_)) = &mut self.state {
            *gate = Gate::Ready;
            self.silent_since = now;
        }
    }

    /// Asks for a change of rooms, once the log has been written to it up to `until`.
    pub fn begin_move(&mut self, until: u64, to: Destination) {
        debug_assert!(matches!(self.state, State::Open(_)));
        self.state = State::Moving(Box::new(Move { until, to }));
    }

    /// Where it goes, if it waits to change rooms.
    pub fn destination(&self) -> Option<&Destination> {
        match &self.state {
            State::Moving(change) => Some(&change.to),
            _ => None,
        }
    }

    /// Whether it waits to change rooms, and may now.
    pub fn can_move(&self) -> bool {
        matches!(&self.state, State::Moving(change) if self.outbox.has_delivered(change.until))
    }

    /// Ends the wait for a change of rooms if it [may](Client::can_move): where it goes.
    pub fn end_move(&mut self, now: Now) -> Option<Destination> {
        if !self.can_move() {
            return None;
        }
        self.silent_since = now;
        match std::mem::replace(&mut self.state, State::Open(Gate::Ready)) {
            State::Moving(change) => Some(change.to),
            _ => None,
        }
    }

    /// Its peer has finished sending, and it goes on receiving.
    pub fn receive_only(&mut self) {
        if self.is_receiving() {
            self.state = State::ReceiveOnly;
        }
    }

    /// Nothing is received from it any more; its room's log is written to it up to `until`, or to a smaller position that
    /// was set before. Returns whether this is new.
    pub fn drain(&mut self, now: Now, until: u64, why: Ending) -> bool {
        match &mut self.state {
            State::Closed(_) | State::CutShort(_) => false,
            State::Draining(drain) => {
                drain.until = until.min(drain.until);
                false
            }
            state => {
                let since = now;
                *state = State::Draining(Box::new(Drain { until, since, why }));
                true
            }
        }
    }

    /// It has been drained: it is to be disconnected.
    pub fn close(&mut self) {
        if let Some(why) = self.ending() {
            self.state = State::Closed(why);
        }
    }

    /// It has had the time to be drained: it is to be disconnected.
    pub fn cut_short(&mut self) {
        if let Some(why) = self.ending() {
            self.state = State::CutShort(why);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client() -> Client {
        let name = Some(Name::Guest(1));
        Client::new(Now::from_micros(5), 1, Role::Person, name, true)
    }

    #[test]
    fn an_unfinished_line_has_a_deadline_only_if_configured() {
        let mut limits = Limits {
            partial_after_us: 1000,
            ..Limits::default()
        };
        let client = client();
        assert_eq!(
            client.deadline(&limits, false, Now::default()),
            None,
            "nothing unfinished"
        );
        let due = Now::from_micros(1005);
        assert_eq!(client.deadline(&limits, true, Now::default()), Some(due));
        limits.partial_after_us = 0;
        assert_eq!(client.deadline(&limits, true, Now::default()), None);
    }

    #[test]
    fn a_blocked_client_has_no_idle_deadline() {
        let limits = Limits {
            idle_timeout_us: 1000,
            ..Limits::default()
        };
        let mut client = client();
        let due = Some(Now::from_micros(1005));
        assert_eq!(client.deadline(&limits, false, Now::default()), due);
        assert!(client.block(Block::Room) && !client.block(Block::Room));
        assert_eq!(client.deadline(&limits, false, Now::default()), None);
        client.unblock(Now::from_micros(700));
        assert_eq!(
            client.deadline(&limits, false, Now::default()),
            Some(Now::from_micros(1700))
        );
    }

    #[test]
    fn draining_keeps_its_first_start_and_its_smallest_position() {
        let limits = Limits::default();
        let mut client = client();
        assert!(client.drain(Now::from_micros(10), 500, Ending::Quit));
        for (until, want) in [(600, 500), (400, 400)] {
            assert!(!client.drain(Now::from_micros(20), until, Ending::Slow));
            assert_eq!(client.log_until(1000), want);
        }
        let due = Now::from_micros(10).after(limits.drain_us);
        assert_eq!(client.deadline(&limits, false, Now::default()), Some(due));
        client.close();
        assert!(!client.drain(Now::from_micros(30), 300, Ending::Slow));
        assert_eq!(client.ending(), Some(Ending::Quit), "the first reason");
    }

    #[test]
    fn an_idle_client_s_record_is_small() {
        assert!(size_of::<Client>() <= 96, "{}", size_of::<Client>());
        let input = size_of::<crate::hub::input::Input>();
        assert!(input <= 16, "{input}");
    }

    #[test]
    fn a_move_ends_once_the_old_log_is_written() {
        let mut client = client();
        let pond = crate::hub::name::room_name("pond").unwrap();
        let to = || Destination {
            room: pond.clone(),
            secret: None,
        };
        client.begin_move(0, to());
        let there = client.end_move(Now::from_micros(9));
        assert_eq!(there.map(|to| to.room), Some(pond.clone()));
        assert!(matches!(client.state(), State::Open(Gate::Ready)));
        client.begin_move(7, to());
        assert!(!client.can_move() && client.end_move(Now::default()).is_none());
    }
}
