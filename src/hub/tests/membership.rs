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
    let peer = Peer {
        address: None,
        wire: Wire::Chat,
    };
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
        "* you are in garden (1 here)\nguest1: 6\nguest1: 7\nguest1: 8\n"
    );
    test.send(a, b"/join lobby\n/join pond\n/join lobby\n");
    for _ in 0..4 {
        test.read(a);
        test.resume_all();
    }
    assert_eq!(
        test.hub.rooms().len(),
        4,
        "lobby, garden, pond, and the raw room"
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
        assert_eq!((census.rooms, census.names, census.addresses), (2, 0, 0));
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
        let peer = Peer {
            address: None,
            wire: Wire::Chat,
        };
        let id = test.hub.connect(test.now, peer).unwrap();
        test.hub.receive(test.now, id, b"one\ntwo\nthree\n");
        assert!(test.hub.census().timers <= 3, "one client, two rooms");
        test.hub.disconnect(test.now, id);
        test.now = test.now.after(10);
    }
    assert_eq!(test.hub.census().timers, 0);
}
