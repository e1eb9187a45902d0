//! How a run comes to rest: turns without faults until the server has nothing to do, and in the end no client.

use super::Sim;
use super::client::{Client, End};
use super::operator::Operator;
use madang::hub::Totals;
use madang::hub::limits::{HalfClose, LOG_BLOCK_BYTES};

/// Turns within which a network without faults must become quiet. One in 100,000 seeds has a client that still has so much to
/// say, under a limit of lines a second, that it takes 200,000.
const QUIET_TURNS_MAX: usize = 1_000_000;

/// Longer than any timer except the idle timeout: twice the longest `slow_timeout_us`.
const TIMER_US_MAX: u64 = 80_000_000;

impl Sim {
    /// Runs turns without faults until the server has nothing to do and waits for no timer except idle timeouts.
    pub fn run_until_quiet(&mut self) {
        self.keeps_clients_alive = true;
        let started_at = self.scheduler.net().micros();
        let (mut quiet, mut changed_at) = (0, started_at);
        let mut last_seen = (Totals::default(), 0);
        for _ in 0..QUIET_TURNS_MAX {
            let operator = self.operator.iter_mut().map(|it| &mut it.client);
            for client in self.clients.iter_mut().chain(operator) {
                client.send_and_read_all(self.scheduler.net());
            }
            self.turn_once();
            let timeout = self.timeout();
            let events = self.scheduler.net().has_events();
            let pending = self.clients.iter().any(Client::has_pending)
                || self.operator.as_ref().is_some_and(Operator::is_busy);
            let now = self.scheduler.net().micros();
            let deliveries = self.scheduler.net().deliveries;
            // Bytes that keep clients alive are work, and change nothing else.
            let totals = self.scheduler.hub().totals();
            let unchanged = Totals {
                work: 0,
                received_bytes: 0,
                ..totals
            };
            let seen = (unchanged, deliveries);
            if seen != last_seen {
                (last_seen, changed_at) = (seen, now);
            }
            // Idle timers fire for ever; every other timer has fired by then.
            // So does the look at what is beyond limits that were lowered.
            let may_go_on = self.least.idle_timeout_us > 0 || self.changes_limits();
            let only_idle = may_go_on && now > changed_at + TIMER_US_MAX;
            // The day of a registered name ends later than any other timer rings.
            let is_far = timeout.is_none_or(|timeout| timeout > TIMER_US_MAX);
            let done = is_far || only_idle && timeout != Some(0);
            let unread = self.clients.iter().any(|it| it.pipe.borrow().is_unread());
            let at_rest = done && !events && !pending && !unread;
            let wait = timeout.filter(|_| !events && !at_rest).unwrap_or(0);
            self.scheduler.net().advance(wait.max(1));
            quiet = if at_rest { quiet + 1 } else { 0 };
            if quiet > 3 {
                self.keeps_clients_alive = self.world.keeps_alive;
                return;
            }
        }
        let inbound = |client: &Client| client.pipe.borrow().inbound.len();
        let unread = |client: &Client| (client.end, inbound(client), client.has_pending());
        let unread: Vec<_> = self.clients.iter().map(unread).collect();
        let (timeout, census) = (self.scheduler.timeout(), self.scheduler.hub().census());
        let limits = &self.limits;
        let events = self.scheduler.net().has_events();
        let passed = self.scheduler.net().micros() - started_at;
        panic!("never quiet: {timeout:?} {events} {passed} {census:?} {unread:?} {limits:?}");
    }

    /// Disconnects all clients, some of them by a reset; then the hub must hold nothing.
    pub fn disconnect_all(&mut self) {
        let has_left = |sim: &Sim| sim.scheduler.hub().console_has_left();
        assert!(!has_left(self), "the server has closed the console");
        let mut stopped = self.rng.bool() || self.limits.half_close == HalfClose::Keep;
        let operator = self.operator.iter_mut().map(|it| &mut it.client);
        if let Some(operator) = operator.into_iter().next() {
            let ends = if stopped { "/shutdown" } else { "/drain" };
            operator.enqueue(ends);
            operator.send_and_read_all(self.scheduler.net());
            stopped = true;
        } else if stopped {
            self.scheduler.stop();
        }
        let are_closed = self.clients.iter().map(|it| it.pipe.borrow().server_fin);
        let are_closed: Vec<bool> = are_closed.collect();
        for client in self.clients.iter_mut().chain(&mut self.observers) {
            if client.end == End::Fin || self.rng.bool() {
                client.reset(self.scheduler.net());
            } else {
                client.finish(self.scheduler.net(), &mut self.rng);
            }
        }
        for _ in 0..1000 {
            self.turn_once();
            if !stopped && has_left(self) {
                stopped = true;
                self.scheduler.stop();
            }
            self.scheduler.net().advance(20_000);
            let operator = self.operator.iter_mut().map(|it| &mut it.client);
            for client in self.clients.iter_mut().chain(operator) {
                client.send_and_read_all(self.scheduler.net());
            }
        }
        assert_eq!(has_left(self), self.has_console);
        let census = self.scheduler.hub().census();
        assert_eq!((census.clients, census.names, census.addresses), (0, 0, 0));
        // A log without readers and history keeps less than a block.
        let is_small = census.bytes <= 2 * LOG_BLOCK_BYTES;
        assert!(is_small || self.limits.history_lines > 0, "{census:?}");
        // That of registered names, which last.
        let names = self.scheduler.hub().registered_names();
        assert_eq!(census.timers, names.min(1));
        // Others are kept for their history.
        assert!(census.rooms == 3 || self.limits.history_lines > 0);
        for client in self.clients.iter().chain(&self.observers) {
            assert!(client.pipe.borrow().server_closed, "a socket is open");
        }
        for (client, was_closed) in self.clients.iter().zip(are_closed) {
            let pipe = client.pipe.borrow();
            let Some(veil) = &pipe.veil else { continue };
            // One that was closed before may have been cut short; of one that cannot be polled nobody knows.
            let was_there = !was_closed && client.end != End::Reset && !client.received.is_empty();
            let is_told = veil.client.is_finished || veil.has_lost();
            let number = client.number;
            assert!(is_told || !was_there, "{number} was left without a word");
        }
    }
}
