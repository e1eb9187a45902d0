//! A server as a child process: started on its own core, asked for what it has used, ended when dropped.

use std::env;
use std::fs;
use std::io::{self, ErrorKind, Read};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Pid;

use super::{Lab, Outcome, PATIENCE};

/// What a server prints before the address it listens on.
pub(crate) const LISTENING_ON: &str = "listening on ";

/// A tick of the times in `/proc/PID/stat`: user space is told 100 Hz on every architecture of today.
const TICK_NS: u64 = 10_000_000;

/// How much of the time that it wants its core a server may wait for it: kernel threads need it as well.
const WAITED_PERCENT_MAX: f64 = 3.0;

/// A running server that listens.
pub(crate) struct Server {
    child: Child,
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Starts `madang serve` on a free port of 127.0.0.1, with its defaults and these flags.
    pub(crate) fn madang(lab: &Lab, flags: &[&str]) -> Outcome<Self> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_madang"));
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--log-level", "error"])
            .args(flags);
        for (name, _) in
            env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("MADANG_"))
        {
            command.env_remove(name);
        }
        Self::start(lab, command)
    }

    /// Starts a program that prints [`LISTENING_ON`] and its address.
    pub(crate) fn start(lab: &Lab, mut command: Command) -> Outcome<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        // From here on the child is ended by `drop`, whatever happens.
        let mut server = Self::spawn(lab, command, SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let mut output = server
            .child
            .stdout
            .take()
            .expect("standard output is piped, just above");
        let line = read_line(&mut output)?;
        let address = line
            .strip_prefix(LISTENING_ON)
            .ok_or_else(|| format!("the server began with {line:?}"))?;
        server.address = address.parse()?;
        server.child.stdout = Some(output);
        Ok(server)
    }

    /// Starts a program that has been told to listen on this address, and waits until it does.
    pub(crate) fn start_at(lab: &Lab, mut command: Command, address: SocketAddr) -> Outcome<Self> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut server = Self::spawn(lab, command, address)?;
        let deadline = Instant::now() + PATIENCE;
        while let Err(error) = TcpStream::connect(address) {
            if let Some(status) = server.child.try_wait()? {
                return Err(format!("it ended at once ({status})").into());
            }
            if Instant::now() > deadline {
                return Err(format!("it does not listen on {address}: {error}").into());
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(server)
    }

    fn spawn(lab: &Lab, mut command: Command, address: SocketAddr) -> Outcome<Self> {
        let child = lab.on_server_core(|| command.spawn()).map_err(|error| {
            format!("cannot start {}: {error}", command.get_program().display())
        })?;
        Ok(Self { child, address })
    }

    /// The process, for signals and tracers.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// The time that all threads of the process have been on a core, in nanoseconds.
    ///
    /// Waits for the process to sleep first: its work is then done, and what the kernel tells is up to date, which
    /// for a running process it is only at each clock tick.
    pub(crate) fn cpu_ns(&self) -> Outcome<u64> {
        self.wait_until_asleep()?;
        let mut total = 0;
        for thread in fs::read_dir(self.proc("task"))? {
            total += thread_cpu_ns(&thread?.path())?;
        }
        Ok(total)
    }

    /// A remark for the report when the server did not have its core to itself: the figures are rough then.
    pub(crate) fn company(&self) -> Outcome<Option<String>> {
        let (mut used, mut waited) = (0.0, 0.0);
        for thread in fs::read_dir(self.proc("task"))? {
            let schedstat = fs::read_to_string(thread?.path().join("schedstat"));
            let schedstat = schedstat.unwrap_or_default();
            let mut fields = schedstat.split(' ').map(str::parse::<f64>);
            // A kernel without scheduling statistics cannot tell.
            let (Some(on_core), Some(queued)) = (fields.next(), fields.next()) else {
                return Ok(None);
            };
            used += on_core?;
            waited += queued?;
        }
        let percent = 100.0 * waited / (used + waited);
        Ok((percent > WAITED_PERCENT_MAX).then(|| {
            format!("NOT ALONE: the server waited for its core {percent:.0} % of the time")
        }))
    }

    /// Resident memory in bytes, exact where the kernel sums it up (`smaps_rollup`), else as its counters say.
    pub(crate) fn resident_bytes(&self) -> Outcome<u64> {
        if let Ok(rollup) = fs::read_to_string(self.proc("smaps_rollup"))
            && let Some(bytes) = field_in_kib(&rollup, "Rss:")
        {
            return Ok(bytes);
        }
        let status = fs::read_to_string(self.proc("status"))?;
        Ok(field_in_kib(&status, "VmRSS:").ok_or("/proc does not tell the server's memory")?)
    }

    /// How many descriptors the process has open.
    pub(crate) fn open_descriptors(&self) -> Outcome<usize> {
        Ok(fs::read_dir(self.proc("fd"))?.count())
    }

    fn wait_until_asleep(&self) -> Outcome<()> {
        let deadline = Instant::now() + PATIENCE;
        while self.is_running()? {
            if Instant::now() > deadline {
                return Err(format!("the server is still busy after {PATIENCE:?}").into());
            }
            thread::yield_now();
        }
        Ok(())
    }

    /// Whether any thread of the process is on a core or would like to be.
    fn is_running(&self) -> Outcome<bool> {
        for thread in fs::read_dir(self.proc("task"))? {
            let stat = fs::read_to_string(thread?.path().join("stat"))?;
            match after_name(&stat).next() {
                Some("R") => return Ok(true),
                Some("Z" | "X") | None => return Err("the server has ended".into()),
                Some(_) => {}
            }
        }
        Ok(false)
    }

    fn proc(&self, file: &str) -> String {
        format!("/proc/{}/{file}", self.child.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end, and that it did has been seen elsewhere.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads up to a newline, which is left out; fails when none comes in time.
pub(crate) fn read_line(from: &mut (impl Read + AsFd)) -> Outcome<String> {
    let deadline = Instant::now() + PATIENCE;
    let mut line = Vec::new();
    let mut byte = [0];
    while byte != *b"\n" {
        wait_readable(from, deadline)?;
        if from.read(&mut byte)? == 0 {
            return Err(format!("ended after {:?}", String::from_utf8_lossy(&line)).into());
        }
        line.extend(byte);
    }
    Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
}

fn wait_readable(from: &impl AsFd, deadline: Instant) -> io::Result<()> {
    let left = deadline
        .saturating_duration_since(Instant::now())
        .max(Duration::from_millis(1));
    let timeout = Timespec::try_from(left).map_err(io::Error::other)?;
    match poll(&mut [PollFd::new(from, PollFlags::IN)], Some(&timeout))? {
        0 => Err(ErrorKind::TimedOut.into()),
        _ => Ok(()),
    }
}

/// One thread's time on a core, from its directory in `/proc`.
fn thread_cpu_ns(thread: &Path) -> Outcome<u64> {
    if let Ok(schedstat) = fs::read_to_string(thread.join("schedstat"))
        && let Some(ns @ 1..) = schedstat
            .split(' ')
            .next()
            .and_then(|field| field.parse().ok())
    {
        return Ok(ns);
    }
    // A kernel without scheduling statistics: fields 14 and 15, in ticks (proc_pid_stat(5)).
    let stat = fs::read_to_string(thread.join("stat"))?;
    let mut ticks = 0;
    for field in after_name(&stat).skip(11).take(2) {
        ticks += field.parse::<u64>()?;
    }
    Ok(ticks * TICK_NS)
}

/// The fields of a `stat` file from the third on: the second, a name in parentheses, may hold spaces itself.
fn after_name(stat: &str) -> impl Iterator<Item = &str> {
    stat.rsplit_once(") ")
        .map_or("", |(_, fields)| fields)
        .split(' ')
}

/// The value of a line such as `Rss:    1234 kB`, in bytes.
fn field_in_kib(file: &str, name: &str) -> Option<u64> {
    let value = file.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = value.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}
