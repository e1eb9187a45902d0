//! Locked rooms: `/lock`, `/unlock`, `/invite`, and whether a client may enter. What a lock is stands in `room/lock`.
//!
//! The right to lock a room belongs to the member that has entered it when nobody was in it; once that one has left, to the
//! member that has been there for longest; and to operators.

use super::announcements;
use super::context::Context;
use super::delivery;
use super::directory::Directory;
use super::input::text::Text;
use super::limits::{
    HASH_BYTE_WORK, HASH_WORK, LONGEST_MEMBER_WORK, LONGEST_MEMBERS_MAX, RENDER_BYTES_EXTRA,
    TRIES_WINDOW_US,
};
use super::name;
use super::room::append::append;
use super::room::lock::Lock;
use super::rooms::Rooms;
use super::secret::Secret;
use crate::protocol::{Notice, Refusal};

/// Bytes of the longest notice here around a name.
const NOTICE_BYTES: usize = RENDER_BYTES_EXTRA + 128;

/// What a secret costs.
pub fn work(secret: &str) -> u64 {
    HASH_WORK + HASH_BYTE_WORK * secret.len() as u64
}

/// Whether a client may enter a room with this secret or without one. Otherwise it is told why not: a wrong secret is refused
/// in the same words and time as none.
pub fn may_enter(cx: &mut Context<'_>, slot: u32, number: u32, given: Option<&Secret>) -> bool {
    let client = &cx.clients[slot as usize];
    let (id, is_operator) = (client.id(slot), client.is_operator());
    let room = cx.rooms.get_mut(number);
    let name = &*room.name.clone();
    let Some(lock) = &mut room.lock else {
        // Who gives a secret counts on a lock. In a room that nobody is in, it is one from now on.
        let is_open = given.is_some() && !(room.members.is_empty() && Rooms::can_be_locked(number));
        if is_open {
            cx.refuse_line(slot, Refusal::RoomNotLocked { room: name });
        }
        return !is_open;
    };
    if is_operator || lock.is_invited(id) {
        return true;
    }
    let is_new = cx.ages.of(id.serial()).is_none_or(|since| {
        let lasted_us = cx.now.as_micros().saturating_sub(since.as_micros());
        lasted_us < TRIES_WINDOW_US
    });
    let may_try = cx.lock_tries.may_try(cx.now, id) && !(is_new && lock.is_tried_hard(cx.now));
    if given.is_some() && !may_try {
        cx.refuse_line(slot, Refusal::TooManySecrets {});
        return false;
    }
    let nothing = Secret::of_nobody();
    let is_right = lock.opens_with(given.unwrap_or(&nothing)) && given.is_some();
    if given.is_some() && !is_right {
        cx.lock_tries.was_wrong(cx.now, id);
        lock.was_wrong(cx.now);
        cx.totals.wrong_secrets += 1;
    }
    if !is_right {
        cx.refuse_line(slot, Refusal::RoomLocked { room: name });
    }
    is_right
}

/// A client has entered a room: its invitation is used up, and the secret that it gave is that of a room in which nobody was.
pub fn entered(cx: &mut Context<'_>, slot: u32, given: Option<Secret>) {
    let id = cx.clients[slot as usize].id(slot);
    let number = cx.clients[slot as usize].room;
    let room = cx.rooms.get_mut(number);
    if let Some(lock) = &mut room.lock {
        lock.uninvite(id);
    }
    let Some(given) = given else { return };
    if room.lock.is_none() {
        set_lock(cx, slot, Some(given));
    }
    cx.warn_if_overheard(slot);
}

/// `/lock [SECRET]`
pub fn lock(cx: &mut Context<'_>, slot: u32, secret: Option<&str>) {
    let number = cx.clients[slot as usize].room;
    if !Rooms::can_be_locked(number) {
        let room = &*cx.rooms.get(number).name.clone();
        return cx.refuse_line(slot, Refusal::LobbyNotLocked { room });
    }
    if !may_lock(cx, slot) {
        return;
    }
    cx.totals.work += secret.map_or(0, work);
    set_lock(cx, slot, secret.map(Secret::of));
    if secret.is_some() {
        cx.warn_if_overheard(slot);
    }
}

/// `/unlock`
pub fn unlock(cx: &mut Context<'_>, slot: u32) {
    let number = cx.clients[slot as usize].room;
    let room = cx.rooms.get_mut(number);
    if room.lock.is_none() {
        let room = &*room.name.clone();
        return cx.refuse_line(slot, Refusal::NotLocked { room });
    }
    if may_lock(cx, slot) {
        cx.rooms.get_mut(number).lock = None;
        tell(cx, slot, |name| Notice::Unlocked { name });
    }
}

/// `/invite NAME`
pub fn invite(cx: &mut Context<'_>, directory: &Directory, slot: u32, raw: &str) {
    cx.totals.work += name::work(raw);
    let found = directory.find(raw).and_then(|target| {
        let name = cx.clients[target as usize].name.as_ref()?;
        Some((target, name.to_string()))
    });
    let Some((target, name)) = found else {
        let name = &*Text::of(raw).to_string();
        return cx.refuse_line(slot, Refusal::NoSuchPerson { name });
    };
    let name = &*name;
    let number = cx.clients[slot as usize].room;
    if cx.clients[target as usize].room == number {
        return cx.refuse_line(slot, Refusal::IsHereAlready { name });
    }
    let Some(from) = cx.clients[slot as usize].name.clone() else {
        return;
    };
    let (from, command) = (
        &*from.to_string(),
        &*format!("/join {}", cx.rooms.get(number).name),
    );
    let invitation = Notice::Invitation { from, command };
    if !delivery::deliver(cx, slot, target, name, |out| invitation.write(out)) {
        return;
    }
    let id = cx.clients[target as usize].id(target);
    if let Some(lock) = &mut cx.rooms.get_mut(number).lock {
        lock.invite(id);
    }
    cx.notify(slot, Notice::Invited { name });
}

/// Whether a client may lock and unlock its room. Otherwise it is told that it may not.
fn may_lock(cx: &mut Context<'_>, slot: u32) -> bool {
    let client = &cx.clients[slot as usize];
    if client.is_operator() {
        return true;
    }
    let (id, number) = (client.id(slot), client.room);
    let room = cx.rooms.get(number);
    let longest = || {
        let members = room.members.iter();
        let since = |&&member: &&u32| {
            let client = &cx.clients[member as usize];
            (client.entered_at, client.serial)
        };
        members.min_by_key(since).copied()
    };
    let holder = match room.opener {
        Some(opener) => Some(opener),
        None if room.members.len() > LONGEST_MEMBERS_MAX => None,
        None => {
            cx.totals.work += LONGEST_MEMBER_WORK * room.members.len() as u64;
            longest().map(|member| cx.clients[member as usize].id(member))
        }
    };
    let may = holder == Some(id);
    if !may {
        let room = &*room.name.clone();
        cx.refuse_line(slot, Refusal::NotYourRoom { room });
    }
    may
}

fn set_lock(cx: &mut Context<'_>, slot: u32, secret: Option<Secret>) {
    let has_secret = secret.is_some();
    let number = cx.clients[slot as usize].room;
    match &mut cx.rooms.get_mut(number).lock {
        Some(lock) => lock.set_secret(secret),
        none => *none = Some(Box::new(Lock::new(secret))),
    }
    tell(cx, slot, |name| match has_secret {
        true => Notice::Locked { name },
        false => Notice::LockedForInvited { name },
    });
}

/// Tells a client's room what the client has done to it.
fn tell(cx: &mut Context<'_>, slot: u32, notice: impl FnOnce(&str) -> Notice<'_>) {
    let Some(name) = cx.clients[slot as usize].name.clone() else {
        return;
    };
    let mut view = cx.room_of(slot);
    announcements::announce_speaker(&mut view, slot);
    let name = &*name.to_string();
    append(&mut view, NOTICE_BYTES, None, |out| notice(name).write(out));
}
