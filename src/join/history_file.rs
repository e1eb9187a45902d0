//! The file in which typed lines are kept from run to run, readable by its owner only.

use super::state_folder;
use super::ui::history::{HISTORY_LINES_MAX, History};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Bytes read from the end of the file; older lines are dropped.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// The history file. Several clients may append to it at the same time, and each may replace it by a shorter one.
#[derive(Debug)]
pub struct HistoryFile {
    path: PathBuf,
}

impl HistoryFile {
    /// Opens the user's file, `madang/history` in the XDG state directory (XDG Base Directory Specification 0.8), and reads
    /// it.
    ///
    /// # Errors
    /// The file cannot be opened or read; the error names it.
    pub fn open() -> Result<(HistoryFile, History), String> {
        let path = path().ok_or(state_folder::NO_PATH)?;
        HistoryFile::at(&path).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// The path of the user's file, after its directory has been created, if that is possible.
    pub fn create_folder() -> Option<PathBuf> {
        let path = path()?;
        create_folder(&path).ok()?;
        Some(path)
    }

    fn at(path: &Path) -> io::Result<(HistoryFile, History)> {
        create_folder(path)?;
        let mut file = open(path)?;
        let metadata = file.metadata()?;
        // It may be a link to /dev/null, which switches history off: never change the mode of a shared device.
        if metadata.is_file() {
            file.set_permissions(Permissions::from_mode(0o600))?;
        }
        let older = metadata.len().saturating_sub(FILE_BYTES_MAX);
        file.seek(SeekFrom::Start(older))?;
        let mut bytes = Vec::new();
        (&mut file).take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
        let text = String::from_utf8_lossy(&bytes);
        let history = History::parse(&text);
        if older > 0 || text.lines().count() > 2 * HISTORY_LINES_MAX {
            rewrite(path, &history)?;
        }
        let path = path.to_path_buf();
        Ok((HistoryFile { path }, history))
    }

    /// Appends a line.
    ///
    /// # Errors
    /// See open(2) and write(2).
    pub fn append(&mut self, line: &str) -> io::Result<()> {
        open(&self.path)?.write_all(format!("{line}\n").as_bytes())
    }
}

fn create_folder(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), state_folder::create)
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true).mode(0o600);
    options.open(path)
}

/// Replaces the file by one with these lines. The replacement is atomic for other clients.
fn rewrite(path: &Path, history: &History) -> io::Result<()> {
    let new = path.with_extension(format!("{}", std::process::id()));
    let mut options = OpenOptions::new();
    options.write(true).truncate(true).create(true).mode(0o600);
    let mut file = options.open(&new)?;
    let written = file.write_all(history.text().as_bytes());
    let done = written.and_then(|()| fs::rename(&new, path));
    if done.is_err() {
        let _ = fs::remove_file(&new);
    }
    done
}

fn path() -> Option<PathBuf> {
    Some(state_folder::path()?.join("history"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::env;

    #[test]
    fn the_file_is_private_and_long_files_lose_their_oldest_lines() {
        let folder = env::temp_dir().join(format!("madang-history-{}", std::process::id()));
        let path = folder.join("madang/history");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;

        let (mut file, history) = HistoryFile::at(&path).unwrap();
        assert_eq!((history.text(), mode(&path)), (String::new(), 0o600));
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        (0..=2 * HISTORY_LINES_MAX).for_each(|n| file.append(&n.to_string()).unwrap());
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();

        let (mut other, history) = HistoryFile::at(&path).unwrap();
        other.append("last").unwrap();
        file.append("the other's last").unwrap();
        assert_eq!(history.text().lines().count(), HISTORY_LINES_MAX);
        let text = fs::read_to_string(&path).unwrap();
        let last = "last\nthe other's last\n";
        assert_eq!((text, mode(&path)), (history.text() + last, 0o600));
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn the_mode_of_dev_null_is_not_changed() {
        let folder = env::temp_dir().join(format!("madang-history-null-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("history");
        std::os::unix::fs::symlink("/dev/null", &path).unwrap();
        let mode = || fs::metadata("/dev/null").unwrap().permissions().mode();
        let before = mode();
        let opened = HistoryFile::at(&path).map(|(mut file, _)| file.append("x"));
        let after = mode();
        if after != before {
            fs::set_permissions("/dev/null", Permissions::from_mode(before)).unwrap();
        }
        assert_eq!(after, before);
        opened.unwrap().unwrap();
        fs::remove_dir_all(folder).unwrap();
    }
}
