//! Answers to scripts, read. Anything else than what the scripts beside this file answer is `None`. Opens no socket.

use super::entries::Id;
use super::lanes::Opened;
use super::value::Value;
use crate::hub::link::contract::Outcome;

/// What is said of a server whose answer is none to what it was asked.
pub const NONSENSE: &str = "its answer makes no sense";

/// The answer of `open.lua`.
pub fn opened(value: &Value) -> Option<Opened> {
    let [world, last, sequence, after, ..] = value.elements() else {
        return None;
    };
    Some(Opened {
        world: world.text()?.to_owned(),
        last: id(last)?,
        sequence: sequence.number()?,
        after: id(after)?,
    })
}

/// What `open.lua` answers more in the directory: the node's number, and others with their incarnations.
pub fn attached(value: &Value) -> Option<(u16, Vec<(u16, u64)>)> {
    let (node, others) = value.elements().get(4..)?.split_first()?;
    let other = |pair: &[Value]| {
        let number = u16::try_from(pair[0].number()?).ok()?;
        Some((number, u64::from_str_radix(pair.get(1)?.text()?, 16).ok()?))
    };
    let others: Option<Vec<_>> = others.chunks(2).map(other).collect();
    Some((u16::try_from(node.number()?).ok()?, others?))
}

/// The answer of `append.lua` and `close.lua`.
pub fn outcome(value: &Value) -> Option<Outcome> {
    match value.text()? {
        "APPENDED" => Some(Outcome::Appended),
        "REPEATED" => Some(Outcome::Repeated),
        "FENCED" => Some(Outcome::Fenced),
        _ => None,
    }
}

/// The answer of `ends.lua`: the world, and the last id.
pub fn ends(value: &Value) -> Option<(&str, Id)> {
    match value.elements() {
        [world, last] => Some((world.text()?, id(last)?)),
        _ => None,
    }
}

/// The answer to ROLE: if it is a replica, of whom.
pub fn primary_of_replica(value: &Value) -> Option<String> {
    match value.elements() {
        [role, host, port, ..] if role.text() == Some("slave") => {
            Some(format!("{}:{}", host.text()?, port.number()?))
        }
        _ => None,
    }
}

fn id(value: &Value) -> Option<Id> {
    match value {
        Value::Text(bytes) => Id::parse(bytes),
        _ => None,
    }
}
