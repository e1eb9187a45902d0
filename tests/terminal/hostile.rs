//! A hostile server: whatever it sends is shown as text and has no other effect on the terminal.

use crate::audit::audit;
use crate::common::resident_bytes;
use crate::fake_server::{NAME, OPENING};
use crate::model::{Model, truncating, wrapping};
use crate::rig::Rig;

/// What the server sends, and how it must be shown. Control characters are shown by Unicode's Control Pictures block, or by
/// U+FFFD.
const ATTACKS: &[(&[u8], &str)] = &[
    // The title; the clipboard; queries, whose answers the terminal would type as if the person had.
    (b"kim: \x1b]0;owned\x07", "kim: ␛]0;owned␇"),
    (b"kim: \x1b]52;c;b3duZWQ=\x07", "kim: ␛]52;c;b3duZWQ=␇"),
    (b"kim: \x1b]52;c;?\x1b\\", "kim: ␛]52;c;?␛\\"),
    (
        b"kim: \x1b[c\x1b[5n\x1b[6n\x1b[21t\x05",
        "kim: ␛[c␛[5n␛[6n␛[21t␅",
    ),
    (b"kim: \x1bP$q\"p\x1b\\", "kim: ␛P$q\"p␛\\"),
    // Reset, erasing, modes, size, character set.
    (b"kim: \x1bc\x1b[!p", "kim: ␛c␛[!p"),
    (b"kim: \x1b[2J\x1b[3J\x1b[H", "kim: ␛[2J␛[3J␛[H"),
    (
        b"kim: \x1b[?1049h\x1b[?25l\x1b[?1000h",
        "kim: ␛[?1049h␛[?25l␛[?1000h",
    ),
    (b"kim: \x1b[?2004l\x1b[20h\x1b=", "kim: ␛[?2004l␛[20h␛="),
    (b"kim: \x1b[8;1;1t\x1b[1;3r", "kim: ␛[8;1;1t␛[1;3r"),
    (b"kim: \x1b(0\x0elqk\x0f", "kim: ␛(0␎lqk␏"),
    // Changing what others said, or pretending that they said something.
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
    // 8-bit control functions (C1), as characters and as bytes that are invalid UTF-8.
    (
        "kim: \u{9b}2J\u{9d}0;owned\u{9c}".as_bytes(),
        "kim: \u{fffd}2J\u{fffd}0;owned\u{fffd}",
    ),
    (
        b"kim: \x9b2J\x9d0;owned\x9c\xff\xfe",
        "kim: \u{fffd}2J\u{fffd}0;owned\u{fffd}\u{fffd}\u{fffd}",
    ),
    // A control sequence that begins in one line and ends in the next.
    (b"kim: \x1b[", "kim: ␛["),
    (b"2J", "2J"),
    (b"kim: \x1b]0;", "kim: ␛]0;"),
    (b"lee: \x07", "lee: ␇"),
];

const TYPED: &str = "half a line";

/// The terminal did nothing but show text, and typed nothing by itself.
#[track_caller]
fn assert_untouched(rig: &mut Rig) {
    assert_eq!(audit(rig.written()).found, [""; 0]);
    assert!(rig.terminal().brackets_pastes());
    assert_eq!(rig.answers(), 0, "the terminal answered a query");
    let server = rig.server();
    assert_eq!(server.received(), [""; 0]);
    assert_eq!(server.received_partial(), b"");
}

/// Each attack is shown as text. `shown_as` is how this terminal shows a text.
fn shows_attacks(terminal: Box<dyn Model>, shown_as: fn(&str) -> String) {
    let mut rig = Rig::new(terminal);
    rig.keys(TYPED);
    rig.until_typed(TYPED, "");
    let mut shown = OPENING.map(str::to_owned).to_vec();
    for (line, text) in ATTACKS {
        rig.server().send(line);
        rig.server().send(b"\n");
        shown.push(shown_as(text));
    }
    rig.until_shown(&shown[shown.len() - 1]);
    rig.until_typed(TYPED, "");
    assert_eq!(rig.picture().above(), shown);
    assert_untouched(&mut rig);
    rig.keys("\r");
    rig.until_received(&[TYPED]);
}

#[test]
fn control_sequences_from_the_server_are_shown_as_text() {
    shows_attacks(wrapping(80, 40), str::to_owned);
    // This library does not show U+FFFD.
    shows_attacks(truncating(80, 40), |text| text.replace('\u{fffd}', ""));
}

#[test]
fn control_sequences_in_names_are_shown_as_text() {
    let mut rig = Rig::new(wrapping(80, 40));
    // The client's own name, which is shown with its lines, and others' names, which Tab completes or lists.
    rig.send("* you are now \x1b]0;owned\x07");
    rig.send("* here in lobby: zed\x1b[2J, zed\x1b[3J (2)");
    rig.send("zoe\x1bc: hi");
    rig.send("kim: goodbye");
    rig.until_shown("kim: goodbye");
    rig.keys("ze\t\t\x15zo\t");
    rig.until_shown("zed␛[2J");
    assert_untouched(&mut rig);
    rig.keys("\x15hello\r");
    rig.until_received(&["hello"]);
    rig.until_shown("hello");
    assert_eq!(audit(rig.written()).found, [""; 0]);
}

#[test]
fn an_endless_line_uses_bounded_memory_and_does_not_block_typing() {
    const CHUNKS: usize = 640;
    let chunk = "x".repeat(64 * 1024);
    let mut rig = Rig::new(wrapping(80, 24));
    let before = resident_bytes(rig.id());
    rig.server().send(b"kim: ");
    for _ in 0..CHUNKS {
        rig.server().send(chunk.as_bytes());
        rig.until("the chunk is sent", |rig| rig.server().has_sent_all());
    }
    rig.keys("still here\r");
    rig.until_received(&["still here"]);
    rig.send("");
    rig.send("kim: goodbye");
    rig.until_shown("kim: goodbye");
    let grown = resident_bytes(rig.id()).saturating_sub(before);
    assert!(grown < 16 << 20, "{grown} bytes for {CHUNKS} times 64 KiB");
    rig.until_shown(&format!("{NAME}: still here"));
}
