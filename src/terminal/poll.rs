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
    let wanted = interests.iter().flatten();
    let fds = wanted.map(|&(fd, flags)| PollFd::from_borrowed_fd(fd, flags));
    let mut fds: Vec<PollFd<'_>> = fds.collect();
    let wait = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
    // A wait too long for the type is a wait without end.
    let wait = wait.and_then(|wait| Timespec::try_from(wait).ok());
    match rustix::event::poll(&mut fds, wait.as_ref()) {
        Ok(_) => {}
        Err(Errno::INTR) => return Ok([PollFlags::empty(); N]),
        Err(error) => return Err(error.into()),
    }
    let mut fds = fds.iter();
    Ok(interests.map(|interest| {
        let polled = interest.and_then(|_| fds.next());
        polled.map_or(PollFlags::empty(), PollFd::revents)
    }))
}
