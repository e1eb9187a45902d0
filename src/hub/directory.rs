//! Who has which name, and how many connections come from which address. Knows no client but its slot, and no room.

use super::name::{self, Name, Skeletons};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Names and addresses in use.
#[derive(Debug, Default)]
pub struct Directory {
    /// Slots by the skeletons of the names that were chosen, and of the host's.
    by_skeleton: BTreeMap<Box<str>, u32>,
    guests: Guests,
    addresses: Addresses,
}

impl Directory {
    /// Gives a newcomer a guest's name that no other has had.
    pub fn add_guest(&mut self, slot: u32) -> Name {
        Name::Guest(self.guests.add(slot))
    }

    /// Gives the console its name.
    pub fn add_host(&mut self, slot: u32) -> Name {
        self.insert(&Name::Host.to_string(), slot);
        Name::Host
    }

    /// Gives a client a name that none of another client's can be mistaken for.
    ///
    /// # Errors
    /// The slot of the client that has this name, or one that it can be mistaken for.
    pub fn rename(&mut self, slot: u32, old: &Name, name: &str) -> Result<Name, u32> {
        let skeletons = Skeletons::of(name);
        let mut holders = skeletons.iter().filter_map(|one| self.by_skeleton.get(one));
        if let Some(&other) = holders.find(|&&other| other != slot) {
            return Err(other);
        }
        self.release(old);
        self.insert(name, slot);
        Ok(Name::Chosen(name.into()))
    }

    /// A name is free again.
    pub fn release(&mut self, name: &Name) {
        match name {
            &Name::Guest(number) => self.guests.remove(number),
            Name::Chosen(_) | Name::Host => {
                for skeleton in Skeletons::of(&name.to_string()).iter() {
                    self.by_skeleton.remove(skeleton);
                }
            }
        }
    }

    /// The slot of the client that has this name, or one that it can be mistaken for.
    pub fn find(&self, name: &str) -> Option<u32> {
        if let Some(number) = name::guest_number(name) {
            return self.guests.find(number);
        }
        // Any name, not only one that can be chosen: the host's can be found, but not chosen.
        let name = name::normal(name).ok()?;
        Skeletons::of(&name)
            .iter()
            .find_map(|skeleton| self.by_skeleton.get(skeleton))
            .copied()
    }

    /// Connections by address.
    pub fn addresses(&mut self) -> &mut Addresses {
        &mut self.addresses
    }

    /// How many names are in use, each counted once a skeleton.
    pub fn names(&self) -> usize {
        self.by_skeleton.len() + self.guests.len()
    }

    /// At how many addresses connections are counted.
    pub fn counted_addresses(&self) -> usize {
        self.addresses.counts.len()
    }

    fn insert(&mut self, name: &str, slot: u32) {
        for skeleton in Skeletons::of(name).iter() {
            self.by_skeleton.insert(skeleton.into(), slot);
        }
    }

    /// Panics if an invariant is broken. For tests: looks at everything.
    pub fn check(&self) {
        self.guests.check();
        self.addresses.check();
    }
}

/// Connections by address, where there is a limit for them.
#[derive(Debug, Default)]
pub struct Addresses {
    /// How many connections come from an address: never 0.
    counts: BTreeMap<IpAddr, usize>,
    /// The address of each connection that is counted, by slot.
    by_slot: BTreeMap<u32, IpAddr>,
}

impl Addresses {
    /// How many connections come from an address.
    pub fn count(&self, address: IpAddr) -> usize {
        self.counts.get(&address).copied().unwrap_or(0)
    }

    /// Counts a connection.
    pub fn add(&mut self, address: IpAddr, slot: u32) {
        *self.counts.entry(address).or_default() += 1;
        self.by_slot.insert(slot, address);
    }

    /// A connection has ended; it may not have been counted.
    pub fn remove(&mut self, slot: u32) {
        if let Some(address) = self.by_slot.remove(&slot)
            && let Some(count) = self.counts.get_mut(&address)
        {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&address);
            }
        }
    }

    fn check(&self) {
        assert_eq!(self.counts.values().sum::<usize>(), self.by_slot.len());
        assert!(self.counts.values().all(|&count| count > 0));
    }
}

/// Slots by guest number. Numbers only grow, so newcomers go to the end and the list stays sorted: hardly more memory than
/// what it says.
#[derive(Debug, Default)]
struct Guests {
    /// Numbers and slots; `None` for a guest that has left, at most as often as there are guests.
    list: Vec<(u64, Option<u32>)>,
    /// How many in the list have left.
    left: usize,
    /// The last number that was given.
    last: u64,
}

impl Guests {
    /// Gives a newcomer a number that no other has had.
    fn add(&mut self, slot: u32) -> u64 {
        self.last += 1;
        self.list.push((self.last, Some(slot)));
        self.last
    }

    fn find(&self, number: u64) -> Option<u32> {
        self.index(number).and_then(|index| self.list[index].1)
    }

    /// Removes a guest. When more have left than are here, the list is cleared of them: each is passed over once for that.
    fn remove(&mut self, number: u64) {
        let Some(index) = self.index(number) else {
            return;
        };
        if self.list[index].1.take().is_some() {
            self.left += 1;
        }
        if self.left > self.len() {
            self.list.retain(|(_, slot)| slot.is_some());
            self.left = 0;
        }
    }

    fn len(&self) -> usize {
        self.list.len() - self.left
    }

    fn index(&self, number: u64) -> Option<usize> {
        self.list
            .binary_search_by_key(&number, |(number, _)| *number)
            .ok()
    }

    fn check(&self) {
        assert!(self.list.is_sorted_by(|a, b| a.0 < b.0));
        let left = self.list.iter().filter(|(_, slot)| slot.is_none()).count();
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
                for number in 0..=guests.last + 1 {
                    let found = guests.find(number);
                    assert_eq!(found, here.get(&number).copied(), "seed {seed}");
                }
                assert_eq!(guests.len(), here.len());
                guests.check();
            }
        }
    }

    #[test]
    fn a_name_reserves_all_names_that_look_like_it_until_it_is_released() {
        let mut directory = Directory::default();
        let guest = directory.add_guest(3);
        let kim = directory.rename(3, &guest, "KIM").unwrap();
        assert_eq!(directory.find("guest1"), None);
        for name in ["kim", "KlM", "KIM"] {
            assert_eq!(directory.find(name), Some(3));
            assert_eq!(directory.rename(4, &Name::Guest(2), name), Err(3));
        }
        assert!(directory.rename(3, &kim, "kim").is_ok());
        directory.release(&Name::Chosen("kim".into()));
        assert_eq!((directory.find("kim"), directory.names()), (None, 0));
    }

    #[test]
    fn addresses_are_counted_until_their_last_connection_ends() {
        let mut addresses = Addresses::default();
        let address: IpAddr = [127, 0, 0, 1].into();
        addresses.add(address, 1);
        addresses.add(address, 2);
        addresses.remove(1);
        addresses.remove(1);
        addresses.check();
        assert_eq!(addresses.count(address), 1);
        addresses.remove(2);
        assert!(addresses.count(address) == 0 && addresses.counts.is_empty());
    }
}
