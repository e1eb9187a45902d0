//! Coming and going: whether connections that are gone leave anything behind in the server.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use socket2::SockRef;

use crate::lab::ear::{Ear, Tally};
use crate::lab::load::{Arrival, Load};
use crate::lab::report::{Goal, MEBIBYTE, MEBIBYTES, MEMBERS, Report, SECONDS, Unit, number};
use crate::lab::server::Server;
use crate::lab::{ANNOUNCED_AFTER, Lab, Outcome, PATIENCE};

/// Connections on their way at once.
const AT_ONCE: usize = 512;
/// How much the memory may differ, in MiB, between two moments with nobody there.
const GROWTH_MAX_MIB: f64 = 1.0;
const DESCRIPTORS: Unit = Unit {
    suffix: "descriptors",
    decimals: 0,
};

/// Waves of clients connect, are greeted, and leave, half of them politely and half with a reset.
pub(crate) fn churn(lab: &Lab, report: &mut Report) -> Outcome<()> {
    let wave = lab.size(2_000, 1_000);
    let (early, all) = lab.size((50_000, 1_000_000), (5_000, 20_000));
    lab.require_connections(wave)?;
    let server = Server::madang(lab, &[])?;
    let descriptors = server.open_descriptors()?;

    let start = Instant::now();
    come_and_go(early, wave, &server)?;
    let resident = settled_bytes(&server)?;
    come_and_go(all / 2 - early, wave, &server)?;
    let halfway = settled_bytes(&server)?;
    come_and_go(all / 2, wave, &server)?;
    let time = start.elapsed().as_secs_f64();
    let finally = settled_bytes(&server)?;

    let name = format!("{} have come and gone in", number(all as f64, 0));
    report.told(&name, time, SECONDS);
    let name = format!("resident after {} of them", number(early as f64, 0));
    report.told(&name, resident / MEBIBYTE, MEBIBYTES);
    let growth = (finally - resident) / MEBIBYTE;
    let most = Goal::AtMost(GROWTH_MAX_MIB);
    report.row("it has grown since by", growth, MEBIBYTES, most);
    let later = (finally - halfway) / MEBIBYTE;
    report.told("  of that in the second half", later, MEBIBYTES);
    report.row(
        "descriptors open in the end",
        server.open_descriptors()? as f64,
        DESCRIPTORS,
        Goal::MustBe(descriptors as f64),
    );
    report.row(
        "a newcomer is greeted as one of",
        members_greeted(&server)?,
        MEMBERS,
        Goal::MustBe(1.0),
    );
    report.note_if(server.company()?);
    Ok(())
}

/// So many connections, a wave at a time: all of it is there together, then all of it goes.
fn come_and_go(connections: usize, wave: usize, server: &Server) -> Outcome<()> {
    for _ in 0..connections / wave {
        let mut load = Load::<Tally>::new(server.address, Arrival::Greeted)?;
        load.admit(wave, AT_ONCE)?;
        leave(load.into_streams())?;
    }
    Ok(())
}

/// Every other client resets its connection; the rest finish sending, and wait until the server has finished as well.
fn leave(streams: impl Iterator<Item = TcpStream>) -> io::Result<()> {
    let mut polite = Vec::new();
    for (nth, stream) in streams.enumerate() {
        if nth % 2 == 0 {
            stream.shutdown(Shutdown::Write)?;
            polite.push(stream);
        } else {
            // A socket with no time to linger sends a reset when it is closed, as it is here.
            SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
        }
    }
    for mut stream in polite {
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        io::copy(&mut stream, &mut io::sink())?;
    }
    Ok(())
}

/// The server's memory in bytes once the last who left are announced, and their sockets no longer kept.
fn settled_bytes(server: &Server) -> Outcome<f64> {
    thread::sleep(ANNOUNCED_AFTER);
    Ok(server.resident_bytes()? as f64)
}

/// How many are here, as the server tells somebody who comes now.
fn members_greeted(server: &Server) -> Outcome<f64> {
    let mut load = Load::<Greeting>::new(server.address, Arrival::Greeted)?;
    load.admit(1, 1)?;
    let Greeting(text) = load.ear(0);
    let here = members_here(text).ok_or_else(|| format!("the server greets with {text:?}"))?;
    Ok(here as f64)
}

/// Keeps all that comes.
#[derive(Default)]
struct Greeting(String);

impl Ear for Greeting {
    fn hear(&mut self, _now: Instant, bytes: &[u8]) -> u64 {
        self.0.push_str(&String::from_utf8_lossy(bytes));
        0
    }
}

/// The number in `* you are guest7 in lobby (1,204 here); …`.
fn members_here(greeting: &str) -> Option<u64> {
    let (_, rest) = greeting.split_once('(')?;
    let (count, _) = rest.split_once(" here)")?;
    count.replace(',', "").parse().ok()
}
