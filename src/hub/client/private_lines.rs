//! Whose private lines wait in one client's output, and whether it takes another. Holds no bytes of lines.

use crate::hub::limits::{
    PRIVATE_LINES_BYTES_MAX, PRIVATE_LINES_MARK, PRIVATE_LINES_MAX, PRIVATE_SHARE_BYTES,
};
use std::collections::VecDeque;

/// The private lines of others among a client's private bytes, in order; `0 <= len <= PRIVATE_LINES_MAX`.
#[derive(Debug)]
pub struct PrivateLines(VecDeque<PrivateLine>);

/// A private line of another client.
#[derive(Debug)]
struct PrivateLine {
    /// The sender's slot.
    sender: u32,
    bytes: u32,
    /// Private bytes up to the line's end that have not been written, `bytes` included.
    left: usize,
}

/// Why a private line cannot be appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrivateFull {
    /// Its sender's earlier lines have not been read yet.
    Share,
    /// Those of many senders have not.
    All,
}

impl PrivateLines {
    /// None.
    pub const fn new() -> PrivateLines {
        PrivateLines(VecDeque::new())
    }

    /// Whether a line of `sender` may be appended: each sender has its share, and one that has no line here precedence.
    ///
    /// # Errors
    /// Why it may not.
    pub fn admit(&self, sender: u32) -> Result<(), PrivateFull> {
        let bytes = |line: &PrivateLine| line.bytes as usize;
        let all: usize = self.0.iter().map(bytes).sum();
        let own = self.0.iter().filter(|line| line.sender == sender);
        let own: usize = own.map(bytes).sum();
        if own > PRIVATE_SHARE_BYTES {
            return Err(PrivateFull::Share);
        }
        let mark = if own > 0 {
            PRIVATE_LINES_MARK
        } else {
            PRIVATE_LINES_BYTES_MAX
        };
        let is_full = all > mark || self.0.len() >= PRIVATE_LINES_MAX;
        if is_full {
            Err(PrivateFull::All)
        } else {
            Ok(())
        }
    }

    /// A line of `bytes` has been appended: `left` private bytes are to be written now.
    pub fn push(&mut self, sender: u32, bytes: usize, left: usize) {
        let bytes = bytes as u32;
        self.0.push_back(PrivateLine {
            sender,
            bytes,
            left,
        });
    }

    /// So many bytes have been put before all private bytes.
    pub fn delay(&mut self, bytes: usize) {
        self.0.iter_mut().for_each(|line| line.left += bytes);
    }

    /// So many private bytes have been written.
    pub fn sent(&mut self, bytes: usize) {
        self.0.retain_mut(|line| {
            line.left = line.left.saturating_sub(bytes);
            line.left > 0
        });
    }

    /// Bytes of these lines that are to be written.
    pub fn unsent_bytes(&self) -> usize {
        let lines = self.0.iter();
        lines.map(|line| line.left.min(line.bytes as usize)).sum()
    }

    /// Memory besides the fixed record, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.0.capacity() * size_of::<PrivateLine>()
    }

    /// Panics if an invariant is broken.
    pub fn check(&self, private_bytes: usize) {
        assert!(self.0.len() <= PRIVATE_LINES_MAX);
        let ends = self.0.iter().map(|line| line.left);
        assert!(ends.clone().is_sorted_by(|a, b| a < b));
        assert!(ends.max().is_none_or(|end| end <= private_bytes));
    }
}
