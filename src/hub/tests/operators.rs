//! Operators: who may command, what is done to whom, and that no list and no ban costs a step much.

use crate::hub::limits::{BANS_MAX, JOBS_MAX, LIST_BYTES_MARK, Limits, OPERATORS_MAX};
use crate::hub::requests::{Answer, Change, Request, Ticket};
use crate::hub::{ConnId, Resume, Wire};
use crate::protocol::{Line, Notice, Refusal};
use crate::testing::test_hub::TestHub;
use std::net::IpAddr;

/// An operator, which has read its greeting, and so many guests.
fn with_operator(limits: Limits, guests: usize) -> (TestHub, ConnId, Vec<ConnId>) {
    let mut test = TestHub::new(limits);
    let ids = (0..guests).map(|_| test.join()).collect();
    let operator = operator(&mut test);
    test.flush_announcements();
    (test, operator, ids)
}

fn operator(test: &mut TestHub) -> ConnId {
    let id = test.connect(Wire::Control).unwrap();
    let greeting = test.read(id);
    assert!(greeting.ends_with(" in no room; /join ROOM enters one, /help lists commands\n"));
    id
}

/// The operator commands something, and reads all that it is told.
fn command(test: &mut TestHub, operator: ConnId, line: &str) -> String {
    assert_eq!(
        test.send(operator, format!("{line}\n").as_bytes()),
        Resume::Read
    );
    finish(test, operator)
}

/// Answers requests with a yes until the operator's command is done; what it has been told.
fn finish(test: &mut TestHub, operator: ConnId) -> String {
    let mut told = String::new();
    loop {
        let mut is_under_way = false;
        while test.carry_on() {
            is_under_way = true;
        }
        while let Some((ticket, request)) = test.hub.next_request() {
            is_under_way = true;
            let answer = match request {
                Request::Store(_) | Request::Shutdown => Answer::Done,
                Request::Reload => Answer::Lines(vec!["reloaded".into()]),
                Request::Statistics => Answer::Figures(vec![("lines".into(), "3".into())]),
            };
            test.hub.answer(test.now, ticket, answer);
        }
        let read = test.read(operator);
        is_under_way |= !read.is_empty();
        told += &read;
        if !is_under_way {
            test.resume_all();
            return told;
        }
    }
}

/// The only request.
fn request(test: &mut TestHub) -> (Ticket, Request) {
    while test.carry_on() {}
    let request = test.hub.next_request().expect("a request");
    assert_eq!(test.hub.next_request(), None);
    request
}

fn deeds(test: &mut TestHub) -> Vec<String> {
    std::iter::from_fn(|| test.hub.next_deed())
        .map(|deed| format!("{} {}", deed.name, deed.what))
        .collect()
}

#[test]
fn commands_of_operators_are_refused_to_others_as_what_they_are() {
    let (mut test, op, ids) = with_operator(Limits::default(), 2);
    for line in [
        "/kick guest2",
        "/KICK",
        "/shutdown",
        "/clients",
        "/ban 10.0.0.0/8",
        "/say hello",
    ] {
        test.send(ids[0], format!("{line}\n").as_bytes());
        let word = line.split(' ').next().unwrap().to_lowercase();
        assert_eq!(
            test.read(ids[0]),
            format!("! {word} is only for operators\n")
        );
    }
    assert!(!test.carry_on() && test.hub.next_request().is_none() && test.read(ids[1]).is_empty());
    test.send(ids[0], b"/help\n");
    assert!(!test.read(ids[0]).contains("/kick"));
    assert!(command(&mut test, op, "/help").contains("* /kick NAME"));
    let console = test.hub.connect_console(test.now);
    test.read(console);
    assert!(command(&mut test, console, "/help").contains("* /kick NAME"));
    assert_eq!(
        command(&mut test, console, "/kick guest2"),
        "* closed the connection of guest2\n"
    );
    assert_eq!(deeds(&mut test), ["host kicked guest2 (connection 2)"]);
}

#[test]
fn an_operator_is_in_no_room_until_it_joins_one() {
    let (mut test, op, ids) = with_operator(
        Limits {
            history_lines: 3,
            ..Limits::default()
        },
        1,
    );
    let in_no_room = "! line not sent: you are in no room; /join ROOM enters one\n";
    for line in ["hello", "/me waves"] {
        assert_eq!(command(&mut test, op, line), in_no_room);
    }
    assert_eq!(
        command(&mut test, op, "/who"),
        "! you are in no room; /who ROOM lists those in another\n"
    );
    assert_eq!(
        command(&mut test, op, "/who lobby"),
        "* here in lobby: guest1 (1)\n"
    );
    assert_eq!(command(&mut test, op, "/rooms"), "* rooms: lobby (1)\n");
    assert_eq!(command(&mut test, op, "/nick boss"), "* you are now boss\n");
    // Two of them hear nothing of each other.
    let other = operator(&mut test);
    assert_eq!(
        command(&mut test, other, "/nick chief"),
        "* you are now chief\n"
    );
    test.flush_announcements();
    assert_eq!(
        (test.read(op), test.read(other), test.read(ids[0])),
        Default::default()
    );
    test.send(ids[0], b"/msg boss hi\n");
    assert_eq!(test.read(op), "guest1 -> you: hi\n");
    // In a room it is a member like others.
    assert_eq!(
        command(&mut test, op, "/join lobby"),
        "* you are in lobby (2 here)\n"
    );
    test.read(ids[0]);
    command(&mut test, op, "hello");
    assert_eq!(test.read(ids[0]), "* joined: boss (2 here)\nboss: hello\n");
    // Its last words in no room are refused, and it leaves.
    assert_eq!(
        command(&mut test, other, "/quit so long"),
        format!("{in_no_room}* you left; goodbye\n")
    );
    assert_eq!(test.reap(), [other]);
}

#[test]
fn a_kicked_client_is_told_why_and_closed() {
    let (mut test, op, ids) = with_operator(Limits::default(), 4);
    let raw = test.connect(Wire::Raw).unwrap();
    assert_eq!(
        command(&mut test, op, "/kick guest1 too  loud\u{7}"),
        "* closed the connection of guest1\n"
    );
    assert_eq!(
        test.read(ids[0]),
        "! an operator has closed your connection: too  loud␇\n"
    );
    assert_eq!(
        command(&mut test, op, "/kick guest1"),
        "! not done: guest1 is leaving already\n"
    );
    let [two, three] = [ids[1], ids[2]].map(|id| id.serial());
    assert_eq!(
        command(&mut test, op, &format!("/kick #{two}")),
        "* closed the connection of guest2\n"
    );
    assert_eq!(
        test.read(ids[1]),
        "! an operator has closed your connection\n"
    );
    let address = format!("127.0.0.1:{}", 1000 + three);
    assert_eq!(
        command(&mut test, op, &format!("/kick {address}")),
        "* closed the connection of guest3\n"
    );
    test.read(ids[2]);
    let mapped = format!("/kick [::ffff:127.0.0.1]:{}", 1000 + raw.serial());
    assert_eq!(
        command(&mut test, op, &mapped),
        format!("* closed the connection of #{}\n", raw.serial())
    );
    assert_eq!(test.read(raw), "");
    assert_eq!(test.reap(), [ids[0], ids[1], ids[2], raw]);
    for (whom, who) in [
        ("guest1", "guest1"),
        ("#1", "#1"),
        ("127.0.0.1:9", "127.0.0.1:9"),
    ] {
        let told = command(&mut test, op, &format!("/kick {whom}"));
        assert_eq!(
            told,
            format!("! not done: there is no client {who}; /clients lists them\n")
        );
    }
    let own = format!("/kick #{}", op.serial());
    assert_eq!(
        command(&mut test, op, &own),
        "! not done: that is you; /quit leaves\n"
    );
    let console = test.hub.connect_console(test.now);
    test.read(console);
    assert_eq!(
        command(&mut test, op, "/kick host"),
        "! not done: host is an operator\n"
    );
    let why = "x".repeat(257);
    let told = command(&mut test, op, &format!("/kick guest4 {why}"));
    assert_eq!(told, "! not done: the reason is longer than 256 bytes\n");
    assert_eq!(
        command(&mut test, op, "/kick"),
        "! usage: /kick NAME|ADDRESS:PORT|#NUMBER [WHY]\n"
    );
    assert_eq!(test.hub.client(ids[3]).unwrap().ending(), None);
}

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
    let name = test
        .hub
        .client(op)
        .unwrap()
        .name
        .as_ref()
        .unwrap()
        .to_string();
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

#[test]
fn a_list_waits_for_its_reader_and_shows_nobody_twice() {
    let guests = 300;
    let (mut test, op, ids) = with_operator(Limits::default(), guests);
    test.send(op, b"/clients\n/who lobby\n");
    while test.carry_on() {}
    let held = test.hub.client(op).unwrap().outbox.reply_bytes();
    assert!(
        (LIST_BYTES_MARK..LIST_BYTES_MARK + 1024).contains(&held),
        "{held} bytes"
    );
    assert!(
        !test.hub.has_jobs(),
        "nothing is to be done before it reads"
    );
    // Meanwhile some leave, and others come and go to other rooms.
    let mut told = String::new();
    for &id in &ids[100..200] {
        test.hub.disconnect(test.now, id);
    }
    for nth in 0.. {
        let read = test.read_some(op, 5000);
        if read.is_empty() {
            break;
        }
        told += &read;
        while test.carry_on() {}
        test.send_later(
            ids[nth % 100],
            format!("/join room{}\n", nth % 7).as_bytes(),
        );
    }
    let mut numbers = Vec::new();
    let mut lines = told.lines().map(Line::parse);
    let end = lines.find_map(|line| match line {
        Line::Notice(text) => match Notice::parse(text) {
            Notice::Client {
                number,
                listener,
                bytes_in,
                age,
                ..
            } => {
                assert_eq!((listener, bytes_in.0, age.0), ("a, listener 2", 7, 60));
                numbers.push(number.0);
                None
            }
            other => Some(other),
        },
        other => panic!("{other:?}"),
    });
    let listed = numbers.len();
    assert_eq!(
        end,
        Some(Notice::Clients {
            listed,
            connected: 201
        })
    );
    assert!((201..=301).contains(&listed) && numbers.is_sorted_by(|a, b| a < b));
    assert!(
        lines.next().is_none(),
        "the next command waits for the end of the list"
    );
    test.resume_all();
    assert!(test.read(op).starts_with("* here in lobby: "));
}

#[test]
fn a_list_can_be_of_slow_clients_or_of_a_range() {
    let (mut test, op, ids) = with_operator(Limits::default(), 3);
    let far = test
        .connect_from(Some("10.0.0.1".parse().unwrap()), Wire::Raw)
        .unwrap();
    let listed = |told: &str| -> Vec<u64> {
        let notices = told.lines().filter_map(|line| line.strip_prefix("* "));
        let number = |notice| match notice {
            Notice::Client { number, .. } => Some(number.0),
            _ => None,
        };
        notices.map(Notice::parse).filter_map(number).collect()
    };
    let number = |id: ConnId| u64::from(id.serial());
    assert_eq!(
        listed(&command(&mut test, op, "/clients --from 10.0.0.0/8")),
        [number(far)]
    );
    let near = listed(&command(&mut test, op, "/clients --from guest2"));
    assert_eq!(near, ids.iter().copied().map(number).collect::<Vec<_>>());
    assert!(listed(&command(&mut test, op, "/clients --slow")).is_empty());
    let line = [b'x'; 8000];
    for _ in 0..20 {
        test.send_later(ids[0], &[&line[..], b"\n"].concat());
        test.flush_only(&[ids[0], ids[1]], |_, _| {});
    }
    let told = command(&mut test, op, "/clients --slow");
    assert_eq!(listed(&told), [number(ids[2])]);
    assert!(told.contains("behind_lines 20, behind_bytes 160"), "{told}");
    let told = command(&mut test, op, "/clients --from nobody");
    assert!(told.starts_with("! not done: there is no client nobody;"));
    let name = test
        .hub
        .client(op)
        .unwrap()
        .name
        .as_ref()
        .unwrap()
        .to_string();
    let told = command(&mut test, op, &format!("/clients --from {name}"));
    assert!(told.ends_with("has no address; /kick works\n"), "{told}");
}

#[test]
fn what_is_said_to_all_rooms_is_a_notice_in_each() {
    let (mut test, op, ids) = with_operator(Limits::default(), 3);
    let raw = test.connect(Wire::Raw).unwrap();
    for (id, room) in [(ids[1], "garden"), (ids[2], "pond")] {
        test.send(id, format!("/join {room}\n").as_bytes());
    }
    test.flush();
    test.resume_all();
    test.flush_announcements();
    assert_eq!(
        command(&mut test, op, "/say the end\u{1b} is near"),
        "* announced; rooms: 3\n"
    );
    for &id in &ids {
        assert_eq!(test.read(id), "* announcement: the end␛ is near\n");
    }
    assert_eq!(test.read(raw), "");
    // A notice that it imitates is not taken for that.
    command(&mut test, op, "/say you are now root");
    let heard = test.read(ids[0]);
    let notice = Notice::parse(heard.trim_end().strip_prefix("* ").unwrap());
    assert_eq!(
        notice,
        Notice::Announcement {
            text: "you are now root"
        }
    );
    assert_eq!(deeds(&mut test).len(), 2);
}

#[test]
fn a_drained_server_ends_when_all_but_operators_have_left() {
    let (mut test, op, ids) = with_operator(Limits::default(), 1);
    let raw = test.connect(Wire::Raw).unwrap();
    let draining = "* no newcomers any more; the server ends when all have left; clients: 2\n";
    for _ in 0..2 {
        assert_eq!(command(&mut test, op, "/drain"), draining);
    }
    assert!(test.hub.is_draining());
    assert_eq!(test.connect(Wire::Chat), Err(Refusal::Draining {}));
    let other = operator(&mut test);
    test.hub.disconnect(test.now, raw);
    assert_eq!(test.hub.next_request(), None);
    test.hub.disconnect(test.now, ids[0]);
    assert_eq!(request(&mut test).1, Request::Shutdown);
    test.hub.disconnect(test.now, other);
    assert_eq!(test.hub.next_request(), None, "once");
    assert_eq!(deeds(&mut test).len(), 1);
}

#[test]
fn the_driver_s_answers_are_told() {
    let (mut test, op, _) = with_operator(Limits::default(), 0);
    assert_eq!(command(&mut test, op, "/stats"), "* figure lines: 3\n");
    assert_eq!(command(&mut test, op, "/reload"), "* reloaded\n");
    test.send(op, b"/reload\n");
    let (ticket, _) = request(&mut test);
    let lines = vec![
        "madang.toml:3: no such key".into(),
        "nothing has changed".into(),
    ];
    test.hub.answer(test.now, ticket, Answer::Refused(lines));
    let told = "! not done: madang.toml:3: no such key\n! not done: nothing has changed\n";
    assert_eq!(finish(&mut test, op), told);
    // The answer to one that has left changes nothing; so does one that nobody waits for.
    test.send(op, b"/stats\n");
    let (ticket, _) = request(&mut test);
    test.hub.disconnect(test.now, op);
    for ticket in [ticket, Ticket::from_number(999)] {
        test.hub.answer(
            test.now,
            ticket,
            Answer::Figures(vec![("a".into(), "1".into())]),
        );
        assert!(!test.carry_on());
    }
}

#[test]
fn operators_come_in_when_the_server_is_full_but_only_so_many() {
    let limits = Limits {
        clients_max: 1,
        idle_timeout_us: 1000,
        rate_lines: 1,
        burst_lines: 1,
        ..Limits::default()
    };
    let (mut test, op, _) = with_operator(limits, 1);
    assert_eq!(
        test.connect(Wire::Chat),
        Err(Refusal::ServerFull { clients_max: 1 })
    );
    for _ in 1..OPERATORS_MAX {
        operator(&mut test);
    }
    let clients_max = OPERATORS_MAX;
    assert_eq!(
        test.connect(Wire::Control),
        Err(Refusal::OperatorsFull { clients_max })
    );
    test.hub.connect_console(test.now);
    assert_eq!(
        test.connect(Wire::Control),
        Err(Refusal::OperatorsFull { clients_max })
    );
    // No limit of others holds for what they send.
    test.advance(1_000_000);
    test.send(op, b"/rooms\n/rooms\n/rooms\n");
    assert_eq!(test.read(op).lines().count(), 3);
}

#[test]
fn commands_that_wait_for_the_driver_are_bounded() {
    let mut test = TestHub::new(Limits::default());
    for _ in 0..JOBS_MAX {
        let op = operator(&mut test);
        test.send(op, b"/ban 10.0.0.1\n");
        while test.carry_on() {}
        assert!(test.hub.next_request().is_some());
        test.hub.disconnect(test.now, op);
    }
    let op = operator(&mut test);
    for line in ["/ban 10.0.0.1", "/clients", "/stats", "/say hello"] {
        let told = command(&mut test, op, line);
        assert_eq!(
            told,
            "! not done: too many commands of operators wait for their answers; try again later\n"
        );
    }
}
