//! Who has come to a room and gone since that was last announced. Decides when; knows members only by their slots.

use crate::hub::limits::{
    ANNOUNCE_INTERVAL_US, NEWCOMER_DELAY_MAX_US, NEWCOMER_US, NEWCOMERS_AT_ONCE_MAX,
};
use crate::hub::name::Name;
use crate::hub::types::{ConnId, Now};
use std::collections::BTreeSet;

/// Comings and goings that have not been announced.
///
/// A newcomer is announced when it first speaks, or after a second; one that has left by then was never there. What
/// happens within a second of an announcement is gathered for the next one, so that a room hears at most one a second of
/// silent newcomers and of those who leave.
#[derive(Debug, Default)]
pub struct Arrivals {
    /// Members that have not been announced: when each has come, and its slot.
    newcomers: BTreeSet<(Now, u32)>,
    /// Members that had been announced, and have left.
    left: Vec<(ConnId, Name)>,
    quiet_until: Now,
}

impl Arrivals {
    /// A member has come.
    pub fn join(&mut self, now: Now, slot: u32) {
        self.newcomers.insert((now, slot));
    }

    /// A member that came at `since`, and has not been announced, has left, or is announced now.
    pub fn forget(&mut self, since: Now, slot: u32) {
        self.newcomers.remove(&(since, slot));
    }

    /// A member that had been announced has left.
    pub fn leave(&mut self, id: ConnId, name: Name) {
        self.left.push((id, name));
    }

    /// Whether anybody has left untold.
    pub fn has_left(&self) -> bool {
        !self.left.is_empty()
    }

    /// When the next announcement is due, if there is anything to announce.
    pub fn due(&self) -> Option<Now> {
        let first = self.newcomers.first();
        let first = first.map(|(at, _)| at.after(NEWCOMER_US + NEWCOMER_DELAY_MAX_US));
        let last = self.newcomers.last().map(|(at, _)| at.after(NEWCOMER_US));
        let left = self.has_left().then_some(self.quiet_until);
        let due = first.into_iter().chain(last).chain(left).min()?;
        Some(due.max(self.quiet_until))
    }

    /// Takes the newcomers that have been here for long enough.
    pub fn take_newcomers(&mut self, now: Now) -> Vec<u32> {
        let mut taken = Vec::new();
        while taken.len() < NEWCOMERS_AT_ONCE_MAX
            && let Some(&(at, slot)) = self.newcomers.first()
            && at.after(NEWCOMER_US) <= now
        {
            taken.push(slot);
            self.newcomers.pop_first();
        }
        taken
    }

    /// Takes those who have left, to be announced now. The next interval begins.
    pub fn take_left(&mut self, now: Now) -> Vec<(ConnId, Name)> {
        self.quiet_until = now.after(ANNOUNCE_INTERVAL_US);
        std::mem::take(&mut self.left)
    }

    /// Takes all newcomers: nobody is to hear of them, nor of those who have left.
    pub fn take_untold(&mut self) -> impl Iterator<Item = u32> + use<> {
        self.left.clear();
        let newcomers = std::mem::take(&mut self.newcomers);
        newcomers.into_iter().map(|(_, slot)| slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COME: Now = Now::from_micros(5_000_000);

    #[test]
    fn newcomers_are_due_after_a_second_together_with_those_soon_after_them() {
        let mut arrivals = Arrivals::default();
        assert_eq!(arrivals.due(), None);
        arrivals.join(COME, 3);
        assert_eq!(arrivals.due(), Some(COME.after(NEWCOMER_US)));
        let soon = COME.after(200_000);
        arrivals.join(soon, 4);
        assert_eq!(arrivals.due(), Some(soon.after(NEWCOMER_US)));
        let late = COME.after(900_000);
        arrivals.join(late, 5);
        let due = COME.after(NEWCOMER_US + NEWCOMER_DELAY_MAX_US);
        assert_eq!(arrivals.due(), Some(due));
        assert_eq!(arrivals.take_newcomers(due), [3, 4]);
        arrivals.take_left(due);
        assert_eq!(arrivals.due(), Some(due.after(ANNOUNCE_INTERVAL_US)));
        arrivals.forget(late, 5);
        assert_eq!(arrivals.due(), None);
    }

    #[test]
    fn what_nobody_hears_does_not_shorten_the_interval() {
        let mut arrivals = Arrivals::default();
        arrivals.take_left(COME);
        arrivals.leave(ConnId::new(3, 1), Name::Guest(3));
        arrivals.join(COME, 3);
        assert_eq!(arrivals.take_untold().collect::<Vec<_>>(), [3]);
        assert_eq!(arrivals.due(), None);
        arrivals.leave(ConnId::new(3, 1), Name::Guest(3));
        assert_eq!(arrivals.due(), Some(COME.after(ANNOUNCE_INTERVAL_US)));
    }
}
