//! Connections that the hub has closed, but whose sockets have not taken their last bytes: which they are, and how long they
//! may take. Only under TLS are there any; what a plain socket does not take is still the hub's. Writes nothing.

use crate::hub::{ConnId, Now};
use std::collections::{BTreeMap, BTreeSet};

/// Such connections: at most all.
#[derive(Debug, Default)]
pub struct Closing {
    until: BTreeMap<ConnId, Now>,
    /// The same, by time.
    due: BTreeSet<(Now, ConnId)>,
}

impl Closing {
    /// A connection's socket does not take its last bytes. False: its time is up. The first call says until when it has time.
    pub fn must_wait(&mut self, now: Now, id: ConnId, until: Now) -> bool {
        let until = *self.until.entry(id).or_insert(until);
        self.due.insert((until, id));
        now < until
    }

    /// Whether a connection waits for its last bytes to be taken.
    pub fn contains(&self, id: ConnId) -> bool {
        !self.until.is_empty() && self.until.contains_key(&id)
    }

    /// A connection is closed, or has come to its end.
    pub fn forget(&mut self, id: ConnId) {
        if !self.until.is_empty()
            && let Some(until) = self.until.remove(&id)
        {
            self.due.remove(&(until, id));
        }
    }

    /// The next connection whose time is up.
    pub fn next_overdue(&mut self, now: Now) -> Option<ConnId> {
        let &(until, id) = self.due.first().filter(|(until, _)| *until <= now)?;
        self.due.remove(&(until, id));
        Some(id)
    }

    /// When the first one's time is up.
    pub fn deadline(&self) -> Option<Now> {
        self.due.first().map(|(until, _)| *until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_time_once_and_the_first_is_due_first() {
        let id = |slot: usize| ConnId::from_token(1 << 32 | slot).expect("a connection's token");
        let at = Now::from_micros;
        let mut closing = Closing::default();
        assert!(closing.must_wait(at(0), id(1), at(50)));
        assert!(closing.must_wait(at(1), id(2), at(20)));
        assert!(closing.must_wait(at(2), id(1), at(90)), "it keeps its time");
        assert_eq!(closing.deadline(), Some(at(20)));
        closing.forget(id(2));
        assert!(closing.contains(id(1)) && !closing.contains(id(2)));
        assert_eq!(closing.next_overdue(at(49)), None);
        assert_eq!(closing.next_overdue(at(50)), Some(id(1)));
        assert!(!closing.must_wait(at(50), id(1), at(90)));
        closing.forget(id(1));
        assert_eq!((closing.deadline(), closing.contains(id(1))), (None, false));
    }
}
