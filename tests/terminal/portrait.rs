//! The picture in the README: a server's console and two clients, each on a terminal, drawn from the bytes that the
//! programs wrote. Each run of the tests draws it and compares it with the committed one:
//!
//! ```sh
//! MADANG_PORTRAIT=new cargo test --test terminal portrait    # writes tests/terminal/portrait.svg
//! ```

use std::fmt::Write;
use std::fs;
use std::num::NonZeroU16;
use std::path::Path;

use crate::common::Scratch;
use crate::model::wrapping;
use crate::rig::{Rig, Setup};

const COLS: u16 = 64;
const ROWS: u16 = 8;

/// In pixels: a cell's width and height, the height of a window's title, a window's margin.
const CELL: (usize, usize) = (8, 18);
const TITLE: usize = 26;
const MARGIN: usize = 10;

/// Three windows. In each a line is half typed.
#[test]
fn the_picture_in_the_readme_is_up_to_date() {
    let scratch = Scratch::new();
    let address = format!("unix:{}", scratch.path("socket").display());
    let serve = ["serve", "--console", "--log-level", "warn"];
    let quiet = ["--announce-limit", "0", "--listen", &address];
    let terminal = || wrapping(COLS, ROWS);
    let mut host = Setup::program(&[&serve[..], &quiet].concat()).spawn(terminal());
    host.until_shown("* here in lobby: host (1)");
    // The first line shows the server's address, which differs from run to run.
    host.keys("\x0c");
    host.until("a clear screen", |rig| {
        rig.written().windows(4).any(|bytes| bytes == b"\x1b[2J")
    });
    let guest = |nick| Setup::at(&address).flags(&["--nick", nick]);
    let mut kim = guest("kim").spawn(terminal());
    kim.until_shown("* here in lobby: host, kim (2)");
    let mut minsu = guest("민수").spawn(terminal());
    minsu.until_shown("* here in lobby: host, kim, 민수 (3)");
    for rig in [&mut host, &mut kim] {
        rig.until_shown("* renamed: guest2 -> 민수");
    }

    let line = "안녕하세요! what's for lunch?";
    say(&mut kim, "kim", line, [&mut host, &mut minsu]);
    let kims = "I'd like 김밥, if only I could finish this line before some";
    kim.keys(kims);
    let line = "김밥! kim, 같이 가실래요?";
    say(&mut minsu, "민수", line, [&mut host, &mut kim]);
    minsu.keys("/me waves at the ho");
    let line = "kim, 민수: the yard is open till noon";
    say(&mut host, "host", line, [&mut kim, &mut minsu]);
    host.type_around("tomorrow we ", "");
    kim.until_typed(kims, "");
    minsu.until_typed("/me waves at the ho", "");

    compare(&drawing(&[
        ("$ madang serve --console", &host),
        ("$ madang join --nick kim", &kim),
        ("$ madang join --nick 민수", &minsu),
    ]));
}

/// One client says something, and the others show it above their typed lines.
fn say(speaker: &mut Rig, name: &str, line: &str, others: [&mut Rig; 2]) {
    speaker.keys(&format!("{line}\r"));
    for rig in [speaker].into_iter().chain(others) {
        rig.until_shown(&format!("{name}: {line}"));
    }
}

/// Compares the drawing with the committed one, after replacing that if asked to.
fn compare(drawn: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/terminal/portrait.svg");
    if std::env::var_os("MADANG_PORTRAIT").is_some() {
        fs::write(&path, drawn).expect("a writable folder");
    }
    let committed = fs::read_to_string(&path).expect("the picture");
    assert_eq!(drawn, committed, "MADANG_PORTRAIT=new redraws it");
}

/// The SVG of windows, one below the other.
fn drawing(windows: &[(&str, &Rig)]) -> String {
    let (width, height) = (CELL.0 * usize::from(COLS), CELL.1 * usize::from(ROWS));
    let (width, height) = (width + 2 * MARGIN, height + TITLE + MARGIN);
    let total = windows.len() * (height + MARGIN) - MARGIN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {total}\" width=\"{width}\" height=\"{total}\" \
         font-family=\"ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace\" font-size=\"13\" fill=\"#d8dade\">\n"
    );
    for (number, (title, rig)) in windows.iter().enumerate() {
        let y = number * (height + MARGIN);
        let _ = writeln!(
            svg,
            "<g transform=\"translate(0 {y})\"><rect width=\"{width}\" height=\"{height}\" rx=\"6\" fill=\"#1c1e24\"/>\
             <text x=\"{MARGIN}\" y=\"17\" fill=\"#8b9099\">{}</text>",
            escaped(title)
        );
        window(rig, &mut svg);
        svg.push_str("</g>\n");
    }
    svg + "</svg>\n"
}

/// Draws the cells of a window, from all bytes that its program wrote.
fn window(rig: &Rig, svg: &mut String) {
    let size = |n| NonZeroU16::new(n).expect("it has cells");
    let mut terminal = vt100::Parser::new(size(ROWS), size(COLS), 0);
    terminal.process(rig.written());
    let screen = terminal.screen();
    for row in 0..ROWS {
        let mut runs: Vec<Run> = Vec::new();
        for col in 0..COLS {
            let cell = screen.cell(row, col).expect("within the window");
            if cell.has_contents() {
                Run::extend(&mut runs, col, cell);
            }
        }
        runs.iter().for_each(|run| run.draw(row, svg));
    }
    let (row, col) = screen.cursor_position();
    let (x, y) = corner(row, col);
    let _ = writeln!(
        svg,
        "<rect x=\"{x}\" y=\"{y}\" width=\"2\" height=\"16\" fill=\"#e6c35c\"/>"
    );
}

/// Adjacent cells with the same attributes.
struct Run {
    col: u16,
    cells: u16,
    text: String,
    attributes: String,
    inverse: bool,
}

impl Run {
    /// Appends a cell. A wide cell is a run of its own, since fonts differ in its width.
    fn extend(runs: &mut Vec<Run>, col: u16, cell: &vt100::Cell) {
        let cells = if cell.is_wide() { 2 } else { 1 };
        let (attributes, inverse) = (attributes(cell), cell.inverse());
        match runs.last_mut() {
            Some(last)
                if last.col + last.cells == col
                    && (&last.attributes, last.inverse) == (&attributes, inverse)
                    && cells == 1
                    && last.text.is_ascii() =>
            {
                last.text.push_str(cell.contents());
                last.cells += 1;
            }
            _ => runs.push(Run {
                col,
                cells,
                text: cell.contents().to_owned(),
                attributes,
                inverse,
            }),
        }
    }

    fn draw(&self, row: u16, svg: &mut String) {
        let (x, y) = corner(row, self.col);
        let width = CELL.0 * usize::from(self.cells);
        let ink = if self.inverse {
            let _ = write!(
                svg,
                "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"17\"/>"
            );
            " fill=\"#1c1e24\""
        } else {
            ""
        };
        let _ = writeln!(
            svg,
            "<text x=\"{x}\" y=\"{}\" textLength=\"{width}\" xml:space=\"preserve\"{}{ink}>{}</text>",
            y + 13,
            self.attributes,
            escaped(&self.text)
        );
    }
}

fn attributes(cell: &vt100::Cell) -> String {
    let mut attributes = String::new();
    if cell.bold() {
        attributes.push_str(" font-weight=\"bold\"");
    }
    if cell.dim() {
        attributes.push_str(" opacity=\"0.55\"");
    }
    if let vt100::Color::Idx(color @ 16..232) = cell.fgcolor() {
        let level = |n: u8| if n == 0 { 0 } else { 55 + 40 * n };
        let cube = color - 16;
        let [r, g, b] = [cube / 36, cube / 6 % 6, cube % 6].map(level);
        let _ = write!(attributes, " fill=\"#{r:02x}{g:02x}{b:02x}\"");
    }
    attributes
}

fn corner(row: u16, col: u16) -> (usize, usize) {
    let (row, col) = (usize::from(row), usize::from(col));
    (MARGIN + CELL.0 * col, TITLE + CELL.1 * row)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
