//! How often a wrong secret has come from where, so that nobody tries many. Knows no secret and no client.

use super::addresses;
use super::limits::{TRIES_MAX, TRIES_REMEMBERED_MAX, TRIES_WINDOW_US};
use super::types::Now;
use crate::protocol::NONE;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::net::IpAddr;

/// What the number of a user is written after.
const UID: &str = "uid";

/// From where a secret has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    /// As connections are [counted](addresses::key) by it; `None` for a Unix-domain socket.
    address: Option<IpAddr>,
    /// The user at the other end of a Unix-domain socket, if the system says so.
    uid: Option<u32>,
}

impl Origin {
    /// Of a peer with this address, or with this user at the other end of a Unix-domain socket.
    pub fn of(address: Option<IpAddr>, uid: Option<u32>) -> Origin {
        let address = address.map(addresses::key);
        Origin { address, uid }
    }

    /// Reads what is [written](fmt::Display) of an origin.
    pub fn parse(text: &str) -> Option<Origin> {
        if text == NONE {
            return Some(Origin::of(None, None));
        }
        match text.strip_prefix(UID) {
            Some(uid) => Some(Origin::of(None, Some(uid.parse().ok()?))),
            None => Some(Origin::of(Some(text.parse().ok()?), None)),
        }
    }

    /// The user at the other end of a Unix-domain socket.
    pub fn uid(self) -> Option<u32> {
        self.uid
    }
}

/// For what is stored: one word.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.address, self.uid) {
            (Some(address), _) => write!(f, "{address}"),
            (None, Some(uid)) => write!(f, "{UID}{uid}"),
            (None, None) => f.write_str(NONE),
        }
    }
}

/// Wrong secrets of the last minute, by origin. Right ones are not counted: many people may share an address.
#[derive(Debug)]
pub struct Tries<K = Origin> {
    /// Oldest first; `0 <= len <= TRIES_REMEMBERED_MAX`.
    wrong: VecDeque<(Now, K)>,
    /// How many of these each origin has: `1 <= count <= TRIES_MAX`.
    counts: BTreeMap<K, u8>,
}

impl<K> Default for Tries<K> {
    fn default() -> Self {
        Tries {
            wrong: VecDeque::new(),
            counts: BTreeMap::new(),
        }
    }
}

impl<K: Copy + Ord + std::fmt::Debug> Tries<K> {
    /// Whether a secret from this origin may be looked at now.
    pub fn may_try(&mut self, now: Now, origin: K) -> bool {
        while let Some(&(at, _)) = self.wrong.front()
            && at.after(TRIES_WINDOW_US) <= now
        {
            self.forget_oldest();
        }
        self.counts.get(&origin).is_none_or(|&n| n < TRIES_MAX)
    }

    /// A secret from this origin was looked at, as it [might](Tries::may_try) be, and was wrong.
    pub fn was_wrong(&mut self, now: Now, origin: K) {
        if self.wrong.len() >= TRIES_REMEMBERED_MAX {
            self.forget_oldest();
        }
        self.wrong.push_back((now, origin));
        *self.counts.entry(origin).or_default() += 1;
    }

    fn forget_oldest(&mut self) {
        let Some((_, origin)) = self.wrong.pop_front() else {
            return;
        };
        if let Some(count) = self.counts.get_mut(&origin) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&origin);
            }
        }
    }

    /// Panics if an invariant is broken. For tests: looks at everything.
    pub fn check(&self) {
        assert!(self.wrong.len() <= TRIES_REMEMBERED_MAX);
        assert!(self.wrong.iter().map(|(at, _)| at).is_sorted());
        let mut counts = BTreeMap::new();
        for (_, origin) in &self.wrong {
            *counts.entry(*origin).or_default() += 1;
        }
        assert_eq!(counts, self.counts);
        assert!(counts.values().all(|&count| count <= TRIES_MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(address: &str) -> Origin {
        Origin::of(Some(address.parse().unwrap()), None)
    }

    #[test]
    fn five_wrong_secrets_a_minute_are_looked_at_from_each_origin() {
        let (mut tries, kim) = (Tries::<Origin>::default(), origin("192.0.2.1"));
        let at = |seconds: u64| Now::from_micros(seconds * 1_000_000);
        for second in 0..5 {
            assert!(tries.may_try(at(second), kim));
            tries.was_wrong(at(second), kim);
            tries.check();
        }
        assert!(!tries.may_try(at(59), kim));
        let others = [
            origin("192.0.2.2"),
            Origin::of(None, None),
            Origin::of(None, Some(7)),
        ];
        assert!(others.into_iter().all(|other| tries.may_try(at(59), other)));
        // Each is forgotten after a minute, and not before.
        assert!(tries.may_try(at(60), kim));
        tries.was_wrong(at(60), kim);
        assert!(!tries.may_try(at(60), kim) && tries.may_try(at(61), kim));
        tries.check();
    }

    #[test]
    fn one_host_is_one_origin() {
        assert_eq!(origin("::ffff:192.0.2.1"), origin("192.0.2.1"));
        assert_eq!(origin("2001:db8::1"), origin("2001:db8::2"));
        assert_ne!(origin("2001:db8::1"), origin("2001:db8:0:1::1"));
        assert_ne!(Origin::of(None, Some(1)), Origin::of(None, Some(2)));
    }

    #[test]
    fn memory_is_bounded_however_many_origins_try() {
        let mut tries = Tries::<Origin>::default();
        for number in 0..TRIES_REMEMBERED_MAX as u32 + 10 {
            let origin = Origin::of(Some(std::net::Ipv4Addr::from(number).into()), None);
            assert!(tries.may_try(Now::default(), origin));
            tries.was_wrong(Now::default(), origin);
        }
        assert_eq!(tries.wrong.len(), TRIES_REMEMBERED_MAX);
        tries.check();
    }
}
