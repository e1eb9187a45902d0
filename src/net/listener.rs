//! Listening sockets: binding, socket options, accepting, and the kinds of error that accept(2) returns. When to accept
//! is decided elsewhere.

use super::stream::Stream;
use super::transport::Newcomer;
use crate::address::Address;
use crate::hub::{Peer, Wire};
use mio::net::{TcpListener, UnixListener};
use mio::{Interest, Registry, Token};
use rustix::io::Errno;
use socket2::{Domain, SockAddr, SockRef, Socket, TcpKeepalive, Type};
use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Unanswered keepalive probes before a peer is taken for dead.
#[cfg(not(target_os = "openbsd"))]
const KEEPALIVE_PROBES: u32 = 6;

/// Maximum TCP segment size, in bytes. Larger segments occur only on the loopback interface, and do harm there: a sender
/// whose segment exceeds the peer's window waits for the persist timer, 200 ms, before it sends part of it.
const SEGMENT_BYTES_MAX: u32 = 16 * 1024;

/// Options of a listener and its connections. On Linux a TCP connection inherits them from its listener.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Connections that may wait to be accepted; see listen(2).
    pub backlog: i32,
    /// Kernel send buffer of a connection. Linux reserves twice as many bytes; see socket(7).
    pub send_buffer_bytes: usize,
    /// Kernel receive buffer of a TCP connection; likewise.
    pub recv_buffer_bytes: usize,
    /// Time without traffic before the kernel probes the peer; zero: never.
    pub keepalive: Duration,
}

/// A socket that accepts connections.
#[derive(Debug)]
pub struct Listener {
    socket: Listening,
    wire: Wire,
    options: Options,
}

#[derive(Debug)]
enum Listening {
    Tcp(TcpListener),
    Unix(UnixListener, SocketFile),
}

/// The file of a Unix-domain listener. Dropping it removes the file, unless another file has replaced it.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    inode: u64,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if std::fs::symlink_metadata(&self.path).is_ok_and(|file| file.ino() == self.inode) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.socket {
            Listening::Tcp(listener) => match listener.local_addr() {
                Ok(address) => write!(f, "{address}")?,
                Err(error) => write!(f, "an unknown address ({error})")?,
            },
            Listening::Unix(_, file) => write!(f, "unix:{}", file.path.display())?,
        }
        match self.wire {
            Wire::Chat => Ok(()),
            Wire::Raw => f.write_str(" (raw)"),
        }
    }
}

impl Listener {
    /// Listens on an address; on all of its addresses, if it is a host name.
    ///
    /// # Errors
    /// The system refuses. The error names the address and what the operator can do.
    pub fn bind(address: &Address, wire: Wire, options: Options) -> io::Result<Vec<Listener>> {
        let sockets = match address {
            Address::Tcp(host) => host.to_socket_addrs().and_then(|addresses| {
                let bind = |address| bind_tcp(address, options).map(Listening::Tcp);
                addresses.map(bind).collect()
            }),
            Address::Unix(path) => bind_unix(path, options).map(|socket| vec![socket]),
        };
        let listener = |socket| Listener {
            socket,
            wire,
            options,
        };
        match sockets {
            Ok(sockets) => Ok(sockets.into_iter().map(listener).collect()),
            Err(error) => Err(io::Error::new(
                error.kind(),
                format!("cannot listen on {address}: {}", explain(&error, address)),
            )),
        }
    }

    /// Makes the poll report new connections under `token`.
    ///
    /// # Errors
    /// The system is out of memory.
    pub fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        match &mut self.socket {
            Listening::Tcp(listener) => registry.register(listener, token, Interest::READABLE),
            Listening::Unix(listener, _) => registry.register(listener, token, Interest::READABLE),
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
                (Stream::Tcp(stream), Some(address))
            }
            Listening::Unix(listener, _) => {
                let (stream, _) = listener.accept()?;
                SockRef::from(&stream).set_send_buffer_size(self.options.send_buffer_bytes)?;
                (Stream::Unix(stream), None)
            }
        };
        let peer = Peer {
            address: address.map(|address| address.ip()),
            wire: self.wire,
        };
        Ok((stream, peer, address))
    }
}

fn bind_tcp(address: SocketAddr, options: Options) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // `[::]` accepts IPv4 too, whatever the system's default is.
        socket.set_only_v6(false)?;
    }
    apply(SockRef::from(&socket), options)?;
    socket.bind(&address.into())?;
    socket.listen(options.backlog)?;
    socket.set_nonblocking(true)?;
    Ok(TcpListener::from_std(socket.into()))
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

fn bind_unix(path: &Path, options: Options) -> io::Result<Listening> {
    remove_stale(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    let inode = std::fs::symlink_metadata(path)?.ino();
    let file = SocketFile {
        path: path.into(),
        inode,
    };
    socket.listen(options.backlog)?;
    socket.set_nonblocking(true)?;
    Ok(Listening::Unix(UnixListener::from_std(socket.into()), file))
}

/// Removes the socket of a server that is gone. Anything else at the path is kept, and is an error.
fn remove_stale(path: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(file) if !file.file_type().is_socket() => {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "the file exists and is not a socket",
            ));
        }
        Ok(_) => {}
    }
    let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    probe.set_nonblocking(true)?;
    match probe.connect(&SockAddr::unix(path)?) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path)
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(error),
        // Connected, or the backlog is full: a server is alive.
        Ok(()) | Err(_) => Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            "another server is listening there",
        )),
    }
}

/// Says why an address cannot be listened on, and what the operator can do.
fn explain(error: &io::Error, address: &Address) -> String {
    let unix = matches!(address, Address::Unix(_));
    let advice = match error.kind() {
        io::ErrorKind::AddrInUse if !unix => "stop the other program or choose another port",
        io::ErrorKind::AddrNotAvailable => "this machine has no such address",
        io::ErrorKind::PermissionDenied if unix => "this user may not write there",
        io::ErrorKind::PermissionDenied => "ports below 1024 need root or CAP_NET_BIND_SERVICE",
        io::ErrorKind::NotFound if unix => "the directory must exist",
        _ => return error.to_string(),
    };
    format!("{error}; {advice}")
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
