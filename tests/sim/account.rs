//! What a client makes of what it has received, line by line: its names, its rooms, what was said there. Checks that a
//! terminal could show it (promise 3).

use super::client::Client;

/// What the room of raw connections is called here.
pub const RAW_ROOM: &str = "(raw)";

/// One thing that a client has received in a room.
#[derive(Debug, PartialEq, Eq)]
pub enum Item {
    /// A line of the room.
    Line(String),
    /// So many lines were skipped.
    Skipped(usize),
}

/// What a client has received from when it entered a room until it went to another.
#[derive(Debug)]
pub struct Stay {
    pub room: String,
    pub items: Vec<Item>,
}

/// What is known of a client from what it has received.
pub struct Account {
    pub stays: Vec<Stay>,
    /// Every name that it has had.
    pub names: Vec<String>,
    /// The last line was not whole.
    pub torn: bool,
}

/// Reads what a client has received, and checks that a terminal could show it.
pub fn account(client: &Client) -> Account {
    let mut account = Account {
        stays: Vec::new(),
        names: Vec::new(),
        torn: false,
    };
    if client.is_raw() {
        account.stays.push(Stay {
            room: RAW_ROOM.into(),
            items: Vec::new(),
        });
    }
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
        if client.is_raw() {
            assert!(mark(line).is_some(), "nobody said {line}");
            account.stays[0].items.push(Item::Line(line.into()));
        } else {
            take(&mut account, line, client.number);
        }
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
            let lines = lines.replace(',', "").parse().expect("a count");
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
pub fn speaker(line: &str) -> Option<&str> {
    let words: Vec<&str> = line.splitn(5, ' ').collect();
    match words[..] {
        ["*", "joined:", name, ..] => Some(name),
        ["*", "renamed:", _, "->", name] => Some(name),
        ["*", name, ..] => Some(name),
        [name, ..] => name.strip_suffix(':'),
        [] => None,
    }
}

/// What makes a text unlike every other: `L`, its client's number, its own.
pub fn mark(text: &str) -> Option<&str> {
    let (client, rest) = text.strip_prefix('L')?.split_once('.')?;
    let (line, _) = rest.split_once('.')?;
    (client.parse::<u32>().is_ok() && line.parse::<u32>().is_ok())
        .then(|| &text[..client.len() + line.len() + 3])
}

/// Whose text it is.
pub fn marked_by(text: &str) -> Option<usize> {
    let (client, _) = mark(text)?.strip_prefix('L')?.split_once('.')?;
    client.parse().ok()
}
