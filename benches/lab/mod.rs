//! What every bench stands on: the conditions of a measurement (sizes, cores, descriptors, patience), here; the clients
//! ([`load`], [`ear`]), the server as a child process ([`server`]), and the rows of its report ([`report`]).
//!
//! A bench mounts this folder as its module `lab`. Nothing here is linked with the server's own code: what is measured
//! is what a user would run. Linux only: what a process has used is read from `/proc`.

#![allow(dead_code, reason = "each bench needs its own part of the lab")]

pub(crate) mod ear;
pub(crate) mod load;
pub(crate) mod report;
pub(crate) mod server;

use std::error::Error;
use std::fs;
use std::io;
use std::time::Duration;

use rustix::process::{Resource, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The result of whatever can fail here; an error's text is made to be read in the report.
pub(crate) type Outcome<T> = Result<T, Box<dyn Error>>;

/// How long anything is waited for before the wait becomes an error.
pub(crate) const PATIENCE: Duration = Duration::from_secs(50);

/// After this long without joining or leaving a room has announced it all: arrivals are gathered for up to 1 s.
pub(crate) const ANNOUNCED_AFTER: Duration = Duration::from_millis(1_200);

/// Flags of a server that tells nobody who came and went: then there is no such news to wait for.
pub(crate) const UNANNOUNCED: &[&str] = &["--announce-limit", "0"];

/// Descriptors that a process needs besides its connections: standard streams, poll, listener, `/proc` files.
const OTHER_DESCRIPTORS: u64 = 64;

/// Where the server and the load run.
enum Cores {
    /// Each has its own.
    Apart { server: usize, load: usize },
    /// This process may use only one, so the two take turns on it.
    Shared,
}

/// The conditions of this run.
pub(crate) struct Lab {
    short: bool,
    cores: Cores,
    descriptors: u64,
}

impl Lab {
    /// Prepares this process: its descriptor limit is raised as far as it goes, and it moves to the load's core.
    pub(crate) fn open(short: bool) -> Outcome<Self> {
        let lab = Self {
            short,
            cores: choose_cores()?,
            descriptors: raise_descriptor_limit()?,
        };
        lab.pin_to_load_core()?;
        Ok(lab)
    }

    /// Chooses between a figure's full size and its reduced one.
    pub(crate) fn size<T>(&self, full: T, short: T) -> T {
        if self.short { short } else { full }
    }

    /// Says in clear words that so many connections cannot be made here, if they cannot.
    pub(crate) fn require_connections(&self, connections: usize) -> Outcome<()> {
        let needed = connections as u64 + OTHER_DESCRIPTORS;
        if self.descriptors < needed {
            return Err(format!(
                "needs {needed} descriptors, but `ulimit -Hn` says {}",
                self.descriptors
            )
            .into());
        }
        Ok(())
    }

    /// Whether the load may keep its core busy without taking time from the server.
    pub(crate) fn load_has_its_own_core(&self) -> bool {
        matches!(self.cores, Cores::Apart { .. })
    }

    /// The limit on descriptors that this process and its children have.
    pub(crate) fn descriptors(&self) -> u64 {
        self.descriptors
    }

    /// Runs `start` on the server's core, so that the child born there stays there with all its threads.
    pub(crate) fn on_server_core<T>(&self, start: impl FnOnce() -> io::Result<T>) -> Outcome<T> {
        if let Cores::Apart { server, .. } = self.cores {
            pin_to(server)?;
        }
        let started = start();
        self.pin_to_load_core()?;
        Ok(started?)
    }

    /// One line for the head of the report.
    pub(crate) fn describe(&self) -> String {
        let size = self.size("full size", "reduced size");
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let cores = match self.cores {
            Cores::Apart { server, load } => {
                format!("server on core {server}, load on core {load}")
            }
            Cores::Shared => {
                "server and load share the ONE core there is: times say little".to_owned()
            }
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

/// Raises the soft limit to the hard one, for this process and the children that inherit it.
fn raise_descriptor_limit() -> io::Result<u64> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit)?;
    Ok(limit.current.unwrap_or(u64::MAX))
}
