//! Whose private lines wait in one client's output, and whether it takes another. Holds no bytes of lines.

use crate::hub::limits::{PRIVATE_LINES_BYTES_MAX, PRIVATE_LINES_MAX, PRIVATE_SHARE_BYTES};
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

    /// Whether a line of `sender` may be appended. A sender may have no more here than the receiver still takes, in bytes and
    /// in lines: so `n` senders that send all they can leave a share of `1 / (n + 1)` to the next one.
    ///
    /// # Errors
    /// Why it may not.
    pub fn admit(&self, sender: u32) -> Result<(), PrivateFull> {
        let (mut own_lines, mut own_bytes, mut all_bytes) = (0, 0, 0);
        for line in &self.0 {
            let bytes = line.bytes as usize;
            all_bytes += bytes;
            if line.sender == sender {
                own_lines += 1;
                own_bytes += bytes;
            }
        }
        let free_lines = PRIVATE_LINES_MAX - self.0.len();
        let free_bytes = PRIVATE_LINES_BYTES_MAX.saturating_sub(all_bytes);
        let share_bytes = PRIVATE_SHARE_BYTES.min(free_bytes);
        match (own_lines < free_lines, own_bytes < share_bytes) {
            (true, true) => Ok(()),
            _ if own_lines > 0 => Err(PrivateFull::Share),
            _ => Err(PrivateFull::All),
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines of `bytes` from these senders, each as many as are admitted.
    fn flood(senders: u32, bytes: usize) -> PrivateLines {
        let (mut lines, mut left) = (PrivateLines::new(), 0);
        let mut has_sent = true;
        while std::mem::take(&mut has_sent) {
            for sender in 0..senders {
                if lines.admit(sender).is_ok() {
                    has_sent = true;
                    left += bytes;
                    lines.push(sender, bytes, left);
                }
            }
        }
        lines.check(left);
        lines
    }

    #[test]
    fn floods_of_short_and_of_long_lines_leave_a_share_to_the_next_sender() {
        for senders in [1, 2, 4, 20, 100] {
            for bytes in [14, 113, 1_000] {
                // So many need a share of less than one line.
                if senders as usize * bytes > PRIVATE_LINES_BYTES_MAX / 2 {
                    continue;
                }
                let mut lines = flood(senders, bytes);
                let friend = senders;
                assert_eq!(
                    lines.admit(friend),
                    Ok(()),
                    "{senders} senders, {bytes} bytes"
                );
                let left = lines.0.back().map_or(0, |line| line.left);
                lines.push(friend, bytes, left + bytes);
                // A second one too, unless one line is more than the share of so many.
                let share = PRIVATE_LINES_BYTES_MAX / (senders as usize + 2);
                if senders <= 20 && bytes < share / 2 {
                    assert_eq!(
                        lines.admit(friend),
                        Ok(()),
                        "{senders} senders, {bytes} bytes"
                    );
                }
            }
        }
    }

    #[test]
    fn a_refusal_says_whose_lines_wait() {
        assert_eq!(flood(1, 113).admit(0), Err(PrivateFull::Share));
        assert_eq!(flood(300, 113).admit(0), Err(PrivateFull::Share));
        assert_eq!(flood(300, 113).admit(300), Err(PrivateFull::All));
    }
}
