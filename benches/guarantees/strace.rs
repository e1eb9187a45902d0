//! Counts the system calls of a server with strace(1).

use std::collections::BTreeMap;
use std::process::{Child, ChildStderr, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::server::{Server, read_line};
use crate::harness::{Outcome, find};

/// The calls that read from a connection, that write to one, and that wait for something to happen.
pub(crate) const READS: &[&str] = &["read", "readv", "recvfrom", "recvmsg"];
pub(crate) const WRITES: &[&str] = &["write", "writev", "sendto", "sendmsg"];
pub(crate) const WAITS: &[&str] = &["epoll_wait", "epoll_pwait", "epoll_pwait2", "poll", "ppoll"];

/// Whether strace is installed.
pub(crate) fn is_installed() -> bool {
    find("strace").is_some()
}

/// A strace that is attached to a server.
pub(crate) struct Tracer {
    child: Child,
    messages: ChildStderr,
}

impl Tracer {
    /// Attaches to the server and returns when every call from here on is counted.
    pub(crate) fn attach(server: &Server) -> Outcome<Self> {
        let pid = server.pid().as_raw_nonzero().to_string();
        let mut command = Command::new("strace");
        command
            .args(["-c", "-f", "-p", &pid])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let messages = child.stderr.take().expect("it is piped, above");
        let mut tracer = Self { child, messages };
        let greeting = read_line(&mut tracer.messages)?;
        if greeting.contains(" attached") {
            return Ok(tracer);
        }
        Err(format!("strace cannot attach: {greeting}").into())
    }

    /// Detaches, and returns how often each call was made.
    pub(crate) fn finish(mut self) -> Outcome<Calls> {
        kill_process(Pid::from_child(&self.child), Signal::INT)?;
        let mut calls = BTreeMap::new();
        loop {
            let line = read_line(&mut self.messages)?;
            if line.ends_with(" total") {
                return Ok(Calls(calls));
            }
            calls.extend(table_row(&line));
        }
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        // Usually it has ended by now. If not, the kernel detaches it from the server when it is killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How often each call was made.
pub(crate) struct Calls(BTreeMap<String, u64>);

impl Calls {
    /// The calls of these names together.
    pub(crate) fn of(&self, names: &[&str]) -> f64 {
        let counts = names.iter().filter_map(|&name| self.0.get(name));
        counts.sum::<u64>() as f64
    }

    /// The calls that none of these groups names, as text: `accept4 3, close 1`.
    pub(crate) fn others(&self, groups: &[&[&str]]) -> String {
        let is_other = |name: &str| !groups.iter().any(|group| group.contains(&name));
        let others = self.0.iter().filter(|(name, _)| is_other(name));
        let others = others.map(|(name, count)| format!("{name} {count}"));
        others.collect::<Vec<_>>().join(", ")
    }
}

/// `12.34  0.001  5  50000  3 sendto` (the column of errors may be empty): the name and the calls.
fn table_row(line: &str) -> Option<(String, u64)> {
    let mut fields = line.split_whitespace();
    let calls = fields.nth(3)?.parse().ok()?;
    Some((fields.next_back()?.to_owned(), calls))
}
