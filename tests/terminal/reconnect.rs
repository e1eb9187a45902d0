//! The server stops and is restarted: the typed line stays, name and room are requested again, no entered line is lost.

use std::io::Write;
use std::net::TcpListener;
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

const GREETING: &str = "* you are guest1 in lobby (3 here); /help lists commands";

#[test]
fn lines_typed_ahead_for_a_refused_name_are_not_sent_under_another() {
    let setup = Setup::new().flags(&["--nick", "kim"]);
    let mut rig = setup.spawn(wrapping(60, 24));
    rig.keys("it is me\r");
    rig.until_received(&["/nick kim"]);
    rig.keys("really\r");
    rig.until_shown("really");
    rig.send("! name not changed: kim is in use");
    rig.until_shown("-- 2 of your lines not sent: you are guest1");
    rig.keys("it is guest1\r");
    rig.until_received(&["/nick kim", "it is guest1"]);
}

#[test]
fn lines_typed_ahead_wait_for_the_room() {
    let mut rig = Rig::new(wrapping(60, 24));
    rig.keys("/join pond\rin the pond\r/join sea\rin the sea\r");
    rig.until_received(&["/join pond"]);
    rig.until_shown("guest1: in the sea");
    rig.send("* you are in pond (1 here)");
    rig.until_received(&["/join pond", "in the pond", "/join sea"]);
    rig.send("! room not changed: there are 2 rooms already: join one of them");
    rig.until_shown("-- 1 of your lines not sent: you are in pond");
    rig.keys("still here\r");
    rig.until_received(&["/join pond", "in the pond", "/join sea", "still here"]);
}

#[test]
fn after_a_closing_for_silence_a_key_brings_the_client_back() {
    let mut rig = Rig::new(wrapping(60, 24));
    rig.send("! closed: nothing received for 60 s");
    rig.until("all is sent", |rig| rig.server().has_sent_all());
    rig.until_shown("! closed: nothing received");
    rig.server().stop();
    rig.until_shown("-- disconnected: press a key to connect again, or Ctrl-C to leave");
    rig.server().restart();
    // Longer than the first pauses of a client that reconnects by itself.
    rig.run_for(Duration::from_millis(1500));
    assert!(!rig.server().has_client());
    rig.keys("h");
    rig.until_shown(CONNECTED);
    rig.until_typed("h", "");
    rig.keys("i\r");
    rig.until_received(&["hi"]);
}

#[test]
fn ctrl_c_leaves_after_a_closing_for_silence() {
    let mut rig = Rig::new(wrapping(60, 24));
    rig.send("! closed: nothing received for 60 s");
    rig.until_shown("! closed: nothing received");
    rig.server().stop();
    rig.until_shown("-- disconnected: press a key");
    rig.keys("\x03");
    assert!(rig.until_exited().success());
}

#[test]
fn only_missed_history_is_shown_after_a_reconnection() {
    let mut rig = Rig::new(wrapping(60, 24));
    for line in [
        "* the last 2 lines:",
        "kim: one",
        "kim: two",
        "* now",
        "lee: three",
    ] {
        rig.send(line);
    }
    rig.until_shown("lee: three");
    rig.keys("four\r");
    rig.until_received(&["four"]);
    rig.server().stop();
    rig.until_shown(LOST);
    rig.server().restart();
    rig.until_shown(CONNECTED);
    for line in [
        "* the last 4 lines:",
        "kim: two",
        "guest1: four",
        "lee: three",
        "kim: five",
    ] {
        rig.send(line);
    }
    for line in ["* now", "lee: six"] {
        rig.send(line);
    }
    rig.until_shown("lee: six");
    let above = rig.picture().above();
    let said: Vec<&str> = above.iter().map(String::as_str).collect();
    let said: Vec<&str> = said
        .into_iter()
        .filter(|line| !line.starts_with("-- ") && !line.starts_with("* here in "))
        .collect();
    assert_eq!(
        said,
        [
            GREETING,
            "* the last 2 lines:",
            "kim: one",
            "kim: two",
            "* now",
            "lee: three",
            "guest1: four",
            GREETING,
            "* the last line:",
            "kim: five",
            "* now",
            "lee: six",
        ]
    );
}

#[test]
fn a_server_of_another_kind_ends_the_program() {
    let foreign = TcpListener::bind("127.0.0.1:0").expect("bind");
    let addr = foreign.local_addr().expect("an address").to_string();
    let mut rig = Setup::at(&addr).spawn(wrapping(60, 24));
    let (mut socket, _) = foreign.accept().expect("accept");
    socket.write_all(b"SSH-2.0-OpenSSH_9.6\r\n").expect("write");
    assert_eq!(rig.until_exited().code(), Some(1));
    assert!(rig.is_restored());
    rig.until_shown("is not a madang server: it says \"SSH-2.0-OpenSSH_9.6\"");
}
