//! What is to be done next: which connections are written, read and closed, in which order, and which timers ring when.
//! Every queue and every timer of the hub stands here, with its flags. Knows clients and rooms only by their numbers.

use super::fair_queue::FairQueue;
use super::reports::Reports;
use super::types::{ConnId, Now};
use std::collections::{BTreeSet, VecDeque};

/// What a timer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// A deadline of the client in this slot.
    Client(u32),
    /// A deadline of the room of this number.
    Room(u32),
    /// A ban or a mute ends.
    Operators,
    /// A registered name is used or expires.
    Names,
}

/// A place in the read queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Before those that are in the queue again and again, but for a share of these.
    New,
    /// The first of these.
    First,
    /// The last of them.
    Last,
}

/// The queues and timers. An id in a queue may be of a client that has left: it is skipped when its turn comes.
#[derive(Debug, Default)]
pub struct Schedule {
    /// Clients with output of their own, besides their room's log; each once.
    writes: VecDeque<ConnId>,
    /// Rooms whose carousel is turning; each once, here or in `fan_out`.
    fan_outs: FairQueue<u32>,
    /// The room that has its turn.
    fan_out: Option<u32>,
    /// Members of that room that have been visited in its present turn.
    fan_out_visits: usize,
    /// Whether a room's member is written next, or a client with output of its own.
    is_fan_out_next: bool,
    /// Clients that may have input; each once.
    reads: FairQueue<ConnId>,
    /// Clients to be disconnected.
    closes: VecDeque<ConnId>,
    /// What the log is to tell.
    pub reports: Reports,
    /// At most one a client, one a room, one of operators, and one of names.
    timers: BTreeSet<(Now, Timer)>,
    /// By slot.
    clients: Vec<ClientEntry>,
    /// By number.
    rooms: Vec<RoomEntry>,
    /// When the timer of operators rings: `timers` holds it.
    operators_due: Option<Due>,
    /// When the timer of names rings: `timers` holds it.
    names_due: Option<Due>,
}

#[derive(Clone, Copy, Debug, Default)]
struct ClientEntry {
    /// When its timer rings: `timers` holds it.
    due: Option<Due>,
    /// The serial number under which it is in `writes`; 0: it is not.
    write: u32,
    /// The serial number under which it is in `reads`; 0: it is not.
    read: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct RoomEntry {
    /// When its timer rings: `timers` holds it.
    due: Option<Due>,
    /// It is in `fan_outs`, or is `fan_out`.
    fans_out: bool,
}

/// A time that is never [`Now::default`], so that `Option<Due>` is as small as a time.
type Due = std::num::NonZeroU64;

/// Queues.
impl Schedule {
    /// A client has output of its own.
    pub fn want_write(&mut self, id: ConnId) {
        let entry = entry(&mut self.clients, id.slot());
        if entry.write != id.serial() {
            entry.write = id.serial();
            self.writes.push_back(id);
        }
    }

    /// The next client with output of its own.
    pub fn next_write(&mut self) -> Option<ConnId> {
        while let Some(id) = self.writes.pop_front() {
            let entry = &mut self.clients[id.slot() as usize];
            if entry.write == id.serial() {
                entry.write = 0;
                return Some(id);
            }
        }
        None
    }

    /// A client may have input. One that is in the queue already keeps its place.
    pub fn want_read(&mut self, id: ConnId, place: Place) {
        let entry = entry(&mut self.clients, id.slot());
        if entry.read == id.serial() {
            return;
        }
        entry.read = id.serial();
        match place {
            Place::New => self.reads.push_new(id),
            Place::First => self.reads.push_first(id),
            Place::Last => self.reads.push_again(id),
        }
    }

    /// The next client that may have input.
    pub fn next_read(&mut self) -> Option<ConnId> {
        while let Some(id) = self.reads.pop() {
            let entry = &mut self.clients[id.slot() as usize];
            if entry.read == id.serial() {
                entry.read = 0;
                return Some(id);
            }
        }
        None
    }

    /// Whether a client is in the read queue.
    pub fn is_read_queued(&self, id: ConnId) -> bool {
        let entry = self.clients.get(id.slot() as usize);
        entry.is_some_and(|entry| entry.read == id.serial())
    }

    /// How many clients [`next_read`](Schedule::next_read) has at most.
    pub fn reads(&self) -> usize {
        self.reads.len()
    }

    /// A line was appended to a room's log.
    pub fn want_fan_out(&mut self, room: u32) {
        let entry = entry(&mut self.rooms, room);
        if !entry.fans_out {
            entry.fans_out = true;
            self.fan_outs.push_new(room);
        }
    }

    /// The room of which a member is to be visited next.
    pub fn next_fan_out(&mut self) -> Option<u32> {
        if self.fan_out.is_none() {
            self.fan_out = self.fan_outs.pop();
        }
        self.fan_out
    }

    /// A member of that room has been visited. After `visits_max` of them the next room has its turn.
    pub fn fan_out_visited(&mut self, visits_max: usize) {
        self.fan_out_visits += 1;
        if self.fan_out_visits >= visits_max {
            self.fan_out_visits = 0;
            if let Some(room) = self.fan_out.take() {
                self.fan_outs.push_again(room);
            }
        }
    }

    /// Every member of that room has been visited.
    pub fn end_fan_out(&mut self) {
        self.fan_out_visits = 0;
        if let Some(room) = self.fan_out.take() {
            self.rooms[room as usize].fans_out = false;
        }
    }

    /// Whether a room's member is to be written next, or a client with output of its own: by turns.
    pub fn is_fan_out_next(&mut self) -> bool {
        self.is_fan_out_next = !self.is_fan_out_next;
        self.is_fan_out_next
    }

    /// Whether members of this room are to be visited.
    pub fn fans_out(&self, room: u32) -> bool {
        self.rooms
            .get(room as usize)
            .is_some_and(|entry| entry.fans_out)
    }

    /// Whether anything is to be written.
    pub fn has_writes(&self) -> bool {
        !self.writes.is_empty() || self.fan_out.is_some() || !self.fan_outs.is_empty()
    }

    /// A client is to be disconnected.
    pub fn want_close(&mut self, id: ConnId) {
        self.closes.push_back(id);
    }

    /// Whether a client is to be disconnected.
    pub fn has_closes(&self) -> bool {
        !self.closes.is_empty()
    }

    /// The next client to be disconnected.
    pub fn next_close(&mut self) -> Option<ConnId> {
        self.closes.pop_front()
    }

    /// A client has left: it is in no queue, and its timer does not ring.
    pub fn forget_client(&mut self, slot: u32) {
        self.disarm(Timer::Client(slot));
        if let Some(entry) = self.clients.get_mut(slot as usize) {
            *entry = ClientEntry::default();
        }
    }

    /// A room has lost its last member: nobody is to be visited, and its timer does not ring.
    pub fn forget_room(&mut self, room: u32) {
        self.disarm(Timer::Room(room));
        self.forget_visits(room);
    }

    /// A room has lost its last member on this node: nobody is to be visited.
    pub fn forget_visits(&mut self, room: u32) {
        let entry = entry(&mut self.rooms, room);
        if entry.fans_out {
            entry.fans_out = false;
            if self.fan_out == Some(room) {
                self.end_fan_out();
            }
            self.fan_outs.remove(&room);
        }
    }
}

/// Timers.
impl Schedule {
    /// A timer rings at `due` at the latest. A later one is replaced.
    pub fn arm(&mut self, timer: Timer, due: Now) {
        let place = self.due(timer);
        let new = Due::MIN.max(Due::new(due.as_micros()).unwrap_or(Due::MIN));
        if place.is_some_and(|before| before <= new) {
            return;
        }
        let before = place.replace(new);
        if let Some(before) = before {
            self.timers.remove(&(Now::from_micros(before.get()), timer));
        }
        self.timers.insert((Now::from_micros(new.get()), timer));
    }

    /// The next timer that rings by `now`.
    pub fn next_timeout(&mut self, now: Now) -> Option<Timer> {
        let &(due, timer) = self.timers.first()?;
        if due > now {
            return None;
        }
        self.disarm(timer);
        Some(timer)
    }

    /// When the next timer rings.
    pub fn deadline(&self) -> Option<Now> {
        self.timers.first().map(|&(due, _)| due)
    }

    /// How many timers are armed.
    pub fn timers(&self) -> usize {
        self.timers.len()
    }

    /// A timer does not ring, if it was to.
    pub fn disarm(&mut self, timer: Timer) {
        if let Some(due) = self.due(timer).take() {
            self.timers.remove(&(Now::from_micros(due.get()), timer));
        }
    }

    fn due(&mut self, timer: Timer) -> &mut Option<Due> {
        match timer {
            Timer::Client(slot) => &mut entry(&mut self.clients, slot).due,
            Timer::Room(room) => &mut entry(&mut self.rooms, room).due,
            Timer::Operators => &mut self.operators_due,
            Timer::Names => &mut self.names_due,
        }
    }

    /// Panics if an invariant is broken. For tests: looks at everything.
    pub fn check(&self) {
        let flagged = |serial: fn(&ClientEntry) -> u32| {
            let entries = self.clients.iter();
            entries.filter(|entry| serial(entry) != 0).count()
        };
        let is_write = |id: &&ConnId| self.clients[id.slot() as usize].write == id.serial();
        let writes = self.writes.iter().filter(is_write).count();
        assert_eq!(writes, flagged(|entry| entry.write));
        let is_read = |id: &&ConnId| self.clients[id.slot() as usize].read == id.serial();
        let reads = self.reads.iter().filter(is_read).count();
        assert_eq!(reads, flagged(|entry| entry.read));
        let fans_out = |room: &u32| self.rooms[*room as usize].fans_out;
        let fan_outs = self.fan_outs.iter().chain(&self.fan_out);
        assert!(fan_outs.clone().all(fans_out));
        let flags = self.rooms.iter().filter(|entry| entry.fans_out).count();
        assert_eq!(fan_outs.count(), flags);
        let clients = self.clients.iter().filter_map(|entry| entry.due);
        let rooms = self.rooms.iter().filter_map(|entry| entry.due);
        let all = clients.chain(rooms).chain(self.operators_due);
        let all = all.chain(self.names_due);
        assert_eq!(self.timers.len(), all.count());
    }
}

/// The entry of this number.
fn entry<T: Clone + Default>(entries: &mut Vec<T>, number: u32) -> &mut T {
    let number = number as usize;
    if number >= entries.len() {
        entries.resize(number + 1, T::default());
    }
    &mut entries[number]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(slot: u32, serial: u32) -> ConnId {
        ConnId::new(slot, serial)
    }

    #[test]
    fn each_client_is_queued_once_and_a_new_one_is_not_behind_all_others() {
        let mut schedule = Schedule::default();
        for place in [Place::Last, Place::First, Place::New] {
            schedule.want_read(id(1, 7), place);
            schedule.want_read(id(2, 8), place);
        }
        schedule.want_read(id(0, 9), Place::First);
        schedule.want_read(id(3, 1), Place::New);
        schedule.want_read(id(4, 1), Place::New);
        schedule.check();
        let order: Vec<ConnId> = std::iter::from_fn(|| schedule.next_read()).collect();
        let order: Vec<u32> = order.iter().map(|id| id.slot()).collect();
        assert_eq!(order, [3, 4, 0, 1, 2]);
        schedule.want_write(id(1, 7));
        schedule.want_write(id(1, 7));
        assert_eq!(schedule.next_write(), Some(id(1, 7)));
        assert_eq!(schedule.next_write(), None);
        schedule.check();
    }

    #[test]
    fn a_new_client_in_a_slot_does_not_inherit_the_old_clients_place() {
        let mut schedule = Schedule::default();
        schedule.want_write(id(3, 1));
        schedule.want_read(id(3, 1), Place::Last);
        schedule.forget_client(3);
        schedule.check();
        schedule.want_write(id(3, 2));
        schedule.check();
        assert_eq!(schedule.next_write(), Some(id(3, 2)));
        assert_eq!((schedule.next_write(), schedule.next_read()), (None, None));
    }

    #[test]
    fn a_new_deadline_replaces_the_old_one_and_leaving_removes_it() {
        let mut schedule = Schedule::default();
        let at = Now::from_micros;
        for due in [50, 30, 40, 0] {
            schedule.arm(Timer::Client(7), at(due));
            assert_eq!(schedule.timers(), 1);
        }
        schedule.arm(Timer::Room(7), at(20));
        schedule.check();
        assert_eq!(schedule.next_timeout(at(10)), Some(Timer::Client(7)));
        assert_eq!(schedule.next_timeout(at(10)), None);
        assert_eq!(schedule.deadline(), Some(at(20)));
        schedule.forget_room(7);
        for serial in 0..1000 {
            schedule.arm(Timer::Client(serial % 3), at(1000 + u64::from(serial)));
            schedule.forget_client(serial % 3);
        }
        assert_eq!((schedule.timers(), schedule.deadline()), (0, None));
        schedule.check();
    }

    #[test]
    fn a_room_is_queued_once_until_it_is_visited_or_forgotten() {
        let mut schedule = Schedule::default();
        for room in [2, 5, 2] {
            schedule.want_fan_out(room);
        }
        schedule.forget_room(5);
        schedule.check();
        schedule.want_fan_out(7);
        let mut visited = Vec::new();
        for _ in 0..10 {
            visited.extend(schedule.next_fan_out());
            schedule.fan_out_visited(2);
        }
        // Two visits are one turn.
        assert_eq!(visited, [2, 2, 7, 7, 2, 2, 7, 7, 2, 2]);
        while schedule.next_fan_out().is_some() {
            schedule.end_fan_out();
        }
        schedule.check();
        assert!(!schedule.has_writes() && schedule.next_fan_out().is_none());
    }
}
