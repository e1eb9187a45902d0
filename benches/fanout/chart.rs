//! The table as a picture: a panel for each row, with a bar for each server from the floor's line to the server's ratio; to
//! the left if it is cheaper than the floor, to the right if it is dearer. All panels have the same logarithmic scale.

use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::harness::Outcome;
use crate::table::{FLOOR, MADANG, Row, Table, digits};

/// Pixels.
const WIDTH: i32 = 760;
const MARGIN: i32 = 16;
const TITLE_HEIGHT: i32 = 24;
const BAR_HEIGHT: i32 = 12;
const BAR_STEP: i32 = 18;
const PANEL_GAP: i32 = 16;
/// The range of the bars; the names are left of it, and the longest bar's figure is right of it.
const BARS_FROM: i32 = 170;
const BARS_TO: i32 = WIDTH - 80;
/// Between a bar and its figure.
const GAP: i32 = 6;

const OURS: RGBColor = RGBColor(0x1f, 0x6f, 0xb4);
const THEIRS: RGBColor = RGBColor(0xa9, 0xb1, 0xba);
const INK: RGBColor = RGBColor(0x22, 0x22, 0x22);
const LINE: RGBColor = RGBColor(0x66, 0x66, 0x66);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Draws all rows in which the ratio to the floor counts.
pub(crate) fn draw(table: &Table, file: &Path) -> Outcome<()> {
    let rows: Vec<&Row> = table.rows.iter().filter(|row| row.beside_floor).collect();
    let scale = Scale::over(&rows);
    let panel_height = TITLE_HEIGHT + BAR_STEP * (table.servers.len() as i32 - 1) + PANEL_GAP;
    let height = 2 * MARGIN + panel_height * rows.len() as i32;
    let area = SVGBackend::new(file, (WIDTH as u32, height as u32)).into_drawing_area();
    area.fill(&WHITE)?;
    for (nth, row) in rows.iter().enumerate() {
        let top = MARGIN + panel_height * nth as i32;
        panel(&area, row, &table.servers, top, &scale)?;
    }
    area.present()?;
    println!("drawn: {}", file.display());
    Ok(())
}

fn panel(area: &Area<'_>, row: &Row, servers: &[&str], top: i32, scale: &Scale) -> Outcome<()> {
    let title = format!("{}, beside the floor", row.name);
    write(
        area,
        &title,
        (MARGIN, top + TITLE_HEIGHT / 2),
        HPos::Left,
        14,
    )?;
    let mut middle = top + TITLE_HEIGHT + BAR_STEP / 2;
    let floor = scale.x(1.0);
    let bottom = middle + BAR_STEP * (servers.len() as i32 - 1) - BAR_STEP / 2;
    let line = vec![(floor, top + TITLE_HEIGHT), (floor, bottom)];
    area.draw(&PathElement::new(line, LINE))?;
    for (server, name) in servers.iter().enumerate() {
        if server == FLOOR {
            continue;
        }
        write(area, name, (MARGIN + GAP, middle), HPos::Left, 12)?;
        match row.figure(server) {
            None => write(area, "–", (floor + GAP, middle), HPos::Left, 12)?,
            Some(ratio) => {
                let end = scale.x(ratio);
                let from = (floor.min(end), middle - BAR_HEIGHT / 2);
                let to = (floor.max(end), middle + BAR_HEIGHT / 2);
                let colour = if server == MADANG { OURS } else { THEIRS };
                area.draw(&Rectangle::new([from, to], colour.filled()))?;
                let (x, side) = if ratio < 1.0 {
                    (end - GAP, HPos::Right)
                } else {
                    (end + GAP, HPos::Left)
                };
                write(area, &digits(ratio), (x, middle), side, 12)?;
            }
        }
        middle += BAR_STEP;
    }
    Ok(())
}

fn write(area: &Area<'_>, text: &str, at: (i32, i32), side: HPos, size: i32) -> Outcome<()> {
    let style = TextStyle::from(("sans-serif", size))
        .color(&INK)
        .pos(Pos::new(side, VPos::Center));
    Ok(area.draw(&Text::new(text.to_owned(), at, style))?)
}

/// From ratios to pixels.
struct Scale {
    /// Logarithms of the least and the greatest ratio; that of the floor, 0, is between them.
    least: f64,
    greatest: f64,
}

impl Scale {
    fn over(rows: &[&Row]) -> Self {
        let ratios = rows
            .iter()
            .flat_map(|row| (0..row.cells.len()).filter_map(|server| row.figure(server)));
        let (mut least, mut greatest): (f64, f64) = (-0.1, 0.1);
        for ratio in ratios {
            least = least.min(ratio.ln());
            greatest = greatest.max(ratio.ln());
        }
        Self { least, greatest }
    }

    fn x(&self, ratio: f64) -> i32 {
        let share = (ratio.ln() - self.least) / (self.greatest - self.least);
        BARS_FROM + (share * f64::from(BARS_TO - BARS_FROM)) as i32
    }
}
