//! Which names can be mistaken for one another (UTS #39, section 4), and what is found by such names. Knows no rule of
//! which names are valid, no client and no room.

use std::collections::BTreeMap;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use unicode_security::skeleton;

/// U+0307, which is not seen on a letter that has a dot anyway.
const DOT_ABOVE: char = '\u{307}';

/// U+0345, the mark of `ᾳ`, would become a letter in capitals; and the mark that it looks like.
const IOTA: char = '\u{345}';
const OGONEK: char = '\u{328}';

/// Rounds after which a closed form does not change any more: every letter of Unicode needs at most 3.
const ROUNDS_MAX: usize = 8;

/// How a name looks. Two names are alike if they share a closed form.
///
/// A *closed form* is the name's skeleton, without regard to case and to separators, taken until nothing changes: so it is
/// the same for `kim`, `KIM`, `KlM`, `k.i.m` and `k1m`. A name of Latin, Han, Arabic and most other letters has one, so
/// that likeness is an equivalence among these names.
///
/// Greek, Cyrillic and Armenian names can have two, since their capitals and their small letters can look like different
/// Latin letters: `Ν` like `N`, but `ν` like `v`. If both were one form, `Ken` and `Kev` would be alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Likeness {
    /// The closed form of the name.
    folded: Box<str>,
    /// The closed form of its skeleton, for which the name's case counts; `None` if that is the same.
    shown: Option<Box<str>>,
}

impl Likeness {
    /// Of a valid name.
    pub fn of(name: &str) -> Likeness {
        let name: String = name.chars().filter(|&c| !is_ignored(c)).collect();
        let has_case = |c: char| c.is_uppercase() || c.is_lowercase();
        // Otherwise both forms are the same.
        let shown = (!name.is_ascii() && name.contains(has_case))
            .then(|| closed(skeleton(&name).collect()));
        let folded = closed(name);
        let shown = shown.filter(|shown| *shown != folded).map(Into::into);
        let folded = folded.into();
        Likeness { folded, shown }
    }

    /// The form without regard to case, by which names are sorted.
    pub fn folded(&self) -> &str {
        &self.folded
    }

    /// The different forms, that without regard to case first.
    pub fn forms(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&*self.folded).chain(self.shown.as_deref())
    }

    /// Bytes of memory beside the record itself.
    pub fn bytes(&self) -> usize {
        self.forms().map(str::len).sum()
    }
}

/// What a name has between its parts, and the letters that look like an apostrophe: they make no name another.
pub fn is_ignored(c: char) -> bool {
    matches!(c, '-' | '_' | '.' | '\u{2bb}' | '\u{2bc}')
}

/// The closed form of a text.
fn closed(mut text: String) -> String {
    if text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return closed_ascii(&text);
    }
    for _ in 0..ROUNDS_MAX {
        let next = skeleton_without_case(&text);
        if next == text {
            break;
        }
        text = next;
    }
    text
}

/// The same of ASCII letters and digits, without the tables of Unicode.
fn closed_ascii(text: &str) -> String {
    let mut form = String::with_capacity(2 * text.len());
    for c in text.chars() {
        match c.to_ascii_lowercase() {
            'i' | '1' => form.push('l'),
            '0' => form.push('o'),
            'm' => form.push_str("rn"),
            c => form.push(c),
        }
    }
    form
}

/// The skeleton of a text in small letters.
fn skeleton_without_case(text: &str) -> String {
    // Nearly Unicode's case folding: `ß` becomes `ss`, and a final `ς` the same as `σ`.
    let marked = text.nfkd().map(|c| if c == IOTA { OGONEK } else { c });
    let upper = marked.flat_map(char::to_uppercase);
    let folded: String = upper.flat_map(char::to_lowercase).collect();
    let mut base = None;
    let without_dot = |c: char| {
        if !is_combining_mark(c) {
            base = Some(c);
        }
        match c {
            // `I` is a large `i`, and looks like `l`.
            'i' => Some('l'),
            // Of `İ`, a small `i` is left.
            DOT_ABOVE if matches!(base, Some('i' | 'j' | 'l')) => None,
            c => Some(c),
        }
    };
    skeleton(&folded).filter_map(without_dot).collect()
}

/// Slots or rooms, found by names that look like theirs. No two of these names are alike.
#[derive(Debug, Default)]
pub struct ByLikeness {
    /// By closed form.
    holders: BTreeMap<Box<str>, u32>,
}

impl ByLikeness {
    /// All whose names are like this one: at most one for each of its forms, first the one that differs in case only.
    pub fn alike<'a>(&'a self, name: &'a Likeness) -> impl Iterator<Item = u32> + 'a {
        name.forms()
            .filter_map(|form| self.holders.get(form).copied())
    }

    /// Adds one whose name is like none that is here.
    pub fn insert(&mut self, name: &Likeness, holder: u32) {
        for form in name.forms() {
            let other = self.holders.insert(form.into(), holder);
            debug_assert_eq!(other, None, "{form} is taken");
        }
    }

    /// Removes the one that was added with this name.
    pub fn remove(&mut self, name: &Likeness) {
        for form in name.forms() {
            self.holders.remove(form);
        }
    }

    /// How many forms there are.
    pub fn len(&self) -> usize {
        self.holders.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alike(a: &str, b: &str) -> bool {
        let [a, b] = [a, b].map(Likeness::of);
        a.forms().any(|form| b.forms().any(|other| form == other))
    }

    #[test]
    fn names_that_look_the_same_or_differ_in_case_are_alike() {
        for group in [
            "kim KIM Kim KlM klm k1m kım kIm k-i_m. K.I.M kirn K|m",
            "guest1 guest_1 guestl GUEST1 guest.I guesti",
            "bob b0b BOB BоB bоb ВОВ",
            "Straße STRASSE strasse",
            "İpek ipek Ipek IPEK ıpek",
            "Νίκος ΝΊΚΟΣ νίκος νίκοσ",
            "Ольга ОЛЬГА ольга",
            "Вова ВОВА вова",
            "Đình Ðình ĐÌNH",
            "Nguyễn Nguye\u{302}\u{303}n NGUYỄN",
            "o\u{2bc}brien obrien O\u{2bb}Brien",
            "가나 \u{1100}\u{1161}나",
            "ロ 口",
        ] {
            for a in group.split(' ') {
                for b in group.split(' ') {
                    assert!(alike(a, b), "{a} {b}");
                }
            }
        }
        for pair in ["ВОВА BOBA", "ΑΝΝΑ ANNA", "νο vo", "ΝΟ NO", "Вова Boвa"] {
            let (a, b) = pair.split_once(' ').unwrap();
            assert!(alike(a, b) && alike(b, a), "{pair}");
        }
    }

    #[test]
    fn names_that_look_different_are_not_alike() {
        for pair in [
            "kim kin",
            "김 긴",
            "lee li",
            "Ken Kev",
            "Ana Ava",
            "Ray Rau",
            "Bob ssoss",
            "Zoë Zoe",
            "Łukasz Lukasz",
            "דוד דויד",
            "राम रामः",
            "вова boba",
            "さくら さぐら",
            "Nguyễn Nguyên",
        ] {
            let (a, b) = pair.split_once(' ').unwrap();
            assert!(!alike(a, b), "{pair}");
        }
    }

    /// Every letter that a name can have, alone and beside others.
    #[test]
    fn a_closed_form_does_not_change_when_it_is_closed_again() {
        use unicode_security::GeneralSecurityProfile;
        let all = (0..=0x10ffff).filter_map(char::from_u32);
        for c in all.filter(|c| c.identifier_allowed()) {
            for text in [c.to_string(), format!("I{c}\u{307}m"), format!("a{c}{c}")] {
                let form = closed(text.clone());
                assert_eq!(skeleton_without_case(&form), form, "{text}");
                let small: String = text.chars().flat_map(char::to_lowercase).collect();
                assert_eq!(closed(skeleton(&small).collect()), form, "{text}");
            }
            let marked = c.nfkd().any(|c| c == IOTA);
            let upper = c.to_uppercase().collect();
            assert!(
                marked || closed(upper) == closed(c.to_string()),
                "{c} in capitals"
            );
        }
    }

    #[test]
    fn ascii_needs_no_tables() {
        for c in ('\0'..'\u{7f}').filter(char::is_ascii_alphanumeric) {
            let mut form = c.to_string();
            for _ in 0..ROUNDS_MAX {
                form = skeleton_without_case(&form);
            }
            assert_eq!(closed_ascii(&c.to_string()), form);
        }
    }

    #[test]
    fn what_is_inserted_is_found_by_each_of_its_forms_until_it_is_removed() {
        let (mut names, vova) = (ByLikeness::default(), Likeness::of("ВОВА"));
        names.insert(&vova, 7);
        assert_eq!((names.len(), vova.forms().count()), (2, 2));
        for name in ["вова", "boba", "BOBA"] {
            assert_eq!(names.alike(&Likeness::of(name)).next(), Some(7), "{name}");
        }
        names.remove(&vova);
        assert_eq!(names.len(), 0);
    }
}
