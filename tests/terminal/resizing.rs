//! The window changes while a line is typed and others come in: the typed line stays whole below the others, and none of
//! these is lost.

use std::time::Duration;

use fastrand::Rng;

use crate::fake_server::{NAME, OPENING};
use crate::model::{NewModel, truncating, unidentified, wrapping};
use crate::picture::{Fault, start_without_blanks};
use crate::rig::Rig;
use crate::seeded;

/// Characters of a line that are left in the narrowest window of a truncating terminal: `kim:017`.
const FIRST_CHARACTERS: usize = 7;

/// A terminal, and how many characters of each line are left in a narrow window; `None`: all.
type Terminal = (NewModel, Option<usize>);

const WRAPPING: Terminal = (wrapping, None);
const TRUNCATING: Terminal = (truncating, Some(FIRST_CHARACTERS));
const UNIDENTIFIED: Terminal = (unidentified, Some(FIRST_CHARACTERS));

/// A terminal on which a line is typed, and the lines that come in.
struct Scene {
    rig: Rig,
    rng: Rng,
    sent: Vec<String>,
    /// The typed text before the cursor and after it.
    before: &'static str,
    after: &'static str,
    first: Option<usize>,
}

impl Scene {
    /// Types two texts on a screen full of lines, with the cursor between them.
    fn on((terminal, first): Terminal, [before, after]: [&'static str; 2]) -> Self {
        let mut scene = Self {
            rig: Rig::new(terminal(60, 14)),
            rng: seeded(),
            sent: OPENING.map(str::to_owned).to_vec(),
            before,
            after,
            first,
        };
        scene.send(30);
        scene.rig.type_around(before, after);
        scene.until_shown();
        scene
    }

    fn send(&mut self, lines: usize) {
        for _ in 0..lines {
            let number = self.sent.len();
            let text = match number % 3 {
                0 => "hello".to_owned(),
                1 => "x".repeat(number % 80),
                _ => ["마당에 오신 것을"; 3].join(" "),
            };
            let line = format!("{}: {number:03} {text}", ["kim", "lee"][number % 2]);
            self.rig.send(&line);
            self.sent.push(line);
            let pause = Duration::from_micros(self.rng.u64(0..6000));
            self.rig.run_for(pause);
        }
    }

    /// Runs until all lines and the typed line are shown.
    fn until_shown(&mut self) {
        // The last line may be truncated as soon as it is shown.
        let last = start_without_blanks(&self.sent[self.sent.len() - 1], self.first);
        self.rig.until_shown(&last);
        self.rig.until_typed(self.before, self.after);
    }

    /// Enters the typed line and checks all lines. Returns what is left of the typed line between them.
    fn end(mut self) -> Option<String> {
        self.until_shown();
        let line = [self.before, self.after].concat();
        self.rig.keys("\r");
        self.rig.until_received(&[&line]);
        self.sent.push(format!("{NAME}: {line}"));
        (self.before, self.after) = ("", "");
        self.until_shown();
        match self.rig.picture().check_lines(&self.sent, self.first) {
            Ok(()) => None,
            Err(Fault::Leftover(rows)) => Some(rows),
            Err(Fault::Missing(line)) => panic!("{line:?} is missing or damaged"),
        }
    }
}

/// Changes the window several times, each time after all lines are shown. More lines come at once.
fn change(texts: [&'static str; 2], windows: &[(u16, u16)]) {
    for terminal in [WRAPPING, TRUNCATING] {
        let mut scene = Scene::on(terminal, texts);
        for &(cols, rows) in windows {
            scene.send(10);
            scene.until_shown();
            scene.rig.resize(cols, rows);
            scene.send(15);
        }
        assert_eq!(scene.end(), None, "a part of the typed line was not erased");
    }
}

const SHORT: [&str; 2] = ["half a line, ", "and its end"];
const LONG: [&str; 2] = [
    "0123456789012345678901234567890123456789가나다라마바사아자차",
    "카타파하0123456789012345678901234567890123456789",
];

#[test]
fn a_short_line_stays_whole_in_any_window() {
    change(SHORT, &[(30, 10), (70, 10), (50, 16), (20, 8), (40, 12)]);
}

#[test]
fn a_line_of_several_rows_stays_whole_in_a_narrower_window() {
    change(LONG, &[(41, 14)]);
}

#[test]
fn a_line_of_several_rows_stays_whole_in_a_wider_window() {
    change(LONG, &[(75, 14)]);
}

#[test]
fn a_line_of_several_rows_stays_whole_in_any_window() {
    change(LONG, &[(31, 16), (60, 18), (25, 20), (44, 16)]);
}

#[test]
fn dragging_the_window_loses_no_line() {
    for terminal in [WRAPPING, TRUNCATING, UNIDENTIFIED] {
        let mut scene = Scene::on(terminal, LONG);
        for cols in [57, 52, 49, 43, 38, 33, 36, 44, 50, 58, 63] {
            scene.rig.resize(cols, 18);
            scene.send(2);
            scene.rig.run_for(Duration::from_millis(40));
        }
        // A leftover of the typed line is allowed: the window changes again before the program learns of the first change.
        let _leftover = scene.end();
    }
}

#[test]
fn keys_typed_while_the_window_is_resizing_are_not_lost() {
    for terminal in [WRAPPING, TRUNCATING] {
        let mut scene = Scene::on(terminal, LONG);
        scene.rig.resize(40, 18);
        // Ctrl-E goes to the end of the line.
        scene.rig.keys("\x05 and more");
        scene.send(5);
        (scene.before, scene.after) = (
            "0123456789012345678901234567890123456789가나다라마바사아자차\
             카타파하0123456789012345678901234567890123456789 and more",
            "",
        );
        assert_eq!(scene.end(), None);
    }
}
