//! A hostile server: whatever it says is text on the screen, and nothing that the terminal would do.

use crate::audit::{Colors, audit};
use crate::common::resident_bytes;
use crate::host::{NAME, OPENING};
use crate::model::{Model, breaking, cutting};
use crate::rig::Rig;

/// What is said, and how it must be shown. The stand-ins for control characters are those of Unicode's Control Pictures
/// block; what has no picture is U+FFFD.
const ATTACKS: &[(&[u8], &str)] = &[
    // The title, the clipboard, what the terminal is asked for and then types, as if the person had.
    (b"kim: \x1b]0;owned\x07", "kim: ␛]0;owned␇"),
    (b"kim: \x1b]52;c;b3duZWQ=\x07", "kim: ␛]52;c;b3duZWQ=␇"),
    (b"kim: \x1b]52;c;?\x1b\\", "kim: ␛]52;c;?␛\\"),
    (
        b"kim: \x1b[c\x1b[5n\x1b[6n\x1b[21t\x05",
        "kim: ␛[c␛[5n␛[6n␛[21t␅",
    ),
    (b"kim: \x1bP$q\"p\x1b\\", "kim: ␛P$q\"p␛\\"),
    // The whole screen, its modes, its size, its character set.
    (b"kim: \x1bc\x1b[!p", "kim: ␛c␛[!p"),
    (b"kim: \x1b[2J\x1b[3J\x1b[H", "kim: ␛[2J␛[3J␛[H"),
    (
        b"kim: \x1b[?1049h\x1b[?25l\x1b[?1000h",
        "kim: ␛[?1049h␛[?25l␛[?1000h",
    ),
    (b"kim: \x1b[?2004l\x1b[20h\x1b=", "kim: ␛[?2004l␛[20h␛="),
    (b"kim: \x1b[8;1;1t\x1b[1;3r", "kim: ␛[8;1;1t␛[1;3r"),
    (b"kim: \x1b(0\x0elqk\x0f", "kim: ␛(0␎lqk␏"),
    // What others said, or would seem to have said.
    (b"kim: hi\r* lee has left", "kim: hi␍* lee has left"),
    (
        b"kim: \x1b[1A\x1b[2Klee: I agree",
        "kim: ␛[1A␛[2Klee: I agree",
    ),
    (b"kim: no\x08\x08yes\x7f\x0b\x0c\0", "kim: no␈␈yes␡␋␌␀"),
    (
        "kim: \u{202e}tsaf\u{2066}\u{200f}".as_bytes(),
        "kim: \u{fffd}tsaf\u{fffd}\u{fffd}",
    ),
    (
        "kim: one\u{2028}lee: two\u{85}".as_bytes(),
        "kim: one\u{fffd}lee: two\u{fffd}",
    ),
    // The same functions in eight bits, as C1 characters and as bytes that are no UTF-8.
    (
        "kim: \u{9b}2J\u{9d}0;owned\u{9c}".as_bytes(),
        "kim: \u{fffd}2J\u{fffd}0;owned\u{fffd}",
    ),
    (
        b"kim: \x9b2J\x9d0;owned\x9c\xff\xfe",
        "kim: \u{fffd}2J\u{fffd}0;owned\u{fffd}\u{fffd}\u{fffd}",
    ),
    // A function that begins in one line and ends in the next.
    (b"kim: \x1b[", "kim: ␛["),
    (b"2J", "2J"),
    (b"kim: \x1b]0;", "kim: ␛]0;"),
    (b"lee: \x07", "lee: ␇"),
];

const TYPED: &str = "half a line";

/// The terminal is as it was: it did nothing but show text, and nothing was typed for the person.
#[track_caller]
fn assert_untouched(rig: &mut Rig, modes: &str) {
    assert_eq!(audit(rig.written(), Colors::Allowed), [""; 0]);
    assert_eq!(rig.terminal().effects(), [""; 0]);
    assert_eq!(rig.terminal().modes(), modes);
    assert_eq!(rig.answers(), 0, "the terminal was made to type");
    let host = rig.host();
    assert_eq!((host.heard(), host.heard_begun()), (&[][..], &b""[..]));
}

/// Every attack is shown as text, in the way in which this terminal shows it.
fn shows_attacks(terminal: Box<dyn Model>, way: fn(&str) -> String) {
    let mut rig = Rig::new(terminal);
    rig.keys(TYPED);
    rig.until_typed(TYPED, "");
    let modes = rig.terminal().modes();
    let mut shown = OPENING.map(str::to_owned).to_vec();
    for (line, text) in ATTACKS {
        rig.host().say(line);
        rig.host().say(b"\n");
        shown.push(way(text));
    }
    rig.until_shown(&shown[shown.len() - 1]);
    rig.until_typed(TYPED, "");
    assert_eq!(rig.picture().above(), shown);
    assert_untouched(&mut rig, &modes);
    rig.keys("\r");
    rig.until_heard(&[TYPED]);
}

#[test]
fn what_a_terminal_would_obey_is_shown_as_text() {
    shows_attacks(breaking(80, 40), str::to_owned);
    // This library takes U+FFFD for nothing.
    shows_attacks(cutting(80, 40), |text| text.replace('\u{fffd}', ""));
}

#[test]
fn names_are_as_harmless_as_lines() {
    let mut rig = Rig::new(breaking(80, 40));
    let modes = rig.terminal().modes();
    // Its own name, which it shows when it says something, and others', which Tab completes or lists.
    rig.say("* you are now \x1b]0;owned\x07");
    rig.say("* here in lobby: zed\x1b[2J, zed\x1b[3J (2)");
    rig.say("zoe\x1bc: hi");
    rig.say("kim: goodbye");
    rig.until_shown("kim: goodbye");
    rig.keys("ze\t\t\x15zo\t");
    rig.until_shown("zed␛[2J");
    assert_untouched(&mut rig, &modes);
    rig.keys("\x15hello\r");
    rig.until_heard(&["hello"]);
    rig.until_shown("hello");
    assert_eq!(audit(rig.written(), Colors::Allowed), [""; 0]);
    assert_eq!(rig.terminal().effects(), [""; 0]);
}

#[test]
fn a_line_without_an_end_takes_no_memory_and_keeps_nobody() {
    const CHUNKS: usize = 640;
    let chunk = "x".repeat(64 * 1024);
    let mut rig = Rig::new(breaking(80, 24));
    let before = resident_bytes(rig.id());
    rig.host().say(b"kim: ");
    for _ in 0..CHUNKS {
        rig.host().say(chunk.as_bytes());
        rig.until("more can be said", |rig| rig.host().has_said_all());
    }
    rig.keys("still here\r");
    rig.until_heard(&["still here"]);
    rig.say("");
    rig.say("kim: goodbye");
    rig.until_shown("kim: goodbye");
    let grown = resident_bytes(rig.id()).saturating_sub(before);
    assert!(grown < 16 << 20, "{grown} bytes for {CHUNKS} times 64 KiB");
    rig.until_shown(&format!("{NAME}: still here"));
}
