//! All connections on one poll: connects them, reads what comes, cuts it into lines, writes. What the lines mean is for
//! others.

use super::plan::Plan;
use super::socket::Dialler;
use memchr::memchr;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use socket2::Socket;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

/// Bytes asked for in one read. All connections share the one buffer.
const READ_BYTES: usize = 128 * 1024;
/// Events taken from the poll at a time.
const EVENTS_MAX: usize = 1024;

/// What happens to a connection.
#[derive(Debug)]
pub enum Happening<'a> {
    /// It stands.
    Connected,
    /// A line has come, without its end, at this time of the run.
    Line {
        /// Nanoseconds of the run.
        at_ns: u64,
        /// The line.
        line: &'a [u8],
    },
    /// The server has ended it.
    Gone,
}

/// Where a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// On its way.
    Connecting,
    /// It can be read and written.
    Open,
    /// It is left alone: what arrives stays with the kernel.
    Asleep,
    /// It has ended.
    Gone,
}

#[derive(Debug)]
struct Connection {
    socket: Socket,
    phase: Phase,
    /// Whether the socket takes bytes, as far as is known.
    writable: bool,
    /// Whether the poll has said that the server has ended it: it must be read up to that end.
    ending: bool,
    /// Whether it is among [`Load::due`].
    due: bool,
    /// The beginning of a line whose end has not come. Nothing is kept for a connection between whole lines.
    begun: Vec<u8>,
}

/// All connections, by number.
#[derive(Debug)]
pub struct Load {
    dialler: Dialler,
    poll: Poll,
    events: Events,
    connections: Vec<Connection>,
    /// Connections that may have something to read.
    due: Vec<usize>,
    scratch: Box<[u8]>,
    start: Instant,
}

impl Load {
    /// No connections as yet. `run` tells runs apart.
    ///
    /// # Errors
    /// The server's address cannot be found, or the system has no poll for us.
    pub fn new(plan: &Plan, run: u64) -> Result<Load, String> {
        let dialler = Dialler::new(&plan.target, plan.connections(), run)?;
        Ok(Load {
            dialler,
            poll: Poll::new().map_err(|error| format!("cannot wait for sockets: {error}"))?,
            events: Events::with_capacity(EVENTS_MAX),
            connections: Vec::with_capacity(plan.connections()),
            due: Vec::new(),
            scratch: vec![0; READ_BYTES].into_boxed_slice(),
            start: Instant::now(),
        })
    }

    /// Nanoseconds since the run began.
    pub fn now_ns(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }

    /// How many connections were begun.
    pub fn len(&self) -> usize {
        self.connections.len()
    }

    /// Begins another connection; false if the server cannot take one at the moment.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn connect(&mut self, slow: bool) -> Result<bool, String> {
        let number = self.connections.len();
        let Some(socket) = self.dialler.connect(number, slow)? else {
            return Ok(false);
        };
        let (fd, both) = (socket.as_raw_fd(), Interest::READABLE | Interest::WRITABLE);
        let registered = self
            .poll
            .registry()
            .register(&mut SourceFd(&fd), Token(number), both);
        registered.map_err(|error| format!("cannot wait for connection {number}: {error}"))?;
        self.connections.push(Connection {
            socket,
            phase: Phase::Connecting,
            writable: false,
            ending: false,
            due: false,
            begun: Vec::new(),
        });
        Ok(true)
    }

    /// Waits for something to happen, at most so long, and tells each thing that does.
    ///
    /// # Errors
    /// A connection cannot be made, or the poll fails.
    pub fn turn(
        &mut self,
        patience: Duration,
        mut tell: impl FnMut(usize, Happening<'_>),
    ) -> Result<(), String> {
        let patience = if self.due.is_empty() {
            patience
        } else {
            Duration::ZERO
        };
        match self.poll.poll(&mut self.events, Some(patience)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            other => other.map_err(|error| format!("cannot wait for sockets: {error}"))?,
        }
        for event in &self.events {
            let Token(number) = event.token();
            let connection = &mut self.connections[number];
            if connection.phase == Phase::Connecting && (event.is_writable() || event.is_error()) {
                let failure = connection.socket.take_error().unwrap_or_else(Some);
                if let Some(error) = failure {
                    return Err(self.dialler.explain(&error));
                }
                connection.phase = Phase::Open;
                tell(number, Happening::Connected);
            }
            connection.writable |= event.is_writable();
            connection.ending |= event.is_read_closed() || event.is_error();
            let readable = event.is_readable() || connection.ending;
            if readable && connection.phase == Phase::Open && !connection.due {
                connection.due = true;
                self.due.push(number);
            }
        }
        for number in std::mem::take(&mut self.due) {
            self.read(number, &mut tell);
        }
        Ok(())
    }

    /// Reads once: how much more one connection has to say must not keep the others waiting.
    fn read(&mut self, number: usize, tell: &mut impl FnMut(usize, Happening<'_>)) {
        let connection = &mut self.connections[number];
        connection.due = false;
        if connection.phase != Phase::Open {
            return;
        }
        match (&connection.socket).read(&mut self.scratch) {
            Ok(bytes @ 1..) => {
                let at_ns = self.start.elapsed().as_nanos() as u64;
                // A read that did not fill the buffer has emptied the socket (epoll(7), question 9).
                if bytes == self.scratch.len() || connection.ending {
                    connection.due = true;
                    self.due.push(number);
                }
                lines(&mut connection.begun, &self.scratch[..bytes], |line| {
                    tell(number, Happening::Line { at_ns, line });
                });
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {
                connection.due = true;
                self.due.push(number);
            }
            // Its end, in order or not: what it was owed by then will not come.
            Ok(_) | Err(_) => {
                connection.phase = Phase::Gone;
                tell(number, Happening::Gone);
            }
        }
    }

    /// Writes what the socket takes at once, perhaps nothing; how many bytes that was. A connection that has ended
    /// takes nothing: reading tells of it.
    pub fn write(&mut self, number: usize, bytes: &[u8]) -> usize {
        let connection = &mut self.connections[number];
        if !connection.writable {
            return 0;
        }
        match (&connection.socket).write(bytes) {
            Ok(taken) => taken,
            Err(error) if error.kind() == ErrorKind::Interrupted => 0,
            Err(_) => {
                connection.writable = false;
                0
            }
        }
    }

    /// Whether a socket may take bytes.
    pub fn is_writable(&self, number: usize) -> bool {
        self.connections[number].writable
    }

    /// Writes a line that a socket without anything in it must take whole.
    ///
    /// # Errors
    /// It does not.
    pub fn say(&mut self, number: usize, line: &[u8]) -> Result<(), String> {
        if self.write(number, line) == line.len() {
            return Ok(());
        }
        Err(format!(
            "connection {number} cannot send: it has ended, or the server does not read"
        ))
    }

    /// Leaves a connection alone from now on.
    pub fn sleep(&mut self, number: usize) {
        if self.connections[number].phase == Phase::Open {
            self.connections[number].phase = Phase::Asleep;
        }
    }

    /// Reads a connection again, beginning with what has gathered: the poll will not tell of that again.
    pub fn wake(&mut self, number: usize) {
        let connection = &mut self.connections[number];
        if connection.phase == Phase::Asleep {
            connection.phase = Phase::Open;
            connection.due = true;
            self.due.push(number);
        }
    }
}

/// Calls `take` with each line that `bytes` complete, without its end, and keeps the beginning of the next.
fn lines(begun: &mut Vec<u8>, mut bytes: &[u8], mut take: impl FnMut(&[u8])) {
    if !begun.is_empty() {
        let Some(end) = memchr(b'\n', bytes) else {
            return begun.extend_from_slice(bytes);
        };
        begun.extend_from_slice(&bytes[..end]);
        take(begun);
        // Its memory goes, too: at any time only few connections are within a line.
        *begun = Vec::new();
        bytes = &bytes[end + 1..];
    }
    while let Some(end) = memchr(b'\n', bytes) {
        take(&bytes[..end]);
        bytes = &bytes[end + 1..];
    }
    begun.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_the_same_wherever_they_are_cut() {
        let text = b"one\n\nthree and more\nfour";
        for first in 0..text.len() {
            for second in first..text.len() {
                let (mut begun, mut seen) = (Vec::new(), Vec::new());
                for piece in [&text[..first], &text[first..second], &text[second..]] {
                    lines(&mut begun, piece, |line| seen.push(line.to_vec()));
                }
                let want: [&[u8]; 3] = [b"one", b"", b"three and more"];
                assert_eq!(
                    (seen, begun),
                    (want.map(<[u8]>::to_vec).to_vec(), b"four".to_vec())
                );
            }
        }
    }
}
