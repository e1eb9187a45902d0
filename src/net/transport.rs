//! What the scheduler asks of its surroundings: a clock, newcomers, sockets. No behaviour lives here.

use crate::hub::{ConnId, Now, Peer};
use std::io::{self, IoSlice};
use std::net::SocketAddr;

/// A connection that has just been accepted: its socket, what the hub must know of its peer, and the peer's address and
/// port for the log.
pub type Newcomer<S> = (S, Peer, Option<SocketAddr>);

/// The surroundings of the scheduler: real sockets, or simulated ones.
pub trait Net {
    /// One connection. Dropping it closes it.
    type Socket;
    /// The time. `work` is what the [hub](crate::hub::Hub::totals) has done so far: a simulated clock moves with it.
    fn now(&self, work: u64) -> Now;
    /// The next newcomer of a listener.
    ///
    /// # Errors
    /// `WouldBlock` when there is none, or whatever the system says.
    fn accept(&mut self, listener: usize) -> io::Result<Newcomer<Self::Socket>>;
    /// How a listener is named in the log.
    fn listener(&self, _listener: usize) -> String {
        String::new()
    }
    /// The peer's address and port, as long as the system knows them.
    fn peer(&self, _socket: &Self::Socket) -> Option<SocketAddr> {
        None
    }
    /// The user and the process at the other end of a Unix-domain socket, as long as the system knows them.
    fn credentials(&self, _socket: &Self::Socket) -> Option<(u32, i32)> {
        None
    }
    /// From now on the poll reports the readiness of `socket`, both ways, by edges.
    ///
    /// # Errors
    /// The system is out of memory.
    fn register(&mut self, socket: &mut Self::Socket, id: ConnId) -> io::Result<()>;
    /// The same of a newcomer of which the hub does not know yet.
    ///
    /// # Errors
    /// The system is out of memory.
    fn register_newcomer(&mut self, socket: &mut Self::Socket, id: HandshakeId) -> io::Result<()>;
    /// The poll reports a newcomer under this name from now on, and at once what it is ready for.
    ///
    /// # Errors
    /// The system is out of memory.
    fn reregister(&mut self, socket: &mut Self::Socket, id: ConnId) -> io::Result<()>;
    /// Whether a newcomer is to [shake hands](Net::handshake) before the hub hears of it.
    fn needs_handshake(&self, _socket: &Self::Socket) -> bool {
        false
    }
    /// Goes on with the handshake of a newcomer, as far as that is possible without waiting. `peer` is what is known of it,
    /// what a proxy has said included.
    ///
    /// # Errors
    /// The handshake has failed; the connection ends. `ConnectionAborted`: its peer has left before it had sent anything.
    fn handshake(&mut self, _socket: &mut Self::Socket, peer: Peer) -> io::Result<Handshake> {
        Ok(Handshake::Done(peer))
    }
    /// Whether the peer can read a line of plain text, as one can whose handshake has not begun.
    fn takes_plain_text(&self, _socket: &Self::Socket) -> bool {
        true
    }
    /// The version of TLS, if it is spoken.
    fn tls_version(&self, _socket: &Self::Socket) -> Option<&'static str> {
        None
    }
    /// Copies what has arrived, and leaves it there to be read; 0: the peer has finished sending.
    ///
    /// # Errors
    /// As [`read`](Net::read).
    fn peek(&mut self, socket: &mut Self::Socket, into: &mut [u8]) -> io::Result<usize>;
    /// Reads what has arrived; 0: the peer has finished sending.
    ///
    /// # Errors
    /// `WouldBlock` when nothing has arrived; `Interrupted` when something has that holds no bytes for us yet; `UnexpectedEof`
    /// when the connection was cut, so that the last bytes may be missing; any other error ends the connection.
    fn read(&mut self, socket: &mut Self::Socket, into: &mut [u8]) -> io::Result<usize>;
    /// Bytes that the last read took from the socket beyond those that it returned.
    fn overhead(&self, _socket: &Self::Socket) -> u64 {
        0
    }
    /// Writes as much as the socket takes. It may take more than it can send now: see [`flush`](Net::flush).
    ///
    /// # Errors
    /// `WouldBlock` when that is nothing; any other error ends the connection.
    fn write(&mut self, socket: &mut Self::Socket, slices: &[IoSlice<'_>]) -> io::Result<usize>;
    /// Sends what earlier reads and writes have left; false: not all of it, and the socket must become writable first.
    ///
    /// # Errors
    /// The connection ends.
    fn flush(&mut self, _socket: &mut Self::Socket) -> io::Result<bool> {
        Ok(true)
    }
    /// Says that nothing more will be sent, if that takes words; false: they are still to be [flushed](Net::flush). After that
    /// nothing is read or written any more.
    fn finish(&mut self, _socket: &mut Self::Socket) -> bool {
        true
    }
    /// Tells the peer that nothing more will be sent.
    fn close_write(&mut self, socket: &mut Self::Socket);
}

/// A newcomer that the hub does not know yet. A number is used again only after 4 billion others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HandshakeId(pub u32);

/// How far a handshake has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handshake {
    /// Its socket must become ready again.
    Wait,
    /// It can go on at once: others come first.
    Again,
    /// It is over, and this is the peer.
    Done(Peer),
}

/// What the poll reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A listener has newcomers.
    Newcomers(usize),
    /// The socket of a newcomer that shakes hands is ready.
    Handshake(HandshakeId),
    /// A connection's socket is ready.
    Ready {
        /// The connection; it may have ended since.
        id: ConnId,
        /// Bytes or the peer's end may have arrived.
        readable: bool,
        /// It may take bytes.
        writable: bool,
    },
}
