//! The bytes that `madang::join::screen` wants written, on both terminals, without a pty: each seed is a series of lines
//! that come in, edits and windows, with every turn of the program and of the terminal drawn by lot.
//!
//! `MADANG_TERMINAL_SEEDS=n` runs more seeds, `MADANG_TERMINAL_SEED=n` one.

use fastrand::Rng;
use madang::join::edit::{Edit, Insert};
use madang::join::keys::{Key, Keys};
use madang::join::screen::{Screen, View};

use crate::model::{Model, New, breaking, cutting, secretive};
use crate::number_from;
use crate::picture::{Fault, PROMPT, Picture, squeeze};

/// Of so many series with changing windows, one may leave remains of the typed line: a window that changes twice before
/// the program looks can put the cursor where nothing explains it.
const SERIES_A_REMAINS: usize = 300;

/// What is typed is cut to so many columns, so that all of it is visible in the smallest window.
const TYPED_COLUMNS_MAX: usize = 60;

/// Every terminal knows how wide these are.
const SURE: &[&str] = &["a", "한글", "bcdef", "word ", "마당"];
/// Terminals disagree on some of these.
const ANY: &[&str] = &["a", "한글", "👩‍👩‍👧", "e\u{301}", "🇰🇷", "word ", "❤\u{fe0f}"];

/// What a series is drawn from.
#[derive(Clone, Copy)]
struct Play {
    terminal: New,
    /// In a narrower window it cuts its rows.
    cuts: bool,
    /// What lines are made of.
    pieces: &'static [&'static str],
    /// The window changes.
    windows: bool,
}

/// Program and terminal, with a queue of bytes each way.
struct World {
    terminal: Box<dyn Model>,
    screen: Screen,
    edit: Edit,
    keys: Keys,
    printed: Vec<String>,
}

fn window(rng: &mut Rng) -> (u16, u16) {
    (rng.u16(16..60), rng.u16(12..24))
}

fn some_text(rng: &mut Rng, pieces: &[&str]) -> String {
    let count = rng.usize(1..30);
    let mut piece = || pieces[rng.usize(..pieces.len())];
    (0..count).map(|_| piece()).collect()
}

impl World {
    fn new(play: Play, rng: &mut Rng) -> World {
        let (cols, rows) = window(rng);
        let mut world = World {
            terminal: (play.terminal)(cols, rows),
            screen: Screen::new(cols.into(), rows.into()),
            edit: Edit::default(),
            keys: Keys::default(),
            printed: Vec::new(),
        };
        // A full screen: while one is not full, terminals may push the area's start into the scrollback, out of reach.
        for number in 0..80 {
            world.print(format!("first {number:03}"));
        }
        world.show();
        world
    }

    /// Asked before anything else is done, as the program does.
    fn ask_size(&mut self) {
        let (cols, rows) = self.terminal.size();
        self.screen.resize(cols.into(), rows.into());
    }

    fn print(&mut self, line: String) {
        self.ask_size();
        self.screen.print(&line);
        self.printed.push(line);
    }

    /// The program's turn.
    fn draw(&mut self) {
        self.ask_size();
        self.screen.draw(View {
            prompt: PROMPT,
            text: self.edit.text(),
            cursor: self.edit.cursor(),
        });
    }

    /// The terminal's turn: it takes all that was written, and answers.
    fn show(&mut self) {
        let bytes = self.screen.output().to_vec();
        self.terminal.feed(&bytes);
        self.screen.written(bytes.len());
        let mut answers = Vec::new();
        let answered = self.terminal.take_answers();
        self.keys.feed(&answered, |key| answers.push(key));
        self.ask_size();
        for answer in answers {
            match answer {
                Key::CursorAt(_, column) => self.screen.cursor_at(column),
                Key::Terminal(model, version) => self.screen.identified(model, version),
                other => panic!("{other:?} is no answer"),
            }
        }
    }

    fn step(&mut self, play: Play, rng: &mut Rng, number: usize) {
        match rng.u8(0..10) {
            0..4 => self.print(format!("{number:03} {}", some_text(rng, play.pieces))),
            4..6 => {
                let text = some_text(rng, play.pieces);
                assert_eq!(self.edit.insert(&text), Insert::Done);
                while columns(self.edit.text()) > TYPED_COLUMNS_MAX {
                    self.edit.end();
                    self.edit.backspace();
                }
            }
            6 => (0..rng.usize(..20)).for_each(|_| self.edit.left()),
            7 => self.edit.cut_to_end(),
            8 if play.windows => {
                // What is written for a window and shown in another can't be foreseen by anybody.
                while !self.screen.output().is_empty() {
                    self.show();
                }
                let (cols, rows) = window(rng);
                self.terminal.resize(cols, rows);
            }
            _ => {}
        }
        if rng.bool() {
            self.draw();
        }
        if rng.u8(0..3) == 0 {
            self.screen.still();
        }
        if rng.bool() {
            self.show();
        }
    }

    /// Both come to rest.
    fn settle(&mut self) {
        for _ in 0..4 {
            self.draw();
            self.screen.still();
            self.show();
        }
        assert!(!self.screen.is_settling());
    }
}

/// The columns that are reserved for a text.
fn columns(text: &str) -> usize {
    let layout = madang::join::cells::layout("", text, 0, usize::MAX);
    layout.rows.iter().flatten().map(|cell| cell.width).sum()
}

/// Plays one seed; whether remains of the typed line were left above it.
fn series(play: Play, seed: u64) -> bool {
    let mut rng = Rng::with_seed(seed);
    let mut world = World::new(play, &mut rng);
    for number in 0..rng.usize(5..60) {
        world.step(play, &mut rng, number);
    }
    world.settle();
    let picture = Picture::of(&mut *world.terminal);
    let (before, after) = world.edit.text().split_at(world.edit.cursor());
    let typed = Some((squeeze(before), squeeze(after)));
    let told = format!("MADANG_TERMINAL_SEED={seed}, there is\n{picture}");
    assert_eq!(picture.typed(), typed, "the typed line: {told}");
    // What the terminal itself cut still begins as it did.
    let first = (play.windows && play.cuts).then_some(6);
    match picture.judge(&world.printed, first) {
        Ok(()) => false,
        Err(Fault::Remains(what)) => {
            println!("{what:?} remains: {told}");
            true
        }
        Err(Fault::Lost(line)) => panic!("{line:?} is lost or broken: {told}"),
    }
}

fn play(play: Play) {
    let seeds = match number_from("MADANG_TERMINAL_SEED") {
        Some(seed) => seed..=seed,
        None => 1..=number_from("MADANG_TERMINAL_SEEDS").unwrap_or(300),
    };
    let count = seeds.clone().count();
    let allowed = if play.windows {
        count / SERIES_A_REMAINS
    } else {
        0
    };
    let remains = seeds.filter(|&seed| series(play, seed)).count();
    assert!(remains <= allowed, "remains in {remains} of {count} series");
}

const BREAKING: Play = Play {
    terminal: breaking,
    cuts: false,
    pieces: ANY,
    windows: false,
};

const CUTTING: Play = Play {
    terminal: cutting,
    cuts: true,
    ..BREAKING
};

#[test]
fn any_lines_and_edits_on_a_terminal_that_breaks() {
    play(BREAKING);
}

#[test]
fn any_lines_and_edits_on_a_terminal_that_cuts() {
    play(CUTTING);
}

#[test]
fn any_windows_on_a_terminal_that_breaks() {
    play(Play {
        windows: true,
        ..BREAKING
    });
}

#[test]
fn any_windows_on_a_terminal_that_cuts() {
    play(Play {
        windows: true,
        pieces: SURE,
        ..CUTTING
    });
}

/// Nobody knows what it does, so remains of the typed line may stay; but no line is lost.
#[test]
fn any_windows_on_a_terminal_that_does_not_tell() {
    play(Play {
        terminal: secretive,
        windows: true,
        pieces: SURE,
        ..CUTTING
    });
}
