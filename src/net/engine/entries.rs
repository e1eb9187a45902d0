//! The answer to XREAD, token by token: which lane, which entry. Keeps nothing of an entry but its numbers.
//!
//! ```text
//! [ [ log, [ [ id, [ s, sequence, i, incarnation, k, number, n, "first numbers", b, payload ] ], … ] ], … ]
//! ```

use super::resp::Token;
use crate::hub::link::contract::Batch;
use std::ops::Range;

/// An entry's id in its stream: milliseconds and a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id(pub u64, pub u64);

impl Id {
    /// Reads `milliseconds-number`.
    pub fn parse(text: &[u8]) -> Option<Id> {
        let (milliseconds, number) = str::from_utf8(text).ok()?.split_once('-')?;
        Some(Id(milliseconds.parse().ok()?, number.parse().ok()?))
    }
}

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.0, self.1)
    }
}

/// An entry but its payload, and where that is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The lane's place among those that are read.
    pub lane: usize,
    /// Its id.
    pub id: Id,
    /// Its number in the lane.
    pub sequence: u64,
    /// Whose batch it is.
    pub incarnation: u64,
    /// The batch's number.
    pub number: u64,
    /// Where the payload is among the bytes that the last token was found in.
    pub payload: Range<usize>,
}

/// What a token has brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// More are needed.
    More,
    /// An entry is complete: [`Reading::head`].
    Entry,
    /// An entry is complete that no node has written: [`Reading::head`] has its lane and its id.
    Foreign,
    /// This is no answer to XREAD.
    Nonsense,
}

/// Which token is next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// The first.
    Streams,
    /// A stream and its entries, as a list of two.
    Stream,
    /// The stream's key.
    Key,
    /// The list of its entries.
    Entries,
    /// An entry, as a list of two.
    Entry,
    /// Its id.
    Id,
    /// The list of its fields.
    Fields,
    /// A field's name.
    Name,
    /// The value of the field of this name; 0: of a name that is none of ours.
    Value(u8),
    /// None: the answer has ended.
    Ended,
}

/// How an answer has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Entries in it.
    pub entries: usize,
    /// The most of one stream.
    pub entries_of_one: usize,
}

/// Where an answer is.
#[derive(Debug)]
pub struct Reading {
    next: Next,
    streams_left: usize,
    entries_left: usize,
    /// Names and values.
    fields_left: usize,
    /// Bits of the fields that have come: [`FIELDS`].
    seen: u8,
    /// Whether a field's value cannot be read, or the payload was not the last one.
    is_foreign: bool,
    ended: Ended,
    head: Head,
    first_numbers: Vec<u64>,
}

/// Names of fields, all of which an entry has; the payload is the last.
const FIELDS: &[u8; 5] = b"siknb";
const ALL_SEEN: u8 = (1 << FIELDS.len()) - 1;

impl Default for Reading {
    fn default() -> Reading {
        Reading {
            next: Next::Streams,
            streams_left: 0,
            entries_left: 0,
            fields_left: 0,
            seen: 0,
            is_foreign: false,
            ended: Ended {
                entries: 0,
                entries_of_one: 0,
            },
            head: Head::default(),
            first_numbers: Vec::new(),
        }
    }
}

impl Reading {
    /// The entry that is complete.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The first numbers of its rooms.
    pub fn first_numbers(&self) -> &[u64] {
        &self.first_numbers
    }

    /// How the answer has ended, if it has: then the next one can begin.
    pub fn take_ended(&mut self) -> Option<Ended> {
        if self.next != Next::Ended {
            return None;
        }
        self.next = Next::Streams;
        let none = Ended {
            entries: 0,
            entries_of_one: 0,
        };
        Some(std::mem::replace(&mut self.ended, none))
    }

    /// Takes a token, found in these bytes. `lane` finds the place of a key among those that are read.
    pub fn take(
        &mut self,
        token: &Token,
        bytes: &[u8],
        lane: impl FnOnce(&[u8]) -> Option<usize>,
    ) -> Step {
        match (self.next, token) {
            (Next::Streams, &Token::Array(streams)) if streams > 0 => {
                self.streams_left = streams;
                self.next = Next::Stream;
            }
            (Next::Streams, Token::Null | Token::Array(_)) => self.next = Next::Ended,
            (Next::Stream, Token::Array(2)) => self.next = Next::Key,
            (Next::Key, Token::Text(range)) => match lane(&bytes[range.clone()]) {
                Some(lane) => {
                    self.head.lane = lane;
                    self.next = Next::Entries;
                }
                None => return Step::Nonsense,
            },
            (Next::Entries, &Token::Array(entries)) => {
                self.entries_left = entries;
                self.ended.entries += entries;
                self.ended.entries_of_one = self.ended.entries_of_one.max(entries);
                self.next = Next::Entry;
                if entries == 0 {
                    self.end_stream();
                }
            }
            (Next::Entry, Token::Array(2)) => self.next = Next::Id,
            (Next::Id, Token::Text(range)) => match Id::parse(&bytes[range.clone()]) {
                Some(id) => {
                    self.head.id = id;
                    self.seen = 0;
                    self.is_foreign = false;
                    self.next = Next::Fields;
                }
                None => return Step::Nonsense,
            },
            (Next::Fields, &Token::Array(fields)) if fields > 0 && fields % 2 == 0 => {
                self.fields_left = fields;
                self.next = Next::Name;
            }
            (Next::Name, Token::Text(range)) => {
                let name = match &bytes[range.clone()] {
                    &[name] => name,
                    _ => 0,
                };
                self.next = Next::Value(name);
            }
            (Next::Value(name), Token::Text(range)) => {
                return self.take_value(name, range, &bytes[range.clone()]);
            }
            _ => return Step::Nonsense,
        }
        Step::More
    }

    fn take_value(&mut self, name: u8, range: &Range<usize>, value: &[u8]) -> Step {
        self.fields_left -= 2;
        let field = FIELDS.iter().position(|&field| field == name);
        // Others may come with later versions.
        if let Some(field) = field {
            self.seen |= 1 << field;
            let is_read = self.read_value(name, range, value);
            self.is_foreign |= !is_read;
        }
        if self.fields_left > 0 {
            self.next = Next::Name;
            return Step::More;
        }
        self.entries_left -= 1;
        self.next = Next::Entry;
        if self.entries_left == 0 {
            self.end_stream();
        }
        match self.is_foreign || self.seen != ALL_SEEN {
            true => Step::Foreign,
            false => Step::Entry,
        }
    }

    fn read_value(&mut self, name: u8, range: &Range<usize>, value: &[u8]) -> bool {
        if name == b'b' {
            self.head.payload = range.clone();
            // Later tokens are found in other bytes.
            return self.fields_left == 0;
        }
        let Ok(text) = str::from_utf8(value) else {
            return false;
        };
        let read = match name {
            b's' => text.parse().map(|number| self.head.sequence = number),
            b'i' => u64::from_str_radix(text, 16).map(|number| self.head.incarnation = number),
            b'k' if text == "end" => {
                self.head.number = Batch::LAST;
                Ok(())
            }
            b'k' => text.parse().map(|number| self.head.number = number),
            _ => {
                self.first_numbers.clear();
                let mut numbers = text.split(' ').filter(|text| !text.is_empty());
                numbers.try_for_each(|text| text.parse().map(|it| self.first_numbers.push(it)))
            }
        };
        read.is_ok()
    }

    fn end_stream(&mut self) {
        self.streams_left -= 1;
        self.next = match self.streams_left {
            0 => Next::Ended,
            _ => Next::Stream,
        };
    }
}
