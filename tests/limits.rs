//! What happens at each limit: too many clients, too many from one address, no descriptors left, too many
//! rooms. Whoever is refused is told so, and whoever is in stays in.

mod common;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use common::{Client, DEADLINE, Launch, Next, Server, cpu_ticks, has_ipv6, next_descriptor, until};
use rustix::process::{Resource, Rlimit, getrlimit, prlimit};

/// Reads a refusal for want of room and the orderly end after it.
#[track_caller]
fn assert_full(mut refused: Client) {
    let line = refused.line_raw();
    assert!(line.starts_with("! server is full: "), "{line}");
    assert_eq!(refused.next(DEADLINE), Next::End);
}

#[test]
fn a_full_server_says_so_and_lets_in_again_when_there_is_room() {
    let server = Server::start(&["--max-clients", "2"]);
    let mut ann = Client::connect_named(server.addr(), "ann");
    let mut bob = Client::connect_named(server.addr(), "bob");
    assert_full(Client::raw(server.addr()));
    ann.say("we two");
    bob.expect("ann: we two");
    drop(bob);
    let mut cho = None;
    until("there is room again", || {
        cho = Client::raw(server.addr()).try_greeted().ok();
        cho.is_some()
    });
    cho.expect("just let in").say("there is room");
    let line = ann.line();
    assert!(line.ends_with(": there is room"), "{line}");
}

#[test]
fn the_refusal_reaches_even_those_who_talk_without_listening() {
    let server = Server::start(&["--max-clients", "1"]);
    let mut ann = Client::connect_named(server.addr(), "ann");
    let talk = b"me me me\n".repeat(1000);
    for _ in 0..10 {
        // Unread input would turn the server's close into a reset, which may take the refusal with it.
        let mut refused = Client::raw(server.addr());
        refused.send(&talk);
        let line = refused.line_raw();
        assert!(line.starts_with("! server is full: "), "{line}");
        // Nor is there a reset for what comes later; the second of these would meet it.
        refused.send(&talk);
        refused.send(&talk);
        assert_eq!(refused.next(DEADLINE), Next::End);
    }
    ann.say("/who");
    ann.expect("* here in lobby: ann (1)");
}

#[test]
fn the_limit_can_be_set_by_the_environment_and_a_flag_goes_before_it() {
    let server = Launch::new(&[]).env("MADANG_MAX_CLIENTS", "1").start();
    let _ann = Client::connect(server.addr());
    assert_full(Client::raw(server.addr()));
    let server = Launch::new(&["--max-clients", "2"])
        .env("MADANG_MAX_CLIENTS", "1")
        .start();
    let _both = [
        Client::connect(server.addr()),
        Client::connect(server.addr()),
    ];
    assert_full(Client::raw(server.addr()));
}

#[test]
fn one_address_has_its_limit_and_others_are_served_still() {
    let server = Server::start(&["--max-per-ip", "2"]);
    let _both = [
        Client::connect(server.addr()),
        Client::connect(server.addr()),
    ];
    assert_full(Client::raw(server.addr()));
    let elsewhere = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
    let _others = [(); 2].map(|()| Client::raw_from(elsewhere, server.addr()).greeted());
    assert_full(Client::raw_from(elsewhere, server.addr()));
}

#[test]
fn who_leaves_makes_room_for_its_address() {
    let server = Server::start(&["--max-per-ip", "1"]);
    for _ in 0..5 {
        until("the address may come again", || {
            let client = Client::raw(server.addr()).try_greeted();
            client.is_ok()
        });
    }
}

#[test]
fn an_address_mapped_into_ipv6_counts_as_the_same_address() {
    if !has_ipv6() {
        println!("skipped: this machine has no IPv6");
        return;
    }
    let server = Server::start(&[
        "--max-per-ip",
        "2",
        "--listen",
        "127.0.0.1:0",
        "--listen",
        "[::]:0",
    ]);
    let port = server.listening()[1]
        .rsplit_once(':')
        .expect("a port")
        .1
        .parse()
        .expect("a port");
    let mapped = (Ipv4Addr::LOCALHOST, port).into();
    let _both = [Client::connect(server.addr()), Client::connect(mapped)];
    assert_full(Client::raw(server.addr()));
    assert_full(Client::raw(mapped));
    let _six = Client::connect((Ipv6Addr::LOCALHOST, port).into());
}

#[test]
fn sixty_four_descriptors_serve_as_many_as_they_can() {
    let server = Launch::in_shell("ulimit -n 64;", "", &["--announce-limit", "0"]).start();
    let mut served = Vec::new();
    let mut refused = 0;
    for _ in 0..100 {
        match Client::raw(server.addr()).try_greeted() {
            Ok(client) => served.push(client),
            Err(line) => {
                assert!(line.starts_with("! server is full: "), "{line}");
                refused += 1;
            }
        }
    }
    assert!(
        served.len() >= 16 && refused >= 36,
        "{} were served, {refused} refused",
        served.len()
    );
    let (first, others) = served.split_first_mut().expect("some are served");
    first.say("we few");
    for other in others {
        other.expect(&format!("{}: we few", first.name()));
    }
}

#[test]
fn more_clients_than_descriptors_is_an_error_at_the_start() {
    let failure = Launch::in_shell("ulimit -n 64;", "", &["--max-clients", "1000"]).fail();
    assert_eq!(failure.code, Some(1), "{failure:?}");
    assert_eq!(failure.stderr.lines().count(), 1, "{failure:?}");
    assert_eq!(failure.stdout, "");
}

#[test]
fn without_descriptors_newcomers_wait_and_are_served_when_there_are_some_again() {
    let server = Server::start(&["--announce-limit", "0"]);
    let mut ann = Client::connect_named(server.addr(), "ann");
    let mut bob = Client::connect_named(server.addr(), "bob");
    limit_descriptors(&server, Some(next_descriptor(server.id())));
    let mut waiting: Vec<Client> = (0..5).map(|_| Client::raw(server.addr())).collect();

    let (before, started) = (cpu_ticks(server.id()), Instant::now());
    for newcomer in &mut waiting {
        assert_eq!(newcomer.next(Duration::from_millis(100)), Next::Silence);
    }
    let ticks = cpu_ticks(server.id()) - before;
    // A tick is 10 ms. A server that tries again at once would have used nearly all of the time.
    assert!(
        ticks * 10 < started.elapsed().as_millis() as u64 / 2,
        "it spins: {ticks} ticks"
    );
    ann.say("those inside talk on");
    bob.expect("ann: those inside talk on");

    bob.say("/quit");
    bob.expect("* you left; goodbye");
    bob.expect_end();
    waiting.remove(0).greeted();
    // That one has left again too, so the next has its place.
    waiting.remove(0).greeted();

    limit_descriptors(&server, None);
    for newcomer in waiting {
        newcomer.greeted().say("hello at last");
        assert!(ann.line().ends_with(": hello at last"));
    }
}

/// Sets how many descriptors a server may have open; as many as it ever may, if `None`.
fn limit_descriptors(server: &Server, most: Option<u64>) {
    let hard = getrlimit(Resource::Nofile).maximum;
    let current = most.or(hard);
    prlimit(
        Some(server.pid()),
        Resource::Nofile,
        Rlimit {
            current,
            maximum: hard,
        },
    )
    .expect("prlimit");
}

#[test]
fn rooms_have_a_limit_and_an_empty_room_gives_up_its_place() {
    let server = Server::start(&["--max-rooms", "3"]);
    let mut clients: Vec<Client> = (0..5).map(|_| Client::connect(server.addr())).collect();
    let join = |client: &mut Client, room: &str| {
        client.say(&format!("/join {room}"));
        client.line()
    };
    // One stays in the lobby, so at most three rooms more can be had, and two at the least.
    assert_eq!(
        join(&mut clients[1], "alder"),
        "* you are in alder (1 here)"
    );
    assert_eq!(
        join(&mut clients[2], "birch"),
        "* you are in birch (1 here)"
    );
    let _ = join(&mut clients[3], "cedar");
    let refusal = join(&mut clients[4], "dogwood");
    assert!(refusal.starts_with("! room not changed: "), "{refusal}");
    assert_eq!(
        join(&mut clients[4], "alder"),
        "* you are in alder (2 here)"
    );

    assert_eq!(
        join(&mut clients[3], "birch"),
        "* you are in birch (2 here)"
    );
    for at in [1, 4] {
        let line = join(&mut clients[at], "lobby");
        assert!(line.starts_with("* you are in lobby ("), "{line}");
    }
    assert_eq!(join(&mut clients[1], "elm"), "* you are in elm (1 here)");
}

#[test]
fn history_greets_the_newcomer_with_the_last_lines() {
    let server = Server::start(&["--history", "3", "--announce-limit", "0"]);
    let mut ann = Client::connect_named(server.addr(), "ann");
    let mut bob = Client::connect_named(server.addr(), "bob");
    for text in ["one", "two", "three", "four"] {
        ann.say(text);
        bob.expect(&format!("ann: {text}"));
    }
    let mut cho = Client::connect(server.addr());
    for text in ["two", "three", "four"] {
        cho.expect(&format!("ann: {text}"));
    }
    // Those who were there are not told again, and what is new follows the old.
    bob.say("five");
    cho.expect("bob: five");
    ann.expect("bob: five");
}

#[test]
fn a_room_keeps_its_history_while_nobody_is_in_it() {
    let server = Server::start(&["--history", "2", "--announce-limit", "0"]);
    let mut ann = Client::connect_named(server.addr(), "ann");
    ann.send(b"/join garden\nfirst\nsecond\nthird\n/join lobby\n");
    ann.expect("* you are in garden (1 here)");
    ann.find("* you are in lobby (1 here)");
    let mut bob = Client::connect_named(server.addr(), "bob");
    bob.say("/join garden");
    bob.expect("* you are in garden (1 here)");
    bob.expect("ann: second");
    bob.expect("ann: third");
}

#[test]
fn without_history_a_newcomer_reads_nothing_old() {
    let server = Server::start(&[]);
    let ann = Client::connect_named(server.addr(), "ann");
    let mut bob = Client::connect_named(server.addr(), "bob");
    ann.say("old");
    bob.expect("ann: old");
    let mut cho = Client::connect(server.addr());
    ann.say("new");
    cho.expect("ann: new");
}

#[test]
fn who_says_nothing_for_too_long_is_closed_and_told_why() {
    let server = Server::start(&["--idle-timeout", "1", "--announce-limit", "0"]);
    let started = Instant::now();
    let mut busy = Client::connect_named(server.addr(), "busy");
    let mut idle = Client::connect(server.addr());
    let mut heard = 0;
    // Being talked to does not count as receiving, and the one who talks stays.
    let closed = loop {
        busy.say("still here");
        match idle.line() {
            line if line == "busy: still here" => heard += 1,
            line => break line,
        }
        assert!(started.elapsed() < DEADLINE, "never closed");
    };
    assert_eq!(closed, "! closed: nothing received for 1 s");
    assert!(
        heard > 0 && started.elapsed() >= Duration::from_millis(900),
        "too early"
    );
    // What the room said before the end may follow, for the server's own words go first.
    let rest = idle.rest();
    assert!(
        rest.iter().all(|line| line == "busy: still here"),
        "{rest:?}"
    );
    busy.say("/who");
    busy.expect("* here in lobby: busy (1)");
}
