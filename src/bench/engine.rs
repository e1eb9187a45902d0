//! All connections on one poll: opens them, reads, writes, and passes on as events what happens to them. The meaning of
//! the bytes is never decided here: each connection carries a state for the code that handles its events.

use super::socket::Dialler;
use crate::tls_client::{Arrived, Stream};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use socket2::Socket;
use std::io::{ErrorKind, Write};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

/// Bytes asked for in one read. All connections share one buffer.
const READ_BYTES_MAX: usize = 128 * 1024;
/// Events taken from the poll at a time.
const EVENTS_MAX: usize = 1024;

/// What happens to a connection.
#[derive(Debug)]
pub enum Event<'a> {
    /// It is established.
    Connected,
    /// Bytes have arrived, cut anywhere.
    Received {
        /// When, in nanoseconds since the engine was made.
        at_ns: u64,
        /// At least one.
        bytes: &'a [u8],
    },
    /// The server has closed it, in order or by a reset. No event follows.
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The socket is not connected.
    Connecting,
    /// The handshake of TLS is not complete.
    ShakingHands,
    /// It is read and written.
    Open,
    /// It is not read: what arrives stays with the kernel.
    Paused,
    /// The server has closed it.
    Closed,
}

#[derive(Debug)]
struct Connection<S> {
    stream: Stream,
    phase: Phase,
    /// Whether the socket takes bytes, as far as is known.
    writable: bool,
    /// Whether the poll has reported the server's close: the socket must be read up to that end.
    ending: bool,
    /// Whether its number is in [`Engine::read_queue`].
    queued: bool,
    state: S,
}

/// All connections, numbered from 0 in the order in which they were opened. `S` is the state that each
/// carries.
#[derive(Debug)]
pub struct Engine<S> {
    dialler: Dialler,
    poll: Poll,
    events: Events,
    connections: Vec<Connection<S>>,
    /// Connections that may have something to read.
    read_queue: Vec<usize>,
    /// How many of them one poll reads at most.
    reads_max: usize,
    buffer: Box<[u8]>,
    start: Instant,
    /// Why the first connection of those has ended whose TLS has failed.
    failure: Option<String>,
}

impl<S> Engine<S> {
    /// An engine without connections.
    ///
    /// # Errors
    /// The system gives no poll.
    pub fn new(dialler: Dialler) -> Result<Engine<S>, String> {
        Ok(Engine {
            dialler,
            poll: Poll::new().map_err(|error| format!("cannot wait for sockets: {error}"))?,
            events: Events::with_capacity(EVENTS_MAX),
            connections: Vec::new(),
            read_queue: Vec::new(),
            reads_max: usize::MAX,
            buffer: vec![0; READ_BYTES_MAX].into_boxed_slice(),
            start: Instant::now(),
            failure: None,
        })
    }

    /// Nanoseconds since the engine was made: the clock of every event.
    pub fn now_ns(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }

    /// How many connections have been opened, the closed ones included.
    pub fn opened(&self) -> usize {
        self.connections.len()
    }

    /// Why a connection was closed, if its TLS has failed: the first such reason.
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// The state of a connection.
    pub fn state(&self, number: usize) -> &S {
        &self.connections[number].state
    }

    /// The states of all connections, in order.
    pub fn states(&self) -> impl Iterator<Item = &S> {
        self.connections.iter().map(|connection| &connection.state)
    }

    /// The same, to be changed.
    pub fn states_mut(&mut self) -> impl Iterator<Item = &mut S> {
        let connections = self.connections.iter_mut();
        connections.map(|connection| &mut connection.state)
    }

    /// The sockets of all connections, in order. They do not block.
    pub fn into_sockets(self) -> impl Iterator<Item = Socket> {
        let connections = self.connections.into_iter();
        connections.map(|connection| connection.stream.into_socket())
    }

    /// Drops all connections; a server over TLS learns that this is their end.
    pub fn close(self) {
        for mut connection in self.connections {
            // Its end does not depend on whether the socket takes that.
            let _ = connection.stream.say_goodbye();
        }
    }

    /// Sets how many connections one poll reads at most. The others are read by the next polls, which do not wait.
    pub fn set_reads_max(&mut self, reads_max: usize) {
        self.reads_max = reads_max;
    }

    /// Starts another connection; false if the server's backlog is full. `slow`: the kernel is to hold few bytes for it.
    ///
    /// # Errors
    /// It cannot be made; the error says what to do.
    pub fn open(&mut self, slow: bool, state: S) -> Result<bool, String> {
        let number = self.connections.len();
        let Some(connection) = self.dial(number, slow, state)? else {
            return Ok(false);
        };
        self.connections.push(connection);
        Ok(true)
    }

    /// Drops a connection, whatever its state, and starts another one under its number; false if the server's backlog is
    /// full: the old connection stays.
    ///
    /// # Errors
    /// It cannot be made; the error says what to do.
    pub fn reopen(&mut self, number: usize, slow: bool, state: S) -> Result<bool, String> {
        let Some(mut connection) = self.dial(number, slow, state)? else {
            return Ok(false);
        };
        // Its number may still be in the queue, from where it is not read before it is open.
        connection.queued = self.connections[number].queued;
        let mut old = std::mem::replace(&mut self.connections[number], connection);
        // As in `close`.
        let _ = old.stream.say_goodbye();
        Ok(true)
    }

    fn dial(
        &mut self,
        number: usize,
        slow: bool,
        state: S,
    ) -> Result<Option<Connection<S>>, String> {
        let Some(stream) = self.dialler.connect(number, slow)? else {
            return Ok(None);
        };
        let (fd, both) = (stream.as_raw_fd(), Interest::READABLE | Interest::WRITABLE);
        let registered = self
            .poll
            .registry()
            .register(&mut SourceFd(&fd), Token(number), both);
        registered.map_err(|error| format!("cannot wait for connection {number}: {error}"))?;
        Ok(Some(Connection {
            stream,
            phase: Phase::Connecting,
            writable: false,
            ending: false,
            queued: false,
            state,
        }))
    }

    /// Waits for events, at most for `timeout`, and passes each on with the number and the state of its connection.
    ///
    /// # Errors
    /// A connection cannot be made, or the poll fails.
    pub fn poll(
        &mut self,
        timeout: Duration,
        mut handle: impl FnMut(usize, &mut S, Event<'_>),
    ) -> Result<(), String> {
        let timeout = if self.read_queue.is_empty() {
            timeout
        } else {
            Duration::ZERO
        };
        match self.poll.poll(&mut self.events, Some(timeout)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            other => other.map_err(|error| format!("cannot wait for sockets: {error}"))?,
        }
        for event in &self.events {
            let Token(number) = event.token();
            let connection = &mut self.connections[number];
            if connection.phase == Phase::Connecting && (event.is_writable() || event.is_error()) {
                let failure = connection.stream.take_error().unwrap_or_else(Some);
                match failure {
                    // The server has accepted it, and reset it before this poll.
                    Some(error) if error.kind() == ErrorKind::ConnectionReset => {}
                    Some(error) => return Err(self.dialler.explain(number, &error)),
                    None => {}
                }
                connection.phase = Phase::ShakingHands;
            }
            if connection.phase == Phase::ShakingHands {
                let done = connection.stream.shake_hands(&mut self.buffer);
                if done.map_err(|error| self.dialler.explain(number, &error))? {
                    connection.phase = Phase::Open;
                    handle(number, &mut connection.state, Event::Connected);
                }
            }
            if event.is_writable() {
                connection.writable = connection.stream.flush().is_ok();
            }
            connection.ending |= event.is_read_closed() || event.is_error();
            let has_text = connection.stream.has_early_text();
            let readable = event.is_readable() || connection.ending || has_text;
            if readable && connection.phase == Phase::Open && !connection.queued {
                connection.queued = true;
                self.read_queue.push(number);
            }
        }
        // Each connection is read once: one that has more to read goes to the end of the queue, and the others are not
        // kept waiting.
        let queued = self.read_queue.len().min(self.reads_max);
        for at in 0..queued {
            let number = self.read_queue[at];
            self.connections[number].queued = false;
            if self.connections[number].phase == Phase::Open {
                self.read(number, READ_BYTES_MAX, &mut handle);
            }
        }
        self.read_queue.drain(..queued);
        Ok(())
    }

    /// Reads once, at most `bytes_max`, from a connection that is paused.
    pub fn read_paused(
        &mut self,
        number: usize,
        bytes_max: usize,
        mut handle: impl FnMut(usize, &mut S, Event<'_>),
    ) {
        if self.connections[number].phase == Phase::Paused {
            self.read(number, bytes_max.min(READ_BYTES_MAX), &mut handle);
        }
    }

    fn read(
        &mut self,
        number: usize,
        bytes_max: usize,
        handle: &mut impl FnMut(usize, &mut S, Event<'_>),
    ) {
        let connection = &mut self.connections[number];
        let (start, state) = (self.start, &mut connection.state);
        let pass_on = |bytes: &[u8]| {
            let at_ns = start.elapsed().as_nanos() as u64;
            handle(number, state, Event::Received { at_ns, bytes });
        };
        let again = match connection
            .stream
            .read(&mut self.buffer[..bytes_max], pass_on)
        {
            // A read that did not fill the buffer has emptied the socket (epoll(7), question 9).
            Ok(Arrived::Bytes(bytes)) => bytes == bytes_max || connection.ending,
            Err(error) if error.kind() == ErrorKind::WouldBlock => false,
            Err(error) if error.kind() == ErrorKind::Interrupted => true,
            ended @ (Ok(Arrived::End) | Err(_)) => {
                if let Err(error) = ended
                    && error.kind() == ErrorKind::InvalidData
                {
                    self.failure.get_or_insert(error.to_string());
                }
                connection.phase = Phase::Closed;
                handle(number, &mut connection.state, Event::Closed);
                false
            }
        };
        if again && connection.phase == Phase::Open {
            connection.queued = true;
            self.read_queue.push(number);
        }
    }

    /// Writes what the socket takes at once, perhaps nothing, and returns how many bytes that was. A closed connection
    /// takes nothing: [`Event::Closed`] reports it.
    pub fn write(&mut self, number: usize, bytes: &[u8]) -> usize {
        let connection = &mut self.connections[number];
        if !connection.writable || connection.phase == Phase::Closed {
            return 0;
        }
        let taken = match connection.stream.write(bytes) {
            Ok(taken) => taken,
            Err(error) if error.kind() == ErrorKind::Interrupted => return 0,
            Err(_) => {
                connection.writable = false;
                return 0;
            }
        };
        // The poll will report that the socket takes the rest of a record.
        connection.writable = !connection.stream.wants_write();
        taken
    }

    /// Whether a socket may take bytes.
    pub fn is_writable(&self, number: usize) -> bool {
        self.connections[number].writable
    }

    /// Writes a few bytes, which an empty socket must take whole.
    ///
    /// # Errors
    /// The socket does not.
    pub fn write_all(&mut self, number: usize, bytes: &[u8]) -> Result<(), String> {
        if self.write(number, bytes) == bytes.len() {
            return Ok(());
        }
        Err(format!(
            "connection {number} cannot send: it is closed, or the server does not read"
        ))
    }

    /// Stops reading a connection.
    pub fn pause(&mut self, number: usize) {
        if self.connections[number].phase == Phase::Open {
            self.connections[number].phase = Phase::Paused;
        }
    }

    /// Reads a paused connection again, beginning with what the kernel holds: the poll will not report that again.
    pub fn resume(&mut self, number: usize) {
        let connection = &mut self.connections[number];
        if connection.phase == Phase::Paused {
            connection.phase = Phase::Open;
            if !connection.queued {
                connection.queued = true;
                self.read_queue.push(number);
            }
        }
    }
}

/// Puts lines together that were cut by the reads. Between whole lines it holds no memory.
#[derive(Debug, Default)]
pub struct LineBuffer {
    /// The beginning of a line whose end has not come; never contains `\n`.
    begun: Vec<u8>,
}

impl LineBuffer {
    /// Calls `take` with each line that `bytes` complete, without its end, and keeps the beginning of the next.
    pub fn complete(&mut self, mut bytes: &[u8], mut take: impl FnMut(&[u8])) {
        if !self.begun.is_empty() {
            let Some(end) = memchr::memchr(b'\n', bytes) else {
                return self.begun.extend_from_slice(bytes);
            };
            self.begun.extend_from_slice(&bytes[..end]);
            take(&self.begun);
            self.begun = Vec::new();
            bytes = &bytes[end + 1..];
        }
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            take(&bytes[..end]);
            bytes = &bytes[end + 1..];
        }
        self.begun.extend_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::{Address, Target};
    use crate::tls_client::Options;
    use std::io::{self, Read};
    use std::net::TcpListener;

    /// An engine for so many connections to a listener.
    fn engine_at(listener: &TcpListener, connections: usize) -> io::Result<Engine<Vec<u8>>> {
        let target = Target::from(Address::from(listener.local_addr()?));
        let dialler = Dialler::new(&[target], &Options::default(), vec![0; connections], 0);
        Ok(Engine::new(dialler.unwrap()).unwrap())
    }

    #[test]
    fn lines_do_not_depend_on_where_reads_cut_them() {
        let text = b"one\n\nthree and more\nfour";
        for first in 0..text.len() {
            for second in first..text.len() {
                let (mut buffer, mut seen) = (LineBuffer::default(), Vec::new());
                for piece in [&text[..first], &text[first..second], &text[second..]] {
                    buffer.complete(piece, |line| seen.push(line.to_vec()));
                }
                let want: [&[u8]; 3] = [b"one", b"", b"three and more"];
                assert_eq!(seen, want);
                assert_eq!(buffer.begun, b"four");
            }
        }
    }

    /// Polls until the states of all connections together are `expected`.
    fn poll_until(engine: &mut Engine<Vec<u8>>, expected: &[u8]) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while engine.states().flatten().copied().collect::<Vec<u8>>() != expected {
            assert!(Instant::now() < deadline, "{engine:?}");
            let record = |_: usize, state: &mut Vec<u8>, event: Event<'_>| match event {
                Event::Connected => state.push(b'+'),
                Event::Received { bytes, .. } => state.extend_from_slice(bytes),
                Event::Closed => state.push(b'-'),
            };
            engine.poll(Duration::from_millis(10), record).unwrap();
        }
    }

    #[test]
    fn a_paused_connection_is_read_only_on_request_and_its_end_is_seen_when_it_resumes()
    -> io::Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let mut engine = engine_at(&listener, 2)?;
        assert_eq!(engine.open(false, Vec::new()), Ok(true));
        assert_eq!(engine.open(true, Vec::new()), Ok(true));
        let (mut first, mut second) = (listener.accept()?.0, listener.accept()?.0);
        poll_until(&mut engine, b"++");
        engine.pause(1);
        second.write_all(b"paused")?;
        drop(second);
        first.write_all(b"read")?;
        poll_until(&mut engine, b"+read+");
        let record = |_: usize, state: &mut Vec<u8>, event: Event<'_>| {
            if let Event::Received { bytes, .. } = event {
                state.extend_from_slice(bytes);
            }
        };
        // The bytes came before the close, of which the poll may not have reported yet.
        while engine.state(1).len() < 3 {
            engine.read_paused(1, 2, record);
        }
        assert_eq!(engine.state(1), b"+pa");
        engine.resume(1);
        poll_until(&mut engine, b"+read+paused-");
        assert_eq!(engine.write(1, b"x"), 0);
        Ok(())
    }

    #[test]
    fn a_reopened_connection_starts_anew_under_its_number() -> io::Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let mut engine = engine_at(&listener, 2)?;
        assert_eq!(engine.open(false, Vec::new()), Ok(true));
        let mut first = listener.accept()?.0;
        poll_until(&mut engine, b"+");
        first.write_all(b"old")?;
        assert_eq!(engine.reopen(0, false, Vec::new()), Ok(true));
        let mut second = listener.accept()?.0;
        second.write_all(b"new")?;
        poll_until(&mut engine, b"+new");
        assert_eq!(engine.opened(), 1);
        // Its socket is closed, with bytes that nobody has read: by a reset.
        let mut rest = Vec::new();
        let end = first.read_to_end(&mut rest);
        assert!(end.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset));
        Ok(())
    }

    #[test]
    fn a_reset_before_the_first_poll_is_a_close() -> io::Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let mut engine = engine_at(&listener, 1)?;
        assert_eq!(engine.open(false, Vec::new()), Ok(true));
        let accepted = Socket::from(listener.accept()?.0);
        accepted.set_linger(Some(Duration::ZERO))?;
        drop(accepted);
        poll_until(&mut engine, b"+-");
        Ok(())
    }

    #[test]
    fn a_poll_reads_no_more_connections_than_it_may_and_forgets_none() -> io::Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let mut engine = engine_at(&listener, 3)?;
        let mut accepted = Vec::new();
        for _ in 0..3 {
            assert_eq!(engine.open(false, Vec::new()), Ok(true));
            accepted.push(listener.accept()?.0);
        }
        poll_until(&mut engine, b"+++");
        engine.set_reads_max(1);
        for server in &mut accepted {
            server.write_all(b"x")?;
        }
        let mut before = 3;
        while before < 6 {
            let mut seen = 0;
            let handle = |_: usize, state: &mut Vec<u8>, _: Event<'_>| {
                seen += 1;
                state.push(b'x');
            };
            engine.poll(Duration::from_secs(20), handle).unwrap();
            assert!(seen <= 1);
            before += seen;
        }
        assert!(engine.states().all(|state| state == b"+x"));
        Ok(())
    }
}
