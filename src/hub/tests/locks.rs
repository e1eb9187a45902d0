//! Locked rooms: who may lock, who may enter, what others see, and when a lock ends.

use super::*;
use crate::hub::limits::LOCK_TRIES_MAX;

const LOCKED: &str = "! room not changed: pond is locked; its secret opens it (/join ROOM SECRET), or an invitation\n";

/// What a client is sent after these lines; others read everything meanwhile.
fn answer(test: &mut TestHub, id: ConnId, lines: &str) -> String {
    test.flush();
    assert_eq!(test.send(id, lines.as_bytes()), Resume::Read);
    test.read(id)
}

/// Kim, who has opened the room and locked it by this command, and lee, who is in the lobby.
fn locked(limits: Limits, command: &str) -> (TestHub, ConnId, ConnId) {
    let mut test = TestHub::new(limits);
    let [kim, lee] = [(); 2].map(|()| test.join());
    answer(&mut test, kim, "/nick kim\n/join pond\n");
    answer(&mut test, lee, "/nick lee\n");
    let told = answer(&mut test, kim, command);
    assert!(
        told.starts_with("* locked by kim: from now on only "),
        "{told}"
    );
    (test, kim, lee)
}

#[test]
fn a_wrong_secret_and_none_are_refused_alike_and_the_right_one_opens() {
    let (mut test, kim, lee) = locked(Limits::default(), "/lock open it\n");
    for line in [
        "/join pond\n",
        "/join pond open\n",
        "/join POND x\n",
        "/join pond open it now\n",
    ] {
        assert_eq!(answer(&mut test, lee, line), LOCKED);
    }
    assert_eq!(test.hub.totals().wrong_secrets, 3);
    let entered = answer(&mut test, lee, "/join pond open it\n");
    assert!(
        entered.starts_with("* you are in pond (2 here)\n"),
        "{entered}"
    );
    answer(&mut test, kim, "/lock\n");
    answer(&mut test, lee, "/join lobby\n");
    assert_eq!(answer(&mut test, lee, "/join pond open it\n"), LOCKED);
}

#[test]
fn others_see_neither_who_is_in_it_nor_what_was_said() {
    let limits = Limits {
        history_lines: 5,
        ..Limits::default()
    };
    let (mut test, kim, lee) = locked(limits, "/lock x\n");
    answer(&mut test, kim, "a secret matter\n");
    let rooms = "* rooms: lobby (1), pond (1, locked)\n";
    assert_eq!(answer(&mut test, lee, "/rooms\n"), rooms);
    assert_eq!(
        answer(&mut test, lee, "/who pond\n"),
        "! pond is locked: only those who are in it see who is\n"
    );
    let about = answer(&mut test, lee, "/whois kim\n");
    assert_eq!(about, "* whois: kim is connected for 0 s, idle for 0 s\n");
    assert!(answer(&mut test, kim, "/whois kim\n").contains("is in pond"));
    assert!(answer(&mut test, kim, "/who pond\n").contains("kim (1)"));
    let entered = answer(&mut test, lee, "/join pond x\n");
    assert!(entered.contains("kim: a secret matter"), "{entered}");
}

#[test]
fn an_invitation_lets_one_connection_in_once() {
    let (mut test, kim, lee) = locked(Limits::default(), "/lock\n");
    let eve = test.join();
    answer(&mut test, eve, "/nick eve\n");
    assert_eq!(answer(&mut test, lee, "/join pond\n"), LOCKED);
    assert_eq!(
        answer(&mut test, kim, "/invite lee\n"),
        "* you have invited lee\n"
    );
    let invited = test.read(lee);
    assert_eq!(invited, "* invitation by kim: /join pond enters the room\n");
    // Nobody else can use it, whatever name they take.
    answer(&mut test, lee, "/nick li\n");
    answer(&mut test, eve, "/nick lee\n");
    assert_eq!(answer(&mut test, eve, "/join pond\n"), LOCKED);
    assert!(answer(&mut test, lee, "/join pond\n").contains("you are in pond (2 here)"));
    // A person in the room may invite, too.
    let here = "! nobody invited: kim is in this room already\n";
    assert_eq!(answer(&mut test, lee, "/invite kim\n"), here);
    assert_eq!(
        answer(&mut test, lee, "/invite eva\n"),
        "! nobody is called eva\n"
    );
    answer(&mut test, lee, "/join lobby\n");
    assert_eq!(answer(&mut test, lee, "/join pond\n"), LOCKED);
}

#[test]
fn an_invitation_is_a_line_that_can_be_refused_as_others() {
    let (mut test, kim, lee) = locked(Limits::default(), "/lock\n");
    answer(&mut test, lee, "/ignore kim\n");
    let ignored = "! line not sent: lee is ignoring you\n";
    assert_eq!(answer(&mut test, kim, "/invite lee\n"), ignored);
    assert_eq!(answer(&mut test, lee, "/join pond\n"), LOCKED);
    answer(&mut test, lee, "/unignore kim\n");
    for _ in 0..400 {
        let _ = test.send(kim, b"/invite lee\n");
    }
    assert!(test.hub.client_memory_bytes(lee.slot()) < 64 * 1024);
}

#[test]
fn the_opener_and_then_the_longest_member_may_lock_and_unlock() {
    let (mut test, kim, lee) = locked(Limits::default(), "/lock x\n");
    let eve = test.join();
    for id in [lee, eve] {
        test.advance(1_000_000);
        answer(&mut test, id, "/join pond x\n");
        let refused = "! not allowed: only the person who opened pond, or has been there for longest since, may lock it\n";
        assert_eq!(answer(&mut test, id, "/unlock\n"), refused);
        assert_eq!(answer(&mut test, id, "/lock\n"), refused);
    }
    // By another name it is the same person, and after it has left it has no right any more.
    answer(&mut test, kim, "/nick kimchi\n");
    assert!(answer(&mut test, kim, "/lock y\n").contains("* locked by kimchi: "));
    answer(&mut test, kim, "/join lobby\n");
    answer(&mut test, kim, "/join pond y\n");
    assert!(answer(&mut test, kim, "/unlock\n").starts_with("! not allowed"));
    assert!(answer(&mut test, eve, "/unlock\n").starts_with("! not allowed"));
    let told = answer(&mut test, lee, "/unlock\n");
    assert!(
        told.ends_with("* unlocked by lee: from now on anybody may enter\n"),
        "{told}"
    );
    let again = "! room not unlocked: pond is not locked\n";
    assert_eq!(answer(&mut test, lee, "/unlock\n"), again);
}

#[test]
fn the_lobby_cannot_be_locked_and_neither_can_no_room() {
    let mut test = TestHub::new(Limits::default());
    let kim = test.join();
    let refused = "! room not locked: lobby stays open for newcomers; /join another room\n";
    assert_eq!(answer(&mut test, kim, "/lock x\n"), refused);
    let operator = test.connect(Wire::Control).unwrap();
    test.read(operator);
    assert_eq!(
        answer(&mut test, operator, "/join lobby\n/lock\n")
            .lines()
            .last(),
        Some(refused.trim_end())
    );
    let outside = test.connect(Wire::Control).unwrap();
    test.read(outside);
    for line in ["/lock\n", "/unlock\n", "/invite guest1\n"] {
        let refused = "! line not sent: you are in no room; /join ROOM enters one\n";
        assert_eq!(answer(&mut test, outside, line), refused);
    }
}

#[test]
fn operators_enter_see_and_unlock_any_room() {
    let (mut test, _, lee) = locked(Limits::default(), "/lock x\n");
    let operator = test.connect(Wire::Control).unwrap();
    test.read(operator);
    assert!(answer(&mut test, operator, "/who pond\n").contains("kim (1)"));
    assert!(answer(&mut test, operator, "/whois kim\n").contains("is in pond"));
    assert!(answer(&mut test, operator, "/join pond\n").contains("in pond (2 here)"));
    assert!(answer(&mut test, operator, "/unlock\n").contains("unlocked by guest3"));
    assert!(answer(&mut test, lee, "/join pond\n").contains("in pond (3 here)"));
}

#[test]
fn a_secret_is_for_a_room_that_is_locked_or_that_nobody_is_in() {
    let mut test = TestHub::new(Limits::default());
    let [kim, lee] = [(); 2].map(|()| test.join());
    // Who gives a secret does not get into a room where others could listen.
    answer(&mut test, kim, "/join open\n");
    let refused =
        "! room not changed: open is not locked, anybody may enter it; join it without a secret\n";
    assert_eq!(answer(&mut test, lee, "/join open x\n"), refused);
    // After all have lost their connections, the first to come back restores the lock.
    let opened = answer(&mut test, kim, "/join pond x\n");
    assert!(opened.contains("* locked by guest1: "), "{opened}");
    assert_eq!(answer(&mut test, lee, "/join pond\n"), LOCKED);
    assert!(answer(&mut test, lee, "/join pond x\n").contains("(2 here)"));
    assert!(
        answer(&mut test, lee, "/join lobby x\n")
            .starts_with("! room not changed: lobby is not locked")
    );
}

#[test]
fn a_lock_goes_with_its_room_and_stays_with_a_history_that_a_secret_opens() {
    for (history_lines, command, is_kept) in [
        (0, "/lock x\n", false),
        (5, "/lock x\n", true),
        (5, "/lock\n", false),
    ] {
        let limits = Limits {
            history_lines,
            ..Limits::default()
        };
        let (mut test, kim, lee) = locked(limits, command);
        answer(&mut test, kim, "a secret matter\n/join lobby\n");
        let entered = answer(&mut test, lee, "/join pond\n");
        if is_kept {
            assert_eq!(entered, LOCKED);
            let entered = answer(&mut test, lee, "/join pond x\n");
            assert!(entered.contains("kim: a secret matter"), "{entered}");
            // It has entered a room in which nobody was.
            assert!(answer(&mut test, lee, "/unlock\n").contains("* unlocked by lee"));
        } else {
            assert_eq!(
                entered, "* you are in pond (1 here)\n",
                "nothing of it is shown"
            );
            assert!(answer(&mut test, lee, "/rooms\n").contains("pond (1)"));
        }
    }
}

#[test]
fn a_room_that_is_locked_while_a_client_moves_there_keeps_it_out() {
    let mut test = TestHub::new(Limits::default());
    let [kim, lee] = [(); 2].map(|()| test.join());
    answer(&mut test, kim, "/join pond\n");
    test.flush();
    let eve = test.join();
    // Lee has not read what was said in the lobby before it asks to be moved.
    let _ = test.send(eve, b"hello\n");
    let _ = test.send(lee, b"/join pond\n");
    let _ = test.send(kim, b"/lock\n");
    test.flush();
    test.resume_all();
    assert_eq!(test.read(lee), LOCKED);
}

#[test]
fn tries_are_limited_by_connection_and_new_connections_are_no_way_to_try_more() {
    let (mut test, _, lee) = locked(Limits::default(), "/lock x\n");
    let too_many = "! room not changed: too many wrong secrets; try again in a minute\n";
    test.advance(60_000_000);
    for _ in 0..5 {
        assert_eq!(answer(&mut test, lee, "/join pond no\n"), LOCKED);
    }
    assert_eq!(answer(&mut test, lee, "/join pond x\n"), too_many);
    for nth in 5..LOCK_TRIES_MAX {
        let id = test.join();
        assert_eq!(answer(&mut test, id, "/join pond no\n"), LOCKED, "{nth}");
    }
    // From now on only those are heard that have been here for a minute.
    let new = test.join();
    assert_eq!(answer(&mut test, new, "/join pond x\n"), too_many);
    assert_eq!(answer(&mut test, new, "/join pond\n"), LOCKED);
    test.advance(59_999_999);
    assert_eq!(answer(&mut test, new, "/join pond x\n"), too_many);
    test.advance(1);
    assert!(answer(&mut test, new, "/join pond x\n").contains("you are in pond"));
    assert!(answer(&mut test, lee, "/join pond x\n").contains("you are in pond"));
}
