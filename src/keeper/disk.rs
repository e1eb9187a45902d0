//! The state file on the disk: opened, read, written anew, and what an error of the system means to the operator. Knows
//! nothing of changes that are to come.

use super::change::Change;
use super::record::{Body, LINE_BYTES_MAX, Record, Torn, VERSION};
use rustix::fs::OFlags;
use std::collections::BTreeMap;
use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, BufWriter, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// A larger file is no state.
pub(super) const FILE_BYTES_MAX: u64 = 256 << 20;

/// The file in the state folder.
pub(super) const FILE: &str = "state";
/// Its next version while it is being written.
pub(super) const NEW: &str = "state.new";

/// Values by kind and key.
pub(super) type Entries = BTreeMap<(String, String), String>;

/// Whether there is nothing at a path.
pub(super) fn is_missing(path: &Path) -> bool {
    fs::symlink_metadata(path).is_err_and(|error| error.kind() == ErrorKind::NotFound)
}

/// Creates a state that holds nothing.
pub(super) fn create(folder: &Path) -> io::Result<()> {
    write_new(folder, 0, &Entries::new())?;
    fs::rename(folder.join(NEW), folder.join(FILE))?;
    sync_folder(folder)
}

/// Opens the file for its owner only. A symbolic link is no state file: a rewrite would replace it.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32;
    let mut options = OpenOptions::new();
    let file = options
        .read(true)
        .write(true)
        .custom_flags(flags)
        .open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "it is not a file"));
    }
    if metadata.len() > FILE_BYTES_MAX {
        let error = format!("it is larger than {FILE_BYTES_MAX} bytes");
        return Err(io::Error::new(ErrorKind::FileTooLarge, error));
    }
    // It may have come from a backup, readable by others.
    if metadata.permissions().mode() & 0o077 != 0 {
        file.set_permissions(Permissions::from_mode(0o600))?;
    }
    Ok(file)
}

/// Reads all of the file.
pub(super) fn read(file: &mut File) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut content)?;
    Ok(content)
}

/// Writes a file with these entries, numbered up to `number`, and syncs it. Returns it and its length.
pub(super) fn write_new(folder: &Path, number: u64, entries: &Entries) -> io::Result<(File, u64)> {
    let path = folder.join(NEW);
    let _ = fs::remove_file(&path);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true).mode(0o600);
    let mut out = BufWriter::new(options.open(&path)?);
    // Each entry has been put by a change of its own, so there are at most as many.
    let first = number - entries.len() as u64;
    let (mut line, mut bytes) = (String::from(VERSION), 0);
    let begin = Record {
        number: first,
        synced: number,
        body: Body::Begin,
    };
    begin.write(&mut line);
    for (((kind, key), value), nth) in entries.iter().zip(1..) {
        let (kind, key, value) = (kind.clone(), key.clone(), value.clone());
        let record = Record {
            number: first + nth,
            synced: number,
            body: Body::Change(Change::Put { kind, key, value }),
        };
        record.write(&mut line);
        if line.len() > LINE_BYTES_MAX {
            bytes += line.len() as u64;
            out.write_all(line.as_bytes())?;
            line.clear();
        }
    }
    bytes += line.len() as u64;
    out.write_all(line.as_bytes())?;
    let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()?;
    Ok((file, bytes))
}

/// Makes a rename in a folder last.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Which file it is, whatever its name.
pub(super) fn identity(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

/// What the operator must know of the end of a file that is cut.
pub(super) fn torn_note(path: &Path, torn: Torn, acknowledged: Option<u64>) -> String {
    let Torn { line, bytes } = torn;
    let path = path.display();
    match acknowledged {
        None => format!(
            "{path}: the last write was cut short: {bytes} bytes from line {line} on were never acknowledged, and are removed"
        ),
        Some(_) => format!(
            "{path}: {bytes} bytes from line {line} on were not acknowledged before the keeper ended, and are undone"
        ),
    }
}

/// What the system refuses, and what the operator can do.
pub(super) fn cannot(what: &str, path: &Path, error: &io::Error) -> String {
    let advice = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "; free space on this disk, and try again"
        }
        ErrorKind::FileTooLarge => {
            "; raise the limit on the size of files (ulimit -f), and try again"
        }
        ErrorKind::ReadOnlyFilesystem => "; make it writable (mount -o remount,rw), and try again",
        ErrorKind::NotFound => "; create the folder again, and try again",
        ErrorKind::PermissionDenied => "; give the user of the server the right to write there",
        _ => "",
    };
    format!("cannot {what} {}: {error}{advice}", path.display())
}
