//! Listening sockets: options, accepting, and what the errors of accepting mean.

use super::stream::Stream;
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

/// Probes of a silent peer before it is given up.
#[cfg(not(target_os = "openbsd"))]
const KEEPALIVE_PROBES: u32 = 6;

/// Bytes of a segment. Only the loopback interface would make larger ones, and they do harm: a sender that has a
/// segment larger than its peer's window waits for the persist timer, 200 ms, before it sends a part of it.
const SEGMENT_BYTES_MAX: u32 = 16 * 1024;

/// What every connection of a listener gets. On Linux a connection inherits all of it from its listener.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Newcomers that may wait to be let in.
    pub backlog: i32,
    /// Bytes that the kernel may hold of what a peer has not yet taken; it doubles this for its own records.
    pub send_buffer_bytes: usize,
    /// Bytes that the kernel may hold of what has not yet been read.
    pub recv_buffer_bytes: usize,
    /// Silence after which a peer is probed; zero: never.
    pub keepalive: Duration,
}

/// A socket that newcomers come to.
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

/// The file of a Unix-domain listener; removed when it ends, unless somebody has put another in its place.
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
    /// Listens at an address: at each one that a host name stands for.
    ///
    /// # Errors
    /// The system refuses; the error names the address and what could be done.
    pub fn bind(address: &Address, wire: Wire, options: Options) -> io::Result<Vec<Listener>> {
        let explained = |error: io::Error| {
            io::Error::new(
                error.kind(),
                format!("cannot listen on {address}: {}", hint(&error)),
            )
        };
        match address {
            Address::Tcp(host) => {
                let addresses: Vec<SocketAddr> =
                    host.to_socket_addrs().map_err(explained)?.collect();
                let bound = addresses
                    .into_iter()
                    .map(|address| bind_tcp(address, options));
                let bound: io::Result<Vec<TcpListener>> = bound.collect();
                let listeners = bound.map_err(explained)?.into_iter().map(Listening::Tcp);
                Ok(listeners
                    .map(|socket| Listener {
                        socket,
                        wire,
                        options,
                    })
                    .collect())
            }
            Address::Unix(path) => {
                let socket = bind_unix(path, options).map_err(explained)?;
                Ok(vec![Listener {
                    socket,
                    wire,
                    options,
                }])
            }
        }
    }

    /// From now on newcomers are reported.
    ///
    /// # Errors
    /// The system has no memory for it.
    pub fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        match &mut self.socket {
            Listening::Tcp(listener) => registry.register(listener, token, Interest::READABLE),
            Listening::Unix(listener, _) => registry.register(listener, token, Interest::READABLE),
        }
    }

    /// The next newcomer.
    ///
    /// # Errors
    /// See accept(2) and [`classify`].
    pub fn accept(&mut self) -> io::Result<(Stream, Peer)> {
        let wire = self.wire;
        match &mut self.socket {
            Listening::Tcp(listener) => {
                let (stream, address) = listener.accept()?;
                if !cfg!(any(target_os = "linux", target_os = "android")) {
                    apply(SockRef::from(&stream), self.options)?;
                }
                Ok((
                    Stream::Tcp(stream),
                    Peer {
                        address: Some(address.ip()),
                        wire,
                    },
                ))
            }
            Listening::Unix(listener, _) => {
                let (stream, _) = listener.accept()?;
                SockRef::from(&stream).set_send_buffer_size(self.options.send_buffer_bytes)?;
                Ok((
                    Stream::Unix(stream),
                    Peer {
                        address: None,
                        wire,
                    },
                ))
            }
        }
    }
}

fn bind_tcp(address: SocketAddr, options: Options) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // `[::]` takes IPv4 too, whatever the system's default is.
        socket.set_only_v6(false)?;
    }
    apply(SockRef::from(&socket), options)?;
    socket.bind(&address.into())?;
    socket.listen(options.backlog)?;
    socket.set_nonblocking(true)?;
    Ok(TcpListener::from_std(socket.into()))
}

/// Sets what connections inherit. The buffers must be set before the handshake: the window's scale depends on them.
fn apply(socket: SockRef<'_>, options: Options) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    // Telnet sends its interrupts as urgent data; out of line they would be lost, and cut reads short.
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
    // Keepalive says nothing while bytes wait for a peer that has vanished. Linux counts a shut window as well, so
    // this must be long: a reader that somebody has stopped for a while is slow, not dead.
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

/// Removes a socket that nobody listens to any more. Anything else at the path is left alone and is an error.
fn remove_stale(path: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(file) if !file.file_type().is_socket() => {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "there is a file there that is no socket",
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
        // Connected, or its backlog is full: somebody is there.
        Ok(()) | Err(_) => Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            "another server listens there",
        )),
    }
}

/// What an operator can do about it.
fn hint(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse if error.get_ref().is_none() => {
            "another program listens there; choose another port or end that program".into()
        }
        io::ErrorKind::PermissionDenied => {
            format!("{error}; ports below 1024 need a privilege, paths a writable folder")
        }
        io::ErrorKind::AddrNotAvailable => format!("{error}; this machine has no such address"),
        _ => error.to_string(),
    }
}

/// What an error of accept(2) means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcceptFault {
    /// There is no newcomer.
    NobodyThere,
    /// That newcomer is lost; the next may be fine.
    OneNewcomer,
    /// The system has run out of something: the same would happen again at once.
    System,
}

/// Tells the errors of accept(2) apart. One that is not known is taken for the system's, so that it cannot make the
/// server spin.
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
    fn errors_of_accept_are_told_apart() {
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
