//! How the cost of a delivery grows: with the members of a room, with rooms, with the members that send.
//!
//! Groups of different sizes take turns, each with a server of its own, so that whatever else the machine does falls on all
//! of them. The ratio within a round is compared with the goal.

use crate::harness::group::{Group, ROOM_MEMBERS, WARM_UP_WINDOWS};
use crate::harness::report::{Goal, NANOSECONDS, Report, Rounds, TIMES, number};
use crate::harness::{Harness, Outcome};

/// A round has at least and at most so many windows.
const ROUND_WINDOWS_MIN: usize = 10;
const ROUND_WINDOWS_MAX: usize = 2_000;

/// The size with which the others are compared in [`members`], and the room of [`speakers`].
const USUAL_MEMBERS: usize = 1_000;

/// "The same", with room for the noise of the machine.
const STAYS: Goal = Goal::AtMost(1.2);

/// The server's processor time for so many windows, in nanoseconds. `senders` are those that send in a window; the next
/// window begins when all lines have arrived.
fn cost<S>(group: &mut Group, windows: usize, senders: impl Fn(usize) -> S) -> Outcome<f64>
where
    S: IntoIterator<Item = usize>,
{
    // The other servers have just emptied the caches.
    for nth in 0..WARM_UP_WINDOWS {
        group.say(senders(nth), 1)?;
    }
    let before = group.server.cpu_ns()?;
    for nth in 0..windows {
        group.say(senders(nth), 1)?;
    }
    let cost = group.server.cpu_ns_since(before)?;
    group.check()?;
    Ok(cost as f64)
}

/// The average cost of a window in which one line is sent in each room.
fn window_cost(group: &mut Group, harness: &Harness) -> Outcome<f64> {
    let windows = harness.size(30_000, 10_000) / group.deliveries();
    let windows = windows.clamp(ROUND_WINDOWS_MIN, ROUND_WINDOWS_MAX);
    let senders = group.first_members();
    Ok(cost(group, windows, |_| senders.clone())? / windows as f64)
}

/// CPU per delivery while one member sends, in rooms of more and more members.
///
/// A line has a price of its own, however many receive it: a poll that wakes up, a read that brings it, a read that finds
/// no more. A room of two shows that price and one delivery; what a larger room costs beyond it is the price of each
/// further delivery, which must not grow.
pub(crate) fn members(harness: &Harness, report: &mut Report) -> Outcome<()> {
    let sizes: &[usize] = harness.size(&[10, 100, 10_000, 18_000], &[10, 100, 2_000]);
    let most = sizes[sizes.len() - 1];
    harness.require_connections(most + USUAL_MEMBERS + 2)?;
    let mut two = Group::of_members(2, harness)?;
    let mut usual = Group::of_members(USUAL_MEMBERS, harness)?;
    let (mut alone, mut usually) = (Vec::new(), Vec::new());
    for &members in sizes {
        let mut group = Group::of_members(members, harness)?;
        let (mut all, mut further, mut ratio) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..harness.size(5, 2) {
            let with_two = window_cost(&mut two, harness)?;
            let with_usual = window_cost(&mut usual, harness)?;
            let with_all = window_cost(&mut group, harness)?;
            let usual_each = beyond_two(with_usual, with_two, USUAL_MEMBERS)?;
            let each = beyond_two(with_all, with_two, members)?;
            alone.push(with_two);
            usually.push(usual_each);
            all.push(with_all / group.deliveries() as f64);
            further.push(each);
            ratio.push(each / usual_each);
        }
        report.note(&format!("{} members, CPU", number(members as f64, 0)));
        report.show("  a delivery, all in all", Rounds::of(all), NANOSECONDS);
        let name = "  each delivery beyond the first";
        report.show(name, Rounds::of(further), NANOSECONDS);
        let name = "  the same beside a room of 1,000";
        report.row(name, Rounds::of(ratio), TIMES, STAYS);
        report.note_if(group.server.contention()?);
    }
    report.note("for comparison");
    let name = "  1,000 members: each beyond the first";
    report.show(name, Rounds::of(usually), NANOSECONDS);
    let name = "  2 members: a line and its one delivery";
    report.show(name, Rounds::of(alone), NANOSECONDS);
    Ok(())
}

/// What each delivery costs beyond the first, from the cost of a line to so many members and to two.
fn beyond_two(cost: f64, with_two: f64, members: usize) -> Outcome<f64> {
    if cost <= with_two {
        let beside = format!("{cost:.0} ns with {members} members, and {with_two:.0} ns with two");
        return Err(format!("a line cost {beside}").into());
    }
    Ok((cost - with_two) / (members - 2) as f64)
}

/// CPU per delivery while one member sends in each of more and more rooms.
pub(crate) fn rooms(harness: &Harness, report: &mut Report) -> Outcome<()> {
    let counts: &[usize] = harness.size(&[1, 10, 100, 1_000], &[1, 10, 100]);
    harness.require_connections(counts.iter().sum::<usize>() * ROOM_MEMBERS)?;
    let mut groups = Vec::new();
    for &rooms in counts {
        groups.push(Group::of_rooms(rooms, harness)?);
    }
    let mut costs = vec![Vec::new(); groups.len()];
    for _ in 0..harness.size(5, 2) {
        for (group, costs) in groups.iter_mut().zip(&mut costs) {
            costs.push(window_cost(group, harness)? / group.deliveries() as f64);
        }
    }
    for (nth, group) in groups.iter().enumerate() {
        let count = number(group.rooms() as f64, 0);
        let name = format!("{count} x {ROOM_MEMBERS} members, CPU a delivery");
        report.show(&name, Rounds::of(costs[nth].iter().copied()), NANOSECONDS);
        if nth > 0 {
            let ratio = beside(&costs[nth], &costs[0]);
            report.row("  beside one room", ratio, TIMES, STAYS);
        }
        report.note_if(group.server.contention()?);
    }
    Ok(())
}

/// CPU per delivery in one room while more and more of its members send: one after the other, and all at once.
pub(crate) fn speakers(harness: &Harness, report: &mut Report) -> Outcome<()> {
    let counts: &[usize] = harness.size(&[1, 10, 100, USUAL_MEMBERS], &[1, 10, 100]);
    let mut group = Group::of_members(USUAL_MEMBERS, harness)?;
    let mut by_turns = vec![Vec::new(); counts.len()];
    let mut at_once = vec![Vec::new(); counts.len()];
    for _ in 0..harness.size(3, 2) {
        for (nth, &senders) in counts.iter().enumerate() {
            let lines = senders.max(harness.size(100, 20));
            let total = cost(&mut group, lines, |nth| [nth % senders])?;
            by_turns[nth].push(total / (lines * group.deliveries()) as f64);
            let bursts = (harness.size(200, 20) / senders).max(5);
            let total = cost(&mut group, bursts, |_| 0..senders)?;
            at_once[nth].push(total / (bursts * senders * group.deliveries()) as f64);
        }
    }
    for (nth, &senders) in counts.iter().enumerate() {
        let name = format!("{} by turns, CPU a delivery", number(senders as f64, 0));
        let costs = by_turns[nth].iter().copied();
        report.show(&name, Rounds::of(costs), NANOSECONDS);
        if nth > 0 {
            let ratio = beside(&by_turns[nth], &by_turns[0]);
            report.row("  beside one alone", ratio, TIMES, STAYS);
        }
    }
    for (nth, &senders) in counts.iter().enumerate().skip(1) {
        let name = format!("{} at once, CPU a delivery", number(senders as f64, 0));
        report.show(&name, Rounds::of(at_once[nth].iter().copied()), NANOSECONDS);
        // A member gets all lines that are there in one write: the more lines, the cheaper each.
        let ratio = beside(&at_once[nth], &at_once[nth - 1]);
        report.row("  beside a tenth of them", ratio, TIMES, Goal::AtMost(1.0));
    }
    report.note_if(group.server.contention()?);
    Ok(())
}

/// The ratio of two measurements, round by round.
fn beside(own: &[f64], other: &[f64]) -> Rounds {
    Rounds::of(own.iter().zip(other).map(|(own, other)| own / other))
}
