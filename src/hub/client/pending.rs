//! What is to be written to one client besides its room's log, or left out of that. In what order is decided in `outbox`.

use super::barriers::Barriers;
use super::crlf::Crlf;
use super::ignored::Ignored;
use super::private_lines::PrivateLines;
use std::collections::VecDeque;
use std::ops::Range;

/// What is to be written besides the log from the cursor on, or left out of it.
#[derive(Debug)]
pub struct Pending {
    /// The client's own lines after the cursor: ranges of the log in order, apart from each other;
    /// `0 <= len <= OWN_RANGES_MAX`.
    pub own: VecDeque<Range<u64>>,
    /// Lines that the client will not receive, and has not been told of.
    pub skipped_lines: u64,
    /// Notices of the log before this position are left out: the client reads history. 0 once it has read it.
    pub history_until: u64,
    /// Replies and private lines, written at the next line's end, before more of the log, unless a barrier delays them.
    /// Whole lines (and telnet answers). Freed when all of it is written.
    pub private: Vec<u8>,
    /// How much of `private` has been written: `0 <= private_sent < private.len()`, or both are 0.
    pub private_sent: usize,
    /// The private lines of other clients in `private`.
    pub lines: PrivateLines,
    /// `Some` if lines to the client end with CR LF, not LF. Here, so that others pay nothing for it.
    pub crlf: Option<Crlf>,
    /// Which of `private` waits for the log.
    pub barriers: Barriers,
    /// Whom the client ignores.
    pub ignored: Ignored,
}

/// For an outbox without one.
pub const EMPTY: &Pending = &Pending::empty();

impl Pending {
    /// Nothing.
    pub const fn empty() -> Pending {
        Pending {
            own: VecDeque::new(),
            skipped_lines: 0,
            history_until: 0,
            private: Vec::new(),
            private_sent: 0,
            lines: PrivateLines::new(),
            crlf: None,
            barriers: Barriers::new(),
            ignored: Ignored::new(),
        }
    }

    /// Whether it is as good as none.
    pub fn is_empty(&self) -> bool {
        let is_log_plain =
            self.own.is_empty() && self.skipped_lines == 0 && self.history_until == 0;
        is_log_plain && self.private.is_empty() && self.crlf.is_none() && self.ignored.is_empty()
    }

    /// Private bytes that have not been written.
    pub fn private_rest(&self) -> &[u8] {
        &self.private[self.private_sent..]
    }

    /// How many private bytes may be written before more of the log, when it has been written up to `at` and is to be up to
    /// `until`.
    pub fn ready_bytes(&self, at: u64, until: u64) -> usize {
        let next = self.barriers.next(at, until);
        next.map_or(self.private_rest().len(), |barrier| barrier.before)
    }

    /// Removes the private bytes that have been written, so that a client that never takes all of them costs no more memory
    /// than one that does.
    pub fn remove_sent(&mut self) {
        let sent = std::mem::take(&mut self.private_sent);
        self.private.drain(..sent);
    }

    /// Puts whole lines before all private bytes.
    pub fn push_front(&mut self, bytes: &[u8]) {
        self.remove_sent();
        self.private.splice(..0, bytes.iter().copied());
        self.lines.delay(bytes.len());
        self.barriers.delay(bytes.len());
    }
}
