//! Joining and leaving: announcements, history, the limit of rooms, and what the hub holds after all clients have left.

use crate::hub::limits::Limits;
use crate::hub::name::room_name;
use crate::hub::{ConnId, Peer, Wire};
use crate::testing::test_hub::TestHub;

#[test]
fn ten_thousand_arrivals_are_announced_once_a_second() {
    let limits = Limits {
        clients_max: 20_000,
        announce_members_max: 20_000,
        ..Limits::default()
    };
    let mut test = TestHub::new(limits);
    let first = test.connect(Wire::Chat).unwrap();
    let mut received_bytes = test.read(first).len();
    let peer = Peer::new(None, Wire::Chat);
    for i in 0..10_000 {
        test.hub.connect(test.now, peer).unwrap();
        test.now = test.now.after(1000);
        if i % 100 == 0 {
            test.advance(0);
            received_bytes += test.read(first).len();
        }
    }
    assert!((200..1024).contains(&received_bytes), "{received_bytes}");
}

#[test]
fn nothing_is_announced_above_the_member_limit() {
    let mut test = TestHub::new(Limits {
        announce_members_max: 2,
        ..Limits::default()
    });
    let announced = |test: &mut TestHub, id| {
        test.advance(2_000_000);
        test.read(id)
    };
    let first = test.join();
    assert_eq!(announced(&mut test, first), "", "its own arrival");
    let second = test.join();
    assert_eq!(announced(&mut test, first), "* joined: guest2 (2 here)\n");
    let third = test.join();
    assert_eq!(announced(&mut test, first), "", "over the limit");
    test.hub.disconnect(test.now, third);
    assert_eq!(announced(&mut test, first), "* left: guest3 (2 here)\n");
    test.hub.disconnect(test.now, second);
    assert_eq!(announced(&mut test, first), "* left: guest2 (1 here)\n");
}

#[test]
fn a_newcomer_is_announced_under_the_name_that_it_has_when_it_speaks() {
    let mut test = TestHub::new(Limits::default());
    let kim = test.join();
    test.flush_announcements();
    let root = test.join();
    test.send(root, b"/nick root\n");
    assert_eq!(test.read(kim), "");
    test.send(root, b"hi\n/nick admiral\n");
    assert_eq!(
        test.read(kim),
        "* joined: root (2 here)\nroot: hi\n* renamed: root -> admiral\n"
    );
    test.advance(3_000_000);
    assert_eq!(test.read(kim), "");
    assert_eq!(
        test.read(root),
        "* you are now root\n* you are now admiral\n",
        "nobody is named to itself"
    );
}

#[test]
fn one_that_leaves_within_a_second_was_never_there() {
    let mut test = TestHub::new(Limits::default());
    let kim = test.join();
    test.flush_announcements();
    for _ in 0..12 {
        let probe = test.join();
        test.send(probe, b"/nick probe\n/quit\n");
        test.advance(400_000);
        test.hub.disconnect(test.now, probe);
        test.advance(400_000);
    }
    // One that has said goodbye, and does not read it.
    let unread = test.join();
    test.send(unread, b"/quit\n");
    test.advance(1_500_000);
    test.hub.disconnect(test.now, unread);
    test.advance(3_000_000);
    assert_eq!(test.read(kim), "");
}

#[test]
fn those_of_one_second_are_named_in_one_line_without_oneself() {
    let mut test = TestHub::new(Limits::default());
    let [kim, eve] = [(); 2].map(|()| test.join());
    test.flush_announcements();
    let carl = test.join();
    test.advance(100_000);
    let dora = test.join();
    test.advance(800_000);
    let late = test.join();
    test.advance(300_000);
    assert_eq!(test.read(kim), "");
    // The announcement waits for others no longer than that.
    test.advance(50_000);
    assert_eq!(test.read(kim), "* joined: guest3, guest4 (5 here)\n");
    assert_eq!(test.read(carl), "* joined: guest4 (5 here)\n");
    assert_eq!(test.read(dora), "* joined: guest3 (5 here)\n");
    test.hub.disconnect(test.now, eve);
    test.advance(900_000);
    assert_eq!(test.read(kim), "");
    test.advance(100_000);
    assert_eq!(test.read(kim), "* joined: guest5; left: guest2 (4 here)\n");
    assert_eq!(
        test.read(late),
        "* joined: guest3, guest4 (5 here)\n* left: guest2 (4 here)\n"
    );
}

#[test]
fn more_than_eight_are_counted() {
    let mut test = TestHub::new(Limits::default());
    let kim = test.join();
    test.flush_announcements();
    let nine: Vec<ConnId> = (0..9).map(|_| test.join()).collect();
    test.advance(1_000_000);
    assert_eq!(test.read(kim), "* 9 joined (10 here)\n");
    let eight: Vec<String> = (3..11).map(|n| format!("guest{n}")).collect();
    let named = format!("* joined: {} (10 here)\n", eight.join(", "));
    assert_eq!(test.read(nine[0]), named, "without itself they are eight");
    test.advance(1_000_000);
    for id in &nine[..8] {
        test.hub.disconnect(test.now, *id);
    }
    test.advance(1_000_000);
    assert_eq!(
        test.read(kim),
        "* left: guest2 (9 here)\n\
         * left: guest3, guest4, guest5, guest6, guest7, guest8, guest9 (2 here)\n"
    );
}

#[test]
fn a_name_that_changes_hands_is_left_before_it_is_taken() {
    let mut test = TestHub::new(Limits::default());
    let [kim, eve, lee] = [(); 3].map(|()| test.join());
    test.send(eve, b"/nick eve\nhi\n");
    test.flush_announcements();
    let other = test.join();
    test.send(other, b"hello\n");
    test.read(kim);
    // Nothing is announced for a second now.
    test.hub.disconnect(test.now, eve);
    assert_eq!(test.read(kim), "");
    test.send(lee, b"/nick eve\n");
    assert_eq!(
        test.read(kim),
        "* left: eve (3 here)\n* renamed: guest3 -> eve\n"
    );
    test.hub.disconnect(test.now, lee);
    let again = test.join();
    test.send(again, b"/nick eve\nback\n");
    assert_eq!(
        test.read(kim),
        "* left: eve (3 here)\n* joined: eve (3 here)\neve: back\n"
    );
}

#[test]
fn history_is_what_people_said() {
    let mut test = TestHub::new(Limits {
        history_lines: 3,
        ..Limits::default()
    });
    let [a, b] = [(); 2].map(|()| test.join());
    test.flush_announcements();
    test.send(
        a,
        b"one\ntwo\n/nick kim\n/me waves\n/nick lee\nthree\n/nick kim\n",
    );
    test.read(a);
    test.read(b);
    for _ in 0..12 {
        let probe = test.connect(Wire::Chat).unwrap();
        test.advance(2_000_000);
        test.hub.disconnect(test.now, probe);
        test.advance(2_000_000);
    }
    let c = test.connect(Wire::Chat).unwrap();
    test.send(b, b"four\n");
    test.send(c, b"/who\n");
    let greeting = "* you are guest15 in lobby (3 here); /help lists commands\n";
    let want = [
        greeting,
        "* the last 3 lines:\nguest1: two\n** kim waves\nlee: three\n* now\n",
        "* here in lobby: guest15, guest2, kim (3)\n",
        "guest2: four\n",
    ];
    let mut read = String::new();
    while read.len() < want.concat().len() {
        read += &test.read_some(c, 11);
    }
    assert_eq!(read, want.concat());
}

#[test]
fn lines_of_history_that_are_skipped_are_counted_without_notices() {
    let mut test = TestHub::new(Limits {
        history_lines: 100,
        room_log_bytes_max: 64 * 1024,
        line_bytes_max: 1000,
        ..Limits::default()
    });
    let a = test.join();
    test.flush_announcements();
    for n in 0..10 {
        test.send_later(a, format!("/nick kim{n}\n{n}\n").as_bytes());
        test.read(a);
    }
    let c = test.connect(Wire::Chat).unwrap();
    let mut said = 10;
    while test.hub.totals().skipped_lines == 0 {
        said += 1;
        test.send_later(a, &[b"x".repeat(999), b"\n".to_vec()].concat());
        test.flush_only(&[a], |_, _| {});
    }
    let read = test.read(c);
    let received = read.lines().filter(|line| line.contains(": x")).count();
    let skipped = test.hub.totals().skipped_lines;
    assert!(
        read.contains(&format!("* {skipped} lines skipped")),
        "{read}"
    );
    assert_eq!(received as u64 + skipped, said, "{}", read.len());
    assert!(!read.contains("renamed"));
}

/// The number of a room.
fn find(test: &TestHub, name: &str) -> Option<u32> {
    test.hub.rooms().find(&room_name(name).unwrap())
}

#[test]
fn history_survives_an_empty_room() {
    let mut test = TestHub::new(Limits {
        history_lines: 3,
        rooms_max: 3,
        ..Limits::default()
    });
    let a = test.join();
    test.advance(2_000_000);
    test.send(a, b"/join garden\n");
    for i in 0..9 {
        test.send(a, format!("{i}\n").as_bytes());
    }
    test.advance(1_000_000);
    test.send(a, b"/join lobby\n");
    test.read(a);
    test.resume_all();
    test.send(a, b"/join garden\n");
    assert_eq!(
        test.read(a),
        "* you are in garden (1 here)\n* the last 3 lines:\nguest1: 6\nguest1: 7\nguest1: 8\n* now\n"
    );
    test.send(a, b"/join lobby\n/join pond\n/join lobby\n");
    for _ in 0..4 {
        test.read(a);
        test.resume_all();
    }
    assert_eq!(
        test.hub.rooms().len(),
        5,
        "lobby, garden, pond, and those without a name"
    );
    test.send(a, b"/join well\n");
    assert!(
        find(&test, "garden").is_none(),
        "the oldest empty room is closed"
    );
    assert!(find(&test, "pond").is_some());
    test.hub.disconnect(test.now, a);
    assert!(find(&test, "well").is_some());
}

#[test]
fn addresses_are_counted_only_with_a_limit() {
    for (clients_per_ip_max, counted) in [(0, 0), (2, 1)] {
        let mut test = TestHub::new(Limits {
            clients_per_ip_max,
            ..Limits::default()
        });
        test.join();
        test.join();
        assert_eq!(test.hub.census().addresses, counted);
    }
}

#[test]
fn nothing_is_held_after_all_clients_have_left() {
    let mut test = TestHub::new(Limits {
        history_lines: 0,
        clients_per_ip_max: 20,
        ..Limits::default()
    });
    for round in 0..3 {
        let ids: Vec<ConnId> = (0..20).map(|_| test.join()).collect();
        for (i, &id) in ids.iter().enumerate() {
            test.send(
                id,
                format!("/nick kim{round}{i}\n/join room{}\nhello\n", i % 4).as_bytes(),
            );
            test.flush();
            test.resume_all();
        }
        for id in ids {
            test.hub.disconnect(test.now, id);
        }
        test.flush_announcements();
        let census = test.hub.census();
        assert_eq!((census.rooms, census.names, census.addresses), (3, 0, 0));
        assert_eq!((census.clients, census.timers), (0, 0));
        assert!(!test.hub.has_writable());
    }
    let next = test.join();
    test.send(next, b"/who\n");
    let answer = test.read(next);
    assert!(
        answer.contains("guest61"),
        "a guest's number is used once: {answer}"
    );
}

#[test]
fn ended_connections_leave_no_timers() {
    let mut test = TestHub::new(Limits {
        idle_timeout_us: 3_600_000_000,
        rate_lines: 10,
        burst_lines: 1,
        ..Limits::default()
    });
    for _ in 0..100_000 {
        let peer = Peer::new(None, Wire::Chat);
        let id = test.hub.connect(test.now, peer).unwrap();
        test.hub.receive(test.now, id, b"one\ntwo\nthree\n");
        assert!(test.hub.census().timers <= 3, "one client, two rooms");
        test.hub.disconnect(test.now, id);
        test.now = test.now.after(10);
    }
    assert_eq!(test.hub.census().timers, 0);
}
