//! The loop: mio's poll, its tokens, and [`Turn`] on real sockets. The only place that waits.

use super::conn::Stream;
use super::listener::Listener;
use super::signal::Signals;
use super::turn::Turn;
use super::world::{Event, Net};
use crate::hub::limits::Limits;
use crate::hub::{ConnId, Hub, Now, Peer};
use mio::{Events, Poll, Registry, Token};
use std::io::{self, IoSlice};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// Events taken from the poll at a time; more wait in the kernel.
const EVENTS_MAX: usize = 1024;
/// Signals have the largest token, listeners those above every connection's.
const SIGNALS: Token = Token(usize::MAX);
const LISTENERS: usize = ConnId::SLOT_MAX as usize + 1;

/// How the server came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was asked to, or its host has left, and everybody was given what it was owed, or the time for that.
    Drained,
    /// A second signal of this number came meanwhile.
    Forced(i32),
}

/// The sockets and the clock.
struct Real {
    registry: Registry,
    listeners: Vec<Listener>,
    start: Instant,
}

impl Net for Real {
    type Socket = Stream;

    fn now(&self) -> Now {
        Now::from_micros(self.start.elapsed().as_micros() as u64)
    }

    fn accept(&mut self, listener: usize) -> io::Result<(Stream, Peer)> {
        self.listeners[listener].accept()
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

/// The server, ready to serve.
pub struct Reactor {
    poll: Poll,
    signals: Signals,
    turn: Turn<Real>,
}

impl Reactor {
    /// A server for these listeners, and for a [host](Hub::connect_host) at the other end of `console`, if there is one.
    /// From now on signals are taken note of, so that whoever is told that it listens can ask it to end.
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
        let net = Real {
            registry,
            listeners,
            start: Instant::now(),
        };
        let mut turn = Turn::new(net, Hub::new(limits), number);
        if let Some(console) = console {
            console.set_nonblocking(true)?;
            turn.connect_host(Stream::Unix(mio::net::UnixStream::from_std(console)))?;
        }
        Ok(Reactor {
            poll,
            signals,
            turn,
        })
    }

    /// Serves until a signal ends it, or its host has left.
    ///
    /// # Errors
    /// The poll fails.
    pub fn serve(mut self) -> io::Result<Ended> {
        let mut events = Events::with_capacity(EVENTS_MAX);
        let mut stopping = false;
        while !self.turn.is_over() {
            let patience = self.turn.patience().map(Duration::from_micros);
            match self.poll.poll(&mut events, patience) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            }
            for event in &events {
                match (event.token(), ConnId::from_token(event.token().0)) {
                    (SIGNALS, _) => {
                        for signal in self.signals.pending() {
                            if stopping {
                                return Ok(Ended::Forced(signal));
                            }
                            stopping = true;
                            let clients = self.turn.hub().clients();
                            tracing::info!(signal, clients, "shutting down");
                            stop(&mut self.turn);
                        }
                    }
                    (_, Some(id)) => self.turn.event(Event::Ready {
                        id,
                        readable: event.is_readable() || event.is_read_closed() || event.is_error(),
                        writable: event.is_writable() || event.is_write_closed(),
                    }),
                    (Token(token), None) => self.turn.event(Event::Newcomers(token - LISTENERS)),
                }
            }
            self.turn.run();
            if !stopping && self.turn.hub().host_has_left() {
                stopping = true;
                let clients = self.turn.hub().clients();
                tracing::info!(clients, "the host has left");
                stop(&mut self.turn);
            }
        }
        let totals = self.turn.hub().totals();
        tracing::info!(?totals, "ended");
        Ok(Ended::Drained)
    }
}

/// Lets nobody in any more. The listeners are closed at once: whoever comes now is refused by the system, and the
/// port is free.
fn stop(turn: &mut Turn<Real>) {
    turn.net().listeners.clear();
    turn.stop();
}
