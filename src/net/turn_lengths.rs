//! How long turns have taken. Keeps counts, not turns.

use std::fmt;

/// Turns by length: bucket `n` counts those of less than `2^n` microseconds, and of at least half of that.
const BUCKETS: usize = 24;

/// A histogram of the lengths of turns, in microseconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct TurnLengths {
    turns: [u64; BUCKETS],
    longest_us: u64,
    total_us: u64,
}

impl TurnLengths {
    /// Counts a turn.
    pub fn record(&mut self, us: u64) {
        let bucket = (u64::BITS - us.leading_zeros()) as usize;
        self.turns[bucket.min(BUCKETS - 1)] += 1;
        self.longest_us = self.longest_us.max(us);
        self.total_us = self.total_us.saturating_add(us);
    }

    /// The lengths of all turns together.
    pub fn total_us(&self) -> u64 {
        self.total_us
    }

    /// The longest turn.
    pub fn longest_us(&self) -> u64 {
        self.longest_us
    }

    /// Upper bounds in microseconds, and how many turns were shorter than each and not shorter than the one before.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64)> {
        let counts = self.turns.iter().enumerate();
        counts.map(|(bucket, &turns)| (1 << bucket, turns))
    }
}

/// For the log: the turns of each length, and the longest.
impl fmt::Display for TurnLengths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (below_us, turns) in self.buckets().filter(|&(_, turns)| turns > 0) {
            write!(f, "<{below_us}us:{turns} ")?;
        }
        write!(f, "longest:{}us", self.longest_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_counted_by_length() {
        let mut lengths = TurnLengths::default();
        for us in [0, 1, 3, 1000, u64::MAX / 2] {
            lengths.record(us);
        }
        let counted: Vec<_> = lengths.buckets().filter(|bucket| bucket.1 > 0).collect();
        assert_eq!(counted, [(1, 1), (2, 1), (4, 1), (1024, 1), (1 << 23, 1)]);
        assert_eq!(lengths.longest_us(), u64::MAX / 2);
        let mut short = TurnLengths::default();
        short.record(3);
        short.record(7);
        assert_eq!(short.total_us(), 10);
        assert_eq!(short.to_string(), "<4us:1 <8us:1 longest:7us");
    }
}
