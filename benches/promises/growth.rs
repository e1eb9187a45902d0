//! How the cost of a delivery grows: with the members of a room, with rooms, with those who speak.
//!
//! Halls of different sizes are measured by turns, each with a server of its own, so that whatever else the machine
//! does falls on all of them, and what is judged is the ratio within a round.

use crate::lab::ear::Tally;
use crate::lab::load::{Arrival, Load};
use crate::lab::report::{Goal, NANOSECONDS, Report, Rounds, TIMES, number};
use crate::lab::server::Server;
use crate::lab::{Lab, Outcome, UNANNOUNCED};

/// Connections on their way at once: well within any backlog.
const AT_ONCE: usize = 512;
/// What everybody says: 64 bytes of text.
const LINE: &[u8] = b"mmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmm\n";
/// Windows before each measured round. A TCP receiver acknowledges its first 16 segments after a silence one by one,
/// later ones seldom, and the sender pays for it; besides, the other servers have just emptied the caches.
const WARM_UP_WINDOWS: usize = 18;
/// Between which numbers of windows a round is long.
const ROUND_WINDOWS_MIN: usize = 10;
const ROUND_WINDOWS_MAX: usize = 2_000;

/// The size that the others are held against in [`members`], and the room of [`speakers`].
const USUAL_MEMBERS: usize = 1_000;
/// Members of each room in [`rooms`].
const ROOM_MEMBERS: usize = 16;

/// "The same", with room for the noise of the machine.
const STAYS: Goal = Goal::AtMost(1.2);
/// A server and its rooms, all of one size. The first client of each room is the one who speaks.
struct Hall {
    rooms: usize,
    /// Members of each room.
    members: usize,
    /// How many windows make a round.
    windows: usize,
    load: Load<Tally>,
    /// Comes last, so that the clients are gone before it is ended.
    server: Server,
}

impl Hall {
    /// Everybody in the lobby.
    fn of_members(members: usize, lab: &Lab) -> Outcome<Self> {
        let server = Server::madang(lab, UNANNOUNCED)?;
        Self::gather(1, members, Arrival::Greeted, server, lab)
    }

    /// [`ROOM_MEMBERS`] in each room.
    fn of_rooms(rooms: usize, lab: &Lab) -> Outcome<Self> {
        // The lobby is a room, too, though everybody leaves it.
        let rooms_max = (rooms + 1).to_string();
        let flags = [UNANNOUNCED, &["--max-rooms", &rooms_max]].concat();
        let server = Server::madang(lab, &flags)?;
        let arrival = Arrival::Answered {
            hello: |id| format!("/join r{}\n", id / ROOM_MEMBERS).into_bytes(),
            answer: b"* you are in r",
        };
        Self::gather(rooms, ROOM_MEMBERS, arrival, server, lab)
    }

    fn gather(
        rooms: usize,
        members: usize,
        arrival: Arrival,
        server: Server,
        lab: &Lab,
    ) -> Outcome<Self> {
        let mut load = Load::new(server.address, arrival)?;
        load.admit(rooms * members, AT_ONCE)?;
        if lab.load_has_its_own_core() {
            load.stay_awake();
        }
        let windows = lab.size(30_000, 10_000) / (rooms * (members - 1));
        Ok(Self {
            rooms,
            members,
            windows: windows.clamp(ROUND_WINDOWS_MIN, ROUND_WINDOWS_MAX),
            load,
            server,
        })
    }

    /// What one line a room brings about.
    fn deliveries(&self) -> usize {
        self.rooms * (self.members - 1)
    }

    /// These clients send a line each, back to back, and all who share a room with them hear it.
    fn say(&mut self, speakers: impl IntoIterator<Item = usize>) -> Outcome<()> {
        let mut expected = self.load.heard();
        for speaker in speakers {
            self.load.send(speaker, LINE)?;
            expected += self.members as u64 - 1;
        }
        self.load
            .until("all members to hear what was said", |load| {
                load.heard() >= expected
            })?;
        if self.load.heard() > expected {
            return Err("a line was heard twice".into());
        }
        Ok(())
    }

    /// The server's time on its core, in nanoseconds, for so many windows. Who speaks in a window is for `speakers` to
    /// say; the next begins when all have heard the last.
    fn cost<S>(&mut self, windows: usize, speakers: impl Fn(usize) -> S) -> Outcome<f64>
    where
        S: IntoIterator<Item = usize>,
    {
        for nth in 0..WARM_UP_WINDOWS {
            self.say(speakers(nth))?;
        }
        let before = self.server.cpu_ns()?;
        for nth in 0..windows {
            self.say(speakers(nth))?;
        }
        Ok((self.server.cpu_ns()? - before) as f64)
    }

    /// The same for one window, on average over a round, in which a line is said in each room.
    fn window_cost(&mut self) -> Outcome<f64> {
        let (clients, step) = (self.rooms * self.members, self.members);
        let cost = self.cost(self.windows, |_| (0..clients).step_by(step))?;
        Ok(cost / self.windows as f64)
    }
}

/// CPU per delivery while one sender speaks to rooms of more and more members.
///
/// A line has a price of its own, whoever hears it: a poll that wakes up, a read that brings it, one that finds no
/// more. A room of two shows that price and one delivery; what a room costs beyond it is the price of each further
/// delivery, and that is what must not grow.
pub(crate) fn members(lab: &Lab, report: &mut Report) -> Outcome<()> {
    let sizes: &[usize] = lab.size(&[10, 100, 10_000, 18_000], &[10, 100, 2_000]);
    let most = sizes[sizes.len() - 1];
    lab.require_connections(most + USUAL_MEMBERS + 2)?;
    let mut two = Hall::of_members(2, lab)?;
    let mut usual = Hall::of_members(USUAL_MEMBERS, lab)?;
    let (mut alone, mut usually) = (Vec::new(), Vec::new());
    for &members in sizes {
        let mut hall = Hall::of_members(members, lab)?;
        let (mut raw, mut further, mut ratio) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..lab.size(5, 2) {
            let [with_two, with_usual, with_all] = [
                two.window_cost()?,
                usual.window_cost()?,
                hall.window_cost()?,
            ];
            let beyond_two = |cost: f64, members: usize| (cost - with_two) / (members - 2) as f64;
            alone.push(with_two);
            usually.push(beyond_two(with_usual, USUAL_MEMBERS));
            raw.push(with_all / hall.deliveries() as f64);
            further.push(beyond_two(with_all, members));
            ratio.push(beyond_two(with_all, members) / beyond_two(with_usual, USUAL_MEMBERS));
        }
        report.note(&format!("{} members, CPU", number(members as f64, 0)));
        report.told("  a delivery, all in all", Rounds::of(raw), NANOSECONDS);
        report.told(
            "  each delivery beyond the first",
            Rounds::of(further),
            NANOSECONDS,
        );
        report.row(
            "  the same beside a room of 1,000",
            Rounds::of(ratio),
            TIMES,
            STAYS,
        );
        report.note_if(hall.server.company()?);
    }
    report.note("what they are compared with");
    report.told(
        "  1,000 members: each beyond the first",
        Rounds::of(usually),
        NANOSECONDS,
    );
    report.told(
        "  2 members: a line and its one delivery",
        Rounds::of(alone),
        NANOSECONDS,
    );
    Ok(())
}

/// CPU per delivery while somebody speaks in each of more and more rooms.
pub(crate) fn rooms(lab: &Lab, report: &mut Report) -> Outcome<()> {
    let counts: &[usize] = lab.size(&[1, 10, 100, 1_000], &[1, 10, 100]);
    lab.require_connections(counts.iter().sum::<usize>() * ROOM_MEMBERS)?;
    let mut halls = Vec::new();
    for &rooms in counts {
        halls.push(Hall::of_rooms(rooms, lab)?);
    }
    let mut costs = vec![Vec::new(); halls.len()];
    for _ in 0..lab.size(5, 2) {
        for (hall, costs) in halls.iter_mut().zip(&mut costs) {
            costs.push(hall.window_cost()? / hall.deliveries() as f64);
        }
    }
    for (nth, hall) in halls.iter().enumerate() {
        let count = number(hall.rooms as f64, 0);
        let name = format!("{count} x {ROOM_MEMBERS} members, CPU a delivery");
        report.told(&name, Rounds::of(costs[nth].iter().copied()), NANOSECONDS);
        if nth > 0 {
            let ratio = beside(&costs[nth], &costs[0]);
            report.row("  beside one room", ratio, TIMES, STAYS);
        }
        report.note_if(hall.server.company()?);
    }
    Ok(())
}

/// CPU per delivery in one room while more and more of its members speak: by turns, and all at once.
pub(crate) fn speakers(lab: &Lab, report: &mut Report) -> Outcome<()> {
    let counts: &[usize] = lab.size(&[1, 10, 100, USUAL_MEMBERS], &[1, 10, 100]);
    let mut hall = Hall::of_members(USUAL_MEMBERS, lab)?;
    let (mut by_turns, mut at_once) = (
        vec![Vec::new(); counts.len()],
        vec![Vec::new(); counts.len()],
    );
    for _ in 0..lab.size(3, 2) {
        for (nth, &speakers) in counts.iter().enumerate() {
            let lines = speakers.max(lab.size(100, 20));
            let cost = hall.cost(lines, |nth| [nth % speakers])?;
            by_turns[nth].push(cost / (lines * hall.deliveries()) as f64);
            let bursts = (lab.size(200, 20) / speakers).max(5);
            let cost = hall.cost(bursts, |_| 0..speakers)?;
            at_once[nth].push(cost / (bursts * speakers * hall.deliveries()) as f64);
        }
    }
    for (nth, &speakers) in counts.iter().enumerate() {
        let speakers = number(speakers as f64, 0);
        let name = format!("{speakers} by turns, CPU a delivery");
        report.told(
            &name,
            Rounds::of(by_turns[nth].iter().copied()),
            NANOSECONDS,
        );
        if nth > 0 {
            let ratio = beside(&by_turns[nth], &by_turns[0]);
            report.row("  beside one alone", ratio, TIMES, STAYS);
        }
    }
    for (nth, &speakers) in counts.iter().enumerate().skip(1) {
        let speakers = number(speakers as f64, 0);
        let name = format!("{speakers} at once, CPU a delivery");
        report.told(&name, Rounds::of(at_once[nth].iter().copied()), NANOSECONDS);
        // Whoever is written to anyway is handed all the lines at once: the more, the cheaper each.
        let ratio = beside(&at_once[nth], &at_once[nth - 1]);
        report.row("  beside a tenth of them", ratio, TIMES, Goal::AtMost(1.0));
    }
    report.note_if(hall.server.company()?);
    Ok(())
}

/// The ratio of two measurements, round by round.
fn beside(own: &[f64], other: &[f64]) -> Rounds {
    Rounds::of(own.iter().zip(other).map(|(own, other)| own / other))
}
