//! The result, for people and for machines. Measures nothing.

use super::ledger::Account;
use super::plan::{Pace, Plan, Protocol};
use super::run::Course;
use super::witness::Witness;
use indicatif::HumanCount;
use serde_json::{Value, json};
use std::fmt::Write;

const QUANTILES: [(&str, f64); 4] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)];

/// Everything that a run has found out.
#[derive(Debug)]
pub struct Findings<'a> {
    /// What was asked for.
    pub plan: &'a Plan,
    /// Time until everybody was connected, in nanoseconds.
    pub connecting_ns: u64,
    /// The server's memory for each connection, in bytes.
    pub memory_bytes: Option<f64>,
    /// How the run went.
    pub course: Course,
    /// What was heard.
    pub witness: &'a Witness,
    /// What that comes to.
    pub account: Account,
}

/// So many in so many nanoseconds: a second.
fn per_second(count: u64, ns: u64) -> f64 {
    if ns == 0 {
        return 0.0;
    }
    count as f64 * 1e9 / ns as f64
}

fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

impl Findings<'_> {
    /// Deliveries to those who read all the time: these are what took the time.
    fn deliveries(&self) -> u64 {
        self.witness.latency_ns.len()
    }

    fn cpu_ns_per_delivery(&self) -> Option<f64> {
        let cpu_ns = self.course.server_cpu_ns?;
        (self.deliveries() > 0).then(|| cpu_ns as f64 / self.deliveries() as f64)
    }

    /// For people.
    pub fn text(&self) -> String {
        let (course, account) = (&self.course, &self.account);
        let mut out = String::new();
        let mut row = |name: &str, text: String| {
            let _ = writeln!(out, "{name:<11} {text}");
        };
        let connections = self.plan.connections() as u64;
        row("run", self.headline());
        row("connected", in_time(connections, self.connecting_ns, ""));
        let lines = self.witness.ledger.lines();
        row("sent", in_time(lines, course.sending_ns, " lines"));
        row(
            "delivered",
            in_time(self.deliveries(), course.delivering_ns, ""),
        );
        row("latency", self.latency_text());
        if let Some(text) = self.server_text() {
            row("server", text);
        }
        row(
            "account",
            format!(
                "{} owed = {} received + {} told as skipped + {} lost",
                HumanCount(account.owed),
                HumanCount(account.received),
                HumanCount(account.told),
                HumanCount(account.lost)
            ),
        );
        for remark in self.remarks() {
            row("", remark);
        }
        out
    }

    fn headline(&self) -> String {
        let plan = self.plan;
        let many = |count: u32, what: &str| {
            let s = if count == 1 { "" } else { "s" };
            format!("{} {what}{s}", HumanCount(count.into()))
        };
        let pace = match plan.pace {
            Pace::Window(1) => "each awaited by all".to_owned(),
            Pace::Window(lines) => format!("{} in flight a sender", HumanCount(lines.into())),
            Pace::Rate(rate) => format!("{} a second", HumanCount(rate.into())),
        };
        format!(
            "{}, {}, {} at {}; lines of {} bytes, {pace}",
            many(plan.receivers, "receiver"),
            many(plan.senders, "sender"),
            many(plan.rooms, "room"),
            plan.target,
            plan.line_bytes
        )
    }

    fn latency_text(&self) -> String {
        let latency = &self.witness.latency_ns;
        if latency.is_empty() {
            return "nothing was delivered in time".into();
        }
        let quantiles = QUANTILES
            .map(|(name, share)| format!("{name} {}", time(latency.value_at_quantile(share))));
        format!("{}, max {}", quantiles.join(", "), time(latency.max()))
    }

    fn server_text(&self) -> Option<String> {
        let cpu_ns = self.course.server_cpu_ns?;
        let mut parts = Vec::new();
        if let Some(each) = self.cpu_ns_per_delivery() {
            let share = 100.0 * seconds(cpu_ns) / seconds(self.course.delivering_ns.max(1));
            parts.push(format!(
                "{} of CPU a delivery ({share:.0} % of a core)",
                time(each as u64)
            ));
        }
        if let Some(bytes) = self.memory_bytes {
            parts.push(format!("{bytes:.0} bytes of memory a connection"));
        }
        Some(parts.join(", "))
    }

    /// What is not as it should be.
    fn remarks(&self) -> Vec<String> {
        let (account, witness) = (&self.account, self.witness);
        let mut remarks = Vec::new();
        if self.course.stuck {
            let patience = self.plan.patience.as_secs();
            remarks.push(format!(
                "gave up: the server owed lines and delivered none for {patience} s"
            ));
        }
        if let Some((who, one)) = witness.ledger.first_wrong() {
            remarks.push(format!(
                "DOES NOT ADD UP: connection {who} was owed {}, received {} and was told of {}",
                one.owed, one.received, one.told
            ));
        }
        for (count, what) in [
            (account.surplus, "received or told beyond what was owed"),
            (account.wrong, "twice, out of order or to the wrong ones"),
            (account.gone, "connections were ended by the server"),
        ] {
            if count > 0 {
                remarks.push(format!("{} {what}", HumanCount(count)));
            }
        }
        if let Some(text) = &witness.refusal {
            remarks.push(format!("the server said {text:?}"));
        }
        if let Some(text) = &witness.first_strange {
            let count = HumanCount(witness.strange);
            remarks.push(format!(
                "{count} lines were not of this run, or damaged: {text:?} and such"
            ));
        }
        remarks
    }

    /// For machines.
    pub fn json(&self) -> Value {
        let (plan, course, account) = (self.plan, &self.course, &self.account);
        let (window, rate) = match plan.pace {
            Pace::Window(lines) => (Some(lines), None),
            Pace::Rate(rate) => (None, Some(rate)),
        };
        let protocol = match plan.protocol {
            Protocol::Madang => "madang",
            Protocol::Raw => "raw",
        };
        let connections = plan.connections() as u64;
        let lines = self.witness.ledger.lines();
        json!({
            "plan": {
                "target": plan.target.to_string(), "protocol": protocol,
                "clients": plan.receivers, "senders": plan.senders, "rooms": plan.rooms,
                "slow_readers": plan.slow_readers, "size_bytes": plan.line_bytes,
                "window": window, "rate": rate,
            },
            "connect": {
                "connections": connections, "seconds": seconds(self.connecting_ns),
                "per_second": per_second(connections, self.connecting_ns),
            },
            "sent": {
                "lines": lines, "seconds": seconds(course.sending_ns),
                "per_second": per_second(lines, course.sending_ns),
            },
            "delivered": {
                "lines": self.deliveries(), "seconds": seconds(course.delivering_ns),
                "per_second": per_second(self.deliveries(), course.delivering_ns),
            },
            "latency_us": self.latency_json(),
            "server": {
                "cpu_seconds": course.server_cpu_ns.map(seconds),
                "cpu_us_per_delivery": self.cpu_ns_per_delivery().map(|ns| ns / 1e3),
                "memory_bytes_per_connection": self.memory_bytes,
            },
            "account": {
                "owed": account.owed, "received": account.received, "told_skipped": account.told,
                "lost": account.lost, "surplus": account.surplus, "wrong": account.wrong,
                "closed_connections": account.gone, "strange_lines": self.witness.strange,
                "gave_up": course.stuck, "adds_up": account.adds_up(),
            },
        })
    }

    fn latency_json(&self) -> Value {
        let latency = &self.witness.latency_ns;
        if latency.is_empty() {
            return Value::Null;
        }
        let us = |ns: u64| json!(ns as f64 / 1e3);
        let mut all: serde_json::Map<String, Value> = QUANTILES
            .map(|(name, share)| (name.to_owned(), us(latency.value_at_quantile(share))))
            .into_iter()
            .collect();
        all.insert("max".into(), us(latency.max()));
        all.into()
    }
}

/// `1,000 lines in 0.52 s: 1,923 a second`
fn in_time(count: u64, ns: u64, what: &str) -> String {
    format!(
        "{}{what} in {:.2} s: {} a second",
        HumanCount(count),
        seconds(ns),
        HumanCount(per_second(count, ns).round() as u64)
    )
}

/// A time in the unit in which it is best read, to three digits.
fn time(ns: u64) -> String {
    let (value, unit) = match ns {
        ..1_000 => return format!("{ns} ns"),
        1_000..1_000_000 => (ns as f64 / 1e3, "µs"),
        1_000_000..1_000_000_000 => (ns as f64 / 1e6, "ms"),
        _ => (ns as f64 / 1e9, "s"),
    };
    let decimals = if value < 10.0 {
        2
    } else {
        usize::from(value < 100.0)
    };
    format!("{value:.decimals$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_to_three_digits() {
        for (ns, want) in [
            (7, "7 ns"),
            (1_234, "1.23 µs"),
            (12_345, "12.3 µs"),
            (123_456_789, "123 ms"),
            (2_000_000_000, "2.00 s"),
        ] {
            assert_eq!(time(ns), want);
        }
    }

    #[test]
    fn rates_are_whole_and_nothing_is_divided_by_zero() {
        assert_eq!(
            in_time(1000, 520_000_000, " lines"),
            "1,000 lines in 0.52 s: 1,923 a second"
        );
        assert_eq!(in_time(0, 0, ""), "0 in 0.00 s: 0 a second");
    }
}
