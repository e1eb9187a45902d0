//! Names that are somebody's own: `/register`, `/login`, `/unregister`, and what follows from the driver's answers. Keeps
//! nothing itself, and writes no words of its own.
//!
//! ```text
//! register ─▶ Register ─ step ─▶ Draw ─ random bytes ─▶ Store ─ it is stored ─▶ the account is there, its owner is told
//! log_in ───▶ LogIn ──── step ─▶ the client has the name
//! unregister ────────────────────────────────▶ Erase ─ it is removed ─▶ the account is gone
//! ```
//!
//! A client's further input waits meanwhile, as that of operators does whose commands are under way.

use super::accounts::account::Account;
use super::accounts::claims::{Claim, Secret};
use super::accounts::token::{Token, TokenHash};
use super::accounts::{Accounts, Full};
use super::client::{self, Block};
use super::context::Context;
use super::directory::Directory;
use super::input::text::Text;
use super::limits::{ACCOUNTS_AN_ORIGIN_MAX, ACCOUNTS_MAX, ITEM_WORK, LIST_WORK};
use super::name::{self, Name, Nickname};
use super::name_days::{arm, erase, note_use, store};
use super::operators::acts::{finish, refuse, tell};
use super::renaming::take;
use super::requests::{Answer, Request};
use super::rights;
use super::tries::Origin;
use super::types::{ConnId, LoggedIn, Peers};
use crate::protocol::{Notice, Refusal};

/// `/register`
pub fn register(cx: &mut Context<'_>, slot: u32) {
    begin(cx, slot, Claim::Register);
}

/// `/login NAME [TOKEN]`
pub fn log_in(cx: &mut Context<'_>, slot: u32, name: &str, token: Option<&str>) {
    cx.totals.work += name::work(name);
    let token = token.map(|token| Secret(token.into()));
    begin(cx, slot, Claim::LogIn(name.into(), token));
}

/// `/unregister [NAME]`
pub fn unregister(cx: &mut Context<'_>, slot: u32, raw: Option<&str>) {
    let own = cx.accounts.account_of(slot);
    let number = match raw {
        None => own,
        Some(raw) if cx.clients[slot as usize].is_operator() => find(cx, raw),
        Some(raw) => own.filter(|&own| find(cx, raw) == Some(own)),
    };
    let Some(number) = number else {
        let refusal = match raw {
            Some(raw) if cx.clients[slot as usize].is_operator() => {
                let name = &*Text::of(raw).to_string();
                return cx.refuse_line(slot, Refusal::NotRegistered { name });
            }
            _ => Refusal::NotLoggedIn {},
        };
        return cx.refuse_line(slot, refusal);
    };
    if cx.accounts.claims.is_full() || cx.accounts.get(number).is_leaving {
        return cx.refuse_line(slot, Refusal::TooManyClaims {});
    }
    cx.accounts.get_mut(number).is_leaving = true;
    let name = cx.accounts.get(number).name.name.clone();
    let ticket = cx.operators.jobs.ask(erase(&name));
    let by = cx.clients[slot as usize].id(slot);
    cx.accounts
        .claims
        .push_for_answer(by, ticket, Claim::Erase(name));
    cx.clients[slot as usize].block(Block::Answer);
}

/// The number of the account of this name, or of one that it can be mistaken for.
fn find(cx: &mut Context<'_>, raw: &str) -> Option<u32> {
    cx.totals.work += name::work(raw);
    cx.accounts.find(&name::nickname(raw).ok()?)
}

/// A claim begins, if there is a place for it.
fn begin(cx: &mut Context<'_>, slot: u32, claim: Claim) {
    if cx.accounts.claims.is_full() {
        return cx.refuse_line(slot, Refusal::TooManyClaims {});
    }
    let by = cx.clients[slot as usize].id(slot);
    cx.accounts.claims.push(by, claim);
    cx.clients[slot as usize].block(Block::Answer);
}

/// Does a step of a claim; false: there is none to be done.
pub fn step(cx: &mut Context<'_>, directory: &mut Directory, peers: &mut dyn Peers) -> bool {
    let Some((by, claim)) = cx.accounts.claims.next() else {
        return false;
    };
    let address = peers.address(by).map(|address| address.ip());
    let uid = match address {
        Some(_) => None,
        None => cx.accounts.proof(by.slot()).uid.or_else(|| peers.uid(by)),
    };
    let origin = Origin::of(address, uid);
    match claim {
        Claim::LogIn(name, token) => {
            let token = token.as_ref().map_or("", |token| &token.0);
            if client::find(cx.clients, by).is_some_and(|client| client.is_receiving()) {
                try_token(cx, directory, by, origin, (&name, token));
            }
            finish(cx, by);
        }
        Claim::Register => begin_account(cx, by, origin),
        // These wait for an answer, never for a turn.
        Claim::Draw(_) | Claim::Store(..) | Claim::Erase(_) => {}
    }
    true
}

/// Somebody says that a name is theirs. Whether there is no such name, or the token is wrong, makes no difference to what it
/// is told and when.
fn try_token(
    cx: &mut Context<'_>,
    directory: &mut Directory,
    by: ConnId,
    origin: Origin,
    (raw, written): (&str, &str),
) {
    if !cx.accounts.tries.may_try(cx.now, origin) {
        cx.totals.logins[LoggedIn::Limited as usize] += 1;
        cx.totals.refused_lines += 1;
        return refuse(cx, by, Refusal::TooManyTries {});
    }
    let nickname = name::nickname(raw).ok();
    let number = nickname.as_ref().and_then(|name| cx.accounts.find(name));
    let proof = cx.accounts.proof(by.slot());
    let is_token = TokenHash::is_of(cx.accounts.token(number), written);
    let is_certificate = number.is_some_and(|number| {
        let account = cx.accounts.get(number);
        account.has_fingerprint(proof.fingerprint.as_ref())
    });
    let own = cx.accounts.users_name(by.slot());
    let is_user = own.is_some() && own == nickname;
    match (number, nickname) {
        (Some(number), _) if is_token || is_certificate => {
            enter(cx, directory, by, number);
            if is_token {
                cx.warn_if_overheard(by.slot());
            }
        }
        (number, Some(nickname)) if is_user => {
            let is_its = |&number: &u32| !cx.accounts.is_suspended(number);
            let account = number.filter(is_its);
            hand_over(cx, directory, by, nickname, account);
        }
        _ => {
            cx.accounts.tries.was_wrong(cx.now, origin);
            cx.totals.logins[LoggedIn::Wrong as usize] += 1;
            cx.totals.refused_lines += 1;
            let name = &*Text::of(raw).to_string();
            let shown: String = name.chars().take(super::limits::NAME_CHARS_MAX).collect();
            cx.accounts.note(Some(by), &shown, "a wrong token for it");
            refuse(cx, by, Refusal::WrongToken { name });
        }
    }
}

/// The owner of an account has shown who it is.
fn enter(cx: &mut Context<'_>, directory: &mut Directory, by: ConnId, number: u32) {
    let nickname = cx.accounts.get(number).name.clone();
    if cx.accounts.is_suspended(number) {
        let name = &nickname.name;
        return refuse(cx, by, Refusal::NameOfUser { name });
    }
    hand_over(cx, directory, by, nickname, Some(number));
}

/// A client has a name from here on, and so has nobody else one like it.
fn hand_over(
    cx: &mut Context<'_>,
    directory: &mut Directory,
    by: ConnId,
    nickname: Nickname,
    account: Option<u32>,
) {
    let (slot, name) = (by.slot(), nickname.name.clone());
    cx.totals.logins[LoggedIn::Done as usize] += 1;
    let client = &cx.clients[slot as usize];
    let has_it = matches!(&client.name, Some(Name::Chosen(own)) if ***own == *name);
    match has_it {
        true if account.is_none() || cx.accounts.account_of(slot) == account => {
            refuse(cx, by, Refusal::NameIsYours { name: &name });
        }
        true => {
            // It had the name before that was registered, or before it was a user's.
            cx.accounts.log_out(slot);
            account.inspect(|&number| cx.accounts.log_in(slot, number));
            rights::refresh(cx, slot);
            tell(cx, by, Notice::YouAreNow { name: &name });
        }
        false => take(cx, directory, slot, nickname, account),
    }
    if let Some(number) = account {
        note_use(cx, number);
    }
    arm(cx);
}

/// `/register`, once it is known from where: asks for random bytes, if the client's name can be registered.
fn begin_account(cx: &mut Context<'_>, by: ConnId, origin: Origin) {
    let Some(client) = client::find(cx.clients, by).filter(|client| client.is_receiving()) else {
        return finish(cx, by);
    };
    let is_unlimited = client.role.is_extra();
    let name = client.name.clone();
    let nickname = match &name {
        Some(Name::Chosen(name)) => name::nickname(name).ok(),
        _ => None,
    };
    cx.totals.work += ITEM_WORK + LIST_WORK;
    if let Err(refusal) = may_register(cx, by.slot(), nickname.as_ref(), origin, is_unlimited) {
        cx.totals.refused_lines += 1;
        refuse(cx, by, refusal);
        return finish(cx, by);
    }
    let Some(name) = nickname else { return };
    let fingerprint = cx.accounts.proof(by.slot()).fingerprint;
    let account = Account {
        name,
        token: TokenHash([0; 32]),
        fingerprint: fingerprint.map(Box::new),
        origin,
        used: Accounts::day(cx.operators.epoch_us, cx.now),
        is_leaving: false,
    };
    let ticket = cx.operators.jobs.ask(Request::Random);
    let claim = Claim::Draw(Box::new(account));
    cx.accounts.claims.push_for_answer(by, ticket, claim);
}

/// Why a client cannot register its name, if it cannot.
fn may_register(
    cx: &Context<'_>,
    slot: u32,
    name: Option<&Nickname>,
    origin: Origin,
    is_unlimited: bool,
) -> Result<(), Refusal<'static>> {
    let Some(name) = name else {
        return Err(Refusal::NoNameToRegister {});
    };
    if cx.accounts.account_of(slot).is_some() {
        return Err(Refusal::RegisteredAlready {});
    }
    // It may have had the name since before there was an owner.
    let proof = cx.accounts.proof(slot);
    if cx
        .accounts
        .owner(proof, is_unlimited, &name.likeness)
        .is_some()
    {
        return Err(Refusal::NotYoursToRegister {});
    }
    let mut coming = cx.accounts.claims.accounts();
    if coming.any(|account| account.name.name == name.name) {
        return Err(Refusal::TooManyClaims {});
    }
    match cx.accounts.may_register(origin) {
        Err(Full::Origin) if !is_unlimited => Err(Refusal::RegisteredFullHere {
            names_max: ACCOUNTS_AN_ORIGIN_MAX,
        }),
        Err(Full::All) => Err(Refusal::RegisteredFull {
            names_max: ACCOUNTS_MAX,
        }),
        Ok(()) | Err(Full::Origin) => Ok(()),
    }
}

/// The driver has answered the request of a claim.
pub fn answered(cx: &mut Context<'_>, by: ConnId, claim: Claim, answer: Answer) {
    match (claim, answer) {
        (Claim::Draw(account), Answer::Bytes(random)) => {
            let token = Token::new(random.0);
            let token_hash = token.hash();
            let account = Account {
                token: token_hash,
                ..*account
            };
            let ticket = cx.operators.jobs.ask(store(&account));
            let claim = Claim::Store(Box::new(account), token);
            return cx.accounts.claims.push_for_answer(by, ticket, claim);
        }
        (Claim::Store(account, token), Answer::Done) => registered(cx, by, *account, token),
        (Claim::Store(..) | Claim::Draw(_), Answer::Refused(lines)) => {
            let why = &*lines.join("; ");
            refuse(cx, by, Refusal::NotKept { why });
        }
        (Claim::Store(..) | Claim::Draw(_), _) => refuse(cx, by, Refusal::NoPlaceToKeep {}),
        (Claim::Erase(name), Answer::Done | Answer::NotKept) => unregistered(cx, by, &name),
        (Claim::Erase(name), answer) => {
            if let Some(number) = exactly(cx, &name) {
                cx.accounts.get_mut(number).is_leaving = false;
            }
            if let Answer::Refused(lines) = answer {
                let why = &*lines.join("; ");
                refuse(cx, by, Refusal::StillKept { why });
            }
        }
        (Claim::LogIn(..) | Claim::Register, _) => {}
    }
    finish(cx, by);
}

/// An account is stored: it is there from here on, if the client still has its name. Otherwise nobody knows its token.
fn registered(cx: &mut Context<'_>, by: ConnId, account: Account, token: Token) {
    let name = account.name.name.clone();
    let client = client::find(cx.clients, by).filter(|client| !client.is_closing());
    let has_it = client
        .is_some_and(|client| matches!(&client.name, Some(Name::Chosen(own)) if ***own == *name));
    if !has_it || cx.accounts.find(&account.name).is_some() {
        cx.operators.jobs.ask(erase(&name));
        return refuse(cx, by, Refusal::NotYoursToRegister {});
    }
    let number = cx.accounts.insert(account);
    cx.accounts.log_in(by.slot(), number);
    arm(cx);
    cx.accounts.note(Some(by), &name, "registered");
    let command = &*format!("/login {name} {}", token.written());
    let name = &*name;
    tell(cx, by, Notice::Registered { name, command });
    cx.warn_if_overheard(by.slot());
    rights::refresh(cx, by.slot());
}

/// An account is not stored any more: it is gone.
fn unregistered(cx: &mut Context<'_>, by: ConnId, name: &str) {
    let Some(number) = exactly(cx, name) else {
        // It has expired meanwhile.
        return tell(cx, by, Notice::Unregistered { name });
    };
    let holder = cx.accounts.remove(number);
    cx.accounts.note(Some(by), name, "unregistered");
    arm(cx);
    tell(cx, by, Notice::Unregistered { name });
    if let Some(slot) = holder {
        if slot != by.slot() {
            cx.notify(slot, Notice::UnregisteredByOperator { name });
        }
        rights::refresh(cx, slot);
    }
}

/// The number of the account of exactly this name.
fn exactly(cx: &Context<'_>, name: &str) -> Option<u32> {
    let number = cx.accounts.find(&name::nickname(name).ok()?)?;
    (*cx.accounts.get(number).name.name == *name).then_some(number)
}
