//! One connected socket, TCP or Unix-domain: reads, writes slices, shuts down. Decides nothing.

use mio::net::{TcpStream, UnixStream};
use mio::{Interest, Registry, Token};
use rustix::net::RecvFlags;
use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr};

/// A connected socket that does not block.
#[derive(Debug)]
pub enum Stream {
    /// TCP, over IPv4 or IPv6.
    Tcp(TcpStream),
    /// A Unix-domain stream socket.
    Unix(UnixStream),
}

impl Stream {
    /// From now on readiness is reported both ways, by edges. Done once: the interest never changes.
    ///
    /// # Errors
    /// The system is out of memory: see epoll_ctl(2) or kevent(2).
    pub fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let both = Interest::READABLE | Interest::WRITABLE;
        match self {
            Stream::Tcp(stream) => registry.register(stream, token, both),
            Stream::Unix(stream) => registry.register(stream, token, both),
        }
    }

    /// From now on readiness is reported under another token. What the socket is ready for is reported once more.
    ///
    /// # Errors
    /// The system is out of memory.
    pub fn reregister(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let both = Interest::READABLE | Interest::WRITABLE;
        match self {
            Stream::Tcp(stream) => registry.reregister(stream, token, both),
            Stream::Unix(stream) => registry.reregister(stream, token, both),
        }
    }

    /// The peer's address and port; `None` for a Unix-domain socket, or after a reset.
    pub fn peer(&self) -> Option<SocketAddr> {
        match self {
            Stream::Tcp(stream) => stream.peer_addr().ok(),
            Stream::Unix(_) => None,
        }
    }

    /// The user and the process at the other end of a Unix-domain socket when it was connected.
    pub fn credentials(&self) -> Option<(u32, i32)> {
        match self {
            #[cfg(any(target_os = "linux", target_os = "android"))]
            Stream::Unix(stream) => {
                let peer = rustix::net::sockopt::socket_peercred(stream).ok()?;
                Some((peer.uid.as_raw(), peer.pid.as_raw_nonzero().get()))
            }
            _ => None,
        }
    }

    /// Reads what has arrived; 0: the peer has finished sending.
    ///
    /// # Errors
    /// See read(2); `WouldBlock` when nothing has arrived.
    pub fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.read(into),
            Stream::Unix(stream) => stream.read(into),
        }
    }

    /// Copies what has arrived, and leaves it there to be read; 0: the peer has finished sending.
    ///
    /// # Errors
    /// As [`read`](Stream::read).
    pub fn peek(&self, into: &mut [u8]) -> io::Result<usize> {
        let (_, n) = match self {
            Stream::Tcp(stream) => rustix::net::recv(stream, into, RecvFlags::PEEK)?,
            Stream::Unix(stream) => rustix::net::recv(stream, into, RecvFlags::PEEK)?,
        };
        Ok(n)
    }

    /// Writes as much as the socket takes. One slice is sent with send(2), which costs the kernel less than writev(2).
    ///
    /// # Errors
    /// See writev(2); `WouldBlock` when it takes nothing.
    pub fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match (self, slices) {
            (Stream::Tcp(stream), [slice]) => stream.write(slice),
            (Stream::Tcp(stream), slices) => stream.write_vectored(slices),
            (Stream::Unix(stream), slices) => stream.write_vectored(slices),
        }
    }

    /// Tells the peer that nothing more will be sent. A peer that is gone need not know.
    pub fn close_write(&mut self) {
        let _ = match self {
            Stream::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Stream::Unix(stream) => stream.shutdown(Shutdown::Write),
        };
    }
}
