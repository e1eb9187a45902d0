//! The result of a run, for people and as JSON. Nothing is measured here.

use super::accounting::Totals;
use super::figure::{in_time, per_second, seconds, time};
use super::nodes::Passage;
use super::plan::{Pace, Plan, Protocol};
use super::recorder::Recorder;
use super::run::Timing;
use crate::protocol::grouped;
use hdrhistogram::Histogram;
use serde_json::{Value, json};
use std::fmt::Write;

const QUANTILES: [(&str, f64); 4] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)];

/// All that was measured.
#[derive(Debug)]
pub struct Findings<'a> {
    /// What was to be measured.
    pub plan: &'a Plan,
    /// Time until all connections were made, in nanoseconds.
    pub connecting_ns: u64,
    /// The bytes by which the server's memory grew for all connections, or why they are not known.
    pub memory_bytes: Option<Result<u64, String>>,
    /// How long the run took.
    pub timing: Timing,
    /// What was received.
    pub recorder: &'a Recorder,
    /// The sums of the account.
    pub totals: Totals,
}

impl Findings<'_> {
    /// Deliveries to the listeners that read all the time: what the measured time was needed for.
    fn deliveries(&self) -> u64 {
        self.recorder.latency_ns.len()
    }

    fn cpu_ns_per_delivery(&self) -> Option<f64> {
        let cpu_ns = self.timing.server_cpu_ns?;
        (self.deliveries() > 0).then(|| cpu_ns as f64 / self.deliveries() as f64)
    }

    fn memory_bytes_per_connection(&self) -> Option<f64> {
        let bytes = *self.memory_bytes.as_ref()?.as_ref().ok()?;
        Some(bytes as f64 / self.plan.connections() as f64)
    }

    /// The result for people.
    pub fn text(&self) -> String {
        let (timing, totals) = (&self.timing, &self.totals);
        let mut out = String::new();
        let mut row = |name: &str, text: String| {
            let _ = writeln!(out, "{name:<11} {text}");
        };
        let connections = self.plan.connections() as u64;
        row("run", self.headline());
        row("connected", in_time(connections, "", self.connecting_ns));
        let lines = self.recorder.accounting.lines();
        row("sent", in_time(lines, " lines", timing.sending_ns));
        let delivered = in_time(self.deliveries(), "", timing.delivering_ns);
        row("delivered", delivered);
        row("latency", latency_text(&self.recorder.latency_ns));
        if let Some(nodes) = &self.recorder.nodes {
            row("same node", latency_text(&nodes.near_ns));
            row("other nodes", latency_text(&nodes.far_ns));
        }
        if let Some(text) = self.server_text() {
            row("server", text);
        }
        row(
            "account",
            format!(
                "{} owed = {} received + {} reported as skipped + {} lost",
                grouped(totals.owed),
                grouped(totals.received),
                grouped(totals.skipped),
                grouped(totals.lost)
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
            format!("{} {what}{s}", grouped(count))
        };
        let pace = match plan.pace {
            Pace::Window(1) => "each awaited by all".to_owned(),
            Pace::Window(lines) => format!("{} in flight a sender", grouped(lines)),
            Pace::Rate(rate) => format!("{} a second", grouped(rate)),
        };
        format!(
            "{}, {}, {} at {}; lines of {} bytes, {pace}",
            many(plan.receivers, "receiver"),
            many(plan.senders, "sender"),
            many(plan.rooms, "room"),
            self.targets(", "),
            plan.line_bytes
        )
    }

    /// The servers.
    fn targets(&self, between: &str) -> String {
        let targets = self.plan.targets.iter().map(ToString::to_string);
        targets.collect::<Vec<_>>().join(between)
    }

    /// What was to pass between nodes, and has; nothing if there is one server only.
    fn passages(&self) -> Vec<Passage> {
        let nodes = self.recorder.nodes.iter();
        let all = nodes.flat_map(|nodes| nodes.passages(self.plan, &self.recorder.accounting));
        all.collect()
    }

    fn server_text(&self) -> Option<String> {
        let cpu_ns = self.timing.server_cpu_ns?;
        let mut parts = Vec::new();
        if let Some(each) = self.cpu_ns_per_delivery() {
            let share = 100.0 * seconds(cpu_ns) / seconds(self.timing.delivering_ns.max(1));
            let each = time(each as u64);
            parts.push(format!("{each} of CPU a delivery ({share:.0} % of a core)"));
        }
        if let Some(bytes) = self.memory_bytes_per_connection() {
            parts.push(format!("{bytes:.0} bytes of memory a connection"));
        }
        Some(parts.join(", "))
    }

    /// What is wrong with the result.
    fn remarks(&self) -> Vec<String> {
        let (totals, recorder) = (&self.totals, self.recorder);
        let mut remarks = Vec::new();
        if self.timing.timed_out {
            let seconds = self.plan.timeout.as_secs();
            remarks.push(format!(
                "stopped: lines were outstanding, and the server delivered none for {seconds} s"
            ));
        }
        if let Some((connection, one)) = recorder.accounting.first_wrong() {
            remarks.push(format!(
                "DOES NOT ADD UP: connection {connection} was owed {}, received {} and had {} reported as skipped",
                one.owed, one.received, one.skipped
            ));
        }
        let missing = |passage: &Passage| passage.received < passage.owed;
        for passage in self.passages().into_iter().filter(missing) {
            let (from, to) = (
                &self.plan.targets[passage.from],
                &self.plan.targets[passage.to],
            );
            remarks.push(format!(
                "of lines sent at {from}, {} of {} have come to receivers at {to}",
                grouped(passage.received),
                grouped(passage.owed)
            ));
        }
        let surplus = "lines were received or reported as skipped beyond those owed";
        let wrong = "lines came twice, out of order or to the wrong connection";
        let closed = "connections were closed by the server";
        for (count, what) in [
            (totals.surplus, surplus),
            (totals.wrong, wrong),
            (totals.closed, closed),
        ] {
            if count > 0 {
                remarks.push(format!("{} {what}", grouped(count)));
            }
        }
        if let Some(Err(error)) = &self.memory_bytes {
            remarks.push(error.clone());
        }
        if let Some(text) = &recorder.refusal {
            remarks.push(format!("the server refused: {text:?}"));
        }
        if let Some(text) = &recorder.first_foreign {
            let count = grouped(recorder.foreign);
            remarks.push(format!(
                "{count} lines were not of this run, or damaged; the first was {text:?}"
            ));
        }
        remarks
    }

    /// The result as JSON.
    pub fn json(&self) -> Value {
        let (plan, timing, totals) = (self.plan, &self.timing, &self.totals);
        let (window, rate) = match plan.pace {
            Pace::Window(lines) => (Some(lines), None),
            Pace::Rate(rate) => (None, Some(rate)),
        };
        let protocol = match plan.protocol {
            Protocol::Madang => "madang",
            Protocol::Raw => "raw",
        };
        let connections = plan.connections() as u64;
        let lines = self.recorder.accounting.lines();
        json!({
            "plan": {
                "target": self.targets(","), "protocol": protocol,
                "clients": plan.receivers, "senders": plan.senders, "rooms": plan.rooms,
                "slow_readers": plan.slow_readers, "size_bytes": plan.line_bytes,
                "window": window, "rate": rate,
            },
            "connect": {
                "connections": connections, "seconds": seconds(self.connecting_ns),
                "per_second": per_second(connections, self.connecting_ns),
            },
            "sent": {
                "lines": lines, "seconds": seconds(timing.sending_ns),
                "per_second": per_second(lines, timing.sending_ns),
            },
            "delivered": {
                "lines": self.deliveries(), "seconds": seconds(timing.delivering_ns),
                "per_second": per_second(self.deliveries(), timing.delivering_ns),
            },
            "latency_us": latency_json(&self.recorder.latency_ns),
            "nodes": self.nodes_json(),
            "server": {
                "cpu_seconds": timing.server_cpu_ns.map(seconds),
                "cpu_us_per_delivery": self.cpu_ns_per_delivery().map(|ns| ns / 1e3),
                "memory_bytes_per_connection": self.memory_bytes_per_connection(),
            },
            "account": {
                "owed": totals.owed, "received": totals.received, "told_skipped": totals.skipped,
                "lost": totals.lost, "surplus": totals.surplus, "wrong": totals.wrong,
                "closed_connections": totals.closed, "strange_lines": self.recorder.foreign,
                "gave_up": timing.timed_out, "adds_up": totals.adds_up(),
            },
        })
    }

    /// What has passed between nodes; null if there is one server only.
    fn nodes_json(&self) -> Value {
        let Some(nodes) = &self.recorder.nodes else {
            return Value::Null;
        };
        let name = |node: usize| self.plan.targets[node].to_string();
        let passage = |it: &Passage| json!({ "from": name(it.from), "to": name(it.to), "owed": it.owed, "received": it.received });
        json!({
            "same_node_latency_us": latency_json(&nodes.near_ns),
            "other_nodes_latency_us": latency_json(&nodes.far_ns),
            "passages": self.passages().iter().map(passage).collect::<Value>(),
        })
    }
}

fn latency_text(latency: &Histogram<u64>) -> String {
    if latency.is_empty() {
        return "no line was delivered in time".into();
    }
    let quantiles =
        QUANTILES.map(|(name, share)| format!("{name} {}", time(latency.value_at_quantile(share))));
    format!("{}, max {}", quantiles.join(", "), time(latency.max()))
}

fn latency_json(latency: &Histogram<u64>) -> Value {
    if latency.is_empty() {
        return Value::Null;
    }
    let us = |ns: u64| json!(ns as f64 / 1e3);
    let quantile = |(name, share)| (name, us(latency.value_at_quantile(share)));
    let all = QUANTILES.into_iter().map(quantile);
    all.chain([("max", us(latency.max()))]).collect()
}
