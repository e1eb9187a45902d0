//! What the server asks of the kernel to hand lines to a thousand members: which calls, and how many.

use crate::lab::ear::Tally;
use crate::lab::load::{Arrival, Load};
use crate::lab::report::{CALLS, Goal, Report};
use crate::lab::server::Server;
use crate::lab::{ANNOUNCED_AFTER, Lab, Outcome};
use crate::strace::{self, READS, Tracer, WAITS, WRITES};

const MEMBERS: usize = 1000;
/// How many speak in a burst.
const SPEAKERS: usize = 64;
/// Connections on their way at once: well within any backlog.
const AT_ONCE: usize = 100;
const LINE: &[u8] = b"a line that everybody in the room is to hear, and to hear at once\n";

/// The server's system calls while one member's lines go to the others, each awaited by all; then while 64 members
/// speak at the same moment, and again.
pub(crate) fn syscalls(lab: &Lab, report: &mut Report) -> Outcome<()> {
    let mut room = Room::gather(lab)?;
    room.burst(1)?;
    if !strace::is_installed() {
        report.note("calls not counted: strace is not installed");
        return Ok(());
    }

    let lines = lab.size(50, 10);
    let tracer = Tracer::attach(&room.server)?;
    for _ in 0..lines {
        room.burst(1)?;
    }
    let calls = tracer.finish()?;
    let a_line = |names| calls.of(names) / lines as f64;
    let others = MEMBERS as f64 - 1.0;
    let goal = Goal::AtMost(1.0);
    let name = "writes a line and member";
    report.row(name, a_line(WRITES) / others, CALLS, goal);
    report.told("writes a line", a_line(WRITES), CALLS);
    report.told("reads a line", a_line(READS), CALLS);
    report.told("waits for events (turns) a line", a_line(WAITS), CALLS);
    let strangers = calls.others(&[WRITES, READS, WAITS]);
    let strangers = if strangers.is_empty() {
        "none"
    } else {
        &strangers
    };
    report.note(&format!("other calls in all {lines} lines: {strangers}"));

    let bursts = lab.size(40, 4);
    let tracer = Tracer::attach(&room.server)?;
    for _ in 0..bursts {
        room.burst(SPEAKERS)?;
    }
    let calls = tracer.finish()?;
    let (writes, turns) = (calls.of(WRITES) / MEMBERS as f64, calls.of(WAITS));
    report.note(&format!("{SPEAKERS} lines at once"));
    let bursts = bursts as f64;
    let goal = Goal::AtMost(2.0);
    report.row("  writes a member and burst", writes / bursts, CALLS, goal);
    report.told("  turns a burst", turns / bursts, CALLS);
    report.note("under strace calls are slow, so turns that are bounded in time are many");
    Ok(())
}

/// A room of a thousand members.
struct Room {
    load: Load<Tally>,
    /// How many lines have been said to each member.
    said: Vec<u64>,
    /// Comes last, so that the clients are gone before it is ended.
    server: Server,
}

impl Room {
    fn gather(lab: &Lab) -> Outcome<Self> {
        let server = Server::madang(lab, &[])?;
        let mut load = Load::new(server.address, Arrival::Greeted)?;
        load.admit(MEMBERS, AT_ONCE)?;
        load.listen_for(ANNOUNCED_AFTER)?;
        if lab.load_has_its_own_core() {
            load.stay_awake();
        }
        let said = vec![0; MEMBERS];
        Ok(Self { load, said, server })
    }

    /// So many members send a line each, back to back, and all hear all.
    fn burst(&mut self, speakers: usize) -> Outcome<()> {
        let expected = self.load.heard() + (speakers * (MEMBERS - 1)) as u64;
        for speaker in 0..speakers {
            self.load.send(speaker, LINE)?;
        }
        self.load
            .until("all members to hear what was said", |load| {
                load.heard() >= expected
            })?;
        for (id, said) in self.said.iter_mut().enumerate() {
            *said += (speakers - usize::from(id < speakers)) as u64;
            let heard = self.load.ear(id).said;
            if heard != *said {
                return Err(format!("client {id} heard {heard} lines instead of {said}").into());
            }
        }
        Ok(())
    }
}
