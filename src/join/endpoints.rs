//! Where the server is: its socket addresses, and how a connection to one of them is made. Blocks in
//! [`Endpoints::resolve`] and [`Endpoints::connect`] only.

use crate::address::{Address, Target, resolve};
use crate::terminal::poll::poll;
use crate::tls_client::{Config, Stream};
use rustix::event::PollFlags;
use rustix::io::Errno;
use socket2::{Domain, SockAddr, Socket, TcpKeepalive, Type};
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long one attempt to connect may take.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the handshake of TLS may take after that.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of the network that are read at a time.
pub const READ_BYTES: usize = 16 * 1024;
/// Silence after which the kernel sends the first keepalive probe.
const KEEPALIVE: Duration = Duration::from_secs(60);
/// Unanswered probes, over as long again, after which the connection is lost.
#[cfg(not(target_os = "openbsd"))]
const KEEPALIVE_PROBES: u32 = 6;

/// The server's socket addresses. They are resolved once, since resolving blocks.
#[derive(Debug)]
pub struct Endpoints {
    all: Vec<SockAddr>,
    /// Index of the endpoint to try next.
    next: usize,
    /// `None`: without TLS.
    tls: Option<Arc<Config>>,
}

impl Endpoints {
    /// Resolves a server's address.
    ///
    /// # Errors
    /// There is no such host, or the path is too long.
    pub fn resolve(server: &Target, tls: Option<Config>) -> io::Result<Endpoints> {
        let all = match server.address() {
            Address::Unix(path) => vec![SockAddr::unix(path)?],
            Address::Tcp { host, port } => {
                let all = resolve(&host, port)?.into_iter();
                all.map(SockAddr::from).collect()
            }
        };
        Ok(Endpoints {
            all,
            next: 0,
            tls: tls.map(Arc::new),
        })
    }

    /// Whether the client speaks no TLS where a server could.
    pub fn may_want_tls(&self) -> bool {
        self.tls.is_none()
            && self
                .all
                .iter()
                .any(|endpoint| endpoint.domain() != Domain::UNIX)
    }

    /// Connects to the first endpoint that accepts. Blocks.
    ///
    /// # Errors
    /// No endpoint accepts: the error of the last. Or TLS fails there.
    pub fn connect(&self) -> io::Result<Stream> {
        let mut failed = None;
        for endpoint in &self.all {
            let connected = new_socket(endpoint).and_then(|socket| {
                match endpoint.domain() {
                    Domain::UNIX => socket.connect(endpoint)?,
                    _ => socket.connect_timeout(endpoint, CONNECT_TIMEOUT)?,
                }
                Ok(socket)
            });
            match connected {
                Ok(socket) => return self.shake_hands(socket),
                Err(error) => failed = Some(error),
            }
        }
        Err(failed.expect("there is at least one endpoint"))
    }

    fn shake_hands(&self, socket: Socket) -> io::Result<Stream> {
        let mut stream = self.stream(socket)?;
        let deadline = Instant::now() + HANDSHAKE_TIMEOUT;
        let mut buffer = [0; READ_BYTES];
        while !stream.shake_hands(&mut buffer)? {
            if Instant::now() >= deadline {
                return Err(no_handshake());
            }
            poll(
                [Some((stream.as_fd(), handshake_flags(&stream)))],
                Some(deadline),
            )?;
        }
        Ok(stream)
    }

    /// Begins to connect to the next endpoint, without blocking.
    ///
    /// # Errors
    /// See connect(2).
    pub fn begin(&mut self) -> io::Result<Socket> {
        let endpoint = &self.all[self.next];
        self.next = (self.next + 1) % self.all.len();
        let socket = new_socket(endpoint)?;
        socket.set_nonblocking(true)?;
        match socket.connect(endpoint) {
            Err(error) if error.raw_os_error() != Some(Errno::INPROGRESS.raw_os_error()) => {
                Err(error)
            }
            _ => Ok(socket),
        }
    }

    /// A connection over a socket that is connected, before the handshake of TLS.
    ///
    /// # Errors
    /// See fcntl(2).
    pub fn stream(&self, socket: Socket) -> io::Result<Stream> {
        Stream::new(socket, self.tls.as_ref())
    }
}

/// What to poll for during the handshake of TLS.
pub fn handshake_flags(stream: &Stream) -> PollFlags {
    let mut flags = PollFlags::IN;
    flags.set(PollFlags::OUT, stream.wants_write());
    flags
}

/// The handshake of TLS has taken too long.
pub fn no_handshake() -> io::Error {
    let seconds = HANDSHAKE_TIMEOUT.as_secs();
    io::Error::other(format!(
        "no TLS handshake within {seconds} s; does it speak TLS?"
    ))
}

fn new_socket(endpoint: &SockAddr) -> io::Result<Socket> {
    let socket = Socket::new(endpoint.domain(), Type::STREAM, None)?;
    if endpoint.domain() != Domain::UNIX {
        socket.set_tcp_nodelay(true)?;
        // Keepalive detects a server that vanished without closing the connection.
        let keepalive = TcpKeepalive::new().with_time(KEEPALIVE);
        #[cfg(not(target_os = "openbsd"))]
        let keepalive = keepalive
            .with_interval(KEEPALIVE / KEEPALIVE_PROBES)
            .with_retries(KEEPALIVE_PROBES);
        socket.set_tcp_keepalive(&keepalive)?;
        // The kernel sends no keepalive probes while sent bytes are unacknowledged. For these there is another timeout.
        #[cfg(any(target_os = "linux", target_os = "android"))]
        socket.set_tcp_user_timeout(Some(10 * KEEPALIVE))?;
    }
    Ok(socket)
}
