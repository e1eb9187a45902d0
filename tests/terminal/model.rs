//! Models of terminals, by two libraries: bytes go in, cells and answers come out. They differ in what a narrower window
//! does to a row, as real terminals do. No pty here, and nothing of the program.

use std::cell::RefCell;
use std::num::NonZeroU16;
use std::rc::Rc;

use alacritty_terminal::event::{Event, EventListener};
use alacritty_terminal::grid::Dimensions;
use alacritty_terminal::index::{Column, Line};
use alacritty_terminal::term::cell::Flags;
use alacritty_terminal::term::{Config, Osc52, Term, TermMode};
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
    /// The terminal's modes, as its library prints them.
    fn modes(&self) -> String;
    /// Returns the answers to queries, which a terminal types by itself.
    fn take_answers(&mut self) -> Vec<u8>;
    /// What the terminal did besides showing text and answering: title, bell, clipboard.
    fn effects(&self) -> Vec<String>;
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
    let events = Events::default();
    // Programs may use the clipboard, so that a test can see whether an attack on it succeeds.
    let config = Config {
        scrolling_history: SCROLLBACK_ROWS,
        osc52: Osc52::CopyPaste,
        ..Config::default()
    };
    Box::new(Wrapping {
        term: Term::new(config, &Size(cols, rows), events.clone()),
        parser: Processor::new(),
        events,
    })
}

struct Wrapping {
    term: Term<Events>,
    parser: Processor,
    events: Events,
}

#[derive(Clone, Default)]
struct Events(Rc<RefCell<Vec<Event>>>);

impl EventListener for Events {
    fn send_event(&self, event: Event) {
        self.0.borrow_mut().push(event);
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
        (
            grid.history_size() + point.line.0 as usize,
            point.column.0 + past,
        )
    }

    fn brackets_pastes(&self) -> bool {
        self.term.mode().contains(TermMode::BRACKETED_PASTE)
    }

    fn modes(&self) -> String {
        format!("{:?}", self.term.mode())
    }

    fn take_answers(&mut self) -> Vec<u8> {
        let mut answers = Vec::new();
        self.events.0.borrow_mut().retain(|event| match event {
            Event::PtyWrite(text) => {
                answers.extend_from_slice(text.as_bytes());
                false
            }
            _ => true,
        });
        answers
    }

    fn effects(&self) -> Vec<String> {
        let events = self.events.0.borrow();
        let inner = |event: &&Event| matches!(event, Event::MouseCursorDirty | Event::Wakeup);
        let effects = events.iter().filter(|event| !inner(event));
        effects.map(|event| format!("{event:?}")).collect()
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
    let recorder = Recorder {
        identity,
        ..Recorder::default()
    };
    Box::new(Truncating {
        parser: vt100::Parser::new_with_callbacks(rows, cols, SCROLLBACK_ROWS, recorder),
    })
}

struct Truncating {
    parser: vt100::Parser<Recorder>,
}

fn nonzero(count: u16) -> NonZeroU16 {
    NonZeroU16::new(count).expect("a window has cells")
}

/// Records what the terminal did besides showing text, and answers queries.
#[derive(Default)]
struct Recorder {
    /// The answer to `CSI > c`.
    identity: &'static [u8],
    answers: Vec<u8>,
    effects: Vec<String>,
}

impl vt100::Callbacks for Recorder {
    /// The library answers no queries. Those that the program sends are answered here.
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
        } else {
            self.effects.push(format!("CSI {params:?} {last}"));
        }
    }

    /// The library does not show U+FFFD.
    fn unhandled_char(&mut self, _: &mut vt100::Screen, c: char) {
        if c != char::REPLACEMENT_CHARACTER {
            self.effects.push(format!("{c:?}"));
        }
    }

    fn unhandled_control(&mut self, _: &mut vt100::Screen, byte: u8) {
        self.effects.push(format!("control {byte:#x}"));
    }

    fn unhandled_escape(&mut self, _: &mut vt100::Screen, _: Option<u8>, _: Option<u8>, byte: u8) {
        self.effects.push(format!("ESC {}", char::from(byte)));
    }

    fn unhandled_osc(&mut self, _: &mut vt100::Screen, params: &[&[u8]]) {
        self.effects.push(format!("OSC {params:?}"));
    }

    fn audible_bell(&mut self, _: &mut vt100::Screen) {
        self.effects.push("bell".to_owned());
    }

    fn resize(&mut self, _: &mut vt100::Screen, size: (u16, u16)) {
        self.effects.push(format!("size {size:?}"));
    }

    fn set_window_title(&mut self, _: &mut vt100::Screen, title: &[u8]) {
        self.effects.push(format!("title {}", title.escape_ascii()));
    }

    fn copy_to_clipboard(&mut self, _: &mut vt100::Screen, _: &[u8], data: &[u8]) {
        self.effects.push(format!("copied {}", data.escape_ascii()));
    }

    fn paste_from_clipboard(&mut self, _: &mut vt100::Screen, _: &[u8]) {
        self.effects.push("pasted".to_owned());
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

    fn modes(&self) -> String {
        let screen = self.parser.screen();
        format!(
            "{:?}, alternate screen {}, cursor hidden {} {:?}",
            screen.input_mode_formatted(),
            screen.alternate_screen(),
            screen.hide_cursor(),
            screen.cursor_style()
        )
    }

    fn take_answers(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.parser.callbacks_mut().answers)
    }

    fn effects(&self) -> Vec<String> {
        self.parser.callbacks().effects.clone()
    }
}

fn row_of(screen: &vt100::Screen, number: u16, cols: u16) -> Row {
    let mut row = Row {
        wrapped: screen.row_wrapped(number),
        ..Row::default()
    };
    for col in 0..cols {
        let Some(cell) = screen.cell(number, col) else {
            continue;
        };
        // The last column stays empty when the wide character after it did not fit.
        let is_skipped = row.wrapped && col + 1 == cols && !cell.has_contents();
        if !cell.is_wide_continuation() && !is_skipped {
            let blank = if cell.has_contents() {
                cell.contents()
            } else {
                " "
            };
            row.push(col.into(), blank);
        }
    }
    row
}
