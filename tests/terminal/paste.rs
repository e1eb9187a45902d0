//! Pasting many lines: each is sent as a line, in order, while other lines come in.

use std::time::Duration;

use crate::model::wrapping;
use crate::rig::Rig;
use crate::seeded;

const LINES: usize = 500;

/// The pasted lines. The last one has no line end.
fn pasted() -> Vec<String> {
    let line = |number| format!("pasted {number:03} 한글 줄 {}", "y".repeat(number % 50));
    (0..=LINES).map(line).collect()
}

/// Types a text in pieces, cut anywhere, while lines come in.
fn paste(rig: &mut Rig, text: &str) {
    let mut rng = seeded();
    let mut sent = 0;
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        let (piece, others) = rest.split_at(rng.usize(1..1500).min(rest.len()));
        rig.key_bytes(piece);
        rest = others;
        rig.send(&format!("kim: {sent} while you paste"));
        sent += 1;
        rig.run_for(Duration::from_millis(rng.u64(0..10)));
    }
    rig.until_shown(&format!("kim: {} while you paste", sent - 1));
}

fn assert_all_is_sent(rig: &mut Rig) {
    let lines = pasted();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    rig.until_received(&lines[..LINES]);
    rig.until_typed(lines[LINES], "");
    rig.keys("\r");
    rig.until_received(&lines);
}

#[test]
fn a_bracketed_paste_is_sent_line_by_line() {
    for line_end in ["\r", "\n", "\r\n"] {
        let mut rig = Rig::new(wrapping(40, 12));
        assert!(rig.terminal().brackets_pastes(), "bracketed paste is off");
        let text = pasted().join(line_end);
        paste(&mut rig, &format!("\x1b[200~{text}\x1b[201~"));
        assert_all_is_sent(&mut rig);
    }
}

#[test]
fn a_paste_without_brackets_is_sent_line_by_line() {
    for line_end in ["\r", "\n"] {
        let mut rig = Rig::new(wrapping(40, 12));
        paste(&mut rig, &pasted().join(line_end));
        assert_all_is_sent(&mut rig);
    }
}

#[test]
fn keys_in_a_bracketed_paste_are_text() {
    let mut rig = Rig::new(wrapping(40, 12));
    rig.keys("\x1b[200~a\tb\x15\x03\x04\x1b[Dc\x1b[201~");
    rig.until_typed("a\u{2409}b\u{2415}\u{2403}\u{2404}\u{241b}[Dc", "");
    rig.keys("\r");
    rig.until_received(&["a\tb\u{2415}\u{2403}\u{2404}\u{241b}[Dc"]);
}
