//! Back-pressure: slow readers under each policy, and which senders wait for them.

use crate::hub::limits::{LATE_RETRY_US, Limits, ROOM_LOG_BYTES_MIN, SlowPolicy};
use crate::hub::{ConnId, Now, Resume, Wire};
use crate::testing::test_hub::TestHub;

fn small(slow: SlowPolicy) -> Limits {
    Limits {
        line_bytes_max: 256,
        room_log_bytes_max: ROOM_LOG_BYTES_MIN,
        slow,
        ..Limits::default()
    }
}

/// A test hub with so many members in the lobby, after all announcements.
fn settled(limits: Limits, members: usize) -> (TestHub, Vec<ConnId>) {
    let mut test = TestHub::new(limits);
    let ids: Vec<ConnId> = (0..members).map(|_| test.join()).collect();
    test.flush_announcements();
    (test, ids)
}

/// Counts in a client's output: lines said by others, and lines reported as skipped.
fn received_and_skipped(output: &str) -> (u64, u64) {
    output.lines().fold((0, 0), |(received, skipped), line| {
        match line
            .strip_prefix("* ")
            .and_then(|rest| rest.split_once(" lines skipped"))
        {
            Some((lines, _)) => (
                received,
                skipped + lines.replace(',', "").parse::<u64>().unwrap(),
            ),
            None => (received + u64::from(line.starts_with("guest")), skipped),
        }
    })
}

#[test]
fn skipped_lines_are_reported_and_others_lose_none() {
    for stop_after in [0, 1, 7, 100, 5000] {
        let (mut test, ids) = settled(small(SlowPolicy::Skip), 3);
        let (mut healthy, mut slow) = (String::new(), String::new());
        for i in 0..2000 {
            test.send_later(
                ids[0],
                format!("line {i} {}\n", "x".repeat(i % 200)).as_bytes(),
            );
            test.flush_only(&[ids[0], ids[1]], |id, text| {
                if id == ids[1] {
                    healthy += text;
                }
            });
            if slow.len() < stop_after {
                slow += &test.read_some(ids[2], 13);
            }
            // The slow member speaks too. Its own lines are not counted as skipped.
            if i % 100 == 0 {
                test.send_later(ids[2], b"mine\n");
            }
        }
        slow += &test.read(ids[2]);
        assert_eq!(received_and_skipped(&healthy), (2020, 0));
        let (received, skipped) = received_and_skipped(&slow);
        assert_eq!(received + skipped, 2000, "{stop_after}");
        assert!(skipped > 0 && slow.ends_with("199\n") || slow.contains("line 1999"));
    }
}

#[test]
fn close_policy_reports_the_loss_and_closes() {
    let (mut test, ids) = settled(small(SlowPolicy::Close), 3);
    test.send(ids[0], b"first\n");
    assert_eq!(test.read_some(ids[2], 5), "guest");
    for i in 0..1000 {
        test.send_later(ids[0], format!("line {i} {}\n", "x".repeat(100)).as_bytes());
        test.flush_only(&[ids[0], ids[1]], |_, _| {});
    }
    let last = test.read(ids[2]);
    let lines: Vec<&str> = last.lines().collect();
    assert_eq!(lines[0], "1: first");
    assert!(lines[1].ends_with("lines skipped: you are reading too slowly"));
    assert_eq!(lines[2..], ["! closed: you are reading too slowly"]);
    assert_eq!(test.reap(), [ids[2]]);
    assert_eq!(test.hub.totals().slow_closed, 1);
}

#[test]
fn lines_after_a_members_end_are_not_counted_as_skipped() {
    let (mut test, ids) = settled(small(SlowPolicy::Skip), 2);
    test.hub.finish(test.now, ids[1]);
    for i in 0..1000 {
        test.send_later(ids[0], format!("line {i} {}\n", "x".repeat(100)).as_bytes());
        test.flush_only(&[ids[0]], |_, _| {});
    }
    assert_eq!(test.hub.totals().skipped_lines, 0);
    assert_eq!(test.reap(), [ids[1]]);
}

#[test]
fn a_finished_raw_member_receives_lines_up_to_the_first_lost_one() {
    // The member loses all lines that it must still receive; then only some of them.
    for (before, after) in [(100, 900), (380, 100)] {
        let mut test = TestHub::new(small(SlowPolicy::Skip));
        let [speaker, slow] = [(); 2].map(|()| test.connect(Wire::Raw).unwrap());
        let say = |test: &mut TestHub, i: usize| {
            test.send_later(speaker, format!("{i} {}\n", "x".repeat(100)).as_bytes());
            test.flush_only(&[speaker], |_, _| {});
        };
        (0..before).for_each(|i| say(&mut test, i));
        test.hub.finish(test.now, slow);
        let mut output = test.read_some(slow, 150);
        (before..before + after).for_each(|i| say(&mut test, i));
        output += &test.read(slow);
        let numbers = output.lines().map(|line| line.split_once(' ').unwrap().0);
        assert_eq!(numbers.collect::<Vec<_>>(), ["0", "1"]);
        assert_eq!(test.reap(), [slow]);
        let totals = test.hub.totals();
        assert_eq!(totals.slow_closed, 1);
        assert!((1..=before as u64 - 2).contains(&totals.skipped_lines));
    }
}

#[test]
fn wait_policy_loses_nothing_and_closes_the_stuck_member() {
    let (mut test, ids) = settled(small(SlowPolicy::Wait), 3);
    let (mut said, mut slow) = (0, String::new());
    for round in 0..20_000 {
        let line = format!("line {said} {}\n", "x".repeat(100));
        if test.send(ids[0], line.as_bytes()) == Resume::Read {
            said += 1;
        }
        test.flush_only(&[ids[0], ids[1]], |_, _| {});
        test.advance(1000);
        if round % 8 == 0 {
            slow += &test.read_some(ids[2], 300);
        }
        test.resume_all();
    }
    assert!(said < 15_000, "the sender never waited");
    slow += &test.read(ids[2]);
    test.resume_all();
    slow += &test.read(ids[2]);
    assert_eq!(received_and_skipped(&slow), (said, 0));
    while !test.lobby().gate.is_full() {
        test.send_later(ids[0], &[&[b'y'; 200][..], b"\n"].concat());
        test.flush_only(&[ids[0], ids[1]], |_, _| {});
    }
    assert_eq!(test.send(ids[0], b"not yet\n"), Resume::Wait);
    assert!(test.reap().is_empty());
    test.advance(test.hub.limits().slow_timeout_us);
    test.resume_all();
    assert_eq!(test.send(ids[0], b"at last\n"), Resume::Read);
    assert!(
        test.read(ids[2])
            .ends_with("! closed: you are reading too slowly\n")
    );
    assert_eq!(test.reap(), [ids[2]]);
}

#[test]
fn a_flood_waits_only_for_readers_that_keep_up() {
    let (mut test, ids) = settled(Limits::default(), 2);
    let flood = b"a\n".repeat(4000);
    let mut paused = 0;
    for _ in 0..1000 {
        paused += u32::from(test.send(ids[0], &flood) == Resume::Wait);
        test.resume_all();
        test.flush_only(&[ids[0]], |_, _| {});
        let late_bytes = test.hub.limits().late_bytes();
        assert!(test.lobby().log.live_bytes() < late_bytes + 2 * 32 * 1024);
        while test.lobby().log.late() > 0 {
            test.read_some(ids[1], 10_000);
        }
    }
    assert!(paused > 100);
    // From here on the reader reads nothing.
    let before = test.hub.totals().lines;
    for _ in 0..1000 {
        test.send_later(ids[0], &flood[..200]);
        test.resume_all();
        test.flush_only(&[ids[0]], |_, _| {});
    }
    assert!(test.hub.totals().lines >= before + 100_000);
}

#[test]
fn senders_do_not_wait_at_all_for_a_member_that_has_stopped_reading() {
    let (mut test, ids) = settled(Limits::default(), 2);
    let line = [&[b'x'; 400][..], b"\n"].concat();
    let mut waits = 0;
    // 68 KiB at 4 MB/s: the reader has taken nothing for longer than the room's patience when it becomes late.
    for _ in 0..1000 {
        test.advance(100);
        test.resume_all();
        waits += u32::from(test.send(ids[0], &line) == Resume::Wait);
        test.flush_only(&[ids[0]], |_, _| {});
    }
    assert_eq!(waits, 1, "one turn, until it has been looked at");
    assert!(!test.hub.client(ids[1]).unwrap().outbox.is_awaited());
}

#[test]
fn senders_wait_again_for_a_laggard_that_is_reading() {
    let (mut test, ids) = settled(Limits::default(), 2);
    let (speaker, listener) = (ids[0], ids[1]);
    let awaited = |test: &TestHub| test.hub.client(listener).unwrap().outbox.is_awaited();
    // `send_later` lets time pass until the room accepts lines: then the room no longer waits for the listener.
    while awaited(&test) {
        test.send_later(speaker, &b"a\n".repeat(200));
        test.resume_all();
        test.flush_only(&[speaker], |_, _| {});
    }
    test.advance(LATE_RETRY_US);
    assert!(!awaited(&test), "the listener has read nothing");
    // It goes on reading, each millisecond a little.
    for _ in 0..LATE_RETRY_US / 1000 {
        if !awaited(&test) {
            test.read_some(listener, 2);
            test.advance(1000);
        }
    }
    assert!(awaited(&test), "the listener has read since the last try");
    let ever = Now::from_micros(u64::MAX);
    assert!(
        !test.lobby().gate.is_retry_due(ever),
        "the room waits for all members"
    );
}
