//! What to write to a terminal so that the line being typed stays below the lines that come in. A state machine: lines,
//! the typed line, window sizes and the terminal's answers go in; bytes come out. No I/O, no clock.
//!
//! The rules on which all else rests:
//!
//! 1. The typed line occupies the *area*: the last rows that were written. No absolute position is used. All that is known
//!    is the cursor's row within the area and its column.
//! 2. Rows of the area end one column before the right margin, with CR LF. So the terminal never wraps them, its "pending
//!    wrap" state at the margin never arises, and the cursor may stand after a full row.
//! 3. A line that comes in is written where the area began, wrapped by the terminal itself, so that it can be copied as one
//!    line and wraps again with the window. It ends with CR LF. Whatever its width, the cursor is then at the start of an
//!    empty row, where the area is drawn again.
//! 4. The area takes at most half of the screen's rows, so that the cursor can always go back to its start.
//! 5. After a cluster whose width is not exact, the cursor is moved to the next column by number. The area is always erased
//!    as a whole, from its start: half a wide character left behind confuses terminals.
//! 6. In a window narrower than a row of the area, most terminals wrap the row and some truncate it. The cursor's column
//!    tells which (`CSI 6 n`). The terminal is asked once the window has stopped changing, since an answer is useless in
//!    another window. Nothing is written until the answer has come.

use super::area::{Area, Narrowing};
use super::cells::{Cell, layout};

/// Bytes waiting for the terminal at which [`Screen::is_full`].
pub const OUTPUT_BYTES_ENOUGH: usize = 256 * 1024;

/// The line being typed.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// Before the text.
    pub prompt: &'a str,
    /// The text.
    pub text: &'a str,
    /// The cursor's byte offset in the text, between two clusters.
    pub cursor: usize,
}

/// The window has changed, and where the area now begins is not known.
#[derive(Clone, Copy, Debug)]
struct Resizing {
    /// Answers that are still to come. Only the last one counts.
    answers: usize,
    /// The cursor was asked for, and the window has not changed since.
    asked: bool,
    /// The narrowest that the window has been since: truncated rows stay truncated, wrapped ones are joined again.
    cols_min: usize,
}

/// A terminal's screen.
#[derive(Clone, Debug)]
pub struct Screen {
    /// At least 1.
    cols: usize,
    /// At least 1.
    rows: usize,
    /// `None`: the cursor stands at the start of an empty row, with nothing below.
    area: Option<Area>,
    resizing: Option<Resizing>,
    /// How often the terminal was asked where its cursor is and has not answered, also not too late.
    unanswered: usize,
    narrowing: Narrowing,
    /// Lines that came while resizing, each with its CR LF.
    deferred: Vec<u8>,
    /// What to write next.
    out: Vec<u8>,
    /// The bytes that drew the area. Drawing the same again writes nothing.
    drawn: Vec<u8>,
}

impl Screen {
    /// A screen whose cursor stands at the start of an empty row.
    pub fn new(cols: usize, rows: usize) -> Screen {
        Screen {
            cols: cols.max(1),
            rows: rows.max(1),
            area: None,
            resizing: None,
            unanswered: 0,
            narrowing: Narrowing::Unknown,
            deferred: Vec::new(),
            out: Vec::new(),
            drawn: Vec::new(),
        }
    }

    /// Shows a line above the typed one. Its only control characters are TAB and colours (SGR).
    /// Call [`Screen::draw`] after the last line.
    pub fn print(&mut self, line: &str) {
        let out = if self.resizing.is_some() {
            &mut self.deferred
        } else {
            self.erase();
            &mut self.out
        };
        out.extend_from_slice(line.as_bytes());
        out.extend_from_slice(b"\r\n");
    }

    /// Draws the typed line. Writes nothing if it is drawn already, or while the window is resizing.
    pub fn draw(&mut self, view: View<'_>) {
        if self.resizing.is_some() {
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
        self.area = Some(Area::new(rows, cursor));
    }

    /// The window has this size now. Returns whether the terminal must be asked where the cursor is: then call
    /// [`Screen::ask_cursor`] when the size has been the same for 300 ms (tmux reports a new size up to 250 ms late).
    pub fn resize(&mut self, cols: usize, rows: usize) -> bool {
        let (cols, rows) = (cols.max(1), rows.max(1));
        if (cols, rows) == (self.cols, self.rows) {
            return false;
        }
        (self.cols, self.rows) = (cols, rows);
        let Some(area) = &self.area else {
            return false;
        };
        let before = self.resizing;
        if before.is_none() && area.cursor_if_wrapped(cols).above == area.cursor.0 {
            // No row above the cursor was wrapped: the area begins where it did.
            self.erase();
            return false;
        }
        self.resizing = Some(Resizing {
            answers: before.map_or(0, |before| before.answers),
            asked: false,
            cols_min: before.map_or(cols, |before| before.cols_min.min(cols)),
        });
        true
    }

    /// The window has stopped changing: asks the terminal where the cursor is, and which terminal it is if that is not
    /// known. Call [`Screen::identified`] and [`Screen::cursor_at`] with its answers, or [`Screen::no_answer`] after 500 ms
    /// without.
    pub fn ask_cursor(&mut self) {
        if let Some(resizing) = &mut self.resizing
            && !resizing.asked
        {
            resizing.asked = true;
            resizing.answers += 1;
            self.unanswered += 1;
            if self.narrowing == Narrowing::Unknown {
                self.out.extend_from_slice(b"\x1b[>c");
            }
            self.out.extend_from_slice(b"\x1b[6n");
        }
    }

    /// The terminal's answer: its model and version. Not every terminal sends it.
    pub fn identified(&mut self, model: u16, version: u16) {
        if self.narrowing == Narrowing::Unknown {
            self.narrowing = Narrowing::of(model, version);
        }
    }

    /// The terminal's answer: the cursor's column, from 1.
    pub fn cursor_at(&mut self, column: u16) {
        self.unanswered = self.unanswered.saturating_sub(1);
        let Some(resizing) = &mut self.resizing else {
            return;
        };
        resizing.answers = resizing.answers.saturating_sub(1);
        if resizing.asked && resizing.answers == 0 {
            self.finish_resizing(Some(usize::from(column.max(1)) - 1));
        }
    }

    /// The terminal did not answer in time.
    pub fn no_answer(&mut self) {
        if self.resizing.is_some() {
            self.finish_resizing(None);
        }
    }

    /// Whether an answer of the terminal may still come, even one that is not used any more.
    pub fn is_answer_due(&self) -> bool {
        self.unanswered > 0
    }

    /// Whether an answer of the terminal is awaited.
    pub fn is_resizing(&self) -> bool {
        self.resizing.is_some()
    }

    /// Whether so much waits for the terminal that no more lines should be read until some of it is written.
    pub fn is_full(&self) -> bool {
        self.out.len() + self.deferred.len() >= OUTPUT_BYTES_ENOUGH
    }

    /// What to write next.
    pub fn output(&self) -> &[u8] {
        &self.out
    }

    /// So many bytes of the output were written.
    pub fn written(&mut self, bytes: usize) {
        self.out.drain(..bytes);
    }

    /// Empties the screen (Ctrl-L).
    pub fn clear(&mut self) {
        if self.resizing.is_none() {
            // What was there stays in the scrollback.
            self.erase();
            self.out.extend_from_slice(b"\x1b[H\x1b[2J");
        }
    }

    /// Rings the terminal's bell.
    pub fn ring_bell(&mut self) {
        self.out.push(b'\x07');
    }

    /// Another program may have written to the terminal. All that is known is that the cursor stands in an empty row, or
    /// where it was in the area.
    pub fn invalidate(&mut self) {
        if self.area.take().is_some() {
            self.out.extend_from_slice(b"\r\x1b[K");
        }
        self.resizing = None;
        self.out.append(&mut self.deferred);
    }

    /// Removes the typed line: the cursor stands at the start of an empty row.
    pub fn remove_area(&mut self) {
        self.no_answer();
        self.erase();
    }

    /// Finds out how many rows above the cursor the area now begins, from the cursor's column if the terminal reported
    /// it, and erases the area.
    fn finish_resizing(&mut self, column: Option<usize>) {
        let (Some(resizing), Some(area)) = (self.resizing.take(), &mut self.area) else {
            return;
        };
        let if_wrapped = area.cursor_if_wrapped(self.cols);
        let column_if_truncated = area.cursor.1.min(resizing.cols_min - 1);
        let rows_if_wrapped =
            column.and_then(|column| if_wrapped.rows_above(column, self.cols - 1));
        match rows_if_wrapped {
            Some(_) if column != Some(column_if_truncated) => self.narrowing = Narrowing::Wraps,
            None if column == Some(column_if_truncated) => self.narrowing = Narrowing::Truncates,
            _ => {}
        }
        // If neither explains the cursor's column, the fewest rows are erased: leftovers of the typed line are better than
        // the loss of a line above it.
        let is_exact = match (self.narrowing, rows_if_wrapped) {
            (Narrowing::Wraps, Some(above)) => {
                area.cursor.0 = above;
                true
            }
            (Narrowing::Truncates, _) => true,
            (Narrowing::Wraps | Narrowing::Unknown, _) => false,
        };
        self.erase();
        if !is_exact {
            // Leftovers above may be wrapped into this row: the next line must not become part of them.
            self.out.extend_from_slice(b"\r\n");
        }
        self.out.append(&mut self.deferred);
    }

    /// Erases the area.
    fn erase(&mut self) {
        if let Some(area) = self.area.take() {
            self.out.push(b'\r');
            up(area.cursor.0, &mut self.out);
            // Erase the first row, then the rest from its second column on. An ED (CSI J) from the screen's first cell
            // makes tmux move all of the screen into the scrollback.
            self.out.extend_from_slice(b"\x1b[K\x1b[C\x1b[J\r");
        }
    }
}

/// Draws a row into an empty one, from its start.
fn draw_row(row: &[Cell<'_>], out: &mut Vec<u8>) {
    let mut at = 0;
    // Blanks at the end are not written: terminals differ in whether they wrap written ones.
    let last = row.iter().rposition(|cell| cell.text != " ");
    for cell in &row[..last.map_or(0, |last| last + 1)] {
        out.extend_from_slice(cell.text.as_bytes());
        at += cell.width;
        if !cell.exact {
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

    fn view(text: &str) -> View<'_> {
        let cursor = text.len();
        let prompt = "> ";
        View {
            prompt,
            text,
            cursor,
        }
    }

    /// A screen of 12 columns on which this is typed. In a window of 6 columns it has asked for the cursor.
    fn narrowed(text: &str) -> Screen {
        let mut screen = Screen::new(12, 24);
        screen.draw(view(text));
        assert!(screen.resize(6, 24));
        screen.ask_cursor();
        written(&mut screen);
        screen
    }

    /// What was written since the last call, ESC as `^`.
    fn written(screen: &mut Screen) -> String {
        let text = String::from_utf8(screen.output().to_vec()).unwrap();
        screen.written(text.len());
        text.replace('\x1b', "^")
    }

    #[test]
    fn a_printed_line_replaces_the_area_which_is_drawn_below_it() {
        let mut screen = Screen::new(80, 24);
        screen.draw(view("typed"));
        assert_eq!(written(&mut screen), "> typed^[8G");
        screen.draw(view("typed"));
        assert_eq!(written(&mut screen), "", "it is drawn already");
        screen.print("one");
        screen.print("two");
        screen.draw(view("typed"));
        let redrawn = "\r^[K^[C^[J\rone\r\ntwo\r\n> typed^[8G";
        assert_eq!(written(&mut screen), redrawn);
        screen.remove_area();
        assert_eq!(written(&mut screen), "\r^[K^[C^[J\r");
    }

    #[test]
    fn rows_of_the_area_end_one_column_before_the_margin() {
        let mut screen = Screen::new(6, 24);
        screen.draw(view("typed"));
        assert_eq!(written(&mut screen), "> typ\r\ned^[3G");
        screen.draw(View {
            cursor: 2,
            ..view("typed")
        });
        assert_eq!(written(&mut screen), "\r^[1A^[K^[C^[J\r> typ\r\ned^[1A^[5G");
    }

    #[test]
    fn lines_are_deferred_while_the_window_is_resizing() {
        let mut screen = Screen::new(12, 24);
        let view = view("0123456789abcdef");
        screen.draw(view);
        written(&mut screen);
        assert!(screen.resize(8, 24));
        screen.print("deferred");
        screen.draw(view);
        assert_eq!(written(&mut screen), "");
        screen.ask_cursor();
        screen.ask_cursor();
        assert_eq!(written(&mut screen), "^[>c^[6n");
        // The window changed again: this answer is too old.
        assert!(screen.resize(7, 24));
        screen.cursor_at(3);
        assert!(screen.is_resizing());
        screen.ask_cursor();
        assert_eq!(written(&mut screen), "^[>c^[6n");
        // Row 1 had 11 columns and is wrapped into 2 rows, or truncated. Row 2 had 7: the cursor is at or past the margin.
        for (terminal, erased) in [
            (Some((84, 0)), "\r^[2A^[K^[C^[J\r"),
            (Some((41, 390)), "\r^[1A^[K^[C^[J\r"),
            (None, "\r^[1A^[K^[C^[J\r\r\n"),
        ] {
            let mut screen = screen.clone();
            if let Some((model, version)) = terminal {
                screen.identified(model, version);
            }
            screen.cursor_at(7);
            assert_eq!(written(&mut screen), format!("{erased}deferred\r\n"));
        }
    }

    #[test]
    fn the_cursor_s_column_tells_that_the_terminal_wraps() {
        let mut screen = narrowed("0123456789abcdefgh");
        // The cursor's row had 9 columns: the cursor is in column 3 of a further row if it was wrapped, at the margin if it
        // was truncated.
        screen.cursor_at(4);
        assert_eq!(screen.narrowing, Narrowing::Wraps);
    }

    #[test]
    fn an_unexplained_cursor_column_erases_the_fewest_rows() {
        let mut screen = narrowed("0123456789abcdef");
        screen.cursor_at(4);
        assert_eq!(written(&mut screen), "\r^[1A^[K^[C^[J\r\r\n");
    }
}
