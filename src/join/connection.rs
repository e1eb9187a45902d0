//! The connection to the server: connects, reads lines, writes lines, closes its sending side, and can do all that again on
//! another socket. Never blocks. Does not look into lines.

use super::endpoints::{
    CONNECT_TIMEOUT, Endpoints, HANDSHAKE_TIMEOUT, READ_BYTES, handshake_flags, no_handshake,
};
use super::send_queue::SendQueue;
use crate::hub::{Frame, Line};
use crate::protocol::grouped;
use crate::terminal::poll::Interest;
use crate::tls_client::{Arrived, Stream};
use rustix::event::PollFlags;
use socket2::Socket;
use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// Longest line from the server that is shown. In place of a longer one, [`too_long`] is.
pub const LINE_BYTES_MAX: usize = 1 << 20;
/// How long a server may take to greet a newcomer: nothing is sent to it before.
pub const GREETING_TIMEOUT: Duration = Duration::from_secs(10);
/// How an alert of TLS begins (RFC 8446, section 5.1), made safe to show.
const ALERT: &str = "␕␃";
/// Characters of a line that are quoted in an error.
const QUOTED_CHARS_MAX: usize = 60;

/// A change of the connection.
#[derive(Debug)]
pub enum Event {
    /// A new connection is made.
    Connected,
    /// The connection is lost, or an attempt to connect has failed.
    Disconnected(io::Error),
}

#[derive(Debug)]
enum State {
    Connected(Stream),
    /// An attempt to connect, and when it times out.
    Connecting(Socket, Instant),
    /// The socket is connected, and TLS is not complete; when that times out.
    ShakingHands(Stream, Instant),
    /// When the next attempt begins; `None`: never.
    Disconnected(Option<Instant>),
}

/// What is done with the send queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sending {
    Open,
    /// When the queue is empty, the sending side is closed (close_notify with TLS, and a FIN).
    Finishing,
    /// The sending side is closed, or broken. What the server sent can still be read.
    Closed,
}

/// The connection.
#[derive(Debug)]
pub struct Connection {
    /// `None`: this connection cannot be made again.
    endpoints: Option<Endpoints>,
    state: State,
    frame: Frame,
    /// Lines for the server.
    pub queue: SendQueue,
    sending: Sending,
}

impl Connection {
    /// An established connection, and where to reconnect.
    pub fn new(stream: Stream, endpoints: Option<Endpoints>) -> Connection {
        Connection {
            endpoints,
            state: State::Connected(stream),
            frame: Frame::default(),
            queue: SendQueue::default(),
            sending: Sending::Open,
        }
    }

    /// Whether the connection is established.
    pub fn is_connected(&self) -> bool {
        matches!(self.state, State::Connected(_))
    }

    /// What to poll for. Input is polled for only if `may_read`; the connection's end is reported in any case.
    pub fn interest(&self, may_read: bool) -> Interest<'_> {
        match &self.state {
            State::Connected(stream) => {
                let has_more = self.queue.has_sendable() || stream.wants_write();
                let mut flags = PollFlags::empty();
                flags.set(PollFlags::IN, may_read);
                flags.set(PollFlags::OUT, has_more && self.sending != Sending::Closed);
                Some((stream.as_fd(), flags))
            }
            State::ShakingHands(stream, _) => Some((stream.as_fd(), handshake_flags(stream))),
            State::Connecting(socket, _) => Some((socket.as_fd(), PollFlags::OUT)),
            State::Disconnected(_) => None,
        }
    }

    /// When to call [`Connection::handle`] at the latest, even if no descriptor is ready.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.state {
            // No descriptor reports it.
            State::Connected(stream) => stream.has_early_text().then(Instant::now),
            State::Connecting(_, deadline) | State::ShakingHands(_, deadline) => Some(*deadline),
            State::Disconnected(retry_at) => *retry_at,
        }
    }

    /// Reconnects at this time; `None`: not before this is called again.
    pub fn reconnect_at(&mut self, at: Option<Instant>) {
        self.state = State::Disconnected(at);
    }

    /// Why a server is taken for one of another kind: it has said nothing.
    pub fn silent(&self) -> String {
        let (seconds, hint) = (GREETING_TIMEOUT.as_secs(), self.hint());
        format!("it has not greeted within {seconds} s{hint}")
    }

    /// The same: it has closed the connection before.
    pub fn no_greeting(&self) -> String {
        let hint = self.hint();
        format!("it has closed the connection without a greeting{hint}")
    }

    /// A server that waits for TLS says nothing to a client without it.
    fn hint(&self) -> &'static str {
        match &self.endpoints {
            Some(endpoints) if endpoints.may_want_tls() => {
                "; if it speaks TLS, write tls: before its address"
            }
            _ => "",
        }
    }

    /// Closes the connection at once. What is not sent is kept for the next.
    pub fn close(&mut self) {
        if let State::Connected(stream) = &mut self.state {
            // Nothing follows from an error: the connection ends in any case.
            let _ = stream.say_goodbye();
        }
        self.state = State::Disconnected(None);
        self.sending = Sending::Open;
        self.queue.rewind();
        self.frame = Frame::default();
    }

    /// Closes the sending side once the queue is empty.
    pub fn finish(&mut self) {
        if self.sending == Sending::Open {
            self.sending = Sending::Finishing;
        }
    }

    /// Reads, writes or connects, whatever is possible now. `ready` is what the poll reported; each line that was read
    /// goes to `take`.
    pub fn handle(
        &mut self,
        ready: PollFlags,
        now: Instant,
        mut take: impl FnMut(Line<'_>),
    ) -> Option<Event> {
        let done = match &self.state {
            State::Connected(_) => self.transfer(ready, &mut take).map(|()| None),
            State::Connecting(_, deadline) | State::ShakingHands(_, deadline)
                if ready.is_empty() && now < *deadline =>
            {
                Ok(None)
            }
            State::Connecting(..) => self.finish_connecting(ready, now),
            State::ShakingHands(..) => self.shake_hands(now),
            State::Disconnected(Some(at)) if *at <= now => {
                self.begin_connecting(now).map(|()| None)
            }
            State::Disconnected(_) => Ok(None),
        };
        done.unwrap_or_else(|error| {
            let mut frame = std::mem::take(&mut self.frame);
            self.close();
            if let Some(rest) = frame.take_partial() {
                take(Line::Whole(rest));
            }
            Some(Event::Disconnected(error))
        })
    }

    fn begin_connecting(&mut self, now: Instant) -> io::Result<()> {
        let endpoints = self.endpoints.as_mut();
        let socket = endpoints.expect("reconnect_at needs endpoints").begin()?;
        self.state = State::Connecting(socket, now + CONNECT_TIMEOUT);
        Ok(())
    }

    fn finish_connecting(&mut self, ready: PollFlags, now: Instant) -> io::Result<Option<Event>> {
        let state = std::mem::replace(&mut self.state, State::Disconnected(None));
        let State::Connecting(socket, _) = state else {
            return Ok(None);
        };
        if ready.is_empty() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        socket.take_error()?.map_or(Ok(()), Err)?;
        let endpoints = self.endpoints.as_ref();
        let stream = endpoints.expect("it began with them").stream(socket)?;
        self.state = State::ShakingHands(stream, now + HANDSHAKE_TIMEOUT);
        self.shake_hands(now)
    }

    /// Goes on with the handshake of TLS. Without TLS it is complete at once.
    fn shake_hands(&mut self, now: Instant) -> io::Result<Option<Event>> {
        let state = std::mem::replace(&mut self.state, State::Disconnected(None));
        let State::ShakingHands(mut stream, deadline) = state else {
            return Ok(None);
        };
        if stream.shake_hands(&mut [0; READ_BYTES])? {
            self.state = State::Connected(stream);
            return Ok(Some(Event::Connected));
        }
        if deadline <= now {
            return Err(no_handshake());
        }
        self.state = State::ShakingHands(stream, deadline);
        Ok(None)
    }

    /// Reads and writes.
    fn transfer(&mut self, ready: PollFlags, take: &mut impl FnMut(Line<'_>)) -> io::Result<()> {
        let State::Connected(stream) = &mut self.state else {
            return Ok(());
        };
        let is_ready = ready.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR);
        if is_ready || stream.has_early_text() {
            let frame = &mut self.frame;
            let read = stream.read(&mut [0; READ_BYTES], |mut input| {
                while let Some(line) = frame.next(&mut input, LINE_BYTES_MAX) {
                    take(line);
                }
            });
            match read {
                Ok(Arrived::Bytes(_)) => {}
                Ok(Arrived::End) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if self.sending != Sending::Closed && self.queue.write_to(&mut *stream).is_err() {
            // What the server sent before is read first. Then the read fails and tells why.
            self.sending = Sending::Closed;
        }
        if self.sending == Sending::Finishing && self.queue.is_empty() {
            match stream.close_write() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                _ => self.sending = Sending::Closed,
            }
        }
        Ok(())
    }
}

/// A client that ends says so to a server over TLS.
impl Drop for Connection {
    fn drop(&mut self) {
        self.close();
    }
}

/// Why there is no connection, for people.
pub fn explain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "closed by the server".into(),
        io::ErrorKind::ConnectionRefused => "connection refused; is the server running?".into(),
        io::ErrorKind::ConnectionReset => "connection reset".into(),
        io::ErrorKind::TimedOut => "timed out".into(),
        io::ErrorKind::NotFound => "no such socket; is the server running?".into(),
        _ => error.to_string(),
    }
}

/// Why a server is taken for one of another kind: what it has said instead of a greeting, made safe to show.
pub fn foreign(line: &str) -> String {
    if line.starts_with(ALERT) {
        return "it speaks TLS; write tls: before its address".into();
    }
    let quoted: String = line.chars().take(QUOTED_CHARS_MAX).collect();
    let dots = if quoted.len() < line.len() { "…" } else { "" };
    format!("it says \"{quoted}{dots}\" instead of a greeting")
}

/// What is shown in place of a line longer than [`LINE_BYTES_MAX`].
pub fn too_long() -> String {
    let bytes = grouped(LINE_BYTES_MAX);
    format!("line not shown: longer than {bytes} bytes")
}
