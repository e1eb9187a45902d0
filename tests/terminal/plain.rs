//! Terminals and people who want less: no escape sequence where they are not understood, no colour where it is not wanted.

use crate::audit::{Colors, audit, has_colors};
use crate::host::OPENING;
use crate::model::breaking;
use crate::rig::{Rig, Setup};

/// Lines go both ways, edited by the terminal's driver; the driver's own end of input ends the program.
fn talks_plainly(setup: Setup) {
    let mut rig = setup.spawn(breaking(60, 24));
    rig.until_shown(OPENING[0]);
    assert!(rig.is_cooked(), "somebody else edits");
    rig.say("kim: hello");
    rig.until_shown("kim: hello");
    rig.keys("helo\x7flo kim\r");
    rig.until_heard(&["hello kim"]);
    rig.say("kim: goodbye");
    rig.until_shown("kim: goodbye");
    rig.keys("\x04");
    assert!(rig.until_ended().success());
    assert!(rig.is_cooked());
    assert!(!rig.written().contains(&0x1b), "{}", rig.picture());
}

#[test]
fn a_dumb_terminal_is_written_no_escape_sequence() {
    talks_plainly(Setup::new().env("TERM", "dumb"));
}

#[test]
fn an_unknown_terminal_is_written_no_escape_sequence() {
    talks_plainly(Setup::new().without("TERM"));
    talks_plainly(Setup::new().env("TERM", ""));
}

/// Says and hears something of each kind.
fn some_talk(setup: Setup) -> Rig {
    let mut rig = setup.start(breaking(60, 24));
    rig.say("kim: hello guest1");
    rig.say("! name not changed: lee is in use");
    rig.say("* kim waves");
    rig.keys("hello\r/who\r");
    rig.until_heard(&["hello"]);
    rig.say("kim: goodbye");
    rig.until_shown("kim: goodbye");
    rig
}

#[test]
fn colours_are_there_unless_they_are_not_wanted() {
    let colors = |setup| has_colors(some_talk(setup).written());
    assert!(colors(Setup::new()));
    assert!(colors(Setup::new().flags(&["--color", "always"])));
    assert!(colors(
        Setup::new()
            .env("NO_COLOR", "1")
            .flags(&["--color", "always"])
    ));
    for setup in [
        Setup::new().env("NO_COLOR", "1"),
        Setup::new().flags(&["--color", "never"]),
        Setup::new().env("MADANG_COLOR", "never"),
    ] {
        let rig = some_talk(setup);
        assert_eq!(audit(rig.written(), Colors::Forbidden), [""; 0]);
    }
}

#[test]
fn the_bell_rings_only_where_it_is_wanted() {
    let bells = |setup| {
        let written = some_talk(setup).written().to_vec();
        written.iter().filter(|&&byte| byte == 0x07).count()
    };
    assert_eq!(bells(Setup::new()), 0);
    assert_eq!(bells(Setup::new().flags(&["--bell"])), 1);
}
