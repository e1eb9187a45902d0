//! The hub as a whole, by its contract.

mod backpressure;
mod console;
mod handlers;
mod membership;

use super::*;
use crate::testing::test_hub::TestHub;

#[test]
fn a_line_reaches_the_others_and_not_its_author() {
    let mut test = TestHub::new(Limits::default());
    let (a, b, c) = (test.join(), test.join(), test.join());
    test.settle();
    test.send(a, b"one\ntw");
    test.send(b, b"1\n");
    test.send(a, b"o\n");
    assert_eq!(test.read(a), "guest2: 1\n");
    assert_eq!(test.read(b), "guest1: one\nguest1: two\n");
    assert_eq!(test.read(c), "guest1: one\nguest2: 1\nguest1: two\n");
}

#[test]
fn every_held_byte_is_counted() {
    let mut test = TestHub::new(Limits {
        rate_lines: 1,
        burst_lines: 1,
        ..Limits::default()
    });
    let a = test.connect(Wire::Chat).unwrap();
    // What is counted is what is taken for it: a record, and buffers that have place for more.
    let greeting = test.hub.census().bytes;
    assert!((test.read(a).len()..500).contains(&greeting));
    assert_eq!(test.hub.census().bytes, 0);
    test.send(a, b"12345");
    let partial = test.hub.census().bytes;
    assert!((5..300).contains(&partial));
    // The room remembers the line; what it may not say yet is held.
    test.send(a, b"67\nheld\nand more");
    let log = test.lobby().log.memory_bytes();
    assert!(log >= "guest1: 1234567\n".len());
    let held = test.hub.census().bytes - log;
    assert!(("held\nand more".len()..300).contains(&held));
    test.hub.disconnect(test.now, a);
    assert_eq!(test.hub.census().bytes, "guest1: 1234567\n".len());
}

#[test]
fn connections_and_refusals_are_counted() {
    let mut test = TestHub::new(Limits {
        clients_max: 2,
        ..Limits::default()
    });
    let (a, b) = (test.join(), test.join());
    assert!(test.connect(Wire::Chat).is_err());
    let totals = test.hub.totals();
    assert_eq!((totals.connections, totals.refused_connections), (2, 1));
    assert_eq!((a.serial(), b.serial()), (1, 2));
}

#[test]
fn room_members_and_private_output_take_turns() {
    let mut test = TestHub::new(Limits::default());
    let ids: Vec<ConnId> = (0..6).map(|_| test.join()).collect();
    test.settle();
    test.send(ids[0], b"news\n");
    test.send(ids[4], b"/help\n");
    test.send(ids[5], b"/help\n");
    let visits: Vec<ConnId> = (0..4)
        .map(|_| test.hub.next_writable(test.now).unwrap())
        .collect();
    let of_their_own = [ids[4], ids[5]];
    assert!(
        [visits[0], visits[2]] == of_their_own || [visits[1], visits[3]] == of_their_own,
        "{visits:?}"
    );
    assert!(test.hub.has_writable());
    test.flush();
    assert!(!test.hub.has_writable());
    test.send(ids[4], b"/help\n");
    assert!(test.hub.has_writable(), "something of its own is enough");
}

#[test]
fn discarded_bytes_are_counted() {
    let mut test = TestHub::new(Limits {
        line_bytes_max: 64,
        ..Limits::default()
    });
    let a = test.join();
    for (piece, sum) in [
        (&[b'x'; 100][..], 100),
        (b"yy\nfine\n", 103),
        (&[b'z'; 70], 173),
    ] {
        test.send(a, piece);
        assert_eq!(test.hub.totals().discarded_bytes, sum);
    }
}

#[test]
fn blocked_senders_are_read_first_in_the_order_they_were_blocked() {
    let mut test = TestHub::new(Limits::default());
    let ids: Vec<ConnId> = (0..4).map(|_| test.join()).collect();
    test.settle();
    let flood = b"a\n".repeat(250);
    while test.lobby_accepts_lines() {
        let _ = test.send(ids[0], &flood);
    }
    for &id in &ids[1..] {
        assert_eq!(test.send(id, b"me too\n"), Resume::Wait);
    }
    // It has been served and asks again: it comes after those that have not been served.
    assert_eq!(test.hub.resume(test.now, ids[0]), Resume::Wait);
    while !test.lobby_accepts_lines() {
        let id = test.hub.next_writable(test.now).unwrap();
        test.read(id);
    }
    let readable = std::iter::from_fn(|| test.hub.next_readable());
    let readable: Vec<ConnId> = readable.collect();
    assert_eq!(readable, [ids[1], ids[2], ids[3], ids[0]]);
}

#[test]
fn a_room_left_within_a_round_accepts_lines() {
    let mut test = TestHub::new(Limits::default());
    let gone = test.join();
    test.flush();
    let long = [&[b'x'; 8000][..], b"\n"].concat();
    while test.send(gone, &long) == Resume::Read {}
    test.hub.disconnect(test.now, gone);
    let next = test.join();
    assert_eq!(test.send(next, b"anybody here?\n"), Resume::Read);
}

#[test]
fn a_join_with_an_exhausted_rate_limit_is_carried_out() {
    let mut test = TestHub::new(Limits {
        rate_lines: 1,
        burst_lines: 1,
        ..Limits::default()
    });
    let (a, b) = (test.join(), test.join());
    test.settle();
    test.send(b, b"hello\n");
    test.send(a, b"/join pond\nhello pond\n");
    // It does not move before the old room's log has been written to it.
    assert_eq!(test.hub.resume(test.now, a), Resume::Blocked);
    assert!(test.read(a).ends_with("guest2: hello\n"));
    test.run();
    assert_eq!(test.read(a), "* you are in pond (1 here)\n");
    // The line after it waits for the rate limit.
    assert_eq!(test.hub.totals().lines, 1);
    test.pass(1_000_000);
    test.run();
    assert_eq!(test.hub.totals().lines, 2);
}

#[test]
fn an_unfinished_join_at_eof_is_carried_out() {
    let mut test = TestHub::new(Limits::default());
    let (a, b) = (test.join(), test.join());
    test.settle();
    test.send(b, b"hello\n");
    test.send(a, b"/join pond");
    test.hub.finish(test.now, a);
    assert_eq!(test.read(a), "guest2: hello\n");
    test.run();
    assert_eq!(test.read(a), "* you are in pond (1 here)\n");
    assert_eq!(test.reap(), [a]);
}

#[test]
fn late_events_are_ignored() {
    let mut test = TestHub::new(Limits::default());
    let old = test.join();
    test.hub.disconnect(test.now, old);
    let new = test.join();
    assert_eq!(old.slot(), new.slot());
    assert_ne!(old, new);
    test.hub.receive(test.now, old, b"boo\n/quit\n");
    test.hub.finish(test.now, old);
    assert!(!test.hub.sent(test.now, old, 5));
    test.hub.disconnect(test.now, old);
    assert_eq!(
        (test.hub.clients(), test.hub.resume(test.now, new)),
        (1, Resume::Read)
    );
}

#[test]
fn ids_are_tokens_and_leave_higher_tokens_free() {
    let id = ConnId::new(7, 9);
    assert_eq!(ConnId::from_token(id.to_token()), Some(id));
    assert_eq!((id.slot(), id.serial()), (7, 9));
    let high = ConnId::new(1_000_000, u32::MAX);
    assert_eq!(ConnId::from_token(high.to_token()), Some(high));
    assert_eq!(ConnId::from_token(usize::MAX), None);
    assert_eq!(ConnId::from_token(ConnId::SLOT_MAX as usize + 1), None);
}

#[test]
fn rate_limited_lines_are_deferred_not_lost() {
    let limits = Limits {
        rate_lines: 10,
        burst_lines: 2,
        ..Limits::default()
    };
    let mut test = TestHub::new(limits);
    let (a, b) = (test.join(), test.join());
    test.settle();
    test.send(a, b"1\n2\n3\n4\n");
    assert_eq!(test.read(b), "guest1: 1\nguest1: 2\n");
    assert_eq!(test.send(a, b"x\n"), Resume::Wait);
    for line in ["guest1: 3\n", "guest1: 4\n"] {
        assert_eq!(test.read(b), "");
        assert!(
            test.hub
                .next_deadline()
                .is_some_and(|due| due <= test.now.after(100_000))
        );
        test.pass(100_000);
        test.run();
        assert_eq!(test.read(b), line);
    }
}

#[test]
fn unread_replies_pause_input() {
    let mut test = TestHub::new(Limits::default());
    let (a, b) = (test.join(), test.join());
    test.settle();
    let mut asked = 0;
    while test.send(a, &b"/help\n".repeat(20)) == Resume::Read {
        asked += 1;
        assert!(asked < 100, "replies without end");
    }
    assert_eq!(test.send(a, b"/help\n"), Resume::Blocked);
    test.send(b, b"/msg guest1 hello\n");
    assert_eq!(test.read(b), "! line not sent: guest1 is not reading\n");
    test.read(a);
    test.run();
    test.read(a);
    test.send(b, b"/msg guest1 hello\n");
    assert!(test.read(a).ends_with("guest2 -> you: hello\n"));
}

#[test]
fn at_eof_a_client_receives_everything_and_is_closed() {
    for (half_close, closed) in [
        (limits::HalfClose::Close, true),
        (limits::HalfClose::Keep, false),
    ] {
        let mut test = TestHub::new(Limits {
            half_close,
            ..Limits::default()
        });
        let (a, b) = (test.join(), test.join());
        test.settle();
        test.send(b, b"before\n");
        test.send(a, b"last wor");
        test.send(a, b"ds");
        test.hub.finish(test.now, a);
        test.send(b, b"after\n");
        assert_eq!(test.read(b), "guest1: last words\n");
        assert!(test.reap().is_empty(), "not before it has been given all");
        let given = test.read(a);
        assert!(given.starts_with("guest2: before\n"));
        assert_eq!(given.ends_with("guest2: after\n"), !closed);
        assert_eq!(test.reap() == [a], closed);
    }
}

#[test]
fn an_idle_client_is_told_and_closed() {
    let mut test = TestHub::new(Limits {
        idle_timeout_us: 3_000_000,
        ..Limits::default()
    });
    let (a, b) = (test.join(), test.join());
    test.settle();
    test.pass(2_000_000);
    test.send(b, b"here\n");
    test.pass(1_500_000);
    assert!(
        test.read(a)
            .ends_with("! closed: nothing received for 3 s\n")
    );
    assert_eq!(test.reap(), [a]);
}

#[test]
fn a_blocked_client_is_not_idle() {
    let mut test = TestHub::new(Limits {
        idle_timeout_us: 3_000_000,
        ..Limits::default()
    });
    let a = test.join();
    test.settle();
    while test.send(a, &b"/help\n".repeat(20)) == Resume::Read {}
    test.pass(3_000_000);
    assert!(test.reap().is_empty());
    test.read(a);
    test.run();
    test.read(a);
    test.pass(2_000_000);
    assert!(test.reap().is_empty());
    test.pass(1_000_000);
    assert_eq!(test.read(a), "! closed: nothing received for 3 s\n");
    assert_eq!(test.reap(), [a]);
}

#[test]
fn partial_lines_are_flushed_after_a_silence() {
    let mut test = TestHub::new(Limits {
        partial_after_us: 50_000,
        ..Limits::default()
    });
    let (a, b) = (test.join(), test.join());
    test.settle();
    test.send(a, b"I am ");
    test.pass(30_000);
    test.send(a, b"a client");
    test.pass(30_000);
    assert_eq!(test.read(b), "");
    test.pass(30_000);
    assert_eq!(test.read(b), "guest1: I am a client\n");
}

#[test]
fn shutdown_tells_and_closes_everybody() {
    let mut test = TestHub::new(Limits::default());
    let (a, b) = (test.join(), test.join());
    test.settle();
    test.hub.shutdown(test.now);
    assert_eq!(test.read(a), "* server is shutting down\n");
    assert_eq!(test.reap(), [a]);
    assert_eq!(test.connect(Wire::Chat), Err(Refusal::ShuttingDown {}));
    test.pass(4_999_999);
    assert!(test.reap().is_empty());
    test.pass(1);
    assert_eq!(test.reap(), [b], "who does not read is not waited for");
}

#[test]
fn newcomers_over_a_cap_are_told_which_cap() {
    let limits = Limits {
        clients_max: 3,
        clients_per_ip_max: 2,
        ..Limits::default()
    };
    let mut test = TestHub::new(limits);
    let a = test.join();
    test.join();
    assert_eq!(
        test.connect(Wire::Chat),
        Err(Refusal::AddressFull { clients_max: 2 })
    );
    let mapped = "::ffff:127.0.0.1".parse().unwrap();
    let peer = Peer {
        address: Some(mapped),
        wire: Wire::Chat,
    };
    assert_eq!(
        test.hub.connect(test.now, peer),
        Err(Refusal::AddressFull { clients_max: 2 })
    );
    test.hub
        .connect(
            test.now,
            Peer {
                address: None,
                wire: Wire::Chat,
            },
        )
        .unwrap();
    assert_eq!(
        test.connect(Wire::Chat),
        Err(Refusal::ServerFull { clients_max: 3 })
    );
    test.hub.disconnect(test.now, a);
    assert!(test.connect(Wire::Chat).is_ok());
    for (refusal, told) in [
        (
            Refusal::ServerFull { clients_max: 3 },
            "server is full: 3 connections",
        ),
        (
            Refusal::AddressFull { clients_max: 2 },
            "2 connections from your address",
        ),
        (Refusal::ShuttingDown {}, "server is shutting down"),
    ] {
        assert!(refusal.to_string().contains(told), "{refusal}");
    }
}
