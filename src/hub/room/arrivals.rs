//! Who has come to a room and gone since that was last announced. Decides when and in which words; knows no member.

use crate::hub::limits::ANNOUNCE_INTERVAL_US;
use crate::hub::types::Now;
use crate::protocol::Notice;

/// Comings and goings that have not been announced. The first is announced at once; those within the interval after it are
/// gathered, so that a room hears of them once an interval, however many there are.
#[derive(Debug, Default)]
pub struct Arrivals {
    joined: usize,
    left: usize,
    /// The name of the only one, while there is only one, and its slot if it has joined.
    only: Option<(Box<str>, Option<u32>)>,
    quiet_until: Now,
}

impl Arrivals {
    /// A member has joined.
    pub fn join(&mut self, name: String, slot: u32) {
        self.only = self.is_empty().then(|| (name.into(), Some(slot)));
        self.joined += 1;
    }

    /// A member has left.
    pub fn leave(&mut self, name: String) {
        self.only = self.is_empty().then(|| (name.into(), None));
        self.left += 1;
    }

    fn is_empty(&self) -> bool {
        self.joined + self.left == 0
    }

    /// When there is something to announce: from when on it may be announced.
    pub fn due(&self) -> Option<Now> {
        (!self.is_empty()).then_some(self.quiet_until)
    }

    /// The slot of the only member that has joined, if nothing else has happened: it need not hear of itself.
    pub fn only_joined(&self) -> Option<u32> {
        self.only.as_ref().and_then(|(_, slot)| *slot)
    }

    /// What is to be announced to a room that now has `here` members.
    pub fn notice(&self, here: usize) -> Notice<'_> {
        match (&self.only, self.joined, self.left) {
            (Some((names, Some(_))), ..) => Notice::Joined { names, here },
            (Some((names, None)), ..) => Notice::Left { names, here },
            (None, joined, 0) => Notice::ManyJoined { joined, here },
            (None, 0, left) => Notice::ManyLeft { left, here },
            (None, joined, left) => Notice::ManyJoinedAndLeft { joined, left, here },
        }
    }

    /// It has been announced, or nobody is to hear of it.
    pub fn clear(&mut self) {
        *self = Arrivals {
            quiet_until: self.quiet_until,
            ..Arrivals::default()
        };
    }

    /// It has been announced: the next interval begins.
    pub fn announced(&mut self, now: Now) {
        self.clear();
        self.quiet_until = now.after(ANNOUNCE_INTERVAL_US);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_member_is_named_and_several_are_counted() {
        let now = Now::from_micros(5);
        let mut arrivals = Arrivals::default();
        arrivals.join("kim".into(), 3);
        assert_eq!(arrivals.due(), Some(Now::default()));
        assert_eq!(arrivals.only_joined(), Some(3));
        let (names, here) = ("kim", 2);
        assert_eq!(arrivals.notice(2), Notice::Joined { names, here });
        arrivals.announced(now);
        assert_eq!(arrivals.due(), None);
        arrivals.leave("kim".into());
        assert_eq!(arrivals.due(), Some(now.after(ANNOUNCE_INTERVAL_US)));
        assert_eq!(arrivals.notice(2), Notice::Left { names, here });
        arrivals.clear();
        for slot in 0..1204 {
            arrivals.join("x".into(), slot);
        }
        assert_eq!(arrivals.only_joined(), None);
        for _ in 0..5 {
            arrivals.leave("x".into());
        }
        assert_eq!(
            arrivals.notice(1204).to_string(),
            "1,204 joined, 5 left (1,204 here)"
        );
    }

    #[test]
    fn clearing_does_not_shorten_the_interval() {
        let mut arrivals = Arrivals::default();
        arrivals.join("kim".into(), 3);
        arrivals.announced(Now::from_micros(5));
        arrivals.join("lee".into(), 4);
        let due = arrivals.due();
        arrivals.clear();
        assert_eq!(arrivals.due(), None);
        arrivals.join("han".into(), 5);
        assert_eq!(arrivals.due(), due);
    }
}
