//! Everything countable of a server at one moment. The metrics page, an operator's statistics and the log's last lines are
//! ways to write it; what each figure is called and what it means is in `families`. Counts nothing itself.

use super::process::{Process, ProcessFigures};
use super::scheduler::Scheduler;
use super::transport::Net;
use super::turn_lengths::TurnLengths;
use crate::hub::limits::Limits;
use crate::hub::link;
use crate::hub::{Hub, Survey, Totals};
use crate::logging;

/// Rooms whose members are shown one by one.
pub const ROOMS_SHOWN_MAX: usize = 10;
/// Clients that a survey looks at between two looks at the clock, of about 10 ns each.
const SURVEY_CLIENTS: usize = 1024;

/// A [survey](Hub::survey) of all clients that is taken piece by piece, so that no turn is long however many there are.
#[derive(Clone, Copy, Debug, Default)]
pub struct Surveying {
    next: usize,
    survey: Survey,
}

impl Surveying {
    /// Looks at some more clients. Returns the survey once it has looked at all.
    pub fn step(&mut self, hub: &Hub) -> Option<Survey> {
        let slots = hub.slots();
        let until = slots.end.min(self.next + SURVEY_CLIENTS);
        hub.survey(self.next.min(until)..until, &mut self.survey);
        self.next = until;
        (until == slots.end).then_some(self.survey)
    }

    /// The survey of all clients at once: of 18,000 in a fraction of a millisecond.
    pub fn all(hub: &Hub) -> Survey {
        let mut surveying = Surveying::default();
        loop {
            if let Some(survey) = surveying.step(hub) {
                return survey;
            }
        }
    }
}

/// What the metrics page itself has cost.
#[derive(Clone, Copy, Debug, Default)]
pub struct Served {
    /// Requests answered.
    pub requests: u64,
    /// Connections refused, since there were too many.
    pub refused: u64,
    /// Connections open.
    pub connections: usize,
    /// Microseconds of the event loop.
    pub busy_us: u64,
}

/// The figures of a server at one moment.
#[derive(Clone, Debug)]
pub struct Figures {
    /// What has happened since the start.
    pub totals: Totals,
    /// What clients hold and wait for.
    pub survey: Survey,
    /// What the operator has allowed.
    pub limits: Limits,
    /// Every listener, and its connections.
    pub connections: Vec<(String, u64)>,
    /// Connections that have not said the password.
    pub strangers: usize,
    /// Every reason for which connections end, and how many have.
    pub closed: Vec<(&'static str, u64)>,
    /// Newcomers that still have to send a PROXY header or to shake hands.
    pub handshakes: usize,
    /// Everything that can become of them, and how often it has.
    pub handshakes_over: Vec<(&'static str, u64)>,
    /// Rooms, the lobby and the room of raw connections included.
    pub rooms: usize,
    /// Rooms with a name and members.
    pub occupied_rooms: usize,
    /// The names of the largest rooms and their members: at most [`ROOMS_SHOWN_MAX`].
    pub largest_rooms: Vec<(String, usize)>,
    /// Bytes of the logs of all rooms.
    pub room_log_bytes: usize,
    /// Names that are somebody's own.
    pub registered_names: usize,
    /// How long turns have taken.
    pub turns: TurnLengths,
    /// The server ends.
    pub is_shutting_down: bool,
    /// The node and the others, if the server is one of several.
    pub cluster: Option<link::Figures>,
    /// What the system knows of the process.
    pub process: ProcessFigures,
    /// What the metrics page has cost.
    pub served: Served,
    /// Log lines dropped since the start.
    pub log_lines_dropped: u64,
}

impl Figures {
    /// The figures now. All but the survey takes about as long however many clients and rooms there are.
    pub fn gather<N: Net>(
        scheduler: &Scheduler<N>,
        survey: Survey,
        process: &Process,
        served: Served,
    ) -> Figures {
        let hub = scheduler.hub();
        let largest = hub.largest_rooms().take(ROOMS_SHOWN_MAX);
        Figures {
            totals: hub.totals(),
            survey,
            limits: hub.limits().clone(),
            connections: scheduler.connections_by_listener(),
            strangers: hub.strangers(),
            closed: scheduler.closed_by_reason(),
            handshakes: scheduler.handshakes_unfinished(),
            handshakes_over: scheduler.handshakes_by_result(),
            rooms: hub.rooms_open(),
            occupied_rooms: hub.occupied_rooms(),
            largest_rooms: largest
                .map(|(name, members)| (name.to_owned(), members))
                .collect(),
            room_log_bytes: hub.room_log_bytes(),
            registered_names: hub.registered_names(),
            turns: *scheduler.turn_lengths(),
            is_shutting_down: hub.is_shutting_down(),
            cluster: hub.cluster_figures(),
            process: process.figures(scheduler.sockets() + served.connections),
            served,
            log_lines_dropped: logging::dropped_lines(),
        }
    }

    /// Logs what has happened since the start, at the end.
    pub fn log(&self) {
        let (turns, totals) = (&self.turns, &self.totals);
        tracing::info!(%turns, longest_turn_us = turns.longest_us(), "turns");
        tracing::info!(
            connections = totals.connections,
            refused_connections = totals.refused_connections(),
            lines = totals.lines,
            refused_lines = totals.refused_lines,
            discarded_bytes = totals.discarded_bytes,
            deliveries = totals.delivered_lines,
            skipped_lines = totals.skipped_lines,
            slow_closed = totals.slow_closed,
            received_bytes = totals.received_bytes,
            sent_bytes = totals.sent_bytes,
            work = totals.work,
            "ended"
        );
    }
}
