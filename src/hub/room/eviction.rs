//! How far an eviction has come: which seats of a room are still to be looked at, and how many of them for each line that is
//! said. Knows no member and moves none.

use std::ops::Range;

/// Goes over the seats of a room once, a few for each line, so that all of them have been looked at before the log is at
/// its cap. It goes from the last seat to the first: a member that takes the seat of one that has left comes from the last
/// seat, so no member is passed over.
#[derive(Debug, Default)]
pub struct Eviction {
    /// The seats below this one are still to be looked at; 0: no eviction is under way.
    left: usize,
    /// Members whose cursors are before this position are moved forward to it.
    target: u64,
    /// How many seats are looked at …
    seats: usize,
    /// … in so many bytes; 0: all at once.
    bytes: usize,
}

impl Eviction {
    /// Begins: all `seats` are looked at by the time that `bytes` more have been said.
    pub fn begin(&mut self, target: u64, seats: usize, bytes: usize) {
        *self = Eviction {
            left: seats,
            target,
            seats,
            bytes,
        };
    }

    /// Whether seats are still to be looked at.
    pub fn is_under_way(&self) -> bool {
        self.left > 0
    }

    /// Members whose cursors are before this position are moved forward to it.
    pub fn target(&self) -> u64 {
        self.target
    }

    /// The seats to look at before a line of at most `line_bytes`, in a room that has so many `members` by now.
    pub fn next(&mut self, members: usize, line_bytes: usize) -> Range<usize> {
        let end = self.left.min(members);
        let share = (self.seats * line_bytes).checked_div(self.bytes);
        let count = share.map_or(end, |share| end.min(share + 1));
        self.left = end - count;
        self.left..end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_seats_are_looked_at_within_the_given_bytes_and_none_twice() {
        for (seats, bytes, line) in [(1, 1, 1), (18_000, 700_000, 90), (7, 1000, 300), (3, 0, 9)] {
            let mut eviction = Eviction::default();
            eviction.begin(5, seats, bytes);
            let (mut said, mut expected_end) = (0, seats);
            while eviction.is_under_way() {
                said += line;
                let next = eviction.next(seats, line);
                assert_eq!(next.end, expected_end);
                assert!(bytes == 0 || next.len() <= seats * line / bytes + 1);
                expected_end = next.start;
            }
            assert!(said <= bytes.max(line), "{said} of {bytes} bytes");
            assert_eq!(expected_end, 0);
        }
    }

    #[test]
    fn members_that_leave_do_not_hide_others() {
        let mut members: Vec<u32> = (0..100).collect();
        let mut looked_at = Vec::new();
        let mut eviction = Eviction::default();
        eviction.begin(0, members.len(), 1000);
        while eviction.is_under_way() {
            let next = eviction.next(members.len(), 50);
            looked_at.extend_from_slice(&members[next]);
            let leaver = members.swap_remove(looked_at.len() * 7 % members.len());
            looked_at.push(leaver);
        }
        looked_at.sort_unstable();
        looked_at.dedup();
        assert_eq!(looked_at.len(), 100);
    }
}
