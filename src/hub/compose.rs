//! How the hub's parts are brought together for one call, and how a newcomer enters them. Decides nothing.

use super::client::{Client, Role};
use super::cluster::telling;
use super::context::Context;
use super::input::Input;
use super::limits::Limits;
use super::name::Name;
use super::operators::state::seconds_left;
use super::operators::steps;
use super::reading::Reading;
use super::rooms::Rooms;
use super::tries::Origin;
use super::types::{ConnId, Now, Peer, Refused, Wire};
use super::{Hub, admission, handlers, membership, password};
use crate::protocol::{Refusal, span};
use std::net::IpAddr;

impl Hub {
    /// A newcomer connects, gets a guest's name, enters the lobby, and is greeted; or is asked for the password first.
    ///
    /// # Errors
    /// The newcomer is refused, and is to be told so.
    pub fn connect(&mut self, now: Now, peer: Peer) -> Result<ConnId, Refusal<'_>> {
        if let Some(refusal) = self.admission_refusal(now, peer) {
            self.totals.refused[Refused::of(&refusal) as usize] += 1;
            return Err(refusal);
        }
        if let Some(address) = peer.address
            && self.is_banned(now, address)
        {
            self.totals.refused[Refused::Banned as usize] += 1;
            return Err(Refusal::parse(&self.refusal_text));
        }
        let address = peer.address.filter(|_| self.counts_addresses());
        let slot = self.clients.vacant_key() as u32;
        if let Some(address) = address {
            self.addresses.add(now, address, slot, &self.limits);
        }
        let role = self.role_of(peer);
        if peer.fingerprint.is_some() || peer.uid.is_some() {
            return Ok(self.connect_known(now, role, peer, slot));
        }
        let name = role.has_name().then(|| self.directory.add_guest(slot));
        Ok(self.insert(now, role, name, peer))
    }

    /// The person at the server itself connects, under a name that nobody else can have. It is a
    /// member like others, but no limit holds for it that protects the server from strangers.
    ///
    /// # Panics
    /// A console has been connected before.
    pub fn connect_console(&mut self, now: Now) -> ConnId {
        assert!(self.console.is_none(), "there is one console");
        let slot = self.clients.vacant_key() as u32;
        let name = self.directory.add_host(slot);
        let peer = Peer::new(None, Wire::Chat);
        let id = self.insert(now, Role::Console, Some(name), peer);
        self.console = Some(id);
        id
    }

    /// The address of a connection that was not counted by it when it connected.
    pub fn count_address(&mut self, now: Now, id: ConnId, address: IpAddr) {
        if let Some(slot) = self.slot(id) {
            self.addresses.add(now, address, slot, &self.limits);
        }
    }

    /// The slot of a client that is still connected.
    pub(super) fn slot(&self, id: ConnId) -> Option<u32> {
        let client = self.clients.get(id.slot() as usize)?;
        (client.serial == id.serial()).then_some(id.slot())
    }

    /// What a request may touch.
    pub(super) fn context(&mut self, now: Now) -> Context<'_> {
        self.reading(now).cx
    }

    /// What reading a client may touch.
    pub(super) fn reading(&mut self, now: Now) -> Reading<'_> {
        Reading {
            cx: Context {
                now,
                limits: &self.limits,
                ceiling: &self.ceiling,
                rooms_within: self.limit_change.rooms_within(),
                clients: &mut self.clients,
                rooms: &mut self.rooms,
                schedule: &mut self.schedule,
                totals: &mut self.totals,
                ignoring: &mut self.ignoring,
                ages: &self.ages,
                operators: &mut self.operators,
                accounts: &mut self.accounts,
                strangers: &mut self.strangers,
                lock_tries: &mut self.lock_tries,
                cluster: &mut self.cluster,
            },
            directory: &mut self.directory,
            addresses: &mut self.addresses,
            inputs: &mut self.inputs,
        }
    }

    /// What a newcomer will be, unless it is refused.
    pub(super) fn role_of(&self, peer: Peer) -> Role {
        match Role::of(peer.wire) {
            Role::Person if self.strangers.password.is_some() => Role::Stranger,
            role => role,
        }
    }

    /// Why a newcomer is not admitted, if it is not. A stranger may make place for another.
    pub(super) fn admission_refusal(&mut self, now: Now, peer: Peer) -> Option<Refusal<'static>> {
        if self.shutdown.has_begun() {
            return Some(Refusal::ShuttingDown {});
        }
        // Operators and the console take nobody's place.
        let operators = self.operators.connected;
        if peer.wire == Wire::Control {
            let console = self.console.and_then(|id| self.slot(id));
            return admission::refusal_of_operator(operators - usize::from(console.is_some()));
        }
        if self.is_draining() {
            return Some(Refusal::Draining {});
        }
        if let Some(address) = peer.address
            && !admission::may_come(&self.limits, address)
        {
            return Some(Refusal::AddressDenied {});
        }
        if self.role_of(peer) == Role::Stranger {
            let is_full = self.places_taken() >= self.limits.clients_max;
            self.make_place(now, Origin::of(peer.address, None), is_full);
        }
        let clients = self.places_taken();
        let counted = peer.address.filter(|_| self.limits.clients_per_ip_max > 0);
        let from_address = counted.map(|address| self.addresses.count(address));
        admission::refusal(&self.limits, clients, from_address)
    }

    /// How many of the places of `--max-clients` are taken.
    fn places_taken(&self) -> usize {
        self.clients.len() - self.operators.connected - self.strangers.leaving()
    }

    /// Writes into `refusal_text` why a newcomer from a banned address is not admitted; false: its address is not banned.
    pub(super) fn is_banned(&mut self, now: Now, address: IpAddr) -> bool {
        let Some(ban) = self.operators.bans.hit(address) else {
            return false;
        };
        let ends = span::ends(seconds_left(now, ban.ends));
        self.refusal_text = steps::refusal(&ends, &ban.why).to_string();
        true
    }

    /// A newcomer takes the vacant slot.
    pub(super) fn insert(
        &mut self,
        now: Now,
        role: Role,
        name: Option<Name>,
        peer: Peer,
    ) -> ConnId {
        self.totals.connections += 1;
        self.operators.connected += usize::from(role.is_extra());
        // 0 is nobody's.
        self.serial = self.serial.checked_add(1).unwrap_or(1);
        self.ages.note(self.serial, now);
        let client = Client::new(now, self.serial, role, name, peer.is_secure);
        let slot = self.clients.insert(client) as u32;
        if slot as usize >= self.inputs.len() {
            self.inputs.resize_with(slot as usize + 1, Input::default);
        }
        self.inputs[slot as usize] = Input::new(role != Role::Console);
        let mut reading = self.reading(now);
        membership::enter(&mut reading.cx, slot, Rooms::first(role));
        if role == Role::Stranger {
            let origin = Origin::of(peer.address, None);
            password::ask(&mut reading.cx, slot, origin);
        } else {
            let welcome = &reading.cx.limits.welcome;
            handlers::greet(&mut reading.cx.room_of(slot), slot, welcome);
        }
        telling::came(&mut reading.cx, slot);
        reading.arm(slot);
        ConnId::new(slot, self.serial)
    }
}

/// A change of limits.
impl Hub {
    /// Changes the limits. They hold for newcomers and for what is said from now on; each [`tick`](Hub::tick) brings some
    /// of the rooms and clients that are there within them. Nobody is disconnected for being one too many.
    ///
    /// If connections are [counted by address](Hub::counts_addresses) now, those that are there may not be yet: see
    /// [`count_address`](Hub::count_address).
    pub fn set_limits(&mut self, limits: Limits) {
        debug_assert_eq!(limits.check(), Ok(()));
        self.ceiling = limits.with_caps_of(&self.ceiling);
        self.limits = limits;
        self.limit_change.begin();
        self.arm_names();
    }

    /// Brings some rooms or clients within the limits. False: nothing is due.
    pub(super) fn step_limit_change(&mut self, now: Now) -> bool {
        let mut change = self.limit_change;
        let has_acted = change.step(&mut self.reading(now));
        self.limit_change = change;
        if has_acted && change.is_done() {
            self.ceiling = self.limits.clone();
        }
        has_acted
    }
}
