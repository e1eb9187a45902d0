//! While lines come in and half a line is typed, the window changes: the typed line goes on below all others, and of those
//! none is lost.

use std::time::Duration;

use fastrand::Rng;

use crate::host::{NAME, OPENING};
use crate::model::{New, breaking, cutting, secretive};
use crate::picture::{Fault, squeezed_start};
use crate::rig::Rig;
use crate::seeded;

/// Of a line that a terminal cut, this much is left in the narrowest window: `kim:017`.
const FIRST_CHARACTERS: usize = 7;

/// A person, and those who talk meanwhile.
struct Scene {
    rig: Rig,
    rng: Rng,
    said: Vec<String>,
    before: &'static str,
    after: &'static str,
    /// What is certainly left of a line.
    first: Option<usize>,
}

impl Scene {
    /// Types `before` and `after` on a screen full of lines, and stands between them.
    fn on(terminal: New, first: Option<usize>, texts: [&'static str; 2]) -> Self {
        let [before, after] = texts;
        let mut scene = Self {
            rig: Rig::new(terminal(60, 14)),
            rng: seeded(),
            said: OPENING.map(str::to_owned).to_vec(),
            before,
            after,
            first,
        };
        scene.talk(30);
        scene.rig.keys(&format!("{before}{after}"));
        for _ in after.chars() {
            scene.rig.keys("\x1b[D");
        }
        scene.rest();
        scene
    }

    fn breaking(texts: [&'static str; 2]) -> Self {
        Self::on(breaking, None, texts)
    }

    /// On a terminal that says that it is an xterm, and cuts.
    fn cutting(texts: [&'static str; 2]) -> Self {
        Self::on(cutting, Some(FIRST_CHARACTERS), texts)
    }

    /// On one that does not say what it does.
    fn secretive(texts: [&'static str; 2]) -> Self {
        Self::on(secretive, Some(FIRST_CHARACTERS), texts)
    }

    fn talk(&mut self, lines: usize) {
        for _ in 0..lines {
            let number = self.said.len();
            let line = match number % 3 {
                0 => format!("kim: {number:03} hello"),
                1 => format!("lee: {number:03} {}", "x".repeat(number % 80)),
                _ => format!(
                    "lee: {number:03} {}",
                    "마당에 오신 것을 ".repeat(3).trim_end()
                ),
            };
            self.rig.say(&line);
            self.said.push(line);
            let gap = Duration::from_micros(self.rng.u64(0..6000));
            self.rig.pass(gap);
        }
    }

    /// All that was said is shown, and what was typed.
    fn rest(&mut self) {
        // Of a line that is cut in the moment in which it is shown, this much is left.
        let last = squeezed_start(&self.said[self.said.len() - 1], self.first);
        self.rig.until_shown(&last);
        self.rig.until_typed(self.before, self.after);
    }

    /// Enter sends what is typed; what remains of it on the screen.
    fn end(mut self) -> Option<String> {
        self.rest();
        let line = [self.before, self.after].concat();
        self.rig.keys("\r");
        self.rig.until_heard(&[&line]);
        self.said.push(format!("{NAME}: {line}"));
        (self.before, self.after) = ("", "");
        self.rest();
        match self.rig.picture().judge(&self.said, self.first) {
            Ok(()) => None,
            Err(Fault::Remains(rows)) => Some(rows),
            Err(Fault::Lost(line)) => panic!("{line:?} is lost or broken"),
        }
    }
}

/// One change after the other, each when all is shown; more lines come at once.
fn change(mut scene: Scene, windows: &[(u16, u16)]) {
    for &(cols, rows) in windows {
        scene.talk(10);
        scene.rest();
        scene.rig.resize(cols, rows);
        scene.talk(15);
    }
    assert_eq!(scene.end(), None, "the typed line left rows behind");
}

const SHORT: [&str; 2] = ["half a line, ", "and its end"];
const LONG: [&str; 2] = [
    "0123456789012345678901234567890123456789가나다라마바사아자차",
    "카타파하0123456789012345678901234567890123456789",
];

#[test]
fn a_short_line_stays_whole_in_any_window() {
    let windows = [(30, 10), (70, 10), (50, 16), (20, 8), (40, 12)];
    change(Scene::breaking(SHORT), &windows);
    change(Scene::cutting(SHORT), &windows);
}

#[test]
fn a_line_of_several_rows_stays_whole_in_a_narrower_window() {
    change(Scene::breaking(LONG), &[(41, 14)]);
    change(Scene::cutting(LONG), &[(41, 14)]);
}

#[test]
fn a_line_of_several_rows_stays_whole_in_a_wider_window() {
    change(Scene::breaking(LONG), &[(75, 14)]);
    change(Scene::cutting(LONG), &[(75, 14)]);
}

#[test]
fn a_line_of_several_rows_stays_whole_in_any_window() {
    let windows = [(31, 16), (60, 18), (25, 20), (44, 16)];
    change(Scene::breaking(LONG), &windows);
    change(Scene::cutting(LONG), &windows);
}

#[test]
fn a_window_that_is_drawn_to_its_size_loses_no_line() {
    let scenes = [Scene::breaking, Scene::cutting, Scene::secretive];
    for mut scene in scenes.map(|scene| scene(LONG)) {
        for cols in [57, 52, 49, 43, 38, 33, 36, 44, 50, 58, 63] {
            scene.rig.resize(cols, 18);
            scene.talk(2);
            scene.rig.pass(Duration::from_millis(40));
        }
        // That something of the typed line remains above can't be avoided: the window changes again before anybody looks.
        let _remains = scene.end();
    }
}

#[test]
fn what_is_typed_while_the_window_settles_is_not_lost() {
    for mut scene in [Scene::breaking(LONG), Scene::cutting(LONG)] {
        scene.rig.resize(40, 18);
        // At the end of the line, so that the whole line is what it was and more.
        scene.rig.keys("\x05 and more");
        scene.talk(5);
        (scene.before, scene.after) = (
            "0123456789012345678901234567890123456789가나다라마바사아자차\
             카타파하0123456789012345678901234567890123456789 and more",
            "",
        );
        assert_eq!(scene.end(), None);
    }
}
