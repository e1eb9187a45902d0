//! Incarnations that are to be closed, until the engine has answered that they are.

use super::contract::{Batch, Lane};
use std::collections::BTreeMap;

/// What is to be closed: each incarnation once in a lane.
#[derive(Debug, Default)]
pub struct Closes {
    waiting: BTreeMap<(u64, Lane), Batch>,
    submitted: BTreeMap<(u64, Lane), Batch>,
}

impl Closes {
    /// An incarnation is to be closed in a lane with this batch.
    pub fn push(&mut self, batch: Batch) {
        debug_assert_eq!(batch.number, Batch::LAST);
        let key = (batch.incarnation, batch.lane);
        if !self.submitted.contains_key(&key) {
            self.waiting.entry(key).or_insert(batch);
        }
    }

    /// The next one for the engine.
    pub fn submit(&mut self) -> Option<Batch> {
        let (key, batch) = self.waiting.pop_first()?;
        self.submitted.insert(key, batch.clone());
        Some(batch)
    }

    /// The engine has answered: it is closed, by this node or by another.
    pub fn answered(&mut self, lane: Lane, incarnation: u64) {
        self.submitted.remove(&(incarnation, lane));
    }

    /// Its end has been read: it need not be closed any more.
    pub fn ended(&mut self, lane: Lane, incarnation: u64) {
        self.waiting.remove(&(incarnation, lane));
    }

    /// There is no engine any more.
    pub fn disconnected(&mut self) {
        self.waiting.append(&mut self.submitted);
    }

    /// Whether all are closed.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.submitted.is_empty()
    }

    /// Panics if something does not hold that always must.
    pub fn check(&self) {
        let mut keys = self.waiting.keys();
        assert!(keys.all(|key| !self.submitted.contains_key(key)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(incarnation: u64) -> Batch {
        Batch {
            lane: Lane::of_rooms(3),
            incarnation,
            number: Batch::LAST,
            rooms: Vec::new(),
            payload: Vec::new(),
        }
    }

    #[test]
    fn what_was_not_answered_is_sent_again() {
        let mut closes = Closes::default();
        for incarnation in [1, 2, 1, 3] {
            closes.push(batch(incarnation));
            closes.check();
        }
        assert_eq!(closes.submit(), Some(batch(1)));
        assert_eq!(closes.submit(), Some(batch(2)));
        closes.answered(Lane::of_rooms(3), 1);
        closes.disconnected();
        closes.check();
        assert_eq!(closes.submit(), Some(batch(2)));
        closes.ended(Lane::of_rooms(3), 3);
        assert_eq!(closes.submit(), None);
        assert!(!closes.is_empty());
        closes.answered(Lane::of_rooms(3), 2);
        assert!(closes.is_empty());
    }
}
