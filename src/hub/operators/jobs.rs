//! The jobs of operators that are under way, what each waits for, and the requests to the driver. Does none of them.

use super::bans::Ban;
use super::range::Range;
use crate::hub::limits::{JOBS_MAX, LIST_BYTES_MARK};
use crate::hub::requests::{Change, Request, Ticket};
use crate::hub::types::ConnId;
use std::collections::VecDeque;
use std::net::SocketAddr;

/// What is left to be done of an operator's command.
#[derive(Debug)]
pub enum Job {
    /// To find a client by its address and port or by its number, from this slot on, and then to do something to it.
    Find(Whom, u32, Act),
    /// To ban the address of a client, or a range.
    Ban(Banned, Ban),
    /// To ban a range once that is stored.
    Store(Range, Ban),
    /// To close the clients of a banned range, from this slot on.
    CloseBanned(Sweep),
    /// To lift the ban of a range once that is stored.
    Unban(Range),
    /// To list clients from this slot on: so many have been listed.
    Clients {
        /// Which.
        filter: Filter,
        /// The next slot.
        slot: u32,
        /// How many have been listed.
        listed: usize,
    },
    /// To list the bans after this one: so many have been listed.
    Bans(Option<Range>, usize),
    /// To say a text to all rooms from this number on: to so many it was said, and so many were full.
    Say {
        /// With stand-ins where it needs some.
        text: Box<str>,
        /// The next room.
        room: u32,
        /// Rooms that have heard it.
        heard: usize,
        /// Rooms that have no space for it.
        full: usize,
    },
    /// To tell the operator the driver's answer, when it comes.
    Ask,
    /// To tell the operator these lines, which are whole.
    Tell(VecDeque<Box<str>>),
}

/// A client, by what only a look at all clients finds.
#[derive(Clone, Copy, Debug)]
pub enum Whom {
    /// By its address and port.
    Address(SocketAddr),
    /// By its serial number.
    Number(u32),
}

/// What is done to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// It is closed, for this reason.
    Kick(Box<str>),
    /// It is muted, for so many seconds.
    Mute(Option<u64>),
    /// It may speak again.
    Unmute,
}

/// What is banned.
#[derive(Clone, Copy, Debug)]
pub enum Banned {
    /// A range.
    Range(Range),
    /// The address of a client.
    AddressOf(ConnId),
}

/// Which clients are listed.
#[derive(Clone, Copy, Debug)]
pub enum Filter {
    /// All.
    All,
    /// Those that are late, or do not read what they have asked for.
    Slow,
    /// Those of a range.
    From(Range),
    /// Those of the address of this client.
    FromAddressOf(ConnId),
}

/// The clients of a banned range are closed.
#[derive(Debug)]
pub struct Sweep {
    /// What is banned.
    pub range: Range,
    /// Whether the ban outlasts the process.
    pub is_kept: bool,
    /// The next slot.
    pub slot: u32,
    /// How many have been closed.
    pub closed: usize,
}

/// What a job waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    /// Its turn.
    Turn,
    /// That the operator reads.
    Output,
    /// The answer to a request.
    Answer(Ticket),
}

/// Jobs, at most one of each operator that is connected, and those that must still be answered of operators that have left.
#[derive(Debug, Default)]
pub struct Jobs {
    /// `0 <= len <= JOBS_MAX`.
    jobs: VecDeque<(ConnId, Wait, Job)>,
    /// Requests that the driver has not taken.
    requests: VecDeque<(Ticket, Request)>,
    /// The number of the last ticket.
    ticket: u64,
}

impl Jobs {
    /// Whether another job may begin.
    pub fn is_full(&self) -> bool {
        self.jobs.len() >= JOBS_MAX
    }

    /// A job begins, or goes on when it has its turn again.
    pub fn push(&mut self, by: ConnId, job: Job) {
        self.jobs.push_back((by, Wait::Turn, job));
    }

    /// A job goes on when its operator has read.
    pub fn push_for_output(&mut self, by: ConnId, job: Job) {
        self.jobs.push_back((by, Wait::Output, job));
    }

    /// A job goes on when a request is answered.
    pub fn push_for_answer(&mut self, by: ConnId, request: Request, job: Job) {
        let ticket = self.ask(request);
        self.jobs.push_back((by, Wait::Answer(ticket), job));
    }

    /// Asks the driver for something. The answer is of interest to nobody unless a job waits for it.
    pub fn ask(&mut self, request: Request) -> Ticket {
        self.ticket += 1;
        let ticket = Ticket::from_number(self.ticket);
        self.requests.push_back((ticket, request));
        ticket
    }

    /// The next request.
    pub fn next_request(&mut self) -> Option<(Ticket, Request)> {
        self.requests.pop_front()
    }

    /// Whether [`next`](Jobs::next) has a job.
    pub fn has_next(&self) -> bool {
        self.jobs.iter().any(|(_, wait, _)| *wait == Wait::Turn)
    }

    /// The next job that has its turn.
    pub fn next(&mut self) -> Option<(ConnId, Job)> {
        self.take(|wait| wait == Wait::Turn)
    }

    /// The job that has waited for this answer.
    pub fn answered(&mut self, ticket: Ticket) -> Option<(ConnId, Job)> {
        self.take(|wait| wait == Wait::Answer(ticket))
    }

    fn take(&mut self, is_it: impl Fn(Wait) -> bool) -> Option<(ConnId, Job)> {
        let index = self.jobs.iter().position(|&(_, wait, _)| is_it(wait))?;
        let (by, _, job) = self.jobs.remove(index)?;
        Some((by, job))
    }

    /// An operator has read, and has so many bytes of answers left to read.
    pub fn has_read(&mut self, by: ConnId, left_bytes: usize) {
        if left_bytes <= LIST_BYTES_MARK {
            let its = self.jobs.iter_mut().filter(|(id, ..)| *id == by);
            for (_, wait, _) in its.filter(|(_, wait, _)| *wait == Wait::Output) {
                *wait = Wait::Turn;
            }
        }
    }

    /// An operator has left: its lists end. What changes something is still done.
    pub fn forget(&mut self, by: ConnId) {
        self.jobs
            .retain(|(id, _, job)| *id != by || job.is_change());
    }

    /// How many bans are about to be made.
    pub fn bans(&self) -> usize {
        let is_ban = |job: &Job| matches!(job, Job::Store(..));
        self.jobs.iter().filter(|(_, _, job)| is_ban(job)).count()
    }

    /// Whether a job of this operator is under way.
    pub fn is_busy(&self, by: ConnId) -> bool {
        self.jobs.iter().any(|(id, ..)| *id == by)
    }

    /// Panics if an invariant is broken. For tests.
    pub fn check(&self) {
        assert!(self.jobs.len() <= JOBS_MAX);
    }
}

impl Job {
    /// Whether it changes something, so that it is done even if nobody is there any more to be told so.
    fn is_change(&self) -> bool {
        match self {
            Job::Store(..) | Job::CloseBanned(_) | Job::Unban(_) | Job::Say { .. } => true,
            Job::Find(..) | Job::Ban(..) => true,
            Job::Clients { .. } | Job::Bans(..) | Job::Ask | Job::Tell(_) => false,
        }
    }

    /// The request that stores a ban.
    pub fn store(range: Range, ban: &Ban, epoch_us: u64) -> Request {
        Request::Store(Change::Put {
            kind: BAN,
            key: range.to_string(),
            value: ban.stored(epoch_us),
        })
    }

    /// The request that removes a ban from what is stored.
    pub fn erase(range: Range) -> Request {
        Request::Store(Change::Remove {
            kind: BAN,
            key: range.to_string(),
        })
    }
}

/// What bans are called where they are stored.
pub const BAN: &str = "ban";
