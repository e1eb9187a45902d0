//! Bytes into lines: bounded, and each byte is searched once however it trickles in. Knows nothing of what a line
//! says.

use super::line_ends::{LineEnds, without_crs, without_leading_crs, without_trailing_crs};

/// Bytes that are looked at one by one before a search for more of them begins.
const NEAR_BYTES: usize = 4;

/// One client's unfinished line.
#[derive(Debug, Default)]
pub struct Frame {
    /// What there is of the line, searched to its end: it holds no terminator, and neither begins nor ends with a CR.
    /// `0 <= bytes.len() <= line_bytes_max` in state `Collecting`, empty in state `Discarding`, and the whole line in
    /// state `Collected`.
    bytes: Vec<u8>,
    /// CRs that came after `bytes`: a part of the text if more text follows.
    crs: u32,
    state: State,
    ends: LineEnds,
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
    /// The frame of a client whose lines have ended like this so far.
    pub fn new(ends: LineEnds) -> Frame {
        Frame {
            ends,
            ..Frame::default()
        }
    }

    /// What has ended the lines so far.
    pub fn line_ends(&self) -> LineEnds {
        self.ends
    }

    /// Takes the next line from the front of `input`. After `None` all of `input` has been taken, and the line's end has
    /// not come.
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
            && self.ends.have_lf()
        {
            self.note_searched(1);
            *input = rest;
            return Some(Found::Whole(&[]));
        }
        self.search(input, line_bytes_max)
    }

    fn search<'b>(&mut self, input: &mut &'b [u8], line_bytes_max: usize) -> Option<Found<'b>> {
        self.forget_collected();
        loop {
            if !self.ends.have_lf() {
                self.skip_line_end(input);
            }
            if input.is_empty() {
                return None;
            }
            let end = self.terminator(input);
            if self.state == State::Discarding {
                self.discard(input, end)?;
                continue;
            }
            let Some(end) = end else {
                return self.keep(input, line_bytes_max);
            };
            let (front, rest) = input.split_at(end + 1);
            *input = rest;
            return Some(self.end_line(front, line_bytes_max));
        }
    }

    /// A line ends with `front`, of which the last byte is the terminator's.
    #[inline(always)]
    fn end_line<'b>(&mut self, front: &'b [u8], line_bytes_max: usize) -> Found<'b> {
        let text = &front[..front.len() - 1];
        if self.bytes.is_empty() {
            self.crs = 0;
            let line = without_crs(text);
            if line.len() <= line_bytes_max {
                return Found::Whole(line);
            }
            self.discard_bytes(without_leading_crs(front).len());
            return Found::TooLong;
        }
        self.end_pieces(front, line_bytes_max)
    }

    /// … of which there is more in `bytes`.
    #[inline(never)]
    fn end_pieces<'b>(&mut self, front: &'b [u8], line_bytes_max: usize) -> Found<'b> {
        let text = &front[..front.len() - 1];
        let line_bytes = self.bytes.len() + self.added_bytes(without_trailing_crs(text));
        if line_bytes > line_bytes_max {
            self.discard_bytes(self.bytes.len() + self.crs as usize + front.len());
            self.forget();
            return Found::TooLong;
        }
        self.append(text);
        self.state = State::Collected;
        Found::Collected
    }

    /// The line that [`Found::Collected`] or [`Frame::take_partial`] has reported.
    pub fn collected(&self) -> &[u8] {
        debug_assert_eq!(self.state, State::Collected);
        &self.bytes
    }

    /// Takes the unfinished line as a line, if there is one.
    pub fn take_partial(&mut self) -> Option<&[u8]> {
        if self.partial().is_empty() {
            return None;
        }
        self.state = State::Collected;
        Some(self.collected())
    }

    /// Discards the unfinished line.
    pub fn discard_partial(&mut self) {
        self.discard_bytes(self.partial().len());
        self.forget();
    }

    /// The start of the line whose end has not come.
    pub fn partial(&self) -> &[u8] {
        match self.state {
            State::Collecting => &self.bytes,
            State::Collected | State::Discarding => &[],
        }
    }

    /// Whether the next byte is the first of a line. Then nothing is lost with this frame but its line ends.
    pub fn is_between_lines(&self) -> bool {
        match self.state {
            State::Collecting => self.bytes.is_empty() && self.crs == 0,
            State::Collected => true,
            State::Discarding => false,
        }
    }

    /// Whether a NUL that comes next belongs to a CR.
    pub fn is_after_cr(&self) -> bool {
        self.crs > 0 || self.ends == LineEnds::AfterCr
    }

    /// Bytes of over-long lines that were discarded since this was last called.
    pub fn take_discarded(&mut self) -> u32 {
        std::mem::take(&mut self.discarded_bytes)
    }

    /// Removes the last character of the unfinished line, of which `character_bytes` tells the length. Of an over-long
    /// line nothing is left to be removed.
    pub fn erase_character(&mut self, character_bytes: impl FnOnce(&[u8]) -> usize) {
        self.forget_collected();
        if self.state == State::Discarding {
            return;
        }
        if self.crs > 0 {
            self.crs -= 1;
        } else {
            let left = self
                .bytes
                .len()
                .saturating_sub(character_bytes(&self.bytes));
            self.bytes.truncate(left);
        }
        while self.bytes.pop_if(|byte| *byte == b'\r').is_some() {
            self.crs += 1;
        }
    }

    /// Removes the unfinished line, also the rest of one that is too long.
    pub fn erase_line(&mut self) {
        self.forget();
    }

    /// Takes what belongs to the CR that has ended the last line, and all CRs that would end empty lines.
    #[cold]
    fn skip_line_end(&mut self, input: &mut &[u8]) {
        while self.is_between_lines()
            && let Some((&byte, rest)) = input.split_first()
        {
            let after = match (byte, self.ends) {
                (b'\r', _) => LineEnds::AfterCr,
                (b'\n', LineEnds::AfterCr) => LineEnds::CrLf,
                (0, LineEnds::AfterCr) => LineEnds::NoLf,
                (_, ends) => {
                    if ends == LineEnds::AfterCr {
                        self.ends = LineEnds::NoLf;
                    }
                    return;
                }
            };
            self.ends = after;
            self.note_searched(1);
            *input = rest;
            if after == LineEnds::CrLf {
                return;
            }
        }
    }

    /// Where the first terminator in `input` ends: at an LF, or at a NUL after a CR; as long as no LF has come, at an LF or
    /// a CR.
    fn terminator(&mut self, input: &[u8]) -> Option<usize> {
        let end = if self.ends.have_lf() {
            self.lf_or_cr_nul(input)
        } else {
            self.first_line_end(input)
        };
        self.note_searched(end.map_or(input.len(), |end| end + 1));
        end
    }

    fn lf_or_cr_nul(&self, input: &[u8]) -> Option<usize> {
        let after_cr = |at: usize| match at {
            0 => self.crs > 0,
            _ => input[at - 1] == b'\r',
        };
        let mut end = lf_or_nul(input, 0);
        while let Some(at) = end
            && input[at] == 0
            && !after_cr(at)
        {
            end = lf_or_nul(input, at + 1);
        }
        end
    }

    #[cold]
    fn first_line_end(&mut self, input: &[u8]) -> Option<usize> {
        let end = memchr::memchr2(b'\n', b'\r', input)?;
        self.ends = match input[end] {
            b'\n' => LineEnds::Lf,
            _ => LineEnds::AfterCr,
        };
        Some(end)
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
        self.discard_bytes(n);
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
        let text = std::mem::take(input);
        let last = *text.last()?;
        let line_bytes = self.bytes.len() + self.added_bytes(without_trailing_crs(text));
        if line_bytes <= line_bytes_max {
            self.append(text);
            return None;
        }
        let taken_bytes = if self.bytes.is_empty() {
            without_leading_crs(text).len()
        } else {
            self.bytes.len() + self.crs as usize + text.len()
        };
        self.discard_bytes(taken_bytes);
        self.begin_discarding(last);
        Some(Found::TooLong)
    }

    /// By how many bytes the line grows with `text`, which does not end with a CR.
    fn added_bytes(&self, text: &[u8]) -> usize {
        match (text.is_empty(), self.bytes.is_empty()) {
            (true, _) => 0,
            (false, true) => without_leading_crs(text).len(),
            (false, false) => self.crs as usize + text.len(),
        }
    }

    /// Appends to the unfinished line.
    fn append(&mut self, all: &[u8]) {
        let mut text = without_trailing_crs(all);
        let crs = (all.len() - text.len()) as u32;
        if text.is_empty() {
            self.crs = self.crs.saturating_add(crs);
            return;
        }
        if self.bytes.is_empty() {
            text = without_leading_crs(text);
        } else {
            let crs = std::iter::repeat_n(b'\r', self.crs as usize);
            self.bytes.extend(crs);
        }
        self.bytes.extend_from_slice(text);
        self.crs = crs;
    }

    fn discard_bytes(&mut self, n: usize) {
        self.discarded_bytes = self.discarded_bytes.saturating_add(n as u32);
    }

    /// From now on only a last CR matters: a NUL after it would be the line's end.
    fn begin_discarding(&mut self, last: u8) {
        self.bytes = Vec::new();
        self.crs = u32::from(last == b'\r');
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
        self.crs = 0;
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
            assert!(frame.partial().len() <= max);
        }
        if let Some(line) = frame.take_partial() {
            got.push(Got::Unfinished(line.to_vec()));
        }
        got
    }

    #[test]
    #[allow(clippy::too_many_lines, reason = "a table")]
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
            // After an LF a CR within a line is text.
            (b"\na\rb\n", vec![line(b""), line(b"a\rb")]),
            (b"\na\r\r\rb\n", vec![line(b""), line(b"a\r\r\rb")]),
            // CRs around a line belong to its end, whichever way round.
            (
                b"a\r\r\nb",
                vec![line(b"a"), Got::Unfinished(b"b".to_vec())],
            ),
            (
                b"a\n\r/b\n\r\r/c\n",
                vec![line(b"a"), line(b"/b"), line(b"/c")],
            ),
            (
                b"a\nb\r\r\r\nc\r\r\0",
                vec![line(b"a"), line(b"b"), line(b"c")],
            ),
            // A peer that sends no LF.
            (
                b"a\rb\r\rc",
                vec![line(b"a"), line(b"b"), Got::Unfinished(b"c".to_vec())],
            ),
            (b"a\r\0b\r\0", vec![line(b"a"), line(b"b")]),
            (b"\r\r\0\ra\r", vec![line(b"a")]),
            (b"\0\r\0\0\r", vec![line(b"\0"), line(b"\0")]),
            // Its first LF changes the rule.
            (b"a\rb\nc\rd\n", vec![line(b"a"), line(b"b"), line(b"c\rd")]),
            (b"a\r\nc\rd\n", vec![line(b"a"), line(b"c\rd")]),
            (b"12345678\ra\r", vec![line(b"12345678"), line(b"a")]),
            (b"123456789\ra\r", vec![Got::TooLong, line(b"a")]),
            (b"\n12345678\r\r\r\n", vec![line(b""), line(b"12345678")]),
            (
                b"\n1234567\r\rx\na\n",
                vec![line(b""), Got::TooLong, line(b"a")],
            ),
            (b"\n\r\r12345678\n", vec![line(b""), line(b"12345678")]),
            (b"a\0b\n", vec![line(b"a\0b")]),
            (b"\0\0\0\n", vec![line(b"\0\0\0")]),
            (b"12345678\n", vec![line(b"12345678")]),
            (b"12345678\r\n", vec![line(b"12345678")]),
            (b"12345678\r\0a\n", vec![line(b"12345678"), line(b"a")]),
            (b"123456789\na\n", vec![Got::TooLong, line(b"a")]),
            (
                b"\n12345678\rx\na\n",
                vec![line(b""), Got::TooLong, line(b"a")],
            ),
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
            (b"end\r", vec![line(b"end")]),
            (
                b"\nend\r",
                vec![line(b""), Got::Unfinished(b"end".to_vec())],
            ),
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
    fn a_line_that_a_cr_ends_is_handed_out_with_the_cr() {
        let mut frame = Frame::default();
        assert_eq!(frame.next(&mut &b"a\r"[..], 8), Some(Line::Whole(b"a")));
        assert_eq!(frame.next(&mut &b"\nb\r"[..], 8), None);
        assert_eq!(frame.line_ends(), LineEnds::CrLf);
        assert_eq!(frame.next(&mut &b"\n"[..], 8), Some(Line::Whole(b"b")));
    }

    #[test]
    fn the_unfinished_line_can_be_erased() {
        let mut frame = Frame::default();
        let feed = |frame: &mut Frame, mut bytes: &[u8]| {
            let line = frame.next(&mut bytes, 8)?;
            assert!(bytes.is_empty());
            Some(match line {
                Line::Whole(line) => Got::Line(line.to_vec()),
                Line::TooLong => Got::TooLong,
            })
        };
        let line = |text: &[u8]| Some(Got::Line(text.to_vec()));
        frame.erase_character(|_| 1);
        assert_eq!(feed(&mut frame, b"\n"), line(b""));
        assert_eq!(feed(&mut frame, b"ab\rc"), None);
        frame.erase_character(|line| {
            assert_eq!(line, b"ab\rc");
            1
        });
        frame.erase_character(|_| unreachable!("the CR goes"));
        frame.erase_character(|_| 9);
        assert!(frame.is_between_lines());
        assert_eq!(feed(&mut frame, b"x\n"), line(b"x"));
        assert_eq!(feed(&mut frame, b"gone"), None);
        frame.erase_line();
        assert_eq!(feed(&mut frame, b"y\n"), line(b"y"));
        assert_eq!(feed(&mut frame, b"123456789"), Some(Got::TooLong));
        frame.erase_character(|_| 1);
        frame.erase_line();
        assert_eq!(feed(&mut frame, b"z\n"), line(b"z"));
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
