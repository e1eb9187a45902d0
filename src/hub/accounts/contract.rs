//! The part of the hub's contract that concerns names that are somebody's own: which the driver knows of, what is restored
//! at the start, how a newcomer is called that can show who it is. Composition only.

use super::account::Account;
use super::owners::Owners;
use super::{NameEvent, Proof};
use crate::hub::client::Role;
use crate::hub::limits::{ACCOUNTS_MAX, OPERATOR_NAMES_MAX};
use crate::hub::schedule::Timer;
use crate::hub::types::{ConnId, Now, Peer};
use crate::hub::{Hub, name, renaming, rights};

impl Hub {
    /// Changes whose names are known: who is an operator by its name, and who no more, has changed when this returns.
    pub fn set_owners(&mut self, now: Now, owners: &Owners) {
        self.accounts.users.clone_from(&owners.users);
        let names = owners.operators.iter().take(OPERATOR_NAMES_MAX);
        let names = names.filter_map(|name| name::nickname(name).ok());
        for name in self.accounts.set_operators(names.collect()) {
            let holders: Vec<u32> = self.directory.alike(&name.likeness).collect();
            for slot in holders {
                rights::refresh(&mut self.context(now), slot);
            }
        }
    }

    /// How many names are registered.
    pub fn registered_names(&self) -> usize {
        self.accounts.len()
    }

    /// What has happened to names that are somebody's own, for the log; to be drained.
    pub fn next_name_event(&mut self) -> Option<NameEvent> {
        self.accounts.events.pop_front()
    }

    /// Restores a registered name.
    pub(in crate::hub) fn restore_name(&mut self, key: &str, value: &str) -> Result<(), String> {
        let nickname = name::nickname(key).map_err(|error| format!("{key}: {error}"))?;
        let is_taken = self.accounts.find(&nickname).is_some();
        let account = Account::restored(nickname, value);
        let account = account.ok_or_else(|| format!("no registration of {key}"))?;
        if self.accounts.len() >= ACCOUNTS_MAX {
            return Err(format!("one registered name too many: {key}"));
        }
        if is_taken || *account.name.name != *key {
            return Err(format!("{key} looks like another registered name"));
        }
        self.accounts.insert(account);
        self.arm_names();
        Ok(())
    }

    /// Arms the timer of names, by limits that may have changed.
    pub(in crate::hub) fn arm_names(&mut self) {
        let (epoch_us, days_kept) = (self.operators.epoch_us, self.limits.names_keep_days);
        match self.accounts.deadline(epoch_us, days_kept) {
            Some(due) => self.schedule.arm(Timer::Names, due),
            None => self.schedule.disarm(Timer::Names),
        }
    }

    /// A newcomer that can show who it is takes the vacant `slot`.
    pub(in crate::hub) fn connect_known(
        &mut self,
        now: Now,
        role: Role,
        peer: Peer,
        slot: u32,
    ) -> ConnId {
        let Peer {
            fingerprint, uid, ..
        } = peer;
        self.accounts.connected(slot, Proof { fingerprint, uid });
        if !role.has_name() {
            return self.insert(now, role, None, peer);
        }
        let mut reading = self.reading(now);
        let (name, known) = renaming::name_newcomer(&mut reading.cx, reading.directory, slot);
        let id = self.insert(now, role, Some(name), peer);
        renaming::greeted(&mut self.context(now), slot, known);
        id
    }
}
