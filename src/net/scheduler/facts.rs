//! What a scheduler knows that operators want to see: its connections by listener, why connections ended, how long its
//! turns took. Changes nothing.

use super::Scheduler;
use crate::hub::Now;
use crate::net::transport::Net;
use crate::net::turn_lengths::TurnLengths;

impl<N: Net> Scheduler<N> {
    /// The time that the hub is told: real time less pauses of the process.
    pub fn service_time(&mut self) -> Now {
        self.now()
    }

    /// How long turns have taken.
    pub fn turn_lengths(&self) -> &TurnLengths {
        &self.turn_lengths
    }

    /// Every listener by its name, and how many connections it has; then the console, if it is connected.
    pub fn connections_by_listener(&self) -> Vec<(String, u64)> {
        let listeners = 0..self.acceptor.listeners();
        let open = |number| u64::from(self.connections.open(number));
        let listeners = listeners.map(|number| (self.net.listener(number), open(number)));
        let consoles = self.connections.consoles() as u64;
        let console = (consoles > 0).then(|| ("console".to_owned(), consoles));
        listeners.chain(console).collect()
    }

    /// How many sockets are open: of connections, of newcomers, and of those that linger.
    pub fn sockets(&self) -> usize {
        self.hub.clients() + self.handshakes.unfinished() + self.lingering.len()
    }

    /// How many newcomers still have to send a PROXY header or to shake hands.
    pub fn handshakes_unfinished(&self) -> usize {
        self.handshakes.unfinished()
    }

    /// What became of such newcomers, each with how often.
    pub fn handshakes_by_result(&self) -> Vec<(&'static str, u64)> {
        self.handshakes.outcomes().collect()
    }

    /// Every reason for which connections end, and how many have ended for it.
    pub fn closed_by_reason(&self) -> Vec<(&'static str, u64)> {
        self.log.closed_by_reason().collect()
    }
}
