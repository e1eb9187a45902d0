//! Which lines each listener is sent, and which of them it has received or was reported as skipped. Counts only: no socket,
//! no clock.

use super::plan::{Pace, Plan};
use std::collections::VecDeque;

/// Whether lines are expected to reach a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ReadState {
    /// It reads all the time.
    Reading,
    /// It does not read yet, and no line is expected to reach it.
    Paused,
    /// It did not read before, and does now.
    Resumed,
    /// Its connection is closed, and nothing reaches it any more.
    Closed,
}

/// A connection as a listener.
#[derive(Debug)]
struct Listener {
    room: usize,
    /// Its first number in [`Accounting::next`].
    row: usize,
    /// Its number as a sender, if it is one: it does not receive its own lines.
    own: Option<usize>,
    read_state: ReadState,
    received: u64,
    /// Lines that the server has reported as skipped.
    skipped: u64,
    /// Lines that can no longer come. In the end as many as `skipped` if no line is lost.
    missing: u64,
    /// Lines that came twice, out of order, or to a listener that they were not sent to.
    wrong: u64,
}

#[derive(Debug)]
struct Sender {
    room: usize,
    /// Its place among the senders of its room.
    seat: usize,
    sent: u32,
    /// For each line in flight, the oldest first, how many listeners it has yet to reach. The lines are
    /// `sent - in_flight.len()..sent`, and the first number is never 0.
    in_flight: VecDeque<u32>,
}

impl Sender {
    /// Lines `from..until` have reached one more listener, or never will.
    fn arrived(&mut self, from: u32, until: u32) {
        let oldest = self.sent - self.in_flight.len() as u32;
        for number in from.max(oldest)..until {
            self.in_flight[(number - oldest) as usize] -= 1;
        }
        while self.in_flight.front() == Some(&0) {
            self.in_flight.pop_front();
        }
    }
}

#[derive(Debug, Default)]
struct Room {
    sent: u64,
    /// Listeners that read all the time.
    reading: u32,
}

/// What a received line is in the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// Expected, by a listener that reads all the time.
    InTime,
    /// Expected, by a listener that did not read for a while.
    Late,
    /// It came twice, or after a later line of its sender, or to a listener that it was not sent to.
    Wrong,
}

/// The sums of an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Lines sent, multiplied by the listeners that each was sent to.
    pub owed: u64,
    /// Of those, received in order.
    pub received: u64,
    /// Of those, reported as skipped.
    pub skipped: u64,
    /// Of those, neither.
    pub lost: u64,
    /// Lines received or reported as skipped beyond those owed.
    pub surplus: u64,
    /// Lines that came twice, out of order, or to a listener that they were not sent to.
    pub wrong: u64,
    /// Connections that the server has closed.
    pub closed: u64,
}

impl Totals {
    /// Whether lines received and lines reported as skipped are all lines sent, for every listener.
    pub fn adds_up(&self) -> bool {
        (self.lost, self.surplus, self.wrong) == (0, 0, 0)
    }
}

/// The account of one run.
#[derive(Debug)]
pub struct Accounting {
    rooms: Vec<Room>,
    senders: Vec<Sender>,
    listeners: Vec<Listener>,
    /// For each listener, and within it for each sender of its room: the number of the next line.
    next: Vec<u32>,
    /// Whether lines in flight are counted.
    windowed: bool,
    /// Lines that have not reached those listeners that read; below 0 if these got too many.
    outstanding: i64,
}

impl Accounting {
    /// The account of a run that has not begun.
    pub fn new(plan: &Plan) -> Accounting {
        let count = plan.rooms as usize;
        let mut rooms: Vec<Room> = (0..count).map(|_| Room::default()).collect();
        let senders = (0..plan.senders as usize).map(|sender| Sender {
            room: sender % count,
            seat: sender / count,
            sent: 0,
            in_flight: VecDeque::new(),
        });
        let (mut listeners, mut rows) = (Vec::new(), 0);
        for connection in 0..plan.connections() {
            let room = plan.room(connection);
            let read_state = if plan.is_slow(connection) {
                ReadState::Paused
            } else {
                rooms[room].reading += 1;
                ReadState::Reading
            };
            listeners.push(Listener {
                room,
                row: rows,
                own: plan.sender(connection),
                read_state,
                received: 0,
                skipped: 0,
                missing: 0,
                wrong: 0,
            });
            rows += (plan.senders as usize - room).div_ceil(count);
        }
        Accounting {
            rooms,
            senders: senders.collect(),
            listeners,
            next: vec![0; rows],
            windowed: matches!(plan.pace, Pace::Window(_)),
            outstanding: 0,
        }
    }

    /// Lines that a sender has sent.
    pub fn sent(&self, sender: usize) -> u32 {
        self.senders[sender].sent
    }

    /// Lines that all senders have sent.
    pub fn lines(&self) -> u64 {
        let sent = self.senders.iter().map(|sender| u64::from(sender.sent));
        sent.sum()
    }

    /// Lines of a sender that have not yet reached all listeners that read.
    pub fn in_flight(&self, sender: usize) -> usize {
        self.senders[sender].in_flight.len()
    }

    /// A sender sends its next line over its connection.
    pub fn send(&mut self, sender: usize, connection: usize) {
        let itself = self.listeners[connection].read_state == ReadState::Reading;
        let sender = &mut self.senders[sender];
        let room = &mut self.rooms[sender.room];
        let reading = room.reading - u32::from(itself);
        room.sent += 1;
        sender.sent += 1;
        self.outstanding += i64::from(reading);
        if self.windowed && reading > 0 {
            sender.in_flight.push_back(reading);
        }
    }

    /// A listener has received a line.
    pub fn received(&mut self, listener_id: usize, sender_id: usize, number: u32) -> Received {
        let listener = &mut self.listeners[listener_id];
        let Some(sender) = self
            .senders
            .get_mut(sender_id)
            .filter(|sender| sender.room == listener.room && number < sender.sent)
        else {
            listener.wrong += 1;
            return Received::Wrong;
        };
        let next = &mut self.next[listener.row + sender.seat];
        if number < *next || listener.own == Some(sender_id) {
            listener.wrong += 1;
            return Received::Wrong;
        }
        let from = std::mem::replace(next, number + 1);
        listener.received += 1;
        listener.missing += u64::from(number - from);
        if listener.read_state != ReadState::Reading {
            self.outstanding -= i64::from(listener.read_state == ReadState::Resumed);
            return Received::Late;
        }
        self.outstanding -= 1;
        if self.windowed {
            sender.arrived(from, number + 1);
            if listener.skipped > listener.missing {
                self.settle_if_complete(listener_id);
            }
        }
        Received::InTime
    }

    /// The server has reported lines as skipped to a listener.
    pub fn skipped(&mut self, listener_id: usize, lines: u32) {
        let listener = &mut self.listeners[listener_id];
        listener.skipped += u64::from(lines);
        if listener.read_state != ReadState::Paused {
            self.outstanding -= i64::from(lines);
        }
        if listener.read_state == ReadState::Reading {
            self.settle_if_complete(listener_id);
        }
    }

    /// Once every line was received or reported as skipped, those that a listener has not received are the skipped ones,
    /// and no sender must wait for them, though no later line has shown which they are.
    fn settle_if_complete(&mut self, listener_id: usize) {
        if self.remaining(listener_id) == 0 {
            self.settle(listener_id);
        }
    }

    /// The lines that have not reached a listener by now never will.
    fn settle(&mut self, listener_id: usize) {
        let listener = &mut self.listeners[listener_id];
        for number in (listener.room..self.senders.len()).step_by(self.rooms.len()) {
            let sender = &mut self.senders[number];
            if listener.own == Some(number) {
                continue;
            }
            let next = &mut self.next[listener.row + sender.seat];
            let from = std::mem::replace(next, sender.sent);
            listener.missing += u64::from(sender.sent - from);
            if self.windowed && listener.read_state == ReadState::Reading {
                sender.arrived(from, sender.sent);
            }
        }
    }

    /// The paused listeners read from now on. All lines have been sent.
    pub fn resume(&mut self) {
        // No line waits any more for those in flight.
        self.windowed = false;
        for listener_id in 0..self.listeners.len() {
            if self.listeners[listener_id].read_state == ReadState::Paused {
                self.listeners[listener_id].read_state = ReadState::Resumed;
                self.outstanding += self.remaining(listener_id);
            }
        }
    }

    /// A listener's connection is closed.
    pub fn closed(&mut self, listener_id: usize) {
        let remaining = self.remaining(listener_id);
        match self.listeners[listener_id].read_state {
            ReadState::Reading => {
                self.settle(listener_id);
                self.rooms[self.listeners[listener_id].room].reading -= 1;
                self.outstanding -= remaining;
            }
            ReadState::Resumed => self.outstanding -= remaining,
            ReadState::Paused | ReadState::Closed => {}
        }
        self.listeners[listener_id].read_state = ReadState::Closed;
    }

    /// How many lines have been sent to a listener.
    fn owed(&self, listener_id: usize) -> u64 {
        let listener = &self.listeners[listener_id];
        let own = listener.own.map_or(0, |own| self.senders[own].sent);
        self.rooms[listener.room].sent - u64::from(own)
    }

    /// How many of those it neither received nor was reported as skipped; below 0 if it got too many.
    fn remaining(&self, listener_id: usize) -> i64 {
        let listener = &self.listeners[listener_id];
        self.owed(listener_id) as i64 - (listener.received + listener.skipped) as i64
    }

    /// Whether lines have not reached all listeners that read.
    pub fn is_outstanding(&self) -> bool {
        self.outstanding > 0
    }

    /// Whether every listener that reads has all its lines.
    pub fn is_complete(&self) -> bool {
        let has_all = |listener_id: usize| match self.listeners[listener_id].read_state {
            ReadState::Reading | ReadState::Resumed => self.remaining(listener_id) <= 0,
            ReadState::Paused | ReadState::Closed => true,
        };
        self.outstanding <= 0 && (0..self.listeners.len()).all(has_all)
    }

    /// The sums over all listeners.
    pub fn totals(&self) -> Totals {
        let mut all = Totals::default();
        for listener_id in 0..self.listeners.len() {
            let one = self.totals_of(listener_id);
            all.owed += one.owed;
            all.received += one.received;
            all.skipped += one.skipped;
            all.lost += one.lost;
            all.surplus += one.surplus;
            all.wrong += one.wrong;
            all.closed += one.closed;
        }
        all
    }

    /// The first listener whose account does not add up, and that account.
    pub fn first_wrong(&self) -> Option<(usize, Totals)> {
        (0..self.listeners.len())
            .map(|listener_id| (listener_id, self.totals_of(listener_id)))
            .find(|(_, totals)| !totals.adds_up())
    }

    /// The account of one listener.
    pub fn totals_of(&self, listener_id: usize) -> Totals {
        let listener = &self.listeners[listener_id];
        let remaining = self.remaining(listener_id);
        Totals {
            owed: self.owed(listener_id),
            received: listener.received,
            skipped: listener.skipped,
            lost: remaining.max(0) as u64,
            surplus: (-remaining).max(0) as u64,
            wrong: listener.wrong,
            closed: u64::from(listener.read_state == ReadState::Closed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan::example_of_one_room;
    use super::*;

    /// An account of [`example_of_one_room`].
    fn account() -> Accounting {
        Accounting::new(&example_of_one_room())
    }

    #[test]
    fn a_line_is_in_flight_until_all_that_read_have_received_it() {
        let mut account = account();
        account.send(0, 2);
        assert_eq!(account.in_flight(0), 1);
        assert_eq!(account.received(1, 0, 0), Received::InTime);
        assert_eq!((account.in_flight(0), account.is_complete()), (1, false));
        assert_eq!(account.received(3, 0, 0), Received::InTime);
        assert_eq!((account.in_flight(0), account.is_complete()), (0, true));
        assert_eq!(account.totals().lost, 1);
        account.resume();
        assert!(!account.is_complete());
        assert_eq!(account.received(0, 0, 0), Received::Late);
        assert!(account.is_complete() && account.totals().adds_up());
        assert_eq!((account.totals().owed, account.lines()), (3, 1));
    }

    #[test]
    fn skipped_lines_are_not_in_flight_though_it_is_unknown_which_they_are() {
        let mut account = account();
        for _ in 0..3 {
            account.send(0, 2);
        }
        account.send(1, 3);
        for number in 0..3 {
            account.received(3, 0, number);
        }
        account.received(2, 1, 0);
        account.skipped(1, 2);
        assert_eq!((account.in_flight(0), account.in_flight(1)), (3, 1));
        account.received(1, 0, 1);
        assert_eq!((account.in_flight(0), account.in_flight(1)), (1, 1));
        account.received(1, 1, 0);
        assert_eq!((account.in_flight(0), account.in_flight(1)), (0, 0));
        assert!(account.is_complete());
        account.resume();
        account.skipped(0, 4);
        assert!(account.is_complete() && account.totals().adds_up());
    }

    #[test]
    fn lost_repeated_and_reordered_lines_are_counted() {
        let mut account = account();
        for _ in 0..3 {
            account.send(0, 2);
        }
        assert_eq!(account.received(1, 0, 2), Received::InTime);
        assert_eq!(account.received(1, 0, 1), Received::Wrong);
        assert_eq!(account.received(1, 0, 3), Received::Wrong);
        assert_eq!(account.received(1, 9, 0), Received::Wrong);
        assert_eq!(account.received(2, 0, 0), Received::Wrong);
        account.skipped(3, 4);
        let totals = account.totals();
        assert_eq!((totals.lost, totals.surplus, totals.wrong), (3 + 2, 1, 4));
        assert_eq!(account.first_wrong().map(|(listener, _)| listener), Some(0));
    }

    #[test]
    fn no_line_is_expected_by_a_closed_connection() {
        let mut account = account();
        account.send(0, 2);
        account.received(3, 0, 0);
        account.closed(1);
        assert_eq!((account.in_flight(0), account.is_complete()), (0, true));
        account.send(0, 2);
        account.received(3, 0, 1);
        account.resume();
        account.skipped(0, 2);
        assert!(account.is_complete());
        let totals = account.totals();
        assert_eq!((totals.closed, totals.lost), (1, 2));
    }
}
