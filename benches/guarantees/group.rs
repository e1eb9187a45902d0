//! A server with rooms of equal size, in which members send a line each and all others receive it.

use crate::harness::decoder::{Count, marked};
use crate::harness::load::{Arrival, Load};
use crate::harness::server::Server;
use crate::harness::{Harness, Outcome, UNANNOUNCED};

/// Connections that are being made at a time: well within any backlog.
const PENDING_MAX: usize = 512;
/// Bytes of a line's text.
const TEXT_BYTES: usize = 64;
/// Members of each room in [`Group::of_rooms`].
pub(crate) const ROOM_MEMBERS: usize = 16;

/// The clients of a server. Those of a room have consecutive numbers.
pub(crate) struct Group {
    rooms: usize,
    /// Members of each room.
    members: usize,
    line: Vec<u8>,
    /// How many lines each client has sent.
    sent: Vec<u64>,
    load: Load<Count>,
    /// The last field, so that the clients are dropped first.
    pub(crate) server: Server,
}

impl Group {
    /// All clients in the lobby.
    pub(crate) fn of_members(members: usize, harness: &Harness) -> Outcome<Self> {
        let server = Server::madang(harness, UNANNOUNCED)?;
        Self::connect(1, members, Arrival::Greeted, server, harness)
    }

    /// [`ROOM_MEMBERS`] clients in each room.
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
        if harness.load_has_its_own_core() {
            load.stay_awake();
        }
        Ok(Self {
            rooms,
            members,
            line: [marked(TEXT_BYTES).as_bytes(), b"\n"].concat(),
            sent: vec![0; rooms * members],
            load,
            server,
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

    /// Deliveries of one line in each room.
    pub(crate) fn deliveries(&self) -> usize {
        self.rooms * (self.members - 1)
    }

    /// These clients send a line each, one after the other, and all others in their rooms receive it.
    pub(crate) fn say(&mut self, senders: impl IntoIterator<Item = usize>) -> Outcome<()> {
        let mut expected = self.load.received();
        for sender in senders {
            self.load.send(sender, &self.line)?;
            self.sent[sender] += 1;
            expected += self.members as u64 - 1;
        }
        self.load.until_received(expected)
    }

    /// Checks that every client has received the lines of all others in its room.
    pub(crate) fn check(&self) -> Outcome<()> {
        for (id, decoder) in self.load.decoders().enumerate() {
            let room = id / self.members * self.members;
            let all: u64 = self.sent[room..room + self.members].iter().sum();
            let (received, others) = (decoder.texts, all - self.sent[id]);
            if received != others {
                return Err(
                    format!("client {id} received {received} lines instead of {others}").into(),
                );
            }
        }
        Ok(())
    }
}
