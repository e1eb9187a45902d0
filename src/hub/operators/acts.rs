//! What is done to one client, and what its operator is told. Looks for nobody.

use super::jobs::Act;
use super::state::{Drain, Operators};
use crate::hub::client;
use crate::hub::client::Role;
use crate::hub::context::Context;
use crate::hub::requests::Request;
use crate::hub::schedule::{Place, Timer};
use crate::hub::types::{ConnId, Ending};
use crate::protocol::{NONE, Notice, Refusal, span};

/// Tells an operator something, if it is still there.
pub fn tell(cx: &mut Context<'_>, by: ConnId, notice: Notice<'_>) {
    if client::find(cx.clients, by).is_some() {
        cx.notify(by.slot(), notice);
    }
}

/// Tells an operator why something is not done, if it is still there.
pub fn refuse(cx: &mut Context<'_>, by: ConnId, refusal: Refusal<'_>) {
    if client::find(cx.clients, by).is_some() {
        cx.refuse(by.slot(), refusal);
    }
}

/// The answer to an operator's command is out: its next input is handled.
pub fn finish(cx: &mut Context<'_>, by: ConnId) {
    if client::find(cx.clients, by).is_some() {
        cx.room_of(by.slot()).wake(by.slot(), Place::Last);
    }
}

/// The name of a client, if it is still there and has one.
pub fn name_of(cx: &mut Context<'_>, id: ConnId) -> String {
    let client = client::find(cx.clients, id);
    let name = client.and_then(|client| client.name.as_ref());
    name.map_or_else(|| NONE.into(), ToString::to_string)
}

/// Notes for the log what an operator has done.
pub fn note(cx: &mut Context<'_>, by: ConnId, what: String) {
    let name = name_of(cx, by);
    cx.operators.note(by, &name, what);
}

/// What a client is called: by its name, or by its number.
pub fn label(cx: &mut Context<'_>, id: ConnId) -> String {
    match &*name_of(cx, id) {
        NONE => format!("#{}", id.serial()),
        name => name.into(),
    }
}

/// Does something to a client.
pub fn act(cx: &mut Context<'_>, by: ConnId, target: ConnId, act: &Act) {
    let who = &*label(cx, target);
    let Some(client) = client::find(cx.clients, target) else {
        return refuse(cx, by, Refusal::NoSuchClient { who });
    };
    if client.is_closing() {
        return refuse(cx, by, Refusal::IsLeaving { who });
    }
    if target == by {
        return refuse(cx, by, Refusal::ThatIsYou {});
    }
    let role = client.role;
    match act {
        Act::Kick(_) if role == Role::Console => refuse(cx, by, Refusal::IsOperator { who }),
        Act::Kick(why) => kick(cx, by, target, who, why),
        Act::Mute(_) if role.is_operator() => refuse(cx, by, Refusal::IsOperator { who }),
        Act::Mute(seconds) => mute(cx, by, target, who, *seconds),
        Act::Unmute => unmute(cx, by, target, who),
    }
}

fn kick(cx: &mut Context<'_>, by: ConnId, target: ConnId, who: &str, why: &str) {
    let refusal = match why {
        "" => Refusal::Kicked {},
        why => Refusal::KickedWhy { why },
    };
    close(cx, target.slot(), refusal, Ending::Kicked);
    tell(cx, by, Notice::Kicked { who });
    note(
        cx,
        by,
        format!(
            "kicked {who} (connection {}){}",
            target.serial(),
            reason(why)
        ),
    );
}

/// Tells a client why it is closed, and closes it.
pub fn close(cx: &mut Context<'_>, slot: u32, refusal: Refusal<'_>, why: Ending) {
    let mut view = cx.room_of(slot);
    view.refuse(slot, refusal);
    view.drain(slot, why);
}

/// A reason at the end of a line.
pub fn reason(why: &str) -> String {
    match why {
        "" => String::new(),
        why => format!(": {why}"),
    }
}

fn mute(cx: &mut Context<'_>, by: ConnId, target: ConnId, who: &str, seconds: Option<u64>) {
    let slot = target.slot();
    if cx.operators.mutes.is_full() && cx.operators.mutes.get(slot).is_none() {
        let clients_max = crate::hub::limits::MUTES_MAX;
        return refuse(cx, by, Refusal::MutesFull { clients_max });
    }
    let due = seconds.map(|seconds| cx.now.after(seconds * 1_000_000));
    cx.operators.mutes.insert(slot, due);
    arm(cx);
    let ends = &*span::ends(seconds);
    cx.notify(slot, Notice::YouAreMuted { ends });
    tell(cx, by, Notice::Muted { who, ends });
    note(
        cx,
        by,
        format!("muted {who} (connection {}), ends {ends}", target.serial()),
    );
}

fn unmute(cx: &mut Context<'_>, by: ConnId, target: ConnId, who: &str) {
    if !cx.operators.mutes.remove(target.slot()) {
        return refuse(cx, by, Refusal::NotMuted { who });
    }
    cx.notify(target.slot(), Notice::YouMaySpeak {});
    tell(cx, by, Notice::Unmuted { who });
    note(
        cx,
        by,
        format!("unmuted {who} (connection {})", target.serial()),
    );
}

/// Arms the timer for the next ban or mute that ends.
pub fn arm(cx: &mut Context<'_>) {
    if let Some(due) = cx.operators.deadline() {
        cx.schedule.arm(Timer::Operators, due);
    }
}

/// The timer has rung: one ban or one mute ends.
pub fn expire(cx: &mut Context<'_>) {
    if let Some(range) = cx.operators.bans.expire_one(cx.now) {
        // If it stays where it is stored it has ended there too: by its time.
        cx.operators.jobs.ask(super::jobs::Job::erase(range));
    } else if let Some(slot) = cx.operators.mutes.expire_one(cx.now) {
        cx.notify(slot, Notice::YouMaySpeak {});
    }
    arm(cx);
}

/// After `/drain`: asks the driver to end the server, once, if only operators are left of so many clients.
pub fn end_if_drained(operators: &mut Operators, clients: usize) {
    if operators.drain == Drain::Begun && clients == operators.connected {
        operators.drain = Drain::Over;
        operators.jobs.ask(Request::Shutdown);
    }
}
