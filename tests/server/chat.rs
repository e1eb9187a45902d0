//! Several clients in one room: each line reaches all the others whole, once and in one order. Over IPv4, IPv6
//! and Unix-domain sockets.

use std::thread;

use crate::common::{Client, Scratch, Server, ann_and_bob, has_ipv6};

#[test]
fn a_line_reaches_everybody_else_and_is_not_echoed() {
    let (server, mut ann, mut bob) = ann_and_bob(&[]);
    let mut cho = Client::connect_named(server.addr(), "cho");

    ann.say("good morning");
    bob.expect("ann: good morning");
    cho.expect("ann: good morning");
    bob.say("and to you");
    // A room has one order, so an echo of ann's own line would come before this one.
    ann.expect("bob: and to you");
    cho.expect("bob: and to you");
}

#[test]
fn the_greeting_has_a_guest_number_and_the_member_count() {
    let server = Server::start(&[]);
    let first = Client::connect(server.addr());
    let second = Client::connect(server.addr());
    assert_eq!((first.name(), first.here()), ("guest1", 1));
    assert_eq!((second.name(), second.here()), ("guest2", 2));
    second.say("hello");
    let mut first = first;
    first.expect("guest2: hello");
}

#[test]
fn the_welcome_comes_before_the_greeting() {
    let server = Server::start(&["--welcome", "be kind, 마당에서"]);
    let mut guest = Client::open(server.addr());
    assert_eq!(guest.line_raw(), "* be kind, 마당에서");
    let greeting = "* you are guest1 in lobby (1 here); /help lists commands";
    assert_eq!(guest.line_raw(), greeting);
}

#[test]
fn all_members_read_the_same_order_while_several_send() {
    const LINES: usize = 200;
    let server = Server::start(&[]);
    let talkers = ["ann", "bob", "cho"].map(|name| Client::connect_named(server.addr(), name));
    let watchers = ["wim", "xia"].map(|name| Client::connect_named(server.addr(), name));

    let talking = talkers.map(|talker| {
        thread::spawn(move || {
            let mut talker = talker;
            for count in 0..LINES {
                talker.say(&format!("line {count}"));
            }
            let received: Vec<String> = (0..2 * LINES).map(|_| talker.line()).collect();
            (talker.name().to_owned(), received)
        })
    });
    let [one, other] =
        watchers.map(|mut watcher| (0..3 * LINES).map(|_| watcher.line()).collect::<Vec<_>>());

    assert_eq!(one, other);
    for talker in talking {
        let (name, received) = talker.join().expect("a talker");
        let own = format!("{name}: ");
        let (mine, others): (Vec<&String>, Vec<&String>) =
            one.iter().partition(|line| line.starts_with(&own));
        assert!(received.iter().eq(others), "{name} read another order");
        let said = (0..LINES).map(|count| format!("{own}line {count}"));
        assert!(
            mine.into_iter().cloned().eq(said),
            "{name}'s lines changed their order"
        );
    }
}

#[test]
fn lines_do_not_depend_on_how_writes_split_them() {
    let (_server, ann, mut bob) = ann_and_bob(&[]);
    ann.send(b"one\ntwo\r\nthree\nfo");
    ann.trickle("ur 넷\r\nfive\n".as_bytes());
    for text in ["one", "two", "three", "four 넷", "five"] {
        bob.expect(&format!("ann: {text}"));
    }
}

#[test]
fn empty_lines_are_ignored() {
    let (_server, ann, mut bob) = ann_and_bob(&[]);
    ann.send(b"\n\r\n\n\nsomething\n");
    bob.expect("ann: something");
}

#[test]
fn lines_stay_in_their_room() {
    let (server, mut ann, mut bob) = ann_and_bob(&[]);
    let mut cho = Client::connect_named(server.addr(), "cho");
    bob.join("garden", 1);
    cho.join("garden", 2);

    ann.say("in the lobby");
    bob.say("in the garden");
    cho.expect("bob: in the garden");
    cho.join("lobby", 2);
    cho.say("back");
    // A line from the wrong room would come before these.
    ann.expect("cho: back");
    ann.say("welcome back");
    cho.expect("ann: welcome back");
    bob.join("lobby", 3);
}

#[test]
fn entering_and_leaving_a_room_is_announced_there() {
    let server = Server::start(&[]);
    let mut ann = Client::connect(server.addr());
    let bob = Client::connect(server.addr());
    assert_eq!(ann.line_raw(), "* joined: guest2 (2 here)");
    drop(bob);
    // The announcement comes at once or within a second; for one client its form is the same.
    assert_eq!(ann.line_raw(), "* left: guest2 (1 here)");

    let mut cho = Client::connect(server.addr());
    assert_eq!(ann.line_raw(), "* joined: guest3 (2 here)");
    cho.say("/join garden");
    assert_eq!(cho.line_raw(), "* you are in garden (1 here)");
    assert_eq!(ann.line_raw(), "* left: guest3 (1 here)");
    ann.say("/join garden");
    assert_eq!(ann.line_raw(), "* you are in garden (2 here)");
    assert_eq!(cho.line_raw(), "* joined: guest1 (2 here)");
}

#[test]
fn unix_sockets_and_several_ports_share_the_lobby() {
    let scratch = Scratch::new();
    let place = format!("unix:{}", scratch.path("chat.sock").display());
    let port = ["--listen", "127.0.0.1:0"];
    let server = Server::start(&[&port[..], &["--listen", &place], &port].concat());
    assert_eq!(server.listening()[1], place);
    let second: std::net::SocketAddr = server.listening()[2].parse().expect("an address");
    assert_ne!(second, server.addr());

    let mut ann = Client::connect_named(server.addr(), "ann");
    let bob = Client::open_unix(&server.unix_path());
    let mut bob = bob.greeted().named("bob");
    let mut cho = Client::connect_named(second, "cho");
    bob.say("from a path");
    ann.expect("bob: from a path");
    cho.expect("bob: from a path");
    cho.say("from another port");
    bob.expect("cho: from another port");
    bob.finish();
    bob.expect_end();
}

#[test]
fn an_ipv6_listener_serves() {
    if !has_ipv6() {
        println!("skipped: this machine has no IPv6");
        return;
    }
    let server = Server::start(&["--listen", "[::1]:0"]);
    let place = &server.listening()[0];
    assert!(place.starts_with("[::1]:"), "{place}");
    let ann = Client::connect_named(server.addr(), "ann");
    let mut bob = Client::connect_named(server.addr(), "bob");
    ann.say("six");
    bob.expect("ann: six");
}

#[test]
fn the_ipv6_wildcard_serves_ipv4_too() {
    if !has_ipv6() {
        println!("skipped: this machine has no IPv6");
        return;
    }
    let server = Server::start(&["--listen", "[::]:0"]);
    let place = &server.listening()[0];
    assert!(place.starts_with("[::]:"), "{place}");
    let port = server.addr().port();
    let mut ann = Client::connect_named(([127, 0, 0, 1], port).into(), "ann");
    let mut bob = Client::connect_named((std::net::Ipv6Addr::LOCALHOST, port).into(), "bob");
    ann.say("four");
    bob.expect("ann: four");
    bob.say("six");
    ann.expect("bob: six");
}
