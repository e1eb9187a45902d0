//! Who is where: the rooms, the names taken, the addresses that connections come from; entering and leaving, and what
//! is announced of it.

use super::limits::{ANNOUNCE_INTERVAL_US, Limits};
use super::name::{self, LOBBY, Likeness, Name};
use super::requests::{self, Mark};
use super::room::{Room, grouped};
use super::session::Wire;
use super::{Census, Hub, Now, Refusal};
use slab::Slab;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::net::IpAddr;

/// The room of all raw connections: it has no name, so nobody can join it.
const RAW_ROOM: u32 = 0;
const LOBBY_ROOM: u32 = 1;
/// Both are there from start to end.
const ROOMS_KEPT: usize = 2;

/// Rooms, names and addresses.
#[derive(Debug)]
pub struct Crowd {
    /// Every room, by its number.
    pub rooms: Slab<Room>,
    /// Rooms by what their names look like.
    rooms_by_name: BTreeMap<Box<str>, u32>,
    /// Rooms without members that are kept for their history, the one first that has been empty for longest.
    emptied: VecDeque<u32>,
    /// Slots by what the names chosen, and the host's, look like.
    chosen: BTreeMap<Box<str>, u32>,
    guests: Guests,
    /// How many connections come from an address, and whence each comes that is counted, by slot. Nothing is noted that
    /// there is no limit for.
    addresses: BTreeMap<IpAddr, usize>,
    origins: BTreeMap<u32, IpAddr>,
}

impl Crowd {
    /// An empty lobby.
    pub fn new(limits: &Limits) -> Crowd {
        let mut rooms = Slab::new();
        let raw = rooms.insert(Room::new("".into(), limits));
        let lobby = rooms.insert(Room::new(LOBBY.into(), limits));
        debug_assert_eq!((raw, lobby), (RAW_ROOM as usize, LOBBY_ROOM as usize));
        Crowd {
            rooms,
            rooms_by_name: BTreeMap::from([(name::room_likeness(LOBBY), LOBBY_ROOM)]),
            emptied: VecDeque::new(),
            chosen: BTreeMap::new(),
            guests: Guests::default(),
            addresses: BTreeMap::new(),
            origins: BTreeMap::new(),
        }
    }

    /// Where a newcomer begins.
    pub fn first_room(wire: Wire) -> u32 {
        match wire {
            Wire::Chat => LOBBY_ROOM,
            Wire::Raw => RAW_ROOM,
        }
    }

    /// How many connections come from an address.
    pub fn count_from(&self, address: IpAddr) -> usize {
        self.addresses.get(&address).copied().unwrap_or(0)
    }

    /// Counts a newcomer at its address, if it is given, and gives it a name that nobody had before. A raw connection
    /// has no name.
    pub fn welcome(&mut self, wire: Wire, address: Option<IpAddr>, slot: u32) -> Name {
        if let Some(address) = address {
            *self.addresses.entry(address).or_default() += 1;
            self.origins.insert(slot, address);
        }
        if wire == Wire::Raw {
            return Name::Guest(0);
        }
        Name::Guest(self.guests.come(slot))
    }

    /// Gives the host its name.
    pub fn welcome_host(&mut self, slot: u32) -> Name {
        let name = Name::host();
        for form in Likeness::of(&name.to_string()).forms() {
            self.chosen.insert(form.into(), slot);
        }
        name
    }

    /// Forgets a connection's name and address.
    pub fn farewell(&mut self, name: &Name, slot: u32) {
        self.release(name);
        if let Some(address) = self.origins.remove(&slot)
            && let Some(count) = self.addresses.get_mut(&address)
        {
            *count -= 1;
            if *count == 0 {
                self.addresses.remove(&address);
            }
        }
    }

    /// Who is called so, or so much like it that nobody else can be.
    pub fn find(&self, name: &str) -> Option<u32> {
        if let Some(number) = name::guest_number(name) {
            return self.guests.find(number);
        }
        // Not every one that is borne could be chosen: the host's could not.
        let name = name::normal(name).ok()?;
        Likeness::of(&name)
            .forms()
            .find_map(|form| self.chosen.get(form))
            .copied()
    }

    /// Gives a client a name that nobody else's looks like.
    ///
    /// # Errors
    /// The slot of the client whose name is in the way.
    pub fn rename(&mut self, slot: u32, old: &Name, name: &str) -> Result<Name, u32> {
        let likeness = Likeness::of(name);
        if let Some(&other) = likeness
            .forms()
            .filter_map(|form| self.chosen.get(form))
            .find(|&&other| other != slot)
        {
            return Err(other);
        }
        self.release(old);
        for form in likeness.forms() {
            self.chosen.insert(form.into(), slot);
        }
        Ok(Name::Chosen(name.into()))
    }

    fn release(&mut self, name: &Name) {
        match name {
            &Name::Guest(number) => self.guests.go(number),
            Name::Chosen(name) => {
                for form in Likeness::of(name).forms() {
                    self.chosen.remove(form);
                }
            }
        }
    }

    /// The room that has this name or one that looks like it.
    pub fn find_room(&self, name: &str) -> Option<u32> {
        self.rooms_by_name.get(&name::room_likeness(name)).copied()
    }

    /// The rooms that have a name and members: name and members, by name.
    pub fn list(&self) -> impl Iterator<Item = (&str, usize)> {
        let rooms = self
            .rooms_by_name
            .values()
            .map(|&room| &self.rooms[room as usize]);
        rooms
            .filter(|room| !room.members.is_empty())
            .map(|room| (&*room.name, room.members.len()))
    }

    /// The room of this name, opened if it is not there. It may take the place of one that is kept for its history.
    ///
    /// # Errors
    /// There are as many rooms with members as there may be.
    pub fn open(&mut self, name: &str, limits: &Limits) -> Result<u32, usize> {
        if let Some(room) = self.find_room(name) {
            return Ok(room);
        }
        if self.rooms.len() >= limits.rooms_max + ROOMS_KEPT - 1 {
            let oldest = self.emptied.pop_front().ok_or(limits.rooms_max)?;
            self.close(oldest);
        }
        let room = self.rooms.insert(Room::new(name.into(), limits)) as u32;
        self.rooms_by_name.insert(name::room_likeness(name), room);
        Ok(room)
    }

    /// A room has lost its last member: it is kept as long as it has a history and a place.
    fn emptied(&mut self, number: u32, limits: &Limits) {
        let room = &mut self.rooms[number as usize];
        room.arrivals.forget();
        room.log.shrink();
        if (number as usize) < ROOMS_KEPT {
            return;
        }
        if limits.history_lines > 0 {
            self.emptied.push_back(number);
        } else {
            self.close(number);
        }
    }

    /// What is held, to which the connections' part is added.
    pub fn census(&self, clients: usize, client_bytes: usize) -> Census {
        let log_bytes: usize = self
            .rooms
            .iter()
            .map(|(_, room)| room.log.memory_bytes())
            .sum();
        Census {
            clients,
            rooms: self.rooms.len(),
            names: self.chosen.len() + self.guests.here(),
            addresses: self.addresses.len(),
            bytes: log_bytes + client_bytes,
        }
    }

    fn close(&mut self, number: u32) {
        let room = self.rooms.remove(number as usize);
        self.rooms_by_name.remove(&name::room_likeness(&room.name));
    }
}

/// Who is called by which guest's number. Numbers only grow, so whoever comes stands last and the list is sorted by
/// itself: hardly more memory than what it says.
#[derive(Debug, Default)]
struct Guests {
    /// Numbers and slots. Whoever has gone leaves `None`, at most as often as there are guests.
    list: Vec<(u64, Option<u32>)>,
    gone: usize,
    /// The number that the last guest was given.
    last: u64,
}

impl Guests {
    /// Gives a newcomer a number that nobody had before.
    fn come(&mut self, slot: u32) -> u64 {
        self.last += 1;
        self.list.push((self.last, Some(slot)));
        self.last
    }

    fn find(&self, number: u64) -> Option<u32> {
        self.place(number).and_then(|place| self.list[place].1)
    }

    /// Forgets a guest. The list is cleared of all who have gone when they are more than those who are here: each is
    /// passed over once for it.
    fn go(&mut self, number: u64) {
        let Some(place) = self.place(number) else {
            return;
        };
        if self.list[place].1.take().is_some() {
            self.gone += 1;
        }
        if self.gone > self.here() {
            self.list.retain(|(_, slot)| slot.is_some());
            self.gone = 0;
        }
    }

    fn here(&self) -> usize {
        self.list.len() - self.gone
    }

    fn place(&self, number: u64) -> Option<usize> {
        self.list
            .binary_search_by_key(&number, |(number, _)| *number)
            .ok()
    }
}

/// Coming and going.
impl Hub {
    /// Whether one more may come in, from an address if its connections are counted.
    pub(super) fn admit(&self, address: Option<IpAddr>) -> Result<(), Refusal> {
        if self.shutting_down {
            return Err(Refusal::ShuttingDown);
        }
        // The host takes nobody's place.
        let counted = self.clients.len() - usize::from(self.host_slot().is_some());
        if counted >= self.limits.clients_max {
            return Err(Refusal::Full(self.limits.clients_max));
        }
        let per_ip = self.limits.clients_per_ip_max;
        if address.is_some_and(|address| self.crowd.count_from(address) >= per_ip) {
            return Err(Refusal::PerAddress(per_ip));
        }
        Ok(())
    }

    /// A client enters a room: it reads on from where the room's history begins.
    pub(super) fn enter(&mut self, now: Now, slot: u32, number: u32) {
        let client = &mut self.clients[slot as usize];
        let room = &mut self.crowd.rooms[number as usize];
        if room.members.is_empty() {
            self.crowd.emptied.retain(|&emptied| emptied != number);
        }
        client.room = number;
        client.seat = room.members.len() as u32;
        client.session.progress_at = now;
        room.members.push(slot);
        room.carousel.reseat(room.members.len(), room.log.end());
        let at = if client.session.wire == Wire::Raw {
            room.log.end()
        } else {
            room.log.history_start()
        };
        client.outbox.enter(&mut room.log, at);
        if client.session.wire == Wire::Chat {
            room.arrivals.note(&client.session.name, Some(slot));
            self.announce(now, number);
        }
        self.owe(slot);
    }

    /// A client leaves its room.
    pub(super) fn leave(&mut self, now: Now, slot: u32) {
        let client = &mut self.clients[slot as usize];
        let number = client.room;
        let room = &mut self.crowd.rooms[number as usize];
        client.outbox.leave(&mut room.log);
        room.members.swap_remove(client.seat as usize);
        room.carousel.reseat(room.members.len(), room.log.end());
        if client.session.wire == Wire::Chat {
            room.arrivals.note(&client.session.name, None);
        }
        let seat = client.seat;
        if let Some(&moved) = room.members.get(seat as usize) {
            self.clients[moved as usize].seat = seat;
            // It may have moved to a seat that the carousel has passed.
            self.owe(moved);
        }
        self.wake_stalled(now, number);
        if self.crowd.rooms[number as usize].members.is_empty() {
            self.turning.retain(|&turning| turning != number);
            self.crowd.emptied(number, &self.limits);
        } else {
            self.announce(now, number);
        }
    }

    /// Announces who came and went, or arms a timer for when that may be done again.
    pub(super) fn announce(&mut self, now: Now, number: u32) {
        let room = &mut self.crowd.rooms[number as usize];
        let Some(due) = room.arrivals.due() else {
            return;
        };
        let here = room.members.len();
        let only_joined = room.arrivals.only_joined();
        let nobody_else = here == 0 || here == 1 && only_joined.is_some();
        if nobody_else || here > self.limits.announce_members_max {
            room.arrivals.forget();
            return;
        }
        let full = room.full_since(now, &self.limits).is_some();
        if due > now || full {
            // A full room has no place for it either.
            let due = if full {
                now.after(ANNOUNCE_INTERVAL_US)
            } else {
                due
            };
            return self.arm_room(number, due);
        }
        let text = room.arrivals.announce(now, here);
        let bytes_max = text.len() + 3;
        self.make_place(now, number, bytes_max);
        let room = &mut self.crowd.rooms[number as usize];
        let range = room.append(bytes_max, &self.limits, |out| {
            requests::push_line(out, Mark::Notice, format_args!("{text}"));
        });
        if let Some(slot) = only_joined {
            self.clients[slot as usize]
                .outbox
                .said(&mut room.log, range);
        }
    }

    /// How many are in a room, for people.
    pub(super) fn here(&self, number: u32) -> impl fmt::Display + use<> {
        grouped(self.crowd.rooms[number as usize].members.len())
    }
}

#[cfg(test)]
mod tests {
    use super::super::ConnId;
    use super::super::yard::Yard;
    use super::*;

    #[test]
    fn ten_thousand_arrivals_cost_a_member_a_line_a_second() {
        let limits = Limits {
            clients_max: 20_000,
            announce_members_max: 20_000,
            ..Limits::default()
        };
        let mut yard = Yard::new(limits);
        let first = yard.knock(Wire::Chat).unwrap();
        let mut heard = yard.read(first).len();
        let mut others = Vec::new();
        for i in 0..10_000 {
            others.push(
                yard.hub
                    .connect(
                        yard.now,
                        super::super::Peer {
                            address: None,
                            wire: Wire::Chat,
                        },
                    )
                    .unwrap(),
            );
            yard.now = yard.now.after(1000);
            if i % 100 == 0 {
                yard.pass(0);
                heard += yard.read(first).len();
            }
        }
        assert!((200..1024).contains(&heard), "{heard}");
    }

    #[test]
    fn a_room_is_told_who_comes_and_goes_while_it_is_no_larger_than_the_limit() {
        let mut yard = Yard::new(Limits {
            announce_members_max: 2,
            ..Limits::default()
        });
        let told = |yard: &mut Yard, id| {
            yard.pass(2_000_000);
            yard.read(id)
        };
        let first = yard.join();
        assert_eq!(told(&mut yard, first), "", "nobody else is there");
        let second = yard.join();
        assert_eq!(told(&mut yard, first), "* joined: guest2 (2 here)\n");
        let third = yard.join();
        assert_eq!(told(&mut yard, first), "", "three are too many");
        yard.hub.disconnect(yard.now, third);
        assert_eq!(told(&mut yard, first), "* left: guest3 (2 here)\n");
        yard.hub.disconnect(yard.now, second);
        assert_eq!(told(&mut yard, first), "* left: guest2 (1 here)\n");
    }

    #[test]
    fn history_is_what_was_said_last_and_outlives_the_members() {
        let mut yard = Yard::new(Limits {
            history_lines: 3,
            rooms_max: 3,
            ..Limits::default()
        });
        let a = yard.join();
        yard.pass(2_000_000);
        yard.send(a, b"/join garden\n");
        for i in 0..9 {
            yard.send(a, format!("{i}\n").as_bytes());
        }
        yard.pass(1_000_000);
        yard.send(a, b"/join lobby\n");
        yard.read(a);
        yard.run();
        yard.send(a, b"/join garden\n");
        assert_eq!(
            yard.read(a),
            "* you are in garden (1 here)\nguest1: 6\nguest1: 7\nguest1: 8\n"
        );
        yard.send(a, b"/join lobby\n/join pond\n/join lobby\n");
        for _ in 0..4 {
            yard.read(a);
            yard.run();
        }
        assert_eq!(
            yard.hub.crowd.rooms.len(),
            4,
            "lobby, garden, pond, and the raw room"
        );
        yard.send(a, b"/join well\n");
        assert!(
            yard.hub.crowd.find_room("garden").is_none(),
            "the oldest empty room makes place"
        );
        assert!(yard.hub.crowd.find_room("pond").is_some());
        yard.hub.disconnect(yard.now, a);
        assert!(yard.hub.crowd.find_room("well").is_some());
    }

    #[test]
    fn guests_are_found_whoever_else_has_gone_and_the_list_stays_short() {
        for seed in 0..100 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let (mut guests, mut here) = (Guests::default(), BTreeMap::new());
            for slot in 0..200 {
                here.insert(guests.come(slot), slot);
                while rng.u8(0..3) == 0 && !here.is_empty() {
                    let nth = rng.usize(..here.len());
                    let number = *here.keys().nth(nth).unwrap();
                    here.remove(&number);
                    guests.go(number);
                    guests.go(number);
                }
                for number in 0..=guests.last + 1 {
                    assert_eq!(
                        guests.find(number),
                        here.get(&number).copied(),
                        "seed {seed}"
                    );
                }
                assert_eq!(guests.here(), here.len());
                assert!(guests.list.len() <= 2 * here.len());
            }
        }
    }

    #[test]
    fn addresses_are_noted_only_if_there_is_a_limit_for_them() {
        for (clients_per_ip_max, noted) in [(0, 0), (2, 1)] {
            let mut yard = Yard::new(Limits {
                clients_per_ip_max,
                ..Limits::default()
            });
            yard.join();
            yard.join();
            let crowd = &yard.hub.crowd;
            assert_eq!(yard.hub.census().addresses, noted);
            assert_eq!(crowd.origins.len(), 2 * noted);
        }
    }

    #[test]
    fn when_all_have_left_nothing_is_left() {
        let mut yard = Yard::new(Limits {
            history_lines: 0,
            clients_per_ip_max: 20,
            ..Limits::default()
        });
        for round in 0..3 {
            let ids: Vec<ConnId> = (0..20).map(|_| yard.join()).collect();
            for (i, &id) in ids.iter().enumerate() {
                yard.send(
                    id,
                    format!("/nick kim{round}{i}\n/join room{}\nhello\n", i % 4).as_bytes(),
                );
                yard.flush();
                yard.run();
            }
            for id in ids {
                yard.hub.disconnect(yard.now, id);
            }
            yard.settle();
            let crowd = &yard.hub.crowd;
            assert_eq!(
                (
                    crowd.rooms.len(),
                    crowd.rooms_by_name.len(),
                    crowd.emptied.len()
                ),
                (2, 1, 0)
            );
            assert_eq!((crowd.chosen.len(), crowd.guests.list.len()), (0, 0));
            assert_eq!((crowd.addresses.len(), crowd.origins.len()), (0, 0));
            assert_eq!((yard.hub.clients(), yard.hub.has_owed()), (0, false));
        }
        assert_eq!(
            yard.hub.crowd.guests.last, 60,
            "a guest's name is never given again"
        );
    }
}
