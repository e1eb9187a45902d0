//! Fan-out: what it costs the server to hand a line to a thousand members, beside the floor, and in which calls.

use crate::Outcome;
use crate::ear::Tally;
use crate::floor::Piece;
use crate::lab::{ANNOUNCED_AFTER, Lab};
use crate::load::{Arrival, Load};
use crate::report::{CALLS, Goal, NANOSECONDS, Report, Rounds, TIMES};
use crate::server::Server;
use crate::strace::{self, READS, Tracer, WAITS, WRITES};

const RECEIVERS: usize = 1000;
/// The one who speaks alone: the first to connect, in the floor's eyes and as madang's `guest1`.
const SENDER: usize = 0;
/// How many speak in a burst. They are members like the others and hear all lines but their own.
const SENDERS: usize = 64;
/// Bytes of a line's text.
const TEXT_BYTES: usize = 64;
/// What madang puts before the first guest's text.
const NAME: &str = "guest1: ";
/// Connections on their way at once: well within any backlog.
const AT_ONCE: usize = 100;
/// Lines before each measured round. A TCP receiver acknowledges its first 16 segments after a silence one by one,
/// later ones seldom, and the sender pays for it; besides, the other server has just emptied the caches.
const WARM_UP: Pattern = Pattern {
    lines: 1,
    windows: 18,
};

/// Lines sent together, and how many such windows make a round.
#[derive(Clone, Copy)]
struct Pattern {
    lines: u64,
    windows: u64,
}

impl Pattern {
    /// A line at a time, so many times.
    fn single(windows: u64) -> Self {
        Self { lines: 1, windows }
    }

    /// 256 lines in flight, so many times.
    fn batched(windows: u64) -> Self {
        Self {
            lines: 256,
            windows,
        }
    }
}

/// A server and its audience: one sender, a thousand receivers.
struct Hall {
    load: Load<Tally>,
    /// The line as the sender sends it.
    line: Vec<u8>,
    /// Comes last, so that the clients are gone before it is ended.
    server: Server,
}

impl Hall {
    fn madang(lab: &Lab) -> Outcome<Self> {
        let text = "m".repeat(TEXT_BYTES);
        Self::gather(
            lab,
            Server::madang(lab, &[])?,
            Arrival::Greeted,
            format!("{text}\n"),
        )
    }

    /// The floor adds no name: its sender sends one along, so that every receiver gets the same bytes from both.
    fn floor(lab: &Lab, piece: Piece) -> Outcome<Self> {
        let text = "m".repeat(TEXT_BYTES);
        Self::gather(
            lab,
            Server::floor(lab, piece, RECEIVERS)?,
            Arrival::Connected,
            format!("{NAME}{text}\n"),
        )
    }

    fn gather(lab: &Lab, server: Server, arrival: Arrival, line: String) -> Outcome<Self> {
        let mut load = Load::new(server.address, arrival)?;
        load.admit(1, 1)?;
        load.admit(RECEIVERS, AT_ONCE)?;
        load.listen_for(ANNOUNCED_AFTER)?;
        if lab.load_has_its_own_core() {
            load.stay_awake();
        }
        Ok(Self {
            load,
            line: line.into_bytes(),
            server,
        })
    }

    /// The server's time on its core for each line and receiver, in nanoseconds.
    fn round(&mut self, pattern: Pattern) -> Outcome<f64> {
        self.speak(WARM_UP)?;
        let before = self.server.cpu_ns()?;
        self.speak(pattern)?;
        let after = self.server.cpu_ns()?;
        let deliveries = pattern.lines * pattern.windows * RECEIVERS as u64;
        Ok((after - before) as f64 / deliveries as f64)
    }

    /// Sends windows of lines, each when all have heard the last.
    fn speak(&mut self, pattern: Pattern) -> Outcome<()> {
        let window = self.line.repeat(pattern.lines as usize);
        for _ in 0..pattern.windows {
            let expected = self.load.heard() + pattern.lines * RECEIVERS as u64;
            self.load.send(SENDER, &window)?;
            self.load.until("all receivers to hear a line", |load| {
                load.heard() >= expected
            })?;
        }
        self.check()
    }

    /// Every receiver has heard every line once, in as many bytes as the comparison assumes.
    fn check(&self) -> Outcome<()> {
        let said = self.load.heard() / RECEIVERS as u64;
        let said_bytes = said * (NAME.len() + TEXT_BYTES + 1) as u64;
        for (id, ear) in self.load.ears().enumerate().skip(1) {
            if (ear.said, ear.said_bytes) != (said, said_bytes) {
                let heard = format!("{} lines in {} bytes", ear.said, ear.said_bytes);
                return Err(
                    format!("client {id} heard {heard} instead of {said} in {said_bytes}").into(),
                );
            }
        }
        Ok(())
    }
}

/// A room of a thousand members, of whom 64 speak at the same moment.
struct Chorus {
    load: Load<Tally>,
    line: Vec<u8>,
    server: Server,
}

impl Chorus {
    const DELIVERIES: u64 = (SENDERS * (RECEIVERS - 1)) as u64;

    fn gather(lab: &Lab) -> Outcome<Self> {
        let server = Server::madang(lab, &[])?;
        let mut load = Load::new(server.address, Arrival::Greeted)?;
        load.admit(RECEIVERS, AT_ONCE)?;
        load.listen_for(ANNOUNCED_AFTER)?;
        if lab.load_has_its_own_core() {
            load.stay_awake();
        }
        let line = format!("{}\n", "m".repeat(TEXT_BYTES)).into_bytes();
        Ok(Self { load, line, server })
    }

    /// Each sender sends a line, back to back, and all hear all; so many times.
    fn burst(&mut self, times: u64) -> Outcome<()> {
        for _ in 0..times {
            let expected = self.load.heard() + Self::DELIVERIES;
            for sender in 0..SENDERS {
                self.load.send(sender, &self.line)?;
            }
            self.load.until("all members to hear a burst", |load| {
                load.heard() >= expected
            })?;
        }
        Ok(())
    }

    /// The server's time on its core for each line and member, in nanoseconds.
    fn round(&mut self, bursts: u64) -> Outcome<f64> {
        self.burst(WARM_UP.windows)?;
        let before = self.server.cpu_ns()?;
        self.burst(bursts)?;
        Ok((self.server.cpu_ns()? - before) as f64 / (bursts * Self::DELIVERIES) as f64)
    }
}

/// CPU per delivery of madang beside the floor, a line at a time and with 256 in flight.
pub(crate) fn fanout(lab: &Lab, report: &mut Report) -> Outcome<()> {
    let mut madang = Hall::madang(lab)?;
    let mut floor = Hall::floor(lab, Piece::Line)?;
    let one = Pattern::single(lab.size(60, 20));
    let compared = side_by_side(lab.size(31, 11), || floor.round(one), || madang.round(one))?;
    compared.report(report, "one line at a time", "floor", Goal::AtMost(1.05));

    let few = Pattern::batched(1);
    let many = Pattern::batched(lab.size(20, 5));
    let compared = side_by_side(lab.size(5, 2), || floor.round(few), || madang.round(many))?;
    compared.report(report, "256 in flight", "floor", Goal::AtMost(1.3));

    drop(floor);
    let mut floor = Hall::floor(lab, Piece::Read)?;
    let compared = side_by_side(lab.size(31, 5), || floor.round(many), || madang.round(many))?;
    let goal = Goal::AtMost(1.3);
    compared.report(report, "256 in flight", "floor, whole reads", goal);
    madang.server.note_company(report)
}

/// Whether lines that come together leave together: writes a member, and CPU beside the floor's line at a time.
pub(crate) fn senders(lab: &Lab, report: &mut Report) -> Outcome<()> {
    let mut chorus = Chorus::gather(lab)?;
    let mut floor = Hall::floor(lab, Piece::Line)?;
    let one = Pattern::single(lab.size(60, 20));
    let bursts = lab.size(40, 10);
    let compared = side_by_side(lab.size(9, 5), || floor.round(one), || chorus.round(bursts))?;
    let floor_name = "floor, a line at a time";
    compared.report(report, "64 lines at once", floor_name, Goal::None);
    chorus.server.note_company(report)?;
    drop(floor);

    let Some(tracer) = attach(&chorus.server, report)? else {
        return Ok(());
    };
    let bursts = lab.size(40, 4);
    chorus.burst(bursts)?;
    let calls = tracer.finish()?;
    let bursts = bursts as f64;
    let (writes, turns) = (calls.of(WRITES) / RECEIVERS as f64, calls.of(WAITS));
    report.told("writes a member and burst", writes / bursts, CALLS);
    report.told("turns a burst", turns / bursts, CALLS);
    let goal = Goal::AtMost(1.0);
    report.row("writes a member and turn", writes / turns, CALLS, goal);
    Ok(())
}

/// The server's system calls while one sender's lines go to a thousand receivers, each awaited by all.
pub(crate) fn syscalls(lab: &Lab, report: &mut Report) -> Outcome<()> {
    let mut madang = Hall::madang(lab)?;
    madang.speak(WARM_UP)?;
    let Some(tracer) = attach(&madang.server, report)? else {
        return Ok(());
    };
    let lines = lab.size(50, 10);
    madang.speak(Pattern::single(lines))?;
    let calls = tracer.finish()?;
    let a_line = |names| calls.of(names) / lines as f64;
    let (reads, writes, waits) = (a_line(READS), a_line(WRITES), a_line(WAITS));
    let writes_a_member = writes / RECEIVERS as f64;
    let goal = Goal::AtMost(1.0);
    report.row("writes a line and member", writes_a_member, CALLS, goal);
    report.told("writes a line", writes, CALLS);
    report.told("reads a line", reads, CALLS);
    report.told("waits for events (turns) a line", waits, CALLS);
    let others = calls.others(&[WRITES, READS, WAITS]);
    let others = if others.is_empty() { "none" } else { &others };
    report.note(&format!("other calls in all {lines} lines: {others}"));
    report.note("under strace calls are slow, so turns that are bounded in time are many");
    Ok(())
}

/// What the rounds of two servers gave, and each pair's ratio.
struct Comparison {
    floor: Rounds,
    madang: Rounds,
    ratio: Rounds,
}

/// Measures both by turns. Each goes first every other time, lest a drift of the machine favours one.
fn side_by_side(
    rounds: usize,
    mut floor: impl FnMut() -> Outcome<f64>,
    mut madang: impl FnMut() -> Outcome<f64>,
) -> Outcome<Comparison> {
    let mut pairs = Vec::new();
    for round in 0..rounds {
        if round % 2 == 0 {
            let first = floor()?;
            pairs.push((first, madang()?));
        } else {
            let first = madang()?;
            pairs.push((floor()?, first));
        }
    }
    Ok(Comparison {
        floor: Rounds::of(pairs.iter().map(|&(floor, _)| floor)),
        madang: Rounds::of(pairs.iter().map(|&(_, madang)| madang)),
        ratio: Rounds::of(pairs.iter().map(|&(floor, madang)| madang / floor)),
    })
}

impl Comparison {
    fn report(self, report: &mut Report, what: &str, floor: &str, goal: Goal) {
        report.note(&format!("{what}, CPU a delivery"));
        report.told(&format!("  {floor}"), self.floor, NANOSECONDS);
        report.told("  madang", self.madang, NANOSECONDS);
        report.row("  madang / floor", self.ratio, TIMES, goal);
    }
}

/// A tracer on the server, or a remark in the report when the machine has no strace.
fn attach(server: &Server, report: &mut Report) -> Outcome<Option<Tracer>> {
    if strace::is_installed() {
        return Tracer::attach(server).map(Some);
    }
    report.note("calls not counted: strace is not installed");
    Ok(None)
}
