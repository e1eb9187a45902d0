//! Other programs beside the server, temporary directories, and figures of a process from `/proc`.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Instant;

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use super::DEADLINE;

/// Reads the lines of a pipe on a thread, so that the receiver can wait with a deadline.
pub(super) fn lines_of(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || forward(pipe, &sender));
    receiver
}

fn forward(pipe: impl Read, sender: &Sender<String>) {
    let mut pipe = BufReader::new(pipe);
    let mut line = Vec::new();
    while pipe
        .read_until(b'\n', &mut line)
        .is_ok_and(|count| count > 0)
    {
        let text = String::from_utf8_lossy(&line);
        // The receiver may be gone; the pipe is drained all the same.
        let _ = sender.send(text.trim_end_matches(['\r', '\n']).to_owned());
        line.clear();
    }
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

/// Reports a child's exit without reaping the child, so that its process id is not reused.
pub(super) fn watch_end(child: &Child) -> Receiver<()> {
    let (sender, receiver) = channel();
    let pid = Pid::from_child(child);
    thread::spawn(move || {
        let _ = waitid(
            WaitId::Pid(pid),
            WaitIdOptions::EXITED | WaitIdOptions::NOWAIT,
        );
        let _ = sender.send(());
    });
    receiver
}

/// A program with pipes as its standard streams.
pub(crate) struct Program {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
    ended: Receiver<()>,
    seen: Vec<String>,
}

impl Program {
    pub(crate) fn start(program: &str, arguments: &[&str]) -> Self {
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{program}: {error}"));
        let stdin = child.stdin.take();
        let stdout = lines_of(child.stdout.take().expect("a pipe"));
        let stderr = lines_of(child.stderr.take().expect("a pipe"));
        let ended = watch_end(&child);
        Self {
            child,
            stdin,
            stdout,
            stderr,
            ended,
            seen: Vec::new(),
        }
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

    /// Closes the program's standard input, as Ctrl-D does.
    pub(crate) fn end_input(&mut self) {
        self.stdin = None;
    }

    /// Reads standard output until a line for which `wanted` holds, and returns the line.
    pub(crate) fn find(&mut self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + DEADLINE;
        loop {
            match self
                .stdout
                .recv_timeout(deadline.saturating_duration_since(Instant::now()))
            {
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
        self.child.id()
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
        self.ended
            .recv_timeout(DEADLINE)
            .expect("the program never exited");
        self.child.wait().expect("wait")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A directory for one test, removed when dropped. Its path is short enough for a Unix-domain socket.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let unique = format!(
            "madang-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(unique);
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
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .expect("VmRSS");
    let kibibytes: u64 = line
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .expect("a number");
    kibibytes * 1024
}

/// CPU time that a process has used, in ticks of 10 ms.
pub(crate) fn cpu_ticks(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("/proc");
    // The second field is the program's name in parentheses, which may contain spaces.
    let fields: Vec<&str> = stat[stat.rfind(')').expect("a name") + 1..]
        .split_whitespace()
        .collect();
    let ticks = |at: usize| fields[at].parse::<u64>().expect("a number");
    ticks(11) + ticks(12)
}

/// Number of open descriptors of a process.
pub(crate) fn open_descriptors(pid: u32) -> usize {
    let directory = PathBuf::from(format!("/proc/{pid}/fd"));
    fs::read_dir(Path::new(&directory)).expect("/proc").count()
}

/// The number of the next descriptor that a process would open: the lowest that is free.
pub(crate) fn next_descriptor(pid: u32) -> u64 {
    let taken = |number: &u64| fs::symlink_metadata(format!("/proc/{pid}/fd/{number}")).is_ok();
    (0..)
        .find(|number| !taken(number))
        .expect("there are always more numbers")
}
