//! The guarantees that all transcripts together must keep: every line whole, once, in the order of its room, and each
//! lost line counted. Parses no bytes.

use super::announcements;
use super::client::{Client, End};
use super::room_lines::RoomLines;
use super::stay_check::{StayCheck, Until, change_ignored};
use super::transcript::{
    Item, RAW_ROOM, Stay, Transcript, author_of, renamed, speaker, transcript,
};
use madang::hub::limits::Limits;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Compares each client's transcript with those of the observers. There is an observer in each room from the start; it
/// always reads and never speaks, so its lines are the room's lines in the room's order.
///
/// Every line that a connected client has composed must have been said, unless the limits cut lines or an operator has muted
/// the client.
pub fn judge(observers: &[Client], clients: &[Client], limits: &Limits, has_operator: bool) {
    let line_bytes_max = limits.line_bytes_max;
    let requires_own_lines = limits.partial_after_us == 0 && line_bytes_max > 64;
    let transcripts: Vec<Transcript> = clients.iter().map(transcript).collect();
    let rooms = lines_of_rooms(observers);
    let owners = name_owners(clients, &transcripts, rooms.values().flatten());
    let rooms: BTreeMap<String, RoomLines> = rooms
        .into_iter()
        .map(|(name, lines)| (name, RoomLines::new(lines, &owners)))
        .collect();
    if limits.announce_members_max >= clients.len() + observers.len() {
        judge_announcements(&rooms, clients, &transcripts);
    }
    for (client, transcript) in clients.iter().zip(&transcripts) {
        let alive = client.end == End::None && !client.pipe.borrow().server_fin;
        assert_in_order(client.number, &transcript.heard);
        assert!(!transcript.torn || client.end == End::Reset || client.pipe.borrow().server_closed);
        judge_veil(client, transcript.torn);
        let mut ignored = BTreeSet::new();
        for (number, stay) in transcript.stays.iter().enumerate() {
            let before = ignored.clone();
            stay.items
                .iter()
                .for_each(|item| change_ignored(&mut ignored, item, &owners));
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
            // A raw connection cannot be told that it is muted.
            let is_muted = transcript.is_muted || has_operator && client.is_raw();
            let (client, end) = (client.number, client.end);
            let own_at = |text: &&str| room.said_at(text, client).first().copied();
            let check = StayCheck {
                room,
                stay,
                client,
                owners: &owners,
                ignored: before,
                named: room.named_of(client),
                first_own: own.iter().find_map(own_at),
                last_own: own.iter().rev().find_map(own_at),
            };
            check.assert_received(until);
            if requires_own_lines && alive && !is_muted {
                room.assert_said(client, &own);
            } else if requires_own_lines && end == End::Cut {
                room.assert_said_whole(client, &own);
            }
        }
    }
}

/// A veiled client has an answer to each update, and what it has received before the server's last word is whole.
fn judge_veil(client: &Client, is_torn: bool) {
    let (pipe, number) = (client.pipe.borrow(), client.number);
    let Some(veil) = &pipe.veil else { return };
    assert!(!is_torn || !veil.client.is_finished, "{number} is torn");
    if client.end == End::None && !pipe.server_fin {
        let (asked, answered) = (veil.client.updates, veil.client.updated);
        assert_eq!(asked, answered, "updates of {number}");
    }
}

/// What one client says, aloud and privately, reaches another in the order in which it was said.
fn assert_in_order(reader: usize, heard: &[String]) {
    let mut last: HashMap<&str, u32> = HashMap::new();
    for tag in heard {
        let (author, number) = tag.trim_end_matches('.').split_once('.').expect("a tag");
        let number = number.parse().expect("a number");
        let before = last.insert(author, number);
        assert!(
            before < Some(number),
            "client {reader}: {tag} after {before:?}"
        );
    }
}

/// Checks what each room with people has heard of comings and goings.
fn judge_announcements(
    rooms: &BTreeMap<String, RoomLines>,
    clients: &[Client],
    transcripts: &[Transcript],
) {
    for (name, room) in rooms.iter().filter(|(name, _)| *name != RAW_ROOM) {
        let mut here = BTreeSet::new();
        for (client, transcript) in clients.iter().zip(transcripts) {
            let is_connected = !client.pipe.borrow().server_closed;
            let stay = transcript.stays.last();
            if is_connected && !client.is_raw() && stay.is_some_and(|stay| stay.room == *name) {
                here.extend(transcript.names.last().cloned());
            }
        }
        announcements::check(name, &room.lines, &here);
    }
}

/// The client to which each name belonged, whether the client has read so or not. No name may have belonged to two clients.
fn name_owners<'a>(
    clients: &[Client],
    transcripts: &[Transcript],
    lines: impl Iterator<Item = &'a String> + Clone,
) -> HashMap<String, usize> {
    let mut owners = HashMap::new();
    for (client, transcript) in clients.iter().zip(transcripts) {
        let names = transcript.names.iter().chain(&client.asked_names).cloned();
        for name in names.chain(client.given_name()) {
            let other = owners.insert(name.clone(), client.number);
            // A client may have a name twice: a flushed part of `/nick` may be an earlier name of the client.
            let is_own = other.is_none_or(|other| other == client.number);
            assert!(is_own, "two clients had the name {name}");
        }
    }
    // To some clients nothing could be written, not even their names: these are known by what the others have received.
    for line in lines.clone() {
        if let (Some(name), Some(author)) = (speaker(line), line.split(' ').find_map(author_of)) {
            owners.entry(name.into()).or_insert(author);
        }
    }
    // A flushed part of `/nick` is a name that nobody has asked for: then the one before or after it says whose it is.
    let renames: Vec<(&str, &str)> = lines.filter_map(|line| renamed(line)).collect();
    loop {
        let known = owners.len();
        for (old, new) in &renames {
            for (name, other) in [(old, new), (new, old)] {
                if let Some(&owner) = owners.get(*name) {
                    owners.entry((*other).into()).or_insert(owner);
                }
            }
        }
        if owners.len() == known {
            return owners;
        }
    }
}

/// The lines that each room's observer has received, by the room's name.
fn lines_of_rooms(observers: &[Client]) -> BTreeMap<String, Vec<String>> {
    let mut rooms = BTreeMap::new();
    for observer in observers {
        let mut transcript = transcript(observer);
        let Stay { room, items, .. } = transcript.stays.pop().expect("an observer is in its room");
        let lines = items.into_iter().map(|item| match item {
            Item::Line(line) => line,
            other => panic!("the observer of {room} received {other:?}"),
        });
        let lines = lines.collect();
        assert!(rooms.insert(room, lines).is_none(), "one observer a room");
    }
    rooms
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::behavior::Behavior;
    use crate::pipe::Pipe;
    use madang::hub::Wire;

    #[test]
    fn names_are_known_that_their_clients_have_not_read() {
        let client = |number| {
            let pipe = Pipe::shared(Wire::Chat, 1000);
            Client::new(number, pipe, Behavior::observer())
        };
        let mut clients = [client(0), client(1), client(2)];
        let greeting = b"* you are guest3 in lobby (2 here); /help lists commands\n";
        clients[0].pipe.borrow_mut().outbound.extend(greeting);
        clients[0].asked_names.insert("axb".into());
        clients[1].asked_names.insert("bxb".into());
        let lines = [
            "guest5: L2.1.",
            "guest5: L2.2.",
            "* renamed: guest4 -> bxb",
            "* renamed: bxb -> serve",
            "* renamed: serve -> bxb",
            "* renamed: guest9 -> guest8",
            "guest6: a line without a tag",
        ];
        let lines = lines.map(String::from);
        let transcripts: Vec<Transcript> = clients.iter().map(transcript).collect();
        let owners = name_owners(&clients, &transcripts, lines.iter());
        let known: BTreeMap<&str, usize> = owners.iter().map(|(it, to)| (&**it, *to)).collect();
        let names = ["guest3", "axb", "bxb", "serve", "guest4", "guest5"];
        assert_eq!(known, names.into_iter().zip([0, 0, 1, 1, 1, 2]).collect());
    }
}
