//! Models of terminals, by two libraries: bytes go in, cells and answers come out. They differ in what a narrower window
//! does to a row, as real terminals do. No pty here, and nothing of the program.

use std::cell::RefCell;
use std::num::NonZeroU16;
use std::rc::Rc;

use alacritty_terminal::event::{Event, EventListener};
use alacritty_terminal::grid::Dimensions;
use alacritty_terminal::index::{Column, Line};
use alacritty_terminal::term::cell::Flags;
use alacritty_terminal::term::{Config, Term, TermMode};
use alacritty_terminal::vte::ansi::Processor;

/// Rows that are kept: more than any test writes.
const SCROLLBACK_ROWS: usize = 20_000;

/// Makes a terminal with this many columns and rows.
pub(crate) type NewModel = fn(u16, u16) -> Box<dyn Model>;

/// A terminal.
pub(crate) trait Model {
    /// Columns and rows.
    fn size(&self) -> (u16, u16);
    /// Takes bytes that the program wrote.
    fn feed(&mut self, bytes: &[u8]);
    fn resize(&mut self, cols: u16, rows: u16);
    /// The rows of the scrollback and the screen.
    fn rows(&mut self) -> Vec<Row>;
    /// The cursor's row in `rows()` and its column, which may be one past the margin.
    fn cursor(&mut self) -> (usize, usize);
    /// Whether bracketed paste is switched on.
    fn brackets_pastes(&self) -> bool;
    /// Returns the answers to queries, which a terminal types by itself.
    fn take_answers(&mut self) -> Vec<u8>;
}

/// One row of cells.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    /// The text of all cells, blanks included. The second half of a wide character has none.
    pub(crate) text: String,
    /// Each cell's column and the byte of `text` where the cell ends.
    ends: Vec<(usize, usize)>,
    /// The terminal wrapped the line: it goes on in the next row.
    pub(crate) wrapped: bool,
}

impl Row {
    fn push(&mut self, col: usize, text: &str) {
        self.text.push_str(text);
        self.ends.push((col, self.text.len()));
    }

    /// The text before a column.
    pub(crate) fn before(&self, col: usize) -> &str {
        let before = self.ends.iter().take_while(|(at, _)| *at < col).last();
        &self.text[..before.map_or(0, |&(_, end)| end)]
    }
}

/// A terminal that wraps rows again when its window changes, as most do.
pub(crate) fn wrapping(cols: u16, rows: u16) -> Box<dyn Model> {
    let answers = Answers::default();
    let config = Config {
        scrolling_history: SCROLLBACK_ROWS,
        ..Config::default()
    };
    Box::new(Wrapping {
        term: Term::new(config, &Size(cols, rows), answers.clone()),
        parser: Processor::new(),
        answers,
    })
}

struct Wrapping {
    term: Term<Answers>,
    parser: Processor,
    answers: Answers,
}

#[derive(Clone, Default)]
struct Answers(Rc<RefCell<Vec<u8>>>);

impl EventListener for Answers {
    fn send_event(&self, event: Event) {
        if let Event::PtyWrite(text) = event {
            self.0.borrow_mut().extend(text.bytes());
        }
    }
}

struct Size(u16, u16);

impl Dimensions for Size {
    fn total_lines(&self) -> usize {
        self.1.into()
    }
    fn screen_lines(&self) -> usize {
        self.1.into()
    }
    fn columns(&self) -> usize {
        self.0.into()
    }
}

impl Model for Wrapping {
    fn size(&self) -> (u16, u16) {
        (self.term.columns() as u16, self.term.screen_lines() as u16)
    }

    fn feed(&mut self, bytes: &[u8]) {
        self.parser.advance(&mut self.term, bytes);
    }

    fn resize(&mut self, cols: u16, rows: u16) {
        self.term.resize(Size(cols, rows));
    }

    fn rows(&mut self) -> Vec<Row> {
        let grid = self.term.grid();
        let lines = -(grid.history_size() as i32)..grid.screen_lines() as i32;
        let spacers = Flags::WIDE_CHAR_SPACER | Flags::LEADING_WIDE_CHAR_SPACER;
        let row = |line| {
            let cells = &grid[Line(line)];
            let mut row = Row::default();
            for col in 0..grid.columns() {
                let cell = &cells[Column(col)];
                if !cell.flags.intersects(spacers) {
                    let mut text = String::from(cell.c);
                    text.extend(cell.zerowidth().unwrap_or_default());
                    row.push(col, &text);
                }
            }
            let last = &cells[Column(grid.columns() - 1)];
            row.wrapped = last.flags.contains(Flags::WRAPLINE);
            row
        };
        lines.map(row).collect()
    }

    fn cursor(&mut self) -> (usize, usize) {
        let grid = self.term.grid();
        let point = grid.cursor.point;
        let past = usize::from(grid.cursor.input_needs_wrap);
        let row = grid.history_size() + point.line.0 as usize;
        (row, point.column.0 + past)
    }

    fn brackets_pastes(&self) -> bool {
        self.term.mode().contains(TermMode::BRACKETED_PASTE)
    }

    fn take_answers(&mut self) -> Vec<u8> {
        self.answers.0.take()
    }
}

/// A terminal that truncates rows in a narrower window, as xterm does.
pub(crate) fn truncating(cols: u16, rows: u16) -> Box<dyn Model> {
    truncating_as(b"\x1b[>41;390;0c", cols, rows)
}

/// A truncating terminal that does not identify itself, as st.
pub(crate) fn unidentified(cols: u16, rows: u16) -> Box<dyn Model> {
    truncating_as(b"", cols, rows)
}

fn truncating_as(identity: &'static [u8], cols: u16, rows: u16) -> Box<dyn Model> {
    let (cols, rows) = (nonzero(cols), nonzero(rows));
    let answers = Vec::new();
    let answerer = Answerer { identity, answers };
    Box::new(Truncating {
        parser: vt100::Parser::new_with_callbacks(rows, cols, SCROLLBACK_ROWS, answerer),
    })
}

struct Truncating {
    parser: vt100::Parser<Answerer>,
}

fn nonzero(count: u16) -> NonZeroU16 {
    NonZeroU16::new(count).expect("a window has cells")
}

/// Answers the queries that the program sends: the library answers none.
struct Answerer {
    /// The answer to `CSI > c`.
    identity: &'static [u8],
    answers: Vec<u8>,
}

impl vt100::Callbacks for Answerer {
    fn unhandled_csi(
        &mut self,
        screen: &mut vt100::Screen,
        first: Option<u8>,
        _: Option<u8>,
        params: &[&[u16]],
        last: char,
    ) {
        if let (Some(b'>'), [[0]], 'c') = (first, params, last) {
            self.answers.extend_from_slice(self.identity);
        } else if let (None, [[6]], 'n') = (first, params, last) {
            let (row, col) = screen.cursor_position();
            let (_, cols) = screen.size();
            let answer = format!("\x1b[{};{}R", row + 1, (col + 1).min(cols.get()));
            self.answers.extend_from_slice(answer.as_bytes());
        }
    }
}

impl Model for Truncating {
    fn size(&self) -> (u16, u16) {
        let (rows, cols) = self.parser.screen().size();
        (cols.get(), rows.get())
    }

    fn feed(&mut self, bytes: &[u8]) {
        self.parser.process(bytes);
    }

    fn resize(&mut self, cols: u16, rows: u16) {
        let screen = self.parser.screen_mut();
        screen.set_size(nonzero(rows), nonzero(cols));
    }

    fn rows(&mut self) -> Vec<Row> {
        let (cols, height) = self.size();
        let screen = self.parser.screen_mut();
        screen.set_scrollback(usize::MAX);
        let mut above = screen.scrollback();
        let mut rows = Vec::new();
        // The library gives access to one window of rows: read the scrollback page by page, then the screen.
        while above > 0 {
            let page = above.min(height.into());
            screen.set_scrollback(above);
            rows.extend((0..page as u16).map(|row| row_of(screen, row, cols)));
            above -= page;
        }
        screen.set_scrollback(0);
        rows.extend((0..height).map(|row| row_of(screen, row, cols)));
        rows
    }

    fn cursor(&mut self) -> (usize, usize) {
        let screen = self.parser.screen_mut();
        screen.set_scrollback(usize::MAX);
        let above = screen.scrollback();
        screen.set_scrollback(0);
        let (row, col) = screen.cursor_position();
        (above + usize::from(row), col.into())
    }

    fn brackets_pastes(&self) -> bool {
        self.parser.screen().bracketed_paste()
    }

    fn take_answers(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.parser.callbacks_mut().answers)
    }
}

fn row_of(screen: &vt100::Screen, number: u16, cols: u16) -> Row {
    let mut row = Row {
        wrapped: screen.row_wrapped(number),
        ..Row::default()
    };
    for col in 0..cols {
        let cell = screen.cell(number, col).expect("within the window");
        // The last column stays empty when the wide character after it did not fit.
        let is_skipped = row.wrapped && col + 1 == cols && !cell.has_contents();
        if !cell.is_wide_continuation() && !is_skipped {
            let text = Some(cell.contents()).filter(|text| !text.is_empty());
            row.push(col.into(), text.unwrap_or(" "));
        }
    }
    row
}
