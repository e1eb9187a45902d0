//! Limits that change while clients are connected: what each is to those who are there, and that no step is a long one.

use crate::hub::limits::{
    HalfClose, LIMIT_CHANGE_AGAIN_US, LIMIT_CHANGE_SEATS_MAX, LIMIT_CHANGE_SLOTS_MAX, Limits,
    MOVE_WORK, NOTICE_WORK, ROOM_LOG_BYTES_MIN, SKIP_WORK, SlowPolicy,
};
use crate::hub::{ConnId, Resume, Wire};
use crate::testing::test_hub::TestHub;

const SECOND_US: u64 = 1_000_000;

/// A test hub with so many members in the lobby, after all announcements.
fn settled(limits: Limits, members: usize) -> (TestHub, Vec<ConnId>) {
    let mut test = TestHub::new(limits);
    let ids: Vec<ConnId> = (0..members).map(|_| test.join()).collect();
    test.flush_announcements();
    (test, ids)
}

fn change(test: &mut TestHub, change: impl FnOnce(&mut Limits)) {
    let mut limits = test.hub.limits().clone();
    change(&mut limits);
    limits.check().unwrap();
    test.hub.set_limits(limits);
    test.check();
}

/// Calls the hub until nothing is due, and checks it after each call. Returns how many calls that took, and the most work of
/// one.
fn tick_all(test: &mut TestHub) -> (usize, u64) {
    let (mut calls, mut most) = (0, 0);
    loop {
        let before = test.hub.totals().work;
        if !test.hub.tick(test.now) {
            return (calls, most);
        }
        calls += 1;
        most = most.max(test.hub.totals().work - before);
        test.check();
    }
}

/// One member floods, one reads, the others do not.
fn flood(test: &mut TestHub, ids: &[ConnId], lines: usize) {
    for nth in 0..lines {
        test.send_later(ids[0], format!("{nth} {}\n", "x".repeat(200)).as_bytes());
        test.flush_only(&ids[..2], |_, _| {});
    }
}

#[test]
fn a_smaller_room_log_moves_slow_members_forward_a_few_at_a_time_and_gives_memory_back() {
    for slow in [SlowPolicy::Skip, SlowPolicy::Close, SlowPolicy::Wait] {
        let limits = Limits {
            line_bytes_max: 256,
            room_log_bytes_max: 1 << 20,
            slow,
            ..Limits::default()
        };
        let former = limits.memory_bytes_max();
        let (mut test, ids) = settled(limits, 600);
        flood(&mut test, &ids, 2000);
        assert!(test.lobby().log.live_bytes() > 300_000);
        change(&mut test, |limits| {
            limits.room_log_bytes_max = ROOM_LOG_BYTES_MIN
        });
        assert_eq!(
            test.hub.memory_bytes_max(),
            former,
            "as long as the log is larger"
        );
        let (calls, most) = tick_all(&mut test);
        assert!(calls >= 600 / LIMIT_CHANGE_SEATS_MAX, "{calls} calls");
        let seat = SKIP_WORK + 3 * NOTICE_WORK;
        assert!(most <= LIMIT_CHANGE_SEATS_MAX as u64 * seat + 600, "{most}");
        assert!(
            test.lobby().log.memory_bytes() <= ROOM_LOG_BYTES_MIN,
            "{slow:?}"
        );
        let output = test.read(ids[5]);
        assert!(output.contains(" lines skipped"), "{slow:?}: {output}");
        assert_eq!(
            output.contains("closed: "),
            slow != SlowPolicy::Skip,
            "{output}"
        );
        for &id in &ids {
            test.read(id);
        }
        test.reap();
        test.advance(2 * LIMIT_CHANGE_AGAIN_US);
        let within = test.hub.limits().memory_bytes_max();
        assert_eq!(test.hub.memory_bytes_max(), within);
        test.send_later(ids[0], b"goes on\n");
        assert!(test.read(ids[1]).ends_with("guest1: goes on\n"));
    }
}

#[test]
fn a_log_that_grows_while_it_is_shortened_is_shortened_all_the_same() {
    let limits = Limits {
        line_bytes_max: 256,
        room_log_bytes_max: 1 << 20,
        ..Limits::default()
    };
    let (mut test, ids) = settled(limits, 400);
    flood(&mut test, &ids, 2000);
    change(&mut test, |limits| {
        limits.room_log_bytes_max = ROOM_LOG_BYTES_MIN
    });
    for _ in 0..10 {
        flood(&mut test, &ids, 200);
        let _ = test.hub.tick(test.now);
        test.check();
    }
    tick_all(&mut test);
    assert!(test.lobby().log.memory_bytes() <= ROOM_LOG_BYTES_MIN);
}

#[test]
fn an_idle_timeout_that_is_switched_on_closes_those_who_have_been_silent_for_so_long() {
    let (mut test, ids) = settled(Limits::default(), 400);
    test.advance(100 * SECOND_US);
    test.send(ids[7], b"awake\n");
    change(&mut test, |limits| limits.idle_timeout_us = 60 * SECOND_US);
    let (calls, most) = tick_all(&mut test);
    assert!(
        calls >= 399 + 400 / LIMIT_CHANGE_SLOTS_MAX as usize,
        "{calls} calls"
    );
    assert!(most < 4 * MOVE_WORK, "{most} in one call");
    for &id in &ids {
        let output = test.read(id);
        assert_eq!(
            output.contains("closed: nothing received"),
            id != ids[7],
            "{output}"
        );
    }
    assert_eq!(test.reap().len(), 399);
    change(&mut test, |limits| limits.idle_timeout_us = 0);
    test.advance(1000 * SECOND_US);
    assert!(test.reap().is_empty());
}

#[test]
fn what_was_owed_at_a_slow_rate_is_not_waited_for_at_a_fast_one_or_without_a_rate() {
    for (rate_lines, counted) in [(1000, false), (0, false), (1000, true), (0, true)] {
        let limits = Limits {
            rate_lines: u32::from(counted),
            burst_lines: 100,
            ..Limits::default()
        };
        let (mut test, ids) = settled(limits, 1);
        let id = ids[0];
        change(&mut test, |limits| limits.rate_lines = 1);
        tick_all(&mut test);
        for _ in 0..101 {
            test.send(id, b"word\n");
        }
        assert_eq!(test.send(id, b"one more\n"), Resume::Wait);
        test.advance(500_000);
        change(&mut test, |limits| limits.rate_lines = rate_lines);
        tick_all(&mut test);
        test.advance(2_000);
        test.resume_all();
        assert_eq!(test.send(id, b"again\n"), Resume::Read, "{rate_lines}");
    }
}

#[test]
fn a_longer_line_than_is_allowed_now_is_refused_when_it_goes_on() {
    for ends in [false, true] {
        let (mut test, ids) = settled(Limits::default(), 2);
        test.send(ids[0], &[b'y'; 5000]);
        change(&mut test, |limits| limits.line_bytes_max = 100);
        test.advance(LIMIT_CHANGE_AGAIN_US);
        if ends {
            test.hub.finish(test.now, ids[0]);
        } else {
            test.send(ids[0], b"y\nshort\n");
        }
        let answer = test.read(ids[0]);
        assert!(answer.contains("! line not sent: "), "{answer}");
        let heard = test.read(ids[1]);
        assert_eq!(heard.contains("guest1: short\n"), !ends, "{heard}");
        assert!(!heard.contains("yy"));
        test.advance(2 * LIMIT_CHANGE_AGAIN_US);
        let within = test.hub.limits().memory_bytes_max();
        assert_eq!(test.hub.memory_bytes_max(), within);
    }
}

#[test]
fn connections_that_only_receive_are_closed_when_half_closed_ones_are() {
    let limits = Limits {
        half_close: HalfClose::Keep,
        ..Limits::default()
    };
    let (mut test, ids) = settled(limits, 2);
    test.hub.finish(test.now, ids[0]);
    test.advance(SECOND_US);
    assert!(test.reap().is_empty());
    change(&mut test, |limits| limits.half_close = HalfClose::Close);
    tick_all(&mut test);
    test.read(ids[0]);
    assert_eq!(test.reap(), [ids[0]]);
}

#[test]
fn fewer_clients_and_rooms_are_let_in_and_nobody_is_sent_away() {
    let (mut test, ids) = settled(Limits::default(), 5);
    for (nth, &id) in ids.iter().enumerate() {
        test.send(id, format!("/join room{nth}\n").as_bytes());
        test.read(id);
        test.resume_all();
    }
    test.flush_announcements();
    let rooms = test.hub.census().rooms;
    change(&mut test, |limits| {
        (limits.clients_max, limits.rooms_max) = (3, 2)
    });
    tick_all(&mut test);
    assert!(test.connect(Wire::Chat).is_err());
    assert_eq!(test.hub.clients(), 5);
    assert_eq!(test.hub.census().rooms, rooms);
    test.send(ids[0], b"/join another\n");
    assert!(test.read(ids[0]).contains("! "));
    test.send(ids[3], b"/join lobby\n");
    test.read(ids[3]);
    test.resume_all();
    for &id in &ids[..3] {
        test.send(id, b"/quit\n");
        test.read(id);
    }
    test.reap();
    test.flush_announcements();
    test.advance(2 * LIMIT_CHANGE_AGAIN_US);
    assert!(test.connect(Wire::Chat).is_ok());
    let within = test.hub.limits().memory_bytes_max();
    assert_eq!(test.hub.memory_bytes_max(), within);
}

#[test]
fn rooms_that_were_kept_for_their_history_are_closed_when_there_is_none() {
    let limits = Limits {
        history_lines: 10,
        ..Limits::default()
    };
    let (mut test, ids) = settled(limits, 1);
    for nth in 0..20 {
        test.send(ids[0], format!("/join room{nth}\nhere\n").as_bytes());
        test.read(ids[0]);
        test.resume_all();
    }
    assert!(test.hub.census().rooms > 15);
    change(&mut test, |limits| limits.history_lines = 0);
    tick_all(&mut test);
    assert!(test.hub.census().rooms <= 4);
}

#[test]
fn more_history_is_what_is_said_from_now_on_and_less_is_less_at_once() {
    let (mut test, ids) = settled(Limits::default(), 1);
    test.send_later(ids[0], b"before\n");
    change(&mut test, |limits| limits.history_lines = 3);
    tick_all(&mut test);
    for word in ["one", "two", "three"] {
        test.send_later(ids[0], format!("{word}\n").as_bytes());
    }
    let newcomer = test.connect(Wire::Chat).unwrap();
    let shown = test.read(newcomer);
    assert!(
        shown.contains("guest1: one\nguest1: two\nguest1: three\n"),
        "{shown}"
    );
    assert!(!shown.contains("before"));
    change(&mut test, |limits| limits.history_lines = 1);
    tick_all(&mut test);
    let newcomer = test.connect(Wire::Chat).unwrap();
    let shown = test.read(newcomer);
    assert!(shown.contains("three") && !shown.contains("two"), "{shown}");
}

#[test]
fn senders_that_wait_for_a_full_room_go_on_when_nobody_is_waited_for_any_more() {
    let limits = Limits {
        line_bytes_max: 256,
        room_log_bytes_max: ROOM_LOG_BYTES_MIN,
        slow: SlowPolicy::Wait,
        ..Limits::default()
    };
    let (mut test, ids) = settled(limits, 3);
    let mut is_full = false;
    for _ in 0..2000 {
        is_full = test.send(ids[0], &[&[b'x'; 200][..], b"\n"].concat()) != Resume::Read;
        test.flush_only(&ids[..2], |_, _| {});
        if is_full && test.lobby().gate.is_full() {
            break;
        }
        test.advance(3_000);
        test.resume_all();
    }
    assert!(is_full && test.lobby().gate.is_full());
    change(&mut test, |limits| limits.slow = SlowPolicy::Skip);
    tick_all(&mut test);
    assert!(!test.lobby().gate.is_full());
    test.send_later(ids[0], b"goes on\n");
    assert!(test.read(ids[1]).ends_with("guest1: goes on\n"));
}

#[test]
fn connections_from_before_a_limit_by_address_are_counted_once_they_are_known() {
    let (mut test, ids) = settled(Limits::default(), 3);
    change(&mut test, |limits| limits.clients_per_ip_max = 4);
    assert!(test.hub.counts_addresses());
    for &id in ids.iter().chain(&ids) {
        test.hub.count_address(test.now, id, [127, 0, 0, 1].into());
        test.check();
    }
    let fourth = test.connect(Wire::Chat).unwrap();
    assert!(test.connect(Wire::Chat).is_err());
    change(&mut test, |limits| limits.clients_per_ip_max = 0);
    assert!(!test.hub.counts_addresses());
    assert!(test.connect(Wire::Chat).is_ok());
    for &id in ids.iter().chain([&fourth]) {
        test.hub.disconnect(test.now, id);
        test.check();
    }
    assert_eq!(test.hub.census().addresses, 0);
}

#[test]
fn the_welcome_is_the_new_one_at_once() {
    let (mut test, _) = settled(
        Limits {
            welcome: "a long, long welcome".into(),
            ..Limits::default()
        },
        1,
    );
    change(&mut test, |limits| limits.welcome = "hi".into());
    let newcomer = test.connect(Wire::Chat).unwrap();
    assert!(test.read(newcomer).starts_with("* hi\n"));
}
