//! A naive model of what a room hears of comings and goings: one that follows a room's lines knows who is in it. Times are
//! the business of the hub's own tests.

use super::transcript::{renamed, speaker};
use std::collections::{BTreeSet, HashMap};

/// What one line announces.
#[derive(Debug, PartialEq, Eq)]
pub enum Announced {
    /// Who has come, and who has left.
    Names(Vec<String>, Vec<String>),
    /// How many.
    Numbers(usize, usize),
}

impl Announced {
    /// Reads an announcement, and how many it says are here.
    pub fn read(line: &str) -> Option<(Announced, usize)> {
        let (what, here) = line
            .strip_prefix("* ")?
            .strip_suffix(" here)")?
            .rsplit_once(" (")?;
        let here = here.parse().ok()?;
        let names = |list: &str| -> Vec<String> { list.split(", ").map(Into::into).collect() };
        if what.starts_with("joined: ") || what.starts_with("left: ") {
            let (mut joined, mut left) = (Vec::new(), Vec::new());
            for part in what.split("; ") {
                match part.split_once(": ")? {
                    ("joined", list) => joined = names(list),
                    ("left", list) => left = names(list),
                    _ => return None,
                }
            }
            return Some((Announced::Names(joined, left), here));
        }
        let (mut joined, mut left) = (0, 0);
        for part in what.split(", ") {
            match part.split_once(' ')? {
                (count, "joined") => joined = count.parse().ok()?,
                (count, "left") => left = count.parse().ok()?,
                _ => return None,
            }
        }
        Some((Announced::Numbers(joined, left), here))
    }

    /// The clients that it names: how many have come and how many have left, each without itself.
    pub fn without_each(&self, owners: &HashMap<String, usize>) -> Vec<(usize, (usize, usize))> {
        let Announced::Names(joined, left) = self else {
            return Vec::new();
        };
        let clients = |names: &[String]| -> BTreeSet<usize> {
            names
                .iter()
                .filter_map(|it| owners.get(it))
                .copied()
                .collect()
        };
        let (come, gone) = (clients(joined), clients(left));
        let without = |count: usize, named: &BTreeSet<usize>, client: &usize| {
            count - usize::from(named.contains(client))
        };
        let each = come.union(&gone).map(|client| {
            let joined = without(joined.len(), &come, client);
            (*client, (joined, without(left.len(), &gone, client)))
        });
        each.collect()
    }

    /// Of an announcement of numbers: how many have come and how many have left, without one who has come, or without one who
    /// has left.
    pub fn without_one(&self) -> [(usize, usize); 2] {
        let (joined, left) = self.counts();
        [
            (joined.saturating_sub(1), left),
            (joined, left.saturating_sub(1)),
        ]
    }

    /// How many have come, and how many have left.
    pub fn counts(&self) -> (usize, usize) {
        match self {
            Announced::Names(joined, left) => (joined.len(), left.len()),
            Announced::Numbers(joined, left) => (*joined, *left),
        }
    }
}

/// Checks the lines of a room in which everything is announced, as its observer has received them: nobody speaks, is renamed
/// or leaves before it has come, and nobody comes twice. `here` are at the end those whom the observer must know of.
pub fn check(room: &str, lines: &[String], here: &BTreeSet<String>) {
    let mut known: BTreeSet<String> = BTreeSet::new();
    for line in lines {
        match Announced::read(line) {
            Some((Announced::Names(joined, left), here)) => {
                assert!((1..=8).contains(&(joined.len() + left.len())), "{line}");
                assert!(
                    known.len() < here + left.len(),
                    "{room}: too few are here: {line}"
                );
                for name in left {
                    assert!(known.remove(&name), "{room}: {name} was not here: {line}");
                }
                for name in joined {
                    assert!(known.insert(name.clone()), "{room}: {name} is here: {line}");
                }
            }
            // Who it is can only be told by asking.
            Some((Announced::Numbers(joined, left), _)) => {
                assert!(joined + left > 8, "{line}");
                return;
            }
            None => {
                if let Some((old, new)) = renamed(line) {
                    assert!(known.remove(old), "{room}: {old} was not here: {line}");
                    known.insert(new.into());
                } else if let Some(name) = speaker(line) {
                    assert!(
                        known.contains(name),
                        "{room}: {name} was not here: {line:.60}"
                    );
                }
            }
        }
    }
    assert_eq!(&known, here, "{room}: who is here at the end");
}
