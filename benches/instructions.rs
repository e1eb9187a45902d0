//! The instructions that the server itself executes, counted and not timed: they are the same on a busy machine.
//!
//! ```text
//! cargo bench --bench instructions
//! ```
//!
//! The real scheduler and the real hub do each task on sockets that take everything and cost nothing, under valgrind's
//! callgrind: so many times, and then twice as many. The difference is the cost of the task, without what comes before and
//! after it. Without valgrind nothing is measured.

use std::env;
use std::error::Error;
use std::io::{self, ErrorKind, IoSlice};
use std::net::Ipv4Addr;
use std::process::{Command, ExitCode};

use madang::hub::limits::Limits;
use madang::hub::{ConnId, Hub, Now, Peer, Wire};
use madang::net::turn::Turn;
use madang::net::world::{Event, Net};

/// The hidden argument that makes this program do a task. The task's name and a number of times follow it.
const DO: &str = "do";
/// Members of the room beside the sender.
const LISTENERS: usize = 1000;
/// Lines of one read in the task `batch`.
const BATCH: usize = 64;
/// Microseconds that a turn takes here, and after which all members that joined are announced.
const TURN_US: u64 = 10;
const QUIET_US: u64 = 2_000_000;

/// Something that the server does.
struct Task {
    name: &'static str,
    what: &'static str,
    /// How many times it is done for the difference.
    times: usize,
    /// How many of what is counted it does each time.
    counts: usize,
    act: fn(usize),
}

const TASKS: &[Task] = &[
    Task {
        name: "delivery",
        what: "a line of 64 bytes to 1,000 members: each delivery",
        times: 50,
        counts: LISTENERS,
        act: |times| say(times, 1),
    },
    Task {
        name: "batch",
        what: "64 such lines in one read to 1,000 members: each delivery",
        times: 50,
        counts: LISTENERS * BATCH,
        act: |times| say(times, BATCH),
    },
    Task {
        name: "newcomer",
        what: "a connection in a room of thousands: accepted and greeted",
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
        let task = TASKS.iter().find(|task| task.name == name);
        let times = times.parse().expect("a number of times");
        (task.expect("a task").act)(times);
        return ExitCode::SUCCESS;
    }
    if !arguments.iter().any(|argument| argument == "--bench") {
        println!("nothing counted: run `cargo bench --bench instructions`");
        return ExitCode::SUCCESS;
    }
    match TASKS.iter().try_for_each(count) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("instructions: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// Prints how many instructions a task takes.
fn count(task: &Task) -> Result<(), Box<dyn Error>> {
    let (Some(once), Some(twice)) = (
        executed(task.name, task.times)?,
        executed(task.name, 2 * task.times)?,
    ) else {
        println!("not counted, valgrind is not installed: {}", task.what);
        return Ok(());
    };
    let difference = twice
        .checked_sub(once)
        .ok_or("a task took fewer instructions when it was done twice as often")?;
    let each = difference as f64 / (task.times * task.counts) as f64;
    println!("{each:>8.1} instructions  {}", task.what);
    Ok(())
}

/// How many instructions this program executes to do a task so many times; `None` without valgrind.
fn executed(task: &str, times: usize) -> Result<Option<u64>, Box<dyn Error>> {
    let mut command = Command::new("valgrind");
    command
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(env::current_exe()?)
        .args([DO, task, &times.to_string()]);
    let output = match command.output() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let messages = String::from_utf8_lossy(&output.stderr);
    let collected = messages
        .lines()
        .find_map(|line| line.split_once("Collected : "));
    let (_, count) = collected.ok_or_else(|| format!("valgrind failed:\n{messages}"))?;
    Ok(Some(count.trim().parse()?))
}

/// One member sends so many lines in one read, and all others get them; so many times.
fn say(times: usize, lines: usize) {
    let mut turn = gather(LISTENERS + 1);
    let sender = turn.net().first.expect("there are members");
    turn.net().line = [&[b'm'; 63][..], b"\n"].concat().repeat(lines);
    for _ in 0..times {
        turn.net().has_said = false;
        turn.event(Event::Ready {
            id: sender,
            readable: true,
            writable: false,
        });
        settle(&mut turn, TURN_US);
    }
}

/// A server with so many members in its lobby, all of them greeted.
fn gather(members: usize) -> Turn<Quiet> {
    let limits = Limits {
        clients_max: members,
        ..Limits::default()
    };
    let net = Quiet {
        newcomers: members,
        ..Quiet::default()
    };
    let mut turn = Turn::new(net, Hub::new(limits), 1);
    turn.event(Event::Newcomers(0));
    settle(&mut turn, TURN_US);
    settle(&mut turn, QUIET_US);
    turn
}

/// Runs the server until it has nothing left to do.
fn settle(turn: &mut Turn<Quiet>, micros: u64) {
    turn.net().micros += micros;
    turn.run();
    while turn.patience() == Some(0) {
        turn.net().micros += TURN_US;
        turn.run();
    }
}

/// Sockets of which only the first sends.
#[derive(Default)]
struct Quiet {
    micros: u64,
    /// How many connections have not been accepted yet.
    newcomers: usize,
    first: Option<ConnId>,
    /// What the first sends, and whether it has.
    line: Vec<u8>,
    has_said: bool,
}

/// A socket that takes all bytes at once.
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
