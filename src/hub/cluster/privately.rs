//! Private lines between nodes: sent through the lane of their sender's room, so that they keep their place behind what was
//! said before; held until all lanes have been read to the same moment, since what was said before may be in another lane.

use super::people::is_elsewhere;
use super::telling;
use super::{Cluster, Held, PRIVATE_US, Waiting};
use crate::hub::context::Context;
use crate::hub::delivery::{offer, refusal_of};
use crate::hub::input::text::Text;
use crate::hub::link::contract::Lane;
use crate::hub::link::item::{Delivery, PersonId};
use crate::hub::schedule::Place;
use crate::protocol::{self, Refusal};

/// Private lines that are held at most; with one more, all are delivered.
const HELD_MAX: usize = 4096;

/// `/msg` to a person on whatever node: its sender waits for what becomes of it.
pub fn send(cx: &mut Context<'_>, slot: u32, target: u32, text: Text<'_>) {
    let Some(cluster) = cx.cluster.as_deref_mut() else {
        return;
    };
    let client = &cx.clients[slot as usize];
    let (to, name) = if is_elsewhere(target) {
        match cluster.people.get(target) {
            Some(person) if person.id.node != cluster.link.node() => (person.id, &person.name),
            // It has left this node.
            Some(person) => {
                let name = &*person.name.to_string();
                return cx.refuse(slot, Refusal::NobodyCalled { name });
            }
            None => return,
        }
    } else {
        let receiver = &cx.clients[target as usize];
        let Some(name) = &receiver.name else { return };
        (cluster.id(receiver.id(target)), name)
    };
    let Some(from) = &client.name else { return };
    let (mut received, mut confirmation) = (Vec::new(), Vec::new());
    protocol::received(&mut received, from, &text);
    protocol::confirmed(&mut confirmation, name, &text);
    cx.totals.work += 2 * text.as_sent().len() as u64;
    if !(cluster.is_up() && cluster.knows(slot)) {
        return cx.refuse(slot, Refusal::LineNotNow {});
    }
    let name = name.to_string().into();
    let connection = client.id(slot).to_token() as u64;
    let room = telling::room_of_lane(client.room);
    let room = &*cx.rooms.get(room).name;
    cluster.link.private(room, connection, to, &received);
    let until = cx.now.after(PRIVATE_US);
    let what = Waiting::Private {
        to,
        name,
        confirmation,
        until,
    };
    cluster.wait(cx.clients, slot, what);
    cluster
        .private_until
        .push_back((until, cx.clients[slot as usize].id(slot)));
}

/// A client has waited long enough for what has become of its private line. False: none has.
pub fn give_up_one(cx: &mut Context<'_>) -> bool {
    let Some(cluster) = cx.cluster.as_deref_mut() else {
        return false;
    };
    let due = cluster
        .private_until
        .pop_front_if(|(until, _)| *until <= cx.now);
    let Some((until, id)) = due else {
        return false;
    };
    let slot = id.slot();
    let is_same = match cluster.waiting.get(&slot) {
        Some(Waiting::Private { until: of, .. }) => *of == until,
        _ => false,
    };
    if is_same {
        refuse_unknown(cx, slot);
    }
    true
}

/// Nobody knows what has become of the private line of a client.
pub fn refuse_unknown(cx: &mut Context<'_>, slot: u32) {
    let waiting = cx
        .cluster
        .as_deref_mut()
        .and_then(|it| it.waiting.remove(&slot));
    if let Some(Waiting::Private { name, .. }) = waiting {
        cx.refuse(slot, Refusal::PerhapsNotSent { name: &name });
        cx.room_of(slot).wake(slot, Place::Last);
    }
}

/// A private line has come from its lane. Held if it is for a client of this node.
pub fn hold(
    cx: &mut Context<'_>,
    lane: Lane,
    (from, of): (PersonId, u64),
    to: PersonId,
    received: &[u8],
) {
    let Some(cluster) = cx.cluster.as_deref_mut() else {
        return;
    };
    if to.node != cluster.link.node() {
        return;
    }
    let (to, line) = (to.connection, received.to_vec());
    cluster.held.push_back(Held {
        lane,
        from,
        of,
        to,
        line,
    });
    if cluster.held.len() > HELD_MAX {
        deliver_held(cx);
    }
}

/// All lanes have been read to the same moment.
pub fn deliver_held(cx: &mut Context<'_>) {
    while let Some(held) = cx
        .cluster
        .as_deref_mut()
        .and_then(|cluster| cluster.held.pop_front())
    {
        let outcome = deliver(cx, &held);
        if let Some(cluster) = cx.cluster.as_deref_mut() {
            cluster
                .link
                .private_outcome(held.lane, held.from, held.of, outcome);
        }
    }
}

fn deliver(cx: &mut Context<'_>, held: &Held) -> Delivery {
    let Some(target) = Cluster::client(cx.clients, held.to) else {
        return Delivery::Gone;
    };
    let Some(cluster) = cx.cluster.as_deref() else {
        return Delivery::Gone;
    };
    let from = match held.from.node == cluster.link.node() {
        true => Cluster::client(cx.clients, held.from.connection),
        false => cluster.people.find(held.from),
    };
    // Its sender may have left since: it was sent all the same.
    let from = from.unwrap_or(u32::MAX);
    cx.totals.work += held.line.len() as u64;
    offer(cx, from, target, |out| out.extend_from_slice(&held.line))
}

/// What has become of a private line of a client of this node.
pub fn outcome(cx: &mut Context<'_>, from: u64, outcome: Delivery) {
    let Some(slot) = Cluster::client(cx.clients, from) else {
        return;
    };
    let Some(cluster) = cx.cluster.as_deref_mut() else {
        return;
    };
    if !matches!(cluster.waiting.get(&slot), Some(Waiting::Private { .. })) {
        return;
    }
    let Some(Waiting::Private {
        name, confirmation, ..
    }) = cluster.waiting.remove(&slot)
    else {
        return;
    };
    match refusal_of(outcome, &name) {
        Some(refusal) => cx.refuse(slot, refusal),
        None => cx.clients[slot as usize].write_private(slot, 0, cx.schedule, |out| {
            out.extend_from_slice(&confirmation);
        }),
    }
    cx.room_of(slot).wake(slot, Place::Last);
}

/// A node has gone: nobody knows what has become of private lines for its people.
pub fn node_lost(cx: &mut Context<'_>, node: u16) {
    let Some(cluster) = cx.cluster.as_deref() else {
        return;
    };
    let lost = cluster
        .waiting
        .iter()
        .filter(|(_, what)| matches!(what, Waiting::Private { to, .. } if to.node == node));
    let lost: Vec<u32> = lost.map(|(&slot, _)| slot).collect();
    for slot in lost {
        let from = cx.clients[slot as usize].id(slot).to_token() as u64;
        outcome(cx, from, Delivery::Gone);
    }
}
