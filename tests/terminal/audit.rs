//! Checks the bytes that a program wrote to a terminal: which control sequences are in them that the program has no
//! reason to write.

use vte::{Params, Parser, Perform};

/// What the program wrote besides text, line ends and what editing a line needs.
#[derive(Default)]
pub(crate) struct Audit {
    /// Control characters and sequences that the program has no reason to write.
    pub(crate) found: Vec<String>,
    /// It set a colour or another rendition (SGR).
    pub(crate) has_colors: bool,
}

pub(crate) fn audit(written: &[u8]) -> Audit {
    let mut audit = Audit::default();
    Parser::new().advance(&mut audit, written);
    audit
}

impl Perform for Audit {
    fn print(&mut self, c: char) {
        let is_bidi_or_separator = matches!(c, '\u{200e}' | '\u{200f}' | '\u{61c}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if c.is_control() || is_bidi_or_separator {
            self.found.push(format!("{c:?}"));
        }
    }

    fn execute(&mut self, byte: u8) {
        if !matches!(byte, b'\r' | b'\n') {
            self.found.push(format!("{:?}", char::from(byte)));
        }
    }

    fn csi_dispatch(&mut self, params: &Params, marks: &[u8], _: bool, last: char) {
        let params: Vec<&[u16]> = params.iter().collect();
        let is_needed = match (marks, last) {
            // Cursor up, right, to a column; erase the rest of a row or of the screen.
            (b"", 'A' | 'C' | 'G') => true,
            (b"", 'K' | 'J') => params == [[0]],
            // Ask which terminal it is and where the cursor is; bracketed paste on and off.
            (b">", 'c') => params == [[0]],
            (b"", 'n') => params == [[6]],
            (b"?", 'h' | 'l') => params == [[2004]],
            (b"", 'm') => {
                self.has_colors = true;
                true
            }
            _ => false,
        };
        if !is_needed {
            let marks = marks.escape_ascii();
            self.found.push(format!("CSI {marks}{params:?} {last}"));
        }
    }

    fn esc_dispatch(&mut self, marks: &[u8], _: bool, last: u8) {
        let (marks, last) = (marks.escape_ascii(), char::from(last));
        self.found.push(format!("ESC {marks}{last}"));
    }

    fn osc_dispatch(&mut self, params: &[&[u8]], _: bool) {
        self.found.push(format!("OSC {params:?}"));
    }

    fn hook(&mut self, _: &Params, _: &[u8], _: bool, last: char) {
        self.found.push(format!("DCS {last}"));
    }
}
