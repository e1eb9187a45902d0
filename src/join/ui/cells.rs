//! Text as cells of a terminal: how many columns each cluster needs, where rows end, where the cursor stands. Knows nothing
//! of escape sequences.
//!
//! Terminals disagree on the width of some clusters: an emoji family takes 2 or 6 columns. Such a cluster gets the most
//! columns that a terminal may use and is not `exact`. After drawing it, the cursor is moved to the next cell's column.

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Shown in place of a cluster without a width, or wider than a row.
const PLACEHOLDER: &str = "\u{25cc}";

/// A cluster as it is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell<'a> {
    /// What is drawn.
    pub text: &'a str,
    /// Columns reserved; at least 1.
    pub width: usize,
    /// Whether every terminal uses `width` columns for it.
    pub exact: bool,
}

impl<'a> Cell<'a> {
    /// The cell of a cluster in a row of `width_max` columns.
    fn of(cluster: &'a str, width_max: usize) -> Cell<'a> {
        let cell = |text, width, exact| Cell { text, width, exact };
        let mut chars = cluster.chars();
        if let (Some(c), None) = (chars.next(), chars.next()) {
            match c {
                ' '..='~' => return cell(cluster, 1, true),
                '\t' => return cell("\u{2409}", 1, false),
                // Hiragana and Katakana, CJK ideographs, Hangul syllables: two columns in every wcwidth(3).
                '\u{3041}'..='\u{30ff}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}'
                    if width_max >= 2 && c.width() == Some(2) =>
                {
                    return cell(cluster, 2, true);
                }
                _ => {}
            }
        }
        let of_chars: usize = cluster.chars().map(|c| c.width().unwrap_or(0)).sum();
        match of_chars.max(cluster.width()) {
            0 => cell(PLACEHOLDER, 1, false),
            width if width > width_max => cell(PLACEHOLDER, 1, false),
            width => cell(cluster, width, false),
        }
    }
}

/// The cells of a text in rows of at most `width` columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout<'a> {
    /// At least one row. Each is at most as wide as [`layout`] was asked for.
    pub rows: Vec<Vec<Cell<'a>>>,
    /// The cursor's row and column: `row < rows.len()`, `column <= width`.
    pub cursor: (usize, usize),
}

/// Lays out a prompt and a text whose cursor is at byte `cursor`, in rows of `width` columns (at least 1).
///
/// The cursor stands at the column of its cluster. At the end of the text it stands after the last cluster, possibly one
/// column past a full row. So give `width` one column less than the terminal has.
pub fn layout<'a>(prompt: &'a str, text: &'a str, cursor: usize, width: usize) -> Layout<'a> {
    let mut rows = vec![Vec::new()];
    let mut at = (0, 0);
    let mut found = None;
    let clusters = prompt.graphemes(true).map(|cluster| (None, cluster));
    let typed = text.grapheme_indices(true);
    let typed = typed.map(|(byte, cluster)| (Some(byte), cluster));
    for (byte, cluster) in clusters.chain(typed) {
        let cell = Cell::of(cluster, width);
        if at.1 + cell.width > width {
            rows.push(Vec::new());
            at = (at.0 + 1, 0);
        }
        if byte == Some(cursor) {
            found = Some(at);
        }
        rows[at.0].push(cell);
        at.1 += cell.width;
    }
    Layout {
        rows,
        cursor: found.unwrap_or(at),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str, width: usize) -> Vec<String> {
        let shown = |row: &Vec<Cell<'_>>| row.iter().map(|cell| cell.text).collect();
        let layout = layout("> ", text, text.len(), width);
        layout.rows.iter().map(shown).collect()
    }

    #[test]
    fn a_wide_character_is_not_split_between_rows() {
        assert_eq!(rows("가나다", 6), ["> 가나", "다"]);
        assert_eq!(rows("가나다", 7), ["> 가나", "다"]);
        assert_eq!(rows("가나다", 8), ["> 가나다"]);
        assert_eq!(rows("가", 1), [">", " ", "\u{25cc}"]);
    }

    #[test]
    fn the_cursor_stands_at_its_cluster_or_after_the_last() {
        let at = |cursor, width| layout("> ", "가나다", cursor, width).cursor;
        let places = [0, 3, 6, 9].map(|byte| at(byte, 7));
        assert_eq!(places, [(0, 2), (0, 4), (1, 0), (1, 2)]);
        assert_eq!(at(9, 8), (0, 8));
    }

    #[test]
    fn ambiguous_clusters_reserve_the_most_columns_that_a_terminal_uses() {
        let cell = |text| Cell::of(text, 80);
        assert_eq!(cell("👩‍👩‍👧").width, 6);
        assert_eq!(cell("❤\u{fe0f}").width, 2);
        let marked = cell("e\u{301}");
        assert_eq!((marked.width, marked.exact), (1, false));
        assert_eq!((cell("한").width, cell("한").exact), (2, true));
        assert_eq!(cell("\u{301}").text, PLACEHOLDER);
        assert_eq!(cell("\t").text, "␉");
    }
}
