//! Sockets, a clock and a poll that exist in memory only, and every fault that real ones have, drawn from one seed.

use fastrand::Rng;
use madang::hub::{ConnId, Now, Peer, Wire};
use madang::net::transport::{Event, Net};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::net::Ipv4Addr;
use std::rc::Rc;

/// How often each fault happens, in percent; all zero when the world is calm.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    pub short_read: u8,
    pub short_write: u8,
    pub would_block: u8,
    pub interrupted: u8,
    pub event_late: u8,
    pub event_doubled: u8,
    pub event_spurious: u8,
    pub accept_error: u8,
    pub register_error: u8,
    /// Microseconds that may pass between two looks at the clock.
    pub look_us: u64,
}

impl Faults {
    pub fn drawn(rng: &mut Rng) -> Faults {
        let mut percent = |most: u8| if rng.bool() { rng.u8(0..=most) } else { 0 };
        Faults {
            short_read: percent(90),
            short_write: percent(90),
            would_block: percent(40),
            interrupted: percent(20),
            event_late: percent(60),
            event_doubled: percent(30),
            event_spurious: percent(30),
            accept_error: percent(30),
            register_error: percent(5),
            look_us: rng.u64(0..1500),
        }
    }
}

/// The two directions between one simulated client and the server.
#[derive(Debug)]
pub struct Pipe {
    /// What the client has sent and the server has not read.
    pub inbound: VecDeque<u8>,
    /// The client has finished sending.
    pub fin: bool,
    /// The client has reset the connection.
    pub reset: bool,
    /// What the server has written and the client has not read.
    pub outbound: VecDeque<u8>,
    /// How much of that fits. A pipe that takes everything is an observer's: no fault touches it.
    pub capacity: usize,
    pub wire: Wire,
    /// The server has finished sending, or has closed.
    pub server_fin: bool,
    pub server_closed: bool,
    id: Option<ConnId>,
    /// The server has been told `WouldBlock` since it was last reported readable, or writable.
    wants_read: bool,
    wants_write: bool,
}

impl Pipe {
    pub fn shared(wire: Wire, capacity: usize) -> Shared {
        Rc::new(RefCell::new(Pipe {
            inbound: VecDeque::new(),
            fin: false,
            reset: false,
            outbound: VecDeque::new(),
            capacity,
            wire,
            server_fin: false,
            server_closed: false,
            id: None,
            wants_read: false,
            wants_write: false,
        }))
    }

    fn is_observed(&self) -> bool {
        self.capacity == usize::MAX
    }
}

pub type Shared = Rc<RefCell<Pipe>>;

/// The server's end; dropping it closes it.
#[derive(Debug)]
pub struct Socket(pub Shared);

impl Drop for Socket {
    fn drop(&mut self) {
        let mut pipe = self.0.borrow_mut();
        (pipe.server_fin, pipe.server_closed) = (true, true);
    }
}

/// The world around a turn.
#[derive(Debug)]
pub struct World {
    pub faults: Faults,
    rng: RefCell<Rng>,
    now_us: Cell<u64>,
    newcomers: VecDeque<Shared>,
    /// What the poll will report, with the number of polls until then.
    events: Vec<(u32, Event)>,
    /// Ids that were in use once: a late event may still name them.
    ids: Vec<ConnId>,
    /// Everything that happened, folded into one number.
    pub trace: u64,
    pub deliveries: u64,
    pub verbose: bool,
}

impl World {
    pub fn new(seed: u64, faults: Faults) -> World {
        World {
            faults,
            rng: RefCell::new(Rng::with_seed(seed)),
            now_us: Cell::new(1),
            newcomers: VecDeque::new(),
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

    pub fn pass(&self, micros: u64) {
        self.now_us.set(self.now_us.get() + micros);
    }

    /// A client connects.
    pub fn connect(&mut self, wire: Wire, capacity: usize) -> Shared {
        let pipe = Pipe::shared(wire, capacity);
        self.newcomers.push_back(pipe.clone());
        self.report(Event::Newcomers(0));
        pipe
    }

    /// What goes wrong with this pipe.
    fn faults_of(&self, pipe: &Pipe) -> Faults {
        if pipe.is_observed() {
            Faults::default()
        } else {
            self.faults
        }
    }

    /// A client has sent, finished or reset: an edge, if the server waits for one.
    pub fn arrived(&mut self, pipe: &Shared) {
        let mut it = pipe.borrow_mut();
        if let Some(id) = it.id
            && (it.wants_read || it.reset)
        {
            it.wants_read = false;
            let event = Event::Ready {
                id,
                readable: true,
                writable: false,
            };
            if it.is_observed() {
                self.events.push((1, event));
            } else {
                drop(it);
                self.report(event);
            }
        }
    }

    /// A client has read: an edge, if the server waits for one.
    pub fn drained(&mut self, pipe: &Shared) {
        let mut it = pipe.borrow_mut();
        if let Some(id) = it.id
            && it.wants_write
            && it.outbound.len() < it.capacity
        {
            it.wants_write = false;
            drop(it);
            self.report(Event::Ready {
                id,
                readable: false,
                writable: true,
            });
        }
    }

    /// What the poll reports now: what is due, in any order.
    pub fn poll(&mut self) -> Vec<Event> {
        let mut due = Vec::new();
        self.events.retain_mut(|(polls, event)| {
            *polls = polls.saturating_sub(1);
            if *polls == 0 {
                due.push(*event);
            }
            *polls > 0
        });
        let calm = self.faults.event_late == 0;
        let rng = self.rng.get_mut();
        if !calm {
            rng.shuffle(&mut due);
        }
        if !self.ids.is_empty() && rng.u8(0..100) < self.faults.event_spurious {
            let id = self.ids[rng.usize(..self.ids.len())];
            due.push(Event::Ready {
                id,
                readable: rng.bool(),
                writable: rng.bool(),
            });
        }
        for event in &due {
            self.note(&format!("event {event:?}"));
        }
        due
    }

    /// Whether the poll has anything to report, now or later.
    pub fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    pub fn note(&mut self, what: &str) {
        for byte in what.bytes() {
            self.trace = (self.trace ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        if self.verbose {
            println!("{:>10} {what}", self.now_us.get());
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

    /// A fault said `WouldBlock` or cut a call short though there was more: the edge comes again by itself.
    fn again(&mut self, pipe: &Shared, readable: bool) {
        if let Some(id) = pipe.borrow().id {
            self.report(Event::Ready {
                id,
                readable,
                writable: !readable,
            });
        }
    }

    fn some_of(&self, n: usize, fault: u8) -> usize {
        if n > 1 && self.chance(fault) {
            self.rng.borrow_mut().usize(1..n)
        } else {
            n
        }
    }
}

impl Net for World {
    type Socket = Socket;

    fn now(&self) -> Now {
        if self.faults.look_us > 0 {
            self.pass(self.rng.borrow_mut().u64(0..=self.faults.look_us));
        }
        Now::from_micros(self.now_us.get())
    }

    fn accept(&mut self, _: usize) -> io::Result<(Socket, Peer)> {
        if self.newcomers.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if self.chance(self.faults.accept_error) {
            // ECONNABORTED, EPROTO, EPERM, EINTR; EMFILE, ENFILE, ENOBUFS, ENOMEM.
            let errno = [103, 71, 1, 4, 24, 23, 105, 12][self.rng.get_mut().usize(..8)];
            self.note(&format!("accept error {errno}"));
            return Err(io::Error::from_raw_os_error(errno));
        }
        let pipe = self.newcomers.pop_front().expect("looked before");
        let peer = Peer {
            address: Some(Ipv4Addr::LOCALHOST.into()),
            wire: pipe.borrow().wire,
        };
        Ok((Socket(pipe), peer))
    }

    fn register(&mut self, socket: &mut Socket, id: ConnId) -> io::Result<()> {
        if self.chance(self.faults.register_error) {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        self.ids.push(id);
        let mut pipe = socket.0.borrow_mut();
        pipe.id = Some(id);
        // As epoll does: what is ready at registration is reported.
        let readable = !pipe.inbound.is_empty() || pipe.fin || pipe.reset;
        pipe.wants_read = !readable;
        drop(pipe);
        self.report(Event::Ready {
            id,
            readable,
            writable: true,
        });
        Ok(())
    }

    fn read(&mut self, socket: &mut Socket, into: &mut [u8]) -> io::Result<usize> {
        let mut pipe = socket.0.borrow_mut();
        let faults = self.faults_of(&pipe);
        if self.chance(faults.interrupted) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let n = pipe.inbound.len().min(into.len());
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
            drop(pipe);
            self.again(&socket.0, true);
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let n = self.some_of(n, faults.short_read);
        for (to, from) in into.iter_mut().zip(pipe.inbound.drain(..n)) {
            *to = from;
        }
        let id = pipe.id;
        drop(pipe);
        self.note(&format!("read {id:?} {n}"));
        Ok(n)
    }

    fn write(&mut self, socket: &mut Socket, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut pipe = socket.0.borrow_mut();
        let faults = self.faults_of(&pipe);
        if self.chance(faults.interrupted) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        if pipe.reset {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        assert!(!pipe.server_fin, "written after the end");
        let total: usize = slices.iter().map(|slice| slice.len()).sum();
        assert!(total > 0, "an empty write");
        let n = total.min(pipe.capacity.saturating_sub(pipe.outbound.len()));
        if n == 0 {
            pipe.wants_write = true;
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if self.chance(faults.would_block) {
            drop(pipe);
            self.again(&socket.0, false);
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let n = self.some_of(n, faults.short_write);
        let bytes: Vec<u8> = slices
            .iter()
            .flat_map(|slice| slice.iter().copied())
            .take(n)
            .collect();
        pipe.outbound.extend(&bytes);
        let id = pipe.id;
        drop(pipe);
        self.deliveries += bytes.iter().filter(|&&byte| byte == b'\n').count() as u64;
        self.note(&format!("write {id:?} {}", bytes.escape_ascii()));
        Ok(n)
    }

    fn close_write(&mut self, socket: &mut Socket) {
        socket.0.borrow_mut().server_fin = true;
    }
}
