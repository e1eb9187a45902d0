//! Tests of the hub through its contract: delivery, input, closing, counters. The other files test one part each.

mod backpressure;
mod cluster;
mod cluster_random;
mod console;
mod fairness;
mod figures;
mod handlers;
mod ignoring;
mod limit_change;
mod locks;
mod membership;
mod names;
mod operators;
mod password;

use super::*;
use crate::protocol::Refusal;
use crate::testing::test_hub::TestHub;

#[test]
fn a_line_reaches_all_members_except_its_author() {
    let mut test = TestHub::new(Limits::default());
    let (a, b, c) = (test.join(), test.join(), test.join());
    test.flush_announcements();
    test.send(a, b"one\ntw");
    test.send(b, b"1\n");
    test.send(a, b"o\n");
    assert_eq!(test.read(a), "guest2: 1\n");
    assert_eq!(test.read(b), "guest1: one\nguest1: two\n");
    assert_eq!(test.read(c), "guest1: one\nguest2: 1\nguest1: two\n");
}

#[test]
fn memory_of_clients_and_rooms_is_counted() {
    let mut test = TestHub::new(Limits {
        rate_lines: 1,
        burst_lines: 1,
        ..Limits::default()
    });
    let a = test.connect(Wire::Chat).unwrap();
    // Counted are a record and whole buffers, which are larger than their contents.
    let greeting = test.hub.census().bytes;
    assert!((test.read(a).len()..500).contains(&greeting));
    assert_eq!(test.hub.census().bytes, 0);
    test.send(a, b"12345");
    let partial = test.hub.census().bytes;
    assert!((5..300).contains(&partial));
    // The room's log holds the first line. The rate limit defers the rest, and the client is told so.
    test.send(a, b"67\nheld\nand more");
    let log = test.lobby().log.memory_bytes();
    assert!(log >= "guest1: 1234567\n".len());
    let deferred = test.hub.census().bytes - log;
    assert!(("held\nand more".len()..700).contains(&deferred));
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
    assert_eq!((totals.connections, totals.refused_connections()), (2, 1));
    assert_eq!((a.serial(), b.serial()), (1, 2));
}

#[test]
fn room_members_and_private_output_take_turns() {
    let mut test = TestHub::new(Limits::default());
    let ids: Vec<ConnId> = (0..6).map(|_| test.join()).collect();
    test.flush_announcements();
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
    assert!(test.hub.has_writable(), "private output is enough");
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
    test.flush_announcements();
    let flood = b"a\n".repeat(250);
    while test.lobby_accepts_lines() {
        let _ = test.send(ids[0], &flood);
    }
    for &id in &ids[1..] {
        assert_eq!(test.send(id, b"me too\n"), Resume::Wait);
    }
    // The first client has been read before, so it is woken after those that have not.
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
fn a_room_accepts_lines_after_its_last_member_left_within_a_round() {
    let mut test = TestHub::new(Limits::default());
    let first = test.join();
    test.flush();
    let long = [&[b'x'; 8000][..], b"\n"].concat();
    while test.send(first, &long) == Resume::Read {}
    test.hub.disconnect(test.now, first);
    let next = test.join();
    assert_eq!(test.send(next, b"anybody here?\n"), Resume::Read);
}

#[test]
fn a_join_is_carried_out_although_the_rate_limit_is_exhausted() {
    let mut test = TestHub::new(Limits {
        rate_lines: 1,
        burst_lines: 1,
        ..Limits::default()
    });
    let (a, b) = (test.join(), test.join());
    test.flush_announcements();
    test.send_later(b, b"hello\n");
    test.advance(1_000_000);
    test.send(a, b"/join pond\nhello pond\n");
    // The client enters the new room after the old room's log has been written to it.
    assert_eq!(test.hub.resume(test.now, a), Resume::Blocked);
    assert!(test.read(a).ends_with("guest2: hello\n"));
    test.resume_all();
    // The next line waits for the rate limit.
    let slow = "* you send too fast: 1 lines a second are read; the others wait, none is lost\n";
    assert_eq!(test.read(a), format!("* you are in pond (1 here)\n{slow}"));
    assert_eq!(test.hub.totals().lines, 1);
    test.advance(1_000_000);
    test.resume_all();
    assert_eq!(test.hub.totals().lines, 2);
}

#[test]
fn an_unfinished_join_at_eof_is_carried_out() {
    let mut test = TestHub::new(Limits::default());
    let (a, b) = (test.join(), test.join());
    test.flush_announcements();
    test.send(b, b"hello\n");
    test.send(a, b"/join pond");
    test.hub.finish(test.now, a);
    assert_eq!(test.read(a), "guest2: hello\n");
    test.resume_all();
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
    test.flush_announcements();
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
        test.advance(100_000);
        test.resume_all();
        assert_eq!(test.read(b), line);
    }
}

#[test]
fn unread_replies_pause_input() {
    let mut test = TestHub::new(Limits::default());
    let (a, b) = (test.join(), test.join());
    test.flush_announcements();
    let mut asked = 0;
    while test.send(a, &b"/help\n".repeat(20)) != Resume::Blocked {
        asked += 1;
        assert!(asked < 100, "unread replies do not pause input");
        test.resume_all();
    }
    assert_eq!(test.send(a, b"/help\n"), Resume::Blocked);
    test.send(b, b"/msg guest1 hello\n");
    assert_eq!(test.read(b), "! line not sent: guest1 is not reading\n");
    test.read(a);
    test.resume_all();
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
        test.flush_announcements();
        test.send(b, b"before\n");
        test.send(a, b"last wor");
        test.send(a, b"ds");
        test.hub.finish(test.now, a);
        test.send(b, b"after\n");
        assert_eq!(test.read(b), "guest1: last words\n");
        assert!(test.reap().is_empty(), "closed too early");
        let output = test.read(a);
        assert!(output.starts_with("guest2: before\n"));
        assert_eq!(output.ends_with("guest2: after\n"), !closed);
        assert_eq!(test.reap() == [a], closed);
    }
}

#[test]
fn an_idle_client_receives_a_refusal_and_is_closed() {
    let mut test = TestHub::new(Limits {
        idle_timeout_us: 3_000_000,
        ..Limits::default()
    });
    let (a, b) = (test.join(), test.join());
    test.flush_announcements();
    test.advance(2_000_000);
    test.send(b, b"here\n");
    test.advance(1_500_000);
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
    test.flush_announcements();
    while test.send(a, &b"/help\n".repeat(20)) != Resume::Blocked {
        test.resume_all();
    }
    test.advance(3_000_000);
    assert!(test.reap().is_empty());
    test.read(a);
    test.resume_all();
    test.read(a);
    test.advance(2_000_000);
    assert!(test.reap().is_empty());
    test.advance(1_000_000);
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
    test.flush_announcements();
    test.send(a, b"I am ");
    test.advance(30_000);
    test.send(a, b"a client");
    test.advance(30_000);
    assert_eq!(test.read(b), "");
    test.advance(30_000);
    assert_eq!(test.read(b), "guest1: I am a client\n");
}

#[test]
fn shutdown_notifies_and_closes_all_clients() {
    let mut test = TestHub::new(Limits::default());
    let (a, b) = (test.join(), test.join());
    test.flush_announcements();
    test.hub.shutdown();
    test.advance(0);
    assert_eq!(test.read(a), "* server is shutting down\n");
    assert_eq!(test.reap(), [a]);
    assert_eq!(test.connect(Wire::Chat), Err(Refusal::ShuttingDown {}));
    test.advance(4_999_999);
    assert!(test.reap().is_empty());
    test.advance(1);
    assert_eq!(test.reap(), [b], "drain timeout");
}

#[test]
fn a_refusal_names_the_limit_that_is_reached() {
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
    let mapped = Some("::ffff:127.0.0.1".parse().unwrap());
    let wire = Wire::Chat;
    for (address, refusal) in [
        (mapped, Some(Refusal::AddressFull { clients_max: 2 })),
        (None, None),
    ] {
        let connected = test.hub.connect(test.now, Peer::new(address, wire));
        assert_eq!(connected.err(), refusal);
    }
    assert_eq!(
        test.connect(Wire::Chat),
        Err(Refusal::ServerFull { clients_max: 3 })
    );
    test.hub.disconnect(test.now, a);
    assert!(test.connect(Wire::Chat).is_ok());
    for (refusal, text) in [
        (
            Refusal::ServerFull { clients_max: 3 },
            "server is full: 3 connections",
        ),
        (
            Refusal::AddressFull { clients_max: 2 },
            "too many connections from your address: at most 2",
        ),
        (Refusal::ShuttingDown {}, "server is shutting down"),
    ] {
        assert!(refusal.to_string().contains(text), "{refusal}");
    }
}
