//! One step of each job, and what follows an answer of the driver. A step is short: what looks at many clients or rooms
//! looks at a few of them.

use super::acts::{self, refuse, tell};
use super::bans::Ban;
use super::jobs::{Act, Banned, Job, Sweep, Whom};
use super::listing;
use super::range::Range;
use super::state::seconds_left;
use crate::hub::client;
use crate::hub::context::Context;
use crate::hub::limits::{BANS_MAX, LIST_BYTES_MARK, NOTICE_WORK, SLOTS_A_STEP};
use crate::hub::requests::Answer;
use crate::hub::room::append::append;
use crate::hub::types::{ConnId, Ending, Peers};
use crate::protocol::{Notice, Refusal, span};
use std::collections::VecDeque;

/// Does one step of a job.
pub fn step(cx: &mut Context<'_>, peers: &mut dyn Peers, by: ConnId, job: Job) {
    match job {
        Job::Find(whom, slot, act) => find(cx, peers, by, (whom, slot, act)),
        Job::Ban(banned, ban) => begin_ban(cx, peers, by, banned, ban),
        Job::CloseBanned(sweep) => close_banned(cx, peers, by, sweep),
        Job::Say {
            text,
            room,
            heard,
            full,
        } => say(cx, by, (text, room), (heard, full)),
        Job::Clients { .. } | Job::Bans(..) | Job::Tell(_) if !has_space(cx, by) => {
            cx.operators.jobs.push_for_output(by, job);
        }
        Job::Clients {
            filter,
            slot,
            listed,
        } => listing::clients(cx, peers, by, (filter, slot, listed)),
        Job::Bans(after, listed) => listing::bans(cx, by, after, listed),
        Job::Tell(lines) => tell_next(cx, by, lines),
        // These wait for an answer, never for a turn.
        Job::Store(..) | Job::Unban(_) | Job::Ask => {}
    }
}

/// Whether an operator takes another part of a list. One that has left does, and its list ends.
fn has_space(cx: &mut Context<'_>, by: ConnId) -> bool {
    let client = client::find(cx.clients, by);
    client.is_none_or(|client| client.outbox.reply_bytes() <= LIST_BYTES_MARK)
}

/// Looks for a client in the next few slots.
fn find(cx: &mut Context<'_>, peers: &mut dyn Peers, by: ConnId, job: (Whom, u32, Act)) {
    let (whom, from, act) = job;
    let slots = cx.clients.capacity() as u32;
    let until = slots.min(from + SLOTS_A_STEP);
    cx.totals.work += u64::from(SLOTS_A_STEP);
    let is_it = |id: ConnId, peers: &mut dyn Peers| match whom {
        Whom::Number(number) => id.serial() == number,
        Whom::Address(address) => peers.address(id).is_some_and(|of| {
            (of.ip().to_canonical(), of.port()) == (address.ip().to_canonical(), address.port())
        }),
    };
    for slot in from..until {
        let client = cx.clients.get(slot as usize);
        if let Some(id) = client.map(|client| client.id(slot))
            && is_it(id, peers)
        {
            acts::act(cx, by, id, &act);
            return acts::finish(cx, by);
        }
    }
    if until < slots {
        return cx.operators.jobs.push(by, Job::Find(whom, until, act));
    }
    let who = &*match whom {
        Whom::Number(number) => format!("#{number}"),
        Whom::Address(address) => address.to_string(),
    };
    refuse(cx, by, Refusal::NoSuchClient { who });
    acts::finish(cx, by);
}

/// Checks what is to be banned, and has it stored.
fn begin_ban(cx: &mut Context<'_>, peers: &mut dyn Peers, by: ConnId, banned: Banned, ban: Ban) {
    match checked_range(cx, peers, by, banned) {
        Some(range) => {
            let request = Job::store(range, &ban, cx.operators.epoch_us);
            let job = Job::Store(range, ban);
            cx.operators.jobs.push_for_answer(by, request, job);
        }
        None => acts::finish(cx, by),
    }
}

/// The range that is to be banned, if it may be; otherwise the operator is told why not.
fn checked_range(
    cx: &mut Context<'_>,
    peers: &mut dyn Peers,
    by: ConnId,
    banned: Banned,
) -> Option<Range> {
    let range = match banned {
        Banned::Range(range) => range,
        Banned::AddressOf(id) => match peers.address(id) {
            Some(address) => Range::of(address.ip()),
            None => {
                let who = &*acts::label(cx, id);
                refuse(cx, by, Refusal::HasNoAddress { who });
                return None;
            }
        },
    };
    let own = peers.address(by);
    if own.is_some_and(|own| range.contains(own.ip())) {
        let range = &*range.to_string();
        refuse(cx, by, Refusal::RangeIsYours { range });
        return None;
    }
    let bans = &cx.operators.bans;
    if bans.get(range).is_none() && bans.len() + cx.operators.jobs.bans() >= BANS_MAX {
        let bans_max = BANS_MAX;
        refuse(cx, by, Refusal::BansFull { bans_max });
        return None;
    }
    Some(range)
}

/// Closes the clients of a banned range in the next few slots. Operators stay.
fn close_banned(cx: &mut Context<'_>, peers: &mut dyn Peers, by: ConnId, mut sweep: Sweep) {
    let (slots, range) = (cx.clients.capacity() as u32, sweep.range);
    let until = slots.min(sweep.slot + SLOTS_A_STEP);
    cx.totals.work += u64::from(SLOTS_A_STEP);
    let ban = cx.operators.bans.get(range).cloned();
    let ends = span::ends(seconds_left(cx.now, ban.as_ref().and_then(|ban| ban.ends)));
    if let Some(ban) = &ban {
        for slot in sweep.slot..until {
            let Some(client) = cx.clients.get(slot as usize) else {
                continue;
            };
            let (id, may_stay) = (client.id(slot), client.is_operator() || client.is_closing());
            if !may_stay && peers.address(id).is_some_and(|it| range.contains(it.ip())) {
                acts::close(cx, slot, refusal(&ends, &ban.why), Ending::Banned);
                sweep.closed += 1;
            }
        }
        sweep.slot = until;
        if until < slots {
            return cx.operators.jobs.push(by, Job::CloseBanned(sweep));
        }
    }
    // Without a ban it has been lifted meanwhile.
    let (range, ends, closed) = (&*range.to_string(), &*ends, sweep.closed);
    let notice = match sweep.is_kept {
        true => Notice::Banned {
            range,
            ends,
            closed,
        },
        false => Notice::BannedUntilEnd {
            range,
            ends,
            closed,
        },
    };
    tell(cx, by, notice);
    acts::finish(cx, by);
}

/// What a banned client is told.
pub fn refusal<'a>(ends: &'a str, why: &'a str) -> Refusal<'a> {
    match why {
        "" => Refusal::Banned { ends },
        why => Refusal::BannedWhy { ends, why },
    }
}

/// Says a text to the next room.
fn say(cx: &mut Context<'_>, by: ConnId, next: (Box<str>, u32), told: (usize, usize)) {
    let ((text, from), (mut heard, mut full)) = (next, told);
    cx.totals.work += NOTICE_WORK;
    let Some(number) = cx.rooms.next_occupied(from) else {
        let notice = match full {
            0 => Notice::Announced { rooms: heard },
            full => Notice::AnnouncedInPart { rooms: heard, full },
        };
        tell(cx, by, notice);
        return acts::finish(cx, by);
    };
    let mut view = cx.room(number);
    view.room.observe(view.now, view.limits);
    if view.room.gate.is_full() {
        // Its members would lose lines to make space for this one.
        full += 1;
    } else {
        let mut line = Vec::new();
        Notice::Announcement { text: &text }.write(&mut line);
        append(&mut view, line.len(), None, |out| {
            out.extend_from_slice(&line)
        });
        heard += 1;
    }
    let room = number + 1;
    let job = Job::Say {
        text,
        room,
        heard,
        full,
    };
    cx.operators.jobs.push(by, job);
}

fn tell_next(cx: &mut Context<'_>, by: ConnId, mut lines: VecDeque<Box<str>>) {
    match lines.pop_front() {
        Some(line) => {
            tell_line(cx, by, &line);
            cx.operators.jobs.push(by, Job::Tell(lines));
        }
        None => acts::finish(cx, by),
    }
}

/// Tells an operator a line of the driver's, which begins with `!` if it is a refusal.
fn tell_line(cx: &mut Context<'_>, by: ConnId, line: &str) {
    match line.strip_prefix('!') {
        Some(why) => refuse(cx, by, Refusal::NotDone { why }),
        None => tell(cx, by, Notice::Other(line)),
    }
}

/// The driver has answered the request of a job.
pub fn answered(cx: &mut Context<'_>, by: ConnId, job: Job, answer: Answer) {
    if let Answer::Refused(lines) = answer {
        let lines = lines.iter().map(|line| format!("!{line}").into());
        return cx.operators.jobs.push(by, Job::Tell(lines.collect()));
    }
    match job {
        Job::Store(range, ban) => {
            let ends = span::ends(seconds_left(cx.now, ban.ends));
            let why = acts::reason(&ban.why);
            cx.operators.bans.insert(range, ban);
            acts::arm(cx);
            acts::note(cx, by, format!("banned {range}, ends {ends}{why}"));
            let is_kept = answer != Answer::NotKept;
            cx.operators.jobs.push(
                by,
                Job::CloseBanned(Sweep {
                    range,
                    is_kept,
                    slot: 0,
                    closed: 0,
                }),
            );
        }
        Job::Unban(range) => {
            cx.operators.bans.remove(range);
            acts::note(cx, by, format!("unbanned {range}"));
            let range = &*range.to_string();
            tell(cx, by, Notice::Unbanned { range });
            acts::finish(cx, by);
        }
        _ => told(cx, by, answer),
    }
}

/// The driver's answer is for the operator itself.
fn told(cx: &mut Context<'_>, by: ConnId, answer: Answer) {
    let lines = match answer {
        Answer::Lines(lines) => lines,
        Answer::Figures(figures) => {
            let line = |(figure, value): (String, String)| {
                let (figure, value) = (&*figure, &*value);
                Notice::Figure { figure, value }.to_string()
            };
            figures.into_iter().map(line).collect()
        }
        Answer::Done | Answer::NotKept | Answer::Refused(_) | Answer::Bytes(_) => Vec::new(),
    };
    let lines = lines.into_iter().map(Into::into).collect();
    cx.operators.jobs.push(by, Job::Tell(lines));
}
