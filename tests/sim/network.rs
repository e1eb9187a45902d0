//! Simulated sockets, poll and clock, with the faults that real ones have, drawn from one seed. Knows nothing of the
//! hub's state and of what clients say.

use super::faults::Faults;
use super::pipe::{Pipe, Polled, Shared, Socket};
use super::step::{Step, WORK_NS};
use fastrand::Rng;
use madang::hub::{ConnId, Now, Peer, Wire};
use madang::net::transport::{Event, Handshake, HandshakeId, Net};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, IoSlice, Read};
use std::net::SocketAddr;

/// All that the scheduler sees of the system.
#[derive(Debug)]
pub struct Network {
    pub faults: Faults,
    rng: RefCell<Rng>,
    now_us: Cell<u64>,
    /// What has been done since the clock was last read.
    step: Step,
    /// By listener.
    newcomers: Vec<VecDeque<Shared>>,
    /// Events to report, each with the number of polls until then.
    events: Vec<(u32, Event)>,
    /// All ids that were ever registered: a spurious event may name any of them.
    ids: Vec<Polled>,
    /// A hash of everything that has happened.
    pub trace: u64,
    pub deliveries: u64,
    pub verbose: bool,
}

impl Network {
    pub fn new(seed: u64, listeners: usize, faults: Faults) -> Network {
        Network {
            faults,
            rng: RefCell::new(Rng::with_seed(seed)),
            now_us: Cell::new(1),
            step: Step::default(),
            newcomers: vec![VecDeque::new(); listeners],
            events: Vec::new(),
            ids: Vec::new(),
            trace: 0,
            deliveries: 0,
            verbose: false,
        }
    }

    pub fn micros(&self) -> u64 {
        self.now_us.get()
    }

    pub fn advance(&self, micros: u64) {
        self.now_us.set(self.now_us.get() + micros);
    }

    /// The time without pauses in the middle of a turn.
    pub fn active_micros(&self) -> u64 {
        self.now_us.get() - self.step.lost_us.get()
    }

    /// The time without pauses of which the server can know: what the poll was allowed to wait is time, also if the process
    /// was stopped then.
    pub fn service_micros(&self) -> u64 {
        self.active_micros() + self.step.hidden_us.get()
    }

    /// Whether there was a pause in the middle of a turn.
    pub fn has_paused(&self) -> bool {
        self.step.lost_us.get() > 0
    }

    /// The process stops for so long when it looks at the clock for the `looks`-th time from now.
    pub fn pause_later(&mut self, looks: u32, us: u64) {
        self.step.pause.set(Some((looks, us)));
    }

    /// The poll may wait for so long.
    pub fn may_wait(&self, timeout: Option<u64>) {
        let until = self.micros().saturating_add(timeout.unwrap_or(u64::MAX));
        self.step.waits_until.set(until);
    }

    /// The most work that the hub has done between two looks at the clock.
    pub fn greatest_work(&self) -> u64 {
        self.step.greatest_work.get()
    }

    /// How many newcomers wait at a listener.
    pub fn waiting(&self, listener: usize) -> usize {
        self.newcomers[listener].len()
    }

    /// A client connects to the first listener.
    pub fn connect(&mut self, wire: Wire, capacity: usize) -> Shared {
        let pipe = Pipe::shared(wire, capacity);
        self.connect_to(0, pipe.clone());
        pipe
    }

    /// A client connects to a listener.
    pub fn connect_to(&mut self, listener: usize, pipe: Shared) {
        self.newcomers[listener].push_back(pipe);
        self.report(Event::Newcomers(listener));
    }

    fn call(&self) {
        let ns = self.step.ns.get() + self.faults.syscall_ns;
        self.step.ns.set(ns);
    }

    /// The faults that apply to a pipe.
    fn faults_of(&self, pipe: &Pipe) -> Faults {
        if pipe.is_without_faults() {
            Faults::default()
        } else {
            self.faults
        }
    }

    /// A client has sent, finished or reset. Reports an edge if the server waits for one.
    pub fn arrived(&mut self, pipe: &Shared) {
        let mut it = pipe.borrow_mut();
        if let Some(id) = it.id
            && (it.wants_read || it.reset)
        {
            it.wants_read = false;
            let event = id.ready(true, false);
            if it.is_without_faults() {
                self.events.push((1, event));
            } else {
                drop(it);
                self.report(event);
            }
        }
    }

    /// A client has read. Reports an edge if the server waits for one.
    pub fn drained(&mut self, pipe: &Shared) {
        let mut it = pipe.borrow_mut();
        if let Some(id) = it.id
            && it.wants_write
            && it.outbound.len() < it.capacity
        {
            it.wants_write = false;
            drop(it);
            self.report(id.ready(false, true));
        }
    }

    /// The events that are due, in any order.
    pub fn poll(&mut self) -> Vec<Event> {
        let mut due = Vec::new();
        self.events.retain_mut(|(polls, event)| {
            *polls = polls.saturating_sub(1);
            if *polls == 0 {
                due.push(*event);
            }
            *polls > 0
        });
        let rng = self.rng.get_mut();
        if self.faults.event_late > 0 {
            rng.shuffle(&mut due);
        }
        if !self.ids.is_empty() && rng.u8(0..100) < self.faults.event_spurious {
            let id = self.ids[rng.usize(..self.ids.len())];
            due.push(id.ready(rng.bool(), rng.bool()));
        }
        for event in &due {
            self.record(&format!("event {event:?}"), None, &[]);
        }
        due
    }

    /// Whether any event will be reported, now or later.
    pub fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// Adds to the trace what has happened, and the bytes that went over a connection.
    fn record(&mut self, what: &str, id: Option<Polled>, bytes: &[u8]) {
        // Its keys are the same in each run.
        let mut hasher = DefaultHasher::new();
        (self.trace, what, id, bytes).hash(&mut hasher);
        self.trace = hasher.finish();
        if self.verbose {
            let now_us = self.now_us.get();
            println!("{now_us:>10} {what} {id:?} {}", bytes.escape_ascii());
        }
    }

    fn chance(&self, percent: u8) -> bool {
        percent > 0 && self.rng.borrow_mut().u8(0..100) < percent
    }

    fn report(&mut self, event: Event) {
        let late = if self.chance(self.faults.event_late) {
            self.rng.get_mut().u32(1..5)
        } else {
            0
        };
        self.events.push((1 + late, event));
        if self.chance(self.faults.event_doubled) {
            let later = self.rng.get_mut().u32(1..8);
            self.events.push((later, event));
        }
    }

    /// A fault: `WouldBlock` although the pipe is ready, so the poll must report the edge again.
    pub fn would_block(&mut self, id: Option<Polled>, readable: bool) -> io::Error {
        if let Some(id) = id {
            self.report(id.ready(readable, !readable));
        }
        io::ErrorKind::WouldBlock.into()
    }

    fn cut_short(&self, n: usize, fault: u8) -> usize {
        if n > 1 && self.chance(fault) {
            self.rng.borrow_mut().usize(1..n)
        } else {
            n
        }
    }
}

impl Network {
    /// From now on the poll reports a socket under this name.
    fn poll_socket(&mut self, socket: &mut Socket, id: Polled) -> io::Result<()> {
        self.call();
        if self.chance(self.faults.register_error) {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        self.ids.push(id);
        let mut pipe = socket.0.borrow_mut();
        pipe.id = Some(id);
        // epoll also reports what is ready at registration.
        let readable = !pipe.inbound.is_empty() || pipe.fin || pipe.reset;
        pipe.wants_read = !readable;
        drop(pipe);
        self.report(id.ready(readable, true));
        Ok(())
    }

    /// How many bytes a read or a peek of at most `most` finds; 0: the client has finished sending.
    fn arrived_bytes(&mut self, socket: &Socket, most: usize) -> io::Result<usize> {
        self.call();
        let mut pipe = socket.0.borrow_mut();
        let faults = self.faults_of(&pipe);
        if self.chance(faults.interrupted) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let n = pipe.inbound.len().min(most);
        if n == 0 && pipe.reset {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        if n == 0 && pipe.fin {
            return Ok(0);
        }
        if n == 0 {
            pipe.wants_read = true;
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if self.chance(faults.would_block) {
            pipe.was_unreadable = true;
            return Err(self.would_block(pipe.id, true));
        }
        Ok(self.cut_short(n, faults.short_read))
    }

    /// Reads what has arrived at a socket.
    pub fn read_socket(&mut self, socket: &Socket, into: &mut [u8]) -> io::Result<usize> {
        let n = self.arrived_bytes(socket, into.len())?;
        socket.0.borrow_mut().inbound.read_exact(&mut into[..n])?;
        Ok(n)
    }

    /// Writes as much as a socket takes.
    pub fn write_socket(&mut self, socket: &Socket, bytes: &[u8]) -> io::Result<usize> {
        self.call();
        let mut pipe = socket.0.borrow_mut();
        if pipe.reset {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        assert!(!pipe.server_fin, "written after close_write");
        let n = bytes.len().min(pipe.room());
        if n == 0 {
            pipe.wants_write = true;
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let faults = self.faults_of(&pipe);
        if self.chance(faults.would_block) {
            return Err(self.would_block(pipe.id, false));
        }
        let n = self.cut_short(n, faults.short_write);
        pipe.outbound.extend(&bytes[..n]);
        Ok(n)
    }
}

impl Net for Network {
    type Socket = Socket;

    fn now(&self, work: u64) -> Now {
        let step = &self.step;
        let done = work - step.work.replace(work);
        step.greatest_work.set(step.greatest_work.get().max(done));
        let ns = step.ns.get() + done * WORK_NS;
        step.ns.set(ns % 1000);
        let waits_until = step.waits_until.take();
        self.advance(ns / 1000);
        match step.pause.take() {
            Some((0, us)) => {
                step.note_pause(us, waits_until.saturating_sub(self.micros()));
                self.advance(us);
            }
            pause => step.pause.set(pause.map(|(looks, us)| (looks - 1, us))),
        }
        if self.faults.clock_step_us > 0 {
            self.advance(self.rng.borrow_mut().u64(0..=self.faults.clock_step_us));
        }
        Now::from_micros(self.now_us.get())
    }

    fn accept(&mut self, listener: usize) -> io::Result<(Socket, Peer, Option<SocketAddr>)> {
        self.call();
        if self.newcomers[listener].is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if self.chance(self.faults.accept_error) {
            // ECONNABORTED, EPROTO, EPERM, EINTR; EMFILE, ENFILE, ENOBUFS, ENOMEM.
            let errno = [103, 71, 1, 4, 24, 23, 105, 12][self.rng.get_mut().usize(..8)];
            self.record(&format!("accept error {errno}"), None, &[]);
            return Err(io::Error::from_raw_os_error(errno));
        }
        let pipe = self.newcomers[listener].pop_front().expect("not empty");
        let (address, wire) = (pipe.borrow().address, pipe.borrow().wire);
        let address = (wire != Wire::Control).then(|| SocketAddr::from((address, 9999)));
        let peer = Peer::new(address.map(|address| address.ip()), wire);
        Ok((Socket(pipe), peer, address))
    }

    fn peer(&self, socket: &Socket) -> Option<SocketAddr> {
        Some((socket.0.borrow().address, 1).into())
    }

    fn register(&mut self, socket: &mut Socket, id: ConnId) -> io::Result<()> {
        self.poll_socket(socket, Polled::Connection(id))
    }

    fn register_newcomer(&mut self, socket: &mut Socket, id: HandshakeId) -> io::Result<()> {
        self.poll_socket(socket, Polled::Newcomer(id))
    }

    fn reregister(&mut self, socket: &mut Socket, id: ConnId) -> io::Result<()> {
        assert!(socket.0.borrow().id.is_some(), "not registered before");
        self.poll_socket(socket, Polled::Connection(id))
    }

    fn needs_handshake(&self, socket: &Socket) -> bool {
        let pipe = socket.0.borrow();
        pipe.veil
            .as_ref()
            .is_some_and(|veil| veil.is_in_handshake())
    }

    fn handshake(&mut self, socket: &mut Socket, peer: Peer) -> io::Result<Handshake> {
        self.shake_hands(socket, peer)
    }

    fn peek(&mut self, socket: &mut Socket, into: &mut [u8]) -> io::Result<usize> {
        let n = self.arrived_bytes(socket, into.len())?;
        let pipe = socket.0.borrow();
        into.iter_mut()
            .zip(pipe.inbound.range(..n))
            .for_each(|(to, from)| *to = *from);
        Ok(n)
    }

    fn read(&mut self, socket: &mut Socket, into: &mut [u8]) -> io::Result<usize> {
        let n = match socket.is_veiled() {
            true => self.read_veiled(socket, into)?,
            false => self.read_socket(socket, into)?,
        };
        if n > 0 {
            let id = socket.0.borrow().id;
            self.record("read", id, &into[..n]);
        }
        Ok(n)
    }

    fn write(&mut self, socket: &mut Socket, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut bytes = Vec::new();
        for slice in slices {
            bytes.extend_from_slice(slice);
        }
        assert!(!bytes.is_empty(), "an empty write");
        let interrupted = self.faults_of(&socket.0.borrow()).interrupted;
        if self.chance(interrupted) {
            self.call();
            return Err(io::ErrorKind::Interrupted.into());
        }
        let n = match socket.is_veiled() {
            true => self.write_veiled(socket, &bytes)?,
            false => self.write_socket(socket, &bytes)?,
        };
        self.deliveries += memchr::memchr_iter(b'\n', &bytes[..n]).count() as u64;
        let id = socket.0.borrow().id;
        self.record("write", id, &bytes[..n]);
        Ok(n)
    }

    fn tls_version(&self, socket: &Socket) -> Option<&'static str> {
        let pipe = socket.0.borrow();
        let veil = pipe.veil.as_ref();
        veil.and_then(|veil| (!veil.is_in_handshake()).then_some("veiled"))
    }

    fn takes_plain_text(&self, socket: &Socket) -> bool {
        let pipe = socket.0.borrow();
        pipe.veil.as_ref().is_none_or(|veil| veil.is_plain())
    }

    fn flush(&mut self, socket: &mut Socket) -> io::Result<bool> {
        match socket.is_veiled() {
            true => self.flush_veiled(socket),
            false => Ok(true),
        }
    }

    fn finish(&mut self, socket: &mut Socket) -> bool {
        !socket.is_veiled() || self.finish_veiled(socket)
    }

    fn close_write(&mut self, socket: &mut Socket) {
        self.call();
        self.finish(socket);
        socket.0.borrow_mut().server_fin = true;
    }
}
