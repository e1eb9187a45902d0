//! A listening socket: its options, accepting, and the kinds of error that accept(2) returns. Which addresses there are is
//! decided in `bind`, when to accept in `acceptor`.

use super::activation::HandedSocket;
use super::socket_file::SocketFile;
use super::stream::{self, Stream};
use super::transport::Newcomer;
use crate::address::Address;
use crate::hub::{Peer, Wire};
use mio::net::{TcpListener, UnixListener};
use mio::{Interest, Registry, Token};
use rustix::io::Errno;
use socket2::{Domain, SockRef, Socket, TcpKeepalive, Type};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

/// Unanswered keepalive probes before a peer is taken for dead.
#[cfg(not(target_os = "openbsd"))]
const KEEPALIVE_PROBES: u32 = 6;

/// Maximum TCP segment size, in bytes. Larger segments occur only on the loopback interface, and do harm there: a sender
/// whose segment exceeds the peer's window waits for the persist timer, 200 ms, before it sends part of it.
const SEGMENT_BYTES_MAX: u32 = 16 * 1024;

/// Who may connect to the control listener: the server's own user, and root.
const CONTROL_MODE: u32 = 0o600;

/// Options of a listener and its connections. On Linux a TCP connection inherits them from its listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Connections that may wait to be accepted; see listen(2).
    pub backlog: i32,
    /// Kernel send buffer of a connection. Linux reserves twice as many bytes; see socket(7).
    pub send_buffer_bytes: usize,
    /// Kernel receive buffer of a TCP connection; likewise.
    pub recv_buffer_bytes: usize,
    /// Time without traffic before the kernel probes the peer; zero: never.
    pub keepalive: Duration,
    /// Whether a peer on a Unix-domain socket is to have the name of the user that it is.
    pub trusts_uid: bool,
}

/// A socket that accepts connections.
#[derive(Debug)]
pub struct Listener {
    socket: Listening,
    wire: Wire,
    /// Its connections are under TLS.
    is_tls: bool,
    options: Options,
    /// The address that was asked for; `None`: nothing that a reload could remove.
    origin: Option<(Address, Wire)>,
}

#[derive(Debug)]
enum Listening {
    Tcp(TcpListener),
    /// The file first: it is removed while the socket still answers, so that no other server takes it for a dead one. A
    /// socket that was handed over has none: its file is the service manager's.
    Unix(Option<SocketFile>, UnixListener),
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.socket {
            Listening::Tcp(listener) => match listener.local_addr() {
                Ok(address) => write!(f, "{address}")?,
                Err(error) => write!(f, "an unknown address ({error})")?,
            },
            Listening::Unix(Some(file), _) => write!(f, "unix:{}", file.path().display())?,
            Listening::Unix(None, listener) => f.write_str(&unix_name(listener))?,
        }
        match self.wire {
            Wire::Chat if self.is_tls => f.write_str(" (tls)"),
            Wire::Chat => Ok(()),
            Wire::Raw => f.write_str(" (raw)"),
            Wire::Control => f.write_str(" (control)"),
        }
    }
}

impl Listener {
    /// Listens on a TCP address. `[::]` accepts IPv4 too, whatever the system's default is, unless `only_v6` is set.
    ///
    /// # Errors
    /// See bind(2) and listen(2).
    pub fn tcp(
        address: SocketAddr,
        only_v6: bool,
        wire: Wire,
        options: Options,
    ) -> io::Result<Listener> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        if address.is_ipv6() {
            socket.set_only_v6(only_v6)?;
        }
        apply(SockRef::from(&socket), options)?;
        socket.bind(&address.into())?;
        socket.listen(options.backlog)?;
        socket.set_nonblocking(true)?;
        Ok(Listener {
            socket: Listening::Tcp(TcpListener::from_std(socket.into())),
            wire,
            is_tls: false,
            options,
            origin: None,
        })
    }

    /// Listens on a path.
    ///
    /// # Errors
    /// Those of `socket_file`.
    pub fn unix(path: &Path, wire: Wire, options: Options) -> io::Result<Listener> {
        let mode = (wire == Wire::Control).then_some(CONTROL_MODE);
        let (file, socket) = SocketFile::listen(path, mode, options.backlog)?;
        socket.set_nonblocking(true)?;
        Ok(Listener {
            socket: Listening::Unix(Some(file), UnixListener::from_std(socket.into())),
            wire,
            is_tls: false,
            options,
            origin: None,
        })
    }

    /// Accepts at a socket that the service manager has handed over.
    ///
    /// # Errors
    /// The system refuses the options.
    pub fn handed(socket: HandedSocket, wire: Wire, options: Options) -> io::Result<Listener> {
        let socket = match socket {
            HandedSocket::Tcp(socket) => {
                apply(SockRef::from(&socket), options)?;
                socket.set_nonblocking(true)?;
                Listening::Tcp(TcpListener::from_std(socket))
            }
            HandedSocket::Unix(socket) => {
                socket.set_nonblocking(true)?;
                Listening::Unix(None, UnixListener::from_std(socket))
            }
        };
        Ok(Listener {
            socket,
            wire,
            is_tls: false,
            options,
            origin: None,
        })
    }

    /// The same, with connections under TLS.
    pub fn with_tls(mut self, is_tls: bool) -> Listener {
        self.is_tls = is_tls;
        self
    }

    /// Whether its connections are under TLS.
    pub fn is_tls(&self) -> bool {
        self.is_tls
    }

    /// The same, for an address that was asked for.
    pub fn with_origin(mut self, address: Address) -> Listener {
        self.origin = Some((address, self.wire));
        self
    }

    /// The address that was asked for, if it was.
    pub fn origin(&self) -> &Option<(Address, Wire)> {
        &self.origin
    }

    /// Whether programs on other machines may be able to connect.
    pub fn is_reachable(&self) -> bool {
        match &self.socket {
            Listening::Tcp(listener) => {
                let address = listener.local_addr();
                !address.is_ok_and(|address| address.ip().to_canonical().is_loopback())
            }
            Listening::Unix(..) => false,
        }
    }

    /// Changes its options, for connections that it accepts from now on. listen(2) may be called again, for the backlog.
    ///
    /// # Errors
    /// See setsockopt(2) and listen(2).
    pub fn set_options(&mut self, options: Options) -> io::Result<()> {
        if self.options == options {
            return Ok(());
        }
        match &self.socket {
            Listening::Tcp(listener) => {
                let socket = SockRef::from(listener);
                socket.listen(options.backlog)?;
                apply(socket, options)?;
            }
            Listening::Unix(_, listener) => SockRef::from(listener).listen(options.backlog)?,
        }
        self.options = options;
        Ok(())
    }

    /// Makes the poll report new connections under `token`.
    ///
    /// # Errors
    /// The system is out of memory.
    pub fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        match &mut self.socket {
            Listening::Tcp(listener) => registry.register(listener, token, Interest::READABLE),
            Listening::Unix(_, listener) => registry.register(listener, token, Interest::READABLE),
        }
    }

    /// Accepts the next connection.
    ///
    /// # Errors
    /// See accept(2); [`classify`] tells what to do.
    pub fn accept(&mut self) -> io::Result<Newcomer<Stream>> {
        let (stream, address) = match &mut self.socket {
            Listening::Tcp(listener) => {
                let (stream, address) = listener.accept()?;
                if !cfg!(any(target_os = "linux", target_os = "android")) {
                    apply(SockRef::from(&stream), self.options)?;
                }
                (stream::Socket::Tcp(stream), Some(address))
            }
            Listening::Unix(_, listener) => {
                let (stream, _) = listener.accept()?;
                SockRef::from(&stream).set_send_buffer_size(self.options.send_buffer_bytes)?;
                (stream::Socket::Unix(stream), None)
            }
        };
        let stream = Stream::Plain(stream);
        let mut peer = Peer::new(address.map(|address| address.ip()), self.wire);
        if self.options.trusts_uid {
            peer.uid = stream.credentials().map(|(uid, _)| uid);
        }
        Ok((stream, peer, address))
    }
}

/// The address of a Unix-domain socket whose path we were not told.
fn unix_name(listener: &UnixListener) -> String {
    let address = listener.local_addr().ok();
    let path = address.as_ref().and_then(|address| address.as_pathname());
    path.map_or("unix:(no path)".into(), |path| {
        format!("unix:{}", path.display())
    })
}

/// Sets the options that connections inherit. Buffer sizes must be set before the handshake, which fixes the window scale.
fn apply(socket: SockRef<'_>, options: Options) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    // Telnet sends interrupts as urgent data (RFC 854). Out of line, the data would be lost.
    socket.set_out_of_band_inline(true)?;
    socket.set_send_buffer_size(options.send_buffer_bytes)?;
    socket.set_recv_buffer_size(options.recv_buffer_bytes)?;
    socket.set_tcp_mss(SEGMENT_BYTES_MAX)?;
    if options.keepalive.is_zero() {
        // It may have been on before.
        socket.set_keepalive(false)?;
        #[cfg(any(target_os = "linux", target_os = "android"))]
        socket.set_tcp_user_timeout(None)?;
        return Ok(());
    }
    let keepalive = TcpKeepalive::new().with_time(options.keepalive);
    #[cfg(not(target_os = "openbsd"))]
    let keepalive = keepalive
        .with_interval((options.keepalive / KEEPALIVE_PROBES).max(Duration::from_secs(1)))
        .with_retries(KEEPALIVE_PROBES);
    socket.set_tcp_keepalive(&keepalive)?;
    // Keepalive does not run while sent data is unacknowledged; this timeout does. On Linux it also runs while the peer's
    // window is closed, so it must be long: a reader that has stopped for a while is slow, not dead.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    socket.set_tcp_user_timeout(Some(10 * options.keepalive))?;
    Ok(())
}

/// What an error of accept(2) concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcceptFault {
    /// No connection is waiting.
    NobodyThere,
    /// Only the connection being accepted, which is lost. The next may succeed.
    OneNewcomer,
    /// The system is out of descriptors or memory: the next accept would fail too.
    System,
}

/// Classifies an error of accept(2). An unknown error counts as the system's: the server then pauses instead of spinning.
pub fn classify(error: &io::Error) -> AcceptFault {
    const NEWCOMER: [Errno; 4] = [Errno::CONNABORTED, Errno::PROTO, Errno::PERM, Errno::INTR];
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        _ if error.kind() == io::ErrorKind::WouldBlock => AcceptFault::NobodyThere,
        Some(errno) if NEWCOMER.contains(&errno) => AcceptFault::OneNewcomer,
        _ => AcceptFault::System,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accept_errors_are_classified() {
        let fault = |errno: Errno| classify(&io::Error::from_raw_os_error(errno.raw_os_error()));
        assert_eq!(fault(Errno::AGAIN), AcceptFault::NobodyThere);
        for errno in [Errno::CONNABORTED, Errno::PROTO, Errno::PERM, Errno::INTR] {
            assert_eq!(fault(errno), AcceptFault::OneNewcomer);
        }
        for errno in [
            Errno::MFILE,
            Errno::NFILE,
            Errno::NOBUFS,
            Errno::NOMEM,
            Errno::INVAL,
        ] {
            assert_eq!(fault(errno), AcceptFault::System);
        }
    }
}
