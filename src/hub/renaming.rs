//! How clients get other names: `/nick`, a name that its owner takes, and the guest's name that is left to whom it is taken
//! from. Writes no words of its own.

use super::accounts::Owner;
use super::announcements;
use super::client::Role;
use super::cluster::people::is_elsewhere;
use super::cluster::telling;
use super::context::Context;
use super::directory::Directory;
use super::name::{self, Name, Nickname};
use super::name_days::{arm, note_use};
use super::rights;
use super::types::Report;
use crate::protocol::{Notice, Refusal};

/// `/nick NAME`
pub fn nick(cx: &mut Context<'_>, directory: &mut Directory, slot: u32, raw: &str) {
    let client = &cx.clients[slot as usize];
    let Some(before) = client.name.clone() else {
        return;
    };
    let old = &*before.to_string();
    if client.role == Role::Console {
        // It could not take its name back: nobody can choose that.
        return cx.refuse_line(slot, Refusal::NameOfConsole { name: old });
    }
    cx.totals.work += name::work(raw);
    let nickname = match name::nickname(raw) {
        Ok(nickname) => nickname,
        Err(error) => {
            let why = &*error.to_string();
            return cx.refuse_line(slot, Refusal::NameInvalid { why });
        }
    };
    let name = &*nickname.name.clone();
    if name == old {
        return cx.refuse_line(slot, Refusal::NameIsYours { name });
    }
    let proof = cx.accounts.proof(slot);
    let has_come_as_operator = cx.clients[slot as usize].role.is_extra();
    if let Some(owner) = cx
        .accounts
        .owner(proof, has_come_as_operator, &nickname.likeness)
    {
        return refuse_owned(cx, slot, name, &owner);
    }
    if cx.cluster.is_some() {
        return telling::rename(cx, slot, name);
    }
    decide(cx, directory, slot, nickname);
}

/// A client gets the name that it wants, unless another has one like it.
pub fn decide(cx: &mut Context<'_>, directory: &mut Directory, slot: u32, nickname: Nickname) {
    let Some(before) = cx.clients[slot as usize].name.clone() else {
        return;
    };
    let (old, name) = (&*before.to_string(), &*nickname.name.clone());
    match directory.rename(slot, &before, nickname) {
        Err(other) => {
            let other = name_of(cx, other);
            let is_same = other.is_some_and(|other| other.to_string() == name);
            let refusal = if is_same {
                Refusal::NameInUse { name }
            } else {
                Refusal::NameLooksUsed { name }
            };
            cx.refuse_line(slot, refusal);
        }
        Ok(new) => renamed(cx, slot, old, new, None),
    }
}

/// A client gets the name back that it had before its node began anew, unless another has one like it by now.
pub fn take_back(cx: &mut Context<'_>, directory: &mut Directory, slot: u32, nickname: Nickname) {
    let Some(before) = cx.clients[slot as usize].name.clone() else {
        return;
    };
    let name = &*nickname.name.clone();
    match directory.rename(slot, &before, nickname) {
        Ok(new) => cx.clients[slot as usize].name = Some(new),
        Err(_) => {
            let new = &*before.to_string();
            cx.notify(slot, Notice::NameTakenMeanwhile { name, new });
        }
    }
}

/// A person of another node has this name by the order of the directory: clients of this node that have had it, or one like it,
/// since before their node began anew become guests, and are told why.
pub fn give_way(cx: &mut Context<'_>, directory: &mut Directory, nickname: &Nickname) {
    let holders: Vec<u32> = directory.alike(&nickname.likeness).collect();
    for slot in holders.into_iter().filter(|&slot| !is_elsewhere(slot)) {
        let is_known = cx.cluster.as_deref().is_some_and(|it| it.knows(slot));
        let before = cx.clients[slot as usize].name.clone();
        // A name with two forms may find the same client twice.
        let Some(before @ Name::Chosen(_)) = before.filter(|_| !is_known) else {
            continue;
        };
        let new = directory.make_guest(slot, &before);
        let (name, shown) = (&*before.to_string(), &*new.to_string());
        cx.notify(slot, Notice::NameTakenMeanwhile { name, new: shown });
        change(cx, slot, name, new, None);
    }
}

/// A person of another node has another name.
pub fn renamed_elsewhere(
    cx: &mut Context<'_>,
    directory: &mut Directory,
    number: u32,
    nickname: Nickname,
) {
    give_way(cx, directory, &nickname);
    let Some(person) = cx.cluster.as_deref().and_then(|it| it.people.get(number)) else {
        return;
    };
    let before = person.name.clone();
    let Ok(new) = directory.rename(number, &before, nickname) else {
        return;
    };
    cx.ignoring.renamed(number, &new.to_string());
    if let Some(cluster) = cx.cluster.as_deref_mut() {
        cluster.people.rename(number, new);
    }
}

/// The name of a person, on whatever node it is.
pub fn name_of(cx: &Context<'_>, number: u32) -> Option<Name> {
    if !is_elsewhere(number) {
        return cx.clients.get(number as usize)?.name.clone();
    }
    let person = cx.cluster.as_deref()?.people.get(number)?;
    Some(person.name.clone())
}

/// Tells a client that a name is somebody else's, and what that one would do.
fn refuse_owned(cx: &mut Context<'_>, slot: u32, name: &str, owner: &Owner) {
    let refusal = match owner {
        Owner::Registered(own) if **own == *name => Refusal::NameRegistered {
            name,
            command: &login(own),
        },
        Owner::Registered(own) => Refusal::NameLooksRegistered {
            name,
            own,
            command: &login(own),
        },
        Owner::User => Refusal::NameOfUser { name },
        Owner::Operator => Refusal::NameOfOperator { name },
    };
    cx.refuse_line(slot, refusal);
}

/// The command by which the owner of a name takes it.
pub fn login(name: &str) -> String {
    format!("/login {name} TOKEN")
}

/// The owner of a name, which a client has shown to be, takes it: from all that have it, or one like it. `account`: the
/// number of its account, if it is registered.
pub fn take(
    cx: &mut Context<'_>,
    directory: &mut Directory,
    slot: u32,
    nickname: Nickname,
    account: Option<u32>,
) {
    let Some(before) = cx.clients[slot as usize].name.clone() else {
        return;
    };
    evict(cx, directory, slot, &nickname);
    let old = &*before.to_string();
    let new = directory.rename(slot, &before, nickname);
    match new {
        Ok(new) => renamed(cx, slot, old, new, account),
        Err(_) => debug_assert!(false, "all that had it are guests now"),
    }
}

/// All others that have this name, or one like it, become guests, and are told why.
pub fn evict(cx: &mut Context<'_>, directory: &mut Directory, slot: u32, nickname: &Nickname) {
    let others = directory.alike(&nickname.likeness);
    let others: Vec<u32> = others.filter(|&other| other != slot).collect();
    for other in others {
        let Some(before) = cx.clients[other as usize].name.clone() else {
            continue;
        };
        // A name with two forms may find the same client twice.
        if matches!(before, Name::Guest(_) | Name::Host) {
            continue;
        }
        let new = directory.make_guest(other, &before);
        let (old, new_name) = (&*before.to_string(), &*new.to_string());
        if !cx.clients[other as usize].is_closing() {
            let taken = Notice::NameTaken {
                name: old,
                new: new_name,
            };
            cx.notify(other, taken);
        }
        let id = cx.clients[other as usize].id(other);
        cx.accounts
            .note(Some(id), old, "its owner has taken it from this connection");
        change(cx, other, old, new, None);
    }
}

/// A client has another name in the directory: it is told so.
fn renamed(cx: &mut Context<'_>, slot: u32, old: &str, new: Name, account: Option<u32>) {
    cx.notify(
        slot,
        Notice::YouAreNow {
            name: &new.to_string(),
        },
    );
    change(cx, slot, old, new, account);
}

/// The rest of what follows from another name: who ignores it, what the log and the room hear, what it may do.
fn change(cx: &mut Context<'_>, slot: u32, old: &str, new: Name, account: Option<u32>) {
    let name = &*new.to_string();
    let client = &mut cx.clients[slot as usize];
    client.name = Some(new);
    client.outbox.is_ignored = cx.ignoring.renamed(slot, name);
    let id = cx.clients[slot as usize].id(slot);
    let report = || Report::Renamed(old.into(), name.into());
    cx.schedule.reports.add(id, report);
    let mut view = cx.room_of(slot);
    if announcements::announce_left(&mut view, slot)
        && !telling::renamed(&mut view, slot, old, name)
    {
        announcements::tell_renamed(&mut view, Some(slot), old, name);
    }
    cx.accounts.log_out(slot);
    if let Some(number) = account {
        cx.accounts.log_in(slot, number);
    }
    arm(cx);
    rights::refresh(cx, slot);
}

/// How a newcomer is called that can perhaps show who it is.
#[derive(Debug)]
pub enum Known {
    /// A guest, or it has no name.
    Nobody,
    /// The user of this machine that has this name, and its account if it has registered the name.
    User(Option<u32>),
    /// The user of this machine that has this name on another connection: a guest here.
    Elsewhere(Nickname),
}

/// Gives a newcomer a name: that of its user, also if another client has had it, unless it has it on another connection
/// itself; or that of a guest. Its caller greets it, and then calls [`greeted`].
pub fn name_newcomer(cx: &mut Context<'_>, directory: &mut Directory, slot: u32) -> (Name, Known) {
    let Some(nickname) = cx.accounts.users_name(slot) else {
        return (directory.add_guest(slot), Known::Nobody);
    };
    let uid = cx.accounts.proof(slot).uid;
    let mut holders = directory.alike(&nickname.likeness);
    if holders.any(|other| cx.accounts.proof(other).uid == uid) {
        drop(holders);
        return (directory.add_guest(slot), Known::Elsewhere(nickname));
    }
    drop(holders);
    evict(cx, directory, slot, &nickname);
    let account = cx.accounts.find(&nickname);
    let account = account.filter(|&number| !cx.accounts.is_suspended(number));
    (directory.add(slot, nickname), Known::User(account))
}

/// A newcomer has been greeted by its name: what follows from who it is.
pub fn greeted(cx: &mut Context<'_>, slot: u32, known: Known) {
    match known {
        Known::Nobody => {}
        Known::Elsewhere(nickname) => {
            let (name, command) = (&*nickname.name, &*format!("/login {}", nickname.name));
            cx.notify(slot, Notice::YouAreElsewhere { name, command });
        }
        Known::User(account) => {
            if let Some(number) = account {
                cx.accounts.log_in(slot, number);
                note_use(cx, number);
                arm(cx);
            }
            rights::refresh(cx, slot);
        }
    }
}
