//! `--rate`: what one address can send that connects again and again.

use std::time::{Duration, Instant};

use crate::harness::decoder::{Count, marked};
use crate::harness::load::{Arrival, Load};
use crate::harness::report::{Goal, LINES, Report};
use crate::harness::server::Server;
use crate::harness::{Harness, Outcome};

const RATE: u64 = 1;
const BURST: u64 = 100;
const PER_IP: usize = 4;
const LISTENER: usize = 0;
/// Lines that each connection sends.
const LINES_EACH: usize = 100;
/// The addresses of the listener.
const NET: u8 = 200;

/// One address uses all connections that it may have, sends lines with each, and connects anew as soon as the server has
/// greeted it.
pub(crate) fn rate(harness: &Harness, report: &mut Report) -> Outcome<()> {
    let flags = [RATE, BURST, PER_IP as u64].map(|value| value.to_string());
    let [rate, burst, per_ip] = &flags;
    let flags = ["--rate", rate, "--burst", burst, "--max-per-ip", per_ip];
    let server = Server::madang(harness, &flags)?;
    let mut listener = Load::<Count>::from_net(server.address, Arrival::Greeted, NET)?;
    listener.admit(1, 1)?;
    let mut speakers = Load::<Count>::from_one_address(server.address, Arrival::Greeted)?;
    speakers.allow_closing();
    speakers.admit(PER_IP, 1)?;

    let lines = (marked(16) + "\n").repeat(LINES_EACH);
    let (mut sent, mut connections) = ([0; PER_IP], PER_IP);
    let (start, time) = (Instant::now(), Duration::from_secs(harness.size(10, 2)));
    while start.elapsed() < time {
        for (id, sent) in sent.iter_mut().enumerate() {
            *sent += speakers.offer(id, &lines.as_bytes()[*sent..]);
            if speakers.is_closed(id) || (speakers.has_arrived(id) && *sent == lines.len()) {
                *sent = 0;
                connections += 1;
                speakers.reconnect(id)?;
            }
        }
        speakers.poll(Duration::ZERO)?;
        listener.poll(Duration::ZERO)?;
    }
    let seconds = start.elapsed().as_secs_f64();
    listener.poll_for(Duration::from_millis(200))?;
    let received = listener.decoder(LISTENER).texts as f64;

    report.note(&format!("{connections} connections in {seconds:.1} s"));
    // The limit may be exceeded by one line, the one that has been received already.
    let most = (BURST + 1) as f64 + RATE as f64 * (seconds + 1.0);
    let name = format!("lines of that address in {seconds:.1} s");
    let note = format!("{:.1} a second", received / seconds);
    report.row_with_note(&name, received, LINES, Goal::AtMost(most.floor()), &note);
    report.note_if(server.contention()?);
    Ok(())
}
