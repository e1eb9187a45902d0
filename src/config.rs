//! A configuration file: read, bounded, and taken apart into keys and values with their positions. Knows no flag: which keys
//! there are is decided in `cli`.

use rustix::fs::OFlags;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue, Error};
use toml_writer::{ToTomlValue as _, TomlStringBuilder};

/// Bytes of the largest file.
pub const FILE_BYTES_MAX: u64 = 1 << 20;

/// Mistakes that are told at once. The others are counted.
const MISTAKES_MAX: usize = 50;

/// Characters of a mistake that are shown: a key or a value may be as long as a file.
const MISTAKE_CHARS_MAX: usize = 400;

/// A file that could be read. Not everything in it need be right.
#[derive(Debug)]
pub struct ConfigFile {
    /// Where it is, as it was given.
    pub path: PathBuf,
    /// Its keys, in the order of the file.
    pub entries: Vec<Entry>,
    /// What is wrong so far.
    pub mistakes: Mistakes,
}

/// One key and its value.
#[derive(Debug)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where it stands.
    pub at: Position,
    /// The value.
    pub value: Value,
    /// Where that stands.
    pub value_at: Position,
}

/// A value.
#[derive(Debug, PartialEq, Eq)]
pub enum Value {
    /// `"text"`
    Text(String),
    /// `5`
    Integer(String),
    /// `true`
    Switch(bool),
    /// `["a", "b"]`
    List(Vec<(Value, Position)>),
    /// A table, `[name]` or `name = {…}`.
    Table,
    /// Something else, as it is written.
    Other(String),
}

/// A place in a file, counted from 1; columns are characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Text(text) => f.write_str(&quoted(text)),
            Value::Integer(text) | Value::Other(text) => f.write_str(text),
            Value::Switch(is_on) => write!(f, "{is_on}"),
            Value::List(values) => {
                let values: Vec<String> = values.iter().map(|(v, _)| v.to_string()).collect();
                write!(f, "[{}]", values.join(", "))
            }
            Value::Table => f.write_str("a table"),
        }
    }
}

/// A text as TOML writes it.
pub fn quoted(text: &str) -> String {
    TomlStringBuilder::new(text).as_basic().to_toml_value()
}

/// What is wrong in a file, by position.
#[derive(Debug, Default)]
pub struct Mistakes(Vec<(Position, String)>);

impl Mistakes {
    /// Adds one.
    pub fn add(&mut self, at: Position, what: impl Into<String>) {
        self.0.push((at, shown(&what.into())));
    }

    /// One line for each, in the order of the file.
    ///
    /// # Errors
    /// The lines, if there are any.
    pub fn into_result(mut self, path: &Path) -> Result<(), Vec<String>> {
        self.0.sort();
        let path = path.display();
        let more = self.0.len().saturating_sub(MISTAKES_MAX);
        let told = self.0.iter().take(MISTAKES_MAX);
        let told = told.map(|(at, what)| format!("{path}:{}:{}: {what}", at.line, at.column));
        let more = (more > 0).then(|| format!("{path}: and {more} more mistakes"));
        match told.chain(more).collect::<Vec<_>>() {
            none if none.is_empty() => Ok(()),
            lines => Err(lines),
        }
    }
}

/// A text in one line that is not endless.
fn shown(text: &str) -> String {
    let mut shown = String::new();
    for (nth, c) in text.chars().enumerate() {
        match c {
            _ if nth == MISTAKE_CHARS_MAX => return shown + "…",
            c if c.is_control() => shown.extend(c.escape_default()),
            c => shown.push(c),
        }
    }
    shown
}

/// Reads a file.
///
/// # Errors
/// It cannot be read, or is no text: one line that says why, and what to do.
pub fn read(path: &Path) -> Result<ConfigFile, String> {
    let bytes = read_bytes(path).map_err(|error| {
        let advice = match error.kind() {
            io::ErrorKind::NotFound => "; create it, or correct --config",
            io::ErrorKind::PermissionDenied => "; this user may not read it",
            _ => "",
        };
        format!("cannot read {}: {error}{advice}", path.display())
    })?;
    parse(path, &bytes)
}

/// Opens without waiting, so that a pipe without a writer does not stop the server.
fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut options = File::options();
    options.read(true);
    options.custom_flags(OFlags::NONBLOCK.bits() as i32);
    let file = options.open(path)?;
    let kind = file.metadata()?.file_type();
    if kind.is_dir() {
        return Err(io::Error::other("it is a directory; name a file in it"));
    }
    if kind.is_fifo() || kind.is_socket() {
        return Err(io::Error::other(
            "it is a pipe, which a reload could not read again; name a file",
        ));
    }
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        let why = format!("it is larger than {FILE_BYTES_MAX} bytes; is this the right file?");
        return Err(io::Error::other(why));
    }
    Ok(bytes)
}

/// Takes the bytes of a file apart.
///
/// # Errors
/// They are no UTF-8 text: one line.
pub fn parse(path: &Path, bytes: &[u8]) -> Result<ConfigFile, String> {
    let shown = path.display();
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(format!("{shown}:1:1: the file is UTF-16; save it as UTF-8"));
    }
    if bytes.starts_with(b"\xef\xbb\xbf") {
        return Err(format!(
            "{shown}:1:1: the file begins with a byte order mark; save it as UTF-8 without one"
        ));
    }
    let text = str::from_utf8(bytes).map_err(|error| {
        let before = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
        let Position { line, column } = position(&before, before.len());
        let byte = bytes[error.valid_up_to()];
        format!(
            "{shown}:{line}:{column}: the byte 0x{byte:02x} is not UTF-8; save the file as UTF-8"
        )
    })?;
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut mistakes = Mistakes::default();
    for error in &errors {
        let span = error.span().unwrap_or(text.len()..text.len());
        mistakes.add(position(text, span.start), explain(error, span, text));
    }
    // What follows a syntax error may have been misunderstood.
    let is_understood = errors.iter().all(is_duplicate);
    let mut entries: Vec<Entry> = match is_understood {
        true => entries(text, table.get_ref()).collect(),
        false => Vec::new(),
    };
    entries.sort_by_key(|entry| entry.at);
    Ok(ConfigFile {
        path: path.into(),
        entries,
        mistakes,
    })
}

fn entries<'a>(text: &'a str, table: &'a DeTable<'a>) -> impl Iterator<Item = Entry> + 'a {
    table.iter().map(|(key, value)| Entry {
        key: key.get_ref().to_string(),
        at: position(text, key.span().start),
        value: self::value(text, value),
        value_at: position(text, value.span().start),
    })
}

fn value(text: &str, value: &Spanned<DeValue<'_>>) -> Value {
    let written = || text[value.span()].to_string();
    match value.get_ref() {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(integer) => {
            let number = i128::from_str_radix(integer.as_str(), integer.radix());
            number.map_or_else(
                |_| Value::Other(written()),
                |n| Value::Integer(n.to_string()),
            )
        }
        DeValue::Boolean(is_on) => Value::Switch(*is_on),
        DeValue::Array(values) => {
            let at = |value: &Spanned<_>| position(text, value.span().start);
            let values = values.iter().map(|one| (self::value(text, one), at(one)));
            Value::List(values.collect())
        }
        DeValue::Table(_) => Value::Table,
        DeValue::Float(_) | DeValue::Datetime(_) => Value::Other(written()),
    }
}

fn is_duplicate(error: &Error) -> bool {
    error.message().contains("duplicate key")
}

fn explain(error: &Error, span: Range<usize>, text: &str) -> String {
    let message = error.message().replace('\n', ", ");
    if !is_duplicate(error) {
        return message;
    }
    let key = text.get(span).unwrap_or_default();
    format!("{key} is given twice; keep one of the two")
}

/// The place of a byte of a text.
fn position(text: &str, byte: usize) -> Position {
    let before = &text.as_bytes()[..byte.min(text.len())];
    let line_start = memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1);
    let in_line = String::from_utf8_lossy(&before[line_start..]);
    Position {
        line: memchr::memchr_iter(b'\n', before).count() + 1,
        column: in_line.chars().count() + 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(text: &str) -> Vec<String> {
        match parse(Path::new("f"), text.as_bytes()) {
            Ok(file) => file
                .mistakes
                .into_result(&file.path)
                .err()
                .unwrap_or_default(),
            Err(line) => vec![line],
        }
    }

    #[test]
    fn keys_and_values_have_their_places() {
        let text = "# a comment\nrate = 0x10\nwelcome = \"\"\"\nhe\nho\"\"\"\nlisten = [\"a\",\n  'b']\nconsole = true\n";
        let file = parse(Path::new("f"), text.as_bytes()).unwrap();
        assert!(mistakes(text).is_empty());
        let shown: Vec<String> = file
            .entries
            .iter()
            .map(|e| {
                format!(
                    "{}:{} {} = {}",
                    e.at.line, e.value_at.column, e.key, e.value
                )
            })
            .collect();
        assert_eq!(
            shown,
            [
                "2:8 rate = 16",
                "3:11 welcome = \"he\\nho\"",
                "6:10 listen = [\"a\", \"b\"]",
                "8:11 console = true"
            ]
        );
        let Value::List(values) = &file.entries[2].value else {
            panic!("a list");
        };
        assert_eq!(values[1].1, Position { line: 7, column: 3 });
    }

    #[test]
    fn every_mistake_is_told_with_its_place() {
        let text = "rate = 1\nrate = 2\ndrain = \nburst = 3\nburst = 4\n";
        let told = mistakes(text);
        assert_eq!(told.len(), 3, "{told:#?}");
        assert_eq!(told[0], "f:2:1: rate is given twice; keep one of the two");
        assert!(told[1].starts_with("f:3:"), "{told:#?}");
        assert_eq!(told[2], "f:5:1: burst is given twice; keep one of the two");
        assert!(mistakes("welcome = \"half wri")[0].starts_with("f:1:"));
        assert!(mistakes("listen = [\"127.0.0.1:0\",\n")[0].starts_with("f:"));
        assert!(mistakes("rate")[0].starts_with("f:1:"));
    }

    #[test]
    fn a_file_that_is_no_utf8_is_told_so_with_a_place() {
        for (bytes, expected) in [
            (
                &b"\xef\xbb\xbfrate = 1\n"[..],
                "f:1:1: the file begins with a byte order mark",
            ),
            (b"\xff\xfer\0a\0", "f:1:1: the file is UTF-16"),
            (
                b"rate = 1\nwelcome = \"\xc3\xa4 \xfc\"\n",
                "f:2:14: the byte 0xfc is not UTF-8",
            ),
        ] {
            let error = parse(Path::new("f"), bytes).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn of_very_many_mistakes_the_first_are_told_and_the_others_counted() {
        let told = mistakes(&"= 1\n".repeat(1000));
        assert!(told.len() <= MISTAKES_MAX + 1, "{}", told.len());
        assert!(told.last().unwrap().contains("more mistakes"), "{told:?}");
    }
}
