//! How a person sees a server: rows of text of a given width and height, from two snapshots. No input or output, and no
//! control sequences.

#![warn(clippy::disallowed_types, clippy::disallowed_methods)]

use super::rates::{Rates, TURNS_PERCENT, Traffic};
use super::snapshot::Snapshot;
use crate::protocol::{grouped, span};
use std::cmp::Reverse;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Columns between two columns of a table.
const GAP: &str = "  ";
/// Rows of a table that is not worth its head: without an entry.
const HEAD_ROWS: usize = 1;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The text, without its line end.
    pub text: String,
    /// How it stands out.
    pub style: Style,
}

/// How a row stands out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Not at all.
    Plain,
    /// The head of a table.
    Head,
    /// Something is wrong.
    Warning,
}

/// What is shown.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// Where the server is.
    pub place: &'a str,
    /// The server before and now.
    pub before: Option<&'a Snapshot>,
    /// The server now.
    pub now: &'a Snapshot,
    /// Most clients of which all are listed.
    pub clients_max: usize,
    /// The last row, if there is one: what a person can do.
    pub keys: Option<&'a str>,
}

/// The rows of a window: at most `height`, none wider than `width`.
pub fn rows(view: &View<'_>, width: usize, height: usize) -> Vec<Row> {
    let rates = view.before.map(|before| Rates::between(before, view.now));
    let rates = rates.unwrap_or_default();
    let mut rows = summary(view, &rates);
    let footer = view.keys.map(|keys| plain(keys.to_owned()));
    let mut left = height.saturating_sub(rows.len() + usize::from(footer.is_some()));
    let tables = tables(view, &rates);
    for (at, table) in tables.iter().enumerate() {
        // An equal share of what is left, and what others do not need.
        let share = left / (tables.len() - at);
        let taken = table.rows(share);
        left -= taken.len();
        rows.extend(taken);
    }
    rows.truncate(height.saturating_sub(usize::from(footer.is_some())).max(1));
    if let Some(footer) = footer.filter(|_| height > rows.len()) {
        let space = height.saturating_sub(rows.len() + 1);
        rows.extend(std::iter::repeat_n(plain(String::new()), space));
        rows.push(footer);
    }
    for row in &mut rows {
        row.text = cut(&row.text, width);
    }
    rows
}

fn plain(text: String) -> Row {
    let style = Style::Plain;
    Row { text, style }
}

/// The first rows: the server as a whole. What it does not tell is left out.
fn summary(view: &View<'_>, rates: &Rates) -> Vec<Row> {
    let now = view.now;
    let phrase = |name: &str, value: Option<String>| value.map(|value| format!("{name} {value}"));
    let count = |name: &str| now.figure(name).map(|value| grouped(value as u64));
    let longest = now.figure("longest_turn_seconds").map(seconds);
    let turns = rates.turns;
    let bound = turns
        .and_then(|turns| turns.bound)
        .map(|bound| match bound.is_finite() {
            true => format!("{TURNS_PERCENT} % within {}", seconds(bound)),
            false => format!("{TURNS_PERCENT} % not within the largest bound"),
        });
    let rows = [
        vec![
            Some(view.place.to_owned()),
            Some(format!("connections {}", grouped(now.connected))),
            phrase("rooms", count("rooms_occupied").or_else(|| count("rooms"))),
            phrase("laggards", count("laggards")),
        ],
        vec![
            phrase("lines", rates.lines.map(rate)),
            phrase("deliveries", rates.deliveries.map(rate)),
            phrase("skipped", rates.skipped.map(rate)),
            phrase("refused", rates.refused.map(rate)),
            phrase("newcomers", rates.accepted.map(rate)),
        ],
        vec![
            phrase("bytes in", rates.bytes_in.map(byte_rate)),
            phrase("bytes out", rates.bytes_out.map(byte_rate)),
            phrase(
                "resident",
                now.figure("process_resident_memory_bytes").map(bytes),
            ),
        ],
        vec![
            phrase("turns", turns.map(|turns| rate(turns.rate))),
            phrase("mean", turns.map(|turns| seconds(turns.mean))),
            bound,
            phrase("longest since the start", longest),
        ],
    ];
    let rows = rows
        .into_iter()
        .map(|phrases| phrases.into_iter().flatten().collect::<Vec<_>>());
    let rows = rows.filter(|phrases| !phrases.is_empty());
    let mut rows: Vec<Row> = rows.map(|phrases| plain(phrases.join("   "))).collect();
    let style = Style::Warning;
    if now.is_shutting_down {
        let text = "the server ends".into();
        rows.push(Row { text, style });
    }
    if let Some(why) = &now.refused {
        let text = format!("the server refuses: {why}");
        rows.push(Row { text, style });
    }
    rows
}

/// A table: its head and its entries, the most important first. The first column and those marked so are aligned left.
struct Table {
    head: Vec<&'static str>,
    entries: Vec<Vec<String>>,
    /// How many of the columns, from the left, are text.
    texts: usize,
    /// What stands in the place of entries when there are none.
    nothing: String,
}

impl Table {
    /// As many rows as there is space for, an empty one before the head.
    fn rows(&self, height: usize) -> Vec<Row> {
        if height < 2 + HEAD_ROWS {
            return Vec::new();
        }
        let mut rows = vec![plain(String::new())];
        let style = Style::Head;
        if self.entries.is_empty() {
            let text = self.head[0].to_owned();
            rows.push(Row { text, style });
            rows.push(plain(self.nothing.clone()));
            return rows;
        }
        let shown = &self.entries[..self.entries.len().min(height - 1 - HEAD_ROWS)];
        let head: Vec<String> = self.head.iter().map(|&head| head.to_owned()).collect();
        let mut widths: Vec<usize> = head.iter().map(|cell| cell.width()).collect();
        for entry in shown {
            for (width, cell) in widths.iter_mut().zip(entry) {
                *width = (*width).max(cell.width());
            }
        }
        let line = |cells: &[String]| {
            let cells = cells.iter().zip(&widths).enumerate();
            let cells = cells.map(|(at, (cell, width))| {
                let blanks = " ".repeat(width - cell.width());
                if at < self.texts {
                    format!("{cell}{blanks}")
                } else {
                    format!("{blanks}{cell}")
                }
            });
            cells.collect::<Vec<_>>().join(GAP).trim_end().to_owned()
        };
        let text = line(&head);
        rows.push(Row { text, style });
        rows.extend(shown.iter().map(|entry| plain(line(entry))));
        rows
    }
}

fn tables(view: &View<'_>, rates: &Rates) -> [Table; 3] {
    [
        behind(view.now),
        busiest_clients(view, rates),
        busiest_rooms(view, rates),
    ]
}

fn behind(now: &Snapshot) -> Table {
    let mut clients: Vec<_> = now.clients.iter().collect();
    clients.retain(|(_, client)| client.behind_lines > 0 || client.behind_bytes > 0);
    clients.sort_by_key(|(number, client)| {
        (
            Reverse((client.behind_lines, client.behind_bytes)),
            **number,
        )
    });
    let entries = clients.into_iter().map(|(number, client)| {
        vec![
            client.name.clone(),
            client.room.clone(),
            client.address.clone(),
            format!("#{number}"),
            client.blocked.clone(),
            grouped(client.behind_lines),
            bytes(client.behind_bytes as f64),
        ]
    });
    Table {
        head: vec![
            "FURTHEST BEHIND",
            "ROOM",
            "ADDRESS",
            "NUMBER",
            "BLOCKED",
            "LINES",
            "BYTES",
        ],
        entries: entries.collect(),
        texts: 5,
        nothing: "nobody".into(),
    }
}

fn busiest_clients(view: &View<'_>, rates: &Rates) -> Table {
    let mut clients: Vec<_> = rates.clients.iter().collect();
    clients.retain(|(_, traffic)| traffic.bytes_in > 0.0);
    clients.sort_by(|(a, of_a), (b, of_b)| order(of_a, of_b).then(a.cmp(b)));
    let entries = clients.into_iter().filter_map(|(number, traffic)| {
        let client = view.now.clients.get(number)?;
        let mut entry = vec![
            client.name.clone(),
            client.room.clone(),
            client.address.clone(),
            format!("#{number}"),
        ];
        entry.extend(cells(traffic));
        Some(entry)
    });
    Table {
        head: vec![
            "BUSIEST CLIENTS",
            "ROOM",
            "ADDRESS",
            "NUMBER",
            "LINES",
            "IN",
            "OUT",
        ],
        entries: entries.collect(),
        texts: 4,
        nothing: nothing(view),
    }
}

fn busiest_rooms(view: &View<'_>, rates: &Rates) -> Table {
    let mut rooms: Vec<_> = rates.rooms.iter().collect();
    rooms.retain(|(_, (_, traffic))| traffic.bytes_in > 0.0);
    rooms.sort_by(|(a, (_, of_a)), (b, (_, of_b))| order(of_a, of_b).then(a.cmp(b)));
    let entries = rooms.into_iter().map(|(name, (members, traffic))| {
        let mut entry = vec![name.clone(), grouped(*members)];
        entry.extend(cells(traffic));
        entry
    });
    Table {
        head: vec!["BUSIEST ROOMS", "CLIENTS", "LINES", "IN", "OUT"],
        entries: entries.collect(),
        texts: 1,
        nothing: nothing(view),
    }
}

/// Why no client and no room is busy.
fn nothing(view: &View<'_>) -> String {
    match view.before {
        _ if view.now.connected > view.clients_max => {
            format!("not shown above {} connections", grouped(view.clients_max))
        }
        Some(before) if before.has_all && view.now.has_all => "none".into(),
        _ => "…".into(),
    }
}

/// The busier first.
fn order(a: &Traffic, b: &Traffic) -> std::cmp::Ordering {
    b.bytes_in.total_cmp(&a.bytes_in)
}

fn cells(traffic: &Traffic) -> [String; 3] {
    let lines = traffic.lines.map_or_else(|| "-".into(), rate);
    [
        lines,
        byte_rate(traffic.bytes_in),
        byte_rate(traffic.bytes_out),
    ]
}

/// A number a second: `0.5/s`, `1,204/s`.
fn rate(number: f64) -> String {
    match number {
        0.0 => "0/s".into(),
        number if number < 9.95 => format!("{number:.1}/s"),
        number => format!("{}/s", grouped(number.round() as u64)),
    }
}

fn byte_rate(number: f64) -> String {
    format!("{}/s", bytes(number))
}

/// Bytes in units of 1,000: `12 B`, `3.4 kB`, `340 MB`.
fn bytes(number: f64) -> String {
    let (mut number, mut unit) = (number.round(), "B");
    for larger in ["kB", "MB", "GB", "TB", "PB"] {
        if number < 999.5 {
            break;
        }
        (number, unit) = (number / 1000.0, larger);
    }
    match unit {
        "B" => format!("{number:.0} B"),
        unit if number < 9.95 => format!("{number:.1} {unit}"),
        unit => format!("{number:.0} {unit}"),
    }
}

/// A short time: `35 µs`, `1.2 ms`, `2.5 s`; a long one as `3m5s`.
fn seconds(seconds: f64) -> String {
    match seconds {
        long if long >= 60.0 => span::shown(long as u64).to_string(),
        long if long >= 0.9995 => format!("{long:.1} s"),
        ms if ms >= 0.00995 => format!("{:.0} ms", ms * 1e3),
        ms if ms >= 0.0009995 => format!("{:.1} ms", ms * 1e3),
        us => format!("{:.0} µs", us * 1e6),
    }
}

/// As much of a text as so many columns show; `…` in the last of them where something is left out.
fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let (mut shown, mut columns) = (String::new(), 0);
    for c in text.chars() {
        columns += c.width().unwrap_or(0);
        if columns >= width {
            break;
        }
        shown.push(c);
    }
    if width > 0 {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests;
