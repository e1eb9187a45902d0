//! Who ignores whom: what is left out, what is not, and what it costs. Also `/whois`.

use crate::hub::limits::{IGNORED_MAX, Limits, ROOM_LOG_BYTES_MIN, SlowPolicy};
use crate::hub::{ConnId, Resume};
use crate::testing::test_hub::TestHub;

/// A test hub with clients of these names in the lobby. They have read everything.
fn people<const N: usize>(limits: Limits, names: [&str; N]) -> (TestHub, [ConnId; N]) {
    let mut test = TestHub::new(limits);
    let ids = names.map(|name| {
        let id = test.join();
        test.send(id, format!("/nick {name}\n").as_bytes());
        id
    });
    test.flush_announcements();
    (test, ids)
}

/// Sends a line; returns what its sender receives then.
fn ask(test: &mut TestHub, id: ConnId, line: &str) -> String {
    test.send_later(id, format!("{line}\n").as_bytes());
    test.read(id)
}

#[test]
fn an_ignored_persons_lines_are_left_out_and_notices_are_not() {
    let (mut test, [ann, kim, lee]) = people(Limits::default(), ["ann", "kim", "lee"]);
    let answer = ask(&mut test, ann, "/ignore KIM");
    assert_eq!(answer, "* you ignore kim from here on\n");
    assert_eq!(test.read(kim), "", "nobody is told of it");
    test.send(kim, b"one\n/me waves\n");
    test.send(lee, b"two\n");
    assert_eq!(test.read(ann), "lee: two\n");
    assert_eq!(test.read(lee), "kim: one\n** kim waves\n");
    let refusal = ask(&mut test, kim, "/msg ann psst");
    assert_eq!(refusal, "! line not sent: ann is ignoring you\nlee: two\n");
    assert_eq!(ask(&mut test, ann, "/msg kim psst"), "you -> kim: psst\n");
    assert_eq!(test.read(kim), "ann -> you: psst\n");
    test.send(kim, b"/join garden\n");
    assert_eq!(test.read(ann), "* left: kim (2 here)\n");
    assert_eq!(ask(&mut test, ann, "/ignore"), "* you ignore: kim\n");
    test.read(kim);
    test.send(ann, b"/join garden\n");
    test.resume_all();
    assert_eq!(test.read(ann), "* you are in garden (2 here)\n");
    test.send(kim, b"three\n");
    assert_eq!(test.read(ann), "");
    assert_eq!(
        ask(&mut test, ann, "/unignore kim"),
        "* you hear kim again\n"
    );
    test.send(kim, b"four\n");
    assert_eq!(test.read(ann), "kim: four\n");
    assert_eq!(ask(&mut test, ann, "/ignore"), "* you ignore nobody\n");
    test.flush();
    let rooms = test.hub.rooms().memory_bytes();
    assert_eq!(test.hub.census().bytes, rooms, "nothing is held for it");
}

#[test]
fn ignoring_follows_a_person_through_names_and_connections() {
    let (mut test, [ann, kim, lee]) = people(Limits::default(), ["ann", "kim", "lee"]);
    ask(&mut test, ann, "/ignore kim");
    ask(&mut test, kim, "/nick joe");
    test.send(kim, b"still me\n");
    assert_eq!(test.read(ann), "* renamed: kim -> joe\n");
    assert_eq!(ask(&mut test, ann, "/ignore"), "* you ignore: joe\n");
    // While that person is here, another with the old name is another.
    ask(&mut test, lee, "/nick kim");
    test.send(lee, b"not me\n");
    assert_eq!(test.read(ann), "* renamed: lee -> kim\nkim: not me\n");
    ask(&mut test, lee, "/nick lee");
    // Back under the last name or the first one, or one that looks like it.
    let mut last = kim;
    for name in ["J0E", "kim", "K1M"] {
        test.hub.disconnect(test.now, last);
        last = test.join();
        test.flush_announcements();
        ask(&mut test, last, &format!("/nick {name}"));
        test.send(last, b"back again\n");
        let heard = test.read(ann);
        assert!(!heard.contains("back again"), "{heard}");
        assert!(ask(&mut test, ann, "/ignore").ends_with(&format!("{name}\n")));
    }
    test.hub.disconnect(test.now, last);
    test.check();
    assert!(ask(&mut test, ann, "/unignore kim").ends_with("* you hear K1M again\n"));
    let again = test.join();
    test.flush_announcements();
    ask(&mut test, again, "/nick kim");
    test.send(again, b"hello\n");
    assert!(test.read(ann).ends_with("kim: hello\n"));
}

#[test]
fn what_two_ignore_ends_with_the_last_of_them() {
    let (mut test, [ann, bob, kim]) = people(Limits::default(), ["ann", "bob", "kim"]);
    ask(&mut test, ann, "/ignore kim");
    test.send(kim, b"one\n");
    assert_eq!(test.read(bob), "kim: one\n");
    ask(&mut test, bob, "/ignore kim");
    test.send(kim, b"two\n");
    assert_eq!(test.read(bob), "");
    test.hub.disconnect(test.now, ann);
    test.flush_announcements();
    test.send(kim, b"three\n");
    assert_eq!(test.read(bob), "");
    test.hub.disconnect(test.now, bob);
    test.check();
    test.hub.disconnect(test.now, kim);
    test.check();
}

#[test]
fn refusals_say_why_and_change_nothing() {
    let (mut test, [ann, _kim]) = people(Limits::default(), ["ann", "kim"]);
    let host = test.hub.connect_console(test.now);
    test.flush_announcements();
    for (line, answer) in [
        ("/ignore ann", "! you cannot ignore yourself: you are ann\n"),
        (
            "/ignore host",
            "! operators cannot be ignored, and host is one\n",
        ),
        ("/ignore joe", "! nobody is called joe\n"),
        (
            "/unignore kim",
            "! you do not ignore kim; /ignore lists whom you do\n",
        ),
        ("/unignore", "! usage: /unignore NAME\n"),
        ("/ignore kim", "* you ignore kim from here on\n"),
        ("/ignore kim", "! you ignore kim already\n"),
        ("/whois joe", "! nobody is called joe\n"),
    ] {
        assert_eq!(ask(&mut test, ann, line), answer, "{line}");
    }
    let mut guests = Vec::new();
    for _ in 1..IGNORED_MAX {
        guests.push(test.join());
        let name = test
            .hub
            .client(guests[guests.len() - 1])
            .unwrap()
            .name
            .clone();
        ask(&mut test, ann, &format!("/ignore {}", name.unwrap()));
    }
    let one_more = test.join();
    let name = test.hub.client(one_more).unwrap().name.clone().unwrap();
    let full = format!("! you ignore {IGNORED_MAX} people already: /unignore one first\n");
    assert!(ask(&mut test, ann, &format!("/ignore {name}")).ends_with(&full));
    // A guest that has left cannot come back, and takes no place.
    test.hub.disconnect(test.now, guests[0]);
    let ignored = format!("* you ignore {name} from here on\n");
    assert!(ask(&mut test, ann, &format!("/ignore {name}")).ends_with(&ignored));
    assert!(ask(&mut test, host, "/ignore kim").ends_with("* you ignore kim from here on\n"));
}

#[test]
fn the_answer_stands_between_what_was_said_before_and_after_it() {
    let (mut test, [ann, kim]) = people(Limits::default(), ["ann", "kim"]);
    test.send(kim, b"one\n");
    test.send(ann, b"/ignore kim\n");
    test.send(kim, b"two\n");
    test.send(ann, b"/unignore kim\n");
    test.send(kim, b"three\n");
    let all = "kim: one\n* you ignore kim from here on\n* you hear kim again\nkim: three\n";
    let mut read = String::new();
    while read.len() < all.len() {
        read += &test.read_some(ann, 7);
    }
    assert_eq!(read, all);
}

#[test]
fn a_flood_of_an_ignored_person_costs_no_line_of_others_and_blocks_nobody() {
    let (mut test, [ann, kim, lee]) = people(Limits::default(), ["ann", "kim", "lee"]);
    ask(&mut test, ann, "/ignore kim");
    let (mut said, mut heard) = (0, String::new());
    for round in 0..200 {
        // By turns, so that no two lines of one person are adjacent.
        for _ in 0..20 {
            test.send_later(kim, b"flood\n");
            test.send_later(lee, b"x\n");
            said += 1;
        }
        assert_eq!(test.send(ann, b"\n"), Resume::Read);
        if round % 50 == 49 {
            heard += &test.read(ann);
        }
        test.flush_only(&[kim, lee], |_, _| {});
    }
    assert_eq!(heard, "lee: x\n".repeat(said));
    // Nothing is left but what is left out: the client counts as one that has read everything.
    for _ in 0..1000 {
        test.send_later(
            kim,
            b"more of it and more and more of it, as long as a line may be\n",
        );
        test.flush_only(&[ann, kim, lee], |id, read| {
            assert!(id != ann || read.is_empty())
        });
    }
    let end = test.lobby().log.end();
    assert_eq!(test.hub.client(ann).unwrap().outbox.cursor(), end);
    assert_eq!(test.lobby().log.late(), 0);
    assert_eq!(test.hub.totals().skipped_lines, 0);
}

#[test]
fn lines_that_are_left_out_do_not_count_as_skipped() {
    let limits = Limits {
        room_log_bytes_max: ROOM_LOG_BYTES_MIN,
        line_bytes_max: 1000,
        slow: SlowPolicy::Skip,
        ..Limits::default()
    };
    let (mut test, [ann, kim, lee]) = people(limits, ["ann", "kim", "lee"]);
    ask(&mut test, ann, "/ignore kim");
    let text = "z".repeat(900);
    let mut said = 0;
    for _ in 0..100 {
        test.send_later(kim, format!("{text}\n").as_bytes());
        test.send_later(lee, format!("{text}\n").as_bytes());
        said += 1;
        test.flush_only(&[kim, lee], |_, _| {});
    }
    let heard = test.read(ann);
    let skipped = test.hub.totals().skipped_lines;
    let received = heard.matches("lee: ").count() as u64;
    assert!(skipped > 0 && received > 0 && !heard.contains("kim: "));
    assert_eq!(received + skipped, said);
    assert!(heard.contains(&format!("* {skipped} lines skipped")));
}

#[test]
fn leaving_and_moving_do_not_wait_for_what_is_left_out() {
    let (mut test, [ann, kim]) = people(Limits::default(), ["ann", "kim"]);
    ask(&mut test, ann, "/ignore kim");
    test.send(kim, b"one\n");
    test.send(ann, b"/join garden\n");
    test.flush();
    test.resume_all();
    test.flush();
    assert_eq!(ask(&mut test, ann, "/who"), "* here in garden: ann (1)\n");
    ask(&mut test, ann, "/join lobby");
    test.flush_announcements();
    test.send(kim, b"two\n");
    test.send(ann, b"/quit\n");
    test.flush();
    assert_eq!(test.reap(), [ann]);
}

#[test]
fn a_line_costs_the_same_however_many_ignore_its_author() {
    let limits = Limits {
        announce_members_max: 0,
        ..Limits::default()
    };
    let (mut test, [kim]) = people(limits, ["kim"]);
    let mut work = Vec::new();
    for _ in 0..2 {
        for _ in 0..200 {
            let id = test.hub.connect(
                test.now,
                crate::hub::Peer::new(None, crate::hub::Wire::Chat),
            );
            let id = id.unwrap();
            let _ = test.hub.resume(test.now, id);
            test.hub.receive(test.now, id, b"/ignore kim\n");
        }
        test.flush();
        let before = test.hub.totals().work;
        test.send_later(kim, b"flood\n");
        work.push(test.hub.totals().work - before);
        test.flush();
    }
    assert_eq!(work[0], work[1]);
}

#[test]
fn whois_says_where_somebody_is_and_since_when() {
    let (mut test, [ann, kim]) = people(Limits::default(), ["ann", "kim"]);
    test.advance(3 * 3_600_000_000);
    test.send(kim, b"/join garden\n");
    test.advance(300_000_000);
    test.flush_announcements();
    let answer = ask(&mut test, ann, "/whois KIM");
    assert_eq!(
        answer,
        "* whois: kim is in garden, connected for 3 h, idle for 5 min\n"
    );
    let answer = ask(&mut test, ann, "/whois ann");
    assert_eq!(
        answer,
        "* whois: ann is in lobby, connected for 3 h, idle for 0 s\n"
    );
    test.hub.connect_console(test.now);
    test.flush_announcements();
    let answer = ask(&mut test, ann, "/whois host");
    let want = "* whois: host, an operator, is in lobby, connected for 2 s, idle for 2 s\n";
    assert_eq!(answer, want);
}
