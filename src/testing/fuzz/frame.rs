//! The body of the fuzz target `frame`: splits bytes into lines and compares them with a reference that handles byte
//! after byte.

use super::bytes::{Bytes, SIZE, cut};
use crate::hub::input::frame::{Frame, Line};

/// A line; `None`: one that is too long.
type Output = Option<Vec<u8>>;

/// The naive implementation. It keeps a whole line with all CRs, however long.
#[derive(Debug, Default)]
struct Reference {
    line: Vec<u8>,
    has_lf: bool,
    /// The last byte was a CR that has ended a line.
    after_cr: bool,
    too_long: bool,
    output: Vec<Output>,
    terminator_bytes: usize,
    discarded_bytes: usize,
}

impl Reference {
    fn push(&mut self, byte: u8, line_bytes_max: usize) {
        let after_cr = std::mem::take(&mut self.after_cr);
        let ends = if self.has_lf {
            byte == b'\n' || byte == 0 && self.line.last() == Some(&b'\r')
        } else if after_cr && matches!(byte, 0 | b'\n') || byte == b'\r' && self.line.is_empty() {
            self.after_cr = byte == b'\r';
            self.has_lf = byte == b'\n';
            self.terminator_bytes += 1;
            return;
        } else {
            self.after_cr = byte == b'\r';
            self.has_lf = byte == b'\n';
            matches!(byte, b'\r' | b'\n')
        };
        if !ends {
            self.line.push(byte);
            if !self.too_long && without_crs(&self.line).len() > line_bytes_max {
                self.too_long = true;
                self.output.push(None);
            }
            return;
        }
        let text = without_crs(&self.line);
        if self.too_long {
            self.discarded_bytes += without_leading_crs(&self.line).len() + 1;
            self.terminator_bytes += self.line.len() - without_leading_crs(&self.line).len();
        } else {
            self.terminator_bytes += self.line.len() - text.len() + 1;
            self.output.push(Some(text.to_vec()));
        }
        self.line.clear();
        self.too_long = false;
    }

    /// An unfinished line that is not too long.
    fn partial(&self) -> &[u8] {
        if self.too_long {
            &[]
        } else {
            without_crs(&self.line)
        }
    }

    fn discarded_bytes(&self) -> usize {
        let line = without_leading_crs(&self.line);
        self.discarded_bytes + if self.too_long { line.len() } else { 0 }
    }

    /// CRs of the unfinished line that are in neither `partial` nor `discarded_bytes`.
    fn pending_crs(&self) -> usize {
        match self.too_long {
            true => self.line.len() - without_leading_crs(&self.line).len(),
            false => self.line.len() - self.partial().len(),
        }
    }

    /// Erases the last byte, or CR, of the unfinished line. With its first byte of text the CRs before that go.
    fn erase_byte(&mut self) {
        if !self.too_long {
            let erased = self.line.pop();
            if erased != Some(b'\r') && self.partial().is_empty() {
                self.line.clear();
            }
        }
    }
}

fn without_leading_crs(line: &[u8]) -> &[u8] {
    let first = line.iter().position(|&byte| byte != b'\r');
    &line[first.unwrap_or(line.len())..]
}

fn without_crs(line: &[u8]) -> &[u8] {
    let mut line = without_leading_crs(line);
    while let Some(shorter) = line.strip_suffix(b"\r") {
        line = shorter;
    }
    line
}

/// Input: a limit, sizes of pieces, and bytes. After a piece whose size has its top bit set, the unfinished line is
/// flushed, or its last byte is erased, or all of it, depending on the size.
pub fn frame(data: &[u8]) {
    let mut data = Bytes(data);
    let line_bytes_max = 1 + data.below(64);
    let sizes = data.sizes();
    let (mut frame, mut reference) = (Frame::default(), Reference::default());
    let (mut received, mut in_lines, mut discarded, mut gone) = (0, 0, 0, 0);
    for (piece, size) in cut(data.0, sizes) {
        let (mut input, mut output) = (piece, Vec::new());
        while let Some(line) = frame.next(&mut input, line_bytes_max) {
            output.push(match line {
                Line::Whole(line) => Some(line.to_vec()),
                Line::TooLong => None,
            });
        }
        assert!(input.is_empty());
        for &byte in piece {
            reference.push(byte, line_bytes_max);
        }
        received += piece.len();
        discarded += frame.take_discarded() as usize;

        in_lines += output.iter().flatten().map(Vec::len).sum::<usize>();
        assert_eq!(output, std::mem::take(&mut reference.output));
        assert_eq!(frame.partial(), reference.partial());
        assert!(frame.partial().len() <= line_bytes_max);
        assert_eq!(discarded, reference.discarded_bytes());
        assert_eq!(frame.line_ends().have_lf(), reference.has_lf);
        let kept = in_lines + reference.terminator_bytes + frame.partial().len();
        let pending = reference.pending_crs();
        assert_eq!(received, kept + pending + discarded + gone);
        assert_eq!(frame.searched_bytes, received, "each byte is searched once");
        if size & !SIZE != 0 {
            let before = reference.line.len();
            match size % 4 {
                0 if !reference.too_long => {
                    frame.erase_line();
                    reference.line.clear();
                }
                1 => {
                    frame.erase_character(|line| usize::from(!line.is_empty()));
                    reference.erase_byte();
                }
                _ => flush(&mut frame, &mut reference),
            }
            assert_eq!(frame.partial(), reference.partial());
            gone += before - reference.line.len();
        }
    }
    flush(&mut frame, &mut reference);
}

/// Takes the unfinished line, after which the frame must be empty.
fn flush(frame: &mut Frame, reference: &mut Reference) {
    let partial = reference.partial().to_vec();
    let want = (!partial.is_empty()).then_some(&partial[..]);
    assert_eq!(frame.take_partial(), want);
    assert_eq!(frame.partial(), b"");
    if !partial.is_empty() {
        reference.line.clear();
    }
}
