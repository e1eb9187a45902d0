//! The lines of one room as its observer has received them, and where each stands.

use super::announcements::Announced;
use super::transcript::{author_of, speaker, tag};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The lines of a room, in order.
pub struct RoomLines {
    pub lines: Vec<String>,
    /// Whether each line is a notice, and not what somebody said.
    pub are_notices: Vec<bool>,
    /// The client to which each line belongs; that client does not receive it.
    pub authors: Vec<Option<usize>>,
    /// The positions of each tag.
    pub tags: HashMap<String, Vec<usize>>,
    /// What was announced, by position.
    pub announcements: BTreeMap<usize, Announced>,
    /// The positions of the announcements of numbers.
    pub counted: Vec<usize>,
    /// The positions of each line.
    pub places: HashMap<String, Vec<usize>>,
    /// The announcements that name each client.
    named: HashMap<usize, Named>,
}

/// What a client receives in place of an announcement of itself, as numbers of those who have come and left: one of two.
pub type Instead = [(usize, usize); 2];

/// The announcements that name one client.
#[derive(Default)]
pub struct Named {
    /// Where they stand.
    pub places: BTreeSet<usize>,
    /// What the client receives in place of each, if there is anything else to be said.
    pub instead: BTreeMap<usize, Instead>,
}

static NAMED_NOWHERE: Named = Named {
    places: BTreeSet::new(),
    instead: BTreeMap::new(),
};

impl RoomLines {
    /// `owners`: the client to which each name belonged.
    pub fn new(lines: Vec<String>, owners: &HashMap<String, usize>) -> RoomLines {
        let authors = lines.iter().map(|line| author(line, owners)).collect();
        let (mut tags, mut announcements) = (HashMap::new(), BTreeMap::new());
        let mut places: HashMap<String, Vec<usize>> = HashMap::new();
        for (at, line) in lines.iter().enumerate() {
            places.entry(line.clone()).or_default().push(at);
            announcements.extend(Announced::read(line).map(|(it, _)| (at, it)));
            if let Some(tag) = line.split(' ').find_map(tag) {
                let places: &mut Vec<usize> = tags.entry(tag.to_string()).or_default();
                places.push(at);
            }
        }
        let is_counted =
            |(at, it): (&usize, &Announced)| matches!(it, Announced::Numbers(..)).then_some(*at);
        let mut named: HashMap<usize, Named> = HashMap::new();
        for (&at, it) in &announcements {
            for (client, others) in it.without_each(owners) {
                let named = named.entry(client).or_default();
                named.places.insert(at);
                if others != (0, 0) {
                    named.instead.insert(at, [others; 2]);
                }
            }
        }
        RoomLines {
            counted: announcements.iter().filter_map(is_counted).collect(),
            are_notices: lines.iter().map(|line| line.starts_with("* ")).collect(),
            lines,
            authors,
            tags,
            announcements,
            places,
            named,
        }
    }

    /// The announcements that name a client.
    pub fn named_of(&self, client: usize) -> &Named {
        self.named.get(&client).unwrap_or(&NAMED_NOWHERE)
    }

    /// The positions of one of a client's own texts.
    pub fn said_at(&self, text: &str, client: usize) -> &[usize] {
        let places = tag(text).and_then(|tag| self.tags.get(tag));
        let whole =
            |&at: &usize| self.authors[at] == Some(client) && self.lines[at].ends_with(text);
        places
            .filter(|places| places.iter().all(whole))
            .map_or(&[], |places| places)
    }

    /// The room contains no part of a client's own texts without the rest.
    pub fn assert_said_whole(&self, client: usize, own: &[&str]) {
        for text in own {
            let is_said = tag(text).is_some_and(|tag| self.tags.contains_key(tag));
            let is_whole = !self.said_at(text, client).is_empty();
            assert!(is_whole || !is_said, "client {client}: {text:.60} was cut");
        }
    }

    /// The room contains each of a client's own texts once, in the order in which the client sent them.
    pub fn assert_said(&self, client: usize, own: &[&str]) {
        let mut last = None;
        for text in own {
            let places = self.said_at(text, client);
            assert_eq!(
                places.len(),
                1,
                "client {client}: {text:.60} was not said once"
            );
            assert!(
                last < places.first(),
                "client {client}: {text:.60} out of order"
            );
            last = places.first();
        }
    }
}

/// The client to which a line belongs.
fn author(line: &str, owners: &HashMap<String, usize>) -> Option<usize> {
    match speaker(line) {
        Some(name) => owners.get(name).copied(),
        // A raw connection has no name.
        None => author_of(line),
    }
}
