//! What the link wants of the engine, and what it does at certain times.

use super::contract::{Batch, Lane, Op};
use super::item::Item;
use super::items;
use super::limits::{ALIVE_US, ATTACH_PAUSE_US, CUT_OFF_US};
use super::{Engine, Event, Link, Phase, Stop};
use crate::hub::types::Now;

impl Link {
    /// The next thing that the engine is to do. Drained once a turn: what is said in a turn is one batch a lane.
    #[must_use = "it is not returned again"]
    pub fn next_op(&mut self, now: Now) -> Option<Op> {
        if self.engine != Engine::Connected {
            return None;
        }
        self.advance_stop();
        if self.attach_at().is_some_and(|at| at <= now) {
            return Some(self.attach(now));
        }
        if let Some(batch) = self.closes.submit() {
            return Some(Op::Close(batch));
        }
        while self.looked_at <= self.rooms.len() {
            let incarnation = self.incarnation;
            let batch = match self.looked_at {
                0 if self.appends() => self.directory.submit(now, incarnation),
                at if at > 0 && self.is_live() => {
                    self.rooms[at - 1].outgoing.submit(now, incarnation)
                }
                _ => None,
            };
            self.looked_at += 1;
            if let Some(batch) = batch {
                return Some(Op::Append(batch));
            }
        }
        self.looked_at = 0;
        None
    }

    /// Whether an incarnation is open.
    fn appends(&self) -> bool {
        matches!(
            self.phase,
            Phase::Starting(_) | Phase::Replaying(_) | Phase::Live
        )
    }

    /// When an incarnation is to be opened, if the engine can be used.
    fn attach_at(&self) -> Option<Now> {
        if !matches!(self.phase, Phase::Detached) {
            return None;
        }
        let pause = |at: Now| at.after(ATTACH_PAUSE_US);
        Some(self.attached_at.map_or(Now::default(), pause))
    }

    fn attach(&mut self, now: Now) -> Op {
        self.attached_at = Some(now);
        self.phase = Phase::Attaching;
        let mut started = Vec::new();
        let name = self.settings.name.clone();
        items::write(&Item::Started { name: &name }, &mut started);
        Op::Attach {
            name,
            incarnation: self.incarnation,
            started,
            history_entries: self.settings.history_entries,
        }
    }

    /// Tells the others that this node stops, if it is to, and all that was said here has been read back.
    fn advance_stop(&mut self) {
        if self.stop == Stop::No {
            return;
        }
        let is_said = self.rooms.iter().all(|it| it.outgoing.is_empty());
        match self.phase {
            Phase::Detached if is_said => self.phase = Phase::Stopped,
            Phase::Closing if self.closes.is_empty() => self.phase = Phase::Stopped,
            Phase::Starting(_) | Phase::Replaying(_) | Phase::Live
                if self.stop == Stop::Wanted && is_said =>
            {
                self.stop = Stop::Told;
                self.directory.gather(|parcel| parcel.push(&Item::Stopped));
            }
            _ => {}
        }
    }

    /// This node has stopped: closes its incarnation. Those who are ready announce who has left with it, in the lanes of rooms.
    pub(super) fn close_own(&mut self) {
        self.phase = Phase::Closing;
        self.close(Lane::DIRECTORY, self.incarnation);
        if !self.nodes.has_other_ready(self.incarnation) {
            for number in 0..self.settings.lanes {
                self.close(Lane::of_rooms(number), self.incarnation);
            }
        }
    }

    /// Closes an incarnation in a lane without saying anything there.
    pub(super) fn close(&mut self, lane: Lane, incarnation: u64) {
        self.closes.push(Batch {
            lane,
            incarnation,
            number: Batch::LAST,
            rooms: Vec::new(),
            payload: Vec::new(),
        });
    }

    /// When [`tick`](Link::tick) is to be called, or [`next_op`](Link::next_op) has something.
    pub fn deadline(&self) -> Option<Now> {
        let due = match self.engine {
            Engine::Never | Engine::CutOff => None,
            Engine::Disconnected(since) => Some(since.after(CUT_OFF_US)),
            Engine::Connected => self.attach_at().or(self.alive_at),
        };
        let stop_by = self.stop_by.filter(|_| !self.has_stopped());
        due.into_iter().chain(stop_by).min()
    }

    /// Does what is due by now. False: nothing is, although [`next_op`](Link::next_op) may have something.
    pub fn tick(&mut self, now: Now) -> bool {
        if self.stop_by.is_some_and(|by| by <= now) && !self.has_stopped() {
            self.phase = Phase::Stopped;
            return true;
        }
        match self.engine {
            Engine::Disconnected(since) if since.after(CUT_OFF_US) <= now => {
                self.engine = Engine::CutOff;
                self.events.push_back(Event::CutOff);
                true
            }
            Engine::Connected if self.alive_at.is_some_and(|at| at <= now) => {
                self.alive_at = Some(now.after(ALIVE_US));
                if !std::mem::replace(&mut self.is_alive_pending, true) {
                    let silent = self.nodes.silent(self.incarnation);
                    let item = Item::Alive { silent };
                    self.directory.gather(|parcel| parcel.push(&item));
                }
                true
            }
            _ => false,
        }
    }
}
