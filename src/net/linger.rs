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
/// Reads of unwanted input before a socket is closed: so many times the scheduler's scratch buffer.
const DISCARDS_MAX: usize = 16;

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
    pub fn add<N: Net<Socket = S>>(
        &mut self,
        net: &mut N,
        until: Now,
        mut socket: S,
        scratch: &mut [u8],
    ) {
        net.close_write(&mut socket);
        self.0.push_back((until, socket));
        if self.0.len() > LINGERING_MAX
            && let Some((_, oldest)) = self.0.pop_front()
        {
            discard(net, oldest, scratch);
        }
    }

    /// Closes the oldest socket if its time has come. Returns whether it had.
    pub fn expire_one<N: Net<Socket = S>>(
        &mut self,
        net: &mut N,
        now: Now,
        scratch: &mut [u8],
    ) -> bool {
        let expired = self.0.pop_front_if(|(until, _)| *until <= now);
        let has_expired = expired.is_some();
        if let Some((_, socket)) = expired {
            discard(net, socket, scratch);
        }
        has_expired
    }

    /// How many sockets linger.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// When [`expire_one`](Lingering::expire_one) must be called next.
    pub fn next_deadline(&self) -> Option<Now> {
        self.0.front().map(|(until, _)| *until)
    }
}

/// Reads and drops unwanted input, then closes the socket.
fn discard<N: Net>(net: &mut N, mut socket: N::Socket, scratch: &mut [u8]) {
    for _ in 0..DISCARDS_MAX {
        if !matches!(net.read(&mut socket, scratch), Ok(1..)) {
            break;
        }
    }
}
