//! The part of the hub's contract that concerns operators: jobs that go on, requests and their answers, what is restored at
//! the start. Composition only; what concerns names that are somebody's own is in `accounts/contract` and `registering`.

use super::acts;
use super::bans::Ban;
use super::jobs::{BAN, Job};
use super::range::Range;
use super::state::Drain;
use super::steps;
use crate::hub::Hub;
use crate::hub::accounts::account::NAME;
use crate::hub::registering;
use crate::hub::requests::{Answer, Request, Ticket};
use crate::hub::types::{Deed, Now, Peers};

impl Hub {
    /// Tells the hub the time of day, once, before anything else: the UNIX time at its time 0, in microseconds.
    pub fn set_epoch(&mut self, unix_us: u64) {
        self.operators.epoch_us = unix_us;
    }

    /// Restores something that was [stored](Request::Store) by an earlier process.
    ///
    /// # Errors
    /// It is nothing that a hub has stored; what is wrong with it.
    pub fn restore(&mut self, now: Now, kind: &str, key: &str, value: &str) -> Result<(), String> {
        match kind {
            BAN => {}
            NAME => return self.restore_name(key, value),
            kind => return Err(format!("unknown kind {kind}")),
        }
        let range = Range::parse(key).ok_or_else(|| format!("no range of addresses: {key}"))?;
        let ban = Ban::restored(value, self.operators.epoch_us);
        let ban = ban.ok_or_else(|| format!("no ban of {key}: {value}"))?;
        if ban.ends.is_some_and(|ends| ends <= now) {
            self.operators.jobs.ask(Job::erase(range));
        } else if self.operators.bans.is_full() {
            return Err(format!("one ban too many: {key}"));
        } else {
            self.operators.bans.insert(range, ban);
            acts::arm(&mut self.context(now));
        }
        Ok(())
    }

    /// Whether [`carry_on`](Hub::carry_on) has something to do.
    pub fn has_jobs(&self) -> bool {
        self.operators.jobs.has_next() || self.accounts.claims.has_next()
    }

    /// Does one step of an operator's command, and one of what people want to be done about names; false: there is none
    /// to be done.
    pub fn carry_on(&mut self, now: Now, peers: &mut dyn Peers) -> bool {
        let job = self.operators.jobs.next();
        let has_job = job.is_some();
        let mut reading = self.reading(now);
        if let Some((by, job)) = job {
            steps::step(&mut reading.cx, peers, by, job);
        }
        registering::step(&mut reading.cx, reading.directory, peers) || has_job
    }

    /// The next thing that the driver is to do. Each is to be [answered](Hub::answer), now or later.
    #[must_use = "somebody waits for the answer"]
    pub fn next_request(&mut self) -> Option<(Ticket, Request)> {
        self.operators.jobs.next_request()
    }

    /// The driver's answer to a request. One that nobody waits for does nothing.
    pub fn answer(&mut self, now: Now, ticket: Ticket, answer: Answer) {
        if let Some((by, job)) = self.operators.jobs.answered(ticket) {
            steps::answered(&mut self.context(now), by, job, answer);
        } else if let Some((by, claim)) = self.accounts.claims.answered(ticket) {
            registering::answered(&mut self.context(now), by, claim, answer);
        }
    }

    /// What an operator has done, for the log; to be drained.
    pub fn next_deed(&mut self) -> Option<Deed> {
        self.operators.deeds.pop_front()
    }

    /// Whether newcomers are refused until all have left.
    pub fn is_draining(&self) -> bool {
        self.operators.drain != Drain::None
    }
}
