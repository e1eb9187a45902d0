//! The body of the fuzz target `keeper`: a state file, whatever happens to it, gives a prefix of the changes that were
//! written or is refused, as a second, naive reading of the format says; and a cut gives all complete changes.

use super::bytes::Bytes;
use crate::keeper::change::Change;
use crate::keeper::message::Message;
use crate::keeper::record::{Body, Record, Refusal, VERSION, load, salvage};

/// Changes in one file.
const CHANGES_MAX: usize = 24;

/// Input: how a file is written, then how it is damaged; or the content of a file.
pub fn keeper(data: &[u8]) {
    let mut data = Bytes(data);
    if data.below(4) == 0 {
        check_content(data.0, None);
        return check_message(data.0);
    }
    let file = Written::draw(&mut data);
    let whole = load(file.text.as_bytes(), None).expect("nothing has happened to it");
    assert_eq!(whole.changes, file.changes);
    assert_eq!((whole.bytes, whole.torn), (file.text.len(), None));
    check_cuts(&file, data.below(256));
    let mut content = file.text.clone().into_bytes();
    for _ in 0..data.below(4) {
        damage(&mut content, &mut data);
    }
    let acknowledged = (data.below(2) == 1).then(|| file.base + data.below(CHANGES_MAX) as u64);
    check_content(&content, acknowledged);
    if let Ok(loaded) = load(&content, None) {
        assert!(file.changes.starts_with(&loaded.changes), "no prefix");
    }
    let (salvaged, lost) = salvage(&content);
    // Lines may have been doubled, never invented.
    assert!(salvaged.iter().all(|change| file.changes.contains(change)));
    assert!(lost.windows(2).all(|pair| pair[0] < pair[1]));
}

/// A file as the keeper writes it: some changes as a whole, others in batches.
struct Written {
    text: String,
    changes: Vec<Change>,
    /// The number before the first change.
    base: u64,
    /// Changes that were written as a whole, and the bytes up to their end.
    synced: (usize, usize),
    /// Where each change ends.
    ends: Vec<usize>,
}

impl Written {
    fn draw(data: &mut Bytes<'_>) -> Written {
        let base = u64::from(data.byte());
        let whole = data.below(CHANGES_MAX / 2);
        let mut synced = base + whole as u64;
        let mut file = Written {
            text: VERSION.into(),
            changes: Vec::new(),
            base,
            synced: (whole, 0),
            ends: Vec::new(),
        };
        file.write(base, synced, Body::Begin);
        for nth in 1..=data.below(CHANGES_MAX) {
            if nth == whole + 1 {
                file.synced.1 = file.text.len();
            }
            let number = base + nth as u64;
            if nth > whole + 1 && data.below(2) == 1 {
                synced = number - 1;
            }
            let change = draw_change(data);
            file.changes.push(change.clone());
            file.write(number, synced, Body::Change(change));
            file.ends.push(file.text.len());
        }
        // Fewer changes than were to be written as a whole: such a file never gets its name. Complete it.
        while file.changes.len() < whole {
            let number = base + file.changes.len() as u64 + 1;
            let change = draw_change(data);
            file.changes.push(change.clone());
            file.write(number, synced, Body::Change(change));
            file.ends.push(file.text.len());
        }
        if file.changes.len() == whole {
            file.synced.1 = file.text.len();
        }
        file
    }

    fn write(&mut self, number: u64, synced: u64, body: Body) {
        let record = Record {
            number,
            synced,
            body,
        };
        record.write(&mut self.text);
    }
}

fn draw_change(data: &mut Bytes<'_>) -> Change {
    let length = data.below(20);
    let text = String::from_utf8_lossy(data.take(length)).into_owned();
    let kind = data.pick(&["ban", "name", "mute"]).to_owned();
    let key = data.pick(&["a", "192.0.2.0/24", "a\tb\\\n"]).to_owned();
    let change = match data.below(3) {
        0 => Change::Remove { kind, key },
        _ => Change::Put {
            kind,
            key,
            value: text,
        },
    };
    let mut line = String::new();
    change.write(&mut line);
    assert!(!line.contains('\n') && change.check().is_ok());
    assert_eq!(Change::parse(&line).as_ref(), Some(&change));
    change
}

/// A crash during an append leaves a prefix of the file: all complete changes are read.
fn check_cuts(file: &Written, step: usize) {
    let (_, whole_bytes) = file.synced;
    for cut in (whole_bytes..=file.text.len()).step_by(step + 1) {
        let loaded = load(&file.text.as_bytes()[..cut], None).expect("a torn write");
        let complete = file.ends.iter().filter(|&&end| end <= cut).count();
        assert_eq!(loaded.changes, file.changes[..complete]);
        assert_eq!(loaded.torn.map_or(0, |torn| torn.bytes), cut - loaded.bytes);
    }
    for cut in (0..whole_bytes).step_by(step + 1) {
        let loaded = load(&file.text.as_bytes()[..cut], None);
        assert!(loaded.is_err(), "what was synced is missing");
    }
}

/// Changes, removes, doubles or inserts some bytes.
fn damage(content: &mut Vec<u8>, data: &mut Bytes<'_>) {
    let at = (data.below(256) * 256 + data.below(256)) % (content.len() + 1);
    let length = data.below(256).min(content.len() - at);
    match data.below(6) {
        0 => content.truncate(at),
        1 => drop(content.drain(at..at + length)),
        2 => {
            let range = content[at..at + length].to_vec();
            content.splice(at..at, range);
        }
        3 => content[at..at + length].fill(0),
        4 => {
            let bytes = data.take(4).to_vec();
            content.splice(at..at, bytes);
        }
        _ => {
            if let Some(byte) = content.get_mut(at) {
                *byte ^= 1 << data.below(8);
            }
        }
    }
}

/// What a file means, read naively: every line by itself, then the longest run, then what was synced.
fn check_content(content: &[u8], acknowledged: Option<u64>) {
    let loaded = load(content, acknowledged);
    let Some(rest) = content.strip_prefix(VERSION.as_bytes()) else {
        let first = content.split(|&byte| byte == b'\n').next();
        let is_version = first.is_some_and(|line| line.starts_with(b"madang state "));
        let refusal = loaded.expect_err("there is no version");
        assert_eq!(matches!(refusal, Refusal::Version(_)), is_version);
        return;
    };
    let mut pieces: Vec<&[u8]> = rest.split(|&byte| byte == b'\n').collect();
    // What follows the last line end is no line.
    pieces.pop();
    let records: Vec<Option<Record>> = pieces.iter().map(|line| read(line)).collect();
    let synced = records.iter().flatten().map(|record| record.synced).max();
    let begins = matches!(records.first(), Some(Some(record)) if record.body == Body::Begin);
    let mut run: Vec<&Record> = Vec::new();
    for record in records.iter().take(if begins { usize::MAX } else { 0 }) {
        let Some(record) = record else { break };
        let follows = run
            .last()
            .is_none_or(|last| last.number.checked_add(1) == Some(record.number));
        let is_first = run.is_empty();
        let is_late = acknowledged.is_some_and(|number| record.number > number) && !is_first;
        if !follows || is_late || (record.body == Body::Begin) != is_first {
            break;
        }
        run.push(record);
    }
    let last = run.last().map(|record| record.number);
    let synced = synced.unwrap_or(0).min(acknowledged.unwrap_or(u64::MAX));
    let is_usable = last.is_some_and(|last| {
        last >= synced && acknowledged.is_none_or(|acknowledged| acknowledged == last)
    });
    assert_eq!(loaded.is_ok(), is_usable, "{loaded:?} {run:?}");
    let Ok(loaded) = loaded else { return };
    let changes: Vec<Change> = run[1..]
        .iter()
        .map(|record| match &record.body {
            Body::Change(change) => change.clone(),
            Body::Begin => unreachable!("only the first"),
        })
        .collect();
    assert_eq!((loaded.changes, Some(loaded.number)), (changes, last));
    let bytes: usize = pieces[..run.len()].iter().map(|line| line.len() + 1).sum();
    assert_eq!(loaded.bytes, VERSION.len() + bytes);
    let torn = loaded.torn.map(|torn| (torn.line, torn.bytes));
    let cut = content.len() - loaded.bytes;
    assert_eq!(torn, (cut > 0).then_some((run.len() + 2, cut)));
}

/// One line, read naively: it is what a record that has its parts would be written as.
fn read(line: &[u8]) -> Option<Record> {
    let text = std::str::from_utf8(line).ok()?;
    let mut fields = text.splitn(4, '\t');
    let checksum = fields.next()?;
    let (number, synced) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    let rest = fields.next()?;
    if format!("{:08x}", crc(text.get(9..)?.as_bytes())) != checksum {
        return None;
    }
    let body = match rest {
        "begin" => Body::Begin,
        rest => Body::Change(read_change(rest)?),
    };
    let record = Record {
        number,
        synced,
        body,
    };
    let mut written = String::new();
    record.write(&mut written);
    (written.trim_end_matches('\n') == text).then_some(record)
}

fn read_change(text: &str) -> Option<Change> {
    // A backslash that is not escaped cannot follow another one: mark the escaped ones first.
    let plain = |field: &str| {
        let field = field.replace("\\\\", "\0backslash\0");
        let field = field.replace("\\t", "\t").replace("\\n", "\n");
        field.replace("\\r", "\r").replace("\0backslash\0", "\\")
    };
    let fields: Vec<String> = text.split('\t').map(plain).collect();
    let change = match &fields[..] {
        [verb, kind, key, value] if verb == "put" => Change::Put {
            kind: kind.clone(),
            key: key.clone(),
            value: value.clone(),
        },
        [verb, kind, key] if verb == "remove" => Change::Remove {
            kind: kind.clone(),
            key: key.clone(),
        },
        _ => return None,
    };
    Some(change)
}

/// CRC-32 (ISO 3309), bit by bit.
fn crc(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

/// Any line that is a message is the line that this message is written as.
fn check_message(data: &[u8]) {
    for line in data.split(|&byte| byte == b'\n') {
        if let Some(message) = Message::parse(line) {
            let mut written = String::new();
            message.write(&mut written);
            assert_eq!(written.as_bytes().strip_suffix(b"\n"), Some(line));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many files are drawn; few are refused at once, since most bytes choose what is written.
    const FILES: usize = 3000;

    #[test]
    fn random_files_in_random_trouble_pass() {
        let mut random = fastrand::Rng::with_seed(14);
        for _ in 0..FILES {
            let mut data: Vec<u8> = (0..random.usize(..400)).map(|_| random.u8(..)).collect();
            // As a file, half of the time.
            data.insert(0, random.u8(0..2));
            keeper(&data);
        }
    }
}
