//! Bans: ranges of addresses from which no newcomer is admitted, how long, why, and by whom. Knows no client.
//!
//! A ban is stored by its range as `ENDS BY WHY`, where `ENDS` is a UNIX time in seconds, or `-` if it never ends.

use super::range::Range;
use crate::hub::limits::BANS_MAX;
use crate::hub::types::Now;
use crate::protocol::NONE;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::ops::Bound::{Excluded, Unbounded};

/// One ban.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ban {
    /// When it ends; `None`: never.
    pub ends: Option<Now>,
    /// The name of the operator who has made it.
    pub by: Box<str>,
    /// Why; empty if no reason was given.
    pub why: Box<str>,
    /// Newcomers that it has refused.
    pub hits: u64,
}

impl Ban {
    /// As it is stored. `epoch_us`: the UNIX time at the hub's time 0.
    pub fn stored(&self, epoch_us: u64) -> String {
        let ends = self.ends.map_or_else(
            || NONE.into(),
            |ends| {
                (epoch_us + ends.as_micros())
                    .div_ceil(1_000_000)
                    .to_string()
            },
        );
        format!("{ends} {} {}", self.by, self.why)
    }

    /// Reads what [`stored`](Ban::stored) has written.
    pub fn restored(text: &str, epoch_us: u64) -> Option<Ban> {
        let (ends, rest) = text.split_once(' ')?;
        let (by, why) = rest.split_once(' ')?;
        let ends = match ends {
            NONE => None,
            seconds => {
                let unix_us = seconds.parse::<u64>().ok()?.checked_mul(1_000_000)?;
                Some(Now::from_micros(unix_us.saturating_sub(epoch_us)))
            }
        };
        Some(Ban {
            ends,
            by: by.into(),
            why: why.into(),
            hits: 0,
        })
    }
}

/// All bans.
#[derive(Debug, Default)]
pub struct Bans {
    /// `0 <= len <= BANS_MAX`.
    bans: BTreeMap<Range, Ban>,
    /// Those that end.
    ends: BTreeSet<(Now, Range)>,
}

impl Bans {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.bans.len()
    }

    /// Whether there is no place for another.
    pub fn is_full(&self) -> bool {
        self.len() >= BANS_MAX
    }

    /// The ban of exactly this range.
    pub fn get(&self, range: Range) -> Option<&Ban> {
        self.bans.get(&range)
    }

    /// Bans a range; a ban of the same range is replaced, and what it has refused is kept.
    pub fn insert(&mut self, range: Range, mut ban: Ban) {
        if let Some(before) = self.remove(range) {
            ban.hits = before.hits;
        }
        self.ends.extend(ban.ends.map(|ends| (ends, range)));
        self.bans.insert(range, ban);
    }

    /// Lifts the ban of exactly this range.
    pub fn remove(&mut self, range: Range) -> Option<Ban> {
        let ban = self.bans.remove(&range)?;
        if let Some(ends) = ban.ends {
            self.ends.remove(&(ends, range));
        }
        Some(ban)
    }

    /// The smallest banned range that contains an address. Ranges contain one another or are apart, so that a step leads
    /// from a range to those around it: O(log n) for each of the nested ranges that begin alike, of which there are 128 at
    /// most.
    pub fn find(&self, address: IpAddr) -> Option<Range> {
        let mut last = Range::last_around(address);
        loop {
            let (&range, _) = self.bans.range(..=last).next_back()?;
            if range.contains(address) {
                return Some(range);
            }
            last = range.last_around_both(address)?;
        }
    }

    /// A newcomer from this address: the ban that refuses it, if one does.
    pub fn hit(&mut self, address: IpAddr) -> Option<&Ban> {
        if self.bans.is_empty() {
            return None;
        }
        let ban = self.bans.get_mut(&self.find(address)?)?;
        ban.hits += 1;
        Some(ban)
    }

    /// The next ban in order after this range, or the first.
    pub fn next_after(&self, range: Option<Range>) -> Option<(Range, &Ban)> {
        let after = range.map_or(Unbounded, Excluded);
        let (&range, ban) = self.bans.range((after, Unbounded)).next()?;
        Some((range, ban))
    }

    /// When the next ban ends.
    pub fn deadline(&self) -> Option<Now> {
        self.ends.first().map(|&(ends, _)| ends)
    }

    /// Takes out a ban that has ended.
    pub fn expire_one(&mut self, now: Now) -> Option<Range> {
        let &(_, range) = self.ends.first().filter(|(ends, _)| *ends <= now)?;
        self.remove(range);
        Some(range)
    }

    /// Panics if an invariant is broken. For tests: looks at everything.
    pub fn check(&self) {
        assert!(self.len() <= BANS_MAX);
        let ends = self
            .bans
            .iter()
            .filter_map(|(&range, ban)| Some((ban.ends?, range)));
        assert_eq!(ends.collect::<BTreeSet<_>>(), self.ends);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    fn ban(ends: Option<Now>) -> Ban {
        Ban {
            ends,
            by: "op".into(),
            why: "".into(),
            hits: 0,
        }
    }

    #[test]
    fn the_smallest_range_around_an_address_is_found() {
        let range = |text: &str| Range::parse(text).unwrap();
        for seed in 0..300 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let mut bans = Bans::default();
            let mut ranges: Vec<Range> = Vec::new();
            // Few bits differ, so that ranges are nested.
            let address = |rng: &mut fastrand::Rng| -> IpAddr {
                let (high, low) = (rng.u32(..) & rng.u32(..) & 0xa000_8081, rng.u32(..4));
                if rng.bool() {
                    Ipv4Addr::from(high | low).into()
                } else {
                    Ipv6Addr::from(u128::from(high) << 96 | u128::from(low) << 62).into()
                }
            };
            for _ in 0..rng.usize(1..40) {
                let address = address(&mut rng);
                let bits = rng.u8(0..=if address.is_ipv4() { 32 } else { 128 });
                let range = range(&format!("{address}/{bits}"));
                bans.insert(
                    range,
                    ban(rng.bool().then(|| Now::from_micros(rng.u64(..9)))),
                );
                ranges.push(range);
                if rng.u8(0..4) == 0 {
                    let gone = ranges.swap_remove(rng.usize(..ranges.len()));
                    ranges.retain(|range| *range != gone);
                    assert!(bans.remove(gone).is_some());
                }
                bans.check();
            }
            for _ in 0..100 {
                let address = address(&mut rng);
                let around = ranges.iter().filter(|range| range.contains(address));
                // Of nested ranges the smallest is the last in order.
                assert_eq!(
                    bans.find(address),
                    around.max().copied(),
                    "seed {seed}: {address}"
                );
            }
        }
    }

    #[test]
    fn a_ban_ends_at_its_time_and_another_one_of_its_range_replaces_it() {
        let (mut bans, range) = (Bans::default(), Range::parse("10.0.0.0/8").unwrap());
        let at = Now::from_micros;
        bans.insert(range, ban(Some(at(10))));
        assert!(bans.hit([10, 0, 0, 1].into()).is_some());
        bans.insert(range, ban(Some(at(20))));
        bans.check();
        assert_eq!(
            (bans.expire_one(at(19)), bans.deadline()),
            (None, Some(at(20)))
        );
        assert_eq!(bans.get(range).map(|ban| ban.hits), Some(1));
        assert_eq!(bans.expire_one(at(20)), Some(range));
        assert_eq!((bans.len(), bans.deadline()), (0, None));
        assert!(bans.hit([10, 0, 0, 1].into()).is_none());
    }

    #[test]
    fn a_ban_is_restored_as_it_was_stored_by_the_time_of_day() {
        let epoch_us = 1_700_000_000_000_000;
        for (ends, why, stored) in [
            (None, "", "- op "),
            (Some(5_000_001), "two  words", "1700000006 op two  words"),
        ] {
            let ends = ends.map(Now::from_micros);
            let ban = Ban {
                why: why.into(),
                ..ban(ends)
            };
            assert_eq!(ban.stored(epoch_us), stored);
            // A later start.
            let restored = Ban::restored(stored, epoch_us + 4_000_000).unwrap();
            assert_eq!((&restored.by, &restored.why), (&ban.by, &ban.why));
            assert_eq!(restored.ends, ends.map(|_| Now::from_micros(2_000_000)));
        }
        for text in [
            "",
            "- op",
            "x op why",
            "-1 op why",
            "99999999999999999999 op ",
        ] {
            assert_eq!(Ban::restored(text, epoch_us), None, "{text}");
        }
    }
}
