//! Random events for `madang::join::ui::screen`, without a pty: each seed is a series of received lines, edits and window
//! changes. The order of the program's and the terminal's steps is random too. What the screen writes goes to the models.

use fastrand::Rng;
use madang::join::ui::cells::layout;
use madang::join::ui::keys::{Key, KeyDecoder};
use madang::join::ui::line_editor::{Insert, LineEditor};
use madang::join::ui::screen::{Screen, View};

use crate::model::{Model, NewModel, truncating, unidentified, wrapping};
use crate::number_from;
use crate::picture::{Fault, PROMPT, Picture, without_blanks};

/// With changing windows, one of this many seeds may leave a part of the typed line: a window that changes twice before the
/// program learns of the first change can put the cursor into a column that nothing explains.
const SEEDS_PER_LEFTOVER: usize = 300;

/// Longest typed line, so that all of it is visible in the smallest window.
const TYPED_COLUMNS_MAX: usize = 60;

/// All terminals agree on the widths of these.
const EXACT: &[&str] = &["a", "한글", "bcdef", "word ", "마당"];
/// Terminals disagree on the widths of some of these.
const ANY: &[&str] = &["a", "한글", "👩‍👩‍👧", "e\u{301}", "🇰🇷", "word ", "❤\u{fe0f}"];

/// What may happen in a run.
#[derive(Clone, Copy)]
struct Scenario {
    terminal: NewModel,
    /// Whether the terminal truncates rows in a narrower window.
    truncates: bool,
    /// What lines consist of.
    pieces: &'static [&'static str],
    /// Whether the window changes.
    resizes: bool,
}

/// The program and its terminal.
struct Simulation {
    terminal: Box<dyn Model>,
    screen: Screen,
    line: LineEditor,
    keys: KeyDecoder,
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

impl Simulation {
    fn new(scenario: Scenario, rng: &mut Rng) -> Simulation {
        let (cols, rows) = window(rng);
        let mut simulation = Simulation {
            terminal: (scenario.terminal)(cols, rows),
            screen: Screen::new(cols.into(), rows.into()),
            line: LineEditor::default(),
            keys: KeyDecoder::default(),
            printed: Vec::new(),
        };
        // Fill the screen: before it is full, a terminal may push the start of the typed line into the scrollback, where
        // the cursor cannot go.
        for number in 0..80 {
            simulation.print(format!("first {number:03}"));
        }
        simulation.show();
        simulation
    }

    /// The program does this before anything else.
    fn update_size(&mut self) {
        let (cols, rows) = self.terminal.size();
        self.screen.resize(cols.into(), rows.into());
    }

    fn print(&mut self, line: String) {
        self.update_size();
        self.screen.print(&line);
        self.printed.push(line);
    }

    /// The program's step.
    fn draw(&mut self) {
        self.update_size();
        self.screen.draw(View {
            prompt: PROMPT,
            text: self.line.text(),
            cursor: self.line.cursor(),
        });
    }

    /// The terminal's step: takes all that was written, and answers.
    fn show(&mut self) {
        let bytes = self.screen.output().to_vec();
        self.terminal.feed(&bytes);
        self.screen.written(bytes.len());
        let answers = self.keys.feed(&self.terminal.take_answers());
        self.update_size();
        for answer in answers {
            match answer {
                Key::CursorAt(_, column) => self.screen.cursor_at(column),
                Key::Terminal(model, version) => self.screen.identified(model, version),
                other => panic!("{other:?} is not an answer"),
            }
        }
    }

    fn step(&mut self, scenario: Scenario, rng: &mut Rng, number: usize) {
        match rng.u8(0..10) {
            0..4 => self.print(format!("{number:03} {}", some_text(rng, scenario.pieces))),
            4..6 => {
                let text = some_text(rng, scenario.pieces);
                assert_eq!(self.line.insert(&text), Insert::Done);
                while columns(self.line.text()) > TYPED_COLUMNS_MAX {
                    self.line.end();
                    self.line.backspace();
                }
            }
            6 => (0..rng.usize(..20)).for_each(|_| self.line.left()),
            7 => self.line.cut_to_end(),
            8 if scenario.resizes => {
                // What bytes written for one window do in another is undefined.
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
            self.screen.ask_cursor();
        }
        if rng.bool() {
            self.show();
        }
    }

    /// Runs until nothing changes any more.
    fn finish(&mut self) {
        for _ in 0..4 {
            self.draw();
            self.screen.ask_cursor();
            self.show();
        }
        assert!(!self.screen.is_resizing());
    }
}

/// The columns that a text needs.
fn columns(text: &str) -> usize {
    let layout = layout("", text, 0, usize::MAX);
    layout.rows.iter().flatten().map(|cell| cell.width).sum()
}

/// Runs one seed. Returns whether a part of the typed line was left above it.
fn run_seed(scenario: Scenario, seed: u64) -> bool {
    let mut rng = Rng::with_seed(seed);
    let mut simulation = Simulation::new(scenario, &mut rng);
    for number in 0..rng.usize(5..60) {
        simulation.step(scenario, &mut rng, number);
    }
    simulation.finish();
    let picture = Picture::of(&mut *simulation.terminal);
    let (before, after) = simulation.line.text().split_at(simulation.line.cursor());
    let typed = Some((without_blanks(before), without_blanks(after)));
    let context = format!("MADANG_TERMINAL_SEED={seed}, the terminal shows\n{picture}");
    assert_eq!(picture.typed(), typed, "the typed line: {context}");
    // The first characters of a line that the terminal truncated are left.
    let first = (scenario.resizes && scenario.truncates).then_some(6);
    match picture.check_lines(&simulation.printed, first) {
        Ok(()) => false,
        Err(Fault::Leftover(what)) => {
            println!("{what:?} is left over: {context}");
            true
        }
        Err(Fault::Missing(line)) => panic!("{line:?} is missing or damaged: {context}"),
    }
}

fn run(scenario: Scenario) {
    let seeds = match number_from("MADANG_TERMINAL_SEED") {
        Some(seed) => seed..=seed,
        None => 1..=number_from("MADANG_TERMINAL_SEEDS").unwrap_or(300),
    };
    let count = seeds.clone().count();
    let allowed = usize::from(scenario.resizes) * count / SEEDS_PER_LEFTOVER;
    let leftovers = seeds.filter(|&seed| run_seed(scenario, seed)).count();
    assert!(leftovers <= allowed, "{leftovers} of {count} seeds");
}

const WRAPPING: Scenario = Scenario {
    terminal: wrapping,
    truncates: false,
    pieces: ANY,
    resizes: false,
};

const TRUNCATING: Scenario = Scenario {
    terminal: truncating,
    truncates: true,
    ..WRAPPING
};

const TRUNCATING_RESIZES: Scenario = Scenario {
    pieces: EXACT,
    resizes: true,
    ..TRUNCATING
};

#[test]
fn random_lines_and_edits_on_a_wrapping_terminal() {
    run(WRAPPING);
}

#[test]
fn random_lines_and_edits_on_a_truncating_terminal() {
    run(TRUNCATING);
}

#[test]
fn random_window_sizes_on_a_wrapping_terminal() {
    run(Scenario {
        resizes: true,
        ..WRAPPING
    });
}

#[test]
fn random_window_sizes_on_a_truncating_terminal() {
    run(TRUNCATING_RESIZES);
}

/// What this terminal does with rows is not known, but no line may be lost.
#[test]
fn random_window_sizes_on_an_unidentified_terminal() {
    run(Scenario {
        terminal: unidentified,
        ..TRUNCATING_RESIZES
    });
}
