//! What the server itself executes for what it does, counted and not timed: the same on a busy machine.
//!
//! ```text
//! cargo bench --bench instructions
//! ```
//!
//! Each deed is done by the real turn and the real hub on sockets that take everything and cost nothing, under
//! valgrind's callgrind, so many times and then twice as many; the difference is what one costs, and what comes before
//! and after falls out. Without valgrind it says so and measures nothing.

use std::env;
use std::error::Error;
use std::io::{self, ErrorKind, IoSlice};
use std::net::Ipv4Addr;
use std::process::{Command, ExitCode};

use madang::hub::limits::Limits;
use madang::hub::{ConnId, Hub, Now, Peer, Wire};
use madang::net::scheduler::Scheduler;
use madang::net::transport::{Event, Net};

/// The hidden argument that makes this program do a deed. The deed's name and how often follow it.
const DO: &str = "do";
/// Members of the room besides the one who speaks.
const LISTENERS: usize = 1000;
/// Lines that come in one read where many do.
const BATCH: usize = 64;
/// Microseconds that a turn takes in this world, and in which everything is announced.
const TURN_US: u64 = 10;
const QUIET_US: u64 = 2_000_000;

/// Something the server does.
struct Deed {
    name: &'static str,
    what: &'static str,
    /// How often the whole of it is done for the difference, and how many of what is counted that makes each time.
    times: usize,
    counts: usize,
    act: fn(usize),
}

const DEEDS: &[Deed] = &[
    Deed {
        name: "delivery",
        what: "a line of 64 bytes to 1,000 members: each delivery",
        times: 50,
        counts: LISTENERS,
        act: |times| say(times, 1),
    },
    Deed {
        name: "batch",
        what: "64 such lines in one read to 1,000 members: each delivery",
        times: 50,
        counts: LISTENERS * BATCH,
        act: |times| say(times, BATCH),
    },
    Deed {
        name: "newcomer",
        what: "a newcomer in a room of thousands: let in and greeted",
        times: 2000,
        counts: 1,
        act: |times| drop(gather(LISTENERS + times)),
    },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let [word, name, times] = &arguments[..]
        && word == DO
    {
        let deed = DEEDS.iter().find(|deed| deed.name == name);
        let times = times.parse().expect("a number of times");
        (deed.expect("a deed").act)(times);
        return ExitCode::SUCCESS;
    }
    if !arguments.iter().any(|argument| argument == "--bench") {
        println!("nothing counted: run `cargo bench --bench instructions`");
        return ExitCode::SUCCESS;
    }
    match DEEDS.iter().try_for_each(count) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("instructions: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// Prints how many instructions a deed takes.
fn count(deed: &Deed) -> Result<(), Box<dyn Error>> {
    let (Some(once), Some(twice)) = (
        executed(deed.name, deed.times)?,
        executed(deed.name, 2 * deed.times)?,
    ) else {
        println!("not counted, valgrind is not installed: {}", deed.what);
        return Ok(());
    };
    let each = (twice - once) as f64 / (deed.times * deed.counts) as f64;
    println!("{each:>8.1} instructions  {}", deed.what);
    Ok(())
}

/// How many instructions this program executes to do a deed so many times; `None` without valgrind.
fn executed(deed: &str, times: usize) -> Result<Option<u64>, Box<dyn Error>> {
    let mut command = Command::new("valgrind");
    command
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(env::current_exe()?)
        .args([DO, deed, &times.to_string()]);
    let output = match command.output() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let told = String::from_utf8_lossy(&output.stderr);
    let collected = told
        .lines()
        .find_map(|line| line.split_once("Collected : "));
    let (_, count) = collected.ok_or_else(|| format!("valgrind failed:\n{told}"))?;
    Ok(Some(count.trim().parse()?))
}

/// One member says so many lines in one read, and all are given them; so many times.
fn say(times: usize, lines: usize) {
    let mut scheduler = gather(LISTENERS + 1);
    let speaker = scheduler.net().first.expect("somebody is there");
    scheduler.net().line = [&[b'm'; 63][..], b"\n"].concat().repeat(lines);
    for _ in 0..times {
        scheduler.net().has_said = false;
        scheduler.event(Event::Ready {
            id: speaker,
            readable: true,
            writable: false,
        });
        settle(&mut scheduler, TURN_US);
    }
}

/// A server with so many members in its lobby, all greeted.
fn gather(members: usize) -> Scheduler<Quiet> {
    let limits = Limits {
        clients_max: members,
        ..Limits::default()
    };
    let net = Quiet {
        newcomers: members,
        ..Quiet::default()
    };
    let mut scheduler = Scheduler::new(net, Hub::new(limits), 1);
    scheduler.event(Event::Newcomers(0));
    settle(&mut scheduler, TURN_US);
    settle(&mut scheduler, QUIET_US);
    scheduler
}

/// Lets the server do all that there is to do.
fn settle(scheduler: &mut Scheduler<Quiet>, micros: u64) {
    scheduler.net().micros += micros;
    scheduler.run();
    while scheduler.timeout() == Some(0) {
        scheduler.net().micros += TURN_US;
        scheduler.run();
    }
}

/// A world in which everybody listens, and only the first speaks.
#[derive(Default)]
struct Quiet {
    micros: u64,
    /// How many are still to come.
    newcomers: usize,
    first: Option<ConnId>,
    /// What the first says, and whether it has.
    line: Vec<u8>,
    has_said: bool,
}

/// A connection that takes all that it is given at once.
struct Sink {
    is_first: bool,
}

impl Net for Quiet {
    type Socket = Sink;

    fn now(&self) -> Now {
        Now::from_micros(self.micros)
    }

    fn accept(&mut self, _listener: usize) -> io::Result<(Sink, Peer)> {
        self.newcomers = self.newcomers.checked_sub(1).ok_or(ErrorKind::WouldBlock)?;
        let address = Some(Ipv4Addr::LOCALHOST.into());
        let wire = Wire::Chat;
        Ok((Sink { is_first: false }, Peer { address, wire }))
    }

    fn register(&mut self, socket: &mut Sink, id: ConnId) -> io::Result<()> {
        socket.is_first = self.first.is_none();
        self.first.get_or_insert(id);
        Ok(())
    }

    fn read(&mut self, socket: &mut Sink, into: &mut [u8]) -> io::Result<usize> {
        if !socket.is_first || self.has_said || self.line.is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        self.has_said = true;
        into[..self.line.len()].copy_from_slice(&self.line);
        Ok(self.line.len())
    }

    fn write(&mut self, _socket: &mut Sink, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(slices.iter().map(|slice| slice.len()).sum())
    }

    fn close_write(&mut self, _socket: &mut Sink) {}
}
