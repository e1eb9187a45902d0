//! That no client costs the others more than its share: work a visit, turns of rooms, private lines, silence.

use crate::hub::limits::{
    ITEM_WORK, LIST_WORK, Limits, MOVE_WORK, NAME_CHAR_WORK, NAME_CHARS_MAX, NAME_WORK,
    NOTICE_WORK, READ_BYTES_MAX, REPLY_BYTES_MAX, ROOM_VISITS_MAX, SKIP_WORK, SlowPolicy,
    VISIT_WORK_ALONE_MAX,
};
use crate::hub::{ConnId, Now, Peer, Resume, Wire};
use crate::testing::test_hub::TestHub;
use std::net::IpAddr;

/// Work of the most expensive item: a list or a change of names and rooms, its reply and its announcement, and the longest
/// line.
fn item_work_max(limits: &Limits) -> u64 {
    let name = NAME_WORK + NAME_CHARS_MAX as u64 * NAME_CHAR_WORK;
    let fixed = ITEM_WORK + LIST_WORK + name + 2 * MOVE_WORK + 16 * NOTICE_WORK;
    fixed + (REPLY_BYTES_MAX + 2 * limits.rendered_bytes_max()) as u64
}

#[test]
fn a_visit_costs_no_more_than_its_work_and_one_item() {
    for line in [
        "x\n",
        "\n",
        &("y".repeat(63) + "\n"),
        &("\u{1b}".repeat(8000) + "\n"),
        "/nick aa\n/nick bb\n",
        "/nick guest2\n",
        "/nick gue5t2\n",
        &("/nick ".to_owned() + &"ᾦ".repeat(24) + "\n/nick aa\n"),
        "/join aa\n/join bb\n",
        "/join !\n",
        "/msg nobody hi\n",
        "/msg guest2 hi\n",
        "/msg guest1 hi\n",
        "/me waves\n",
        "/who\n",
        "/rooms\n",
        "/help\n",
        "/frob\n",
        "/nick\n",
        "\u{fdfa}\n",
        &("/who ".to_owned() + &"\u{fdfa}".repeat(2600) + "\n"),
    ] {
        let mut test = TestHub::new(Limits::default());
        let (a, _b) = (test.join(), test.join());
        test.flush_announcements();
        let flood = line.repeat(16_000 / line.len());
        let most = VISIT_WORK_ALONE_MAX + item_work_max(test.hub.limits());
        let mut work = test.hub.totals().work;
        let mut visited = |test: &TestHub| {
            let now = test.hub.totals().work;
            assert!(now - work <= most, "{line:?}: {}", now - work);
            work = now;
        };
        test.send(a, flood.as_bytes());
        visited(&test);
        for _ in 0..1000 {
            test.flush();
            visited(&test);
            while let Some(id) = test.hub.next_readable() {
                let _ = test.hub.resume(test.now, id);
                visited(&test);
            }
        }
        assert!(!test.hub.input(a).has_deferred(), "{line:?}");
    }
}

#[test]
fn a_client_that_has_cost_more_than_a_visit_waits_for_the_others() {
    let mut test = TestHub::new(Limits::default());
    let (a, b) = (test.join(), test.join());
    test.flush_announcements();
    let long = "\u{1b}".repeat(8000) + "\nnext\n";
    // Another client is in the queue too.
    test.hub.readable(b);
    test.send(a, long.as_bytes());
    let mut visits = 0;
    while test.hub.totals().lines < 2 {
        test.hub.readable(b);
        let id = test.hub.next_readable().unwrap();
        let resume = test.hub.resume(test.now, id);
        visits += u64::from(id == a);
        assert!(id == a || resume == Resume::Read);
        test.flush();
    }
    // 24,000 rendered bytes are the work of nearly three visits: the first is paid at once, the second by waiting, and what
    // is left is less than a visit.
    assert_eq!(visits, 2);
}

#[test]
fn a_client_after_a_light_visit_is_read_before_those_that_flood() {
    let mut test = TestHub::new(Limits::default());
    let quiet = test.join();
    let flooders: Vec<ConnId> = (0..20).map(|_| test.join()).collect();
    test.flush_announcements();
    let visit = |test: &mut TestHub, id, bytes: &[u8]| {
        let work = test.hub.totals().work;
        test.send(id, bytes);
        let cost = test.hub.totals().work - work + bytes.len() as u64;
        test.hub.still_readable(id, cost);
    };
    for &flooder in &flooders {
        visit(&mut test, flooder, "flood\n".repeat(30).as_bytes());
    }
    visit(&mut test, quiet, b"hello\n");
    // All are in the queue; what the quiet one says next arrives now.
    test.hub.readable(quiet);
    assert_eq!(test.hub.readables(), 21);
    assert_eq!(test.hub.next_readable(), Some(quiet));
}

#[test]
fn a_rooms_turn_has_more_visits_in_a_larger_room() {
    let mut test = TestHub::new(Limits {
        clients_max: 300,
        announce_members_max: 0,
        ..Limits::default()
    });
    let mut ids = Vec::new();
    for members in [2, 40, 200] {
        let joined: Vec<ConnId> = (0..members).map(|_| test.join()).collect();
        for &id in &joined {
            test.send(id, format!("/join room{members}\n").as_bytes());
            test.flush();
            test.resume_all();
        }
        ids.push(joined);
    }
    test.flush();
    let mut turns = vec![Vec::new(); ids.len()];
    for room in &ids {
        test.send(room[0], b"to everybody\n");
    }
    let mut last = usize::MAX;
    while let Some(id) = test.hub.next_writable(test.now) {
        let room = ids.iter().position(|room| room.contains(&id)).unwrap();
        if room != last {
            turns[room].push(0);
        }
        *turns[room].last_mut().unwrap() += 1;
        last = room;
        test.read(id);
        // The smallest floods until the largest has been served.
        if turns[2].iter().sum::<usize>() < 199 {
            test.send(ids[0][0], b"again\n");
        }
    }
    assert!(turns[0].iter().all(|&visits| visits <= 2), "{turns:?}");
    assert_eq!(turns[2].iter().max(), Some(&ROOM_VISITS_MAX), "{turns:?}");
    assert!(turns[1].contains(&40), "{turns:?}");
}

#[test]
fn a_flood_of_private_lines_leaves_a_share_to_other_senders() {
    let mut test = TestHub::new(Limits::default());
    let (reader, flooder, friend) = (test.join(), test.join(), test.join());
    test.flush_announcements();
    let line = format!("/msg guest1 {}\n", "x".repeat(500));
    let refused = "! line not sent: guest1 has not read your last private lines yet";
    let mut answers = String::new();
    while !answers.contains(refused) {
        test.resume_all();
        test.send(flooder, line.as_bytes());
        answers = test.read(flooder);
    }
    for _ in 0..3 {
        test.send(friend, b"/msg guest1 hello\n");
        assert_eq!(test.read(friend), "you -> guest1: hello\n");
    }
    // Private lines do not keep their reader from speaking.
    assert_eq!(test.send(reader, b"I am here\n"), Resume::Read);
    assert!(test.read(friend).contains("guest1: I am here"));
    let received = test.read(reader);
    assert_eq!(received.matches("guest3 -> you: hello").count(), 3);
    test.send(flooder, line.as_bytes());
    assert!(test.read(flooder).starts_with("you -> guest1: "));
}

#[test]
fn unread_input_is_no_silence() {
    let mut test = TestHub::new(Limits {
        idle_timeout_us: 3_000_000,
        ..Limits::default()
    });
    let (a, b) = (test.join(), test.join());
    test.flush_announcements();
    test.flush();
    test.resume_all();
    // The poll has reported bytes of `a`, and nobody has read them yet.
    test.hub.readable(a);
    test.advance(4_000_000);
    assert_eq!(test.reap(), [], "both must be told first");
    assert_eq!(test.send(a, b"here\n"), Resume::Read);
    assert!(
        test.read(b)
            .starts_with("! closed: nothing received for 3 s\n")
    );
    assert_eq!(test.reap(), [b]);
}

#[test]
fn deferred_input_is_no_silence() {
    let mut test = TestHub::new(Limits {
        partial_after_us: 1_000_000,
        ..Limits::default()
    });
    let (a, b) = (test.join(), test.join());
    test.flush_announcements();
    test.flush();
    test.resume_all();
    test.send(a, b"thr");
    // More than one visit's work: the rest is deferred.
    test.send(a, &b"ee\n".repeat(READ_BYTES_MAX / 3));
    // It has been taken out of the queue, and its driver has not come to it.
    assert_eq!(test.hub.next_readable(), Some(a));
    test.advance(2_000_000);
    assert!(test.read(b).starts_with("guest1: three\nguest1: ee\n"));
    let handled = test.hub.totals().lines;
    assert_eq!(test.hub.resume(test.now, a), Resume::Wait);
    assert!(test.hub.totals().lines > handled);
}

#[test]
fn reconnecting_does_not_renew_the_rate_of_an_address() {
    let mut test = TestHub::new(Limits {
        rate_lines: 1,
        burst_lines: 10,
        ..Limits::default()
    });
    let connect = |address: &str, test: &mut TestHub| {
        let address = Some(address.parse::<IpAddr>().unwrap());
        let wire = Wire::Chat;
        test.hub
            .connect(test.now, Peer::new(address, wire))
            .unwrap()
    };
    for _ in 0..20 {
        let id = connect("2001:db8::1", &mut test);
        test.send(id, &b"again\n".repeat(100));
        test.hub.disconnect(test.now, id);
    }
    assert_eq!(test.hub.totals().lines, 10);
    // Its neighbour in the /64 shares the rate; the next /64 does not.
    let neighbour = connect("2001:db8::2", &mut test);
    assert_eq!(test.send(neighbour, b"me too\n"), Resume::Wait);
    let other = connect("2001:db8:0:1::1", &mut test);
    assert_eq!(test.send(other, b"hello\n"), Resume::Read);
}

#[test]
fn an_end_of_the_server_is_told_to_one_client_a_tick() {
    let mut test = TestHub::new(Limits::default());
    let ids: Vec<ConnId> = (0..20).map(|_| test.join()).collect();
    test.flush_announcements();
    test.hub.disconnect(test.now, ids[19]);
    test.hub.disconnect(test.now, ids[4]);
    test.hub.shutdown();
    assert_eq!(test.hub.next_deadline(), Some(Now::default()));
    for told in 0..18 {
        let work = test.hub.totals().work;
        assert!(test.hub.tick(test.now), "{told}");
        let done = test.hub.totals().work - work;
        assert!(done <= 2 * NOTICE_WORK, "{done}");
    }
    assert!(!test.hub.tick(test.now));
    assert!(
        test.hub.next_deadline() > Some(test.now),
        "only drains are left"
    );
    test.flush();
    assert_eq!(test.reap().len(), 18);
}

#[test]
fn slow_members_are_moved_forward_a_few_with_each_line() {
    for slow in [SlowPolicy::Skip, SlowPolicy::Close] {
        let mut test = TestHub::new(Limits {
            slow,
            room_log_bytes_max: 1 << 18,
            line_bytes_max: 512,
            announce_members_max: 0,
            ..Limits::default()
        });
        let speaker = test.join();
        let slow_members: Vec<ConnId> = (0..900).map(|_| test.join()).collect();
        test.flush();
        let line = "x".repeat(99) + "\n";
        // 900 members share a quarter of the live log: 49,152 bytes. A line may take 3 * 99 bytes and those around it.
        let most = 900 * (3 * 99 + 200) / 49_152 + 1;
        let closed_or_skipped = |test: &TestHub| match slow {
            SlowPolicy::Close => test.hub.totals().slow_closed,
            _ => test.hub.totals().skipped_lines,
        };
        let (mut moves, mut moved_work) = (0, 0);
        for _ in 0..3_000 {
            let (before, work) = (closed_or_skipped(&test), test.hub.totals().work);
            test.send_later(speaker, line.as_bytes());
            test.flush_only(&[speaker], |_, _| {});
            if closed_or_skipped(&test) > before {
                moves += 1;
                moved_work = moved_work.max(test.hub.totals().work - work);
            }
        }
        assert!(moves >= 900 / most, "{moves}");
        let one = SKIP_WORK + 2 * (NOTICE_WORK + 64) + 1;
        assert!(moved_work <= most as u64 * one + 10_000, "{moved_work}");
        let _ = slow_members;
    }
}
