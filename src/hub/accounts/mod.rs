//! Names that are somebody's own: which are registered, who is logged in under which, by what else clients can show who
//! they are, and which names are kept for users of this machine and for operators. Knows clients by their slots only, and
//! says nothing to them: that does `registering`.

pub mod account;
pub mod claims;
mod contract;
pub mod owners;
pub mod token;
pub mod users;

use super::likeness::{ByLikeness, Likeness};
use super::limits::{ACCOUNT_PAUSE_US, ACCOUNTS_AN_ORIGIN_MAX, ACCOUNTS_MAX};
use super::name::Nickname;
use super::tries::{Origin, Tries};
use super::types::{ConnId, Now};
use account::Account;
use claims::Claims;
use slab::Slab;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use token::TokenHash;
use users::Users;

/// Microseconds of a day.
const DAY_US: u64 = 86_400_000_000;

/// By what a client can show who it is, besides a token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Proof {
    /// The SHA-256 of its certificate.
    pub fingerprint: Option<[u8; 32]>,
    /// The user of this machine that it is, where that is trusted.
    pub uid: Option<u32>,
}

/// Whose a name is, if not everybody may have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// It is registered, or looks like this name, which is.
    Registered(Box<str>),
    /// A user of this machine has it, or one that looks like it.
    User,
    /// An operator is to register it.
    Operator,
}

/// Why a name cannot be registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// There are `ACCOUNTS_MAX`.
    All,
    /// There are `ACCOUNTS_AN_ORIGIN_MAX` from the same origin.
    Origin,
}

/// Something that has happened to a name that is somebody's own, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameEvent {
    /// The connection that has done it, if one has; it may have ended since.
    pub by: Option<ConnId>,
    /// The name.
    pub name: String,
    /// What has happened.
    pub what: &'static str,
}

/// All registered names.
#[derive(Debug, Default)]
pub struct Accounts {
    /// By number: `0 <= len <= ACCOUNTS_MAX`.
    accounts: Slab<Account>,
    /// Their numbers by their names.
    by_likeness: ByLikeness,
    /// How many were registered from each origin.
    by_origin: BTreeMap<Origin, usize>,
    /// The numbers of the accounts under which clients are logged in, by slot.
    holders: BTreeMap<u32, u32>,
    /// The slots of these clients, by the accounts' numbers.
    slots: BTreeMap<u32, u32>,
    /// Days of last use, and numbers, of the accounts in `holders`.
    online: BTreeSet<(u32, u32)>,
    /// The same of all others.
    idle: BTreeSet<(u32, u32)>,
    /// When the next use may be noted, or the next account may expire: each is a request to the driver.
    free_at: Now,
    /// Of clients that have some, by slot.
    proofs: BTreeMap<u32, Proof>,
    /// The users of this machine, if their names are theirs here.
    pub users: Option<Users>,
    /// Names whose owners are operators, in order.
    operators: Vec<Nickname>,
    /// Wrong tokens.
    pub tries: Tries,
    /// What is under way.
    pub claims: Claims,
    /// What the log has not been told.
    pub events: VecDeque<NameEvent>,
}

/// Who a client is.
impl Accounts {
    /// A client has connected that can show who it is.
    pub fn connected(&mut self, slot: u32, proof: Proof) {
        if proof != Proof::default() {
            self.proofs.insert(slot, proof);
        }
    }

    /// A client has left, after it was [logged out](Accounts::log_out).
    pub fn disconnected(&mut self, id: ConnId) {
        self.proofs.remove(&id.slot());
        self.claims.forget(id);
    }

    /// By what a client can show who it is.
    pub fn proof(&self, slot: u32) -> Proof {
        self.proofs.get(&slot).copied().unwrap_or_default()
    }

    /// What a client is called because of the user that it is.
    pub fn users_name(&self, slot: u32) -> Option<Nickname> {
        self.name_of_user(self.proof(slot))
    }

    /// The same, of a client with this proof.
    pub fn name_of_user(&self, proof: Proof) -> Option<Nickname> {
        Some(self.users.as_ref()?.name(proof.uid?))
    }

    /// Whose a name like this is, if a client with this proof may not choose it. `is_operator`: it has come as one.
    pub fn owner(&self, proof: Proof, is_operator: bool, likeness: &Likeness) -> Option<Owner> {
        if let Some(number) = self.by_likeness.alike(likeness).next() {
            let name = &self.accounts[number as usize].name.name;
            return Some(Owner::Registered(name.clone()));
        }
        if self.is_users(proof, likeness) {
            return Some(Owner::User);
        }
        let is_alike = |of: &Nickname| {
            of.likeness
                .forms()
                .any(|it| likeness.forms().any(|f| f == it))
        };
        let is_kept = !is_operator && self.operators.iter().any(is_alike);
        let is_own = || self.name_of_user(proof).is_some_and(|own| is_alike(&own));
        (is_kept && !is_own()).then_some(Owner::Operator)
    }

    /// Whether a name like this is that of another user of this machine than a client with this proof is.
    fn is_users(&self, proof: Proof, likeness: &Likeness) -> bool {
        let users = self.users.as_ref();
        users.is_some_and(|users| !users.may_have(proof.uid, likeness))
    }

    /// Whether the account of this number cannot be used, since a user of this machine has its name by now.
    pub fn is_suspended(&self, number: u32) -> bool {
        let account = &self.accounts[number as usize];
        let uid = account.origin.uid();
        let proof = Proof {
            fingerprint: None,
            uid,
        };
        self.is_users(proof, &account.name.likeness)
    }

    /// Whether the owner of a client's name, which the client is, is an operator.
    pub fn is_operator(&self, slot: u32, name: &str) -> bool {
        let Ok(_) = self.operators.binary_search_by(|it| (*it.name).cmp(name)) else {
            return false;
        };
        let account = self.holders.get(&slot).copied();
        let is_account = |number: u32| !self.is_suspended(number);
        let is_user = || self.users_name(slot).is_some_and(|own| *own.name == *name);
        account.is_some_and(is_account) || is_user()
    }

    /// Changes which names are those of operators. Returns the names that were or are among them.
    pub fn set_operators(&mut self, mut names: Vec<Nickname>) -> Vec<Nickname> {
        names.sort_by(|one, other| one.name.cmp(&other.name));
        names.dedup();
        let before = std::mem::replace(&mut self.operators, names);
        before
            .into_iter()
            .chain(self.operators.iter().cloned())
            .collect()
    }
}

/// Accounts.
impl Accounts {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.accounts.len()
    }

    /// The number of the account of exactly this name, or else of one that it can be mistaken for.
    pub fn find(&self, name: &Nickname) -> Option<u32> {
        let is_exact = |&number: &u32| self.accounts[number as usize].name.name == name.name;
        let mut alike = self.by_likeness.alike(&name.likeness);
        let exact = self.by_likeness.alike(&name.likeness).find(is_exact);
        exact.or_else(|| alike.next())
    }

    /// The account of this number.
    pub fn get(&self, number: u32) -> &Account {
        &self.accounts[number as usize]
    }

    /// The account of this number.
    pub fn get_mut(&mut self, number: u32) -> &mut Account {
        &mut self.accounts[number as usize]
    }

    /// The hash of the token of this account, if there is one.
    pub fn token(&self, number: Option<u32>) -> Option<&TokenHash> {
        number.map(|number| &self.get(number).token)
    }

    /// Whether another account may be registered from this origin, beside those that are about to be.
    pub fn may_register(&self, origin: Origin) -> Result<(), Full> {
        let coming = self.claims.accounts();
        if self.len() + coming.count() >= ACCOUNTS_MAX {
            return Err(Full::All);
        }
        let coming = self.claims.accounts();
        let coming = coming.filter(|account| account.origin == origin).count();
        let there = self.by_origin.get(&origin).copied().unwrap_or_default();
        match there + coming >= ACCOUNTS_AN_ORIGIN_MAX {
            true => Err(Full::Origin),
            false => Ok(()),
        }
    }

    /// Adds an account, whose name is like none that is here. Returns its number.
    pub fn insert(&mut self, account: Account) -> u32 {
        *self.by_origin.entry(account.origin).or_default() += 1;
        let (likeness, used) = (account.name.likeness.clone(), account.used);
        let number = self.accounts.insert(account) as u32;
        self.by_likeness.insert(&likeness, number);
        self.idle.insert((used, number));
        number
    }

    /// Removes an account. Returns the slot of the client that was logged in under it.
    pub fn remove(&mut self, number: u32) -> Option<u32> {
        let holder = self.holder(number);
        if let Some(slot) = holder {
            self.log_out(slot);
        }
        let account = self.accounts.remove(number as usize);
        self.by_likeness.remove(&account.name.likeness);
        self.idle.remove(&(account.used, number));
        if let Some(count) = self.by_origin.get_mut(&account.origin) {
            *count -= 1;
            if *count == 0 {
                self.by_origin.remove(&account.origin);
            }
        }
        holder
    }

    /// The slot of the client that is logged in under the account of this number.
    pub fn holder(&self, number: u32) -> Option<u32> {
        self.slots.get(&number).copied()
    }

    /// The number of the account under which a client is logged in.
    pub fn account_of(&self, slot: u32) -> Option<u32> {
        self.holders.get(&slot).copied()
    }

    /// A client is logged in under the account of this number, under which nobody else is.
    pub fn log_in(&mut self, slot: u32, number: u32) {
        let key = (self.get(number).used, number);
        self.log_out(slot);
        self.holders.insert(slot, number);
        self.slots.insert(number, slot);
        self.idle.remove(&key);
        self.online.insert(key);
    }

    /// A client is logged in no more, if it was.
    pub fn log_out(&mut self, slot: u32) {
        if let Some(number) = self.holders.remove(&slot) {
            self.slots.remove(&number);
            let key = (self.get(number).used, number);
            self.online.remove(&key);
            self.idle.insert(key);
        }
    }
}

/// Days of use.
impl Accounts {
    /// An account is used on this day. Returns whether that is to be stored.
    #[must_use = "what is noted is to be stored"]
    pub fn note_use(&mut self, number: u32, day: u32) -> bool {
        let account = &mut self.accounts[number as usize];
        let before = (account.used, number);
        if account.used >= day {
            return false;
        }
        account.used = day;
        let is_leaving = account.is_leaving;
        for set in [&mut self.online, &mut self.idle] {
            if set.remove(&before) {
                set.insert((day, number));
            }
        }
        !is_leaving
    }

    /// An account under which somebody is logged in since a day before this one.
    pub fn next_in_use(&self, day: u32) -> Option<u32> {
        let &(used, number) = self.online.first()?;
        (used < day).then_some(number)
    }

    /// An account that has not been used for so many whole days before this one.
    pub fn next_unused(&self, day: u32, days_kept: u32) -> Option<u32> {
        let &(used, number) = self.idle.first()?;
        (days_kept > 0 && used.saturating_add(days_kept) < day).then_some(number)
    }

    /// The next [use](Accounts::next_in_use) is noted, or the next account [expires](Accounts::next_unused), after a pause.
    pub fn pause(&mut self, now: Now) {
        self.free_at = now.after(ACCOUNT_PAUSE_US);
    }

    /// When something is to be done about days of use, with this UNIX time at the hub's time 0.
    pub fn deadline(&self, epoch_us: u64, days_kept: u32) -> Option<Now> {
        let online = self.online.first().map(|&(used, _)| u64::from(used) + 1);
        let idle = self.idle.first().filter(|_| days_kept > 0);
        let idle = idle.map(|&(used, _)| u64::from(used) + u64::from(days_kept) + 1);
        let day = [online, idle].into_iter().flatten().min()?;
        let due = Now::from_micros((day * DAY_US).saturating_sub(epoch_us));
        Some(due.max(self.free_at))
    }

    /// The day of this time, since 1970-01-01.
    pub fn day(epoch_us: u64, now: Now) -> u32 {
        ((epoch_us + now.as_micros()) / DAY_US) as u32
    }

    /// Notes something for the log.
    pub fn note(&mut self, by: Option<ConnId>, name: &str, what: &'static str) {
        let name = name.into();
        self.events.push_back(NameEvent { by, name, what });
    }

    /// Panics if an invariant is broken. For tests: looks at everything.
    pub fn check(&self) {
        assert!(self.len() <= ACCOUNTS_MAX);
        self.tries.check();
        self.claims.check();
        let forms = self.accounts.iter();
        let forms = forms.map(|(_, account)| account.name.likeness.forms().count());
        assert_eq!(forms.sum::<usize>(), self.by_likeness.len());
        assert_eq!(self.by_origin.values().sum::<usize>(), self.len());
        let online: BTreeSet<u32> = self.online.iter().map(|&(_, number)| number).collect();
        let slots = self.slots.iter().map(|(&number, &slot)| (slot, number));
        assert_eq!(slots.collect::<BTreeMap<_, _>>(), self.holders);
        assert!(online.iter().eq(self.slots.keys()));
        assert_eq!(self.online.len() + self.idle.len(), self.len());
        for &(used, number) in self.online.iter().chain(&self.idle) {
            assert_eq!(self.get(number).used, used);
        }
    }
}
