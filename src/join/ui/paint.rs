//! How a line looks: colours, and marks where the client's own name is mentioned. Whatever the server sent, the result
//! has no control characters but TAB and these colours (SGR, ECMA-48 8.3.117). Knows nothing of terminals.

use crate::hub::Text;
use crate::protocol::Line;
use std::borrow::Cow;

const RESET: &str = "\x1b[0m";
const DIM: &str = "\x1b[2m";
const ERROR: &str = "\x1b[31m";
const MARK: &str = "\x1b[1;7m";
const END_MARK: &str = "\x1b[22;27m";

/// Colours for names, of the 240 that are the same on every terminal with 256. Each is readable on black and on white: its
/// contrast ratio to both (WCAG 2.2, 1.4.3) is at least 4. The highest possible to both is 4.6.
const NAMES_256: [u8; 12] = [28, 30, 31, 27, 62, 98, 129, 164, 162, 131, 130, 64];
/// Colours for names where there are eight, which each user may redefine: all but black, white, and the red of errors.
const NAMES_8: [u8; 5] = [2, 3, 4, 5, 6];

/// LEFT-TO-RIGHT MARK: has no width and is not seen.
const LEFT_TO_RIGHT: &str = "\u{200e}";

/// Korean particles and titles, which follow a name without a space: a name before one of them is a mention.
const PARTICLES: [&str; 28] = [
    "은", "는", "이", "가", "을", "를", "의", "에", "에게", "한테", "께", "께서", "도", "만", "와",
    "과", "랑", "이랑", "하고", "로", "으로", "아", "야", "이야", "님", "씨", "이는", "이가",
];

/// The colours that the terminal has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colors {
    /// None: no marks are shown either.
    None,
    /// Eight.
    Eight,
    /// 256.
    Palette,
}

/// How lines are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// The colours.
    pub colors: Colors,
    /// Whether the time is shown before each line.
    pub timestamps: bool,
    /// Whether the terminal's bell rings for a mention or a private line.
    pub bell: bool,
}

/// A line with its colours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Painted {
    /// What to show.
    pub text: String,
    /// It mentions this client, or is a private line to it.
    pub is_mention: bool,
}

/// Makes a line from the server safe to show. A madang server sends safe lines only; another may be hostile.
pub fn safe(line: &[u8]) -> String {
    Text::of(&String::from_utf8_lossy(line)).to_string()
}

/// A line, made [`safe`] before, for a terminal that orders letters by their direction (UAX #9): a speaker's name of Arabic
/// or Hebrew letters is put between marks, so that it stays at the start and the text is ordered on its own.
pub fn isolated(line: &str) -> Cow<'_, str> {
    let (Line::Said(name, _)
    | Line::Received(name, _)
    | Line::Confirmed(name, _)
    | Line::Action(name, _)) = Line::parse(line)
    else {
        return line.into();
    };
    match isolated_name(name) {
        Cow::Borrowed(_) => line.into(),
        Cow::Owned(isolated) => line.replacen(name, &isolated, 1).into(),
    }
}

fn isolated_name(name: &str) -> Cow<'_, str> {
    if name.contains(is_right_to_left) {
        [LEFT_TO_RIGHT, name, LEFT_TO_RIGHT].concat().into()
    } else {
        name.into()
    }
}

/// Whether a character is in one of the ranges that are for scripts from right to left (DerivedBidiClass.txt).
fn is_right_to_left(c: char) -> bool {
    matches!(u32::from(c), 0x590..=0x8ff | 0xfb1d..=0xfdff | 0xfe70..=0xfeff | 0x1_0800..=0x1_0fff | 0x1_e800..=0x1_efff)
}

/// Colours a line from the server, made [`safe`] before. `own` is the client's own name.
pub fn line(colors: Colors, line: &str, own: Option<&str>) -> Painted {
    let mut text = String::with_capacity(line.len() + 32);
    let mentions = |base: &str, said: &str, text: &mut String| {
        let spans = own.map_or_else(Vec::new, |own| mentions_of(own, said));
        push_marked(colors, base, said, &spans, text);
        !spans.is_empty()
    };
    let is_mention = match Line::parse(line) {
        Line::Said(who, said) => {
            push_name(colors, who, "", &mut text);
            text.push_str(": ");
            mentions("", said, &mut text)
        }
        Line::Received(who, said) => {
            push_name(colors, who, MARK, &mut text);
            text.push_str(" -> you: ");
            mentions("", said, &mut text);
            true
        }
        Line::Confirmed(who, said) => {
            text.push_str("you -> ");
            push_name(colors, who, "", &mut text);
            text.push_str(": ");
            text.push_str(said);
            false
        }
        Line::Action(..) => mentions(DIM, line, &mut text),
        Line::Notice(_) => {
            text = dim(colors, line);
            false
        }
        Line::Refusal(_) => {
            text = error(colors, line);
            false
        }
        Line::Other(said) => mentions("", said, &mut text),
    };
    Painted { text, is_mention }
}

/// Colours a line that the user typed, as others will see it: the server does not send it back.
pub fn own_line(colors: Colors, typed: &str, own: Option<&str>) -> String {
    let said = match typed.strip_prefix('/') {
        Some(said) if said.starts_with('/') => said,
        Some(_) => return dim(colors, typed),
        None => typed,
    };
    let mut text = String::with_capacity(said.len() + 32);
    if let Some(own) = own {
        push_name(colors, &isolated_name(own), "\x1b[1m", &mut text);
        text.push_str(": ");
    }
    text.push_str(said);
    text
}

/// Dims a line that no person said.
pub fn dim(colors: Colors, line: &str) -> String {
    colored(colors, DIM, line)
}

/// Colours an error.
pub fn error(colors: Colors, line: &str) -> String {
    colored(colors, ERROR, line)
}

fn colored(colors: Colors, sgr: &str, line: &str) -> String {
    match colors {
        Colors::None => line.to_string(),
        Colors::Eight | Colors::Palette => [sgr, line, RESET].concat(),
    }
}

fn push_name(colors: Colors, name: &str, sgr: &str, text: &mut String) {
    // FNV-1a: a name has the same colour on every machine and in every run.
    let letters = name.trim_matches('\u{200e}').bytes();
    let hash = letters.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    // FNV-1a hardly mixes in the last byte: without another step, `guest1` and `guest2` would share a colour.
    let mixed = (hash ^ (hash >> 29)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    let of = |list: &[u8]| list[mixed as usize % list.len()];
    let color = match colors {
        Colors::None => return text.push_str(name),
        Colors::Eight => format!("\x1b[3{}m", of(&NAMES_8)),
        Colors::Palette => format!("\x1b[38;5;{}m", of(&NAMES_256)),
    };
    text.extend([sgr, &color, name, RESET]);
}

/// Appends a text with some of its spans marked; `base` is the colour around them.
fn push_marked(
    colors: Colors,
    base: &str,
    said: &str,
    spans: &[(usize, usize)],
    text: &mut String,
) {
    if colors == Colors::None || base.is_empty() && spans.is_empty() {
        return text.push_str(said);
    }
    text.push_str(base);
    let mut at = 0;
    for &(start, end) in spans {
        text.extend([&said[at..start], MARK, &said[start..end], END_MARK, base]);
        at = end;
    }
    text.extend([&said[at..], RESET]);
}

/// Where a name occurs in a text as a word, in any case: byte ranges, in order.
fn mentions_of(name: &str, text: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let before = text[..at].chars().next_back();
        let end = (!before.is_some_and(char::is_alphanumeric))
            .then(|| prefix_in_any_case(name, &text[at..]))
            .flatten()
            .filter(|len| ends_as_name(&text[at + len..]));
        match end {
            Some(len) if len > 0 => {
                found.push((at, at + len));
                at += len;
            }
            _ => at += c.len_utf8(),
        }
    }
    found
}

/// If the text begins with the name, in any case: how many bytes of the text that are.
fn prefix_in_any_case(name: &str, text: &str) -> Option<usize> {
    let mut rest = text.chars();
    for c in name.chars() {
        let other = rest.next()?;
        if !c.to_lowercase().eq(other.to_lowercase()) {
            return None;
        }
    }
    Some(text.len() - rest.as_str().len())
}

/// Whether the text after a name leaves it a word.
fn ends_as_name(rest: &str) -> bool {
    let word = rest.split(|c: char| !c.is_alphanumeric()).next();
    let word = word.unwrap_or_default();
    word.is_empty() || PARTICLES.contains(&word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn shown(text: &str) -> String {
        let Painted { text, is_mention } = line(Colors::Eight, text, Some("kim"));
        let text = text.replace('\x1b', "^");
        if is_mention { format!("!{text}") } else { text }
    }

    #[test]
    fn each_kind_of_line_has_its_colours() {
        let lee = "^[33mlee^[0m";
        assert_eq!(shown("lee: hello"), format!("{lee}: hello"));
        let mentions = format!("!{lee}: hello ^[1;7mKim^[22;27m, ^[1;7mkim^[22;27m!^[0m");
        assert_eq!(shown("lee: hello Kim, kim!"), mentions);
        let received = "!^[1;7m^[33mlee^[0m -> you: psst";
        assert_eq!(shown("lee -> you: psst"), received);
        assert_eq!(shown("you -> lee: kim"), format!("you -> {lee}: kim"));
        let joined = "* joined: kim (2 here)";
        assert_eq!(shown(joined), format!("^[2m{joined}^[0m"));
        let action = "!^[2m** lee hugs ^[1;7mkim^[22;27m^[2m^[0m";
        assert_eq!(shown("** lee hugs kim"), action);
        assert_eq!(shown("! no, kim"), "^[31m! no, kim^[0m");
        assert_eq!(shown("plain text"), "plain text");
        let plain = |text| line(Colors::None, text, Some("kim")).text;
        for text in ["lee: hi kim", "** lee hugs kim", "! no", "lee -> you: x"] {
            assert_eq!(plain(text), text);
        }
    }

    #[test]
    fn a_typed_line_is_shown_as_others_see_it() {
        let own = |typed| own_line(Colors::None, typed, Some("kim"));
        assert_eq!(own("hello"), "kim: hello");
        assert_eq!(own("//usr"), "kim: /usr");
        assert_eq!(own("/who"), "/who");
        assert_eq!(own_line(Colors::None, "hello", None), "hello");
        let dimmed = own_line(Colors::Eight, "/who", None);
        assert_eq!(dimmed, "\x1b[2m/who\x1b[0m");
    }

    #[test]
    fn a_name_from_right_to_left_is_between_marks() {
        for (line, shown) in [
            ("דוד: kim: hello", "[דוד]: kim: hello"),
            ("محمد -> you: שלום", "[محمد] -> you: שלום"),
            ("you -> דוד: hi", "you -> [דוד]: hi"),
            ("** דוד waves", "** [דוד] waves"),
            ("lee: שלום", "lee: שלום"),
            ("* renamed: דוד -> lee", "* renamed: דוד -> lee"),
            ("! no", "! no"),
        ] {
            assert_eq!(isolated(line), shown.replace(['[', ']'], LEFT_TO_RIGHT));
        }
        let color = |line: &str| {
            super::line(Colors::Eight, line, None)
                .text
                .split('m')
                .next()
                .map(str::to_owned)
        };
        assert_eq!(
            color("דוד: x"),
            color(&isolated("דוד: x")),
            "its colour is the same"
        );
        let own = own_line(Colors::None, "hello", Some("דוד"));
        assert_eq!(own, "\u{200e}דוד\u{200e}: hello");
    }

    #[test]
    fn a_mention_is_a_word_of_its_own() {
        let count = |name, text| mentions_of(name, text).len();
        assert_eq!(count("kim", "kim"), 1);
        assert_eq!(count("kim", "(KIM)"), 1);
        assert_eq!(count("kim", "kimchi, akim, kim2"), 0);
        assert_eq!(count("kim", "kim은 kim아, kim에게 kimono kim김"), 3);
        assert_eq!(count("민수", "민수야 안녕, 김민수 민수들"), 1);
        assert_eq!(count("", "! kim"), 0);
        assert_eq!(mentions_of("k", "é k"), [(3, 4)]);
    }

    #[test]
    fn names_use_all_colours_and_each_keeps_its_own() {
        let color = |name: &str| {
            let mut text = String::new();
            push_name(Colors::Palette, name, "", &mut text);
            text
        };
        assert_eq!(color("kim"), color("kim"));
        let names = (0..100).map(|n| format!("guest{n}"));
        let colors = names.map(|name| color(&name).split('m').next().unwrap().to_string());
        let colors: BTreeSet<String> = colors.collect();
        assert_eq!(colors.len(), NAMES_256.len());
    }

    #[test]
    fn name_colours_are_readable_on_black_and_on_white() {
        let level = |n: u8| f64::from(if n == 0 { 0 } else { 55 + 40 * n }) / 255.0;
        let linear = |v: f64| match v {
            ..=0.03928 => v / 12.92,
            _ => ((v + 0.055) / 1.055).powf(2.4),
        };
        for color in NAMES_256 {
            let cube = color - 16;
            let [r, g, b] = [cube / 36, cube / 6 % 6, cube % 6].map(|n| linear(level(n)));
            let luminance = 0.2126 * r + 0.7152 * g + 0.0722 * b;
            let contrast = ((luminance + 0.05) / 0.05).min(1.05 / (luminance + 0.05));
            assert!(contrast >= 4.0, "{color}: {contrast:.2}");
        }
    }
}
