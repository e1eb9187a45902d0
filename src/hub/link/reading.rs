//! What comes from the engine: the connection, answers, and entries of the lanes of rooms.

use super::contract::{Batch, Entry, Lane, Outcome};
use super::item::Item;
use super::items;
use super::limits::ALIVE_US;
use super::numbers::Step;
use super::outgoing::Found;
use super::starting::Starting;
use super::{Applied, Engine, Event, Link, Lost, Phase, Why};
use crate::hub::types::Now;

impl Link {
    /// See [`Input::Connected`](super::contract::Input::Connected).
    pub(super) fn connected(&mut self) {
        if self.engine == Engine::CutOff {
            self.events.push_back(Event::Restored);
        }
        self.engine = Engine::Connected;
    }

    /// See [`Input::Disconnected`](super::contract::Input::Disconnected).
    pub(super) fn disconnected(&mut self, now: Now) {
        if self.engine != Engine::Connected {
            return;
        }
        self.engine = Engine::Disconnected(now);
        self.counters.disconnections += 1;
        self.looked_at = 0;
        self.closes.disconnected();
        self.directory.disconnected();
        for room_lane in &mut self.rooms {
            room_lane.outgoing.disconnected();
        }
        if matches!(self.phase, Phase::Attaching) {
            // Nobody knows whether it is open; the next one ends it.
            self.next_incarnation();
        }
    }

    /// See [`Input::Attached`](super::contract::Input::Attached).
    pub(super) fn attached(&mut self, now: Now, node: u16, others: Vec<(u16, u64)>) {
        if matches!(self.phase, Phase::Attaching) {
            self.node = node;
            self.alive_at = Some(now.after(ALIVE_US));
            self.phase = Phase::Starting(Starting::new(others));
        }
    }

    /// See [`Input::Appended`](super::contract::Input::Appended).
    pub(super) fn answered(&mut self, lane: Lane, incarnation: u64, number: u64, to: Outcome) {
        if number == Batch::LAST {
            self.closes.answered(lane, incarnation);
            self.outgoing(lane).close_answered(incarnation);
        } else if to != Outcome::Fenced {
            self.outgoing(lane).appended(incarnation, number);
        } else if incarnation == self.incarnation {
            self.restart(Why::Fenced(lane));
        }
    }

    /// See [`Input::CaughtUp`](super::contract::Input::CaughtUp).
    pub(super) fn caught_up(&mut self) {
        let lanes = (0..self.settings.lanes).map(Lane::of_rooms);
        for lane in lanes.chain([Lane::DIRECTORY]) {
            let incarnation = self.incarnation;
            if self.outgoing(lane).caught_up(incarnation) == Found::Rewound {
                self.rewound(lane);
            }
            self.wake(lane);
        }
    }

    /// See [`Input::Rewound`](super::contract::Input::Rewound).
    pub(super) fn rewound(&mut self, lane: Lane) {
        let number = lane.number().map(usize::from);
        if let Some(room_lane) = number.and_then(|number| self.rooms.get_mut(number)) {
            room_lane.numbers.forget();
            room_lane.outgoing.rewound();
        }
        self.restart(Why::Rewound(lane));
    }

    /// An entry of a lane for rooms has been read.
    pub(super) fn room_entry<'a>(&mut self, now: Now, entry: Entry<'a>) -> Option<Applied<'a>> {
        let number = usize::from(entry.lane.number()?);
        let room_lane = self.rooms.get_mut(number)?;
        self.counters.entries_read += 1;
        match room_lane.numbers.step(entry.sequence) {
            Step::Next => {}
            Step::Gap => room_lane.outgoing.missed(),
            Step::Back => self.rewound(entry.lane),
        }
        self.number_lines(&entry);
        self.read_back(now, &entry);
        if entry.number == Batch::LAST && entry.incarnation == self.incarnation {
            self.restart(Why::Closed);
        }
        let node = self.nodes.number_of(entry.incarnation);
        Some(self.applied(&entry, node))
    }

    /// What is read may be what was in flight, or show that this will not come.
    pub(super) fn read_back(&mut self, now: Now, entry: &Entry<'_>) {
        let Entry {
            lane,
            incarnation,
            number,
            ..
        } = *entry;
        let outgoing = self.outgoing(lane);
        if number == Batch::LAST {
            outgoing.ended(incarnation);
            self.closes.ended(lane, incarnation);
        } else if let Some(at) = outgoing.read_back(incarnation, number) {
            self.counters.lag_us = now.as_micros().saturating_sub(at.as_micros());
        }
        self.wake(lane);
    }

    /// Some of what goes to a lane may be gone.
    pub(super) fn wake(&mut self, lane: Lane) {
        if self.outgoing(lane).take_wake() && !self.wakes.contains(&lane) {
            self.wakes.push_back(lane);
        }
    }

    /// Counts the lines of each room of an entry, and those that are missing before them.
    fn number_lines(&mut self, entry: &Entry<'_>) {
        // By their places among the batch's rooms.
        let mut rooms: Vec<(&str, u32)> = Vec::new();
        let mut at = usize::MAX;
        for item in items::items(entry.payload) {
            match item {
                Ok(Item::Room { nth, name }) => {
                    at = usize::from(nth);
                    if at == rooms.len() && at < entry.first_numbers.len() {
                        rooms.push((name, 0));
                    }
                }
                Ok(item) if item.is_line() => {
                    if let Some((_, lines)) = rooms.get_mut(at) {
                        *lines += 1;
                    }
                }
                Ok(_) => {}
                Err(_) => self.counters.malformed += 1,
            }
        }
        let Some(room_lane) = entry.lane.number().map(usize::from) else {
            return;
        };
        for (&(room, lines), &first) in rooms.iter().zip(entry.first_numbers) {
            let missing = self.rooms[room_lane].numbers.read(room, first, lines);
            if missing > 0 {
                self.counters.lost_lines = self.counters.lost_lines.saturating_add(missing);
                self.lost.push_back(Lost {
                    room: room.to_owned(),
                    lines: missing,
                });
            }
        }
    }

    /// What the hub is to apply.
    pub(super) fn applied<'a>(&self, entry: &Entry<'a>, node: u16) -> Applied<'a> {
        Applied {
            lane: entry.lane,
            node,
            incarnation: entry.incarnation,
            is_own: self.is_own(entry.incarnation),
            first_numbers: entry.first_numbers,
            payload: entry.payload,
        }
    }

    /// Whether an incarnation is of this process.
    pub fn is_own(&self, incarnation: u64) -> bool {
        let age = |of: u64| of.wrapping_sub(self.first_incarnation);
        age(incarnation) <= age(self.incarnation)
    }
}
