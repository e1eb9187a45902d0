//! The file of a Unix-domain listener: a stale one is replaced, a live one is left alone, and only our own is removed.
//! Accepts nothing.

use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use socket2::{Domain, SockAddr, Socket, Type};
use std::fs::{self, Metadata, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// How long a server waits for another one that is starting in the same directory.
const LOCK_TIMEOUT: Duration = Duration::from_secs(1);
/// Pause between two tries to get the lock.
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// The file of a listener. Dropping it removes the file, unless another file has replaced it.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    /// Device and inode. The inode is not reused as long as the socket is open.
    identity: (u64, u64),
}

impl SocketFile {
    /// Listens on a path. The socket of a server that is gone is replaced.
    ///
    /// A socket that is bound and does not listen yet refuses connections, as a stale one does. So servers that start
    /// exclude one another by a lock on the directory. That may be impossible, and other programs do not take part: in
    /// the end the file must still be ours. `mode` says who may connect (unix(7)); `None`: the umask does.
    ///
    /// # Errors
    /// A server is alive there, the file is no socket, another program has replaced it meanwhile, or the system refuses.
    pub fn listen(
        path: &Path,
        mode: Option<u32>,
        backlog: i32,
    ) -> io::Result<(SocketFile, Socket)> {
        let _lock = lock_directory(path);
        remove_stale(path)?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.bind(&SockAddr::unix(path)?)?;
        let file = SocketFile {
            path: path.into(),
            identity: identity(&fs::symlink_metadata(path)?),
        };
        if let Some(mode) = mode {
            // Nobody can connect before the socket listens.
            fs::set_permissions(path, Permissions::from_mode(mode))?;
        }
        socket.listen(backlog)?;
        if !file.is_ours() {
            return Err(io::Error::new(
                io::ErrorKind::AddrInUse,
                "another program replaced the file while this server was starting; start only one server there",
            ));
        }
        Ok((file, socket))
    }

    /// Where the file was created.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the path still leads to the file that we created.
    fn is_ours(&self) -> bool {
        fs::symlink_metadata(&self.path).is_ok_and(|file| identity(&file) == self.identity)
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.is_ours() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

/// Locks the directory of a path against other servers that start, if possible.
fn lock_directory(path: &Path) -> Option<OwnedFd> {
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = rustix::fs::open(directory, flags, Mode::empty()).ok()?;
    let deadline = Instant::now() + LOCK_TIMEOUT;
    while flock(&directory, FlockOperation::NonBlockingLockExclusive).is_err() {
        if Instant::now() > deadline {
            return None;
        }
        thread::sleep(LOCK_PAUSE);
    }
    Some(directory)
}

/// Removes the socket of a server that is gone. Anything else at the path is kept, and is an error.
fn remove_stale(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(file) if !file.file_type().is_socket() => {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "the file exists and is not a socket",
            ));
        }
        Ok(_) => {}
    }
    let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    probe.set_nonblocking(true)?;
    match probe.connect(&SockAddr::unix(path)?) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(error),
        // It was removed meanwhile.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        // Connected, or the backlog is full: a server is alive.
        Ok(()) | Err(_) => Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            "another server is listening there",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::{UnixListener, UnixStream};

    /// A path in a directory of its own.
    fn scratch(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("madang-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        folder.join("socket")
    }

    #[test]
    fn a_file_that_another_program_put_there_is_kept() {
        let path = scratch("replaced");
        let (file, _socket) = SocketFile::listen(&path, None, 1).unwrap();
        assert!(file.is_ours());
        fs::remove_file(&path).unwrap();
        assert!(!file.is_ours());
        let _other = UnixListener::bind(&path).unwrap();
        assert!(!file.is_ours());
        drop(file);
        UnixStream::connect(&path).expect("the other listener");
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }

    #[test]
    fn servers_that_start_together_leave_one_that_can_be_reached() {
        let path = scratch("together");
        for _ in 0..50 {
            drop(UnixListener::bind(&path).unwrap());
            let started: Vec<_> = thread::scope(|scope| {
                let start = || scope.spawn(|| SocketFile::listen(&path, None, 16).ok());
                let threads: Vec<_> = (0..4).map(|_| start()).collect();
                threads.into_iter().map(|one| one.join().unwrap()).collect()
            });
            let mut started = started.into_iter().flatten();
            let (file, socket) = started.next().expect("one server");
            assert!(started.next().is_none(), "two servers on one path");
            assert!(file.is_ours());
            UnixStream::connect(&path).expect("the server");
            drop((socket, file));
            let _ = fs::remove_file(&path);
        }
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }
}
