//! Editing keys as in a shell, recalling typed lines, and Tab completion.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::rc::Rc;

use crate::common::Scratch;
use crate::fake_server::NAME;
use crate::model::wrapping;
use crate::rig::{Rig, Setup};

/// Keys, and the typed text before the cursor and after it that they result in.
const KEYS: &[(&str, &str, &str)] = &[
    // Ctrl-W, Ctrl-U, Ctrl-K cut, Ctrl-Y pastes what was cut.
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
    // By characters: arrows, Delete, Ctrl-D, Backspace. A grapheme cluster is one character.
    ("ac\x1b[Db\x1b[C!", "abc!", ""),
    ("abc\x01\x1b[3~", "", "bc"),
    ("abc\x01\x04", "", "bc"),
    ("한글e\u{301}\x7f\x7f!", "한!", ""),
    ("👩‍👩‍👧!\x02\x02x", "x", "👩‍👩‍👧!"),
    // Ctrl-T swaps two characters, Ctrl-L clears the screen but for the typed line.
    ("ab\x14", "ba", ""),
    ("half a\x0c line", "half a line", ""),
    // Other keys, such as F5 and mouse reports, type nothing.
    ("a\x1b[15~\x1b[<0;1;1M\x1bOPb", "ab", ""),
];

#[test]
fn editing_keys_work_as_in_a_shell() {
    let mut rig = Rig::new(wrapping(60, 24));
    let mut sent: Vec<String> = Vec::new();
    for (keys, before, after) in KEYS {
        rig.keys(keys);
        rig.until_typed(before, after);
        // The picture leaves out blanks; the line that is sent has them.
        rig.keys("\r");
        sent.push([*before, *after].concat());
        let sent: Vec<&str> = sent.iter().map(String::as_str).collect();
        rig.until_received(&sent);
    }
}

/// Types the start of a text, then Tab and `!`, which shows where the completed text ends.
#[track_caller]
fn assert_completed(rig: &mut Rig, start: &str, completed: &str) {
    rig.keys(&format!("{start}\t!"));
    rig.until_typed(&format!("{completed}!"), "");
    rig.keys("\x15");
    rig.until_typed("", "");
}

#[test]
fn tab_completes_commands_and_names() {
    let mut rig = Rig::new(wrapping(60, 24));
    assert_completed(&mut rig, "/wh", "/who ");
    assert_completed(&mut rig, "/W", "/who ");
    // Members from the answer to `/who`.
    assert_completed(&mut rig, "ki", "kim: ");
    assert_completed(&mut rig, "hello le", "hello lee ");
    assert_completed(&mut rig, "nobody", "nobody");
    // Members who spoke, joined or have a new name.
    rig.send("park: hello");
    rig.send("* joined: choi (4 here)");
    rig.send("* renamed: lee -> leonore");
    rig.until_shown("leonore");
    assert_completed(&mut rig, "pa", "park: ");
    assert_completed(&mut rig, "ch", "choi: ");
    assert_completed(&mut rig, "le", "leonore: ");
}

#[test]
fn tab_lists_several_matching_names() {
    let mut rig = Rig::new(wrapping(60, 24));
    rig.send("kai: hello");
    rig.until_shown("kai: hello");
    rig.keys("k\t");
    rig.until_shown("kai  kim");
    rig.until_typed("k", "");
    rig.keys("i\t");
    rig.until_typed("kim: ", "");
}

/// Types two lines and leaves.
fn first_run(setup: Setup) {
    let mut rig = setup.start(wrapping(60, 24));
    rig.keys("first\rsecond 둘\r");
    rig.until_received(&["first", "second 둘"]);
    rig.keys("\x04");
    assert!(rig.until_exited().success());
}

fn assert_private(file: &Path) {
    let file = fs::metadata(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    assert_eq!(file.permissions().mode() & 0o777, 0o600);
}

#[test]
fn typed_lines_are_recalled_in_the_next_run() {
    let home = Rc::new(Scratch::new());
    first_run(Setup::new().home(&home));
    assert_private(&home.path("madang/history"));
    let mut rig = Setup::new().home(&home).start(wrapping(60, 24));
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
    rig.until_received(&["second 둘!"]);
    rig.until_shown(&format!("{NAME}: second 둘!"));
    rig.keys(UP);
    rig.until_typed("second 둘!", "");
    rig.keys(UP);
    rig.until_typed("second 둘", "");
}

#[test]
fn without_xdg_state_home_history_is_kept_in_home() {
    let home = Rc::new(Scratch::new());
    first_run(Setup::new().home(&home).without("XDG_STATE_HOME"));
    assert_private(&home.path(".local/state/madang/history"));
}
