//! The lock of a state folder: one server at a time, and the keeper that it has started. Reads and writes no state.

use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// The file that is locked. It names the process that has locked it last.
const FILE: &str = "lock";
/// How long to wait for a server that is just ending, or for its keeper.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Pause between two tries.
const PAUSE: Duration = Duration::from_millis(10);

/// Locks a folder as long as the file is open, here or in a process that has inherited it (flock(2)).
///
/// # Errors
/// Another process has locked it, or the system refuses.
pub fn lock_folder(folder: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    options
        .mode(0o600)
        .custom_flags(OFlags::NOFOLLOW.bits() as i32);
    let file = options.open(folder.join(FILE))?;
    let deadline = Instant::now() + TIMEOUT;
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => break,
            Err(Errno::WOULDBLOCK) if Instant::now() < deadline => thread::sleep(PAUSE),
            Err(Errno::WOULDBLOCK) => {
                let error = format!(
                    "another server is using it{}; give each server a folder of its own",
                    owner(&file)
                );
                return Err(io::Error::new(ErrorKind::ResourceBusy, error));
            }
            Err(error) => return Err(error.into()),
        }
    }
    // Only for that message: it may fail on a full disk.
    let _ = file.set_len(0);
    let _ = file.write_all_at(format!("{}\n", std::process::id()).as_bytes(), 0);
    Ok(file)
}

fn owner(file: &File) -> String {
    let mut bytes = [0; 20];
    let read = file.read_at(&mut bytes, 0).unwrap_or(0);
    let text = String::from_utf8_lossy(&bytes[..read]);
    match text.trim().parse::<u32>() {
        Ok(process) => format!(" (process {process})"),
        Err(_) => String::new(),
    }
}
