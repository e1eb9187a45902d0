//! Limits that nobody can choose: every queue, table and loop has one, unit last in its name. Relations between them are
//! checked at compile time.

/// Bytes that one read of one connection may bring: the size of the scratch buffer, and the cap of a client's deferred
/// input.
pub const READ_BYTES_MAX: usize = 16 * 1024;

/// Work that one visit to a client may cost before other clients are visited, in units: about one rendered byte, or 2 ns.
/// A client that has done more, since one item may cost more, pays the rest with its next visits.
pub const VISIT_WORK_MAX: u64 = 8 * 1024;

/// … while no other client waits to be visited: what one read can bring is rendered together, and then written together.
pub const VISIT_WORK_ALONE_MAX: u64 = 8 * VISIT_WORK_MAX;

/// Work and bytes of a visit that is light: that of a person, or of a program that says a line now and then. A client whose
/// visits are light goes before those whose visits are not, so this is small: a thousand light visits take some milliseconds.
pub const LIGHT_VISIT_WORK_MAX: u64 = VISIT_WORK_MAX / 8;

/// Units of work of any item of a client's input, beside what it makes the hub render.
pub const ITEM_WORK: u64 = 32;

/// … of a notice or a refusal.
pub const NOTICE_WORK: u64 = 256;

/// … of a name of ASCII letters.
pub const NAME_WORK: u64 = 2048;

/// … of each character of another name, for computing what it looks like.
pub const NAME_CHAR_WORK: u64 = 1024;

/// … of entering or leaving a room.
pub const MOVE_WORK: u64 = 1024;

/// … of moving a slow member forward.
pub const SKIP_WORK: u64 = 128;

/// … of a list of names or rooms.
pub const LIST_WORK: u64 = 4096;

/// Characters of a person's or a room's name.
pub const NAME_CHARS_MAX: usize = 24;

/// Nonspacing marks in a row in a name (UTS #39, section 5.4).
pub const NAME_MARKS_MAX: usize = 4;

/// Reports for the log that are kept until they are taken: more than a turn makes, unless it is flooded with refusals.
pub const REPORTS_MAX: usize = 1024;

/// Bytes around a text in a rendered line: two names of up to 4 bytes a character, ` -> `, `: `, `\n`.
pub const RENDER_BYTES_EXTRA: usize = 2 * 4 * NAME_CHARS_MAX + 8;

/// Bytes of the records that are allocated for a connection only while they are needed: of its output, its input, its
/// telnet negotiation.
pub(super) const CLIENT_RECORDS_BYTES: usize = 512;

/// Bytes that one byte of input can become: the stand-in of a control character has 3.
pub const RENDER_GROWTH_MAX: usize = 3;

/// A client with more unread bytes of replies than this is not read, and nobody can send it a private line.
pub const PRIVATE_BYTES_MARK: usize = 16 * 1024;

/// Unread bytes of private lines that one sender may have at one receiver, unless it is a single line; no more, in bytes and in
/// lines, than the receiver still takes of all, so that there is a share for the next sender.
pub const PRIVATE_SHARE_BYTES: usize = PRIVATE_BYTES_MARK / 4;

/// Unread bytes of private lines of one receiver at most, and one line more.
pub const PRIVATE_LINES_BYTES_MAX: usize = 2 * PRIVATE_BYTES_MARK;

/// Unread private lines of one receiver at most.
pub const PRIVATE_LINES_MAX: usize = 256;

/// Bytes of the longest reply to one command: so far can a client's own commands exceed the mark.
pub const REPLY_BYTES_MAX: usize = 8 * 1024;

/// A client with this many separate ranges of its own lines after its cursor is not read.
pub const OWN_RANGES_MAX: usize = 64;

/// Persons that one client may ignore.
pub const IGNORED_MAX: usize = 32;

/// Persons that one client is taken for, of those that others ignore.
pub const PERSONS_A_CLIENT_MAX: usize = 4;

/// Spans of a room's log in which one client ignores somebody: those that last, and as many that it has ended and not read.
pub const IGNORED_SPANS_MAX: usize = 2 * IGNORED_MAX;

/// Bytes that a person who is ignored takes at most: two names, and what they look like.
pub const IGNORED_PERSON_BYTES: usize = 1024;

/// Marks in a log that are looked at before one slice of output ends.
pub const MARKS_SCANNED_MAX: usize = 64;

/// Marks that the smallest log may have: for a client that ignores somebody and keeps up, however short lines are.
pub const LOG_MARKS_MIN: usize = 4096;

/// Bytes of a larger log for each of its marks.
pub const LOG_BYTES_A_MARK: usize = 256;

/// Units of work of marking a line, or of passing over a mark.
pub const MARK_WORK: u64 = 16;

/// Notes of when connections were made.
pub const AGES_MAX: usize = 1024;

/// Bytes of a block: the unit in which a room's log counts its readers and is trimmed.
pub const LOG_BLOCK_BYTES: usize = 4 * 1024;

/// Dead bytes at which a log is compacted, if no fewer than are live: so a byte is moved at most once on average.
pub const LOG_DEAD_BYTES: usize = 4 * LOG_BLOCK_BYTES;

/// Bytes of the smallest log that has space for the shares of [`Limits`](super::Limits).
pub const ROOM_LOG_BYTES_MIN: usize = 16 * LOG_BLOCK_BYTES;

/// Longest lines that a log must be able to hold.
pub const ROOM_LOG_LINES_MIN: usize = 32;

/// Bytes that may be appended to a room's log before every member has been offered what was there before. Less than a
/// socket's send buffer, so that one visit to each member can deliver a round.
pub const ROOM_ROUND_BYTES_MAX: usize = 32 * 1024;

/// Microseconds that senders wait for a late member of their room that makes no progress. After that they stop waiting for
/// it until it has caught up: a reader that keeps up sets the pace of a flood, one that does not slows nobody.
pub const LATE_TIMEOUT_US: u64 = 3_000;

/// Microseconds without progress after which senders do not begin to wait for a late member: it shows no sign of reading. Long
/// enough for a member that reads, but was not written to meanwhile since the server had much to do.
pub const LATE_STUCK_US: u64 = 10_000;

/// Microseconds that the senders of a room may wait for late members in a row, however these take turns. The credit comes
/// back with a tenth of the time in which they do not wait.
pub const LATE_CREDIT_MAX_US: u64 = 20_000;

/// Microseconds of credit earned in so many microseconds without waiting.
pub const LATE_CREDIT_SHARE: u64 = 10;

/// Microseconds after which senders wait again for late members that have been reading since: in a flood these might
/// never catch up otherwise. So they cost the others a tenth of the time at most.
pub const LATE_RETRY_US: u64 = 200_000;

/// Bytes that are said for each member that is looked at while slow members are moved forward: so 18,000 of them are no
/// long turn. Moving one takes 0.2 µs, closing it 1 µs.
pub const EVICTION_BYTES_A_MEMBER: usize = 64;

/// Members that have held their room full for too long and are closed at a time, of 1 µs each.
pub const HOLDERS_CLOSED_MAX: usize = 256;

/// Visits to members that a room has in its turn to be written to at most, so that a large room does not hold up the others.
pub const ROOM_VISITS_MAX: usize = 128;

/// Bytes of a telnet subnegotiation. After more than this, what follows is text again.
pub const TELNET_SUB_BYTES_MAX: u16 = 512;

/// Bytes that one write to a telnet client brings at most: they are copied, to end lines with CR LF.
pub const TELNET_WRITE_BYTES_MAX: usize = 16 * 1024;

/// Addresses without connections of which it is remembered what they have used of their rate.
pub const ADDRESSES_OWING_MAX: usize = 16 * 1024;

/// Microseconds between two announcements of comings and goings in a room, unless a newcomer speaks.
pub const ANNOUNCE_INTERVAL_US: u64 = 1_000_000;

/// Microseconds after which a newcomer is announced, if it has not spoken before. Newcomers that have left by then were
/// never there.
pub const NEWCOMER_US: u64 = 1_000_000;

/// Microseconds by which the announcement of a newcomer may be delayed, so that those who come soon after are in it too.
pub const NEWCOMER_DELAY_MAX_US: u64 = 250_000;

/// Names in one announcement. If there are more, they are counted.
pub const ANNOUNCED_NAMES_MAX: usize = 8;

/// Newcomers in one announcement: each is sent one without itself.
pub const NEWCOMERS_AT_ONCE_MAX: usize = 1024;

/// Names that `/who` shows, and rooms that `/rooms` shows, before "and 17,950 more".
pub const LIST_ENTRIES_MAX: usize = 50;

/// Slots or numbers that are looked at in one step of a change of limits: of clients, 0.2 µs each.
pub const LIMIT_CHANGE_SLOTS_MAX: u32 = 256;

/// Members that such a step moves forward at most, of 0.2 to 1 µs each.
pub const LIMIT_CHANGE_SEATS_MAX: usize = 256;

/// Microseconds after which clients are looked at again that still hold more than new limits allow.
pub const LIMIT_CHANGE_AGAIN_US: u64 = 10_000_000;
/// Connections at the control listener at a time. They take nobody's place.
pub const OPERATORS_MAX: usize = 16;

/// Commands of operators whose answers are not complete; those of operators that have left meanwhile count too.
pub const JOBS_MAX: usize = 4 * OPERATORS_MAX;

/// An operator with more unread bytes of answers than this gets the next part of a list when it has read.
pub const LIST_BYTES_MARK: usize = 12 * 1024;

/// Slots of clients that one step of an operator's command looks at, of 0.1 µs each.
pub const SLOTS_A_STEP: u32 = 32;

/// Ranges of addresses that are banned at a time.
pub const BANS_MAX: usize = 4096;

/// Bytes of an operator's reason.
pub const WHY_BYTES_MAX: usize = 256;

/// Bytes of a value that is [stored](crate::hub::requests::Change): a time, a name and a reason.
pub const STORED_BYTES_MAX: usize = WHY_BYTES_MAX + 4 * NAME_CHARS_MAX + 32;

/// Bytes of a ban in memory at most, with its place in the order of ends.
pub(super) const BAN_BYTES: usize = STORED_BYTES_MAX + 256;

/// Clients that are muted at a time.
pub const MUTES_MAX: usize = 1024;

/// Wrong secrets from one origin in [`TRIES_WINDOW_US`].
pub const TRIES_MAX: u8 = 5;

/// Microseconds after which a wrong secret is forgotten.
pub const TRIES_WINDOW_US: u64 = 60_000_000;

/// Wrong secrets of all origins that are remembered. If there are more, the oldest is forgotten early.
pub const TRIES_REMEMBERED_MAX: usize = 16 * 1024;

/// Registered names in all.
pub const ACCOUNTS_MAX: usize = 8192;

/// Registered names from one address, or from one user of this machine. Operators may register more.
pub const ACCOUNTS_AN_ORIGIN_MAX: usize = 32;

/// Bytes of a registered name in memory at most: the name, what it looks like, two hashes, and its places in the orders.
pub(super) const ACCOUNT_BYTES: usize = 1024;

/// Microseconds between two days of use that are stored, or two names that expire: so the keeper has time for others.
pub const ACCOUNT_PAUSE_US: u64 = 20_000;

/// What people want to be done about registered names, at a time: each is a request to the driver, or a step for each.
pub const CLAIMS_MAX: usize = 64;

/// Users of this machine whose names are known.
pub const USERS_MAX: usize = 4096;

/// Bytes of a user of this machine in memory at most.
pub(super) const USER_BYTES: usize = 512;

/// Names whose owners are operators.
pub const OPERATOR_NAMES_MAX: usize = 64;
/// Connections that have not said the password, at a time.
pub const STRANGERS_MAX: usize = 1024;

/// … and no more than one in so many of `--max-clients`.
pub const STRANGERS_SHARE: usize = 4;

/// … from one address.
pub const STRANGERS_OF_ORIGIN_MAX: usize = 256;

/// Of them, those that are being closed and take nobody's place: connections that there may be for a moment beyond
/// `--max-clients`, so that a full server has place for a newcomer that knows the password.
pub const STRANGERS_LEAVING_MAX: usize = 8;

/// Bytes that a client may send before it has said the password, that line included.
pub const STRANGER_BYTES_MAX: usize = 1024;

/// Bytes for which a line counts that is refused before the password: so few answers are written.
pub const STRANGER_LINE_BYTES: usize = 128;

/// Microseconds in which it must have said it.
pub const STRANGER_US: u64 = 30_000_000;

/// Microseconds that it has beyond that while what it has sent is not read yet.
pub const STRANGER_UNREAD_US: u64 = 100_000;

/// Bytes of a password.
pub const PASSWORD_BYTES_MAX: usize = 512;

/// Units of work of the SHA-256 of a secret.
pub const HASH_WORK: u64 = 512;

/// … of each byte of it.
pub const HASH_BYTE_WORK: u64 = 2;

/// Persons that may enter a locked room because they are invited. If there are more, the oldest invitation ends.
pub const INVITED_MAX: usize = 64;

/// Wrong secrets at one room in [`TRIES_WINDOW_US`], after which the room looks only at those of clients that have been
/// connected for as long: making new connections is then no way to try more.
pub const LOCK_TRIES_MAX: u16 = 30;

/// Bytes of a lock in memory at most.
pub(super) const LOCK_BYTES: usize = 16 * INVITED_MAX + 128;

/// Members of the largest room in which it is found out who has been there for longest.
pub const LONGEST_MEMBERS_MAX: usize = 1024;

/// Units of work for each of them.
pub const LONGEST_MEMBER_WORK: u64 = 32;

/// Slices that one visit offers to `writev`.
pub const SLICES_MAX: usize = 16;

const _: () = {
    assert!((LIST_ENTRIES_MAX + 1) * (4 * NAME_CHARS_MAX + 16) <= REPLY_BYTES_MAX);
    // A list never makes its reader wait for itself.
    assert!(LIST_BYTES_MARK + 2048 <= PRIVATE_BYTES_MARK);
    // A password and its command fit into what may be sent before it.
    assert!(PASSWORD_BYTES_MAX + 16 <= STRANGER_BYTES_MAX);
    assert!(ROOM_LOG_BYTES_MIN >= 16 * LOG_BLOCK_BYTES);
    assert!(READ_BYTES_MAX <= ROOM_LOG_BYTES_MIN / 4);
    assert!(LOG_DEAD_BYTES <= ROOM_LOG_BYTES_MIN / 4);
};
