//! The metrics page: its listeners and connections on the server's poll, and what is answered under which path. It has a
//! budget of its own in each turn, after everything else, so that it is never in the way of clients.

use super::budgets::METRICS_US;
use super::exposition::Format;
use super::figures::{Figures, Served, Surveying};
use super::http::{Answer, HEAD_BYTES_MAX, Method, Request, Status};
use super::http_connection::HttpConnection;
use super::listener::{AcceptFault, Listener, classify};
use super::process::Process;
use super::scheduler::Scheduler;
use super::stream::Stream;
use super::transport::Net;
use crate::hub::Now;
use mio::event::Event;
use mio::{Registry, Token};
use std::io::{self, IoSlice};

/// Connections that are served at a time.
const CONNECTIONS_MAX: usize = 16;
/// Connections more that are told that there are too many. Further ones are closed without a word.
const REFUSED_MAX: usize = 4;
/// Descriptors that the page needs besides one for each listener.
pub const METRICS_DESCRIPTORS: u64 = (CONNECTIONS_MAX + REFUSED_MAX) as u64 + 1;
/// Tokens of listeners: so many from the first one. Those of connections come after.
const LISTENERS_MAX: usize = 0x1000;
/// Microseconds until accepting is tried again after the system ran out of something.
const BACKOFF_US: u64 = 100_000;

/// One connection and its socket.
#[derive(Debug)]
struct Place {
    /// Its poll token, which no other connection has had.
    token: Token,
    socket: Stream,
    /// No read has returned `WouldBlock` since it was last reported readable.
    readable: bool,
    /// No write has returned `WouldBlock` since it was last reported writable.
    writable: bool,
    http: HttpConnection,
    /// The survey that is under way is for its request too.
    is_surveyed_for: bool,
}

/// What happens to the survey that requests wait for.
#[derive(Debug)]
enum Stage {
    /// None is needed.
    None,
    /// It is being taken.
    Surveying(Surveying),
    /// It has been taken: those that have waited for it are answered.
    Taken(Box<Figures>),
}

/// The metrics page.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Each with whether it may have newcomers.
    listeners: Vec<(Listener, bool)>,
    /// The token of the first listener.
    first: usize,
    /// At most `CONNECTIONS_MAX + REFUSED_MAX`.
    places: Vec<Place>,
    /// Connections accepted so far: part of their tokens.
    serial: usize,
    /// Nothing is accepted until then: the system has run out of descriptors or memory.
    paused_until: Option<Now>,
    stage: Stage,
    /// Something can be done at once.
    has_work: bool,
    served: Served,
    scratch: Box<[u8]>,
}

impl Metrics {
    /// The page at these listeners, with poll tokens from `first` on: `LISTENERS_MAX` for listeners, and as many, in their
    /// lower halves, for connections.
    ///
    /// # Errors
    /// The system is out of memory.
    pub fn new(registry: Registry, listeners: Vec<Listener>, first: usize) -> io::Result<Metrics> {
        let mut listeners: Vec<_> = listeners.into_iter().map(|it| (it, true)).collect();
        for (number, (listener, _)) in listeners.iter_mut().enumerate() {
            listener.register(&registry, Token(first + number))?;
        }
        Ok(Metrics {
            registry,
            has_work: !listeners.is_empty(),
            listeners,
            first,
            places: Vec::new(),
            serial: 0,
            paused_until: None,
            stage: Stage::None,
            served: Served::default(),
            scratch: vec![0; HEAD_BYTES_MAX].into_boxed_slice(),
        })
    }

    /// Notes what the poll has reported under one of its tokens.
    pub fn event(&mut self, event: &Event) {
        self.has_work = true;
        let number = event.token().0.wrapping_sub(self.first);
        if let Some((_, newcomers)) = self.listeners.get_mut(number) {
            *newcomers = true;
            return;
        }
        let is_its = |place: &&mut Place| place.token == event.token();
        if let Some(place) = self.places.iter_mut().find(is_its) {
            place.readable |= event.is_readable() || event.is_read_closed() || event.is_error();
            place.writable |= event.is_writable() || event.is_write_closed();
        }
    }

    /// When [`run`](Metrics::run) must be called, at the latest; `None`: after the next event.
    pub fn deadline(&self, now: Now) -> Option<Now> {
        if self.has_work {
            return Some(now);
        }
        let places = self.places.iter();
        let places = places.filter_map(|place| place.http.deadline());
        places.chain(self.paused_until).min()
    }

    /// What the page has cost so far.
    pub fn served(&self) -> Served {
        Served {
            connections: self.places.len(),
            ..self.served
        }
    }

    /// Its part of a turn: one step for each connection, and as much of a survey as there is time for.
    pub fn run<N: Net>(&mut self, scheduler: &mut Scheduler<N>, process: &Process) {
        if self.listeners.is_empty() {
            return;
        }
        let begin = scheduler.service_time();
        if self.deadline(begin).is_none_or(|deadline| deadline > begin) {
            return;
        }
        let until = begin.after(METRICS_US);
        let mut now = begin;
        self.has_work = false;
        self.accept(now);
        for nth in 0..self.places.len() {
            self.step(now, nth, scheduler);
            now = scheduler.service_time();
            if now >= until {
                self.has_work = true;
                break;
            }
        }
        // The next turn begins with another connection.
        if let 1.. = self.places.len() {
            self.places.rotate_left(1);
        }
        self.survey(until, scheduler, process);
        self.places.retain(|place| !place.http.is_closed());
        let end = scheduler.service_time();
        self.served.busy_us += end.as_micros() - begin.as_micros();
    }

    /// Accepts at most one newcomer of each listener.
    fn accept(&mut self, now: Now) {
        if self.paused_until.is_some_and(|until| until > now) {
            return;
        }
        self.paused_until = None;
        for number in 0..self.listeners.len() {
            let (listener, newcomers) = &mut self.listeners[number];
            if !*newcomers {
                continue;
            }
            match listener.accept() {
                Ok((socket, ..)) => {
                    self.has_work = true;
                    self.admit(now, socket);
                }
                Err(error) => match classify(&error) {
                    AcceptFault::NobodyThere => *newcomers = false,
                    AcceptFault::OneNewcomer => self.has_work = true,
                    AcceptFault::System => self.paused_until = Some(now.after(BACKOFF_US)),
                },
            }
        }
    }

    fn admit(&mut self, now: Now, mut socket: Stream) {
        let served = |places: &[Place]| {
            let served = places.iter().filter(|place| !place.http.is_ending());
            served.count()
        };
        if served(&self.places) >= CONNECTIONS_MAX {
            // One that only might ask again makes way.
            let idle = self.places.iter().enumerate();
            let idle = idle.filter_map(|(nth, place)| Some((place.http.idle_since()?, nth)));
            if let Some((_, nth)) = idle.min() {
                self.places.remove(nth);
            }
        }
        let is_full = served(&self.places) >= CONNECTIONS_MAX;
        self.served.refused += u64::from(is_full);
        if self.places.len() >= CONNECTIONS_MAX + REFUSED_MAX {
            return;
        }
        self.serial += 1;
        let token = Token(self.serial << 32 | (self.first + LISTENERS_MAX));
        if let Err(error) = socket.register(&self.registry, token) {
            tracing::warn!(%error, "a connection to the metrics page cannot be polled");
            return;
        }
        let http = match is_full {
            true => HttpConnection::refused(now, "too many connections; try again later"),
            false => HttpConnection::new(now),
        };
        self.places.push(Place {
            token,
            socket,
            readable: true,
            writable: true,
            http,
            is_surveyed_for: false,
        });
    }

    /// One step of one connection: a deadline, a read, an answer, a write.
    fn step<N: Net>(&mut self, now: Now, nth: usize, scheduler: &Scheduler<N>) {
        let place = &mut self.places[nth];
        place.http.tick(now);
        place.read(now, &mut self.scratch);
        if let Some(request) = place.http.asked()
            && !place.is_surveyed_for
        {
            let hub = scheduler.hub();
            let is_ending = hub.is_shutting_down() || hub.is_draining();
            match answer_at_once(request, is_ending) {
                Some(answer) => {
                    self.served.requests += 1;
                    place.http.answer(now, &answer);
                }
                None => match (&self.stage, place.http.asked()) {
                    (Stage::None, _) => {
                        self.stage = Stage::Surveying(Surveying::default());
                        place.is_surveyed_for = true;
                    }
                    (Stage::Surveying(_), _) => place.is_surveyed_for = true,
                    // It came too late for this one.
                    (Stage::Taken(_), _) => {}
                },
            }
        }
        place.write(now);
        self.has_work |= place.has_work();
    }

    /// Takes a survey if one is needed, and answers those that have waited for it, as far as there is time.
    fn survey<N: Net>(&mut self, until: Now, scheduler: &mut Scheduler<N>, process: &Process) {
        let mut now = scheduler.service_time();
        // At least one step, whatever the steps of the connections have left of the time.
        while !matches!(self.stage, Stage::None) {
            match &mut self.stage {
                Stage::None => {}
                Stage::Surveying(surveying) => {
                    if let Some(survey) = surveying.step(scheduler.hub()) {
                        let figures = Figures::gather(scheduler, survey, process, self.served());
                        self.stage = Stage::Taken(Box::new(figures));
                    }
                }
                Stage::Taken(figures) => {
                    let is_waiting = |place: &&mut Place| place.is_surveyed_for;
                    match self.places.iter_mut().find(is_waiting) {
                        Some(place) => {
                            self.served.requests += 1;
                            place.answer_metrics(now, figures);
                        }
                        None => self.stage = Stage::None,
                    }
                }
            }
            now = scheduler.service_time();
            if now >= until {
                break;
            }
        }
        let is_waiting = |place: &Place| place.http.asked().is_some();
        self.has_work |= !matches!(self.stage, Stage::None) || self.places.iter().any(is_waiting);
    }
}

impl Place {
    /// Reads once, if something may have arrived and may be handled.
    fn read(&mut self, now: Now, scratch: &mut [u8]) {
        let bytes_max = self.http.input_bytes_max().min(scratch.len());
        if !self.readable || bytes_max == 0 {
            return;
        }
        match self.socket.read(&mut scratch[..bytes_max], &mut []) {
            Ok(0) => {
                self.readable = false;
                self.http.finish(now);
            }
            Ok(n) => self.http.receive(now, &scratch[..n]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.readable = false,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => self.http.disconnect(),
        }
    }

    /// Writes once, if something is to be written and may be.
    fn write(&mut self, now: Now) {
        if !self.writable || self.http.output().is_empty() {
            return;
        }
        match self
            .socket
            .write(&[IoSlice::new(self.http.output())], &mut [])
        {
            Ok(n) => {
                if self.http.sent(now, n) {
                    self.socket.close_write();
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable = false,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => self.http.disconnect(),
        }
    }

    /// Whether another step can do something at once.
    fn has_work(&self) -> bool {
        let reads = self.readable && self.http.input_bytes_max() > 0;
        let writes = self.writable && !self.http.output().is_empty();
        reads || writes
    }

    fn answer_metrics(&mut self, now: Now, figures: &Figures) {
        self.is_surveyed_for = false;
        let Some(request) = self.http.asked() else {
            return;
        };
        let format = Format::preferred(&request.accept);
        let answer = Answer {
            status: Status::Ok,
            content_type: format.content_type(),
            body: format.page(&figures.families()),
        };
        self.http.answer(now, &answer);
        self.write(now);
    }
}

/// The answer to a request that needs no survey.
fn answer_at_once(request: &Request, is_shutting_down: bool) -> Option<Answer> {
    let is_get = request.method != Method::Other;
    Some(match &*request.path {
        "/metrics" if is_get => return None,
        "/healthz" if is_get && is_shutting_down => {
            Answer::text(Status::Unavailable, "shutting down")
        }
        "/healthz" if is_get => Answer::text(Status::Ok, "ok"),
        "/metrics" | "/healthz" => {
            Answer::text(Status::MethodNotAllowed, "this page can only be read")
        }
        _ => Answer::text(Status::NotFound, "there are /metrics and /healthz"),
    })
}
