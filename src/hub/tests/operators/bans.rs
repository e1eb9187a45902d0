//! Bans: stored before they hold, restored, refused where they would do harm. Mutes.

use super::*;

#[test]
fn a_ban_is_stored_before_it_holds_and_then_closes_and_refuses() {
    let (mut test, op, ids) = with_operator(Limits::default(), 2);
    let far = test
        .connect_from(Some("10.0.0.1".parse().unwrap()), Wire::Raw)
        .unwrap();
    test.send(op, b"/ban 127.0.0.0/8 10m too loud\n/bans\n");
    let (ticket, stored) = request(&mut test);
    let Request::Store(Change::Put { kind, key, value }) = stored else {
        panic!("{stored:?}");
    };
    assert_eq!(
        (kind, &*key, &*value),
        ("ban", "127.0.0.0/8", "603 guest3 too loud")
    );
    // Nothing has changed, and the operator waits.
    assert_eq!((test.read(op), test.read(ids[0])), Default::default());
    assert_eq!(test.hub.resume(test.now, op), Resume::Blocked);
    let late = test.connect(Wire::Chat).unwrap();
    test.hub.answer(test.now, ticket, Answer::Done);
    let told = finish(&mut test, op);
    assert_eq!(
        told,
        "* banned 127.0.0.0/8: ends in 10m; connections closed: 3\n"
    );
    assert_eq!(
        finish(&mut test, op),
        "* ban 127.0.0.0/8: ends in 10m, by guest3, hits 0, why too loud\n* bans: 1\n"
    );
    let why = "an operator has banned your address; it ends in 10m: too loud";
    for id in [ids[0], ids[1], late] {
        assert!(test.read(id).ends_with(&format!("! {why}\n")));
    }
    assert_eq!(test.reap(), [ids[0], ids[1], late]);
    assert!(test.hub.client(far).is_some() && test.hub.client(op).is_some());
    let refused = test.connect(Wire::Chat).unwrap_err();
    assert_eq!(refused.to_string(), why);
    let mapped: IpAddr = "::ffff:127.9.9.9".parse().unwrap();
    assert!(test.connect_from(Some(mapped), Wire::Raw).is_err());
    assert!(
        test.connect(Wire::Control).is_ok(),
        "operators are admitted"
    );
    assert!(command(&mut test, op, "/bans").contains("hits 2"));
    test.advance(599_000_000);
    let refused = test.connect(Wire::Chat).unwrap_err().to_string();
    assert!(refused.contains("it ends in 1s: "), "{refused}");
    test.advance(1_000_000);
    test.connect(Wire::Chat).unwrap();
    let erased = Request::Store(Change::Remove {
        kind: "ban",
        key: "127.0.0.0/8".into(),
    });
    assert_eq!(request(&mut test).1, erased);
    assert_eq!(command(&mut test, op, "/bans"), "* bans: 0\n");
    assert_eq!(
        deeds(&mut test),
        ["guest3 banned 127.0.0.0/8, ends in 10m: too loud"]
    );
}

#[test]
fn a_ban_that_is_not_stored_changes_nothing() {
    let (mut test, op, ids) = with_operator(Limits::default(), 1);
    test.send(op, b"/ban guest1\n");
    let (ticket, _) = request(&mut test);
    let full = "the folder is full";
    test.hub
        .answer(test.now, ticket, Answer::Refused(vec![full.into()]));
    assert_eq!(finish(&mut test, op), format!("! not done: {full}\n"));
    assert_eq!(test.read(ids[0]), "");
    test.connect(Wire::Chat).unwrap();
    assert!(deeds(&mut test).is_empty());
    // The same of an end of it.
    command(&mut test, op, "/ban guest1");
    test.send(op, b"/unban 127.0.0.1\n");
    let (ticket, _) = request(&mut test);
    test.hub
        .answer(test.now, ticket, Answer::Refused(vec![full.into()]));
    assert_eq!(finish(&mut test, op), format!("! not done: {full}\n"));
    assert!(test.connect(Wire::Chat).is_err());
    assert_eq!(
        command(&mut test, op, "/unban 127.0.0.1"),
        "* 127.0.0.1 is not banned any more\n"
    );
    assert!(test.connect(Wire::Chat).is_ok());
    assert_eq!(
        command(&mut test, op, "/unban 127.0.0.1"),
        "! not done: 127.0.0.1 is not banned; /bans lists what is\n"
    );
}

#[test]
fn a_ban_outlives_its_operator_and_its_server() {
    let (mut test, op, ids) = with_operator(Limits::default(), 1);
    test.hub.set_epoch(1_700_000_000_000_000);
    test.send(op, b"/ban ::1 2h\n/ban guest1 why not\n");
    let (first, stored) = request(&mut test);
    let Request::Store(Change::Put { kind, key, value }) = stored else {
        panic!("{stored:?}");
    };
    test.hub.disconnect(test.now, op);
    test.hub.answer(test.now, first, Answer::NotKept);
    while test.carry_on() {}
    assert!(
        test.connect_from(Some("::5".parse().unwrap()), Wire::Chat)
            .is_err()
    );
    assert!(
        test.hub.client(ids[0]).is_some(),
        "what it commanded next was not read"
    );
    // Another process, an hour later.
    let mut later = TestHub::new(Limits::default());
    later.hub.set_epoch(1_700_003_600_000_000);
    later.hub.restore(later.now, kind, &key, &value).unwrap();
    let refused = later
        .connect_from(Some("::7".parse().unwrap()), Wire::Chat)
        .unwrap_err();
    assert!(refused.to_string().contains("it ends in 1h"), "{refused}");
    // … and a day later.
    let mut later = TestHub::new(Limits::default());
    later.hub.set_epoch(1_700_086_400_000_000);
    later.hub.restore(later.now, kind, &key, &value).unwrap();
    assert!(
        later
            .connect_from(Some("::7".parse().unwrap()), Wire::Chat)
            .is_ok()
    );
    assert!(matches!(
        request(&mut later).1,
        Request::Store(Change::Remove { .. })
    ));
    for (kind, key, value) in [
        ("bans", "::/64", "- op "),
        ("ban", "kim", "- op "),
        ("ban", "::/64", "soon op "),
    ] {
        assert!(later.hub.restore(later.now, kind, key, value).is_err());
    }
}

#[test]
fn nobody_can_ban_everybody_itself_or_what_has_no_address() {
    let (mut test, op, _) = with_operator(Limits::default(), 1);
    for all in ["0.0.0.0/0", "::/0", "::ffff:0:0/96"] {
        let told = command(&mut test, op, &format!("/ban {all}"));
        assert!(
            told.contains("is all addresses; /drain refuses all newcomers\n"),
            "{told}"
        );
    }
    let name = name_of(&test, op);
    assert_eq!(
        command(&mut test, op, &format!("/ban {name}")),
        "! not done: that is you; /quit leaves\n"
    );
    // An operator who comes from an address.
    let address: IpAddr = "10.0.0.1".parse().unwrap();
    let near = test.connect_from(Some(address), Wire::Control).unwrap();
    test.read(near);
    let told = command(&mut test, near, "/ban 10.0.0.0/8");
    assert_eq!(told, "! not done: 10.0.0.0/8 includes your own address\n");
    assert!(
        command(&mut test, near, "/ban 11.0.0.0/8").starts_with("* banned 11.0.0.0/8: ends never;")
    );
    let told = command(&mut test, near, &format!("/ban {name}"));
    assert_eq!(
        told,
        format!("! not done: {name} has come by a Unix socket and has no address; /kick works\n")
    );
    let told = command(&mut test, op, "/ban 10.0.0/8");
    assert!(
        told.starts_with("! not done: 10.0.0/8 is no range of addresses; "),
        "{told}"
    );
    assert_eq!(
        command(&mut test, op, "/bans"),
        "* ban 11.0.0.0/8: ends never, by guest3, hits 0, why -\n* bans: 1\n"
    );
}

#[test]
fn there_are_so_many_bans_and_no_more() {
    let (mut test, op, _) = with_operator(Limits::default(), 0);
    let now = test.now;
    for number in 1..BANS_MAX {
        let range = format!("10.{}.{}.1", number / 256, number % 256);
        test.hub.restore(now, "ban", &range, "- op why").unwrap();
    }
    assert!(command(&mut test, op, "/ban 11.0.0.1").starts_with("* banned"));
    let full = format!(
        "! not done: there are {} bans already; /unban one first\n",
        "4,096"
    );
    assert_eq!(command(&mut test, op, "/ban 11.0.0.2"), full);
    assert!(
        command(&mut test, op, "/ban 11.0.0.1 1s").starts_with("* banned"),
        "it is there already"
    );
    assert!(test.hub.restore(now, "ban", "11.0.0.3", "- op ").is_err());
    let listed = command(&mut test, op, "/bans");
    assert_eq!(listed.lines().count(), BANS_MAX + 1);
    assert!(listed.ends_with("* bans: 4,096\n"));
}

#[test]
fn a_muted_client_may_not_speak_until_it_may() {
    let (mut test, op, ids) = with_operator(Limits::default(), 2);
    let raw = [(); 2].map(|()| test.connect(Wire::Raw).unwrap());
    assert_eq!(
        command(&mut test, op, "/mute guest1 10m"),
        "* muted guest1: ends in 10m\n"
    );
    assert_eq!(
        test.read(ids[0]),
        "* an operator has muted you; it ends in 10m\n"
    );
    for line in ["hello", "/me waves", "//hi", "/msg guest2 psst"] {
        test.send(ids[0], format!("{line}\n").as_bytes());
        assert_eq!(
            test.read(ids[0]),
            "! line not sent: an operator has muted you; it ends in 10m\n"
        );
    }
    test.send(ids[0], b"/nick loud\n");
    assert_eq!(
        test.read(ids[0]),
        "! name not changed: an operator has muted you; it ends in 10m\n"
    );
    test.send(ids[0], b"/who\n");
    assert_eq!(test.read(ids[0]), "* here in lobby: guest1, guest2 (2)\n");
    assert_eq!(test.read(ids[1]), "");
    assert!(command(&mut test, op, "/clients").contains("muted in 10m"));
    test.advance(600_000_000);
    assert_eq!(test.read(ids[0]), "* you may speak again\n");
    test.send(ids[0], b"hello\n");
    assert_eq!(test.read(ids[1]), "guest1: hello\n");
    // For ever, of a raw connection, which cannot be told; and until it is unmuted.
    let number = raw[0].serial();
    assert_eq!(
        command(&mut test, op, &format!("/mute #{number}")),
        format!("* muted #{number}: ends never\n")
    );
    test.send(raw[0], b"hello\n");
    assert_eq!((test.read(raw[0]), test.read(raw[1])), Default::default());
    assert_eq!(
        command(&mut test, op, &format!("/unmute #{number}")),
        format!("* #{number} may speak again\n")
    );
    test.send(raw[0], b"hello\n");
    assert_eq!(test.read(raw[1]), "hello\n");
    assert_eq!(
        command(&mut test, op, "/unmute guest2"),
        "! not done: guest2 is not muted\n"
    );
    let told = command(&mut test, op, "/mute guest2 loud");
    assert_eq!(
        told,
        "! not done: loud is no time; write for example 30s, 10m, 2h or 7d\n"
    );
    let other = operator(&mut test);
    let told = command(&mut test, op, &format!("/mute #{}", other.serial()));
    assert!(told.ends_with(" is an operator\n"), "{told}");
    // A newcomer in the slot of a muted client is not muted; last words are not said.
    command(&mut test, op, "/mute guest1");
    test.read(ids[0]);
    test.send(ids[0], b"/quit hear me\n");
    assert!(test.read(ids[0]).ends_with("* you left; goodbye\n"));
    assert_eq!(test.reap(), [ids[0]]);
    let newcomer = test.join();
    assert_eq!(newcomer.slot(), ids[0].slot());
    test.send(newcomer, b"hello\n");
    assert!(test.read(ids[1]).ends_with(": hello\n"));
}
