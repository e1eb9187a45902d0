//! Names: which are valid, which are free, and that nobody can take a name that looks like another client's or makes
//! a line look like the server's.

mod common;

use common::{Client, Server, ann_and_bob, until};

#[test]
fn names_of_any_script_are_accepted_in_nfkc() {
    let server = Server::start(&[]);
    let mut one = Client::connect(server.addr());
    let longest = ("a".repeat(24), "가".repeat(24));
    let names = [
        ("민수", "민수"),
        ("Ｍｉｎａ", "Mina"),
        ("7of9", "7of9"),
        ("kim-lee_2.x", "kim-lee_2.x"),
        (&longest.0, &longest.0),
        (&longest.1, &longest.1),
    ];
    for (asked, given) in names {
        one.say(&format!("/nick {asked}"));
        one.expect(&format!("* you are now {given}"));
    }
}

#[test]
fn an_invalid_name_is_refused_and_changes_nothing() {
    let (_server, mut ann, mut bob) = ann_and_bob(&[]);
    let too_long = ("a".repeat(25), "가".repeat(25));
    let refused = "-kim _kim .kim *kim !kim /kim * ! kim: kim, k!m k/m \
        kim->you kim\u{200b} k\u{202e}im k\u{1b}im k\u{7f}im 🦀";
    for name in refused.split(' ').chain([&too_long.0[..], &too_long.1]) {
        ann.say(&format!("/nick {name}"));
        ann.expect_start("! name not changed: ");
    }
    ann.say("still me");
    bob.expect("ann: still me");
}

#[test]
fn reserved_names_and_their_lookalikes_are_refused() {
    let (_server, mut ann, _bob) = ann_and_bob(&[]);
    let reserved = "server Server SERVER ｓｅｒｖｅｒ ѕerver you You YOU уou yоu y0u ｙｏｕ";
    for name in reserved.split(' ') {
        ann.say(&format!("/nick {name}"));
        ann.expect_start("! name not changed: ");
    }
    ann.say("/nick youth");
    ann.expect("* you are now youth");
}

#[test]
fn a_name_that_looks_like_one_in_use_is_refused() {
    let server = Server::start(&[]);
    let holders =
        ["kim", "paul", "bobo", "민수"].map(|name| Client::connect_named(server.addr(), name));
    let mut other = Client::connect(server.addr());
    let lookalikes = "kim Kim KIM ｋｉｍ kіm kım pauI pau1 раul PAUL b0bo bob0 BOBO bоbо 민수";
    for name in lookalikes.split(' ') {
        other.say(&format!("/nick {name}"));
        other.expect_start("! name not changed: ");
    }
    other.say("/nick kima");
    other.expect("* you are now kima");
    drop(holders);
}

#[test]
fn a_name_is_free_again_when_its_owner_has_left() {
    let (_server, ann, mut bob) = ann_and_bob(&[]);
    drop(ann);
    until("the name is free", || {
        bob.say("/nick Ann");
        bob.line() == "* you are now Ann"
    });
}

#[test]
fn a_guest_name_is_never_reused() {
    let server = Server::start(&[]);
    let first = Client::connect(server.addr());
    let mut second = Client::connect(server.addr());
    drop(first);
    second.find_announcement(|seen| seen.left > 0);
    for name in "guest1 Guest1 GUEST1 guеst1 ｇuest1 guestl guest3 guest999".split(' ') {
        second.say(&format!("/nick {name}"));
        second.expect_start("! name not changed: ");
    }
    second.say("/nick kim");
    second.expect("* you are now kim");
    assert_eq!(Client::connect(server.addr()).name(), "guest3");
}

/// `/me` makes the line `* NAME ACTION`, and notices begin with `* ` too. So names must not read like the first word of
/// a notice.
#[test]
fn me_cannot_forge_a_server_notice() {
    let (server, _ann, mut bob) = ann_and_bob(&[]);
    let mut forger = Client::connect(server.addr());
    let forgeries = [
        ("37", "joined (40 here)"),
        ("３７", "joined, 5 left (1,204 here)"),
        ("132", "lines skipped: you are reading too slowly"),
        ("here", "in lobby: bob, kim (2)"),
        ("server", "is shutting down"),
        ("you", "are now kim"),
    ];
    for (name, action) in forgeries {
        forger.say(&format!("/nick {name}"));
        let reply = forger.line();
        if reply.starts_with("! name not changed: ") {
            continue;
        }
        let name = reply.strip_prefix("* you are now ");
        let name = name.unwrap_or_else(|| panic!("odd reply {reply:?}"));
        forger.say(&format!("/me {action}"));
        let forged = format!("* {name} {action}");
        loop {
            let line = bob.line_raw();
            assert_ne!(line, forged, "forged notice");
            if line.contains(action) {
                break;
            }
        }
    }
}
