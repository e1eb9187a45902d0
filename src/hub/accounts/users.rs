//! The users of this machine, as far as their names are theirs here too. Reads no file and knows no connection.

use crate::hub::likeness::Likeness;
use crate::hub::limits::USERS_MAX;
use crate::hub::name::{self, DIGIT_FORMS, Nickname};
use std::collections::BTreeMap;

/// What a user is called that has no name here.
const UID: &str = "uid";
/// Its closed form.
const UID_FORM: &str = "uld";

/// Users with names that are valid here, by number and by what the names look like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Users {
    /// `0 <= len <= USERS_MAX`.
    names: BTreeMap<u32, Box<str>>,
    /// By closed form. Of names that are alike, the first is its user's; the others are nobody's.
    by_form: BTreeMap<Box<str>, u32>,
}

impl Users {
    /// Reads passwd(5). Returns how many users are left out since there are too many.
    pub fn parse(text: &str) -> (Users, usize) {
        let (mut users, mut left_out) = (Users::default(), 0);
        for line in text.lines() {
            let mut fields = line.split(':');
            let (Some(name), Some(uid)) = (fields.next(), fields.nth(1)) else {
                continue;
            };
            let (Ok(uid), Ok(nickname)) = (uid.parse(), name::nickname(name)) else {
                continue;
            };
            if users.names.len() < USERS_MAX {
                users.insert(uid, &nickname);
            } else {
                left_out += 1;
            }
        }
        (users, left_out)
    }

    fn insert(&mut self, uid: u32, nickname: &Nickname) {
        let Nickname { name, likeness } = nickname;
        let is_free = likeness
            .forms()
            .all(|form| !self.by_form.contains_key(form));
        let looks_like_uid = likeness.forms().any(is_uid_form);
        if !is_free || looks_like_uid || self.names.contains_key(&uid) {
            return;
        }
        self.names.insert(uid, name.clone());
        for form in likeness.forms() {
            self.by_form.insert(form.into(), uid);
        }
    }

    /// What a user is called here.
    pub fn name(&self, uid: u32) -> Nickname {
        let name = self.names.get(&uid).cloned();
        let name = name.unwrap_or_else(|| format!("{UID}{uid}").into());
        let likeness = Likeness::of(&name);
        Nickname { name, likeness }
    }

    /// Whether somebody may have a name like this: a user of this machine with this number, or, if `None`, nobody in
    /// particular.
    pub fn may_have(&self, uid: Option<u32>, likeness: &Likeness) -> bool {
        let own = uid.map(|uid| self.name(uid).likeness);
        let is_own = |form: &str| own.iter().flat_map(Likeness::forms).any(|it| it == form);
        let is_kept = |form: &str| self.by_form.contains_key(form) || is_uid_form(form);
        likeness.forms().all(|form| !is_kept(form) || is_own(form))
    }
}

/// Whether a closed form is that of `uid` and a number.
fn is_uid_form(form: &str) -> bool {
    let number = form.strip_prefix(UID_FORM);
    number.is_some_and(|number| {
        !number.is_empty() && number.chars().all(|digit| DIGIT_FORMS.contains(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\n\
        # a comment\nbroken\nnobody:x:nan:1::/:\nadmin:x:500:500::/:/bin/sh\n\
        kim:x:1000:1000:Kim,,,:/home/kim:/bin/bash\nk1m:x:1001:1001::/:\n_apt:x:42:65534::/:\n\
        other:x:1000:1000::/:\nuid7:x:9:9::/:\n";

    fn likeness(name: &str) -> Likeness {
        Likeness::of(name)
    }

    #[test]
    fn users_have_their_names_or_their_numbers() {
        let (users, left_out) = Users::parse(PASSWD);
        for (uid, name) in [
            (0, "root"),
            (1000, "kim"),
            // It looks like another's.
            (1001, "uid1001"),
            // These are not valid here.
            (42, "uid42"),
            (500, "uid500"),
            (9, "uid9"),
            (77, "uid77"),
        ] {
            assert_eq!(&*users.name(uid).name, name);
            assert!(users.may_have(Some(uid), &users.name(uid).likeness));
            assert!(!users.may_have(None, &users.name(uid).likeness), "{name}");
            assert!(!users.may_have(Some(1), &users.name(uid).likeness));
        }
        assert_eq!(left_out, 0);
    }

    #[test]
    fn all_that_looks_like_a_user_s_name_is_the_user_s() {
        let (users, _) = Users::parse(PASSWD);
        for name in ["KIM", "k1m", "k.i.m", "UID1000", "uid-1OO0", "uidl"] {
            assert!(!users.may_have(None, &likeness(name)), "{name}");
        }
        assert!(users.may_have(Some(1000), &likeness("KIM")));
        for name in ["kimchi", "uid", "uidea", "lee"] {
            assert!(users.may_have(None, &likeness(name)), "{name}");
        }
        assert!(Users::default().may_have(None, &likeness("kim")));
    }

    #[test]
    fn only_so_many_users_are_known() {
        let line = |n: usize| format!("user{n}x:x:{n}:1::/:\n");
        let all: String = (0..USERS_MAX + 3).map(line).collect();
        let (users, left_out) = Users::parse(&all);
        assert_eq!((users.names.len(), left_out), (USERS_MAX, 3));
    }
}
