//! The server stops and is restarted: the typed line stays, name and room are requested again, no entered line is lost.

use std::time::Duration;

use crate::common::{Client, Server, until};
use crate::fake_server::unique_address;
use crate::model::wrapping;
use crate::rig::{Rig, Setup, start_server};

const LOST: &str = "-- connection lost: ";
const CONNECTED: &str = "-- connected again";

/// A server, its address, at which it can be started again, and a client with these flags.
fn joined(flags: &[&str]) -> (Server, String, Rig) {
    let server = start_server(&["--listen", &unique_address()]);
    let addr = server.addr().to_string();
    let rig = Setup::at(&addr).flags(flags).start(wrapping(60, 24));
    (server, addr, rig)
}

/// Another client, once kim is in the garden.
fn ann_who_finds_kim(server: &Server) -> Client {
    let mut ann = Client::connect_named(server.addr(), "ann");
    until("kim is in the garden", || {
        ann.say("/who garden");
        ann.line() == "* here in garden: kim (1)"
    });
    ann
}

#[test]
fn the_typed_line_name_and_room_survive_a_restart() {
    let (server, addr, mut rig) = joined(&["--nick", "kim", "--room", "garden"]);
    rig.until_shown("* you are now kim");
    rig.until_shown("* you are in garden");
    rig.type_around("half ", "");
    drop(server);
    rig.until_shown(LOST);
    rig.keys("a line");
    rig.until_typed("half a line", "");

    let server = start_server(&["--listen", &addr]);
    rig.until_shown(CONNECTED);
    rig.until_typed("half a line", "");
    let mut ann = ann_who_finds_kim(&server);
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
fn a_later_name_and_room_survive_a_restart() {
    let (server, addr, mut rig) = joined(&[]);
    rig.keys("/nick kim\r/join garden\r");
    rig.until_shown("* you are now kim");
    rig.until_shown("* you are in garden");
    drop(server);
    rig.until_shown(LOST);
    let server = start_server(&["--listen", &addr]);
    rig.until_shown(CONNECTED);
    ann_who_finds_kim(&server);
}

#[test]
fn lines_entered_without_a_connection_are_sent_in_order() {
    let mut rig = Rig::new(wrapping(60, 24));
    rig.keys("before\r");
    rig.until_received(&["before"]);
    rig.server().stop();
    rig.until_shown(LOST);
    rig.keys("one\rtwo\rthree\rhalf a line");
    rig.until_typed("half a line", "");
    // An attempt or two to connect fail.
    rig.run_for(Duration::from_secs(1));
    rig.server().restart();
    rig.until_shown(CONNECTED);
    rig.until_received(&["before", "one", "two", "three"]);
    rig.keys("\r");
    rig.until_received(&["before", "one", "two", "three", "half a line"]);
}

#[test]
fn ctrl_c_and_quit_leave_without_a_connection() {
    for keys in ["half a line\x03", "/quit\r"] {
        let mut rig = Rig::new(wrapping(60, 24));
        rig.server().stop();
        rig.until_shown(LOST);
        rig.keys(keys);
        assert!(rig.until_exited().success());
        assert!(rig.is_restored());
    }
}

#[test]
fn lines_for_a_room_that_is_refused_are_not_sent_elsewhere() {
    let (server, addr, mut rig) = joined(&["--nick", "kim", "--room", "garden"]);
    rig.until_shown("* you are in garden");
    drop(server);
    rig.until_shown(LOST);
    rig.keys("between us\rand this\r");
    rig.until_shown("kim: and this");
    let server = start_server(&["--listen", &addr, "--max-rooms", "1"]);
    let mut ann = Client::connect_named(server.addr(), "ann");
    rig.until_shown("-- 2 of your lines not sent: you are in lobby");
    rig.keys("hello lobby\r");
    rig.until_shown("kim: hello lobby");
    ann.expect("kim: hello lobby");
}
