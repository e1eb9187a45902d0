//! How the tests read a line from the server: whether it is safe to show, and the numbers in its notices. This
//! parser is written apart from the program's own, as a second opinion. Depends on nothing else, so that any
//! test can include it.

/// Characters that change the direction of the text around them (Unicode `Bidi_Control`).
const BIDI_CONTROLS: [char; 12] = [
    '\u{061c}', '\u{200e}', '\u{200f}', '\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}', '\u{202e}',
    '\u{2066}', '\u{2067}', '\u{2068}', '\u{2069}',
];

/// The text of a line, which must be safe to show on a terminal, as everything that the server sends must be.
pub(crate) fn assert_safe(line: &[u8]) -> String {
    let text = String::from_utf8(line.to_vec())
        .unwrap_or_else(|error| panic!("not UTF-8 ({error}): {:?}", String::from_utf8_lossy(line)));
    let unsafe_char = text.chars().find(|&c| {
        (c.is_control() && c != '\t')
            || BIDI_CONTROLS.contains(&c)
            || matches!(c, '\u{2028}' | '\u{2029}')
    });
    assert_eq!(unsafe_char, None, "received in {text:?}");
    text
}

/// Reads a number. If it has commas, they must stand between groups of three digits: `1,320`.
pub(crate) fn number(text: &str) -> Option<u64> {
    let mut groups = text.split(',');
    let first = groups.next()?;
    let grouped = groups.clone().next().is_some();
    let sound = !grouped || first.len() <= 3 && groups.all(|group| group.len() == 3);
    sound.then(|| text.replace(',', "").parse().ok())?
}

/// The name and the number of members in `* you are guest1 in lobby (1 here); /help lists commands`.
pub(crate) fn greeting(line: &str) -> Option<(String, u64)> {
    let (name, here) = line
        .strip_prefix("* you are ")?
        .strip_suffix(" here); /help lists commands")?
        .split_once(" in lobby (")?;
    Some((name.to_owned(), number(here)?))
}

/// The number of lines in `* 1,320 lines skipped: …`.
pub(crate) fn skipped(line: &str) -> Option<u64> {
    let count = line
        .strip_prefix("* ")?
        .strip_suffix(" lines skipped: you are reading too slowly")?;
    number(count)
}

/// The numbers in one announcement of joins and leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Announcement {
    pub(crate) joined: u64,
    pub(crate) left: u64,
    pub(crate) here: u64,
}

/// Reads `* joined: kim, lee; left: eve (2 here)`, a part of it, and `* 37 joined, 5 left (1,204 here)`.
pub(crate) fn announcement(line: &str) -> Option<Announcement> {
    let (what, here) = line
        .strip_prefix("* ")?
        .strip_suffix(" here)")?
        .rsplit_once(" (")?;
    let mut found = Announcement {
        here: number(here)?,
        ..Announcement::default()
    };
    let names = |list: &str| list.split(", ").count() as u64;
    if what.starts_with("joined: ") || what.starts_with("left: ") {
        for part in what.split("; ") {
            match part.split_once(": ")? {
                ("joined", list) => found.joined = names(list),
                ("left", list) => found.left = names(list),
                _ => return None,
            }
        }
        return Some(found);
    }
    for part in what.split(", ") {
        match part.split_once(' ')? {
            (count, "joined") => found.joined = number(count)?,
            (count, "left") => found.left = number(count)?,
            _ => return None,
        }
    }
    Some(found)
}

/// Whether a line says only that somebody joined, left or was renamed. When the server sends these depends on
/// the clock, so tests that are not about them skip them.
pub(crate) fn is_presence_notice(line: &str) -> bool {
    announcement(line).is_some() || line.starts_with("* renamed: ")
}
