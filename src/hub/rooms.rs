//! All rooms: found by name, opened, closed, and kept for their history while they are empty. Knows no client.

use super::client::Role;
use super::likeness::{ByLikeness, Likeness};
use super::limits::Limits;
use super::name::{LOBBY, RoomName, room_name};
use super::room::Room;
use slab::Slab;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The room of all raw connections. It has no name, so nobody can join it.
const RAW_ROOM: u32 = 0;
const LOBBY_ROOM: u32 = 1;
/// Where clients are that are in no room: nothing is said or announced there, and nobody can join it.
const NO_ROOM: u32 = 2;
/// Rooms with smaller numbers exist from start to end.
const ROOMS_PERMANENT: u32 = 3;
/// Rooms that `--max-rooms` does not count: that of raw connections, and [`NO_ROOM`].
const ROOMS_UNCOUNTED: usize = 2;

/// Every room, by its number.
#[derive(Debug)]
pub struct Rooms {
    rooms: Slab<Room>,
    /// Room numbers by their names: every room that has one.
    by_likeness: ByLikeness,
    /// Those of them that have members, in order of their names.
    occupied: BTreeMap<Box<str>, u32>,
    /// The same rooms: how many members each has, and its number.
    by_members: BTreeSet<(u32, u32)>,
    /// Rooms without members that are kept for their history, the one that has been empty for longest first.
    empty: VecDeque<u32>,
    /// Bytes of memory that all logs take.
    log_bytes: usize,
}

impl Rooms {
    /// An empty lobby, and the rooms without a name.
    pub fn new(limits: &Limits) -> Rooms {
        let mut rooms = Slab::new();
        let unnamed = || RoomName {
            name: "".into(),
            likeness: Likeness::of(""),
        };
        let name = room_name(LOBBY).expect("a valid name");
        let mut by_likeness = ByLikeness::default();
        by_likeness.insert(&name.likeness, LOBBY_ROOM);
        let raw = rooms.insert(Room::new(unnamed(), limits));
        let lobby = rooms.insert(Room::new(name, limits));
        let none = rooms.insert(Room::new(unnamed(), limits));
        debug_assert_eq!(
            [raw, lobby, none],
            [RAW_ROOM, LOBBY_ROOM, NO_ROOM].map(|it| it as usize)
        );
        Rooms {
            rooms,
            by_likeness,
            occupied: BTreeMap::new(),
            by_members: BTreeSet::new(),
            empty: VecDeque::new(),
            log_bytes: 0,
        }
    }

    /// Where a newcomer starts.
    pub fn first(role: Role) -> u32 {
        match role {
            Role::Person | Role::NamedOperator | Role::Console => LOBBY_ROOM,
            Role::Raw => RAW_ROOM,
            Role::Operator | Role::Stranger => NO_ROOM,
        }
    }

    /// Whether a client whose room has this number is in no room: it may say nothing, and hears of nobody.
    pub fn is_none(number: u32) -> bool {
        number == NO_ROOM
    }

    /// Whether the room of this number has a name, so that people can be in it.
    pub fn is_named(number: u32) -> bool {
        number != RAW_ROOM && number != NO_ROOM
    }

    /// Whether the room of this number may be locked: newcomers must find an open one.
    pub fn can_be_locked(number: u32) -> bool {
        number >= ROOMS_PERMANENT
    }

    /// The first room from this number on that people are in.
    pub fn next_occupied(&self, from: u32) -> Option<u32> {
        let mut numbers = from..self.rooms.capacity() as u32;
        numbers.find(|&number| {
            let room = self.rooms.get(number as usize);
            Rooms::is_named(number) && room.is_some_and(|room| room.here() > 0)
        })
    }

    /// The room of this number, which exists: a client is in it, or `find` or `open` has just returned it.
    pub fn get(&self, number: u32) -> &Room {
        &self.rooms[number as usize]
    }

    /// The room of this number, if there is one.
    pub fn existing(&self, number: u32) -> Option<&Room> {
        self.rooms.get(number as usize)
    }

    /// Whether there is a room of this number that is called so, to the letter.
    pub fn is_called(&self, number: u32, name: &str) -> bool {
        self.existing(number)
            .is_some_and(|room| *room.name == *name)
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, number: u32) -> &mut Room {
        &mut self.rooms[number as usize]
    }

    /// The same, and the count of the bytes that all logs take, which is to be kept up to date.
    pub fn get_counted(&mut self, number: u32) -> (&mut Room, &mut usize) {
        (&mut self.rooms[number as usize], &mut self.log_bytes)
    }

    /// The number of the room that has this name or one that looks like it. If there are two, in which the same letters of
    /// other scripts differ, that whose name differs in case only.
    pub fn find(&self, name: &RoomName) -> Option<u32> {
        self.by_likeness.alike(&name.likeness).next()
    }

    /// The number of the room of this name, which is opened if it does not exist. It may replace an empty one that is kept
    /// for its history; `None` when all have members.
    pub fn open(&mut self, name: RoomName, limits: &Limits) -> Option<u32> {
        if let Some(number) = self.find(&name) {
            return Some(number);
        }
        if self.rooms.len() >= limits.rooms_max + ROOMS_UNCOUNTED {
            let oldest = self.empty.pop_front()?;
            self.close(oldest);
        }
        if self.rooms.len() >= limits.rooms_max + ROOMS_UNCOUNTED {
            // The limit has been lowered, and not all that are too many are closed yet.
            return None;
        }
        let likeness = name.likeness.clone();
        let number = self.rooms.insert(Room::new(name, limits)) as u32;
        self.by_likeness.insert(&likeness, number);
        Some(number)
    }

    /// The same of a room that does not exist, and in which nobody is: it is kept for what is said in it.
    pub fn open_for_history(&mut self, name: RoomName, limits: &Limits) -> Option<u32> {
        let number = self.open(name, limits)?;
        self.empty.push_back(number);
        Some(number)
    }

    /// A room has its first member.
    pub fn occupied(&mut self, number: u32) {
        self.empty.retain(|&empty| empty != number);
        if Rooms::is_named(number) {
            let form = self.get(number).likeness.folded().into();
            self.occupied.insert(form, number);
        }
    }

    /// A room has had so many members, and has a different number now.
    pub fn resized(&mut self, number: u32, before: usize) {
        if !Rooms::is_named(number) {
            return;
        }
        self.by_members.remove(&(before as u32, number));
        let members = self.get(number).here();
        if members > 0 {
            self.by_members.insert((members as u32, number));
        }
    }

    /// A room has lost its last member: it is kept as long as it has a history and nothing needs its place. A room that only
    /// invitations open is not kept, since nobody could enter it any more; of others the lock stays.
    pub fn vacated(&mut self, number: u32, limits: &Limits) {
        let room = &mut self.rooms[number as usize];
        self.log_bytes -= room.log.memory_bytes();
        room.vacate();
        self.log_bytes += room.log.memory_bytes();
        if Rooms::is_named(number) {
            self.occupied.remove(room.likeness.folded());
        }
        if number < ROOMS_PERMANENT {
            return;
        }
        let can_be_entered = self
            .get(number)
            .lock
            .as_ref()
            .is_none_or(|lock| lock.has_secret());
        if limits.history_lines > 0 && can_be_entered {
            self.empty.push_back(number);
        } else {
            self.close(number);
        }
    }

    /// Closes a room that is kept for its history, if none is to be kept or there are too many rooms. False: none is left.
    pub fn close_spare(&mut self, limits: &Limits) -> bool {
        let is_spare = limits.history_lines == 0 || !self.fits(limits);
        let spare = self.empty.pop_front_if(|_| is_spare);
        if let Some(number) = spare {
            self.close(number);
        }
        spare.is_some()
    }

    /// The first room whose number is in `from..to`.
    pub fn next_from(&self, from: u32, to: u32) -> Option<u32> {
        let mut numbers = from..to.min(self.capacity());
        numbers.find(|&number| self.rooms.contains(number as usize))
    }

    /// No room has this number or a greater one.
    pub fn capacity(&self) -> u32 {
        self.rooms.capacity() as u32
    }

    fn close(&mut self, number: u32) {
        let room = self.rooms.remove(number as usize);
        self.log_bytes -= room.log.memory_bytes();
        self.by_likeness.remove(&room.likeness);
    }

    /// The rooms that have a name and members, in order of their names without regard to case.
    pub fn list(&self) -> impl ExactSizeIterator<Item = &Room> {
        self.occupied.values().map(|&number| self.get(number))
    }

    /// Every room with its number.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Room)> {
        self.rooms
            .iter()
            .map(|(number, room)| (number as u32, room))
    }

    /// Whether there are no more rooms than these limits allow.
    pub fn fits(&self, limits: &Limits) -> bool {
        self.rooms.len() <= limits.rooms_max + ROOMS_UNCOUNTED
    }

    /// How many rooms there are.
    pub fn len(&self) -> usize {
        self.rooms.len()
    }

    /// How many rooms have a name and members.
    pub fn occupied_len(&self) -> usize {
        self.occupied.len()
    }

    /// The rooms that have a name and members, the largest first.
    pub fn largest(&self) -> impl Iterator<Item = &Room> {
        let by_members = self.by_members.iter().rev();
        by_members.map(|&(_, number)| self.get(number))
    }

    /// Bytes of memory that all logs take, but for their marks of ignored persons.
    pub fn log_bytes(&self) -> usize {
        self.log_bytes
    }

    /// Bytes of memory that all logs and locks take. Looks at every room.
    pub fn memory_bytes(&self) -> usize {
        let others = self.iter().map(|(_, room)| {
            let lock = room.lock.as_ref().map_or(0, |lock| lock.memory_bytes());
            room.log.marks().memory_bytes() + lock
        });
        self.log_bytes + others.sum::<usize>()
    }

    /// Panics if an invariant is broken. For tests: looks at everything.
    pub fn check<'a>(&self, rooms_max: usize, limits_of: impl Fn(u32) -> &'a Limits) {
        assert!(self.len() <= rooms_max + ROOMS_UNCOUNTED);
        let named = || self.iter().filter(|&(number, _)| Rooms::is_named(number));
        for (number, room) in named() {
            let found: Vec<u32> = self.by_likeness.alike(&room.likeness).collect();
            assert_eq!(found, vec![number; room.likeness.forms().count()]);
            let is_listed = self.occupied.get(room.likeness.folded()) == Some(&number);
            assert_eq!(is_listed, room.here() > 0);
        }
        let forms = named().map(|(_, room)| room.likeness.forms().count());
        assert_eq!(self.by_likeness.len(), forms.sum::<usize>());
        assert!(self.occupied.len() < self.len());
        let with_members = named().filter(|(_, room)| room.here() > 0);
        let sizes = with_members.map(|(number, room)| (room.here() as u32, number));
        assert_eq!(sizes.collect::<BTreeSet<_>>(), self.by_members);
        let log_bytes = self.iter().map(|(_, room)| room.log.memory_bytes());
        assert_eq!(log_bytes.sum::<usize>(), self.log_bytes);
        assert_eq!(self.get(NO_ROOM).log.end(), 0, "nothing is said in no room");
        for (number, room) in self.iter() {
            room.check(limits_of(number));
            let is_kept = self.empty.iter().filter(|&&empty| empty == number).count();
            assert!(room.lock.is_none() || Rooms::can_be_locked(number));
            let is_empty = number >= ROOMS_PERMANENT && room.here() == 0;
            assert_eq!(is_kept, usize::from(is_empty), "room {number}");
        }
    }
}
