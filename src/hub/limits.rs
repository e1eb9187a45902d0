//! Every cap of the hub, unit last in its name, and the relations between them. What an operator may choose is a
//! field of [`Limits`]; what is fixed is a constant. No behaviour lives here.

use std::fmt;

/// How many bytes one read of one connection may bring: the size of the scratch buffer and the cap of the input
/// that is held back for a client that may not speak right now.
pub const READ_BYTES_MAX: usize = 16 * 1024;

/// How many lines of one client are taken before the others have had their turn.
pub const VISIT_LINES_MAX: u32 = 256;

/// How many characters a nickname or the name of a room may have.
pub const NAME_CHARS_MAX: usize = 24;

/// Bytes around a line's text when it is rendered: two names of up to 4 bytes a character, ` -> `, `: `, `\n`.
pub const RENDER_BYTES_EXTRA: usize = 2 * 4 * NAME_CHARS_MAX + 8;

/// Records that a connection has besides its fixed one while they are needed: of its output, its input, its telnet.
const CLIENT_RECORDS_BYTES: usize = 512;

/// The most that one byte of input can become: a control character (1 byte) is shown as one of 3 bytes.
pub const RENDER_GROWTH_MAX: usize = 3;

/// A client that is owed more private bytes than this is not read, and nobody can send it a private line.
pub const PRIVATE_BYTES_MARK: usize = 16 * 1024;

/// The longest reply to one command, and so the furthest that a client's own commands pass the mark.
pub const REPLY_BYTES_MAX: usize = 8 * 1024;

/// A client with this many separate stretches of own lines that it has not been led past is not read.
pub const OWN_RANGES_MAX: usize = 64;

/// The unit in which a room's log counts its readers and forgets its past.
pub const LOG_BLOCK_BYTES: usize = 4 * 1024;

/// A log moves its live bytes to the front of its buffer once this much before them is dead (and no less than is
/// alive, so that a byte is moved at most once on average).
pub const LOG_DEAD_BYTES: usize = 4 * LOG_BLOCK_BYTES;

/// The smallest log that leaves room for the shares of [`Limits`].
pub const ROOM_LOG_BYTES_MIN: usize = 16 * LOG_BLOCK_BYTES;

/// How many of the longest lines a log must be able to hold.
pub const ROOM_LOG_LINES_MIN: usize = 32;

/// How much may be said in a room before everybody in it has been offered what was said before. Less than a socket's
/// send buffer takes, so that one round of the room empties it.
pub const ROOM_ROUND_BYTES_MAX: usize = 32 * 1024;

/// How long, in microseconds, those who speak in a room wait for members that are late. Then these are not waited for
/// before they have caught up: a reader that keeps up sets the pace of a flood, one that does not slows nobody.
pub const LATE_TIMEOUT_US: u64 = 20_000;

/// How long, in microseconds, until members that were given up and have been reading since are waited for again: in a
/// flood they might never catch up by themselves. A tenth of the time is all that they can cost the others.
pub const LATE_RETRY_US: u64 = 10 * LATE_TIMEOUT_US;

/// A telnet subnegotiation that is longer than this is taken for text again.
pub const TELNET_SUB_BYTES_MAX: u16 = 512;

/// Who came and who went is told to a room at most once in this time, in microseconds.
pub const ANNOUNCE_INTERVAL_US: u64 = 1_000_000;

/// How many names `/who` and how many rooms `/rooms` show before they say "and 17,950 more".
pub const LIST_ENTRIES_MAX: usize = 50;

/// How many outgoing slices one visit offers to `writev`.
pub const SLICES_MAX: usize = 16;

const _: () = {
    assert!((LIST_ENTRIES_MAX + 1) * (4 * NAME_CHARS_MAX + 16) <= REPLY_BYTES_MAX);
    assert!(ROOM_LOG_BYTES_MIN >= 16 * LOG_BLOCK_BYTES);
    assert!(READ_BYTES_MAX <= ROOM_LOG_BYTES_MIN / 4);
    assert!(LOG_DEAD_BYTES <= ROOM_LOG_BYTES_MIN / 4);
};

/// What becomes of a member that reads too slowly: its cursor would be overtaken as the room's log is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlowPolicy {
    /// It is moved forward to newer lines and told how many it lost.
    Skip,
    /// It is told how many it lost, and closed.
    Close,
    /// Nobody in the room may speak until it has caught up; without progress it is closed after a while.
    Wait,
}

/// What becomes of a connection whose peer has finished sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HalfClose {
    /// It is given all that it is owed by then, and closed.
    Close,
    /// It goes on receiving.
    Keep,
}

/// What the operator chose. Times are in microseconds; 0 switches a time or a rate off.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections at a time; a host is one more.
    pub clients_max: usize,
    /// Connections at a time from one IP address; 0: no limit.
    pub clients_per_ip_max: usize,
    /// Bytes of a line without its terminator.
    pub line_bytes_max: usize,
    /// Bytes of memory that one room's log may take.
    pub room_log_bytes_max: usize,
    /// Lines that a newcomer is shown.
    pub history_lines: usize,
    /// Rooms at a time, the lobby included.
    pub rooms_max: usize,
    /// Members up to which a room is told who came and who went.
    pub announce_members_max: usize,
    /// Lines a second that a client may say for long; 0: no limit.
    pub rate_lines: u32,
    /// Lines that a client may say at once when it was silent before.
    pub burst_lines: u32,
    /// What becomes of a slow member.
    pub slow: SlowPolicy,
    /// After how long without progress a member that all others wait for is closed.
    pub slow_timeout_us: u64,
    /// What becomes of a connection whose peer has finished sending.
    pub half_close: HalfClose,
    /// After how much silence an unterminated piece is handed on as a line.
    pub partial_after_us: u64,
    /// After how much silence a client is closed.
    pub idle_timeout_us: u64,
    /// How long a closing connection may take to be given its last bytes.
    pub drain_us: u64,
    /// What a newcomer is greeted with; empty: only with its name.
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

/// Two limits that do not go together, in words for the operator.
#[derive(Debug, PartialEq, Eq)]
pub struct Conflict(String);

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Conflict {}

impl Limits {
    /// Checks the relations that the log relies on.
    ///
    /// # Errors
    /// Names the two limits that conflict, their values, and what would do.
    pub fn check(&self) -> Result<(), Conflict> {
        let need = ROOM_LOG_BYTES_MIN.max(ROOM_LOG_LINES_MIN * self.line_bytes_max);
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

    /// The longest line that can stand in a log.
    pub fn rendered_bytes_max(&self) -> usize {
        RENDER_GROWTH_MAX * self.line_bytes_max + RENDER_BYTES_EXTRA
    }

    /// How much a log may remember. The rest of its buffer is for what compaction has not yet reclaimed, so that
    /// compaction always gains at least a quarter of the buffer.
    pub fn log_live_bytes_max(&self) -> usize {
        self.room_log_bytes_max - self.room_log_bytes_max / 4
    }

    /// How much a slow member keeps of what it is owed when it is moved forward.
    pub fn log_kept_bytes(&self) -> usize {
        self.log_live_bytes_max() / 2
    }

    /// Under `wait`: a log with more than this is full. It can still take what one round and a last line bring.
    pub fn log_full_bytes(&self) -> usize {
        self.log_live_bytes_max()
            - self.room_round_bytes_max()
            - 2 * self.rendered_bytes_max()
            - LOG_BLOCK_BYTES
    }

    /// Under `wait`: a full log with no more than this is open again.
    pub fn log_open_bytes(&self) -> usize {
        self.log_full_bytes() / 2
    }

    /// How much of a log history may keep alive on its own.
    pub fn history_bytes_max(&self) -> usize {
        self.room_log_bytes_max / 16
    }

    /// A member that has this much to read is late. More than a round, so that nobody is late who has only not been
    /// visited yet.
    pub fn late_bytes(&self) -> usize {
        2 * self.room_round_bytes_max() + LOG_BLOCK_BYTES
    }

    /// How much may be said in a room before everybody has been offered what was said before.
    pub fn room_round_bytes_max(&self) -> usize {
        ROOM_ROUND_BYTES_MAX.min(self.room_log_bytes_max / 8)
    }

    /// The most that is ever owed to one client besides its room's log: what was there at the mark, one reply or
    /// private line more, the rest of one line in flight, and the last notices.
    pub fn private_bytes_max(&self) -> usize {
        PRIVATE_BYTES_MARK
            + REPLY_BYTES_MAX
            + 2 * self.rendered_bytes_max()
            + self.welcome.len()
            + 1024
    }

    /// The most memory that one connection can make the hub hold besides its fixed record.
    pub fn client_bytes_max(&self) -> usize {
        let growing = self.private_bytes_max() + OWN_RANGES_MAX * 16 + self.line_bytes_max + 1;
        let held = READ_BYTES_MAX + self.line_bytes_max + 1;
        // What grows does so by doubling.
        2 * growing + held + CLIENT_RECORDS_BYTES
    }

    /// The most memory that the hub can be made to hold: rooms × log cap + connections × connection cap.
    pub fn memory_bytes_max(&self) -> usize {
        self.rooms_max
            .saturating_mul(self.room_log_bytes_max)
            .saturating_add(self.clients_max.saturating_mul(self.client_bytes_max()))
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
        let private = 16_384 + 8_192 + 2 * 500 + 2 + 1_024;
        assert_eq!(limits.private_bytes_max(), private);
        let client = 2 * (private + 64 * 16 + 101) + 16_384 + 101 + 512;
        assert_eq!(limits.client_bytes_max(), client);
        assert_eq!(limits.memory_bytes_max(), 3 * 65_536 + 10 * client);
        assert_eq!(Limits::default().room_round_bytes_max(), 32_768);
    }

    #[test]
    fn limits_that_permit_no_lines_are_refused() {
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
    fn the_parts_of_the_smallest_log_fit_into_each_other() {
        let limits = Limits {
            room_log_bytes_max: ROOM_LOG_BYTES_MIN,
            line_bytes_max: ROOM_LOG_BYTES_MIN / ROOM_LOG_LINES_MIN,
            ..Limits::default()
        };
        limits.check().unwrap();
        let line = limits.rendered_bytes_max();
        let round = limits.room_round_bytes_max() + line;
        // A member that reads each round is never evicted: an eviction keeps more than a round.
        assert!(
            limits.log_kept_bytes() > round + LOG_BLOCK_BYTES,
            "{} > {round}",
            limits.log_kept_bytes()
        );
        // An eviction frees space for at least one more line, and so does dropping history.
        assert!(limits.log_live_bytes_max() - limits.log_kept_bytes() > line + 2 * LOG_BLOCK_BYTES);
        assert!(limits.history_bytes_max() + line + 2 * LOG_BLOCK_BYTES < limits.log_kept_bytes());
        // A full room opens before its log is empty, and although the log keeps history.
        assert!(
            limits.log_open_bytes() > limits.history_bytes_max() + LOG_BLOCK_BYTES / 2,
            "{}",
            limits.log_open_bytes()
        );
        assert!(limits.log_open_bytes() < limits.log_full_bytes());
    }
}
