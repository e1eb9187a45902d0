//! A queue in which what has just come does not wait behind all that comes again and again. Knows not what it holds.

use std::collections::VecDeque;

/// Two queues, from which it is taken by turns. So one that is seldom in here, such as a person who says a line now and
/// then, is behind one of those that flood, not behind all of them; and these go on however many others come.
#[derive(Debug)]
pub struct FairQueue<T> {
    new: VecDeque<T>,
    again: VecDeque<T>,
    is_new_next: bool,
}

impl<T> Default for FairQueue<T> {
    fn default() -> Self {
        FairQueue {
            new: VecDeque::new(),
            again: VecDeque::new(),
            is_new_next: true,
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
        self.is_new_next = !self.is_new_next;
        if self.is_new_next {
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
    fn new_ones_and_others_are_taken_by_turns() {
        let mut queue = FairQueue::default();
        (0..3).for_each(|item| queue.push_again(item));
        (10..12).for_each(|item| queue.push_new(item));
        assert_eq!(queue.len(), 5);
        let taken: Vec<i32> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(taken, [10, 0, 11, 1, 2]);
        queue.push_new(7);
        queue.remove(&7);
        assert!(queue.is_empty() && queue.pop().is_none());
    }
}
