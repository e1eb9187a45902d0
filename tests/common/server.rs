//! The program under test as a process of its own: how it is started, where it listens, how it ends.

use std::io::Read;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::DEADLINE;
use super::process::{lines_of, watch_end};

const PROGRAM: &str = env!("CARGO_BIN_EXE_madang");

/// How the server is to be started.
pub(crate) struct Launch {
    command: Command,
    listeners: usize,
}

impl Launch {
    /// `madang serve` with these flags, and on a free port of 127.0.0.1 if they name no listener.
    pub(crate) fn new(flags: &[&str]) -> Self {
        Self::with(Command::new(PROGRAM), flags)
    }

    /// As `new`, by a shell that first runs `before`: for limits and redirections.
    pub(crate) fn in_shell(before: &str, redirections: &str, flags: &[&str]) -> Self {
        let mut command = Command::new("sh");
        command.args([
            "-c",
            &format!(r#"{before} exec "$0" "$@" {redirections}"#),
            PROGRAM,
        ]);
        Self::with(command, flags)
    }

    /// As `new`, as the last argument of another command which starts it.
    pub(crate) fn under(wrapper: &str, arguments: &[&str], flags: &[&str]) -> Self {
        let mut command = Command::new(wrapper);
        command.args(arguments).arg(PROGRAM);
        Self::with(command, flags)
    }

    fn with(mut command: Command, flags: &[&str]) -> Self {
        let count = |name: &str| flags.iter().filter(|&&flag| flag == name).count();
        let (chat, raw) = (count("--listen"), count("--listen-raw"));
        command.arg("serve").args(flags);
        if chat == 0 {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        // The settings of whoever runs the tests are not part of the test.
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("MADANG_"))
        {
            command.env_remove(name);
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Self {
            command,
            listeners: chat.max(1) + raw,
        }
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn stderr(mut self, stderr: impl Into<Stdio>) -> Self {
        self.command.stderr(stderr);
        self
    }

    /// Starts it and waits until every listener is announced.
    pub(crate) fn start(mut self) -> Server {
        let mut child = self
            .command
            .spawn()
            .unwrap_or_else(|error| panic!("{PROGRAM}: {error}"));
        let ended = watch_end(&child);
        let stdout = lines_of(child.stdout.take().expect("a pipe"));
        let stderr = Captured::default();
        if let Some(pipe) = child.stderr.take() {
            stderr.capture(pipe);
        }
        let mut server = Server {
            child,
            ended,
            listening: Vec::new(),
            stderr,
            _stdout: stdout,
        };
        for _ in 0..self.listeners {
            let line = server._stdout.recv_timeout(DEADLINE);
            let line =
                line.unwrap_or_else(|_| panic!("it never listened: {}", server.stderr.text()));
            let place = line.strip_prefix("listening on ");
            server.listening.push(
                place
                    .unwrap_or_else(|| panic!("odd line {line:?}"))
                    .to_owned(),
            );
        }
        server
    }

    /// Starts it without waiting for a word on standard output.
    pub(crate) fn start_silent(mut self) -> Server {
        self.listeners = 0;
        self.start()
    }

    /// Starts it where it must not be able to serve, and waits for its end.
    pub(crate) fn fail(mut self) -> Failure {
        let mut child = self
            .command
            .spawn()
            .unwrap_or_else(|error| panic!("{PROGRAM}: {error}"));
        let ended = watch_end(&child);
        let (stdout, stderr) = (Captured::default(), Captured::default());
        stdout.capture(child.stdout.take().expect("a pipe"));
        stderr.capture(child.stderr.take().expect("a pipe"));
        if ended.recv_timeout(DEADLINE).is_err() {
            let _ = child.kill();
            let _ = child.wait();
            panic!("it serves: {}", stdout.text());
        }
        let code = child.wait().expect("wait").code();
        stdout.wait_end();
        stderr.wait_end();
        Failure {
            code,
            stdout: stdout.text(),
            stderr: stderr.text(),
        }
    }
}

/// What was left by a server that could not start.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A pipe's text, gathered by a thread so that the writer never waits.
#[derive(Clone, Default)]
struct Captured(Arc<(Mutex<Gathered>, Condvar)>);

#[derive(Default)]
struct Gathered {
    bytes: Vec<u8>,
    ended: bool,
}

impl Captured {
    fn capture(&self, mut pipe: impl Read + Send + 'static) {
        let gathered = self.clone();
        thread::spawn(move || {
            let mut chunk = [0; 4096];
            loop {
                let count = pipe.read(&mut chunk).unwrap_or(0);
                let mut inside = gathered.0.0.lock().expect("no panic inside");
                inside.bytes.extend_from_slice(&chunk[..count]);
                inside.ended = count == 0;
                gathered.0.1.notify_all();
                if count == 0 {
                    return;
                }
            }
        });
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.0.lock().expect("no panic inside").bytes).into_owned()
    }

    fn wait(&self, what: &str, fact: impl Fn(&Gathered) -> bool) {
        let inside = self.0.0.lock().expect("no panic inside");
        let waited = self
            .0
            .1
            .wait_timeout_while(inside, DEADLINE, |inside| !fact(inside));
        let (inside, timeout) = waited.expect("no panic inside");
        let text = String::from_utf8_lossy(&inside.bytes);
        assert!(!timeout.timed_out(), "{what} never came; there was: {text}");
    }

    fn wait_end(&self) {
        self.wait("the end of the output", |inside| inside.ended);
    }
}

/// A serving process. It is killed and reaped when the test lets go of it.
pub(crate) struct Server {
    child: Child,
    ended: Receiver<()>,
    listening: Vec<String>,
    stderr: Captured,
    _stdout: Receiver<String>,
}

impl Server {
    /// `madang serve` with these flags, listening.
    pub(crate) fn start(flags: &[&str]) -> Self {
        Launch::new(flags).start()
    }

    /// What stood behind `listening on `, in order.
    pub(crate) fn listening(&self) -> &[String] {
        &self.listening
    }

    /// The first chat listener's address.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.listening
            .iter()
            .find_map(|place| place.parse().ok())
            .expect("a TCP listener")
    }

    /// The first raw listener's address.
    pub(crate) fn raw_addr(&self) -> SocketAddr {
        let raw = self
            .listening
            .iter()
            .find_map(|place| place.strip_suffix(" (raw)")?.parse().ok());
        raw.expect("a raw TCP listener")
    }

    /// The first Unix-domain listener's path.
    pub(crate) fn unix_path(&self) -> PathBuf {
        self.listening
            .iter()
            .find_map(|place| place.strip_prefix("unix:"))
            .expect("a Unix listener")
            .into()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("signal");
    }

    /// Waits for its end.
    pub(crate) fn wait_exit(&mut self, within: Duration) -> ExitStatus {
        let started = Instant::now();
        if self.ended.recv_timeout(within).is_err() {
            panic!(
                "still running after {:?}: {}",
                started.elapsed(),
                self.stderr.text()
            );
        }
        self.child.wait().expect("wait")
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        self.stderr.text()
    }

    /// Waits until its log says `what`.
    pub(crate) fn wait_log(&self, what: &str) {
        let logged = |inside: &Gathered| String::from_utf8_lossy(&inside.bytes).contains(what);
        self.stderr.wait(what, logged);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("the server's log:\n{}", self.stderr.text());
        }
    }
}
