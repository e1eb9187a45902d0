//! Every command, and every refusal except those of names, which `names.rs` tests.

use crate::common::{Client, Server, ann_and_bob};

#[test]
fn nick_is_confirmed_announced_and_used() {
    let server = Server::start(&[]);
    let mut one = Client::connect(server.addr());
    let mut other = Client::connect(server.addr());
    one.say("/nick kim");
    one.expect("* you are now kim");
    other.find("* renamed: guest1 -> kim");
    one.say("hello");
    other.expect("kim: hello");
}

#[test]
fn join_is_confirmed_and_announced_in_both_rooms() {
    let (_server, mut ann, mut bob) = ann_and_bob(&[]);
    ann.join("garden", 1);
    bob.expect_departure(1);
    bob.join("garden", 2);
    ann.find("* joined: bob (2 here)");
    bob.say("green here");
    ann.expect("bob: green here");
}

#[test]
fn an_invalid_room_name_is_refused_and_changes_nothing() {
    let (_server, mut ann, mut bob) = ann_and_bob(&[]);
    let too_long = "a".repeat(25);
    for name in [
        "-garden",
        "*",
        "gar:den",
        "g\u{1b}arden",
        "g\u{202e}arden",
        "🦀",
        &too_long,
    ] {
        ann.say(&format!("/join {name}"));
        ann.expect_start("! room not changed: ");
    }
    ann.say("still here");
    bob.expect("ann: still here");
}

#[test]
fn msg_reaches_one_client_and_is_confirmed() {
    let (server, mut ann, mut bob) = ann_and_bob(&[]);
    let mut cho = Client::connect_named(server.addr(), "cho");
    ann.say("/msg bob  between us ");
    let to_bob = bob.line();
    let confirmed = ann.line();
    let text = to_bob.strip_prefix("ann -> you: ");
    let text = text.unwrap_or_else(|| panic!("odd line {to_bob:?}"));
    assert_eq!(text.trim(), "between us");
    assert_eq!(confirmed, format!("you -> bob: {text}"));
    bob.say("aloud");
    cho.expect("bob: aloud");
    ann.expect("bob: aloud");
}

#[test]
fn msg_reaches_a_client_in_another_room() {
    let (_server, mut ann, mut bob) = ann_and_bob(&[]);
    bob.join("garden", 1);
    ann.say("/msg bob are you there?");
    bob.expect("ann -> you: are you there?");
    ann.expect("you -> bob: are you there?");
}

#[test]
fn msg_to_an_unknown_name_is_refused() {
    let (_server, mut ann, mut bob) = ann_and_bob(&[]);
    ann.say("/msg lee hello");
    ann.expect("! line not sent: nobody is called lee");
    ann.say("/msg guest77 hello");
    ann.expect("! line not sent: nobody is called guest77");
    ann.say("hello?");
    bob.expect("ann: hello?");
}

#[test]
fn me_is_shown_to_the_others_only() {
    let (_server, mut ann, mut bob) = ann_and_bob(&[]);
    ann.say("/me waves");
    bob.expect("** ann waves");
    bob.say("hi");
    ann.expect("bob: hi");
}

#[test]
fn two_slashes_send_a_line_that_starts_with_a_slash() {
    let (_server, ann, mut bob) = ann_and_bob(&[]);
    ann.say("//quit is a command");
    ann.say("///");
    ann.say("a /nick within a line is text");
    bob.expect("ann: /quit is a command");
    bob.expect("ann: //");
    bob.expect("ann: a /nick within a line is text");
}

#[test]
fn unknown_commands_and_missing_arguments_are_refused_with_a_hint() {
    let (_server, mut ann, mut bob) = ann_and_bob(&[]);
    let unknown = "! unknown command /foo: /help lists commands, //foo says it as text";
    let replies = [
        ("/foo", unknown),
        ("/foo bar baz", unknown),
        ("/nick", "! usage: /nick NAME"),
        ("/nick   ", "! usage: /nick NAME"),
        ("/join", "! usage: /join ROOM [SECRET]"),
        ("/msg", "! usage: /msg NAME TEXT"),
        ("/msg bob", "! usage: /msg NAME TEXT"),
        ("/msg bob ", "! usage: /msg NAME TEXT"),
        ("/me", "! usage: /me ACTION"),
    ];
    for (line, reply) in replies {
        ann.say(line);
        ann.expect(reply);
    }
    ann.say("that was all mine");
    bob.expect("ann: that was all mine");
}

#[test]
fn who_lists_this_room_or_another() {
    let (server, mut ann, mut bob) = ann_and_bob(&[]);
    let mut cho = Client::connect_named(server.addr(), "cho");
    cho.join("garden", 1);
    ann.say("/who garden");
    ann.expect("* here in garden: cho (1)");
    bob.say("/who");
    let line = bob.expect_start("* here in lobby: ");
    let is_whole = line.ends_with("ann, bob (2)") || line.ends_with("bob, ann (2)");
    assert!(is_whole, "{line}");
}

#[test]
fn who_in_a_large_room_counts_the_names_it_omits() {
    const HERE: usize = 150;
    let server = Server::start(&[]);
    let mut all: Vec<Client> = (0..HERE).map(|_| Client::connect(server.addr())).collect();
    let last = all.last_mut().expect("a client");
    last.say("/who");
    let line = last.expect_start("* here in lobby: ");
    let parts = line.rsplit_once(", and ");
    let (names, more) = parts.unwrap_or_else(|| panic!("no name is omitted: {line}"));
    let more = more.strip_suffix(&format!(" more ({HERE})"));
    let more = more.and_then(crate::common::number);
    let more = more.unwrap_or_else(|| panic!("odd end: {line}"));
    let named = names.split(", ").count() as u64;
    assert_eq!(named + more, HERE as u64, "{line}");
}

#[test]
fn rooms_lists_each_room_with_its_member_count() {
    let (server, mut ann, _bob) = ann_and_bob(&[]);
    let mut cho = Client::connect_named(server.addr(), "cho");
    ann.say("/rooms");
    ann.expect("* rooms: lobby (3)");
    cho.join("garden", 1);
    ann.say("/rooms");
    ann.expect("* rooms: garden (1), lobby (2)");
}

#[test]
fn help_mentions_every_command() {
    let (_server, mut ann, _bob) = ann_and_bob(&[]);
    ann.say("/help");
    ann.say("/endofhelp");
    let mut lines =
        ann.find("! unknown command /endofhelp: /help lists commands, //endofhelp says it as text");
    lines.retain(|line| !crate::common::is_presence_notice(line));
    for command in "/nick /join /msg /me /who /rooms /help /quit //".split(' ') {
        let is_listed = lines.iter().any(|line| line.contains(command));
        assert!(is_listed, "no {command} in {lines:#?}");
    }
    for line in &lines {
        assert!(line.starts_with("* "), "{line}");
        assert!(line.chars().count() <= 80, "too wide: {line}");
    }
}

#[test]
fn quit_sends_the_last_words_says_goodbye_and_closes() {
    let (_server, mut ann, mut bob) = ann_and_bob(&[]);
    bob.say("/quit see you");
    bob.expect("* you left; goodbye");
    bob.expect_end();
    ann.expect("bob: see you");
    ann.expect_departure(1);
    ann.say("/quit");
    ann.expect("* you left; goodbye");
    ann.expect_end();
}

#[test]
fn input_after_quit_is_ignored() {
    let (server, mut ann, mut bob) = ann_and_bob(&[]);
    bob.send(b"/quit\nstill there?\n/nick ghost\n");
    bob.expect("* you left; goodbye");
    bob.expect_end();
    let cho = Client::connect_named(server.addr(), "cho");
    cho.say("hello");
    ann.expect("cho: hello");
}

#[test]
fn ignore_leaves_out_what_a_person_says_until_unignore() {
    let (server, mut ann, mut bob) = ann_and_bob(&[]);
    let mut cho = Client::connect_named(server.addr(), "cho");
    ann.say("/ignore BOB");
    ann.expect("* you ignore bob from here on");
    bob.say("not for ann");
    bob.say("/me waves");
    cho.find("** bob waves");
    cho.say("for ann");
    ann.expect("cho: for ann");
    bob.find("cho: for ann");
    bob.say("/msg ann psst");
    bob.expect("! line not sent: ann is ignoring you");
    bob.say("/nick joe");
    bob.expect("* you are now joe");
    bob.say("another name");
    ann.find("* renamed: bob -> joe");
    ann.say("/ignore");
    ann.expect("* you ignore: joe");
    ann.say("/unignore joe");
    ann.expect("* you hear joe again");
    bob.say("at last");
    ann.expect("joe: at last");
    ann.say("/ignore");
    ann.expect("* you ignore nobody");
}

#[test]
fn somebody_who_comes_back_under_the_ignored_name_is_still_ignored() {
    let (server, mut ann, bob) = ann_and_bob(&[]);
    ann.say("/ignore bob");
    ann.expect("* you ignore bob from here on");
    drop(bob);
    while ann.count_members() > 1 {}
    let mut bob = Client::connect_named(server.addr(), "B0B");
    bob.say("hello again");
    bob.say("/msg ann hello?");
    bob.find("! line not sent: ann is ignoring you");
    ann.say("/who");
    ann.expect("* here in lobby: B0B, ann (2)");
}

#[test]
fn who_cannot_be_ignored_is_said() {
    let (_server, mut ann, _bob) = ann_and_bob(&[]);
    for (line, refusal) in [
        ("/ignore ann", "! you cannot ignore yourself: you are ann"),
        ("/ignore lee", "! nobody is called lee"),
        (
            "/unignore bob",
            "! you do not ignore bob; /ignore lists whom you do",
        ),
        ("/unignore", "! usage: /unignore NAME"),
        ("/whois", "! usage: /whois NAME"),
        ("/whois lee", "! nobody is called lee"),
    ] {
        ann.say(line);
        ann.expect(refusal);
    }
}

#[test]
fn whois_shows_a_room_and_times_and_nothing_private() {
    let (_server, mut ann, mut bob) = ann_and_bob(&[]);
    bob.join("garden", 1);
    for (name, room) in [("bob", "garden"), ("ann", "lobby")] {
        ann.say(&format!("/whois {name}"));
        let answer = ann.line();
        let start = format!("* whois: {name} is in {room}, connected for ");
        let times = answer.strip_prefix(&start);
        let times = times.unwrap_or_else(|| panic!("odd line {answer:?}"));
        let (connected, idle) = times.split_once(", idle for ").expect("two times");
        assert!(
            [connected, idle].iter().all(|time| time.ends_with(" s")),
            "{answer}"
        );
    }
}
