//! Names: which are valid, which are free, and that nobody can take a name that looks like another client's or makes
//! a line look like the server's.

use crate::common::{Client, Server, ann_and_bob, until};

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
        ("さくら", "さくら"),
        ("山田", "山田"),
        ("محمد", "محمد"),
        ("דוד", "דוד"),
        ("राम", "राम"),
        ("Ярослав", "Ярослав"),
        ("Łukasz", "Łukasz"),
        ("Zoe\u{308}", "Zo\u{eb}"),
        ("Nguye\u{302}\u{303}n", "Nguy\u{1ec5}n"),
        ("İpek", "İpek"),
        ("o\u{2bc}brien", "o\u{2bc}brien"),
        ("kim山田さくら", "kim山田さくら"),
        ("김金Kim", "김金Kim"),
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

/// UTS #39, sections 5.2 and 5.4, and what stands between the parts of a name. Rooms have the same rules.
#[test]
fn a_refused_name_of_a_person_or_a_room_is_told_its_reason() {
    let (_server, mut ann, mut bob) = ann_and_bob(&[]);
    for (name, why) in [
        (
            "ki\u{307}m",
            "the dot U+0307 is not seen on U+0069 ('i'): leave it out",
        ),
        (
            "kı\u{307}m",
            "the dot U+0307 is not seen on U+0131 ('ı'): leave it out",
        ),
        (
            "Zoë\u{308}",
            "the mark U+0308 is there twice in a row: leave one out",
        ),
        (
            "кim",
            "a name has letters of one script, but U+043A ('к') is Cyrillic and U+0069 ('i') is Latin",
        ),
        (
            "joined\u{903}",
            "a name has letters of one script, but U+006A ('j') is Latin and U+0903 ('\u{903}') is Devanagari",
        ),
        (
            "kim.",
            "a name ends with a letter or a digit, not U+002E ('.')",
        ),
        ("a..b", "'..' in a name is too much: leave one of them out"),
        (
            "a@b",
            "a name has letters, digits, '-', '_' and '.', not U+0040 ('@')",
        ),
    ] {
        ann.say(&format!("/nick {name}"));
        ann.expect(&format!("! name not changed: {why}"));
        ann.say(&format!("/join {name}"));
        ann.expect(&format!("! room not changed: {why}"));
    }
    for (name, why) in [
        (
            "adm1n",
            "that name looks like 'admin', which is the server's own",
        ),
        (
            "h-o-s-t",
            "that name looks like 'host', which is the server's own",
        ),
        ("guest_1", "names like guest1 are given by the server"),
    ] {
        ann.say(&format!("/nick {name}"));
        ann.expect(&format!("! name not changed: {why}"));
    }
    ann.say("still me");
    bob.expect("ann: still me");
}

#[test]
fn rooms_whose_names_look_alike_are_one_room() {
    let (_server, mut ann, mut bob) = ann_and_bob(&[]);
    for (opened, alike) in [
        ("room", "r0om Room R_O_O_M r.o-om"),
        ("KIM", "KlM kim k1m Kirn kım"),
        ("ВОВА", "BOBA boba вова"),
    ] {
        ann.join(opened, 1);
        for name in alike.split(' ') {
            bob.say(&format!("/join {name}"));
            bob.find(&format!("* you are in {opened} (2 here)"));
            bob.say(&format!("/who {name}"));
            bob.find(&format!("* here in {opened}: ann, bob (2)"));
            bob.say("/join l0bby");
            bob.find("* you are in lobby (1 here)");
        }
    }
    bob.say("/join LOBBY");
    bob.find("! room not changed: you are in lobby already");
}

#[test]
fn reserved_names_and_their_lookalikes_are_refused() {
    let (_server, mut ann, _bob) = ann_and_bob(&[]);
    let reserved = "server Server SERVER ｓｅｒｖｅｒ ѕerver you You YOU уou yоu y0u ｙｏｕ \
        host. server. you. h0st hosт admin адmin Adm1n";
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
    let lookalikes = "kim Kim KIM KlM k1m kirn k_i.m ｋｉｍ kіm ki\u{307}m кim kım pauI pau1 раul PAUL b0bo bob0 BOBO bоbо 민수";
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
    for name in
        "guest1 Guest1 GUEST1 guеst1 ｇuest1 guestl guest3 guest999 guest_1 guest1. g.u.e.s.t.1"
            .split(' ')
    {
        second.say(&format!("/nick {name}"));
        second.expect_start("! name not changed: ");
    }
    second.say("/nick kim");
    second.expect("* you are now kim");
    assert_eq!(Client::connect(server.addr()).name(), "guest3");
}

/// An action has a mark of its own, so whatever the name and the words are, no line of a person begins like a notice.
#[test]
fn me_cannot_forge_a_server_notice() {
    let (server, _ann, mut bob) = ann_and_bob(&[]);
    let mut forger = Client::connect(server.addr());
    let forgeries = [
        ("37", "joined (40 here)"),
        ("l32", "lines skipped: you are reading too slowly"),
        ("left", "kim (2 here)"),
        ("joined\u{a789}", "guest9"),
        ("here", "in lobby: bob, kim (2)"),
        ("server", "is shutting down"),
    ];
    for (name, action) in forgeries {
        forger.say(&format!("/nick {name}"));
        let _ = forger.line();
        forger.say(&format!("/me {action}"));
        loop {
            let line = bob.line_raw();
            if line.ends_with(action) {
                assert!(line.starts_with("** "), "{line}");
                break;
            }
        }
    }
}
