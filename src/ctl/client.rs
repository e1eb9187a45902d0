//! The connection to a server's control socket: connects, waits for the greeting, sends commands, cuts what comes into
//! lines. Knows no command.

use crate::protocol::{Line, Notice};
use memchr::memchr;
use socket2::{Domain, SockAddr, Socket, Type};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a server may take for the next byte of an answer.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest line of a server, in bytes: the most that `--max-line` can be, as text with stand-ins, and a name.
const LINE_BYTES_MAX: usize = (3 << 26) + 4096;
/// Bytes that one read takes.
const READ_BYTES: usize = 16 * 1024;
/// Characters that are quoted of a line that is no greeting.
const QUOTED_CHARS_MAX: usize = 60;

/// What a read has brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrived {
    /// Bytes.
    Some,
    /// Nothing yet.
    Nothing,
    /// The server has closed the connection.
    End,
}

/// A connection to a server, which has greeted.
#[derive(Debug)]
pub struct Client {
    socket: UnixStream,
    /// `unix:PATH`
    place: String,
    /// What the server calls this client.
    name: String,
    /// What has arrived.
    bytes: Vec<u8>,
    /// Bytes that are taken already. `0 <= taken <= searched <= bytes.len()`.
    taken: usize,
    /// Bytes after `taken` up to here contain no line end.
    searched: usize,
}

impl Client {
    /// Connects to the first place where a server listens, and waits for its greeting. Blocks.
    ///
    /// # Errors
    /// No server can be reached there, or it is another: where, and why.
    pub fn connect(places: &[PathBuf]) -> Result<Client, String> {
        let mut failed = Vec::new();
        for path in places {
            let place = format!("unix:{}", path.display());
            match connect(path) {
                Ok(socket) => {
                    let mut client = Client {
                        socket,
                        place,
                        name: String::new(),
                        bytes: Vec::new(),
                        taken: 0,
                        searched: 0,
                    };
                    client.await_greeting()?;
                    return Ok(client);
                }
                Err(error) => failed.push(format!("{place}: {}", explain(&error))),
            }
        }
        Err(format!(
            "cannot reach the server at {}; is it running? --control says where its control socket is",
            failed.join(", nor at ")
        ))
    }

    /// Where the server is, as it is written on the command line.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// What the server calls this client.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn await_greeting(&mut self) -> Result<(), String> {
        let place = self.place.clone();
        let Some(line) = self.next_line()? else {
            return Err(format!(
                "{place} has closed the connection without a greeting"
            ));
        };
        let notice = match Line::parse(&line) {
            Line::Notice(text) => Some(Notice::parse(text)),
            Line::Refusal(why) => return Err(format!("{place} refuses the connection: {why}")),
            _ => None,
        };
        match notice {
            Some(Notice::GreetingInNoRoom { name }) => {
                self.name = name.into();
                Ok(())
            }
            Some(Notice::Greeting { .. }) => Err(format!(
                "{place} is a server's socket for chat, not its control socket"
            )),
            _ => {
                let start: String = line.chars().take(QUOTED_CHARS_MAX).collect();
                Err(format!(
                    "{place} is no control socket of a madang server: it says \"{start}\" instead of a greeting"
                ))
            }
        }
    }

    /// Sends commands, each with its line end.
    ///
    /// # Errors
    /// The connection is lost, or the server does not take them: in words.
    pub fn send(&mut self, commands: &str) -> Result<(), String> {
        let sent = self.socket.write_all(commands.as_bytes());
        sent.map_err(|error| match error.kind() {
            ErrorKind::WouldBlock => self.silent(),
            _ => self.lost(&explain(&error)),
        })
    }

    /// The next line without its end, made safe to show; `None`: the server has closed the connection. Blocks.
    ///
    /// # Errors
    /// The connection is lost, or the server is silent for [`ANSWER_TIMEOUT`]: in words.
    pub fn next_line(&mut self) -> Result<Option<String>, String> {
        loop {
            if let Some(line) = self.take_line() {
                return Ok(Some(line));
            }
            match self.read()? {
                Arrived::Some => {}
                Arrived::Nothing => return Err(self.silent()),
                Arrived::End => return Ok(None),
            }
        }
    }

    /// From now on [`read`](Client::read) does not block.
    ///
    /// # Errors
    /// See fcntl(2).
    pub fn stop_blocking(&mut self) -> Result<(), String> {
        let done = self.socket.set_nonblocking(true);
        done.map_err(|error| self.lost(&error.to_string()))
    }

    /// Reads once.
    ///
    /// # Errors
    /// The connection is lost, or a line is too long: in words.
    pub fn read(&mut self) -> Result<Arrived, String> {
        self.bytes.drain(..self.taken);
        self.searched -= self.taken;
        self.taken = 0;
        if self.bytes.len() > LINE_BYTES_MAX {
            return Err(self.lost("the server's line has no end"));
        }
        let before = self.bytes.len();
        self.bytes.resize(before + READ_BYTES, 0);
        let read = self.socket.read(&mut self.bytes[before..]);
        self.bytes
            .truncate(before + read.as_ref().map_or(0, |&n| n));
        match read {
            Ok(0) => Ok(Arrived::End),
            Ok(_) => Ok(Arrived::Some),
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock => Ok(Arrived::Nothing),
                // It has closed the connection without reading all that was sent.
                ErrorKind::ConnectionReset => Ok(Arrived::End),
                // The caller polls or reads again.
                ErrorKind::Interrupted => Ok(Arrived::Some),
                _ => Err(self.lost(&explain(&error))),
            },
        }
    }

    /// The next line that has arrived whole, without its end, made safe to show.
    pub fn take_line(&mut self) -> Option<String> {
        let Some(end) = memchr(b'\n', &self.bytes[self.searched..]) else {
            self.searched = self.bytes.len();
            return None;
        };
        let end = self.searched + end;
        let line = safe(&self.bytes[self.taken..end]);
        self.taken = end + 1;
        self.searched = self.taken;
        Some(line)
    }

    /// That the server does not answer, in words.
    pub fn silent(&self) -> String {
        let seconds = ANSWER_TIMEOUT.as_secs();
        format!(
            "the server at {} does not answer: nothing came for {seconds} s",
            self.place
        )
    }

    /// That the connection is lost, in words.
    pub fn lost(&self, why: &str) -> String {
        format!(
            "the connection to the server at {} is lost: {why}",
            self.place
        )
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Connects, also to a server that is stopped: connect(2) waits while its backlog is full.
fn connect(path: &Path) -> io::Result<UnixStream> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_write_timeout(Some(ANSWER_TIMEOUT))?;
    socket.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    socket.connect(&SockAddr::unix(path)?)?;
    Ok(socket.into())
}

/// Why a system call has failed, for the operator.
fn explain(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "no such socket".into(),
        ErrorKind::ConnectionRefused => "connection refused".into(),
        ErrorKind::PermissionDenied => {
            "permission denied: only the server's own user and root can connect".into()
        }
        ErrorKind::WouldBlock => "too many connections wait to be accepted".into(),
        ErrorKind::BrokenPipe => "closed by the server".into(),
        _ => error.to_string(),
    }
}

/// The text of a line. A madang server sends no control characters; what else may listen there must not reach a terminal.
fn safe(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let shown = |c: char| {
        if c.is_control() && c != '\t' {
            char::REPLACEMENT_CHARACTER
        } else {
            c
        }
    };
    text.trim_end_matches('\r').chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client() -> (Client, UnixStream) {
        let (socket, server) = UnixStream::pair().unwrap();
        let client = Client {
            socket,
            place: "unix:/x".into(),
            name: String::new(),
            bytes: Vec::new(),
            taken: 0,
            searched: 0,
        };
        (client, server)
    }

    #[test]
    fn lines_are_cut_wherever_reads_end() {
        let text = "* a\n\n! b\r\n* \u{e9}\u{1b}[0m\n* tab\tx\nrest";
        let lines = ["* a", "", "! b", "* \u{e9}\u{fffd}[0m", "* tab\tx"];
        for size in 1..=text.len() {
            let (mut client, mut server) = client();
            let mut cut = Vec::new();
            for chunk in text.as_bytes().chunks(size) {
                server.write_all(chunk).unwrap();
                assert_eq!(client.read(), Ok(Arrived::Some));
                cut.extend(std::iter::from_fn(|| client.take_line()));
            }
            assert_eq!(cut, lines, "pieces of {size}");
            drop(server);
            assert_eq!(client.next_line(), Ok(None));
        }
    }

    #[test]
    fn a_greeting_of_another_server_is_quoted() {
        for (greeting, error) in [
            (
                "* you are op1 in no room; /join ROOM enters one, /help lists commands\n",
                "",
            ),
            (
                "* you are guest1 in lobby (1 here); /help lists commands\n",
                "socket for chat",
            ),
            (
                "! too many connections at the control listener: at most 16; close one first\n",
                "at most 16",
            ),
            ("SSH-2.0-OpenSSH\r\n", "says \"SSH-2.0-OpenSSH\" instead"),
            ("", "without a greeting"),
        ] {
            let (mut client, mut server) = client();
            server.write_all(greeting.as_bytes()).unwrap();
            drop(server);
            match client.await_greeting() {
                Ok(()) => assert_eq!(error, ""),
                Err(why) => assert!(!error.is_empty() && why.contains(error), "{why}"),
            }
        }
    }
}
