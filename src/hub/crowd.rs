//! Who is where: the rooms, the names taken, the addresses that connections come from; entering and leaving, what is
//! announced of it, and what becomes of members that are too slow.

use super::limits::{Limits, SlowPolicy};
use super::name::{self, LOBBY, Likeness, Name};
use super::requests::{self, Mark};
use super::room::{Room, grouped};
use super::session::{Phase, Wire};
use super::{Hub, Now, Timer};
use slab::Slab;
use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::net::IpAddr;

/// The room of all raw connections: it has no name, so nobody can join it.
const RAW_ROOM: u32 = 0;
const LOBBY_ROOM: u32 = 1;
/// Both are there from start to end.
const ROOMS_KEPT: usize = 2;

/// Rooms, names and addresses.
#[derive(Debug)]
pub struct Crowd {
    /// Every room, by its number.
    pub rooms: Slab<Room>,
    /// Rooms by what their names look like.
    rooms_by_name: BTreeMap<Box<str>, u32>,
    /// Rooms without members that are kept for their history, the one first that has been empty for longest.
    emptied: VecDeque<u32>,
    /// Slots by what the names chosen look like.
    chosen: BTreeMap<Box<str>, u32>,
    /// Slots by guests' numbers.
    guests: BTreeMap<u64, u32>,
    /// The number that the last guest was given.
    last_guest: u64,
    /// How many connections come from an address.
    addresses: BTreeMap<IpAddr, usize>,
}

impl Crowd {
    /// An empty lobby.
    pub fn new(limits: &Limits) -> Crowd {
        let mut rooms = Slab::new();
        let raw = rooms.insert(Room::new("".into(), limits));
        let lobby = rooms.insert(Room::new(LOBBY.into(), limits));
        debug_assert_eq!((raw, lobby), (RAW_ROOM as usize, LOBBY_ROOM as usize));
        Crowd {
            rooms,
            rooms_by_name: BTreeMap::from([(name::room_likeness(LOBBY), LOBBY_ROOM)]),
            emptied: VecDeque::new(),
            chosen: BTreeMap::new(),
            guests: BTreeMap::new(),
            last_guest: 0,
            addresses: BTreeMap::new(),
        }
    }

    /// Where a newcomer begins.
    pub fn first_room(wire: Wire) -> u32 {
        match wire {
            Wire::Chat => LOBBY_ROOM,
            Wire::Raw => RAW_ROOM,
        }
    }

    /// How many connections come from an address.
    pub fn from_address(&self, address: IpAddr) -> usize {
        self.addresses.get(&address).copied().unwrap_or(0)
    }

    /// Counts a newcomer, and gives it a name that nobody had before. A raw connection has no name.
    pub fn welcome(&mut self, wire: Wire, address: Option<IpAddr>, slot: u32) -> Name {
        if let Some(address) = address {
            *self.addresses.entry(address).or_default() += 1;
        }
        if wire == Wire::Raw {
            return Name::Guest(0);
        }
        self.last_guest += 1;
        self.guests.insert(self.last_guest, slot);
        Name::Guest(self.last_guest)
    }

    /// Forgets a connection's name and address.
    pub fn farewell(&mut self, name: &Name, address: Option<IpAddr>) {
        self.release(name);
        if let Some(address) = address
            && let Some(count) = self.addresses.get_mut(&address)
        {
            *count -= 1;
            if *count == 0 {
                self.addresses.remove(&address);
            }
        }
    }

    /// Who is called so, or so much like it that nobody else can be.
    pub fn find(&self, name: &str) -> Option<u32> {
        if let Some(number) = name::guest_number(name) {
            return self.guests.get(&number).copied();
        }
        let name = name::nickname(name).ok()?;
        Likeness::of(&name)
            .forms()
            .find_map(|form| self.chosen.get(form))
            .copied()
    }

    /// Gives a client a name that nobody else's looks like.
    ///
    /// # Errors
    /// The slot of the client whose name is in the way.
    pub fn rename(&mut self, slot: u32, old: &Name, name: &str) -> Result<Name, u32> {
        let likeness = Likeness::of(name);
        if let Some(&other) = likeness
            .forms()
            .filter_map(|form| self.chosen.get(form))
            .find(|&&other| other != slot)
        {
            return Err(other);
        }
        self.release(old);
        for form in likeness.forms() {
            self.chosen.insert(form.into(), slot);
        }
        Ok(Name::Chosen(name.into()))
    }

    fn release(&mut self, name: &Name) {
        match name {
            Name::Guest(number) => drop(self.guests.remove(number)),
            Name::Chosen(name) => {
                for form in Likeness::of(name).forms() {
                    self.chosen.remove(form);
                }
            }
        }
    }

    /// The room that has this name or one that looks like it.
    pub fn find_room(&self, name: &str) -> Option<u32> {
        self.rooms_by_name.get(&name::room_likeness(name)).copied()
    }

    /// The rooms that have a name and members: name and members, by name.
    pub fn list(&self) -> impl Iterator<Item = (&str, usize)> {
        let rooms = self
            .rooms_by_name
            .values()
            .map(|&room| &self.rooms[room as usize]);
        rooms
            .filter(|room| !room.members.is_empty())
            .map(|room| (&*room.name, room.members.len()))
    }

    /// The room of this name, opened if it is not there. It may take the place of one that is kept for its history.
    ///
    /// # Errors
    /// There are as many rooms with members as there may be.
    pub fn open(&mut self, name: &str, limits: &Limits) -> Result<u32, usize> {
        if let Some(room) = self.find_room(name) {
            return Ok(room);
        }
        if self.rooms.len() >= limits.rooms_max + ROOMS_KEPT - 1 {
            let oldest = self.emptied.pop_front().ok_or(limits.rooms_max)?;
            self.close(oldest);
        }
        let room = self.rooms.insert(Room::new(name.into(), limits)) as u32;
        self.rooms_by_name.insert(name::room_likeness(name), room);
        Ok(room)
    }

    /// A room has lost its last member: it is kept as long as it has a history and a place.
    fn emptied(&mut self, number: u32, limits: &Limits) {
        let room = &mut self.rooms[number as usize];
        room.arrivals.forget();
        room.log.shrink();
        if (number as usize) < ROOMS_KEPT {
            return;
        }
        if limits.history_lines > 0 {
            self.emptied.push_back(number);
        } else {
            self.close(number);
        }
    }

    fn close(&mut self, number: u32) {
        let room = self.rooms.remove(number as usize);
        self.rooms_by_name.remove(&name::room_likeness(&room.name));
    }
}

/// Coming and going.
impl Hub {
    /// A client enters a room: it reads on from where the room's history begins.
    pub(super) fn enter(&mut self, now: Now, slot: u32, number: u32) {
        let client = &mut self.clients[slot as usize];
        let room = &mut self.crowd.rooms[number as usize];
        if room.members.is_empty() {
            self.crowd.emptied.retain(|&emptied| emptied != number);
        }
        client.room = number;
        client.seat = room.members.len() as u32;
        client.session.progress_at = now;
        room.members.push(slot);
        room.carousel.reseat(room.members.len());
        let at = if client.session.wire == Wire::Raw {
            room.log.end()
        } else {
            room.log.history_start()
        };
        client.outbox.enter(&mut room.log, at);
        if client.session.wire == Wire::Chat {
            room.arrivals.note(&client.session.name, Some(slot));
            self.announce(now, number);
        }
        self.owe(slot);
    }

    /// A client leaves its room.
    pub(super) fn leave(&mut self, now: Now, slot: u32) {
        let client = &mut self.clients[slot as usize];
        let number = client.room;
        let room = &mut self.crowd.rooms[number as usize];
        client.outbox.leave(&mut room.log);
        room.members.swap_remove(client.seat as usize);
        room.carousel.reseat(room.members.len());
        if client.session.wire == Wire::Chat {
            room.arrivals.note(&client.session.name, None);
        }
        let seat = client.seat;
        if let Some(&moved) = room.members.get(seat as usize) {
            self.clients[moved as usize].seat = seat;
            // It may have moved to a seat that the carousel has passed.
            self.owe(moved);
        }
        self.wake_stalled(number);
        if self.crowd.rooms[number as usize].members.is_empty() {
            self.turning.retain(|&turning| turning != number);
            self.crowd.emptied(number, &self.limits);
        } else {
            self.announce(now, number);
        }
    }

    /// Announces who came and went, or arms a timer for when that may be done again.
    fn announce(&mut self, now: Now, number: u32) {
        let room = &mut self.crowd.rooms[number as usize];
        let Some(due) = room.arrivals.due() else {
            return;
        };
        let here = room.members.len();
        if here > self.limits.announce_members_max {
            room.arrivals.forget();
            return;
        }
        if due > now || room.is_full() {
            let due = due.max(now.after(1));
            self.arm_room(number, due);
            return;
        }
        let only_joined = room.arrivals.only_joined();
        let text = room.arrivals.announce(now, here);
        let bytes_max = text.len() + 3;
        self.make_place(now, number, bytes_max);
        let room = &mut self.crowd.rooms[number as usize];
        let range = room.append(bytes_max, &self.limits, |out| {
            requests::push_line(out, Mark::Notice, format_args!("{text}"));
        });
        if let Some(slot) = only_joined {
            self.clients[slot as usize]
                .outbox
                .said(&mut room.log, range);
        }
    }

    /// Makes place for a line of at most `bytes_max` bytes in a room's log, and puts the room among those whose
    /// carousel is turning. To be called before each [`Room::append`].
    pub(super) fn make_place(&mut self, now: Now, number: u32, bytes_max: usize) {
        let room = &self.crowd.rooms[number as usize];
        if !room.carousel.is_turning() && !room.members.is_empty() {
            self.turning.push_back(number);
        }
        if room.must_skip(bytes_max, &self.limits) {
            self.overtake(now, number);
        }
    }

    /// The log is full: moves every member forward that is in its older half. Looks at all members, but not again
    /// before another half has been said.
    fn overtake(&mut self, now: Now, number: u32) {
        let room = &self.crowd.rooms[number as usize];
        let target = room.skip_target(self.limits.log_kept_bytes());
        for seat in 0..room.members.len() {
            let slot = self.crowd.rooms[number as usize].members[seat];
            if self.clients[slot as usize].outbox.cursor() < target {
                self.too_slow(now, slot, target, self.limits.slow);
            }
        }
    }

    /// A member is too slow: it loses what stands before `target`, and perhaps its connection.
    fn too_slow(&mut self, now: Now, slot: u32, target: u64, policy: SlowPolicy) {
        let client = &mut self.clients[slot as usize];
        if client.session.phase == Phase::Done {
            return;
        }
        let log = &mut self.crowd.rooms[client.room as usize].log;
        let until = client.session.until().unwrap_or(log.end());
        self.totals.skipped_lines += client.outbox.skip_to(log, until, target);
        match (policy, client.session.wire) {
            (SlowPolicy::Skip, Wire::Chat) => {}
            // It has no notices, so it could not be told what it lost: losing its connection tells it.
            (_, Wire::Raw) => {
                self.totals.slow_closed += 1;
                client.session.phase = Phase::Done;
                self.done.push_back(client.id);
            }
            (SlowPolicy::Close | SlowPolicy::Wait, Wire::Chat) => {
                if let Phase::Draining { .. } = client.session.phase {
                    return;
                }
                self.totals.slow_closed += 1;
                let until = client.outbox.cursor();
                let lines = client.outbox.take_skipped();
                if lines > 0 {
                    client
                        .outbox
                        .push_private(|out| requests::skipped(out, lines));
                }
                self.refuse(slot, format_args!("closed: you are reading too slowly"));
                self.drain_until(now, slot, until);
            }
        }
    }

    /// Under `wait`: as long as a room is full, looks now and then for members that make no progress.
    pub(super) fn watch(&mut self, now: Now, number: u32) {
        let room = &mut self.crowd.rooms[number as usize];
        if room.is_full() && !room.watched {
            room.watched = true;
            self.arm_room(number, now.after(self.limits.slow_timeout_us));
        }
    }

    fn arm_room(&mut self, number: u32, due: Now) {
        self.timers.push(Reverse((due, Timer::Room(number))));
    }

    /// A room's timer rings: there is something to announce, or the room has been full for long.
    pub(super) fn tick_room(&mut self, now: Now, number: u32) {
        if !self.crowd.rooms.contains(number as usize) {
            return;
        }
        self.announce(now, number);
        let room = &mut self.crowd.rooms[number as usize];
        if !room.watched {
            return;
        }
        room.watched = false;
        if room.is_full() {
            self.close_stuck(now, number);
            self.wake_stalled(number);
            self.watch(now, number);
        }
    }

    /// Closes the members that a full room waits for and that have made no progress for too long.
    fn close_stuck(&mut self, now: Now, number: u32) {
        let room = &self.crowd.rooms[number as usize];
        // Less than an open log may hold, so that nobody who is in the way is overlooked.
        let (end, target) = (
            room.log.end(),
            room.skip_target(self.limits.log_open_bytes() / 2),
        );
        for seat in 0..room.members.len() {
            let slot = self.crowd.rooms[number as usize].members[seat];
            let client = &self.clients[slot as usize];
            let stuck = client
                .session
                .progress_at
                .after(self.limits.slow_timeout_us)
                <= now;
            if stuck && client.outbox.cursor() < target {
                self.too_slow(now, slot, end, SlowPolicy::Close);
            }
        }
    }

    /// How many are in a room, for people.
    pub(super) fn here(&self, number: u32) -> impl fmt::Display + use<> {
        grouped(self.crowd.rooms[number as usize].members.len())
    }
}
