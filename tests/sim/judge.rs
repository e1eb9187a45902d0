//! The guarantees that all transcripts together must keep: every line whole, once, in the order of its room, and each
//! lost line counted. Parses no bytes.

use super::client::{Client, End};
use super::transcript::{Item, Stay, Transcript, author_of, speaker, tag, transcript};
use madang::hub::limits::Limits;
use std::collections::{BTreeMap, HashMap};

/// Compares each client's transcript with those of the observers. There is an observer in each room from the start; it
/// always reads and never speaks, so its lines are the room's lines in the room's order.
///
/// Every line that a connected client has composed must have been said, unless the limits cut lines.
pub fn judge(observers: &[Client], clients: &[Client], limits: &Limits) {
    let line_bytes_max = limits.line_bytes_max;
    let requires_own_lines = limits.partial_after_us == 0 && line_bytes_max > 64;
    let transcripts: Vec<Transcript> = clients.iter().map(transcript).collect();
    let owners = name_owners(clients, &transcripts);
    let rooms = rooms(observers, &owners);
    for (client, transcript) in clients.iter().zip(&transcripts) {
        let alive = client.end == End::None && !client.pipe.borrow().server_fin;
        assert!(!transcript.torn || client.end == End::Reset || client.pipe.borrow().server_closed);
        for (number, stay) in transcript.stays.iter().enumerate() {
            let last = number + 1 == transcript.stays.len();
            // A client that finishes in the middle of `/join NAME` may enter a room without an observer.
            let Some(room) = rooms.get(&stay.room) else {
                let end = (client.end, last);
                assert_eq!(end, (End::Fin, true), "{} in {}", client.number, stay.room);
                continue;
            };
            let fits =
                |said: &&(usize, String)| said.0 == number && said.1.len() + 8 <= line_bytes_max;
            let own = client.said.iter().filter(fits);
            let own: Vec<&str> = own.map(|said| &*said.1).collect();
            let until = match (last, alive) {
                (true, true) => Until::End,
                (false, _) => Until::LastOwn,
                (true, false) => Until::Anywhere,
            };
            let client = client.number;
            let check = StayCheck { room, stay, client };
            check.assert_received(&own, until);
            if requires_own_lines && alive {
                check.assert_said(&own);
            }
        }
    }
}

/// The client to which each name belonged. No name may have belonged to two clients.
fn name_owners(clients: &[Client], transcripts: &[Transcript]) -> HashMap<String, usize> {
    let mut owners = HashMap::new();
    for (client, transcript) in clients.iter().zip(transcripts) {
        for name in &transcript.names {
            let other = owners.insert(name.clone(), client.number);
            // A client may have a name twice: a flushed part of `/nick` may be an earlier name of the client.
            let is_own = other.is_none_or(|other| other == client.number);
            assert!(is_own, "two clients had the name {name}");
        }
    }
    owners
}

/// Each room's lines, by the room's name.
fn rooms(observers: &[Client], owners: &HashMap<String, usize>) -> BTreeMap<String, RoomLines> {
    let mut rooms = BTreeMap::new();
    for observer in observers {
        let mut transcript = transcript(observer);
        let Stay { room, items } = transcript.stays.pop().expect("an observer is in its room");
        let lines = items.into_iter().map(|item| match item {
            Item::Line(line) => line,
            Item::Skipped(lines) => panic!("the observer of {room} lost {lines} lines"),
        });
        let author = |line: &str| match observer.is_raw() {
            true => author_of(line),
            false => speaker(line).and_then(|name| owners.get(name)).copied(),
        };
        let lines = RoomLines::new(lines.collect(), author);
        assert!(rooms.insert(room, lines).is_none(), "one observer a room");
    }
    rooms
}

/// The lines of a room, in order.
struct RoomLines {
    lines: Vec<String>,
    /// The client to which each line belongs; that client does not receive it.
    authors: Vec<Option<usize>>,
    /// The first position of each line, and how often the line occurs.
    places: HashMap<String, (usize, usize)>,
    /// The positions of each tag.
    tags: HashMap<String, Vec<usize>>,
}

impl RoomLines {
    fn new(lines: Vec<String>, author: impl Fn(&str) -> Option<usize>) -> RoomLines {
        let authors = lines.iter().map(|line| author(line)).collect();
        let (mut places, mut tags) = (HashMap::new(), HashMap::new());
        for (at, line) in lines.iter().enumerate() {
            let (_, count) = places.entry(line.clone()).or_insert((at, 0));
            *count += 1;
            if let Some(tag) = line.split(' ').find_map(tag) {
                let places: &mut Vec<usize> = tags.entry(tag.to_string()).or_default();
                places.push(at);
            }
        }
        RoomLines {
            lines,
            authors,
            places,
            tags,
        }
    }
}

/// The line up to which a stay must be complete.
enum Until {
    /// The last line of the room: the client is still in the room.
    End,
    /// The client's own last line: the client went on to another room.
    LastOwn,
    /// None: the client's connection ended.
    Anywhere,
}

/// Compares one stay of a client with the lines of its room.
struct StayCheck<'a> {
    room: &'a RoomLines,
    stay: &'a Stay,
    client: usize,
}

impl StayCheck<'_> {
    /// The client has received every line of others once, in order, or has received a notice that counts it.
    fn assert_received(&self, own: &[&str], until: Until) {
        let Some(mut at) = self.first() else { return };
        let label = self.label();
        let own_at = own.iter().filter_map(|text| self.places(text).first());
        let own_at: Vec<usize> = own_at.copied().collect();
        if let Some(&first_own) = own_at.first() {
            let missing = self.others(first_own, at);
            assert_eq!(missing, 0, "{label}: missing after its first own line");
        }
        for item in &self.stay.items {
            match item {
                Item::Line(line) => {
                    let want = self.next(&mut at);
                    let is_next = want == Some(line);
                    assert!(is_next, "{label} at {at}: {line:.60?}, not {want:.60?}");
                }
                Item::Skipped(lines) => {
                    for _ in 0..*lines {
                        let lost = self.next(&mut at);
                        assert!(lost.is_some(), "{label}: more skipped than said");
                    }
                }
            }
        }
        let end = match until {
            Until::End => self.room.lines.len(),
            Until::LastOwn => own_at.last().copied().unwrap_or(0),
            Until::Anywhere => 0,
        };
        assert_eq!(self.others(at, end), 0, "{label}: missing at the end");
    }

    /// The room contains each of the client's own texts once, in the order in which the client sent them.
    fn assert_said(&self, own: &[&str]) {
        let (label, mut last) = (self.label(), None);
        for text in own {
            let places = self.places(text);
            assert_eq!(places.len(), 1, "{label}: {text:.60} was not said once");
            assert!(last < places.first(), "{label}: {text:.60} out of order");
            last = places.first();
        }
    }

    /// The position at which the stay begins: found by the first line that occurs once in the room, and from there
    /// backwards. `None` if there is no such line.
    fn first(&self) -> Option<usize> {
        let place = |(i, item): (usize, &Item)| {
            let Item::Line(line) = item else { return None };
            let &(at, count) = self.room.places.get(line)?;
            (count == 1).then_some((i, at))
        };
        let mut items = self.stay.items.iter().enumerate();
        let (anchor, mut at) = items.find_map(place)?;
        for item in self.stay.items[..anchor].iter().rev() {
            match item {
                Item::Line(line) => assert_eq!(self.previous(&mut at), line, "{}", self.label()),
                Item::Skipped(lines) => (0..*lines).for_each(|_| {
                    self.previous(&mut at);
                }),
            }
        }
        Some(at)
    }

    /// The next line of another client.
    fn next(&self, at: &mut usize) -> Option<&String> {
        while self.room.authors.get(*at) == Some(&Some(self.client)) {
            *at += 1;
        }
        *at += 1;
        self.room.lines.get(*at - 1)
    }

    /// The previous line of another client.
    fn previous(&self, at: &mut usize) -> &str {
        loop {
            *at = at
                .checked_sub(1)
                .unwrap_or_else(|| panic!("{}: begins before the room", self.label()));
            if self.room.authors[*at] != Some(self.client) {
                return &self.room.lines[*at];
            }
        }
    }

    /// How many lines of other clients there are from one position to another.
    fn others(&self, from: usize, to: usize) -> usize {
        let authors = self.room.authors[from.min(to)..to].iter();
        let others = authors.filter(|author| **author != Some(self.client));
        others.count()
    }

    /// The positions of one of the client's own texts.
    fn places(&self, text: &str) -> &[usize] {
        let places = tag(text).and_then(|tag| self.room.tags.get(tag));
        let whole = |&at: &usize| {
            self.room.authors[at] == Some(self.client) && self.room.lines[at].ends_with(text)
        };
        places
            .filter(|places| places.iter().all(whole))
            .map_or(&[], |places| places)
    }

    fn label(&self) -> String {
        format!("client {} in {}", self.client, self.stay.room)
    }
}
