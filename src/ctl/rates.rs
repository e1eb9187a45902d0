//! How a server changes from one snapshot to the next: rates of the whole, of each client, of each room. No input or output.

#![warn(clippy::disallowed_types, clippy::disallowed_methods)]

use super::snapshot::{Client, Snapshot};
use std::collections::BTreeMap;

/// A client's lines are counted up to this number (`lines_in`).
const LINES_IN_MAX: u64 = u16::MAX as u64;
/// The share of turns, of a hundred, that the bound of [`Turns`] covers.
pub const TURNS_PERCENT: f64 = 99.0;

/// What happens a second. `None`: the server does not tell.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rates {
    /// Lines said.
    pub lines: Option<f64>,
    /// Lines of rooms written to members.
    pub deliveries: Option<f64>,
    /// Lines that members lost.
    pub skipped: Option<f64>,
    /// Lines refused.
    pub refused: Option<f64>,
    /// Connections accepted.
    pub accepted: Option<f64>,
    /// Bytes received from clients.
    pub bytes_in: Option<f64>,
    /// Bytes written to clients.
    pub bytes_out: Option<f64>,
    /// Turns of the event loop.
    pub turns: Option<Turns>,
    /// By number, where both snapshots have the client.
    pub clients: BTreeMap<u64, Traffic>,
    /// By name, the sums of their members.
    pub rooms: BTreeMap<String, (usize, Traffic)>,
}

/// What a client or a room does a second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Traffic {
    /// Lines that it said; `None`: not known.
    pub lines: Option<f64>,
    /// Bytes received from it.
    pub bytes_in: f64,
    /// Bytes written to it.
    pub bytes_out: f64,
}

/// Turns of the event loop since the snapshot before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Turns {
    /// How many a second.
    pub rate: f64,
    /// The average, in seconds.
    pub mean: f64,
    /// [`TURNS_PERCENT`] of them took no longer, in seconds; infinite if that is above all bounds.
    pub bound: Option<f64>,
}

impl Rates {
    /// From one snapshot to a later one.
    pub fn between(before: &Snapshot, now: &Snapshot) -> Rates {
        let seconds = now.at_us.saturating_sub(before.at_us) as f64 / 1e6;
        if seconds <= 0.0 {
            return Rates::default();
        }
        let rate = |name: &str| Some((now.figure(name)? - before.figure(name)?).max(0.0) / seconds);
        let mut rates = Rates {
            lines: rate("lines"),
            deliveries: rate("deliveries"),
            skipped: rate("skipped_lines"),
            refused: rate("refused_lines"),
            accepted: rate("connections_accepted"),
            bytes_in: rate("received_bytes"),
            bytes_out: rate("sent_bytes"),
            turns: turns(before, now, seconds),
            ..Rates::default()
        };
        if before.has_all && now.has_all {
            rates.add_clients(before, now, seconds);
        }
        rates
    }

    fn add_clients(&mut self, before: &Snapshot, now: &Snapshot, seconds: f64) {
        let mut sum = Traffic::default();
        for (&number, client) in &now.clients {
            // All that a newcomer has done it did since.
            let nothing = Client::default();
            let traffic = traffic(
                before.clients.get(&number).unwrap_or(&nothing),
                client,
                seconds,
            );
            sum.add(traffic);
            let (members, room) = self.rooms.entry(client.room.clone()).or_default();
            *members += 1;
            room.add(traffic);
            self.clients.insert(number, traffic);
        }
        self.bytes_in = self.bytes_in.or(Some(sum.bytes_in));
        self.bytes_out = self.bytes_out.or(Some(sum.bytes_out));
    }
}

impl Traffic {
    fn add(&mut self, other: Traffic) {
        if let Some(lines) = other.lines {
            *self.lines.get_or_insert(0.0) += lines;
        }
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
    }
}

fn traffic(before: &Client, now: &Client, seconds: f64) -> Traffic {
    let rate = |before: u64, now: u64| now.saturating_sub(before) as f64 / seconds;
    let is_counted = now.lines_in < LINES_IN_MAX;
    Traffic {
        lines: is_counted.then(|| rate(before.lines_in, now.lines_in)),
        bytes_in: rate(before.bytes_in, now.bytes_in),
        bytes_out: rate(before.bytes_out, now.bytes_out),
    }
}

fn turns(before: &Snapshot, now: &Snapshot, seconds: f64) -> Option<Turns> {
    let since = |name: &str| Some(now.figure(name)? - before.figure(name)?);
    let count = since("turn_seconds_count")?;
    let total = since("turn_seconds_sum")?;
    if count <= 0.0 {
        return None;
    }
    let earlier: BTreeMap<u64, f64> = before
        .buckets("turn_seconds")
        .into_iter()
        .map(|(bound, turns)| (bound.to_bits(), turns))
        .collect();
    let mut later = now.buckets("turn_seconds").into_iter();
    let covers = |&(bound, turns): &(f64, f64)| {
        let earlier = earlier.get(&bound.to_bits()).copied().unwrap_or(0.0);
        (turns - earlier) * 100.0 >= count * TURNS_PERCENT
    };
    Some(Turns {
        rate: count / seconds,
        mean: total / count,
        bound: later.find(covers).map(|(bound, _)| bound),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(
        at_us: u64,
        figures: &[(&str, u64)],
        clients: &[(u64, &str, u64, u64)],
    ) -> Snapshot {
        let mut snapshot = Snapshot {
            at_us,
            has_all: true,
            connected: clients.len(),
            ..Snapshot::default()
        };
        for (name, value) in figures {
            snapshot.take(&format!("* figure {name}: {value}"));
        }
        for &(number, room, lines_in, bytes) in clients {
            let client = Client {
                room: room.into(),
                lines_in,
                bytes_in: bytes,
                bytes_out: 10 * bytes,
                ..Client::default()
            };
            snapshot.clients.insert(number, client);
        }
        snapshot
    }

    #[test]
    fn rates_are_differences_over_the_time_between() {
        let before = snapshot(
            1_000_000,
            &[("lines", 10), ("madang_sent_bytes_total", 500)],
            &[],
        );
        let now = snapshot(
            3_000_000,
            &[("lines", 30), ("madang_sent_bytes_total", 2500)],
            &[],
        );
        let rates = Rates::between(&before, &now);
        assert_eq!((rates.lines, rates.bytes_out), (Some(10.0), Some(1000.0)));
        assert_eq!((rates.deliveries, rates.turns), (None, None));
        // Another server that counts anew.
        assert_eq!(
            Rates::between(&now, &before).lines,
            None,
            "time does not run back"
        );
        let restarted = snapshot(4_000_000, &[("lines", 3)], &[]);
        assert_eq!(Rates::between(&now, &restarted).lines, Some(0.0));
    }

    #[test]
    fn rooms_are_the_sums_of_their_members_and_newcomers_count() {
        let before = snapshot(
            0,
            &[],
            &[
                (1, "pond", 5, 100),
                (2, "pond", 0, 0),
                (3, "sea", 65_535, 9),
            ],
        );
        let now = snapshot(
            2_000_000,
            &[],
            &[
                (1, "pond", 9, 300),
                (3, "sea", 65_535, 209),
                (4, "pond", 2, 20),
            ],
        );
        let rates = Rates::between(&before, &now);
        assert_eq!(rates.clients.len(), 3);
        let (members, pond) = rates.rooms["pond"];
        assert_eq!((members, pond.lines, pond.bytes_in), (2, Some(3.0), 110.0));
        let (_, sea) = rates.rooms["sea"];
        assert_eq!(
            (sea.lines, sea.bytes_in),
            (None, 100.0),
            "its lines are not counted any more"
        );
        // The server does not tell bytes: those of the clients.
        assert_eq!(
            (rates.bytes_in, rates.bytes_out),
            (Some(210.0), Some(2100.0))
        );
        let slow_only = Snapshot {
            has_all: false,
            ..now
        };
        assert!(Rates::between(&before, &slow_only).clients.is_empty());
    }

    #[test]
    fn turns_are_those_since_the_snapshot_before() {
        let with = |at_us, counts: [u64; 3]| {
            let mut snapshot = snapshot(at_us, &[], &[]);
            for (bound, count) in ["0.001", "0.01", "+Inf"].iter().zip(counts) {
                snapshot.take(&format!(
                    "* figure madang_turn_seconds_bucket{{le=\"{bound}\"}}: {count}"
                ));
            }
            snapshot.take(&format!(
                "* figure madang_turn_seconds_count: {}",
                counts[2]
            ));
            snapshot.take(&format!(
                "* figure madang_turn_seconds_sum: {}",
                counts[2] as f64 / 1000.0
            ));
            snapshot
        };
        let before = with(0, [1000, 1010, 2000]);
        let turns = |counts| Rates::between(&before, &with(1_000_000, counts)).turns;
        let fast = turns([1995, 2010, 3000]).unwrap();
        assert_eq!((fast.rate, fast.bound), (1000.0, Some(0.001)));
        assert!((fast.mean - 0.001).abs() < 1e-9);
        assert_eq!(turns([1100, 2010, 3000]).unwrap().bound, Some(0.01));
        assert_eq!(
            turns([1100, 1200, 3000]).unwrap().bound,
            Some(f64::INFINITY)
        );
        assert_eq!(turns([1000, 1010, 2000]), None);
    }
}
