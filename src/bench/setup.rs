//! The phases before a run: all connections are made, are in their rooms, and are known to receive what is sent from then
//! on. Nothing is measured here but the time to connect.

use super::engine::{Engine, Event, LineBuffer};
use super::line::{Format, Kind, Line, PROBE, Said};
use super::plan::{Plan, Protocol};
use super::progress::Progress;
use crate::protocol::Notice;
use std::time::Duration;

/// Connections that are being made at a time. More would only wait at the server, where small backlogs overflow.
const CONNECTING_MAX: usize = 64;
/// How long one poll waits for events.
const POLL_TIMEOUT: Duration = Duration::from_millis(10);
/// After this time a room has announced all members that joined: madang announces at most once a second.
const ANNOUNCED_NS: u64 = 1_250_000_000;
/// Time before the probe is repeated; doubled each time.
const PROBE_INTERVAL_NS: u64 = 100_000_000;

/// Waits until every connection has shown a sign: the end of a phase.
struct Barrier {
    passed: Vec<bool>,
    count: usize,
    /// When a connection last showed the sign.
    progress_ns: u64,
    timeout_ns: u64,
    /// Completes "connections were …".
    what: &'static str,
}

impl Barrier {
    fn new(engine: &Engine<LineBuffer>, plan: &Plan, what: &'static str) -> Barrier {
        Barrier {
            passed: vec![false; plan.connections()],
            count: 0,
            progress_ns: engine.now_ns(),
            timeout_ns: plan.timeout.as_nanos() as u64,
            what,
        }
    }

    /// Polls once. `is_sign` says whether a line is the sign of a connection; no line: that it is established.
    fn poll(
        &mut self,
        engine: &mut Engine<LineBuffer>,
        mut is_sign: impl FnMut(usize, Option<Kind<'_>>) -> bool,
    ) -> Result<(), String> {
        let (mut refusal, mut closed) = (None, None);
        let before = self.count;
        let mut check = |number: usize, line: Option<Kind<'_>>| {
            if let Some(Kind::Refusal(text)) = line {
                refusal.get_or_insert_with(|| text.escape_debug().to_string());
            }
            if is_sign(number, line) && !self.passed[number] {
                self.passed[number] = true;
                self.count += 1;
            }
        };
        engine.poll(POLL_TIMEOUT, |number, lines, event| match event {
            Event::Connected => check(number, None),
            Event::Received { bytes, .. } => {
                lines.complete(bytes, |line| check(number, Some(Kind::of(line))));
            }
            Event::Closed => closed = Some(number),
        })?;
        let (count, all, what) = (self.count, self.passed.len(), self.what);
        let so_far = format!("{count} of {all} connections were {what}");
        if let Some(text) = refusal {
            return Err(format!("{so_far}, then the server refused: {text}"));
        }
        if let Some(number) = closed {
            let why = engine.failure().map(|why| format!(": {why}"));
            let why = why.unwrap_or_default();
            return Err(format!(
                "{so_far}, then the server closed connection {number}{why}"
            ));
        }
        let now = engine.now_ns();
        if count > before {
            self.progress_ns = now;
        } else if now - self.progress_ns > self.timeout_ns {
            let seconds = self.timeout_ns / 1_000_000_000;
            return Err(format!(
                "only {so_far}, and no more for {seconds} s; does the server speak another --protocol?"
            ));
        }
        Ok(())
    }
}

/// Makes all connections; returns how long that took, in nanoseconds. Madang's greeting is part of it.
///
/// # Errors
/// The server does not accept all of them.
pub fn connect(
    engine: &mut Engine<LineBuffer>,
    plan: &Plan,
    progress: &mut Progress,
) -> Result<u64, String> {
    let all = plan.connections();
    let start = engine.now_ns();
    let what = match plan.protocol {
        Protocol::Madang => "greeted",
        Protocol::Raw => "accepted",
    };
    let mut barrier = Barrier::new(engine, plan, what);
    progress.begin("connecting", all as u64);
    while barrier.count < all {
        let end = all.min(barrier.count + CONNECTING_MAX);
        while engine.opened() < end
            && engine.open(plan.is_slow(engine.opened()), LineBuffer::default())?
        {}
        let mut asked = Vec::new();
        barrier.poll(engine, |number, line| {
            if let Some(Kind::Notice(Notice::PasswordAsked { .. })) = line {
                asked.push(number);
            }
            match plan.protocol {
                Protocol::Raw => line.is_none(),
                Protocol::Madang => matches!(line, Some(Kind::Notice(Notice::Greeting { .. }))),
            }
        })?;
        if let (Some(_), None) = (asked.first(), &plan.password) {
            return Err("the server asks for a password: give --password-file FILE".into());
        }
        for (number, password) in asked.into_iter().zip(plan.password.iter().cycle()) {
            engine.write_all(number, format!("{}\n", password.line()).as_bytes())?;
        }
        progress.show(barrier.count as u64);
    }
    Ok(engine.now_ns() - start)
}

/// How many members each room has, and how many of them know it.
struct Rooms<'a> {
    plan: &'a Plan,
    members: Vec<usize>,
    /// How many announcements of the full number have come.
    announced: Vec<usize>,
}

impl Rooms<'_> {
    /// Reads a line from the server; whether it is the reply to `/join`.
    fn read(&mut self, number: usize, line: Kind<'_>) -> bool {
        let Kind::Notice(notice) = line else {
            return false;
        };
        let room = self.plan.room(number);
        let is_reply = matches!(notice, Notice::YouAreIn { .. });
        let is_full = notice.here() == Some(self.members[room]);
        self.announced[room] += usize::from(is_full && !is_reply);
        is_reply
    }

    /// Whether every room has announced its full number. The last to join may learn it from the reply alone.
    fn are_announced(&self) -> bool {
        let mut rooms = self.announced.iter().zip(&self.members);
        rooms.all(|(&announced, &members)| announced + 1 >= members)
    }
}

/// Sends every connection to its room, and waits until the rooms have announced all of them: a line that a room
/// announces is one of those that it may skip.
///
/// # Errors
/// The server does not let all connections into their rooms.
pub fn join(
    engine: &mut Engine<LineBuffer>,
    plan: &Plan,
    run: u64,
    progress: &mut Progress,
) -> Result<(), String> {
    let (all, count) = (plan.connections(), plan.rooms as usize);
    let mut rooms = Rooms {
        plan,
        members: vec![0; count],
        announced: vec![0; count],
    };
    for number in 0..all {
        let room = plan.room(number);
        rooms.members[room] += 1;
        engine.write_all(number, format!("/join bench-{run:x}-{room}\n").as_bytes())?;
    }
    let mut barrier = Barrier::new(engine, plan, "in their rooms");
    progress.begin("entering rooms", all as u64);
    while barrier.count < all {
        barrier.poll(engine, |number, line| {
            line.is_some_and(|line| rooms.read(number, line))
        })?;
        progress.show(barrier.count as u64);
    }
    let end_ns = engine.now_ns() + ANNOUNCED_NS;
    while !rooms.are_announced() && engine.now_ns() < end_ns {
        engine.poll(POLL_TIMEOUT, |number, lines, event| {
            if let Event::Received { bytes, .. } = event {
                lines.complete(bytes, |line| {
                    rooms.read(number, Kind::of(line));
                });
            }
        })?;
    }
    Ok(())
}

/// Makes sure that the server has accepted every connection: without a greeting, only a line that arrives shows it. The
/// first sender repeats a probe until all other connections have received it.
///
/// # Errors
/// A connection never receives the probe.
pub fn probe(
    engine: &mut Engine<LineBuffer>,
    plan: &Plan,
    format: &Format,
    progress: &mut Progress,
) -> Result<(), String> {
    let sender = plan.receivers as usize;
    let mut barrier = Barrier::new(engine, plan, "reached");
    let mut probe = Vec::new();
    let said = Said {
        sender: 0,
        number: PROBE,
        at_ns: 0,
    };
    format.write(&mut probe, said);
    let (mut due_ns, mut interval_ns) = (engine.now_ns(), PROBE_INTERVAL_NS);
    progress.begin("probing", plan.connections() as u64);
    while barrier.count < plan.connections() - 1 {
        if engine.now_ns() >= due_ns {
            engine.write_all(sender, &probe)?;
            due_ns = engine.now_ns() + interval_ns;
            interval_ns *= 2;
        }
        barrier.poll(engine, |number, line| {
            let line = match line {
                Some(Kind::Said(line)) => format.read(line),
                _ => Line::Foreign,
            };
            number != sender && matches!(line, Line::Said(said) if said.number == PROBE)
        })?;
        progress.show(barrier.count as u64);
    }
    Ok(())
}
