//! Nicknames and names of rooms: which are valid, and which look like one another to a person (UTS #39). Knows
//! nobody who bears one.

use super::limits::NAME_CHARS_MAX;
use std::fmt;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use unicode_security::{GeneralSecurityProfile, skeleton};

/// Where everybody starts.
pub const LOBBY: &str = "lobby";

/// Words that the server begins its own notices with, or that stand for somebody in particular, and what they look like
/// (`m` looks like `rn`): made once, since a client may ask for names all day.
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

/// What the ten digits look like.
const DIGIT_FORMS: &str = "ol23456789";

/// The name that a newcomer is given begins so; a number follows.
const GUEST: &str = "guest";

/// What the host is called, which nobody else can be.
const HOST: &str = "host";

/// What a client is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    /// `guest` and a number that nobody had before.
    Guest(u64),
    /// A name that it chose, or the host's, which nobody can choose.
    Chosen(Box<str>),
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Name::Guest(number) => write!(f, "{GUEST}{number}"),
            Name::Chosen(name) => f.write_str(name),
        }
    }
}

impl Name {
    /// The host's name.
    pub fn host() -> Name {
        Name::Chosen(HOST.into())
    }

    /// Whether it is the host's name. Nobody can choose it, so it tells who bears it.
    pub fn is_host(&self) -> bool {
        matches!(self, Name::Chosen(name) if **name == *HOST)
    }

    /// Appends the name, as it stands before everything that its bearer says.
    pub fn push_to(&self, out: &mut Vec<u8>) {
        match self {
            &Name::Guest(mut number) => {
                // Before each line that is said, so not by way of a string.
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
        }
    }
}

/// The number in a guest's name; `None` if it is no guest's name.
pub fn guest_number(name: &str) -> Option<u64> {
    let digits = name.strip_prefix(GUEST)?;
    (digits.starts_with(|c: char| c.is_ascii_digit() && c != '0')).then(|| digits.parse().ok())?
}

/// Whether somebody can be called so: a guest, the host, or who has chosen it. The server's own notices begin otherwise.
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
    /// Digits without a letter would look like a count of the server's.
    NoLetter,
    /// A word of the server's own.
    Reserved,
    /// It looks like the name of a guest.
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

/// The name in its normal form (NFKC), if it is one that a client may take.
///
/// # Errors
/// Says what is wrong with it.
pub fn nickname(raw: &str) -> Result<Box<str>, Invalid> {
    let name = normal(raw)?;
    if !name.chars().any(char::is_alphabetic) {
        return Err(Invalid::NoLetter);
    }
    let likeness = Likeness::of(&name);
    if likeness
        .forms()
        .any(|form| RESERVED.iter().any(|(_, reserved)| *reserved == form))
    {
        return Err(Invalid::Reserved);
    }
    if likeness.forms().any(looks_like_guest) {
        return Err(Invalid::Guest);
    }
    Ok(name)
}

/// The name of a room in its normal form (NFKC).
///
/// # Errors
/// Says what is wrong with it.
pub fn room_name(raw: &str) -> Result<Box<str>, Invalid> {
    normal(raw)
}

/// What rooms that look alike share: they are one room.
pub fn room_likeness(name: &str) -> Box<str> {
    skeleton(&name.to_lowercase()).collect::<String>().into()
}

/// The normal form (NFKC) of any name, whoever or whatever may bear it.
///
/// # Errors
/// Says what is wrong with it.
pub fn normal(raw: &str) -> Result<Box<str>, Invalid> {
    // Normalisation can make 18 characters of one (U+FDFA), so a long name is not even looked at.
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

/// How a name looks to somebody who does not look closely: two names that share a form are alike.
///
/// Two forms, since "differs in case" and "looks the same" do not commute: `KIM` differs from `kim` in case, and looks
/// like `KlM`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Likeness {
    lower_first: Box<str>,
    skeleton_first: Box<str>,
}

impl Likeness {
    /// The forms of a valid name.
    pub fn of(name: &str) -> Likeness {
        let lower_first: String = skeleton(&name.to_lowercase()).collect();
        let skeleton_first: String = skeleton(name).collect::<String>().to_lowercase();
        Likeness {
            lower_first: lower_first.to_lowercase().into(),
            skeleton_first: skeleton_first.into(),
        }
    }

    /// Its forms, each once.
    pub fn forms(&self) -> impl Iterator<Item = &str> {
        let second = (self.lower_first != self.skeleton_first).then_some(&*self.skeleton_first);
        std::iter::once(&*self.lower_first).chain(second)
    }
}

/// `guest` and then nothing that could not be taken for digits.
fn looks_like_guest(form: &str) -> bool {
    form.strip_prefix(GUEST).is_some_and(|rest| {
        rest.chars()
            .all(|c| DIGIT_FORMS.contains(c) || c.is_numeric())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Likeness {
        fn shares(&self, other: &Likeness) -> bool {
            self.forms()
                .any(|form| other.forms().any(|others| form == others))
        }
    }

    #[test]
    fn names_of_every_script_are_welcome() {
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
        assert_eq!(&*nickname("ｋｉｍ").unwrap(), "kim");
        assert_eq!(
            &*nickname("한글").unwrap(),
            "한글",
            "conjoining letters are composed"
        );
    }

    #[test]
    fn what_is_no_name_is_refused_with_its_reason() {
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
    fn the_hosts_name_is_nobody_elses() {
        let host = Name::host();
        assert!(host.is_host());
        let word = host.to_string();
        assert!(RESERVED.contains(&(&*word, &*word)));
        for name in ["host", "HOST", "H0st", "\u{4bb}ost"] {
            assert_eq!(nickname(name), Err(Invalid::Reserved), "{name}");
        }
        for name in [
            Name::Guest(1),
            Name::Chosen("hosts".into()),
            Name::Chosen("kim".into()),
        ] {
            assert!(!name.is_host(), "{name}");
        }
    }

    #[test]
    fn the_forms_made_once_are_those_of_the_words() {
        let form = |word: &str| {
            Likeness::of(word)
                .forms()
                .map(str::to_string)
                .collect::<Vec<_>>()
        };
        for (word, made) in RESERVED {
            assert_eq!(form(word), [made]);
        }
        let digits: String = (0..10)
            .map(|digit| form(&digit.to_string()).concat())
            .collect();
        assert_eq!(digits, DIGIT_FORMS);
    }

    #[test]
    fn alike_is_case_width_and_confusables() {
        let alike = |a: &str, b: &str| {
            Likeness::of(&nickname(a).unwrap()).shares(&Likeness::of(&nickname(b).unwrap()))
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
    fn only_the_servers_own_form_is_a_guest() {
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
            Name::Chosen("kim".into()),
        ] {
            let mut out = Vec::new();
            name.push_to(&mut out);
            assert_eq!(out, name.to_string().as_bytes());
        }
    }
}
