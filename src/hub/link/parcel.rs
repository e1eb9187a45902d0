//! What is gathered for one entry of a lane: its payload, and the rooms whose lines are in it.

use super::item::Item;
use super::items;
use super::limits::{BATCH_ROOMS_MAX, ITEMS_MAX, PAYLOAD_BYTES_MAX};

/// The contents of a batch to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parcel {
    /// Rooms with lines in the payload, each once, and how many lines; by `nth`.
    rooms: Vec<(Box<str>, u32)>,
    /// The same rooms by the hashes of their names: sorted pairs of a hash and an `nth`.
    by_hash: Vec<(u32, u16)>,
    /// The room of the last items.
    room: Option<u16>,
    payload: Vec<u8>,
    /// In the payload: at most [`ITEMS_MAX`].
    items: usize,
}

impl Parcel {
    /// Whether nothing more is to be gathered here.
    pub fn is_full(&self) -> bool {
        self.payload.len() >= PAYLOAD_BYTES_MAX
            || self.rooms.len() >= BATCH_ROOMS_MAX
            // A line may need the item of its room before it.
            || self.items + 2 > ITEMS_MAX
    }

    /// Bytes that it holds.
    pub fn bytes(&self) -> usize {
        self.payload.len()
    }

    /// The rooms, for the engine.
    pub fn rooms(&self) -> &[(Box<str>, u32)] {
        &self.rooms
    }

    /// The payload.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// Appends an item that is of no room.
    pub fn push(&mut self, item: &Item<'_>) {
        items::write(item, &mut self.payload);
        self.items += 1;
    }

    /// Appends a line of a room; `hash` is that of its name.
    pub fn line(&mut self, room: &str, hash: u32, author: u64, render: impl FnOnce(&mut Vec<u8>)) {
        self.enter(room, hash);
        items::write_line(author, render, &mut self.payload);
        self.items += 1;
    }

    /// Appends an item that is a line of a room.
    pub fn line_item(&mut self, room: &str, hash: u32, item: &Item<'_>) {
        self.enter(room, hash);
        self.push(item);
    }

    /// The next item is a line of this room.
    fn enter(&mut self, room: &str, hash: u32) {
        let present = self.room.filter(|&nth| self.is_named(nth, room));
        let nth = present.unwrap_or_else(|| {
            let nth = self.find(room, hash);
            let nth = nth.unwrap_or_else(|| self.add(room, hash));
            self.room = Some(nth);
            self.push(&Item::Room { nth, name: room });
            nth
        });
        self.rooms[usize::from(nth)].1 += 1;
    }

    fn is_named(&self, nth: u16, room: &str) -> bool {
        *self.rooms[usize::from(nth)].0 == *room
    }

    fn find(&self, room: &str, hash: u32) -> Option<u16> {
        let from = self.by_hash.partition_point(|&(other, _)| other < hash);
        let alike = self.by_hash[from..].iter();
        let mut alike = alike.take_while(|&&(other, _)| other == hash);
        let found = alike.find(|&&(_, nth)| self.is_named(nth, room));
        found.map(|&(_, nth)| nth)
    }

    fn add(&mut self, room: &str, hash: u32) -> u16 {
        let nth = u16::try_from(self.rooms.len()).expect("no batch has so many rooms");
        self.rooms.push((room.into(), 0));
        let at = self
            .by_hash
            .partition_point(|&known| known <= (hash, u16::MAX));
        self.by_hash.insert(at, (hash, nth));
        nth
    }

    /// Panics if something does not hold that always must.
    pub fn check(&self) {
        assert_eq!(self.rooms.len(), self.by_hash.len());
        assert!(self.by_hash.is_sorted());
        assert!(self.items <= ITEMS_MAX);
        assert!(self.rooms.iter().all(|&(_, lines)| lines > 0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(room: &str) -> u32 {
        crc32fast::hash(room.as_bytes())
    }

    #[test]
    fn a_room_is_named_when_it_changes_and_its_lines_are_counted() {
        let mut parcel = Parcel::default();
        for (room, text) in [
            ("pond", "a\n"),
            ("pond", "b\n"),
            ("lake", "c\n"),
            ("pond", "d\n"),
        ] {
            parcel.line(room, hash(room), 7, |out| {
                out.extend_from_slice(text.as_bytes())
            });
            parcel.check();
        }
        let line = |line| Item::Line { author: 7, line };
        let room = |nth, name| Item::Room { nth, name };
        let read: Vec<_> = items::items(parcel.payload()).collect();
        let expected = [
            room(0, "pond"),
            line(b"a\n"),
            line(b"b\n"),
            room(1, "lake"),
            line(b"c\n"),
            room(0, "pond"),
            line(b"d\n"),
        ];
        assert_eq!(read, expected.map(Ok));
        assert_eq!(parcel.rooms(), [("pond".into(), 3), ("lake".into(), 1)]);
    }

    #[test]
    fn names_of_the_same_hash_are_different_rooms() {
        let mut parcel = Parcel::default();
        for room in ["a", "b", "c", "b", "a"] {
            parcel.line(room, 5, 0, |out| out.push(b'\n'));
            parcel.check();
        }
        let rooms = [("a".into(), 2), ("b".into(), 2), ("c".into(), 1)];
        assert_eq!(parcel.rooms(), rooms);
    }

    #[test]
    fn a_parcel_is_full_at_each_of_its_limits() {
        let mut bytes = Parcel::default();
        bytes.line("pond", 1, 0, |out| {
            out.resize(out.len() + PAYLOAD_BYTES_MAX, b'x')
        });
        assert!(bytes.is_full());
        let mut rooms = Parcel::default();
        let mut count = 0;
        while !rooms.is_full() {
            let name = format!("room{count}");
            rooms.line(&name, hash(&name), 0, |out| out.push(b'\n'));
            count += 1;
        }
        rooms.check();
        assert_eq!(count, BATCH_ROOMS_MAX);
        let mut items = Parcel::default();
        let mut count = 0;
        while !items.is_full() {
            items.push(&Item::Ready);
            count += 1;
        }
        items.check();
        assert!(count > ITEMS_MAX - 2 && count <= ITEMS_MAX);
    }
}
