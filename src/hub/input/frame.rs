//! Bytes into lines: bounded, and each byte is searched once however it trickles in. Knows nothing of what a line
//! says.

/// Bytes that are looked at one by one before a search for more of them begins.
const NEAR_BYTES: usize = 4;

/// One client's unfinished line.
#[derive(Debug, Default)]
pub struct Frame {
    /// What there is of the line, searched to its end: it holds no terminator. In state `Collecting`
    /// `0 <= bytes.len() <= line_bytes_max + 1` (the one more is a CR that may belong to the terminator); in state
    /// `Discarding` only that CR, if there is one; in state `Collected` the whole line.
    bytes: Vec<u8>,
    state: State,
    /// Bytes of over-long lines that were discarded since [`Frame::take_discarded`].
    discarded_bytes: u32,
    /// Bytes searched for a terminator since the start: each byte once, however the input is cut into pieces.
    #[cfg(any(test, fuzzing))]
    pub searched_bytes: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// The start of the next line.
    #[default]
    Collecting,
    /// A line that came in pieces and has been handed out.
    Collected,
    /// The rest of an over-long line: bytes are discarded until its end comes.
    Discarding,
}

/// What came next.
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// A line without its terminator.
    Whole(&'a [u8]),
    /// A line is longer than allowed. Reported once, as soon as it is known.
    TooLong,
}

/// What came next, without a borrow of the frame.
#[derive(Debug, PartialEq, Eq)]
pub enum Found<'b> {
    /// A line that stands in the input, without its terminator.
    Whole(&'b [u8]),
    /// A line that came in pieces: see [`Frame::collected`].
    Collected,
    /// A line is longer than allowed. Reported once, as soon as it is known.
    TooLong,
}

impl Frame {
    /// Takes the next line from the front of `input`. After `None` all of `input` has been taken, and the line's end has
    /// not come.
    ///
    /// A line ends at LF (one CR before it goes too) or at telnet's CR NUL (RFC 854).
    pub fn next<'a, 'b: 'a>(
        &'a mut self,
        input: &mut &'b [u8],
        line_bytes_max: usize,
    ) -> Option<Line<'a>> {
        Some(match self.advance(input, line_bytes_max)? {
            Found::Whole(line) => Line::Whole(line),
            Found::Collected => Line::Whole(self.collected()),
            Found::TooLong => Line::TooLong,
        })
    }

    /// As [`Frame::next`], without a borrow of the frame.
    pub fn advance<'b>(
        &mut self,
        input: &mut &'b [u8],
        line_bytes_max: usize,
    ) -> Option<Found<'b>> {
        // Fast path: bare LFs are the worst case a read can bring, and need no search.
        if let Some((b'\n', rest)) = input.split_first()
            && self.is_between_lines()
        {
            self.note_searched(1);
            *input = rest;
            return Some(Found::Whole(&[]));
        }
        self.search(input, line_bytes_max)
    }

    fn search<'b>(&mut self, input: &mut &'b [u8], line_bytes_max: usize) -> Option<Found<'b>> {
        self.forget_collected();
        if input.is_empty() {
            return None;
        }
        let end = self.terminator(input);
        if self.state == State::Discarding {
            self.discard(input, end)?;
            return self.search(input, line_bytes_max);
        }
        let Some(end) = end else {
            return self.keep(input, line_bytes_max);
        };
        let (front, rest) = input.split_at(end + 1);
        *input = rest;
        let came_whole = self.bytes.is_empty();
        if !came_whole {
            self.bytes.extend_from_slice(&front[..end]);
            self.state = State::Collected;
        }
        let line = if came_whole {
            &front[..end]
        } else {
            &self.bytes
        };
        let taken_bytes = line.len() + 1;
        if without_cr(line).len() > line_bytes_max {
            // Its terminator too, as when that comes later.
            self.discarded_bytes += taken_bytes as u32;
            return Some(Found::TooLong);
        }
        Some(if came_whole {
            Found::Whole(without_cr(&front[..end]))
        } else {
            Found::Collected
        })
    }

    /// The line that [`Found::Collected`] or [`Frame::take_partial`] has reported.
    pub fn collected(&self) -> &[u8] {
        debug_assert_eq!(self.state, State::Collected);
        without_cr(&self.bytes)
    }

    /// Takes the unfinished line as a line, if there is one.
    pub fn take_partial(&mut self) -> Option<&[u8]> {
        if self.partial().is_empty() {
            return None;
        }
        self.state = State::Collected;
        Some(self.collected())
    }

    /// The start of the line whose end has not come.
    pub fn partial(&self) -> &[u8] {
        match self.state {
            State::Collecting => &self.bytes,
            State::Collected | State::Discarding => &[],
        }
    }

    /// Whether the next byte is the first of a line. Then nothing is lost with this frame.
    pub fn is_between_lines(&self) -> bool {
        match self.state {
            State::Collecting => self.bytes.is_empty(),
            State::Collected => true,
            State::Discarding => false,
        }
    }

    /// Bytes of over-long lines that were discarded since this was last called.
    pub fn take_discarded(&mut self) -> u32 {
        std::mem::take(&mut self.discarded_bytes)
    }

    /// Where the first terminator in `input` ends: at an LF, or at a NUL after a CR.
    fn terminator(&mut self, input: &[u8]) -> Option<usize> {
        let after_cr = |at: usize| match at {
            0 => self.bytes.last() == Some(&b'\r'),
            _ => input[at - 1] == b'\r',
        };
        let mut end = lf_or_nul(input, 0);
        while let Some(at) = end
            && input[at] == 0
            && !after_cr(at)
        {
            end = lf_or_nul(input, at + 1);
        }
        self.note_searched(end.map_or(input.len(), |end| end + 1));
        end
    }

    fn note_searched(&mut self, _bytes: usize) {
        #[cfg(any(test, fuzzing))]
        {
            self.searched_bytes += _bytes;
        }
    }

    /// Discards an over-long line up to its end; `None` when the end has not come.
    fn discard(&mut self, input: &mut &[u8], end: Option<usize>) -> Option<()> {
        let n = end.map_or(input.len(), |end| end + 1);
        self.discarded_bytes += n as u32;
        let last = input[n - 1];
        *input = &input[n..];
        match end {
            Some(_) => self.forget(),
            None => self.begin_discarding(last),
        }
        end.map(|_| ())
    }

    /// Keeps the start of a line, unless it is too long already.
    fn keep<'b>(&mut self, input: &mut &'b [u8], line_bytes_max: usize) -> Option<Found<'b>> {
        let last = *input.last()?;
        let total = self.partial().len() + input.len();
        if total > line_bytes_max + usize::from(last == b'\r') {
            self.discarded_bytes += total as u32;
            *input = &[];
            self.begin_discarding(last);
            return Some(Found::TooLong);
        }
        self.bytes.extend_from_slice(input);
        *input = &[];
        None
    }

    /// From now on only a last CR matters: a NUL after it would be the line's end.
    fn begin_discarding(&mut self, last: u8) {
        self.bytes = Vec::from_iter((last == b'\r').then_some(last));
        self.state = State::Discarding;
    }

    /// A line that has been handed out is no longer needed.
    pub fn forget_collected(&mut self) {
        if self.state == State::Collected {
            self.forget();
        }
    }

    /// Memory besides the fixed record, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.bytes.capacity()
    }

    fn forget(&mut self) {
        self.bytes = Vec::new();
        self.state = State::Collecting;
    }
}

/// Where the first LF or NUL is from `from` on. Setting a vectorised search up costs more than a short line, so the first
/// bytes are looked at one by one.
fn lf_or_nul(input: &[u8], from: usize) -> Option<usize> {
    let (near, far) = input[from..].split_at(NEAR_BYTES.min(input.len() - from));
    near.iter()
        .position(|&byte| byte == b'\n' || byte == 0)
        .or_else(|| Some(near.len() + memchr::memchr2(b'\n', 0, far)?))
        .map(|n| from + n)
}

/// A line without the CR before its terminator.
fn without_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
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

    /// Splits `pieces` into lines.
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
            assert!(frame.partial().len() <= max + 1);
        }
        if let Some(line) = frame.take_partial() {
            got.push(Got::Unfinished(line.to_vec()));
        }
        got
    }

    #[test]
    fn lines_do_not_depend_on_chunking() {
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
            for pieces in cuts(input) {
                let shown = pieces.iter().map(|piece| piece.escape_ascii().to_string());
                let shown: Vec<String> = shown.collect();
                assert_eq!(&frame(pieces, 8), want, "{shown:?}");
            }
        }
    }

    /// Cuts a short input at every set of positions, a longer one at every pair of positions, and each byte by byte.
    fn cuts(input: &[u8]) -> Vec<Vec<&[u8]>> {
        let mut all = vec![input.chunks(1).collect()];
        for first in 0..=input.len() {
            for second in first..=input.len() {
                all.push(vec![
                    &input[..first],
                    &input[first..second],
                    &input[second..],
                ]);
            }
        }
        let places = input.len().saturating_sub(1);
        for set in 0..if places <= 12 { 1u32 << places } else { 0 } {
            let (mut pieces, mut from) = (Vec::new(), 0);
            for at in (1..input.len()).filter(|at| set & (1 << (at - 1)) != 0) {
                pieces.push(&input[from..at]);
                from = at;
            }
            pieces.push(&input[from..]);
            all.push(pieces);
        }
        all
    }

    #[test]
    fn no_memory_is_held_between_lines() {
        let mut frame = Frame::default();
        for mut piece in [&b"abc"[..], b"def\n"] {
            while frame.next(&mut piece, 100).is_some() {}
        }
        assert!(frame.next(&mut &b"x"[..], 100).is_none() && frame.partial() == b"x");
        assert!(
            frame.next(&mut &b"\n"[..], 100).is_some() && frame.next(&mut &b""[..], 100).is_none()
        );
        assert_eq!(frame.bytes.capacity(), 0);
    }

    #[test]
    fn endless_line_is_discarded_in_constant_memory() {
        let mut frame = Frame::default();
        let junk = vec![b'x'; 10_000];
        let (mut said, mut discarded) = (0, 0);
        for _ in 0..100 {
            let mut input = &junk[..];
            while let Some(line) = frame.next(&mut input, 8192) {
                assert_eq!(line, Line::TooLong);
                said += 1;
            }
            assert!(frame.bytes.capacity() <= 2 * 8193);
            discarded += u64::from(frame.take_discarded());
        }
        assert_eq!((said, discarded), (1, 1_000_000));
        let mut input = &b"tail\nnext\n"[..];
        assert_eq!(frame.next(&mut input, 8192), Some(Line::Whole(b"next")));
    }
}
