//! How items and facts are written and read: with postcard, one after the other. An engine can hold anything, so reading never
//! panics, and takes no more memory than a fixed multiple of the payload.

use super::item::{Announcement, Fact, Item};
use super::limits::{ITEMS_MAX, NAMES_MAX, NODES_MAX};
use serde::{Deserialize, Serialize};
use std::fmt;

/// How an [`Item::Line`] begins: with its number among the items.
const LINE: u8 = 1;

/// Bytes of the largest number, as it is written.
const NUMBER_BYTES_MAX: usize = 10;

/// A payload cannot be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// Where in the payload, in bytes.
    pub at: usize,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot be read from byte {} on", self.at)
    }
}

/// The items of a payload, in their order. What follows an error is not read.
pub fn items(payload: &[u8]) -> impl Iterator<Item = Result<Item<'_>, Malformed>> {
    Sequence::new(payload, ITEMS_MAX, is_bounded)
}

/// The facts of a part of a snapshot, likewise.
pub fn facts(bytes: &[u8]) -> impl Iterator<Item = Result<Fact<'_>, Malformed>> {
    Sequence::new(bytes, ITEMS_MAX, |_: &Fact<'_>| true)
}

/// Whether an item's lists are no longer than any node writes them.
fn is_bounded(item: &Item<'_>) -> bool {
    match item {
        Item::Announcement(Announcement {
            joined_names,
            left_names,
            ..
        }) => joined_names.len().max(left_names.len()) <= NAMES_MAX,
        Item::Alive { silent } => silent.len() <= NODES_MAX,
        _ => true,
    }
}

/// Values, one after the other.
struct Sequence<'a, T> {
    bytes: &'a [u8],
    /// What has been read of them; `0 <= at <= bytes.len()`.
    at: usize,
    /// How many more there may be.
    left: usize,
    is_valid: fn(&T) -> bool,
}

impl<'a, T> Sequence<'a, T> {
    fn new(bytes: &'a [u8], left: usize, is_valid: fn(&T) -> bool) -> Self {
        let at = 0;
        Sequence {
            bytes,
            at,
            left,
            is_valid,
        }
    }
}

impl<'a, T: Deserialize<'a>> Iterator for Sequence<'a, T> {
    type Item = Result<T, Malformed>;

    fn next(&mut self) -> Option<Result<T, Malformed>> {
        let at = self.at;
        let bytes = &self.bytes[at..];
        if bytes.is_empty() {
            return None;
        }
        match postcard::take_from_bytes::<T>(bytes) {
            Ok((value, rest)) if self.left > 0 && (self.is_valid)(&value) => {
                self.left -= 1;
                self.at = self.bytes.len() - rest.len();
                Some(Ok(value))
            }
            _ => {
                self.at = self.bytes.len();
                Some(Err(Malformed { at }))
            }
        }
    }
}

/// Appends an item, or a fact.
pub(crate) fn write(value: &impl Serialize, out: &mut Vec<u8>) {
    let bytes = std::mem::take(out);
    *out = postcard::to_extend(value, bytes).expect("a vector takes everything");
}

/// Appends an [`Item::Line`] without allocating anything else: `render` appends the line.
pub(crate) fn write_line(author: u64, render: impl FnOnce(&mut Vec<u8>), out: &mut Vec<u8>) {
    let mut number = [0; NUMBER_BYTES_MAX];
    out.push(LINE);
    out.extend_from_slice(write_number(author, &mut number));
    let start = out.len();
    render(out);
    // How long the line is comes before it, and is known only now.
    let length = write_number((out.len() - start) as u64, &mut number);
    out.extend_from_slice(length);
    out[start..].rotate_right(length.len());
}

fn write_number(value: u64, bytes: &mut [u8; NUMBER_BYTES_MAX]) -> &[u8] {
    postcard::to_slice(&value, bytes).expect("it has as many bytes as any number needs")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::link::item::{Act, Delivery, PersonId};

    fn every_item() -> Vec<Item<'static>> {
        let (name, connection) = ("kim", u64::MAX);
        let to = PersonId {
            node: 300,
            connection,
        };
        let names = vec![(1, "kim"), (connection, "")];
        vec![
            Item::Room { nth: 2, name: "" },
            Item::Line {
                author: connection,
                line: &[b'x'; 200],
            },
            Item::Announcement(Announcement {
                joined: 2,
                joined_names: names.clone(),
                left: 9,
                left_names: names,
                here: 12,
            }),
            Item::Renamed {
                connection,
                old: "",
                new: name,
            },
            Item::Private {
                of: 9,
                from: 1,
                to,
                received: b"kim -> you: psst\n",
            },
            Item::PrivateOutcome {
                of: 9,
                from: to,
                outcome: Delivery::TooMany,
            },
            Item::Started { name },
            Item::Ready,
            Item::Stopped,
            Item::Alive {
                silent: vec![(connection, 1); NODES_MAX],
            },
            Item::Snapshot {
                incarnation: 1,
                after: 2,
                is_last: true,
                facts: &[0, 255],
            },
            Item::Came { connection, name },
            Item::Went { connection },
            Item::Rename { connection, name },
            Item::Move {
                connection,
                room: "pond",
            },
            Item::Ban {
                range: "::/0",
                value: "x",
            },
            Item::Unban { range: "::/0" },
            Item::Act {
                to,
                act: Act::Mute { until: 5 },
                by: name,
                why: "",
            },
            Item::Say { text: "hello" },
        ]
    }

    #[test]
    fn what_is_written_is_read_and_a_shorter_payload_is_an_error() {
        let mut payload = Vec::new();
        let mut ends = vec![0];
        for item in every_item() {
            write(&item, &mut payload);
            ends.push(payload.len());
        }
        assert!(items(&payload).eq(every_item().into_iter().map(Ok)));
        for end in 0..payload.len() {
            let read: Vec<_> = items(&payload[..end]).collect();
            let whole = ends.iter().rposition(|&it| it <= end).expect("0 is one");
            let good = read.iter().filter(|it| it.is_ok()).count();
            assert_eq!(good, whole, "{end} bytes");
            let malformed = (ends[whole] < end).then_some(Err(Malformed { at: ends[whole] }));
            assert_eq!(read.get(whole).cloned(), malformed, "{end} bytes");
        }
    }

    #[test]
    fn a_line_is_written_as_any_other_item_is() {
        for length in [0, 1, 127, 128, 16_383, 16_384, 100_000] {
            let line = vec![b'x'; length];
            let (mut fast, mut plain) = (vec![9], vec![9]);
            write_line(7, |out| out.extend_from_slice(&line), &mut fast);
            let item = Item::Line {
                author: 7,
                line: &line,
            };
            write(&item, &mut plain);
            assert_eq!(fast, plain, "{length} bytes");
        }
    }

    #[test]
    fn lists_and_payloads_longer_than_any_that_is_written_are_malformed() {
        let mut payload = Vec::new();
        let silent = vec![(1, 2); NODES_MAX + 1];
        write(&Item::Alive { silent }, &mut payload);
        assert!(items(&payload).eq([Err(Malformed { at: 0 })]));
        // A list that says it is longer than the payload can be.
        let payload = [2, 1, 255, 255, 255, 255, 15, 1, 1];
        assert!(items(&payload).eq([Err(Malformed { at: 0 })]));
        let mut payload = Vec::new();
        for _ in 0..=ITEMS_MAX {
            write(&Item::Ready, &mut payload);
        }
        let malformed = items(&payload).filter(Result::is_err).count();
        assert_eq!((items(&payload).count(), malformed), (ITEMS_MAX + 1, 1));
    }
}
