//! What one connection has to carry out, in order, until each is answered. What the engine cannot do now is tried again before
//! anything later. Opens no socket.

use crate::hub::link::contract::Batch;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Pause before a task is tried again. It doubles with each try.
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Something to be carried out in one lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    /// Opens the incarnation of the attachment that is under way, in the lane of this place.
    Open(usize),
    /// Appends a batch.
    Append(Batch),
    /// Closes an incarnation.
    Close(Batch),
}

/// The tasks of a connection.
#[derive(Debug, Default)]
pub struct Tasks {
    /// In their order. The first `sent` have been sent: `0 <= sent <= queue.len()`.
    queue: VecDeque<(Task, bool)>,
    sent: usize,
    /// To be tried again once all that has been sent is answered, before what is in the queue; true: the script's text is to
    /// be sent.
    again: VecDeque<(Task, bool)>,
    /// Not before this.
    not_before: Option<Instant>,
    pause: Option<Duration>,
}

impl Tasks {
    /// Appends a task.
    pub fn push(&mut self, task: Task) {
        self.queue.push_back((task, false));
    }

    /// The next one to be sent, and whether with its script's text.
    pub fn next_to_send(&mut self, now: Instant) -> Option<(&Task, bool)> {
        if !self.again.is_empty() {
            if self.sent > 0 || self.not_before.is_some_and(|until| now < until) {
                return None;
            }
            while let Some(task) = self.again.pop_back() {
                self.queue.push_front(task);
            }
            self.not_before = None;
        }
        let (task, by_text) = self.queue.get(self.sent)?;
        self.sent += 1;
        Some((task, *by_text))
    }

    /// The oldest task that has been sent: it has been answered.
    pub fn take_answered(&mut self) -> Option<Task> {
        if self.sent == 0 {
            return None;
        }
        self.sent -= 1;
        self.queue.pop_front().map(|(task, _)| task)
    }

    /// The engine did what it was to do.
    pub fn succeeded(&mut self) {
        if self.again.is_empty() {
            self.pause = None;
        }
    }

    /// The engine does not know the script of a task that it has answered: it is sent again, with the text.
    pub fn retry_by_text(&mut self, task: Task) {
        self.again.push_back((task, true));
    }

    /// The engine cannot do now what it has answered to: it is tried again after a pause.
    pub fn retry(&mut self, task: Task, now: Instant) {
        if self.not_before.is_none() {
            let pause = self
                .pause
                .map_or(PAUSE_MIN, |pause| (2 * pause).min(PAUSE_MAX));
            self.pause = Some(pause);
            self.not_before = Some(now + pause);
        }
        self.again.push_back((task, false));
    }

    /// When something can be tried again.
    pub fn deadline(&self) -> Option<Instant> {
        self.not_before.filter(|_| self.sent == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends all that can be sent now; returns which.
    fn send(tasks: &mut Tasks, now: Instant) -> Vec<(usize, bool)> {
        let mut sent = Vec::new();
        while let Some((Task::Open(number), by_text)) = tasks.next_to_send(now) {
            sent.push((*number, by_text));
        }
        sent
    }

    #[test]
    fn what_is_tried_again_stays_in_order_and_nothing_overtakes_it() {
        let (mut tasks, now) = (Tasks::default(), Instant::now());
        (0..3).for_each(|number| tasks.push(Task::Open(number)));
        assert_eq!(send(&mut tasks, now), [(0, false), (1, false), (2, false)]);
        tasks.take_answered().unwrap();
        let (one, two) = (
            tasks.take_answered().unwrap(),
            tasks.next_to_send(now).is_none(),
        );
        assert!(two);
        tasks.retry(one, now);
        tasks.push(Task::Open(3));
        assert_eq!(send(&mut tasks, now + PAUSE_MAX), [], "2 is not answered");
        let two = tasks.take_answered().unwrap();
        tasks.retry(two, now);
        assert_eq!(send(&mut tasks, now), [], "it is too early");
        let later = tasks.deadline().unwrap();
        assert_eq!(later, now + PAUSE_MIN);
        let all = [(1, false), (2, false), (3, false)];
        assert_eq!(send(&mut tasks, later), all);
    }

    #[test]
    fn an_unknown_script_is_sent_by_its_text_at_once() {
        let (mut tasks, now) = (Tasks::default(), Instant::now());
        tasks.push(Task::Open(0));
        send(&mut tasks, now);
        let task = tasks.take_answered().unwrap();
        tasks.retry_by_text(task);
        assert_eq!(send(&mut tasks, now), [(0, true)]);
    }

    #[test]
    fn pauses_grow_until_something_succeeds() {
        let (mut tasks, mut now) = (Tasks::default(), Instant::now());
        tasks.push(Task::Open(0));
        let mut pauses = Vec::new();
        for _ in 0..8 {
            assert_eq!(send(&mut tasks, now).len(), 1);
            let task = tasks.take_answered().unwrap();
            tasks.retry(task, now);
            let until = tasks.deadline().unwrap();
            pauses.push((until - now).as_millis());
            now = until;
        }
        assert_eq!(pauses, [50, 100, 200, 400, 800, 1600, 2000, 2000]);
        send(&mut tasks, now);
        tasks.take_answered().unwrap();
        tasks.succeeded();
        tasks.push(Task::Open(1));
        send(&mut tasks, now);
        let task = tasks.take_answered().unwrap();
        tasks.retry(task, now);
        assert_eq!(tasks.deadline(), Some(now + PAUSE_MIN));
    }
}
