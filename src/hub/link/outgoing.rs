//! One lane as this node appends to it: what is gathered, the one batch that is in flight, and what has become of it.

use super::contract::{Batch, Lane};
use super::limits::CAUGHT_UPS;
use super::parcel::Parcel;
use crate::hub::types::Now;
use std::collections::VecDeque;

/// What goes to a lane.
///
/// ```text
///   gathered ──submit──▶ SUBMITTED ──appended──▶ ANSWERED ──its entry is read, or was trimmed──▶ done
///     ▲  ▲   disconnected │    ▲                    │  ▲
///     │  │                ▼    │ again              │  │
///     │  │               WAITING                    │  │
///     │  │                     │                    │  │
///     │  │  the node starts anew, from either       │  │
///     │  │                     ▼                    │  │
///     │  └─ not appended ─ UNSETTLED ──────────────────┘
///     └──────────── not there: the tail is lost ────┘
/// ```
#[derive(Debug)]
pub struct Outgoing {
    lane: Lane,
    /// None of them empty.
    gathered: VecDeque<Parcel>,
    flight: Option<Flight>,
    /// The number of the next batch of the present incarnation; 0 is that of its first in the directory.
    next_number: u64,
    /// Of all that is gathered.
    gathered_bytes: usize,
    bytes_max: usize,
    /// There were `bytes_max` bytes, and have not been half as many since.
    is_full: bool,
}

/// A batch that was submitted, and has not been read back.
#[derive(Debug)]
struct Flight {
    incarnation: u64,
    number: u64,
    parcel: Parcel,
    stage: Stage,
    submitted_at: Now,
    /// Since it was submitted entries of the lane were missing.
    has_gap: bool,
}

impl Flight {
    /// It stood in the lane, but was trimmed before this node has read it: the others have it, and here its lines are missed by
    /// their numbers.
    fn was_trimmed(&self) -> bool {
        self.has_gap && matches!(self.stage, Stage::Answered { .. })
    }
}

#[derive(Debug)]
enum Stage {
    /// It was submitted, but nobody knows whether it was appended: it is to be submitted again.
    Waiting,
    /// The engine has it.
    Submitted,
    /// It stands in the lane.
    Answered {
        /// How many times all has been read since.
        caught_ups: u8,
    },
    /// It was submitted under an incarnation that has ended. It stands in the lane before the end of that incarnation, or never
    /// will.
    Unsettled {
        /// Once the incarnation is known to be closed: how many times all has been read since.
        caught_ups: Option<u8>,
    },
}

/// What was found out when all lanes had been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing new.
    Nothing,
    /// The lane must have lost its tail: what was appended under the present incarnation is not there.
    Rewound,
}

impl Outgoing {
    /// Nothing, for a lane.
    pub fn new(lane: Lane, bytes_max: usize) -> Outgoing {
        Outgoing {
            lane,
            gathered: VecDeque::new(),
            flight: None,
            next_number: 1,
            gathered_bytes: 0,
            bytes_max,
            is_full: false,
        }
    }

    /// Whether more may be gathered.
    pub fn has_space(&self) -> bool {
        !self.is_full
    }

    /// Whether all has been read back.
    pub fn is_empty(&self) -> bool {
        self.gathered.is_empty() && self.flight.is_none()
    }

    /// Bytes that are gathered.
    pub fn gathered_bytes(&self) -> usize {
        self.gathered_bytes
    }

    /// Bytes that are in flight.
    pub fn flight_bytes(&self) -> usize {
        self.flight
            .as_ref()
            .map_or(0, |flight| flight.parcel.bytes())
    }

    /// `write` appends something to what is gathered.
    pub fn gather(&mut self, write: impl FnOnce(&mut Parcel)) {
        if self.gathered.back().is_none_or(Parcel::is_full) {
            self.gathered.push_back(Parcel::default());
        }
        let parcel = self.gathered.back_mut().expect("there is one now");
        let before = parcel.bytes();
        write(parcel);
        self.gathered_bytes += parcel.bytes() - before;
        self.is_full |= self.gathered_bytes + self.flight_bytes() >= self.bytes_max;
    }

    /// The next batch that is to be appended, for an incarnation.
    pub fn submit(&mut self, now: Now, incarnation: u64) -> Option<Batch> {
        let flight = match &mut self.flight {
            Some(flight) if matches!(flight.stage, Stage::Waiting) => flight,
            Some(_) => return None,
            none => {
                let parcel = self.gathered.pop_front()?;
                self.gathered_bytes -= parcel.bytes();
                let number = self.next_number;
                self.next_number += 1;
                none.insert(Flight {
                    incarnation,
                    number,
                    parcel,
                    stage: Stage::Waiting,
                    submitted_at: now,
                    has_gap: false,
                })
            }
        };
        debug_assert_eq!(flight.incarnation, incarnation);
        flight.stage = Stage::Submitted;
        Some(Batch {
            lane: self.lane,
            incarnation,
            number: flight.number,
            rooms: flight.parcel.rooms().to_vec(),
            payload: flight.parcel.payload().to_vec(),
        })
    }

    /// The engine has answered that a batch stands in the lane.
    pub fn appended(&mut self, incarnation: u64, number: u64) {
        if let Some(flight) = &mut self.flight
            && (flight.incarnation, flight.number) == (incarnation, number)
            && !matches!(flight.stage, Stage::Answered { .. })
        {
            flight.stage = Stage::Answered { caught_ups: 0 };
        }
    }

    /// A batch has been read. If it is the one in flight, returns when that was submitted.
    pub fn read_back(&mut self, incarnation: u64, number: u64) -> Option<Now> {
        let flight = self.flight.take_if(|flight| {
            // Batches are appended in the order of their numbers: one before a later one will not come any more.
            flight.incarnation == incarnation && flight.number <= number
        })?;
        Some(flight.submitted_at)
    }

    /// The end of an incarnation has been read: what has not come before it never will.
    pub fn ended(&mut self, incarnation: u64) {
        let ended = |flight: &mut Flight| flight.incarnation == incarnation;
        if let Some(flight) = self.flight.take_if(ended)
            && !flight.was_trimmed()
        {
            self.gather_again(flight.parcel);
        }
    }

    /// The engine has answered that an incarnation is closed.
    pub fn close_answered(&mut self, incarnation: u64) {
        if let Some(flight) = &mut self.flight
            && flight.incarnation == incarnation
            && let Stage::Unsettled { caught_ups } = &mut flight.stage
        {
            caught_ups.get_or_insert(0);
        }
    }

    /// All lanes have been read up to a moment; `incarnation` is the present one.
    pub fn caught_up(&mut self, incarnation: u64) -> Found {
        let Some(flight) = &mut self.flight else {
            return Found::Nothing;
        };
        let caught_ups = match &mut flight.stage {
            Stage::Answered { caught_ups } => caught_ups,
            Stage::Unsettled {
                caught_ups: Some(caught_ups),
            } => caught_ups,
            _ => return Found::Nothing,
        };
        *caught_ups += 1;
        if *caught_ups < CAUGHT_UPS {
            return Found::Nothing;
        }
        let flight = self.flight.take().expect("it was there");
        if flight.was_trimmed() {
            return Found::Nothing;
        }
        let is_answered = matches!(flight.stage, Stage::Answered { .. });
        let is_lost = is_answered && flight.incarnation == incarnation;
        self.gather_again(flight.parcel);
        if is_lost {
            Found::Rewound
        } else {
            Found::Nothing
        }
    }

    fn gather_again(&mut self, parcel: Parcel) {
        self.gathered_bytes += parcel.bytes();
        self.gathered.push_front(parcel);
    }

    /// Entries of the lane are missing.
    pub fn missed(&mut self) {
        if let Some(flight) = &mut self.flight {
            flight.has_gap = true;
        }
    }

    /// There is no engine any more.
    pub fn disconnected(&mut self) {
        let Some(flight) = &mut self.flight else {
            return;
        };
        match &mut flight.stage {
            Stage::Submitted => flight.stage = Stage::Waiting,
            Stage::Answered { caught_ups } => *caught_ups = 0,
            Stage::Unsettled { caught_ups } => *caught_ups = caught_ups.map(|_| 0),
            Stage::Waiting => {}
        }
    }

    /// The present incarnation has ended: what is in flight is appended under the next one, unless it comes.
    pub fn restart(&mut self) {
        self.next_number = 1;
        if let Some(flight) = &mut self.flight
            && matches!(flight.stage, Stage::Submitted | Stage::Waiting)
        {
            flight.stage = Stage::Unsettled { caught_ups: None };
        }
    }

    /// The lane has lost its tail, and the present incarnation ends: what is in flight is appended again.
    pub fn rewound(&mut self) {
        if let Some(flight) = self.flight.take() {
            self.gather_again(flight.parcel);
        }
    }

    /// Nothing of what is there is to be appended.
    pub fn clear(&mut self) {
        self.gathered.clear();
        self.gathered_bytes = 0;
        self.flight = None;
        self.next_number = 1;
    }

    /// The incarnation that has to be closed before it is known what has become of the batch in flight.
    pub fn unsettled(&self) -> Option<u64> {
        let flight = self.flight.as_ref()?;
        let is_unsettled = matches!(flight.stage, Stage::Unsettled { caught_ups: None });
        is_unsettled.then_some(flight.incarnation)
    }

    /// Whether there is space again, for the first time since there was none.
    pub fn take_wake(&mut self) -> bool {
        let has_space = self.gathered_bytes + self.flight_bytes() <= self.bytes_max / 2;
        has_space && std::mem::take(&mut self.is_full)
    }

    /// Panics if something does not hold that always must.
    pub fn check(&self) {
        self.gathered.iter().for_each(Parcel::check);
        let bytes: usize = self.gathered.iter().map(Parcel::bytes).sum();
        assert_eq!(bytes, self.gathered_bytes);
        assert!(self.gathered.iter().all(|parcel| parcel.bytes() > 0));
        assert!(self.has_space() <= (bytes + self.flight_bytes() < self.bytes_max.max(1)));
        if let Some(flight) = &self.flight {
            flight.parcel.check();
            assert!(flight.number > 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::link::item::Item;

    fn outgoing() -> Outgoing {
        Outgoing::new(Lane::of_rooms(1), 100)
    }

    fn say(outgoing: &mut Outgoing) {
        outgoing.gather(|parcel| parcel.line("pond", 1, 7, |out| out.extend_from_slice(b"x\n")));
        outgoing.check();
    }

    fn submit(outgoing: &mut Outgoing, incarnation: u64) -> Option<u64> {
        let batch = outgoing.submit(Now::default(), incarnation);
        outgoing.check();
        batch.map(|it| it.number)
    }

    #[test]
    fn one_batch_is_in_flight_and_the_next_gathers_meanwhile() {
        let mut lane = outgoing();
        say(&mut lane);
        assert_eq!(submit(&mut lane, 5), Some(1));
        say(&mut lane);
        say(&mut lane);
        lane.appended(5, 1);
        assert_eq!(submit(&mut lane, 5), None);
        assert!(lane.read_back(5, 1).is_some());
        let batch = lane.submit(Now::default(), 5).expect("there are two lines");
        assert_eq!((batch.number, batch.rooms), (2, vec![("pond".into(), 2)]));
    }

    #[test]
    fn what_was_not_answered_is_submitted_again_under_its_number() {
        let mut lane = outgoing();
        say(&mut lane);
        assert_eq!(submit(&mut lane, 5), Some(1));
        say(&mut lane);
        lane.disconnected();
        assert_eq!(submit(&mut lane, 5), Some(1));
        lane.appended(5, 1);
        lane.disconnected();
        assert_eq!(submit(&mut lane, 5), None, "it stands in the lane");
    }

    #[test]
    fn after_a_restart_a_batch_waits_until_its_fate_is_known() {
        // Its entry comes after all.
        let mut lane = outgoing();
        say(&mut lane);
        submit(&mut lane, 5);
        lane.restart();
        assert_eq!((submit(&mut lane, 6), lane.unsettled()), (None, Some(5)));
        assert!(lane.read_back(5, 1).is_some() && lane.is_empty());
        // The end of its incarnation comes first.
        say(&mut lane);
        assert_eq!(submit(&mut lane, 6), Some(1));
        lane.restart();
        lane.ended(6);
        assert_eq!(submit(&mut lane, 7), Some(1));
        // There is no end to be read, since the lane does not know its incarnation.
        lane.restart();
        assert_eq!(lane.caught_up(8), Found::Nothing);
        assert_eq!(submit(&mut lane, 8), None);
        lane.close_answered(7);
        assert_eq!(lane.caught_up(8), Found::Nothing);
        assert_eq!(submit(&mut lane, 8), None);
        assert_eq!(lane.caught_up(8), Found::Nothing);
        assert_eq!(submit(&mut lane, 8), Some(1));
    }

    #[test]
    fn a_batch_that_stands_nowhere_shows_that_the_tail_is_lost_unless_entries_were_missing() {
        for has_gap in [false, true] {
            let mut lane = outgoing();
            say(&mut lane);
            submit(&mut lane, 5);
            lane.appended(5, 1);
            if has_gap {
                lane.missed();
            }
            assert_eq!(lane.caught_up(5), Found::Nothing);
            let found = lane.caught_up(5);
            lane.check();
            let expected = [Found::Rewound, Found::Nothing][usize::from(has_gap)];
            assert_eq!((found, lane.is_empty()), (expected, has_gap));
        }
    }

    #[test]
    fn a_full_lane_has_space_again_when_it_is_half_empty() {
        let mut lane = outgoing();
        while lane.has_space() {
            say(&mut lane);
        }
        assert!(!lane.take_wake());
        submit(&mut lane, 5);
        assert!(!lane.take_wake() && !lane.has_space());
        lane.gather(|parcel| parcel.push(&Item::Ready));
        lane.read_back(5, 1);
        assert!(lane.take_wake() && lane.has_space());
        assert!(!lane.take_wake(), "it is told once");
    }
}
