//! Who ignores whom. A person that is ignored is followed through its names, and from one connection to the next one that
//! takes a name of its. What of a log that leaves out is in `room/marks` and `client/ignored`. Knows clients by their slots
//! only.

use super::likeness::Likeness;
use super::limits::{IGNORED_MAX, IGNORED_PERSON_BYTES, PERSONS_A_CLIENT_MAX};
use super::name::guest_number;
use slab::Slab;
use std::collections::{BTreeMap, BTreeSet};

/// Everybody who is ignored, and by whom. Empty, and without memory, while nobody ignores anybody.
#[derive(Debug, Default)]
pub struct Ignoring {
    /// By number.
    persons: Slab<Person>,
    /// The numbers of the persons that a client is, by its slot: mostly one, at most `PERSONS_A_CLIENT_MAX`.
    here: BTreeMap<u32, Vec<u32>>,
    /// The persons that have left, by the closed forms of their names.
    left: BTreeSet<(Box<str>, u32)>,
    /// The numbers of the persons that a client ignores, by its slot: at most `IGNORED_MAX`.
    lists: BTreeMap<u32, Vec<u32>>,
}

/// Somebody whom at least one client ignores.
#[derive(Debug)]
struct Person {
    /// Its name when it was first ignored, and its last one.
    names: [Box<str>; 2],
    /// The slot of its connection; `None`: it has left.
    slot: Option<u32>,
    /// How many clients ignore it: never 0.
    ignorers: usize,
}

/// Why somebody cannot be ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotIgnored {
    /// It is ignored by that client already.
    Already,
    /// That client ignores `IGNORED_MAX` already.
    Full,
}

impl Person {
    /// The closed forms of its names; none of a guest's name, which nobody will have again.
    fn forms(&self) -> BTreeSet<Box<str>> {
        let names = self
            .names
            .iter()
            .filter(|name| guest_number(name).is_none());
        let likenesses = names.map(|name| Likeness::of(name));
        likenesses
            .flat_map(|it| it.forms().map(Into::into).collect::<Vec<_>>())
            .collect()
    }
}

impl Ignoring {
    /// Whether nobody ignores anybody.
    pub fn is_empty(&self) -> bool {
        self.persons.is_empty()
    }

    /// The client in slot `by` ignores the one in slot `slot`, which is called `name`, from now on. Returns the number of the
    /// person.
    ///
    /// # Errors
    /// Why it cannot.
    pub fn begin(&mut self, by: u32, slot: u32, name: &str) -> Result<u32, NotIgnored> {
        if self.is_ignored_by(slot, by) {
            return Err(NotIgnored::Already);
        }
        let list = self.lists.entry(by).or_default();
        if list.len() >= IGNORED_MAX {
            return Err(NotIgnored::Full);
        }
        let persons = self.here.entry(slot).or_default();
        if persons.is_empty() {
            persons.push(self.persons.insert(Person {
                names: [name, name].map(Into::into),
                slot: Some(slot),
                ignorers: 0,
            }) as u32);
        }
        let person = persons[0];
        self.persons[person as usize].ignorers += 1;
        list.push(person);
        Ok(person)
    }

    /// The client in slot `by` ignores a person no more. Nobody may ignore that person's client any more after that.
    pub fn end(&mut self, by: u32, person: u32) {
        if let Some(list) = self.lists.get_mut(&by) {
            list.retain(|&listed| listed != person);
            if list.is_empty() {
                self.lists.remove(&by);
            }
            self.release(person);
        }
    }

    fn release(&mut self, number: u32) {
        let person = &mut self.persons[number as usize];
        person.ignorers -= 1;
        if person.ignorers > 0 {
            return;
        }
        let person = self.persons.remove(number as usize);
        match person.slot {
            None => self.remove_left(number, &person),
            Some(slot) => {
                let persons = self.here.entry(slot).or_default();
                persons.retain(|&it| it != number);
                if persons.is_empty() {
                    self.here.remove(&slot);
                }
            }
        }
        if self.persons.is_empty() {
            *self = Ignoring::default();
        }
    }

    fn remove_left(&mut self, number: u32, person: &Person) {
        for form in person.forms() {
            self.left.remove(&(form, number));
        }
    }

    /// Whether the client in slot `by` ignores the one in slot `slot`.
    pub fn is_ignored_by(&self, slot: u32, by: u32) -> bool {
        let list = self.lists.get(&by).map_or(&[][..], |list| list);
        self.persons_of(slot).iter().any(|it| list.contains(it))
    }

    /// Whether anybody ignores the client in this slot.
    pub fn is_ignored(&self, slot: u32) -> bool {
        self.here.contains_key(&slot)
    }

    /// The persons that the client in this slot is: those that somebody ignores.
    pub fn persons_of(&self, slot: u32) -> &[u32] {
        self.here.get(&slot).map_or(&[], |persons| persons)
    }

    /// A person that the client in slot `by` ignores: the one that the client in slot `slot` is, or one that has left and was
    /// called like `name`.
    pub fn find(&self, by: u32, slot: Option<u32>, name: &str) -> Option<u32> {
        let list = self.lists.get(&by)?;
        let listed = |number: &u32| list.contains(number);
        let here = slot.map_or(&[][..], |slot| self.persons_of(slot));
        let exact = |&&number: &&u32| {
            let person = &self.persons[number as usize];
            person.slot.is_none() && *person.names[1] == *name
        };
        let here = here.iter().copied().find(listed);
        here.or_else(|| self.left_like(name).find(listed))
            .or_else(|| list.iter().find(exact).copied())
    }

    /// The persons that have left and were called like this.
    fn left_like(&self, name: &str) -> impl Iterator<Item = u32> {
        let likeness = (!self.left.is_empty()).then(|| Likeness::of(name));
        let forms: Vec<Box<str>> = likeness.map_or(Vec::new(), |likeness| {
            likeness.forms().map(Into::into).collect()
        });
        let left = forms
            .into_iter()
            .flat_map(|form| self.left.range((form.clone(), 0)..=(form, u32::MAX)));
        left.map(|(_, number)| *number)
    }

    /// The last names of those whom the client in this slot ignores, and the persons' numbers.
    pub fn list(&self, by: u32) -> impl Iterator<Item = (&str, u32)> {
        let list = self.lists.get(&by).into_iter().flatten();
        list.map(|&number| (&*self.persons[number as usize].names[1], number))
    }

    /// Guests that have left never come back: the client in this slot ignores them no more. Returns their numbers.
    #[must_use = "a number comes again: no span may be left that has it"]
    pub fn forget_gone(&mut self, by: u32) -> Vec<u32> {
        let is_gone = |number: &u32| {
            let person = &self.persons[*number as usize];
            let are_guests = || person.names.iter().all(|name| guest_number(name).is_some());
            person.slot.is_none() && are_guests()
        };
        let list = self.lists.get(&by).into_iter().flatten().copied();
        let gone: Vec<u32> = list.filter(is_gone).collect();
        for &number in &gone {
            self.end(by, number);
        }
        gone
    }

    /// The client in this slot is called `name` now: it is taken for those who have left and were called like this. Returns
    /// whether anybody ignores it.
    pub fn renamed(&mut self, slot: u32, name: &str) -> bool {
        for &number in self.persons_of(slot).to_vec().iter() {
            self.persons[number as usize].names[1] = name.into();
        }
        let free = PERSONS_A_CLIENT_MAX - self.persons_of(slot).len();
        let back: BTreeSet<u32> = self.left_like(name).take(free).collect();
        for number in back {
            let mut forms = self.persons[number as usize].forms();
            while let Some(form) = forms.pop_first() {
                self.left.remove(&(form, number));
            }
            let person = &mut self.persons[number as usize];
            person.slot = Some(slot);
            person.names[1] = name.into();
            self.here.entry(slot).or_default().push(number);
        }
        self.is_ignored(slot)
    }

    /// The client in this slot has left, as one who ignores and as one who is ignored. Returns the slots of clients that may
    /// be ignored by nobody now.
    pub fn leave(&mut self, slot: u32) -> Vec<u32> {
        for number in self.here.remove(&slot).unwrap_or_default() {
            let person = &mut self.persons[number as usize];
            person.slot = None;
            for form in self.persons[number as usize].forms() {
                self.left.insert((form, number));
            }
        }
        let list = self.lists.remove(&slot).unwrap_or_default();
        let slot_of = |&number: &u32| self.persons[number as usize].slot;
        let slots = list.iter().filter_map(slot_of).collect();
        list.into_iter().for_each(|number| self.release(number));
        slots
    }

    /// Bytes of memory at most.
    pub fn memory_bytes(&self) -> usize {
        let lists = self.lists.values().chain(self.here.values());
        lists.map(|list| list.capacity() * 4 + 32).sum::<usize>()
            + self.persons.len() * IGNORED_PERSON_BYTES
    }

    /// Panics if an invariant is broken. For tests: looks at everything.
    pub fn check(&self) {
        let mut ignorers: BTreeMap<u32, usize> = BTreeMap::new();
        for list in self.lists.values() {
            assert!((1..=IGNORED_MAX).contains(&list.len()));
            list.iter()
                .for_each(|&number| *ignorers.entry(number).or_default() += 1);
        }
        let mut here = BTreeSet::new();
        for (slot, persons) in &self.here {
            assert!((1..=PERSONS_A_CLIENT_MAX).contains(&persons.len()));
            for &number in persons {
                assert!(here.insert(number));
                assert_eq!(self.persons[number as usize].slot, Some(*slot));
            }
        }
        let mut left = BTreeSet::new();
        for (number, person) in &self.persons {
            let number = number as u32;
            assert_eq!(ignorers.remove(&number), Some(person.ignorers));
            assert_eq!(here.contains(&number), person.slot.is_some());
            if person.slot.is_none() {
                left.extend(person.forms().into_iter().map(|form| (form, number)));
            }
        }
        assert!(ignorers.is_empty());
        assert_eq!(left, self.left);
    }
}
