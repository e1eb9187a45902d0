//! One client: what it has sent and has not been taken, what it may do, how far it is from its end. Knows no room.

use super::Now;
use super::frame::{Frame, Line};
use super::limits::{Limits, VISIT_LINES_MAX};
use super::name::Name;
use super::telnet::{Event, Telnet};

/// What the two sides speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// Lines, commands, names and notices.
    Chat,
    /// Lines alone.
    Raw,
}

/// Where a client is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It speaks and listens.
    Open,
    /// It waits to change rooms, until it has been given its old room's log up to `until`.
    Moving {
        /// Position in the old room's log.
        until: u64,
    },
    /// Its peer has finished sending; it goes on listening.
    Listening,
    /// It is given its room's log up to `until` and its private bytes, and is closed then, or when that takes too
    /// long: nothing is heard from it any more, so [`Session::heard_at`] is when that began.
    Draining {
        /// Position in the room's log.
        until: u64,
    },
    /// It is to be closed now.
    Done,
}

/// One client, but for what it is owed.
#[derive(Debug)]
pub struct Session {
    /// What it is called.
    pub name: Name,
    /// What it speaks.
    pub wire: Wire,
    /// Where it is in its life.
    pub phase: Phase,
    /// What it has sent and has not been taken.
    pub intake: Intake,
    /// When something was last received from it.
    pub heard_at: Now,
    /// When something could last be written to it.
    pub progress_at: Now,
    allowance: Allowance,
}

impl Session {
    /// A client that has just come.
    pub fn new(now: Now, name: Name, wire: Wire) -> Session {
        let intake = Intake {
            knocking: wire == Wire::Chat && !name.is_host(),
            ..Intake::default()
        };
        Session {
            name,
            wire,
            phase: Phase::Open,
            intake,
            heard_at: now,
            progress_at: now,
            allowance: Allowance::default(),
        }
    }

    /// Whether it is the [host](super::Hub::connect_host).
    pub fn is_host(&self) -> bool {
        self.name.is_host()
    }

    /// Takes one line's share of the allowance. It may be overdrawn by the line that is there already.
    pub fn charge(&mut self, now: Now, limits: &Limits) {
        if !self.is_host() {
            self.allowance.charge(now, limits);
        }
    }

    /// When the client may say its next line: not later than `now` means at once.
    pub fn may_speak_at(&self, limits: &Limits) -> Now {
        self.allowance.free_at(limits)
    }

    /// Up to where its room's log is for it, if not to its end.
    pub fn until(&self) -> Option<u64> {
        match self.phase {
            Phase::Moving { until } | Phase::Draining { until } => Some(until),
            Phase::Open | Phase::Listening | Phase::Done => None,
        }
    }

    /// The next time at which something is due for it alone.
    pub fn deadline(&self, now: Now, limits: &Limits) -> Option<Now> {
        let speak = Some(self.may_speak_at(limits)).filter(|&at| at > now);
        match self.phase {
            Phase::Draining { .. } => Some(self.heard_at.after(limits.drain_us)),
            Phase::Moving { .. } => speak,
            Phase::Open => {
                let (idle, partial) = (self.idle_due(limits), self.partial_due(limits));
                [idle, partial, speak].into_iter().flatten().min()
            }
            Phase::Listening | Phase::Done => None,
        }
    }

    /// When it has been silent for too long.
    pub fn idle_due(&self, limits: &Limits) -> Option<Now> {
        let idle_us = limits.idle_timeout_us;
        (idle_us > 0 && !self.is_host()).then(|| self.heard_at.after(idle_us))
    }

    /// When its unfinished line is to be handed on.
    pub fn partial_due(&self, limits: &Limits) -> Option<Now> {
        (limits.partial_after_us > 0
            && !self.intake.partial().is_empty()
            && !self.intake.has_held()
            && !self.is_host())
        .then(|| self.heard_at.after(limits.partial_after_us))
    }
}

/// A steady rate with bursts (the generic cell rate algorithm: one time stamp instead of a bucket).
#[derive(Clone, Copy, Debug, Default)]
struct Allowance {
    /// When the client would have used up its allowance at the steady rate.
    paid_until: Now,
}

impl Allowance {
    fn charge(&mut self, now: Now, limits: &Limits) {
        if limits.rate_lines > 0 {
            self.paid_until = self.paid_until.max(now).after(interval_us(limits));
        }
    }

    fn free_at(self, limits: &Limits) -> Now {
        let burst = u64::from(limits.burst_lines.saturating_sub(1)) * interval_us(limits);
        Now::from_micros(self.paid_until.as_micros().saturating_sub(burst))
    }
}

/// Microseconds a line at the steady rate; 0: no limit.
fn interval_us(limits: &Limits) -> u64 {
    1_000_000u64
        .checked_div(u64::from(limits.rate_lines))
        .unwrap_or(0)
}

/// A protocol whose client has come to the wrong port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Knock {
    /// A web browser.
    Http,
    /// Anything that begins with a TLS handshake.
    Tls,
}

/// What a client has sent.
#[derive(Debug, PartialEq, Eq)]
pub enum Input<'a> {
    /// A line without its terminator.
    Line(&'a [u8]),
    /// A line that is longer than allowed.
    TooLong,
    /// A negotiation that is to be answered.
    Answer([u8; 3]),
    /// It does not speak lines of text at all.
    Knock(Knock),
}

/// What to do with the input that follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Go on.
    Next,
    /// Hold it until the client may speak again.
    Pause,
    /// Hold this line too.
    Retry,
    /// Throw it away.
    End,
}

/// What a client has sent and has not been taken.
#[derive(Debug, Default)]
pub struct Intake {
    /// `None` between lines, so that a client that is silent costs no memory.
    pending: Option<Box<Pending>>,
    /// Bytes of over-long lines that were thrown away since they were last asked for. Kept here, since the frame that
    /// counts them is gone between lines.
    discarded_bytes: u32,
    /// Nothing has come yet that would show who is there.
    knocking: bool,
}

/// An unfinished line or telnet command, and bytes held until their client may speak again.
#[derive(Debug, Default)]
struct Pending {
    telnet: Telnet,
    frame: Frame,
    /// Bytes as they were received, to be taken before any others: at most one read's, and one line.
    held: Vec<u8>,
}

impl Intake {
    /// Whether bytes are held.
    pub fn has_held(&self) -> bool {
        self.pending
            .as_ref()
            .is_some_and(|pending| !pending.held.is_empty())
    }

    /// The start of the line whose end has not come.
    pub fn partial(&self) -> &[u8] {
        self.pending
            .as_ref()
            .map_or(&[], |pending| pending.frame.partial())
    }

    /// Memory besides the fixed record, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.pending.as_ref().map_or(0, |pending| {
            size_of::<Pending>()
                + pending.telnet.memory_bytes()
                + pending.frame.memory_bytes()
                + pending.held.capacity()
        })
    }

    /// The bytes that were held.
    pub fn take_held(&mut self) -> Vec<u8> {
        self.change(|pending| std::mem::take(&mut pending.held))
    }

    /// Cuts `bytes` into what they mean and gives each to `act`, whose verdict says how to go on. Holds what is not
    /// taken. Returns `Next` if it came to the end; after [`VISIT_LINES_MAX`] lines it pauses.
    pub fn feed(
        &mut self,
        raw: bool,
        bytes: &[u8],
        line_bytes_max: usize,
        mut act: impl FnMut(Input<'_>) -> Verdict,
    ) -> Verdict {
        if let Some(knock) = self.knock(bytes, line_bytes_max) {
            act(Input::Knock(knock));
            return Verdict::End;
        }
        self.change(|pending| pending.feed(raw, bytes, line_bytes_max, act))
    }

    /// Gives the line that no terminator will end to `act`, and holds it as a line if it is to be retried.
    pub fn feed_partial(&mut self, act: impl FnOnce(&[u8]) -> Verdict) {
        self.knocking = false;
        self.change(|pending| {
            if let Some(line) = pending.frame.take_partial()
                && act(line) == Verdict::Retry
            {
                pending.held = [line, b"\n"].concat();
            }
        });
    }

    /// Bytes of over-long lines that were thrown away since this was last asked.
    pub fn take_discarded(&mut self) -> u32 {
        std::mem::take(&mut self.discarded_bytes)
    }

    /// Lets `change` change what is pending, and gives its memory back when nothing is.
    fn change<T>(&mut self, change: impl FnOnce(&mut Pending) -> T) -> T {
        let mut none = Pending::default();
        let pending = self.pending.as_deref_mut().unwrap_or(&mut none);
        let changed = change(pending);
        pending.frame.forget_given();
        self.discarded_bytes += pending.frame.take_discarded();
        if pending.is_nothing() {
            self.pending = None;
        } else if self.pending.is_none() {
            self.pending = Some(Box::new(none));
        }
        changed
    }

    /// Looks once, at the first line, for a protocol that is not this one. The first bytes may come in pieces: as long
    /// as they are the start of a request line, its end decides.
    fn knock(&mut self, bytes: &[u8], line_bytes_max: usize) -> Option<Knock> {
        if !self.knocking || bytes.is_empty() {
            return None;
        }
        let seen = self.partial();
        if seen.iter().chain(bytes).take(2).eq(&TLS_HANDSHAKE) {
            return Some(Knock::Tls);
        }
        let end = memchr::memchr(b'\n', bytes);
        let http = end.is_some_and(|end| is_http_request(&[seen, &bytes[..end]].concat()));
        self.knocking = end.is_none() && seen.len() + bytes.len() <= line_bytes_max;
        http.then_some(Knock::Http)
    }
}

impl Pending {
    /// Whether it is as if nothing had been received.
    fn is_nothing(&self) -> bool {
        self.telnet.is_new() && self.frame.is_between_lines() && self.held.is_empty()
    }

    fn feed(
        &mut self,
        raw: bool,
        bytes: &[u8],
        line_bytes_max: usize,
        mut act: impl FnMut(Input<'_>) -> Verdict,
    ) -> Verdict {
        debug_assert!(self.held.is_empty());
        let mut rest = bytes;
        let mut lines = 0;
        while let Some(event) = if raw {
            next_raw(&mut rest)
        } else {
            self.telnet.next(&mut rest)
        } {
            let mut text = match event {
                Event::Text(text) => text,
                Event::Answer(answer) => {
                    act(Input::Answer(answer));
                    continue;
                }
            };
            while let Some(line) = self.frame.next(&mut text, line_bytes_max) {
                let input = match line {
                    Line::Whole(line) => Input::Line(line),
                    Line::TooLong => Input::TooLong,
                };
                let again = if let Input::Line(line) = input {
                    line
                } else {
                    &[]
                };
                let verdict = act(input);
                lines += 1;
                // What follows the line in this stretch, and the stretch in the bytes: they are neighbours.
                let tail = &bytes[bytes.len() - rest.len() - text.len()..];
                match verdict {
                    Verdict::Next if lines < VISIT_LINES_MAX => {}
                    Verdict::Next | Verdict::Pause => {
                        self.held = tail.to_vec();
                        return Verdict::Pause;
                    }
                    Verdict::Retry => {
                        self.held = [again, b"\n", tail].concat();
                        return Verdict::Pause;
                    }
                    Verdict::End => return Verdict::End,
                }
            }
        }
        Verdict::Next
    }
}

/// How every TLS connection begins: a handshake record, major version 3 (RFC 8446, section 5.1).
const TLS_HANDSHAKE: [u8; 2] = [0x16, 3];

/// A raw client's bytes are text as they are.
fn next_raw<'a>(rest: &mut &'a [u8]) -> Option<Event<'a>> {
    let text = std::mem::take(rest);
    (!text.is_empty()).then_some(Event::Text(text))
}

/// A request line of HTTP/1 (RFC 9112, section 3), or the preface of HTTP/2.
fn is_http_request(line: &[u8]) -> bool {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let mut words = line.split(|&byte| byte == b' ');
    let (method, target, version) = (words.next(), words.next(), words.next());
    method.is_some_and(|word| !word.is_empty() && word.iter().all(u8::is_ascii_uppercase))
        && target.is_some()
        && version.is_some_and(|word| word.starts_with(b"HTTP/"))
        && words.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intake() -> Intake {
        Session::new(Now::default(), Name::Guest(1), Wire::Chat).intake
    }

    #[test]
    fn held_input_is_taken_up_where_it_was_left() {
        let text = b"one\r\ntwo\xff\xf1\nthree\nfour";
        for stop_at in 0..3 {
            for verdict in [Verdict::Pause, Verdict::Retry] {
                for cut in 0..text.len() {
                    let (mut intake, mut got, mut stopped) = (intake(), Vec::new(), false);
                    let mut queue = vec![text[cut..].to_vec(), text[..cut].to_vec()];
                    while let Some(piece) = queue.pop() {
                        intake.feed(false, &piece, 100, |input| {
                            let Input::Line(line) = input else {
                                panic!("{input:?}")
                            };
                            if got.len() == stop_at && !stopped {
                                stopped = true;
                                if verdict == Verdict::Pause {
                                    got.push(line.to_vec());
                                }
                                return verdict;
                            }
                            got.push(line.to_vec());
                            Verdict::Next
                        });
                        if intake.has_held() {
                            queue.push(intake.take_held());
                        }
                    }
                    intake.feed_partial(|line| {
                        got.push(line.to_vec());
                        Verdict::Next
                    });
                    assert_eq!(
                        got,
                        [&b"one"[..], b"two", b"three", b"four"],
                        "{verdict:?} at {stop_at}, cut {cut}"
                    );
                }
            }
        }
    }

    #[test]
    fn only_what_is_unfinished_is_kept() {
        let mut intake = intake();
        for (bytes, kept) in [
            (&b"whole\n"[..], false),
            (b"cut", true),
            (b" in two\r\n", false),
            (b"ends late\r", true),
            (b"\0", false),
            (&[b'x'; 101], true),
            (b"too long\n", false),
            (b"\xff", true),
            (b"\xf1", false),
            (b"\xff\xfd\x01", true),
        ] {
            intake.feed(false, bytes, 100, |_| Verdict::Next);
            let shown = bytes.escape_ascii();
            assert_eq!(intake.pending.is_some(), kept, "after {shown}");
        }
        assert_eq!(intake.take_discarded(), 101 + 9);
    }

    #[test]
    fn no_visit_takes_more_than_its_lines() {
        let mut intake = intake();
        let mut lines = 0;
        let verdict = intake.feed(false, &b"\n".repeat(1000), 100, |_| {
            lines += 1;
            Verdict::Next
        });
        assert_eq!((verdict, lines), (Verdict::Pause, VISIT_LINES_MAX));
        assert_eq!(intake.take_held().len(), 1000 - VISIT_LINES_MAX as usize);
    }

    #[test]
    fn browsers_and_tls_are_told_apart_from_people() {
        for (bytes, want) in [
            (&b"GET / HTTP/1.1\r\nHost: x\r\n"[..], Some(Knock::Http)),
            (b"POST /x?y HTTP/1.0\n", Some(Knock::Http)),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Some(Knock::Http)),
            (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", Some(Knock::Tls)),
            (b"GET a life\n", None),
            (b"get / HTTP/1.1\n", None),
            (b" / HTTP/1.1\n", None),
            (b"GET / HTTP/1.1 please\n", None),
            (b"I said GET / HTTP/1.1\n", None),
            (b"hello\nGET / HTTP/1.1\n", None),
            (&[&[b'x'; 150], &b"GET / HTTP/1.1\n"[..]].concat(), None),
        ] {
            for cut in 0..bytes.len() {
                let (mut intake, mut got) = (intake(), None);
                for piece in [&bytes[..cut], &bytes[cut..]] {
                    intake.feed(false, piece, 100, |input| {
                        if let Input::Knock(knock) = input {
                            got = got.or(Some(knock));
                        }
                        Verdict::Next
                    });
                }
                assert_eq!(
                    got,
                    want,
                    "{:?} cut at {cut}",
                    bytes.escape_ascii().to_string()
                );
            }
        }
    }

    #[test]
    fn who_has_begun_with_half_a_line_is_no_browser() {
        let mut intake = intake();
        intake.feed(false, b"half a line", 100, |_| Verdict::Next);
        intake.feed_partial(|_| Verdict::Next);
        let mut got = Vec::new();
        intake.feed(false, b"GET / HTTP/1.1\n", 100, |input| {
            got.push(matches!(input, Input::Line(_)));
            Verdict::Next
        });
        assert_eq!(got, [true]);
    }

    #[test]
    fn what_was_handed_out_is_not_kept() {
        let mut intake = intake();
        // A negotiation, so that there is something to be remembered.
        intake.feed(false, b"\xff\xfb\x01", 1000, |_| Verdict::Next);
        let negotiated = intake.memory_bytes();
        intake.feed(false, &[b'x'; 900], 1000, |_| Verdict::Next);
        assert!(intake.memory_bytes() >= negotiated + 900);
        intake.feed(false, b"\n", 1000, |_| Verdict::Next);
        assert_eq!(intake.memory_bytes(), negotiated);
    }

    #[test]
    fn only_an_unfinished_line_is_due_and_only_if_that_is_asked_for() {
        let now = Now::from_micros(5);
        let mut session = Session::new(now, Name::Guest(1), Wire::Chat);
        let mut limits = Limits {
            partial_after_us: 1000,
            ..Limits::default()
        };
        assert_eq!(session.partial_due(&limits), None, "there is nothing");
        session
            .intake
            .feed(false, b"half a line", 100, |_| Verdict::Next);
        assert_eq!(session.partial_due(&limits), Some(now.after(1000)));
        limits.partial_after_us = 0;
        assert_eq!(session.partial_due(&limits), None, "nobody has asked");
    }

    #[test]
    fn the_allowance_is_a_burst_and_then_a_rate() {
        let limits = Limits {
            rate_lines: 10,
            burst_lines: 3,
            ..Limits::default()
        };
        let start = Now::from_micros(50_000_000);
        let mut session = Session::new(start, Name::Guest(1), Wire::Chat);
        let mut now = start;
        let mut said = Vec::new();
        for _ in 0..6 {
            now = now.max(session.may_speak_at(&limits));
            session.charge(now, &limits);
            said.push((now.as_micros() - start.as_micros()) / 1000);
        }
        assert_eq!(said, [0, 0, 0, 100, 200, 300]);
        let later = now.after(60_000_000);
        session.charge(later, &limits);
        session.charge(later, &limits);
        assert!(
            session.may_speak_at(&limits) <= later,
            "a pause earns a burst, and no more"
        );
        session.charge(later, &limits);
        assert!(session.may_speak_at(&limits) > later);
    }
}
