//! The body of the fuzz target `frame`: splits bytes into lines and compares them with a reference that handles byte
//! after byte.

use super::bytes::{Bytes, SIZE, cut};
use crate::hub::input::frame::{Frame, Line};

/// A line; `None`: one that is too long.
type Output = Option<Vec<u8>>;

/// The naive implementation. It keeps a whole line, however long.
#[derive(Debug, Default)]
struct Reference {
    line: Vec<u8>,
    too_long: bool,
    output: Vec<Output>,
    terminator_bytes: usize,
    discarded_bytes: usize,
}

impl Reference {
    fn push(&mut self, byte: u8, line_bytes_max: usize) {
        let ends = byte == b'\n' || byte == 0 && self.line.last() == Some(&b'\r');
        let text = without_cr(&self.line);
        if !ends {
            self.line.push(byte);
            if !self.too_long && without_cr(&self.line).len() > line_bytes_max {
                self.too_long = true;
                self.output.push(None);
            }
            return;
        }
        if self.too_long {
            self.discarded_bytes += self.line.len() + 1;
        } else {
            self.terminator_bytes += self.line.len() - text.len() + 1;
            self.output.push(Some(text.to_vec()));
        }
        self.line.clear();
        self.too_long = false;
    }

    /// An unfinished line that is not too long.
    fn partial(&self) -> &[u8] {
        if self.too_long { &[] } else { &self.line }
    }

    fn discarded_bytes(&self) -> usize {
        self.discarded_bytes + if self.too_long { self.line.len() } else { 0 }
    }
}

fn without_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Input: a limit, sizes of pieces, and bytes. After a piece whose size has its top bit set, the unfinished line is
/// flushed.
pub fn frame(data: &[u8]) {
    let mut data = Bytes(data);
    let line_bytes_max = 1 + data.below(64);
    let sizes = data.sizes();
    let (mut frame, mut reference) = (Frame::default(), Reference::default());
    let (mut received, mut in_lines, mut discarded, mut flushed) = (0, 0, 0, 0);
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
        assert!(frame.partial().len() <= line_bytes_max + 1);
        assert_eq!(discarded, reference.discarded_bytes());
        let kept = in_lines + reference.terminator_bytes + frame.partial().len();
        assert_eq!(received, kept + discarded + flushed);
        assert_eq!(frame.searched_bytes, received, "each byte is searched once");
        if size & !SIZE != 0 {
            flushed += flush(&mut frame, &mut reference);
        }
    }
    flush(&mut frame, &mut reference);
}

/// Takes the unfinished line, after which the frame must be empty. Returns the line's bytes.
fn flush(frame: &mut Frame, reference: &mut Reference) -> usize {
    let partial = reference.partial().to_vec();
    let want = (!partial.is_empty()).then(|| without_cr(&partial));
    assert_eq!(frame.take_partial(), want);
    assert_eq!(frame.partial(), b"");
    if !reference.too_long {
        reference.line.clear();
    }
    partial.len()
}
