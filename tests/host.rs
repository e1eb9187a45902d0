//! A server with a host: somebody at the other end of a socket pair, served beside those who come to its listeners, and
//! with whom the server ends.

mod common;

use common::{Client, DEADLINE, until};
use madang::hub::Wire;
use madang::hub::limits::{HalfClose, Limits};
use madang::net::listener::{Listener, Options};
use madang::net::reactor::{Ended, Reactor};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

/// A server on a thread of its own.
struct Hosted {
    addr: SocketAddr,
    ended: Receiver<Ended>,
}

/// A server, its host and a guest.
fn hosted(limits: Limits) -> (Hosted, Client, Client) {
    let (ours, theirs) = UnixStream::pair().expect("a pair");
    let (tell_addr, addr) = channel();
    let (tell_end, ended) = channel();
    thread::spawn(move || {
        let options = Options {
            backlog: 16,
            send_buffer_bytes: 65_536,
            recv_buffer_bytes: 65_536,
            keepalive: Duration::ZERO,
        };
        let anywhere = "127.0.0.1:0".parse().expect("an address");
        let listeners = Listener::bind(&anywhere, Wire::Chat, options).expect("a port");
        let addr = listeners[0].to_string().parse().expect("an address");
        let reactor = Reactor::new(listeners, limits, Some(theirs)).expect("a reactor");
        tell_addr.send(addr).expect("the test waits for it");
        let _ = tell_end.send(reactor.serve().expect("it serves"));
    });
    let addr = addr.recv_timeout(DEADLINE).expect("it listens");
    let mut host = Client::on_pair(ours).greeted();
    assert_eq!((host.name(), host.here()), ("host", 1));
    let mut guest = Client::connect_named(addr, "kim");
    guest.say("hello");
    host.expect("kim: hello");
    host.say("welcome");
    guest.expect("host: welcome");
    (Hosted { addr, ended }, host, guest)
}

impl Hosted {
    /// It has come to its end by itself, and nobody listens any more.
    #[track_caller]
    fn expect_end(&self) {
        assert_eq!(self.ended.recv_timeout(DEADLINE), Ok(Ended::Drained));
        until("nobody listens", || TcpStream::connect(self.addr).is_err());
    }
}

#[test]
fn with_its_host_the_server_leaves_and_everybody_is_told() {
    let (server, mut host, mut guest) = hosted(Limits::default());
    host.say("/quit good night");
    guest.expect("host: good night");
    guest.expect("* server is shutting down");
    guest.expect_end();
    host.expect("* you left; goodbye");
    host.rest();
    server.expect_end();
}

#[test]
fn the_end_of_what_the_host_sends_is_its_end_whatever_others_are_left() {
    for half_close in [HalfClose::Close, HalfClose::Keep] {
        let limits = Limits {
            half_close,
            ..Limits::default()
        };
        let (server, mut host, mut guest) = hosted(limits);
        host.send(b"/rooms\na last wor");
        host.finish();
        guest.expect("host: a last wor");
        guest.expect("* server is shutting down");
        guest.expect_end();
        host.expect("* rooms: lobby (2)");
        host.rest();
        server.expect_end();
    }
}

#[test]
fn a_host_that_is_gone_without_a_word_has_left_too() {
    let (server, host, mut guest) = hosted(Limits::default());
    guest.say("something that it does not read");
    guest.say("/msg host and this");
    guest.expect("you -> host: and this");
    drop(host);
    guest.expect("* server is shutting down");
    guest.expect_end();
    server.expect_end();
}

#[test]
fn a_guest_that_does_not_read_keeps_the_server_no_longer_than_it_may() {
    let limits = Limits {
        drain_us: 100_000,
        ..Limits::default()
    };
    let (server, mut host, guest) = hosted(limits);
    for _ in 0..1000 {
        host.say(&"x".repeat(8000));
    }
    host.say("/quit");
    host.find("* you left; goodbye");
    server.expect_end();
    drop(guest);
}

#[test]
fn nothing_that_the_host_says_is_taken_for_a_stranger_at_the_wrong_door() {
    // Without a listener, so that the first line is the host's first.
    let (ours, theirs) = UnixStream::pair().expect("a pair");
    let reactor = Reactor::new(Vec::new(), Limits::default(), Some(theirs)).expect("a reactor");
    let server = thread::spawn(move || reactor.serve().expect("it serves"));
    let mut host = Client::on_pair(ours).greeted();
    host.say("GET / HTTP/1.1");
    host.say("/who");
    host.expect("* here in lobby: host (1)");
    host.say("/quit");
    host.expect("* you left; goodbye");
    host.rest();
    assert_eq!(server.join().expect("no panic"), Ended::Drained);
}
