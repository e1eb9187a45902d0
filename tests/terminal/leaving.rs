//! Whatever ends the program, the terminal is as it was; and a terminal that is stalled or gone keeps nobody.

use std::process::ExitStatus;
use std::time::{Duration, Instant};

use madang::join::tty::Tty;
use rustix::process::Signal;

use crate::common::{Client, resident_bytes, until};
use crate::host::place;
use crate::model::breaking;
use crate::rig::{Rig, Setup, serve};

/// What a person types, and a shell's prompt after it, begin at the start of a row.
#[track_caller]
fn assert_restored(rig: &mut Rig) {
    assert!(rig.is_cooked(), "the terminal is still raw");
    assert!(
        !rig.terminal().brackets_pastes(),
        "pastes still come in brackets"
    );
    assert!(rig.written().ends_with(b"\x1b[?2004l"));
    assert!(rig.picture().typed().is_none(), "the prompt is still there");
}

/// Somebody has typed so much when it ends.
fn ends(typed: &str, by: impl FnOnce(&mut Rig)) -> (Rig, ExitStatus) {
    let mut rig = Rig::new(breaking(60, 24));
    assert!(!rig.is_cooked(), "it does not edit");
    assert!(rig.terminal().brackets_pastes());
    rig.keys(typed);
    rig.until_typed(typed, "");
    by(&mut rig);
    let status = rig.until_ended();
    assert_restored(&mut rig);
    (rig, status)
}

#[test]
fn ctrl_c_leaves() {
    let (_, status) = ends("half a line", |rig| rig.keys("\x03"));
    assert!(status.success());
}

#[test]
fn ctrl_d_on_an_empty_line_leaves_when_all_is_sent() {
    let (mut rig, status) = ends("", |rig| rig.keys("one\rtwo\r\x04"));
    assert!(status.success());
    rig.until("the end of what it says", |rig| !rig.host().has_guest());
    assert_eq!(rig.host().heard()[..2], ["one", "two"]);
}

#[test]
fn ctrl_d_on_a_line_does_not_leave() {
    let mut rig = Rig::new(breaking(60, 24));
    rig.keys("half a line\x04\x04");
    rig.until_typed("half a line", "");
    rig.keys("\x01\x04\x04!\r");
    rig.until_heard(&["!lf a line"]);
}

#[test]
fn signals_end_it() {
    for signal in [Signal::TERM, Signal::HUP, Signal::INT] {
        ends("half a line", |rig| rig.signal(signal));
    }
}

#[test]
fn a_terminal_that_goes_away_ends_it() {
    let mut rig = Rig::new(breaking(60, 24));
    rig.keys("half a line");
    rig.until_typed("half a line", "");
    rig.hang_up();
    rig.until_ended();
}

#[test]
fn a_server_that_goes_away_ends_it_if_it_shall_not_try_again() {
    let mut rig = Setup::new()
        .flags(&["--no-reconnect"])
        .start(breaking(60, 24));
    rig.host().go_away();
    rig.until_ended();
    assert!(rig.is_cooked() && !rig.terminal().brackets_pastes());
}

/// How it took a flood while its terminal took nothing.
struct Flood {
    lines: usize,
    /// The most by which its memory had grown.
    grown_bytes: u64,
}

fn flood_stalled(rig: &mut Rig, time: Duration) -> Flood {
    let before = resident_bytes(rig.id());
    let end = Instant::now() + time;
    let (mut lines, mut most) = (0, before);
    while Instant::now() < end {
        if rig.host().has_said_all() {
            let more = lines..lines + 1000;
            let line = |number| format!("flood {number} {}\n", "x".repeat(200));
            rig.host()
                .say(more.clone().map(line).collect::<String>().as_bytes());
            lines = more.end;
        }
        rig.turn_stalled(Duration::from_millis(10));
        most = most.max(resident_bytes(rig.id()));
    }
    Flood {
        lines,
        grown_bytes: most - before,
    }
}

#[test]
fn a_stalled_terminal_takes_no_memory_and_keeps_nobody() {
    let mut rig = Rig::new(breaking(60, 24));
    let flood = flood_stalled(&mut rig, Duration::from_secs(1));
    assert!(flood.grown_bytes < 16 << 20, "{} bytes", flood.grown_bytes);
    rig.signal(Signal::TERM);
    let asked = Instant::now();
    while !rig.has_ended() && asked.elapsed() < Duration::from_secs(4) {
        rig.turn_stalled(Duration::from_millis(10));
    }
    assert!(rig.has_ended(), "it waits for its terminal");
    assert!(rig.is_cooked(), "the terminal is still raw");
}

#[test]
fn a_terminal_that_goes_on_after_a_stall_shows_every_line() {
    let mut rig = Rig::new(breaking(60, 24));
    let flood = flood_stalled(&mut rig, Duration::from_millis(300));
    rig.say("kim: goodbye");
    rig.until("the last line", |rig| {
        let tail = &rig.written()[rig.written().len().saturating_sub(200)..];
        tail.windows(7).any(|bytes| bytes == b"goodbye")
    });
    rig.until_typed("", "");
    let written = String::from_utf8_lossy(rig.written()).into_owned();
    let numbers = written.split("flood ").skip(1);
    let mut numbers = numbers.map(|line| line.split(' ').next().and_then(|n| n.parse().ok()));
    let lost = (0..flood.lines).find(|&number| numbers.next() != Some(Some(number)));
    assert_eq!(
        lost, None,
        "the first line of {} that is not there",
        flood.lines
    );
}

#[test]
fn what_comes_in_while_it_leaves_is_not_answered() {
    let server = serve(&["--listen", &place()]);
    let mut rig = Setup::at(&server.addr().to_string()).start(breaking(60, 24));
    rig.keys("/join garden\r\x04");
    assert!(rig.until_ended().success());
    rig.until_shown("* you are in garden");
}

#[test]
fn a_console_whose_terminal_is_stalled_keeps_no_server() {
    let flags = ["serve", "--console", "--listen", &place(), "--drain", "1"];
    let mut rig = Setup::program(&flags).start(breaking(60, 24));
    let written = String::from_utf8_lossy(rig.written());
    let addr = written
        .lines()
        .find_map(|line| line.strip_prefix("listening on "));
    let addr = addr.and_then(|addr| addr.parse().ok());
    let mut guest = Client::connect_named(addr.expect("an address"), "kim");
    // More than the terminal, the console and what is between it and the server take together.
    for _ in 0..5000 {
        guest.say(&"x".repeat(500));
    }
    guest.say("/nick lee");
    guest.expect("* you are now lee");
    rig.signal(Signal::TERM);
    until("its end", || rig.has_ended());
    assert!(rig.is_cooked(), "the terminal is still raw");
}

/// Nothing that a person or a server does makes the client panic, so this file's own program does it, with the client's
/// terminal: told by this variable, one of its tests.
const PANIC: &str = "MADANG_PANIC_ON_A_TERMINAL";

#[test]
fn panics_if_it_is_told_to() {
    if std::env::var_os(PANIC).is_some() {
        let _tty = Tty::open().expect("a terminal");
        panic!("as it was told");
    }
}

#[test]
fn a_panic_finds_the_terminal_as_it_was() {
    let this = std::env::current_exe().expect("this program");
    let only = ["--exact", "leaving::panics_if_it_is_told_to", "--nocapture"];
    let mut rig = Setup::of(this.as_ref(), &only)
        .env(PANIC, "yes")
        .spawn(breaking(60, 24));
    assert!(!rig.until_ended().success());
    assert!(rig.is_cooked(), "the terminal is still raw");
    let written = String::from_utf8_lossy(rig.written()).into_owned();
    let (held, after) = written.split_once("\x1b[?2004h").expect("it was held");
    assert!(!held.contains("as it was told"));
    let (until, message) = after.split_once("\x1b[?2004l").expect("it was restored");
    assert_eq!(
        until, "",
        "the message came before the terminal was restored"
    );
    assert!(message.contains("as it was told\r\n"), "{message:?}");
}
