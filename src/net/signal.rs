//! Signals as events of the poll. What they do is decided in `reactor`.

use mio::{Interest, Registry, Token};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook_mio::v1_0::Signals as Inner;
use std::fs;
use std::io;

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// SIGTERM, SIGINT: to stop; the second time, at once.
    Stop(i32),
    /// SIGHUP: to reload; or the terminal is closed.
    HangUp,
    /// SIGUSR1, SIGUSR2: nothing. Without a handler they would kill the server.
    Nothing(i32),
}

/// The signals that the server handles.
pub(super) struct Signals(Inner);

impl Signals {
    /// Notes signals from now on. A SIGHUP that is ignored stays ignored: nohup(1) has asked for that.
    pub(super) fn new() -> io::Result<Signals> {
        let mut signals = vec![SIGTERM, SIGINT, SIGUSR1, SIGUSR2];
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        if !is_ignored(SIGHUP, &status) {
            signals.push(SIGHUP);
        }
        Inner::new(signals).map(Signals)
    }

    /// Makes the poll report signals under `token`.
    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(&mut self.0, token, Interest::READABLE)
    }

    /// What the signals since the last call ask for.
    pub(super) fn pending(&mut self) -> impl Iterator<Item = Request> + use<'_> {
        self.0.pending().map(|signal| match signal {
            SIGHUP => Request::HangUp,
            SIGUSR1 | SIGUSR2 => Request::Nothing(signal),
            signal => Request::Stop(signal),
        })
    }
}

/// Whether a process ignores a signal, by its status (`SigIgn` in proc_pid_status(5)). sigaction(2) needs unsafe code. Where
/// there is no such file, no signal counts as ignored.
fn is_ignored(signal: i32, status: &str) -> bool {
    let mut lines = status.lines();
    let mask = lines.find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & (1 << (signal - 1)) != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_found_in_the_status_of_a_process() {
        let status = "Name:\tmadang\nSigBlk:\t0000000000000001\nSigIgn:\t0000000000001001\n";
        assert!(is_ignored(SIGHUP, status));
        assert!(!is_ignored(SIGINT, status));
        assert!(!is_ignored(SIGHUP, "SigIgn:\t0000000000001000\n"));
        assert!(!is_ignored(SIGHUP, ""));
    }
}
