//! `madang ctl top`: the live table is drawn and drawn again, and the terminal is restored however it ends.

use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::Signal;

use crate::common::{Client, Scratch, Server};
use crate::model::wrapping;
use crate::picture::without_blanks;
use crate::rig::{Rig, Setup, start_server};

/// A server, its control socket as it is written on the command line, and the directory of that.
fn server(flags: &[&str]) -> (Server, String, Scratch) {
    let scratch = Scratch::new();
    let place = format!("unix:{}", scratch.path("c").display());
    let server = start_server(&[flags, &["--control", &place]].concat());
    (server, place, scratch)
}

/// `madang ctl top` that has drawn its first table.
fn top(place: &str, setup: impl FnOnce(Setup) -> Setup) -> Rig {
    let program = Setup::program(&["ctl", "--control", place, "top"]);
    let mut rig = setup(program).spawn(wrapping(100, 24));
    rig.until_shown("FURTHEST BEHIND");
    rig
}

/// It has ended, and the terminal is as it was before.
#[track_caller]
fn assert_restored(rig: &mut Rig) -> ExitStatus {
    let status = rig.until_exited();
    assert!(rig.is_restored());
    let written = String::from_utf8_lossy(rig.written()).into_owned();
    for mode in ["?1049", "?25", "?7"] {
        let (on, off) = (format!("\x1b[{mode}h"), format!("\x1b[{mode}l"));
        let (last, other) = if mode == "?1049" {
            (off, on)
        } else {
            (on, off)
        };
        assert!(
            written.rfind(&last) > written.rfind(&other),
            "{mode}: {written:?}"
        );
    }
    status
}

#[test]
fn the_table_follows_the_server_and_the_window() {
    let (server, place, _scratch) = server(&["--send-buffer", "4096"]);
    let kim = Client::connect_named(server.addr(), "kim");
    let _slow = Client::open_narrow(server.addr()).greeted().named("slow");
    let mut rig = top(&place, |setup| setup);
    rig.until_shown("connections 3");
    let line = "x".repeat(100);
    let shows = |rig: &mut Rig, name: &str, table: &str| {
        let rows = rig.picture().above();
        let head = rows.iter().position(|row| row.starts_with(table));
        let rows = head.map_or(&[][..], |head| &rows[head + 1..]);
        rows.iter()
            .any(|row| row.starts_with(name) && row.contains("127.0.0.1:"))
    };
    rig.until("kim speaks, and slow is behind", |rig| {
        (0..50).for_each(|_| kim.say(&line));
        shows(rig, "kim", "BUSIEST CLIENTS") && shows(rig, "slow", "FURTHEST BEHIND")
    });
    rig.resize(60, 12);
    rig.until("a smaller table", |rig| {
        let rows = rig.picture().above();
        rows.last().is_some_and(|row| row == "q: leave")
            && rows.iter().any(|row| row.ends_with('…'))
    });
    rig.resize(100, 30);
    rig.until("a larger table", |rig| {
        let rows = rig.picture().above();
        rows.iter().any(|row| row.starts_with("BUSIEST ROOMS"))
            && !rows.iter().any(|row| row.ends_with('…'))
    });
    // An arrow is no letter.
    rig.keys("\x1b[A");
    rig.run_for(Duration::from_millis(100));
    assert!(!rig.has_exited());
    rig.keys("q");
    assert!(assert_restored(&mut rig).success());
}

#[test]
fn it_ends_by_ctrl_c_or_a_signal_with_a_restored_terminal() {
    let (_server, place, _scratch) = server(&[]);
    let mut rig = top(&place, |setup| setup);
    rig.keys("\x03");
    assert!(assert_restored(&mut rig).success());
    let mut rig = top(&place, |setup| setup);
    rig.signal(Signal::TERM);
    assert_eq!(assert_restored(&mut rig).code(), Some(143));
    let mut rig = top(&place, |setup| setup);
    rig.hang_up();
    rig.until_exited();
}

#[test]
fn a_server_that_goes_away_is_named_on_the_restored_terminal() {
    for (signal, why) in [
        (Signal::TERM, "the server ends"),
        (Signal::KILL, "closed by the server"),
    ] {
        let (server, place, _scratch) = server(&[]);
        let mut rig = top(&place, |setup| setup);
        server.signal(signal);
        assert_eq!(assert_restored(&mut rig).code(), Some(1));
        let message = format!("madang: the connection to the server at {place} is lost: {why}");
        let shown = rig.picture().text_above();
        assert_eq!(shown, without_blanks(&message));
    }
}

#[test]
fn colours_follow_no_color() {
    let (_server, place, _scratch) = server(&[]);
    let has_colors = |rig: Rig| String::from_utf8_lossy(rig.written()).contains("\x1b[1m");
    assert!(has_colors(top(&place, |setup| setup)));
    assert!(!has_colors(top(&place, |setup| setup.env("NO_COLOR", "1"))));
}

#[test]
fn a_dumb_terminal_gets_one_table() {
    let (_server, place, _scratch) = server(&[]);
    let mut rig = top(&place, |setup| setup.env("TERM", "dumb"));
    assert!(rig.until_exited().success());
    assert!(!rig.written().contains(&0x1b));
}

#[test]
fn in_the_background_it_draws_nothing() {
    let (_server, place, _scratch) = server(&[]);
    let script = r#""$0" ctl --control "$1" top; stty -icanon -echo; bg >/dev/null; echo in the background; read key
        stty icanon echo; fg >/dev/null"#;
    let arguments = ["-mc", script, env!("CARGO_BIN_EXE_madang"), &place];
    let mut rig = Setup::of("sh".as_ref(), &arguments).spawn(wrapping(100, 24));
    rig.until_shown("FURTHEST BEHIND");
    rig.keys("\x1a");
    rig.until_shown("in the background");
    // Longer than an interval.
    rig.run_for(Duration::from_millis(1500));
    assert!(
        !rig.picture().text_above().contains("FURTHEST"),
        "written from the background"
    );
    rig.keys("\r");
    rig.until_shown("FURTHEST BEHIND");
    rig.keys("q");
    assert!(assert_restored(&mut rig).success());
}
