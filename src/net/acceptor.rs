//! Which listeners may have newcomers, and what an error of accepting means for the next try. Decides nothing about the
//! newcomers.

use super::listener::{AcceptFault, classify};
use super::transport::{Net, Newcomer};
use crate::hub::Now;

/// Microseconds until accepting is tried again after the system ran out of something.
const BACKOFF_US: u64 = 100_000;

/// The listeners, as far as accepting is concerned.
#[derive(Debug)]
pub struct Acceptor {
    /// Whether each listener may have newcomers.
    newcomers: Vec<bool>,
    /// Whether the last newcomer of each listener has to shake hands before it is admitted.
    handshaking: Vec<bool>,
    /// Nothing is accepted until then: the system has run out of descriptors or memory.
    paused_until: Option<Now>,
    /// The operator has been told of that.
    is_reported: bool,
}

impl Acceptor {
    /// For so many listeners, all of which may have newcomers.
    pub fn new(listeners: usize) -> Acceptor {
        Acceptor {
            newcomers: vec![true; listeners],
            handshaking: vec![false; listeners],
            paused_until: None,
            is_reported: false,
        }
    }

    /// The poll has reported a listener, or there is a new one.
    pub fn note(&mut self, listener: usize) {
        if listener >= self.newcomers.len() {
            self.newcomers.resize(listener + 1, false);
            self.handshaking.resize(listener + 1, false);
        }
        self.newcomers[listener] = true;
    }

    /// Listeners have smaller numbers.
    pub fn listeners(&self) -> usize {
        self.newcomers.len()
    }

    /// Whether something is to be accepted at once. While handshakes are full, listeners wait whose newcomers shake hands.
    pub fn is_ready(&self, handshakes_are_full: bool) -> bool {
        let mut listeners = self.newcomers.iter().zip(&self.handshaking);
        let is_open = |(&newcomers, &handshaking): (&bool, &bool)| {
            newcomers && !(handshaking && handshakes_are_full)
        };
        self.paused_until.is_none() && listeners.any(is_open)
    }

    /// Whether the last newcomer of a listener has to shake hands: the next one will have to as well.
    pub fn shakes_hands(&self, listener: usize) -> bool {
        self.handshaking[listener]
    }

    /// Notes whether a newcomer of this listener has to shake hands.
    pub fn note_handshake(&mut self, listener: usize, has_to: bool) {
        self.handshaking[listener] = has_to;
    }

    /// When accepting is to be tried again.
    pub fn deadline(&self) -> Option<Now> {
        self.paused_until
    }

    /// The next newcomer of a listener, if there is one.
    pub fn next<N: Net>(
        &mut self,
        net: &mut N,
        now: Now,
        listener: usize,
    ) -> Option<Newcomer<N::Socket>> {
        if self.paused_until.is_some_and(|until| until > now) {
            return None;
        }
        self.paused_until = None;
        while self.newcomers[listener] {
            let error = match net.accept(listener) {
                Ok(accepted) => {
                    self.is_reported = false;
                    return Some(accepted);
                }
                Err(error) => error,
            };
            match classify(&error) {
                AcceptFault::NobodyThere => self.newcomers[listener] = false,
                AcceptFault::OneNewcomer => {
                    tracing::debug!(%error, "a newcomer closed before it was accepted");
                }
                AcceptFault::System => {
                    if !std::mem::replace(&mut self.is_reported, true) {
                        tracing::warn!(%error, "newcomers have to wait");
                    }
                    self.paused_until = Some(now.after(BACKOFF_US));
                    return None;
                }
            }
        }
        None
    }
}
