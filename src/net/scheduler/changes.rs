//! What changes a scheduler between its turns: the console connects, limits change, the server is to end.

use super::Scheduler;
use crate::hub::Owners;
use crate::hub::limits::Limits;
use crate::hub::secret::Secret;
use crate::keeper::Entry;
use crate::net::connection_log::ConnectionLog;
use crate::net::connections::{CONSOLE, End};
use crate::net::transport::Net;
use std::io;

/// Connections that are counted by their addresses in one turn, of 0.2 µs each.
const COUNTED_A_TURN_MAX: usize = 256;

impl<N: Net> Scheduler<N> {
    /// Connects the console, before anybody else.
    ///
    /// # Errors
    /// The system has no memory to poll its connection.
    pub fn connect_console(&mut self, mut socket: N::Socket) -> io::Result<()> {
        let now = self.now();
        let id = self.hub.connect_console(now);
        self.net.register(&mut socket, id)?;
        self.connections.insert(now, id, socket, None, CONSOLE);
        Ok(())
    }

    /// Restores what an earlier server has kept. What is not understood stays where it is kept, and is logged.
    pub fn restore(&mut self, entries: &[Entry]) {
        let now = self.now();
        for Entry { kind, key, value } in entries {
            if let Err(why) = self.hub.restore(now, kind, key, value) {
                tracing::warn!(kind, key, why, "an entry of the state is not used");
            }
        }
    }

    /// Changes the limits. Nobody is disconnected for being one too many. If connections are limited by address now, those
    /// that are there are counted, a few each turn.
    pub fn set_limits(&mut self, limits: Limits) {
        self.hub.set_limits(limits);
        self.uncounted = self.hub.counts_addresses().then_some(0);
    }

    /// Changes whose names are known: who is an operator by its name.
    pub fn set_owners(&mut self, owners: &Owners) {
        let now = self.now();
        self.hub.set_owners(now, owners);
    }

    /// Newcomers must say this password from now on.
    pub fn set_password(&mut self, password: Option<Secret>) {
        self.hub.set_password(password);
    }

    /// The log is more or less detailed now.
    pub fn log_level_changed(&mut self) {
        ConnectionLog::level_changed(&mut self.hub);
    }

    /// The hub is one of several nodes from now on: see [`Hub::set_cluster`](crate::hub::Hub::set_cluster).
    pub fn join_cluster(&mut self, settings: crate::hub::link::Settings, incarnation: u64) {
        self.hub.set_cluster(settings, incarnation);
    }

    /// Accepts nothing any more, and closes each connection as soon as its output has been written.
    pub fn stop(&mut self) {
        self.handshakes.close_all();
        self.hub.shutdown();
    }

    /// Counts some more connections by their addresses. One whose peer has gone is not counted: the system has forgotten the
    /// address, and the connection ends soon.
    pub(super) fn count_addresses(&mut self) {
        let Some(from) = self.uncounted else { return };
        let now = self.now();
        let to = self.connections.slots().min(from + COUNTED_A_TURN_MAX);
        for slot in from..to {
            let Some((id, connection)) = self.connections.at(slot) else {
                continue;
            };
            if self.connections.is_proxy_itself(id) {
                continue;
            }
            let address = match self.connections.address(id, connection) {
                None if connection.end == End::None => self.net.peer(&connection.socket),
                known => known,
            };
            if let Some(address) = address {
                self.hub.count_address(now, id, address.ip());
            }
        }
        self.uncounted = (to < self.connections.slots()).then_some(to);
    }
}
