//! Back-pressure: which members a room waits for and for how long, and what becomes of members that read too slowly.
//! Touches one room and its members, nothing else.
//!
//! ```text
//!                     an awaited member is late, or the log is full (--slow wait)
//!        ┌────────────┐ ──────────────────────────────────────────▶ ┌────────────┐
//!        │ accepts    │                                             │ shut       │  senders are blocked
//!        │ lines      │ ◀────────────────────────────────────────── │            │
//!        └────────────┘  it has caught up; or has not read for      └────────────┘
//!          │ log at its cap   LATE_TIMEOUT_US; or is closed
//!          ▼
//!        members in the older half are evicted: `too_slow`
//! ```

use super::eviction::Eviction;
use super::view::RoomView;
use crate::hub::client::{Block, Role};
use crate::hub::limits::{HOLDERS_CLOSED_MAX, LATE_RETRY_US, MARK_WORK, SKIP_WORK, SlowPolicy};
use crate::hub::schedule::{Place, Timer};
use crate::hub::types::{Ending, Now};
use crate::protocol::{Notice, Refusal};
use std::ops::Range;

/// Makes the log ready for a line of at most `bytes_max` bytes. To be called before each
/// [`Room::append`](super::Room::append).
pub fn reserve(view: &mut RoomView<'_>, bytes_max: usize) {
    let bytes_left = view.room.bytes_before_cap(view.limits);
    if bytes_max + view.room.eviction_bytes(view.limits) > bytes_left {
        evict_laggards(view, bytes_max);
        return;
    }
    view.room.eviction = Eviction::default();
    if view.room.may_fill(bytes_max, view.limits) {
        evict_console(view);
    }
}

/// The log nears its cap: moves members forward that are in its older half. Looks at a share of the members with each line,
/// and at all of them before the cap: at once, 18,000 members would take 4 ms, or 18 ms if they are closed.
fn evict_laggards(view: &mut RoomView<'_>, bytes_max: usize) {
    if !view.room.eviction.is_under_way() {
        begin_eviction(view);
    }
    evict_next(view, bytes_max);
    if view.room.must_evict(bytes_max, view.limits) {
        // It began too late for this line.
        begin_eviction(view);
        evict_next(view, bytes_max);
    }
}

fn begin_eviction(view: &mut RoomView<'_>) {
    let target = view.room.eviction_target(view.limits.log_kept_bytes());
    let bytes_left = view.room.bytes_before_cap(view.limits);
    let members = view.room.members.len();
    view.room.eviction.begin(target, members, bytes_left);
}

fn evict_next(view: &mut RoomView<'_>, bytes_max: usize) {
    let room = &mut *view.room;
    let (seats, target) = (
        room.eviction.next(room.members.len(), bytes_max),
        room.eviction.target(),
    );
    evict(view, seats, target);
}

/// Moves the members in these seats forward to `target` that are before it.
pub fn evict(view: &mut RoomView<'_>, seats: Range<usize>, target: u64) {
    view.totals.work += seats.len() as u64;
    for seat in seats {
        let slot = view.room.members[seat];
        if view.client(slot).outbox.cursor() < target {
            too_slow(view, slot, target, view.limits.slow);
        }
    }
}

/// Under `--slow wait` nobody waits for the console: it is moved forward before it keeps the room full.
fn evict_console(view: &mut RoomView<'_>) {
    let Some(slot) = view.room.console else {
        return;
    };
    let target = view.room.eviction_target(view.limits.log_open_bytes() / 2);
    if view.client(slot).outbox.cursor() < target {
        too_slow(view, slot, target, SlowPolicy::Skip);
    }
}

/// What becomes of a member that reads too slowly, after its cursor has been moved forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TooSlow {
    /// It goes on, and is told how many lines it lost.
    Continue,
    /// It is told how many lines it lost and why it is closed, and is closed.
    Close,
    /// It is closed without a word, before the first lost line: a raw connection has no notices, so the close itself tells
    /// it.
    CutOff,
}

/// | role | policy | closing | lost lines | action |
/// | --- | --- | --- | --- | --- |
/// | raw | any | yes | none | continue |
/// | raw | any | otherwise | | cut off |
/// | console | any | any | any | continue |
/// | person, operator | any | yes | any | continue |
/// | person, operator | skip | no | any | continue |
/// | person, operator | close, wait | no | any | close |
fn action(role: Role, policy: SlowPolicy, is_closing: bool, lost_lines: u64) -> TooSlow {
    match (role, policy) {
        (Role::Raw, _) if is_closing && lost_lines == 0 => TooSlow::Continue,
        (Role::Raw, _) => TooSlow::CutOff,
        // A stranger is in a room where nothing is said.
        (Role::Console | Role::Stranger, _) => TooSlow::Continue,
        (_, SlowPolicy::Close | SlowPolicy::Wait) if !is_closing => TooSlow::Close,
        _ => TooSlow::Continue,
    }
}

/// Moves a member forward to `target`, and does what [`action`] says.
fn too_slow(view: &mut RoomView<'_>, slot: u32, target: u64, policy: SlowPolicy) {
    let client = &mut view.clients[slot as usize];
    let log = &mut view.room.log;
    let until = client.log_until(log.end());
    let marks = client.outbox.marks_before(log, target) as u64;
    let lost_lines = client.outbox.skip_to(log, until, target);
    view.totals.work += SKIP_WORK + marks * MARK_WORK;
    view.totals.skipped_lines += lost_lines;
    view.totals.delivered_lines += log.take_delivered();
    match action(client.role, policy, client.is_closing(), lost_lines) {
        TooSlow::Continue => return,
        TooSlow::CutOff => drop(client.outbox.take_skipped()),
        TooSlow::Close => {
            let lines = client.outbox.take_skipped();
            if lines > 0 {
                view.notify(slot, Notice::Skipped { lines });
            }
            view.refuse(slot, Refusal::TooSlow {});
        }
    }
    view.totals.slow_closed += 1;
    let until = view.client(slot).outbox.cursor();
    view.drain_until(slot, until, Ending::Slow);
}

/// A client's room does not accept its line: the client waits, once, until the room does.
pub fn block(view: &mut RoomView<'_>, slot: u32) {
    let client = &mut view.clients[slot as usize];
    if client.block(Block::Room) {
        view.room.gate.push_blocked(client.id(slot));
    }
    watch(view);
}

/// If the room accepts lines, the clients that wait for that are read ahead of all that are not new, the one that has
/// waited longest first. Otherwise those that are served at present would fill the room again and again.
pub fn wake_blocked(view: &mut RoomView<'_>) {
    if !view.room.gate.has_blocked() {
        return;
    }
    view.room.observe(view.now, view.limits);
    if !view.room.accepts_lines(view.limits) {
        return;
    }
    for id in view.room.gate.take_blocked().into_iter().rev() {
        let client = view.clients.get(id.slot() as usize);
        if client
            .is_some_and(|client| client.serial == id.serial() && client.is_blocked_by(Block::Room))
        {
            view.wake(id.slot(), Place::First);
        }
    }
}

/// Arms the room's timer for when its members are to be looked at.
fn watch(view: &mut RoomView<'_>) {
    view.room.observe(view.now, view.limits);
    if let Some(due) = view.room.gate.deadline(view.limits) {
        view.schedule.arm(Timer::Room(view.number), due);
    }
}

/// The room's timer has rung: looks at members that others wait for.
pub fn tick(view: &mut RoomView<'_>) {
    view.room.observe(view.now, view.limits);
    if let Some(since) = view.room.gate.late_over(view.now) {
        stop_waiting(view, since);
    }
    if view.room.gate.is_retry_due(view.now) {
        wait_again(view);
    }
    if let Some(held_us) = view.room.gate.count_held(view.now, view.limits) {
        count_holders(view, held_us);
    }
    close_holders(view);
    wake_blocked(view);
    watch(view);
}

/// Senders wait for late members: they stop waiting for those that have made no progress since `since`. Looks at all members,
/// but only while some are late, and as often as there is credit for.
fn stop_waiting(view: &mut RoomView<'_>, since: Now) {
    view.totals.work += view.room.members.len() as u64;
    let mut is_any_left = false;
    for &slot in &view.room.members {
        let client = &mut view.clients[slot as usize];
        if client.progress_at <= since {
            is_any_left |= client.outbox.stop_waiting_if_late(&mut view.room.log);
        }
    }
    view.room.gate.restart_wait(view.now);
    if is_any_left {
        view.room.gate.retry_later(view.now);
    }
}

/// Senders wait again for members that have been reading since.
fn wait_again(view: &mut RoomView<'_>) {
    view.totals.work += view.room.members.len() as u64;
    let mut is_any_left = false;
    for &slot in &view.room.members {
        let client = &mut view.clients[slot as usize];
        if client.progress_at.after(LATE_RETRY_US) > view.now {
            client.outbox.wait_again(&mut view.room.log);
        }
        is_any_left |= !client.outbox.is_awaited();
    }
    view.room.gate.retried();
    if is_any_left {
        view.room.gate.retry_later(view.now);
    }
}

/// A full room has waited for `held_us` more: counts that for the members that hold it full.
fn count_holders(view: &mut RoomView<'_>, held_us: u64) {
    view.totals.work += view.room.members.len() as u64;
    let target = holders_target(view);
    let room = &mut *view.room;
    for &slot in &room.members {
        if view.clients[slot as usize].outbox.cursor() >= target {
            room.gate.forgive(slot, held_us);
        } else {
            room.gate.hold(slot, held_us, view.limits);
        }
    }
}

/// Closes members that have held the room full for `--slow-timeout` in all, however much they read meanwhile: a few of
/// them. The room's timer rings at once for the others.
fn close_holders(view: &mut RoomView<'_>) {
    if !view.room.gate.has_overdue() {
        return;
    }
    let target = holders_target(view);
    let end = view.room.log.end();
    for _ in 0..HOLDERS_CLOSED_MAX {
        let Some(slot) = view.room.gate.next_overdue(view.limits) else {
            return;
        };
        if view.clients[slot as usize].outbox.cursor() < target {
            too_slow(view, slot, end, SlowPolicy::Close);
        }
    }
}

/// Members before this position hold a full room. It is below what an open log may hold, so that every member in the way is
/// found.
fn holders_target(view: &RoomView<'_>) -> u64 {
    view.room.eviction_target(view.limits.log_open_bytes() / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_match_the_documented_table() {
        use SlowPolicy::{Close, Skip, Wait};
        for policy in [Skip, Close, Wait] {
            assert_eq!(action(Role::Raw, policy, true, 0), TooSlow::Continue);
            for (is_closing, lost_lines) in [(true, 1), (false, 0), (false, 1)] {
                let action = |role| action(role, policy, is_closing, lost_lines);
                assert_eq!(action(Role::Raw), TooSlow::CutOff);
                assert_eq!(action(Role::Console), TooSlow::Continue);
                let closes = policy != Skip && !is_closing;
                let person = if closes {
                    TooSlow::Close
                } else {
                    TooSlow::Continue
                };
                assert_eq!(action(Role::Person), person);
            }
        }
    }
}
