//! The server's limits, drawn from the seed: small ones, so that runs reach them. Decides nothing else.

use fastrand::Rng;
use madang::hub::limits::{HalfClose, Limits, SlowPolicy};

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
