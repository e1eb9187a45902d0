//! The command line into one subcommand.

use clap::Parser;
#[cfg(feature = "bench")]
use madang::bench;
#[cfg(feature = "bench")]
use madang::cli::Bench;
use madang::cli::{Cli, Command, Join, Serve};
use madang::hub::Wire;
use madang::hub::limits::Limits;
use madang::join::{self, Show};
use madang::journal;
use madang::net::listener::Listener;
use madang::net::reactor::{Ended, Reactor};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::error::Error;
use std::io::{IsTerminal, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::panic::resume_unwind;
use std::process::ExitCode;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// Descriptors that are no clients': standard streams, poll, signals, log, and connections on their way out.
const DESCRIPTORS_RESERVED: u64 = 32;
/// … and those of a console: its connection, its log, its terminal, its signals, its history.
const DESCRIPTORS_CONSOLE: u64 = 16;

/// How long a console may take to give its terminal back when the server has ended: one that writes in vain tries for a
/// second.
const CONSOLE_PATIENCE: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Serve(serve) => self::serve(&serve),
        Command::Join(join) => talk(&join),
        #[cfg(feature = "bench")]
        Command::Bench(bench) => measure(&bench),
    };
    done.unwrap_or_else(|error| {
        // Not `eprintln`: standard error may be closed.
        let _ = writeln!(std::io::stderr(), "madang: {error}");
        ExitCode::FAILURE
    })
}

fn talk(join: &Join) -> Result<ExitCode, Box<dyn Error>> {
    match join::run(&join.plan())? {
        join::Ended::Left => Ok(ExitCode::SUCCESS),
        join::Ended::Unsent(lines) => Err(format!("lines that could not be sent: {lines}").into()),
        join::Ended::Lost(why) => {
            Err(format!("the connection to {} is lost: {why}", join.address).into())
        }
        join::Ended::Unprinted(why) => Err(unprinted(&why).into()),
        join::Ended::Signal(signal) => Ok(ExitCode::from(128 + signal as u8)),
    }
}

fn unprinted(why: &str) -> String {
    format!("what comes cannot be printed: {why}")
}

#[cfg(feature = "bench")]
fn measure(bench: &Bench) -> Result<ExitCode, Box<dyn Error>> {
    let adds_up = bench::run(&bench.plan(), descriptors(), &mut std::io::stdout().lock())?;
    Ok(if adds_up {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn serve(serve: &Serve) -> Result<ExitCode, Box<dyn Error>> {
    let addresses = serve.chat_addresses();
    let listening = (addresses.len() + serve.listen_raw.len()) as u64;
    let console = if serve.console {
        DESCRIPTORS_CONSOLE
    } else {
        0
    };
    let reserved = DESCRIPTORS_RESERVED + listening + console;
    let limits = serve.limits(clients_max(serve.max_clients, reserved)?);
    limits.check()?;
    let log = start_journal(serve)?;
    let mut listeners = Vec::new();
    for (addresses, wire) in [(&addresses, Wire::Chat), (&serve.listen_raw, Wire::Raw)] {
        for address in addresses {
            listeners.extend(Listener::bind(address, wire, serve.socket_options())?);
        }
    }
    let listening: Vec<String> = listeners.iter().map(ToString::to_string).collect();
    let pair = serve.console.then(UnixStream::pair).transpose()?;
    let (ours, theirs) = pair.unzip();
    let reactor = Reactor::new(listeners, limits.clone(), ours)?;
    announce(&listening, &limits);
    let ended = match theirs {
        Some(console) => serve_with_console(reactor, console, log, serve.look.show())?,
        None => reactor.serve()?,
    };
    Ok(match ended {
        Ended::Drained => ExitCode::SUCCESS,
        Ended::Forced(signal) => ExitCode::from(128 + signal as u8),
    })
}

/// Starts the log. Where a console writes to the same terminal, log lines go by way of it, or they would stand in the
/// midst of what is typed; what is returned is where they come out.
fn start_journal(serve: &Serve) -> std::io::Result<Option<UnixStream>> {
    let stderr = std::io::stderr();
    let shared = serve.console && join::has_editor() && stderr.is_terminal();
    let (to, from) = shared.then(UnixStream::pair).transpose()?.unzip();
    let to = to.as_ref().map_or(stderr.as_fd(), UnixStream::as_fd);
    journal::start(serve.log_level, serve.log_format, to);
    Ok(from)
}

/// Serves, while the one who runs the server talks in it from this terminal. The server keeps its one thread; the terminal
/// has another, and they share nothing but the two ends of their sockets.
fn serve_with_console(
    reactor: Reactor,
    console: UnixStream,
    log: Option<UnixStream>,
    show: Show,
) -> Result<Ended, Box<dyn Error>> {
    let shown = log.as_ref().map(UnixStream::try_clone).transpose()?;
    let (tell, told) = channel();
    let terminal = thread::spawn(move || {
        let left = join::console(console, shown, show);
        // Nobody may be waiting for it any more.
        let _ = tell.send(left);
    });
    let ended = reactor.serve();
    // It has seen the end of its connection; but whatever its terminal does, it does not keep the server.
    let left = match told.recv_timeout(CONSOLE_PATIENCE) {
        Ok(Ok(join::Ended::Unprinted(why))) => Err(unprinted(&why)),
        Ok(left) => left.map(drop),
        Err(RecvTimeoutError::Timeout) => Ok(()),
        Err(RecvTimeoutError::Disconnected) => match terminal.join() {
            Err(panic) => resume_unwind(panic),
            Ok(()) => Ok(()),
        },
    };
    // What was logged after the terminal was given back.
    if let Some(mut log) = log {
        log.set_nonblocking(true)?;
        let mut rest = Vec::new();
        // It ends where there is no more for now, which is an error.
        let _ = log.read_to_end(&mut rest);
        journal::pass_on(&rest);
    }
    left?;
    Ok(ended?)
}

/// Tells whoever started the server where it listens. A closed standard output is no reason not to serve.
fn announce(listening: &[String], limits: &Limits) {
    let mut out = std::io::stdout().lock();
    for address in listening {
        let _ = writeln!(out, "listening on {address}");
        tracing::info!(address, "listening");
    }
    let _ = out.flush();
    let memory_mib = limits.memory_bytes_max() >> 20;
    tracing::info!(
        clients_max = limits.clients_max,
        rooms_max = limits.rooms_max,
        memory_mib,
        "limits"
    );
}

/// How many descriptors this process may have, once the limit is raised as far as it goes.
fn descriptors() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    // A limit that cannot be raised is as good as one that need not be.
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    );
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// How many clients there may be at a time: what was asked for, or what the descriptor limit allows when so many are
/// reserved.
fn clients_max(wanted: Option<u32>, reserved: u64) -> Result<usize, String> {
    let descriptors = descriptors();
    let allowed = descriptors.saturating_sub(reserved);
    match wanted {
        Some(wanted) if u64::from(wanted) > allowed => Err(format!(
            "--max-clients {wanted} needs {} descriptors, but the limit is {descriptors}; raise it with ulimit -n",
            u64::from(wanted) + reserved
        )),
        Some(wanted) => Ok(wanted as usize),
        None if allowed == 0 => Err(format!(
            "the limit of {descriptors} descriptors leaves none for clients: at least {} are needed; raise it with ulimit -n",
            reserved + 1
        )),
        None => Ok(allowed.min(1 << 24) as usize),
    }
}
