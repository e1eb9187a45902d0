//! Whose turn it is: how far a client's input is taken, what keeps it from speaking and what wakes it, who is owed bytes
//! and who is visited next, which deadlines are due. Takes no line apart and writes none.

use super::limits::{HalfClose, OWN_RANGES_MAX, PRIVATE_BYTES_MARK};
use super::session::{Input, Phase, Verdict, Wire};
use super::words::Resume;
use super::{ConnId, Hub, NEVER, Now};
use std::cmp::Reverse;

/// What a timer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// A deadline of this client may be due.
    Client(ConnId),
    /// A deadline of the room of this number may be due.
    Room(u32),
}

/// Why a client may not speak right now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// It has used up its allowance: a timer wakes it.
    Allowance,
    /// It does not read what it is owed, or has not read enough to change rooms: its own progress wakes it.
    Backlog,
    /// Its room has been said so much that the others must be given it first: the room wakes it.
    Room,
    /// It has had its visit, and is due again after the others.
    Turn,
    /// It has said all that it may say: nothing wakes it.
    Over,
}

impl From<Obstacle> for Resume {
    fn from(obstacle: Obstacle) -> Resume {
        match obstacle {
            Obstacle::Allowance | Obstacle::Room | Obstacle::Turn => Resume::Wait,
            Obstacle::Backlog | Obstacle::Over => Resume::Blocked,
        }
    }
}

/// Speaking, being woken, being visited, being late.
impl Hub {
    /// Takes bytes as far as the client may speak, and holds the rest.
    pub(super) fn feed(&mut self, now: Now, slot: u32, bytes: &[u8]) {
        let session = &mut self.clients[slot as usize].session;
        let raw = session.wire == Wire::Raw;
        // The intake is lent to the loop, since each line of it changes the rest of the hub.
        let mut intake = std::mem::take(&mut session.intake);
        let line_bytes_max = self.limits.line_bytes_max;
        let verdict = intake.feed(raw, bytes, line_bytes_max, |input| {
            self.take(now, slot, input)
        });
        self.totals.discarded_bytes += u64::from(intake.take_discarded());
        self.clients[slot as usize].session.intake = intake;
        if verdict == Verdict::Pause {
            let obstacle = self.obstacle(now, slot);
            // It has been served: it waits for its room only after those who have been refused in the meantime.
            let obstacle = obstacle.filter(|&obstacle| obstacle != Obstacle::Room);
            self.pause(now, slot, obstacle.unwrap_or(Obstacle::Turn));
        } else {
            self.arm(now, slot);
        }
    }

    pub(super) fn finish_now(&mut self, now: Now, slot: u32) {
        if self.clients[slot as usize].session.phase != Phase::Open {
            return;
        }
        self.take_partial(now, slot);
        let session = &mut self.clients[slot as usize].session;
        match self.limits.half_close {
            HalfClose::Keep if !session.is_host() => {
                if matches!(session.phase, Phase::Open | Phase::Moving { .. }) {
                    session.phase = Phase::Listening;
                }
            }
            HalfClose::Close | HalfClose::Keep => self.drain(now, slot),
        }
    }

    /// Hands the unfinished line on as if it were finished.
    pub(super) fn take_partial(&mut self, now: Now, slot: u32) {
        let mut intake = std::mem::take(&mut self.clients[slot as usize].session.intake);
        intake.feed_partial(|line| self.take(now, slot, Input::Line(line)));
        self.clients[slot as usize].session.intake = intake;
    }

    /// What keeps a client from speaking.
    pub(super) fn obstacle(&mut self, now: Now, slot: u32) -> Option<Obstacle> {
        let client = &self.clients[slot as usize];
        match client.session.phase {
            Phase::Open => {}
            Phase::Moving { until } if !client.outbox.has_given(until) => {
                return Some(Obstacle::Backlog);
            }
            Phase::Moving { .. } => {}
            Phase::Listening | Phase::Draining { .. } | Phase::Done => return Some(Obstacle::Over),
        }
        let backlog = client.outbox.private_bytes() > PRIVATE_BYTES_MARK
            || client.outbox.own_ranges() >= OWN_RANGES_MAX;
        if backlog {
            return Some(Obstacle::Backlog);
        }
        if client.session.may_speak_at(&self.limits) > now {
            return Some(Obstacle::Allowance);
        }
        (!self.crowd.rooms[client.room as usize].is_open(now, &self.limits))
            .then_some(Obstacle::Room)
    }

    /// Stops a client from being read, and sees to it that it is woken.
    pub(super) fn pause(&mut self, now: Now, slot: u32, obstacle: Obstacle) {
        let client = &mut self.clients[slot as usize];
        let before = client.paused.replace(obstacle);
        match obstacle {
            Obstacle::Turn => self.runnable.push_back(client.id(slot)),
            // However often it is asked, it stands in the list once.
            Obstacle::Room if before == Some(Obstacle::Room) => {}
            Obstacle::Room => {
                let room = client.room;
                self.crowd.rooms[room as usize]
                    .stalled
                    .push(client.id(slot));
                self.watch(now, room);
            }
            Obstacle::Allowance | Obstacle::Backlog | Obstacle::Over => {}
        }
        self.arm(now, slot);
    }

    /// Lets a client that was paused for this reason be asked again whether it may speak.
    pub(super) fn wake(&mut self, slot: u32, obstacle: Obstacle) {
        let client = &self.clients[slot as usize];
        if client.paused == Some(obstacle) {
            self.runnable.push_back(client.id(slot));
        }
    }

    /// Wakes those who waited for their room, if it is open again.
    pub(super) fn wake_stalled(&mut self, now: Now, number: u32) {
        let room = &mut self.crowd.rooms[number as usize];
        if room.stalled.is_empty() || !room.is_open(now, &self.limits) {
            return;
        }
        for id in room.stalled.drain(..) {
            // Not in the list any more: if the room is shut again when its turn comes, it is put there anew.
            let client = self.clients.get_mut(id.slot() as usize);
            if let Some(client) = client.filter(|client| client.serial == id.serial()) {
                client.paused = Some(Obstacle::Turn);
                self.called.push(id);
            }
        }
    }

    /// A client has made progress, or has changed its phase: acts upon what it may have waited for.
    pub(super) fn settle(&mut self, slot: u32) {
        let client = &mut self.clients[slot as usize];
        let until = client.session.until().unwrap_or(u64::MAX);
        if matches!(client.session.phase, Phase::Draining { .. }) && !client.outbox.owes(until) {
            client.session.phase = Phase::Done;
            self.done.push_back(client.id(slot));
        }
        self.wake(slot, Obstacle::Backlog);
    }

    /// Gives a client all that it is owed by now, and closes it then.
    pub(super) fn drain(&mut self, now: Now, slot: u32) {
        let client = &self.clients[slot as usize];
        let end = self.crowd.rooms[client.room as usize].log.end();
        self.drain_until(now, slot, client.session.until().unwrap_or(end));
    }

    /// Gives a client its private bytes and its room's log up to `until`, and closes it then. How long that may take
    /// counts from the first time that this is said of it; how much it is given, from the least that was said.
    pub(super) fn drain_until(&mut self, now: Now, slot: u32, until: u64) {
        let session = &mut self.clients[slot as usize].session;
        match &mut session.phase {
            Phase::Done => return,
            Phase::Draining { until: before } => *before = until.min(*before),
            phase => {
                *phase = Phase::Draining { until };
                session.heard_at = now;
                self.owe(slot);
                self.arm(now, slot);
            }
        }
        self.settle(slot);
    }

    /// Puts a client into the queue of those who are owed bytes.
    pub(super) fn owe(&mut self, slot: u32) {
        let client = &mut self.clients[slot as usize];
        if !client.queued {
            client.queued = true;
            self.owed.push_back(client.id(slot));
        }
    }

    pub(super) fn next_queued(&mut self) -> Option<ConnId> {
        while let Some(id) = self.owed.pop_front() {
            if let Some(slot) = self.slot(id) {
                self.clients[slot as usize].queued = false;
                return Some(id);
            }
        }
        None
    }

    pub(super) fn next_member(&mut self, now: Now) -> Option<ConnId> {
        while let Some(number) = self.turning.pop_front() {
            let room = &mut self.crowd.rooms[number as usize];
            let member = room.next_visit();
            if room.carousel.is_turning() {
                self.turning.push_back(number);
            }
            if !room.stalled.is_empty() {
                self.wake_stalled(now, number);
            }
            if let Some(member) = member {
                return Some(self.clients[member as usize].id(member));
            }
        }
        None
    }

    /// Sees to it that a client's next deadline is in the heap of timers. A later one that is there already rings in
    /// vain.
    pub(super) fn arm(&mut self, now: Now, slot: u32) {
        let client = &mut self.clients[slot as usize];
        if let Some(due) = client.session.deadline(now, &self.limits)
            && due < client.armed
        {
            client.armed = due;
            self.timers
                .push(Reverse((due, Timer::Client(client.id(slot)))));
        }
    }

    pub(super) fn tick_client(&mut self, now: Now, id: ConnId, due: Now) {
        let Some(slot) = self.slot(id) else { return };
        let client = &mut self.clients[slot as usize];
        if client.armed != due {
            return;
        }
        client.armed = NEVER;
        let session = &mut client.session;
        if let Phase::Draining { .. } = session.phase {
            if session.heard_at.after(self.limits.drain_us) <= now {
                session.phase = Phase::Done;
                self.done.push_back(id);
            }
        } else if session.phase == Phase::Open
            && session.idle_due(&self.limits).is_some_and(|due| due <= now)
        {
            if client.paused.is_some() {
                // Who may not be read cannot be heard: its silence begins anew.
                session.heard_at = now;
            } else {
                let seconds = self.limits.idle_timeout_us / 1_000_000;
                self.refuse(
                    slot,
                    format_args!("closed: nothing received for {seconds} s"),
                );
                self.drain(now, slot);
            }
        } else if session
            .partial_due(&self.limits)
            .is_some_and(|due| due <= now)
        {
            session.heard_at = now;
            if self.obstacle(now, slot).is_none() {
                self.take_partial(now, slot);
            }
        }
        self.wake(slot, Obstacle::Allowance);
        self.arm(now, slot);
    }
}
