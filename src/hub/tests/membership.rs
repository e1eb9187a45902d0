//! Coming, going, rooms, and what is left when all have gone.

use crate::hub::limits::Limits;
use crate::hub::{ConnId, Peer, Wire};
use crate::testing::test_hub::TestHub;

#[test]
fn ten_thousand_arrivals_make_one_notice_a_second() {
    let limits = Limits {
        clients_max: 20_000,
        announce_members_max: 20_000,
        ..Limits::default()
    };
    let mut test = TestHub::new(limits);
    let first = test.connect(Wire::Chat).unwrap();
    let mut heard = test.read(first).len();
    let mut others = Vec::new();
    for i in 0..10_000 {
        others.push(
            test.hub
                .connect(
                    test.now,
                    super::super::Peer {
                        address: None,
                        wire: Wire::Chat,
                    },
                )
                .unwrap(),
        );
        test.now = test.now.after(1000);
        if i % 100 == 0 {
            test.pass(0);
            heard += test.read(first).len();
        }
    }
    assert!((200..1024).contains(&heard), "{heard}");
}

#[test]
fn nothing_is_announced_above_the_member_limit() {
    let mut test = TestHub::new(Limits {
        announce_members_max: 2,
        ..Limits::default()
    });
    let told = |test: &mut TestHub, id| {
        test.pass(2_000_000);
        test.read(id)
    };
    let first = test.join();
    assert_eq!(told(&mut test, first), "", "nobody else is there");
    let second = test.join();
    assert_eq!(told(&mut test, first), "* joined: guest2 (2 here)\n");
    let third = test.join();
    assert_eq!(told(&mut test, first), "", "three are too many");
    test.hub.disconnect(test.now, third);
    assert_eq!(told(&mut test, first), "* left: guest3 (2 here)\n");
    test.hub.disconnect(test.now, second);
    assert_eq!(told(&mut test, first), "* left: guest2 (1 here)\n");
}

#[test]
fn history_survives_an_empty_room() {
    let mut test = TestHub::new(Limits {
        history_lines: 3,
        rooms_max: 3,
        ..Limits::default()
    });
    let a = test.join();
    test.pass(2_000_000);
    test.send(a, b"/join garden\n");
    for i in 0..9 {
        test.send(a, format!("{i}\n").as_bytes());
    }
    test.pass(1_000_000);
    test.send(a, b"/join lobby\n");
    test.read(a);
    test.run();
    test.send(a, b"/join garden\n");
    assert_eq!(
        test.read(a),
        "* you are in garden (1 here)\nguest1: 6\nguest1: 7\nguest1: 8\n"
    );
    test.send(a, b"/join lobby\n/join pond\n/join lobby\n");
    for _ in 0..4 {
        test.read(a);
        test.run();
    }
    assert_eq!(
        test.hub.rooms().len(),
        4,
        "lobby, garden, pond, and the raw room"
    );
    test.send(a, b"/join well\n");
    assert!(
        test.hub.rooms().find("garden").is_none(),
        "the oldest empty room makes place"
    );
    assert!(test.hub.rooms().find("pond").is_some());
    test.hub.disconnect(test.now, a);
    assert!(test.hub.rooms().find("well").is_some());
}

#[test]
fn addresses_are_counted_only_with_a_limit() {
    for (clients_per_ip_max, noted) in [(0, 0), (2, 1)] {
        let mut test = TestHub::new(Limits {
            clients_per_ip_max,
            ..Limits::default()
        });
        test.join();
        test.join();
        assert_eq!(test.hub.census().addresses, noted);
    }
}

#[test]
fn nothing_is_left_when_all_have_left() {
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
            test.run();
        }
        for id in ids {
            test.hub.disconnect(test.now, id);
        }
        test.settle();
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
        "no number is given twice: {answer}"
    );
}

#[test]
fn timers_do_not_grow_with_connections_that_have_gone() {
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
        assert!(test.hub.census().timers <= 3, "one a client and one a room");
        test.hub.disconnect(test.now, id);
        test.now = test.now.after(10);
    }
    assert_eq!(test.hub.census().timers, 0);
}
