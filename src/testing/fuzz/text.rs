//! What may be shown: against a terminal emulator's parser and Unicode's own lists.

use super::shown::{assert_harmless, is_forbidden};
use crate::hub::input::text::{NotUtf8, Text};
use crate::protocol::Append;

/// One line.
pub fn text(data: &[u8]) {
    let mut chunks = data.utf8_chunks();
    let first = chunks.next();
    match (first, Text::check(data)) {
        (None, got) => assert_eq!(got.map(|text| text.as_sent()), Ok("")),
        (Some(chunk), got) if !chunk.invalid().is_empty() => {
            let byte = chunk.valid().len() + 1;
            assert_eq!(got.err(), Some(NotUtf8 { byte }));
        }
        (Some(chunk), got) => assert_eq!(got.map(|text| text.as_sent()), Ok(chunk.valid())),
    }
    // What is no UTF-8 is refused; as a text it is worth trying all the same.
    let sent = String::from_utf8_lossy(data);
    let shown = show(&sent);
    assert_harmless(shown.as_bytes());
    assert!(shown.len() <= 3 * sent.len());
    assert_eq!(show(&shown), shown);
    assert_eq!(sent.chars().count(), shown.chars().count());
    for (sent, shown) in sent.chars().zip(shown.chars()) {
        let stand_in = matches!(shown, '\u{2400}'..='\u{241f}' | '\u{2421}' | '\u{fffd}');
        assert!(
            if is_forbidden(sent) {
                stand_in
            } else {
                shown == sent
            },
            "{sent:?} is shown as {shown:?}"
        );
    }
}

fn show(sent: &str) -> String {
    let text = Text::of(sent);
    let mut shown = Vec::new();
    text.append_to(&mut shown);
    let shown = String::from_utf8(shown).expect("what is shown is UTF-8");
    assert_eq!(text.to_string(), shown, "both ways of rendering agree");
    shown
}
