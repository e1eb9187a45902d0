//! All rooms: found by name, opened, closed, and kept for their history while they are empty. Knows no client.

use super::client::Role;
use super::likeness::{ByLikeness, Likeness};
use super::limits::Limits;
use super::name::{LOBBY, RoomName, room_name};
use super::room::Room;
use slab::Slab;
use std::collections::{BTreeMap, VecDeque};

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
    /// Rooms without members that are kept for their history, the one that has been empty for longest first.
    empty: VecDeque<u32>,
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
            empty: VecDeque::new(),
        }
    }

    /// Where a newcomer starts.
    pub fn first(role: Role) -> u32 {
        match role {
            Role::Person | Role::Console => LOBBY_ROOM,
            Role::Raw => RAW_ROOM,
            Role::Operator => NO_ROOM,
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

    /// The first room from this number on that people are in.
    pub fn next_occupied(&self, from: u32) -> Option<u32> {
        let mut numbers = from..self.rooms.capacity() as u32;
        numbers.find(|&number| {
            let room = self.rooms.get(number as usize);
            Rooms::is_named(number) && room.is_some_and(|room| !room.members.is_empty())
        })
    }

    /// The room of this number, which exists: a client is in it, or `find` or `open` has just returned it.
    pub fn get(&self, number: u32) -> &Room {
        &self.rooms[number as usize]
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, number: u32) -> &mut Room {
        &mut self.rooms[number as usize]
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
        let likeness = name.likeness.clone();
        let number = self.rooms.insert(Room::new(name, limits)) as u32;
        self.by_likeness.insert(&likeness, number);
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

    /// A room has lost its last member: it is kept as long as it has a history and nothing needs its place.
    pub fn vacated(&mut self, number: u32, limits: &Limits) {
        let room = &mut self.rooms[number as usize];
        room.vacate();
        if Rooms::is_named(number) {
            self.occupied.remove(room.likeness.folded());
        }
        if number < ROOMS_PERMANENT {
            return;
        }
        if limits.history_lines > 0 {
            self.empty.push_back(number);
        } else {
            self.close(number);
        }
    }

    fn close(&mut self, number: u32) {
        let room = self.rooms.remove(number as usize);
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

    /// How many rooms there are.
    pub fn len(&self) -> usize {
        self.rooms.len()
    }

    /// Bytes of memory that all logs take.
    pub fn memory_bytes(&self) -> usize {
        self.iter().map(|(_, room)| room.log.memory_bytes()).sum()
    }

    /// Panics if an invariant is broken. For tests: looks at everything.
    pub fn check(&self, limits: &Limits) {
        assert!(self.len() <= limits.rooms_max + ROOMS_UNCOUNTED);
        let named = || self.iter().filter(|&(number, _)| Rooms::is_named(number));
        for (number, room) in named() {
            let found: Vec<u32> = self.by_likeness.alike(&room.likeness).collect();
            assert_eq!(found, vec![number; room.likeness.forms().count()]);
            let is_listed = self.occupied.get(room.likeness.folded()) == Some(&number);
            assert_eq!(is_listed, !room.members.is_empty());
        }
        let forms = named().map(|(_, room)| room.likeness.forms().count());
        assert_eq!(self.by_likeness.len(), forms.sum::<usize>());
        assert!(self.occupied.len() < self.len());
        assert_eq!(self.get(NO_ROOM).log.end(), 0, "nothing is said in no room");
        for (number, room) in self.iter() {
            room.check(limits);
            let is_kept = self.empty.iter().filter(|&&empty| empty == number).count();
            let is_empty = number >= ROOMS_PERMANENT && room.members.is_empty();
            assert_eq!(is_kept, usize::from(is_empty), "room {number}");
        }
    }
}
