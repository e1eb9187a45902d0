//! Which clients may not speak, and until when. Knows a client only by its slot.

use crate::hub::limits::MUTES_MAX;
use crate::hub::types::Now;
use std::collections::{BTreeMap, BTreeSet};

/// Muted clients.
#[derive(Debug, Default)]
pub struct Mutes {
    /// By slot: when it ends; `None`: when the client leaves. `0 <= len <= MUTES_MAX`.
    muted: BTreeMap<u32, Option<Now>>,
    /// Those that end before.
    ends: BTreeSet<(Now, u32)>,
}

impl Mutes {
    /// Whether nobody is muted.
    pub fn is_empty(&self) -> bool {
        self.muted.is_empty()
    }

    /// Whether there is no place for another client.
    pub fn is_full(&self) -> bool {
        self.muted.len() >= MUTES_MAX
    }

    /// When the silence of a client ends, if it is muted.
    pub fn get(&self, slot: u32) -> Option<Option<Now>> {
        self.muted.get(&slot).copied()
    }

    /// Mutes a client, anew if it is muted.
    pub fn insert(&mut self, slot: u32, ends: Option<Now>) {
        self.remove(slot);
        self.muted.insert(slot, ends);
        self.ends.extend(ends.map(|ends| (ends, slot)));
    }

    /// A client may speak again, or leaves. Returns whether it was muted.
    pub fn remove(&mut self, slot: u32) -> bool {
        let Some(ends) = self.muted.remove(&slot) else {
            return false;
        };
        if let Some(ends) = ends {
            self.ends.remove(&(ends, slot));
        }
        true
    }

    /// When the next client may speak again.
    pub fn deadline(&self) -> Option<Now> {
        self.ends.first().map(|&(ends, _)| ends)
    }

    /// Takes out a client that may speak again.
    pub fn expire_one(&mut self, now: Now) -> Option<u32> {
        let &(_, slot) = self.ends.first().filter(|(ends, _)| *ends <= now)?;
        self.remove(slot);
        Some(slot)
    }

    /// Panics if an invariant is broken. For tests: looks at everything.
    pub fn check(&self) {
        assert!(self.muted.len() <= MUTES_MAX);
        let ends = self
            .muted
            .iter()
            .filter_map(|(&slot, &ends)| Some((ends?, slot)));
        assert_eq!(ends.collect::<BTreeSet<_>>(), self.ends);
    }
}
