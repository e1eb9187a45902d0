//! Every cap of the hub, unit last in its name, and the relations between them. What an operator can choose is a field of
//! [`Limits`]; what is fixed is a constant. No behaviour lives here.

use std::fmt;

/// Bytes that one read of one connection may bring: the size of the scratch buffer, and the cap of a client's deferred
/// input.
pub const READ_BYTES_MAX: usize = 16 * 1024;

/// Work that one visit to a client may cost before other clients are visited, in units: about one rendered byte, or 2 ns.
/// A client that has done more, since one item may cost more, pays the rest with its next visits.
pub const VISIT_WORK_MAX: u64 = 8 * 1024;

/// … while no other client waits to be visited: what one read can bring is rendered together, and then written together.
pub const VISIT_WORK_ALONE_MAX: u64 = 8 * VISIT_WORK_MAX;

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
const CLIENT_RECORDS_BYTES: usize = 512;

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

/// Bytes of the smallest log that has space for the shares of [`Limits`].
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

/// Bytes of a value that is [stored](super::requests::Change): a time, a name and a reason.
pub const STORED_BYTES_MAX: usize = WHY_BYTES_MAX + 4 * NAME_CHARS_MAX + 32;

/// Bytes of a ban in memory at most, with its place in the order of ends.
const BAN_BYTES: usize = STORED_BYTES_MAX + 256;

/// Clients that are muted at a time.
pub const MUTES_MAX: usize = 1024;

/// Slices that one visit offers to `writev`.
pub const SLICES_MAX: usize = 16;

const _: () = {
    assert!((LIST_ENTRIES_MAX + 1) * (4 * NAME_CHARS_MAX + 16) <= REPLY_BYTES_MAX);
    // A list never makes its reader wait for itself.
    assert!(LIST_BYTES_MARK + 2048 <= PRIVATE_BYTES_MARK);
    assert!(ROOM_LOG_BYTES_MIN >= 16 * LOG_BLOCK_BYTES);
    assert!(READ_BYTES_MAX <= ROOM_LOG_BYTES_MIN / 4);
    assert!(LOG_DEAD_BYTES <= ROOM_LOG_BYTES_MIN / 4);
};

/// What happens to a member that reads too slowly, when the room's log is at its cap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlowPolicy {
    /// It skips ahead to newer lines, and is told how many it lost.
    Skip,
    /// It is told how many lines it lost, and is closed.
    Close,
    /// Senders wait until it has caught up; if it makes no progress, it is closed after a while.
    Wait,
}

/// What happens to a connection whose peer has finished sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HalfClose {
    /// Pending output is written to it, then it is closed.
    Close,
    /// It goes on receiving.
    Keep,
}

/// What the operator has chosen. Times are in microseconds; 0 switches a time or a rate off.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections at a time; the console is one more.
    pub clients_max: usize,
    /// Connections at a time from one IP address, of IPv6 from one /64; 0: no limit.
    pub clients_per_ip_max: usize,
    /// Bytes of a line without its terminator.
    pub line_bytes_max: usize,
    /// Bytes of memory that one room's log may take.
    pub room_log_bytes_max: usize,
    /// Lines of history that a newcomer receives.
    pub history_lines: usize,
    /// Rooms at a time, the lobby included.
    pub rooms_max: usize,
    /// Members up to which comings and goings are announced in a room.
    pub announce_members_max: usize,
    /// Lines a second that the clients of one IP address, or one client without an address, may send in the long run; 0: no
    /// limit.
    pub rate_lines: u32,
    /// Lines that they may send at once after a silence.
    pub burst_lines: u32,
    /// What happens to a slow member.
    pub slow: SlowPolicy,
    /// Time for which a member may hold its room full, in all, before it is closed.
    pub slow_timeout_us: u64,
    /// What happens to a connection whose peer has finished sending.
    pub half_close: HalfClose,
    /// Silence after which an unterminated piece counts as a line.
    pub partial_after_us: u64,
    /// Silence after which a client is closed.
    pub idle_timeout_us: u64,
    /// Time within which the last bytes must be written to a closing connection.
    pub drain_us: u64,
    /// Lines that greet a newcomer, before its name; may be empty.
    pub welcome: String,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            clients_max: 960,
            clients_per_ip_max: 0,
            line_bytes_max: 8192,
            room_log_bytes_max: 4 * 1024 * 1024,
            history_lines: 0,
            rooms_max: 1000,
            announce_members_max: 1000,
            rate_lines: 0,
            burst_lines: 100,
            slow: SlowPolicy::Skip,
            slow_timeout_us: 30_000_000,
            half_close: HalfClose::Close,
            partial_after_us: 0,
            idle_timeout_us: 0,
            drain_us: 5_000_000,
            welcome: String::new(),
        }
    }
}

/// Two limits that contradict each other, in words for the operator.
#[derive(Debug, PartialEq, Eq)]
pub struct Conflict(String);

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Conflict {}

impl Limits {
    /// Checks the relations between limits.
    ///
    /// # Errors
    /// Names the two limits that conflict, their values, and what would do.
    pub fn check(&self) -> Result<(), Conflict> {
        let need = self.room_log_bytes_min();
        if self.room_log_bytes_max < need {
            return Err(Conflict(format!(
                "--room-log {} is too small for --max-line {}: at least {need} bytes are needed",
                self.room_log_bytes_max, self.line_bytes_max
            )));
        }
        if self.clients_max == 0 || self.rooms_max == 0 || self.line_bytes_max == 0 {
            return Err(Conflict(
                "--max-clients, --max-rooms and --max-line must be at least 1".into(),
            ));
        }
        if self.rate_lines > 0 && self.burst_lines == 0 {
            return Err(Conflict(
                "--burst 0 with --rate would never let a line pass: at least 1 is needed".into(),
            ));
        }
        Ok(())
    }

    /// These limits, with those caps on memory that are larger in `other`: what holds while there are rooms and clients from
    /// before these limits.
    pub fn with_caps_of(&self, other: &Limits) -> Limits {
        let welcome = match other.welcome.len() > self.welcome.len() {
            true => &other.welcome,
            false => &self.welcome,
        };
        Limits {
            clients_max: self.clients_max.max(other.clients_max),
            rooms_max: self.rooms_max.max(other.rooms_max),
            line_bytes_max: self.line_bytes_max.max(other.line_bytes_max),
            room_log_bytes_max: self.room_log_bytes_max.max(other.room_log_bytes_max),
            welcome: welcome.clone(),
            ..self.clone()
        }
    }

    /// The smallest [`room_log_bytes_max`](Limits::room_log_bytes_max) for these lines.
    pub fn room_log_bytes_min(&self) -> usize {
        ROOM_LOG_BYTES_MIN.max(ROOM_LOG_LINES_MIN * self.line_bytes_max)
    }

    /// Bytes of the longest line that can be in a log.
    pub fn rendered_bytes_max(&self) -> usize {
        RENDER_GROWTH_MAX * self.line_bytes_max + RENDER_BYTES_EXTRA
    }

    /// Live bytes of a log. The rest of its buffer may be dead, so that compaction always gains at least a quarter of the
    /// buffer.
    pub fn log_live_bytes_max(&self) -> usize {
        self.room_log_bytes_max - self.room_log_bytes_max / 4
    }

    /// Marks of what ignored persons have said that a log may have.
    pub fn log_marks_max(&self) -> usize {
        LOG_MARKS_MIN.max(self.room_log_bytes_max / LOG_BYTES_A_MARK)
    }

    /// Bytes that a slow member still receives when it skips ahead.
    pub fn log_kept_bytes(&self) -> usize {
        self.log_live_bytes_max() / 2
    }

    /// Under `wait`: a log with more live bytes than this is full. It still has space for one round and one more line.
    pub fn log_full_bytes(&self) -> usize {
        self.log_live_bytes_max()
            - self.room_round_bytes_max()
            - 2 * self.rendered_bytes_max()
            - LOG_BLOCK_BYTES
    }

    /// Under `wait`: a full log with no more live bytes than this accepts lines again.
    pub fn log_open_bytes(&self) -> usize {
        self.log_full_bytes() / 2
    }

    /// Bytes of a log that history alone may keep live.
    pub fn history_bytes_max(&self) -> usize {
        self.room_log_bytes_max / 16
    }

    /// A member with so many unread bytes is late. More than a round, so that a member is not late merely because it has not
    /// been visited yet.
    pub fn late_bytes(&self) -> usize {
        2 * self.room_round_bytes_max() + LOG_BLOCK_BYTES
    }

    /// Bytes that may be appended to a room's log before every member has been offered what was there before.
    pub fn room_round_bytes_max(&self) -> usize {
        ROOM_ROUND_BYTES_MAX.min(self.room_log_bytes_max / 8)
    }

    /// Private bytes of one client at most: up to the mark, one more reply or private line, the rest of one line in flight,
    /// and the last notices.
    pub fn private_bytes_max(&self) -> usize {
        PRIVATE_BYTES_MARK
            + REPLY_BYTES_MAX
            + PRIVATE_LINES_BYTES_MAX
            + 3 * self.rendered_bytes_max()
            + self.welcome.len()
            + 1024
    }

    /// Bytes that one connection can make the hub hold of what it has sent: a line half received, and deferred input.
    fn client_input_bytes_max(&self) -> usize {
        // Buffers grow by doubling.
        2 * (self.line_bytes_max + 1) + READ_BYTES_MAX + self.line_bytes_max + 1
    }

    /// … of what it is to read besides its room's log, and of records that are allocated only while they are needed.
    fn client_output_bytes_max(&self) -> usize {
        // Its own ranges, the private lines of others, and a barrier before each of these.
        let records = OWN_RANGES_MAX * 16 + 2 * PRIVATE_LINES_MAX * 16;
        let ignored = 2 * IGNORED_SPANS_MAX * 24 + IGNORED_MAX * (IGNORED_PERSON_BYTES + 16);
        2 * (self.private_bytes_max() + records) + ignored + CLIENT_RECORDS_BYTES
    }

    /// Bytes that one connection can make the hub hold besides its fixed record.
    pub fn client_bytes_max(&self) -> usize {
        self.client_input_bytes_max() + self.client_output_bytes_max()
    }

    /// Bytes that all rooms' logs can be made to take, with their marks.
    pub fn room_logs_bytes_max(&self) -> usize {
        // Marks are in a buffer that grows by doubling.
        let room_bytes = self.room_log_bytes_max + 2 * self.log_marks_max() * 16;
        self.rooms_max.saturating_mul(room_bytes)
    }

    /// Bytes that the hub can be made to hold of what all connections have sent.
    pub fn input_bytes_max(&self) -> usize {
        self.connections_max()
            .saturating_mul(self.client_input_bytes_max())
    }

    /// … of what all connections are to read, besides their rooms' logs.
    pub fn output_bytes_max(&self) -> usize {
        self.connections_max()
            .saturating_mul(self.client_output_bytes_max())
    }

    /// Connections at a time, those of operators too.
    pub fn connections_max(&self) -> usize {
        self.clients_max.saturating_add(OPERATORS_MAX)
    }

    /// Bytes that the hub can be made to hold: rooms × (log cap + marks) + connections × connection cap + bans.
    pub fn memory_bytes_max(&self) -> usize {
        self.room_logs_bytes_max()
            .saturating_add(
                self.connections_max()
                    .saturating_mul(self.client_bytes_max()),
            )
            .saturating_add(BANS_MAX * BAN_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_too_small_for_its_lines_is_refused_with_both_values() {
        let limits = Limits {
            line_bytes_max: 8192,
            room_log_bytes_max: 100_000,
            ..Limits::default()
        };
        let said = limits.check().unwrap_err().to_string();
        assert!(
            said.contains("100000") && said.contains("8192") && said.contains("262144"),
            "{said}"
        );
        assert_eq!(Limits::default().check(), Ok(()));
    }

    #[test]
    fn derived_limits_have_their_documented_values() {
        let limits = Limits {
            line_bytes_max: 100,
            room_log_bytes_max: 65_536,
            clients_max: 10,
            rooms_max: 3,
            welcome: "hi".into(),
            ..Limits::default()
        };
        // Two names of 24 characters of 4 bytes, and 8 bytes between and around them.
        assert_eq!(limits.rendered_bytes_max(), 3 * 100 + 200);
        assert_eq!(limits.log_live_bytes_max(), 49_152);
        assert_eq!(limits.log_kept_bytes(), 24_576);
        assert_eq!(limits.room_round_bytes_max(), 8_192);
        assert_eq!(limits.log_full_bytes(), 49_152 - 8_192 - 2 * 500 - 4_096);
        assert_eq!(limits.log_open_bytes(), 17_932);
        assert_eq!(limits.history_bytes_max(), 4_096);
        assert_eq!(limits.late_bytes(), 2 * 8_192 + 4_096);
        let private = 16_384 + 8_192 + 32_768 + 3 * 500 + 2 + 1_024;
        assert_eq!(limits.private_bytes_max(), private);
        let client = 2 * (private + 64 * 16 + 2 * 256 * 16 + 101)
            + 16_384
            + 101
            + 512
            + 128 * 24
            + 32 * 1_040;
        assert_eq!(limits.client_bytes_max(), client);
        let bans = 4_096 * (256 + 96 + 32 + 256);
        assert_eq!(
            limits.memory_bytes_max(),
            3 * (65_536 + 2 * 4096 * 16) + (10 + 16) * client + bans
        );
        assert_eq!(Limits::default().room_round_bytes_max(), 32_768);
    }

    #[test]
    fn limits_that_let_no_line_pass_are_refused() {
        let refused = |limits: Limits, word: &str| {
            let said = limits.check().unwrap_err().to_string();
            assert!(said.contains(word), "{said}");
        };
        let sound = Limits {
            rate_lines: 1,
            burst_lines: 1,
            ..Limits::default()
        };
        assert_eq!(sound.check(), Ok(()));
        let (none, unlimited) = (0, sound.clone());
        for limits in [
            Limits {
                clients_max: none,
                ..sound.clone()
            },
            Limits {
                rooms_max: none,
                ..sound.clone()
            },
            Limits {
                line_bytes_max: none,
                ..sound.clone()
            },
        ] {
            refused(limits, "at least 1");
        }
        refused(
            Limits {
                burst_lines: 0,
                ..sound
            },
            "--burst 0",
        );
        let idle = Limits {
            rate_lines: 0,
            burst_lines: 0,
            ..unlimited
        };
        assert_eq!(idle.check(), Ok(()));
        let fits = Limits {
            line_bytes_max: 2048,
            room_log_bytes_max: 65_536,
            ..idle.clone()
        };
        assert_eq!(fits.check(), Ok(()));
        refused(
            Limits {
                room_log_bytes_max: 65_535,
                line_bytes_max: 2,
                ..idle
            },
            "65536",
        );
        refused(
            Limits {
                line_bytes_max: 2049,
                ..fits
            },
            "65568",
        );
    }

    #[test]
    fn shares_of_the_smallest_log_fit() {
        let limits = Limits {
            room_log_bytes_max: ROOM_LOG_BYTES_MIN,
            line_bytes_max: ROOM_LOG_BYTES_MIN / ROOM_LOG_LINES_MIN,
            ..Limits::default()
        };
        limits.check().unwrap();
        let line = limits.rendered_bytes_max();
        let round = limits.room_round_bytes_max() + line;
        // A member that is offered each round is never evicted: a skip keeps more than a round.
        assert!(
            limits.log_kept_bytes() > round + LOG_BLOCK_BYTES,
            "{} > {round}",
            limits.log_kept_bytes()
        );
        // A skip makes space for at least one more line, and so does forgetting history.
        assert!(limits.log_live_bytes_max() - limits.log_kept_bytes() > line + 2 * LOG_BLOCK_BYTES);
        assert!(limits.history_bytes_max() + line + 2 * LOG_BLOCK_BYTES < limits.log_kept_bytes());
        // A full log accepts lines again before it is empty, and history alone does not keep it full.
        assert!(
            limits.log_open_bytes() > limits.history_bytes_max() + LOG_BLOCK_BYTES / 2,
            "{}",
            limits.log_open_bytes()
        );
        assert!(limits.log_open_bytes() < limits.log_full_bytes());
    }
}
