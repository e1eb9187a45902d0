//! People who are on other nodes: what each is called, and in which room it is. Knows no client of this node.
//!
//! Where a person's slot is asked for, those of other nodes have a number that is no slot: names are found by it, and it says
//! who is ignored.

use crate::hub::link::item::PersonId;
use crate::hub::name::Name;
use slab::Slab;
use std::collections::{BTreeMap, BTreeSet};

/// Numbers from here on are no slots: no server has so many connections.
const ELSEWHERE: u32 = 1 << 31;

/// Whether this is the number of a person on another node, and not a slot.
pub fn is_elsewhere(number: u32) -> bool {
    number >= ELSEWHERE
}

/// A person on another node; or one that has left this one, until all nodes know.
#[derive(Debug)]
pub struct Person {
    pub id: PersonId,
    pub name: Name,
    /// The number of its room; `None`: it is in none.
    pub room: Option<u32>,
}

/// All of them.
#[derive(Debug, Default)]
pub struct People {
    people: Slab<Person>,
    by_id: BTreeMap<PersonId, u32>,
    /// Rooms, and who is in them.
    by_room: BTreeSet<(u32, u32)>,
}

impl People {
    /// The number that the next person will have.
    pub fn next_number(&self) -> u32 {
        ELSEWHERE + self.people.vacant_key() as u32
    }

    /// A person has come, and is in no room yet.
    pub fn add(&mut self, id: PersonId, name: Name) -> u32 {
        let room = None;
        let number = ELSEWHERE + self.people.insert(Person { id, name, room }) as u32;
        self.by_id.insert(id, number);
        number
    }

    /// A person has left. It must be in no room.
    pub fn remove(&mut self, number: u32) -> Person {
        let person = self.people.remove((number - ELSEWHERE) as usize);
        debug_assert!(person.room.is_none());
        self.by_id.remove(&person.id);
        person
    }

    /// A person goes to another room, or to none. Returns where it was.
    pub fn move_to(&mut self, number: u32, room: Option<u32>) -> Option<u32> {
        let person = &mut self.people[(number - ELSEWHERE) as usize];
        let before = std::mem::replace(&mut person.room, room);
        if let Some(room) = before {
            self.by_room.remove(&(room, number));
        }
        if let Some(room) = room {
            self.by_room.insert((room, number));
        }
        before
    }

    /// The person of this number, if there is one.
    pub fn get(&self, number: u32) -> Option<&Person> {
        self.people.get(number.checked_sub(ELSEWHERE)? as usize)
    }

    /// A person has another name.
    pub fn rename(&mut self, number: u32, name: Name) {
        if let Some(person) = self.people.get_mut((number - ELSEWHERE) as usize) {
            person.name = name;
        }
    }

    /// The number of a person.
    pub fn find(&self, id: PersonId) -> Option<u32> {
        self.by_id.get(&id).copied()
    }

    /// Who is in a room.
    pub fn in_room(&self, room: u32) -> impl Iterator<Item = &Person> {
        let numbers = self.by_room.range((room, 0)..=(room, u32::MAX));
        numbers.filter_map(|&(_, number)| self.get(number))
    }

    /// Everybody of a node.
    pub fn of_node(&self, node: u16) -> Vec<u32> {
        let first = PersonId {
            node,
            connection: 0,
        };
        let last = PersonId {
            node,
            connection: u64::MAX,
        };
        let range = self.by_id.range(first..=last);
        range.map(|(_, &number)| number).collect()
    }

    /// Everybody, in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Person)> {
        let numbers = self.by_id.values();
        numbers.filter_map(|&number| Some((number, self.get(number)?)))
    }

    /// Panics if an invariant is broken. For tests: looks at everything.
    pub fn check(&self) {
        assert_eq!(self.by_id.len(), self.people.len());
        let in_rooms = self.iter().filter(|(_, person)| person.room.is_some());
        assert_eq!(in_rooms.count(), self.by_room.len());
        for (number, person) in self.iter() {
            assert!(is_elsewhere(number));
            let room = person.room;
            assert!(room.is_none_or(|room| self.by_room.contains(&(room, number))));
        }
    }
}
