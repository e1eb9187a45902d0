//! One connection to the engine: connecting, TLS, bytes out, tokens in. Never waits. Knows no command.

use super::resp::{Malformed, Parser, Token};
use super::trouble::untrusted;
use crate::tls_client::{Arrived, Config, Stream};
use mio::unix::SourceFd;
use mio::{Interest, Registry};
use socket2::{Domain, SockAddr, Socket, Type};
use std::io::{self, ErrorKind, Write};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::{fmt, mem};

/// Bytes that one read takes at most, and the least space for them.
const READ_BYTES: usize = 64 * 1024;
/// More is given back when nothing is in the buffers.
const KEPT_BYTES_MAX: usize = 1024 * 1024;
/// Characters of what is no reply that are quoted.
const QUOTED_CHARS_MAX: usize = 60;

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A socket address.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

/// A server that can be connected to.
#[derive(Clone, Debug)]
pub struct Server {
    /// As operators know it.
    pub name: String,
    /// Where it is.
    pub place: Place,
    /// Whom to trust, if there is TLS.
    pub tls: Option<Arc<Config>>,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// Why a connection is of no more use: in words for the operator.
pub type Broken = String;

/// How far a connection is.
#[derive(Debug)]
enum State {
    /// connect(2) is under way.
    Connecting(Socket),
    /// The TLS handshake is under way.
    Shaking(Stream),
    /// Both sides can speak.
    Up(Stream),
    /// Nothing can be read or written any more.
    Closed,
}

/// A connection.
#[derive(Debug)]
pub struct Connection {
    state: State,
    tls: Option<Arc<Config>>,
    parser: Parser,
    /// Bytes that have come. Those before `start` have been consumed: `0 <= start <= input.len()`.
    input: Vec<u8>,
    start: usize,
    /// Bytes to be sent. Those before `sent` have been: `0 <= sent <= output.len()`.
    output: Vec<u8>,
    sent: usize,
    /// No read has returned `WouldBlock` since the socket was last reported readable.
    is_readable: bool,
    /// The parser has not said that it needs more bytes than there are.
    may_have_token: bool,
    /// Whether something has come since this was last asked.
    has_heard: bool,
    /// Bytes that have come and gone, as text.
    bytes_in: u64,
    bytes_out: u64,
}

impl Connection {
    /// Begins to connect.
    ///
    /// # Errors
    /// It cannot even begin: in words.
    pub fn open(
        server: &Server,
        registry: &Registry,
        token: mio::Token,
    ) -> Result<Connection, Broken> {
        let socket = connect(&server.place).map_err(|error| unreachable(&error))?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        registry
            .register(&mut SourceFd(&socket.as_raw_fd()), token, interest)
            .map_err(|error| error.to_string())?;
        Ok(Connection {
            state: State::Connecting(socket),
            tls: server.tls.clone(),
            parser: Parser::default(),
            input: Vec::new(),
            start: 0,
            output: Vec::new(),
            sent: 0,
            is_readable: false,
            may_have_token: false,
            has_heard: false,
            bytes_in: 0,
            bytes_out: 0,
        })
    }

    /// The poll has reported the socket.
    ///
    /// # Errors
    /// The connection has failed.
    pub fn ready(&mut self, event: &mio::event::Event) -> Result<(), Broken> {
        let ends = event.is_read_closed() || event.is_error();
        self.is_readable |= event.is_readable() || ends;
        self.advance()?;
        self.flush()
    }

    /// Connects, and shakes hands.
    fn advance(&mut self) -> Result<(), Broken> {
        if let State::Connecting(socket) = &self.state {
            if let Some(error) = socket.take_error().map_err(|error| error.to_string())? {
                return Err(unreachable(&error));
            }
            // An event may come before the connection.
            if socket.peer_addr().is_err() {
                return Ok(());
            }
            let State::Connecting(socket) = mem::replace(&mut self.state, State::Closed) else {
                return Ok(());
            };
            let stream = Stream::new(socket, self.tls.as_ref());
            self.state = State::Shaking(stream.map_err(|error| error.to_string())?);
        }
        if let State::Shaking(stream) = &mut self.state {
            let mut buffer = [0; 16 * 1024];
            let is_done = stream.shake_hands(&mut buffer);
            if !is_done.map_err(|error| untrusted(&error.to_string()))? {
                return Ok(());
            }
            if let State::Shaking(stream) = mem::replace(&mut self.state, State::Closed) {
                // Text may have come with the end of the handshake.
                self.is_readable = true;
                self.state = State::Up(stream);
            }
        }
        Ok(())
    }

    /// Where commands are appended that [`flush`](Connection::flush) sends.
    pub fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    /// Sends as much as the socket takes.
    ///
    /// # Errors
    /// The connection has failed.
    pub fn flush(&mut self) -> Result<(), Broken> {
        let State::Up(stream) = &mut self.state else {
            return Ok(());
        };
        let written = write_all(stream, &self.output, &mut self.sent);
        if self.sent == self.output.len() {
            self.bytes_out += self.sent as u64;
            self.sent = 0;
            self.output.clear();
            self.output.shrink_to(KEPT_BYTES_MAX);
        }
        match written {
            // What the server has said before it has closed the connection says more.
            Err(error) if is_closed(&error) => {
                self.is_readable = true;
                Ok(())
            }
            other => other.map_err(|error| error.to_string()),
        }
    }

    /// Whether the next call of [`next`](Connection::next) may find something.
    pub fn has_work(&self) -> bool {
        self.may_have_token || self.is_readable && matches!(self.state, State::Up(_))
    }

    /// Whether something has come since this was last asked, or waits to be read.
    pub fn take_heard(&mut self) -> bool {
        mem::take(&mut self.has_heard) || self.is_readable
    }

    /// Whether no connection has been made so far.
    pub fn is_connecting(&self) -> bool {
        !matches!(self.state, State::Up(_))
    }

    /// Text in and out, in bytes.
    pub fn traffic(&self) -> (u64, u64) {
        (self.bytes_in, self.bytes_out + self.sent as u64)
    }

    /// The bytes in which the last token was found.
    pub fn bytes(&self) -> &[u8] {
        &self.input
    }

    /// The next token, of which texts are ranges of [`bytes`](Connection::bytes), until this is called again. Reads the
    /// socket only when no token is there: what nobody takes stays with the engine. `None`: nothing more has come.
    ///
    /// # Errors
    /// The connection has ended, or what came is no RESP2.
    pub fn next(&mut self) -> Result<Option<Token>, Broken> {
        loop {
            if self.may_have_token {
                match self.parser.next(&self.input[self.start..]) {
                    Ok(Some((token, taken))) => {
                        let token = moved(token, self.start);
                        self.start += taken;
                        return Ok(Some(token));
                    }
                    Ok(None) => self.may_have_token = false,
                    Err(why) => return Err(self.no_reply(why)),
                }
            }
            if !self.is_readable || !self.read()? {
                return Ok(None);
            }
        }
    }

    /// Reads the socket once. Returns whether something may have come.
    fn read(&mut self) -> Result<bool, Broken> {
        let State::Up(stream) = &mut self.state else {
            return Ok(false);
        };
        self.input.drain(..self.start);
        self.start = 0;
        if self.input.is_empty() {
            self.input.shrink_to(KEPT_BYTES_MAX);
        }
        let missing = self.parser.bytes_needed().saturating_sub(self.input.len());
        let before = self.input.len();
        let arrived = stream.read_to(&mut self.input, missing.max(READ_BYTES));
        let came = self.input.len() - before;
        self.bytes_in += came as u64;
        self.may_have_token |= came > 0;
        self.has_heard |= came > 0;
        match arrived {
            Ok(Arrived::Bytes(_)) => Ok(true),
            Ok(Arrived::End) if came > 0 => Ok(true),
            Ok(Arrived::End) => Err(self.ended(None)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.is_readable = false;
                Ok(came > 0)
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(true),
            Err(error) => Err(self.ended(Some(error))),
        }
    }

    fn ended(&mut self, error: Option<io::Error>) -> Broken {
        let is_fresh = self.bytes_in == 0;
        match error {
            Some(error) if !is_closed(&error) => error.to_string(),
            _ if is_fresh && self.tls.is_none() => {
                "it closes the connection before it answers; if it wants TLS, write rediss://"
                    .into()
            }
            _ if is_fresh => "it closes the connection before it answers".into(),
            _ => "it has closed the connection".into(),
        }
    }

    /// Says that what came is no reply, with what it is.
    fn no_reply(&self, why: Malformed) -> Broken {
        let rest = &self.input[self.start..];
        let is_first = self.bytes_in == self.input.len() as u64 && self.start == 0;
        if !is_first {
            return format!("what it says is no RESP2 any more: {why}");
        }
        let line = rest.split(|&byte| byte == b'\n').next().unwrap_or(rest);
        let text = String::from_utf8_lossy(line);
        let visible = |c: char| match c.is_ascii_graphic() || c == ' ' {
            true => c,
            false => char::REPLACEMENT_CHARACTER,
        };
        let text = text.trim_end_matches('\r').chars();
        let quoted: String = text.take(QUOTED_CHARS_MAX).map(visible).collect();
        format!("it is neither Redis nor Valkey: it says \"{quoted}\"")
    }
}

/// A token whose texts begin so much later.
fn moved(token: Token, by: usize) -> Token {
    match token {
        Token::Text(range) => Token::Text(range.start + by..range.end + by),
        Token::Error(range) => Token::Error(range.start + by..range.end + by),
        other => other,
    }
}

fn write_all(stream: &mut Stream, bytes: &[u8], sent: &mut usize) -> io::Result<()> {
    while *sent < bytes.len() {
        match stream.write(&bytes[*sent..]) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => *sent += written,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    match stream.flush() {
        Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
        _ => Ok(()),
    }
}

/// Begins to connect, without waiting.
fn connect(place: &Place) -> io::Result<Socket> {
    let (domain, address) = match place {
        Place::Tcp(address) => (Domain::for_address(*address), SockAddr::from(*address)),
        Place::Unix(path) => (Domain::UNIX, SockAddr::unix(path)?),
    };
    let socket = Socket::new(domain, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    if domain != Domain::UNIX {
        socket.set_tcp_nodelay(true)?;
    }
    match socket.connect(&address) {
        Err(error) if error.raw_os_error() != Some(IN_PROGRESS) => Err(error),
        _ => Ok(socket),
    }
}

/// The connection is not made at once: see connect(2).
const IN_PROGRESS: i32 = rustix::io::Errno::INPROGRESS.raw_os_error();

fn is_closed(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted
    )
}

fn unreachable(error: &io::Error) -> Broken {
    match error.kind() {
        ErrorKind::ConnectionRefused => "connection refused: no engine listens there".into(),
        ErrorKind::NotFound => "there is no such socket".into(),
        _ => error.to_string(),
    }
}
