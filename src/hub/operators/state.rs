//! What operators have done and are doing. Knows clients only by their slots and ids.

use super::bans::Bans;
use super::jobs::Jobs;
use super::mutes::Mutes;
use crate::hub::types::{ConnId, Deed, Now};
use std::collections::VecDeque;

/// Operators.
#[derive(Debug, Default)]
pub struct Operators {
    /// Their commands that are not answered in full.
    pub jobs: Jobs,
    /// From where no newcomer is admitted.
    pub bans: Bans,
    /// Clients that may not speak.
    pub mutes: Mutes,
    /// Clients of the control listener.
    pub connected: usize,
    /// Whether newcomers are refused until all have left.
    pub drain: Drain,
    /// The UNIX time at the hub's time 0, in microseconds.
    pub epoch_us: u64,
    /// What the log has not been told.
    pub deeds: VecDeque<Deed>,
}

/// Whether the server ends when all have left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Drain {
    /// No.
    #[default]
    None,
    /// Yes; some are still here.
    Begun,
    /// All have left: the driver has been asked to end the server.
    Over,
}

impl Operators {
    /// When the next ban or the next mute ends.
    pub fn deadline(&self) -> Option<Now> {
        let deadlines = [self.bans.deadline(), self.mutes.deadline()];
        deadlines.into_iter().flatten().min()
    }

    /// Notes what an operator has done.
    pub fn note(&mut self, by: ConnId, name: &str, what: String) {
        let name = name.into();
        self.deeds.push_back(Deed { by, name, what });
    }

    /// Panics if an invariant is broken. For tests: looks at everything.
    pub fn check(&self) {
        self.jobs.check();
        self.bans.check();
        self.mutes.check();
    }
}

/// Seconds from `now` until something ends, for people: not 0 before it has.
pub fn seconds_left(now: Now, ends: Option<Now>) -> Option<u64> {
    let left_us = ends?.as_micros().saturating_sub(now.as_micros());
    Some(left_us.div_ceil(1_000_000))
}
