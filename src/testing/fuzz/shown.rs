//! Whether text is safe on a terminal, judged by a terminal emulator's parser (`vte`) and by Unicode's lists.

use vte::{Params, Parser, Perform};

/// Asserts that a terminal prints these bytes and executes none of them.
pub fn assert_harmless(line: &[u8]) {
    let text = str::from_utf8(line).expect("rendered text is UTF-8");
    Parser::new().advance(&mut Terminal, line);
    assert!(!text.chars().any(is_forbidden), "{text:?}");
}

/// Whether a character must not be shown. Copied from Unicode's lists, independent of the code under test.
pub fn is_forbidden(c: char) -> bool {
    // `Bidi_Control`, as in PropList.txt.
    let bidi = [
        '\u{61c}', '\u{200e}', '\u{200f}', '\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}',
        '\u{202e}', '\u{2066}', '\u{2067}', '\u{2068}', '\u{2069}',
    ];
    let separators = ['\u{2028}', '\u{2029}'];
    // Deprecated format characters, and interlinear annotation.
    let formats = '\u{206a}'..='\u{206f}';
    let annotation = '\u{fff9}'..='\u{fffb}';
    c.is_control() && c != '\t'
        || bidi.contains(&c)
        || separators.contains(&c)
        || formats.contains(&c)
        || annotation.contains(&c)
}

/// A terminal that panics at every control except TAB.
struct Terminal;

impl Perform for Terminal {
    fn execute(&mut self, byte: u8) {
        assert_eq!(byte, b'\t', "a control character is executed");
    }

    fn hook(&mut self, _: &Params, _: &[u8], _: bool, action: char) {
        panic!("a device control string begins: {action}");
    }

    fn osc_dispatch(&mut self, params: &[&[u8]], _: bool) {
        panic!("an operating system command: {params:?}");
    }

    fn csi_dispatch(&mut self, _: &Params, _: &[u8], _: bool, action: char) {
        panic!("a control sequence: {action}");
    }

    fn esc_dispatch(&mut self, _: &[u8], _: bool, byte: u8) {
        panic!("an escape sequence: {byte}");
    }
}
