//! How long each phase of a turn may take. Their sum, and one visit more, is the longest turn.

/// Microseconds of accepting at each listener in a turn. What is left, of this and of the other phases, is done in the next
/// turn.
pub const ACCEPT_US: u64 = 500;
/// … of handshakes before connections are admitted: PROXY headers, TLS.
pub const HANDSHAKES_US: u64 = 2_000;
/// … of reading.
pub const READ_US: u64 = 1_500;
/// … of the commands of operators that look at many clients.
pub const OPERATORS_US: u64 = 500;
/// … of writing.
pub const WRITE_US: u64 = 2_000;
/// … of timers.
pub const TIMERS_US: u64 = 500;
/// … of closing.
pub const CLOSE_US: u64 = 500;
/// … of the metrics page, after everything else.
pub const METRICS_US: u64 = 500;
/// Writes between two looks at the clock: unlike a read, a write always costs about the same.
pub const VISITS_A_LOOK: usize = 16;
/// Microseconds of a turn for what has come from the engine of a cluster.
pub const ENGINE_US: u64 = 1_500;
/// Units of the hub's work for each byte that a read takes beyond what the hub gets: they are what a record adds to a line, or
/// a change of keys, for which the peer has no work.
pub const OVERHEAD_WORK: u64 = 8;
