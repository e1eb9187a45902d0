//! Limits of what nodes tell each other that nobody can choose. Unit last in each name; relations between them are checked at
//! compile time.

use crate::hub::limits::ANNOUNCED_NAMES_MAX;

/// Nodes of a cluster at a time.
pub const NODES_MAX: usize = 128;

/// Bytes of a batch's payload after which nothing more is gathered for it: so it has at most one item more.
pub const PAYLOAD_BYTES_MAX: usize = 64 * 1024;

/// Items of a payload; a payload with more is malformed.
pub const ITEMS_MAX: usize = 32 * 1024;

/// Rooms with lines in one batch. The engine counts the lines of each.
pub const BATCH_ROOMS_MAX: usize = 512;

/// … in an incarnation's last batch of a lane: who has left them is announced there, and in no other batch.
pub const CLOSE_ROOMS_MAX: usize = 4096;

/// Names in each list of an announcement, as they are read.
pub const NAMES_MAX: usize = ANNOUNCED_NAMES_MAX;

/// Bytes of facts in one part of a snapshot, and one fact more.
pub const SNAPSHOT_PART_BYTES_MAX: usize = 48 * 1024;

/// Entries of the directory that are kept until a snapshot has come, and their bytes. A node that would have to keep more
/// starts anew.
pub const KEPT_ENTRIES_MAX: usize = 64 * 1024;
/// See [`KEPT_ENTRIES_MAX`].
pub const KEPT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Rooms of one lane whose numbers of lines are remembered, so that missing lines are noticed. Those of which nothing has been
/// heard for longest are forgotten.
pub const NUMBERED_ROOMS_MAX: usize = 16 * 1024;

/// Incarnations that were dead before this node was ready, and which it closes when it is.
pub const UNCLOSED_MAX: usize = 2 * NODES_MAX;

/// Incarnations that have ended, of which the number of the node is remembered: entries of theirs may still come in the lanes
/// of rooms.
pub const DEPARTED_MAX: usize = 4 * NODES_MAX;

/// Microseconds from one sign of life to the next.
pub const ALIVE_US: u64 = 3_000_000;

/// A node that stops waits no longer for the engine. Then the others will hold it for dead.
pub const STOP_US: u64 = 5_000_000;
/// A node is dead when another one has been alive so many times since its last entry.
pub const SILENT_ALIVES_MAX: u8 = 4;

/// Microseconds without the engine after which the rooms hear of it.
pub const CUT_OFF_US: u64 = 2_000_000;

/// Microseconds from one [`Attach`](super::contract::Op::Attach) to the next, at least.
pub const ATTACH_PAUSE_US: u64 = 1_000_000;

/// Times that a node has read all lanes after an answer, until it knows that what the answer speaks of will not come any more.
/// The first may have been on its way before the answer.
pub const CAUGHT_UPS: u8 = 2;

const _: () = {
    assert!(SNAPSHOT_PART_BYTES_MAX < PAYLOAD_BYTES_MAX);
    assert!(BATCH_ROOMS_MAX <= CLOSE_ROOMS_MAX && CLOSE_ROOMS_MAX <= u16::MAX as usize);
    assert!(2 * CLOSE_ROOMS_MAX <= ITEMS_MAX);
    assert!(CUT_OFF_US < ALIVE_US);
};
