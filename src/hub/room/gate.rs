//! Whether a room has to wait for some of its readers, since when, and which senders wait for that. The state of
//! back-pressure; what is done about it is in `backpressure`. Sees the room's log and nothing else.

use super::log::Log;
use crate::hub::limits::{
    LATE_CREDIT_MAX_US, LATE_CREDIT_SHARE, LATE_RETRY_US, LATE_STUCK_US, LATE_TIMEOUT_US, Limits,
    SlowPolicy,
};
use crate::hub::types::{ConnId, Now};
use std::collections::BTreeMap;

/// Two reasons for which a room accepts no line, a reason to look again, and the senders that wait.
///
/// | reason | from | until |
/// | --- | --- | --- |
/// | full (`--slow wait` only) | the log holds `log_full_bytes` | it holds `log_open_bytes` |
/// | late | an awaited reader is `late_bytes` behind, and there is credit | none is, or the credit is used up |
#[derive(Debug, Default)]
pub struct Gate {
    /// Since when the log has been full.
    full_since: Option<Now>,
    /// Senders wait for late readers.
    late: Option<LateWait>,
    /// How long senders may still wait for late readers, in tenths of a microsecond, at `observed_at`:
    /// `0 <= credit <= CREDIT_MAX`. Waiting uses it up, and [`LATE_CREDIT_SHARE`] times as long without waiting earns it.
    credit: u64,
    /// When the gate was last brought up to date.
    observed_at: Now,
    /// When senders may wait again for readers that they have stopped waiting for, if there are any.
    retry_at: Option<Now>,
    /// Under `--slow wait`: microseconds for which a member has held the room full, by slot, and when that was last
    /// counted.
    held: BTreeMap<u32, u64>,
    held_counted_at: Now,
    /// The slots of members that have held it for too long, each once; some may have left.
    overdue: Vec<u32>,
    /// Clients that wait until the room accepts lines, each once, the one that has waited longest first.
    blocked: Vec<ConnId>,
}

/// How far the wait for late readers has come.
#[derive(Clone, Copy, Debug)]
enum LateWait {
    /// It has just begun: the late readers have not been looked at.
    New,
    /// Since then, senders have been waiting for those that had made progress.
    Since(Now),
}

const CREDIT_MAX: u64 = LATE_CREDIT_MAX_US * LATE_CREDIT_SHARE;

impl Gate {
    /// A gate whose senders have not waited for anybody.
    pub fn new() -> Gate {
        Gate {
            credit: CREDIT_MAX,
            ..Gate::default()
        }
    }

    /// Brings both reasons up to date with the log. To be called before they are asked for.
    pub fn observe(&mut self, now: Now, log: &Log, limits: &Limits) {
        let elapsed_us = now.as_micros().saturating_sub(self.observed_at.as_micros());
        self.observed_at = self.observed_at.max(now);
        self.credit = match self.late {
            Some(_) => self.credit.saturating_sub(elapsed_us * LATE_CREDIT_SHARE),
            None => CREDIT_MAX.min(self.credit + elapsed_us),
        };
        // Senders begin to wait only with credit for a whole wait, or they would be stopped and woken again and again.
        let credit_min = match self.late {
            Some(_) => 1,
            None => LATE_TIMEOUT_US * LATE_CREDIT_SHARE,
        };
        let is_late = log.late() > 0 && self.credit >= credit_min;
        self.late = is_late.then(|| self.late.unwrap_or(LateWait::New));
        if limits.slow == SlowPolicy::Wait {
            // A full room does not open before much of its log has been read, or its senders would be woken for every
            // line.
            let mark = match self.full_since {
                Some(_) => limits.log_open_bytes(),
                None => limits.log_full_bytes(),
            };
            let is_full = log.live_bytes() > mark;
            if is_full && self.full_since.is_none() {
                self.held_counted_at = now;
            }
            self.full_since = is_full.then(|| self.full_since.unwrap_or(now));
        }
    }

    /// A log is not full under any policy but `wait`, and nobody holds it.
    pub fn forget_full(&mut self) {
        self.full_since = None;
        self.held.clear();
        self.overdue.clear();
    }

    /// Whether the room waits for some of its readers.
    pub fn is_shut(&self) -> bool {
        self.is_full() || self.late.is_some()
    }

    /// Whether the log is full, under `--slow wait`.
    pub fn is_full(&self) -> bool {
        self.full_since.is_some()
    }

    /// If it is time to look at late readers: senders wait no more for those that have made no progress since the time that
    /// is returned.
    pub fn late_over(&self, now: Now) -> Option<Now> {
        match self.late? {
            LateWait::New => Some(Now::from_micros(
                now.as_micros().saturating_sub(LATE_STUCK_US),
            )),
            LateWait::Since(since) => (since.after(LATE_TIMEOUT_US) <= now).then_some(since),
        }
    }

    /// The late readers that senders still wait for have made progress: these begin to wait anew.
    pub fn restart_wait(&mut self, now: Now) {
        if let Some(wait) = &mut self.late {
            *wait = LateWait::Since(now);
        }
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

    /// Microseconds for which the log has been full since this was last called, if it is time to count them: to be added
    /// to the members that hold it, and a tenth to be taken from the others.
    pub fn count_held(&mut self, now: Now, limits: &Limits) -> Option<u64> {
        let since = self.held_counted_at.as_micros();
        let held_us = now.as_micros().saturating_sub(since);
        let is_due = self.is_full() && held_us >= held_interval_us(limits);
        is_due.then(|| {
            self.held_counted_at = now;
            // Each is counted anew.
            self.overdue.clear();
            held_us
        })
    }

    /// A member has held the room for `us` more.
    pub fn hold(&mut self, slot: u32, us: u64, limits: &Limits) {
        let held_us = self.held.entry(slot).or_default();
        *held_us += us;
        if *held_us >= limits.slow_timeout_us {
            self.overdue.push(slot);
        }
    }

    /// Whether a member may have held the room for as long as it may.
    pub fn has_overdue(&self) -> bool {
        !self.overdue.is_empty()
    }

    /// The next member that has held the room for as long as it may.
    pub fn next_overdue(&mut self, limits: &Limits) -> Option<u32> {
        while let Some(slot) = self.overdue.pop() {
            let held_us = self.held.get(&slot);
            if held_us.is_some_and(|&held_us| held_us >= limits.slow_timeout_us) {
                return Some(slot);
            }
        }
        None
    }

    /// A member does not hold the room at present: what it has held is forgiven by and by.
    pub fn forgive(&mut self, slot: u32, us: u64) {
        if let Some(held_us) = self.held.get_mut(&slot) {
            *held_us = held_us.saturating_sub(us / LATE_CREDIT_SHARE);
        }
    }

    /// A member has left.
    pub fn forget(&mut self, slot: u32) {
        self.held.remove(&slot);
    }

    /// When the room's readers are to be looked at.
    pub fn deadline(&self, limits: &Limits) -> Option<Now> {
        let credit_us = self.credit.div_ceil(LATE_CREDIT_SHARE);
        let late = self.late.map(|wait| match wait {
            LateWait::New => self.observed_at,
            LateWait::Since(since) => {
                let credit_ends = self.observed_at.after(credit_us);
                since.after(LATE_TIMEOUT_US).min(credit_ends)
            }
        });
        let held = self.held_counted_at.after(held_interval_us(limits));
        let full = self.full_since.map(|_| held);
        let overdue = self.has_overdue().then_some(self.observed_at);
        let deadlines = [late, full, self.retry_at, overdue];
        deadlines.into_iter().flatten().min()
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
        assert!(self.credit <= CREDIT_MAX);
        for (at, id) in self.blocked.iter().enumerate() {
            assert!(!self.blocked[..at].contains(id), "{id:?} waits twice");
        }
    }
}

/// Microseconds between two counts of who holds a full room.
fn held_interval_us(limits: &Limits) -> u64 {
    limits.slow_timeout_us.div_ceil(4).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_has_a_credit_that_comes_back_with_a_tenth_of_the_time() {
        let limits = Limits::default();
        let mut log = Log::new(0, 0, limits.late_bytes(), 100);
        log.enter(0);
        let mut gate = Gate::new();
        let at = Now::from_micros;
        gate.observe(at(0), &log, &limits);
        assert!(!gate.is_shut());
        while log.late() == 0 {
            log.append(1000, 1 << 20, |out| {
                out.extend([b'x'; 999]);
                out.push(b'\n');
            });
        }
        gate.observe(at(100), &log, &limits);
        assert!(gate.is_shut());
        // Readers that have not read for long are not waited for at all.
        assert_eq!(gate.deadline(&limits), Some(at(100)));
        assert_eq!(gate.late_over(at(100)), Some(at(0)));
        assert_eq!(gate.late_over(at(10_100)), Some(at(100)));
        gate.restart_wait(at(100));
        assert_eq!(gate.late_over(at(3_099)), None);
        assert_eq!(gate.late_over(at(3_100)), Some(at(100)));
        // The reader goes on reading, but never catches up: senders wait until the credit is used up.
        gate.restart_wait(at(3_100));
        gate.observe(at(20_099), &log, &limits);
        assert!(gate.is_shut());
        gate.observe(at(20_100), &log, &limits);
        assert!(!gate.is_shut());
        // Then they wait no more, until there is credit for a whole wait.
        gate.observe(at(50_099), &log, &limits);
        assert!(!gate.is_shut());
        gate.observe(at(50_100), &log, &limits);
        assert!(gate.is_shut());
        gate.restart_wait(at(50_100));
        assert_eq!(gate.deadline(&limits), Some(at(53_100)));
    }
}
