//! Pasting many lines: each is sent as a line, in order, while other lines come in.

use std::time::Duration;

use crate::model::wrapping;
use crate::rig::Rig;
use crate::seeded;

const LINES: usize = 500;

/// Pasted text. Its last line has no line end.
struct Pasted {
    lines: Vec<String>,
    rest: &'static str,
}

impl Pasted {
    fn new() -> Self {
        let line = |number| format!("pasted {number:03} 한글 줄 {}", "y".repeat(number % 50));
        Self {
            lines: (0..LINES).map(line).collect(),
            rest: "the rest",
        }
    }

    fn text(&self, line_end: &str) -> String {
        let ended = |line: &String| format!("{line}{line_end}");
        let lines: String = self.lines.iter().map(ended).collect();
        lines + self.rest
    }
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

fn assert_all_is_sent(rig: &mut Rig, pasted: &Pasted) {
    rig.until("every line", |rig| rig.server().received().len() >= LINES);
    let received = rig.server().received();
    let wrong = received
        .iter()
        .zip(&pasted.lines)
        .find(|(received, line)| received != line);
    assert_eq!((received.len(), wrong), (LINES, None));
    rig.until_typed(pasted.rest, "");
    rig.keys("\r");
    rig.until("the rest", |rig| rig.server().received().len() > LINES);
    assert_eq!(rig.server().received()[LINES], pasted.rest);
}

#[test]
fn a_bracketed_paste_is_sent_line_by_line() {
    for line_end in ["\r", "\n", "\r\n"] {
        let mut rig = Rig::new(wrapping(40, 12));
        assert!(rig.terminal().brackets_pastes(), "bracketed paste is off");
        let pasted = Pasted::new();
        let text = pasted.text(line_end);
        paste(&mut rig, &format!("\x1b[200~{text}\x1b[201~"));
        assert_all_is_sent(&mut rig, &pasted);
    }
}

#[test]
fn a_paste_without_brackets_is_sent_line_by_line() {
    for line_end in ["\r", "\n"] {
        let mut rig = Rig::new(wrapping(40, 12));
        let pasted = Pasted::new();
        paste(&mut rig, &pasted.text(line_end));
        assert_all_is_sent(&mut rig, &pasted);
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
