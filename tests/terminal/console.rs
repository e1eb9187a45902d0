//! The server's console: its operator talks in the lobby from the server's terminal. The log is shown above the typed line.
//! Server and console end together.

use std::net::SocketAddr;

use rustix::process::Signal;

use crate::common::{Client, until};
use crate::model::wrapping;
use crate::rig::{Rig, Setup};

/// A server with a console, its address, and a client named ann.
fn console(flags: &[&str]) -> (Rig, SocketAddr, Client) {
    let serve = ["serve", "--console", "--listen", "127.0.0.1:0"];
    let mut rig = Setup::program(&[&serve, flags].concat()).spawn(wrapping(70, 20));
    rig.until_shown("* here in lobby: host (1)");
    rig.until_typed("", "");
    let lines = rig.picture().above();
    let mut lines = lines.iter();
    let addr = lines.find_map(|line| line.strip_prefix("listening on ")?.parse().ok());
    let addr = addr.expect("an address");
    let ann = Client::connect_named(addr, "ann");
    rig.until_shown("* joined: ann (2 here)");
    (rig, addr, ann)
}

#[test]
fn the_typed_line_stays_whole_below_lines_and_the_log() {
    let (mut rig, addr, mut ann) = console(&[]);
    let before = "a line that wraps, 가나다라마바사 ".repeat(3);
    let after = "and its end";
    rig.type_around(&before, after);
    for number in 0..30 {
        ann.say(&format!("line {number}"));
        // Each raw connection causes a line of the log, and another one when it is closed.
        drop(Client::open(addr));
        rig.until_shown(&format!("ann: line {number}"));
    }
    // So many are told of one by one in any case.
    rig.until("the log of connections", |rig| {
        let text = rig.picture().text_above();
        text.matches("INFOconnected").count() + text.matches("INFOdisconnected").count() >= 20
    });
    rig.until_typed(&before, after);
    rig.keys("\r");
    rig.until_shown(&format!("host: {before}{after}"));
    ann.expect(&format!("host: {before}{after}"));
    let above = rig.picture().text_above();
    let is_shown = |number| above.contains(&format!("ann:line{number}"));
    assert!((0..30).all(is_shown), "{above}");
}

/// The server ends: ann is notified, the terminal is restored, and the last line of the log is shown.
#[track_caller]
fn assert_ends(mut rig: Rig, mut ann: Client) -> Rig {
    assert!(rig.until_exited().success());
    ann.expect("* server is shutting down");
    ann.expect_end();
    assert!(rig.is_restored());
    let logged = rig.picture().text_above();
    assert!(logged.contains("INFOendedconnections="), "{logged}");
    rig
}

#[test]
fn ctrl_c_ctrl_d_and_quit_shut_the_server_down() {
    for key in ["\x03", "\x04", "/quit\r"] {
        let (mut rig, _, ann) = console(&[]);
        rig.keys(key);
        let mut rig = assert_ends(rig, ann);
        assert!(rig.picture().text_above().contains("theconsolehasleft"));
    }
}

#[test]
fn sigterm_and_sigint_shut_the_server_down() {
    for signal in [Signal::TERM, Signal::INT] {
        let (mut rig, _, ann) = console(&[]);
        rig.type_around("half a line", "");
        rig.signal(signal);
        let mut rig = assert_ends(rig, ann);
        let seen = rig.picture().text_above();
        assert!(seen.contains("*serverisshuttingdown"), "{seen}");
    }
}

#[test]
fn a_closed_terminal_shuts_the_server_down() {
    let (mut rig, _, mut ann) = console(&[]);
    rig.hang_up();
    assert!(rig.until_exited().success());
    ann.expect("* server is shutting down");
    ann.expect_end();
}

#[test]
fn a_stalled_terminal_does_not_keep_the_server_running() {
    let (mut rig, _, mut ann) = console(&["--drain", "1"]);
    // More than all buffers between the server and the terminal can hold.
    for _ in 0..5000 {
        ann.say(&"x".repeat(500));
    }
    ann.say("/nick lee");
    ann.expect("* you are now lee");
    rig.signal(Signal::TERM);
    until("its end", || rig.has_exited());
    assert!(rig.is_cooked(), "the terminal is still raw");
}
