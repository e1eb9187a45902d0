//! In which order a client's private bytes and its room's log are written, and what of the log is left out. Changes nothing.

use super::pending::Pending;
use crate::hub::room::log::Log;
use std::ops::Range;

/// A part of what is written next.
pub enum Segment {
    /// A range of the private bytes that have not been written.
    Private(Range<usize>),
    /// A range of the log.
    Log(Range<u64>),
}

/// What is written next, in order: the rest of the line in flight, then by turns private bytes that do not wait for the
/// log, and the log up to where some do. The log waits for the notice of the lines that were skipped before it.
pub fn segments<'a>(
    pending: &'a Pending,
    log: &'a Log,
    unread: Range<u64>,
    is_in_flight: bool,
) -> impl Iterator<Item = Segment> + 'a {
    let Range {
        start: mut at,
        end: until,
    } = unread;
    let mut sent = 0;
    let mut flight = is_in_flight && pending.ready_bytes(at, until) > 0;
    let mut own = pending.own.iter().peekable();
    let log_waits = pending.skipped_lines > 0;
    std::iter::from_fn(move || {
        if std::mem::take(&mut flight) {
            let from = at;
            at = log.after_line(at);
            return Some(Segment::Log(from..at));
        }
        loop {
            let ready = pending.ready_bytes(at, until);
            if sent < ready {
                return Some(Segment::Private(std::mem::replace(&mut sent, ready)..ready));
            }
            if at >= until || log_waits {
                return None;
            }
            let from = at;
            let stop = pending
                .barriers
                .next(at, until)
                .map_or(until, |it| it.until);
            if at < pending.history_until {
                let said = log.first_said(at..stop.min(pending.history_until));
                at = said.end;
                if said.start < said.end {
                    return Some(Segment::Log(said));
                }
                continue;
            }
            while own.next_if(|range| range.end <= at).is_some() {}
            let is_next = |range: &&&Range<u64>| range.start < stop;
            let own_range = own.peek().filter(is_next).map(|&range| range.clone());
            let ignored = pending.ignored.next(log, at, stop);
            let left_out = own_range.into_iter().chain(ignored);
            let left_out = left_out.min_by_key(|range| range.start);
            let left_out = left_out.unwrap_or(stop..stop);
            at = left_out.end;
            if from < left_out.start {
                return Some(Segment::Log(from..left_out.start));
            }
        }
    })
}
