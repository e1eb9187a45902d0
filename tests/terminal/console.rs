//! The server's console: its operator talks in the lobby from the server's terminal. The log is shown above the typed line.
//! Server and console end together.

use std::net::SocketAddr;

use rustix::process::Signal;

use crate::common::Client;
use crate::model::wrapping;
use crate::picture::without_blanks;
use crate::rig::{Rig, Setup};

/// A server with a console, its address, and a client named ann.
fn console(flags: &[&str]) -> (Rig, SocketAddr, Client) {
    let serve = ["serve", "--console", "--listen", "127.0.0.1:0"];
    let mut rig = Setup::program(&[&serve, flags].concat()).spawn(wrapping(70, 20));
    rig.until_shown("* here in lobby: host (1)");
    rig.until_typed("", "");
    let lines = rig.picture().above();
    let addr = lines
        .iter()
        .find_map(|line| line.strip_prefix("listening on "));
    let addr = addr.and_then(|addr| addr.parse().ok());
    let addr = addr.expect("an address");
    let ann = Client::connect_named(addr, "ann");
    rig.until_shown("* renamed: guest1 -> ann");
    (rig, addr, ann)
}

#[test]
fn the_typed_line_stays_whole_below_lines_and_the_log() {
    let (mut rig, addr, mut ann) = console(&["--log-level", "debug"]);
    let (before, after) = (
        "a line that wraps, 가나다라마바사 ".repeat(3),
        "and its end",
    );
    rig.keys(&format!("{before}{after}"));
    for _ in after.chars() {
        rig.keys("\x1b[D");
    }
    rig.until_typed(&before, after);
    for number in 0..30 {
        ann.say(&format!("line {number}"));
        // Each raw connection causes a line of the log, and another one when it is closed.
        drop(Client::open(addr));
        rig.until_shown(&format!("ann: line {number}"));
    }
    rig.until("the log of all connections", |rig| {
        rig.picture().text_above().matches("DEBUGconnected").count() >= 31
    });
    rig.until_typed(&before, after);
    rig.keys("\r");
    rig.until_shown(&format!("host: {before}{after}"));
    ann.expect(&format!("host: {before}{after}"));
    let said = (0..30).map(|number| without_blanks(&format!("ann: line {number}")));
    let above = rig.picture().text_above();
    assert!(
        said.into_iter().all(|line| above.contains(&line)),
        "{above}"
    );
}

/// The server ends: ann is notified, the terminal is restored, and the last line of the log is shown.
#[track_caller]
fn assert_ends(mut rig: Rig, mut ann: Client) -> Rig {
    assert!(rig.until_exited().success());
    ann.expect("* server is shutting down");
    ann.expect_end();
    assert!(rig.is_cooked() && !rig.terminal().brackets_pastes());
    let logged = rig.picture().text_above();
    assert!(logged.contains("INFOendedtotals="), "{logged}");
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
        rig.keys("half a line");
        rig.until_typed("half a line", "");
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
