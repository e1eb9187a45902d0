//! However the program ends, it restores the terminal. A stalled or closed terminal does not keep it from ending.

use std::process::ExitStatus;
use std::time::{Duration, Instant};

use madang::terminal::tty::{self, Tty};
use rustix::process::Signal;

use crate::common::resident_bytes;
use crate::fake_server::{FakeServer, unique_address};
use crate::model::wrapping;
use crate::rig::{Rig, Setup, start_server};

/// The terminal has its old modes, and a shell's prompt would be at the start of an empty row.
#[track_caller]
fn assert_restored(rig: &mut Rig) {
    assert!(rig.is_restored());
    assert!(rig.written().ends_with(b"\x1b[?2004l"));
    assert_eq!(rig.picture().typed(), None);
}

/// The program ends by `by` while this is typed. Asserts that the terminal is restored.
fn ends(typed: &str, by: impl FnOnce(&mut Rig)) -> (Rig, ExitStatus) {
    let mut rig = Rig::new(wrapping(60, 24));
    assert!(!rig.is_cooked(), "the terminal is not raw");
    assert!(rig.terminal().brackets_pastes());
    rig.type_around(typed, "");
    by(&mut rig);
    let status = rig.until_exited();
    assert_restored(&mut rig);
    (rig, status)
}

#[test]
fn ctrl_c_leaves() {
    let (_, status) = ends("half a line", |rig| rig.keys("\x03"));
    assert!(status.success());
}

#[test]
fn ctrl_d_on_an_empty_line_leaves_after_sending_all_lines() {
    let (mut rig, status) = ends("", |rig| rig.keys("one\rtwo\r\x04"));
    assert!(status.success());
    rig.until("the connection's end", |rig| !rig.server().has_client());
    assert_eq!(rig.server().received()[..2], ["one", "two"]);
}

#[test]
fn ctrl_d_on_a_line_does_not_leave() {
    let mut rig = Rig::new(wrapping(60, 24));
    rig.keys("half a line\x04\x04");
    rig.until_typed("half a line", "");
    rig.keys("\x01\x04\x04!\r");
    rig.until_received(&["!lf a line"]);
}

#[test]
fn sigterm_sighup_and_sigint_end_the_program() {
    for signal in [Signal::TERM, Signal::HUP, Signal::INT] {
        ends("half a line", |rig| rig.signal(signal));
    }
}

#[test]
fn a_closed_terminal_ends_the_program() {
    let mut rig = Rig::new(wrapping(60, 24));
    rig.type_around("half a line", "");
    rig.hang_up();
    rig.until_exited();
}

#[test]
fn with_no_reconnect_a_lost_connection_ends_the_program() {
    let setup = Setup::new().flags(&["--no-reconnect"]);
    let mut rig = setup.start(wrapping(60, 24));
    rig.server().stop();
    rig.until_exited();
    assert!(rig.is_restored());
}

/// A shell script on the terminal, with job control and `madang join` as `"$0" join "$1"`.
fn script(script: &str) -> Rig {
    let server = FakeServer::new();
    let addr = server.addr().to_string();
    let arguments = ["-mc", script, env!("CARGO_BIN_EXE_madang"), &addr];
    let setup = Setup::of("sh".as_ref(), &arguments).server(server);
    setup.start(wrapping(60, 24))
}

#[test]
fn the_terminal_is_taken_in_the_foreground_only() {
    // A shell with an editor of its own has other modes while it waits for a command.
    let mut rig = script(
        r#"
        "$0" join "$1"
        stty -icanon -echo
        bg >/dev/null
        echo in the background
        read key
        stty icanon echo
        fg >/dev/null
        "#,
    );
    rig.keys("half\x1a");
    rig.until_shown("in the background");
    rig.send("kim: who is there?");
    rig.run_for(Duration::from_millis(300));
    let shown = rig.picture().text_above();
    assert!(
        !shown.contains("kim:"),
        "written from the background: {shown}"
    );
    assert!(!rig.terminal().brackets_pastes());
    rig.keys("\r");
    rig.until_shown("kim: who is there?");
    rig.until_typed("half", "");
    assert!(!rig.is_cooked(), "the terminal is not raw");
    rig.keys("\x03");
    rig.until_exited();
    assert!(rig.is_restored());
}

#[test]
fn a_client_that_ends_in_the_background_does_not_touch_the_terminal() {
    let mut rig = script(
        r#"
        "$0" join "$1" --no-reconnect
        stty -icanon -echo
        bg >/dev/null
        echo in the background
        wait
        stty -a | grep -o -- "[ -]icanon"
        stty icanon echo
        "#,
    );
    rig.keys("\x1a");
    rig.until_shown("in the background");
    rig.server().stop();
    rig.until_shown("-icanon");
    assert!(rig.until_exited().success());
    assert!(rig.is_restored());
}

#[test]
fn late_answers_of_the_terminal_do_not_reach_the_shell() {
    for (key, then) in [("\x04", ""), ("\x1a", "fg >/dev/null")] {
        let left =
            r#""$0" join "$1"; stty -icanon -echo min 0 time 3; printf 'left [%s]\n' "$(cat -v)""#;
        let mut rig = script(&format!("{left}; stty icanon echo; {then}"));
        rig.type_around(&"a line that wraps ".repeat(5), "");
        rig.hold_answers(true);
        rig.resize(30, 24);
        rig.until("the query", |rig| rig.written().ends_with(b"\x1b[6n"));
        let written = rig.written().len();
        // Ctrl-U empties the line, so that Ctrl-D leaves.
        rig.keys(&format!("\x15{key}"));
        rig.until("the last output", |rig| rig.written().len() > written);
        rig.hold_answers(false);
        let shell = |rig: &mut Rig| String::from_utf8_lossy(rig.written()).into_owned();
        rig.until("the shell", |rig| shell(rig).contains("]\r\n"));
        let seen = shell(&mut rig);
        assert!(seen.contains("left []"), "{seen:?}");
        if !then.is_empty() {
            rig.until("the client again", |rig| rig.terminal().brackets_pastes());
            rig.keys("\x04");
        }
        rig.until_exited();
    }
}

/// Floods the program while its terminal is stalled. Asserts that its memory is bounded. Returns the number of lines.
fn flood_stalled(rig: &mut Rig, time: Duration) -> usize {
    let before = resident_bytes(rig.id());
    let end = Instant::now() + time;
    let mut lines = 0;
    while Instant::now() < end {
        if rig.server().has_sent_all() {
            let more = lines..lines + 1000;
            lines = more.end;
            more.for_each(|number| rig.send(&format!("flood {number} {}", "x".repeat(200))));
        }
        rig.step_stalled(Duration::from_millis(10));
        let grown = resident_bytes(rig.id()).saturating_sub(before);
        assert!(grown < 16 << 20, "{grown} bytes");
    }
    lines
}

#[test]
fn a_stalled_terminal_costs_bounded_memory_and_does_not_prevent_the_exit() {
    let mut rig = Rig::new(wrapping(60, 24));
    flood_stalled(&mut rig, Duration::from_secs(1));
    rig.signal(Signal::TERM);
    let signalled = Instant::now();
    while !rig.has_exited() && signalled.elapsed() < Duration::from_secs(4) {
        rig.step_stalled(Duration::from_millis(10));
    }
    assert!(rig.has_exited(), "it still waits for its terminal");
    assert!(rig.is_cooked(), "the terminal is still raw");
}

#[test]
fn every_line_is_shown_after_a_stall() {
    let mut rig = Rig::new(wrapping(60, 24));
    let lines = flood_stalled(&mut rig, Duration::from_millis(300));
    rig.send("kim: goodbye");
    rig.until("the last line", |rig| {
        let tail = &rig.written()[rig.written().len().saturating_sub(200)..];
        tail.windows(7).any(|bytes| bytes == b"goodbye")
    });
    rig.until_typed("", "");
    let written = String::from_utf8_lossy(rig.written()).into_owned();
    let numbers = written.split("flood ").skip(1);
    let mut numbers = numbers.map(|line| line.split(' ').next().and_then(|n| n.parse().ok()));
    let lost = (0..lines).find(|&number| numbers.next() != Some(Some(number)));
    assert_eq!(lost, None, "the first missing line of {lines}");
}

#[test]
fn lines_that_come_while_leaving_are_shown_and_not_answered() {
    let server = start_server(&["--listen", &unique_address()]);
    let mut rig = Setup::at(&server.addr().to_string()).start(wrapping(60, 24));
    rig.keys("/join garden\r\x04");
    assert!(rig.until_exited().success());
    rig.until_shown("* you are in garden");
}

/// The client itself cannot be made to panic. So the panic test runs this test program on a terminal, with this variable,
/// and `panics_on_request` panics there while the client's `Tty` is raw.
const PANIC: &str = "MADANG_PANIC_ON_A_TERMINAL";

#[test]
fn panics_on_request() {
    if let Some(modes) = std::env::var_os(PANIC) {
        let modes = if modes == "lines" {
            tty::LINES
        } else {
            tty::SCREEN
        };
        let _tty = Tty::open(modes).expect("a terminal");
        panic!("as requested");
    }
}

#[test]
fn a_panic_restores_the_terminal_before_its_message() {
    let this = std::env::current_exe().expect("this program");
    let only = ["--exact", "leaving::panics_on_request", "--nocapture"];
    for (modes, on, off) in [
        ("lines", "\x1b[?2004h", "\x1b[?2004l"),
        (
            "screen",
            "\x1b[?1049h\x1b[?25l\x1b[?7l",
            "\x1b[?7h\x1b[?25h\x1b[?1049l",
        ),
    ] {
        let setup = Setup::of(this.as_ref(), &only).env(PANIC, modes);
        let mut rig = setup.spawn(wrapping(60, 24));
        assert!(!rig.until_exited().success());
        assert!(rig.is_cooked(), "the terminal is still raw");
        let written = String::from_utf8_lossy(rig.written()).into_owned();
        let (before, raw) = written.split_once(on).expect("made raw");
        assert!(!before.contains("as requested"));
        let (raw, message) = raw.split_once(off).expect("restored");
        assert_eq!(raw, "", "written while the terminal was raw");
        assert!(message.contains("as requested\r\n"), "{message:?}");
    }
}
