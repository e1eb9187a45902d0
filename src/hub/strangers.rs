//! Strangers: connections that have not said the server's password. How many there are and from where, what each has sent,
//! since when it waits, and which of them makes place for another. Knows a client only by its slot.
//!
//! A stranger that knows the password is one no longer after a round trip. So where there are too many, the oldest of those
//! that have the most company from their own address is the least likely to know it.

use super::limits::{
    Limits, STRANGER_BYTES_MAX, STRANGER_US, STRANGERS_LEAVING_MAX, STRANGERS_MAX,
    STRANGERS_OF_ORIGIN_MAX, STRANGERS_SHARE,
};
use super::secret::Secret;
use super::tries::{Origin, Tries};
use super::types::Now;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// All strangers, and the password for which they are asked.
#[derive(Debug, Default)]
pub struct Strangers {
    /// `None`: nobody is asked.
    pub password: Option<Secret>,
    /// By slot; `0 <= len <= STRANGERS_MAX`.
    waiting: BTreeMap<u32, Stranger>,
    /// The slots of each origin, the one that has waited for longest first.
    by_origin: BTreeMap<Origin, BTreeMap<u64, u32>>,
    /// How many each origin has, and the number of its oldest: the last entry is the origin with the most strangers.
    by_size: BTreeSet<(usize, Reverse<u64>, Origin)>,
    /// Slots of those that are being closed.
    leaving: BTreeSet<u32>,
    /// Wrong passwords.
    pub tries: Tries,
    /// The number of the last stranger.
    last: u64,
}

/// One of them.
#[derive(Debug)]
struct Stranger {
    origin: Origin,
    number: u64,
    since: Now,
    /// Bytes of it that have been looked at.
    bytes: usize,
}

/// The entry of an origin in `by_size`.
fn size_of(slots: &BTreeMap<u64, u32>, origin: Origin) -> Option<(usize, Reverse<u64>, Origin)> {
    let (&oldest, _) = slots.first_key_value()?;
    Some((slots.len(), Reverse(oldest), origin))
}

/// How many strangers there may be under these limits: so many that others find a place beside them.
fn strangers_max(limits: &Limits) -> usize {
    (limits.clients_max / STRANGERS_SHARE).clamp(1, STRANGERS_MAX)
}

impl Strangers {
    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// How many that are being closed take nobody's place.
    pub fn leaving(&self) -> usize {
        self.leaving.len().min(STRANGERS_LEAVING_MAX)
    }

    /// A newcomer is to be asked.
    pub fn add(&mut self, now: Now, slot: u32, origin: Origin) {
        self.last += 1;
        let number = self.last;
        self.change(origin, |slots| _ = slots.insert(number, slot));
        let stranger = Stranger {
            origin,
            number,
            since: now,
            bytes: 0,
        };
        self.waiting.insert(slot, stranger);
    }

    /// The stranger in this slot is one no more, or its connection has ended.
    pub fn remove(&mut self, slot: u32) {
        self.leaving.remove(&slot);
        if let Some(stranger) = self.waiting.remove(&slot) {
            self.change(stranger.origin, |slots| {
                slots.remove(&stranger.number);
            });
        }
    }

    /// The stranger in this slot is being closed.
    pub fn leave(&mut self, slot: u32) {
        if self.waiting.contains_key(&slot) {
            self.remove(slot);
            self.leaving.insert(slot);
        }
    }

    /// The stranger that is to make place for a newcomer from this origin, if one is; `is_full`: the server is.
    pub fn surplus(&self, origin: Origin, is_full: bool, limits: &Limits) -> Option<u32> {
        let own = self.by_origin.get(&origin);
        if let Some(own) = own.filter(|own| own.len() >= STRANGERS_OF_ORIGIN_MAX) {
            return own.values().next().copied();
        }
        let is_full = is_full && self.leaving.len() < STRANGERS_LEAVING_MAX;
        if !is_full && self.waiting.len() < strangers_max(limits) {
            return None;
        }
        let (_, _, largest) = self.by_size.last()?;
        self.by_origin.get(largest)?.values().next().copied()
    }

    /// When the stranger in this slot must have said the password.
    pub fn due(&self, slot: u32) -> Option<Now> {
        Some(self.waiting.get(&slot)?.since.after(STRANGER_US))
    }

    /// From where the stranger in this slot has come.
    pub fn origin(&self, slot: u32) -> Option<Origin> {
        Some(self.waiting.get(&slot)?.origin)
    }

    /// Whether the stranger in this slot may send so many bytes more.
    pub fn may_send(&self, slot: u32, bytes: usize) -> bool {
        let sent = self.waiting.get(&slot).map_or(0, |it| it.bytes);
        sent + bytes <= STRANGER_BYTES_MAX
    }

    /// The stranger in this slot has sent so many bytes more.
    pub fn sent(&mut self, slot: u32, bytes: usize) {
        if let Some(stranger) = self.waiting.get_mut(&slot) {
            stranger.bytes = stranger.bytes.saturating_add(bytes);
        }
    }

    /// Changes the slots of an origin.
    fn change(&mut self, origin: Origin, change: impl FnOnce(&mut BTreeMap<u64, u32>)) {
        let mut slots = self.by_origin.remove(&origin).unwrap_or_default();
        if let Some(entry) = size_of(&slots, origin) {
            self.by_size.remove(&entry);
        }
        change(&mut slots);
        if let Some(entry) = size_of(&slots, origin) {
            self.by_size.insert(entry);
            self.by_origin.insert(origin, slots);
        }
    }

    /// Panics if an invariant is broken. For tests: looks at everything.
    pub fn check(&self) {
        self.tries.check();
        assert!(self.waiting.len() <= STRANGERS_MAX);
        let slots = self.by_origin.values().map(BTreeMap::len);
        assert_eq!(slots.sum::<usize>(), self.waiting.len());
        let sizes = self.by_origin.iter();
        let sizes = sizes.filter_map(|(origin, slots)| size_of(slots, *origin));
        assert_eq!(sizes.collect::<BTreeSet<_>>(), self.by_size);
        for (slot, stranger) in &self.waiting {
            let slots = &self.by_origin[&stranger.origin];
            assert_eq!(slots.get(&stranger.number), Some(slot));
            assert!(!self.leaving.contains(slot));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(last: u8) -> Origin {
        Origin::of(Some([192, 0, 2, last].into()), None)
    }

    fn limits(clients_max: usize) -> Limits {
        Limits {
            clients_max,
            ..Limits::default()
        }
    }

    #[test]
    fn the_oldest_of_the_origin_with_the_most_strangers_makes_place() {
        let (mut strangers, now) = (Strangers::default(), Now::default());
        for (slot, from) in [(0, 1), (1, 2), (2, 2), (3, 3)] {
            assert_eq!(strangers.surplus(origin(from), false, &limits(16)), None);
            strangers.add(now, slot, origin(from));
            strangers.check();
        }
        // Four of sixteen places are taken by strangers.
        let mut next = || {
            let slot = strangers.surplus(origin(4), false, &limits(16))?;
            strangers.leave(slot);
            strangers.check();
            let next = strangers.last as u32;
            strangers.add(now, next, origin(4 + next as u8));
            Some(slot)
        };
        assert_eq!([next(), next(), next()], [Some(1), Some(0), Some(2)]);
        assert_eq!((strangers.len(), strangers.leaving()), (4, 3));
        strangers.remove(1);
        assert_eq!(strangers.leaving(), 2);
    }

    #[test]
    fn one_origin_has_a_limit_of_its_own_and_a_full_server_has_place_for_a_newcomer() {
        let (mut strangers, now) = (Strangers::default(), Now::default());
        for slot in 0..STRANGERS_OF_ORIGIN_MAX as u32 {
            strangers.add(now, slot, origin(1));
        }
        let many = limits(100_000);
        assert_eq!(strangers.surplus(origin(1), false, &many), Some(0));
        assert_eq!(strangers.surplus(origin(2), false, &many), None);
        for slot in 0..STRANGERS_LEAVING_MAX as u32 {
            assert_eq!(strangers.surplus(origin(2), true, &many), Some(slot));
            strangers.leave(slot);
        }
        // So many are more than there may be, until they are closed.
        assert_eq!(strangers.surplus(origin(2), true, &many), None);
        strangers.check();
    }

    #[test]
    fn bytes_and_time_of_a_stranger_are_limited() {
        let mut strangers = Strangers::default();
        strangers.add(Now::from_micros(5), 7, origin(1));
        assert!(strangers.may_send(7, STRANGER_BYTES_MAX));
        strangers.sent(7, 1000);
        assert!(strangers.may_send(7, 24) && !strangers.may_send(7, 25));
        assert_eq!(strangers.due(7), Some(Now::from_micros(30_000_005)));
        strangers.remove(7);
        assert_eq!((strangers.due(7), strangers.len()), (None, 0));
        strangers.check();
    }
}
