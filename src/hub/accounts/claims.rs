//! What people want to be done about names that are their own, and what each of these claims waits for. Does none of them.

use super::account::Account;
use super::token::Token;
use crate::hub::limits::CLAIMS_MAX;
use crate::hub::requests::Ticket;
use crate::hub::types::ConnId;
use std::collections::VecDeque;
use std::fmt;

/// Something that a client wants, as far as it has come.
#[derive(Debug)]
pub enum Claim {
    /// To log in: the name, and what is said to be its token, both as they were sent.
    LogIn(Box<str>, Option<Secret>),
    /// To register the name that the client has. Waits for its turn.
    Register,
    /// The account is whole but for its token. Waits for random bytes.
    Draw(Box<Account>),
    /// The account is being stored.
    Store(Box<Account>, Token),
    /// The account of this name is being removed from what is stored.
    Erase(Box<str>),
}

/// A text that appears in no `Debug` output.
pub struct Secret(pub Box<str>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Claims, at most one of each client that is connected, and those that must still be answered of clients that have left.
#[derive(Debug, Default)]
pub struct Claims {
    /// Without a ticket it waits for its turn. `0 <= len <= CLAIMS_MAX`.
    claims: VecDeque<(ConnId, Option<Ticket>, Claim)>,
}

impl Claims {
    /// Whether another claim may begin.
    pub fn is_full(&self) -> bool {
        self.claims.len() >= CLAIMS_MAX
    }

    /// A claim begins.
    pub fn push(&mut self, by: ConnId, claim: Claim) {
        self.claims.push_back((by, None, claim));
    }

    /// A claim goes on when a request is answered.
    pub fn push_for_answer(&mut self, by: ConnId, ticket: Ticket, claim: Claim) {
        self.claims.push_back((by, Some(ticket), claim));
    }

    /// Whether [`next`](Claims::next) has a claim.
    pub fn has_next(&self) -> bool {
        self.claims.iter().any(|(_, ticket, _)| ticket.is_none())
    }

    /// The next claim that has its turn.
    pub fn next(&mut self) -> Option<(ConnId, Claim)> {
        self.take(None)
    }

    /// The claim that has waited for this answer.
    pub fn answered(&mut self, ticket: Ticket) -> Option<(ConnId, Claim)> {
        self.take(Some(ticket))
    }

    fn take(&mut self, of: Option<Ticket>) -> Option<(ConnId, Claim)> {
        let index = self.claims.iter().position(|&(_, it, _)| it == of)?;
        let (by, _, claim) = self.claims.remove(index)?;
        Some((by, claim))
    }

    /// A client has left. What is being stored must still be answered.
    pub fn forget(&mut self, by: ConnId) {
        let is_change = |claim: &Claim| matches!(claim, Claim::Store(..) | Claim::Erase(_));
        self.claims
            .retain(|(id, _, claim)| *id != by || is_change(claim));
    }

    /// Accounts that are about to be, of clients that may have left.
    pub fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.claims.iter().filter_map(|(_, _, claim)| match claim {
            Claim::Draw(account) | Claim::Store(account, _) => Some(&**account),
            Claim::LogIn(..) | Claim::Register | Claim::Erase(_) => None,
        })
    }

    /// Whether a claim of this client is under way.
    pub fn is_busy(&self, by: ConnId) -> bool {
        self.claims.iter().any(|(id, ..)| *id == by)
    }

    /// Panics if an invariant is broken. For tests.
    pub fn check(&self) {
        assert!(self.claims.len() <= CLAIMS_MAX);
    }
}
