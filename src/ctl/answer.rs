//! The answer to one command: as text for people and grep, or as JSON for programs. No input or output.
//!
//! As text a line of the server's stands without its mark `* `, since every line would have it. As JSON, numbers are
//! numbers, what there is not is `null`, and ends are seconds from now:
//!
//! | command | JSON |
//! | --- | --- |
//! | `/clients` | an array of objects, one a line |
//! | `/bans` | an array of objects, one a line |
//! | `/stats` | an object: each figure by its name |
//! | others | `{"ok": true, "lines": […]}` |
//! | something refused | `{"ok": false, "lines": […], "refused": […]}` |

use crate::protocol::{NONE, Notice, Plain, span};
use serde_json::{Map, Number, Value, json};

/// What an answer is in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// An array of entries.
    List,
    /// An object of figures.
    Figures,
    /// An object with lines.
    Lines,
}

/// An answer that is to be JSON.
#[derive(Debug)]
pub struct JsonAnswer {
    shape: Shape,
    /// Entries as JSON.
    entries: Vec<String>,
    figures: Map<String, Value>,
    /// Lines that are neither, without their marks.
    lines: Vec<String>,
    refused: Vec<String>,
}

impl JsonAnswer {
    /// Of this command, before its first line.
    pub fn new(command: &str) -> JsonAnswer {
        let word = command.split(' ').next().unwrap_or_default();
        let shape = match &*word.to_ascii_lowercase() {
            "/clients" | "/bans" => Shape::List,
            "/stats" => Shape::Figures,
            _ => Shape::Lines,
        };
        JsonAnswer {
            shape,
            entries: Vec::new(),
            figures: Map::new(),
            lines: Vec::new(),
            refused: Vec::new(),
        }
    }

    /// Takes a line of the server's, without the mark of a notice.
    pub fn push(&mut self, line: &str) {
        match (self.shape, Notice::parse(line)) {
            (Shape::List, notice @ (Notice::Client { .. } | Notice::Ban { .. })) => {
                self.entries.push(entry(&notice).to_string());
            }
            // An array has its length.
            (Shape::List, Notice::Clients { .. } | Notice::Bans { .. }) => {}
            (Shape::Figures, Notice::Figure { figure, value }) => {
                self.figures.insert(figure.into(), number_or_text(value));
            }
            _ => self.lines.push(line.into()),
        }
    }

    /// Takes the reason of a refusal.
    pub fn refuse(&mut self, why: &str) {
        self.refused.push(why.into());
    }

    /// Lines that do not belong to the answer and that its JSON does not have.
    pub fn strays(&self) -> &[String] {
        match self.shape {
            Shape::List | Shape::Figures if self.refused.is_empty() => &self.lines,
            _ => &[],
        }
    }

    /// The answer as JSON, with its last line end.
    pub fn text(&self) -> String {
        let lines = &self.lines;
        if !self.refused.is_empty() {
            let refused = &self.refused;
            return format!(
                "{}\n",
                json!({"ok": false, "lines": lines, "refused": refused})
            );
        }
        match self.shape {
            Shape::List if self.entries.is_empty() => "[]\n".into(),
            Shape::List => format!("[\n{}\n]\n", self.entries.join(",\n")),
            Shape::Figures => format!("{:#}\n", Value::from(self.figures.clone())),
            Shape::Lines => format!("{}\n", json!({"ok": true, "lines": lines})),
        }
    }
}

/// An entry of a list.
fn entry(notice: &Notice<'_>) -> Value {
    let text = |text: &str| (text != NONE).then(|| text.to_owned());
    match *notice {
        Notice::Client {
            number: Plain(number),
            name,
            room,
            address,
            age: Plain(seconds),
            idle: Plain(idle),
            lines_in: Plain(lines_in),
            bytes_in: Plain(bytes_in),
            bytes_out: Plain(bytes_out),
            behind_lines: Plain(behind_lines),
            behind_bytes: Plain(behind_bytes),
            blocked,
            muted,
            proxy,
            listener,
        } => json!({
            "number": number,
            "name": text(name),
            "room": text(room),
            "address": text(address),
            "seconds": seconds,
            "idle": idle,
            "lines_in": lines_in,
            "bytes_in": bytes_in,
            "bytes_out": bytes_out,
            "behind_lines": behind_lines,
            "behind_bytes": behind_bytes,
            "blocked": (blocked != "no").then_some(blocked),
            "muted": muted != "no",
            "muted_ends": span::parse_ends(muted).flatten(),
            "proxy": text(proxy),
            "listener": text(listener),
        }),
        Notice::Ban {
            range,
            ends,
            by,
            hits: Plain(hits),
            why,
        } => json!({
            "range": range,
            "ends": span::parse_ends(ends).flatten(),
            "by": by,
            "hits": hits,
            "why": text(why),
        }),
        _ => Value::Null,
    }
}

/// A value as a number if it is one in JSON.
fn number_or_text(value: &str) -> Value {
    value
        .parse::<Number>()
        .map_or_else(|_| value.into(), Value::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: Notice<'_> = Notice::Client {
        number: Plain(7),
        name: "kim",
        room: "pond",
        address: "192.0.2.1:50412",
        age: Plain(61),
        idle: Plain(3),
        lines_in: Plain(12_000),
        bytes_in: Plain(5120),
        bytes_out: Plain(10_240),
        behind_lines: Plain(4),
        behind_bytes: Plain(88),
        blocked: "no",
        muted: "no",
        proxy: "10.0.0.7:40112",
        listener: "0.0.0.0:8080",
    };

    fn answer(command: &str, lines: &[&str]) -> Value {
        let mut answer = JsonAnswer::new(command);
        lines.iter().for_each(|line| answer.push(line));
        assert!(answer.strays().is_empty());
        serde_json::from_str(&answer.text()).unwrap()
    }

    #[test]
    fn clients_are_objects_with_numbers_and_null_for_what_there_is_not() {
        let nobody = "client 9: name -, room -, address -, seconds 0, idle 0, lines_in 0, bytes_in 0, bytes_out 0, \
            behind_lines 0, behind_bytes 0, blocked rate, muted in 1m30s, proxy -, listener unix:/x";
        let mut text = JsonAnswer::new("/Clients --slow");
        for line in [
            &*CLIENT.to_string(),
            nobody,
            "clients: 2 listed of 1,204 connected",
        ] {
            text.push(line);
        }
        assert_eq!(
            text.text().lines().count(),
            4,
            "one client a line: {}",
            text.text()
        );
        let json: Value = serde_json::from_str(&text.text()).unwrap();
        assert_eq!(
            json,
            json!([
                {"number": 7, "name": "kim", "room": "pond", "address": "192.0.2.1:50412", "seconds": 61, "idle": 3,
                    "lines_in": 12000, "bytes_in": 5120, "bytes_out": 10240, "behind_lines": 4, "behind_bytes": 88,
                    "blocked": null, "muted": false, "muted_ends": null, "proxy": "10.0.0.7:40112", "listener": "0.0.0.0:8080"},
                {"number": 9, "name": null, "room": null, "address": null, "seconds": 0, "idle": 0,
                    "lines_in": 0, "bytes_in": 0, "bytes_out": 0, "behind_lines": 0, "behind_bytes": 0,
                    "blocked": "rate", "muted": true, "muted_ends": 90, "proxy": null, "listener": "unix:/x"},
            ])
        );
        assert_eq!(
            answer("/clients", &["clients: 0 listed of 0 connected"]),
            json!([])
        );
    }

    #[test]
    fn bans_are_objects_whatever_their_reasons_are() {
        let lines = [
            "ban 10.0.0.0/8: ends in 1h, by op1, hits 3, why a, hits 9, why so",
            "ban 2001:db8::/32: ends never, by host, hits 0, why -",
            "bans: 2",
        ];
        assert_eq!(
            answer("/bans", &lines),
            json!([
                {"range": "10.0.0.0/8", "ends": 3600, "by": "op1", "hits": 3, "why": "a, hits 9, why so"},
                {"range": "2001:db8::/32", "ends": null, "by": "host", "hits": 0, "why": null},
            ])
        );
    }

    #[test]
    fn figures_are_numbers_where_they_are_some() {
        let lines = [
            "figure lines: 18446744073709551615",
            "figure turn_seconds{le=\"0.001\"}: 12",
            "figure cpu: 0.25",
            "figure version: 0.1.0",
        ];
        assert_eq!(
            answer("/stats", &lines),
            json!({"lines": u64::MAX, "turn_seconds{le=\"0.001\"}": 12, "cpu": 0.25, "version": "0.1.0"})
        );
    }

    #[test]
    fn other_answers_and_refusals_are_lines() {
        assert_eq!(
            answer("/say hi", &["announced; rooms: 2"]),
            json!({"ok": true, "lines": ["announced; rooms: 2"]})
        );
        let mut refused = JsonAnswer::new("/clients");
        refused.refuse("usage: /clients");
        let json: Value = serde_json::from_str(&refused.text()).unwrap();
        assert_eq!(
            json,
            json!({"ok": false, "lines": [], "refused": ["usage: /clients"]})
        );
    }

    #[test]
    fn a_line_that_is_no_entry_is_not_lost() {
        let mut answer = JsonAnswer::new("/bans");
        answer.push("kim -> you: help");
        answer.push("bans: 0");
        assert_eq!(
            (answer.strays(), &*answer.text()),
            (&["kim -> you: help".to_owned()][..], "[]\n")
        );
    }
}
