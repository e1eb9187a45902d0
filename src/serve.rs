//! Sets up a server from its flags and runs it: descriptor limit, log, listeners, console. The flags themselves are in
//! `cli`; what happens on a connection is decided in `net` and `hub`.

mod cluster;
mod given;

use crate::address::Address;
use crate::cli::{Cli, Serve, Setting, control, in_force};
use crate::hub::limits::Limits;
use crate::hub::secret::Secret;
use crate::hub::{Owners, Wire};
use crate::join::{self, Show};
use crate::logging;
use crate::memory;
use crate::net::activation::{self, Handed, Purpose};
use crate::net::bind::{Place, bind_beside, bind_handed};
use crate::net::certificates::Tls;
use crate::net::keeper::Keeper;
use crate::net::listener::{Listener, Options};
use crate::net::reactor::{Ended, Reactor};
use crate::net::reload::{Flag, Settings};
use crate::net::tls::SESSION_BYTES_MAX;
use crate::password_file;
use crate::sandbox::{self, ConsoleNeeds, Needs};
use crate::users;
use cluster::Cluster;
use given::Given;
pub use given::raise_descriptor_limit;
use std::error::Error;
use std::fs::DirBuilder;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixStream;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

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
    let (metrics, handed): (Vec<Handed>, Vec<Handed>) = activation::take()?
        .into_iter()
        .partition(|one| one.purpose == Purpose::Metrics);
    let given = Given::with(&handed, &metrics);
    let settings = settings(flags, given).map_err(|lines| lines.join("\nmadang: "))?;
    let console_log = start_logging(flags)?;
    for warning in &settings.warnings {
        tracing::warn!("{warning}");
    }
    warn_of_certificates(&settings);
    for certificate in settings.tls.iter().flat_map(|tls| &tls.certificates) {
        tracing::info!("{certificate}");
    }
    let (places, options) = (settings.places.clone(), settings.options);
    let mut listeners = bind_handed(&places, handed, options)?;
    if flags.listening.control.is_none() && !given.has_control {
        listeners.extend(default_control(options));
    }
    warn_of_open(&listeners, flags);
    let mut metrics = adopt_metrics(metrics, options)?;
    metrics.extend(bind_beside(&flags.metrics_places(), &places, options)?);
    let mut addresses: Vec<String> = listeners.iter().map(ToString::to_string).collect();
    addresses.extend(metrics.iter().map(|it| format!("{it} (metrics)")));
    let (hub_end, console_end) = flags.console.then(UnixStream::pair).transpose()?.unzip();
    let limits = settings.limits.clone();
    let tls = settings.tls.as_ref();
    let tls_bytes = tls.map(|tls| (SESSION_BYTES_MAX + tls.client_bytes_max) as u64);
    let again = move || settings_again(given);
    let mut reactor = Reactor::new(listeners, settings, Box::new(again), hub_end)?;
    let state = flags.state_folder();
    if let Some(folder) = &state {
        Keeper::create_folder(folder)?;
    }
    if let Some(cluster) = Cluster::of(flags).map_err(|lines| lines.join("\nmadang: "))? {
        let first = addresses.first().map_or("", String::as_str);
        let (engine, options, node) = cluster.parts(first, limits.history_lines);
        tracing::info!(%engine, name = node.name, lanes = node.lanes, "a node of a cluster");
        reactor.set_cluster(engine, options, node)?;
    }
    // The kernel takes twice what it is asked for: see socket(7). Before the sandbox, which hides what control groups allow.
    let buffers_bytes = options.send_buffer_bytes + options.recv_buffer_bytes;
    memory::log(&limits, 2 * buffers_bytes as u64, tls_bytes);
    if !flags.no_sandbox {
        sandbox::enter(&needs(flags, &places, state.clone()));
    }
    if let Some(folder) = &state {
        let (keeper, entries) = Keeper::start(folder)?;
        tracing::info!(folder = %folder.display(), entries = entries.len(), "state");
        reactor.set_keeper(keeper, &entries)?;
    }
    if !metrics.is_empty() {
        reactor.serve_metrics(metrics)?;
    }
    announce(&addresses, &limits);
    match console_end {
        Some(console) => serve_with_console(reactor, console, console_log, flags.look.show()),
        None => Ok(reactor.serve()?),
    }
}

/// All that a server is set to by its flags.
fn settings(flags: &Serve, given: Given) -> Result<Settings, Vec<String>> {
    let one = |line: String| vec![line];
    let clients_max = clients_max(
        flags.limits.max_clients,
        given.descriptors,
        given.reserved_descriptors(flags),
    )
    .map_err(one)?;
    let limits = flags.limits(clients_max);
    limits
        .check()
        .map_err(|conflict| one(conflict.to_string()))?;
    let owners = owners(flags).map_err(one)?;
    let (password, warning) = password(flags, given).map_err(one)?.unzip();
    let cluster = Cluster::of(flags)?;
    let warnings = cluster.map(|cluster| cluster.warnings);
    let flag = |setting: &Setting| Flag {
        name: setting.name.clone(),
        value: setting.told(),
        is_live: setting.is_live(),
    };
    Ok(Settings {
        limits,
        owners,
        proxies: flags.listening.proxy_from.iter().copied().collect(),
        tls: tls(flags, given)?,
        places: given.places(flags),
        options: flags.socket_options(),
        log_level: flags.log.log_level,
        password,
        warnings: (warning.flatten().into_iter())
            .chain(warnings.into_iter().flatten())
            .collect(),
        flags: flags.settings.iter().map(flag).collect(),
    })
}

/// Whose names are known before anybody registers one.
fn owners(flags: &Serve) -> Result<Owners, String> {
    let users = flags.names.trust_peer_uid.then(users::read).transpose()?;
    let operators = flags.names.operator.clone();
    let owners = Owners { users, operators };
    owners.check()?;
    Ok(owners)
}

/// The password for which clients are asked, and what is to be said of its file.
fn password(flags: &Serve, given: Given) -> Result<Option<(Secret, Option<String>)>, String> {
    let Some(path) = &flags.access.password_file else {
        return Ok(None);
    };
    let (password, warning) = password_file::of_server("--password-file", path)?;
    let places = given.places(flags);
    let raw = places.iter().find(|place| place.wire == Wire::Raw);
    let raw = raw.map(ToString::to_string);
    if let Some(raw) = raw.or_else(|| {
        given
            .has_raw
            .then(|| "a raw socket that was handed over".into())
    }) {
        return Err(format!(
            "{raw}: raw clients cannot be asked for the password of --password-file; leave one of them out, \
             or serve raw clients by another server"
        ));
    }
    if password.line().len() > flags.limits.max_line as usize {
        let (needed, max_line) = (password.line().len(), flags.limits.max_line);
        return Err(format!(
            "--max-line {max_line} is too short for /pass and the password: {needed} bytes are needed"
        ));
    }
    Ok(Some((Secret::of(password.text()), warning)))
}

/// The same by what the configuration file says now.
fn settings_again(given: Given) -> Result<Settings, Vec<String>> {
    let flags = Cli::serve_again()?;
    let settings = settings(&flags, given)?;
    warn_of_certificates(&settings);
    Ok(settings)
}

/// What TLS listeners present and accept, if there are such listeners.
fn tls(flags: &Serve, given: Given) -> Result<Option<Tls>, Vec<String>> {
    if given.has_tls || !flags.listening.listen_tls.is_empty() {
        return flags.tls.files().load().map(Some);
    }
    match flags.tls.first() {
        Some(flag) => Err(vec![format!("{flag} is given, but no --listen-tls")]),
        None => Ok(None),
    }
}

/// Warns of certificates that have expired, or soon will.
fn warn_of_certificates(settings: &Settings) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |since| since.as_secs());
    let warnings = settings.tls.iter().flat_map(|tls| tls.warnings(now));
    warnings.for_each(|warning| tracing::warn!("{warning}"));
}

/// Prints what is in force, and where it comes from.
///
/// # Errors
/// Standard output is closed.
pub fn print_config(flags: &Serve) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(in_force(&flags.settings).as_bytes())?;
    out.flush()
}

/// All that can be known to be wrong without binding anything, one line each. Nothing: a server would start with these
/// flags, unless an address is taken or is none of this machine.
pub fn check(flags: &Serve) -> Vec<String> {
    let settings = settings(flags, Given::with(&[], &[]));
    let mut wrong: Vec<String> = settings.err().unwrap_or_default();
    for setting in &flags.settings {
        for value in &setting.values {
            let needed = match (&*setting.value_name, value.trim().strip_prefix("unix:")) {
                ("ADDR", Some(path)) => Path::new(path).parent().map(Path::to_path_buf),
                ("DIR", _) => Some(value.trim().into()),
                _ => None,
            };
            let needed = needed.filter(|path| *path != Path::new(""));
            if let Some(needed) = needed.filter(|path| !path.is_dir()) {
                let (name, needed) = (&setting.name, needed.display());
                wrong.push(format!("--{name} {value}: there is no directory {needed}"));
            }
        }
    }
    wrong.extend(clashes(&flags.places()));
    wrong
}

/// Addresses of which one keeps the other from being bound: one line for each pair.
fn clashes(places: &[Place]) -> Vec<String> {
    let pairs = places.iter().enumerate();
    let pairs = pairs.flat_map(|(nth, one)| places[..nth].iter().map(move |other| (other, one)));
    let clashing = pairs.filter(|(other, one)| one.clashes_with(other));
    clashing
        .map(|(other, one)| {
            format!("{one}: {other} includes it or is part of it; remove one of the two flags")
        })
        .collect()
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

/// Listeners of the metrics page at sockets of the service manager.
fn adopt_metrics(handed: Vec<Handed>, options: Options) -> io::Result<Vec<Listener>> {
    let handed = handed.into_iter();
    let adopted = handed.map(|one| Listener::handed(one.socket, Wire::Chat, options));
    adopted.collect()
}

/// What the server still has to do with files once it listens.
fn needs(flags: &Serve, places: &[Place], state: Option<PathBuf>) -> Needs {
    let metrics = flags.metrics_places();
    let sockets = places.iter().chain(&metrics);
    let sockets = sockets.filter_map(|place| match &place.address {
        Address::Unix(path) => Some(path.clone()),
        Address::Tcp { .. } => None,
    });
    Needs {
        config: flags.config.clone(),
        files: flags
            .tls
            .files()
            .all()
            .chain(&flags.access.password_file)
            .chain(&flags.cluster.cluster_password_file)
            .chain(&flags.cluster.cluster_ca)
            .cloned()
            .collect(),
        state,
        users: flags.names.trust_peer_uid,
        sockets: sockets.chain(control::default_path()).collect(),
        console: flags.console.then(|| ConsoleNeeds {
            history: join::create_history_folder(),
        }),
    }
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

/// Names the listeners that everybody can use who can reach them, and what to do about it, in one line.
fn warn_of_open(listeners: &[Listener], flags: &Serve) {
    let is_open = |listener: &&Listener| listener.is_reachable() && !listener.is_tls();
    if !flags.listening.allow.is_empty() || flags.access.password_file.is_some() {
        return;
    }
    let open = listeners.iter().filter(is_open).map(ToString::to_string);
    let open: Vec<String> = open.collect();
    if !open.is_empty() {
        tracing::warn!(
            listeners = open.join(", "),
            "open to everybody who can reach them, and not encrypted: --listen 127.0.0.1:PORT keeps to this machine, \
             --listen-tls encrypts, --password-file FILE asks newcomers for a password, --allow CIDR admits only some \
             addresses"
        );
    }
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
