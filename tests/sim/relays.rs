//! A proxy in front of the server: clients that come through it, with a PROXY header, a handshake, or both before their first
//! line; and newcomers that stall there, are cut off, or send what is no header. What becomes of clients is judged elsewhere.

use super::network::Network;
use super::pipe::{Pipe, Shared};
use super::veil::{Kind, record};
use fastrand::Rng;
use madang::hub::{Range, Ranges, Wire};
use std::net::Ipv4Addr;

/// The proxy's address.
const PROXY: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
/// Newcomers of a run that never get through.
const STALLED_MAX: usize = 12;

/// The proxy of a run. It draws from a seed of its own.
#[derive(Debug)]
pub struct Relays {
    rng: Rng,
    /// How many of a hundred clients come through it, and how many are veiled.
    percent: u8,
    veiled_percent: u8,
    stalled: Vec<Shared>,
}

impl Relays {
    pub fn drawn(seed: u64) -> Relays {
        let mut rng = Rng::with_seed(seed ^ 0x5052_4f58_5920);
        let percent = [0, 0, 30, 90][rng.usize(..4)];
        let veiled_percent = [0, 30, 100][rng.usize(..3)];
        Relays {
            rng,
            percent,
            veiled_percent,
            stalled: Vec::new(),
        }
    }

    /// From where connections must begin with a header.
    pub fn addresses() -> Ranges {
        let range = Range::parse(&format!("{PROXY}/24"));
        range.into_iter().collect()
    }

    /// A client may come through the proxy, and may have to shake hands. Its own address is in the header.
    pub fn relay(&mut self, pipe: &Shared) {
        let mut pipe = pipe.borrow_mut();
        if self.rng.u8(0..100) < self.percent {
            let client = std::mem::replace(&mut pipe.address, PROXY);
            pipe.inbound.extend(self.header(client));
        }
        if self.rng.u8(0..100) < self.veiled_percent {
            pipe.veil = Some(Box::default());
            let bytes = vec![0; self.rng.usize(0..200)];
            pipe.inbound.extend(record(Kind::Hello, &bytes));
        }
    }

    fn header(&mut self, client: Ipv4Addr) -> Vec<u8> {
        let tail = vec![b'\n'; self.rng.usize(0..300)];
        let length = (12 + tail.len() as u16).to_be_bytes();
        match self.rng.u8(0..3) {
            0 => format!("PROXY TCP4 {client} 10.9.9.9 9999 8080\r\n").into_bytes(),
            1 => format!("PROXY TCP6 ::ffff:{client} ::1 9999 8080\r\n").into_bytes(),
            _ => [
                b"\r\n\r\n\0\r\nQUIT\n\x21\x11",
                &length[..],
                &client.octets(),
                &[10, 9, 9, 9, 39, 15, 31, 144],
                &tail,
            ]
            .concat(),
        }
    }

    /// Now and then a newcomer comes that never gets through.
    pub fn stall(&mut self, net: &mut Network, listeners: usize) {
        let is_due = self.percent > 0 && self.rng.u8(0..20) == 0;
        if !is_due || self.stalled.len() == STALLED_MAX {
            return;
        }
        let pipe = Pipe::shared(Wire::Chat, 1000);
        let mut sent = self.header(Ipv4Addr::LOCALHOST);
        sent.truncate(self.rng.usize(..sent.len()));
        {
            let mut it = pipe.borrow_mut();
            it.address = PROXY;
            match self.rng.u8(0..6) {
                0 => it.fin = true,
                1 => it.reset = true,
                2 => sent
                    .splice(5.min(sent.len()).., *b"\x16\x03 no header")
                    .for_each(drop),
                // It shakes hands, and never to the end.
                3 => {
                    (it.address, it.veil) = (Ipv4Addr::LOCALHOST, Some(Box::default()));
                    sent = record(Kind::Hello, &sent);
                    sent.truncate(self.rng.usize(..sent.len()));
                }
                // It has no answer.
                4 => {
                    (it.address, it.veil) = (Ipv4Addr::LOCALHOST, Some(Box::default()));
                    sent = record(Kind::Hello, &[]);
                }
                _ => {}
            }
            it.inbound.extend(sent);
        }
        net.connect_to(self.rng.usize(..listeners), pipe.clone());
        self.stalled.push(pipe);
    }

    /// By now the server has closed those that never got through.
    pub fn judge(&self) {
        for pipe in &self.stalled {
            let pipe = pipe.borrow();
            assert!(pipe.server_closed, "a newcomer stalls for ever: {pipe:?}");
        }
    }
}
