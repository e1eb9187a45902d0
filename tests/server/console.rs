//! A server with a console: a connection over a socket pair, named console. When the console leaves, the server stops.
//! `terminal/` tests the console on a terminal.

use crate::common::{Client, DEADLINE, until};
use madang::hub::limits::{HalfClose, Limits};
use madang::hub::{Owners, Ranges, Wire};
use madang::net::listener::{Listener, Options};
use madang::net::reactor::{Ended, Reactor};
use madang::net::reload::Settings;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

/// A server with a console, on a thread of the test.
struct ServerThread {
    addr: SocketAddr,
    ended: Receiver<Ended>,
}

const OPTIONS: Options = Options {
    backlog: 16,
    send_buffer_bytes: 65_536,
    recv_buffer_bytes: 65_536,
    keepalive: Duration::ZERO,
    trusts_uid: false,
};

/// A server that is never reloaded.
fn reactor(listeners: Vec<Listener>, limits: Limits, console: UnixStream) -> Reactor {
    let settings = Settings {
        limits,
        proxies: Ranges::default(),
        tls: None,
        owners: Owners::default(),
        places: Vec::new(),
        options: OPTIONS,
        log_level: tracing::Level::INFO,
        password: None,
        warnings: Vec::new(),
        flags: Vec::new(),
    };
    let source = Box::new(|| Err(vec!["there is no other".to_owned()]));
    Reactor::new(listeners, settings, source, Some(console)).expect("a reactor")
}

/// A server, its console and a client named kim.
fn start(limits: Limits) -> (ServerThread, Client, Client) {
    let (ours, theirs) = UnixStream::pair().expect("a pair");
    let (addr_sender, addr) = channel();
    let (ended_sender, ended) = channel();
    thread::spawn(move || {
        let anywhere = "127.0.0.1:0".parse().expect("an address");
        let listener = Listener::tcp(anywhere, false, Wire::Chat, OPTIONS).expect("a port");
        let addr = listener.to_string().parse().expect("an address");
        let reactor = reactor(vec![listener], limits, theirs);
        addr_sender.send(addr).expect("the test waits");
        let _ = ended_sender.send(reactor.serve().expect("serve"));
    });
    let addr = addr.recv_timeout(DEADLINE).expect("the server listens");
    let mut console = Client::on_pair(ours).greeted();
    assert_eq!((console.name(), console.here()), ("host", 1));
    let mut client = Client::connect_named(addr, "kim");
    client.say("hello");
    console.expect("kim: hello");
    console.say("welcome");
    client.expect("host: welcome");
    (ServerThread { addr, ended }, console, client)
}

impl ServerThread {
    /// Expects the server to stop by itself and to close its listener.
    #[track_caller]
    fn expect_end(&self) {
        assert_eq!(self.ended.recv_timeout(DEADLINE), Ok(Ended::Drained));
        until("the listener is closed", || {
            TcpStream::connect(self.addr).is_err()
        });
    }
}

#[test]
fn quit_at_the_console_shuts_the_server_down() {
    let (server, mut console, mut client) = start(Limits::default());
    console.say("/quit good night");
    client.expect("host: good night");
    client.expect("* server is shutting down");
    client.expect_end();
    console.expect("* you left; goodbye");
    console.rest();
    server.expect_end();
}

#[test]
fn the_end_of_console_input_shuts_the_server_down_under_either_half_close() {
    for half_close in [HalfClose::Close, HalfClose::Keep] {
        let limits = Limits {
            half_close,
            ..Limits::default()
        };
        let (server, mut console, mut client) = start(limits);
        console.send(b"/rooms\na last wor");
        console.finish();
        client.expect("host: a last wor");
        client.expect("* server is shutting down");
        client.expect_end();
        console.expect("* rooms: lobby (2)");
        console.rest();
        server.expect_end();
    }
}

#[test]
fn a_broken_console_connection_shuts_the_server_down() {
    let (server, console, mut client) = start(Limits::default());
    client.say("a line that the console does not read");
    client.say("/msg host and this");
    client.expect("you -> host: and this");
    drop(console);
    client.expect("* server is shutting down");
    client.expect_end();
    server.expect_end();
}

#[test]
fn a_client_that_does_not_read_delays_the_shutdown_by_drain_at_most() {
    let limits = Limits {
        drain_us: 100_000,
        ..Limits::default()
    };
    let (server, mut console, client) = start(limits);
    for _ in 0..1000 {
        console.say(&"x".repeat(8000));
    }
    console.say("/quit");
    console.find("* you left; goodbye");
    server.expect_end();
    drop(client);
}

#[test]
fn console_input_is_never_taken_for_http() {
    // There is no other client, so this is the first line of the connection, where HTTP is looked for.
    let (ours, theirs) = UnixStream::pair().expect("a pair");
    let server = thread::spawn(move || {
        let reactor = reactor(Vec::new(), Limits::default(), theirs);
        reactor.serve().expect("serve")
    });
    let mut console = Client::on_pair(ours).greeted();
    console.say("GET / HTTP/1.1");
    console.say("/who");
    console.expect("* here in lobby: host (1)");
    console.say("/quit");
    console.expect("* you left; goodbye");
    console.rest();
    assert_eq!(server.join().expect("no panic"), Ended::Drained);
}
