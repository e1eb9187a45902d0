//! One connected socket, TCP or Unix-domain, plain or under TLS: reads, writes slices, shuts down. Decides nothing.

use super::certificates::fingerprint;
use super::tls::TlsStream;
use crate::hub::Peer;
use mio::event::Source;
use mio::net::{TcpStream, UnixStream};
use mio::{Interest, Registry, Token};
use rustix::net::RecvFlags;
use rustls::ServerConfig;
use slab::Slab;
use std::cell::RefCell;
use std::io::{self, IoSlice, Read, Write};
use std::marker::PhantomData;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

/// A connected socket that does not block. Takes 8 bytes in a release build, since there may be very many.
#[derive(Debug)]
pub enum Stream {
    /// Without encryption.
    Plain(Socket),
    /// Under TLS.
    Tls(Session),
}

/// A connected socket.
#[derive(Debug)]
pub enum Socket {
    /// TCP, over IPv4 or IPv6.
    Tcp(TcpStream),
    /// A Unix-domain stream socket.
    Unix(UnixStream),
}

impl Socket {
    fn source(&mut self) -> &mut dyn Source {
        match self {
            Socket::Tcp(stream) => stream,
            Socket::Unix(stream) => stream,
        }
    }

    /// Tells the peer that nothing more will be sent. A peer that is gone need not know.
    fn close_write(&self) {
        let _ = match self {
            Socket::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Socket::Unix(stream) => stream.shutdown(Shutdown::Write),
        };
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Socket::Tcp(stream) => stream.as_fd(),
            Socket::Unix(stream) => stream.as_fd(),
        }
    }
}

impl Read for Socket {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => stream.read(into),
            Socket::Unix(stream) => stream.read(into),
        }
    }
}

/// One slice is sent with send(2), which costs the kernel less than writev(2).
impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => stream.write(bytes),
            Socket::Unix(stream) => stream.write(bytes),
        }
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match (self, slices) {
            (socket, [slice]) => socket.write(slice),
            (Socket::Tcp(stream), slices) => stream.write_vectored(slices),
            (Socket::Unix(stream), slices) => stream.write_vectored(slices),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

thread_local! {
    /// TLS connections of this thread, by number. Here, so that a [`Stream`] stays small: one of 18,000 without TLS should not
    /// pay for a pointer that it does not have.
    static SESSIONS: RefCell<Slab<Box<TlsStream<Socket>>>> = const { RefCell::new(Slab::new()) };
}

/// The number of a TLS connection. Dropping it closes the connection.
#[derive(Debug)]
pub struct Session {
    number: u32,
    /// It stays on the thread that has made it.
    _thread: PhantomData<*const ()>,
}

impl Session {
    fn new(stream: TlsStream<Socket>) -> Session {
        let number = SESSIONS.with_borrow_mut(|sessions| sessions.insert(Box::new(stream)));
        Session {
            number: number as u32,
            _thread: PhantomData,
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut TlsStream<Socket>) -> T) -> T {
        SESSIONS.with_borrow_mut(|sessions| act(&mut sessions[self.number as usize]))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // The table may be gone when the thread ends.
        let removed = SESSIONS.try_with(|it| it.borrow_mut().try_remove(self.number as usize));
        drop(removed);
    }
}

impl Stream {
    /// The same connection under TLS; nothing has been received from it.
    ///
    /// # Errors
    /// The configuration is wrong.
    pub fn under_tls(self, config: Arc<ServerConfig>) -> io::Result<Stream> {
        match self {
            Stream::Plain(socket) => {
                let stream = TlsStream::new(socket, config)?;
                Ok(Stream::Tls(Session::new(stream)))
            }
            tls => Ok(tls),
        }
    }

    /// Does something with the socket itself.
    fn with_socket<T>(&self, act: impl FnOnce(&Socket) -> T) -> T {
        match self {
            Stream::Plain(socket) => act(socket),
            Stream::Tls(session) => session.with(|stream| act(stream.socket())),
        }
    }

    fn with_source<T>(&mut self, act: impl FnOnce(&mut dyn Source) -> T) -> T {
        match self {
            Stream::Plain(socket) => act(socket.source()),
            Stream::Tls(session) => session.with(|stream| act(stream.socket_mut().source())),
        }
    }

    /// From now on readiness is reported both ways, by edges. Done once: the interest never changes.
    ///
    /// # Errors
    /// The system is out of memory: see epoll_ctl(2) or kevent(2).
    pub fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let both = Interest::READABLE | Interest::WRITABLE;
        self.with_source(|source| source.register(registry, token, both))
    }

    /// From now on readiness is reported under another token. What the socket is ready for is reported once more.
    ///
    /// # Errors
    /// The system is out of memory.
    pub fn reregister(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let both = Interest::READABLE | Interest::WRITABLE;
        self.with_source(|source| source.reregister(registry, token, both))
    }

    /// The peer's address and port; `None` for a Unix-domain socket, or after a reset.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.with_socket(|socket| match socket {
            Socket::Tcp(stream) => stream.peer_addr().ok(),
            Socket::Unix(_) => None,
        })
    }

    /// The user and the process at the other end of a Unix-domain socket when it was connected.
    pub fn credentials(&self) -> Option<(u32, i32)> {
        self.with_socket(|socket| match socket {
            #[cfg(any(target_os = "linux", target_os = "android"))]
            Socket::Unix(stream) => {
                let peer = rustix::net::sockopt::socket_peercred(stream).ok()?;
                Some((peer.uid.as_raw(), peer.pid.as_raw_nonzero().get()))
            }
            _ => None,
        })
    }

    /// Copies what has arrived, and leaves it there to be read; 0: the peer has finished sending. Under TLS only before its
    /// handshake has begun.
    ///
    /// # Errors
    /// See recv(2); `WouldBlock` when nothing has arrived.
    pub fn peek(&self, into: &mut [u8]) -> io::Result<usize> {
        let (_, n) = self.with_socket(|socket| rustix::net::recv(socket, into, RecvFlags::PEEK))?;
        Ok(n)
    }

    /// Whether a TLS handshake is still to be ended.
    pub fn needs_handshake(&self) -> bool {
        match self {
            Stream::Plain(_) => false,
            Stream::Tls(session) => session.with(|stream| stream.is_in_handshake()),
        }
    }

    /// Goes on with a handshake; what is known of the peer once it is over. `lent` is a buffer of [`LENT_BYTES`](super::tls::LENT_BYTES).
    ///
    /// # Errors
    /// Those of [`TlsStream::handshake`].
    pub fn handshake(&mut self, lent: &mut [u8], peer: Peer) -> io::Result<Option<Peer>> {
        let Stream::Tls(session) = self else {
            return Ok(Some(peer));
        };
        session.with(|stream| {
            let known = |stream: &TlsStream<Socket>| Peer {
                is_secure: true,
                fingerprint: stream.certificate().map(fingerprint),
                ..peer
            };
            let is_over = stream.handshake(lent)?;
            Ok(is_over.then(|| known(stream)))
        })
    }

    /// Whether the peer can read a line of plain text: under TLS only if it has shown that it does not speak TLS.
    pub fn takes_plain_text(&self) -> bool {
        match self {
            Stream::Plain(_) => true,
            Stream::Tls(session) => session.with(|stream| stream.is_plain()),
        }
    }

    /// The version of TLS, if it is spoken.
    pub fn tls_version(&self) -> Option<&'static str> {
        match self {
            Stream::Plain(_) => None,
            Stream::Tls(session) => session.with(|stream| stream.version()),
        }
    }

    /// Reads what has arrived; 0: the peer has finished sending. `lent` is a buffer of [`LENT_BYTES`](super::tls::LENT_BYTES).
    ///
    /// # Errors
    /// See read(2); `WouldBlock` when nothing has arrived. Under TLS those of [`TlsStream::read`].
    pub fn read(&mut self, into: &mut [u8], lent: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(socket) => socket.read(into),
            Stream::Tls(session) => session.with(|stream| stream.read(into, lent)),
        }
    }

    /// Bytes that the last read took from the socket beyond those that it returned: under TLS alone there are any.
    pub fn overhead(&self) -> u64 {
        match self {
            Stream::Plain(_) => 0,
            Stream::Tls(session) => session.with(|stream| stream.overhead()),
        }
    }

    /// Writes as much as the socket takes. Under TLS see [`TlsStream::write`]; `lent` is as for a read.
    ///
    /// # Errors
    /// See writev(2); `WouldBlock` when it takes nothing.
    pub fn write(&mut self, slices: &[IoSlice<'_>], lent: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(socket) => socket.write_vectored(slices),
            Stream::Tls(session) => session.with(|stream| stream.write(slices, lent)),
        }
    }

    /// Writes what earlier reads and writes have left; false: the socket does not take all of it.
    ///
    /// # Errors
    /// See writev(2).
    pub fn flush(&mut self) -> io::Result<bool> {
        match self {
            Stream::Plain(_) => Ok(true),
            Stream::Tls(session) => session.with(TlsStream::flush),
        }
    }

    /// Says that nothing more will be sent, if that takes words; false: they are still to be flushed.
    pub fn finish(&mut self) -> bool {
        match self {
            Stream::Plain(_) => true,
            Stream::Tls(session) => session.with(TlsStream::finish),
        }
    }

    /// Tells the peer that nothing more will be sent. A peer that is gone need not know.
    pub fn close_write(&mut self) {
        self.finish();
        self.with_socket(Socket::close_write);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(not(debug_assertions))]
    fn a_stream_is_small() {
        assert_eq!(size_of::<Stream>(), 8);
    }

    #[test]
    fn a_session_that_is_dropped_is_forgotten() {
        let config = || {
            let authority = crate::testing::authority::Authority::new("the test's");
            let identity = authority.server(&["chat.test"], 2999);
            let pid = std::process::id();
            let file = std::env::temp_dir().join(format!("madang-stream-{pid}.pem"));
            std::fs::write(&file, identity.both()).unwrap();
            let files = super::super::certificates::Files {
                certificates: vec![file.clone()],
                ..Default::default()
            };
            let tls = files.load().unwrap();
            std::fs::remove_file(file).unwrap();
            tls.config
        };
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        theirs
            .set_read_timeout(Some(std::time::Duration::from_secs(20)))
            .unwrap();
        let plain = Stream::Plain(Socket::Unix(UnixStream::from_std(ours)));
        let stream = plain.under_tls(config()).unwrap();
        assert!(stream.needs_handshake() && stream.takes_plain_text());
        assert_eq!(SESSIONS.with_borrow(Slab::len), 1);
        drop(stream);
        assert_eq!(SESSIONS.with_borrow(Slab::len), 0);
        let mut rest = Vec::new();
        assert_eq!((&theirs).read_to_end(&mut rest).unwrap(), 0, "closed");
    }
}
