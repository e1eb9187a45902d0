//! The stage between accepting a newcomer and asking the hub to admit it: a PROXY header first, then a TLS handshake, within
//! a budget. What is not needed is passed over. Knows neither how a header is written nor what a handshake is.

use super::Scheduler;
use super::admitting::Entrant;
use crate::hub::{Now, Peer, Ranges, Refusal};
use crate::net::budgets::HANDSHAKES_US;
use crate::net::connection_log::Place;
use crate::net::handshakes::{HANDSHAKE_US, Outcome, Pending, Relayed, Step};
use crate::net::proxy::{Fault, Header};
use crate::net::transport::{Handshake, HandshakeId, Net, Newcomer};
use std::io;

/// Seconds that a newcomer has, for people.
const HANDSHAKE_SECONDS: u64 = HANDSHAKE_US / 1_000_000;

impl<N: Net> Scheduler<N> {
    /// From now on, connections from these ranges must begin with a PROXY header.
    pub fn set_proxies(&mut self, proxies: Ranges) {
        self.handshakes.set_proxies(proxies);
    }

    /// Whether a listener has to wait, since its newcomers shake hands and too many do.
    pub(super) fn must_wait(&self, listener: usize) -> bool {
        self.handshakes_are_full() && self.acceptor.shakes_hands(listener)
    }

    pub(super) fn handshakes_are_full(&self) -> bool {
        let (clients, clients_max) = (self.hub.clients(), self.hub.limits().clients_max);
        self.handshakes.are_full(clients, clients_max)
    }

    /// A newcomer that may have to show something before the hub hears of it.
    pub(super) fn receive_newcomer(
        &mut self,
        now: Now,
        newcomer: Newcomer<N::Socket>,
        listener: usize,
    ) {
        let (mut socket, peer, address) = newcomer;
        let step = match self.handshakes.is_proxy(address) {
            true => Step::Header(Box::default()),
            false if self.net.needs_handshake(&socket) => Step::Handshake,
            false => {
                self.acceptor.note_handshake(listener, false);
                let entrant = Entrant {
                    socket,
                    peer,
                    address,
                    listener,
                    relayed: None,
                    is_registered: false,
                };
                return self.admit(now, entrant);
            }
        };
        self.acceptor.note_handshake(listener, true);
        let id = self.handshakes.next_id();
        if let Err(error) = self.net.register_newcomer(&mut socket, id) {
            tracing::warn!(%error, "a newcomer cannot be polled");
            return;
        }
        let shakes_hands = matches!(step, Step::Handshake);
        self.handshakes
            .add(now, id, socket, peer, address, listener, step);
        if shakes_hands {
            self.begin_handshake(now, id);
        }
    }

    /// Visits each newcomer whose socket is ready, within the budget, and closes those whose time is up.
    pub(super) fn shake_hands(&mut self) {
        if self.handshakes.unfinished() == 0 && !self.handshakes.have_ready() {
            return;
        }
        let mut now = self.now();
        let deadline = now.after(HANDSHAKES_US);
        for _ in 0..self.handshakes.ready() {
            let Some(id) = self.handshakes.next_ready() else {
                break;
            };
            self.visit_newcomer(now, id);
            now = self.now();
            if now >= deadline {
                return;
            }
        }
        while let Some(id) = self.handshakes.overdue(self.polled_at) {
            self.time_out(now, id);
            now = self.now();
            if now >= deadline {
                return;
            }
        }
    }

    fn visit_newcomer(&mut self, now: Now, id: HandshakeId) {
        let Some(pending) = self.handshakes.find(id) else {
            return;
        };
        match &mut pending.step {
            Step::Header(_) => self.read_header(now, id),
            Step::Handshake => {
                let shaken = self.net.handshake(&mut pending.socket, pending.peer);
                match shaken {
                    Ok(Handshake::Wait) => {}
                    Ok(Handshake::Again) => self.handshakes.note_ready(id),
                    Ok(Handshake::Done(peer)) => {
                        pending.peer = peer;
                        self.finish_handshake(now, id);
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                        self.handshakes.note_ready(id);
                    }
                    Err(error) => self.fail_handshake(now, id, &error),
                }
            }
        }
    }

    /// Reads a part of a PROXY header, and not a byte beyond: what follows may be for TLS, or is the first line. So what has
    /// arrived is looked at where it is, and only as many bytes are read as belong to the header.
    fn read_header(&mut self, now: Now, id: HandshakeId) {
        let Some(pending) = self.handshakes.find(id) else {
            return;
        };
        let Step::Header(parser) = &mut pending.step else {
            return;
        };
        let (net, socket) = (&mut self.net, &mut pending.socket);
        let read = net.peek(socket, &mut self.scratch).and_then(|arrived| {
            let taken = parser.clone().take(&self.scratch[..arrived]);
            match taken {
                Ok((0, _)) => Ok(Ok(0)),
                Ok((n, _)) => net.read(socket, &mut self.scratch[..n]).map(Ok),
                Err(fault) => Ok(Err(fault)),
            }
        });
        let read = match read {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(None),
            Err(_) | Ok(Ok(0)) => return self.leave(now, id),
            Ok(Err(fault)) => Err(fault),
            Ok(Ok(n)) => parser.take(&self.scratch[..n]).map(|(_, header)| header),
        };
        match read {
            Ok(Some(header)) => self.take_header(now, id, header),
            // There may be more.
            Ok(None) => self.handshakes.note_ready(id),
            Err(fault) => self.refuse_header(now, id, fault),
        }
    }

    /// A newcomer has closed its connection. One that has sent nothing was no client: proxies look in this way whether a
    /// server answers.
    fn leave(&mut self, now: Now, id: HandshakeId) {
        let Some(pending) = self.handshakes.remove(id, Outcome::Left) else {
            return;
        };
        if !matches!(&pending.step, Step::Header(parser) if parser.is_empty()) {
            self.log_refused(now, &pending, "closed by the peer within its PROXY header");
        }
    }

    /// A header is whole: from now on its client's address counts.
    fn take_header(&mut self, now: Now, id: HandshakeId, header: Header) {
        let Some(pending) = self.handshakes.find(id) else {
            return;
        };
        let Some(proxy) = pending.address else { return };
        let relayed = Relayed { header, proxy };
        pending.relayed = Some(relayed);
        pending.address = Some(relayed.address());
        // The proxy itself is no client: no limit by address holds for it.
        let has_address = header != Header::Local;
        let wire = pending.peer.wire;
        let of_client = Peer::new(has_address.then(|| relayed.address().ip()), wire);
        // Both its way to the proxy and the proxy's to the server count.
        let is_secure = pending.peer.is_secure && of_client.is_secure;
        pending.peer = Peer {
            is_secure,
            ..of_client
        };
        if self.net.needs_handshake(&pending.socket) {
            return self.begin_handshake(now, id);
        }
        self.finish_handshake(now, id);
    }

    fn begin_handshake(&mut self, now: Now, id: HandshakeId) {
        match self.handshakes.begin(id) {
            // What it has sent may have been reported already.
            true => self.handshakes.note_ready(id),
            false => {
                let why = "too many unfinished handshakes from its address";
                self.turn_away(now, id, Outcome::AddressFull, why);
            }
        }
    }

    fn finish_handshake(&mut self, now: Now, id: HandshakeId) {
        let Some(pending) = self.handshakes.remove(id, Outcome::Done) else {
            return;
        };
        let entrant = Entrant {
            socket: pending.socket,
            peer: pending.peer,
            address: pending.address,
            listener: pending.listener,
            relayed: pending.relayed,
            is_registered: true,
        };
        self.admit(now, entrant);
    }

    /// A handshake has failed. Its peer has been sent an alert, or is sent words if it does not speak TLS.
    fn fail_handshake(&mut self, now: Now, id: HandshakeId, error: &io::Error) {
        let Some(pending) = self.handshakes.find(id) else {
            return;
        };
        let is_plain = self.net.takes_plain_text(&pending.socket);
        match error.kind() {
            // It has sent nothing: a program that looks whether a server answers.
            io::ErrorKind::ConnectionAborted => {
                self.handshakes.remove(id, Outcome::Left);
            }
            io::ErrorKind::UnexpectedEof => {
                let why = "closed by the peer within its TLS handshake";
                self.turn_away(now, id, Outcome::Left, why);
            }
            _ if is_plain => {
                self.refuse_newcomer(now, id, Outcome::Failed, Refusal::NeedsTls {});
            }
            _ => self.turn_away(now, id, Outcome::Failed, &format!("TLS: {error}")),
        }
    }

    fn refuse_header(&mut self, now: Now, id: HandshakeId, fault: Fault) {
        let refusal = match fault {
            Fault::Absent => Refusal::ProxyHeaderMissing {},
            Fault::Malformed => Refusal::ProxyHeaderInvalid {},
        };
        self.refuse_newcomer(now, id, Outcome::BadHeader, refusal);
    }

    fn time_out(&mut self, now: Now, id: HandshakeId) {
        let Some(pending) = self.handshakes.find(id) else {
            return;
        };
        let seconds = HANDSHAKE_SECONDS;
        match pending.step {
            Step::Header(_) => {
                let refusal = Refusal::ProxyHeaderLate { seconds };
                self.refuse_newcomer(now, id, Outcome::TimedOut, refusal);
            }
            Step::Handshake if self.net.takes_plain_text(&pending.socket) => {
                self.refuse_newcomer(now, id, Outcome::TimedOut, Refusal::NeedsTls {});
            }
            Step::Handshake => {
                let why = format!("TLS handshake not finished within {seconds} s");
                self.turn_away(now, id, Outcome::TimedOut, &why);
            }
        }
    }

    /// Closes a newcomer's connection with words for its peer, unless the peer would not read them as such.
    fn refuse_newcomer(
        &mut self,
        now: Now,
        id: HandshakeId,
        outcome: Outcome,
        refusal: Refusal<'_>,
    ) {
        let Some(pending) = self.handshakes.remove(id, outcome) else {
            return;
        };
        let takes_plain_text = self.net.takes_plain_text(&pending.socket);
        self.log_refused(now, &pending, &refusal.to_string());
        if takes_plain_text {
            let mut line = Vec::new();
            refusal.write(&mut line);
            self.say_goodbye(now, pending.socket, pending.peer.wire, &line);
        }
    }

    /// Closes a newcomer's connection without words. What it was sent in its handshake still reaches it.
    fn turn_away(&mut self, now: Now, id: HandshakeId, outcome: Outcome, why: &str) {
        if let Some(pending) = self.handshakes.remove(id, outcome) {
            self.log_refused(now, &pending, why);
            self.linger(now, pending.socket);
        }
    }

    fn log_refused(&mut self, now: Now, pending: &Pending<N::Socket>, why: &str) {
        let place = Place(&self.net, pending.listener);
        self.log
            .refused(now, pending.address, pending.relayed, place, why);
    }
}
