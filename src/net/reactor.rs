//! The event loop: mio's poll, its tokens, and [`Scheduler`] on real sockets. The only place that waits.

use super::budgets::ENGINE_US;
use super::engine;
use super::engine::Engine;
use super::figures::{Figures, Surveying};
use super::keeper::Keeper;
use super::listener::Listener;
use super::listeners::{LISTENERS, Listeners};
use super::metrics::Metrics;
use super::process::Process;
use super::reload::{Reloader, Settings, Source};
use super::scheduler::Scheduler;
use super::signal::{Request, Signals};
use super::sockets::{HANDSHAKES, Sockets};
use super::stream::{Socket, Stream};
use super::systemd::{ServiceManager, Status};
use super::transport::{Event, HandshakeId};
use crate::address::engine::EngineAddress;
use crate::hub::link;
use crate::hub::{ConnId, Hub, Now};
use crate::keeper::Entry;
use mio::{Events, Poll, Token};
use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Events taken from the poll in one call.
const EVENTS_MAX: usize = 1024;
/// Signals have the largest token. Those of listeners are above every connection's, then come the metrics page, the keeper,
/// [newcomers that shake hands](HANDSHAKES), and the connections to the engine.
const SIGNALS: Token = Token(usize::MAX);
const METRICS: usize = LISTENERS + 0x4000;
const METRICS_END: usize = METRICS + 0x4000;
const KEEPER: Token = Token(METRICS_END);
const ENGINE: usize = HANDSHAKES + 1;
const ENGINE_END: usize = ENGINE + 0x1000;

/// How the server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// After a signal, or after its console has left: every connection was drained, or had the time for that.
    Drained,
    /// By a second signal, of this number.
    Forced(i32),
}

/// A server that is ready to serve.
pub struct Reactor {
    poll: Poll,
    signals: Signals,
    pub(super) scheduler: Scheduler<Sockets>,
    reloader: Reloader,
    /// The metrics page, if there is one.
    metrics: Option<Metrics>,
    process: Process,
    has_console: bool,
    pub(super) keeper: Option<Keeper>,
    service_manager: ServiceManager,
    /// What this node shares its rooms by with others, if it does.
    engine: Option<Engine>,
}

impl Reactor {
    /// A server for these listeners, with settings that `source` reads again for a [reload](Reactor::reload), and for a
    /// [console](Hub::connect_console) at the other end of `console`, if there is one. From now on signals are noted, so that
    /// the server can be ended as soon as it has said that it listens.
    ///
    /// # Errors
    /// The poll, the signals or the console cannot be set up.
    pub fn new(
        listeners: Vec<Listener>,
        settings: Settings,
        source: Source,
        console: Option<UnixStream>,
    ) -> io::Result<Reactor> {
        let poll = Poll::new()?;
        let mut signals = Signals::new()?;
        let registry = poll.registry().try_clone()?;
        signals.register(&registry, SIGNALS)?;
        let mut numbered = Listeners::new(registry.try_clone()?);
        numbered.set_tls(settings.tls.as_ref().map(|tls| Arc::clone(&tls.config)));
        let number = numbered.add_all(listeners)?.len();
        let net = Sockets::new(registry, numbered);
        let mut hub = Hub::new(settings.limits.clone());
        hub.set_password(settings.password.clone());
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
        hub.set_epoch(since_1970.map_or(0, |time| time.as_micros() as u64));
        hub.set_owners(Now::default(), &settings.owners);
        let mut scheduler = Scheduler::new(net, hub, number);
        scheduler.set_proxies(settings.proxies.clone());
        let has_console = console.is_some();
        if let Some(console) = console {
            console.set_nonblocking(true)?;
            scheduler.connect_console(Stream::Plain(Socket::Unix(
                mio::net::UnixStream::from_std(console),
            )))?;
        }
        Ok(Reactor {
            poll,
            signals,
            scheduler,
            reloader: Reloader::new(settings, source),
            metrics: None,
            process: Process::new(),
            has_console,
            keeper: None,
            service_manager: ServiceManager::from_env(),
            engine: None,
        })
    }

    /// Restores what an earlier server has kept, and keeps what must last from now on.
    ///
    /// # Errors
    /// The keeper's socket cannot be polled.
    pub fn set_keeper(&mut self, mut keeper: Keeper, entries: &[Entry]) -> io::Result<()> {
        keeper.register(self.poll.registry(), KEEPER)?;
        self.scheduler.restore(entries);
        self.keeper = Some(keeper);
        Ok(())
    }

    /// Serves the metrics page at these listeners too.
    ///
    /// # Errors
    /// The system is out of memory.
    pub fn serve_metrics(&mut self, listeners: Vec<Listener>) -> io::Result<()> {
        let registry = self.poll.registry().try_clone()?;
        self.metrics = Some(Metrics::new(registry, listeners, METRICS)?);
        Ok(())
    }

    /// Shares the rooms with other nodes from now on.
    ///
    /// # Errors
    /// The engine's address cannot be used, or the system gives no random bytes.
    pub fn set_cluster(
        &mut self,
        address: EngineAddress,
        options: engine::Options,
        settings: link::Settings,
    ) -> io::Result<()> {
        let registry = self.poll.registry().try_clone()?;
        self.engine = Some(Engine::new(address, options, registry, ENGINE..ENGINE_END)?);
        let incarnation = getrandom::u64().map_err(io::Error::other)?;
        self.scheduler.join_cluster(settings, incarnation);
        Ok(())
    }

    /// Hands over what has come from the engine, within the budget.
    ///
    /// # Errors
    /// This node can never be one of the others.
    fn take_from_engine(&mut self) -> io::Result<()> {
        let Some(engine) = &mut self.engine else {
            return Ok(());
        };
        let began = Instant::now();
        engine.tick(began);
        while let Some(input) = engine.next_input() {
            self.scheduler.engine_input(input);
            if began.elapsed() > Duration::from_micros(ENGINE_US) {
                break;
            }
        }
        match engine.refusal() {
            Some(why) => Err(io::Error::other(format!("no node of this cluster: {why}"))),
            None => Ok(()),
        }
    }

    /// Gives the engine what it is to do.
    fn give_to_engine(&mut self) {
        let Some(engine) = &mut self.engine else {
            return;
        };
        while let Some(op) = self.scheduler.next_op() {
            engine.submit(op);
        }
        engine.flush();
    }

    /// Everything countable now. Looks at every client: for operators, not for every turn.
    pub fn figures(&self) -> Figures {
        let survey = Surveying::all(self.scheduler.hub());
        let served = self.metrics.as_ref().map(Metrics::served);
        let served = served.unwrap_or_default();
        Figures::gather(&self.scheduler, survey, &self.process, served)
    }

    /// Serves until a signal ends it, or its console has left.
    ///
    /// # Errors
    /// The poll fails.
    pub fn serve(mut self) -> io::Result<Ended> {
        let mut events = Events::with_capacity(EVENTS_MAX);
        self.service_manager.ready();
        while !self.scheduler.is_over() {
            let timeout = self.timeout();
            let timeout = self.service_manager.timeout(timeout);
            if let Some(signal) = self.poll(&mut events, timeout)? {
                return Ok(Ended::Forced(signal));
            }
            self.take_from_engine()?;
            self.scheduler.run();
            self.give_to_engine();
            if let Some(keeper) = &mut self.keeper {
                keeper.tick(Instant::now());
            }
            // After that, since a request may just have been refused.
            self.carry_out_requests();
            if let Some(metrics) = &mut self.metrics {
                metrics.run(&mut self.scheduler, &self.process);
            }
            let hub = self.scheduler.hub();
            if hub.console_has_left() && !hub.is_shutting_down() {
                tracing::info!(clients = hub.clients(), "the console has left");
                self.stop();
            }
            let hub = self.scheduler.hub();
            self.service_manager.after_turn(|| Status {
                connections: hub.clients(),
                rooms: hub.occupied_rooms(),
                lines: hub.totals().lines,
            });
        }
        self.figures().log();
        Ok(Ended::Drained)
    }

    /// How long the poll may wait.
    fn timeout(&mut self) -> Option<Duration> {
        // First, since the scheduler notes for how long it lets the poll wait.
        let metrics = self.metrics.as_ref().and_then(|metrics| {
            let now = self.scheduler.service_time();
            let deadline = metrics.deadline(now)?;
            Some(deadline.as_micros().saturating_sub(now.as_micros()))
        });
        let timeouts = [self.scheduler.timeout(), metrics].into_iter();
        let timeouts = timeouts.map(|us| us.map(Duration::from_micros));
        let keeper = self.keeper.as_ref().and_then(Keeper::deadline);
        let keeper = keeper.map(|at| at.saturating_duration_since(Instant::now()));
        let engine = self.engine.as_ref().and_then(|engine| {
            let now = Instant::now();
            let at = if engine.has_input() {
                Some(now)
            } else {
                engine.deadline()
            };
            at.map(|at| at.saturating_duration_since(now))
        });
        timeouts.chain([keeper, engine]).flatten().min()
    }

    /// Reads the settings again, and applies what can change while the server runs. Says what has changed, and what needs a
    /// restart; the log has the same. Reads a file, once.
    ///
    /// # Errors
    /// What is wrong, one line each. Then everything stays as it was.
    pub fn reload(&mut self) -> Result<Vec<String>, Vec<String>> {
        self.service_manager.reloading();
        let reloaded = self.apply_settings();
        self.service_manager.ready();
        reloaded
    }

    fn apply_settings(&mut self) -> Result<Vec<String>, Vec<String>> {
        if self.scheduler.hub().is_shutting_down() {
            return Err(vec!["the server is shutting down".into()]);
        }
        let listeners = &mut self.scheduler.net().listeners;
        let change = self.reloader.reload(listeners).inspect_err(|mistakes| {
            for mistake in mistakes {
                tracing::error!("not reloaded, everything stays as it was: {mistake}");
            }
        })?;
        self.scheduler.log_level_changed();
        self.scheduler.set_limits(change.limits);
        self.scheduler.set_owners(&change.owners);
        self.scheduler.set_password(change.password);
        self.scheduler.set_proxies(change.proxies);
        for number in change.added {
            self.scheduler.event(Event::Newcomers(number));
        }
        Ok(change.lines)
    }

    /// Waits for events and notes all of them, also when they are more than one call of the poll reports: a client is silent
    /// only if nothing that it sent has arrived. As long as calls are full, there is one for each [`EVENTS_MAX`] clients; the
    /// kernel reports sockets in the order in which they became ready. After SIGCONT the wait is interrupted (signal(7)), and
    /// nothing has been reported yet. Returns the signal that ends the server at once.
    fn poll(
        &mut self,
        events: &mut Events,
        mut timeout: Option<Duration>,
    ) -> io::Result<Option<i32>> {
        for _ in 0..3 + self.scheduler.hub().clients() / EVENTS_MAX {
            let polled = self.poll.poll(events, timeout);
            timeout = Some(Duration::ZERO);
            match polled {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            }
            if let Some(signal) = self.note(events) {
                return Ok(Some(signal));
            }
            if events.iter().count() < EVENTS_MAX {
                break;
            }
        }
        Ok(None)
    }

    /// Notes events; returns the signal that ends the server at once.
    fn note(&mut self, events: &Events) -> Option<i32> {
        for event in events {
            match (event.token(), ConnId::from_token(event.token().0)) {
                (SIGNALS, _) => {
                    if let Some(signal) = self.handle_signals() {
                        return Some(signal);
                    }
                }
                (KEEPER, _) => {
                    if let Some(keeper) = &mut self.keeper {
                        keeper.ready();
                    }
                }
                (_, Some(id)) => self.scheduler.event(Event::Ready {
                    id,
                    readable: event.is_readable() || event.is_read_closed() || event.is_error(),
                    writable: event.is_writable() || event.is_write_closed(),
                }),
                (Token(token), None) => match token as u32 as usize {
                    HANDSHAKES => {
                        let id = HandshakeId((token >> 32) as u32);
                        self.scheduler.event(Event::Handshake(id));
                    }
                    ENGINE..ENGINE_END => {
                        if let Some(engine) = &mut self.engine {
                            engine.event(event);
                        }
                    }
                    METRICS..METRICS_END => {
                        if let Some(metrics) = &mut self.metrics {
                            metrics.event(event);
                        }
                    }
                    _ => self.scheduler.event(Event::Newcomers(token - LISTENERS)),
                },
            }
        }
        None
    }

    /// Does what signals ask for. Returns the signal that ends the server at once, if there is one.
    fn handle_signals(&mut self) -> Option<i32> {
        let requests: Vec<Request> = self.signals.pending().collect();
        for request in requests {
            let hub = self.scheduler.hub();
            let (clients, is_shutting_down) = (hub.clients(), hub.is_shutting_down());
            match request {
                Request::Stop(signal) if is_shutting_down => return Some(signal),
                Request::Stop(signal) => {
                    tracing::info!(signal, clients, "shutting down");
                    self.stop();
                }
                // A shell and the kernel may both send it, so a second one does not force the end.
                Request::HangUp if is_shutting_down => {}
                Request::HangUp if self.has_console => {
                    tracing::info!(clients, "SIGHUP at the console: shutting down");
                    self.stop();
                }
                // What came of it is in the log.
                Request::HangUp => drop(self.reload()),
                Request::Nothing(signal) => tracing::info!(signal, "this signal does nothing"),
            }
        }
        None
    }

    /// Accepts nothing any more. The listeners are closed at once: the system refuses newcomers, and the ports are free.
    pub(super) fn stop(&mut self) {
        self.service_manager
            .stopping(self.scheduler.hub().clients());
        self.scheduler.net().listeners.close_all();
        self.scheduler.stop();
    }
}
