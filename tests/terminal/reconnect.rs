//! The server goes away and comes back: what is typed stays, name and room are taken again, nothing entered is lost.

use std::time::Duration;

use crate::common::{Client, until};
use crate::host::place;
use crate::model::breaking;
use crate::rig::{Rig, Setup, serve};

/// Waits for what the program says of its connection.
fn until_lost(rig: &mut Rig) {
    rig.until("-- connection lost …", |rig| {
        let above = rig.picture().above();
        let told = |line: &String| line.starts_with("-- connection lost");
        above.iter().any(told)
    });
}

fn until_back(rig: &mut Rig) {
    rig.until("-- connected again", |rig| {
        let above = rig.picture().above();
        let told = |line: &String| line == "-- connected again";
        above.iter().any(told)
    });
}

#[test]
fn half_a_line_name_and_room_survive_a_restart() {
    let server = serve(&["--listen", &place()]);
    let addr = server.addr().to_string();
    let setup = Setup::at(&addr).flags(&["--nick", "kim", "--room", "garden"]);
    let mut rig = setup.start(breaking(60, 24));
    rig.until_shown("* you are now kim");
    rig.until_shown("* you are in garden");
    rig.keys("half ");
    rig.until_typed("half ", "");
    drop(server);
    until_lost(&mut rig);
    rig.keys("a line");
    rig.until_typed("half a line", "");

    let server = serve(&["--listen", &addr]);
    until_back(&mut rig);
    rig.until_typed("half a line", "");
    let mut ann = Client::connect_named(server.addr(), "ann");
    until("kim is in the garden", || {
        ann.say("/who garden");
        ann.line() == "* here in garden: kim (1)"
    });
    ann.say("/join garden");
    ann.expect("* you are in garden (2 here)");
    rig.until_shown("* joined: ann");
    rig.keys("\r");
    rig.until_shown("kim: half a line");
    ann.expect("kim: half a line");
    ann.say("welcome back");
    rig.until_shown("ann: welcome back");
}

#[test]
fn a_name_and_a_room_taken_later_survive_a_restart() {
    let server = serve(&["--listen", &place()]);
    let addr = server.addr().to_string();
    let mut rig = Setup::at(&addr).start(breaking(60, 24));
    rig.keys("/nick kim\r/join garden\r");
    rig.until_shown("* you are now kim");
    rig.until_shown("* you are in garden");
    drop(server);
    until_lost(&mut rig);
    let server = serve(&["--listen", &addr]);
    until_back(&mut rig);
    let mut ann = Client::connect_named(server.addr(), "ann");
    until("kim is in the garden", || {
        ann.say("/who garden");
        ann.line() == "* here in garden: kim (1)"
    });
}

#[test]
fn lines_entered_without_a_connection_are_sent_in_order() {
    let mut rig = Rig::new(breaking(60, 24));
    rig.keys("before\r");
    rig.until_heard(&["before"]);
    rig.host().go_away();
    until_lost(&mut rig);
    rig.keys("one\rtwo\rthree\rhalf a line");
    rig.until_typed("half a line", "");
    // A try or two come to nothing.
    rig.pass(Duration::from_secs(1));
    rig.host().come_back();
    until_back(&mut rig);
    // Rooms are none of this test's.
    let said = |rig: &mut Rig| -> Vec<String> {
        let heard = rig.host().heard().iter();
        heard
            .filter(|line| !line.starts_with("/join "))
            .cloned()
            .collect()
    };
    rig.until("all that was entered", |rig| said(rig).len() >= 4);
    rig.keys("\r");
    rig.until("the rest", |rig| said(rig).len() >= 5);
    assert_eq!(
        said(&mut rig),
        ["before", "one", "two", "three", "half a line"]
    );
}

#[test]
fn ctrl_c_and_quit_leave_without_a_connection() {
    for keys in ["half a line\x03", "/quit\r"] {
        let mut rig = Rig::new(breaking(60, 24));
        rig.host().go_away();
        until_lost(&mut rig);
        rig.keys(keys);
        assert!(rig.until_ended().success());
        assert!(rig.is_cooked() && !rig.terminal().brackets_pastes());
    }
}

#[test]
fn what_was_meant_for_a_room_is_said_in_no_other() {
    let server = serve(&["--listen", &place()]);
    let addr = server.addr().to_string();
    let setup = Setup::at(&addr).flags(&["--nick", "kim", "--room", "garden"]);
    let mut rig = setup.start(breaking(60, 24));
    rig.until_shown("* you are in garden");
    drop(server);
    until_lost(&mut rig);
    rig.keys("between us\rand this\r");
    rig.until_shown("kim: and this");
    let server = serve(&["--listen", &addr, "--max-rooms", "1"]);
    let mut ann = Client::connect_named(server.addr(), "ann");
    rig.until_shown("-- not sent, since they were for another room: 2 of your lines");
    rig.keys("hello lobby\r");
    rig.until_shown("kim: hello lobby");
    ann.expect("kim: hello lobby");
}
