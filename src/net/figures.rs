//! Everything countable of a server at one moment, as named figures with their meaning. The metrics page, an operator's
//! statistics and the log's last lines are ways to write it. Counts nothing itself.

use super::process::ProcessFigures;
use super::scheduler::Scheduler;
use super::transport::Net;
use super::turn_lengths::TurnLengths;
use crate::hub::limits::Limits;
use crate::hub::{Hub, Refused, Survey, Totals};
use crate::logging;
use std::fmt;

/// Rooms whose members are shown one by one.
pub const ROOMS_SHOWN_MAX: usize = 10;
/// Clients that a survey looks at between two looks at the clock, of about 10 ns each.
const SURVEY_CLIENTS: usize = 1024;
/// Bounds of a histogram of turns: 2^4 µs to 2^20 µs.
const TURN_BOUNDS_US: std::ops::RangeInclusive<u64> = 1 << 4..=1 << 20;

/// A [survey](Hub::survey) of all clients that is taken piece by piece, so that no turn is long however many there are.
#[derive(Clone, Copy, Debug, Default)]
pub struct Surveying {
    next: usize,
    survey: Survey,
}

impl Surveying {
    /// Looks at some more clients. Returns the survey once it has looked at all.
    pub fn step(&mut self, hub: &Hub) -> Option<Survey> {
        let slots = hub.slots();
        let until = slots.end.min(self.next + SURVEY_CLIENTS);
        hub.survey(self.next.min(until)..until, &mut self.survey);
        self.next = until;
        (until == slots.end).then_some(self.survey)
    }

    /// The survey of all clients at once: of 18,000 in a fraction of a millisecond.
    pub fn all(hub: &Hub) -> Survey {
        let mut surveying = Surveying::default();
        loop {
            if let Some(survey) = surveying.step(hub) {
                return survey;
            }
        }
    }
}

/// What the metrics page itself has cost.
#[derive(Clone, Copy, Debug, Default)]
pub struct Served {
    /// Requests answered.
    pub requests: u64,
    /// Connections refused, since there were too many.
    pub refused: u64,
    /// Connections open.
    pub connections: usize,
    /// Microseconds of the event loop.
    pub busy_us: u64,
}

/// The figures of a server at one moment.
#[derive(Clone, Debug)]
pub struct Figures {
    /// What has happened since the start.
    pub totals: Totals,
    /// What clients hold and wait for.
    pub survey: Survey,
    /// What the operator has allowed.
    pub limits: Limits,
    /// Every listener, and its connections.
    pub connections: Vec<(String, u64)>,
    /// Every reason for which connections end, and how many have.
    pub closed: Vec<(&'static str, u64)>,
    /// Rooms, the lobby and the room of raw connections included.
    pub rooms: usize,
    /// Rooms with a name and members.
    pub occupied_rooms: usize,
    /// The names of the largest rooms and their members: at most [`ROOMS_SHOWN_MAX`].
    pub largest_rooms: Vec<(String, usize)>,
    /// Bytes of the logs of all rooms.
    pub room_log_bytes: usize,
    /// How long turns have taken.
    pub turns: TurnLengths,
    /// The server ends.
    pub is_shutting_down: bool,
    /// What the system knows of the process.
    pub process: ProcessFigures,
    /// What the metrics page has cost.
    pub served: Served,
}

impl Figures {
    /// The figures now. All but the survey takes about as long however many clients and rooms there are.
    pub fn gather<N: Net>(
        scheduler: &Scheduler<N>,
        survey: Survey,
        process: ProcessFigures,
        served: Served,
    ) -> Figures {
        let hub = scheduler.hub();
        let largest = hub.largest_rooms().take(ROOMS_SHOWN_MAX);
        Figures {
            totals: hub.totals(),
            survey,
            limits: hub.limits().clone(),
            connections: scheduler.connections_by_listener(),
            closed: scheduler.closed_by_reason(),
            rooms: hub.rooms_open(),
            occupied_rooms: hub.occupied_rooms(),
            largest_rooms: largest
                .map(|(name, members)| (name.to_owned(), members))
                .collect(),
            room_log_bytes: hub.room_log_bytes(),
            turns: *scheduler.turn_lengths(),
            is_shutting_down: hub.is_shutting_down(),
            process,
            served,
        }
    }

    /// Every figure by its name.
    pub fn families(&self) -> Vec<Family> {
        let mut families = self.traffic();
        families.extend(self.state());
        families.extend(self.loop_and_log());
        families.extend(self.process_families());
        families
    }

    /// What has happened to connections and lines.
    fn traffic(&self) -> Vec<Family> {
        use Kind::{Counter, Gauge};
        let Totals {
            connections,
            refused,
            lines,
            delivered_lines,
            received_bytes,
            sent_bytes,
            refused_lines,
            discarded_bytes,
            skipped_lines,
            slow_closed: _, // The connections closed for the reason "slow".
            work,
        } = self.totals;
        let listeners = self.connections.iter();
        let listeners = listeners.map(|(name, open)| ("listener", name.clone(), *open));
        let closed = self.closed.iter();
        let closed = closed.map(|&(reason, n)| ("reason", reason.to_owned(), n));
        let refused = Refused::ALL.into_iter().zip(refused);
        let refused = refused.map(|(reason, n)| ("reason", reason.label().to_owned(), n));
        vec![
            Family::labelled(
                Gauge,
                "madang_connections",
                "Connections open now, by listener.",
                listeners,
            ),
            Family::one(
                Gauge,
                "madang_connections_limit",
                "Connections that there may be at a time: --max-clients.",
                self.limits.clients_max,
            ),
            Family::one(
                Counter,
                "madang_connections_accepted_total",
                "Connections accepted.",
                connections,
            ),
            Family::labelled(
                Counter,
                "madang_connections_refused_total",
                "Connections refused, by reason.",
                refused,
            ),
            Family::labelled(
                Counter,
                "madang_connections_closed_total",
                "Connections that have ended, by reason.",
                closed,
            ),
            Family::one(
                Counter,
                "madang_lines_total",
                "Lines said to a room.",
                lines,
            ),
            Family::one(
                Counter,
                "madang_deliveries_total",
                "Lines of rooms written to members, summed over the members.",
                delivered_lines,
            ),
            Family::one(
                Counter,
                "madang_skipped_lines_total",
                "Lines that members did not receive because they read too slowly, summed over the members.",
                skipped_lines,
            ),
            Family::one(
                Counter,
                "madang_refused_lines_total",
                "Lines refused: not UTF-8, too long, not understood.",
                refused_lines,
            ),
            Family::one(
                Counter,
                "madang_discarded_bytes_total",
                "Bytes of lines over --max-line.",
                discarded_bytes,
            ),
            Family::one(
                Counter,
                "madang_received_bytes_total",
                "Bytes received from clients.",
                received_bytes,
            ),
            Family::one(
                Counter,
                "madang_sent_bytes_total",
                "Bytes written to clients.",
                sent_bytes,
            ),
            Family::one(
                Counter,
                "madang_work_units_total",
                "Work done for clients, in units of about one rendered byte or 2 ns.",
                work,
            ),
        ]
    }

    /// What there is now: rooms, slow members, memory.
    fn state(&self) -> Vec<Family> {
        use Kind::Gauge;
        let Survey {
            clients: _,
            laggards,
            blocked_by_rate,
            blocked_by_backlog,
            blocked_by_room,
            input_bytes,
            output_bytes,
        } = self.survey;
        let ranks = self.largest_rooms.iter().zip(1..);
        let members = ranks.map(|((_, members), rank)| ("rank", format!("{rank}"), *members));
        let blocked = [
            ("rate", blocked_by_rate),
            ("backlog", blocked_by_backlog),
            ("room", blocked_by_room),
        ];
        let blocked = blocked.map(|(reason, clients)| ("reason", reason.to_owned(), clients));
        let part = |(part, bytes): (&str, usize)| ("part", part.to_owned(), bytes);
        let held = [
            ("room_logs", self.room_log_bytes),
            ("input", input_bytes),
            ("output", output_bytes),
        ];
        let most = [
            ("room_logs", self.limits.room_logs_bytes_max()),
            ("input", self.limits.input_bytes_max()),
            ("output", self.limits.output_bytes_max()),
        ];
        vec![
            Family::one(
                Gauge,
                "madang_rooms",
                "Rooms, the lobby and the room of raw connections included.",
                self.rooms,
            ),
            Family::one(
                Gauge,
                "madang_rooms_occupied",
                "Rooms with a name and members.",
                self.occupied_rooms,
            ),
            Family::one(
                Gauge,
                "madang_rooms_limit",
                "Rooms that there may be at a time: --max-rooms.",
                self.limits.rooms_max,
            ),
            Family::labelled(
                Gauge,
                "madang_room_members",
                "Members of the largest rooms, the largest first.",
                members,
            ),
            Family::one(
                Gauge,
                "madang_laggards",
                "Members that fell behind, and that their rooms no longer wait for.",
                laggards,
            ),
            Family::labelled(
                Gauge,
                "madang_blocked_clients",
                "Clients whose input waits, by reason.",
                blocked,
            ),
            Family::labelled(
                Gauge,
                "madang_memory_bytes",
                "Memory held for rooms and clients, by part.",
                held.map(part),
            ),
            Family::labelled(
                Gauge,
                "madang_memory_limit_bytes",
                "The most that each part of memory can be, as computed from the flags.",
                most.map(part),
            ),
        ]
    }

    /// The event loop, the log, and this page.
    fn loop_and_log(&self) -> Vec<Family> {
        use Kind::{Counter, Gauge};
        let Served {
            requests,
            refused,
            connections,
            busy_us,
        } = self.served;
        let down = usize::from(self.is_shutting_down);
        vec![
            turns(&self.turns),
            Family::one(
                Gauge,
                "madang_longest_turn_seconds",
                "The longest turn of the event loop since the start.",
                Value::micros(self.turns.longest_us()),
            ),
            Family::one(
                Gauge,
                "madang_shutting_down",
                "1 while the server ends, otherwise 0.",
                down,
            ),
            Family::one(
                Counter,
                "madang_log_lines_dropped_total",
                "Log lines dropped because standard error did not take them at once.",
                logging::dropped_lines(),
            ),
            Family::one(
                Gauge,
                "madang_http_connections",
                "Connections to this page.",
                connections,
            ),
            Family::one(
                Counter,
                "madang_http_requests_total",
                "Requests for this page and others that have been answered.",
                requests,
            ),
            Family::one(
                Counter,
                "madang_http_refused_total",
                "Connections to this page refused because there were too many.",
                refused,
            ),
            Family::one(
                Counter,
                "madang_http_busy_seconds_total",
                "Time of the event loop that this page has taken.",
                Value::micros(busy_us),
            ),
        ]
    }

    /// The process, under the names that all exporters use.
    fn process_families(&self) -> Vec<Family> {
        use Kind::{Counter, Gauge, Info};
        let process = self.process;
        let version = ("version", env!("CARGO_PKG_VERSION").to_owned(), 1_u64);
        let mut families = vec![
            Family::labelled(
                Info,
                "madang_build_info",
                "The version of this server.",
                [version],
            ),
            Family::one(
                Counter,
                "process_cpu_seconds_total",
                "Processor time that the process has used.",
                Value::Float(process.cpu_seconds),
            ),
            Family::one(
                Gauge,
                "process_start_time_seconds",
                "When the process was started, in seconds of UNIX time.",
                Value::Float(process.started_at),
            ),
        ];
        for (name, help, value) in [
            (
                "process_resident_memory_bytes",
                "Memory in use.",
                process.resident_bytes,
            ),
            (
                "process_virtual_memory_bytes",
                "Address space in use.",
                process.virtual_bytes,
            ),
            ("process_open_fds", "Descriptors open.", process.descriptors),
            (
                "process_max_fds",
                "Descriptors that there may be.",
                process.descriptors_max,
            ),
        ] {
            families.extend(value.map(|value| Family::one(Gauge, name, help, value)));
        }
        families
    }

    /// Logs what has happened since the start, at the end.
    pub fn log(&self) {
        let (turns, totals) = (&self.turns, &self.totals);
        tracing::info!(%turns, longest_turn_us = turns.longest_us(), "turns");
        tracing::info!(
            connections = totals.connections,
            refused_connections = totals.refused_connections(),
            lines = totals.lines,
            refused_lines = totals.refused_lines,
            discarded_bytes = totals.discarded_bytes,
            deliveries = totals.delivered_lines,
            skipped_lines = totals.skipped_lines,
            slow_closed = totals.slow_closed,
            received_bytes = totals.received_bytes,
            sent_bytes = totals.sent_bytes,
            work = totals.work,
            "ended"
        );
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
            samples.push(Sample::new(Some(("le", bound)), sum));
        }
    }
    samples.push(Sample::new(Some(("le", "+Inf".to_owned())), sum));
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

impl Sample {
    fn new(label: Option<(&'static str, String)>, value: impl Into<Value>) -> Sample {
        let value = value.into();
        Sample { label, value }
    }
}

impl Family {
    fn one(kind: Kind, name: &'static str, help: &'static str, value: impl Into<Value>) -> Family {
        Family {
            name,
            help,
            kind,
            samples: vec![Sample::new(None, value)],
        }
    }

    fn labelled<V: Into<Value>>(
        kind: Kind,
        name: &'static str,
        help: &'static str,
        samples: impl IntoIterator<Item = (&'static str, String, V)>,
    ) -> Family {
        let samples = samples.into_iter();
        let samples = samples.map(|(label, of, value)| Sample::new(Some((label, of)), value));
        Family {
            name,
            help,
            kind,
            samples: samples.collect(),
        }
    }
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
