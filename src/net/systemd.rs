//! What a service manager is told by sd_notify(3): ready, reloading, stopping, a status with figures, and a sign of life
//! for its watchdog. Without `NOTIFY_SOCKET` all of it does nothing. Sockets that it hands over are in `activation`.

use sd_notify::NotifyState;
use socket2::{Domain, SockAddr, Socket, Type};
use std::env;
use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

/// Shortest time between two messages with figures.
const STATUS_INTERVAL: Duration = Duration::from_secs(5);

/// The environment variables of the protocol. They concern this process only: a child process gets none of them.
pub const VARIABLES: [&str; 6] = [
    "NOTIFY_SOCKET",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
    "LISTEN_FDNAMES",
    "LISTEN_FDS",
    "LISTEN_PID",
];

/// The figures that `systemctl status` shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Clients that are connected.
    pub connections: usize,
    /// Rooms that have members.
    pub rooms: usize,
    /// Lines that clients have said since the start.
    pub lines: u64,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Status {
            connections,
            rooms,
            lines,
        } = self;
        write!(
            f,
            "{connections} connections in {rooms} rooms, {lines} lines said"
        )
    }
}

/// The service manager, if there is one.
#[derive(Debug)]
pub struct ServiceManager(Option<Notifier>);

impl ServiceManager {
    /// The service manager that has started this process, by the environment.
    pub fn from_env() -> ServiceManager {
        let notifier = env::var_os("NOTIFY_SOCKET").and_then(|path| match connect(&path) {
            Ok(socket) => {
                // 0 would be no watchdog (sd_watchdog_enabled(3)).
                let watchdog = sd_notify::watchdog_enabled().filter(|time| !time.is_zero());
                Some(Notifier::new(socket, watchdog, Instant::now()))
            }
            Err(error) => {
                tracing::warn!(?path, %error, "the service manager cannot be notified");
                None
            }
        });
        ServiceManager(notifier)
    }

    /// The server accepts connections.
    pub fn ready(&self) {
        if let Some(notifier) = &self.0 {
            notifier.notify(&[NotifyState::Ready]);
        }
    }

    /// The server begins to reload its configuration; [`ready`](ServiceManager::ready) ends that.
    pub fn reloading(&self) {
        if let Some(notifier) = &self.0 {
            notifier.reloading();
        }
    }

    /// The server is stopping, and lets so many clients read what is pending.
    pub fn stopping(&mut self, clients: usize) {
        if let Some(notifier) = &mut self.0 {
            notifier.stopping(clients);
        }
    }

    /// The end of a turn: gives the watchdog its sign of life if it is due, and sends figures that have changed, not too
    /// often. `status` is only asked for if there is a service manager.
    pub fn after_turn(&mut self, status: impl FnOnce() -> Status) {
        if let Some(notifier) = &mut self.0 {
            notifier.after_turn(Instant::now(), status());
        }
    }

    /// How long the poll may wait, of a wait of at most `timeout` (`None`: for ever).
    pub fn timeout(&self, timeout: Option<Duration>) -> Option<Duration> {
        match &self.0 {
            Some(notifier) => notifier.timeout(Instant::now(), timeout),
            None => timeout,
        }
    }
}

/// Tells a service manager. A message that it does not take at once is lost: the server neither waits nor complains.
#[derive(Debug)]
struct Notifier {
    /// Connected, and never blocks.
    socket: Socket,
    /// Half the time in which the watchdog expects a sign of life.
    watchdog: Option<Duration>,
    /// When it is next given.
    watchdog_due: Instant,
    /// The figures that the service manager has.
    sent: Option<Status>,
    /// Those that it is still to be sent.
    unsent: Option<Status>,
    /// No figures are sent before this.
    status_due: Instant,
    is_stopping: bool,
}

impl Notifier {
    fn new(socket: Socket, watchdog: Option<Duration>, now: Instant) -> Notifier {
        Notifier {
            socket,
            watchdog: watchdog.map(|interval| interval / 2),
            watchdog_due: now,
            sent: None,
            unsent: None,
            status_due: now,
            is_stopping: false,
        }
    }

    fn reloading(&self) {
        if let Ok(now) = NotifyState::monotonic_usec_now() {
            self.notify(&[NotifyState::Reloading, now]);
        }
    }

    fn stopping(&mut self, clients: usize) {
        if !self.is_stopping {
            self.is_stopping = true;
            self.unsent = None;
            let status = format!("stopping: {clients} connections were open");
            self.notify(&[NotifyState::Stopping, NotifyState::Status(&status)]);
        }
    }

    fn after_turn(&mut self, now: Instant, status: Status) {
        if let Some(interval) = self.watchdog
            && now >= self.watchdog_due
        {
            self.watchdog_due = now + interval;
            self.notify(&[NotifyState::Watchdog]);
        }
        if self.is_stopping {
            return;
        }
        self.unsent = (self.sent != Some(status)).then_some(status);
        if self.unsent.is_some() && now >= self.status_due {
            self.status_due = now + STATUS_INTERVAL;
            self.sent = self.unsent.take();
            self.notify(&[NotifyState::Status(&status.to_string())]);
        }
    }

    fn timeout(&self, now: Instant, timeout: Option<Duration>) -> Option<Duration> {
        let watchdog = self.watchdog.map(|_| self.watchdog_due);
        let status = self.unsent.map(|_| self.status_due);
        let due = [watchdog, status].into_iter().flatten();
        let left = due.map(|due| due.saturating_duration_since(now));
        left.chain(timeout).min()
    }

    /// Sends one message. What is not taken at once is lost.
    fn notify(&self, states: &[NotifyState<'_>]) {
        let message: String = states.iter().map(|state| format!("{state}\n")).collect();
        let _ = self.socket.send(message.as_bytes());
    }
}

/// Connects to a service manager's socket: a path, or an abstract name after an `@`.
fn connect(path: &OsStr) -> io::Result<Socket> {
    let address = match path.as_bytes() {
        [b'@', name @ ..] => SockAddr::unix(OsStr::from_bytes(&[b"\0", name].concat()))?,
        _ => SockAddr::unix(path)?,
    };
    let socket = Socket::new(Domain::UNIX, Type::DGRAM, None)?;
    socket.set_nonblocking(true)?;
    socket.connect(&address)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::ErrorKind;
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    const STATUS: Status = Status {
        connections: 3,
        rooms: 2,
        lines: 7,
    };

    /// A server's end, and the service notifier's.
    fn pair(watchdog: Option<Duration>, now: Instant) -> (Notifier, UnixDatagram) {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        theirs.set_nonblocking(true).unwrap();
        (Notifier::new(ours.into(), watchdog, now), theirs)
    }

    /// The messages that have arrived.
    fn received(theirs: &UnixDatagram) -> Vec<String> {
        let mut messages = Vec::new();
        let mut buffer = [0; 256];
        loop {
            match theirs.recv(&mut buffer) {
                Ok(n) => messages.push(String::from_utf8(buffer[..n].to_vec()).unwrap()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return messages,
                Err(error) => panic!("{error}"),
            }
        }
    }

    #[test]
    fn figures_are_sent_when_they_have_changed_and_not_too_often() {
        let start = Instant::now();
        let (mut notifier, theirs) = pair(None, start);
        assert_eq!(notifier.timeout(start, None), None);
        notifier.after_turn(start, STATUS);
        let first = "STATUS=3 connections in 2 rooms, 7 lines said\n";
        assert_eq!(received(&theirs), [first]);
        // The same figures: nothing is sent, and nothing wakes the server.
        let later = start + 10 * STATUS_INTERVAL;
        notifier.after_turn(later, STATUS);
        assert_eq!(received(&theirs), [""; 0]);
        assert_eq!(notifier.timeout(later, None), None);

        let change = |lines| Status { lines, ..STATUS };
        notifier.after_turn(later, change(8));
        assert_eq!(received(&theirs).len(), 1);
        let soon = later + STATUS_INTERVAL / 2;
        notifier.after_turn(soon, change(9));
        assert_eq!(received(&theirs), [""; 0]);
        // What was held back is sent when its time has come.
        let left = notifier.timeout(soon, None);
        assert_eq!(left, Some(STATUS_INTERVAL / 2));
        notifier.after_turn(soon + STATUS_INTERVAL / 2, change(9));
        let second = "STATUS=3 connections in 2 rooms, 9 lines said\n";
        assert_eq!(received(&theirs), [second]);
    }

    #[test]
    fn the_watchdog_gets_a_sign_of_life_at_half_its_interval() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let (mut notifier, theirs) = pair(Some(6 * second), start);
        let signs = |notifier: &mut Notifier, now| {
            notifier.after_turn(now, STATUS);
            let all = received(&theirs);
            all.iter()
                .filter(|message| *message == "WATCHDOG=1\n")
                .count()
        };
        assert_eq!(signs(&mut notifier, start), 1);
        assert_eq!(notifier.timeout(start, None), Some(3 * second));
        assert_eq!(notifier.timeout(start, Some(second)), Some(second));
        assert_eq!(signs(&mut notifier, start + 2 * second), 0);
        assert_eq!(notifier.timeout(start + 2 * second, None), Some(second));
        assert_eq!(signs(&mut notifier, start + 3 * second), 1);
        // A stopping server still lives.
        notifier.stopping(0);
        assert_eq!(signs(&mut notifier, start + 6 * second), 1);
    }

    #[test]
    fn a_reload_is_framed_and_the_end_is_told_once() {
        let now = Instant::now();
        let (mut notifier, theirs) = pair(None, now);
        notifier.reloading();
        notifier.notify(&[NotifyState::Ready]);
        notifier.stopping(4);
        notifier.stopping(4);
        notifier.after_turn(now, STATUS);
        let all = received(&theirs);
        assert_eq!(all.len(), 3, "{all:?}");
        let clock = all[0].strip_prefix("RELOADING=1\nMONOTONIC_USEC=");
        let clock: u64 = clock.expect("the clock").trim().parse().expect("a number");
        assert!(clock > 0);
        assert_eq!(all[1], "READY=1\n");
        assert!(all[2].starts_with("STOPPING=1\nSTATUS=stopping: 4 "));
    }

    #[test]
    fn a_socket_that_is_full_or_gone_is_ignored() {
        let now = Instant::now();
        let (mut notifier, theirs) = pair(Some(Duration::from_micros(2)), now);
        for tick in 0..10_000 {
            notifier.after_turn(now + Duration::from_micros(tick), STATUS);
        }
        let taken = received(&theirs).len();
        assert!((1..10_000).contains(&taken), "{taken}");
        drop(theirs);
        notifier.notify(&[NotifyState::Ready]);
        notifier.after_turn(now + Duration::from_secs(1), STATUS);
    }

    #[test]
    fn an_abstract_socket_is_found_by_its_name_and_a_missing_one_is_an_error() {
        let name = format!("madang-notify-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let theirs = UnixDatagram::bind_addr(&address).unwrap();
        let ours = connect(OsStr::new(&format!("@{name}"))).unwrap();
        ours.send(b"READY=1\n").unwrap();
        let mut buffer = [0; 16];
        assert_eq!(theirs.recv(&mut buffer).unwrap(), 8);
        assert!(connect(OsStr::new("/nonexistent/notify")).is_err());
        assert!(connect(OsStr::new(&"x".repeat(200))).is_err());
    }
}
