//! What to write to a terminal so that the line being typed stays below the lines that come in. A state machine: lines,
//! the typed line, sizes and the terminal's answers in; bytes out. No I/O, no clock.
//!
//! The rules, on which all else rests:
//!
//! 1. The typed line is an *area* of rows at the bottom of what was written. Nothing absolute is ever used: all that is
//!    known is in which of the area's rows, and at which column, the cursor stands.
//! 2. The area's rows are broken here, one column before the margin, and end with CR LF. So the terminal never wraps them,
//!    its "pending wrap" at the margin never arises, and the cursor may stand behind a full row.
//! 3. A line that comes in is written in place of the area, wrapped by the terminal itself (so it is copied as one line
//!    and breaks anew with the window) and ended with CR LF: whatever its width, the cursor is at the start of a fresh
//!    row, where the area is drawn again.
//! 4. The area has at most half of the screen's rows: the cursor can always reach its start.
//! 5. After a cluster on whose width terminals disagree, the cursor is put right by a column's number. The area is erased
//!    from its start before it is drawn, never in parts: half a wide character left behind confuses terminals.
//! 6. When the window becomes narrower than a row of the area, terminals differ: most break the row, some cut it. The
//!    column at which the cursor then stands tells (`CSI 6 n`). It is asked when the window has been still for a while,
//!    since an answer is worth nothing in another window; until it is known, nothing is written.

use super::cells::{Cell, Widths, broken, layout, widths};

/// Of bytes waiting for the terminal, so many are enough: [`Screen::is_full`].
pub const OUTPUT_BYTES_ENOUGH: usize = 256 * 1024;

/// What a terminal does with a row that is wider than its new width.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Reflow {
    /// Not known: where both would explain the cursor's column, it is taken as cut, since that takes less away.
    #[default]
    Unknown,
    /// Broken into several rows (most terminals).
    Breaks,
    /// Cut, or at least the cursor's row is (xterm, st, screen, PuTTY; xterm.js leaves the cursor's row alone).
    Cuts,
}

impl Reflow {
    /// What terminals are known to do that call themselves so ([`Key::Terminal`](super::keys::Key::Terminal)).
    fn of(model: u16, version: u16) -> Reflow {
        match (model, version) {
            // screen, PuTTY, xterm.
            (83, _) | (0, 136) | (19 | 41 | 64, ..1000) => Reflow::Cuts,
            // tmux, Terminal.app and older iTerm2, WezTerm; foot, kitty, Alacritty, iTerm2, VTE.
            (84, _) | (0 | 1, 95) | (1, 277) | (0 | 1 | 41 | 61 | 65, 1000..) => Reflow::Breaks,
            _ => Reflow::Unknown,
        }
    }
}

/// The line being typed.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// Before the text.
    pub prompt: &'a str,
    /// The text.
    pub text: &'a str,
    /// The cursor's byte in the text, between two clusters.
    pub cursor: usize,
}

/// The area as the terminal has it.
#[derive(Clone, Debug)]
struct Area {
    /// Each row's characters; at least one row.
    rows: Vec<Widths>,
    /// The cursor's row in the area (`0..rows.len()`) and its column.
    cursor: (usize, usize),
}

/// The window changed and the area's start is not known.
#[derive(Clone, Copy, Debug)]
struct Settling {
    /// Answers that are still to come; only the last one counts.
    answers: usize,
    /// The window has not changed since it was asked for the last time.
    asked: bool,
    /// The narrowest that the window was meanwhile: what is cut stays cut, what is broken is joined again.
    cols_min: usize,
}

/// A terminal's screen.
#[derive(Clone, Debug)]
pub struct Screen {
    /// At least 1.
    cols: usize,
    /// At least 1.
    rows: usize,
    /// `None`: the cursor stands at the start of a fresh row, with nothing below.
    area: Option<Area>,
    settling: Option<Settling>,
    reflow: Reflow,
    /// Lines that came while settling, each with its CR LF.
    held: Vec<u8>,
    /// What to write next.
    out: Vec<u8>,
    /// What the area was drawn with: drawing the same again writes nothing.
    drawn: Vec<u8>,
}

impl Screen {
    /// A screen whose cursor stands at the start of a row.
    pub fn new(cols: usize, rows: usize) -> Screen {
        Screen {
            cols: cols.max(1),
            rows: rows.max(1),
            area: None,
            settling: None,
            reflow: Reflow::Unknown,
            held: Vec::new(),
            out: Vec::new(),
            drawn: Vec::new(),
        }
    }

    /// Shows a line above the typed one. The line has no control characters but TAB and its colours (SGR).
    /// Call [`Screen::draw`] after the last of several.
    pub fn print(&mut self, line: &str) {
        let out = if self.settling.is_some() {
            &mut self.held
        } else {
            self.erase();
            &mut self.out
        };
        out.extend_from_slice(line.as_bytes());
        out.extend_from_slice(b"\r\n");
    }

    /// Draws the typed line; writes nothing if it is there already, or while the window settles.
    pub fn draw(&mut self, view: View<'_>) {
        if self.settling.is_some() {
            return;
        }
        let width = (self.cols - 1).max(1);
        let layout = layout(view.prompt, view.text, view.cursor, width);
        let height = (self.rows / 2).max(1);
        let first = (layout.cursor.0 + 1).saturating_sub(height);
        let rows = &layout.rows[first..layout.rows.len().min(first + height)];
        let cursor = (layout.cursor.0 - first, layout.cursor.1);

        let mut drawn = Vec::new();
        for (i, row) in rows.iter().enumerate() {
            if i > 0 {
                drawn.extend_from_slice(b"\r\n");
            }
            draw_row(row, &mut drawn);
        }
        up(rows.len() - 1 - cursor.0, &mut drawn);
        column(cursor.1, &mut drawn);
        if self.area.is_some() && self.drawn == drawn {
            return;
        }
        self.erase();
        self.out.extend_from_slice(&drawn);
        self.drawn = drawn;
        self.area = Some(Area {
            rows: rows
                .iter()
                .enumerate()
                .map(|(i, row)| widths(row, if i == cursor.0 { cursor.1 } else { 0 }))
                .collect(),
            cursor,
        });
    }

    /// The window has this size now. Returns whether something must be found out: then call [`Screen::still`] when the size
    /// has been the same for some 300 ms (tmux tells a program of a new size up to 250 ms late).
    pub fn resize(&mut self, cols: usize, rows: usize) -> bool {
        let (cols, rows) = (cols.max(1), rows.max(1));
        if (cols, rows) == (self.cols, self.rows) {
            return false;
        }
        (self.cols, self.rows) = (cols, rows);
        let Some(area) = &self.area else {
            return false;
        };
        let cols_min = self
            .settling
            .map_or(cols, |settling| settling.cols_min.min(cols));
        if self.settling.is_none() && area.start_if_broken(cols).above == area.cursor.0 {
            // No row above the cursor was broken: the start is where it was.
            self.erase();
            return false;
        }
        let answers = self.settling.map_or(0, |settling| settling.answers);
        self.settling = Some(Settling {
            answers,
            asked: false,
            cols_min,
        });
        true
    }

    /// The window has been still: asks the terminal where the cursor is, and before that, unless it is known, what kind of
    /// terminal it is. Call [`Screen::identified`] and [`Screen::cursor_at`] with its answers, or [`Screen::no_answer`] after
    /// some 500 ms without.
    pub fn still(&mut self) {
        if let Some(settling) = &mut self.settling
            && !settling.asked
        {
            settling.asked = true;
            settling.answers += 1;
            if self.reflow == Reflow::Unknown {
                self.out.extend_from_slice(b"\x1b[>c");
            }
            self.out.extend_from_slice(b"\x1b[6n");
        }
    }

    /// The terminal has told its model and version. Not all do.
    pub fn identified(&mut self, model: u16, version: u16) {
        if self.reflow == Reflow::Unknown {
            self.reflow = Reflow::of(model, version);
        }
    }

    /// The terminal's answer: the cursor's column, from 1.
    pub fn cursor_at(&mut self, column: u16) {
        let Some(settling) = &mut self.settling else {
            return;
        };
        settling.answers = settling.answers.saturating_sub(1);
        if settling.asked && settling.answers == 0 {
            self.settle(Some(usize::from(column.max(1)) - 1));
        }
    }

    /// The terminal did not answer in time.
    pub fn no_answer(&mut self) {
        if self.settling.is_some() {
            self.settle(None);
        }
    }

    /// An answer of the terminal is awaited.
    pub fn is_settling(&self) -> bool {
        self.settling.is_some()
    }

    /// Enough waits for the terminal: read no more lines until some of it is written.
    pub fn is_full(&self) -> bool {
        self.out.len() + self.held.len() >= OUTPUT_BYTES_ENOUGH
    }

    /// What to write next.
    pub fn output(&self) -> &[u8] {
        &self.out
    }

    /// So many bytes of it were written.
    pub fn written(&mut self, bytes: usize) {
        self.out.drain(..bytes);
    }

    /// Empties the screen (Ctrl-L).
    pub fn clear(&mut self) {
        if self.settling.is_none() {
            // Terminals keep what stood there for scrolling back.
            self.erase();
            self.out.extend_from_slice(b"\x1b[H\x1b[2J");
        }
    }

    /// Rings the terminal's bell.
    pub fn ring(&mut self) {
        self.out.push(b'\x07');
    }

    /// Somebody else may have written to the terminal meanwhile: nothing is known but that the cursor stands in a fresh row,
    /// or where it was in the typed line's.
    pub fn forget(&mut self) {
        if self.area.take().is_some() {
            self.out.extend_from_slice(b"\r\x1b[K");
        }
        self.settling = None;
        self.out.append(&mut self.held);
    }

    /// Takes the typed line away: the cursor stands at the start of a fresh row.
    pub fn leave(&mut self) {
        self.no_answer();
        self.erase();
    }

    /// Decides how many rows above the cursor the area now begins, and takes it away.
    fn settle(&mut self, column: Option<usize>) {
        let (Some(settling), Some(area)) = (self.settling.take(), &mut self.area) else {
            return;
        };
        let if_broken = area.start_if_broken(self.cols);
        let if_cut = area.cursor.1.min(settling.cols_min - 1);
        let broken = column.and_then(|column| if_broken.explains(column, self.cols - 1));
        match broken {
            Some(_) if column != Some(if_cut) => self.reflow = Reflow::Breaks,
            None if column == Some(if_cut) => self.reflow = Reflow::Cuts,
            _ => {}
        }
        // If nothing explains where the cursor is, the least is taken away: rather some remains than a line lost.
        let sure = match (self.reflow, broken) {
            (Reflow::Breaks, Some(above)) => {
                area.cursor.0 = above;
                true
            }
            (Reflow::Cuts, _) => true,
            (Reflow::Breaks | Reflow::Unknown, _) => false,
        };
        self.erase();
        if !sure {
            // What remains above may go on in this row: the next line must not be taken as its end.
            self.out.extend_from_slice(b"\r\n");
        }
        self.out.append(&mut self.held);
    }

    /// Takes the area away.
    fn erase(&mut self) {
        if let Some(area) = self.area.take() {
            self.out.push(b'\r');
            up(area.cursor.0, &mut self.out);
            // The first row alone, then the rest from its second column: tmux takes an ED at the screen's first cell for a
            // clearing of the screen and moves what was there into the scrollback.
            self.out.extend_from_slice(b"\x1b[K\x1b[C\x1b[J\r");
        }
    }
}

/// Where the cursor comes to stand when a terminal breaks the area's rows.
#[derive(Clone, Copy, Debug)]
struct Broken {
    /// So many rows below the area's start.
    above: usize,
    /// In how many further rows the cursor's own row was broken before it.
    below: usize,
    /// The column, which may be one past the margin.
    column: usize,
}

impl Area {
    fn start_if_broken(&self, cols: usize) -> Broken {
        let (row, column) = self.cursor;
        let above = self.rows[..row]
            .iter()
            .map(|widths| broken(widths, 0, cols).1);
        let ((below, column), _) = broken(&self.rows[row], column, cols);
        Broken {
            above: above.sum::<usize>() + below,
            below,
            column,
        }
    }
}

impl Broken {
    /// How many rows above the cursor the area begins if it was seen at this column, or `None` if that can't be.
    fn explains(self, column: usize, margin: usize) -> Option<usize> {
        // Some terminals forget the blank that a wide character leaves at the margin when it goes to the next row.
        let at = self.column.min(margin);
        if column <= at && at - column <= self.below {
            Some(self.above)
        } else if self.column == 0 && column == margin {
            // Just at the margin, terminals differ in whether the cursor goes along to the next row.
            Some(self.above.saturating_sub(1))
        } else if self.column >= margin && column == 0 {
            Some(self.above + 1)
        } else {
            None
        }
    }
}

/// Draws a row from the start of an empty one.
fn draw_row(row: &[Cell<'_>], out: &mut Vec<u8>) {
    let mut at = 0;
    // Blanks at the end are there already; if they were written, terminals would not agree on whether they count.
    let end = row
        .iter()
        .rposition(|cell| cell.text != " ")
        .map_or(0, |last| last + 1);
    for cell in &row[..end] {
        out.extend_from_slice(cell.text.as_bytes());
        at += cell.width;
        if !cell.sure {
            column(at, out);
        }
    }
}

fn up(rows: usize, out: &mut Vec<u8>) {
    if rows > 0 {
        out.extend_from_slice(format!("\x1b[{rows}A").as_bytes());
    }
}

fn column(column: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("\x1b[{}G", column + 1).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    const VIEW: View<'_> = View {
        prompt: "> ",
        text: "typed",
        cursor: 5,
    };

    /// What was written since the last time, ESC as `^`.
    fn written(screen: &mut Screen) -> String {
        let text = String::from_utf8(screen.output().to_vec()).unwrap();
        screen.written(text.len());
        text.replace('\x1b', "^")
    }

    #[test]
    fn a_line_takes_the_area_s_place_and_the_area_is_drawn_again() {
        let mut screen = Screen::new(80, 24);
        screen.draw(VIEW);
        assert_eq!(written(&mut screen), "> typed^[8G");
        screen.draw(VIEW);
        assert_eq!(written(&mut screen), "", "it is there already");
        screen.print("one");
        screen.print("two");
        screen.draw(VIEW);
        assert_eq!(
            written(&mut screen),
            "\r^[K^[C^[J\rone\r\ntwo\r\n> typed^[8G"
        );
        screen.leave();
        assert_eq!(written(&mut screen), "\r^[K^[C^[J\r");
    }

    #[test]
    fn rows_are_broken_one_column_before_the_margin() {
        let mut screen = Screen::new(6, 24);
        screen.draw(VIEW);
        assert_eq!(written(&mut screen), "> typ\r\ned^[3G");
        screen.draw(View { cursor: 2, ..VIEW });
        assert_eq!(written(&mut screen), "\r^[1A^[K^[C^[J\r> typ\r\ned^[1A^[5G");
    }

    #[test]
    fn while_the_window_settles_lines_wait() {
        let mut screen = Screen::new(12, 24);
        let view = View {
            prompt: "> ",
            text: "0123456789abcdef",
            cursor: 16,
        };
        screen.draw(view);
        written(&mut screen);
        assert!(screen.resize(8, 24));
        screen.print("held");
        screen.draw(view);
        assert_eq!(written(&mut screen), "");
        screen.still();
        screen.still();
        assert_eq!(written(&mut screen), "^[>c^[6n");
        // The window changed again: this answer is of no use.
        assert!(screen.resize(7, 24));
        screen.cursor_at(3);
        assert!(screen.is_settling());
        screen.still();
        assert_eq!(written(&mut screen), "^[>c^[6n");
        // Row 1 has 11 columns and is 2 rows now, or cut; row 2 has 7: the cursor is at or behind the margin.
        for (terminal, taken_away) in [
            (Some((84, 0)), "\r^[2A^[K^[C^[J\r"),
            (Some((41, 390)), "\r^[1A^[K^[C^[J\r"),
            (None, "\r^[1A^[K^[C^[J\r\r\n"),
        ] {
            let mut screen = screen.clone();
            if let Some((model, version)) = terminal {
                screen.identified(model, version);
            }
            screen.cursor_at(7);
            assert_eq!(written(&mut screen), format!("{taken_away}held\r\n"));
        }
    }

    #[test]
    fn a_terminal_is_known_by_what_it_tells_or_does() {
        for (model, version, reflow) in [
            (84, 0, Reflow::Breaks),
            (65, 7600, Reflow::Breaks),
            (1, 4000, Reflow::Breaks),
            (41, 2500, Reflow::Breaks),
            (41, 390, Reflow::Cuts),
            (83, 40_900, Reflow::Cuts),
            (0, 136, Reflow::Cuts),
            (24, 279, Reflow::Unknown),
        ] {
            assert_eq!(Reflow::of(model, version), reflow);
        }
        let mut screen = Screen::new(12, 24);
        screen.draw(View {
            prompt: "> ",
            text: "0123456789abcdefgh",
            cursor: 18,
        });
        assert!(screen.resize(6, 24));
        screen.still();
        // The cursor's row has 9 columns: in column 3 of a row of its own if broken, at the margin if cut.
        screen.cursor_at(4);
        assert_eq!(screen.reflow, Reflow::Breaks);
    }

    #[test]
    fn what_nothing_explains_takes_the_least_away() {
        let mut screen = Screen::new(12, 24);
        screen.draw(View {
            prompt: "> ",
            text: "0123456789abcdef",
            cursor: 16,
        });
        assert!(screen.resize(6, 24));
        screen.still();
        written(&mut screen);
        screen.cursor_at(4);
        assert_eq!(written(&mut screen), "\r^[1A^[K^[C^[J\r\r\n");
    }
}
