//! How often each fault of simulated sockets, poll and clock happens, drawn from the seed.

use fastrand::Rng;

/// How often each fault happens, in percent. The default is no fault.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    pub short_read: u8,
    pub short_write: u8,
    pub would_block: u8,
    pub interrupted: u8,
    pub event_late: u8,
    pub event_doubled: u8,
    pub event_spurious: u8,
    pub accept_error: u8,
    pub register_error: u8,
    /// The most by which the clock advances each time it is read, in microseconds.
    pub clock_step_us: u64,
    /// Nanoseconds of a system call.
    pub syscall_ns: u64,
}

impl Faults {
    pub fn drawn(rng: &mut Rng) -> Faults {
        let mut percent = |max: u8| if rng.bool() { rng.u8(0..=max) } else { 0 };
        Faults {
            short_read: percent(90),
            short_write: percent(90),
            would_block: percent(40),
            interrupted: percent(20),
            event_late: percent(60),
            event_doubled: percent(30),
            event_spurious: percent(30),
            accept_error: percent(30),
            register_error: percent(5),
            clock_step_us: if rng.bool() { rng.u64(0..1500) } else { 0 },
            syscall_ns: [500, 5_000, 50_000, 300_000][rng.usize(..4)],
        }
    }
}
