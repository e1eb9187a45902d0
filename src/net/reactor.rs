//! The event loop: mio's poll, its tokens, and [`Scheduler`] on real sockets. The only place that waits.

use super::listener::Listener;
use super::scheduler::Scheduler;
use super::signal::{Request, Signals};
use super::stream::Stream;
use super::transport::{Event, Net, Newcomer};
use crate::hub::limits::Limits;
use crate::hub::{ConnId, Hub, Now, Totals};
use mio::{Events, Poll, Registry, Token};
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Events taken from the poll in one call.
const EVENTS_MAX: usize = 1024;
/// Signals have the largest token; listeners have those above every connection's.
const SIGNALS: Token = Token(usize::MAX);
const LISTENERS: usize = ConnId::SLOT_MAX as usize + 1;

/// How the server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// After a signal, or after its console has left: every connection was drained, or had the time for that.
    Drained,
    /// By a second signal, of this number.
    Forced(i32),
}

/// The sockets and the clock.
pub(super) struct Sockets {
    registry: Registry,
    listeners: Vec<Listener>,
    start: Instant,
}

impl Net for Sockets {
    type Socket = Stream;

    fn now(&self, _: u64) -> Now {
        Now::from_micros(self.start.elapsed().as_micros() as u64)
    }

    fn accept(&mut self, listener: usize) -> io::Result<Newcomer<Stream>> {
        self.listeners[listener].accept()
    }

    fn listener(&self, listener: usize) -> String {
        self.listeners[listener].to_string()
    }

    fn peer(&self, socket: &Stream) -> Option<SocketAddr> {
        socket.peer()
    }

    fn credentials(&self, socket: &Stream) -> Option<(u32, i32)> {
        socket.credentials()
    }

    fn register(&mut self, socket: &mut Stream, id: ConnId) -> io::Result<()> {
        socket.register(&self.registry, Token(id.to_token()))
    }

    fn read(&mut self, socket: &mut Stream, into: &mut [u8]) -> io::Result<usize> {
        socket.read(into)
    }

    fn write(&mut self, socket: &mut Stream, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        socket.write(slices)
    }

    fn close_write(&mut self, socket: &mut Stream) {
        socket.close_write();
    }
}

/// A server that is ready to serve.
pub struct Reactor {
    poll: Poll,
    signals: Signals,
    pub(super) scheduler: Scheduler<Sockets>,
    has_console: bool,
}

impl Reactor {
    /// A server for these listeners, and for a [console](Hub::connect_console) at the other end of `console`, if there is
    /// one. From now on signals are noted, so that the server can be ended as soon as it has said that it listens.
    ///
    /// # Errors
    /// The poll, the signals or the console cannot be set up.
    pub fn new(
        mut listeners: Vec<Listener>,
        limits: Limits,
        console: Option<UnixStream>,
    ) -> io::Result<Reactor> {
        let poll = Poll::new()?;
        let mut signals = Signals::new()?;
        let registry = poll.registry().try_clone()?;
        signals.register(&registry, SIGNALS)?;
        for (number, listener) in listeners.iter_mut().enumerate() {
            listener.register(&registry, Token(LISTENERS + number))?;
        }
        let number = listeners.len();
        let net = Sockets {
            registry,
            listeners,
            start: Instant::now(),
        };
        let mut hub = Hub::new(limits);
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
        hub.set_epoch(since_1970.map_or(0, |time| time.as_micros() as u64));
        let mut scheduler = Scheduler::new(net, hub, number);
        let has_console = console.is_some();
        if let Some(console) = console {
            console.set_nonblocking(true)?;
            scheduler.connect_console(Stream::Unix(mio::net::UnixStream::from_std(console)))?;
        }
        Ok(Reactor {
            poll,
            signals,
            scheduler,
            has_console,
        })
    }

    /// Serves until a signal ends it, or its console has left.
    ///
    /// # Errors
    /// The poll fails.
    pub fn serve(mut self) -> io::Result<Ended> {
        let mut events = Events::with_capacity(EVENTS_MAX);
        while !self.scheduler.is_over() {
            let timeout = self.scheduler.timeout().map(Duration::from_micros);
            if let Some(signal) = self.poll(&mut events, timeout)? {
                return Ok(Ended::Forced(signal));
            }
            self.scheduler.run();
            self.carry_out_requests();
            let hub = self.scheduler.hub();
            if hub.console_has_left() && !hub.is_shutting_down() {
                tracing::info!(clients = hub.clients(), "the console has left");
                stop(&mut self.scheduler);
            }
        }
        let Totals {
            connections,
            refused_connections,
            lines,
            refused_lines,
            discarded_bytes,
            skipped_lines,
            slow_closed,
            work,
        } = self.scheduler.hub().totals();
        let turns = self.scheduler.turn_lengths();
        tracing::info!(%turns, longest_turn_us = turns.longest_us(), "turns");
        tracing::info!(
            connections,
            refused_connections,
            lines,
            refused_lines,
            discarded_bytes,
            skipped_lines,
            slow_closed,
            work,
            "ended"
        );
        Ok(Ended::Drained)
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
                (_, Some(id)) => self.scheduler.event(Event::Ready {
                    id,
                    readable: event.is_readable() || event.is_read_closed() || event.is_error(),
                    writable: event.is_writable() || event.is_write_closed(),
                }),
                (Token(token), None) => self.scheduler.event(Event::Newcomers(token - LISTENERS)),
            }
        }
        None
    }

    /// Does what signals ask for. Returns the signal that ends the server at once, if there is one.
    fn handle_signals(&mut self) -> Option<i32> {
        for request in self.signals.pending() {
            let hub = self.scheduler.hub();
            let (clients, is_shutting_down) = (hub.clients(), hub.is_shutting_down());
            match request {
                Request::Stop(signal) if is_shutting_down => return Some(signal),
                Request::Stop(signal) => {
                    tracing::info!(signal, clients, "shutting down");
                    stop(&mut self.scheduler);
                }
                // A shell and the kernel may both send it, so a second one does not force the end.
                Request::HangUp if is_shutting_down => {}
                Request::HangUp if self.has_console => {
                    tracing::info!(clients, "SIGHUP at the console: shutting down");
                    stop(&mut self.scheduler);
                }
                Request::HangUp => tracing::info!("SIGHUP: there is nothing to reload"),
                Request::Nothing(signal) => tracing::info!(signal, "this signal does nothing"),
            }
        }
        None
    }
}

/// Accepts nothing any more. The listeners are closed at once: the system refuses newcomers, and the ports are free.
pub(super) fn stop(scheduler: &mut Scheduler<Sockets>) {
    scheduler.net().listeners.clear();
    scheduler.stop();
}
