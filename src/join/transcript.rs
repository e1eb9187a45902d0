//! Which said lines stand on the screen, so that after a reconnection the room's history shows only what was missed.
//! Remembers the last lines of one room, and the lines that the user entered; no input or output.

use std::collections::VecDeque;

/// Lines of others that are remembered, and their bytes.
const SHOWN_LINES_MAX: usize = 1000;
const SHOWN_BYTES_MAX: usize = 256 << 10;
/// Own lines that are remembered. One is at most as long as the line editor allows.
const OWN_LINES_MAX: usize = 100;
/// Bytes of a history that are kept until its end. A madang server sends a sixteenth of `--room-log`.
const HISTORY_BYTES_MAX: usize = 1 << 20;

/// The history that the server is sending.
#[derive(Clone, Debug, Default)]
struct Block {
    lines: Vec<String>,
    bytes: usize,
    /// So many lines were announced.
    lines_max: usize,
}

/// The said lines on the screen.
#[derive(Clone, Debug, Default)]
pub struct Transcript {
    room: Option<String>,
    /// The last lines of the room that others said, the oldest first.
    shown: VecDeque<String>,
    shown_bytes: usize,
    /// The last lines that the user said, in any room: one that was entered before `/join` is answered is said after.
    own: VecDeque<String>,
    block: Option<Block>,
}

impl Transcript {
    /// The client is in this room: lines of another are forgotten.
    pub fn enter(&mut self, room: &str) {
        if self.room.as_deref() != Some(room) {
            self.room = Some(room.to_owned());
            self.shown.clear();
            self.shown_bytes = 0;
        }
    }

    /// A line that another said is shown.
    pub fn push(&mut self, line: String) {
        self.shown_bytes += line.len();
        self.shown.push_back(line);
        while (self.shown.len() > SHOWN_LINES_MAX || self.shown_bytes > SHOWN_BYTES_MAX)
            && let Some(oldest) = self.shown.pop_front()
        {
            self.shown_bytes -= oldest.len();
        }
    }

    /// A line that the user said is shown; written as the server will.
    pub fn push_own(&mut self, line: String) {
        self.own.push_back(line);
        if self.own.len() > OWN_LINES_MAX {
            self.own.pop_front();
        }
    }

    /// The server begins to send a history of so many lines.
    pub fn begin(&mut self, lines_max: usize) {
        self.block = Some(Block {
            lines_max,
            ..Block::default()
        });
    }

    /// Whether said lines that come now are history.
    pub fn is_history(&self) -> bool {
        self.block.is_some()
    }

    /// Takes a line of the history. Returns false if the history must have ended: there are more lines than announced, or
    /// too many to keep.
    pub fn take(&mut self, line: String) -> bool {
        let Some(block) = &mut self.block else {
            return false;
        };
        block.bytes += line.len();
        block.lines.push(line);
        block.lines.len() <= block.lines_max && block.bytes < HISTORY_BYTES_MAX
    }

    /// The history has ended: the lines of it that are not on the screen. They are to be shown, and count as shown.
    pub fn end(&mut self) -> Vec<String> {
        let mut lines = self.block.take().unwrap_or_default().lines;
        // Own lines may stand elsewhere on the screen than in the room's order. The newest are the likeliest.
        let mut own: Vec<&String> = self.own.iter().collect();
        let mut is_new = |line: &String| match own.iter().rposition(|own| *own == line) {
            Some(at) => own.swap_remove(at).is_empty(),
            None => true,
        };
        let is_new: Vec<bool> = lines.iter().rev().map(&mut is_new).collect();
        let mut is_new = is_new.into_iter().rev();
        lines.retain(|_| is_new.next() == Some(true));
        let overlap = self.overlap(&lines);
        lines.drain(..overlap);
        lines.iter().for_each(|line| self.push(line.clone()));
        lines
    }

    /// The most lines that these begin with and that the lines on the screen end with.
    fn overlap(&self, lines: &[String]) -> usize {
        let lengths = 1..=lines.len().min(self.shown.len());
        let fits = |&length: &usize| {
            let last = self.shown.range(self.shown.len() - length..);
            last.eq(&lines[..length])
        };
        lengths.rev().find(fits).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A transcript of the lobby with these lines of others.
    fn transcript(shown: &str) -> Transcript {
        let mut transcript = Transcript::default();
        transcript.enter("lobby");
        words(shown).for_each(|line| transcript.push(line));
        transcript
    }

    fn words(lines: &str) -> impl Iterator<Item = String> {
        lines.split_whitespace().map(str::to_owned)
    }

    /// What is new in a history of these lines.
    fn new_in(transcript: &mut Transcript, lines: &str) -> String {
        transcript.begin(lines.split_whitespace().count());
        words(lines).for_each(|line| _ = transcript.take(line));
        assert!(transcript.is_history());
        transcript.end().join(" ")
    }

    #[test]
    fn only_missed_lines_are_new() {
        for (shown, history, new) in [
            ("", "a b", "a b"),
            ("a b c", "a b c", ""),
            ("a b c", "b c", ""),
            ("a b c", "b c d e", "d e"),
            ("a b c", "a b c d", "d"),
            ("b c", "a b c d", "a b c d"),
            ("a b c", "d e", "d e"),
            ("a a", "a a a", "a"),
            ("c a b", "a c a b", "a c a b"),
            ("a b", "", ""),
        ] {
            let mut transcript = transcript(shown);
            assert_eq!(new_in(&mut transcript, history), new, "{shown} / {history}");
            assert_eq!(new_in(&mut transcript, history), "", "it is shown now");
        }
    }

    #[test]
    fn own_lines_are_known_wherever_they_stand() {
        let mut transcript = transcript("a b");
        for own in ["me1", "me2", "not-sent"] {
            transcript.push_own(own.into());
        }
        transcript.push("c".into());
        assert_eq!(new_in(&mut transcript, "a me2 b me1 c d"), "d");
        assert_eq!(new_in(&mut transcript, "b me1 c d e"), "e");
        assert_eq!(new_in(&mut transcript, "d e me1 me1"), "me1", "said once");
    }

    #[test]
    fn another_room_has_other_lines() {
        let mut transcript = transcript("a b");
        transcript.push_own("me".into());
        transcript.enter("lobby");
        assert_eq!(new_in(&mut transcript, "b"), "");
        transcript.enter("pond");
        assert_eq!(new_in(&mut transcript, "a me"), "a");
    }

    #[test]
    fn memory_is_bounded() {
        let mut transcript = transcript("");
        for _ in 0..3 * SHOWN_LINES_MAX {
            transcript.push("x".repeat(1000));
            transcript.push_own("y".into());
        }
        assert!(transcript.shown_bytes <= SHOWN_BYTES_MAX);
        assert_eq!(transcript.own.len(), OWN_LINES_MAX);
        transcript.begin(usize::MAX - 1);
        let takes = std::iter::repeat_with(|| transcript.take("x".repeat(1000)));
        assert!(takes.take_while(|&more| more).count() <= HISTORY_BYTES_MAX / 1000);
        transcript.begin(2);
        let takes = ["a", "b", "c"].map(|line| transcript.take(line.into()));
        assert_eq!(takes, [true, true, false]);
    }
}
