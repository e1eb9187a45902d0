//! What a server tells of itself at one moment: its figures and its clients, as `/stats` and `/clients` answer. No input or
//! output.

#![warn(clippy::disallowed_types, clippy::disallowed_methods)]

use crate::protocol::{Line, Notice, Plain};
use std::collections::BTreeMap;

/// What the metrics page puts before the names of figures.
const PREFIX: &str = "madang_";
/// … and after those that only grow.
const TOTAL: &str = "_total";

/// A server at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// When the answers were complete, in microseconds of any clock that does not jump.
    pub at_us: u64,
    /// All clients are listed, not only slow ones.
    pub has_all: bool,
    /// How many are connected.
    pub connected: usize,
    /// Those that are listed, by number.
    pub clients: BTreeMap<u64, Client>,
    /// Why the server has refused to tell something.
    pub refused: Option<String>,
    /// It says that it ends.
    pub is_shutting_down: bool,
    /// By name, without the metrics page's prefix.
    pub(super) figures: BTreeMap<String, f64>,
}

/// One client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "as in `Notice::Client`")]
pub struct Client {
    pub name: String,
    pub room: String,
    pub address: String,
    pub lines_in: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub behind_lines: u64,
    pub behind_bytes: u64,
    pub blocked: String,
}

impl Snapshot {
    /// Takes a line of the server's. Returns whether it is the last of the answer to `/clients`.
    pub fn take(&mut self, line: &str) -> bool {
        let text = match Line::parse(line) {
            Line::Notice(text) => text,
            Line::Refusal(why) => {
                self.refused = Some(why.into());
                return false;
            }
            _ => return false,
        };
        match Notice::parse(text) {
            Notice::Figure { figure, value } => {
                let name = figure.strip_prefix(PREFIX).unwrap_or(figure);
                if let Ok(value) = value.parse() {
                    self.figures.insert(name.into(), value);
                }
            }
            Notice::ShuttingDown {} => self.is_shutting_down = true,
            Notice::Clients { connected, .. } => {
                self.connected = connected;
                return true;
            }
            notice => {
                self.clients.extend(entry(&notice));
            }
        }
        false
    }

    /// A figure by its name, with or without the ending of those that only grow; of one that has labels, the sum.
    pub fn figure(&self, name: &str) -> Option<f64> {
        let of = |name: &str| -> Option<f64> {
            if let Some(&value) = self.figures.get(name) {
                return Some(value);
            }
            let labelled = format!("{name}{{");
            let all = self.figures.range(labelled.clone()..);
            let all = all.take_while(|(key, _)| key.starts_with(&labelled));
            all.map(|(_, &value)| value)
                .reduce(|sum, value| sum + value)
        };
        of(&format!("{name}{TOTAL}")).or_else(|| of(name))
    }

    /// The figures of a histogram: each bound, and how many are not above it, in order of the bounds.
    pub fn buckets(&self, name: &str) -> Vec<(f64, f64)> {
        let start = format!("{name}_bucket{{le=\"");
        let all = self.figures.range(start.clone()..);
        let bound = |key: &str| key.strip_prefix(&start)?.strip_suffix("\"}")?.parse().ok();
        let all = all.map_while(|(key, &value)| Some((bound(key)?, value)));
        let mut all: Vec<(f64, f64)> = all.collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0));
        all
    }
}

/// An entry of the list of clients.
fn entry(notice: &Notice<'_>) -> Option<(u64, Client)> {
    let Notice::Client {
        number: Plain(number),
        name,
        room,
        address,
        lines_in: Plain(lines_in),
        bytes_in: Plain(bytes_in),
        bytes_out: Plain(bytes_out),
        behind_lines: Plain(behind_lines),
        behind_bytes: Plain(behind_bytes),
        blocked,
        ..
    } = *notice
    else {
        return None;
    };
    let client = Client {
        name: name.into(),
        room: room.into(),
        address: address.into(),
        lines_in,
        bytes_in,
        bytes_out,
        behind_lines,
        behind_bytes,
        blocked: blocked.into(),
    };
    Some((number, client))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_found_by_their_names_in_any_of_their_forms() {
        let mut snapshot = Snapshot::default();
        for line in [
            "* figure lines: 12",
            "* figure madang_received_bytes_total: 5000",
            "* figure madang_connections{listener=\"0.0.0.0:8080\"}: 3",
            "* figure madang_connections{listener=\"unix:/x\"}: 4",
            "* figure madang_connections_limit: 960",
            "* figure version: 0.1.0",
            "kim -> you: figure lines: 99",
        ] {
            assert!(!snapshot.take(line));
        }
        for (name, value) in [
            ("lines", Some(12.0)),
            ("received_bytes", Some(5000.0)),
            ("connections", Some(7.0)),
            ("version", None),
            ("sent_bytes", None),
        ] {
            assert_eq!(snapshot.figure(name), value, "{name}");
        }
    }

    #[test]
    fn a_histogram_is_sorted_by_its_bounds() {
        let mut snapshot = Snapshot::default();
        for (bound, value) in [("0.001", 5), ("+Inf", 9), ("0.000016", 1), ("1.5", 8)] {
            snapshot.take(&format!(
                "* figure madang_turn_seconds_bucket{{le=\"{bound}\"}}: {value}"
            ));
        }
        let want = [
            (0.000016, 1.0),
            (0.001, 5.0),
            (1.5, 8.0),
            (f64::INFINITY, 9.0),
        ];
        assert_eq!(snapshot.buckets("turn_seconds"), want);
    }

    #[test]
    fn the_list_of_clients_ends_the_answer() {
        let mut snapshot = Snapshot::default();
        let client = "* client 5: name kim, room pond, address 10.0.0.1:7, seconds 1, idle 0, lines_in 2, bytes_in 30, \
            bytes_out 40, behind_lines 6, behind_bytes 70, blocked room, muted no, proxy -, listener 0.0.0.0:1";
        assert!(!snapshot.take(client));
        assert!(!snapshot.take("! not done: too many commands"));
        assert!(!snapshot.take("* server is shutting down"));
        assert!(snapshot.take("* clients: 1 listed of 1,204 connected"));
        assert_eq!(snapshot.connected, 1204);
        assert!(snapshot.is_shutting_down);
        assert_eq!(
            snapshot.refused.as_deref(),
            Some("not done: too many commands")
        );
        let kim = &snapshot.clients[&5];
        assert_eq!(
            (&*kim.name, &*kim.blocked, kim.behind_bytes),
            ("kim", "room", 70)
        );
    }
}
