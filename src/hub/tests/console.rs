//! The person at the server itself.

use crate::hub::limits::{HalfClose, Limits, PRIVATE_BYTES_MARK, ROOM_LOG_BYTES_MIN, SlowPolicy};
use crate::hub::{ConnId, Resume, Wire};
use crate::protocol::Refusal;
use crate::testing::test_hub::TestHub;

/// A host and so many guests, all of whom have read what there was.
fn hosted(limits: Limits, guests: usize) -> (TestHub, ConnId, Vec<ConnId>) {
    let mut test = TestHub::new(limits);
    let host = test.hub.connect_console(test.now);
    let ids = (0..guests).map(|_| test.join()).collect();
    test.settle();
    (test, host, ids)
}

#[test]
fn the_console_is_a_member_like_others() {
    let mut test = TestHub::new(Limits::default());
    let host = test.hub.connect_console(test.now);
    assert_eq!(
        test.read(host),
        "* you are host in lobby (1 here); /help lists commands\n"
    );
    let guest = test.join();
    test.settle();
    test.send(host, b"hello\n/me waves\n/who\n");
    assert_eq!(test.read(guest), "host: hello\n* host waves\n");
    assert_eq!(test.read(host), "* here in lobby: guest1, host (2)\n");
    test.send(guest, b"/nick kim\nhi\n");
    assert_eq!(test.read(host), "* renamed: guest1 -> kim\nkim: hi\n");
    test.send(host, b"/join garden\n");
    assert_eq!(test.read(host), "* you are in garden (1 here)\n");
    assert!(test.read(guest).ends_with("* left: host (1 here)\n"));
    assert_eq!(test.hub.totals().connections, 2);
    assert_eq!(test.hub.census().names, 2);
    assert!(!test.hub.console_has_left());
}

#[test]
fn private_lines_find_the_host_in_any_spelling() {
    let (mut test, host, ids) = hosted(Limits::default(), 1);
    for name in ["host", "HOST", "h0st"] {
        test.send(ids[0], format!("/msg {name} psst\n").as_bytes());
        assert_eq!(test.read(ids[0]), "you -> host: psst\n");
        assert_eq!(test.read(host), "guest1 -> you: psst\n");
    }
    test.send(host, b"/msg guest1 yes?\n/msg Host me?\n");
    assert_eq!(test.read(ids[0]), "host -> you: yes?\n");
    assert_eq!(
        test.read(host),
        "you -> guest1: yes?\n! line not sent: you are host\n"
    );
}

#[test]
fn without_a_console_nobody_is_called_host() {
    let mut test = TestHub::new(Limits::default());
    let guest = test.join();
    test.send(guest, b"/msg host anybody there?\n/nick host\n");
    assert_eq!(
        test.read(guest),
        "! line not sent: nobody is called host\n! name not changed: that name is the server's own\n"
    );
    assert!(!test.hub.console_has_left());
}

#[test]
fn the_console_keeps_its_name_and_nobody_can_take_it() {
    let (mut test, host, ids) = hosted(Limits::default(), 1);
    for name in ["kim", "host", "a b"] {
        test.send(host, format!("/nick {name}\n").as_bytes());
        assert_eq!(test.read(host), "! name not changed: the host stays host\n");
    }
    assert_eq!(test.hub.totals().refused_lines, 3);
    test.send(ids[0], b"/nick Host\n");
    assert_eq!(
        test.read(ids[0]),
        "! name not changed: that name is the server's own\n"
    );
}

#[test]
fn the_console_is_not_counted_against_max_clients() {
    let limits = Limits {
        clients_max: 2,
        ..Limits::default()
    };
    let (mut test, _, _) = hosted(limits, 2);
    assert_eq!(
        test.connect(Wire::Chat),
        Err(Refusal::ServerFull { clients_max: 2 })
    );
    assert_eq!(test.hub.clients(), 3);
}

#[test]
fn a_slow_console_loses_lines_but_not_its_connection() {
    for slow in [SlowPolicy::Skip, SlowPolicy::Close, SlowPolicy::Wait] {
        let limits = Limits {
            line_bytes_max: 256,
            room_log_bytes_max: ROOM_LOG_BYTES_MIN,
            slow,
            ..Limits::default()
        };
        let (mut test, host, ids) = hosted(limits, 2);
        let began = test.now;
        let mut heard = 0;
        for i in 0..2000 {
            let line = format!("line {i} {}\n", "x".repeat(100));
            test.send_later(ids[0], line.as_bytes());
            test.flush_only(&ids, |id, text| {
                heard += if id == ids[1] {
                    text.lines().count()
                } else {
                    0
                };
            });
        }
        assert_eq!(heard, 2000, "{slow:?}");
        // They waited for it as for anybody who is late for the first time, and never again.
        assert!(test.now < began.after(1_000_000), "{slow:?}");
        let given = test.read(host);
        let (notice, lines) = given.split_once('\n').unwrap();
        let skipped = notice.strip_prefix("* ").unwrap();
        let (skipped, _) = skipped.split_once(" lines skipped: ").unwrap();
        let skipped: usize = skipped.replace(',', "").parse().unwrap();
        assert_eq!(skipped + lines.lines().count(), 2000, "{slow:?}");
        assert_eq!(test.hub.totals().slow_closed, 0);
        assert_eq!(test.send(host, b"that was much\n"), Resume::Read);
        assert!(test.reap().is_empty() && !test.hub.console_has_left());
    }
}

#[test]
fn a_slow_console_beside_a_slow_member_does_not_hold_the_room() {
    // A line that fills much of the log, so that the host is in the way though it was moved forward.
    let limits = Limits {
        line_bytes_max: 2048,
        room_log_bytes_max: ROOM_LOG_BYTES_MIN,
        slow: SlowPolicy::Wait,
        ..Limits::default()
    };
    let (mut test, host, ids) = hosted(limits, 2);
    let line = "\u{1b}".repeat(2000) + "\n";
    let full = |test: &mut TestHub| test.lobby().gate.is_full();
    while !full(&mut test) {
        test.send_later(ids[0], line.as_bytes());
        test.flush_only(&ids[..1], |_, _| {});
    }
    test.read(ids[1]);
    assert!(full(&mut test), "it is in the way");
    assert_eq!(test.send(ids[0], line.as_bytes()), Resume::Wait);
    test.pass(test.hub.limits().slow_timeout_us);
    test.run();
    assert_eq!(test.send(ids[0], line.as_bytes()), Resume::Read);
    assert!(
        test.reap().is_empty(),
        "who has read is not closed, nor is the host"
    );
    assert_eq!(test.hub.totals().slow_closed, 0);
    assert!(test.read(host).contains(" lines skipped: "));
}

#[test]
fn rate_idle_and_partial_limits_do_not_hold_for_the_console() {
    let limits = Limits {
        rate_lines: 1,
        burst_lines: 1,
        idle_timeout_us: 10_000_000,
        partial_after_us: 50_000,
        ..Limits::default()
    };
    let (mut test, host, ids) = hosted(limits, 1);
    test.send(host, b"1\n2\n3\nunfin");
    assert_eq!(test.read(ids[0]), "host: 1\nhost: 2\nhost: 3\n");
    test.pass(1_000_000);
    assert_eq!(
        test.read(ids[0]),
        "",
        "its program is still writing the line"
    );
    test.send(host, b"ished\n");
    assert_eq!(test.read(ids[0]), "host: unfinished\n");
    test.pass(10_000_000);
    assert_eq!(test.read(ids[0]), "! closed: nothing received for 10 s\n");
    assert_eq!(test.reap(), ids);
    test.pass(3_000_000_000);
    assert!(test.reap().is_empty() && !test.hub.console_has_left());
}

#[test]
fn a_request_line_from_the_console_is_said() {
    for first in [&b"GET / HTTP/1.1\n"[..], b"\x16\x03\n"] {
        let (mut test, host, ids) = hosted(Limits::default(), 1);
        test.send(host, first);
        assert!(test.read(ids[0]).starts_with("host: "));
        assert!(!test.hub.console_has_left());
    }
}

#[test]
fn the_console_has_left_after_quit_finish_or_disconnect() {
    for half_close in [HalfClose::Close, HalfClose::Keep] {
        for way in 0..3 {
            let limits = Limits {
                half_close,
                ..Limits::default()
            };
            let (mut test, host, ids) = hosted(limits, 1);
            test.send(host, b"good ni");
            assert!(!test.hub.console_has_left());
            match way {
                0 => drop(test.send(host, b"ght\n/quit\n")),
                1 => test.hub.finish(test.now, host),
                _ => test.hub.disconnect(test.now, host),
            }
            assert!(test.hub.console_has_left(), "{half_close:?}, {way}");
            let heard = [
                "host: good night\n",
                "host: good ni\n",
                "* left: host (1 here)\n",
            ];
            assert_eq!(test.read(ids[0]), heard[way]);
            let last = test.read(host);
            assert_eq!(last, ["* you left; goodbye\n", "", ""][way]);
            assert_eq!(test.reap() == [host], way < 2);
            assert!(test.hub.console_has_left());
            test.send(ids[0], b"/msg host still there?\n");
            let answer = "! line not sent: nobody is called host\n";
            assert!(test.read(ids[0]).contains(answer));
        }
    }
}

#[test]
fn shutdown_drains_the_console_like_others() {
    let (mut test, host, ids) = hosted(Limits::default(), 1);
    test.send(ids[0], b"last words\n");
    test.hub.shutdown(test.now);
    assert_eq!(
        test.read(host),
        "* server is shutting down\nguest1: last words\n"
    );
    assert_eq!(test.reap(), [host]);
    test.read(ids[0]);
    assert_eq!(test.reap(), ids);
    assert_eq!(test.hub.census().names, 0);
}

#[test]
fn unread_replies_pause_the_consoles_input() {
    let (mut test, host, _) = hosted(Limits::default(), 0);
    while test.send(host, b"/help\n") == Resume::Read {}
    assert!(test.hub.client(host).unwrap().outbox.private_bytes() > PRIVATE_BYTES_MARK);
    assert!(!test.hub.console_has_left());
    test.read(host);
    test.run();
    assert_eq!(test.send(host, b"/help\n"), Resume::Read);
}

#[test]
#[should_panic(expected = "there is one console")]
fn a_second_console_is_refused() {
    let mut test = TestHub::new(Limits::default());
    test.hub.connect_console(test.now);
    test.hub.connect_console(test.now);
}
