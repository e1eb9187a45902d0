//! The server's console: whoever runs the server talks in it from its terminal, the log goes above what is typed, and the
//! two end together.

use std::net::SocketAddr;

use rustix::process::Signal;

use crate::common::Client;
use crate::model::breaking;
use crate::picture::squeeze;
use crate::rig::{Rig, Setup};

/// A server at its console, where it listens, and somebody who has come.
fn console(flags: &[&str]) -> (Rig, SocketAddr, Client) {
    let serve = ["serve", "--console", "--listen", "127.0.0.1:0"];
    let mut rig = Setup::program(&[&serve, flags].concat()).spawn(breaking(70, 20));
    rig.until_shown("* here in lobby: host (1)");
    rig.until_typed("", "");
    let lines = rig.picture().above();
    let place = lines
        .iter()
        .find_map(|line| line.strip_prefix("listening on "));
    let addr = place.and_then(|place| place.parse().ok()).expect("a place");
    let ann = Client::connect_named(addr, "ann");
    rig.until_shown("* renamed: guest1 -> ann");
    (rig, addr, ann)
}

#[test]
fn half_a_line_stays_whole_while_lines_and_the_log_come_in() {
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
        // One line of the log each, and one when it is gone.
        drop(Client::open(addr));
        rig.until_shown(&format!("ann: line {number}"));
    }
    rig.until("the log of all who came", |rig| {
        rig.picture().text_above().matches("DEBUGconnected").count() >= 31
    });
    rig.until_typed(&before, after);
    rig.keys("\r");
    rig.until_shown(&format!("host: {before}{after}"));
    ann.expect(&format!("host: {before}{after}"));
    let said = (0..30).map(|number| squeeze(&format!("ann: line {number}")));
    let above = rig.picture().text_above();
    assert!(
        said.into_iter().all(|line| above.contains(&line)),
        "{above}"
    );
}

/// The server ends because of this: the guest is told, the terminal is as it was, and what was logged last is there.
#[track_caller]
fn assert_ends(mut rig: Rig, mut ann: Client) -> Rig {
    assert!(rig.until_ended().success());
    ann.expect("* server is shutting down");
    ann.expect_end();
    assert!(rig.is_cooked() && !rig.terminal().brackets_pastes());
    let logged = rig.picture().text_above();
    assert!(logged.contains("INFOendedtotals="), "{logged}");
    rig
}

#[test]
fn ctrl_c_and_ctrl_d_end_the_server_politely() {
    for key in ["\x03", "\x04", "/quit\r"] {
        let (mut rig, _, ann) = console(&[]);
        rig.keys(key);
        let mut rig = assert_ends(rig, ann);
        assert!(rig.picture().text_above().contains("thehosthasleft"));
    }
}

#[test]
fn a_signal_ends_both() {
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
fn a_terminal_that_is_gone_ends_the_server() {
    let (mut rig, _, mut ann) = console(&[]);
    rig.hang_up();
    assert!(rig.until_ended().success());
    ann.expect("* server is shutting down");
    ann.expect_end();
}
