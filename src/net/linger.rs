//! Connections on their way out. Were one closed over input that nobody has read, a reset would follow, and could
//! destroy the last bytes before the peer has read them: so its end is sent, and it is kept for a moment.

use super::transport::Net;
use crate::hub::Now;
use std::collections::VecDeque;

/// Microseconds that a closed connection is kept.
pub const LINGER_US: u64 = 1_000_000;
/// How many are kept at a time; the oldest makes place.
pub const LINGERING_MAX: usize = 16;
/// Reads of input that nobody wants, before a connection is closed over it, and bytes a read.
const DISCARDS_MAX: usize = 64;
const DISCARD_BYTES: usize = 4096;

/// Closed connections, the oldest first.
#[derive(Debug)]
pub struct Lingering<S>(VecDeque<(Now, S)>);

impl<S> Default for Lingering<S> {
    fn default() -> Self {
        Lingering(VecDeque::new())
    }
}

impl<S> Lingering<S> {
    /// Sends the peer the end of the stream, and keeps the connection until then.
    pub fn add<N: Net<Socket = S>>(&mut self, net: &mut N, until: Now, mut socket: S) {
        net.close_write(&mut socket);
        self.0.push_back((until, socket));
        if self.0.len() > LINGERING_MAX
            && let Some((_, oldest)) = self.0.pop_front()
        {
            discard(net, oldest);
        }
    }

    /// Closes those whose time has come.
    pub fn expire<N: Net<Socket = S>>(&mut self, net: &mut N, now: Now) {
        while let Some((_, socket)) = self.0.pop_front_if(|(until, _)| *until <= now) {
            discard(net, socket);
        }
    }

    /// When [`expire`](Lingering::expire) is wanted.
    pub fn next_deadline(&self) -> Option<Now> {
        self.0.front().map(|(until, _)| *until)
    }
}

/// Reads away what nobody wants, and closes.
fn discard<N: Net>(net: &mut N, mut socket: N::Socket) {
    let mut unwanted = [0; DISCARD_BYTES];
    for _ in 0..DISCARDS_MAX {
        if !matches!(net.read(&mut socket, &mut unwanted), Ok(1..)) {
            break;
        }
    }
}
