//! Every cap of the hub, unit last in its name, and the relations between them. What an operator can choose is a field of
//! [`Limits`]; what is fixed is a constant. No behaviour lives here.

mod fixed;

use super::operators::range::Ranges;
pub use fixed::*;
use fixed::{ACCOUNT_BYTES, BAN_BYTES, CLIENT_RECORDS_BYTES, LOCK_BYTES, USER_BYTES};
use std::fmt;

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
    /// Addresses from which newcomers are admitted; none: all but those of `deny`.
    pub allow: Ranges,
    /// Addresses from which no newcomer is admitted, whatever `allow` has.
    pub deny: Ranges,
    /// Lines that greet a newcomer, before its name; may be empty.
    pub welcome: String,
    /// Whole days without use after which a registered name is free again; 0: never.
    pub names_keep_days: u32,
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
            allow: Ranges::default(),
            deny: Ranges::default(),
            welcome: String::new(),
            names_keep_days: 365,
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

    /// Bytes that all rooms' logs can be made to take, with their marks, and their locks.
    pub fn room_logs_bytes_max(&self) -> usize {
        // Marks are in a buffer that grows by doubling.
        let room_bytes = self.room_log_bytes_max + 2 * self.log_marks_max() * 16 + LOCK_BYTES;
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

    /// Connections at a time, those of operators too, and those that are closed to make place.
    pub fn connections_max(&self) -> usize {
        self.clients_max
            .saturating_add(OPERATORS_MAX + STRANGERS_LEAVING_MAX)
    }

    /// Bytes that the hub can be made to hold: rooms × (log cap + marks) + connections × connection cap + bans + names.
    pub fn memory_bytes_max(&self) -> usize {
        self.room_logs_bytes_max()
            .saturating_add(
                self.connections_max()
                    .saturating_mul(self.client_bytes_max()),
            )
            .saturating_add(BANS_MAX * BAN_BYTES)
            .saturating_add(ACCOUNTS_MAX * ACCOUNT_BYTES + USERS_MAX * USER_BYTES)
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
        let names = 8_192 * 1_024 + 4_096 * 512;
        assert_eq!(
            limits.memory_bytes_max(),
            3 * (65_536 + 2 * 4096 * 16 + LOCK_BYTES) + (10 + 16 + 8) * client + bans + names
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
