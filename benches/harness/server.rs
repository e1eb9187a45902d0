//! A server as a child process: started on its own core, measured, and ended when dropped.

use std::env;
use std::fs;
use std::io::{self, ErrorKind, Read};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use madang::bench::process::{Process, stat_fields};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process};

use super::{Harness, Outcome, TIMEOUT};

/// What a server prints before the address at which it listens.
pub(crate) const LISTENING_ON: &str = "listening on ";

/// For how much of the time that it needs its core a server may wait for it: kernel threads need the core too.
const WAITED_PERCENT_MAX: f64 = 3.0;

/// A running server that listens.
pub(crate) struct Server {
    child: Child,
    process: Process,
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Starts `madang serve` on a free port of 127.0.0.1, with its defaults and these flags.
    pub(crate) fn madang(harness: &Harness, flags: &[&str]) -> Outcome<Self> {
        let quiet = ["--log-level", "error"];
        Self::start(harness, madang_command(&[&quiet, flags].concat()))
    }

    /// The same; [`Self::longest_turn`] reads its log.
    pub(crate) fn madang_with_log(harness: &Harness, flags: &[&str]) -> Outcome<Self> {
        let mut command = madang_command(flags);
        command.stderr(Stdio::piped());
        Self::start(harness, command)
    }

    /// Starts a program that prints [`LISTENING_ON`] and its address.
    pub(crate) fn start(harness: &Harness, mut command: Command) -> Outcome<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        // From here on `drop` ends the child.
        let mut server = Self::spawn(harness, command, SocketAddr::from(([127, 0, 0, 1], 0)))?;
        server.address = server.next_address()?;
        Ok(server)
    }

    /// The address of the next listener: of the second one, after the start.
    pub(crate) fn next_address(&mut self) -> Outcome<SocketAddr> {
        self.next_address_but("")
    }

    /// The same, of a listener whose address is printed with a remark after it.
    pub(crate) fn next_address_but(&mut self, remark: &str) -> Outcome<SocketAddr> {
        let output = self.child.stdout.as_mut();
        let line = read_line(output.ok_or("its output is not piped")?)?;
        let address = line
            .strip_prefix(LISTENING_ON)
            .and_then(|address| address.strip_suffix(remark))
            .ok_or_else(|| format!("the server printed {line:?}"))?;
        Ok(address.parse()?)
    }

    /// Ends a server that was started with its log, and returns the length of its longest turn.
    pub(crate) fn longest_turn(mut self) -> Outcome<Duration> {
        kill_process(self.pid(), Signal::TERM)?;
        let stderr = self.child.stderr.as_mut();
        let stderr = stderr.ok_or("its log is not piped")?;
        loop {
            let line = read_line(stderr)?;
            if let Some((_, us)) = line.split_once("longest_turn_us=") {
                return Ok(Duration::from_micros(us.trim().parse()?));
            }
        }
    }

    /// Starts a program whose arguments make it listen at this address, and waits until it does.
    pub(crate) fn start_at(
        harness: &Harness,
        mut command: Command,
        address: SocketAddr,
    ) -> Outcome<Self> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut server = Self::spawn(harness, command, address)?;
        let deadline = Instant::now() + TIMEOUT;
        while let Err(error) = TcpStream::connect(address) {
            if let Some(status) = server.child.try_wait()? {
                return Err(format!("it ended at once ({status})").into());
            }
            if Instant::now() > deadline {
                return Err(format!("it does not listen at {address}: {error}").into());
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(server)
    }

    fn spawn(harness: &Harness, mut command: Command, address: SocketAddr) -> Outcome<Self> {
        let child = harness
            .on_server_core(|| command.spawn())
            .map_err(|error| {
                format!("cannot start {}: {error}", command.get_program().display())
            })?;
        let process = Process::new(child.id());
        Ok(Self {
            child,
            process,
            address,
        })
    }

    /// The process, for signals and tracers.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// The processor time of the process so far, in nanoseconds.
    ///
    /// Waits until the process sleeps: its work is then done, and the kernel's figure is up to date, which for a running
    /// process it is only at each clock tick.
    pub(crate) fn cpu_ns(&self) -> Outcome<u64> {
        self.wait_until_asleep()?;
        Ok(self.process.cpu_ns()?)
    }

    /// The processor time since [`Self::cpu_ns`] returned `before`.
    pub(crate) fn cpu_ns_since(&self, before: u64) -> Outcome<u64> {
        self.wait_until_asleep()?;
        Ok(self.process.cpu_ns_since(before)?)
    }

    /// A remark for the report if other programs used the server's core: the figures are rough then.
    pub(crate) fn contention(&self) -> Outcome<Option<String>> {
        let (mut used, mut waited) = (0.0, 0.0);
        for thread in self.process.threads()? {
            let schedstat = fs::read_to_string(thread.join("schedstat")).unwrap_or_default();
            let mut fields = schedstat.split(' ').map(str::parse::<f64>);
            // A kernel without scheduling statistics does not report it.
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

    /// Resident memory in bytes.
    pub(crate) fn resident_bytes(&self) -> Outcome<u64> {
        Ok(self.process.memory_bytes()?)
    }

    /// How many descriptors the process has open.
    pub(crate) fn open_descriptors(&self) -> Outcome<usize> {
        Ok(fs::read_dir(self.process.file("fd"))?.count())
    }

    fn wait_until_asleep(&self) -> Outcome<()> {
        let deadline = Instant::now() + TIMEOUT;
        while self.is_running()? {
            if Instant::now() > deadline {
                return Err(format!("the server is still busy after {TIMEOUT:?}").into());
            }
            thread::yield_now();
        }
        Ok(())
    }

    /// Whether a thread of the process is on a core or waits for one.
    fn is_running(&self) -> Outcome<bool> {
        for thread in self.process.threads()? {
            let stat = fs::read_to_string(thread.join("stat"))?;
            match stat_fields(&stat).next() {
                Some("R") => return Ok(true),
                Some("Z" | "X" | "") | None => return Err("the server has ended".into()),
                Some(_) => {}
            }
        }
        Ok(false)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself, which the measurement has noticed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `madang serve` on a free port of 127.0.0.1 with these flags, whatever the environment says.
fn madang_command(flags: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_madang"));
    command
        .args(["serve", "--listen", "127.0.0.1:0"])
        .args(flags);
    let is_setting = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with("MADANG_");
    for (name, _) in env::vars_os().filter(|(name, _)| is_setting(name)) {
        command.env_remove(name);
    }
    command
}

/// Reads up to a newline, which is left out; an error after [`TIMEOUT`].
pub(crate) fn read_line(from: &mut (impl Read + AsFd)) -> Outcome<String> {
    let deadline = Instant::now() + TIMEOUT;
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
