//! What happens at each limit: connections, connections per address, descriptors, rooms, history, idle time. A
//! refused client learns why, and connected clients stay connected.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use crate::common::{
    Client, DEADLINE, Launch, Next, Server, ann_and_bob, cpu_ticks, has_ipv6, next_descriptor,
    until,
};
use rustix::process::{Resource, Rlimit, getrlimit, prlimit};

/// Expects this refusal and the end of the stream.
#[track_caller]
fn assert_refused(mut refused: Client, refusal: &str) {
    let line = refused.line_raw();
    assert!(line.starts_with(refusal), "{line}");
    assert_eq!(refused.next(DEADLINE), Next::End);
}

/// Expects the refusal of a full server and the end of the stream.
#[track_caller]
fn assert_full(refused: Client) {
    assert_refused(refused, "! server is full: ");
}

/// Expects the refusal of one more connection from an address that has two.
#[track_caller]
fn assert_two_from_address(refused: Client) {
    let refusal = "! too many connections from your address: at most 2; close one first";
    assert_refused(refused, refusal);
}

#[test]
fn a_full_server_refuses_until_a_client_leaves() {
    let (server, mut ann, mut bob) = ann_and_bob(&["--max-clients", "2"]);
    assert_full(Client::open(server.addr()));
    ann.say("we two");
    bob.expect("ann: we two");
    drop(bob);
    let mut cho = None;
    until("a new client is accepted", || {
        cho = Client::open(server.addr()).try_greeted().ok();
        cho.is_some()
    });
    cho.expect("accepted").say("there is room");
    let line = ann.line();
    assert!(line.ends_with(": there is room"), "{line}");
}

#[test]
fn the_refusal_reaches_a_client_that_sends_before_it_reads() {
    let server = Server::start(&["--max-clients", "1"]);
    let mut ann = Client::connect_named(server.addr(), "ann");
    let talk = b"me me me\n".repeat(1000);
    for _ in 0..10 {
        // If the server closed with unread input, the kernel would send a reset, which may destroy the refusal.
        let mut refused = Client::open(server.addr());
        refused.send(&talk);
        let line = refused.line_raw();
        assert!(line.starts_with("! server is full: "), "{line}");
        // Later input must not cause a reset either; the second send would fail after one.
        refused.send(&talk);
        refused.send(&talk);
        assert_eq!(refused.next(DEADLINE), Next::End);
    }
    ann.say("/who");
    ann.expect("* here in lobby: ann (1)");
}

#[test]
fn max_clients_comes_from_the_environment_unless_the_flag_is_given() {
    let server = Launch::new(&[]).env("MADANG_MAX_CLIENTS", "1").start();
    let _ann = Client::connect(server.addr());
    assert_full(Client::open(server.addr()));
    let server = Launch::new(&["--max-clients", "2"])
        .env("MADANG_MAX_CLIENTS", "1")
        .start();
    let _both = [(); 2].map(|()| Client::connect(server.addr()));
    assert_full(Client::open(server.addr()));
}

#[test]
fn max_per_ip_limits_each_address_by_itself() {
    let server = Server::start(&["--max-per-ip", "2"]);
    let _both = [(); 2].map(|()| Client::connect(server.addr()));
    assert_two_from_address(Client::open(server.addr()));
    let elsewhere = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
    let _others = [(); 2].map(|()| Client::open_from(elsewhere, server.addr()).greeted());
    assert_two_from_address(Client::open_from(elsewhere, server.addr()));
}

#[test]
fn a_client_that_leaves_no_longer_counts_for_its_address() {
    let server = Server::start(&["--max-per-ip", "1"]);
    for _ in 0..5 {
        until("the address is accepted again", || {
            Client::open(server.addr()).try_greeted().is_ok()
        });
    }
}

#[test]
fn an_ipv4_mapped_address_counts_as_ipv4() {
    if !has_ipv6() {
        println!("skipped: this machine has no IPv6");
        return;
    }
    let flags = "--max-per-ip 2 --listen 127.0.0.1:0 --listen [::]:0";
    let server = Server::start(&flags.split(' ').collect::<Vec<_>>());
    let both: SocketAddr = server.listening()[1].parse().expect("an address");
    let port = both.port();
    let mapped = (Ipv4Addr::LOCALHOST, port).into();
    let _both = [Client::connect(server.addr()), Client::connect(mapped)];
    assert_two_from_address(Client::open(server.addr()));
    assert_two_from_address(Client::open(mapped));
    let _six = Client::connect((Ipv6Addr::LOCALHOST, port).into());
}

#[test]
fn with_64_descriptors_as_many_clients_are_served_as_possible() {
    let server = Launch::in_shell("ulimit -n 64;", "", &["--announce-limit", "0"]).start();
    let mut served = Vec::new();
    let mut refused = 0;
    for _ in 0..100 {
        match Client::open(server.addr()).try_greeted() {
            Ok(client) => served.push(client),
            Err(line) => {
                assert!(line.starts_with("! server is full: "), "{line}");
                refused += 1;
            }
        }
    }
    let count = served.len();
    assert!(
        count >= 16 && refused >= 36,
        "{count} were served, {refused} refused"
    );
    let (first, others) = served.split_first_mut().expect("some are served");
    first.say("we few");
    for other in others {
        other.expect(&format!("{}: we few", first.name()));
    }
}

#[test]
fn max_clients_beyond_the_descriptor_limit_is_a_startup_error() {
    let failure = Launch::in_shell("ulimit -n 64;", "", &["--max-clients", "1000"]).fail();
    assert_eq!(failure.code, Some(1), "{failure:?}");
    assert_eq!(failure.stderr.lines().count(), 1, "{failure:?}");
    assert_eq!(failure.stdout, "");
}

#[test]
fn without_free_descriptors_new_connections_wait() {
    let (server, mut ann, mut bob) = ann_and_bob(&["--announce-limit", "0"]);
    limit_descriptors(&server, Some(next_descriptor(server.id())));
    let mut waiting: Vec<Client> = (0..5).map(|_| Client::open(server.addr())).collect();

    let (before, started) = (cpu_ticks(server.id()), Instant::now());
    for client in &mut waiting {
        assert_eq!(client.next(Duration::from_millis(100)), Next::Silence);
    }
    let ticks = cpu_ticks(server.id()) - before;
    // A tick is 10 ms. A server that retried accept at once would use nearly all of the time.
    let most = started.elapsed().as_millis() as u64 / 2;
    assert!(ticks * 10 < most, "the server spins: {ticks} ticks");
    ann.say("connected clients go on");
    bob.expect("ann: connected clients go on");

    bob.say("/quit");
    bob.expect("* you left; goodbye");
    bob.expect_end();
    waiting.remove(0).greeted();
    // That client has been dropped, so the next one gets its descriptor.
    waiting.remove(0).greeted();

    limit_descriptors(&server, None);
    for client in waiting {
        client.greeted().say("hello at last");
        assert!(ann.line().ends_with(": hello at last"));
    }
}

/// Sets the limit on a server's open descriptors; `None` sets it to the hard limit.
fn limit_descriptors(server: &Server, limit: Option<u64>) {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let current = limit.or(maximum);
    let limits = Rlimit { current, maximum };
    prlimit(Some(server.pid()), Resource::Nofile, limits).expect("prlimit");
}

#[test]
fn max_rooms_refuses_a_new_room_until_another_is_empty() {
    let server = Server::start(&["--max-rooms", "3"]);
    let [_stays, mut ann, mut bob, mut cho, mut dan] =
        [(); 5].map(|()| Client::connect(server.addr()));
    // One client stays in the lobby. Whether or not the lobby counts, two more rooms can be opened, and no fourth.
    ann.join("alder", 1);
    bob.join("birch", 1);
    cho.say("/join cedar");
    let _ = cho.line();
    dan.say("/join dogwood");
    dan.expect_start("! room not changed: ");
    dan.join("alder", 2);

    cho.join("birch", 2);
    for client in [&mut ann, &mut dan] {
        client.say("/join lobby");
        client.expect_start("* you are in lobby (");
    }
    ann.join("elm", 1);
}

#[test]
fn history_shows_a_new_client_the_last_lines() {
    let (server, mut ann, mut bob) = ann_and_bob(&["--history", "3", "--announce-limit", "0"]);
    for text in ["one", "two", "three", "four"] {
        ann.say(text);
        bob.expect(&format!("ann: {text}"));
    }
    let mut cho = Client::connect(server.addr());
    cho.expect("* the last 3 lines:");
    for text in ["two", "three", "four"] {
        cho.expect(&format!("ann: {text}"));
    }
    cho.expect("* now");
    // Members who were there receive nothing twice, and new lines follow the old ones.
    bob.say("five");
    cho.expect("bob: five");
    ann.expect("bob: five");
}

#[test]
fn an_empty_room_keeps_its_history() {
    let server = Server::start(&["--history", "2", "--announce-limit", "0"]);
    let mut ann = Client::connect_named(server.addr(), "ann");
    ann.send(b"/join garden\nfirst\nsecond\nthird\n/join lobby\n");
    ann.expect("* you are in garden (1 here)");
    ann.find("* you are in lobby (1 here)");
    let mut bob = Client::connect_named(server.addr(), "bob");
    bob.join("garden", 1);
    bob.expect("* the last 2 lines:");
    bob.expect("ann: second");
    bob.expect("ann: third");
    bob.expect("* now");
}

#[test]
fn without_history_a_new_client_reads_no_earlier_line() {
    let (server, ann, mut bob) = ann_and_bob(&[]);
    ann.say("old");
    bob.expect("ann: old");
    let mut cho = Client::connect(server.addr());
    ann.say("new");
    cho.expect("ann: new");
}

#[test]
fn idle_timeout_closes_a_silent_client_with_a_reason() {
    let server = Server::start(&["--idle-timeout", "1", "--announce-limit", "0"]);
    let started = Instant::now();
    let mut busy = Client::connect_named(server.addr(), "busy");
    let mut idle = Client::connect(server.addr());
    let mut received = 0;
    // Lines sent to a client do not count as its input. The client that sends stays.
    let closed = loop {
        busy.say("still here");
        match idle.line() {
            line if line == "busy: still here" => received += 1,
            line => break line,
        }
        assert!(
            started.elapsed() < DEADLINE,
            "the idle client stays connected"
        );
    };
    assert_eq!(closed, "! closed: nothing received for 1 s");
    let took = started.elapsed();
    assert!(
        received > 0 && took >= Duration::from_millis(900),
        "too early"
    );
    // Lines of the room may follow, because private output is sent first.
    let mut rest = idle.rest();
    rest.retain(|line| line != "busy: still here");
    assert_eq!(rest, [""; 0]);
    busy.say("/who");
    busy.expect("* here in lobby: busy (1)");
}
