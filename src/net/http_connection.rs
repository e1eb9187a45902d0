//! One connection of an HTTP client: its requests one after the other, its answers, its deadlines. Bytes and times go in,
//! bytes come out. Knows no socket and no page.
//!
//! ```text
//!              first byte           head complete        answer given
//! ─▶ Idle ─────────────▶ Reading ─────────────▶ Asked ─────────────▶ Writing
//!     ▲ │ deadline          │ deadline, garbage                        │ │
//!     │ └──────────▶ Closed └─────────────────────────────────────────▶│ │
//!     └──────────── written, and the connection goes on ───────────────┘ ▼ written, and it does not
//!                                                                    Lingering ──▶ Closed
//! ```

use super::http::{Answer, HEAD_BYTES_MAX, Request, Status, request};
use crate::hub::Now;

/// Microseconds that a request may take to arrive, from its first byte, and the first one from the accept.
const REQUEST_US: u64 = 10_000_000;
/// Microseconds that an answer may take to be written.
const ANSWER_US: u64 = 10_000_000;
/// Microseconds without a request after an answer. Longer than the usual interval of scrapes, which is a minute.
const IDLE_US: u64 = 120_000_000;
/// Microseconds that a connection lingers, so that unread input does not destroy the answer.
const LINGER_US: u64 = 1_000_000;

/// Where a connection is.
#[derive(Debug, PartialEq, Eq)]
enum State {
    /// Nothing of a request has arrived. The first one must come soon.
    Idle { is_first: bool },
    /// A request has begun.
    Reading,
    /// A request waits for its answer.
    Asked(Box<Request>),
    /// An answer is being written.
    Writing { keeps_alive: bool },
    /// The last answer has been written, and the sending side is shut down: what arrives is discarded.
    Lingering,
    /// To be closed.
    Closed,
}

/// A connection of an HTTP client.
#[derive(Debug)]
pub struct HttpConnection {
    state: State,
    /// What has arrived and is not handled: at most `HEAD_BYTES_MAX`.
    input: Vec<u8>,
    /// The peer has finished sending.
    has_ended: bool,
    /// The answer, of which `written` bytes have been written: `0 <= written <= output.len()`.
    output: Vec<u8>,
    written: usize,
    deadline: Now,
}

impl HttpConnection {
    /// A new connection.
    pub fn new(now: Now) -> HttpConnection {
        HttpConnection {
            state: State::Idle { is_first: true },
            input: Vec::new(),
            has_ended: false,
            output: Vec::new(),
            written: 0,
            deadline: now.after(REQUEST_US),
        }
    }

    /// A new connection that is only told why it is closed.
    pub fn refused(now: Now, why: &str) -> HttpConnection {
        let mut connection = HttpConnection::new(now);
        connection.fail(now, Status::Unavailable, why);
        connection.deadline = now.after(LINGER_US);
        connection
    }

    /// How many bytes may be received.
    pub fn input_bytes_max(&self) -> usize {
        match self.state {
            State::Idle { .. } | State::Reading if !self.has_ended => {
                HEAD_BYTES_MAX - self.input.len()
            }
            State::Lingering => HEAD_BYTES_MAX,
            _ => 0,
        }
    }

    /// Bytes have arrived: no more than [`input_bytes_max`](HttpConnection::input_bytes_max).
    pub fn receive(&mut self, now: Now, bytes: &[u8]) {
        if self.state != State::Lingering {
            debug_assert!(bytes.len() <= self.input_bytes_max());
            self.input.extend_from_slice(bytes);
            self.advance(now);
        }
    }

    /// The peer has finished sending. It may still wait for answers.
    pub fn finish(&mut self, now: Now) {
        self.has_ended = true;
        match self.state {
            State::Lingering => self.state = State::Closed,
            _ => self.advance(now),
        }
    }

    /// Reads the next request, if no other one is being served.
    fn advance(&mut self, now: Now) {
        if !matches!(self.state, State::Idle { .. } | State::Reading) {
            return;
        }
        match request(&self.input) {
            Some(Ok(request)) => {
                self.input.drain(..request.bytes);
                if self.input.is_empty() {
                    self.input = Vec::new();
                }
                self.state = State::Asked(Box::new(request));
            }
            Some(Err(status)) => {
                let why = "this port serves /metrics and /healthz by HTTP/1.1";
                self.fail(now, status, why);
            }
            None if self.has_ended => self.state = State::Closed,
            None if !self.input.is_empty() => {
                if self.state == (State::Idle { is_first: false }) {
                    self.deadline = now.after(REQUEST_US);
                }
                self.state = State::Reading;
            }
            None => {}
        }
    }

    /// The request that waits for its answer.
    pub fn asked(&self) -> Option<&Request> {
        match &self.state {
            State::Asked(request) => Some(request),
            _ => None,
        }
    }

    /// Answers the request that waits.
    pub fn answer(&mut self, now: Now, answer: &Answer) {
        if let State::Asked(request) = &self.state {
            answer.write(Some(request), &mut self.output);
            self.state = State::Writing {
                keeps_alive: request.keeps_alive,
            };
            self.deadline = now.after(ANSWER_US);
        }
    }

    /// Answers what is no request, after which the connection is closed.
    fn fail(&mut self, now: Now, status: Status, why: &str) {
        self.input = Vec::new();
        Answer::text(status, why).write(None, &mut self.output);
        self.state = State::Writing { keeps_alive: false };
        self.deadline = now.after(ANSWER_US);
    }

    /// What is to be written.
    pub fn output(&self) -> &[u8] {
        &self.output[self.written..]
    }

    /// The first `n` bytes of the [`output`](HttpConnection::output) have been written. Returns whether the sending side is
    /// to be shut down.
    #[must_use = "a peer that is not told of the end waits for more"]
    pub fn sent(&mut self, now: Now, n: usize) -> bool {
        self.written += n;
        let State::Writing { keeps_alive } = self.state else {
            return false;
        };
        if !self.output().is_empty() {
            return false;
        }
        (self.output, self.written) = (Vec::new(), 0);
        if keeps_alive {
            self.state = State::Idle { is_first: false };
            self.deadline = now.after(IDLE_US);
            self.advance(now);
            return false;
        }
        self.deadline = now.after(LINGER_US);
        self.state = match self.has_ended {
            true => State::Closed,
            false => State::Lingering,
        };
        true
    }

    /// Reading or writing has failed.
    pub fn disconnect(&mut self) {
        self.state = State::Closed;
    }

    /// When [`tick`](HttpConnection::tick) is to be called.
    pub fn deadline(&self) -> Option<Now> {
        let waits_for_us = matches!(self.state, State::Asked(_) | State::Closed);
        (!waits_for_us).then_some(self.deadline)
    }

    /// Does what is due by now.
    pub fn tick(&mut self, now: Now) {
        if self.deadline().is_none_or(|deadline| deadline > now) {
            return;
        }
        match self.state {
            State::Reading => self.fail(now, Status::RequestTimeout, "the request took too long"),
            _ => self.state = State::Closed,
        }
    }

    /// Whether it is between two requests, and may be closed for another one's sake: since when it has been, in order.
    pub fn idle_since(&self) -> Option<Now> {
        (self.state == (State::Idle { is_first: false })).then_some(self.deadline)
    }

    /// Whether it is to be told nothing more.
    pub fn is_ending(&self) -> bool {
        let keeps_alive = false;
        matches!(self.state, State::Lingering | State::Closed)
            || self.state == State::Writing { keeps_alive }
    }

    /// Whether it is to be closed.
    pub fn is_closed(&self) -> bool {
        self.state == State::Closed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
    const SECOND_US: u64 = 1_000_000;

    fn at(second: u64) -> Now {
        Now::from_micros(second * SECOND_US)
    }

    /// Writes all output; returns it, and whether the sending side was shut down.
    fn drain(connection: &mut HttpConnection, now: Now) -> (String, bool) {
        let out = String::from_utf8(connection.output().to_vec()).unwrap();
        let is_last = connection.sent(now, out.len());
        (out, is_last)
    }

    fn ok() -> Answer {
        Answer::text(Status::Ok, "ok")
    }

    #[test]
    fn pipelined_requests_are_answered_in_order_however_they_are_cut() {
        let input = [
            GET,
            b"GET /b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\nrest",
        ]
        .concat();
        for piece in 1..=input.len() {
            let mut connection = HttpConnection::new(at(0));
            let (mut paths, mut input, mut is_last) = (Vec::new(), &input[..], false);
            while !is_last {
                let n = piece.min(input.len()).min(connection.input_bytes_max());
                connection.receive(at(1), &input[..n]);
                input = &input[n..];
                if let Some(request) = connection.asked() {
                    paths.push(request.path.clone());
                    assert_eq!(connection.input_bytes_max(), 0, "one after the other");
                    connection.answer(at(1), &ok());
                    is_last = drain(&mut connection, at(1)).1;
                }
            }
            assert_eq!(paths, ["/a", "/b"]);
            connection.receive(at(1), b"discarded");
            assert!(!connection.is_closed() && connection.is_ending());
            connection.finish(at(1));
            assert!(connection.is_closed());
        }
    }

    #[test]
    fn a_request_of_a_byte_a_second_is_cut_off_after_ten_seconds() {
        let mut connection = HttpConnection::new(at(0));
        for second in 0..10 {
            connection.receive(at(second), &GET[second as usize..][..1]);
            connection.tick(at(second));
            assert!(connection.output().is_empty());
        }
        assert_eq!(connection.deadline(), Some(at(10)));
        connection.tick(at(10));
        let (out, is_last) = drain(&mut connection, at(10));
        assert!(out.starts_with("HTTP/1.1 408 ") && is_last, "{out}");
        connection.tick(at(11));
        assert!(connection.is_closed());
    }

    #[test]
    fn a_silent_client_is_closed_after_ten_seconds_and_an_idle_one_after_two_minutes() {
        let mut silent = HttpConnection::new(at(0));
        silent.tick(Now::from_micros(10 * SECOND_US - 1));
        assert!(!silent.is_closed() && silent.idle_since().is_none());
        silent.tick(at(10));
        assert!(silent.is_closed() && silent.output().is_empty());
        let mut idle = HttpConnection::new(at(0));
        idle.receive(at(9), GET);
        assert_eq!(idle.deadline(), None, "the answer is up to the server");
        idle.answer(at(60), &ok());
        assert!(!drain(&mut idle, at(60)).1 && idle.idle_since().is_some());
        idle.tick(at(179));
        assert!(!idle.is_closed());
        // The next request has its own ten seconds.
        idle.receive(at(179), &GET[..5]);
        assert_eq!(idle.deadline(), Some(at(189)));
        idle.tick(at(189));
        assert!(drain(&mut idle, at(189)).0.starts_with("HTTP/1.1 408 "));
    }

    #[test]
    fn a_client_that_takes_too_long_to_read_is_closed() {
        let mut connection = HttpConnection::new(at(0));
        connection.receive(at(0), GET);
        connection.answer(at(1), &ok());
        for second in 1..=10 {
            assert!(!connection.sent(at(second), 1));
            connection.tick(at(second));
            assert!(!connection.is_closed());
        }
        connection.tick(at(11));
        assert!(connection.is_closed());
    }

    #[test]
    fn a_client_that_has_finished_sending_is_answered() {
        let mut connection = HttpConnection::new(at(0));
        connection.receive(at(0), &[GET, GET].concat());
        connection.finish(at(0));
        for is_last in [false, true] {
            assert!(connection.asked().is_some());
            connection.answer(at(0), &ok());
            assert!(drain(&mut connection, at(0)).0.starts_with("HTTP/1.1 200 "));
            assert_eq!(connection.is_closed(), is_last);
        }
        let mut cut_off = HttpConnection::new(at(0));
        cut_off.receive(at(0), &GET[..9]);
        cut_off.finish(at(0));
        assert!(cut_off.is_closed() && cut_off.output().is_empty());
    }

    #[test]
    fn garbage_and_refusals_are_answered_once() {
        let mut garbage = HttpConnection::new(at(0));
        garbage.receive(at(0), b"\x16\x03\x01\x02\0\x01");
        let (out, is_last) = drain(&mut garbage, at(0));
        assert!(out.starts_with("HTTP/1.1 400 ") && is_last, "{out}");
        garbage.receive(at(0), GET);
        assert!(garbage.asked().is_none());
        let mut refused = HttpConnection::refused(at(0), "full");
        let (out, is_last) = drain(&mut refused, at(0));
        assert!(out.starts_with("HTTP/1.1 503 ") && out.ends_with("full\n") && is_last);
    }
}
