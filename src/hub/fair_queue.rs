//! A queue in which what has just come does not wait behind all that comes again and again. Knows not what it holds.

use std::collections::VecDeque;

/// Of so many that are taken, one is of those that come again and again, if there are any.
const AGAIN_SHARE: u8 = 8;

/// Two queues. The new one comes first, so one that is seldom in here, such as a person who says a line now and then, is not
/// behind all that flood. Every eighth time the other one does, so these go on however many others come.
#[derive(Debug)]
pub struct FairQueue<T> {
    new: VecDeque<T>,
    again: VecDeque<T>,
    /// How many have been taken since one of the others was: `0 <= taken < AGAIN_SHARE`.
    taken: u8,
}

impl<T> Default for FairQueue<T> {
    fn default() -> Self {
        FairQueue {
            new: VecDeque::new(),
            again: VecDeque::new(),
            taken: 0,
        }
    }
}

impl<T: PartialEq> FairQueue<T> {
    /// Appends one that was not in here.
    pub fn push_new(&mut self, item: T) {
        self.new.push_back(item);
    }

    /// Appends one that has just been taken, and is not done.
    pub fn push_again(&mut self, item: T) {
        self.again.push_back(item);
    }

    /// Puts one ahead of all that are not new.
    pub fn push_first(&mut self, item: T) {
        self.again.push_front(item);
    }

    /// Takes the next one.
    pub fn pop(&mut self) -> Option<T> {
        self.taken = (self.taken + 1) % AGAIN_SHARE;
        if self.taken == 0 {
            self.again.pop_front().or_else(|| self.new.pop_front())
        } else {
            self.new.pop_front().or_else(|| self.again.pop_front())
        }
    }

    /// How many are in here.
    pub fn len(&self) -> usize {
        self.new.len() + self.again.len()
    }

    /// Whether none is in here.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All that are in here.
    pub fn iter(&self) -> impl Iterator<Item = &T> + Clone {
        self.new.iter().chain(&self.again)
    }

    /// Removes an item wherever it is.
    pub fn remove(&mut self, item: &T) {
        self.new.retain(|queued| queued != item);
        self.again.retain(|queued| queued != item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_ones_come_first_but_for_every_eighth() {
        let mut queue = FairQueue::default();
        (0..3).for_each(|item| queue.push_again(item));
        (10..20).for_each(|item| queue.push_new(item));
        assert_eq!(queue.len(), 13);
        let taken: Vec<i32> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(taken, [10, 11, 12, 13, 14, 15, 16, 0, 17, 18, 19, 1, 2]);
        queue.push_new(7);
        queue.remove(&7);
        assert!(queue.is_empty() && queue.pop().is_none());
    }
}
