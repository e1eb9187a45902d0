//! The console: its name, the limits that do not hold for it, and the server's end when it leaves.

use crate::hub::limits::{HalfClose, Limits, PRIVATE_BYTES_MARK, ROOM_LOG_BYTES_MIN, SlowPolicy};
use crate::hub::{ConnId, Resume, Wire};
use crate::protocol::Refusal;
use crate::testing::test_hub::TestHub;

/// A console and so many guests. All have read all output.
fn with_console(limits: Limits, guests: usize) -> (TestHub, ConnId, Vec<ConnId>) {
    let mut test = TestHub::new(limits);
    let console = test.hub.connect_console(test.now);
    let ids = (0..guests).map(|_| test.join()).collect();
    test.flush_announcements();
    (test, console, ids)
}

#[test]
fn the_console_is_a_member_like_others() {
    let mut test = TestHub::new(Limits::default());
    let console = test.hub.connect_console(test.now);
    assert_eq!(
        test.read(console),
        "* you are host in lobby (1 here); /help lists commands\n"
    );
    let guest = test.join();
    test.flush_announcements();
    test.send(console, b"hello\n/me waves\n/who\n");
    assert_eq!(test.read(guest), "host: hello\n** host waves\n");
    assert_eq!(test.read(console), "* here in lobby: guest1, host (2)\n");
    test.send(guest, b"/nick kim\nhi\n");
    assert_eq!(test.read(console), "* renamed: guest1 -> kim\nkim: hi\n");
    test.send(console, b"/join garden\n");
    assert_eq!(test.read(console), "* you are in garden (1 here)\n");
    assert!(test.read(guest).ends_with("* left: host (1 here)\n"));
    assert_eq!(test.hub.totals().connections, 2);
    assert_eq!(test.hub.census().names, 2);
    assert!(!test.hub.console_has_left());
}

#[test]
fn private_lines_find_the_console_by_names_that_look_like_host() {
    let (mut test, console, ids) = with_console(Limits::default(), 1);
    for name in ["host", "HOST", "h0st"] {
        test.send(ids[0], format!("/msg {name} psst\n").as_bytes());
        assert_eq!(test.read(ids[0]), "you -> host: psst\n");
        assert_eq!(test.read(console), "guest1 -> you: psst\n");
    }
    test.send(console, b"/msg guest1 yes?\n/msg Host me?\n");
    assert_eq!(test.read(ids[0]), "host -> you: yes?\n");
    assert_eq!(
        test.read(console),
        "you -> guest1: yes?\n! line not sent: you are host\n"
    );
}

#[test]
fn without_a_console_no_client_is_called_host() {
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
fn the_console_cannot_be_renamed_and_its_name_is_reserved() {
    let (mut test, console, ids) = with_console(Limits::default(), 1);
    for name in ["kim", "host", "a b"] {
        test.send(console, format!("/nick {name}\n").as_bytes());
        assert_eq!(
            test.read(console),
            "! name not changed: the host stays host\n"
        );
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
    let (mut test, _, _) = with_console(limits, 2);
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
        let (mut test, console, ids) = with_console(limits, 2);
        let start = test.now;
        let mut received = 0;
        for i in 0..2000 {
            let line = format!("line {i} {}\n", "x".repeat(100));
            test.send_later(ids[0], line.as_bytes());
            test.flush_only(&ids, |id, text| {
                received += if id == ids[1] {
                    text.lines().count()
                } else {
                    0
                };
            });
        }
        assert_eq!(received, 2000, "{slow:?}");
        // The senders have waited for the console only the first time that it was late.
        assert!(test.now < start.after(1_000_000), "{slow:?}");
        let output = test.read(console);
        let (notice, lines) = output.split_once('\n').unwrap();
        let skipped = notice.strip_prefix("* ").unwrap();
        let (skipped, _) = skipped.split_once(" lines skipped: ").unwrap();
        let skipped: usize = skipped.replace(',', "").parse().unwrap();
        assert_eq!(skipped + lines.lines().count(), 2000, "{slow:?}");
        assert_eq!(test.hub.totals().slow_closed, 0);
        assert_eq!(test.send(console, b"that was much\n"), Resume::Read);
        assert!(test.reap().is_empty() && !test.hub.console_has_left());
    }
}

#[test]
fn a_slow_console_keeps_a_room_full_no_longer_than_the_timeout() {
    // The line fills much of the log, so that the room stays full although the console's cursor is moved forward.
    let limits = Limits {
        line_bytes_max: 2048,
        room_log_bytes_max: ROOM_LOG_BYTES_MIN,
        slow: SlowPolicy::Wait,
        ..Limits::default()
    };
    let (mut test, console, ids) = with_console(limits, 2);
    let line = "\u{1b}".repeat(2000) + "\n";
    let full = |test: &mut TestHub| test.lobby().gate.is_full();
    while !full(&mut test) {
        test.send_later(ids[0], line.as_bytes());
        test.flush_only(&ids[..1], |_, _| {});
    }
    test.read(ids[1]);
    assert!(full(&mut test), "the console keeps the room full");
    assert_eq!(test.send(ids[0], line.as_bytes()), Resume::Wait);
    test.advance(test.hub.limits().slow_timeout_us);
    test.resume_all();
    assert_eq!(test.send(ids[0], line.as_bytes()), Resume::Read);
    assert!(
        test.reap().is_empty(),
        "neither the reader nor the console is closed"
    );
    assert_eq!(test.hub.totals().slow_closed, 0);
    assert!(test.read(console).contains(" lines skipped: "));
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
    let (mut test, console, ids) = with_console(limits, 1);
    test.send(console, b"1\n2\n3\nunfin");
    assert_eq!(test.read(ids[0]), "host: 1\nhost: 2\nhost: 3\n");
    test.advance(1_000_000);
    assert_eq!(
        test.read(ids[0]),
        "",
        "an unfinished line of the console is not flushed"
    );
    test.send(console, b"ished\n");
    assert_eq!(test.read(ids[0]), "host: unfinished\n");
    test.advance(10_000_000);
    assert_eq!(test.read(ids[0]), "! closed: nothing received for 10 s\n");
    assert_eq!(test.reap(), ids);
    test.advance(3_000_000_000);
    assert!(test.reap().is_empty() && !test.hub.console_has_left());
}

#[test]
fn a_request_line_from_the_console_is_said() {
    for first in [&b"GET / HTTP/1.1\n"[..], b"\x16\x03\n"] {
        let (mut test, console, ids) = with_console(Limits::default(), 1);
        test.send(console, first);
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
            let (mut test, console, ids) = with_console(limits, 1);
            test.send(console, b"good ni");
            assert!(!test.hub.console_has_left());
            match way {
                0 => drop(test.send(console, b"ght\n/quit\n")),
                1 => test.hub.finish(test.now, console),
                _ => test.hub.disconnect(test.now, console),
            }
            assert!(test.hub.console_has_left(), "{half_close:?}, {way}");
            let received = [
                "host: good night\n",
                "host: good ni\n",
                "* left: host (1 here)\n",
            ];
            assert_eq!(test.read(ids[0]), received[way]);
            let last = test.read(console);
            assert_eq!(last, ["* you left; goodbye\n", "", ""][way]);
            assert_eq!(test.reap() == [console], way < 2);
            assert!(test.hub.console_has_left());
            test.send(ids[0], b"/msg host still there?\n");
            let answer = "! line not sent: nobody is called host\n";
            assert!(test.read(ids[0]).contains(answer));
        }
    }
}

#[test]
fn shutdown_drains_the_console_like_others() {
    let (mut test, console, ids) = with_console(Limits::default(), 1);
    test.send(ids[0], b"last words\n");
    test.hub.shutdown();
    test.advance(0);
    assert_eq!(
        test.read(console),
        "* server is shutting down\nguest1: last words\n"
    );
    assert_eq!(test.reap(), [console]);
    test.read(ids[0]);
    assert_eq!(test.reap(), ids);
    assert_eq!(test.hub.census().names, 0);
}

#[test]
fn unread_replies_pause_the_consoles_input() {
    let (mut test, console, _) = with_console(Limits::default(), 0);
    while test.send(console, b"/help\n") != Resume::Blocked {
        test.resume_all();
    }
    assert!(test.hub.client(console).unwrap().outbox.private_bytes() > PRIVATE_BYTES_MARK);
    assert!(!test.hub.console_has_left());
    test.read(console);
    test.resume_all();
    assert_eq!(test.send(console, b"/help\n"), Resume::Read);
}

#[test]
#[should_panic(expected = "there is one console")]
fn a_second_console_is_refused() {
    let mut test = TestHub::new(Limits::default());
    test.hub.connect_console(test.now);
    test.hub.connect_console(test.now);
}
