//! What each figure is called and what it means, for programs and people that read them. Counts nothing, and knows no format.

use super::figures::{Figures, Served};
use super::process::ProcessFigures;
use super::turn_lengths::TurnLengths;
use crate::hub::limits::{ACCOUNTS_AN_ORIGIN_MAX, ACCOUNTS_MAX};
use crate::hub::link;
use crate::hub::{LoggedIn, Refused, Survey, Totals};
use std::fmt;
use std::ops::RangeInclusive;

/// Bounds of the histogram of turns: 2^4 µs to 2^20 µs.
const TURN_BOUNDS_US: RangeInclusive<u64> = 1 << 4..=1 << 20;

/// Families of figures: of each the kind, the name, the meaning, and the figures.
macro_rules! families {
    ($($kind:ident $name:literal $help:literal = $samples:expr;)*) => {
        [$(Family { name: $name, help: $help, kind: Kind::$kind, samples: $samples }),*]
    };
}

impl Figures {
    /// Every figure by its name.
    pub fn families(&self) -> Vec<Family> {
        let mut families = Vec::new();
        families.extend(self.connections());
        families.extend(self.lines());
        families.extend(self.rooms());
        families.extend(self.names());
        families.extend(self.memory());
        families.extend(self.event_loop());
        families.push(turns(&self.turns));
        families.extend(self.cluster.iter().flat_map(cluster));
        families.extend(process(self.process));
        // What is not known is left out.
        families.retain(|family| !family.samples.is_empty());
        families
    }

    fn connections(&self) -> [Family; 10] {
        let Totals {
            connections,
            refused,
            wrong_secrets,
            ..
        } = self.totals;
        let open = self.connections.iter();
        let open = open.map(|(listener, open)| (listener.as_str(), *open));
        let refused = Refused::ALL.map(Refused::label).into_iter().zip(refused);
        let closed = self.closed.iter().copied();
        let handshakes = self.handshakes_over.iter().copied();
        let Survey {
            blocked_by_rate,
            blocked_by_backlog,
            blocked_by_room,
            ..
        } = self.survey;
        let blocked = [
            ("rate", blocked_by_rate),
            ("backlog", blocked_by_backlog),
            ("room", blocked_by_room),
        ];
        families! {
            Gauge "madang_connections" "Connections open now, by listener." = by("listener", open);
            Gauge "madang_connections_limit" "Connections that there may be at a time: --max-clients." = one(self.limits.clients_max);
            Gauge "madang_strangers" "Connections that have not said the password yet." = one(self.strangers);
            Counter "madang_wrong_secrets_total" "Passwords, and secrets of rooms, that were wrong." = one(wrong_secrets);
            Counter "madang_connections_accepted_total" "Connections accepted." = one(connections);
            Counter "madang_connections_refused_total" "Connections refused, by reason." = by("reason", refused);
            Counter "madang_connections_closed_total" "Connections that have ended, by reason." = by("reason", closed);
            Gauge "madang_handshakes" "Connections that have not sent their PROXY header yet, or not finished their TLS handshake." = one(self.handshakes);
            Counter "madang_handshakes_total" "Connections that had to send a PROXY header or to finish a TLS handshake, by result." = by("result", handshakes);
            Gauge "madang_blocked_clients" "Clients whose input waits, by reason." = by("reason", blocked);
        }
    }

    fn lines(&self) -> [Family; 8] {
        let Totals {
            lines,
            delivered_lines,
            skipped_lines,
            refused_lines,
            discarded_bytes,
            ..
        } = self.totals;
        let Totals {
            received_bytes,
            sent_bytes,
            work,
            ..
        } = self.totals;
        families! {
            Counter "madang_lines_total" "Lines said to a room." = one(lines);
            Counter "madang_deliveries_total" "Lines of rooms, notices included, written to members, summed over the members." = one(delivered_lines);
            Counter "madang_skipped_lines_total" "Lines that members lost because they read too slowly, summed over the members." = one(skipped_lines);
            Counter "madang_refused_lines_total" "Lines refused: not UTF-8, too long, not understood." = one(refused_lines);
            Counter "madang_discarded_bytes_total" "Bytes of lines over --max-line." = one(discarded_bytes);
            Counter "madang_received_bytes_total" "Bytes received from clients." = one(received_bytes);
            Counter "madang_sent_bytes_total" "Bytes written to clients." = one(sent_bytes);
            Counter "madang_work_units_total" "Work done for clients, in units of about one rendered byte or 2 ns." = one(work);
        }
    }

    fn rooms(&self) -> [Family; 5] {
        // Not by name: members choose the names, and each new one would be a series more in a monitoring system for ever.
        let members = self.largest_rooms.iter().zip(1..);
        let members: Vec<_> = members
            .map(|((_, members), rank)| (format!("{rank}"), *members))
            .collect();
        let members = members
            .iter()
            .map(|(rank, members)| (rank.as_str(), *members));
        families! {
            Gauge "madang_rooms" "Rooms, the lobby and the room of raw connections included." = one(self.rooms);
            Gauge "madang_rooms_occupied" "Rooms with a name and members." = one(self.occupied_rooms);
            Gauge "madang_rooms_limit" "Rooms that there may be at a time: --max-rooms." = one(self.limits.rooms_max);
            Gauge "madang_room_members" "Members of the largest rooms, by rank." = by("rank", members);
            Gauge "madang_laggards" "Members that fell behind, and that their rooms no longer wait for." = one(self.survey.laggards);
        }
    }

    fn names(&self) -> [Family; 4] {
        let logins = LoggedIn::ALL.map(LoggedIn::label).into_iter();
        let logins = logins.zip(self.totals.logins);
        families! {
            Gauge "madang_registered_names" "Names that are somebody's own." = one(self.registered_names);
            Gauge "madang_registered_names_limit" "Names that there may be." = one(ACCOUNTS_MAX);
            Gauge "madang_registered_names_address_limit" "Names that there may be from one address." = one(ACCOUNTS_AN_ORIGIN_MAX);
            Counter "madang_logins_total" "Logins, by result." = by("result", logins);
        }
    }

    fn memory(&self) -> [Family; 2] {
        let Survey {
            input_bytes,
            output_bytes,
            ..
        } = self.survey;
        let held = [
            ("room_logs", self.room_log_bytes),
            ("input", input_bytes),
            ("output", output_bytes),
        ];
        let limits = &self.limits;
        let most = [
            ("room_logs", limits.room_logs_bytes_max()),
            ("input", limits.input_bytes_max()),
            ("output", limits.output_bytes_max()),
        ];
        families! {
            Gauge "madang_memory_bytes" "Memory held for rooms and clients, by part." = by("part", held);
            Gauge "madang_memory_limit_bytes" "The most that each part of memory can be, as computed from the flags." = by("part", most);
        }
    }

    /// The event loop, the log, and the metrics page.
    fn event_loop(&self) -> [Family; 7] {
        let Served {
            requests,
            refused,
            connections,
            busy_us,
        } = self.served;
        let longest = Value::micros(self.turns.longest_us());
        let shutting_down = usize::from(self.is_shutting_down);
        families! {
            Gauge "madang_longest_turn_seconds" "The longest turn of the event loop since the start." = one(longest);
            Gauge "madang_shutting_down" "1 while the server ends, otherwise 0." = one(shutting_down);
            Counter "madang_log_lines_dropped_total" "Log lines dropped because standard error did not take them at once." = one(self.log_lines_dropped);
            Gauge "madang_http_connections" "Connections to the metrics page." = one(connections);
            Counter "madang_http_requests_total" "Requests answered by the metrics page." = one(requests);
            Counter "madang_http_refused_total" "Connections to the metrics page refused because there were too many." = one(refused);
            Counter "madang_http_busy_seconds_total" "Time of the event loop that the metrics page has taken." = one(Value::micros(busy_us));
        }
    }
}

/// The build and the process, the latter under the names that all exporters use.
fn process(process: ProcessFigures) -> [Family; 7] {
    let ProcessFigures {
        cpu_seconds,
        started_at,
        resident_bytes,
        virtual_bytes,
        descriptors,
        descriptors_max,
    } = process;
    let version = [(env!("CARGO_PKG_VERSION"), 1_u64)];
    let known = |value: Option<u64>| value.map(one).unwrap_or_default();
    families! {
        Info "madang_build_info" "The version of this server." = by("version", version);
        Counter "process_cpu_seconds_total" "Processor time that the process has used." = one(Value::Float(cpu_seconds));
        Gauge "process_start_time_seconds" "When the process was started, in seconds of UNIX time." = one(Value::Float(started_at));
        Gauge "process_resident_memory_bytes" "Memory in use." = known(resident_bytes);
        Gauge "process_virtual_memory_bytes" "Address space in use." = known(virtual_bytes);
        Gauge "process_open_fds" "Descriptors open." = known(descriptors);
        Gauge "process_max_fds" "Descriptors that there may be." = known(descriptors_max);
    }
}

/// A node of a cluster.
fn cluster(node: &link::Figures) -> [Family; 10] {
    let ready = node.nodes.iter().filter(|other| other.is_ready).count();
    let nodes = [("ready", ready), ("starting", node.nodes.len() - ready)];
    families! {
        Gauge "madang_cluster_connected" "1 while the engine can be used, otherwise 0." = one(usize::from(node.is_connected));
        Gauge "madang_cluster_live" "1 while this node is one of the nodes, otherwise 0." = one(usize::from(node.is_live));
        Gauge "madang_cluster_nodes" "Nodes that this one knows, itself included, by state." = by("state", nodes);
        Gauge "madang_cluster_lag_seconds" "From when the last batch of this node was sent to when it was read back." = one(Value::micros(node.lag_us));
        Gauge "madang_cluster_waiting_bytes" "Bytes that wait to be sent to the engine." = one(node.bytes_gathered);
        Gauge "madang_cluster_in_flight_bytes" "Bytes that were sent to the engine and have not been read back." = one(node.bytes_in_flight);
        Counter "madang_cluster_entries_total" "Entries read, of all lanes." = one(node.entries_read);
        Counter "madang_cluster_disconnections_total" "How often the engine could not be used any more." = one(node.disconnections);
        Counter "madang_cluster_restarts_total" "How often this node has started anew." = one(node.restarts);
        Counter "madang_cluster_lost_lines_total" "Lines that other nodes may have and this one could not get." = one(node.lost_lines);
    }
}

/// The lengths of turns, each bound with the turns that were not longer.
fn turns(turns: &TurnLengths) -> Family {
    let mut sum = 0;
    let mut samples = Vec::new();
    for (below_us, number) in turns.buckets() {
        sum += number;
        if TURN_BOUNDS_US.contains(&below_us) {
            let bound = Value::micros(below_us).to_string();
            samples.push(sample(Some(("le", bound)), sum));
        }
    }
    samples.push(sample(Some(("le", "+Inf".to_owned())), sum));
    let total = Value::micros(turns.total_us());
    Family {
        name: "madang_turn_seconds",
        help: "How long turns of the event loop took, without waiting.",
        kind: Kind::Histogram { sum: total },
        samples,
    }
}

/// What kind of figure it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Only grows. Its name ends with `_total`.
    Counter,
    /// Grows and shrinks.
    Gauge,
    /// Always 1: what is told stands in the label.
    Info,
    /// Counts by upper bound, each including those below it.
    Histogram {
        /// All counted values together.
        sum: Value,
    },
}

/// Figures of one name.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    /// The name, unit and `_total` last.
    pub name: &'static str,
    /// What it means, in a sentence.
    pub help: &'static str,
    /// What kind of figure it is.
    pub kind: Kind,
    /// The figures.
    pub samples: Vec<Sample>,
}

/// One figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// What tells it from the others of its name: a label and its value.
    pub label: Option<(&'static str, String)>,
    /// The figure.
    pub value: Value,
}

fn sample(label: Option<(&'static str, String)>, value: impl Into<Value>) -> Sample {
    let value = value.into();
    Sample { label, value }
}

/// The only figure of its name.
fn one(value: impl Into<Value>) -> Vec<Sample> {
    vec![sample(None, value)]
}

/// A figure for each value of a label.
fn by<'a, V: Into<Value>>(
    label: &'static str,
    values: impl IntoIterator<Item = (&'a str, V)>,
) -> Vec<Sample> {
    let values = values.into_iter();
    let samples = values.map(|(of, value)| sample(Some((label, of.to_owned())), value));
    samples.collect()
}

/// A number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// A count.
    Count(u64),
    /// A measure, in base units.
    Float(f64),
}

impl Value {
    /// Microseconds, in seconds.
    fn micros(us: u64) -> Value {
        Value::Float(us as f64 / 1e6)
    }
}

impl From<u64> for Value {
    fn from(count: u64) -> Value {
        Value::Count(count)
    }
}

impl From<usize> for Value {
    fn from(count: usize) -> Value {
        Value::Count(count as u64)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Count(count) => write!(f, "{count}"),
            Value::Float(number) => write!(f, "{number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_counted_up_to_each_bound() {
        let mut lengths = TurnLengths::default();
        for us in [3, 15, 16, 100, 5_000_000, 90_000_000] {
            lengths.record(us);
        }
        let family = turns(&lengths);
        let sum = Value::Float(95.000134);
        assert_eq!(family.kind, Kind::Histogram { sum });
        let counted = |bound: &str| {
            let is_bound = |sample: &&Sample| sample.label.as_ref().is_some_and(|it| it.1 == bound);
            family
                .samples
                .iter()
                .find(is_bound)
                .map(|sample| sample.value)
        };
        for (bound, count) in [
            ("0.000016", 2),
            ("0.000032", 3),
            ("0.000128", 4),
            ("1.048576", 4),
            ("+Inf", 6),
        ] {
            assert_eq!(counted(bound), Some(Value::Count(count)), "{bound}");
        }
        assert_eq!(family.samples.len(), 18);
    }
}
