//! Operators: who may command, what is done to whom, and that no list and no ban costs a step much.

mod bans;
mod lists;

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

fn name_of(test: &TestHub, id: ConnId) -> String {
    let name = test.hub.client(id).unwrap().name.as_ref();
    name.unwrap().to_string()
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
                Request::Random => panic!("no name is registered here"),
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
