//! What happens in a run besides what its clients do by themselves: pauses of the process, storms of newcomers,
//! limits that change; and what
//! must hold at each turn. Sends no lines.

use super::Sim;
use super::behavior::Behavior;
use super::budget;
use super::client::{Client, End};
use super::pipe::{Pipe, Shared};
use super::world::{STORM_ADDRESS, STORM_CLIENTS_MAX};
use madang::hub::Wire;
use madang::net::budgets::VISITS_A_LOOK;
use std::net::Ipv4Addr;

/// Turns within which a newcomer without faults is greeted, at whatever listener, if nobody waits before it: the poll may
/// report it late, and it is accepted and written to in the same turn or the next.
const GREETED_TURNS_MAX: usize = 12;

impl Sim {
    /// No step of a turn costs more than a visit, and no turn takes longer than its phases may.
    pub fn run_scheduler(&mut self) {
        let began = self.scheduler.net().active_micros();
        self.scheduler.run();
        let faults = self.scheduler.net().faults;
        let turn_us = self.scheduler.net().active_micros() - began;
        let clients = self.clients.len() + self.observers.len();
        let listeners = self.world.listeners as u64;
        let most = budget::turn_us_max(&self.most, faults, listeners, clients);
        assert!(turn_us <= most, "a turn of {turn_us} us, not {most}");
        let work = self.scheduler.net().greatest_work();
        let most = budget::step_work_max(&self.most, clients);
        assert!(work <= most, "{work} units of work in a step, not {most}");
    }

    /// Whether the limits change in this run.
    pub fn changes_limits(&self) -> bool {
        self.least.line_bytes_max != self.most.line_bytes_max
    }

    /// The operator changes the limits, if there are others to come.
    pub fn change_limits(&mut self) {
        if let Some(limits) = self.planned.pop() {
            self.scheduler.set_limits(limits.clone());
            self.limits = limits;
            // What brings them, a signal or a command, wakes the poll.
            self.wakes_at = 0;
            self.scheduler.hub().check();
        }
    }

    /// Another turn begins in which newcomers may be greeted.
    pub fn count_turn_of_newcomers(&mut self) {
        let clients = &self.clients;
        self.newcomers.retain_mut(|(number, turns)| {
            let client = &clients[*number];
            let is_greeted = !client.received.is_empty()
                || !client.pipe.borrow().outbound.is_empty()
                || client.end != End::None;
            assert!(is_greeted || *turns > 0, "newcomer {number} is not greeted");
            *turns = turns.saturating_sub(1);
            !is_greeted
        });
    }

    /// The process does not run for 1 to 90 seconds: between two turns, while its clients may go on, or within a turn.
    pub fn pause(&mut self, rooms: usize, peers: usize) {
        let pause_us = self.rng.u64(1_000_001..90_000_000);
        if self.rng.u8(0..4) == 0 {
            let looks = self.rng.u32(1..12);
            return self.scheduler.net().pause_later(looks, pause_us);
        }
        let clients_act = self.rng.bool();
        let until = self.scheduler.net().micros() + pause_us;
        loop {
            let left = until - self.scheduler.net().micros();
            if left == 0 {
                break;
            }
            let part = self.rng.u64(100_000..5_000_000).min(left);
            self.scheduler.net().advance(part);
            self.keep_alive();
            for client in self.clients.iter_mut().filter(|_| clients_act) {
                client.act(self.scheduler.net(), &mut self.rng, rooms, peers + rooms);
            }
        }
    }

    /// A client connects to any of the listeners.
    pub fn push_client(&mut self, wire: Wire, capacity: usize, behavior: Behavior) {
        let number = self.clients.len();
        let listener = self.rng.usize(..self.world.listeners);
        let pipe = self.connected(listener, wire, capacity, self.world.address(number));
        if capacity != usize::MAX {
            self.relays.relay(&pipe);
        }
        let client = Client::new(number, pipe, behavior).connected(self.scheduler.net());
        self.clients.push(client);
    }

    pub fn connected(
        &mut self,
        listener: usize,
        wire: Wire,
        capacity: usize,
        address: Ipv4Addr,
    ) -> Shared {
        let pipe = Pipe::shared(wire, capacity);
        pipe.borrow_mut().address = address;
        self.scheduler.net().connect_to(listener, pipe.clone());
        pipe
    }

    /// Many newcomers of one address connect and send what is no line; then one of another address connects to any of the
    /// listeners, and is greeted within bounded turns.
    pub fn storm(&mut self) {
        for _ in 0..self.rng.usize(1..40) {
            if self.storm_clients < STORM_CLIENTS_MAX {
                let listener = self.rng.usize(..self.world.listeners);
                let pipe = self.connected(listener, Wire::Chat, 20_000, STORM_ADDRESS);
                pipe.borrow_mut().inbound.extend([b'\n'; 50_000]);
                let behavior = Behavior::observer().without_end();
                let client = Client::new(self.clients.len(), pipe, behavior);
                self.clients.push(client.connected(self.scheduler.net()));
                self.storm_clients += 1;
            }
        }
        let faults = self.scheduler.net().faults;
        if faults.accept_error == 0 && faults.register_error == 0 {
            let number = self.clients.len();
            self.push_client(Wire::Chat, usize::MAX, Behavior::observer());
            let ahead =
                (0..self.world.listeners).map(|listener| self.scheduler.net().waiting(listener));
            let turns = GREETED_TURNS_MAX + ahead.max().unwrap_or(0) + number / VISITS_A_LOOK;
            self.newcomers.push((number, turns));
            self.storm_clients += 1;
        }
    }

    /// Nobody who sent in time was closed for silence. Where the poll itself is late, or nothing could be read although something
    /// had arrived, the server cannot know of it.
    pub fn judge_silence(&mut self) {
        if self.faults.event_late > 0 {
            return;
        }
        let readable = |client: &&Client| !client.pipe.borrow().was_unreadable;
        for client in self.clients.iter().filter(readable) {
            let silence_us = client.longest_silence_us(self.scheduler.net());
            let received = String::from_utf8_lossy(&client.received);
            let is_closed = received.contains("! closed: nothing received");
            let number = client.number;
            assert!(
                !is_closed || silence_us >= self.least.idle_timeout_us,
                "client {number} was closed for silence and was never silent for more than {silence_us} us"
            );
        }
    }
}
