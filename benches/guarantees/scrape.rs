//! What a scrape of the metrics page takes of the event loop, beside thousands of connections and of rooms.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use crate::harness::decoder::Count;
use crate::harness::load::{Arrival, Load};
use crate::harness::report::{Goal, MILLISECONDS, Report, Rounds, milliseconds, number};
use crate::harness::server::Server;
use crate::harness::{ANNOUNCED_AFTER, Harness, Outcome, TIMEOUT};

/// Connections that are being made at a time.
const PENDING_MAX: usize = 512;
/// Rooms that each client opens, one after the other. Those that it has left are kept for their history.
const ROOMS_EACH: usize = 6;
/// Milliseconds of the event loop that a scrape may take.
const SCRAPE_MAX_MS: f64 = 2.0;
const SCRAPES: usize = 100;

/// A client that opens rooms of its own, and stays in the last one.
const THROUGH_ROOMS: Arrival = Arrival::Answered {
    hello: |client| {
        let rooms = (1..ROOMS_EACH).map(|nth| format!("/join r{nth}x{client}\n"));
        let last = format!("/join last{client}\n");
        rooms.chain([last]).collect::<String>().into_bytes()
    },
    answer: b"* you are in last",
};

/// The time of the event loop that a scrape takes, with all clients in one room and in rooms of their own.
pub(crate) fn scrape(harness: &Harness, report: &mut Report) -> Outcome<()> {
    let clients = harness.size(18_000, 4_000);
    harness.require_connections(clients)?;
    for (arrival, each) in [(Arrival::Greeted, 0), (THROUGH_ROOMS, ROOMS_EACH)] {
        let rooms = clients * each + 2;
        let rooms_max = rooms.to_string();
        let flags = [
            "--metrics",
            "127.0.0.1:0",
            "--history",
            "1",
            "--max-rooms",
            &rooms_max,
        ];
        let mut server = Server::madang(harness, &flags)?;
        let page = server.next_address_but(" (metrics)")?;
        let mut load = Load::<Count>::new(server.address, arrival)?;
        load.admit(clients, PENDING_MAX)?;
        load.poll_for(ANNOUNCED_AFTER)?;
        let mut scraper = Scraper::at(page)?;
        let first = scraper.scrape()?;
        let mut waits = Vec::new();
        for _ in 0..SCRAPES {
            let start = Instant::now();
            scraper.scrape()?;
            waits.push(milliseconds(start.elapsed()));
        }
        let last = scraper.scrape()?;
        let found = last.value("madang_rooms")?;
        let (clients, rooms) = (number(clients as f64, 0), number(found, 0));
        let busy = "madang_http_busy_seconds_total";
        let ms = 1e3 * (last.value(busy)? - first.value(busy)?) / (SCRAPES + 1) as f64;
        let name = format!("a scrape with {clients} connections, {rooms} rooms");
        let note = format!("{} bytes", last.0.len());
        let goal = Goal::AtMost(SCRAPE_MAX_MS);
        report.row_with_note(&name, ms, MILLISECONDS, goal, &note);
        report.show("  answered in", Rounds::of(waits), MILLISECONDS);
        report.note_if(server.contention()?);
    }
    Ok(())
}

/// A program that reads the metrics page again and again on one connection.
struct Scraper(TcpStream);

/// The page as it was once.
struct Page(String);

impl Scraper {
    fn at(address: SocketAddr) -> Outcome<Self> {
        let socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(TIMEOUT))?;
        Ok(Self(socket))
    }

    fn scrape(&mut self) -> Outcome<Page> {
        self.0
            .write_all(b"GET /metrics HTTP/1.1\r\nHost: bench\r\n\r\n")?;
        let mut answer = Vec::new();
        let mut bytes = [0; 16 * 1024];
        loop {
            let text = str::from_utf8(&answer)?;
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head.split("Content-Length: ").nth(1);
                let length = length.and_then(|rest| rest.split("\r\n").next());
                let length: usize = length.ok_or("an answer without a length")?.parse()?;
                if body.len() >= length {
                    return Ok(Page(body.to_owned()));
                }
            }
            match self.0.read(&mut bytes)? {
                0 => return Err("the page was closed".into()),
                n => answer.extend_from_slice(&bytes[..n]),
            }
        }
    }
}

impl Page {
    /// A figure without labels.
    fn value(&self, name: &str) -> Outcome<f64> {
        let mut lines = self.0.lines();
        let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Ok(value
            .ok_or_else(|| format!("the page has no {name}"))?
            .parse()?)
    }
}
