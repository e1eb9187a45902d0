//! What the keeper says to the server, one line each. The server's requests are changes, as `change` writes them.

use super::change::{Entry, parse_fields, write_fields};
use super::record::parse_number;

/// A line from the keeper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// For the server's log.
    Note(String),
    /// At the start: something that is kept.
    Entry(Entry),
    /// The file is read and in order; the last change in it has this number. Requests may come.
    Ready(u64),
    /// The keeper cannot work, and ends.
    Failed(String),
    /// The oldest request that is not answered yet is on the disk, as the change of this number.
    Done(u64),
    /// The oldest request that is not answered yet has changed nothing. The reason is for the operator.
    Refused(String),
}

impl Message {
    /// Appends the line with its end.
    pub fn write(&self, into: &mut String) {
        match self {
            Message::Note(text) => write_fields(into, &["note", text]),
            Message::Entry(Entry { kind, key, value }) => {
                write_fields(into, &["entry", kind, key, value]);
            }
            Message::Ready(number) => write_fields(into, &["ready", &number.to_string()]),
            Message::Failed(why) => write_fields(into, &["failed", why]),
            Message::Done(number) => write_fields(into, &["done", &number.to_string()]),
            Message::Refused(why) => write_fields(into, &["refused", why]),
        }
        into.push('\n');
    }

    /// Reads a line without its end; `None` if the keeper does not write such a line.
    pub fn parse(line: &[u8]) -> Option<Message> {
        let fields = parse_fields(std::str::from_utf8(line).ok()?)?;
        Some(
            match fields.iter().map(String::as_str).collect::<Vec<_>>()[..] {
                ["note", text] => Message::Note(text.into()),
                ["entry", kind, key, value] => Message::Entry(Entry {
                    kind: kind.into(),
                    key: key.into(),
                    value: value.into(),
                }),
                ["ready", number] => Message::Ready(parse_number(number)?),
                ["failed", why] => Message::Failed(why.into()),
                ["done", number] => Message::Done(parse_number(number)?),
                ["refused", why] => Message::Refused(why.into()),
                _ => return None,
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_comes_back() {
        let text = || "a\tb\nc\\".to_owned();
        let entry = Entry {
            kind: "ban".into(),
            key: text(),
            value: String::new(),
        };
        for message in [
            Message::Note(text()),
            Message::Entry(entry),
            Message::Ready(0),
            Message::Failed(text()),
            Message::Done(u64::MAX),
            Message::Refused(text()),
        ] {
            let mut line = String::new();
            message.write(&mut line);
            let line = line.strip_suffix('\n').unwrap();
            assert!(!line.contains('\n'));
            assert_eq!(Message::parse(line.as_bytes()), Some(message));
        }
        for wrong in ["", "done", "done\tx", "done\t1\t2", "Ready\t1"] {
            assert_eq!(Message::parse(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
