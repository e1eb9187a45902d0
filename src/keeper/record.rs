//! The lines of the state file: how a change is written, and what the content of a file means. Opens no file.
//!
//! ```text
//! madang state 1
//! 34c06c99  40      43      begin                          the file starts after number 40, and was written whole up to 43
//! 8b5dfd0e  41      43      put  ban  192.0.2.0/24  spam
//! …
//! aa3afc76  44      43      remove  ban  192.0.2.0/24      appended; everything up to 43 was on the disk already
//! checksum  number  synced  change                         one TAB between two fields
//! ```
//!
//! Numbers rise by one from line to line. `synced` tells a torn write from damage: what was appended after the last sync
//! may be torn by a crash, was never acknowledged, and is cut; what some whole line calls synced was on the disk, and if
//! it cannot be read, the file is damaged and is refused.

#![warn(clippy::disallowed_types, clippy::disallowed_methods)]

use super::change::{Change, KEY_BYTES_MAX, KIND_BYTES_MAX, VALUE_BYTES_MAX};
use std::fmt;
use std::fmt::Write;

/// The first line of a file, with its end.
pub const VERSION: &str = "madang state 1\n";
/// What every version line starts with.
const VERSION_START: &str = "madang state ";

/// Longest line with its end, in bytes: fields whose every byte is escaped, a checksum, two numbers, a verb, separators.
pub const LINE_BYTES_MAX: usize =
    2 * (KIND_BYTES_MAX + KEY_BYTES_MAX + VALUE_BYTES_MAX) + 8 + 2 * 20 + 6 + 7;

/// What a line of the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// The first line after the version.
    Begin,
    /// A change.
    Change(Change),
}

/// One line of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// One more than that of the line before.
    pub number: u64,
    /// Up to this number everything was on the disk when the line was written; of `Begin`, when the file got its name.
    pub synced: u64,
    /// What it says.
    pub body: Body,
}

impl Record {
    /// Appends the line with its end.
    pub fn write(&self, into: &mut String) {
        let mut text = format!("{}\t{}\t", self.number, self.synced);
        match &self.body {
            Body::Begin => text.push_str("begin"),
            Body::Change(change) => change.write(&mut text),
        }
        let checksum = crc32fast::hash(text.as_bytes());
        let _ = writeln!(into, "{checksum:08x}\t{text}");
    }

    /// Reads a line without its end; `None` unless every byte is as [`write`](Record::write) writes it.
    pub fn parse(line: &[u8]) -> Option<Record> {
        let (checksum, text) = std::str::from_utf8(line).ok()?.split_once('\t')?;
        if format!("{:08x}", crc32fast::hash(text.as_bytes())) != checksum {
            return None;
        }
        let (number, text) = text.split_once('\t')?;
        let (synced, text) = text.split_once('\t')?;
        Some(Record {
            number: parse_number(number)?,
            synced: parse_number(synced)?,
            body: match text {
                "begin" => Body::Begin,
                text => Body::Change(Change::parse(text)?),
            },
        })
    }
}

/// A decimal number without sign and leading zeros.
pub fn parse_number(text: &str) -> Option<u64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| is_plain)?;
    (text == "0" || !text.starts_with('0')).then_some(number)
}

/// What can be used of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// The changes, oldest first.
    pub changes: Vec<Change>,
    /// The number of the last of them; of `Begin`, if there is none.
    pub number: u64,
    /// Length of what can be used, in bytes.
    pub bytes: usize,
    /// What follows: a write that a crash has torn, or changes that were never acknowledged.
    pub torn: Option<Torn>,
}

/// The end of a file, which is to be cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Torn {
    /// The line at which it starts, from 1.
    pub line: usize,
    /// Its length.
    pub bytes: usize,
}

/// Why a file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is the file of another version; the line says of which.
    Version(String),
    /// It does not start with a version line.
    Foreign,
    /// Something that was on the disk cannot be read any more.
    Damaged {
        /// The first line that cannot be read, or is not the one that belongs there, from 1.
        line: usize,
        /// Changes before it.
        before: usize,
        /// Whole lines after it.
        after: usize,
    },
    /// The file ends with `found`, but changes up to `acknowledged` had been acknowledged.
    Short {
        /// The last number that was acknowledged.
        acknowledged: u64,
        /// The last number in the file.
        found: u64,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Version(line) => write!(
                f,
                "its first line is {line:?}, and this madang reads {:?}: run the version that wrote the file, or move the \
                 file away to start with nothing",
                VERSION.trim_end()
            ),
            Refusal::Foreign => write!(
                f,
                "it is no state of madang, since its first line is not {:?}: restore a backup, or move the file away to \
                 start with nothing",
                VERSION.trim_end()
            ),
            Refusal::Damaged {
                line,
                before,
                after,
            } => write!(
                f,
                "line {line} is damaged, though it was on the disk once ({before} changes before it and {after} lines after \
                 it are whole): restore a backup, or keep what is whole with madang keeper --repair FOLDER"
            ),
            Refusal::Short {
                acknowledged,
                found,
            } => write!(
                f,
                "it ends with change {found}, but change {acknowledged} was kept: restart the server to go on with what is \
                 in the file"
            ),
        }
    }
}

/// Reads the content of a file. With `acknowledged`, changes after that number were never acknowledged and are left out.
///
/// # Errors
/// It cannot be used without losing what was acknowledged.
pub fn load(content: &[u8], acknowledged: Option<u64>) -> Result<Loaded, Refusal> {
    let first_end = content.iter().position(|&byte| byte == b'\n');
    let first = &content[..first_end.map_or(content.len(), |end| end + 1)];
    if first != VERSION.as_bytes() {
        return Err(refuse_version(first));
    }
    let mut scan = Scan::new(acknowledged.unwrap_or(u64::MAX));
    for line in content[first.len()..].split_inclusive(|&byte| byte == b'\n') {
        scan.line(line);
    }
    scan.finish(content.len(), acknowledged)
}

fn refuse_version(first: &[u8]) -> Refusal {
    let line = String::from_utf8_lossy(&first[..first.len().min(80)]);
    match line.starts_with(VERSION_START) {
        true => Refusal::Version(line.trim_end().into()),
        false => Refusal::Foreign,
    }
}

/// How far a file has been read.
struct Scan {
    loaded: Loaded,
    /// Lines read, the version included.
    lines: usize,
    has_begun: bool,
    /// The first line that does not belong to what can be used.
    end_line: Option<usize>,
    /// Whole lines after it.
    after: usize,
    /// The largest `synced` of any whole line.
    synced: u64,
    /// Changes with larger numbers are left out.
    number_max: u64,
}

impl Scan {
    fn new(number_max: u64) -> Scan {
        Scan {
            loaded: Loaded {
                changes: Vec::new(),
                number: 0,
                bytes: VERSION.len(),
                torn: None,
            },
            lines: 1,
            has_begun: false,
            end_line: None,
            after: 0,
            synced: 0,
            number_max,
        }
    }

    fn line(&mut self, line: &[u8]) {
        self.lines += 1;
        let record = line.strip_suffix(b"\n").and_then(Record::parse);
        let Some(record) = record else {
            self.end_line.get_or_insert(self.lines);
            return;
        };
        self.synced = self.synced.max(record.synced);
        if self.end_line.is_some() {
            self.after += 1;
            return;
        }
        let loaded = &mut self.loaded;
        let is_next = self.has_begun && loaded.number.checked_add(1) == Some(record.number);
        match record.body {
            Body::Begin if !self.has_begun => self.has_begun = true,
            Body::Change(change) if is_next && record.number <= self.number_max => {
                loaded.changes.push(change);
            }
            _ => {
                self.end_line = Some(self.lines);
                return;
            }
        }
        loaded.number = record.number;
        loaded.bytes += line.len();
    }

    fn finish(
        mut self,
        content_bytes: usize,
        acknowledged: Option<u64>,
    ) -> Result<Loaded, Refusal> {
        let found = self.loaded.number;
        // What was not acknowledged may have been synced.
        if !self.has_begun || found < self.synced.min(self.number_max) {
            return Err(Refusal::Damaged {
                line: self.end_line.unwrap_or(self.lines + 1),
                before: self.loaded.changes.len(),
                after: self.after,
            });
        }
        if let Some(acknowledged) = acknowledged.filter(|&number| number != found) {
            return Err(Refusal::Short {
                acknowledged,
                found,
            });
        }
        self.loaded.torn = self.end_line.map(|line| Torn {
            line,
            bytes: content_bytes - self.loaded.bytes,
        });
        Ok(self.loaded)
    }
}

/// Every change in a damaged file that can still be read, in the order of the file, and the numbers of the lines that
/// cannot.
pub fn salvage(content: &[u8]) -> (Vec<Change>, Vec<usize>) {
    let (mut changes, mut lost) = (Vec::new(), Vec::new());
    let lines = content.split_inclusive(|&byte| byte == b'\n');
    for (line, number) in lines.zip(1..) {
        match line.strip_suffix(b"\n").and_then(Record::parse) {
            Some(record) => match record.body {
                Body::Begin => {}
                Body::Change(change) => changes.push(change),
            },
            None if number == 1 && line == VERSION.as_bytes() => {}
            None => lost.push(number),
        }
    }
    (changes, lost)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(key: &str, value: &str) -> Change {
        Change::Put {
            kind: "ban".into(),
            key: key.into(),
            value: value.into(),
        }
    }

    fn line(number: u64, synced: u64, body: Body) -> String {
        let mut line = String::new();
        let record = Record {
            number,
            synced,
            body,
        };
        record.write(&mut line);
        assert_eq!(
            Record::parse(line.strip_suffix('\n').unwrap().as_bytes()),
            Some(record)
        );
        line
    }

    /// A file that was written whole up to change 2, then had 3, and 4 and 5 together appended.
    fn lines() -> Vec<String> {
        let change = |number, synced| line(number, synced, Body::Change(put("k", "v")));
        vec![
            VERSION.to_owned(),
            line(0, 2, Body::Begin),
            change(1, 2),
            change(2, 2),
            change(3, 2),
            change(4, 3),
            change(5, 3),
        ]
    }

    fn damaged(nth: usize) -> Result<Loaded, Refusal> {
        let mut lines = lines();
        lines[nth].replace_range(0..1, "x");
        load(lines.concat().as_bytes(), None)
    }

    #[test]
    fn any_text_comes_back() {
        for text in ["a b", "\t\r\n\\", "\\t", "마당", "", "\u{2028}\u{85}"] {
            line(7, 6, Body::Change(put("key\n", text)));
        }
    }

    #[test]
    fn the_longest_line_is_as_long_as_the_limit_says() {
        let kind = "k".repeat(KIND_BYTES_MAX);
        let (key, value) = ("\n".repeat(KEY_BYTES_MAX), "\t".repeat(VALUE_BYTES_MAX));
        let change = Change::Put { kind, key, value };
        assert_eq!(change.check(), Ok(()));
        let line = line(u64::MAX, u64::MAX, Body::Change(change));
        assert!(line.len() <= LINE_BYTES_MAX, "{}", line.len());
    }

    #[test]
    fn a_file_cut_anywhere_after_its_first_sync_gives_all_complete_lines() {
        let (lines, content) = (lines(), lines().concat());
        let whole = lines[..4].concat().len();
        for cut in 0..=content.len() {
            let loaded = load(&content.as_bytes()[..cut], None);
            let ends = (1..=lines.len()).map(|n| lines[..n].concat().len());
            let complete = ends.filter(|&end| end <= cut).count();
            match loaded {
                Ok(loaded) => {
                    assert!(cut >= whole, "{cut}");
                    assert_eq!(loaded.changes.len(), complete - 2);
                    assert_eq!(loaded.bytes, lines[..complete].concat().len());
                    let bytes = cut - loaded.bytes;
                    let torn = Torn {
                        line: complete + 1,
                        bytes,
                    };
                    assert_eq!(loaded.torn, (bytes > 0).then_some(torn));
                }
                Err(_) => assert!(cut < whole, "{cut}"),
            }
        }
    }

    #[test]
    fn a_damaged_line_is_refused_if_it_was_synced_and_cut_otherwise() {
        let refused = |line, before, after| {
            Err(Refusal::Damaged {
                line,
                before,
                after,
            })
        };
        assert_eq!(damaged(1), refused(2, 0, 5));
        assert_eq!(damaged(2), refused(3, 0, 4));
        assert_eq!(damaged(3), refused(4, 1, 3));
        assert_eq!(damaged(4), refused(5, 2, 2));
        // 4 and 5 were written together: power may fail after 5 has reached the disk and 4 has not.
        for (nth, changes) in [(5, 3), (6, 4)] {
            let loaded = damaged(nth).unwrap();
            assert_eq!(loaded.changes.len(), changes);
            assert_eq!(loaded.torn.unwrap().line, nth + 1);
        }
        assert_eq!(damaged(0), Err(Refusal::Foreign));
    }

    #[test]
    fn lines_that_are_missing_or_doubled_or_exchanged_are_noticed() {
        let mut missing = lines();
        missing.remove(3);
        assert!(load(missing.concat().as_bytes(), None).is_err());
        let mut exchanged = lines();
        exchanged.swap(2, 3);
        assert!(load(exchanged.concat().as_bytes(), None).is_err());
        let mut doubled = lines();
        doubled.push(doubled[6].clone());
        let loaded = load(doubled.concat().as_bytes(), None).unwrap();
        assert_eq!((loaded.number, loaded.torn.unwrap().line), (5, 8));
    }

    #[test]
    fn another_version_is_named() {
        let error = load(b"madang state 2\nx\n", None).unwrap_err();
        assert_eq!(error, Refusal::Version("madang state 2".into()));
        assert!(
            error
                .to_string()
                .contains("run the version that wrote the file")
        );
        for foreign in [&b""[..], b"madang", b"\x7fELF\n", b"madang stat"] {
            assert_eq!(load(foreign, None), Err(Refusal::Foreign));
        }
    }

    #[test]
    fn what_was_not_acknowledged_is_left_out() {
        let content = lines().concat();
        let loaded = load(content.as_bytes(), Some(3)).unwrap();
        assert_eq!((loaded.number, loaded.changes.len()), (3, 3));
        assert_eq!(loaded.torn.unwrap().line, 6);
        assert_eq!(loaded.bytes, lines()[..5].concat().len());
        let short = load(content.as_bytes(), Some(6)).unwrap_err();
        assert_eq!(
            short,
            Refusal::Short {
                acknowledged: 6,
                found: 5
            }
        );
    }

    #[test]
    fn salvage_keeps_what_is_whole() {
        let mut lines = lines();
        lines[3].replace_range(0..1, "x");
        lines.push("torn".into());
        let (changes, lost) = salvage(lines.concat().as_bytes());
        assert_eq!((changes.len(), lost), (4, vec![4, 8]));
    }
}
