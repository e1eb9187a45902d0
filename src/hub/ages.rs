//! When connections were made, found by their serial numbers: a note now and then, since a time in every record would be
//! memory for each idle connection.

use super::limits::AGES_MAX;
use super::types::Now;

/// Microseconds between two notes.
const AGE_STEP_US: u64 = 1_000_000;

/// An age is known to one part of so many.
const AGE_SHARE: u64 = 16;

/// Serial numbers and the time at which each was given, both ascending; `0 <= len <= AGES_MAX`.
#[derive(Debug, Default)]
pub struct Ages(Vec<(u32, Now)>);

impl Ages {
    /// A connection is made.
    pub fn note(&mut self, serial: u32, now: Now) {
        match self.0.last() {
            Some(&(_, at)) if at.after(AGE_STEP_US) > now && serial > 1 => return,
            // Numbers begin again.
            Some(&(last, _)) if last >= serial => self.0.clear(),
            _ => {}
        }
        if self.0.len() >= AGES_MAX {
            self.thin_out(now);
        }
        self.0.push((serial, now));
    }

    /// When a connection was made, or shortly before: the older it is, the less exactly it is known.
    pub fn of(&self, serial: u32) -> Option<Now> {
        let after = self.0.partition_point(|(number, _)| *number <= serial);
        let note = after.checked_sub(1).map(|at| self.0[at]);
        note.or(self.0.first().copied()).map(|(_, at)| at)
    }

    /// Forgets notes that are so close to the one before as hardly matters at their age. Of a million years
    /// `AGE_SHARE * ln(3e13)` would be left, fewer than there may be.
    fn thin_out(&mut self, now: Now) {
        let mut kept: Option<u64> = None;
        self.0.retain(|(_, at)| {
            let at = at.as_micros();
            let age = now.as_micros().saturating_sub(at);
            let is_kept = kept.is_none_or(|kept| at - kept >= age / AGE_SHARE);
            kept = if is_kept { Some(at) } else { kept };
            is_kept
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_connection_is_known_to_a_part_of_its_age() {
        let (mut ages, mut connected) = (Ages::default(), Vec::new());
        let mut rng = fastrand::Rng::with_seed(1);
        let mut now = 0;
        for serial in 1..100_000 {
            now += rng.u64(0..2 * AGE_STEP_US);
            ages.note(serial, Now::from_micros(now));
            connected.push((serial, now));
        }
        assert!(ages.0.len() <= AGES_MAX);
        for (serial, at) in connected {
            let noted = ages.of(serial).unwrap().as_micros();
            assert!(noted <= at);
            assert!(at - noted <= 2 * AGE_STEP_US + (now - at) / 4, "{serial}");
        }
        assert_eq!(Ages::default().of(7), None);
    }

    #[test]
    fn numbers_that_begin_again_forget_the_earlier_ones() {
        let mut ages = Ages::default();
        ages.note(u32::MAX, Now::from_micros(5));
        ages.note(1, Now::from_micros(6));
        assert_eq!(ages.of(1), Some(Now::from_micros(6)));
    }
}
