//! Names of people and rooms: which are valid (UTS #39), and how they are written. Knows no client and no room.

pub use super::guest_name::guest_number;
use super::guest_name::{self, GUEST};
use super::likeness::{Likeness, is_ignored};
use super::limits::{NAME_CHAR_WORK, NAME_CHARS_MAX, NAME_MARKS_MAX, NAME_WORK};
use crate::protocol::Append;
use std::fmt;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::{canonical_combining_class, is_combining_mark};
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};
use unicode_script::{Script, UnicodeScript};
use unicode_security::{
    GeneralSecurityProfile, RestrictionLevel, RestrictionLevelDetection, skeleton,
};

/// The room in which every client starts.
pub const LOBBY: &str = "lobby";

/// Words that stand for the server or for somebody in particular, beside their closed forms (`m` looks like `rn`, `i` like
/// `l`). Written out, since computing them for each `/nick` would be slow.
const RESERVED: [(&str, &str); 13] = [
    ("server", "server"),
    ("you", "you"),
    ("here", "here"),
    ("host", "host"),
    ("madang", "rnadang"),
    ("system", "systern"),
    ("everyone", "everyone"),
    ("all", "all"),
    ("lines", "llnes"),
    ("rooms", "roorns"),
    ("admin", "adrnln"),
    ("administrator", "adrnlnlstrator"),
    ("moderator", "rnoderator"),
];

/// The closed forms of the ten digits.
pub const DIGIT_FORMS: &str = "ol23456789";

/// The name of the person at the console, which nobody else can have.
const HOST: &str = "host";

/// Small letters with a dot (`Soft_Dotted` in PropList.txt, in normal form NFD) and those that look like them, on which
/// another dot is not seen.
const DOTTED: &str = "ijlıȷɉɨʝϳіј";
const DOT_ABOVE: char = '\u{307}';

/// The canonical combining class of the marks above a letter.
const ABOVE: u8 = 230;

/// The name of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    /// A guest's, with a number that no other guest has had ([`guest_name::number`]).
    Guest(u64),
    /// A name that the client chose with `/nick`. Boxed twice, so that a guest's record is 8 bytes smaller.
    Chosen(Box<Box<str>>),
    /// The name of the person at the console.
    Host,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            &Name::Guest(number) => match guest_name::parts(number) {
                (0, count) => write!(f, "{GUEST}{count}"),
                (node, count) => write!(f, "{GUEST}{node}-{count}"),
            },
            Name::Chosen(name) => f.write_str(name),
            Name::Host => f.write_str(HOST),
        }
    }
}

impl Append for Name {
    fn append_to(&self, out: &mut Vec<u8>) {
        match self {
            &Name::Guest(number) => guest_name::append(number, out),
            Name::Chosen(name) => out.extend_from_slice(name.as_bytes()),
            Name::Host => out.extend_from_slice(HOST.as_bytes()),
        }
    }
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
    /// A character that is neither letter nor digit nor one of `-_.`, or a letter that is not recommended for identifiers.
    Character(char),
    /// The first character is neither a letter nor a digit.
    Start(char),
    /// The last character is one of `-_.`.
    End(char),
    /// Two of `-_.` in a row.
    Doubled(char, char),
    /// A mark that follows no letter.
    LooseMark(char),
    /// The same nonspacing mark twice in a row.
    SameMark(char),
    /// More than [`NAME_MARKS_MAX`] nonspacing marks in a row.
    Marks,
    /// A dot above a letter on which it is not seen.
    HiddenDot(char),
    /// Letters of scripts that are not used together, and which these are.
    Scripts(Option<[char; 2]>),
    /// Digits without a letter: they would look like a count in a notice.
    NoLetter,
    /// A reserved word.
    Reserved,
    /// It looks like this reserved word.
    LooksReserved(&'static str),
    /// It can be mistaken for a guest's name.
    Guest,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Invalid::Length => write!(f, "a name has 1 to {NAME_CHARS_MAX} characters"),
            Invalid::Character(c) => write!(
                f,
                "a name has letters, digits, '-', '_' and '.', not {}",
                Shown(c)
            ),
            Invalid::Start(c) => write!(
                f,
                "a name begins with a letter or a digit, not {}",
                Shown(c)
            ),
            Invalid::End(c) => {
                write!(f, "a name ends with a letter or a digit, not {}", Shown(c))
            }
            Invalid::Doubled(first, second) => write!(
                f,
                "'{first}{second}' in a name is too much: leave one of them out"
            ),
            Invalid::LooseMark(c) => {
                write!(f, "the mark {} is on no letter: leave it out", Shown(c))
            }
            Invalid::SameMark(c) => write!(
                f,
                "the mark {} is there twice in a row: leave one out",
                Shown(c)
            ),
            Invalid::Marks => write!(f, "a letter has at most {NAME_MARKS_MAX} marks"),
            Invalid::HiddenDot(c) => write!(
                f,
                "the dot U+0307 is not seen on {}: leave it out",
                Shown(c)
            ),
            Invalid::Scripts(Some(pair)) => {
                let [a, b] = pair.map(|c| (Shown(c), c.script().full_name()));
                write!(
                    f,
                    "a name has letters of one script, but {} is {} and {} is {}",
                    a.0, a.1, b.0, b.1
                )
            }
            Invalid::Scripts(None) => f.write_str("a name has letters of one script"),
            Invalid::NoLetter => f.write_str("a name has at least one letter"),
            Invalid::Reserved => f.write_str("that name is the server's own"),
            Invalid::LooksReserved(word) => write!(
                f,
                "that name looks like '{word}', which is the server's own"
            ),
            Invalid::Guest => f.write_str("names like guest1 are given by the server"),
        }
    }
}

/// A character in a reason: its number, and itself if it is seen.
struct Shown(char);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "U+{:04X}", u32::from(self.0))?;
        if self.0.is_alphanumeric() || self.0.is_ascii_graphic() {
            write!(f, " ('{}')", self.0)?;
        }
        Ok(())
    }
}

/// A name that a client may choose, with its likeness, which is slow to compute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nickname {
    /// In normal form (NFKC).
    pub name: Box<str>,
    /// What no other name in use may be like.
    pub likeness: Likeness,
}

/// A name that a room may have, with its likeness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomName {
    /// In normal form (NFKC).
    pub name: Box<str>,
    /// Rooms whose names are alike are one room.
    pub likeness: Likeness,
}

/// The name that a client asks for, if it may have it.
///
/// # Errors
/// Says what is wrong with the name.
pub fn nickname(raw: &str) -> Result<Nickname, Invalid> {
    let name = normal(raw)?;
    if !name.chars().any(|c| c.is_alphabetic() && !is_ignored(c)) {
        return Err(Invalid::NoLetter);
    }
    let likeness = Likeness::of(&name);
    let is_one = |form: &str| likeness.forms().any(|own| own == form);
    if let Some((word, _)) = RESERVED.iter().find(|(_, form)| is_one(form)) {
        let is_same = name.eq_ignore_ascii_case(word);
        return Err(if is_same {
            Invalid::Reserved
        } else {
            Invalid::LooksReserved(word)
        });
    }
    if likeness.forms().any(looks_like_guest) {
        return Err(Invalid::Guest);
    }
    Ok(Nickname { name, likeness })
}

/// The name of a room that a client asks for, if a room may have it.
///
/// # Errors
/// Says what is wrong with the name.
pub fn room_name(raw: &str) -> Result<RoomName, Invalid> {
    let name = normal(raw)?;
    let likeness = Likeness::of(&name);
    Ok(RoomName { name, likeness })
}

/// Units of work that the name of a person or a room costs, valid or not.
pub fn work(raw: &str) -> u64 {
    let chars = raw.chars().take(NAME_CHARS_MAX).count() as u64;
    NAME_WORK
        + if raw.is_ascii() {
            0
        } else {
            chars * NAME_CHAR_WORK
        }
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
    check_characters(&name)?;
    check_marks(&name)?;
    check_scripts(&name)?;
    Ok(name.into())
}

/// Which characters there are, and where.
fn check_characters(name: &str) -> Result<(), Invalid> {
    let mut before = None;
    for c in name.chars() {
        let (is_separator, is_mark) = (matches!(c, '-' | '_' | '.'), is_combining_mark(c));
        // Only characters that are recommended for identifiers: no fillers, no invisible ones, no historic scripts.
        if !c.identifier_allowed() || !(c.is_alphanumeric() || is_separator || is_mark) {
            return Err(Invalid::Character(c));
        }
        match before {
            None if !c.is_alphanumeric() => return Err(Invalid::Start(c)),
            Some(before @ ('-' | '_' | '.')) if is_separator => {
                return Err(Invalid::Doubled(before, c));
            }
            Some('-' | '_' | '.') if is_mark => return Err(Invalid::LooseMark(c)),
            _ => before = Some(c),
        }
    }
    match before {
        Some(last @ ('-' | '_' | '.')) => Err(Invalid::End(last)),
        _ => Ok(()),
    }
}

/// UTS #39, section 5.4: no nonspacing mark twice in a row, no more than four in a row, no dot that is not seen.
fn check_marks(name: &str) -> Result<(), Invalid> {
    let (mut marks, mut before, mut dotted) = (0, None, None);
    for c in name.nfd() {
        let is_mark = matches!(
            c.general_category(),
            GeneralCategory::NonspacingMark | GeneralCategory::EnclosingMark
        );
        if !is_mark {
            (marks, dotted) = (0, Some(c));
        } else if before == Some(c) {
            return Err(Invalid::SameMark(c));
        } else {
            marks += 1;
            match dotted.filter(|_| c == DOT_ABOVE) {
                Some(letter) if hides_dot(letter) => return Err(Invalid::HiddenDot(letter)),
                _ if marks > NAME_MARKS_MAX => return Err(Invalid::Marks),
                // A dot above another mark is seen, one above a letter that has a mark below is not.
                _ if matches!(canonical_combining_class(c), 0 | ABOVE) => dotted = None,
                _ => {}
            }
        }
        before = Some(c);
    }
    Ok(())
}

/// Whether a dot above this letter is not seen: it has one, or looks like a letter that has. Of the letters that look like
/// `l`, a dot on `I` makes the Turkish `İ`.
fn hides_dot(letter: char) -> bool {
    let shape = skeleton(letter.encode_utf8(&mut [0; 4])).last();
    letter != 'I'
        && [Some(letter), shape]
            .into_iter()
            .flatten()
            .any(|c| DOTTED.contains(c))
}

/// UTS #39, section 5.2, level "highly restrictive": one script; or Latin with Han and either Hangul, or the two kana, or
/// Bopomofo.
fn check_scripts(name: &str) -> Result<(), Invalid> {
    let is_allowed = |text: &str| text.check_restriction_level(RestrictionLevel::HighlyRestrictive);
    if is_allowed(name) {
        return Ok(());
    }
    let mut scripts: Vec<char> = Vec::new();
    for c in name.chars() {
        let is_known = scripts.iter().any(|other| other.script() == c.script());
        if is_known || matches!(c.script(), Script::Common | Script::Inherited) {
            continue;
        }
        let is_foreign = |&&other: &&char| !is_allowed(&String::from_iter([other, c]));
        if let Some(&other) = scripts.iter().find(is_foreign) {
            return Err(Invalid::Scripts(Some([other, c])));
        }
        scripts.push(c);
    }
    Err(Invalid::Scripts(None))
}

/// `guest`, followed by nothing but what can be mistaken for digits.
fn looks_like_guest(form: &str) -> bool {
    form.strip_prefix(GUEST).is_some_and(|rest| {
        rest.chars()
            .all(|c| DIGIT_FORMS.contains(c) || c.is_numeric())
    })
}

#[cfg(test)]
mod tests;
