//! Which private bytes of one client wait until the log has been written up to some position. Holds no bytes.

use std::collections::VecDeque;
use std::ops::Range;

/// Barriers in the order of the bytes that wait behind them; both their numbers ascend.
#[derive(Debug)]
pub struct Barriers(VecDeque<Barrier>);

/// The private bytes behind it wait for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Barrier {
    /// Unsent private bytes before it.
    pub before: usize,
    /// Position in the log up to which the client must have read.
    pub until: u64,
}

impl Barriers {
    /// None.
    pub const fn new() -> Barriers {
        Barriers(VecDeque::new())
    }

    /// What comes after `before` unsent private bytes waits until the log has been written up to `until`.
    pub fn push(&mut self, before: usize, until: u64) {
        if self.0.back().is_none_or(|last| last.until < until) {
            self.0.push_back(Barrier { before, until });
        }
    }

    /// The first that is not passed at position `at`. None waits for more of the log than is to be written, which is up to
    /// `end`.
    pub fn next(&self, at: u64, end: u64) -> Option<Barrier> {
        let is_ahead = |barrier: &&Barrier| barrier.until.min(end) > at;
        let next = self.0.iter().find(is_ahead)?;
        Some(Barrier {
            until: next.until.min(end),
            ..*next
        })
    }

    /// The log has been written up to `at`.
    pub fn passed(&mut self, at: u64) {
        while self.0.pop_front_if(|barrier| barrier.until <= at).is_some() {}
    }

    /// So many bytes have been put before all private bytes.
    pub fn delay(&mut self, bytes: usize) {
        self.0.iter_mut().for_each(|it| it.before += bytes);
    }

    /// So many private bytes have been written.
    pub fn sent(&mut self, bytes: usize) {
        let sent = |it: &mut Barrier| it.before = it.before.saturating_sub(bytes);
        self.0.iter_mut().for_each(sent);
    }

    /// The client has left its room: nothing waits for its log.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Memory besides the fixed record, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.0.capacity() * size_of::<Barrier>()
    }

    /// Panics if an invariant is broken.
    pub fn check(&self, private_bytes: usize, unread: Range<u64>) {
        assert!(self.0.iter().is_sorted_by(|a, b| a.until < b.until));
        assert!(self.0.iter().is_sorted_by_key(|it| it.before));
        for barrier in &self.0 {
            assert!(barrier.before < private_bytes, "it delays nothing");
            assert!(unread.start < barrier.until && barrier.until <= unread.end);
        }
    }
}
