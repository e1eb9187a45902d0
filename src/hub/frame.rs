//! Bytes into lines: bounded, and each byte is searched once however it trickles in. Knows nothing of what a line
//! says.

/// One client's unfinished line.
#[derive(Debug, Default)]
pub struct Frame {
    /// The start of a line whose end has not come, searched to its end: it holds no terminator.
    /// `0 <= partial.len() <= line_bytes_max + 1` (the one more is a CR that may belong to the terminator).
    /// In state `Given` it is the line that was handed out last, and dead.
    partial: Vec<u8>,
    state: State,
    /// Bytes of over-long lines that were thrown away, terminators included.
    discarded_bytes: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// `partial` is the start of the next line.
    #[default]
    Collecting,
    /// `partial` has been handed out as a line.
    Given,
    /// The line is over-long: its bytes go until its end comes.
    Discarding,
}

/// What came next.
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// A line without its terminator.
    Whole(&'a [u8]),
    /// A line is longer than allowed. Said once, as soon as it is known.
    TooLong,
}

impl Frame {
    /// Takes the next line from the front of `input`; `None` when its end is not there yet: all of `input` has been
    /// taken then.
    ///
    /// A line ends at LF (one CR before it goes too) or at telnet's CR NUL (RFC 854).
    pub fn next<'a, 'b: 'a>(
        &'a mut self,
        input: &mut &'b [u8],
        line_bytes_max: usize,
    ) -> Option<Line<'a>> {
        self.forget_given();
        if input.is_empty() {
            return None;
        }
        if self.state == State::Discarding {
            let end = terminator(input, self.partial.last().copied());
            let n = end.map_or(input.len(), |end| end + 1);
            self.discarded_bytes += n as u64;
            self.partial.clear();
            self.partial.extend(
                input[..n]
                    .last()
                    .filter(|&&last| end.is_none() && last == b'\r'),
            );
            *input = &input[n..];
            end?;
            self.state = State::Collecting;
        }
        let Some(end) = terminator(input, self.partial.last().copied()) else {
            return self.keep(input, line_bytes_max);
        };
        let (front, rest) = input.split_at(end + 1);
        *input = rest;
        let text = &front[..end];
        let line = if self.partial.is_empty() {
            text
        } else {
            self.partial.extend_from_slice(text);
            self.state = State::Given;
            &self.partial
        };
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.len() > line_bytes_max {
            self.discarded_bytes += line.len() as u64;
            return Some(Line::TooLong);
        }
        Some(Line::Whole(line))
    }

    /// The line that no terminator will end any more, because the peer has finished or has been silent for long.
    pub fn take_partial(&mut self) -> Option<&[u8]> {
        self.forget_given();
        if self.state == State::Discarding || self.partial.is_empty() {
            return None;
        }
        self.state = State::Given;
        Some(self.partial.strip_suffix(b"\r").unwrap_or(&self.partial))
    }

    /// Whether there is an unfinished line that could be handed on.
    pub fn has_partial(&self) -> bool {
        self.state == State::Collecting && !self.partial.is_empty()
    }

    /// The start of the line whose end has not come.
    pub fn partial(&self) -> &[u8] {
        if self.state == State::Collecting {
            &self.partial
        } else {
            &[]
        }
    }

    /// Bytes of over-long lines that were thrown away since the start.
    pub fn discarded_bytes(&self) -> u64 {
        self.discarded_bytes
    }

    /// Keeps the start of a line, unless it is too long already.
    fn keep<'a>(&mut self, input: &mut &[u8], line_bytes_max: usize) -> Option<Line<'a>> {
        let last = *input.last()?;
        let total = self.partial.len() + input.len();
        if total > line_bytes_max + usize::from(last == b'\r') {
            self.discarded_bytes += total as u64;
            self.state = State::Discarding;
            self.partial = Vec::from_iter((last == b'\r').then_some(last));
            *input = &[];
            return Some(Line::TooLong);
        }
        self.partial.extend_from_slice(input);
        *input = &[];
        None
    }

    /// Gives the memory of a finished line back: a client that is between lines costs none.
    fn forget_given(&mut self) {
        if self.state == State::Given {
            self.partial = Vec::new();
            self.state = State::Collecting;
        }
    }
}

/// Where the first terminator ends: at an LF, or at a NUL after a CR. `before` is the byte before `input`.
fn terminator(input: &[u8], before: Option<u8>) -> Option<usize> {
    memchr::memchr2_iter(b'\n', 0, input).find(|&at| {
        input[at] == b'\n' || (if at == 0 { before } else { Some(input[at - 1]) }) == Some(b'\r')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Eq, Clone)]
    enum Got {
        Line(Vec<u8>),
        TooLong,
        Unfinished(Vec<u8>),
    }

    /// The lines of `pieces`, and that no byte was lost: in = lines + terminators + discards.
    fn frame<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, max: usize) -> Vec<Got> {
        let (mut frame, mut got) = (Frame::default(), Vec::new());
        for piece in pieces {
            let mut input = piece;
            while let Some(line) = frame.next(&mut input, max) {
                got.push(match line {
                    Line::Whole(line) => Got::Line(line.to_vec()),
                    Line::TooLong => Got::TooLong,
                });
            }
            assert!(input.is_empty());
            assert!(frame.partial.len() <= max + 1);
        }
        if let Some(line) = frame.take_partial() {
            got.push(Got::Unfinished(line.to_vec()));
        }
        got
    }

    #[test]
    fn every_chunking_of_every_input_gives_the_same_lines() {
        let line = |text: &[u8]| Got::Line(text.to_vec());
        let table: &[(&[u8], Vec<Got>)] = &[
            (b"", vec![]),
            (b"one\ntwo\n", vec![line(b"one"), line(b"two")]),
            (
                b"one\r\ntwo\r\0x\n",
                vec![line(b"one"), line(b"two"), line(b"x")],
            ),
            (b"\n\r\n\r\0", vec![line(b""), line(b""), line(b"")]),
            (b"a\rb\n", vec![line(b"a\rb")]),
            (
                b"a\r\r\nb",
                vec![line(b"a\r"), Got::Unfinished(b"b".to_vec())],
            ),
            (b"a\0b\n", vec![line(b"a\0b")]),
            (b"\0\0\0\n", vec![line(b"\0\0\0")]),
            (b"12345678\n", vec![line(b"12345678")]),
            (b"12345678\r\n", vec![line(b"12345678")]),
            (b"12345678\r\0a\n", vec![line(b"12345678"), line(b"a")]),
            (b"123456789\na\n", vec![Got::TooLong, line(b"a")]),
            (b"12345678\r\r\na\n", vec![Got::TooLong, line(b"a")]),
            (b"12345678\rx\na\n", vec![Got::TooLong, line(b"a")]),
            (
                b"123456789012345678901234567890\r\0a\n",
                vec![Got::TooLong, line(b"a")],
            ),
            (
                b"123456789012345678901234567890\0a\nb\n",
                vec![Got::TooLong, line(b"b")],
            ),
            (b"123456789\n123456789\n", vec![Got::TooLong, Got::TooLong]),
            (b"ok\n123456789", vec![line(b"ok"), Got::TooLong]),
            (b"end\r", vec![Got::Unfinished(b"end".to_vec())]),
        ];
        for (input, want) in table {
            assert_eq!(
                &frame([*input], 8),
                want,
                "{:?} whole",
                input.escape_ascii().to_string()
            );
            // Every set of cuts of short inputs, every pair of cuts of the longer ones.
            let cuts = input.len().saturating_sub(1);
            let sets = if cuts <= 12 { 1u32 << cuts } else { 0 };
            for set in 0..sets {
                let mut pieces = Vec::new();
                let mut from = 0;
                for at in 1..input.len() {
                    if set & (1 << (at - 1)) != 0 {
                        pieces.push(&input[from..at]);
                        from = at;
                    }
                }
                pieces.push(&input[from..]);
                assert_eq!(
                    &frame(pieces, 8),
                    want,
                    "{:?} cut by {set:b}",
                    input.escape_ascii().to_string()
                );
            }
            for first in 0..=input.len() {
                for second in first..=input.len() {
                    let pieces = [&input[..first], &input[first..second], &input[second..]];
                    assert_eq!(
                        &frame(pieces, 8),
                        want,
                        "{:?} cut at {first}, {second}",
                        input.escape_ascii().to_string()
                    );
                }
            }
            assert_eq!(
                &frame(input.chunks(1), 8),
                want,
                "{:?} byte by byte",
                input.escape_ascii().to_string()
            );
        }
    }

    #[test]
    fn between_lines_no_memory_is_held() {
        let mut frame = Frame::default();
        for mut piece in [&b"abc"[..], b"def\n"] {
            while frame.next(&mut piece, 100).is_some() {}
        }
        assert_eq!(frame.partial.capacity(), 0);
    }

    #[test]
    fn an_endless_line_is_discarded_in_constant_memory() {
        let mut frame = Frame::default();
        let junk = vec![b'x'; 10_000];
        let mut said = 0;
        for _ in 0..100 {
            let mut input = &junk[..];
            while let Some(line) = frame.next(&mut input, 8192) {
                assert_eq!(line, Line::TooLong);
                said += 1;
            }
            assert!(frame.partial.capacity() <= 2 * 8193);
        }
        assert_eq!((said, frame.discarded_bytes()), (1, 1_000_000));
        let mut input = &b"tail\nnext\n"[..];
        assert_eq!(frame.next(&mut input, 8192), Some(Line::Whole(b"next")));
    }
}
