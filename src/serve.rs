//! Sets up a server from its flags and runs it: descriptor limit, log, listeners, console. The flags themselves are in
//! `cli`; what happens on a connection is decided in `net` and `hub`.

use crate::cli::{Control, Serve, control};
use crate::hub::Wire;
use crate::hub::limits::{Limits, OPERATORS_MAX};
use crate::join::{self, Show};
use crate::logging;
use crate::net::bind::bind_all;
use crate::net::listener::{Listener, Options};
use crate::net::reactor::{Ended, Reactor};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::error::Error;
use std::fs::DirBuilder;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixStream;
use std::panic::resume_unwind;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// Descriptors that are not clients': standard streams, poll, signals, log, lingering connections.
const RESERVED_DESCRIPTORS: u64 = 32;
/// More of them with a console: its connection, log, terminal, signals and history file.
const CONSOLE_DESCRIPTORS: u64 = 16;
/// Most clients without `--max-clients`, whatever the descriptor limit.
const CLIENTS_MAX: u64 = 1 << 24;

/// How long the server waits, after it has stopped, for the console to restore its terminal. The console itself stops
/// trying after a second.
const CONSOLE_TIMEOUT: Duration = Duration::from_secs(2);

/// Serves until a signal or the console stops the server.
///
/// # Errors
/// The server cannot start, its poll fails, or its console cannot be used. The error is one line for the operator.
pub fn run(flags: &Serve) -> Result<Ended, Box<dyn Error>> {
    let (descriptors, reserved) = (raise_descriptor_limit(), reserved_descriptors(flags));
    let clients_max = clients_max(flags.limits.max_clients, descriptors, reserved)?;
    let limits = flags.limits(clients_max);
    limits.check()?;
    let console_log = start_logging(flags)?;
    let mut listeners = bind_all(&flags.places(), flags.listening.options())?;
    if flags.listening.control.is_none() {
        listeners.extend(default_control(flags.listening.options()));
    }
    let addresses: Vec<String> = listeners.iter().map(ToString::to_string).collect();
    let (hub_end, console_end) = flags.console.then(UnixStream::pair).transpose()?.unzip();
    let reactor = Reactor::new(listeners, limits.clone(), hub_end)?;
    announce(&addresses, &limits);
    match console_end {
        Some(console) => serve_with_console(reactor, console, console_log, flags.look.show()),
        None => Ok(reactor.serve()?),
    }
}

/// The control listener where the flags say nothing of it, if there is a place for it. Without it the server runs too.
fn default_control(options: Options) -> Option<Listener> {
    let path = control::default_path()?;
    // If it cannot be made, listening fails, and says so.
    let directory = path.parent()?;
    let _ = DirBuilder::new().mode(0o700).create(directory);
    match Listener::unix(&path, Wire::Control, options) {
        Ok(listener) => Some(listener),
        Err(error) => {
            let path = path.display();
            tracing::warn!(%path, %error, "no control listener; --control says where else, or none");
            None
        }
    }
}

/// Raises the limit on open descriptors as far as this process may, and returns it.
pub fn raise_descriptor_limit() -> u64 {
    let maximum = getrlimit(Resource::Nofile).maximum;
    // If the limit cannot be raised, the present one is used.
    let current = maximum;
    let _ = setrlimit(Resource::Nofile, Rlimit { current, maximum });
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

fn reserved_descriptors(flags: &Serve) -> u64 {
    let listeners = flags.places().len();
    let console = u64::from(flags.console) * CONSOLE_DESCRIPTORS;
    let control = match flags.listening.control {
        None if control::default_path().is_some() => OPERATORS_MAX as u64 + 1,
        Some(Control::Path(_)) => OPERATORS_MAX as u64,
        Some(Control::None) | None => 0,
    };
    RESERVED_DESCRIPTORS + listeners as u64 + console + control
}

/// How many clients may be connected at a time: `wanted`, or all that the limit of `descriptors` leaves.
fn clients_max(wanted: Option<u32>, descriptors: u64, reserved: u64) -> Result<usize, String> {
    let available = descriptors.saturating_sub(reserved);
    match wanted.map(u64::from) {
        Some(wanted) if wanted > available => Err(format!(
            "--max-clients {wanted} needs {} open files, but the limit is {descriptors}; raise it with ulimit -n",
            wanted + reserved
        )),
        None if available == 0 => Err(format!(
            "the limit of {descriptors} open files is too low: the server needs at least {}; raise it with ulimit -n",
            reserved + 1
        )),
        wanted => Ok(wanted.unwrap_or(available.min(CLIENTS_MAX)) as usize),
    }
}

/// Starts the log on standard error. If that is the terminal that the console edits on, the log goes to the console
/// instead, which prints it above the line being typed; the socket returned is the end that the console reads.
fn start_logging(flags: &Serve) -> io::Result<Option<UnixStream>> {
    let stderr = io::stderr();
    let shared = flags.console && join::has_editor() && stderr.is_terminal();
    let (write_end, read_end) = shared.then(UnixStream::pair).transpose()?.unzip();
    let fd = write_end.as_ref().map_or(stderr.as_fd(), AsFd::as_fd);
    logging::start(flags.log.log_level, flags.log.log_format, fd);
    Ok(read_end)
}

/// Prints and logs the addresses of the listeners, and logs the limits. The server runs even if it cannot print.
fn announce(addresses: &[String], limits: &Limits) {
    let mut out = io::stdout().lock();
    for address in addresses {
        let _ = writeln!(out, "listening on {address}");
        tracing::info!(address, "listening");
    }
    let _ = out.flush();
    tracing::info!(
        clients_max = limits.clients_max,
        rooms_max = limits.rooms_max,
        memory_mib_max = limits.memory_bytes_max() >> 20,
        "limits"
    );
}

/// Runs the server on this thread and its console on another. The two share nothing but the sockets between them.
fn serve_with_console(
    reactor: Reactor,
    console: UnixStream,
    log: Option<UnixStream>,
    show: Show,
) -> Result<Ended, Box<dyn Error>> {
    let console_log = log.as_ref().map(UnixStream::try_clone).transpose()?;
    let (sender, receiver) = channel();
    let thread = thread::spawn(move || {
        // Fails when this thread has taken longer than the server waits.
        let _ = sender.send(join::console(console, console_log, show));
    });
    let served = reactor.serve();
    let console = match receiver.recv_timeout(CONSOLE_TIMEOUT) {
        Ok(Ok(join::Ended::Unprinted(why))) => {
            Err(format!("cannot write to standard output: {why}"))
        }
        Ok(ended) => ended.map(drop),
        Err(RecvTimeoutError::Timeout) => Ok(()),
        Err(RecvTimeoutError::Disconnected) => match thread.join() {
            Err(panic) => resume_unwind(panic),
            Ok(()) => Ok(()),
        },
    };
    if let Some(mut log) = log {
        // Lines that were logged after the console had stopped reading. The end is an error: `WouldBlock`.
        log.set_nonblocking(true)?;
        let mut rest = Vec::new();
        let _ = log.read_to_end(&mut rest);
        logging::write_to_stderr(&rest);
    }
    console?;
    Ok(served?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_max_is_what_the_flag_or_the_descriptor_limit_says() {
        assert_eq!(clients_max(None, 1024, 33), Ok(991));
        assert_eq!(clients_max(Some(10), 43, 33), Ok(10));
        assert_eq!(clients_max(None, u64::MAX, 33), Ok(1 << 24));
        for (wanted, descriptors) in [(None, 33), (None, 0), (Some(11), 43)] {
            let error = clients_max(wanted, descriptors, 33).unwrap_err();
            assert!(error.contains("raise it with ulimit -n"), "{error}");
        }
    }
}
