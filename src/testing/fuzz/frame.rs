//! Lines out of bytes, against a splitter that looks at one byte after the other and never forgets any.

use super::bytes::{Bytes, SIZE, cut};
use crate::hub::input::frame::{Frame, Line};

#[derive(Debug, PartialEq, Eq)]
enum Got {
    Line(Vec<u8>),
    TooLong,
}

/// The second opinion. It holds each line whole, however long.
#[derive(Debug, Default)]
struct Splitter {
    line: Vec<u8>,
    too_long: bool,
    got: Vec<Got>,
    terminator_bytes: usize,
    discarded_bytes: usize,
}

impl Splitter {
    fn push(&mut self, byte: u8, line_bytes_max: usize) {
        let ends = byte == b'\n' || byte == 0 && self.line.last() == Some(&b'\r');
        let text = without_cr(&self.line);
        if !ends {
            self.line.push(byte);
            if !self.too_long && without_cr(&self.line).len() > line_bytes_max {
                self.too_long = true;
                self.got.push(Got::TooLong);
            }
            return;
        }
        if self.too_long {
            self.discarded_bytes += self.line.len() + 1;
        } else {
            self.terminator_bytes += self.line.len() - text.len() + 1;
            self.got.push(Got::Line(text.to_vec()));
        }
        self.line.clear();
        self.too_long = false;
    }

    /// The start of a line that may still become one.
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

/// A limit, sizes of pieces, and bytes. A piece whose size has its top bit set is followed by a silence after which
/// the unfinished line is handed on.
pub fn frame(data: &[u8]) {
    let mut data = Bytes(data);
    let line_bytes_max = 1 + data.below(64);
    let sizes = data.sizes();
    let (mut frame, mut splitter) = (Frame::default(), Splitter::default());
    let (mut received, mut in_lines, mut discarded, mut handed_on) = (0, 0, 0, 0);
    for (piece, size) in cut(data.0, sizes) {
        let (mut input, mut got) = (piece, Vec::new());
        while let Some(line) = frame.next(&mut input, line_bytes_max) {
            got.push(match line {
                Line::Whole(line) => Got::Line(line.to_vec()),
                Line::TooLong => Got::TooLong,
            });
        }
        assert!(input.is_empty());
        piece
            .iter()
            .for_each(|&byte| splitter.push(byte, line_bytes_max));
        received += piece.len();
        discarded += frame.take_discarded() as usize;

        in_lines += got.iter().map(Got::bytes).sum::<usize>();
        assert_eq!(got, std::mem::take(&mut splitter.got));
        assert_eq!(frame.partial(), splitter.partial());
        assert!(frame.partial().len() <= line_bytes_max + 1);
        assert_eq!(discarded, splitter.discarded_bytes());
        let kept = in_lines + splitter.terminator_bytes + frame.partial().len();
        assert_eq!(received, kept + discarded + handed_on);
        assert_eq!(frame.searched_bytes, received, "each byte is searched once");
        if size & !SIZE != 0 {
            handed_on += hand_on(&mut frame, &mut splitter);
        }
    }
    hand_on(&mut frame, &mut splitter);
}

impl Got {
    fn bytes(&self) -> usize {
        match self {
            Got::Line(line) => line.len(),
            Got::TooLong => 0,
        }
    }
}

/// Takes the line that no terminator ended, of which nothing may be left then; its bytes.
fn hand_on(frame: &mut Frame, splitter: &mut Splitter) -> usize {
    let partial = splitter.partial().to_vec();
    let want = (!partial.is_empty()).then(|| without_cr(&partial));
    assert_eq!(frame.take_partial(), want);
    assert_eq!(frame.partial(), b"");
    if !splitter.too_long {
        splitter.line.clear();
    }
    partial.len()
}
