//! Where the typed line's rows, the *area*, are on a terminal whose window has become narrower. Terminals differ: most wrap
//! a row that is wider than the window, some truncate it. Writes nothing.

use super::cells::Cell;
use unicode_width::UnicodeWidthChar;

/// What a terminal does with a row that is wider than the window has become.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Narrowing {
    /// Not known. Where both explain the cursor's column, `Truncates` is assumed: it erases fewer rows.
    #[default]
    Unknown,
    /// Wraps it into several rows (most terminals).
    Wraps,
    /// Truncates it, or at least the cursor's row (xterm, st, screen, PuTTY; xterm.js does not wrap the cursor's row).
    Truncates,
}

impl Narrowing {
    /// What the terminals with this identity do ([`Key::Terminal`](super::keys::Key::Terminal)).
    pub fn of(model: u16, version: u16) -> Narrowing {
        match (model, version) {
            // screen, PuTTY, xterm.
            (83, _) | (0, 136) | (19 | 41 | 64, ..1000) => Narrowing::Truncates,
            // tmux, Terminal.app and older iTerm2, WezTerm; foot, kitty, Alacritty, iTerm2, VTE.
            (84, _) | (0 | 1, 95) | (1, 277) | (0 | 1 | 41 | 61 | 65, 1000..) => Narrowing::Wraps,
            _ => Narrowing::Unknown,
        }
    }
}

/// The area as it is on the terminal.
#[derive(Clone, Debug)]
pub struct Area {
    /// The characters' widths in each row; at least one row.
    rows: Vec<Widths>,
    /// The cursor's row in the area and its column.
    pub cursor: (usize, usize),
}

/// Where the cursor is after a terminal has wrapped the area's rows.
#[derive(Clone, Copy, Debug)]
pub struct Wrapped {
    /// Rows between the area's start and the cursor.
    pub above: usize,
    /// How many of these the cursor's own row was wrapped into.
    own: usize,
    /// The column, which may be one past the margin.
    column: usize,
}

impl Area {
    /// The area of these rows (at least one), whose cursor is in one of them.
    pub fn new(rows: &[Vec<Cell<'_>>], cursor: (usize, usize)) -> Area {
        let column_in = |row| if row == cursor.0 { cursor.1 } else { 0 };
        let rows = rows.iter().enumerate();
        Area {
            rows: rows.map(|(i, row)| widths(row, column_in(i))).collect(),
            cursor,
        }
    }

    /// Where the cursor is if the terminal wrapped the rows at `cols` columns.
    pub fn cursor_if_wrapped(&self, cols: usize) -> Wrapped {
        let (row, column) = self.cursor;
        let others = self.rows[..row].iter();
        let others: usize = others.map(|widths| wrap(widths, 0, cols).1).sum();
        let ((own, column), _) = wrap(&self.rows[row], column, cols);
        let above = others + own;
        Wrapped { above, own, column }
    }
}

impl Wrapped {
    /// How many rows above the cursor the area begins if the terminal reports this column; `None` if wrapping does not
    /// explain the column. `margin` is the last column.
    pub fn rows_above(self, column: usize, margin: usize) -> Option<usize> {
        // A wide character that does not fit at the margin leaves a blank there, which some terminals do not count.
        let at = self.column.min(margin);
        if column <= at && at - column <= self.own {
            Some(self.above)
        } else if self.column == 0 && column == margin {
            // At the margin, terminals differ in whether the cursor moves to the next row too.
            Some(self.above.saturating_sub(1))
        } else if self.column >= margin && column == 0 {
            Some(self.above + 1)
        } else {
            None
        }
    }
}

/// The columns of each character in a row. A terminal wraps a row between these.
type Widths = Vec<u8>;

/// The widths of a row's characters up to its last one that is not blank, and at least up to `column` (the cursor's, if it
/// is in this row): terminals do not wrap blanks at the end of a row.
fn widths(row: &[Cell<'_>], column: usize) -> Widths {
    let mut widths = Widths::new();
    // Columns up to the end of the last character that is not blank, and columns reserved so far.
    let (mut drawn, mut reserved) = (0, 0);
    for cell in row {
        let start = reserved;
        reserved += cell.width;
        if cell.text == " " {
            continue;
        }
        widths.extend(std::iter::repeat_n(1, start - drawn));
        let chars = cell.text.chars().map(|c| c.width().unwrap_or(0) as u8);
        let chars = chars.filter(|width| *width > 0);
        drawn = start + chars.clone().map(usize::from).sum::<usize>();
        widths.extend(chars);
    }
    widths.extend(std::iter::repeat_n(1, column.saturating_sub(drawn)));
    widths
}

/// Wraps a row at `cols` columns, as a terminal does in a narrower window. Returns where its `column` is then (rows below
/// the first, and the column there) and how many rows it takes.
fn wrap(widths: &[u8], column: usize, cols: usize) -> ((usize, usize), usize) {
    let (mut row, mut col, mut before) = (0, 0, 0);
    let mut found = None;
    for &width in widths {
        let width = usize::from(width);
        if col + width > cols && col > 0 {
            (row, col) = (row + 1, 0);
        }
        if before >= column && found.is_none() {
            found = Some((row, col));
        }
        before += width;
        col += width;
    }
    // Past the last character there is nothing to wrap.
    let past_end = (row, col + column.saturating_sub(before));
    (found.unwrap_or(past_end), row + 1)
}

#[cfg(test)]
mod tests {
    use super::super::cells::layout;
    use super::*;

    #[test]
    fn known_terminals_are_recognised_by_their_identity() {
        for (model, version, narrowing) in [
            (84, 0, Narrowing::Wraps),
            (65, 7600, Narrowing::Wraps),
            (1, 4000, Narrowing::Wraps),
            (41, 2500, Narrowing::Wraps),
            (41, 390, Narrowing::Truncates),
            (83, 40_900, Narrowing::Truncates),
            (0, 136, Narrowing::Truncates),
            (24, 279, Narrowing::Unknown),
        ] {
            assert_eq!(Narrowing::of(model, version), narrowing);
        }
    }

    #[test]
    fn trailing_blanks_count_only_up_to_the_cursor() {
        let row = &layout("> ", "가 ❤\u{fe0f} b  ", 0, 80).rows[0];
        assert_eq!(widths(row, 0), [1, 1, 2, 1, 1, 1, 1, 1]);
        assert_eq!(widths(row, 11), [1, 1, 2, 1, 1, 1, 1, 1, 1, 1]);
        assert_eq!(widths(&layout(" ", "👩‍👩‍👧", 0, 80).rows[0], 0), [1, 2, 2, 2]);
    }

    #[test]
    fn rows_wrap_as_in_terminals() {
        let ascii = [1; 10];
        assert_eq!(wrap(&ascii, 3, 4), ((0, 3), 3));
        assert_eq!(wrap(&ascii, 4, 4), ((1, 0), 3));
        assert_eq!(wrap(&ascii, 10, 4), ((2, 2), 3));
        assert_eq!(wrap(&ascii, 10, 5), ((1, 5), 2));
        let wide = [2; 5];
        assert_eq!(wrap(&wide, 4, 5), ((1, 0), 3));
        assert_eq!(wrap(&wide, 10, 5), ((2, 2), 3));
        assert_eq!(wrap(&[], 0, 5), ((0, 0), 1));
    }
}
