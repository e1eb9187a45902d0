//! The order in which a room's members are visited. Knows members only by their seats.

/// Goes round the members. Each line that is appended sends the carousel round once more from where it is, so that it never
/// starts again from the first member, and the last one is served as well as the first.
#[derive(Debug, Default)]
pub struct Carousel {
    /// The seat that is visited next.
    seat: usize,
    /// Visits until every member has been offered the whole log: `0 <= left <= members`.
    left: usize,
    /// The log's end when the present lap began at seat 0: `offered <= lap_began_at <= end`.
    lap_began_at: u64,
    /// Every member has been offered the log up to here.
    offered: u64,
}

impl Carousel {
    /// Whether a member is still to be visited.
    pub fn is_turning(&self) -> bool {
        self.left > 0
    }

    /// Every member has been offered the log up to this position.
    pub fn offered(&self) -> u64 {
        self.offered
    }

    /// The log has grown: every member is to be visited once more.
    pub fn turn(&mut self, members: usize) {
        self.left = members;
    }

    /// Members have changed seats: goes round once more if it is turning, so that none is left out. Without members the
    /// whole log has been offered.
    pub fn reseat(&mut self, members: usize, log_end: u64) {
        if self.left > 0 {
            self.left = members;
        }
        if self.left == 0 {
            self.offered = log_end;
        }
    }

    /// The member to visit next, if one is to be visited.
    pub fn next(&mut self, members: &[u32], log_end: u64) -> Option<u32> {
        if self.left == 0 || members.is_empty() {
            self.left = 0;
            self.offered = log_end;
            return None;
        }
        if self.seat >= members.len() {
            self.seat = 0;
            self.offered = self.lap_began_at;
            self.lap_began_at = log_end;
        }
        let member = members[self.seat];
        self.seat += 1;
        self.left -= 1;
        if self.left == 0 {
            self.offered = log_end;
            self.lap_began_at = log_end;
        }
        Some(member)
    }

    /// Panics if an invariant is broken.
    pub fn check(&self, members: usize, log_end: u64) {
        assert!(self.left <= members);
        assert!(self.offered <= log_end && self.lap_began_at <= log_end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_member_is_visited_after_the_last_line_from_any_seat() {
        for members in 1..6u32 {
            for visits_before in 0..12 {
                let seats: Vec<u32> = (0..members).collect();
                let mut carousel = Carousel::default();
                carousel.turn(seats.len());
                for _ in 0..visits_before {
                    carousel.next(&seats, 10);
                }
                carousel.turn(seats.len());
                let mut visited: Vec<u32> =
                    std::iter::from_fn(|| carousel.next(&seats, 20)).collect();
                visited.sort_unstable();
                assert_eq!(visited, seats);
                assert_eq!(carousel.offered, 20);
            }
        }
    }

    #[test]
    fn the_offered_position_advances_while_the_carousel_never_stops() {
        let seats = [0, 1, 2, 3];
        let mut carousel = Carousel::default();
        let (mut end, mut seen) = (0, [0; 4]);
        for _ in 0..100 {
            end += 10;
            carousel.turn(seats.len());
            for _ in 0..3 {
                let member = carousel.next(&seats, end).unwrap();
                seen[member as usize] = end;
            }
            carousel.check(seats.len(), end);
            assert!(carousel.offered <= *seen.iter().min().unwrap());
            assert!(
                end - carousel.offered <= 40,
                "{} of {end}",
                carousel.offered
            );
        }
    }
}
