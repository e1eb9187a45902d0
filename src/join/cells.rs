//! Text → cells of a terminal: how wide a character is reserved, where rows break, where the cursor stands; and how a
//! terminal breaks rows anew when its window changes. Knows nothing of escape sequences.
//!
//! Terminals disagree on how wide some clusters are (an emoji family is 2 or 6 columns), so the widest is reserved and the
//! cluster is marked as doubtful: who draws puts the cursor right after it.

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Shown in place of a cluster that has no width, or more than a row has.
const STAND_IN: &str = "\u{25cc}";

/// A cluster as it is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell<'a> {
    /// What is drawn.
    pub text: &'a str,
    /// So many columns are reserved; at least 1.
    pub width: usize,
    /// Every terminal takes exactly `width` columns.
    pub sure: bool,
}

impl<'a> Cell<'a> {
    /// A cluster's cell in a row of so many columns.
    fn of(cluster: &'a str, width_max: usize) -> Cell<'a> {
        let mut chars = cluster.chars();
        if let (Some(c), None) = (chars.next(), chars.next()) {
            match c {
                ' '..='~' => {
                    return Cell {
                        text: cluster,
                        width: 1,
                        sure: true,
                    };
                }
                '\t' => {
                    return Cell {
                        text: "\u{2409}",
                        width: 1,
                        sure: false,
                    };
                }
                // Hiragana and Katakana, CJK ideographs, Hangul syllables: two columns since wcwidth was invented.
                '\u{3041}'..='\u{30ff}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}'
                    if width_max >= 2 && c.width() == Some(2) =>
                {
                    return Cell {
                        text: cluster,
                        width: 2,
                        sure: true,
                    };
                }
                _ => {}
            }
        }
        let apart: usize = cluster.chars().map(|c| c.width().unwrap_or(0)).sum();
        match apart.max(cluster.width()) {
            0 => Cell {
                text: STAND_IN,
                width: 1,
                sure: false,
            },
            width if width > width_max => Cell {
                text: STAND_IN,
                width: 1,
                sure: false,
            },
            width => Cell {
                text: cluster,
                width,
                sure: false,
            },
        }
    }
}

/// The cells of a text in rows of at most `width` columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout<'a> {
    /// At least one row; no row is wider than the width that was given.
    pub rows: Vec<Vec<Cell<'a>>>,
    /// The cursor's row and column: `row < rows.len()`, `column <= width`.
    pub cursor: (usize, usize),
}

/// Lays out a prompt and a text with a cursor at a byte of the text. `width` is at least 1.
///
/// The cursor stands before its cluster, wherever that is drawn; at the text's end it stands after the last, which may be
/// one column past a full row: give one column less than the terminal has.
pub fn layout<'a>(prompt: &'a str, text: &'a str, cursor: usize, width: usize) -> Layout<'a> {
    let mut rows = vec![Vec::new()];
    let mut at = (0, 0);
    let mut place = None;
    let clusters = prompt.graphemes(true).map(|cluster| (None, cluster));
    let typed = text
        .grapheme_indices(true)
        .map(|(byte, cluster)| (Some(byte), cluster));
    for (byte, cluster) in clusters.chain(typed) {
        let cell = Cell::of(cluster, width);
        if at.1 + cell.width > width {
            rows.push(Vec::new());
            at = (at.0 + 1, 0);
        }
        if byte == Some(cursor) {
            place = Some(at);
        }
        rows[at.0].push(cell);
        at.1 += cell.width;
    }
    Layout {
        rows,
        cursor: place.unwrap_or(at),
    }
}

/// A row on the screen: the columns of each of its characters, as a terminal breaks them.
pub type Widths = Vec<u8>;

/// The columns that the characters of a row take, blanks at its end left out (terminals don't count them when they break
/// a row), but all up to `column` (where the cursor is, if it is in this row).
pub fn widths(row: &[Cell<'_>], column: usize) -> Widths {
    let mut widths = Widths::new();
    // Columns up to the end of the last character that is no blank, and columns reserved so far.
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

/// Where a row's column comes to stand when the terminal breaks the row at `cols` columns: so many rows below the row's
/// start, and the column there. The last value is the number of rows that the row takes then.
pub fn broken(widths: &[u8], column: usize, cols: usize) -> ((usize, usize), usize) {
    let (mut row, mut col, mut before) = (0, 0, 0);
    let mut place = None;
    for &width in widths {
        let width = usize::from(width);
        if col + width > cols && col > 0 {
            (row, col) = (row + 1, 0);
        }
        if before >= column && place.is_none() {
            place = Some((row, col));
        }
        before += width;
        col += width;
    }
    let place = place.unwrap_or_else(|| {
        // Past the last character: there is nothing there that could be broken.
        let past = column.saturating_sub(before);
        (row, col + past)
    });
    (place, row + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str, width: usize) -> Vec<String> {
        let shown = |row: &Vec<Cell<'_>>| row.iter().map(|cell| cell.text).collect();
        layout("> ", text, text.len(), width)
            .rows
            .iter()
            .map(shown)
            .collect()
    }

    #[test]
    fn a_wide_character_is_never_cut() {
        assert_eq!(rows("가나다", 6), ["> 가나", "다"]);
        assert_eq!(rows("가나다", 7), ["> 가나", "다"]);
        assert_eq!(rows("가나다", 8), ["> 가나다"]);
        assert_eq!(rows("가", 1), [">", " ", "\u{25cc}"]);
    }

    #[test]
    fn the_cursor_stands_before_its_cluster_wherever_that_is() {
        let at = |cursor, width| layout("> ", "가나다", cursor, width).cursor;
        assert_eq!(
            [at(0, 7), at(3, 7), at(6, 7), at(9, 7)],
            [(0, 2), (0, 4), (1, 0), (1, 2)]
        );
        assert_eq!(at(9, 8), (0, 8));
    }

    #[test]
    fn doubtful_clusters_reserve_the_most_that_a_terminal_takes() {
        let cell = |text| Cell::of(text, 80);
        assert_eq!(cell("👩‍👩‍👧").width, 6);
        assert_eq!(cell("❤\u{fe0f}").width, 2);
        assert_eq!(
            cell("e\u{301}"),
            Cell {
                text: "e\u{301}",
                width: 1,
                sure: false
            }
        );
        assert_eq!(
            cell("한"),
            Cell {
                text: "한",
                width: 2,
                sure: true
            }
        );
        assert_eq!(cell("\u{301}").text, STAND_IN);
        assert_eq!(cell("\t").text, "␉");
    }

    #[test]
    fn blanks_at_a_row_s_end_count_up_to_the_cursor() {
        let row = &layout("> ", "가 ❤\u{fe0f} b  ", 0, 80).rows[0];
        assert_eq!(widths(row, 0), [1, 1, 2, 1, 1, 1, 1, 1]);
        assert_eq!(widths(row, 11), [1, 1, 2, 1, 1, 1, 1, 1, 1, 1]);
        assert_eq!(widths(&layout(" ", "👩‍👩‍👧", 0, 80).rows[0], 0), [1, 2, 2, 2]);
    }

    #[test]
    fn a_row_is_broken_as_terminals_do() {
        let ascii = [1; 10];
        assert_eq!(broken(&ascii, 3, 4), ((0, 3), 3));
        assert_eq!(broken(&ascii, 4, 4), ((1, 0), 3));
        assert_eq!(broken(&ascii, 10, 4), ((2, 2), 3));
        assert_eq!(broken(&ascii, 10, 5), ((1, 5), 2));
        let wide = [2; 5];
        assert_eq!(broken(&wide, 4, 5), ((1, 0), 3));
        assert_eq!(broken(&wide, 10, 5), ((2, 2), 3));
        assert_eq!(broken(&[], 0, 5), ((0, 0), 1));
    }
}
