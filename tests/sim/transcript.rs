//! A client's received bytes, parsed into its names, the rooms in which it was, and the lines of each. Checks that each
//! line is safe on a terminal. Compares no clients with one another.

use super::client::Client;

/// Stands for the name of the room of raw connections.
pub const RAW_ROOM: &str = "(raw)";

/// An item that a client has received in a room.
#[derive(Debug, PartialEq, Eq)]
pub enum Item {
    /// A line of the room.
    Line(String),
    /// A notice that this many lines were skipped.
    Skipped(usize),
    /// From here on it ignores the person of this name.
    Ignores(String),
    /// From here on it hears that person again.
    Hears(String),
}

/// What a client has received between entering a room and leaving it.
#[derive(Debug)]
pub struct Stay {
    pub room: String,
    /// How many lines of history were promised at its start.
    pub history: usize,
    pub items: Vec<Item>,
}

/// All that a client has received.
pub struct Transcript {
    pub stays: Vec<Stay>,
    /// Every name that the client has had.
    pub names: Vec<String>,
    /// The tags of the lines and private lines of others, in order, without those of history.
    pub heard: Vec<String>,
    in_history: bool,
    /// An operator has muted it: what it said then was refused.
    pub is_muted: bool,
    /// The last line is unfinished.
    pub torn: bool,
}

/// Parses what a client has received, and checks that it is safe on a terminal.
pub fn transcript(client: &Client) -> Transcript {
    let mut transcript = Transcript {
        stays: Vec::new(),
        names: Vec::new(),
        heard: Vec::new(),
        in_history: false,
        is_muted: false,
        torn: false,
    };
    if client.is_raw() {
        transcript.enter(RAW_ROOM);
    }
    let mut bytes = Vec::with_capacity(client.received.len());
    let mut rest = &client.received[..];
    // Answers to telnet negotiations, of three bytes, are the only bytes that are not UTF-8.
    while let Some(at) = memchr::memchr(255, rest) {
        bytes.extend_from_slice(&rest[..at]);
        rest = rest.get(at + 3..).unwrap_or_default();
    }
    bytes.extend_from_slice(rest);
    let end = bytes.iter().rposition(|&byte| byte == b'\n');
    let whole = end.map_or(0, |at| at + 1);
    transcript.torn = whole < bytes.len();
    let text = str::from_utf8(&bytes[..whole])
        .unwrap_or_else(|error| panic!("client {}: {error}", client.number));
    // Lines to a client that has negotiated telnet end with CR LF.
    let has_crlf = !client.is_raw() && text.contains('\r');
    let text = match has_crlf {
        true => &text.replace("\r\n", "\n"),
        false => text,
    };
    assert!(!text.chars().any(
        |c| c.is_control() && c != '\n' && c != '\t' || ('\u{202a}'..='\u{202e}').contains(&c)
    ));
    for line in text.lines() {
        if client.is_raw() {
            assert!(tag(line).is_some(), "no client said {line}");
            transcript.push(Item::Line(line.into()));
        } else {
            transcript.read_line(line, client.number);
        }
    }
    transcript
}

/// More words than those by which a line of the server is recognized.
const WORDS_MAX: usize = 8;

impl Transcript {
    fn enter(&mut self, room: &str) {
        self.stays.push(Stay {
            room: room.into(),
            history: 0,
            items: Vec::new(),
        });
    }

    fn push(&mut self, item: Item) {
        let stay = self.stays.last_mut().expect("a room");
        stay.items.push(item);
    }

    fn read_line(&mut self, line: &str, number: usize) {
        let notice = line.strip_prefix("* ");
        let words: Vec<&str> = notice.unwrap_or(line).splitn(WORDS_MAX, ' ').collect();
        match (notice, &words[..]) {
            (Some(_), ["you", "are", "now", name]) => self.names.push((*name).into()),
            (Some(_), ["you", "are", "in", room, ..]) => self.enter(room),
            (Some(_), ["you", "are", name, "in", room, ..]) => {
                self.names.push((*name).into());
                self.enter(room);
            }
            (Some(_), [lines, "lines", "skipped:", ..]) => {
                let lines = lines.replace(',', "").parse().expect("a count");
                assert!(lines > 0);
                self.push(Item::Skipped(lines));
            }
            (Some(_), ["the", "last", "line:"]) => self.begin_history(1),
            (Some(_), ["the", "last", lines, "lines:"]) => {
                self.begin_history(lines.parse().expect("a count"));
            }
            (Some(_), ["now"]) => {
                assert!(std::mem::take(&mut self.in_history), "no history before");
            }
            (Some(_), ["an", "operator", "has", "muted", ..]) => self.is_muted = true,
            (Some(_), ["you", "ignore", name, "from", ..]) => {
                self.push(Item::Ignores((*name).into()));
            }
            (Some(_), ["you", "hear", name, "again"]) => self.push(Item::Hears((*name).into())),
            (Some(_), ["you" | "yes" | "here" | "rooms:" | "server" | "whois:", ..]) => {}
            (Some(_), [word, ..]) if word.starts_with('/') => {}
            (None, ["!", ..] | ["you", "->", ..]) => {}
            (None, [_, "->", "you:", ..]) => self
                .heard
                .extend(line.split(' ').find_map(tag).map(Into::into)),
            _ => {
                let has_author = notice.is_some() || speaker(line).is_some();
                assert!(has_author, "client {number}: no author: {line}");
                if !self.in_history {
                    self.heard
                        .extend(line.split(' ').find_map(tag).map(Into::into));
                }
                self.push(Item::Line(line.into()));
            }
        }
    }

    fn begin_history(&mut self, lines: usize) {
        self.in_history = true;
        self.stays.last_mut().expect("a room").history = lines;
    }
}

/// The old and the new name in a line that says that somebody was renamed.
pub fn renamed(line: &str) -> Option<(&str, &str)> {
    line.strip_prefix("* renamed: ")?.split_once(" -> ")
}

/// The name of the client that said or did what the line says, or was renamed. The server does not send a line to its own
/// client.
pub fn speaker(line: &str) -> Option<&str> {
    let words: Vec<&str> = line.splitn(5, ' ').collect();
    match words[..] {
        ["*", "renamed:", _, "->", name] => Some(name),
        ["*", ..] => None,
        ["**", name, ..] => Some(name),
        [name, ..] => name.strip_suffix(':'),
        [] => None,
    }
}

/// The tag that makes each text unique: `L`, its client's number, its own number, each followed by `.`.
pub fn tag(text: &str) -> Option<&str> {
    let (client, rest) = text.strip_prefix('L')?.split_once('.')?;
    let (line, _) = rest.split_once('.')?;
    let is_tag = client.parse::<u32>().is_ok() && line.parse::<u32>().is_ok();
    is_tag.then(|| &text[..client.len() + line.len() + 3])
}

/// The number of the client that composed a text.
pub fn author_of(text: &str) -> Option<usize> {
    let (client, _) = tag(text)?.strip_prefix('L')?.split_once('.')?;
    client.parse().ok()
}
