//! A server with rooms of equal size, in which clients send lines and all others receive them.

use super::decoder::{Count, marked};
use super::load::{Arrival, Load};
use super::server::Server;
use super::{Harness, Outcome, UNANNOUNCED};

/// Connections that are being made at a time: well within any backlog.
const PENDING_MAX: usize = 512;
/// Bytes of a line's text.
const TEXT_BYTES: usize = 64;
/// Members of each room in [`Group::of_rooms`].
pub(crate) const ROOM_MEMBERS: usize = 16;
/// Windows of lines before a measurement that follows a silence: after one (of its retransmission timeout, at least 200
/// ms) a TCP receiver acknowledges its first 16 segments one by one, and later ones seldom, which the server pays for.
pub(crate) const WARM_UP_WINDOWS: usize = 18;

/// The clients of a server. Those of a room have consecutive numbers.
pub(crate) struct Group {
    rooms: usize,
    /// Members of each room.
    members: usize,
    /// How many clients, the first ones, receive nothing.
    deaf: usize,
    /// The most lines that a client sends at once, and the bytes of one of them.
    lines: Vec<u8>,
    line_bytes: usize,
    /// How many lines each client has sent.
    sent: Vec<u64>,
    pub(crate) load: Load<Count>,
    /// The last field, so that the clients are dropped first.
    pub(crate) server: Server,
}

impl Group {
    /// One room of so many members, some of whom may connect later. `say` makes a line of a text; a client sends at most
    /// `lines_max` at once.
    pub(crate) fn new(
        server: Server,
        load: Load<Count>,
        members: usize,
        deaf: usize,
        say: fn(&str) -> Vec<u8>,
        lines_max: usize,
    ) -> Self {
        let line = say(&marked(TEXT_BYTES));
        Self {
            rooms: 1,
            members,
            deaf,
            line_bytes: line.len(),
            lines: line.repeat(lines_max),
            sent: vec![0; members],
            load,
            server,
        }
    }

    /// All clients in madang's lobby.
    pub(crate) fn of_members(members: usize, harness: &Harness) -> Outcome<Self> {
        let server = Server::madang(harness, UNANNOUNCED)?;
        Self::connect(1, members, Arrival::Greeted, server, harness)
    }

    /// [`ROOM_MEMBERS`] clients in each of madang's rooms.
    pub(crate) fn of_rooms(rooms: usize, harness: &Harness) -> Outcome<Self> {
        // The lobby, which all leave, is a room too.
        let rooms_max = (rooms + 1).to_string();
        let flags = [UNANNOUNCED, &["--max-rooms", &rooms_max]].concat();
        let server = Server::madang(harness, &flags)?;
        let arrival = Arrival::Answered {
            hello: |id| format!("/join r{}\n", id / ROOM_MEMBERS).into_bytes(),
            answer: b"* you are in r",
        };
        Self::connect(rooms, ROOM_MEMBERS, arrival, server, harness)
    }

    fn connect(
        rooms: usize,
        members: usize,
        arrival: Arrival,
        server: Server,
        harness: &Harness,
    ) -> Outcome<Self> {
        let mut load = Load::new(server.address, arrival)?;
        load.admit(rooms * members, PENDING_MAX)?;
        load.stay_awake(harness);
        let say = |text: &str| format!("{text}\n").into_bytes();
        Ok(Self {
            rooms,
            sent: vec![0; rooms * members],
            ..Self::new(server, load, members, 0, say, 1)
        })
    }

    /// The rooms.
    pub(crate) fn rooms(&self) -> usize {
        self.rooms
    }

    /// The first client of each room.
    pub(crate) fn first_members(&self) -> impl Iterator<Item = usize> + Clone + use<> {
        (0..self.rooms * self.members).step_by(self.members)
    }

    /// How many clients receive a line.
    pub(crate) fn receivers(&self) -> usize {
        self.members - self.deaf.max(1)
    }

    /// Deliveries of one line in each room.
    pub(crate) fn deliveries(&self) -> usize {
        self.rooms * self.receivers()
    }

    /// These clients send so many lines each, one client after the other, and all others in their rooms receive them.
    pub(crate) fn say(
        &mut self,
        senders: impl IntoIterator<Item = usize>,
        lines: usize,
    ) -> Outcome<()> {
        let mut expected = self.load.received();
        for sender in senders {
            let bytes = &self.lines[..lines * self.line_bytes];
            self.load.send(sender, bytes)?;
            self.sent[sender] += lines as u64;
            expected += (lines * self.receivers()) as u64;
        }
        self.load.until_received(expected)
    }

    /// Checks that every client has received the lines of all others in its room.
    pub(crate) fn check(&self) -> Outcome<()> {
        let rooms = self.sent.chunks(self.members);
        let sent_in: Vec<u64> = rooms.map(|sent| sent.iter().sum()).collect();
        for (id, decoder) in self.load.decoders().enumerate() {
            let others = match id {
                id if id < self.deaf => 0,
                id => sent_in[id / self.members] - self.sent[id],
            };
            let received = decoder.texts;
            if received != others {
                let problem = format!("client {id} received {received} lines instead of {others}");
                return Err(problem.into());
            }
        }
        Ok(())
    }
}
