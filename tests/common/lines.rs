//! How a line from the server reads: what is safe to show, what is a notice, what a notice counts.

/// The characters that change the direction of the text around them (Unicode `Bidi_Control`).
const BIDI_CONTROLS: [char; 12] = [
    '\u{061c}', '\u{200e}', '\u{200f}', '\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}', '\u{202e}',
    '\u{2066}', '\u{2067}', '\u{2068}', '\u{2069}',
];

/// A line's text if a terminal may be shown it, which holds for everything that the server ever sends.
pub(crate) fn assert_safe(line: &[u8]) -> String {
    let text = String::from_utf8(line.to_vec())
        .unwrap_or_else(|error| panic!("not UTF-8 ({error}): {:?}", String::from_utf8_lossy(line)));
    let unsafe_one = text.chars().find(|&c| {
        (c.is_control() && c != '\t')
            || BIDI_CONTROLS.contains(&c)
            || matches!(c, '\u{2028}' | '\u{2029}')
    });
    assert_eq!(unsafe_one, None, "it reached a client in {text:?}");
    text
}

/// A count as the server shows it, with or without its commas.
pub(crate) fn number(text: &str) -> Option<u64> {
    text.replace(',', "").parse().ok()
}

/// How many lines a `* 132 lines skipped: …` says were skipped.
pub(crate) fn skipped(line: &str) -> Option<u64> {
    let count = line
        .strip_prefix("* ")?
        .strip_suffix(" lines skipped: you are reading too slowly")?;
    number(count)
}

/// What one announcement of comings and goings counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Announcement {
    pub(crate) joined: u64,
    pub(crate) left: u64,
    pub(crate) here: u64,
}

/// Reads `* joined: kim (2 here)`, `* left: kim (1 here)` and `* 37 joined, 5 left (1,204 here)`.
pub(crate) fn announcement(line: &str) -> Option<Announcement> {
    let (what, here) = line
        .strip_prefix("* ")?
        .strip_suffix(" here)")?
        .rsplit_once(" (")?;
    let mut found = Announcement {
        here: number(here)?,
        ..Announcement::default()
    };
    if what.starts_with("joined: ") {
        found.joined = 1;
    } else if what.starts_with("left: ") {
        found.left = 1;
    } else {
        for part in what.split(", ") {
            match part.split_once(' ')? {
                (count, "joined") => found.joined = number(count)?,
                (count, "left") => found.left = number(count)?,
                _ => return None,
            }
        }
    }
    Some(found)
}

/// Whether a line only tells who came, went or changed their name. When these come depends on the clock,
/// so a test that is not about them passes over them.
pub(crate) fn is_coming_or_going(line: &str) -> bool {
    announcement(line).is_some() || line.starts_with("* renamed: ")
}
