//! Waits for descriptors, until a deadline. Decides nothing.

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use std::io;
use std::os::fd::BorrowedFd;
use std::time::Instant;

/// A descriptor and what to poll for. Its end and its errors are always reported.
pub type Interest<'a> = Option<(BorrowedFd<'a>, PollFlags)>;

/// Waits until a descriptor is ready or the deadline has come. Returns what each is ready for. A signal may end the wait
/// early.
///
/// # Errors
/// See poll(2).
pub fn poll<const N: usize>(
    interests: [Interest<'_>; N],
    deadline: Option<Instant>,
) -> io::Result<[PollFlags; N]> {
    let mut fds: Vec<PollFd<'_>> = interests
        .iter()
        .flatten()
        .map(|&(fd, flags)| PollFd::from_borrowed_fd(fd, flags))
        .collect();
    let wait = deadline.map(|deadline| {
        let wait = deadline.saturating_duration_since(Instant::now());
        Timespec {
            tv_sec: wait.as_secs() as i64,
            tv_nsec: wait.subsec_nanos().into(),
        }
    });
    match rustix::event::poll(&mut fds, wait.as_ref()) {
        Ok(_) => {}
        Err(Errno::INTR) => return Ok([PollFlags::empty(); N]),
        Err(error) => return Err(error.into()),
    }
    let mut fds = fds.iter();
    Ok(interests.map(|interest| {
        interest
            .and_then(|_| fds.next())
            .map_or(PollFlags::empty(), PollFd::revents)
    }))
}
