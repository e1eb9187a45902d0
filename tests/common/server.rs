//! The server under test, as a process: how it is started, where it listens, how it exits.

use std::io::Read;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;

use command_fds::{CommandFdExt, FdMapping};
use rustix::process::{Pid, Signal, kill_process};

use super::process::{Process, lines_of};
use super::{DEADLINE, Scratch};

const PROGRAM: &str = env!("CARGO_BIN_EXE_madang");

/// How to start the server.
pub(crate) struct Launch {
    command: Command,
    listeners: usize,
}

impl Launch {
    /// `madang serve` with these flags; without `--listen` and `--config` among them, on a free port of 127.0.0.1.
    pub(crate) fn new(flags: &[&str]) -> Self {
        Self::with(Command::new(PROGRAM), flags)
    }

    /// As `new`, from a shell that runs `before` and applies `redirections`.
    pub(crate) fn in_shell(before: &str, redirections: &str, flags: &[&str]) -> Self {
        let mut command = Command::new("sh");
        let script = format!(r#"{before} exec "$0" "$@" {redirections}"#);
        command.args(["-c", &script, PROGRAM]);
        Self::with(command, flags)
    }

    /// As `new`, started by another program, which gets the command as its last arguments.
    pub(crate) fn under(wrapper: &str, arguments: &[&str], flags: &[&str]) -> Self {
        let mut command = Command::new(wrapper);
        command.args(arguments).arg(PROGRAM);
        Self::with(command, flags)
    }

    /// As `new`, from a shell that runs `before`, and without an address of its own: with these sockets, from descriptor 3
    /// on, as a service manager hands them over.
    pub(crate) fn handed(before: &str, flags: &[&str], sockets: Vec<OwnedFd>) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", &format!(r#"{before} exec "$0" "$@""#), PROGRAM]);
        let mappings = (3..).zip(sockets);
        let mappings = mappings.map(|(child_fd, parent_fd)| FdMapping {
            parent_fd,
            child_fd,
        });
        let mapped = command.fd_mappings(mappings.collect());
        mapped.expect("each descriptor has a number of its own");
        command.arg("serve").args(flags);
        Self::quiet(command, 0)
    }

    fn with(mut command: Command, flags: &[&str]) -> Self {
        let count = |name: &str| flags.iter().filter(|&&flag| flag == name).count();
        let (chat, raw) = (count("--listen"), count("--listen-raw"));
        let tls = count("--listen-tls");
        let metrics = count("--metrics");
        let control = count("--control")
            - flags
                .windows(2)
                .filter(|it| it == &["--control", "none"])
                .count();
        command.arg("serve").args(flags);
        if chat == 0 && count("--config") == 0 {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        Self::quiet(command, chat.max(1) + tls + raw + metrics + control)
    }

    /// A command that is given nothing by the environment of the test run.
    fn quiet(mut command: Command, listeners: usize) -> Self {
        // Settings in the environment of the test run must not change the test.
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("MADANG_"))
        {
            command.env_remove(name);
        }
        // Nor must directories of the session in which it runs.
        for name in ["RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR"] {
            command.env_remove(name);
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Self { command, listeners }
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// How many listeners there are, where the flags do not say so.
    pub(crate) fn listeners(mut self, listeners: usize) -> Self {
        self.listeners = listeners;
        self
    }

    pub(crate) fn stdin(mut self, stdin: impl Into<Stdio>) -> Self {
        self.command.stdin(stdin);
        self
    }

    pub(crate) fn stderr(mut self, stderr: impl Into<Stdio>) -> Self {
        self.command.stderr(stderr);
        self
    }

    /// Starts the server and waits until it has printed every listener.
    pub(crate) fn start(mut self) -> Server {
        let mut process = Process::spawn(&mut self.command);
        let mut server = Server {
            _stdout: lines_of(process.child.stdout.take().expect("a pipe")),
            stderr: process.child.stderr.take().map(Captured::new),
            process,
            listening: Vec::new(),
        };
        for _ in 0..self.listeners {
            let line = server._stdout.recv_timeout(DEADLINE);
            let line =
                line.unwrap_or_else(|_| panic!("the server never listened: {}", server.log()));
            let place = line.strip_prefix("listening on ");
            let place = place.unwrap_or_else(|| panic!("odd line {line:?}"));
            server.listening.push(place.to_owned());
        }
        server
    }

    /// Starts the server without waiting for its standard output.
    pub(crate) fn start_silent(mut self) -> Server {
        self.listeners = 0;
        self.start()
    }

    /// Starts a server that must fail to start, and waits for its exit.
    pub(crate) fn fail(mut self) -> Failure {
        let mut process = Process::spawn(&mut self.command);
        let stdout = Captured::new(process.child.stdout.take().expect("a pipe"));
        let stderr = Captured::new(process.child.stderr.take().expect("a pipe"));
        let status = process.wait_exit();
        let status = status.unwrap_or_else(|| panic!("the server started: {}", stdout.text()));
        Failure {
            code: status.code(),
            stdout: stdout.wait_end(),
            stderr: stderr.wait_end(),
        }
    }
}

/// Exit status and output of a server that could not start.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The text of a pipe, read by a thread so that the writer never blocks.
struct Captured {
    bytes: Arc<Mutex<Vec<u8>>>,
    ended: Receiver<()>,
}

impl Captured {
    fn new(mut pipe: impl Read + Send + 'static) -> Self {
        let bytes = Arc::<Mutex<Vec<u8>>>::default();
        let (sender, ended) = channel();
        let shared = Arc::clone(&bytes);
        thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(count @ 1..) = pipe.read(&mut chunk) {
                let mut bytes = shared.lock().expect("no panic with the lock");
                bytes.extend_from_slice(&chunk[..count]);
            }
            let _ = sender.send(());
        });
        Self { bytes, ended }
    }

    /// The text so far.
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().expect("no panic with the lock")).into_owned()
    }

    /// The whole text, once the writer has closed the pipe.
    fn wait_end(&self) -> String {
        let ended = self.ended.recv_timeout(DEADLINE);
        assert!(ended.is_ok(), "the pipe stays open after {}", self.text());
        self.text()
    }
}

/// A running server.
pub(crate) struct Server {
    process: Process,
    listening: Vec<String>,
    /// Where the log goes, unless the test has put it elsewhere.
    stderr: Option<Captured>,
    /// Kept so that the pipe is drained.
    _stdout: Receiver<String>,
}

impl Server {
    /// Starts `madang serve` with these flags and waits until it listens.
    pub(crate) fn start(flags: &[&str]) -> Self {
        Launch::new(flags).start()
    }

    /// What the server printed after `listening on `, in order.
    pub(crate) fn listening(&self) -> &[String] {
        &self.listening
    }

    /// The first chat listener's address.
    pub(crate) fn addr(&self) -> SocketAddr {
        let mut places = self.listening.iter();
        let chat = places.find_map(|place| place.parse().ok());
        chat.expect("a TCP listener")
    }

    /// The first raw listener's address.
    pub(crate) fn raw_addr(&self) -> SocketAddr {
        let mut places = self.listening.iter();
        let raw = places.find_map(|place| place.strip_suffix(" (raw)")?.parse().ok());
        raw.expect("a raw TCP listener")
    }

    /// The first TLS listener's address.
    pub(crate) fn tls_addr(&self) -> SocketAddr {
        let mut places = self.listening.iter();
        let tls = places.find_map(|place| place.strip_suffix(" (tls)")?.parse().ok());
        tls.expect("a TCP listener under TLS")
    }

    /// The first TCP address of the metrics page.
    pub(crate) fn metrics_addr(&self) -> SocketAddr {
        let mut places = self.listening.iter();
        let metrics = places.find_map(|place| place.strip_suffix(" (metrics)")?.parse().ok());
        metrics.expect("a TCP listener for metrics")
    }

    /// The first Unix-domain listener's path.
    pub(crate) fn unix_path(&self) -> PathBuf {
        let mut places = self.listening.iter();
        let path = places.find_map(|place| place.strip_prefix("unix:"));
        path.expect("a Unix listener").into()
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.child.id()
    }

    /// Its keeper: the child process.
    pub(crate) fn keeper(&self) -> Option<u32> {
        let id = self.id();
        let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).ok()?;
        children.split_whitespace().next()?.parse().ok()
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.process.child)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("signal");
    }

    /// Waits for the server to exit.
    pub(crate) fn wait_exit(&mut self) -> ExitStatus {
        let status = self.process.wait_exit();
        status.unwrap_or_else(|| panic!("still running: {}", self.log()))
    }

    /// Shuts the server down and expects it to exit with 0.
    #[track_caller]
    pub(crate) fn shut_down(&mut self) {
        self.signal(Signal::TERM);
        assert_eq!(self.wait_exit().code(), Some(0));
    }

    /// All that a server has logged that has ended.
    pub(crate) fn whole_log(&self) -> String {
        let stderr = self.stderr.as_ref();
        stderr.map(Captured::wait_end).unwrap_or_default()
    }

    /// What the server has logged so far.
    pub(crate) fn log(&self) -> String {
        self.stderr.as_ref().map(Captured::text).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("the server's log:\n{}", self.log());
        }
    }
}

/// A server with a control listener, the path of its socket, and the directory in which that is.
pub(crate) fn with_control(flags: &[&str]) -> (Server, PathBuf, Scratch) {
    let scratch = Scratch::new();
    let path = scratch.path("control.sock");
    let place = format!("unix:{}", path.display());
    let server = Server::start(&[flags, &["--control", &place]].concat());
    (server, path, scratch)
}
