//! The body of the fuzz target `name`: exactly those names are accepted that UTS #39 and the rules of docs/protocol.md
//! allow, as a second, naive reading of them says, and no two names in use can be confused.

use super::shown::assert_harmless;
use crate::hub::directory::Directory;
use crate::hub::input::text::Text;
use crate::hub::likeness::Likeness;
use crate::hub::name::{Name, Nickname, guest_number, nickname, room_name};
use crate::protocol::Append;
use std::collections::{BTreeMap, BTreeSet};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::canonical_combining_class;
use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};
use unicode_script::{Script, ScriptExtension};
use unicode_security::{GeneralSecurityProfile, skeleton};

/// Reserved names. A second copy, independent of the code under test.
const RESERVED: [&str; 13] = [
    "server",
    "you",
    "here",
    "host",
    "madang",
    "system",
    "everyone",
    "all",
    "lines",
    "rooms",
    "admin",
    "administrator",
    "moderator",
];

/// What a name is, in the order in which the rules are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    WrongLength,
    WrongCharacter,
    WrongStart,
    WrongEnd,
    SeparatorAfterSeparator,
    MarkAfterSeparator,
    SameMarkTwice,
    FiveMarks,
    HiddenDot,
    MixedScripts,
    /// A room can have it, a person cannot.
    WithoutLetter,
    /// From here on a person can have it too, if it is not reserved.
    OneScript,
    LatinAndJapanese,
    /// Or with Bopomofo, which section 3.1 does not recommend any more.
    LatinAndKorean,
}

/// How many names of an input are used.
const NAMES_MAX: usize = 12;

/// How many clients have a name at a time.
const SLOTS: usize = 4;

/// Input: a guest's number, and names, one a line. The clients take turns to choose the names.
pub fn name(data: &[u8]) {
    let (number, names) = data.split_at(data.len().min(8));
    let number = number
        .iter()
        .fold(0, |n: u64, &byte| n << 8 | u64::from(byte));
    guest_round_trip(number | 1);
    let names = String::from_utf8_lossy(names);
    let mut registry = Registry::new();
    for (at, raw) in names.split('\n').take(NAMES_MAX).enumerate() {
        if let Some(nickname) = check_name(raw) {
            registry.rename(at % SLOTS, nickname);
        }
    }
    registry.close();
}

/// Checks a name of a room, and of a person if a person can have it.
fn check_name(raw: &str) -> Option<Nickname> {
    let (kind, room) = (kind(raw), room_name(raw));
    let is_room = kind >= Kind::WithoutLetter;
    assert_eq!(room.is_ok(), is_room, "{raw:?} is {kind:?}: {room:?}");
    let Ok(room) = room else {
        assert!(nickname(raw).is_err(), "{raw:?}");
        return None;
    };
    check_fit(&room.name);
    assert_eq!(room_name(&room.name).as_ref(), Ok(&room));
    check_likeness(&room.name, &room.likeness);
    match nickname(raw) {
        Ok(nickname) => {
            assert_eq!(
                (&nickname.name, &nickname.likeness),
                (&room.name, &room.likeness)
            );
            assert!(kind > Kind::WithoutLetter, "{raw:?}");
            assert!(!is_reserved(&room.name), "{raw:?}");
            assert_eq!(guest_number(&nickname.name), None);
            Some(nickname)
        }
        Err(why) => {
            let may_be_refused = kind == Kind::WithoutLetter || is_like_reserved(&room.likeness);
            assert!(may_be_refused, "{raw:?}: {why}");
            None
        }
    }
}

/// Reads the rules for one name: docs/protocol.md, "Names", and UTS #39, sections 3.1, 5.1, 5.2 and 5.4.
fn kind(raw: &str) -> Kind {
    let name: Vec<char> = raw.nfkc().collect();
    let is_separator = |c: char| "-_.".contains(c);
    let is_mark = |c: char| c.general_category_group() == GeneralCategoryGroup::Mark;
    let is_known =
        |c: char| c.identifier_allowed() && (c.is_alphanumeric() || is_mark(c) || is_separator(c));
    let pairs = || name.windows(2).map(|pair| (pair[0], pair[1]));
    if !(1..=24).contains(&raw.chars().count()) || !(1..=24).contains(&name.len()) {
        Kind::WrongLength
    } else if !name.iter().all(|&c| is_known(c)) {
        Kind::WrongCharacter
    } else if !name[0].is_alphanumeric() {
        Kind::WrongStart
    } else if name.last().is_some_and(|&c| is_separator(c)) {
        Kind::WrongEnd
    } else if pairs().any(|(a, b)| is_separator(a) && is_separator(b)) {
        Kind::SeparatorAfterSeparator
    } else if pairs().any(|(a, b)| is_separator(a) && is_mark(b)) {
        Kind::MarkAfterSeparator
    } else {
        let decomposed: Vec<char> = name.iter().copied().nfd().collect();
        kind_of_marks(&decomposed).unwrap_or_else(|| kind_of_scripts(&name))
    }
}

/// Section 5.4: no "sequences of the same nonspacing mark", no "sequences of more than 4 nonspacing marks", and no
/// "sequences of base character + nonspacing mark that look the same as" the base character alone: a dot on an `i`.
fn kind_of_marks(decomposed: &[char]) -> Option<Kind> {
    let is_nonspacing = |c: &char| {
        use GeneralCategory::{EnclosingMark, NonspacingMark};
        matches!(c.general_category(), NonspacingMark | EnclosingMark)
    };
    let is_twice = |pair: &[char]| pair[0] == pair[1] && is_nonspacing(&pair[0]);
    let is_hidden = |at: usize| {
        // What the dot stands on; marks that are elsewhere are passed over.
        let mut before = decomposed[..at].iter().rev();
        let is_below = |&&c: &&char| matches!(canonical_combining_class(c), 0 | 230);
        before.find(is_below).is_some_and(|&on| {
            let shape = skeleton(&on.to_string()).last();
            on != 'I' && (is_soft_dotted(on) || shape.is_some_and(is_soft_dotted))
        })
    };
    let mut dots = (0..decomposed.len()).filter(|&at| decomposed[at] == '\u{307}');
    if decomposed.windows(2).any(is_twice) {
        Some(Kind::SameMarkTwice)
    } else if decomposed
        .windows(5)
        .any(|five| five.iter().all(is_nonspacing))
    {
        Some(Kind::FiveMarks)
    } else if dots.any(is_hidden) {
        Some(Kind::HiddenDot)
    } else {
        None
    }
}

/// `Soft_Dotted` in PropList.txt, of what NFKC and NFD leave, and the letters `l`, `ı` and `ȷ`.
fn is_soft_dotted(c: char) -> bool {
    let code = u32::from(c);
    matches!(
        code,
        0x69..=0x6a | 0x249 | 0x268 | 0x29d | 0x3f3 | 0x456 | 0x458 | 0x1d96
    ) || matches!(c, 'l' | 'ı' | 'ȷ')
}

/// Sections 5.1 and 5.2: the augmented script sets of the characters have a script in common, or Latin and one of three
/// writing systems cover the characters.
fn kind_of_scripts(name: &[char]) -> Kind {
    use Script::{Bopomofo, Han, Hangul, Hiragana, Katakana, Latin};
    let extensions = name.iter().map(|&c| ScriptExtension::from(c));
    let specific = extensions.filter(|set| !set.is_common() && !set.is_inherited());
    let specific: Vec<Vec<Script>> = specific.map(|set| set.iter().collect()).collect();
    let covers = |scripts: &[Script]| {
        let mut sets = specific.iter();
        sets.all(|set| set.iter().any(|script| scripts.contains(script)))
    };
    let systems: [&[Script]; 3] = [&[Han, Hiragana, Katakana], &[Han, Bopomofo], &[Han, Hangul]];
    let mut scripts = specific.iter().flatten();
    let is_one = specific.is_empty()
        || scripts.any(|&script| covers(&[script]))
        || systems.iter().any(|system| covers(system));
    let is_letter = |c: &char| c.is_alphabetic() && !"\u{2bb}\u{2bc}".contains(*c);
    let with_latin = systems.map(|system| covers(&[system, &[Latin]].concat()));
    match with_latin {
        _ if is_one && name.iter().any(is_letter) => Kind::OneScript,
        _ if is_one => Kind::WithoutLetter,
        [true, _, _] => Kind::LatinAndJapanese,
        [_, true, _] | [_, _, true] => Kind::LatinAndKorean,
        _ => Kind::MixedScripts,
    }
}

fn lower(name: &str) -> String {
    name.chars().flat_map(char::to_lowercase).collect()
}

/// Skeletons (UTS #39, section 4) of a name as it is and in small letters.
fn skeletons(name: &str) -> [String; 2] {
    [name, &lower(name)].map(|name| skeleton(name).collect())
}

/// Whether it has the skeleton of a word that no client can have, in any case.
fn is_reserved(name: &str) -> bool {
    let own = skeletons(name).map(|skeleton| lower(&skeleton));
    let is_word = |word: &str| skeletons(word).iter().any(|one| own.contains(one));
    let is_guest = |one: &String| {
        let rest = one.strip_prefix("guest");
        rest.is_some_and(|rest| rest.chars().all(|c| "ol23456789".contains(c)))
    };
    own.iter().any(is_guest) || RESERVED.iter().any(|it| is_word(it))
}

/// Whether it is like such a word, whatever its separators are and whichever of `i` and `l` are in it.
fn is_like_reserved(likeness: &Likeness) -> bool {
    let reserved = RESERVED.map(Likeness::of);
    likeness.forms().any(|form| {
        let number = form.strip_prefix("guest");
        let is_digit = |c: char| matches!(c, 'o' | 'l') || c.is_numeric();
        number.is_some_and(|number| number.chars().all(is_digit))
            || reserved.iter().any(|word| word.folded() == form)
    })
}

/// What a name is like does not depend on its case, its normal form or its separators, and it is like what has its
/// skeleton.
fn check_likeness(name: &str, likeness: &Likeness) {
    // The mark of `ᾳ` would become a letter.
    let is_mark = |c: char| c.general_category_group() == GeneralCategoryGroup::Mark;
    let capitals = |c: char| match c {
        c if is_mark(c) => vec![c],
        c => c.to_uppercase().collect(),
    };
    let upper: String = name.nfd().flat_map(capitals).collect();
    let apart: Vec<&str> = name.split(['-', '_', '.', '\u{2bb}', '\u{2bc}']).collect();
    let [shown, folded] = skeletons(&apart.concat());
    let same = [lower(name), upper, apart.join("_"), apart.concat()];
    // The skeleton of the digit `٠` is a full stop, which is no separator.
    let looks = [shown, folded].into_iter().filter(|one| !one.contains('.'));
    for other in same.into_iter().chain(looks) {
        let is_alike = share_a_form(likeness, &Likeness::of(&other));
        assert!(is_alike, "{name:?} {other:?}");
    }
    let decomposed: String = name.nfd().collect();
    assert_eq!(Likeness::of(&decomposed), *likeness, "{name:?}");
    assert!(likeness.bytes() <= 2 * 24 * 64, "{name:?}");
}

fn share_a_form(one: &Likeness, other: &Likeness) -> bool {
    one.forms().any(|form| other.forms().any(|it| it == form))
}

fn guest_round_trip(number: u64) {
    let name = Name::Guest(number);
    let mut pushed = Vec::new();
    name.append_to(&mut pushed);
    assert_eq!(pushed, name.to_string().as_bytes());
    assert_eq!(guest_number(&name.to_string()), Some(number));
    assert!(nickname(&name.to_string()).is_err());
}

/// Holds for every name, also a room's: a reader of a line can find the end of the name.
fn check_fit(name: &str) {
    assert!(name.starts_with(char::is_alphanumeric), "{name:?}");
    assert!(!name.contains([':', ' ', '*', '!', '/', ',', '(', '>']));
    assert!(!name.contains(char::is_whitespace) && !name.contains(char::is_control));
    assert_harmless(name.as_bytes());
    let mut shown = Vec::new();
    Text::of(name).append_to(&mut shown);
    assert_eq!(shown, name.as_bytes(), "a name is rendered unchanged");
}

/// Whether the directory may refuse one of these names while the other is in use.
fn alike(one: &str, other: &str) -> bool {
    share_a_form(&Likeness::of(one), &Likeness::of(other))
}

/// Whether it must: they differ in case only, or have the same skeleton as they are or in small letters.
fn are_confusable(one: &str, other: &str) -> bool {
    let (ones, others) = (skeletons(one), skeletons(other));
    lower(one) == lower(other) || ones[0] == others[0] || ones[1] == others[1]
}

/// The names in use: in the directory under test, and in plain lists.
struct Registry {
    directory: Directory,
    names: Vec<Name>,
    chosen: BTreeMap<usize, String>,
}

impl Registry {
    fn new() -> Registry {
        let mut directory = Directory::default();
        let names = (0..SLOTS as u32).map(|slot| directory.add_guest(slot));
        Registry {
            names: names.collect(),
            directory,
            chosen: BTreeMap::new(),
        }
    }

    fn rename(&mut self, slot: usize, nickname: Nickname) {
        let name = &*nickname.name.clone();
        let is_conflict = |other: &usize| *other != slot && alike(&self.chosen[other], name);
        let conflicts = self.chosen.keys().copied().filter(is_conflict);
        let conflicts: Vec<usize> = conflicts.collect();
        let old = &self.names[slot];
        match self.directory.rename(slot as u32, old, nickname) {
            Err(other) => assert!(conflicts.contains(&(other as usize)), "{name:?}"),
            Ok(new) => {
                assert!(conflicts.is_empty(), "{name:?}");
                assert_eq!(new, Name::Chosen(Box::new(name.into())));
                self.names[slot] = new;
                self.chosen.insert(slot, name.to_owned());
            }
        }
        self.check();
    }

    /// The directory finds each client by its name, and no two clients have names that can be confused.
    fn check(&self) {
        self.directory.check();
        let mut forms = BTreeSet::new();
        let mut total = 0;
        for (slot, name) in self.names.iter().enumerate() {
            let text = name.to_string();
            assert_eq!(self.directory.find(&text), Some(slot as u32));
            let own: Vec<String> = match name {
                Name::Guest(_) => vec![text],
                _ => Likeness::of(&text).forms().map(str::to_owned).collect(),
            };
            total += own.len();
            forms.extend(own);
        }
        assert_eq!((self.directory.names(), forms.len()), (total, total));
        for (slot, one) in &self.chosen {
            for (_, other) in self.chosen.range(slot + 1..) {
                assert!(!are_confusable(one, other), "{one:?} {other:?}");
            }
        }
    }

    fn close(mut self) {
        for (slot, name) in self.names.iter().enumerate() {
            self.directory.release(slot as u32, name);
        }
        assert_eq!(self.directory.names(), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn every_kind_of_name_is_among_the_seeds() {
        let mut kinds = BTreeSet::new();
        for seed in fs::read_dir("fuzz/seeds/name").expect("the seeds") {
            let data = fs::read(seed.expect("a seed").path()).expect("a file");
            let names = String::from_utf8_lossy(&data[data.len().min(8)..]).into_owned();
            kinds.extend(names.split('\n').take(NAMES_MAX).map(kind));
        }
        let found: Vec<usize> = kinds.iter().map(|&kind| kind as usize).collect();
        let all = Kind::WrongLength as usize..=Kind::LatinAndKorean as usize;
        assert_eq!(found, all.collect::<Vec<usize>>(), "{kinds:?}");
    }
}
