//! One lane as this node reads it: which entry is the next, and which line is the next of each room. So what is missing is
//! counted, exactly, whatever it was that is missing.

use super::limits::NUMBERED_ROOMS_MAX;
use std::collections::BTreeMap;

/// How an entry follows the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is the next one, or the first that is read.
    Next,
    /// There are entries between them that were not read.
    Gap,
    /// It stood before: this is another lane than it was.
    Back,
}

/// A place in a lane.
#[derive(Debug, Default)]
pub struct Numbers {
    /// The sequence number of the next entry.
    next: Option<u64>,
    /// By room, the number of its next line. A room stands in one of the two maps.
    young: BTreeMap<Box<str>, u64>,
    /// Rooms of which nothing has been read since `young` was begun: forgotten when `young` is full.
    old: BTreeMap<Box<str>, u64>,
}

impl Numbers {
    /// An entry has been read.
    pub fn step(&mut self, sequence: u64) -> Step {
        let expected = self.next.replace(sequence.saturating_add(1));
        match expected {
            Some(expected) if expected < sequence => Step::Gap,
            Some(expected) if expected > sequence => Step::Back,
            _ => Step::Next,
        }
    }

    /// `lines` lines of a room have been read, from the number `first` on. Returns how many are missing before them.
    pub fn read(&mut self, room: &str, first: u64, lines: u32) -> u64 {
        let next = first.saturating_add(u64::from(lines));
        if let Some(expected) = self.young.get_mut(room) {
            let missing = first.saturating_sub(*expected);
            *expected = next;
            return missing;
        }
        let expected = self.old.remove(room);
        if self.young.len() >= NUMBERED_ROOMS_MAX / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(room.into(), next);
        expected.map_or(0, |expected| first.saturating_sub(expected))
    }

    /// What is read next is not what would have followed.
    pub fn forget(&mut self) {
        *self = Numbers::default();
    }

    /// Panics if something does not hold that always must.
    pub fn check(&self) {
        assert!(self.young.len() + self.old.len() <= NUMBERED_ROOMS_MAX);
        assert!(self.young.keys().all(|room| !self.old.contains_key(room)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_lines_are_counted_exactly() {
        let mut numbers = Numbers::default();
        assert_eq!(numbers.read("pond", 5, 2), 0); // what was before is history
        assert_eq!(numbers.read("pond", 7, 1), 0);
        assert_eq!(numbers.read("pond", 11, 1), 3);
        assert_eq!(numbers.read("lake", 1, 1), 0);
        assert_eq!(numbers.read("pond", 1, 1), 0); // counted anew
        assert_eq!(numbers.read("pond", 3, 1), 1);
        numbers.check();
    }

    #[test]
    fn a_gap_and_a_step_back_are_told() {
        let mut numbers = Numbers::default();
        assert_eq!(numbers.step(9), Step::Next);
        assert_eq!(numbers.step(10), Step::Next);
        assert_eq!(numbers.step(12), Step::Gap);
        assert_eq!(numbers.step(13), Step::Next);
        assert_eq!(numbers.step(13), Step::Back);
        numbers.forget();
        assert_eq!(numbers.step(2), Step::Next);
    }

    #[test]
    fn rooms_that_are_heard_are_remembered_and_memory_is_bounded() {
        let mut numbers = Numbers::default();
        for turn in 1..=5 {
            numbers.read("pond", turn, 1);
            for room in 0..NUMBERED_ROOMS_MAX / 2 {
                numbers.read(&format!("{turn}-{room}"), 1, 1);
            }
            numbers.check();
        }
        assert_eq!(numbers.read("pond", 9, 1), 3);
        assert_eq!(numbers.read("1-1", 9, 1), 0, "it was forgotten");
    }
}
