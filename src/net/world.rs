//! What a turn asks of the world around it: a clock, newcomers, sockets. No behaviour lives here.

use crate::hub::{ConnId, Now, Peer};
use std::io::{self, IoSlice};

/// The world that a turn works on: real sockets, or simulated ones.
pub trait Net {
    /// One connection. Dropping it closes it.
    type Socket;
    /// The time.
    fn now(&self) -> Now;
    /// The next newcomer of a listener.
    ///
    /// # Errors
    /// `WouldBlock` when there is none, or whatever the system says.
    fn accept(&mut self, listener: usize) -> io::Result<(Self::Socket, Peer)>;
    /// From now on reports the readiness of `socket`, both ways, by edges.
    ///
    /// # Errors
    /// The system has no memory for it.
    fn register(&mut self, socket: &mut Self::Socket, id: ConnId) -> io::Result<()>;
    /// Reads what there is; 0 at the peer's end.
    ///
    /// # Errors
    /// `WouldBlock` when there is nothing, or the connection is broken.
    fn read(&mut self, socket: &mut Self::Socket, into: &mut [u8]) -> io::Result<usize>;
    /// Writes what it can.
    ///
    /// # Errors
    /// `WouldBlock` when that is nothing, or the connection is broken.
    fn write(&mut self, socket: &mut Self::Socket, slices: &[IoSlice<'_>]) -> io::Result<usize>;
    /// Sends the peer the end of the stream.
    fn close_write(&mut self, socket: &mut Self::Socket);
}

/// What the poll reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A listener has newcomers.
    Newcomers(usize),
    /// A connection can go on.
    Ready {
        /// Which; it may have gone since.
        id: ConnId,
        /// It may have something to read, or its end.
        readable: bool,
        /// It may take bytes.
        writable: bool,
    },
}
