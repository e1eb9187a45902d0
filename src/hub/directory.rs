//! Who has which name. Knows no client but its slot, and no room.

use super::guest_name;
use super::likeness::{ByLikeness, Likeness};
use super::name::{self, Name, Nickname};
use std::collections::BTreeMap;

/// Names in use.
#[derive(Debug, Default)]
pub struct Directory {
    /// Slots by the names that were chosen, and the host's.
    by_likeness: ByLikeness,
    /// What these names look like, by slot.
    likenesses: BTreeMap<u32, Likeness>,
    guests: Guests,
    /// Guests of other nodes, by their numbers.
    guests_elsewhere: BTreeMap<u64, u32>,
}

impl Directory {
    /// Gives a newcomer a guest's name that no other has had.
    pub fn add_guest(&mut self, slot: u32) -> Name {
        Name::Guest(self.guests.add(slot))
    }

    /// Gives the console its name.
    pub fn add_host(&mut self, slot: u32) -> Name {
        self.insert(Likeness::of(&Name::Host.to_string()), slot);
        Name::Host
    }

    /// Gives a client a name that none of another client's can be mistaken for.
    ///
    /// # Errors
    /// The slot of the client that has this name, or one that it can be mistaken for.
    pub fn rename(&mut self, slot: u32, old: &Name, new: Nickname) -> Result<Name, u32> {
        let mut holders = self.by_likeness.alike(&new.likeness);
        if let Some(other) = holders.find(|&other| other != slot) {
            return Err(other);
        }
        drop(holders);
        self.release(slot, old);
        self.insert(new.likeness, slot);
        Ok(Name::Chosen(Box::new(new.name)))
    }

    /// Gives a newcomer a name that none of another client's can be mistaken for: see [`alike`](Directory::alike).
    pub fn add(&mut self, slot: u32, name: Nickname) -> Name {
        self.insert(name.likeness, slot);
        Name::Chosen(Box::new(name.name))
    }

    /// Gives a client the name of a guest in place of its own.
    pub fn make_guest(&mut self, slot: u32, old: &Name) -> Name {
        self.release(slot, old);
        self.add_guest(slot)
    }

    /// A person of another node has come, under this name. `None`: it is none that a node gives.
    pub fn add_elsewhere(&mut self, number: u32, name: &str) -> Option<Name> {
        let Some(guest) = name::guest_number(name) else {
            let nickname = name::nickname(name).ok()?;
            let is_free = self.alike(&nickname.likeness).next().is_none();
            return is_free.then(|| self.add(number, nickname));
        };
        self.guests_elsewhere.insert(guest, number);
        Some(Name::Guest(guest))
    }

    /// A client has left: its name stays in use, by a person of this number that is no client.
    pub fn move_elsewhere(&mut self, slot: u32, number: u32, name: &Name) {
        if let &Name::Guest(guest) = name {
            self.guests.remove(guest);
            self.guests_elsewhere.insert(guest, number);
        } else if let Some(likeness) = self.likenesses.remove(&slot) {
            self.by_likeness.remove(&likeness);
            self.insert(likeness, number);
        }
    }

    /// Guests' names are those of this node from now on.
    pub fn set_node(&mut self, node: u16) {
        self.guests.set_node(node);
    }

    /// Whether a guest's number is one of this node's.
    pub fn is_of_this_node(&self, guest: u64) -> bool {
        guest_name::parts(guest).0 == self.guests.node
    }

    /// The slots of the clients whose names can be mistaken for such a one: at most one for each of its forms.
    pub fn alike<'a>(&'a self, name: &'a Likeness) -> impl Iterator<Item = u32> + 'a {
        self.by_likeness.alike(name)
    }

    /// A client's name is free again.
    pub fn release(&mut self, slot: u32, name: &Name) {
        if let &Name::Guest(number) = name {
            return match self.guests_elsewhere.get(&number) == Some(&slot) {
                true => _ = self.guests_elsewhere.remove(&number),
                false => self.guests.remove(number),
            };
        }
        if let Some(likeness) = self.likenesses.remove(&slot) {
            self.by_likeness.remove(&likeness);
        }
    }

    /// The slot of the client that has this name, or one that it can be mistaken for.
    pub fn find(&self, name: &str) -> Option<u32> {
        if let Some(number) = name::guest_number(name) {
            let elsewhere = || self.guests_elsewhere.get(&number).copied();
            return self.guests.find(number).or_else(elsewhere);
        }
        // Any name, not only one that can be chosen: the host's can be found, but not chosen.
        let name = name::normal(name).ok()?;
        self.by_likeness.alike(&Likeness::of(&name)).next()
    }

    /// How many names are in use, each counted once for each of its closed forms.
    pub fn names(&self) -> usize {
        self.by_likeness.len() + self.guests.len() + self.guests_elsewhere.len()
    }

    fn insert(&mut self, likeness: Likeness, slot: u32) {
        self.by_likeness.insert(&likeness, slot);
        self.likenesses.insert(slot, likeness);
    }

    /// Panics if an invariant is broken. For tests: looks at everything.
    pub fn check(&self) {
        self.guests.check();
        let forms = self.likenesses.values().map(|name| name.forms().count());
        assert_eq!(self.by_likeness.len(), forms.sum::<usize>());
        for (slot, name) in &self.likenesses {
            let holders: Vec<u32> = self.by_likeness.alike(name).collect();
            assert_eq!(holders, vec![*slot; name.forms().count()]);
        }
    }
}

/// In the place of the slot of a guest that has left; no slot is so large.
const LEFT: u32 = u32::MAX;

/// Slots by guest number. Numbers only grow, so newcomers go to the end and the list stays sorted: hardly more memory than
/// what it says.
#[derive(Debug, Default)]
struct Guests {
    /// Numbers, in order.
    numbers: Vec<u64>,
    /// The slot of each, or [`LEFT`], at most as often as there are guests. Apart from the numbers, so that each takes four
    /// bytes less.
    slots: Vec<u32>,
    /// How many in the list have left.
    left: usize,
    /// How many have been given on this node.
    count: u64,
    node: u16,
}

impl Guests {
    /// Gives a newcomer a number that no other has had.
    fn add(&mut self, slot: u32) -> u64 {
        self.count += 1;
        let number = guest_name::number(self.node, self.count);
        // After another number of the node, some may be greater.
        let index = self.numbers.partition_point(|&other| other < number);
        self.numbers.insert(index, number);
        self.slots.insert(index, slot);
        number
    }

    fn set_node(&mut self, node: u16) {
        self.node = node;
    }

    fn find(&self, number: u64) -> Option<u32> {
        let slot = self.slots[self.index(number)?];
        (slot != LEFT).then_some(slot)
    }

    /// Removes a guest. When more have left than are here, the list is cleared of them: each is passed over once for that.
    fn remove(&mut self, number: u64) {
        let Some(index) = self.index(number) else {
            return;
        };
        if std::mem::replace(&mut self.slots[index], LEFT) != LEFT {
            self.left += 1;
        }
        if self.left > self.len() {
            let mut slots = self.slots.iter();
            self.numbers.retain(|_| slots.next() != Some(&LEFT));
            self.slots.retain(|&slot| slot != LEFT);
            self.left = 0;
        }
    }

    fn len(&self) -> usize {
        self.slots.len() - self.left
    }

    fn index(&self, number: u64) -> Option<usize> {
        self.numbers.binary_search(&number).ok()
    }

    fn check(&self) {
        assert!(self.numbers.is_sorted_by(|a, b| a < b));
        assert_eq!(self.numbers.len(), self.slots.len());
        let left = self.slots.iter().filter(|&&slot| slot == LEFT).count();
        assert!(left == self.left && left <= self.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guests_are_found_after_other_guests_have_left() {
        for seed in 0..100 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let (mut guests, mut here) = (Guests::default(), BTreeMap::new());
            for slot in 0..200 {
                here.insert(guests.add(slot), slot);
                while rng.u8(0..3) == 0 && !here.is_empty() {
                    let nth = rng.usize(..here.len());
                    let number = *here.keys().nth(nth).unwrap();
                    here.remove(&number);
                    guests.remove(number);
                    guests.remove(number);
                }
                for number in 0..=guests.count + 1 {
                    let found = guests.find(number);
                    assert_eq!(found, here.get(&number).copied(), "seed {seed}");
                }
                assert_eq!(guests.len(), here.len());
                guests.check();
            }
        }
    }

    #[test]
    fn a_name_is_taken_with_all_that_look_like_it_until_it_is_released() {
        let new = |name| name::nickname(name).unwrap();
        let mut directory = Directory::default();
        let guest = directory.add_guest(3);
        let kim = directory.rename(3, &guest, new("KIM")).unwrap();
        assert_eq!(directory.find("guest1"), None);
        for name in ["kim", "KlM", "KIM"] {
            assert_eq!(directory.find(name), Some(3));
            assert_eq!(directory.rename(4, &Name::Guest(2), new(name)), Err(3));
        }
        let kim = directory.rename(3, &kim, new("kim")).unwrap();
        directory.check();
        directory.release(3, &kim);
        assert_eq!((directory.find("kim"), directory.names()), (None, 0));
    }
}
