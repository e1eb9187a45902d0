//! The harness of the benches: the command line and the conditions of a measurement, here; the clients ([`load`],
//! [`decoder`], [`group`], [`audience`]), the server as a child process ([`server`]) and its peers ([`servers`]), and the
//! rows of the report ([`report`]).
//!
//! The clients are those of `madang bench`. The server runs as its users run it, in a process of its own. Linux only:
//! what a process uses is read from `/proc`.

#![allow(dead_code, reason = "each bench uses a part of the harness")]

pub(crate) mod audience;
#[path = "../../tests/common/authority.rs"]
pub(crate) mod authority;
pub(crate) mod certificate;
pub(crate) mod decoder;
pub(crate) mod group;
pub(crate) mod load;
pub(crate) mod report;
pub(crate) mod server;
pub(crate) mod servers;
pub(crate) mod silence;

use std::env;
use std::error::Error;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use rustix::process::{Resource, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The result of whatever can fail here; the text of an error is printed in the report.
pub(crate) type Outcome<T> = Result<T, Box<dyn Error>>;

/// How long anything is waited for before the wait becomes an error.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(50);

/// After this time a server has announced all members that joined or left: announcements are gathered for up to 1 s.
pub(crate) const ANNOUNCED_AFTER: Duration = Duration::from_millis(1_200);

/// Flags of a server that makes no announcements, so that no announcement has to be waited for.
pub(crate) const UNANNOUNCED: &[&str] = &["--announce-limit", "0"];

/// Descriptors that a process needs beside its connections: standard streams, poll, listener, `/proc` files.
const OTHER_DESCRIPTORS: u64 = 64;

/// A thing to measure; `run` does it.
pub(crate) struct Scenario<F> {
    /// What it is called on the command line.
    pub(crate) name: &'static str,
    pub(crate) headline: &'static str,
    pub(crate) run: F,
}

/// What the command line asks for.
pub(crate) struct Request<F: 'static> {
    /// All, if none is named.
    pub(crate) scenarios: Vec<&'static Scenario<F>>,
    /// Whether the sizes are reduced.
    pub(crate) short: bool,
    /// Arguments that are neither a scenario nor `--short`, in order.
    pub(crate) rest: Vec<String>,
}

/// The `main` of a bench: reads the command line and calls `measure`, which returns whether everything could be
/// measured.
pub(crate) fn run<F>(
    bench: &str,
    all: &'static [Scenario<F>],
    measure: impl FnOnce(Request<F>) -> Outcome<bool>,
) -> ExitCode {
    let (flags, rest): (Vec<String>, Vec<String>) = env::args()
        .skip(1)
        .partition(|argument| argument == "--bench" || argument == "--short");
    // `cargo test --all-targets` starts the benches too, without `--bench`.
    if !flags.iter().any(|flag| flag == "--bench") {
        println!("nothing measured: run `cargo bench --bench {bench}`");
        return ExitCode::SUCCESS;
    }
    let is_scenario = |name: &String| all.iter().any(|scenario| scenario.name == name);
    let (names, rest): (Vec<String>, Vec<String>) = rest.into_iter().partition(is_scenario);
    let is_chosen = |scenario: &&Scenario<F>| {
        names.is_empty() || names.iter().any(|name| name == scenario.name)
    };
    let request = Request {
        scenarios: all.iter().filter(is_chosen).collect(),
        short: flags.iter().any(|flag| flag == "--short"),
        rest,
    };
    match measure(request) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("{bench}: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// The error for an argument that is neither a scenario nor any of `others`.
pub(crate) fn unknown<F>(argument: &str, all: &[Scenario<F>], others: &[&str]) -> Box<dyn Error> {
    let names = all.iter().map(|scenario| scenario.name);
    let known: Vec<&str> = names.chain(others.iter().copied()).collect();
    let known = known.join(", ");
    format!("unknown argument {argument:?}; there are: {known}").into()
}

/// Where the server and the load run.
enum Cores {
    /// Each has a core of its own.
    Apart { server: usize, load: usize },
    /// This process may use only one core, which the two share.
    Shared,
}

/// The conditions of a measurement.
pub(crate) struct Harness {
    short: bool,
    cores: Cores,
    descriptors: u64,
}

impl Harness {
    /// Prepares this process: raises its descriptor limit to the hard limit, and moves it to the load's core.
    pub(crate) fn new(short: bool) -> Outcome<Self> {
        let harness = Self {
            short,
            cores: choose_cores()?,
            descriptors: raise_descriptor_limit()?,
        };
        harness.pin_to_load_core()?;
        Ok(harness)
    }

    /// Chooses between a full size and its reduced one.
    pub(crate) fn size<T>(&self, full: T, short: T) -> T {
        if self.short { short } else { full }
    }

    /// Fails if the descriptor limit does not allow so many connections.
    pub(crate) fn require_connections(&self, connections: usize) -> Outcome<()> {
        let needed = connections as u64 + OTHER_DESCRIPTORS;
        if self.descriptors < needed {
            let limit = self.descriptors;
            let problem = format!("needs {needed} descriptors, but `ulimit -Hn` says {limit}");
            return Err(problem.into());
        }
        Ok(())
    }

    /// Whether the load may keep its core busy without taking time from the server.
    pub(crate) fn load_has_its_own_core(&self) -> bool {
        matches!(self.cores, Cores::Apart { .. })
    }

    /// The descriptor limit of this process and its children.
    pub(crate) fn descriptors(&self) -> u64 {
        self.descriptors
    }

    /// Runs `start` on the server's core, so that the child process stays there with all its threads.
    pub(crate) fn on_server_core<T>(&self, start: impl FnOnce() -> io::Result<T>) -> Outcome<T> {
        if let Cores::Apart { server, .. } = self.cores {
            pin_to(server)?;
        }
        let started = start();
        self.pin_to_load_core()?;
        Ok(started?)
    }

    /// The first line of the report.
    pub(crate) fn describe(&self) -> String {
        let size = self.size("full size", "reduced size");
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let cores = match self.cores {
            Cores::Apart { server, load } => {
                format!("server on core {server}, load on core {load}")
            }
            Cores::Shared => "server and load share ONE core: times say little".to_owned(),
        };
        format!(
            "{size}; {cores}; up to {} descriptors a process; Linux {}",
            self.descriptors,
            kernel.trim()
        )
    }

    fn pin_to_load_core(&self) -> io::Result<()> {
        match self.cores {
            Cores::Apart { load, .. } => pin_to(load),
            Cores::Shared => Ok(()),
        }
    }
}

/// The first two cores that this process may use.
fn choose_cores() -> io::Result<Cores> {
    let allowed = sched_getaffinity(None)?;
    let mut cores = (0..CpuSet::MAX_CPU).filter(|&core| allowed.is_set(core));
    Ok(match (cores.next(), cores.next()) {
        (Some(server), Some(load)) => Cores::Apart { server, load },
        _ => Cores::Shared,
    })
}

fn pin_to(core: usize) -> io::Result<()> {
    let mut only = CpuSet::new();
    only.set(core);
    Ok(sched_setaffinity(None, &only)?)
}

/// Looks for a program on PATH, then in the directories of servers, which only root's PATH has on Debian.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/usr/local/sbin".into()])
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// Raises the soft limit to the hard one, for this process and the children that inherit it.
fn raise_descriptor_limit() -> io::Result<u64> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit)?;
    Ok(limit.current.unwrap_or(u64::MAX))
}
