//! The server's limits, drawn from the seed: small ones, so that runs reach them. Decides nothing else.

use fastrand::Rng;
use madang::hub::limits::{HalfClose, Limits, SlowPolicy};

/// Other limits for a run that has begun with these. Its clients rely on whether unfinished lines are flushed, and on how many
/// may come from one address.
pub fn changed_limits(rng: &mut Rng, before: &Limits) -> Limits {
    let drawn = drawn_limits(rng);
    let is_limited = before.clients_per_ip_max < drawn.clients_per_ip_max;
    Limits {
        clients_per_ip_max: match is_limited {
            true => before.clients_per_ip_max,
            false => [0, 1000][rng.usize(..2)],
        },
        partial_after_us: match before.partial_after_us {
            0 => 0,
            _ => rng.u64(1..200_000),
        },
        rooms_max: [2, 1000][rng.usize(..2)].max(before.rooms_max.min(1000)),
        ..drawn
    }
}

/// What a run is judged by whose limits change: the strictest of each.
pub fn strictest(all: &[Limits]) -> Limits {
    let idle = all.iter().map(|limits| limits.idle_timeout_us);
    let of = |value: fn(&Limits) -> usize| all.iter().map(value).min().unwrap_or_default();
    Limits {
        line_bytes_max: of(|limits| limits.line_bytes_max),
        announce_members_max: of(|limits| limits.announce_members_max),
        idle_timeout_us: idle.filter(|&us| us > 0).min().unwrap_or(0),
        ..all[0].clone()
    }
}

/// The largest caps of all these.
pub fn largest(all: &[Limits]) -> Limits {
    let history = all.iter().map(|limits| limits.history_lines).max();
    let caps = |one: Limits, other: &Limits| one.with_caps_of(other);
    Limits {
        history_lines: history.unwrap_or_default(),
        ..all.iter().fold(all[0].clone(), caps)
    }
}

pub fn drawn_limits(rng: &mut Rng) -> Limits {
    let micros = |rng: &mut Rng, max: u64| {
        if rng.u8(0..4) == 0 {
            rng.u64(1..max)
        } else {
            0
        }
    };
    let line_bytes_max = rng.usize(64..2048);
    Limits {
        clients_max: if rng.u8(0..8) == 0 { 8 } else { 1000 },
        // Never reached, but connections are counted by address.
        clients_per_ip_max: 1000,
        line_bytes_max,
        room_log_bytes_max: [65_536, 70_000, 262_144][rng.usize(..3)].max(32 * line_bytes_max),
        history_lines: if rng.bool() { 0 } else { rng.usize(0..30) },
        announce_members_max: if rng.bool() { 1000 } else { rng.usize(0..20) },
        rate_lines: if rng.u8(0..4) == 0 {
            rng.u32(1..2000)
        } else {
            0
        },
        burst_lines: rng.u32(1..100),
        slow: [
            SlowPolicy::Skip,
            SlowPolicy::Skip,
            SlowPolicy::Close,
            SlowPolicy::Wait,
        ][rng.usize(..4)],
        slow_timeout_us: rng.u64(1_000_000..40_000_000),
        half_close: if rng.u8(0..3) == 0 {
            HalfClose::Keep
        } else {
            HalfClose::Close
        },
        partial_after_us: micros(rng, 200_000),
        // Some shorter than a pause of the process, some longer than every other timer.
        idle_timeout_us: match rng.u8(0..6) {
            0 => rng.u64(20_000_000..90_000_000),
            1 => rng.u64(120_000_000..400_000_000),
            _ => 0,
        },
        drain_us: rng.u64(0..10_000_000),
        ..Limits::default()
    }
}
