//! Waiting for descriptors until a time. Decides nothing.

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use std::io;
use std::os::fd::BorrowedFd;
use std::time::Instant;

/// A descriptor and what of it is waited for, besides its end.
pub type Wanted<'a> = Option<(BorrowedFd<'a>, PollFlags)>;

/// Waits until one of the descriptors is ready or the time has come, and says what each is ready for. A signal may end
/// it earlier.
///
/// # Errors
/// See poll(2).
pub fn poll<const N: usize>(
    wanted: [Wanted<'_>; N],
    due: Option<Instant>,
) -> io::Result<[PollFlags; N]> {
    let mut fds: Vec<PollFd<'_>> = wanted
        .iter()
        .flatten()
        .map(|&(fd, flags)| PollFd::from_borrowed_fd(fd, flags))
        .collect();
    let wait = due.map(|due| {
        let wait = due.saturating_duration_since(Instant::now());
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
    Ok(wanted.map(|wanted| {
        wanted
            .and_then(|_| fds.next())
            .map_or(PollFlags::empty(), PollFd::revents)
    }))
}
