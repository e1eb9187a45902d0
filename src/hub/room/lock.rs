//! The lock of a room: its secret, who is invited, and how many wrong secrets it was given. Knows clients only by their ids.

use crate::hub::limits::{INVITED_MAX, LOCK_TRIES_MAX, TRIES_WINDOW_US};
use crate::hub::secret::Secret;
use crate::hub::types::{ConnId, Now};
use std::collections::VecDeque;

/// What keeps others out of a room.
#[derive(Debug)]
pub struct Lock {
    /// `None`: the room is entered by invitation only.
    secret: Option<Secret>,
    /// Clients that may enter, each once; the oldest invitation first. `0 <= len <= INVITED_MAX`.
    invited: VecDeque<ConnId>,
    /// Since when wrong secrets are counted, and how many have come.
    wrong: (Now, u16),
}

impl Lock {
    /// With this secret.
    pub fn new(secret: Option<Secret>) -> Lock {
        Lock {
            secret,
            invited: VecDeque::new(),
            wrong: (Now::default(), 0),
        }
    }

    /// The same lock with another secret: invitations hold.
    pub fn set_secret(&mut self, secret: Option<Secret>) {
        self.secret = secret;
    }

    /// Whether there is a secret.
    pub fn has_secret(&self) -> bool {
        self.secret.is_some()
    }

    /// Whether this is the secret. Takes the same time if there is none.
    pub fn opens_with(&self, given: &Secret) -> bool {
        const NOBODY: &Secret = &Secret::of_nobody();
        self.secret.as_ref().unwrap_or(NOBODY).is(given)
    }

    /// Lets a client enter once.
    pub fn invite(&mut self, id: ConnId) {
        self.invited.retain(|&other| other != id);
        if self.invited.len() >= INVITED_MAX {
            self.invited.pop_front();
        }
        self.invited.push_back(id);
    }

    /// Whether a client is invited.
    pub fn is_invited(&self, id: ConnId) -> bool {
        self.invited.contains(&id)
    }

    /// A client has entered, or its connection has ended: it is invited no more.
    pub fn uninvite(&mut self, id: ConnId) {
        self.invited.retain(|&other| other != id);
    }

    /// Counts a wrong secret.
    pub fn was_wrong(&mut self, now: Now) {
        let (since, count) = self.wrong;
        self.wrong = match since.after(TRIES_WINDOW_US) > now {
            true => (since, count.saturating_add(1)),
            false => (now, 1),
        };
    }

    /// Whether so many wrong secrets have come that those of new connections are not looked at.
    pub fn is_tried_hard(&self, now: Now) -> bool {
        let (since, count) = self.wrong;
        count >= LOCK_TRIES_MAX && since.after(TRIES_WINDOW_US) > now
    }

    /// Bytes of memory.
    pub fn memory_bytes(&self) -> usize {
        size_of::<Lock>() + self.invited.capacity() * size_of::<ConnId>()
    }

    /// Panics if an invariant is broken. For tests.
    pub fn check(&self) {
        assert!(self.invited.len() <= INVITED_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(serial: usize) -> ConnId {
        ConnId::from_token(serial << 32 | 3).expect("a connection's token")
    }

    #[test]
    fn a_lock_opens_with_its_secret_alone() {
        let mut lock = Lock::new(Some(Secret::of("sesame")));
        assert!(lock.opens_with(&Secret::of("sesame")) && !lock.opens_with(&Secret::of("")));
        lock.set_secret(None);
        for given in ["sesame", ""] {
            assert!(!lock.opens_with(&Secret::of(given)), "{given:?}");
        }
    }

    #[test]
    fn an_invitation_is_for_one_connection_and_the_oldest_ends_when_there_are_too_many() {
        let mut lock = Lock::new(None);
        lock.invite(id(1));
        lock.invite(id(1));
        assert!(lock.is_invited(id(1)) && !lock.is_invited(id(2)));
        lock.uninvite(id(1));
        assert!(!lock.is_invited(id(1)));
        for serial in 1..=INVITED_MAX + 1 {
            lock.invite(id(serial));
            lock.check();
        }
        assert!(!lock.is_invited(id(1)) && lock.is_invited(id(2)));
        assert!(lock.memory_bytes() <= 16 * INVITED_MAX + 128);
    }

    #[test]
    fn thirty_wrong_secrets_in_a_minute_are_many() {
        let mut lock = Lock::new(None);
        let at = |seconds: u64| Now::from_micros(seconds * 1_000_000);
        for second in 100..130 {
            assert!(!lock.is_tried_hard(at(second)));
            lock.was_wrong(at(second));
        }
        assert!(lock.is_tried_hard(at(130)) && !lock.is_tried_hard(at(160)));
        lock.was_wrong(at(160));
        assert!(!lock.is_tried_hard(at(160)));
    }
}
