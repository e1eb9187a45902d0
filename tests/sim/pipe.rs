//! The bytes between one simulated client and the server. Decides no fault.

use super::veil::Veil;
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
    /// What both ends have put between themselves and their sockets, as TLS is, if they have.
    pub veil: Option<Box<Veil>>,
    pub wire: Wire,
    pub address: Ipv4Addr,
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
            veil: None,
            wire,
            address: Ipv4Addr::LOCALHOST,
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

pub type Shared = Rc<RefCell<Pipe>>;

/// The server's end of a pipe. Dropping it closes the connection.
#[derive(Debug)]
pub struct Socket(pub Shared);

impl Socket {
    pub fn is_veiled(&self) -> bool {
        self.0.borrow().veil.is_some()
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let mut pipe = self.0.borrow_mut();
        (pipe.server_fin, pipe.server_closed) = (true, true);
        pipe.veil.iter_mut().for_each(|veil| veil.close());
    }
}
