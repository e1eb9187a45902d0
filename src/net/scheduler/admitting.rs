//! Newcomers: accepted, and admitted or refused by the hub. What they have to show before that is in `handshaking`.

use super::Scheduler;
use crate::hub::{Now, Peer, Wire};
use crate::net::budgets::ACCEPT_US;
use crate::net::connection_log::Place;
use crate::net::handshakes::Relayed;
use crate::net::linger::LINGER_US;
use crate::net::transport::{Event, Net};
use std::io::IoSlice;
use std::net::SocketAddr;

/// A newcomer that has shown all that it has to, as it comes to the hub.
pub(super) struct Entrant<S> {
    pub socket: S,
    pub peer: Peer,
    /// The address and port of its peer; of its client, if a proxy has named one.
    pub address: Option<SocketAddr>,
    pub listener: usize,
    /// What a proxy has said of it.
    pub relayed: Option<Relayed>,
    /// Its socket is polled under another name already.
    pub is_registered: bool,
}

impl<N: Net> Scheduler<N> {
    /// Accepts newcomers at each listener, within the budget of each.
    pub(super) fn accept(&mut self) {
        if self.hub.is_shutting_down() || !self.hub.is_open() {
            return;
        }
        for listener in 0..self.acceptor.listeners() {
            let mut now = self.now();
            let deadline = now.after(ACCEPT_US);
            while !self.must_wait(listener)
                && let Some(newcomer) = self.acceptor.next(&mut self.net, now, listener)
            {
                self.receive_newcomer(now, newcomer, listener);
                now = self.now();
                if now >= deadline {
                    break;
                }
            }
        }
    }

    /// Asks the hub to admit a newcomer that has shown all that it has to.
    pub(super) fn admit(&mut self, now: Now, mut entrant: Entrant<N::Socket>) {
        let Entrant {
            peer,
            address,
            listener,
            relayed,
            ..
        } = entrant;
        let id = match self.hub.connect(now, peer) {
            Ok(id) => id,
            Err(refusal) => {
                let place = Place(&self.net, listener);
                self.log.refused(now, address, relayed, place, refusal);
                let mut line = Vec::new();
                refusal.write(&mut line);
                return self.say_goodbye(now, entrant.socket, peer.wire, &line);
            }
        };
        let socket = &mut entrant.socket;
        let registered = match entrant.is_registered {
            true => self.net.reregister(socket, id),
            false => self.net.register(socket, id),
        };
        if let Err(error) = registered {
            tracing::warn!(%error, "a connection cannot be polled");
            self.hub.disconnect(now, id);
            self.log.unpolled();
            return;
        }
        let (place, tls) = (
            Place(&self.net, listener),
            self.net.tls_version(&entrant.socket),
        );
        self.log.opened(now, id, address, relayed, tls, place);
        let connections = &mut self.connections;
        connections.insert(now, id, entrant.socket, address, listener as u16);
        if let Some(relayed) = relayed {
            connections.relay(id, relayed);
        }
        if entrant.is_registered {
            // With the end of its handshake more may have been received, of which the poll knows nothing any more.
            let (readable, writable) = (true, false);
            self.event(Event::Ready {
                id,
                readable,
                writable,
            });
        }
    }

    /// Closes the connection of a newcomer that is refused, with a line for its peer that says why.
    pub(super) fn say_goodbye(&mut self, now: Now, mut socket: N::Socket, wire: Wire, line: &[u8]) {
        if wire != Wire::Raw {
            // A new socket takes so few bytes, or its peer is gone already.
            let _ = self.net.write(&mut socket, &[IoSlice::new(line)]);
        }
        self.linger(now, socket);
    }

    /// Closes the connection of a newcomer once its peer has had time to read what it was sent.
    pub(super) fn linger(&mut self, now: Now, socket: N::Socket) {
        let until = now.after(LINGER_US);
        let scratch = &mut self.scratch;
        self.lingering.add(&mut self.net, until, socket, scratch);
    }
}
