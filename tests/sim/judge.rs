//! What must be true of what everybody has received: promise 1 (order, once, whole, counted skips).

use super::account::{Account, Item, Stay, account, mark, marked_by, speaker};
use super::client::{Client, End};
use std::collections::{BTreeMap, HashMap};

/// Judges everybody by what the observers have seen: they sit in each room from the start, always read and never
/// speak, so theirs is the order that the room has.
pub fn judge(
    observers: &[Client],
    clients: &[Client],
    everything_said: bool,
    line_bytes_max: usize,
) {
    let accounts: Vec<Account> = clients.iter().map(account).collect();
    let names = owners(clients, &accounts);
    let orders = orders(observers, &names);
    for (client, account) in clients.iter().zip(&accounts) {
        let alive = client.end == End::None && !client.pipe.borrow().server_fin;
        assert!(!account.torn || client.end == End::Reset || client.pipe.borrow().server_closed);
        for (number, stay) in account.stays.iter().enumerate() {
            let last = number + 1 == account.stays.len();
            // Whoever finishes in the middle of `/join` may end up in a room that nobody watches.
            let Some(order) = orders.get(&stay.room) else {
                assert_eq!(
                    (client.end, last),
                    (End::Fin, true),
                    "client {} is in {}",
                    client.number,
                    stay.room
                );
                continue;
            };
            let fits =
                |said: &&(usize, String)| said.0 == number && said.1.len() + 8 <= line_bytes_max;
            let own: Vec<&str> = client
                .said
                .iter()
                .filter(fits)
                .map(|said| &*said.1)
                .collect();
            let until = match (last, alive) {
                (true, true) => Until::End,
                (false, _) => Until::LastOwn,
                (true, false) => Until::Anywhere,
            };
            let follower = Follower {
                order,
                stay,
                me: client.number,
            };
            follower.follow(&own, until);
            if everything_said && alive {
                follower.assert_said(&own);
            }
        }
    }
}

/// Which client has had which names: no two have had the same.
fn owners(clients: &[Client], accounts: &[Account]) -> HashMap<String, usize> {
    let mut names = HashMap::new();
    for (client, account) in clients.iter().zip(accounts) {
        for name in &account.names {
            let other = names.insert(name.clone(), client.number);
            // Where pieces are passed on, a piece of a command may ask for a name that it had before.
            assert!(
                other.is_none_or(|other| other == client.number),
                "{name} was given to two"
            );
        }
    }
    names
}

/// The order of each room, by the room's name.
fn orders(observers: &[Client], names: &HashMap<String, usize>) -> BTreeMap<String, Order> {
    let mut orders = BTreeMap::new();
    for observer in observers {
        let mut account = account(observer);
        let Stay { room, items } = account.stays.pop().expect("an observer is in its room");
        let lines = items.into_iter().map(|item| match item {
            Item::Line(line) => line,
            Item::Skipped(lines) => panic!("the observer of {room} lost {lines} lines"),
        });
        let whose = |line: &str| match observer.is_raw() {
            true => marked_by(line),
            false => speaker(line).and_then(|name| names.get(name)).copied(),
        };
        let order = Order::of(lines.collect(), whose);
        assert!(orders.insert(room, order).is_none(), "a room of its own");
    }
    orders
}

/// The order that a room has.
struct Order {
    lines: Vec<String>,
    /// Which client's own a line is.
    by: Vec<Option<usize>>,
    /// Where a line stands, and how often.
    places: HashMap<String, (usize, usize)>,
    /// Where the lines stand that have a mark of their own.
    marks: HashMap<String, Vec<usize>>,
}

impl Order {
    fn of(lines: Vec<String>, whose: impl Fn(&str) -> Option<usize>) -> Order {
        let by = lines.iter().map(|line| whose(line));
        let (by, mut places, mut marks) = (by.collect(), HashMap::new(), HashMap::new());
        for (at, line) in lines.iter().enumerate() {
            places
                .entry(line.clone())
                .and_modify(|place: &mut (usize, usize)| place.1 += 1)
                .or_insert((at, 1));
            if let Some(mark) = line.split(' ').find_map(mark) {
                marks
                    .entry(mark.to_string())
                    .or_insert_with(Vec::new)
                    .push(at);
            }
        }
        Order {
            lines,
            by,
            places,
            marks,
        }
    }
}

/// Up to where a stay must be complete.
enum Until {
    /// The end of the room's order: the client is still there.
    End,
    /// The last line that it said there: it went on to another room.
    LastOwn,
    /// Wherever its connection ended.
    Anywhere,
}

/// Follows one client's stay along the order of its room.
struct Follower<'a> {
    order: &'a Order,
    stay: &'a Stay,
    me: usize,
}

impl Follower<'_> {
    /// Every line of others is there once, in order, or was counted as skipped.
    fn follow(&self, own: &[&str], until: Until) {
        let Some(mut at) = self.start() else { return };
        let own_at: Vec<usize> = own
            .iter()
            .filter_map(|text| self.places(text).first().copied())
            .collect();
        if let Some(&first_own) = own_at.first() {
            assert_eq!(
                self.others(first_own, at),
                0,
                "{}: lines are missing after its first own",
                self.who()
            );
        }
        for item in &self.stay.items {
            match item {
                Item::Line(line) => {
                    let there = self.next(&mut at);
                    assert!(
                        there == Some(line),
                        "{} at {at}: {line:.60?} came, {there:.60?} is there",
                        self.who()
                    );
                }
                Item::Skipped(lines) => {
                    for _ in 0..*lines {
                        assert!(
                            self.next(&mut at).is_some(),
                            "{}: more was skipped than was said",
                            self.who()
                        );
                    }
                }
            }
        }
        let end = match until {
            Until::End => self.order.lines.len(),
            Until::LastOwn => own_at.last().copied().unwrap_or(0),
            Until::Anywhere => 0,
        };
        assert_eq!(
            self.others(at, end),
            0,
            "{}: lines are missing at the end",
            self.who()
        );
    }

    /// Everything that the client has said stands in the order, once, and in the order in which it was said.
    fn assert_said(&self, own: &[&str]) {
        let mut last = None;
        for text in own {
            let places = self.places(text);
            assert_eq!(
                places.len(),
                1,
                "{}: {text:.60} was not said once",
                self.who()
            );
            assert!(
                last < places.first(),
                "{}: {text:.60} was said out of order",
                self.who()
            );
            last = places.first();
        }
    }

    /// Where the stay begins: found by the first line that is there only once, and then backwards.
    fn start(&self) -> Option<usize> {
        let place = |item: &Item| match item {
            Item::Line(line) => self
                .order
                .places
                .get(line)
                .filter(|place| place.1 == 1)
                .map(|place| place.0),
            Item::Skipped(_) => None,
        };
        let (anchor, mut at) = self
            .stay
            .items
            .iter()
            .enumerate()
            .find_map(|(i, item)| place(item).map(|at| (i, at)))?;
        for item in self.stay.items[..anchor].iter().rev() {
            match item {
                Item::Line(line) => assert_eq!(self.back(&mut at), line, "{}", self.who()),
                Item::Skipped(lines) => (0..*lines).for_each(|_| {
                    self.back(&mut at);
                }),
            }
        }
        Some(at)
    }

    /// The next line of others.
    fn next(&self, at: &mut usize) -> Option<&String> {
        while self.order.by.get(*at) == Some(&Some(self.me)) {
            *at += 1;
        }
        *at += 1;
        self.order.lines.get(*at - 1)
    }

    /// The line of others before.
    fn back(&self, at: &mut usize) -> &str {
        loop {
            *at = at
                .checked_sub(1)
                .unwrap_or_else(|| panic!("{}: begins before the room", self.who()));
            if self.order.by[*at] != Some(self.me) {
                return &self.order.lines[*at];
            }
        }
    }

    /// How many lines of others stand in a stretch.
    fn others(&self, from: usize, to: usize) -> usize {
        self.order.by[from.min(to)..to]
            .iter()
            .filter(|by| **by != Some(self.me))
            .count()
    }

    /// Where a text of the client's own stands.
    fn places(&self, text: &str) -> &[usize] {
        let places = mark(text).and_then(|mark| self.order.marks.get(mark));
        let whole = |&at: &usize| {
            self.order.by[at] == Some(self.me) && self.order.lines[at].ends_with(text)
        };
        places
            .filter(|places| places.iter().all(whole))
            .map_or(&[], |places| places)
    }

    fn who(&self) -> String {
        format!("client {} in {}", self.me, self.stay.room)
    }
}
