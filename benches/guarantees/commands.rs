//! Commands and refusals: whether any of them, repeated by many clients as fast as they can, delays others more than plain
//! lines do.

use std::time::Duration;

use crate::flooders::Flooders;
use crate::harness::load::Arrival;
use crate::harness::report::{Goal, MILLISECONDS, Report};
use crate::harness::server::Server;
use crate::harness::{Harness, Outcome};
use crate::pair::{Latency, Pair, report_longest_turn};

const FLOODERS: usize = 60;
/// How much later a line of the pair may be than beside plain lines.
const TIMES_MAX: f64 = 2.0;

/// The first is what the others are compared with.
const COMMANDS: &[Command] = &[
    command("plain lines", |_| b"hello everybody\n".to_vec()),
    command("/nick by turns", |id| {
        text(format!("/nick u{id}\n/nick v{id}\n"))
    }),
    command("/nick in use", |id| text(format!("/nick fl{}\n", next(id)))),
    command("/nick that looks like one in use", |id| {
        text(format!("/nick fI{}\n", next(id)))
    }),
    command("/nick that is invalid", |_| b"/nick a:b\n".to_vec()),
    command("/nick and 8 KB of U+FDFA", |_| with_ligatures("/nick ")),
    command("/join by turns", |id| {
        text(format!("/join x{id}\n/join y{id}\n"))
    }),
    command("/join of an invalid room", |_| b"/join a:b\n".to_vec()),
    command("/join and 8 KB of U+FDFA", |_| with_ligatures("/join ")),
    command("/msg", |_| b"/msg\n".to_vec()),
    command("/msg to nobody", |_| b"/msg nobody hello\n".to_vec()),
    command("/msg to oneself", |id| text(format!("/msg fl{id} hello\n"))),
    command("/msg to the next client", |id| {
        text(format!("/msg fl{} hello\n", next(id)))
    }),
    command("/msg and 8 KB of U+FDFA", |_| {
        with_ligatures("/msg nobody ")
    }),
    command("/who", |_| b"/who\n".to_vec()),
    command("/who of another room", |id| {
        text(format!("/who r{}\n", next(id)))
    }),
    command("/who and 8 KB of U+FDFA", |_| with_ligatures("/who ")),
    command("/rooms", |_| b"/rooms\n".to_vec()),
    command("/help", |_| b"/help\n".to_vec()),
    command("/me", |_| b"/me waves\n".to_vec()),
    command("unknown command", |_| b"/nonsense\n".to_vec()),
    command("unknown command of 8 KB", |_| with_ligatures("/")),
    command("//text", |_| b"//text\n".to_vec()),
    command("lines that are not UTF-8", |_| b"\xff\xfe\n".to_vec()),
    command("long lines that are not UTF-8", |_| {
        [&[b'x'; 8_000][..], b"\xff\n"].concat()
    }),
    command("lines that are too long", |_| {
        text("x".repeat(10_000) + "\n")
    }),
    command("empty lines", |_| b"\n".to_vec()),
    command("telnet: are you there", |_| b"\xff\xf6".to_vec()),
    command("telnet: new options", |_| {
        b"\xff\xfd\x01\xff\xfe\x01".to_vec()
    }),
];

/// What all flooders send, over and over.
struct Command {
    name: &'static str,
    /// The bytes that the flooder of this number repeats.
    bytes: fn(usize) -> Vec<u8>,
}

const fn command(name: &'static str, bytes: fn(usize) -> Vec<u8>) -> Command {
    Command { name, bytes }
}

fn text(text: String) -> Vec<u8> {
    text.into_bytes()
}

/// The number of the flooder after this one.
fn next(id: usize) -> usize {
    (id + 1) % FLOODERS
}

/// A line of 8 KB that becomes 18 times as many characters when it is normalised (NFKC).
fn with_ligatures(command: &str) -> Vec<u8> {
    text(format!("{command}{}\n", "\u{fdfa}".repeat(2_700)))
}

/// Floods a server of its own with each command.
pub(crate) fn commands(harness: &Harness, report: &mut Report) -> Outcome<()> {
    let mut plain = None;
    for command in COMMANDS {
        let server = Server::madang_with_log(harness, &[])?;
        let latency = flood(&server, command, harness)?;
        let goal = plain.map_or(Goal::None, |plain| Goal::AtMost(TIMES_MAX * plain));
        plain.get_or_insert(latency.p99);
        let (median, longest) = (latency.median, latency.longest);
        let note = format!("median {median:.2} ms, longest {longest:.2} ms");
        let name = format!("{}: 99th percentile", command.name);
        report.row_with_note(&name, latency.p99, MILLISECONDS, goal, &note);
        report.note_if(latency.remark());
        report_longest_turn(server, report)?;
    }
    Ok(())
}

/// How late the pair's lines are.
fn flood(server: &Server, command: &Command, harness: &Harness) -> Outcome<Latency> {
    let arrival = Arrival::Answered {
        hello: |id| text(format!("/nick fl{id}\n/join r{id}\n")),
        answer: b"* you are in r",
    };
    let mut pair = Pair::gather(server.address, Arrival::Greeted, 1)?;
    let mut flooders = Flooders::gather(server.address, FLOODERS, arrival, command.bytes)?;
    flooders.warm_up()?;
    let time = harness.size(Duration::from_secs(4), Duration::from_millis(400));
    let latency = pair.talk(time, || flooders.step())?;
    match latency.lost {
        0 => Ok(latency),
        lost => Err(format!("{}: {lost} lines lost", command.name).into()),
    }
}
