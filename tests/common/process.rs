//! Other programs beside the server, temporary directories, and figures of a process from `/proc`.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Instant;

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use super::DEADLINE;

/// Reads the lines of a pipe on a thread, so that the receiver can wait with a deadline.
pub(super) fn lines_of(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
            let text = String::from_utf8_lossy(&line);
            // The receiver may be gone; the pipe is drained all the same.
            let _ = sender.send(text.trim_end_matches('\r').to_owned());
        }
    });
    receiver
}

/// All lines up to the end.
fn all_of(lines: &Receiver<String>) -> Vec<String> {
    let deadline = Instant::now() + DEADLINE;
    let mut all = Vec::new();
    loop {
        match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => all.push(line),
            Err(RecvTimeoutError::Disconnected) => return all,
            Err(RecvTimeoutError::Timeout) => panic!("no end after {all:#?}"),
        }
    }
}

/// A child process, killed and reaped when dropped.
pub(super) struct Process {
    pub(super) child: Child,
    ended: Receiver<()>,
}

impl Process {
    pub(super) fn spawn(command: &mut Command) -> Self {
        let child = command.spawn();
        let child = child.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let (sender, ended) = channel();
        let pid = WaitId::Pid(Pid::from_child(&child));
        // The thread does not reap the child, so that its process id is not reused.
        thread::spawn(move || {
            let _ = waitid(pid, WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
            let _ = sender.send(());
        });
        Self { child, ended }
    }

    /// Waits until the process exits by itself; `None` if it never does.
    pub(super) fn wait_exit(&mut self) -> Option<ExitStatus> {
        self.ended.recv_timeout(DEADLINE).ok()?;
        Some(self.child.wait().expect("wait"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program with pipes as its standard streams.
pub(crate) struct Program {
    process: Process,
    stdin: Option<ChildStdin>,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
    seen: Vec<String>,
}

impl Program {
    pub(crate) fn start(program: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut process = Process::spawn(&mut command);
        Self {
            stdin: process.child.stdin.take(),
            stdout: lines_of(process.child.stdout.take().expect("a pipe")),
            stderr: lines_of(process.child.stderr.take().expect("a pipe")),
            process,
            seen: Vec::new(),
        }
    }

    /// `madang join` at this address.
    pub(crate) fn join(address: impl ToString, flags: &[&str]) -> Self {
        let join = ["join", &address.to_string()];
        Self::start(env!("CARGO_BIN_EXE_madang"), &[&join, flags].concat())
    }

    /// One of the Python clients in `tests/`, as beginners write them.
    pub(crate) fn python(script: &str, server: SocketAddr) -> Self {
        let path = format!("{}/tests/server/{script}", env!("CARGO_MANIFEST_DIR"));
        let (host, port) = (server.ip().to_string(), server.port().to_string());
        Self::start("python3", &["-u", &path, &host, &port])
    }

    pub(crate) fn type_line(&mut self, line: &str) {
        self.type_bytes(format!("{line}\n").as_bytes());
    }

    pub(crate) fn type_bytes(&mut self, bytes: &[u8]) {
        let stdin = self.stdin.as_mut().expect("standard input is open");
        stdin
            .write_all(bytes)
            .and_then(|()| stdin.flush())
            .expect("write to the program");
    }

    /// The same to a program that may have ended before.
    pub(crate) fn offer_bytes(&mut self, bytes: &[u8]) {
        let stdin = self.stdin.as_mut().expect("standard input is open");
        match stdin.write_all(bytes).and_then(|()| stdin.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            written => written.expect("write to the program"),
        }
    }

    /// Closes the program's standard input, as Ctrl-D does.
    pub(crate) fn end_input(&mut self) {
        self.stdin = None;
    }

    /// Reads standard output until a line for which `wanted` holds, and returns the line.
    pub(crate) fn find(&mut self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.stdout.recv_timeout(left) {
                Ok(line) if wanted(&line) => return line,
                Ok(line) => self.seen.push(line),
                Err(RecvTimeoutError::Timeout) => {
                    panic!("{what} never came, after {:#?}", self.seen)
                }
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("the end instead of {what}: {:#?}", self.seen)
                }
            }
        }
    }

    pub(crate) fn find_line(&mut self, wanted: &str) {
        self.find(&format!("{wanted:?}"), |line| line == wanted);
    }

    /// Waits for the greeting and returns the name in it.
    pub(crate) fn greeted(&mut self) -> String {
        let line = self.find("a greeting", |line| line.starts_with("* you are guest"));
        line.split(' ').nth(3).expect("a name").to_owned()
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.child.id()
    }

    /// The lines left on standard output, up to its end.
    pub(crate) fn rest(&mut self) -> Vec<String> {
        all_of(&self.stdout)
    }

    /// The lines on standard error, up to its end.
    pub(crate) fn complaints(&mut self) -> Vec<String> {
        all_of(&self.stderr)
    }

    /// Waits until the program exits by itself.
    pub(crate) fn wait_exit(&mut self) -> ExitStatus {
        self.process.wait_exit().expect("the program never exited")
    }
}

/// A directory for one test, removed when dropped. Its path is short enough for a Unix-domain socket.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let (pid, count) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(format!("madang-{pid}-{count}"));
        fs::create_dir(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self(path)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Whether this machine can listen on `::1`.
pub(crate) fn has_ipv6() -> bool {
    std::net::TcpListener::bind("[::1]:0").is_ok()
}

/// Resident memory of a process, in bytes.
pub(crate) fn resident_bytes(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("/proc");
    let mut lines = status.lines();
    let resident = lines.find_map(|line| line.strip_prefix("VmRSS:")?.strip_suffix(" kB"));
    let kibibytes: u64 = resident.expect("VmRSS").trim().parse().expect("a number");
    kibibytes * 1024
}

/// CPU time that a process has used, in ticks of 10 ms.
pub(crate) fn cpu_ticks(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("/proc");
    // The second field is the program's name in parentheses, which may contain spaces.
    let (_, fields) = stat.rsplit_once(") ").expect("a name");
    let ticks = fields.split(' ').skip(11).take(2);
    ticks
        .map(|field| field.parse::<u64>().expect("a number"))
        .sum()
}

/// Number of open descriptors of a process.
pub(crate) fn open_descriptors(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd"))
        .expect("/proc")
        .count()
}

/// The number of the next descriptor that a process would open: the lowest that is free.
pub(crate) fn next_descriptor(pid: u32) -> u64 {
    let taken = |number: &u64| fs::symlink_metadata(format!("/proc/{pid}/fd/{number}")).is_ok();
    let mut free = (0..).filter(|number| !taken(number));
    free.next().expect("there are always more numbers")
}
