//! What to measure: how many connections there are, what they send and how fast. Nothing is opened here.

use crate::address::Target;
use crate::password_file::Password;
use crate::tls_client;
use std::time::Duration;

/// Descriptors beside the connections: standard streams, the poll, files of `/proc`.
const DESCRIPTORS_RESERVED: u64 = 16;
/// Nodes of a cluster that are measured at a time.
pub const NODES_MAX: usize = 128;
/// Lines of one sender: each has a number of 32 bits, and the last number is the probe's.
pub const SENDER_LINES_MAX: u64 = u32::MAX as u64;

/// What the server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Greetings, rooms, names before lines, notices of what was skipped.
    Madang,
    /// The line that one connection sends, the others receive unchanged; the server sends nothing else.
    Raw,
}

/// When a line is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Closed loop: when fewer lines of its sender than this are in flight to listeners that read.
    Window(u32),
    /// Open loop: when it is due, at so many lines a second from all senders together.
    Rate(u32),
}

/// One run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The server, or all nodes of a cluster, over which connections are spread. At least one.
    pub targets: Vec<Target>,
    /// Whom to trust, if it is reached over TLS.
    pub tls: tls_client::Options,
    /// What the server speaks.
    pub protocol: Protocol,
    /// The password, for a server that asks for one.
    pub password: Option<Password>,
    /// Connections that only receive.
    pub receivers: u32,
    /// Connections that send, and receive one another's lines.
    pub senders: u32,
    /// Rooms that all connections are spread over.
    pub rooms: u32,
    /// How many receivers, the first ones, do not read until all lines are sent.
    pub slow_readers: u32,
    /// Bytes of a line without its end.
    pub line_bytes: usize,
    /// When a line is sent.
    pub pace: Pace,
    /// Lines after which sending stops, by all senders together.
    pub lines: Option<u64>,
    /// Time after which sending stops.
    pub duration: Option<Duration>,
    /// Time without any delivery after which lines that have not arrived are lost.
    pub timeout: Duration,
    /// The server's process, whose processor time and memory are measured.
    pub pid: Option<u32>,
    /// Whether the result is written as JSON.
    pub json: bool,
}

impl Plan {
    /// Checks that the plan makes sense and can be carried out with so many descriptors.
    ///
    /// # Errors
    /// It cannot; the error says what to do.
    pub fn check(&self, descriptors: u64) -> Result<(), String> {
        let (receivers, senders, rooms) = (self.receivers, self.senders, self.rooms);
        let nodes = self.targets.len();
        let needed = u64::from(receivers) + u64::from(senders) + DESCRIPTORS_RESERVED;
        if self.protocol == Protocol::Raw && rooms > 1 {
            return Err(format!(
                "--rooms {rooms} needs commands, which --protocol raw does not have; leave one of them out"
            ));
        }
        if senders < rooms {
            return Err(format!(
                "--rooms {rooms} needs a sender each, but there are --senders {senders}; give --senders {rooms} or more"
            ));
        }
        if receivers < rooms {
            return Err(format!(
                "--rooms {rooms} needs a receiver each, but there are --clients {receivers}; give --clients {rooms} or more"
            ));
        }
        if nodes > NODES_MAX {
            return Err(format!(
                "--nodes has {nodes} servers; at most {NODES_MAX} are measured at a time"
            ));
        }
        // Each line is to reach every node.
        if ((receivers / rooms) as usize) < nodes {
            let needed = nodes * rooms as usize;
            return Err(format!(
                "--nodes needs a receiver in each of --rooms {rooms} at each of {nodes} servers, but there are --clients \
                 {receivers}; give --clients {needed} or more"
            ));
        }
        if self.slow_readers > receivers {
            return Err(format!(
                "--slow-readers {} cannot be more than --clients {receivers}",
                self.slow_readers
            ));
        }
        if self.share(0, self.lines_max().unwrap_or(0)) > SENDER_LINES_MAX {
            return Err(format!(
                "a sender can number {SENDER_LINES_MAX} lines; ask for fewer, or for more --senders"
            ));
        }
        if needed > descriptors {
            return Err(format!(
                "--clients {receivers} and --senders {senders} need {needed} descriptors, but the limit is {descriptors}; raise it with ulimit -n"
            ));
        }
        Ok(())
    }

    /// How many connections there are. Receivers come first.
    pub fn connections(&self) -> usize {
        self.receivers as usize + self.senders as usize
    }

    /// The number that a connection has as a sender, if it is one.
    pub fn sender(&self, connection: usize) -> Option<usize> {
        connection.checked_sub(self.receivers as usize)
    }

    /// The room of a connection.
    pub fn room(&self, connection: usize) -> usize {
        self.sender(connection).unwrap_or(connection) % self.rooms as usize
    }

    /// For each connection, which of the targets it is to. A room's receivers take turns, as do its senders.
    pub fn nodes(&self) -> Vec<u8> {
        let (rooms, nodes) = (self.rooms as usize, self.targets.len());
        let node = |connection: usize| {
            let nth = self.sender(connection).unwrap_or(connection);
            ((nth / rooms + nth % rooms) % nodes) as u8
        };
        (0..self.connections()).map(node).collect()
    }

    /// Whether a connection does not read until all lines are sent.
    pub fn is_slow(&self, connection: usize) -> bool {
        connection < self.slow_readers as usize
    }

    /// How many lines are sent at most, if the plan limits them.
    pub fn lines_max(&self) -> Option<u64> {
        let in_time = match (self.pace, self.duration) {
            (Pace::Rate(rate), Some(duration)) => Some(u64::from(rate) * duration.as_secs()),
            _ => None,
        };
        [self.lines, in_time].into_iter().flatten().min()
    }

    /// How many of `lines` a sender sends: the senders take turns.
    pub fn share(&self, sender: usize, lines: u64) -> u64 {
        let senders = u64::from(self.senders);
        lines / senders + u64::from((sender as u64) < lines % senders)
    }
}

#[cfg(test)]
pub(super) fn example() -> Plan {
    Plan {
        targets: vec![Target::parse("127.0.0.1:8080").expect("an address")],
        tls: tls_client::Options::default(),
        protocol: Protocol::Madang,
        password: None,
        receivers: 4,
        senders: 3,
        rooms: 2,
        slow_readers: 1,
        line_bytes: 64,
        pace: Pace::Window(1),
        lines: Some(10),
        duration: None,
        timeout: Duration::from_secs(1),
        pid: None,
        json: false,
    }
}

/// Connections 0 (slow) and 1 only receive, 2 and 3 send, all in one room.
#[cfg(test)]
pub(super) fn example_of_one_room() -> Plan {
    Plan {
        receivers: 2,
        senders: 2,
        rooms: 1,
        ..example()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_spread_over_rooms_and_lines_over_senders() {
        let plan = example();
        let rooms: Vec<usize> = (0..plan.connections()).map(|id| plan.room(id)).collect();
        assert_eq!(rooms, [0, 1, 0, 1, 0, 1, 0]);
        let shares: Vec<u64> = (0..3).map(|sender| plan.share(sender, 10)).collect();
        assert_eq!(shares, [4, 3, 3]);
        assert_eq!(plan.nodes(), [0; 7]);
        let one = &*plan.targets;
        let spread = |receivers| Plan {
            targets: [one, one, one].concat(),
            receivers,
            ..plan.clone()
        };
        // Each room has a receiver at each node, and the senders are at different nodes.
        assert_eq!(spread(6).nodes(), [0, 1, 1, 2, 2, 0, 0, 1, 1]);
        assert_eq!(spread(6).check(100), Ok(()));
        assert!(
            spread(5)
                .check(100)
                .unwrap_err()
                .contains("give --clients 6 or more")
        );
        let open = Plan {
            pace: Pace::Rate(7),
            duration: Some(Duration::from_secs(2)),
            lines: None,
            ..plan
        };
        assert_eq!(open.lines_max(), Some(14));
    }

    #[test]
    fn an_impossible_plan_is_refused_with_the_flag_to_change() {
        let complaint = |change: &dyn Fn(&mut Plan)| {
            let mut plan = example();
            change(&mut plan);
            plan.check(100).expect_err("it is impossible")
        };
        assert_eq!(example().check(100), Ok(()));
        assert!(complaint(&|plan| plan.senders = 1).contains("--senders 2 or more"));
        assert!(complaint(&|plan| plan.receivers = 1).contains("--clients 2 or more"));
        assert!(complaint(&|plan| plan.slow_readers = 5).contains("--slow-readers 5"));
        assert!(complaint(&|plan| plan.protocol = Protocol::Raw).contains("--protocol raw"));
        assert!(complaint(&|plan| plan.receivers = 90).contains("need 109 descriptors"));
        assert!(complaint(&|plan| plan.lines = Some(1 << 40)).contains("fewer"));
    }
}
