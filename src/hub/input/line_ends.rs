//! What ends a line, and which CRs are no part of it. Keeps no line.
//!
//! How a line ends depends on what has ended the lines before it:
//!
//! ```text
//! no LF so far    LF, or CR at once; then an LF or a NUL right after the CR belongs to the CR
//! since an LF     LF, or CR NUL; any other CR is a part of the text
//! always          CRs at a line's start and end are no part of it
//! ```

/// What has ended a client's lines so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LineEnds {
    /// Nothing, or CRs alone: a CR ends a line.
    #[default]
    NoLf,
    /// … and the last byte was such a CR: an LF or a NUL that follows belongs to it.
    AfterCr,
    /// LF. The first one came after a CR.
    CrLf,
    /// LF. The first one came alone.
    Lf,
}

impl LineEnds {
    /// Whether an LF has come.
    pub fn have_lf(self) -> bool {
        matches!(self, LineEnds::CrLf | LineEnds::Lf)
    }
}

/// A line without the CRs around it. Nearly every line has none, or one at its end.
pub fn without_crs(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if let [b'\r', ..] | [.., b'\r'] = line {
        return without_leading_crs(without_trailing_crs(line));
    }
    line
}

/// A text without the CRs at its start.
pub fn without_leading_crs(text: &[u8]) -> &[u8] {
    let first = text.iter().position(|&byte| byte != b'\r');
    &text[first.unwrap_or(text.len())..]
}

/// A text without the CRs at its end.
pub fn without_trailing_crs(text: &[u8]) -> &[u8] {
    let last = text.iter().rposition(|&byte| byte != b'\r');
    &text[..last.map_or(0, |last| last + 1)]
}
