//! The loop: mio's poll, its tokens, and [`Turn`] on real sockets. The only place that waits.

use super::conn::Stream;
use super::listener::Listener;
use super::signal::Signals;
use super::turn::Turn;
use super::world::{Event, Net};
use crate::hub::limits::Limits;
use crate::hub::{ConnId, Hub, Now, Peer};
use mio::{Events, Interest, Poll, Registry, Token};
use std::io::{self, IoSlice};
use std::time::{Duration, Instant};

/// Events taken from the poll at a time; more wait in the kernel.
const EVENTS_MAX: usize = 1024;
/// Signals have the largest token, listeners those above every connection's.
const SIGNALS: Token = Token(usize::MAX);
const LISTENERS: usize = ConnId::SLOT_MAX as usize + 1;

/// How the server came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was asked to, and everybody was given what it was owed, or the time for that.
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
        self.registry.register(
            socket,
            Token(id.to_token()),
            Interest::READABLE | Interest::WRITABLE,
        )
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

/// Serves until a signal ends it.
///
/// # Errors
/// The poll or the signals cannot be set up, or the poll fails.
pub fn serve(mut listeners: Vec<Listener>, limits: Limits) -> io::Result<Ended> {
    let mut poll = Poll::new()?;
    let mut signals = Signals::new()?;
    poll.registry()
        .register(&mut signals, SIGNALS, Interest::READABLE)?;
    for (number, listener) in listeners.iter_mut().enumerate() {
        poll.registry()
            .register(listener, Token(LISTENERS + number), Interest::READABLE)?;
    }
    let number = listeners.len();
    let net = Real {
        registry: poll.registry().try_clone()?,
        listeners,
        start: Instant::now(),
    };
    let mut turn = Turn::new(net, Hub::new(limits), number);
    let mut events = Events::with_capacity(EVENTS_MAX);
    let mut stopping = false;
    while !turn.is_over() {
        let patience = turn.patience().map(Duration::from_micros);
        match poll.poll(&mut events, patience) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            other => other?,
        }
        for event in &events {
            match (event.token(), ConnId::from_token(event.token().0)) {
                (SIGNALS, _) => {
                    for signal in signals.pending() {
                        if stopping {
                            return Ok(Ended::Forced(signal));
                        }
                        stopping = true;
                        tracing::info!(signal, clients = turn.hub().clients(), "shutting down");
                        // Closed at once: whoever comes now is refused by the system, and the port is free.
                        turn.net().listeners.clear();
                        turn.stop();
                    }
                }
                (_, Some(id)) => turn.event(Event::Ready {
                    id,
                    readable: event.is_readable() || event.is_read_closed() || event.is_error(),
                    writable: event.is_writable() || event.is_write_closed(),
                }),
                (Token(token), None) => turn.event(Event::Newcomers(token - LISTENERS)),
            }
        }
        turn.run();
    }
    let totals = turn.hub().totals();
    tracing::info!(?totals, "ended");
    Ok(Ended::Drained)
}
