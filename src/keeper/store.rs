//! What is kept, in memory and in the state file: both say the same after each call. Changes are appended and synced, the
//! file is rewritten when it is mostly dead, and repaired when people ask for it. The folder is locked by the caller.

use super::change::{Change, Entry, write_fields};
use super::disk::{
    Entries, FILE, FILE_BYTES_MAX, NEW, cannot, create, identity, is_missing, open, read,
    sync_folder, torn_note, write_new,
};
use super::record::{self, Body, LINE_BYTES_MAX, Record};
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Largest sum of the lines of all entries, in bytes.
pub const LIVE_BYTES_MAX: u64 = 64 << 20;
/// A file that is not larger is not rewritten.
const REWRITE_BYTES_MIN: u64 = 64 << 10;
const _: () = assert!(2 * LIVE_BYTES_MAX + REWRITE_BYTES_MIN < FILE_BYTES_MAX);
const _: () = assert!((LINE_BYTES_MAX as u64) < REWRITE_BYTES_MIN);

/// Where a repair leaves the damaged file.
const DAMAGED: &str = "state.damaged";

/// The state file, and what it holds.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    file: File,
    entries: Entries,
    /// Sum of the lines of all entries; at most [`LIVE_BYTES_MAX`].
    live_bytes: u64,
    /// Length of the file up to the last change that was acknowledged: what follows is cut or overwritten.
    bytes: u64,
    /// The number of that change.
    number: u64,
    /// Whether the system has failed to sync the file, so that nobody knows what is on the disk: fsync(2) reports an error
    /// once, and may succeed the next time without having written anything. The file is rewritten before anything else.
    is_suspect: bool,
    /// Length at which the file is rewritten next if most of it is dead.
    rewrite_at: u64,
}

impl Store {
    /// Opens the state in a folder, or creates it. Ends of a torn write are cut off. With `acknowledged`, so is every change
    /// after that number.
    ///
    /// Besides the state, returns what the operator must know of it.
    ///
    /// # Errors
    /// One line for the operator: the system refuses, or the file cannot be used.
    pub fn open(folder: &Path, acknowledged: Option<u64>) -> Result<(Store, Vec<String>), String> {
        let path = folder.join(FILE);
        // Left behind by a rewrite that was killed.
        let _ = fs::remove_file(folder.join(NEW));
        if acknowledged.is_none() && is_missing(&path) {
            create(folder).map_err(|error| cannot("create", &path, &error))?;
        }
        let mut file = open(&path).map_err(|error| cannot("open", &path, &error))?;
        let content = read(&mut file).map_err(|error| cannot("read", &path, &error))?;
        let loaded = record::load(&content, acknowledged)
            .map_err(|why| format!("{}: {why}", path.display()))?;
        let notes = loaded.torn.map(|torn| torn_note(&path, torn, acknowledged));
        let mut store = Store {
            folder: folder.into(),
            file,
            entries: Entries::new(),
            live_bytes: 0,
            bytes: loaded.bytes as u64,
            number: loaded.number,
            is_suspect: false,
            rewrite_at: REWRITE_BYTES_MIN,
        };
        loaded
            .changes
            .into_iter()
            .for_each(|change| store.apply(change));
        // A former keeper may have been killed between write and sync.
        let cut = store.file.set_len(store.bytes);
        cut.and_then(|()| store.file.sync_all())
            .map_err(|error| cannot("write", &path, &error))?;
        Ok((store, notes.into_iter().collect()))
    }

    /// Everything that is kept.
    pub fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        self.entries.iter().map(|((kind, key), value)| Entry {
            kind: kind.clone(),
            key: key.clone(),
            value: value.clone(),
        })
    }

    /// The number of the last change.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Appends changes and syncs them together. Returns for each the number under which it is on the disk now, or why it
    /// has changed nothing.
    pub fn commit(&mut self, changes: Vec<Change>) -> Vec<Result<u64, String>> {
        let (mut lines, mut added, mut number) = (String::new(), self.live_bytes, self.number);
        let mut results = Vec::with_capacity(changes.len());
        let mut accepted = Vec::with_capacity(changes.len());
        for change in changes {
            if let Err(why) = change.check() {
                results.push(Err(why));
                continue;
            }
            if let Change::Put { kind, key, value } = &change {
                added += line_bytes(kind, key, value);
                if added > LIVE_BYTES_MAX {
                    results.push(Err(format!(
                        "the state holds {} entries and is full; remove some",
                        self.entries.len()
                    )));
                    continue;
                }
            }
            number += 1;
            results.push(Ok(number));
            let (synced, body) = (self.number, Body::Change(change.clone()));
            let record = Record {
                number,
                synced,
                body,
            };
            record.write(&mut lines);
            accepted.push(change);
        }
        if let Err(error) = self.append(lines.as_bytes()) {
            let why = Err(cannot("write", &self.folder.join(FILE), &error));
            let refuse = |result: Result<u64, String>| result.and_then(|_| why.clone());
            return results.into_iter().map(refuse).collect();
        }
        self.number = number;
        accepted.into_iter().for_each(|change| self.apply(change));
        results
    }

    /// Writes whole lines after the good part of the file and syncs them; or leaves nothing of them.
    fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        self.check_place()?;
        if self.is_suspect || self.bytes + lines.len() as u64 > FILE_BYTES_MAX {
            self.rewrite()?;
        }
        if let Err(error) = self.file.write_all_at(lines, self.bytes) {
            // Also on the disk: whole lines of refused changes must not be back after a crash.
            let cut = self.file.set_len(self.bytes);
            self.is_suspect = cut.and_then(|()| self.file.sync_data()).is_err();
            return Err(error);
        }
        if let Err(error) = self.file.sync_data() {
            self.is_suspect = true;
            // If this fails as well, it is done before the next change.
            let _ = self.rewrite();
            return Err(error);
        }
        self.bytes += lines.len() as u64;
        Ok(())
    }

    /// The path must still lead to our file: a removed one is written anew, one that somebody has put there is left alone.
    fn check_place(&mut self) -> io::Result<()> {
        match fs::symlink_metadata(self.folder.join(FILE)) {
            Ok(found) if identity(&found) == identity(&self.file.metadata()?) => Ok(()),
            Ok(_) => Err(io::Error::new(
                ErrorKind::AlreadyExists,
                "another file was put there while the server was running; restart the server to use that",
            )),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.is_suspect = true;
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Rewrites the file if most of it is dead. All changes must have been acknowledged, as they cannot be undone after
    /// that. An error is for the log: the old file stays in use.
    pub fn compact(&mut self) -> Result<(), String> {
        if self.bytes < self.rewrite_at || self.bytes < 2 * self.live_bytes {
            return Ok(());
        }
        // Whether it succeeds or not, not again at the next change.
        self.rewrite_at = self.bytes + REWRITE_BYTES_MIN;
        let rewritten = self.check_place().and_then(|()| self.rewrite());
        rewritten.map_err(|error| cannot("rewrite", &self.folder.join(FILE), &error))
    }

    /// Replaces the file by one that holds the entries and nothing else. Until the rename the old one is untouched.
    fn rewrite(&mut self) -> io::Result<()> {
        let written = write_new(&self.folder, self.number, &self.entries);
        let renamed = written.and_then(|new| {
            fs::rename(self.folder.join(NEW), self.folder.join(FILE))?;
            Ok(new)
        });
        match renamed {
            Ok((file, bytes)) => (self.file, self.bytes) = (file, bytes),
            Err(error) => {
                let _ = fs::remove_file(self.folder.join(NEW));
                return Err(error);
            }
        }
        // Until the folder is synced as well, a crash may bring the old file back.
        self.is_suspect = true;
        sync_folder(&self.folder)?;
        self.is_suspect = false;
        self.rewrite_at = self.bytes + REWRITE_BYTES_MIN;
        Ok(())
    }

    fn apply(&mut self, change: Change) {
        let (key, old) = match change {
            Change::Put { kind, key, value } => {
                self.live_bytes += line_bytes(&kind, &key, &value);
                let key = (kind, key);
                (key.clone(), self.entries.insert(key, value))
            }
            Change::Remove { kind, key } => {
                let key = (kind, key);
                let old = self.entries.remove(&key);
                (key, old)
            }
        };
        if let Some(old) = old {
            self.live_bytes -= line_bytes(&key.0, &key.1, &old);
        }
    }
}

/// Writes everything that can be read of a damaged file into a new one, and keeps the damaged one beside it. Returns what
/// was done, for people. The folder must be locked.
///
/// # Errors
/// One line for people; nothing has changed.
pub fn repair(folder: &Path) -> Result<String, String> {
    let (path, damaged) = (folder.join(FILE), folder.join(DAMAGED));
    let mut file = open(&path).map_err(|error| cannot("open", &path, &error))?;
    let content = read(&mut file).map_err(|error| cannot("read", &path, &error))?;
    let why = match record::load(&content, None) {
        Ok(_) => return Ok(format!("{} is in order", path.display())),
        Err(why @ (record::Refusal::Version(_) | record::Refusal::Foreign)) => {
            return Err(format!("{} cannot be repaired: {why}", path.display()));
        }
        Err(why) => why,
    };
    debug_assert!(matches!(why, record::Refusal::Damaged { .. }));
    fs::hard_link(&path, &damaged).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => format!("{} exists: move it away first", damaged.display()),
        _ => cannot("create", &damaged, &error),
    })?;
    let (changes, lost) = record::salvage(&content);
    let mut store = Store {
        folder: folder.into(),
        file,
        entries: Entries::new(),
        live_bytes: 0,
        bytes: 0,
        number: changes.len() as u64,
        is_suspect: true,
        rewrite_at: 0,
    };
    changes.into_iter().for_each(|change| store.apply(change));
    store.rewrite().map_err(|error| {
        let _ = fs::remove_file(&damaged);
        cannot("rewrite", &path, &error)
    })?;
    Ok(format!(
        "{}: {} entries kept. Lost: what lines {lost:?} said, or what is missing. The damaged file is {}",
        path.display(),
        store.entries.len(),
        damaged.display()
    ))
}

/// The length of the line that puts an entry, with the longest numbers.
fn line_bytes(kind: &str, key: &str, value: &str) -> u64 {
    let mut line = String::new();
    write_fields(&mut line, &["put", kind, key, value]);
    (line.len() + 8 + 2 * 20 + 4) as u64
}

#[cfg(test)]
mod tests {
    use super::super::record::VERSION;
    use super::*;

    /// A folder of its own, removed at the end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Folder {
            let folder = format!("madang-store-{name}-{}", std::process::id());
            let folder = std::env::temp_dir().join(folder);
            let _ = fs::remove_dir_all(&folder);
            fs::create_dir(&folder).unwrap();
            Folder(folder)
        }

        fn open(&self) -> Store {
            let (store, notes) = Store::open(&self.0, None).unwrap();
            assert_eq!(notes, [""; 0]);
            store
        }

        fn content(&self) -> String {
            fs::read_to_string(self.0.join(FILE)).unwrap()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn put(key: &str, value: &str) -> Change {
        Change::Put {
            kind: "ban".into(),
            key: key.into(),
            value: value.into(),
        }
    }

    fn values(store: &Store) -> Vec<String> {
        store.entries().map(|entry| entry.value).collect()
    }

    #[test]
    fn a_file_that_is_mostly_dead_is_rewritten_and_says_the_same() {
        let folder = Folder::new("compact");
        let mut store = folder.open();
        let long = "x".repeat(1000);
        let mut largest = 0;
        for round in 0..400 {
            let change = put(&format!("k{}", round % 5), &format!("{round} {long}"));
            assert_eq!(store.commit(vec![change]), [Ok(round + 1)]);
            store.compact().unwrap();
            assert_eq!(folder.content().len() as u64, store.bytes);
            largest = largest.max(store.bytes);
        }
        assert!(largest < 2 * REWRITE_BYTES_MIN, "{largest}");
        let again = folder.open();
        assert_eq!(again.number(), 400);
        assert_eq!(values(&again), values(&store));
        assert!(values(&again)[4].starts_with("399 "));
    }

    #[test]
    fn a_removed_file_is_written_anew_and_a_foreign_one_left_alone() {
        let folder = Folder::new("place");
        let mut store = folder.open();
        store.commit(vec![put("a", "1")]);
        fs::remove_file(folder.0.join(FILE)).unwrap();
        assert_eq!(store.commit(vec![put("b", "2")]), [Ok(2)]);
        assert_eq!(values(&folder.open()), ["1", "2"]);

        fs::remove_dir_all(&folder.0).unwrap();
        let error = store.commit(vec![put("c", "3")]).remove(0).unwrap_err();
        assert!(error.contains("create the folder again"), "{error}");
        fs::create_dir(&folder.0).unwrap();
        assert_eq!(store.commit(vec![put("c", "3")]), [Ok(3)]);
        assert_eq!(values(&folder.open()), ["1", "2", "3"]);

        fs::remove_file(folder.0.join(FILE)).unwrap();
        fs::write(folder.0.join(FILE), "from a backup").unwrap();
        let error = store.commit(vec![put("d", "4")]).remove(0).unwrap_err();
        assert!(error.contains("restart the server"), "{error}");
        assert_eq!(folder.content(), "from a backup");
        assert_eq!(values(&store), ["1", "2", "3"]);
    }

    #[test]
    fn after_a_failed_sync_the_file_is_rewritten() {
        let folder = Folder::new("suspect");
        let mut store = folder.open();
        store.commit(vec![put("a", "1")]);
        // As a sync leaves it that has failed: nobody knows what is in the file.
        store.is_suspect = true;
        store.file.write_all_at(b"?", 0).unwrap();
        assert_eq!(store.commit(vec![put("b", "2")]), [Ok(2)]);
        assert!(!store.is_suspect);
        assert_eq!(values(&folder.open()), ["1", "2"]);
    }

    #[test]
    fn what_cannot_be_kept_is_refused_and_the_rest_is_kept() {
        let folder = Folder::new("refused");
        let mut store = folder.open();
        let results = store.commit(vec![put("a", "1"), put("", "2"), put("c", "3")]);
        assert_eq!((&results[0], &results[2]), (&Ok(1), &Ok(2)));
        assert!(results[1].is_err());
        store.live_bytes = LIVE_BYTES_MAX;
        let remove = Change::Remove {
            kind: "ban".into(),
            key: "a".into(),
        };
        let results = store.commit(vec![put("d", "4"), remove]);
        let error = "the state holds 2 entries and is full; remove some";
        assert_eq!(results, [Err(error.into()), Ok(3)]);
        assert_eq!(values(&folder.open()), ["3"]);
    }

    #[test]
    fn repair_keeps_what_is_whole_and_the_damaged_file() {
        let folder = Folder::new("repair");
        let mut store = folder.open();
        for key in ["a", "b", "c"] {
            store.commit(vec![put(key, key)]);
        }
        assert!(repair(&folder.0).unwrap().ends_with("is in order"));
        let content = folder.content().replace("ban\tb\tb", "ban\tb\tx");
        fs::write(folder.0.join(FILE), &content).unwrap();
        let error = Store::open(&folder.0, None).unwrap_err();
        assert!(
            error.contains("line 4 is damaged") && error.contains("--repair"),
            "{error}"
        );
        let done = repair(&folder.0).unwrap();
        assert!(
            done.contains("2 entries kept. Lost: what lines [4] said"),
            "{done}"
        );
        assert_eq!(values(&folder.open()), ["a", "c"]);
        assert_eq!(fs::read_to_string(folder.0.join(DAMAGED)).unwrap(), content);
        fs::write(folder.0.join(FILE), &content).unwrap();
        assert!(
            repair(&folder.0)
                .unwrap_err()
                .contains("move it away first")
        );
        fs::write(folder.0.join(FILE), "madang state 9\n").unwrap();
        assert!(
            repair(&folder.0)
                .unwrap_err()
                .contains("cannot be repaired")
        );
    }

    #[test]
    fn a_link_is_no_state_file() {
        let folder = Folder::new("link");
        let target = folder.0.join("elsewhere");
        fs::write(&target, VERSION).unwrap();
        std::os::unix::fs::symlink(&target, folder.0.join(FILE)).unwrap();
        assert!(Store::open(&folder.0, None).is_err());
        assert_eq!(fs::read_to_string(&target).unwrap(), VERSION);
    }
}
