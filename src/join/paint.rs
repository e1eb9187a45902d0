//! How a line looks: made safe, whatever the server sent; then its colours, and marks on one's own name. What comes out
//! has no control character but TAB and these colours (SGR, ECMA-48 8.3.117). Knows no terminal.

use super::tag::Tag;
use crate::hub::{self, Text};

const RESET: &str = "\x1b[0m";
const DIM: &str = "\x1b[2m";
const ERROR: &str = "\x1b[31m";
const MARK: &str = "\x1b[1;7m";
const END_MARK: &str = "\x1b[22;27m";

/// Of the 240 colours that terminals with 256 agree on, these can be read on black and on white alike: their contrast
/// (WCAG 2.2, 1.4.3) is at least 4 to both, which no colour has much more of.
const NAMES_256: [u8; 12] = [28, 30, 31, 27, 62, 98, 129, 164, 162, 131, 130, 64];
/// Elsewhere the colours are whatever the terminal's owner has made of them: all but black, white, and the errors' red.
const NAMES_8: [u8; 5] = [2, 3, 4, 5, 6];

/// What follows a name in Korean without a space, and still leaves it the name.
const PARTICLES: [&str; 28] = [
    "은", "는", "이", "가", "을", "를", "의", "에", "에게", "한테", "께", "께서", "도", "만", "와",
    "과", "랑", "이랑", "하고", "로", "으로", "아", "야", "이야", "님", "씨", "이는", "이가",
];

/// How many colours there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colors {
    /// None, and no marks either.
    None,
    /// Eight.
    Eight,
    /// 256.
    Palette,
}

/// A line as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// What to show.
    pub text: String,
    /// It is meant for this client.
    pub is_mention: bool,
}

/// Makes a line of the server's safe to show. A server of this kind has done so; another may be hostile.
pub fn safe(line: &[u8]) -> String {
    Text::of(&String::from_utf8_lossy(line)).to_string()
}

/// Shows a line of the server's that was made safe. `own` is what the client is called.
pub fn line(colors: Colors, line: &str, own: Option<&str>) -> Shown {
    let mut text = String::with_capacity(line.len() + 32);
    let mentions = |base: &str, said: &str, text: &mut String| {
        let spans = own.map_or_else(Vec::new, |own| mentions_of(own, said));
        push_marked(colors, base, said, &spans, text);
        !spans.is_empty()
    };
    let is_mention = match Tag::of(line) {
        Tag::Said(who, said) => {
            push_name(colors, who, "", &mut text);
            text.push_str(": ");
            mentions("", said, &mut text)
        }
        Tag::Received(who, said) => {
            push_name(colors, who, MARK, &mut text);
            text.push_str(" -> you: ");
            mentions("", said, &mut text);
            true
        }
        Tag::Confirmed(who, said) => {
            text.push_str("you -> ");
            push_name(colors, who, "", &mut text);
            text.push_str(": ");
            text.push_str(said);
            false
        }
        Tag::Notice(said) if is_action(said) => mentions(DIM, line, &mut text),
        Tag::Notice(_) => {
            text = dim(colors, line);
            false
        }
        Tag::Refusal(_) => {
            text = error(colors, line);
            false
        }
        Tag::None(said) => mentions("", said, &mut text),
    };
    Shown { text, is_mention }
}

/// Shows a line that the client itself sends, as the others will see it; the server does not send it back.
pub fn own_line(colors: Colors, typed: &str, own: Option<&str>) -> String {
    let said = match typed.strip_prefix('/') {
        Some(said) if said.starts_with('/') => said,
        Some(_) => return dim(colors, typed),
        None => typed,
    };
    let mut text = String::with_capacity(said.len() + 32);
    if let Some(own) = own {
        push_name(colors, own, "\x1b[1m", &mut text);
        text.push_str(": ");
    }
    text.push_str(said);
    text
}

/// Shows what is neither said nor a notice of the server's.
pub fn dim(colors: Colors, line: &str) -> String {
    colored(colors, DIM, line)
}

/// Shows what has failed.
pub fn error(colors: Colors, line: &str) -> String {
    colored(colors, ERROR, line)
}

/// Whether a notice is what somebody does. The server's own begin with words that nobody can be called.
fn is_action(notice: &str) -> bool {
    hub::is_persons_name(notice.split(' ').next().unwrap_or_default())
}

fn colored(colors: Colors, sgr: &str, line: &str) -> String {
    match colors {
        Colors::None => line.to_string(),
        Colors::Eight | Colors::Palette => [sgr, line, RESET].concat(),
    }
}

fn push_name(colors: Colors, name: &str, sgr: &str, text: &mut String) {
    // FNV-1a: the same colour on every machine and in every run.
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    // The last byte has hardly been mixed in yet: numbered guests would share a colour.
    let mixed = (hash ^ (hash >> 29)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    let of = |list: &[u8]| list[mixed as usize % list.len()];
    let color = match colors {
        Colors::None => return text.push_str(name),
        Colors::Eight => format!("\x1b[3{}m", of(&NAMES_8)),
        Colors::Palette => format!("\x1b[38;5;{}m", of(&NAMES_256)),
    };
    text.extend([sgr, &color, name, RESET]);
}

/// Shows a text with some of its spans marked.
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

/// Where a name stands in a text as a word of its own, in any case: byte ranges, in order.
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

/// How many bytes of the text are the name, if it begins with it.
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

/// Whether what follows leaves a name a word of its own.
fn ends_as_name(rest: &str) -> bool {
    let word = rest
        .split(|c: char| !c.is_alphanumeric())
        .next()
        .unwrap_or_default();
    word.is_empty() || PARTICLES.contains(&word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let Shown { text, is_mention } = line(Colors::Eight, text, Some("kim"));
        let text = text.replace('\x1b', "^");
        if is_mention { format!("!{text}") } else { text }
    }

    #[test]
    fn lines_look_like_what_they_are() {
        let lee = "^[33mlee^[0m";
        assert_eq!(shown("lee: hello"), format!("{lee}: hello"));
        assert_eq!(
            shown("lee: hello Kim, kim!"),
            format!("!{lee}: hello ^[1;7mKim^[22;27m, ^[1;7mkim^[22;27m!^[0m")
        );
        assert_eq!(
            shown("lee -> you: psst"),
            "!^[1;7m^[33mlee^[0m -> you: psst"
        );
        assert_eq!(shown("you -> lee: kim"), format!("you -> {lee}: kim"));
        assert_eq!(
            shown("* joined: kim (2 here)"),
            "^[2m* joined: kim (2 here)^[0m"
        );
        assert_eq!(
            shown("* lee hugs kim"),
            "!^[2m* lee hugs ^[1;7mkim^[22;27m^[2m^[0m"
        );
        assert_eq!(shown("! no, kim"), "^[31m! no, kim^[0m");
        assert_eq!(shown("plain text"), "plain text");
        let plain = |text| line(Colors::None, text, Some("kim")).text;
        for text in ["lee: hi kim", "* lee hugs kim", "! no", "lee -> you: x"] {
            assert_eq!(plain(text), text);
        }
    }

    #[test]
    fn what_one_types_looks_as_the_others_see_it() {
        let own = |typed| own_line(Colors::None, typed, Some("kim"));
        assert_eq!(own("hello"), "kim: hello");
        assert_eq!(own("//usr"), "kim: /usr");
        assert_eq!(own("/who"), "/who");
        assert_eq!(own_line(Colors::None, "hello", None), "hello");
        let dimmed = own_line(Colors::Eight, "/who", None);
        assert_eq!(dimmed, "\x1b[2m/who\x1b[0m");
    }

    #[test]
    fn a_name_is_found_as_a_word() {
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
    fn a_name_has_one_colour() {
        let color = |name| {
            let mut text = String::new();
            push_name(Colors::Palette, name, "", &mut text);
            text
        };
        assert_eq!(color("kim"), color("kim"));
        let names: Vec<String> = (0..100).map(|n| format!("guest{n}")).collect();
        let mut colors: Vec<String> = names
            .iter()
            .map(|name| color(name).split('m').next().unwrap().to_string())
            .collect();
        colors.sort_unstable();
        colors.dedup();
        assert_eq!(colors.len(), NAMES_256.len(), "all are used");
    }

    #[test]
    fn the_colours_can_be_read_on_black_and_on_white() {
        let level = |n: u8| {
            if n == 0 {
                0.0
            } else {
                f64::from(55 + 40 * n) / 255.0
            }
        };
        let linear = |v: f64| {
            if v <= 0.03928 {
                v / 12.92
            } else {
                ((v + 0.055) / 1.055).powf(2.4)
            }
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
