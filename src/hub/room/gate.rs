//! Whether a room has to wait for some of its readers, since when, and which senders wait for that. The state of
//! back-pressure; what is done about it is in `backpressure`. Sees the room's log and nothing else.

use super::log::Log;
use crate::hub::limits::{LATE_RETRY_US, LATE_TIMEOUT_US, Limits, SlowPolicy};
use crate::hub::types::{ConnId, Now};

/// Two reasons for which a room accepts no line, a reason to look again, and the senders that wait.
///
/// | reason | from | until |
/// | --- | --- | --- |
/// | full (`--slow wait` only) | the log holds `log_full_bytes` | it holds `log_open_bytes` |
/// | late | an awaited reader is `late_bytes` behind | none is, or senders stop waiting after [`LATE_TIMEOUT_US`] |
#[derive(Debug, Default)]
pub struct Gate {
    /// Since when the log has been full.
    full_since: Option<Now>,
    /// Since when senders have been waiting for late readers.
    late_since: Option<Now>,
    /// When senders may wait again for readers that they have stopped waiting for, if there are any.
    retry_at: Option<Now>,
    /// Clients that wait until the room accepts lines, each once, the one that has waited longest first.
    blocked: Vec<ConnId>,
}

impl Gate {
    /// Brings both reasons up to date with the log. To be called before they are asked for.
    pub fn observe(&mut self, now: Now, log: &Log, limits: &Limits) {
        self.late_since = (log.late() > 0).then(|| self.late_since.unwrap_or(now));
        if limits.slow == SlowPolicy::Wait {
            // A full room does not open before much of its log has been read, or its senders would be woken for every
            // line.
            let mark = match self.full_since {
                Some(_) => limits.log_open_bytes(),
                None => limits.log_full_bytes(),
            };
            let is_full = log.live_bytes() > mark;
            self.full_since = is_full.then(|| self.full_since.unwrap_or(now));
        }
    }

    /// Whether the room waits for some of its readers.
    pub fn is_shut(&self) -> bool {
        self.is_full() || self.late_since.is_some()
    }

    /// Whether the log is full, under `--slow wait`.
    pub fn is_full(&self) -> bool {
        self.full_since.is_some()
    }

    /// Whether senders have waited for late readers as long as they may.
    pub fn is_late_over(&self, now: Now) -> bool {
        self.late_since
            .is_some_and(|since| since.after(LATE_TIMEOUT_US) <= now)
    }

    /// Whether the log has been full for `--slow-timeout`.
    pub fn is_full_over(&self, now: Now, limits: &Limits) -> bool {
        self.full_since
            .is_some_and(|since| since.after(limits.slow_timeout_us) <= now)
    }

    /// Whether it is time to wait again for readers that are reading.
    pub fn is_retry_due(&self, now: Now) -> bool {
        self.retry_at.is_some_and(|at| at <= now)
    }

    /// Senders have stopped waiting for some readers, or still do not wait for them: looks again later.
    pub fn retry_later(&mut self, now: Now) {
        self.retry_at.get_or_insert(now.after(LATE_RETRY_US));
    }

    /// It has been looked whether senders can wait again.
    pub fn retried(&mut self) {
        self.retry_at = None;
    }

    /// When the room's readers are to be looked at.
    pub fn deadline(&self, now: Now, limits: &Limits) -> Option<Now> {
        let late = self.late_since.map(|since| since.after(LATE_TIMEOUT_US));
        let full = self.full_since.map(|since| {
            let due = since.after(limits.slow_timeout_us);
            if due > now {
                return due;
            }
            // After the first time four times as often: other readers may have become stuck meanwhile.
            now.after(limits.slow_timeout_us.div_ceil(4))
        });
        [late, full, self.retry_at].into_iter().flatten().min()
    }

    /// A client waits until the room accepts lines.
    pub fn push_blocked(&mut self, id: ConnId) {
        debug_assert!(!self.blocked.contains(&id));
        self.blocked.push(id);
    }

    /// Whether a client waits.
    pub fn has_blocked(&self) -> bool {
        !self.blocked.is_empty()
    }

    /// The clients that have waited. Some may have left.
    #[must_use = "clients that are not woken wait for ever"]
    pub fn take_blocked(&mut self) -> Vec<ConnId> {
        std::mem::take(&mut self.blocked)
    }

    /// Panics if an invariant is broken. For tests: looks at everything.
    pub fn check(&self) {
        for (at, id) in self.blocked.iter().enumerate() {
            assert!(!self.blocked[..at].contains(id), "{id:?} waits twice");
        }
    }
}
