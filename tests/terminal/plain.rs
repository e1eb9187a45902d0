//! Terminals that do not understand control sequences get none; colours and the bell are used only if they are wanted.

use crate::audit::audit;
use crate::fake_server::OPENING;
use crate::model::wrapping;
use crate::rig::{Rig, Setup};

/// Lines go both ways and are edited by the terminal driver, whose end of input ends the program.
fn talks_without_control_sequences(setup: Setup) {
    let mut rig = setup.spawn(wrapping(60, 24));
    rig.until_shown(OPENING[0]);
    assert!(rig.is_cooked(), "the terminal is raw");
    rig.send("kim: hello");
    rig.until_shown("kim: hello");
    rig.keys("helo\x7flo kim\r");
    rig.until_received(&["hello kim"]);
    rig.send("kim: goodbye");
    rig.until_shown("kim: goodbye");
    rig.keys("\x04");
    assert!(rig.until_exited().success());
    assert!(rig.is_cooked());
    assert!(!rig.written().contains(&0x1b), "{}", rig.picture());
}

#[test]
fn a_dumb_terminal_gets_no_control_sequences() {
    talks_without_control_sequences(Setup::new().env("TERM", "dumb"));
}

#[test]
fn without_term_no_control_sequences_are_written() {
    talks_without_control_sequences(Setup::new().without("TERM"));
    talks_without_control_sequences(Setup::new().env("TERM", ""));
}

/// Sends and receives lines of each kind.
fn talks(setup: Setup) -> Rig {
    let mut rig = setup.start(wrapping(60, 24));
    rig.send("kim: hello guest1");
    rig.send("! name not changed: lee is in use");
    rig.send("** kim waves");
    rig.keys("hello\r/who\r");
    rig.until_received(&["hello"]);
    rig.send("kim: goodbye");
    rig.until_shown("kim: goodbye");
    rig
}

#[test]
fn colours_follow_the_flag_and_no_color() {
    let colors = |setup| audit(talks(setup).written()).has_colors;
    assert!(colors(Setup::new()));
    assert!(colors(Setup::new().flags(&["--color", "always"])));
    let no_color = Setup::new().env("NO_COLOR", "1");
    assert!(colors(no_color.flags(&["--color", "always"])));
    for setup in [
        Setup::new().env("NO_COLOR", "1"),
        Setup::new().flags(&["--color", "never"]),
        Setup::new().env("MADANG_COLOR", "never"),
    ] {
        let audit = audit(talks(setup).written());
        assert_eq!((audit.found, audit.has_colors), (vec![], false));
    }
}

#[test]
fn the_bell_rings_only_with_the_flag() {
    let bells = |setup| {
        let written = talks(setup).written().to_vec();
        written.iter().filter(|&&byte| byte == 0x07).count()
    };
    assert_eq!(bells(Setup::new()), 0);
    assert_eq!(bells(Setup::new().flags(&["--bell"])), 1);
}
