//! Keys do what they do in a shell, lines that were typed come back, and Tab knows commands and names.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::rc::Rc;

use crate::common::Scratch;
use crate::host::NAME;
use crate::model::breaking;
use crate::rig::{Rig, Setup};

/// Keys, and what they leave before the cursor and after it.
const KEYS: &[(&str, &str, &str)] = &[
    // Ctrl-W, Ctrl-U, Ctrl-K cut, Ctrl-Y puts in again.
    ("one two\x17", "one ", ""),
    ("one two\x02\x02\x02\x15", "", "two"),
    ("one two\x1bb\x0b", "one ", ""),
    ("one two\x17\x01\x19", "two", "one "),
    ("one two\x02\x02\x02\x15\x05\x19", "twoone ", ""),
    ("one two\x01\x0b\x19\x19", "one twoone two", ""),
    // Ctrl-A, Ctrl-E, Home and End as different terminals send them.
    ("bc\x01a\x05d", "abcd", ""),
    ("bc\x1b[Ha\x1b[Fd", "abcd", ""),
    ("bc\x1bOHa\x1bOFd", "abcd", ""),
    ("bc\x1b[1~a\x1b[4~d", "abcd", ""),
    // By words: Alt-B, Alt-F, Ctrl and an arrow.
    ("one two\x1bb\x1bbx\x1bfy", "xoney", " two"),
    ("one two\x1b[1;5D\x1b[1;5Dx\x1b[1;5Cy", "xoney", " two"),
    // By characters: arrows, Delete, Ctrl-D, Backspace; wide and composed ones are one.
    ("ac\x1b[Db\x1b[C!", "abc!", ""),
    ("abc\x01\x1b[3~", "", "bc"),
    ("abc\x01\x04", "", "bc"),
    ("한글e\u{301}\x7f\x7f!", "한!", ""),
    ("👩‍👩‍👧!\x02\x02x", "x", "👩‍👩‍👧!"),
    // Ctrl-T exchanges, Ctrl-L empties the screen of all but this.
    ("ab\x14", "ba", ""),
    ("half a\x0c line", "half a line", ""),
    // Keys without a meaning, such as F5 or a mouse that was never asked for, type nothing.
    ("a\x1b[15~\x1b[<0;1;1M\x1bOPb", "ab", ""),
];

#[test]
fn keys_do_what_they_do_in_a_shell() {
    let mut rig = Rig::new(breaking(60, 24));
    let mut sent: Vec<String> = Vec::new();
    for (keys, before, after) in KEYS {
        rig.keys(keys);
        rig.until_typed(before, after);
        // What is sent tells of blanks as well.
        rig.keys("\r");
        sent.push([*before, *after].concat());
        let sent: Vec<&str> = sent.iter().map(String::as_str).collect();
        rig.until_heard(&sent);
    }
}

#[test]
fn tab_completes_commands_and_names() {
    let mut rig = Rig::new(breaking(60, 24));
    for (keys, typed) in [
        ("/wh\t", "/who "),
        ("/W\t", "/who "),
        // Who was here before, and was told of.
        ("ki\t", "kim: "),
        ("hello le\t", "hello lee "),
        ("nobody\t", "nobody"),
    ] {
        rig.keys(keys);
        rig.keys("!");
        rig.until_typed(&format!("{typed}!"), "");
        rig.keys("\x15");
        rig.until_typed("", "");
    }
    // Who spoke, came, or is called otherwise now.
    rig.say("park: hello");
    rig.say("* joined: choi (4 here)");
    rig.say("* renamed: lee -> leonore");
    rig.until_shown("leonore");
    for (keys, typed) in [
        ("pa\t", "park: "),
        ("ch\t", "choi: "),
        ("le\t", "leonore: "),
    ] {
        rig.keys(keys);
        rig.until_typed(typed, "");
        rig.keys("\x15");
        rig.until_typed("", "");
    }
}

#[test]
fn tab_lists_what_it_can_not_choose_from() {
    let mut rig = Rig::new(breaking(60, 24));
    rig.say("kai: hello");
    rig.until_shown("kai: hello");
    rig.keys("k\t");
    rig.until_shown("kai  kim");
    rig.until_typed("k", "");
    rig.keys("i\t");
    rig.until_typed("kim: ", "");
}

/// Types lines and leaves.
fn first_run(setup: Setup) {
    let mut rig = setup.start(breaking(60, 24));
    rig.keys("first\rsecond 둘\r");
    rig.until_heard(&["first", "second 둘"]);
    rig.keys("\x04");
    assert!(rig.until_ended().success());
}

fn assert_private(file: &Path) {
    let file = fs::metadata(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    assert_eq!(file.permissions().mode() & 0o777, 0o600);
}

#[test]
fn lines_come_back_in_the_next_run() {
    let home = Rc::new(Scratch::new());
    first_run(Setup::new().home(&home));
    assert_private(&home.path("madang/history"));
    let mut rig = Setup::new().home(&home).start(breaking(60, 24));
    const UP: &str = "\x1b[A";
    const DOWN: &str = "\x1b[B";
    for (key, typed) in [
        ("a draft", "a draft"),
        (UP, "second 둘"),
        (UP, "first"),
        (UP, "first"),
        (DOWN, "second 둘"),
        (DOWN, "a draft"),
        ("\x10", "second 둘"),
        ("\x0e", "a draft"),
        (UP, "second 둘"),
        ("!", "second 둘!"),
    ] {
        rig.keys(key);
        rig.until_typed(typed, "");
    }
    rig.keys("\r");
    rig.until_heard(&["second 둘!"]);
    rig.until_shown(&format!("{NAME}: second 둘!"));
    rig.keys(UP);
    rig.until_typed("second 둘!", "");
    rig.keys(UP);
    rig.until_typed("second 둘", "");
}

#[test]
fn without_a_folder_for_it_history_is_kept_at_home() {
    let home = Rc::new(Scratch::new());
    first_run(Setup::new().home(&home).without("XDG_STATE_HOME"));
    assert_private(&home.path(".local/state/madang/history"));
}
