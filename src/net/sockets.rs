//! Real sockets and the real clock, as the scheduler sees them. Decides nothing, and polls nothing.

use super::listeners::{LISTENERS, Listeners};
use super::stream::Stream;
use super::tls::LENT_BYTES;
use super::transport::{Handshake, HandshakeId, Net, Newcomer};
use crate::hub::{ConnId, Now, Peer};
use mio::{Registry, Token};
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::time::Instant;

/// The low half of the tokens of newcomers that shake hands; their numbers are the high half.
pub const HANDSHAKES: usize = LISTENERS + 0x9000;

/// The sockets and the clock.
pub struct Sockets {
    registry: Registry,
    /// The listeners.
    pub listeners: Listeners,
    start: Instant,
    /// What TLS connections need for one call.
    lent: Box<[u8]>,
}

impl Sockets {
    /// These listeners, and connections that `registry` polls. The clock starts now.
    pub fn new(registry: Registry, listeners: Listeners) -> Sockets {
        Sockets {
            registry,
            listeners,
            start: Instant::now(),
            lent: vec![0; LENT_BYTES].into_boxed_slice(),
        }
    }
}

impl Net for Sockets {
    type Socket = Stream;

    fn now(&self, _: u64) -> Now {
        Now::from_micros(self.start.elapsed().as_micros() as u64)
    }

    fn accept(&mut self, listener: usize) -> io::Result<Newcomer<Stream>> {
        self.listeners.accept(listener)
    }

    fn listener(&self, listener: usize) -> String {
        self.listeners.name(listener)
    }

    fn peer(&self, socket: &Stream) -> Option<SocketAddr> {
        socket.peer()
    }

    fn credentials(&self, socket: &Stream) -> Option<(u32, i32)> {
        socket.credentials()
    }

    fn register(&mut self, socket: &mut Stream, id: ConnId) -> io::Result<()> {
        socket.register(&self.registry, Token(id.to_token()))
    }

    fn register_newcomer(&mut self, socket: &mut Stream, id: HandshakeId) -> io::Result<()> {
        let token = Token((id.0 as usize) << 32 | HANDSHAKES);
        socket.register(&self.registry, token)
    }

    fn reregister(&mut self, socket: &mut Stream, id: ConnId) -> io::Result<()> {
        socket.reregister(&self.registry, Token(id.to_token()))
    }

    fn needs_handshake(&self, socket: &Stream) -> bool {
        socket.needs_handshake()
    }

    fn handshake(&mut self, socket: &mut Stream, peer: Peer) -> io::Result<Handshake> {
        let known = socket.handshake(&mut self.lent, peer)?;
        Ok(known.map_or(Handshake::Wait, Handshake::Done))
    }

    fn takes_plain_text(&self, socket: &Stream) -> bool {
        socket.takes_plain_text()
    }

    fn tls_version(&self, socket: &Stream) -> Option<&'static str> {
        socket.tls_version()
    }

    fn peek(&mut self, socket: &mut Stream, into: &mut [u8]) -> io::Result<usize> {
        socket.peek(into)
    }

    fn read(&mut self, socket: &mut Stream, into: &mut [u8]) -> io::Result<usize> {
        socket.read(into, &mut self.lent)
    }

    fn overhead(&self, socket: &Stream) -> u64 {
        socket.overhead()
    }

    fn write(&mut self, socket: &mut Stream, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        socket.write(slices, &mut self.lent)
    }

    fn flush(&mut self, socket: &mut Stream) -> io::Result<bool> {
        socket.flush()
    }

    fn finish(&mut self, socket: &mut Stream) -> bool {
        socket.finish()
    }

    fn close_write(&mut self, socket: &mut Stream) {
        socket.close_write();
    }
}
