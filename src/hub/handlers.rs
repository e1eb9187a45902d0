//! What each item of a client's input does: one function a command. Writes no words of its own: every line of the server's
//! is in [`protocol`].

use super::announcements;
use super::client::{Destination, Role};
use super::cluster::telling;
use super::context::Context;
use super::directory::Directory;
use super::input::Item;
use super::input::command::{self, Invalid, Request};
use super::input::text::{NotUtf8, Text};
use super::limits::{HalfClose, RENDER_BYTES_EXTRA, RENDER_GROWTH_MAX};
use super::lists;
use super::locks;
use super::membership;
use super::name;
use super::operators;
use super::operators::state::seconds_left;
use super::people;
use super::private;
use super::registering;
use super::renaming;
use super::room::append::append;
use super::room::view::RoomView;
use super::rooms::Rooms;
use super::secret::Secret;
use super::types::Ending;
use crate::protocol::{self, Notice, Refusal, span};
use std::ops::Range;

/// Handles one item of a client's input.
///
/// # Errors
/// It is a line that is not UTF-8. What is to be said of that depends on the client's input: see [`refuse_not_utf8`].
pub fn handle(
    cx: &mut Context<'_>,
    directory: &mut Directory,
    slot: u32,
    item: Item<'_>,
) -> Result<(), NotUtf8> {
    match item {
        Item::Line([]) => {}
        Item::Line(line) => {
            let text = Text::check(line)?;
            if cx.clients[slot as usize].role == Role::Raw {
                if cx.operators.mutes.get(slot).is_none() {
                    say(&mut cx.room_of(slot), slot, text);
                } else {
                    cx.totals.refused_lines += 1;
                }
            } else {
                handle_text(cx, directory, slot, text);
            }
        }
        Item::TooLong => {
            let bytes_max = cx.limits.line_bytes_max;
            cx.refuse_line(slot, Refusal::TooLong { bytes_max });
        }
        Item::Negotiation(answer) => {
            let client = &mut cx.clients[slot as usize];
            client.end_lines_with_crlf();
            if let Some(answer) = answer {
                client.write_private(slot, 0, cx.schedule, |out| out.extend_from_slice(&answer));
            }
        }
        Item::AreYouThere => cx.notify(slot, Notice::Yes {}),
        Item::WrongProtocol(protocol) => {
            let why = Ending::WrongProtocol(protocol);
            let protocol = &*protocol.to_string();
            cx.refuse(slot, Refusal::WrongProtocol { protocol });
            cx.room_of(slot).drain(slot, why);
        }
        Item::CutOff => cx.refuse_line(slot, Refusal::CutOff {}),
        Item::End => end(cx, slot),
    }
    Ok(())
}

/// Refuses a line that is not UTF-8; `by_telnet`: telnet may have made it so.
pub fn refuse_not_utf8(cx: &mut Context<'_>, slot: u32, error: NotUtf8, by_telnet: bool) {
    let byte = error.byte;
    let refusal = if by_telnet {
        Refusal::NotUtf8ByTelnet { byte }
    } else {
        Refusal::NotUtf8 { byte }
    };
    cx.refuse_line(slot, refusal);
}

/// Commands that servers of a cluster do not have: names and locks are known to one server.
const NOT_IN_CLUSTER: [&str; 6] = [
    "/lock",
    "/unlock",
    "/invite",
    "/register",
    "/login",
    "/unregister",
];

fn handle_text(cx: &mut Context<'_>, directory: &mut Directory, slot: u32, text: Text<'_>) {
    if cx.cluster.is_some()
        && let Some(command) = no_cluster_has(text.as_sent())
    {
        return cx.refuse_line(slot, Refusal::NotInCluster { command });
    }
    let request = match command::parse(text.as_sent()) {
        Ok(request) => match permitted(cx, slot, request) {
            Some(request) => Ok(request),
            None => return,
        },
        invalid => invalid,
    };
    match request {
        // The text has been checked already, unless a `/` was removed from it.
        Ok(Request::Say(said)) if said.len() == text.as_sent().len() => {
            say(&mut cx.room_of(slot), slot, text);
        }
        Ok(Request::Say(said)) => say(&mut cx.room_of(slot), slot, Text::of(said)),
        Ok(Request::Nick(name)) => renaming::nick(cx, directory, slot, name),
        Ok(Request::Join(room, secret)) => join(cx, slot, room, secret),
        Ok(Request::Msg(to, text)) => private::msg(cx, directory, slot, to, Text::of(text)),
        Ok(Request::Me(action)) => me(&mut cx.room_of(slot), slot, Text::of(action)),
        Ok(Request::Who(room)) => lists::who(cx, slot, room),
        Ok(Request::Rooms) => lists::rooms(cx, slot),
        Ok(Request::Help) => lists::help(&mut cx.room_of(slot), slot),
        Ok(Request::Ignore(Some(name))) => people::ignore(cx, directory, slot, name),
        Ok(Request::Ignore(None)) => people::list_ignored(cx, slot),
        Ok(Request::Unignore(name)) => people::unignore(cx, directory, slot, name),
        Ok(Request::Whois(name)) => people::whois(cx, directory, slot, name),
        Ok(Request::Pass(_)) => cx.notify(slot, Notice::NoPasswordAsked {}),
        Ok(Request::Lock(secret)) => locks::lock(cx, slot, secret),
        Ok(Request::Unlock) => locks::unlock(cx, slot),
        Ok(Request::Invite(name)) => locks::invite(cx, directory, slot, name),
        Ok(Request::Operator(word, arguments)) => {
            operators::commands::handle(cx, directory, slot, word, arguments);
        }
        Ok(Request::Register) => registering::register(cx, slot),
        Ok(Request::LogIn(name, token)) => registering::log_in(cx, slot, name, token),
        Ok(Request::Unregister(name)) => registering::unregister(cx, slot, name),
        Ok(Request::Quit(last_words)) => quit(&mut cx.room_of(slot), slot, last_words),
        Err(Invalid::Usage(usage)) => cx.refuse_line(slot, Refusal::Usage { usage }),
        Err(Invalid::Unknown(word)) => {
            let word = &*Text::of(word).to_string();
            let as_text = &*format!("/{word}");
            cx.refuse_line(
                slot,
                match command::suggest(word) {
                    Some(near) => Refusal::NearCommand {
                        word,
                        near,
                        as_text,
                    },
                    None => Refusal::UnknownCommand { word, as_text },
                },
            );
        }
    }
}

/// The command at the start of a line that servers of a cluster do not have.
fn no_cluster_has(line: &str) -> Option<&'static str> {
    let word = line.split(' ').next()?;
    NOT_IN_CLUSTER.into_iter().find(|command| *command == word)
}

/// What of a request a client may have that is in no room, or that an operator has muted. It is told what not.
fn permitted<'r>(cx: &mut Context<'_>, slot: u32, request: Request<'r>) -> Option<Request<'r>> {
    let is_in_no_room = Rooms::is_none(cx.clients[slot as usize].room);
    if !is_in_no_room && cx.operators.mutes.is_empty() {
        return Some(request);
    }
    let muted = cx.operators.mutes.get(slot);
    let ends = muted.map(|ends| span::ends(seconds_left(cx.now, ends)));
    let ends = ends.as_deref();
    let refusal = match (request, ends) {
        (Request::Say(_) | Request::Me(_) | Request::Quit(Some(_)), _) if is_in_no_room => {
            Refusal::InNoRoom {}
        }
        (Request::Lock(_) | Request::Unlock | Request::Invite(_), _) if is_in_no_room => {
            Refusal::InNoRoom {}
        }
        (Request::Who(None), _) if is_in_no_room => Refusal::WhoInNoRoom {},
        (Request::Say(_) | Request::Me(_) | Request::Quit(Some(_)), Some(ends)) => {
            Refusal::Muted { ends }
        }
        (Request::Msg(..) | Request::Invite(_), Some(ends)) => Refusal::Muted { ends },
        (Request::Nick(_) | Request::LogIn(..), Some(ends)) => Refusal::NameMuted { ends },
        _ => return Some(request),
    };
    cx.refuse_line(slot, refusal);
    matches!(request, Request::Quit(_)).then_some(Request::Quit(None))
}

/// Says a text to the room.
fn say(view: &mut RoomView<'_>, slot: u32, text: Text<'_>) {
    announcements::announce_speaker(view, slot);
    let name = view.client(slot).name.clone();
    speak(view, slot, rendered_bytes_max(text), |out| {
        protocol::said(out, name.as_ref(), &text);
    });
}

/// `/me ACTION`
fn me(view: &mut RoomView<'_>, slot: u32, text: Text<'_>) {
    let Some(name) = view.client(slot).name.clone() else {
        return;
    };
    announcements::announce_speaker(view, slot);
    speak(view, slot, rendered_bytes_max(text), |out| {
        protocol::action(out, &name, &text);
    });
}

/// Appends a client's line to the logs of all nodes.
fn speak(view: &mut RoomView<'_>, slot: u32, bytes_max: usize, render: impl FnOnce(&mut Vec<u8>)) {
    if let Some(render) = telling::say(view, slot, render) {
        let range = append(view, bytes_max, Some(slot), render);
        count_line(view, slot, range);
    }
}

/// Counts a line that has been said at `range`, and marks it if somebody ignores who has said it.
fn count_line(view: &mut RoomView<'_>, slot: u32, range: Range<u64>) {
    let client = view.client(slot);
    client.said = client.said.saturating_add(1);
    if client.outbox.is_ignored {
        people::mark(view, slot, range);
    }
    view.totals.lines += 1;
}

/// The longest line that a text can become.
fn rendered_bytes_max(text: Text<'_>) -> usize {
    RENDER_GROWTH_MAX * text.as_sent().len() + RENDER_BYTES_EXTRA
}

/// `/join ROOM [SECRET]`: at once if the old room's log has been written to the client, otherwise as soon as it has.
fn join(cx: &mut Context<'_>, slot: u32, raw: &str, secret: Option<&str>) {
    cx.totals.work += name::work(raw) + secret.map_or(0, locks::work);
    let room = match name::room_name(raw) {
        Ok(name) => name,
        Err(error) => {
            let why = &*error.to_string();
            return cx.refuse_line(slot, Refusal::RoomInvalid { why });
        }
    };
    if cx.cluster.is_some() {
        return telling::go(cx, slot, &room.name);
    }
    let secret = secret.map(Secret::of);
    go(cx, slot, Destination { room, secret });
}

/// Moves a client to a room, at once or as soon as its old room's log has been written to it.
pub fn go(cx: &mut Context<'_>, slot: u32, destination: Destination) {
    let client = &mut cx.clients[slot as usize];
    let end = cx.rooms.get(client.room).log.end();
    if client.outbox.has_delivered(end) {
        enter_room(cx, slot, destination);
    } else {
        client.begin_move(end, destination);
    }
}

/// Moves a client to a room, which is opened if it does not exist. A lock is asked now, and not when the client asked to be
/// moved: the room may have been locked since.
pub fn enter_room(cx: &mut Context<'_>, slot: u32, to: Destination) {
    let existing = cx.rooms.find(&to.room);
    if existing == Some(cx.clients[slot as usize].room) {
        let room = &*cx.rooms.get(cx.clients[slot as usize].room).name.clone();
        return cx.refuse_line(slot, Refusal::RoomIsYours { room });
    }
    if let Some(number) = existing
        && !locks::may_enter(cx, slot, number, to.secret.as_ref())
    {
        return;
    }
    let Some(number) = cx.rooms.open(to.room, cx.limits) else {
        let rooms_max = cx.limits.rooms_max;
        telling::stayed(cx, slot);
        return cx.refuse_line(slot, Refusal::RoomsFull { rooms_max });
    };
    membership::leave(cx, slot);
    membership::enter(cx, slot, number);
    let mut view = cx.room(number);
    let (room, here) = (&*view.room.name.clone(), view.room.here());
    view.notify(slot, Notice::YouAreIn { room, here });
    membership::entered(&mut view, slot);
    locks::entered(cx, slot, to.secret);
}

/// `/quit [TEXT]`
fn quit(view: &mut RoomView<'_>, slot: u32, last_words: Option<&str>) {
    if let Some(text) = last_words {
        say(view, slot, Text::of(text));
    }
    view.notify(slot, Notice::Goodbye {});
    view.drain(slot, Ending::Quit);
}

/// The peer has finished sending.
fn end(cx: &mut Context<'_>, slot: u32) {
    let client = &mut cx.clients[slot as usize];
    if cx.limits.half_close == HalfClose::Keep && client.role != Role::Console {
        client.receive_only();
    } else {
        cx.room_of(slot).drain(slot, Ending::EndOfInput);
    }
}

/// Greets a newcomer, after these lines.
pub fn greet(view: &mut RoomView<'_>, slot: u32, welcome: &str) {
    let Some(name) = view.client(slot).name.as_ref().map(ToString::to_string) else {
        return;
    };
    if Rooms::is_none(view.number) {
        return view.notify(slot, Notice::GreetingInNoRoom { name: &name });
    }
    for line in welcome.lines() {
        view.notify(slot, Notice::Other(&Text::of(line).to_string()));
    }
    let (room, here) = (&*view.room.name.clone(), view.room.here());
    let name = &*name;
    view.notify(slot, Notice::Greeting { name, room, here });
    membership::entered(view, slot);
}
