//! What is made of all that arrives: the account, and how long it took. No socket is touched here.

use super::arrive::text;
use super::ledger::{Heard, Ledger};
use super::line::{Form, Line, PROBE};
use super::load::Happening;
use super::plan::Plan;
use hdrhistogram::Histogram;

/// Latencies are told apart to three digits, up to an hour.
const LATENCY_DIGITS: u8 = 3;
const LATENCY_NS_MAX: u64 = 3_600_000_000_000;

/// Hears everything.
#[derive(Debug)]
pub struct Witness {
    /// What the lines are like.
    pub form: Form,
    /// The account.
    pub ledger: Ledger,
    /// Nanoseconds from when a line was to be sent until a listener had it, for listeners that read all the time.
    pub latency_ns: Histogram<u64>,
    /// When somebody who reads all the time last got a line that it was owed.
    pub last_in_time_ns: u64,
    /// When anybody last got or was told of one.
    pub last_ns: u64,
    /// Lines of nobody in this run, or not whole.
    pub strange: u64,
    /// The first of them.
    pub first_strange: Option<String>,
    /// The first refusal that a receiver was sent.
    pub refusal: Option<String>,
    /// Why there is no use in going on.
    pub failure: Option<String>,
    /// Connections from here on are senders'.
    first_sender: usize,
}

impl Witness {
    /// Has heard nothing yet.
    pub fn new(plan: &Plan, form: Form) -> Witness {
        Witness {
            form,
            ledger: Ledger::new(plan),
            latency_ns: Histogram::new_with_bounds(1, LATENCY_NS_MAX, LATENCY_DIGITS)
                .expect("the bounds are sound"),
            last_in_time_ns: 0,
            last_ns: 0,
            strange: 0,
            first_strange: None,
            refusal: None,
            failure: None,
            first_sender: plan.receivers as usize,
        }
    }

    /// Takes note of what happened to a connection.
    pub fn hear(&mut self, who: usize, happening: &Happening<'_>) {
        match *happening {
            Happening::Connected => {}
            Happening::Line { at_ns, line } => self.hear_line(who, at_ns, line),
            Happening::Gone => {
                self.ledger.gone(who);
                if who >= self.first_sender {
                    let after = self.refusal.as_ref();
                    let after = after.map_or_else(String::new, |text| format!(" after {text:?}"));
                    let failure = format!("the server ended a sender's connection{after}");
                    self.failure.get_or_insert(failure);
                }
            }
        }
    }

    fn hear_line(&mut self, who: usize, at_ns: u64, line: &[u8]) {
        match self.form.read(line) {
            Line::Said(said) if said.number == PROBE => {}
            Line::Said(said) => {
                match self.ledger.hear(who, said.sender as usize, said.number) {
                    Heard::InTime => {
                        self.last_in_time_ns = at_ns;
                        self.latency_ns
                            .saturating_record(at_ns.saturating_sub(said.at_ns));
                    }
                    Heard::Late | Heard::Wrong => {}
                }
                self.last_ns = at_ns;
            }
            Line::Skipped(lines) => {
                self.ledger.told(who, lines);
                self.last_ns = at_ns;
            }
            Line::Refusal => {
                if who >= self.first_sender {
                    let failure = format!("the server told a sender: {}", text(line));
                    self.failure.get_or_insert(failure);
                }
                self.refusal.get_or_insert_with(|| text(line));
            }
            Line::Notice => {}
            Line::Strange => {
                self.strange += 1;
                self.first_strange.get_or_insert_with(|| text(line));
            }
        }
    }
}
