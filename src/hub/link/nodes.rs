//! Which nodes there are, as the directory says: who is ready, and who is dead. Nobody's clock decides that: it follows from the
//! entries alone, so all nodes agree.

use super::contract::{Batch, Entry};
use super::item::{Fact, Item};
use super::items;
use super::limits::{DEPARTED_MAX, NODES_MAX, SILENT_ALIVES_MAX};
use super::types::{NodeFigures, Why};
use std::collections::VecDeque;

/// A node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its number.
    pub number: u16,
    /// Its incarnation.
    pub incarnation: u64,
    /// Its name; empty while this node only knows that it is there.
    pub name: String,
    /// When it became ready, in an order that all nodes share; `None`: it is not.
    ready: Option<u64>,
    /// The sequence number of its last entry in the directory; of one that may have appended nothing since this node has
    /// started: that of this node's first.
    last: u64,
    /// How many times this node has been alive since.
    silent_alives: u8,
    /// It has been told all that is known.
    is_answered: bool,
    /// This node was asked to tell it.
    is_asked: bool,
    /// It was there before this node started.
    is_before: bool,
}

impl Node {
    fn new(number: u16, incarnation: u64, name: &str, last: u64) -> Node {
        Node {
            number,
            incarnation,
            name: name.to_owned(),
            ready: None,
            last,
            silent_alives: 0,
            is_answered: false,
            is_asked: false,
            is_before: false,
        }
    }
}

/// What follows from an entry of the directory.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Its node is one that is there, so it counts.
    pub is_known: bool,
    /// It has items for the hub.
    pub is_for_hub: bool,
    /// It has a part of a snapshot.
    pub has_snapshot: bool,
    /// This node is ready with it.
    pub is_own_ready: bool,
    /// This node has been alive with it.
    pub is_own_alive: bool,
    /// It cannot be read to its end.
    pub is_malformed: bool,
    /// Nodes that are dead after it.
    pub deaths: Vec<(Node, Why)>,
}

/// All nodes.
#[derive(Debug, Default)]
pub struct Nodes {
    /// In the order in which they have started, as far as this node knows; at most [`NODES_MAX`], each incarnation once, each
    /// number once but for those of before.
    list: Vec<Node>,
    /// Incarnations that have ended, with the numbers of their nodes; the latest last.
    departed: VecDeque<(u64, u16)>,
}

impl Nodes {
    /// This node's first entry has been read; `others` were there before it.
    pub fn begin(&mut self, others: &[(u16, u64)], own_number: u16, sequence: u64) {
        debug_assert!(self.list.is_empty());
        for &(number, incarnation) in others.iter().take(NODES_MAX) {
            // Several may be of one node: which of them has ended is not known here until they are closed, or silent. Of this
            // node's own all have.
            if number != own_number && !self.has(incarnation) {
                let mut node = Node::new(number, incarnation, "", sequence);
                node.is_before = true;
                self.list.push(node);
            }
        }
    }

    /// Takes what another node has told of all nodes. Returns incarnations that are open, but have ended before.
    pub fn take(&mut self, told: Vec<Node>) -> Vec<u64> {
        let known = std::mem::replace(&mut self.list, told);
        let ended = |node: &&Node| node.is_before && !self.has(node.incarnation);
        known
            .iter()
            .filter(ended)
            .map(|it| it.incarnation)
            .collect()
    }

    /// Nothing is known of any node any more.
    pub fn clear(&mut self) {
        for node in std::mem::take(&mut self.list) {
            self.depart(&node);
        }
    }

    fn depart(&mut self, node: &Node) {
        if self.departed.len() == DEPARTED_MAX {
            self.departed.pop_front();
        }
        self.departed.push_back((node.incarnation, node.number));
    }

    fn get_mut(&mut self, incarnation: u64) -> Option<&mut Node> {
        let mut nodes = self.list.iter_mut();
        nodes.find(|node| node.incarnation == incarnation)
    }

    /// Whether an incarnation is there.
    pub fn has(&self, incarnation: u64) -> bool {
        self.list.iter().any(|node| node.incarnation == incarnation)
    }

    /// The number of an incarnation's node; 0 if this node does not know it.
    pub fn number_of(&self, incarnation: u64) -> u16 {
        let present = self.list.iter().map(|node| (node.incarnation, node.number));
        let mut all = present.chain(self.departed.iter().rev().copied());
        let found = all.find(|&(other, _)| other == incarnation);
        found.map_or(0, |(_, number)| number)
    }

    /// The incarnation of a node; 0 if there is none of this number.
    pub fn incarnation_of(&self, number: u16) -> u64 {
        let mut nodes = self.list.iter();
        let found = nodes.find(|node| node.number == number);
        found.map_or(0, |node| node.incarnation)
    }

    /// Whether an incarnation is ready.
    pub fn is_ready(&self, incarnation: u64) -> bool {
        let mut nodes = self.list.iter();
        nodes.any(|node| node.incarnation == incarnation && node.ready.is_some())
    }

    /// Whether an incarnation other than this one is ready.
    pub fn has_other_ready(&self, incarnation: u64) -> bool {
        let mut nodes = self.list.iter();
        nodes.any(|node| node.incarnation != incarnation && node.ready.is_some())
    }

    /// Whether a node is there that was there before this one.
    pub fn has_before(&self) -> bool {
        self.list.iter().any(|node| node.is_before)
    }

    /// Reads an entry of the directory; `own` is this node's incarnation.
    pub fn read(&mut self, own: u64, entry: &Entry<'_>) -> Verdict {
        let mut verdict = Verdict::default();
        if entry.number == 0 {
            self.start(entry, &mut verdict);
        }
        let Some(node) = self.get_mut(entry.incarnation) else {
            return verdict;
        };
        (node.last, node.silent_alives) = (entry.sequence, 0);
        verdict.is_known = true;
        for item in items::items(entry.payload) {
            match item {
                Ok(item) => self.read_item(own, entry, &item, &mut verdict),
                Err(_) => verdict.is_malformed = true,
            }
        }
        if entry.number == Batch::LAST {
            self.remove(Why::Closed, &mut verdict, |node| {
                node.incarnation == entry.incarnation
            });
        }
        verdict
    }

    fn read_item(&mut self, own: u64, entry: &Entry<'_>, item: &Item<'_>, verdict: &mut Verdict) {
        let author = entry.incarnation;
        match item {
            Item::Started { .. } => {}
            Item::Ready => {
                if let Some(node) = self.get_mut(author) {
                    node.ready.get_or_insert(entry.sequence);
                    verdict.is_own_ready |= author == own;
                }
            }
            Item::Stopped => self.remove(Why::Stopped, verdict, |node| node.incarnation == author),
            Item::Alive { silent } => {
                self.remove(Why::Silent, verdict, |node| {
                    let key = node.incarnation;
                    key != author && silent.iter().any(|it| it.0 == key && node.last <= it.1)
                });
                if author == own {
                    verdict.is_own_alive = true;
                    let others = self.list.iter_mut().filter(|node| node.incarnation != own);
                    others
                        .for_each(|node| node.silent_alives = node.silent_alives.saturating_add(1));
                }
            }
            Item::Snapshot {
                incarnation,
                is_last,
                ..
            } => {
                verdict.has_snapshot = true;
                if *is_last && let Some(node) = self.get_mut(*incarnation) {
                    node.is_answered = true;
                }
            }
            _ => verdict.is_for_hub = true,
        }
    }

    /// A node has started: the first entry of an incarnation.
    fn start(&mut self, entry: &Entry<'_>, verdict: &mut Verdict) {
        let first = items::items(entry.payload).next();
        let number = entry.first_numbers.first().map(|&it| u16::try_from(it));
        if let (Some(Ok(Item::Started { name })), Some(Ok(number))) = (first, number)
            && !self.has(entry.incarnation)
        {
            self.remove(Why::Replaced, verdict, |node| node.number == number);
            if self.list.len() < NODES_MAX {
                let node = Node::new(number, entry.incarnation, name, entry.sequence);
                self.list.push(node);
            }
        }
    }

    fn remove(&mut self, why: Why, verdict: &mut Verdict, is_dead: impl Fn(&Node) -> bool) {
        while let Some(at) = self.list.iter().position(&is_dead) {
            let node = self.list.remove(at);
            self.depart(&node);
            verdict.deaths.push((node, why));
        }
    }

    /// The next incarnation to which this node is to tell all that is known: it has been ready for longest.
    pub fn take_unanswered(&mut self, own: u64) -> Option<u64> {
        let ready = self.list.iter().filter(|node| node.ready.is_some());
        let eldest = ready.min_by_key(|node| node.ready)?;
        if eldest.incarnation != own {
            return None;
        }
        let mut nodes = self.list.iter_mut();
        let node =
            nodes.find(|node| node.ready.is_none() && !node.is_answered && !node.is_asked)?;
        node.is_asked = true;
        Some(node.incarnation)
    }

    /// Which nodes this one holds for dead, when it is alive once more, and since which entry.
    pub fn silent(&self, own: u64) -> Vec<(u64, u64)> {
        let others = self.list.iter().filter(|node| node.incarnation != own);
        let silent = others.filter(|node| node.silent_alives + 1 >= SILENT_ALIVES_MAX);
        silent.map(|node| (node.incarnation, node.last)).collect()
    }

    /// All nodes, as facts: first those that are ready, in the order in which they have become so.
    pub fn facts(&self) -> Vec<Fact<'_>> {
        let mut nodes: Vec<_> = self.list.iter().collect();
        nodes.sort_by_key(|node| node.ready.unwrap_or(u64::MAX));
        let facts = nodes.into_iter().map(|node| Fact::Node {
            node: node.number,
            incarnation: node.incarnation,
            name: &node.name,
            is_ready: node.ready.is_some(),
            last: node.last,
        });
        facts.collect()
    }

    /// Adds a node that another one has told of to those that it has told of before; anything else than a node is passed over.
    pub fn add_fact(told: &mut Vec<Node>, fact: &Fact<'_>) {
        if let &Fact::Node {
            node: number,
            incarnation,
            name,
            is_ready,
            last,
        } = fact
            && told.len() < NODES_MAX
            && !told
                .iter()
                .any(|it| it.incarnation == incarnation || it.number == number)
        {
            let mut node = Node::new(number, incarnation, name, last);
            // Each of them has appended an entry before any that follows: so their order is before those numbers.
            node.ready = is_ready.then_some(told.len() as u64);
            told.push(node);
        }
    }

    /// For operators.
    pub fn figures(&self) -> Vec<NodeFigures> {
        let figures = |node: &Node| NodeFigures {
            node: node.number,
            name: node.name.clone(),
            is_ready: node.ready.is_some(),
            silent_alives: node.silent_alives,
        };
        self.list.iter().map(figures).collect()
    }

    /// Panics if something does not hold that always must.
    pub fn check(&self) {
        assert!(self.list.len() <= NODES_MAX && self.departed.len() <= DEPARTED_MAX);
        for (at, node) in self.list.iter().enumerate() {
            for other in &self.list[at + 1..] {
                assert_ne!(node.incarnation, other.incarnation);
                assert!(node.number != other.number || node.is_before && other.is_before);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::link::contract::Lane;

    /// Reads an entry of one item, as the node of incarnation 1.
    fn read(nodes: &mut Nodes, sequence: u64, incarnation: u64, item: Item<'_>) -> Verdict {
        let mut payload = Vec::new();
        items::write(&item, &mut payload);
        let is_first = matches!(item, Item::Started { .. });
        let first_numbers = [incarnation % 10];
        let verdict = nodes.read(
            1,
            &Entry {
                lane: Lane::DIRECTORY,
                sequence,
                incarnation,
                number: u64::from(!is_first),
                first_numbers: &first_numbers[..usize::from(is_first)],
                payload: &payload,
            },
        );
        nodes.check();
        verdict
    }

    fn alive(silent: &[(u64, u64)]) -> Item<'static> {
        let silent = silent.to_vec();
        Item::Alive { silent }
    }

    fn deaths(verdict: Verdict) -> Vec<(u64, Why)> {
        let deaths = verdict.deaths.into_iter();
        deaths.map(|(node, why)| (node.incarnation, why)).collect()
    }

    fn started(nodes: &mut Nodes, incarnations: &[u64]) {
        for (sequence, &incarnation) in (1..).zip(incarnations) {
            let verdict = read(nodes, sequence, incarnation, Item::Started { name: "n" });
            assert!(verdict.is_known && verdict.deaths.is_empty());
        }
    }

    #[test]
    fn a_node_is_dead_when_another_was_alive_four_times_since_its_last_entry() {
        let mut nodes = Nodes::default();
        started(&mut nodes, &[1, 2]);
        for sequence in 3..6 {
            assert_eq!(nodes.silent(1), []);
            assert!(deaths(read(&mut nodes, sequence, 1, alive(&[]))).is_empty());
        }
        let silent = nodes.silent(1);
        assert_eq!(silent, [(2, 2)]);
        // An entry of it comes first.
        read(&mut nodes, 6, 2, alive(&[]));
        assert!(deaths(read(&mut nodes, 7, 1, alive(&silent))).is_empty());
        assert_eq!(nodes.silent(1), []);
        let verdict = read(&mut nodes, 8, 1, alive(&[(2, 6)]));
        assert_eq!(deaths(verdict), [(2, Why::Silent)]);
        assert!(!read(&mut nodes, 9, 2, Item::Ready).is_known, "it is dead");
        assert_eq!(nodes.number_of(2), 2);
    }

    #[test]
    fn a_node_of_which_nothing_is_known_is_not_held_for_dead_on_older_news() {
        let mut nodes = Nodes::default();
        nodes.begin(&[(2, 2), (2, 12), (1, 11)], 1, 20);
        assert!(nodes.has(2) && nodes.has(12) && !nodes.has(11));
        read(&mut nodes, 20, 1, Item::Started { name: "n" });
        read(&mut nodes, 21, 3, Item::Started { name: "n" });
        assert!(deaths(read(&mut nodes, 22, 3, alive(&[(2, 19)]))).is_empty());
        let dead = deaths(read(&mut nodes, 23, 3, alive(&[(2, 20)])));
        assert_eq!(dead, [(2, Why::Silent)]);
        let dead = deaths(read(&mut nodes, 24, 22, Item::Started { name: "n" }));
        assert_eq!(dead, [(12, Why::Replaced)]);
    }

    #[test]
    fn the_eldest_that_is_ready_tells_those_that_start_and_the_next_one_when_it_is_gone() {
        let mut nodes = Nodes::default();
        started(&mut nodes, &[2, 1, 3]);
        read(&mut nodes, 4, 2, Item::Ready);
        read(&mut nodes, 5, 1, Item::Ready);
        assert_eq!(nodes.take_unanswered(1), None);
        read(&mut nodes, 6, 2, Item::Stopped);
        assert_eq!(nodes.take_unanswered(1), Some(3));
        assert_eq!(nodes.take_unanswered(1), None, "once");
        let mut told = Vec::new();
        for fact in nodes.facts() {
            Nodes::add_fact(&mut told, &fact);
        }
        let mut other = Nodes::default();
        other.begin(&[(1, 1), (4, 4)], 3, 3);
        assert_eq!(other.take(told), [4], "it has ended before");
        assert_eq!(other.facts(), nodes.facts());
    }

    #[test]
    fn there_are_no_more_nodes_than_allowed() {
        let mut nodes = Nodes::default();
        for at in 0..NODES_MAX as u64 + 5 {
            let mut payload = Vec::new();
            items::write(&Item::Started { name: "n" }, &mut payload);
            let verdict = nodes.read(
                1,
                &Entry {
                    lane: Lane::DIRECTORY,
                    sequence: at + 1,
                    incarnation: at + 1,
                    number: 0,
                    first_numbers: &[at],
                    payload: &payload,
                },
            );
            nodes.check();
            assert_eq!(verdict.is_known, at < NODES_MAX as u64);
        }
    }
}
