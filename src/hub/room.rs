//! A room: its log, who is in it, whose turn it is to be given the news, and what is announced of comings and goings.
//! Knows its members only by the numbers of their slots.

use super::limits::{ANNOUNCE_INTERVAL_US, Limits, SlowPolicy};
use super::log::Log;
use super::{ConnId, NEVER, Now};
use std::fmt;

/// A room.
#[derive(Debug)]
pub struct Room {
    /// Its name as it was first given.
    pub name: Box<str>,
    /// All that was said in it and is remembered.
    pub log: Log,
    /// The slots of its members, in no order; each knows its seat in here.
    pub members: Vec<u32>,
    /// Who is next to be given the news.
    pub carousel: Carousel,
    /// Who came and went and has not been announced.
    pub arrivals: Arrivals,
    /// Members that may not speak until [`Room::is_open`].
    pub stalled: Vec<ConnId>,
    /// When the room's timer rings; [`NEVER`] if it does not.
    pub armed: Now,
    /// Under `wait`: since when the log has been full, so that nobody may speak until the slowest has caught up.
    full_since: Option<Now>,
    /// Since when those who speak have been waiting for members that are late.
    late_since: Option<Now>,
    /// When members that were given up may be waited for again, if there are any.
    pub retry_at: Option<Now>,
}

impl Room {
    /// An empty room.
    pub fn new(name: Box<str>, limits: &Limits) -> Room {
        Room {
            name,
            log: Log::new(
                limits.history_lines,
                limits.history_bytes_max(),
                limits.late_bytes(),
            ),
            members: Vec::new(),
            carousel: Carousel::default(),
            arrivals: Arrivals::default(),
            stalled: Vec::new(),
            armed: NEVER,
            full_since: None,
            late_since: None,
            retry_at: None,
        }
    }

    /// Whether something may be said: everybody has been offered nearly all that was said before, nobody is late who
    /// is waited for and, under `wait`, the log has place.
    pub fn is_open(&mut self, now: Now, limits: &Limits) -> bool {
        self.full_since(now, limits).is_none()
            && self.late_since(now).is_none()
            && self.log.end() - self.carousel.offered < limits.room_round_bytes_max() as u64
    }

    /// Since when those who speak have been waiting for members that are late.
    pub fn late_since(&mut self, now: Now) -> Option<Now> {
        self.late_since = (self.log.late() > 0).then(|| self.late_since.unwrap_or(now));
        self.late_since
    }

    /// Under `wait`: since when the room has been waiting for its slowest member. A full room does not open again
    /// before much of its log has been read, so that its senders are not woken for every line.
    pub fn full_since(&mut self, now: Now, limits: &Limits) -> Option<Now> {
        if limits.slow == SlowPolicy::Wait {
            let mark = match self.full_since {
                Some(_) => limits.log_open_bytes(),
                None => limits.log_full_bytes(),
            };
            let full = self.log.live_bytes() > mark;
            self.full_since = full.then(|| self.full_since.unwrap_or(now));
        }
        self.full_since
    }

    /// Whether a line of `bytes` would make the log forget what a member has not read.
    pub fn must_skip(&self, bytes: usize, limits: &Limits) -> bool {
        self.log.live_bytes() + bytes > limits.log_live_bytes_max()
    }

    /// Under `wait`: whether a line of `bytes` could make the log full.
    pub fn may_fill(&self, bytes: usize, limits: &Limits) -> bool {
        limits.slow == SlowPolicy::Wait && self.log.live_bytes() + bytes > limits.log_full_bytes()
    }

    /// Where members that are too slow are moved to, if they are to keep the last `kept_bytes` or a little less.
    pub fn skip_target(&self, kept_bytes: usize) -> u64 {
        self.log.after_line(
            self.log
                .end()
                .saturating_sub(kept_bytes as u64)
                .max(self.log.start()),
        )
    }

    /// Appends one line and sends the carousel round. `bytes_max` bounds what `render` pushes.
    pub fn append(
        &mut self,
        bytes_max: usize,
        limits: &Limits,
        render: impl FnOnce(&mut Vec<u8>),
    ) -> std::ops::Range<u64> {
        self.carousel.left = self.members.len();
        self.log
            .append(bytes_max, limits.room_log_bytes_max, render)
    }

    /// The next member that is to be given what was said, if there is one that has not been.
    pub fn next_visit(&mut self) -> Option<u32> {
        self.carousel.next(&self.members, self.log.end())
    }
}

/// Goes round and round the members. Whatever is said sends it round once more from where it stands, so that it never
/// begins anew and the last is as well served as the first.
#[derive(Debug, Default)]
pub struct Carousel {
    /// The seat that is visited next.
    seat: usize,
    /// Visits until everybody has been offered all that was said: `0 <= left <= members`.
    left: usize,
    /// The log's end when the present lap began at seat 0.
    lap_began_at: u64,
    /// Every member has been offered all before this.
    offered: u64,
}

impl Carousel {
    /// Whether anybody is still to be visited.
    pub fn is_turning(&self) -> bool {
        self.left > 0
    }

    /// Seats have changed: goes round once more if it is turning, so that nobody is left out. With nobody left, all
    /// that was said has been offered.
    pub fn reseat(&mut self, members: usize, log_end: u64) {
        if self.left > 0 {
            self.left = members;
        }
        if self.left == 0 {
            self.offered = log_end;
        }
    }

    fn next(&mut self, members: &[u32], log_end: u64) -> Option<u32> {
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
}

/// Who came and went since it was last announced. The first is announced at once; those that follow within the
/// interval are gathered, so that however many come, nobody is told more often than that.
#[derive(Debug, Default)]
pub struct Arrivals {
    joined: usize,
    left: usize,
    /// The name of the only one, as long as there is only one, and its slot if it joined.
    only: Option<(Box<str>, Option<u32>)>,
    quiet_until: Now,
}

impl Arrivals {
    /// Somebody has joined, at slot `slot`, or left (`None`).
    pub fn note(&mut self, name: &dyn fmt::Display, slot: Option<u32>) {
        self.only = self.is_empty().then(|| (name.to_string().into(), slot));
        match slot {
            Some(_) => self.joined += 1,
            None => self.left += 1,
        }
    }

    /// Whether there is nothing to announce.
    pub fn is_empty(&self) -> bool {
        self.joined + self.left == 0
    }

    /// When it is to be announced, if there is anything.
    pub fn due(&self) -> Option<Now> {
        (!self.is_empty()).then_some(self.quiet_until)
    }

    /// The only one that joined, if it was the only event: it need not be told of itself.
    pub fn only_joined(&self) -> Option<u32> {
        self.only.as_ref().and_then(|(_, slot)| *slot)
    }

    /// Takes what there is to announce to a room that now has `here` members, and begins the next interval.
    pub fn announce(&mut self, now: Now, here: usize) -> String {
        let here = grouped(here);
        let text = match (&self.only, self.joined, self.left) {
            (Some((name, Some(_))), ..) => format!("joined: {name} ({here} here)"),
            (Some((name, None)), ..) => format!("left: {name} ({here} here)"),
            (None, joined, 0) => format!("{} joined ({here} here)", grouped(joined)),
            (None, 0, left) => format!("{} left ({here} here)", grouped(left)),
            (None, joined, left) => format!(
                "{} joined, {} left ({here} here)",
                grouped(joined),
                grouped(left)
            ),
        };
        *self = Arrivals {
            quiet_until: now.after(ANNOUNCE_INTERVAL_US),
            ..Arrivals::default()
        };
        text
    }

    /// Forgets what there was to announce: nobody is to be told.
    pub fn forget(&mut self) {
        *self = Arrivals {
            quiet_until: self.quiet_until,
            ..Arrivals::default()
        };
    }
}

/// A number for people: `18204` as `18,204`.
pub fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        for (number, want) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (18204, "18,204"),
            (1234567, "1,234,567"),
        ] {
            assert_eq!(grouped(number), want);
        }
    }

    #[test]
    fn one_is_named_many_are_counted() {
        let now = Now::from_micros(5);
        let mut arrivals = Arrivals::default();
        arrivals.note(&"kim", Some(3));
        assert_eq!(
            (arrivals.due(), arrivals.only_joined()),
            (Some(Now::default()), Some(3))
        );
        assert_eq!(arrivals.announce(now, 2), "joined: kim (2 here)");
        assert_eq!(arrivals.due(), None);
        arrivals.note(&"kim", None);
        assert_eq!(arrivals.due(), Some(now.after(ANNOUNCE_INTERVAL_US)));
        assert_eq!(arrivals.announce(now, 1), "left: kim (1 here)");
        for slot in 0..1204 {
            arrivals.note(&"x", Some(slot));
        }
        assert_eq!(arrivals.only_joined(), None);
        for _ in 0..5 {
            arrivals.note(&"x", None);
        }
        assert_eq!(
            arrivals.announce(now, 1204),
            "1,204 joined, 5 left (1,204 here)"
        );
    }

    #[test]
    fn forgetting_who_came_does_not_shorten_the_silence() {
        let mut arrivals = Arrivals::default();
        arrivals.note(&"kim", Some(3));
        arrivals.announce(Now::from_micros(5), 2);
        arrivals.note(&"lee", Some(4));
        let due = arrivals.due();
        arrivals.forget();
        assert_eq!(arrivals.due(), None);
        arrivals.note(&"han", Some(5));
        assert_eq!(arrivals.due(), due);
    }

    #[test]
    fn everybody_is_visited_after_the_last_line_wherever_the_carousel_stood() {
        for members in 1..6u32 {
            for said_after in 0..12 {
                let seats: Vec<u32> = (0..members).collect();
                let mut carousel = Carousel {
                    left: seats.len(),
                    ..Carousel::default()
                };
                for _ in 0..said_after {
                    carousel.next(&seats, 10);
                }
                carousel.left = seats.len();
                let mut visited: Vec<u32> =
                    std::iter::from_fn(|| carousel.next(&seats, 20)).collect();
                visited.sort_unstable();
                assert_eq!(visited, seats);
                assert_eq!(carousel.offered, 20);
            }
        }
    }

    #[test]
    fn what_was_offered_to_everybody_is_known_though_the_carousel_never_rests() {
        let seats = [0, 1, 2, 3];
        let mut carousel = Carousel::default();
        let (mut end, mut seen) = (0, [0; 4]);
        for _ in 0..100 {
            end += 10;
            carousel.left = seats.len();
            for _ in 0..3 {
                let member = carousel.next(&seats, end).unwrap();
                seen[member as usize] = end;
            }
            assert!(carousel.offered <= *seen.iter().min().unwrap());
            assert!(
                end - carousel.offered <= 40,
                "{} of {end}",
                carousel.offered
            );
        }
    }
}
