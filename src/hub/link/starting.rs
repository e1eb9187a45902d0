//! A node that has started and does not know yet what the others know: what it keeps of the directory meanwhile, and what it has
//! been told.

use super::contract::Entry;
use super::items;
use super::limits::{KEPT_BYTES_MAX, KEPT_ENTRIES_MAX};
use super::nodes::{Node, Nodes};
use super::types::OwnedEntry;
use std::collections::VecDeque;

/// What a node that has started knows.
#[derive(Debug, Default)]
pub struct Starting {
    /// Nodes that were there before, with their incarnations.
    pub others: Vec<(u16, u64)>,
    /// The sequence number of this node's first entry, once it has been read.
    pub since: Option<u64>,
    /// Entries of the directory after that, in their order.
    kept: VecDeque<OwnedEntry>,
    /// Of their payloads.
    kept_bytes: usize,
    told: Option<Told>,
}

/// What another node has told so far.
#[derive(Debug)]
struct Told {
    by: u64,
    /// Of all that is known after this entry.
    after: u64,
    nodes: Vec<Node>,
}

/// A part of a snapshot.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    /// The incarnation that tells it.
    pub by: u64,
    /// See [`Item::Snapshot`](super::item::Item::Snapshot).
    pub after: u64,
    /// … of it too.
    pub facts: &'a [u8],
}

impl Starting {
    /// An incarnation has been opened; `others` were open then.
    pub fn new(others: Vec<(u16, u64)>) -> Starting {
        Starting {
            others,
            ..Starting::default()
        }
    }

    /// Keeps an entry; false: there are too many.
    #[must_use]
    pub fn keep(&mut self, entry: &Entry<'_>) -> bool {
        self.kept_bytes += entry.payload.len();
        self.kept.push_back(OwnedEntry::of(entry));
        self.kept.len() <= KEPT_ENTRIES_MAX && self.kept_bytes <= KEPT_BYTES_MAX
    }

    /// Takes a part of what another node knows. Returns whether it is the first one.
    pub fn take_part(&mut self, part: Part<'_>) -> bool {
        let Part { by, after, facts } = part;
        let is_next = |told: &Told| (told.by, told.after) == (by, after);
        let is_first = !self.told.as_ref().is_some_and(is_next);
        if is_first {
            let nodes = Vec::new();
            self.told = Some(Told { by, after, nodes });
            // Those before it will not be needed.
            while self.kept.front().is_some_and(|it| it.sequence <= after) {
                let entry = self.kept.pop_front().expect("it is there");
                self.kept_bytes -= entry.payload.len();
            }
        }
        let told = self.told.as_mut().expect("it is there now");
        for fact in items::facts(facts).map_while(Result::ok) {
            Nodes::add_fact(&mut told.nodes, &fact);
        }
        is_first
    }

    /// All has been told: the nodes, and the entries since.
    pub fn finish(self) -> (Vec<Node>, VecDeque<OwnedEntry>) {
        let nodes = self.told.map_or(Vec::new(), |told| told.nodes);
        (nodes, self.kept)
    }

    /// Panics if something does not hold that always must.
    pub fn check(&self) {
        let bytes: usize = self.kept.iter().map(|it| it.payload.len()).sum();
        assert_eq!(bytes, self.kept_bytes);
        assert!(self.kept.len() <= KEPT_ENTRIES_MAX && bytes <= KEPT_BYTES_MAX);
        let sequences: Vec<_> = self.kept.iter().map(|it| it.sequence).collect();
        assert!(sequences.windows(2).all(|pair| pair[0] + 1 == pair[1]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::link::contract::Lane;

    fn keep(starting: &mut Starting, sequence: u64, payload: &[u8]) -> bool {
        starting.keep(&Entry {
            lane: Lane::DIRECTORY,
            sequence,
            incarnation: 1,
            number: 1,
            first_numbers: &[],
            payload,
        })
    }

    #[test]
    fn what_was_told_by_one_that_is_gone_is_told_again_by_another() {
        let mut starting = Starting::new(Vec::new());
        let part = |by, after| Part {
            by,
            after,
            facts: &[],
        };
        for sequence in 5..10 {
            assert!(keep(&mut starting, sequence, b"x"));
        }
        assert!(starting.take_part(part(1, 6)));
        assert!(!starting.take_part(part(1, 6)));
        starting.check();
        assert!(starting.take_part(part(2, 8)), "the first of another");
        starting.check();
        let (nodes, kept) = starting.finish();
        assert!(nodes.is_empty());
        assert!(kept.iter().map(|it| it.sequence).eq([9]));
    }

    #[test]
    fn no_more_is_kept_than_allowed() {
        let mut starting = Starting::new(Vec::new());
        let large = vec![0; KEPT_BYTES_MAX / 4];
        assert!((1..=4).all(|sequence| keep(&mut starting, sequence, &large)));
        starting.check();
        assert!(!keep(&mut starting, 5, b"x"));
        let mut starting = Starting::new(Vec::new());
        let entries = KEPT_ENTRIES_MAX as u64;
        assert!((1..=entries).all(|sequence| keep(&mut starting, sequence, b"")));
        assert!(!keep(&mut starting, entries + 1, b""));
    }
}
