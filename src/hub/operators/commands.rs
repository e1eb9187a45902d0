//! One function for each command of operators: does it, or begins the job that does. Its words are in
//! [`protocol`](crate::protocol).

use super::acts::{self, act};
use super::bans::Ban;
use super::jobs::{self, Act, Banned, Job, Whom};
use super::range::Range;
use super::state::Drain;
use crate::hub::client::Block;
use crate::hub::cluster::people::is_elsewhere;
use crate::hub::context::Context;
use crate::hub::directory::Directory;
use crate::hub::input::operation::{self, Filter, Invalid, Operation, Place, Target};
use crate::hub::input::text::Text;
use crate::hub::limits::{LIST_WORK, WHY_BYTES_MAX};
use crate::hub::name;
use crate::hub::requests::Request;
use crate::hub::types::ConnId;
use crate::protocol::{Notice, Refusal};

/// Handles a command of operators, from any client.
pub fn handle(
    cx: &mut Context<'_>,
    directory: &Directory,
    slot: u32,
    word: &'static str,
    arguments: &str,
) {
    if !cx.clients[slot as usize].is_operator() {
        let word = &*format!("/{word}");
        return cx.refuse_line(slot, Refusal::OnlyOperators { word });
    }
    match operation::parse(word, arguments) {
        Ok(operation) => operate(cx, directory, slot, operation),
        Err(Invalid::Usage(usage)) => cx.refuse_line(slot, Refusal::Usage { usage }),
        Err(Invalid::Range(text)) => {
            let text = &*Text::of(text).to_string();
            cx.refuse_line(slot, Refusal::RangeInvalid { text });
        }
        Err(Invalid::Span(text)) => {
            let text = &*Text::of(text).to_string();
            cx.refuse_line(slot, Refusal::SpanInvalid { text });
        }
    }
}

fn operate(cx: &mut Context<'_>, directory: &Directory, slot: u32, operation: Operation<'_>) {
    cx.totals.work += LIST_WORK;
    let by = cx.clients[slot as usize].id(slot);
    match operation {
        Operation::Clients(filter) => clients(cx, directory, by, filter),
        Operation::Kick(target, why) => {
            if let Some(why) = checked_why(cx, by, why) {
                find(cx, directory, by, target, Act::Kick(why));
            }
        }
        Operation::Mute(target, seconds) => find(cx, directory, by, target, Act::Mute(seconds)),
        Operation::Unmute(target) => find(cx, directory, by, target, Act::Unmute),
        Operation::Ban(place, seconds, why) => ban(cx, directory, by, place, seconds, why),
        Operation::Unban(range) => unban(cx, by, range),
        Operation::Bans => begin(cx, by, |_| Job::Bans(None, 0)),
        Operation::Say(text) => say(cx, by, text),
        Operation::Stats => ask(cx, by, Request::Statistics),
        Operation::Reload => ask(cx, by, Request::Reload),
        Operation::Shutdown => {
            acts::note(cx, by, "shuts the server down".into());
            ask(cx, by, Request::Shutdown);
        }
        Operation::Drain => drain(cx, by),
    }
}

/// Begins a job, if there is a place for it: the operator's input waits for its end.
fn begin(cx: &mut Context<'_>, by: ConnId, job: impl FnOnce(&mut Context<'_>) -> Job) {
    if cx.operators.jobs.is_full() {
        return cx.refuse(by.slot(), Refusal::TooManyCommands {});
    }
    let job = job(cx);
    cx.operators.jobs.push(by, job);
    cx.clients[by.slot() as usize].block(Block::Answer);
}

/// Asks the driver, if there is a place for the job that waits for the answer.
fn ask(cx: &mut Context<'_>, by: ConnId, request: Request) {
    if cx.operators.jobs.is_full() {
        return cx.refuse(by.slot(), Refusal::TooManyCommands {});
    }
    cx.operators.jobs.push_for_answer(by, request, Job::Ask);
    cx.clients[by.slot() as usize].block(Block::Answer);
}

/// The client of this name; its operator is told if there is none.
fn find_name(
    cx: &mut Context<'_>,
    directory: &Directory,
    by: ConnId,
    name: &str,
) -> Option<ConnId> {
    cx.totals.work += name::work(name);
    let Some(slot) = directory.find(name) else {
        let who = &*Text::of(name).to_string();
        cx.refuse(by.slot(), Refusal::NoSuchClient { who });
        return None;
    };
    if is_elsewhere(slot) {
        // Its own server can act on it.
        let who = &*Text::of(name).to_string();
        cx.refuse(by.slot(), Refusal::IsElsewhere { who });
        return None;
    }
    Some(cx.clients[slot as usize].id(slot))
}

/// Does something to a client: at once if it is called by its name.
fn find(cx: &mut Context<'_>, directory: &Directory, by: ConnId, target: Target<'_>, what: Act) {
    let whom = match target {
        Target::Name(name) => {
            if let Some(target) = find_name(cx, directory, by, name) {
                act(cx, by, target, &what);
            }
            return;
        }
        Target::Address(address) => Whom::Address(address),
        Target::Number(number) => Whom::Number(number),
    };
    begin(cx, by, |_| Job::Find(whom, 0, what));
}

/// A reason as it may be shown, if it is not too long.
fn checked_why(cx: &mut Context<'_>, by: ConnId, why: &str) -> Option<Box<str>> {
    let why = Text::of(why).to_string();
    if why.len() > WHY_BYTES_MAX {
        let bytes_max = WHY_BYTES_MAX;
        cx.refuse(by.slot(), Refusal::WhyTooLong { bytes_max });
        return None;
    }
    Some(why.into())
}

/// `/clients`
fn clients(cx: &mut Context<'_>, directory: &Directory, by: ConnId, filter: Filter<'_>) {
    let filter = match filter {
        Filter::All => jobs::Filter::All,
        Filter::Slow => jobs::Filter::Slow,
        Filter::From(Place::Range(range)) => jobs::Filter::From(range),
        Filter::From(Place::Of(name)) => match find_name(cx, directory, by, name) {
            Some(id) => jobs::Filter::FromAddressOf(id),
            None => return,
        },
    };
    let (slot, listed) = (0, 0);
    begin(cx, by, |_| Job::Clients {
        filter,
        slot,
        listed,
    });
}

/// `/ban`
fn ban(
    cx: &mut Context<'_>,
    directory: &Directory,
    by: ConnId,
    place: Place<'_>,
    seconds: Option<u64>,
    why: &str,
) {
    let Some(why) = checked_why(cx, by, why) else {
        return;
    };
    let banned = match place {
        Place::Range(range) if range.is_all() => {
            let range = &*range.to_string();
            return cx.refuse(by.slot(), Refusal::RangeIsAll { range });
        }
        Place::Range(range) => Banned::Range(range),
        Place::Of(name) => match find_name(cx, directory, by, name) {
            Some(id) if id == by => return cx.refuse(by.slot(), Refusal::ThatIsYou {}),
            Some(id) => Banned::AddressOf(id),
            None => return,
        },
    };
    begin(cx, by, |cx| {
        let ban = Ban {
            ends: seconds.map(|seconds| cx.now.after(seconds * 1_000_000)),
            by: acts::name_of(cx, by).into(),
            why,
            hits: 0,
        };
        Job::Ban(banned, ban)
    });
}

/// `/unban`
fn unban(cx: &mut Context<'_>, by: ConnId, range: Range) {
    if cx.operators.bans.get(range).is_none() {
        let range = &*range.to_string();
        return cx.refuse(by.slot(), Refusal::NotBanned { range });
    }
    if cx.operators.jobs.is_full() {
        return cx.refuse(by.slot(), Refusal::TooManyCommands {});
    }
    let request = Job::erase(range);
    cx.operators
        .jobs
        .push_for_answer(by, request, Job::Unban(range));
    cx.clients[by.slot() as usize].block(Block::Answer);
}

/// `/say`
fn say(cx: &mut Context<'_>, by: ConnId, text: &str) {
    let text = Text::of(text).to_string();
    begin(cx, by, |cx| {
        acts::note(cx, by, format!("says to all rooms: {text}"));
        Job::Say {
            text: text.into(),
            room: 0,
            heard: 0,
            full: 0,
        }
    });
}

/// `/drain`
fn drain(cx: &mut Context<'_>, by: ConnId) {
    let clients = cx.clients.len() - cx.operators.connected;
    cx.notify(by.slot(), Notice::Draining { clients });
    if cx.operators.drain == Drain::None {
        cx.operators.drain = Drain::Begun;
        acts::note(cx, by, format!("drains the server of {clients} clients"));
    }
    acts::end_if_drained(cx.operators, cx.clients.len());
}
