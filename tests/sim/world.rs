//! What a world is like besides its limits and its faults, drawn from the seed: its listeners, what its clients have in
//! common, how often the process is paused. Connects nobody.

use super::behavior::{Behavior, Costly, Turns};
use fastrand::Rng;
use madang::hub::limits::Limits;
use std::net::Ipv4Addr;

/// What clients of a world have in common.
#[derive(Clone, Copy, Debug)]
pub enum Theme {
    /// Nothing.
    Mixed,
    /// Most of them catch up and stop reading by turns.
    LaggardsByTurns(Turns),
    /// Most of them flood lines that cost the server much.
    Costly,
    /// Newcomers from one address come in storms, and most of them are refused.
    Storms,
}

/// A world.
#[derive(Clone, Copy, Debug)]
pub struct World {
    pub theme: Theme,
    pub listeners: usize,
    /// One in so many steps is followed by a pause of the process.
    pub steps_a_pause: usize,
    /// All clients send something often enough not to be closed as silent.
    pub keeps_alive: bool,
}

/// Connections that the server takes from the address from which storms come.
const STORM_ADMITTED_MAX: usize = 2;

/// Newcomers of all storms of a world.
pub const STORM_CLIENTS_MAX: usize = 40;

/// Where storms come from.
pub const STORM_ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

impl World {
    pub fn drawn(rng: &mut Rng, limits: &mut Limits) -> World {
        let theme = match rng.u8(0..8) {
            0 => Theme::LaggardsByTurns(Turns {
                steps: rng.usize(1..20),
                parts: rng.usize(2..5),
            }),
            1 => Theme::Costly,
            2 => Theme::Storms,
            _ => Theme::Mixed,
        };
        if matches!(theme, Theme::Storms) {
            limits.clients_per_ip_max = STORM_ADMITTED_MAX;
        }
        World {
            theme,
            listeners: if rng.bool() { 1 } else { rng.usize(2..5) },
            steps_a_pause: [15, 50, 50, 50][rng.usize(..4)],
            keeps_alive: rng.bool(),
        }
    }

    /// A client's behaviour in this world.
    pub fn behavior(&self, rng: &mut Rng) -> Behavior {
        let drawn = Behavior::drawn(rng);
        match self.theme {
            Theme::LaggardsByTurns(turns) if rng.u8(0..4) > 0 => drawn.by_turns(turns),
            Theme::LaggardsByTurns(_) => Behavior::flood(true),
            Theme::Costly if rng.u8(0..4) > 0 => drawn.costly(Costly::drawn(rng)),
            _ => drawn,
        }
    }

    /// The address of an observer, which is banned nowhere.
    pub fn observers_address(number: u8) -> Ipv4Addr {
        Ipv4Addr::new(172, 16, 0, number)
    }

    /// The address of the client of this number: all have the same one, unless connections are limited by address.
    pub fn address(&self, number: usize) -> Ipv4Addr {
        match self.theme {
            Theme::Storms => Ipv4Addr::from_bits(0x0a00_0000 | number as u32 & 0xffff),
            _ => Ipv4Addr::LOCALHOST,
        }
    }
}
