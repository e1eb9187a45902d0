//! Lingering close. Closing a socket with unread input makes the kernel send a reset (RFC 1122, 4.2.2.13), which can
//! destroy output that the peer has not read yet. So the server shuts down its sending side, keeps the socket for a
//! moment, discards what has arrived, and closes. Which connections are closed, and when, is decided elsewhere.

use super::transport::Net;
use crate::hub::Now;
use std::collections::VecDeque;

/// Microseconds that a socket lingers.
pub const LINGER_US: u64 = 1_000_000;
/// Sockets that linger at a time. One more, and the oldest is closed early.
pub const LINGERING_MAX: usize = 16;
/// Reads of unwanted input before a socket is closed, and bytes per read.
const DISCARDS_MAX: usize = 64;
const DISCARD_BYTES: usize = 4096;

/// Sockets that linger, each with the time when it is closed, the oldest first. At most [`LINGERING_MAX`].
#[derive(Debug)]
pub struct Lingering<S>(VecDeque<(Now, S)>);

impl<S> Default for Lingering<S> {
    fn default() -> Self {
        Lingering(VecDeque::new())
    }
}

impl<S> Lingering<S> {
    /// Shuts down the sending side of `socket`, and closes it at `until`.
    pub fn add<N: Net<Socket = S>>(&mut self, net: &mut N, until: Now, mut socket: S) {
        net.close_write(&mut socket);
        self.0.push_back((until, socket));
        if self.0.len() > LINGERING_MAX
            && let Some((_, oldest)) = self.0.pop_front()
        {
            discard(net, oldest);
        }
    }

    /// Closes the sockets whose time has come.
    pub fn expire<N: Net<Socket = S>>(&mut self, net: &mut N, now: Now) {
        while let Some((_, socket)) = self.0.pop_front_if(|(until, _)| *until <= now) {
            discard(net, socket);
        }
    }

    /// When [`expire`](Lingering::expire) must be called next.
    pub fn next_deadline(&self) -> Option<Now> {
        self.0.front().map(|(until, _)| *until)
    }
}

/// Reads and drops unwanted input, then closes the socket.
fn discard<N: Net>(net: &mut N, mut socket: N::Socket) {
    let mut unwanted = [0; DISCARD_BYTES];
    for _ in 0..DISCARDS_MAX {
        if !matches!(net.read(&mut socket, &mut unwanted), Ok(1..)) {
            break;
        }
    }
}
