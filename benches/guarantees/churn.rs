//! Connections that come and go: whether the closed ones leave anything behind in the server.

use std::io::{self, BufRead, BufReader};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use madang::bench::line::Kind;
use madang::protocol::Notice;
use socket2::Socket;

use crate::harness::decoder::Count;
use crate::harness::load::{Arrival, Load};
use crate::harness::report::{
    DESCRIPTORS, Goal, MEBIBYTE, MEBIBYTES, MEMBERS, Report, SECONDS, number,
};
use crate::harness::server::Server;
use crate::harness::{ANNOUNCED_AFTER, Harness, Outcome, TIMEOUT};

/// Connections that are being made at a time.
const PENDING_MAX: usize = 512;
/// How much the memory may differ, in MiB, between two moments without connections.
const GROWTH_MAX_MIB: f64 = 1.0;

/// Waves of clients connect, are greeted, and leave: half of them in order and half with a reset.
pub(crate) fn churn(harness: &Harness, report: &mut Report) -> Outcome<()> {
    let wave = harness.size(2_000, 1_000);
    let (early, all) = harness.size((50_000, 1_000_000), (5_000, 20_000));
    harness.require_connections(wave)?;
    let server = Server::madang(harness, &[])?;
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
    report.show(&name, time, SECONDS);
    let name = format!("resident after {} of them", number(early as f64, 0));
    report.show(&name, resident / MEBIBYTE, MEBIBYTES);
    let growth = (finally - resident) / MEBIBYTE;
    let (name, goal) = (
        "growth since (negative: it shrank)",
        Goal::AtMost(GROWTH_MAX_MIB),
    );
    report.row(name, growth, MEBIBYTES, goal);
    let later = (finally - halfway) / MEBIBYTE;
    report.show("  of that in the second half", later, MEBIBYTES);
    let open = server.open_descriptors()? as f64;
    let goal = Goal::MustBe(descriptors as f64);
    report.row("descriptors open in the end", open, DESCRIPTORS, goal);
    let name = "members in the greeting of the next client";
    let members = members_greeted(&server)?;
    report.row(name, members, MEMBERS, Goal::MustBe(1.0));
    report.note_if(server.contention()?);
    Ok(())
}

/// So many connections in waves: all of a wave are open together, then all are closed.
fn come_and_go(connections: usize, wave: usize, server: &Server) -> Outcome<()> {
    for _ in 0..connections / wave {
        let mut load = Load::<Count>::new(server.address, Arrival::Greeted)?;
        load.admit(wave, PENDING_MAX)?;
        leave(load.into_sockets())?;
    }
    Ok(())
}

/// Every other client resets its connection. The rest finish sending, and wait until the server has finished as well.
fn leave(sockets: impl Iterator<Item = Socket>) -> io::Result<()> {
    let mut finished = Vec::new();
    for (nth, socket) in sockets.enumerate() {
        if nth % 2 == 0 {
            socket.shutdown(Shutdown::Write)?;
            finished.push(socket);
        } else {
            // A socket that lingers for no time sends a reset when it is closed, as it is here.
            socket.set_linger(Some(Duration::ZERO))?;
        }
    }
    for socket in finished {
        let mut stream = TcpStream::from(socket);
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        io::copy(&mut stream, &mut io::sink())?;
    }
    Ok(())
}

/// The server's memory in bytes when all closed connections are announced, and their sockets no longer kept.
fn settled_bytes(server: &Server) -> Outcome<f64> {
    thread::sleep(ANNOUNCED_AFTER);
    Ok(server.resident_bytes()? as f64)
}

/// How many members there are, by the greeting of another client.
fn members_greeted(server: &Server) -> Outcome<f64> {
    let stream = TcpStream::connect(server.address)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    match Kind::of(line.trim_end().as_bytes()) {
        Kind::Notice(Notice::Greeting { here, .. }) => Ok(here as f64),
        _ => Err(format!("the server greets with {line:?}").into()),
    }
}
