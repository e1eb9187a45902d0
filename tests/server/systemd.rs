//! What the server tells a service manager, and the sockets that it takes from it. The tests speak systemd's side of
//! sd_notify(3) and sd_listen_fds(3).

use std::fs;
use std::io::ErrorKind;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::time::{Duration, Instant};

use crate::common::{Client, DEADLINE, Launch, Scratch, Server, until};
use rustix::process::Signal;

/// The service manager's socket.
struct Manager {
    socket: UnixDatagram,
    folder: Scratch,
}

impl Manager {
    fn new() -> Self {
        let folder = Scratch::new();
        let socket = UnixDatagram::bind(folder.path("notify")).expect("a socket");
        Self { socket, folder }
    }

    /// A server with these flags, as the manager starts it.
    fn launch(&self, flags: &[&str]) -> Launch {
        let path = self.folder.path("notify");
        Launch::new(flags).env("NOTIFY_SOCKET", path.to_str().expect("UTF-8"))
    }

    /// The next message, if one comes within this time.
    fn next(&self, within: Duration) -> Option<String> {
        let mut buffer = [0; 512];
        self.socket.set_read_timeout(Some(within)).expect("a time");
        match self.socket.recv(&mut buffer) {
            Ok(n) => Some(String::from_utf8(buffer[..n].to_vec()).expect("UTF-8")),
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// Reads up to a message that begins like this.
    fn find(&self, start: &str) -> String {
        let deadline = Instant::now() + DEADLINE;
        let mut seen = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.next(left.max(Duration::from_millis(1))) {
                Some(message) if message.starts_with(start) => return message,
                Some(message) => seen.push(message),
                None => panic!("{start:?} never came, after {seen:#?}"),
            }
        }
    }
}

/// `madang serve` with these flags and sockets from the service manager, which the shell says belong to `$$`, itself.
fn activated(sockets: Vec<OwnedFd>, names: &str, flags: &[&str]) -> Launch {
    let count = sockets.len();
    let mut before = format!("export LISTEN_PID=$$ LISTEN_FDS={count};");
    if !names.is_empty() {
        before += &format!("export LISTEN_FDNAMES={names};");
    }
    Launch::handed(&before, flags, sockets).listeners(count)
}

fn tcp() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").expect("a listener")
}

#[test]
fn readiness_figures_and_the_end_are_told() {
    let manager = Manager::new();
    let mut server = manager.launch(&[]).start();
    assert_eq!(manager.find(""), "READY=1\n");
    let figures = "STATUS=0 connections in 0 rooms, 0 lines said\n";
    assert_eq!(manager.find(""), figures);
    let ann = Client::connect_named(server.addr(), "ann");
    ann.say("one");
    // Not at once, but without another event.
    manager.find("STATUS=1 connections in 1 rooms, 1 lines said\n");
    server.signal(Signal::TERM);
    let stopping = manager.find("STOPPING=1\n");
    assert_eq!(
        stopping,
        "STOPPING=1\nSTATUS=stopping: 1 connections were open\n"
    );
    assert_eq!(server.wait_exit().code(), Some(0));
}

#[test]
fn a_reload_is_told_with_the_time_of_its_beginning() {
    let manager = Manager::new();
    let server = manager.launch(&[]).start();
    manager.find("READY=1\n");
    server.signal(Signal::HUP);
    let reloading = manager.find("RELOADING=1\n");
    assert!(reloading.contains("\nMONOTONIC_USEC="), "{reloading}");
    manager.find("READY=1\n");
}

#[test]
fn the_watchdog_is_fed_by_the_turn_and_only_by_it() {
    let manager = Manager::new();
    let server = manager.launch(&[]).env("WATCHDOG_USEC", "200000").start();
    for _ in 0..4 {
        manager.find("WATCHDOG=1\n");
    }
    // A loop that does not turn gives no sign of life.
    server.signal(Signal::STOP);
    while manager.next(Duration::from_millis(400)).is_some() {}
    server.signal(Signal::CONT);
    manager.find("WATCHDOG=1\n");
}

#[test]
fn the_watchdog_of_another_process_is_not_fed() {
    let manager = Manager::new();
    let launch = manager.launch(&[]).env("WATCHDOG_USEC", "20000");
    let _server = launch.env("WATCHDOG_PID", "1").start();
    manager.find("STATUS=");
    assert_eq!(manager.next(Duration::from_millis(300)), None);
}

#[test]
fn a_service_manager_that_is_not_there_is_logged_and_one_that_goes_is_ignored() {
    let mut server = Launch::new(&[])
        .env("NOTIFY_SOCKET", "/nonexistent/x")
        .start();
    let warning = "the service manager cannot be notified";
    until("a warning", || server.log().contains(warning));
    server.signal(Signal::TERM);
    assert_eq!(server.wait_exit().code(), Some(0));

    let manager = Manager::new();
    let mut server = manager.launch(&[]).env("WATCHDOG_USEC", "2000").start();
    manager.find("READY=1\n");
    drop(manager);
    let ann = Client::connect_named(server.addr(), "ann");
    let mut bob = Client::connect_named(server.addr(), "bob");
    ann.say("still there");
    bob.expect("ann: still there");
    server.signal(Signal::TERM);
    assert_eq!(server.wait_exit().code(), Some(0));
}

#[test]
fn sockets_are_taken_by_their_names() {
    let folder = Scratch::new();
    let path = folder.path("raw");
    let (chat, raw) = (tcp(), UnixListener::bind(&path).expect("a listener"));
    let address = chat.local_addr().expect("an address");
    let mut server = activated(vec![chat.into(), raw.into()], "chat:raw", &[]).start();
    let listening = [
        address.to_string(),
        format!("unix:{} (raw)", path.display()),
    ];
    assert_eq!(server.listening(), listening);
    let ann = Client::connect_named(address, "ann");
    let mut bob = Client::connect_named(address, "bob");
    ann.say("hello");
    bob.expect("ann: hello");
    server.signal(Signal::TERM);
    assert_eq!(server.wait_exit().code(), Some(0));
    // The file is the service manager's, which keeps it for the next start.
    assert!(fs::exists(&path).expect("a folder"));
}

#[test]
fn a_socket_without_a_name_is_for_chat_and_replaces_the_default_address() {
    for names in ["", "madang.socket"] {
        let socket = tcp();
        let address = socket.local_addr().expect("an address");
        let server = activated(vec![socket.into()], names, &[]).start();
        assert_eq!(server.listening(), [address.to_string()]);
        Client::connect(address);
        let listening = || server.log().matches("INFO listening ").count();
        until("it is logged where it listens", || listening() > 0);
        assert_eq!(listening(), 1);
    }
}

#[test]
fn an_address_that_is_given_is_bound_beside_those_that_were_handed_over() {
    let (socket, folder) = (tcp(), Scratch::new());
    let address = socket.local_addr().expect("an address").to_string();
    let place = format!("unix:{}", folder.path("chat").display());
    // The first flag is the socket's own address, which is not bound again.
    let flags = ["--listen", &address, "--listen", &place];
    let server = activated(vec![socket.into()], "chat", &flags)
        .listeners(2)
        .start();
    assert_eq!(server.listening(), [address, place]);
}

#[test]
fn sockets_of_another_process_are_left_alone() {
    let server = Launch::new(&[])
        .env("LISTEN_PID", "1")
        .env("LISTEN_FDS", "1")
        .start();
    Client::connect(server.addr());
}

#[test]
fn sockets_that_cannot_be_used_are_one_clear_line() {
    let datagram = || UdpSocket::bind("127.0.0.1:0").expect("a socket").into();
    let connected = || UnixDatagram::unbound().expect("a socket").into();
    let silent = || {
        let kind = rustix::net::SocketType::STREAM;
        rustix::net::socket(rustix::net::AddressFamily::INET, kind, None).expect("a socket")
    };
    let file = || fs::File::open("/dev/null").expect("a file").into();
    let wrong: [(&dyn Fn() -> OwnedFd, &str, &str); 6] = [
        (&datagram, "chat", "write ListenStream="),
        (&connected, "chat", "write ListenStream="),
        (&silent, "chat", "it does not listen"),
        (&file, "raw", "not a socket"),
        (
            &|| tcp().into(),
            "chatt",
            "FileDescriptorName=chat, tls, raw",
        ),
        (&|| tcp().into(), "chat:raw", "invalid LISTEN_FDNAMES"),
    ];
    for (socket, names, why) in wrong {
        let failure = activated(vec![socket()], names, &[]).fail();
        assert_eq!(failure.code, Some(1), "{failure:?}");
        assert_eq!(failure.stderr.lines().count(), 1, "{failure:?}");
        assert!(failure.stderr.contains(why), "{why}: {failure:?}");
    }
}

#[test]
fn newcomers_wait_in_the_backlog_while_the_server_is_started_again() {
    let socket = tcp();
    let address = socket.local_addr().expect("an address");
    let again: OwnedFd = socket.try_clone().expect("a duplicate").into();
    let mut server: Server = activated(vec![socket.into()], "chat", &[]).start();
    server.signal(Signal::TERM);
    assert_eq!(server.wait_exit().code(), Some(0));
    let waiting = Client::open(address);
    let _server = activated(vec![again], "chat", &[]).start();
    waiting.greeted();
}
