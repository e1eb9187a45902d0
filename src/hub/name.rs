//! Names of people and rooms: which are valid, and which can be mistaken for one another (UTS #39). Knows no client and no
//! room.

use super::limits::NAME_CHARS_MAX;
use crate::protocol::Append;
use std::fmt;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use unicode_security::{GeneralSecurityProfile, skeleton};

/// The room in which every client starts.
pub const LOBBY: &str = "lobby";

/// Words with which the server begins its own notices, or that stand for somebody in particular, beside their skeletons
/// (`m` looks like `rn`). Written out, since computing them for each `/nick` would be slow.
const RESERVED: [(&str, &str); 10] = [
    ("server", "server"),
    ("you", "you"),
    ("here", "here"),
    ("host", "host"),
    ("madang", "rnadang"),
    ("system", "systern"),
    ("everyone", "everyone"),
    ("all", "all"),
    ("lines", "lines"),
    ("rooms", "roorns"),
];

/// The skeletons of the ten digits.
const DIGIT_SKELETONS: &str = "ol23456789";

/// A guest's name is this and a number.
const GUEST: &str = "guest";

/// The name of the person at the console, which nobody else can have.
const HOST: &str = "host";

/// The name of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    /// `guest` and a number that no other guest has had.
    Guest(u64),
    /// A name that the client chose with `/nick`. Boxed twice, so that a guest's record is 8 bytes smaller.
    Chosen(Box<Box<str>>),
    /// The name of the person at the console.
    Host,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Name::Guest(number) => write!(f, "{GUEST}{number}"),
            Name::Chosen(name) => f.write_str(name),
            Name::Host => f.write_str(HOST),
        }
    }
}

impl Append for Name {
    fn append_to(&self, out: &mut Vec<u8>) {
        match self {
            &Name::Guest(mut number) => {
                // This is done for each line that is said: without a `String`.
                let mut digits = [0; 20];
                let mut first = digits.len();
                while number > 0 {
                    first -= 1;
                    digits[first] = b'0' + (number % 10) as u8;
                    number /= 10;
                }
                out.extend_from_slice(GUEST.as_bytes());
                out.extend_from_slice(&digits[first..]);
            }
            Name::Chosen(name) => out.extend_from_slice(name.as_bytes()),
            Name::Host => out.extend_from_slice(HOST.as_bytes()),
        }
    }
}

/// The number in a guest's name; `None` if this is not a guest's name.
pub fn guest_number(name: &str) -> Option<u64> {
    let digits = name.strip_prefix(GUEST)?;
    (digits.starts_with(|c: char| c.is_ascii_digit() && c != '0')).then(|| digits.parse().ok())?
}

/// Whether `word` can be a person's name: a guest's, the host's or a chosen one. No notice of the server's begins with one.
pub fn is_persons_name(word: &str) -> bool {
    word == HOST || guest_number(word).is_some() || nickname(word).is_ok()
}

/// Why a name is not valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Invalid {
    /// No character, or more than [`NAME_CHARS_MAX`].
    Length,
    /// A character that is neither letter nor digit nor one of `-_.`.
    Character(char),
    /// The first character is neither a letter nor a digit.
    Start(char),
    /// Digits without a letter: they would look like a count in a notice.
    NoLetter,
    /// A reserved word, or one with its skeleton.
    Reserved,
    /// It can be mistaken for a guest's name.
    Guest,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Invalid::Length => write!(f, "a name has 1 to {NAME_CHARS_MAX} characters"),
            Invalid::Character(c) => {
                write!(
                    f,
                    "a name has letters, digits, '-', '_' and '.', not U+{:04X}",
                    u32::from(*c)
                )
            }
            Invalid::Start(c) => write!(
                f,
                "a name begins with a letter or a digit, not U+{:04X}",
                u32::from(*c)
            ),
            Invalid::NoLetter => f.write_str("a name has at least one letter"),
            Invalid::Reserved => f.write_str("that name is the server's own"),
            Invalid::Guest => f.write_str("names like guest1 are given by the server"),
        }
    }
}

/// A name that a client may choose, with its skeletons, which are slow to compute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nickname {
    /// In normal form (NFKC).
    pub name: Box<str>,
    /// Its skeletons.
    pub skeletons: Skeletons,
}

/// A name that a room may have, with its skeleton.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomName {
    /// In normal form (NFKC).
    pub name: Box<str>,
    /// Rooms with the same skeleton are one room.
    pub skeleton: Box<str>,
}

/// The name that a client asks for, if it may have it.
///
/// # Errors
/// Says what is wrong with the name.
pub fn nickname(raw: &str) -> Result<Nickname, Invalid> {
    let name = normal(raw)?;
    if !name.chars().any(char::is_alphabetic) {
        return Err(Invalid::NoLetter);
    }
    let skeletons = Skeletons::of(&name);
    if skeletons
        .iter()
        .any(|skeleton| RESERVED.iter().any(|(_, reserved)| *reserved == skeleton))
    {
        return Err(Invalid::Reserved);
    }
    if skeletons.iter().any(looks_like_guest) {
        return Err(Invalid::Guest);
    }
    Ok(Nickname { name, skeletons })
}

/// The name of a room that a client asks for, if a room may have it.
///
/// # Errors
/// Says what is wrong with the name.
pub fn room_name(raw: &str) -> Result<RoomName, Invalid> {
    let name = normal(raw)?;
    let skeleton: String = skeleton(&name.to_lowercase()).collect();
    let skeleton = skeleton.into();
    Ok(RoomName { name, skeleton })
}

/// The normal form (NFKC) of any name, of a person or a room, reserved or not.
///
/// # Errors
/// Says what is wrong with the name.
pub fn normal(raw: &str) -> Result<Box<str>, Invalid> {
    // Normalisation can make 18 characters of one (U+FDFA), so a long name is refused before that.
    if raw.is_empty() || raw.chars().count() > NAME_CHARS_MAX {
        return Err(Invalid::Length);
    }
    let name: String = raw.nfkc().collect();
    if !(1..=NAME_CHARS_MAX).contains(&name.chars().count()) {
        return Err(Invalid::Length);
    }
    let mut marks = 0;
    for (at, c) in name.chars().enumerate() {
        let mark = is_combining_mark(c);
        marks = if mark { marks + 1 } else { 0 };
        // Only characters that are recommended for identifiers: no fillers, no invisible ones, no historic scripts.
        let fits =
            c.identifier_allowed() && (c.is_alphanumeric() || matches!(c, '-' | '_' | '.') || mark);
        if !fits || marks > 2 {
            return Err(Invalid::Character(c));
        }
        if at == 0 && !c.is_alphanumeric() {
            return Err(Invalid::Start(c));
        }
    }
    Ok(name.into())
}

/// The skeletons of a name (UTS #39, section 4): two names that share one can be mistaken for each other.
///
/// There are two, since "differs in case" and "looks the same" do not commute: `KIM` differs from `kim` in case, and looks
/// like `KlM`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skeletons {
    lower_first: Box<str>,
    skeleton_first: Box<str>,
}

impl Skeletons {
    /// The skeletons of a valid name.
    pub fn of(name: &str) -> Skeletons {
        let lower_first: String = skeleton(&name.to_lowercase()).collect();
        let skeleton_first: String = skeleton(name).collect::<String>().to_lowercase();
        Skeletons {
            lower_first: lower_first.to_lowercase().into(),
            skeleton_first: skeleton_first.into(),
        }
    }

    /// The different ones among them.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let second = (self.lower_first != self.skeleton_first).then_some(&*self.skeleton_first);
        std::iter::once(&*self.lower_first).chain(second)
    }
}

/// `guest`, followed by nothing but what can be mistaken for digits.
fn looks_like_guest(skeleton: &str) -> bool {
    skeleton.strip_prefix(GUEST).is_some_and(|rest| {
        rest.chars()
            .all(|c| DIGIT_SKELETONS.contains(c) || c.is_numeric())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Skeletons {
        fn shares(&self, other: &Skeletons) -> bool {
            self.iter()
                .any(|skeleton| other.iter().any(|others| skeleton == others))
        }
    }

    #[test]
    fn names_of_every_script_are_accepted() {
        for name in [
            "kim",
            "김철수",
            "Zoë",
            "Ольга",
            "さくら",
            "นุช",
            "अनिल",
            "a-b_c.d",
            "7up",
            "ａｂｃ",
        ] {
            assert!(nickname(name).is_ok(), "{name}: {:?}", nickname(name));
        }
        assert_eq!(&*nickname("ｋｉｍ").unwrap().name, "kim");
        assert_eq!(
            &*nickname("한글").unwrap().name,
            "한글",
            "conjoining letters are composed"
        );
    }

    #[test]
    fn invalid_names_are_refused_with_the_reason() {
        let long = "x".repeat(NAME_CHARS_MAX + 1);
        assert!(nickname(&long[1..]).is_ok());
        for (name, why) in [
            ("", Invalid::Length),
            (&*long, Invalid::Length),
            ("\u{fdfa}\u{fdfa}", Invalid::Length),
            ("a:b", Invalid::Character(':')),
            ("a b", Invalid::Character(' ')),
            ("a\u{200d}b", Invalid::Character('\u{200d}')),
            ("a\u{3164}b", Invalid::Character('\u{1160}')),
            ("kim\u{ad}", Invalid::Character('\u{ad}')),
            ("😀", Invalid::Character('😀')),
            ("-a", Invalid::Start('-')),
            (".a", Invalid::Start('.')),
            ("37", Invalid::NoLetter),
            ("1.204", Invalid::NoLetter),
            ("server", Invalid::Reserved),
            ("SERVER", Invalid::Reserved),
            ("ѕеrvеr", Invalid::Reserved),
            ("Y0U", Invalid::Reserved),
            ("guest7", Invalid::Guest),
            ("Guest07", Invalid::Guest),
            ("guestl", Invalid::Guest),
            ("guest١", Invalid::Guest),
            ("guest", Invalid::Guest),
        ] {
            let got = nickname(name);
            assert_eq!(got, Err(why), "{name}");
        }
        assert!(nickname("*").is_err() && nickname("!").is_err());
        assert!(nickname("x\u{301}\u{301}").is_ok());
        assert!(nickname("guesthouse").is_ok() && nickname("x\u{301}\u{301}\u{301}").is_err());
    }

    #[test]
    fn no_client_can_choose_the_name_host() {
        let word = Name::Host.to_string();
        assert!(RESERVED.contains(&(&*word, &*word)));
        for name in ["host", "HOST", "H0st", "\u{4bb}ost"] {
            assert_eq!(nickname(name), Err(Invalid::Reserved), "{name}");
        }
    }

    #[test]
    fn written_skeletons_of_reserved_names_and_digits_are_correct() {
        let skeletons = |word: &str| {
            Skeletons::of(word)
                .iter()
                .map(str::to_string)
                .collect::<Vec<_>>()
        };
        for (word, skeleton) in RESERVED {
            assert_eq!(skeletons(word), [skeleton]);
        }
        let digits: String = (0..10)
            .map(|digit| skeletons(&digit.to_string()).concat())
            .collect();
        assert_eq!(digits, DIGIT_SKELETONS);
    }

    #[test]
    fn names_that_differ_in_case_width_or_confusables_look_alike() {
        let alike = |a: &str, b: &str| {
            nickname(a)
                .unwrap()
                .skeletons
                .shares(&nickname(b).unwrap().skeletons)
        };
        for (a, b) in [
            ("kim", "KIM"),
            ("kim", "ｋｉｍ"),
            ("KIM", "KlM"),
            ("paypal", "раураl"),
            ("bob", "b0b"),
            ("Ольга", "ОЛЬГА"),
            ("rn", "m"),
        ] {
            assert!(alike(a, b) && alike(b, a), "{a} {b}");
        }
        for (a, b) in [("kim", "kin"), ("김", "긴"), ("lee", "li")] {
            assert!(!alike(a, b), "{a} {b}");
        }
    }

    #[test]
    fn guest_names_are_parsed_as_they_are_rendered() {
        assert_eq!(guest_number("guest12"), Some(12));
        for name in [
            "guest", "guest0", "guest01", "guest1x", "Guest1", "guest+1", "kim",
        ] {
            assert_eq!(guest_number(name), None, "{name}");
        }
        for name in [
            Name::Guest(1),
            Name::Guest(1200),
            Name::Guest(u64::MAX),
            Name::Chosen(Box::new("kim".into())),
            Name::Host,
        ] {
            let mut out = Vec::new();
            name.append_to(&mut out);
            assert_eq!(out, name.to_string().as_bytes());
        }
    }
}
