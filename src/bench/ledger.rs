//! The account: who is owed which lines, and who has received them or was told that they were skipped. Counts only: no
//! socket, no clock.

use super::plan::{Pace, Plan};
use std::collections::VecDeque;

/// Whether a listener's lines are waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attention {
    /// It reads.
    Reading,
    /// It does not read as yet: nobody waits for it.
    Asleep,
    /// It did not read, and does now.
    Woken,
    /// Its connection has ended; it gets nothing any more.
    Gone,
}

/// One connection as a listener.
#[derive(Debug)]
struct Listener {
    room: usize,
    /// Its first number in [`Ledger::next`].
    row: usize,
    /// The sender that it is itself: that one's lines it does not hear.
    own: Option<usize>,
    attention: Attention,
    received: u64,
    told: u64,
    /// Lines that are known not to come any more; at the end as many as `told`, when all is well.
    missing: u64,
    wrong: u64,
}

#[derive(Debug)]
struct Sender {
    room: usize,
    /// Its place among the senders of its room.
    seat: usize,
    sent: u32,
    /// How many listeners each line in flight has yet to reach, the oldest first: lines `sent - in_flight.len()..sent`.
    /// The first is never 0.
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
    /// Listeners that are waited for.
    awaited: u32,
}

/// What became of a line that somebody heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It was owed to a listener that has read all the time.
    InTime,
    /// It was owed to one that did not read for long.
    Late,
    /// It came twice, or after a later one of its sender, or to somebody to whom it was not sent.
    Wrong,
}

/// What it all comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Lines sent, for each listener that they were sent to.
    pub owed: u64,
    /// Of those, received in their order.
    pub received: u64,
    /// Of those, told as skipped.
    pub told: u64,
    /// Of those, neither.
    pub lost: u64,
    /// What listeners received or were told beyond what they were owed.
    pub surplus: u64,
    /// Lines that came twice, out of their order, or to the wrong ones.
    pub wrong: u64,
    /// Connections that the server has ended.
    pub gone: u64,
}

impl Account {
    /// Whether lines received and lines told as skipped are all that were sent, for everyone.
    pub fn adds_up(&self) -> bool {
        (self.lost, self.surplus, self.wrong) == (0, 0, 0)
    }
}

/// The account of one run.
#[derive(Debug)]
pub struct Ledger {
    rooms: Vec<Room>,
    senders: Vec<Sender>,
    listeners: Vec<Listener>,
    /// For each listener, and in it for each sender of its room: the number of the line that comes next.
    next: Vec<u32>,
    /// Whether lines in flight are kept.
    windowed: bool,
    /// Lines owed to those who are waited for.
    owing: i64,
}

impl Ledger {
    /// The account of a run that has not begun.
    pub fn new(plan: &Plan) -> Ledger {
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
            let attention = if plan.is_slow(connection) {
                Attention::Asleep
            } else {
                rooms[room].awaited += 1;
                Attention::Reading
            };
            listeners.push(Listener {
                room,
                row: rows,
                own: plan.sender(connection),
                attention,
                received: 0,
                told: 0,
                missing: 0,
                wrong: 0,
            });
            rows += (plan.senders as usize - room).div_ceil(count);
        }
        Ledger {
            rooms,
            senders: senders.collect(),
            listeners,
            next: vec![0; rows],
            windowed: matches!(plan.pace, Pace::Window(_)),
            owing: 0,
        }
    }

    /// Lines that a sender has sent.
    pub fn sent(&self, sender: usize) -> u32 {
        self.senders[sender].sent
    }

    /// Lines that all senders have sent.
    pub fn lines(&self) -> u64 {
        self.senders
            .iter()
            .map(|sender| u64::from(sender.sent))
            .sum()
    }

    /// Lines of a sender that have not yet reached everybody who is waited for.
    pub fn in_flight(&self, sender: usize) -> usize {
        self.senders[sender].in_flight.len()
    }

    /// A sender sends its next line.
    pub fn send(&mut self, sender: usize, connection: usize) {
        let itself = self.listeners[connection].attention == Attention::Reading;
        let sender = &mut self.senders[sender];
        let room = &mut self.rooms[sender.room];
        let awaited = room.awaited - u32::from(itself);
        room.sent += 1;
        sender.sent += 1;
        self.owing += i64::from(awaited);
        if self.windowed && awaited > 0 {
            sender.in_flight.push_back(awaited);
        }
    }

    /// A listener has received a line.
    pub fn hear(&mut self, who: usize, said_by: usize, number: u32) -> Heard {
        let listener = &mut self.listeners[who];
        let Some(sender) = self
            .senders
            .get_mut(said_by)
            .filter(|sender| sender.room == listener.room && number < sender.sent)
        else {
            listener.wrong += 1;
            return Heard::Wrong;
        };
        let next = &mut self.next[listener.row + sender.seat];
        if number < *next || listener.own == Some(said_by) {
            listener.wrong += 1;
            return Heard::Wrong;
        }
        let from = std::mem::replace(next, number + 1);
        listener.received += 1;
        listener.missing += u64::from(number - from);
        if listener.attention != Attention::Reading {
            self.owing -= i64::from(listener.attention == Attention::Woken);
            return Heard::Late;
        }
        self.owing -= 1;
        if self.windowed {
            sender.arrived(from, number + 1);
            if listener.told > listener.missing {
                self.catch_up(who);
            }
        }
        Heard::InTime
    }

    /// A listener was told that so many lines were skipped.
    pub fn told(&mut self, who: usize, lines: u64) {
        let listener = &mut self.listeners[who];
        listener.told += lines;
        if listener.attention != Attention::Asleep {
            self.owing -= lines as i64;
        }
        if listener.attention == Attention::Reading {
            self.catch_up(who);
        }
    }

    /// Once a listener has all that it was owed, received or told, the skipped lines are all those that it has not got:
    /// nobody must wait for them, though no later line has shown which they are.
    fn catch_up(&mut self, who: usize) {
        if self.unsettled(who) == 0 {
            self.forget_missing(who);
        }
    }

    /// What a listener has not got by now will not come.
    fn forget_missing(&mut self, who: usize) {
        let listener = &mut self.listeners[who];
        for number in (listener.room..self.senders.len()).step_by(self.rooms.len()) {
            let sender = &mut self.senders[number];
            if listener.own == Some(number) {
                continue;
            }
            let next = &mut self.next[listener.row + sender.seat];
            let from = std::mem::replace(next, sender.sent);
            listener.missing += u64::from(sender.sent - from);
            if self.windowed && listener.attention == Attention::Reading {
                sender.arrived(from, sender.sent);
            }
        }
    }

    /// From now on the listeners that have not read do.
    pub fn wake(&mut self) {
        // Nothing more is sent, so no line waits for those in flight.
        self.windowed = false;
        for who in 0..self.listeners.len() {
            if self.listeners[who].attention == Attention::Asleep {
                self.listeners[who].attention = Attention::Woken;
                self.owing += self.unsettled(who);
            }
        }
    }

    /// A listener's connection has ended.
    pub fn gone(&mut self, who: usize) {
        let unsettled = self.unsettled(who);
        match self.listeners[who].attention {
            Attention::Reading => {
                self.forget_missing(who);
                self.rooms[self.listeners[who].room].awaited -= 1;
                self.owing -= unsettled;
            }
            Attention::Woken => self.owing -= unsettled,
            Attention::Asleep | Attention::Gone => {}
        }
        self.listeners[who].attention = Attention::Gone;
    }

    /// How many lines a listener is owed by now.
    pub fn owed(&self, who: usize) -> u64 {
        let listener = &self.listeners[who];
        let own = listener.own.map_or(0, |own| self.senders[own].sent);
        self.rooms[listener.room].sent - u64::from(own)
    }

    /// How many of those it neither received nor was told of; less than 0 if it got too many.
    fn unsettled(&self, who: usize) -> i64 {
        let listener = &self.listeners[who];
        self.owed(who) as i64 - (listener.received + listener.told) as i64
    }

    /// Whether somebody who is waited for is owed something.
    pub fn owes(&self) -> bool {
        self.owing > 0
    }

    /// Whether everybody who is waited for has got all that it is owed.
    pub fn is_settled(&self) -> bool {
        let idle = |who: usize| {
            matches!(
                self.listeners[who].attention,
                Attention::Asleep | Attention::Gone
            )
        };
        self.owing <= 0
            && (0..self.listeners.len()).all(|who| idle(who) || self.unsettled(who) <= 0)
    }

    /// What it comes to so far.
    pub fn account(&self) -> Account {
        let mut all = Account::default();
        for who in 0..self.listeners.len() {
            let one = self.account_of(who);
            all.owed += one.owed;
            all.received += one.received;
            all.told += one.told;
            all.lost += one.lost;
            all.surplus += one.surplus;
            all.wrong += one.wrong;
            all.gone += one.gone;
        }
        all
    }

    /// The first listener whose account does not add up, and that account.
    pub fn first_wrong(&self) -> Option<(usize, Account)> {
        (0..self.listeners.len())
            .map(|who| (who, self.account_of(who)))
            .find(|(_, account)| !account.adds_up())
    }

    fn account_of(&self, who: usize) -> Account {
        let listener = &self.listeners[who];
        let unsettled = self.unsettled(who);
        Account {
            owed: self.owed(who),
            received: listener.received,
            told: listener.told,
            lost: unsettled.max(0) as u64,
            surplus: (-unsettled).max(0) as u64,
            wrong: listener.wrong,
            gone: u64::from(listener.attention == Attention::Gone),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan::example;
    use super::*;

    /// Receivers 0 (slow) and 1, senders 2 and 3, all in one room.
    fn ledger() -> Ledger {
        Ledger::new(&Plan {
            receivers: 2,
            senders: 2,
            rooms: 1,
            ..example()
        })
    }

    #[test]
    fn a_line_is_in_flight_until_everybody_awake_has_it() {
        let mut ledger = ledger();
        ledger.send(0, 2);
        assert_eq!(ledger.in_flight(0), 1);
        assert_eq!(ledger.hear(1, 0, 0), Heard::InTime);
        assert_eq!((ledger.in_flight(0), ledger.is_settled()), (1, false));
        assert_eq!(ledger.hear(3, 0, 0), Heard::InTime);
        assert_eq!((ledger.in_flight(0), ledger.is_settled()), (0, true));
        assert_eq!(ledger.account().lost, 1);
        ledger.wake();
        assert!(!ledger.is_settled());
        assert_eq!(ledger.hear(0, 0, 0), Heard::Late);
        assert!(ledger.is_settled() && ledger.account().adds_up());
        assert_eq!((ledger.account().owed, ledger.lines()), (3, 1));
    }

    #[test]
    fn nobody_waits_for_lines_that_were_told_as_skipped_whichever_they_were() {
        let mut ledger = ledger();
        for _ in 0..3 {
            ledger.send(0, 2);
        }
        ledger.send(1, 3);
        for number in 0..3 {
            ledger.hear(3, 0, number);
        }
        ledger.hear(2, 1, 0);
        ledger.told(1, 2);
        assert_eq!((ledger.in_flight(0), ledger.in_flight(1)), (3, 1));
        ledger.hear(1, 0, 1);
        assert_eq!((ledger.in_flight(0), ledger.in_flight(1)), (1, 1));
        ledger.hear(1, 1, 0);
        assert_eq!((ledger.in_flight(0), ledger.in_flight(1)), (0, 0));
        assert!(ledger.is_settled());
        ledger.wake();
        ledger.told(0, 4);
        assert!(ledger.is_settled() && ledger.account().adds_up());
    }

    #[test]
    fn what_is_lost_doubled_or_out_of_order_is_noticed() {
        let mut ledger = ledger();
        for _ in 0..3 {
            ledger.send(0, 2);
        }
        assert_eq!(ledger.hear(1, 0, 2), Heard::InTime);
        assert_eq!(ledger.hear(1, 0, 1), Heard::Wrong);
        assert_eq!(ledger.hear(1, 0, 3), Heard::Wrong);
        assert_eq!(ledger.hear(1, 9, 0), Heard::Wrong);
        assert_eq!(ledger.hear(2, 0, 0), Heard::Wrong);
        ledger.told(3, 4);
        let account = ledger.account();
        assert_eq!(
            (account.lost, account.surplus, account.wrong),
            (3 + 2, 1, 4)
        );
        assert_eq!(ledger.first_wrong().map(|(who, _)| who), Some(0));
    }

    #[test]
    fn nobody_waits_for_one_whose_connection_has_ended() {
        let mut ledger = ledger();
        ledger.send(0, 2);
        ledger.hear(3, 0, 0);
        ledger.gone(1);
        assert_eq!((ledger.in_flight(0), ledger.is_settled()), (0, true));
        ledger.send(0, 2);
        ledger.hear(3, 0, 1);
        ledger.wake();
        ledger.told(0, 2);
        assert!(ledger.is_settled());
        let account = ledger.account();
        assert_eq!((account.gone, account.lost), (1, 2));
    }
}
