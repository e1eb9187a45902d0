//! Records what arrives: which lines, and how long after they were due. No socket is touched here.

use super::accounting::{Accounting, Received};
use super::engine::{Event, LineBuffer};
use super::line::{Format, Line, PROBE, Said, printable};
use super::nodes::Nodes;
use super::plan::Plan;
use crate::protocol::Notice;
use hdrhistogram::Histogram;

/// Latencies are recorded with three digits, up to an hour.
const LATENCY_DIGITS: u8 = 3;
const LATENCY_NS_MAX: u64 = 3_600_000_000_000;

/// What has been received in a run.
#[derive(Debug)]
pub struct Recorder {
    /// How the lines of the run are written and read.
    pub format: Format,
    /// Which lines have been sent, received, and reported as skipped.
    pub accounting: Accounting,
    /// Nanoseconds from when a line was due until a listener had it, for listeners that read all the time.
    pub latency_ns: Histogram<u64>,
    /// What passes between nodes, if there are several.
    pub nodes: Option<Nodes>,
    /// When a line last reached a listener that reads all the time; `None` before the first.
    pub last_in_time_ns: Option<u64>,
    /// When a line, or a report of skipped ones, last reached any listener; 0 before the first.
    pub last_ns: u64,
    /// Lines that are not of this run, or are damaged.
    pub foreign: u64,
    /// The first of them.
    pub first_foreign: Option<String>,
    /// The first refusal of the server.
    pub refusal: Option<String>,
    /// Why the run cannot go on.
    pub failure: Option<String>,
    /// The first connection that sends.
    first_sender: usize,
}

impl Recorder {
    /// A recorder of a run that has not begun.
    pub fn new(plan: &Plan, format: Format) -> Recorder {
        let latency_ns = Histogram::new_with_bounds(1, LATENCY_NS_MAX, LATENCY_DIGITS)
            .expect("the bounds are valid");
        Recorder {
            format,
            accounting: Accounting::new(plan),
            nodes: Nodes::new(plan, &latency_ns),
            latency_ns,
            last_in_time_ns: None,
            last_ns: 0,
            foreign: 0,
            first_foreign: None,
            refusal: None,
            failure: None,
            first_sender: plan.receivers as usize,
        }
    }

    /// Records an event of a connection.
    pub fn record(&mut self, connection: usize, lines: &mut LineBuffer, event: Event<'_>) {
        match event {
            Event::Connected => {}
            Event::Received { at_ns, bytes } => {
                lines.complete(bytes, |line| self.record_line(connection, at_ns, line));
            }
            Event::Closed => {
                self.accounting.closed(connection);
                if connection >= self.first_sender {
                    let after = self.refusal.as_ref();
                    let after = after.map_or_else(String::new, |text| format!(" after {text:?}"));
                    let failure = format!("the server closed a sender's connection{after}");
                    self.failure.get_or_insert(failure);
                }
            }
        }
    }

    fn record_line(&mut self, connection: usize, at_ns: u64, line: &[u8]) {
        match self.format.read(line) {
            Line::Said(said) if said.number == PROBE => {}
            // A line cannot arrive before it was due.
            Line::Said(said) if said.at_ns > at_ns => self.record_foreign(line),
            Line::Said(said) => self.record_said(connection, at_ns, said),
            Line::Notice(Notice::Skipped { lines } | Notice::Missing { lines }) => {
                match u32::try_from(lines) {
                    Ok(lines) => {
                        self.accounting.skipped(connection, lines);
                        self.last_ns = at_ns;
                    }
                    Err(_) => self.record_foreign(line),
                }
            }
            Line::Notice(_) => {}
            Line::Refusal(text) => {
                let text = printable(text.as_bytes());
                if connection >= self.first_sender {
                    let failure = format!("the server refused what a sender sent: {text}");
                    self.failure.get_or_insert(failure);
                }
                self.refusal.get_or_insert(text);
            }
            Line::Foreign => self.record_foreign(line),
        }
    }

    fn record_said(&mut self, connection: usize, at_ns: u64, said: Said) {
        let received = self
            .accounting
            .received(connection, said.sender as usize, said.number);
        let latency_ns = (received == Received::InTime).then(|| at_ns - said.at_ns);
        if let Some(ns) = latency_ns {
            self.last_in_time_ns = Some(at_ns);
            self.latency_ns.saturating_record(ns);
        }
        if let Some(nodes) = self.nodes.as_mut().filter(|_| received != Received::Wrong) {
            nodes.received(connection, said.sender as usize, latency_ns);
        }
        self.last_ns = at_ns;
    }

    fn record_foreign(&mut self, line: &[u8]) {
        self.foreign += 1;
        self.first_foreign.get_or_insert_with(|| printable(line));
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan::{Protocol, example_of_one_room};
    use super::*;

    /// A recorder of [`example_of_one_room`]; the first sender has sent a line that was due at 100.
    fn recorder() -> (Recorder, Vec<u8>) {
        let format = Format::new(Protocol::Madang, 40, 7);
        let mut recorder = Recorder::new(&example_of_one_room(), format);
        let mut line = b"kim: ".to_vec();
        let said = Said {
            sender: 0,
            number: recorder.accounting.sent(0),
            at_ns: 100,
        };
        recorder.format.write(&mut line, said);
        recorder.accounting.send(0, 2);
        (recorder, line)
    }

    fn receive(recorder: &mut Recorder, connection: usize, at_ns: u64, bytes: &[u8]) {
        let event = Event::Received { at_ns, bytes };
        recorder.record(connection, &mut LineBuffer::default(), event);
    }

    #[test]
    fn latency_counts_from_when_a_line_was_due() {
        let (mut recorder, line) = recorder();
        receive(&mut recorder, 1, 107, &line);
        let latency = &recorder.latency_ns;
        assert_eq!((latency.len(), latency.max()), (1, 7));
        assert_eq!(recorder.last_in_time_ns, Some(107));
    }

    #[test]
    fn a_line_that_arrives_before_it_was_due_is_foreign_and_has_no_latency() {
        let (mut recorder, line) = recorder();
        receive(&mut recorder, 1, 99, &line);
        assert_eq!((recorder.latency_ns.len(), recorder.foreign), (0, 1));
        assert_eq!(recorder.accounting.totals().received, 0);
    }

    #[test]
    fn more_skipped_lines_than_a_run_can_have_are_foreign() {
        let (mut recorder, _) = recorder();
        let line = b"* 18,446,744,073,709,551,615 lines skipped: you are reading too slowly\n";
        receive(&mut recorder, 1, 200, line);
        assert_eq!(recorder.foreign, 1);
        let line = b"* 1,320 lines skipped: you are reading too slowly\n";
        receive(&mut recorder, 1, 200, line);
        let totals = recorder.accounting.totals();
        assert_eq!((totals.skipped, totals.surplus), (1320, 1319));
    }
}
