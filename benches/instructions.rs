//! Counts the instructions that the server executes for an operation. A count, unlike a time, is the same on a busy
//! machine.
//!
//! ```text
//! cargo bench --bench instructions
//! ```
//!
//! The real scheduler and hub run on simulated sockets, which take everything and cost nothing, under valgrind's
//! callgrind. The operation is repeated n times and then 2n times; the difference is the cost of n, without setup and
//! teardown. Without valgrind nothing is counted.

use std::env;
use std::error::Error;
use std::io::{self, ErrorKind, IoSlice};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, ExitCode};

use madang::hub::limits::Limits;
use madang::hub::{ConnId, Hub, Now, Peer, Wire};
use madang::net::scheduler::Scheduler;
use madang::net::transport::{Event, HandshakeId, Net};

/// The hidden argument with which this program runs one operation. The operation's name and a number of times follow
/// it.
const RUN: &str = "run";
/// Members of the room besides the speaker.
const RECEIVERS: usize = 1000;
/// Lines in one read of the operation `batch`.
const BATCH: usize = 64;
/// Microseconds that a turn takes, and after which everything has been announced.
const TURN_US: u64 = 10;
const ANNOUNCED_US: u64 = 2_000_000;

/// An operation of the server.
struct Operation {
    name: &'static str,
    what: &'static str,
    /// How many repetitions the difference consists of, and how many items each repetition handles.
    times: usize,
    counts: usize,
    act: fn(usize),
}

const OPERATIONS: &[Operation] = &[
    Operation {
        name: "delivery",
        what: "a line of 64 bytes to 1,000 members: each delivery",
        times: 50,
        counts: RECEIVERS,
        act: |times| say(times, 1),
    },
    Operation {
        name: "batch",
        what: "64 such lines in one read to 1,000 members: each delivery",
        times: 50,
        counts: RECEIVERS * BATCH,
        act: |times| say(times, BATCH),
    },
    Operation {
        name: "newcomer",
        what: "a newcomer in a room of thousands: accepted and greeted",
        times: 2000,
        counts: 1,
        act: |times| drop(connect_members(RECEIVERS + times)),
    },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let [word, name, times] = &arguments[..]
        && word == RUN
    {
        let operation = OPERATIONS.iter().find(|operation| operation.name == name);
        let times = times.parse().expect("a number of times");
        (operation.expect("an operation").act)(times);
        return ExitCode::SUCCESS;
    }
    if !arguments.iter().any(|argument| argument == "--bench") {
        println!("nothing counted: run `cargo bench --bench instructions`");
        return ExitCode::SUCCESS;
    }
    match OPERATIONS.iter().try_for_each(count) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("instructions: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// Prints how many instructions an operation executes for each item.
fn count(operation: &Operation) -> Result<(), Box<dyn Error>> {
    let (Some(once), Some(twice)) = (
        executed(operation.name, operation.times)?,
        executed(operation.name, 2 * operation.times)?,
    ) else {
        println!("not counted, valgrind is not installed: {}", operation.what);
        return Ok(());
    };
    let each = (twice - once) as f64 / (operation.times * operation.counts) as f64;
    println!("{each:>8.1} instructions  {}", operation.what);
    Ok(())
}

/// How many instructions this program executes for so many repetitions of an operation; `None` without valgrind.
fn executed(operation: &str, times: usize) -> Result<Option<u64>, Box<dyn Error>> {
    let mut command = Command::new("valgrind");
    command
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(env::current_exe()?)
        .args([RUN, operation, &times.to_string()]);
    let output = match command.output() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let report = String::from_utf8_lossy(&output.stderr);
    let collected = report
        .lines()
        .find_map(|line| line.split_once("Collected : "));
    let (_, count) = collected.ok_or_else(|| format!("valgrind failed:\n{report}"))?;
    Ok(Some(count.trim().parse()?))
}

/// One member says so many lines in one read, and all others receive them; so many times.
fn say(times: usize, lines: usize) {
    let mut scheduler = connect_members(RECEIVERS + 1);
    let speaker = scheduler.net().first.expect("a member");
    scheduler.net().line = [&[b'm'; 63][..], b"\n"].concat().repeat(lines);
    for _ in 0..times {
        scheduler.net().has_sent = false;
        scheduler.event(Event::Ready {
            id: speaker,
            readable: true,
            writable: false,
        });
        run_until_quiet(&mut scheduler, TURN_US);
    }
}

/// A server with so many members in its lobby, all greeted.
fn connect_members(members: usize) -> Scheduler<BenchNet> {
    let limits = Limits {
        clients_max: members,
        ..Limits::default()
    };
    let net = BenchNet {
        newcomers: members,
        ..BenchNet::default()
    };
    let mut scheduler = Scheduler::new(net, Hub::new(limits), 1);
    scheduler.event(Event::Newcomers(0));
    run_until_quiet(&mut scheduler, TURN_US);
    run_until_quiet(&mut scheduler, ANNOUNCED_US);
    scheduler
}

/// Lets time pass, and runs the server until it has nothing to do.
fn run_until_quiet(scheduler: &mut Scheduler<BenchNet>, micros: u64) {
    scheduler.net().micros += micros;
    scheduler.run();
    while scheduler.timeout() == Some(0) {
        scheduler.net().micros += TURN_US;
        scheduler.run();
    }
}

/// Simulated sockets and a clock. Only the first client sends.
#[derive(Default)]
struct BenchNet {
    micros: u64,
    /// Connections that have not been accepted yet.
    newcomers: usize,
    first: Option<ConnId>,
    /// What the first client sends at each read, and whether it has been read this time.
    line: Vec<u8>,
    has_sent: bool,
}

/// A socket that takes everything at once.
struct Sink {
    is_first: bool,
}

impl Net for BenchNet {
    type Socket = Sink;

    fn now(&self, _: u64) -> Now {
        Now::from_micros(self.micros)
    }

    fn accept(&mut self, _listener: usize) -> io::Result<(Sink, Peer, Option<SocketAddr>)> {
        self.newcomers = self.newcomers.checked_sub(1).ok_or(ErrorKind::WouldBlock)?;
        let address = Some(Ipv4Addr::LOCALHOST.into());
        let wire = Wire::Chat;
        Ok((Sink { is_first: false }, Peer::new(address, wire), None))
    }

    fn register(&mut self, socket: &mut Sink, id: ConnId) -> io::Result<()> {
        socket.is_first = self.first.is_none();
        self.first.get_or_insert(id);
        Ok(())
    }

    fn register_newcomer(&mut self, _socket: &mut Sink, _id: HandshakeId) -> io::Result<()> {
        Err(ErrorKind::Unsupported.into())
    }

    fn reregister(&mut self, _socket: &mut Sink, _id: ConnId) -> io::Result<()> {
        Err(ErrorKind::Unsupported.into())
    }

    fn peek(&mut self, _socket: &mut Sink, _into: &mut [u8]) -> io::Result<usize> {
        Err(ErrorKind::Unsupported.into())
    }

    fn read(&mut self, socket: &mut Sink, into: &mut [u8]) -> io::Result<usize> {
        if !socket.is_first || self.has_sent || self.line.is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        self.has_sent = true;
        into[..self.line.len()].copy_from_slice(&self.line);
        Ok(self.line.len())
    }

    fn write(&mut self, _socket: &mut Sink, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(slices.iter().map(|slice| slice.len()).sum())
    }

    fn close_write(&mut self, _socket: &mut Sink) {}
}
