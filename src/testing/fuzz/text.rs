//! The body of the fuzz target `text`: renders a line and compares it with a terminal emulator's parser and Unicode's
//! lists.

use super::shown::{assert_harmless, is_forbidden};
use crate::hub::input::text::{NotUtf8, Text, last_character_bytes};
use crate::protocol::Append;

/// Input: one line.
pub fn text(data: &[u8]) {
    let mut chunks = data.utf8_chunks();
    let first = chunks.next();
    match (first, Text::check(data)) {
        (None, got) => assert_eq!(got.map(|text| text.as_sent()), Ok("")),
        (Some(chunk), got) if !chunk.invalid().is_empty() => {
            let byte = chunk.valid().len() + 1;
            let is_cut = matches!(data[byte - 1], 0xc2..=0xf4);
            assert_eq!(got.err(), Some(NotUtf8 { byte, is_cut }));
        }
        (Some(chunk), got) => assert_eq!(got.map(|text| text.as_sent()), Ok(chunk.valid())),
    }
    erase_all(data);
    // Input that is not UTF-8 is rendered after replacement of its invalid bytes.
    let sent = String::from_utf8_lossy(data);
    let shown = show(&sent);
    assert_harmless(shown.as_bytes());
    assert!(shown.len() <= 3 * sent.len());
    assert_eq!(show(&shown), shown);
    assert_eq!(sent.chars().count(), shown.chars().count());
    for (sent, shown) in sent.chars().zip(shown.chars()) {
        let stand_in = matches!(shown, '\u{2400}'..='\u{241f}' | '\u{2421}' | '\u{fffd}');
        let is_right = match is_forbidden(sent) {
            true => stand_in,
            false => shown == sent,
        };
        assert!(is_right, "{sent:?} is shown as {shown:?}");
    }
}

/// Erases a line character by character: each time whole characters go, and of valid text valid text is left.
fn erase_all(line: &[u8]) {
    let mut left = line;
    while !left.is_empty() {
        let n = last_character_bytes(left);
        assert!((1..=64).contains(&n));
        let was_valid = str::from_utf8(left).is_ok();
        left = &left[..left.len() - n];
        assert!(!was_valid || str::from_utf8(left).is_ok());
    }
    assert_eq!(last_character_bytes(left), 0);
}

fn show(sent: &str) -> String {
    let text = Text::of(sent);
    let mut shown = Vec::new();
    text.append_to(&mut shown);
    let shown = String::from_utf8(shown).expect("rendered text is UTF-8");
    assert_eq!(text.to_string(), shown, "both ways of rendering agree");
    shown
}
