//! Locked rooms over real sockets: what members, others and operators see, and what the terminal client does.

use crate::common::{Client, Program, SILENCE, ann_and_bob, with_control};

const LOCKED: &str =
    "! room not changed: pond is locked; its secret opens it (/join ROOM SECRET), or an invitation";
const WITH_SECRET: &str =
    "* locked by ann: from now on only the secret or an invitation lets others enter";

#[test]
fn a_secret_or_an_invitation_opens_a_locked_room() {
    let (server, mut ann, mut bob) = ann_and_bob(&["--history", "9"]);
    ann.join("pond", 1);
    ann.say("/lock open sesame");
    ann.expect(WITH_SECRET);
    ann.say("between us");
    for line in ["/join pond", "/join pond sesame", "/join pond open"] {
        bob.say(line);
        bob.expect(LOCKED);
    }
    bob.say("/rooms");
    bob.expect("* rooms: lobby (1), pond (1, locked)");
    bob.say("/who pond");
    bob.expect("! pond is locked: only those who are in it see who is");
    bob.say("/whois ann");
    let about = bob.expect_start("* whois: ann is connected for ");
    assert!(!about.contains("pond"), "{about}");
    bob.say("/join pond open sesame");
    bob.expect("* you are in pond (2 here)");
    bob.find("ann: between us");
    bob.find("* now");
    let mut carl = Client::connect_named(server.addr(), "carl");
    bob.say("/invite carl");
    bob.expect("* you have invited carl");
    carl.expect("* invitation by bob: /join pond enters the room");
    carl.say("/join pond");
    carl.expect("* you are in pond (3 here)");
    carl.find("* now");
    carl.say("/unlock");
    carl.expect_start("! not allowed: only the person who opened pond");
    ann.say("/unlock");
    ann.find("* unlocked by ann: from now on anybody may enter");
    carl.find("* unlocked by ann: from now on anybody may enter");
    let mut dora = Client::connect_named(server.addr(), "dora");
    dora.join("pond", 4);
}

#[test]
fn what_is_said_in_a_locked_room_stays_there() {
    let (_server, mut ann, mut bob) = ann_and_bob(&[]);
    ann.join("pond", 1);
    bob.find_announcement(|seen| seen.left == 1);
    ann.say("/lock");
    ann.expect("* locked by ann: from now on only an invitation lets others enter");
    bob.say("/join pond");
    bob.expect(LOCKED);
    ann.say("alone");
    ann.say("/nick anna");
    ann.expect("* you are now anna");
    bob.expect_silence(SILENCE);
}

#[test]
fn operators_may_enter_and_unlock() {
    let (server, control, _dir) = with_control(&[]);
    let mut ann = Client::connect_named(server.addr(), "ann");
    ann.join("pond", 1);
    ann.say("/lock x");
    ann.expect(WITH_SECRET);
    let mut operator = Client::open_unix(&control);
    operator.expect_start("* you are guest");
    operator.say("/join pond");
    operator.find("* you are in pond (2 here)");
    operator.say("/unlock");
    ann.find("* unlocked by guest2: from now on anybody may enter");
}

#[test]
fn a_script_that_gives_a_wrong_secret_says_nothing_in_another_room() {
    let (server, mut ann, _bob) = ann_and_bob(&[]);
    ann.join("pond", 1);
    ann.say("/lock x");
    ann.expect(WITH_SECRET);
    let mut script = Program::join(server.addr(), &[]);
    script.greeted();
    script.type_line("/join pond wrong");
    script.type_line("for the pond alone");
    assert_eq!(script.wait_exit().code(), Some(1));
    let said = script.complaints().join("\n");
    let why = "pond is locked; its secret opens it (/join ROOM SECRET), or an invitation; nothing after that was sent";
    assert!(said.contains(why), "{said}");
    let mut watcher = Client::connect(server.addr());
    watcher.expect_silence(SILENCE);
}
