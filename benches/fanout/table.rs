//! What was measured, row by row and server by server. Nothing is measured here.

use crate::harness::Outcome;
use crate::harness::report::{Goal, Report, Rounds, TIMES, Unit, number};
use crate::harness::servers::Kind;

/// What was measured of one server in one row.
pub(crate) enum Cell {
    /// A value for each round in which it took part.
    Values(Vec<Option<f64>>),
    /// Why there is no value.
    Remark(String),
}

impl Cell {
    /// Adds a round; a failure replaces all values.
    pub(crate) fn add(&mut self, value: Outcome<f64>) {
        match (self, value) {
            (Self::Values(values), Ok(value)) => values.push(Some(value)),
            (Self::Remark(_), Ok(_)) => {}
            (cell, Err(problem)) => *cell = Self::Remark(problem.to_string()),
        }
    }

    /// Adds a round in which the server took no part.
    pub(crate) fn pass(&mut self) {
        if let Self::Values(values) = self {
            values.push(None);
        }
    }

    /// Whether the server has not failed.
    pub(crate) fn is_alive(&self) -> bool {
        matches!(self, Self::Values(_))
    }

    fn values(&self) -> &[Option<f64>] {
        match self {
            Self::Values(values) => values,
            Self::Remark(_) => &[],
        }
    }
}

/// One quantity, of all servers.
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) unit: Unit,
    /// Whether the ratio to the floor counts.
    pub(crate) beside_floor: bool,
    /// In the order of the table's servers.
    pub(crate) cells: Vec<Cell>,
}

impl Row {
    /// A row without values.
    pub(crate) fn new(name: &str, unit: Unit, beside_floor: bool, servers: usize) -> Self {
        let cells = (0..servers).map(|_| Cell::Values(Vec::new())).collect();
        Self {
            name: name.to_owned(),
            unit,
            beside_floor,
            cells,
        }
    }

    /// The values of a server, if it has any.
    pub(crate) fn rounds(&self, server: usize) -> Option<Rounds> {
        rounds(self.cells[server].values().iter().copied().flatten())
    }

    /// The ratio of one server's value to another's, in each round in which both took part.
    pub(crate) fn ratio(&self, server: usize, other: usize) -> Option<Rounds> {
        let others = self.cells[other].values();
        let pairs = self.cells[server].values().iter().zip(others);
        rounds(pairs.filter_map(|(value, other)| Some((*value)? / (*other)?)))
    }

    /// The figure of a server: the median of its values, or of its ratios to the floor where these count.
    pub(crate) fn figure(&self, server: usize) -> Option<f64> {
        let rounds = if self.beside_floor {
            self.ratio(server, FLOOR)?
        } else {
            self.rounds(server)?
        };
        Some(rounds.median())
    }
}

fn rounds(values: impl Iterator<Item = f64>) -> Option<Rounds> {
    let mut values = values.peekable();
    values.peek()?;
    Some(Rounds::of(values))
}

/// The result of a server; if it is a failure, that replaces all values of the server in these rows.
pub(crate) fn known<T>(result: Outcome<T>, rows: &mut [Row], server: usize) -> Option<T> {
    match result {
        Ok(known) => Some(known),
        Err(problem) => {
            for row in rows {
                row.cells[server] = Cell::Remark(problem.to_string());
            }
            None
        }
    }
}

/// The positions of the floor and of madang among the servers.
pub(crate) const FLOOR: usize = 0;
pub(crate) const MADANG: usize = 1;

/// All rows.
pub(crate) struct Table {
    pub(crate) servers: Vec<&'static str>,
    pub(crate) rows: Vec<Row>,
}

impl Table {
    /// An empty table of these servers.
    pub(crate) fn of(kinds: &[&'static Kind]) -> Self {
        Self {
            servers: kinds.iter().map(|kind| kind.name).collect(),
            rows: Vec::new(),
        }
    }

    /// Prints a row and keeps it. The goal is for madang's figure.
    pub(crate) fn add(&mut self, row: Row, goal: Goal, report: &mut Report) {
        report.note(&format!("{} ({})", row.name, row.unit.suffix));
        for (server, name) in self.servers.iter().enumerate() {
            let goal = if server == MADANG { goal } else { Goal::None };
            let Some(rounds) = row.rounds(server) else {
                let remark = match &row.cells[server] {
                    Cell::Remark(remark) => remark,
                    Cell::Values(_) => "not measured",
                };
                if server <= MADANG {
                    report.failure(&format!("{name}: {remark}"));
                } else {
                    report.note(&format!("  {name}: {remark}"));
                }
                continue;
            };
            let name = format!("  {name}");
            match row.ratio(server, FLOOR) {
                Some(ratio) if row.beside_floor => {
                    let note = number(rounds.median(), row.unit.decimals);
                    let note = format!("{note} {}", row.unit.suffix);
                    report.row_with_note(&name, ratio, TIMES, goal, &note);
                }
                _ => report.row(&name, rounds, row.unit, goal),
            }
        }
        self.rows.push(row);
    }

    /// Compares madang with a peer in the last row, round by round, if that peer took part.
    pub(crate) fn beside(&self, peer: &str, goal: Goal, report: &mut Report) {
        let server = self.servers.iter().position(|name| *name == peer);
        let row = self.rows.last();
        if let (Some(server), Some(row)) = (server, row)
            && let Some(ratio) = row.ratio(MADANG, server)
        {
            report.row(&format!("  madang / {peer}"), ratio, TIMES, goal);
        }
    }

    /// Compares madang in the last row with the peer that has the least figure.
    pub(crate) fn beside_peers(&self, report: &mut Report) {
        let peers = MADANG + 1..self.servers.len();
        let Some(row) = self.rows.last() else { return };
        let least = peers
            .filter_map(|peer| Some((peer, row.figure(peer)?)))
            .min_by(|(_, left), (_, right)| left.total_cmp(right));
        if let Some((peer, _)) = least
            && let Some(ratio) = row.ratio(MADANG, peer)
        {
            let name = format!("  madang / {}, the least of the peers", self.servers[peer]);
            report.row(&name, ratio, TIMES, Goal::Below(1.0));
        }
    }

    /// The figures of all servers, as a table for README.
    pub(crate) fn markdown(&self) -> String {
        let mut text = format!("| | {} |\n", self.servers.join(" | "));
        text += &format!("| --- |{}\n", " ---: |".repeat(self.servers.len()));
        for row in &self.rows {
            text += &format!("| {} |", row.name);
            for server in 0..self.servers.len() {
                text += &match row.figure(server) {
                    None => " – |".to_owned(),
                    Some(_) if row.beside_floor && server == FLOOR => {
                        let value = row.rounds(server).map_or(0.0, |rounds| rounds.median());
                        let value = number(value, row.unit.decimals);
                        format!(" 1 ({value} {}) |", row.unit.suffix)
                    }
                    Some(ratio) if row.beside_floor => format!(" {} |", digits(ratio)),
                    Some(value) => {
                        let value = number(value, row.unit.decimals);
                        format!(" {value} {} |", row.unit.suffix)
                    }
                };
            }
            text += "\n";
        }
        text
    }
}

/// A ratio with two or three significant digits.
pub(crate) fn digits(ratio: f64) -> String {
    let decimals = match ratio {
        ..0.1 => 3,
        ..10.0 => 2,
        _ => 0,
    };
    format!("{} ×", number(ratio, decimals))
}
