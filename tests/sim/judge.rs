//! What must be true of what everybody has received: promise 1 (order, once, whole, counted skips) and promise 3.

use super::client::{Client, End, room_name};
use std::collections::{BTreeMap, HashMap};

/// One thing that a client has received in a room.
#[derive(Debug, PartialEq, Eq)]
enum Item {
    /// A line of the room.
    Line(String),
    /// So many lines were skipped.
    Skipped(usize),
}

/// What a client has received from when it entered a room until it went to another.
#[derive(Debug)]
struct Stay {
    room: String,
    items: Vec<Item>,
}

/// What is known of a client from what it has received.
struct Account {
    stays: Vec<Stay>,
    /// Every name that it has had.
    names: Vec<String>,
    /// The last line was not whole.
    torn: bool,
}

/// Judges everybody by what the observers have seen: they sit in each room from the start, always read and never
/// speak, so theirs is the order that the room has.
pub fn judge(
    observers: &[Client],
    clients: &[Client],
    everything_said: bool,
    line_bytes_max: usize,
) {
    let accounts: Vec<Account> = clients.iter().map(account).collect();
    let mut names = HashMap::new();
    for (client, account) in clients.iter().zip(&accounts) {
        for name in &account.names {
            assert_eq!(
                names.insert(name.clone(), client.number),
                None,
                "{name} was given twice"
            );
        }
    }
    let mut orders = BTreeMap::new();
    for (room, observer) in observers.iter().enumerate() {
        let mut account = account(observer);
        let stay = account.stays.pop().expect("an observer is in its room");
        assert_eq!(stay.room, room_name(room));
        let lines = stay.items.into_iter().map(|item| match item {
            Item::Line(line) => line,
            Item::Skipped(lines) => panic!("the observer of room {room} lost {lines} lines"),
        });
        orders.insert(stay.room, lines.collect::<Vec<String>>());
    }
    for (client, account) in clients.iter().zip(&accounts) {
        let alive = client.end == End::None && !client.pipe.borrow().server_fin;
        assert!(!account.torn || client.end == End::Reset || client.pipe.borrow().server_closed);
        for (number, stay) in account.stays.iter().enumerate() {
            let last = number + 1 == account.stays.len();
            let order = orders
                .get(&stay.room)
                .unwrap_or_else(|| panic!("client {} is in {}", client.number, stay.room));
            let mine =
                |line: &str| speaker(line).and_then(|name| names.get(name)) == Some(&client.number);
            let fits =
                |said: &&(usize, String)| said.0 == number && said.1.len() + 8 <= line_bytes_max;
            let own: Vec<&String> = client
                .said
                .iter()
                .filter(fits)
                .map(|said| &said.1)
                .collect();
            follow(
                client,
                stay,
                order,
                &mine,
                &own,
                last && alive,
                !last || alive,
            );
            if everything_said && alive {
                assert_said(client, order, &own);
            }
        }
    }
}

/// Reads what a client has received, and checks that a terminal could show it.
fn account(client: &Client) -> Account {
    let mut account = Account {
        stays: Vec::new(),
        names: Vec::new(),
        torn: false,
    };
    let mut bytes = Vec::with_capacity(client.received.len());
    let mut rest = &client.received[..];
    while let Some((&byte, tail)) = rest.split_first() {
        // Answers to telnet negotiations: the only bytes that are no text.
        rest = if byte == 255 {
            tail.get(2..).unwrap_or(&[])
        } else {
            tail
        };
        if byte != 255 {
            bytes.push(byte);
        }
    }
    let whole = bytes
        .iter()
        .rposition(|&byte| byte == b'\n')
        .map_or(0, |at| at + 1);
    account.torn = whole < bytes.len();
    let text = str::from_utf8(&bytes[..whole])
        .unwrap_or_else(|error| panic!("client {}: {error}", client.number));
    assert!(!text.chars().any(
        |c| c.is_control() && c != '\n' && c != '\t' || ('\u{202a}'..='\u{202e}').contains(&c)
    ));
    for line in text.lines() {
        take(&mut account, line, client.number);
    }
    account
}

fn take(account: &mut Account, line: &str, number: usize) {
    let notice = line.strip_prefix("* ");
    let words: Vec<&str> = notice.unwrap_or(line).split(' ').collect();
    match (notice, &words[..]) {
        (Some(_), ["you", "are", "now", name]) => account.names.push((*name).into()),
        (Some(_), ["you", "are", "in", room, ..]) => {
            account.stays.push(Stay {
                room: (*room).into(),
                items: Vec::new(),
            });
        }
        (Some(_), ["you", "are", name, "in", room, ..]) => {
            account.names.push((*name).into());
            account.stays.push(Stay {
                room: (*room).into(),
                items: Vec::new(),
            });
        }
        (Some(_), [lines, "lines", "skipped:", ..]) => {
            let lines = lines.parse().expect("a count");
            assert!(lines > 0);
            account
                .stays
                .last_mut()
                .expect("a room")
                .items
                .push(Item::Skipped(lines));
        }
        (Some(_), ["you" | "here" | "rooms:" | "server", ..]) => {}
        (Some(_), [word, ..]) if word.starts_with('/') => {}
        (None, ["!", ..]) => {}
        (None, [_, "->", ..]) => {}
        _ => {
            assert!(
                notice.is_some() || speaker(line).is_some(),
                "client {number}: an untagged line: {line}"
            );
            account
                .stays
                .last_mut()
                .expect("a room")
                .items
                .push(Item::Line(line.into()));
        }
    }
}

/// Who is not given a line because it is its own: who said it, did it, joined or was renamed.
fn speaker(line: &str) -> Option<&str> {
    let words: Vec<&str> = line.splitn(5, ' ').collect();
    match words[..] {
        ["*", "joined:", name, ..] => Some(name),
        ["*", "renamed:", _, "->", name] => Some(name),
        ["*", name, ..] => Some(name),
        [name, ..] => name.strip_suffix(':'),
        [] => None,
    }
}

/// Follows a stay along the order of its room: every line of others is there once, or was counted as skipped.
fn follow(
    client: &Client,
    stay: &Stay,
    order: &[String],
    mine: &dyn Fn(&str) -> bool,
    own: &[&String],
    to_the_end: bool,
    whole: bool,
) {
    let own_at: Vec<usize> = own
        .iter()
        .filter_map(|text| {
            order
                .iter()
                .position(|line| mine(line) && line.ends_with(*text))
        })
        .collect();
    let Some(start) = start_of(stay, order, mine) else {
        return;
    };
    let blame = || format!("client {} in {}", client.number, stay.room);
    let others = |from: usize, to: usize| {
        order[from.min(to)..to]
            .iter()
            .filter(|line| !mine(line))
            .count()
    };
    if let Some(&first_own) = own_at.first() {
        assert_eq!(
            others(first_own, start),
            0,
            "{}: lines are missing after its first own",
            blame()
        );
    }
    let mut at = start;
    let next = |at: &mut usize| {
        while order.get(*at).is_some_and(|line| mine(line)) {
            *at += 1;
        }
        *at += 1;
        order.get(*at - 1)
    };
    for item in &stay.items {
        match item {
            Item::Line(line) => {
                assert_eq!(next(&mut at), Some(line), "{} after line {at}", blame())
            }
            Item::Skipped(lines) => {
                for _ in 0..*lines {
                    assert!(
                        next(&mut at).is_some(),
                        "{}: more lines were skipped than were said",
                        blame()
                    );
                }
            }
        }
    }
    if to_the_end {
        assert_eq!(
            others(at, order.len()),
            0,
            "{}: lines are missing at the end",
            blame()
        );
    } else if let (true, Some(&last_own)) = (whole, own_at.last()) {
        assert_eq!(
            others(at, last_own),
            0,
            "{}: lines are missing before its last own",
            blame()
        );
    }
}

/// Where in its room's order a stay begins: found by the first line that is there only once, and then backwards.
fn start_of(stay: &Stay, order: &[String], mine: &dyn Fn(&str) -> bool) -> Option<usize> {
    let mut places: HashMap<&str, (usize, usize)> = HashMap::new();
    for (at, line) in order.iter().enumerate() {
        places
            .entry(line)
            .and_modify(|place| place.1 += 1)
            .or_insert((at, 1));
    }
    let (anchor, mut at) = stay
        .items
        .iter()
        .enumerate()
        .find_map(|(i, item)| match item {
            Item::Line(line) => places
                .get(&**line)
                .filter(|place| place.1 == 1)
                .map(|place| (i, place.0)),
            Item::Skipped(_) => None,
        })?;
    let back = |at: &mut usize| {
        loop {
            *at = at
                .checked_sub(1)
                .unwrap_or_else(|| panic!("{stay:?}\nbegins before {order:?}"));
            if !mine(&order[*at]) {
                return &order[*at];
            }
        }
    };
    for item in stay.items[..anchor].iter().rev() {
        match item {
            Item::Line(line) => assert_eq!(back(&mut at), line),
            Item::Skipped(lines) => (0..*lines).for_each(|_| {
                back(&mut at);
            }),
        }
    }
    Some(at)
}

/// Everything that a client has said stands in its room's order, once, in the order in which it was said.
fn assert_said(client: &Client, order: &[String], own: &[&String]) {
    let mut at = 0;
    for text in own {
        let found = order[at..].iter().position(|line| line.ends_with(&***text));
        let Some(found) = found else {
            panic!(
                "client {}: {text:?} was not said, or not in order",
                client.number
            )
        };
        at += found + 1;
        assert!(
            !order[at..].iter().any(|line| line.ends_with(&***text)),
            "{text:?} was said twice"
        );
    }
}
