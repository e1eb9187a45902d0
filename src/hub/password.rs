//! The server's password: what a stranger is told, what becomes of each thing that it sends, and how it comes in. Until then
//! it is in no room, has no name, and hears of nobody.

use super::Hub;
use super::client::Role;
use super::cluster::telling;
use super::context::Context;
use super::directory::Directory;
use super::handlers;
use super::input::Item;
use super::input::command::{self, Request};
use super::limits::{HASH_BYTE_WORK, HASH_WORK, STRANGER_BYTES_MAX, STRANGER_US};
use super::limits::{MOVE_WORK, STRANGER_LINE_BYTES, STRANGER_UNREAD_US};
use super::membership;
use super::renaming;
use super::rooms::Rooms;
use super::secret::Secret;
use super::tries::Origin;
use super::types::{Ending, Now};
use crate::protocol::{Notice, Refusal};

/// For how long a stranger is waited for, in seconds.
const SECONDS: u64 = STRANGER_US / 1_000_000;

impl Hub {
    /// From now on newcomers must say this password; `None`: nothing. Those that are in stay.
    pub fn set_password(&mut self, password: Option<Secret>) {
        self.strangers.password = password;
    }

    /// How many connections have not said the password yet.
    pub fn strangers(&self) -> usize {
        self.strangers.len()
    }

    /// If there are too many strangers, the one that is the least likely to know the password makes place for a newcomer.
    pub(super) fn make_place(&mut self, now: Now, origin: Origin, is_full: bool) {
        if let Some(slot) = self.strangers.surplus(origin, is_full, &self.limits) {
            close(&mut self.context(now), slot, Refusal::TooManyStrangers {});
        }
    }
}

/// A newcomer from this origin is a stranger: tells it what is asked.
pub fn ask(cx: &mut Context<'_>, slot: u32, origin: Origin) {
    cx.strangers.add(cx.now, slot, origin);
    cx.notify(slot, Notice::PasswordAsked { seconds: SECONDS });
}

/// An item of a stranger's input, which is not borrowed from there: it is handled when its bytes have been counted.
pub enum Sent {
    /// A line, of no more bytes than a stranger may send.
    Line(Vec<u8>),
    /// Anything else.
    Other(Item<'static>),
}

impl Sent {
    /// What has been sent.
    pub fn of(item: Item<'_>) -> Sent {
        Sent::Other(match item {
            Item::Line(line) => return Sent::Line(line.to_vec()),
            Item::TooLong => Item::TooLong,
            Item::Negotiation(answer) => Item::Negotiation(answer),
            Item::AreYouThere => Item::AreYouThere,
            Item::WrongProtocol(protocol) => Item::WrongProtocol(protocol),
            Item::CutOff => Item::CutOff,
            Item::End => Item::End,
        })
    }

    /// Whether its bytes count. After another protocol nothing is looked at, and it is named.
    pub fn is_counted(&self) -> bool {
        !matches!(self, Sent::Other(Item::WrongProtocol(_)))
    }
}

/// Handles one item of a stranger's input, unless the stranger has sent too much.
pub fn handle(cx: &mut Context<'_>, directory: &mut Directory, slot: u32, sent: &Sent) {
    if cx.clients[slot as usize].is_closing() {
        return;
    }
    match sent {
        Sent::Line(line) if line.is_empty() => {}
        Sent::Line(line) => handle_line(cx, directory, slot, line),
        Sent::Other(Item::TooLong) => close_talkative(cx, slot),
        // Even if others go on receiving after their end: a stranger receives nothing.
        Sent::Other(Item::End) => cx.room_of(slot).drain(slot, Ending::EndOfInput),
        // Only a line can be none of UTF-8.
        Sent::Other(item) => _ = handlers::handle(cx, directory, slot, *item),
    }
}

/// A stranger has sent so many bytes more, whatever they were.
pub fn count(cx: &mut Context<'_>, slot: u32, bytes: usize) {
    if !cx.clients[slot as usize].is_stranger() {
        return;
    }
    if !cx.strangers.may_send(slot, bytes) {
        close_talkative(cx, slot);
    }
    cx.strangers.sent(slot, bytes);
}

fn handle_line(cx: &mut Context<'_>, directory: &mut Directory, slot: u32, line: &[u8]) {
    // Nothing of the line is repeated: it may be the password without its command.
    let request = str::from_utf8(line).map(command::parse);
    match request {
        Ok(Ok(Request::Pass(given))) => try_password(cx, directory, slot, given),
        Ok(Ok(Request::Quit(_))) => {
            cx.notify(slot, Notice::Goodbye {});
            cx.room_of(slot).drain(slot, Ending::Quit);
        }
        _ => {
            cx.strangers.sent(slot, STRANGER_LINE_BYTES);
            cx.refuse_line(slot, Refusal::PasswordFirst {});
        }
    }
}

fn try_password(cx: &mut Context<'_>, directory: &mut Directory, slot: u32, given: &str) {
    let Some(origin) = cx.strangers.origin(slot) else {
        return;
    };
    cx.totals.work += HASH_WORK + HASH_BYTE_WORK * given.len() as u64;
    let strangers = &mut *cx.strangers;
    let Some(password) = &strangers.password else {
        return admit(cx, directory, slot);
    };
    if !strangers.tries.may_try(cx.now, origin) {
        return close(cx, slot, Refusal::TooManyPasswords {});
    }
    if password.is(&Secret::of(given)) {
        admit(cx, directory, slot);
        cx.warn_if_overheard(slot);
    } else {
        strangers.tries.was_wrong(cx.now, origin);
        cx.totals.wrong_secrets += 1;
        cx.refuse_line(slot, Refusal::WrongPassword {});
    }
}

/// A stranger is one no more: it is greeted as any newcomer.
fn admit(cx: &mut Context<'_>, directory: &mut Directory, slot: u32) {
    cx.strangers.remove(slot);
    membership::leave(cx, slot);
    let (name, known) = renaming::name_newcomer(cx, directory, slot);
    let client = &mut cx.clients[slot as usize];
    client.role = Role::Person;
    client.name = Some(name);
    membership::enter(cx, slot, Rooms::first(Role::Person));
    cx.totals.work += MOVE_WORK;
    let welcome = &cx.limits.welcome;
    handlers::greet(&mut cx.room_of(slot), slot, welcome);
    telling::came(cx, slot);
    renaming::greeted(cx, slot, known);
}

/// When [`tick`] is to look at a stranger again.
pub fn due(cx: &Context<'_>, slot: u32) -> Option<Now> {
    let due = cx.strangers.due(slot)?;
    // If its time is over, something that it has sent is still to be read.
    Some(match due <= cx.now {
        true => cx.now.after(STRANGER_UNREAD_US),
        false => due,
    })
}

/// The time of a stranger is over, if it is. Nobody is waited for who is asked no more.
pub fn tick(cx: &mut Context<'_>, directory: &mut Directory, slot: u32) {
    if cx.strangers.due(slot).is_none_or(|due| due > cx.now) {
        return;
    }
    let id = cx.clients[slot as usize].id(slot);
    if cx.strangers.password.is_none() {
        admit(cx, directory, slot);
    } else if !cx.schedule.is_read_queued(id) {
        let seconds = SECONDS;
        close(cx, slot, Refusal::NoPassword { seconds });
    }
}

fn close_talkative(cx: &mut Context<'_>, slot: u32) {
    let bytes_max = STRANGER_BYTES_MAX;
    close(cx, slot, Refusal::TooMuchFirst { bytes_max });
}

/// Closes the connection of a stranger, and says why. It is a stranger no more that could make place.
fn close(cx: &mut Context<'_>, slot: u32, why: Refusal<'_>) {
    if cx.clients[slot as usize].is_closing() {
        return;
    }
    cx.strangers.leave(slot);
    cx.refuse(slot, why);
    cx.room_of(slot).drain(slot, Ending::NoPassword);
}
