//! The bytes between one simulated client and the server. Decides no fault.

use madang::hub::{ConnId, Wire};
use madang::net::transport::{Event, HandshakeId};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::rc::Rc;

/// The two directions between one simulated client and the server.
#[derive(Debug)]
pub struct Pipe {
    /// Bytes that the client has sent and the server has not read.
    pub inbound: VecDeque<u8>,
    /// The client has finished sending.
    pub fin: bool,
    /// The client has reset the connection.
    pub reset: bool,
    /// Bytes that the server has written and the client has not read: at most `capacity`.
    pub outbound: VecDeque<u8>,
    /// `usize::MAX` marks the pipe of an observer, which has no faults.
    pub capacity: usize,
    /// As TLS does, the server's end takes more than there is room for, up to [`RECORD_BYTES`], and keeps the rest here.
    pub kept: VecDeque<u8>,
    pub is_veiled: bool,
    pub wire: Wire,
    pub address: Ipv4Addr,
    /// Bytes of a handshake that the client has to send before its first line.
    pub handshake: Option<usize>,
    /// The server has finished sending, or has closed.
    pub server_fin: bool,
    pub server_closed: bool,
    pub id: Option<Polled>,
    /// A read has returned `WouldBlock` although something had arrived: a fault.
    pub was_unreadable: bool,
    /// A read, or a write, has returned `WouldBlock` since the last event for it.
    pub wants_read: bool,
    pub wants_write: bool,
}

impl Pipe {
    pub fn shared(wire: Wire, capacity: usize) -> Shared {
        Rc::new(RefCell::new(Pipe {
            inbound: VecDeque::new(),
            fin: false,
            reset: false,
            outbound: VecDeque::new(),
            capacity,
            kept: VecDeque::new(),
            is_veiled: false,
            wire,
            address: Ipv4Addr::LOCALHOST,
            handshake: None,
            server_fin: false,
            server_closed: false,
            id: None,
            was_unreadable: false,
            wants_read: false,
            wants_write: false,
        }))
    }

    /// How many bytes the server's socket takes now.
    pub fn room(&self) -> usize {
        self.capacity.saturating_sub(self.outbound.len())
    }

    /// Sends what was kept, as far as there is room; true: all of it.
    pub fn send_kept(&mut self) -> bool {
        let n = self.kept.len().min(self.room());
        self.outbound.extend(self.kept.drain(..n));
        self.wants_write |= !self.kept.is_empty();
        self.kept.is_empty()
    }

    pub fn is_without_faults(&self) -> bool {
        self.capacity == usize::MAX
    }
}

/// Under which name the poll reports a socket.
#[derive(Clone, Copy, Debug, Hash)]
pub enum Polled {
    Newcomer(HandshakeId),
    Connection(ConnId),
}

impl Polled {
    pub fn ready(self, readable: bool, writable: bool) -> Event {
        match self {
            Polled::Newcomer(id) => Event::Handshake(id),
            Polled::Connection(id) => Event::Ready {
                id,
                readable,
                writable,
            },
        }
    }
}

/// The most that a veiled pipe takes in a write: as much as a record of TLS has.
pub const RECORD_BYTES: usize = 16_384;

pub type Shared = Rc<RefCell<Pipe>>;

/// The server's end of a pipe. Dropping it closes the connection.
#[derive(Debug)]
pub struct Socket(pub Shared);

impl Drop for Socket {
    fn drop(&mut self) {
        let mut pipe = self.0.borrow_mut();
        (pipe.server_fin, pipe.server_closed) = (true, true);
    }
}
