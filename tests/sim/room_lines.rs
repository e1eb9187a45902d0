//! The lines of one room as its observer has received them, and where each stands.

use super::announcements::Announced;
use super::transcript::tag;
use std::collections::{BTreeMap, HashMap};

/// The lines of a room, in order.
pub struct RoomLines {
    pub lines: Vec<String>,
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
}

impl RoomLines {
    pub fn new(lines: Vec<String>, author: impl Fn(&str) -> Option<usize>) -> RoomLines {
        let authors = lines.iter().map(|line| author(line)).collect();
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
        RoomLines {
            counted: announcements.iter().filter_map(is_counted).collect(),
            lines,
            authors,
            tags,
            announcements,
            places,
        }
    }
}

impl RoomLines {
    /// The positions of one of a client's own texts.
    pub fn said_at(&self, text: &str, client: usize) -> &[usize] {
        let places = tag(text).and_then(|tag| self.tags.get(tag));
        let whole =
            |&at: &usize| self.authors[at] == Some(client) && self.lines[at].ends_with(text);
        places
            .filter(|places| places.iter().all(whole))
            .map_or(&[], |places| places)
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
