//! The keeper: a process of its own that keeps what must last, since the server never waits for a disk. It reads requests
//! from a socket, its standard input; appends, syncs, and answers in order. It ends when the server closes the socket or is
//! killed. How the server starts and restarts it is in `net::keeper`.

pub mod change;
mod disk;
pub mod lock;
pub mod message;
pub mod record;
pub mod store;

pub use change::{Change, Entry};
use lock::lock_folder;
use message::Message;
use record::LINE_BYTES_MAX;
use rustix::fs::FileType;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGXFSZ};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use store::Store;

/// Bytes read at a time. The requests among them share one sync.
const READ_BYTES: usize = 64 << 10;
const _: () = assert!(LINE_BYTES_MAX < READ_BYTES);

/// Serves the server at the other end of standard input. With `acknowledged`, this keeper replaces one that has ended:
/// later changes are undone, and the server knows the entries.
///
/// # Errors
/// One line for people: it was not started by a server, or the two do not understand each other. What is wrong with the
/// folder is told to the server.
pub fn run(folder: &Path, acknowledged: Option<u64>) -> Result<(), String> {
    let mut server = server().map_err(|error| format!("standard input cannot be used: {error}"))?;
    // Not shown as the program's path, `exe`.
    let _ = rustix::thread::set_name(c"madang-keeper");
    ignore_signals().map_err(|error| format!("signals cannot be ignored: {error}"))?;
    match Store::open(folder, acknowledged) {
        Ok((store, notes)) => serve(&mut server, store, notes, acknowledged.is_none()),
        Err(why) => {
            // The server tells the operator.
            let _ = send(&mut server, [Message::Failed(why)]);
            Ok(())
        }
    }
}

/// Repairs the state in a folder that no server is using; returns what was done.
///
/// # Errors
/// One line for people; nothing has changed.
pub fn repair(folder: &Path) -> Result<String, String> {
    let _lock = lock_folder(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    store::repair(folder)
}

/// The socket that is standard input.
fn server() -> io::Result<UnixStream> {
    let stdin = io::stdin();
    let kind = FileType::from_raw_mode(rustix::fs::fstat(&stdin)?.st_mode);
    if kind != FileType::Socket {
        let error = "it is no socket; this command is started by madang serve --state FOLDER";
        return Err(io::Error::new(ErrorKind::InvalidInput, error));
    }
    Ok(UnixStream::from(stdin.as_fd().try_clone_to_owned()?))
}

/// The keeper ends with its server and not before: systemd, for example, sends SIGTERM to every process of a service, while
/// the server still has clients. SIGXFSZ is an error of write(2) instead. A handler that only notes the signal, since
/// sigaction(2) with `SIG_IGN` needs unsafe code.
fn ignore_signals() -> io::Result<()> {
    let noted = Arc::new(AtomicBool::new(false));
    let signals = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGXFSZ];
    signals
        .into_iter()
        .try_for_each(|signal| signal_hook::flag::register(signal, Arc::clone(&noted)).map(drop))
}

fn serve(
    server: &mut UnixStream,
    mut store: Store,
    notes: Vec<String>,
    tell_entries: bool,
) -> Result<(), String> {
    let notes = notes.into_iter().map(Message::Note);
    let entries = store.entries().filter(|_| tell_entries).map(Message::Entry);
    let ready = [Message::Ready(store.number())];
    if send(server, notes.chain(entries).chain(ready)).is_err() {
        return Ok(());
    }
    let mut input = Vec::with_capacity(2 * READ_BYTES);
    let mut chunk = vec![0; READ_BYTES];
    loop {
        match server.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(n) => input.extend_from_slice(&chunk[..n]),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            // The server was killed with answers unread.
            Err(_) => return Ok(()),
        }
        let changes = take_changes(&mut input)?;
        let answers = store
            .commit(changes)
            .into_iter()
            .map(|result| match result {
                Ok(number) => Message::Done(number),
                Err(why) => Message::Refused(why),
            });
        if send(server, answers).is_err() {
            return Ok(());
        }
        // The answers are in the socket, where the server finds them even if this process is killed now.
        if let Err(why) = store.compact()
            && send(server, [Message::Note(why)]).is_err()
        {
            return Ok(());
        }
    }
}

/// Takes the complete requests out of the input.
fn take_changes(input: &mut Vec<u8>) -> Result<Vec<Change>, String> {
    let complete = memchr::memrchr(b'\n', input).map_or(0, |end| end + 1);
    let lines = input[..complete].split_inclusive(|&byte| byte == b'\n');
    let parse = |line: &[u8]| {
        let line = std::str::from_utf8(line).ok()?.strip_suffix('\n')?;
        Change::parse(line)
    };
    let changes: Option<Vec<Change>> = lines.map(parse).collect();
    let changes = changes.ok_or("the server has sent something that is no request")?;
    input.drain(..complete);
    match input.len() <= LINE_BYTES_MAX {
        true => Ok(changes),
        false => Err("the server has sent a request that is too long".into()),
    }
}

fn send(server: &mut UnixStream, messages: impl IntoIterator<Item = Message>) -> io::Result<()> {
    let mut lines = String::new();
    for message in messages {
        message.write(&mut lines);
        if lines.len() > READ_BYTES {
            server.write_all(lines.as_bytes())?;
            lines.clear();
        }
    }
    server.write_all(lines.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_taken_when_they_are_complete() {
        let mut input = b"put\tban\ta\t1\nremove\tban\ta\nput\tb".to_vec();
        let changes = take_changes(&mut input).unwrap();
        assert_eq!(changes.len(), 2);
        assert!(matches!(&changes[1], Change::Remove { key, .. } if key == "a"));
        assert_eq!(input, b"put\tb");
        assert_eq!(take_changes(&mut input), Ok(vec![]));
        assert!(take_changes(&mut b"drop\tban\n".to_vec()).is_err());
        assert!(take_changes(&mut vec![b'x'; LINE_BYTES_MAX + 1]).is_err());
    }
}
