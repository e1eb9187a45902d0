//! How fast a room goes: who waits for whom and for how long, and what becomes of members that are too slow.

use super::flow::Timer;
use super::limits::{LATE_PATIENCE_US, LATE_RETRY_US, SlowPolicy};
use super::requests;
use super::session::{Phase, Wire};
use super::{Hub, NEVER, Now};
use std::cmp::Reverse;

/// Waiting, skipping, closing.
impl Hub {
    /// Makes place for a line of at most `bytes_max` bytes in a room's log, and puts the room among those whose
    /// carousel is turning. To be called before each [`Room::append`](super::room::Room::append).
    pub(super) fn make_place(&mut self, now: Now, number: u32, bytes_max: usize) {
        let room = &self.crowd.rooms[number as usize];
        if !room.carousel.is_turning() && !room.members.is_empty() {
            self.turning.push_back(number);
        }
        if room.must_skip(bytes_max, &self.limits) {
            self.overtake(now, number);
        } else if room.may_fill(bytes_max, &self.limits) {
            self.overtake_host(now, number);
        }
    }

    /// The log is full: moves every member forward that is in its older half. Looks at all members, but not again
    /// before another half has been said.
    fn overtake(&mut self, now: Now, number: u32) {
        let room = &self.crowd.rooms[number as usize];
        let target = room.skip_target(self.limits.log_kept_bytes());
        for seat in 0..room.members.len() {
            let slot = self.crowd.rooms[number as usize].members[seat];
            if self.clients[slot as usize].outbox.cursor() < target {
                self.too_slow(now, slot, target, self.limits.slow);
            }
        }
    }

    /// A member is too slow: it loses what stands before `target`, and perhaps its connection, which the host never
    /// loses.
    pub(super) fn too_slow(&mut self, now: Now, slot: u32, target: u64, policy: SlowPolicy) {
        let client = &mut self.clients[slot as usize];
        let log = &mut self.crowd.rooms[client.room as usize].log;
        // Whoever waits to change rooms may yet be refused, and is a member up to then.
        let until = match client.session.phase {
            Phase::Draining { until } => until,
            Phase::Done => 0,
            _ => log.end(),
        };
        let lost = client.outbox.skip_to(log, until, target);
        self.totals.skipped_lines += lost;
        let over = matches!(client.session.phase, Phase::Draining { .. } | Phase::Done);
        let policy = if client.session.is_host() {
            SlowPolicy::Skip
        } else {
            policy
        };
        match (policy, client.session.wire) {
            (_, Wire::Raw) if over && lost == 0 => {}
            // It has no notices, so it could not be told what it lost: losing its connection tells it.
            (_, Wire::Raw) => {
                self.totals.slow_closed += 1;
                client.outbox.take_skipped();
                let until = client.outbox.cursor();
                self.drain_until(now, slot, until);
            }
            (_, Wire::Chat) if over => {}
            (SlowPolicy::Skip, Wire::Chat) => {}
            (SlowPolicy::Close | SlowPolicy::Wait, Wire::Chat) => {
                self.totals.slow_closed += 1;
                let until = client.outbox.cursor();
                let lines = client.outbox.take_skipped();
                if lines > 0 {
                    client
                        .outbox
                        .push_private(|out| requests::skipped(out, lines));
                }
                self.refuse(slot, format_args!("closed: you are reading too slowly"));
                self.drain_until(now, slot, until);
            }
        }
    }

    /// Sees to it that a room is looked at when its members have waited for others long enough.
    pub(super) fn watch(&mut self, now: Now, number: u32) {
        let room = &mut self.crowd.rooms[number as usize];
        let give_up_at = room
            .late_since(now)
            .map(|since| since.after(LATE_PATIENCE_US));
        let timeout_us = self.limits.slow_timeout_us;
        let close_at = room.full_since(now, &self.limits).map(|since| {
            let due = since.after(timeout_us);
            // After the first look it is looked at four times as often: others may have become stuck since.
            if due > now {
                due
            } else {
                now.after(timeout_us.div_ceil(4))
            }
        });
        if let Some(due) = [give_up_at, close_at, room.retry_at]
            .into_iter()
            .flatten()
            .min()
        {
            self.arm_room(number, due);
        }
    }

    /// Sees to it that a room's timer rings at `due` at the latest.
    pub(super) fn arm_room(&mut self, number: u32, due: Now) {
        let room = &mut self.crowd.rooms[number as usize];
        if due < room.armed {
            room.armed = due;
            self.timers.push(Reverse((due, Timer::Room(number))));
        }
    }

    /// A room's timer rings: there is something to announce, or the room has been full for long.
    pub(super) fn tick_room(&mut self, now: Now, number: u32, due: Now) {
        let Some(room) = self.crowd.rooms.get_mut(number as usize) else {
            return;
        };
        if room.armed != due {
            return;
        }
        room.armed = NEVER;
        self.announce(now, number);
        let late_since = self.crowd.rooms[number as usize].late_since(now);
        if late_since.is_some_and(|since| since.after(LATE_PATIENCE_US) <= now) {
            self.give_up_late(now, number);
            self.wake_stalled(now, number);
        }
        if self.crowd.rooms[number as usize]
            .retry_at
            .is_some_and(|at| at <= now)
        {
            self.await_again(now, number);
        }
        let full_since = self.crowd.rooms[number as usize].full_since(now, &self.limits);
        if full_since.is_some_and(|since| since.after(self.limits.slow_timeout_us) <= now) {
            self.close_stuck(now, number);
            self.wake_stalled(now, number);
        }
        self.watch(now, number);
    }

    /// Nobody waits any longer for the members that are late. Looks at all of them, but only while some are late, and
    /// not more often than every [`LATE_PATIENCE_US`].
    fn give_up_late(&mut self, now: Now, number: u32) {
        let room = &mut self.crowd.rooms[number as usize];
        for &slot in &room.members {
            self.clients[slot as usize]
                .outbox
                .give_up_if_late(&mut room.log);
        }
        room.retry_at.get_or_insert(now.after(LATE_RETRY_US));
    }

    /// Members that were given up are waited for again if they have been reading since.
    fn await_again(&mut self, now: Now, number: u32) {
        let room = &mut self.crowd.rooms[number as usize];
        let mut left = false;
        for &slot in &room.members {
            let client = &mut self.clients[slot as usize];
            if client.session.progress_at.after(LATE_RETRY_US) > now {
                client.outbox.await_again(&mut room.log);
            }
            left |= !client.outbox.is_awaited();
        }
        room.retry_at = left.then(|| now.after(LATE_RETRY_US));
    }

    /// Closes the members that a full room waits for and that have made no progress for too long.
    fn close_stuck(&mut self, now: Now, number: u32) {
        let room = &self.crowd.rooms[number as usize];
        // Less than an open log may hold, so that nobody who is in the way is overlooked.
        let (end, target) = (
            room.log.end(),
            room.skip_target(self.limits.log_open_bytes() / 2),
        );
        for seat in 0..room.members.len() {
            let slot = self.crowd.rooms[number as usize].members[seat];
            let client = &self.clients[slot as usize];
            let stuck = client
                .session
                .progress_at
                .after(self.limits.slow_timeout_us)
                <= now;
            if stuck && client.outbox.cursor() < target {
                self.too_slow(now, slot, end, SlowPolicy::Close);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::limits::{Limits, ROOM_LOG_BYTES_MIN};
    use super::super::yard::Yard;
    use super::super::{ConnId, Resume};
    use super::*;

    /// Number of the lobby.
    const LOBBY: usize = 1;

    fn small(slow: SlowPolicy) -> Limits {
        Limits {
            line_bytes_max: 256,
            room_log_bytes_max: ROOM_LOG_BYTES_MIN,
            slow,
            ..Limits::default()
        }
    }

    /// A room in which nothing more will be announced.
    fn settled(limits: Limits, members: usize) -> (Yard, Vec<ConnId>) {
        let mut yard = Yard::new(limits);
        let ids: Vec<ConnId> = (0..members).map(|_| yard.join()).collect();
        yard.settle();
        (yard, ids)
    }

    /// (lines of others received, lines told as skipped)
    fn tally(given: &str) -> (u64, u64) {
        given.lines().fold((0, 0), |(received, skipped), line| {
            match line
                .strip_prefix("* ")
                .and_then(|rest| rest.split_once(" lines skipped"))
            {
                Some((lines, _)) => (received, skipped + lines.parse::<u64>().unwrap()),
                None => (received + u64::from(line.starts_with("guest")), skipped),
            }
        })
    }

    #[test]
    fn a_slow_member_loses_what_it_is_told_of_and_the_others_nothing() {
        for stop_after in [0, 1, 7, 100, 5000] {
            let (mut yard, ids) = settled(small(SlowPolicy::Skip), 3);
            let (mut healthy, mut slow) = (String::new(), String::new());
            for i in 0..2000 {
                yard.say(
                    ids[0],
                    format!("line {i} {}\n", "x".repeat(i % 200)).as_bytes(),
                );
                yard.flush_only(&[ids[0], ids[1]], |id, text| {
                    if id == ids[1] {
                        healthy += text;
                    }
                });
                if slow.len() < stop_after {
                    slow += &yard.read_some(ids[2], 13);
                }
                // It speaks too, and its own lines do not count.
                if i % 100 == 0 {
                    yard.say(ids[2], b"mine\n");
                }
            }
            slow += &yard.read(ids[2]);
            assert_eq!(tally(&healthy), (2020, 0));
            let (received, skipped) = tally(&slow);
            assert_eq!(received + skipped, 2000, "{stop_after}");
            assert!(skipped > 0 && slow.ends_with("199\n") || slow.contains("line 1999"));
        }
    }

    #[test]
    fn with_close_a_slow_member_is_told_what_it_lost_and_closed() {
        let (mut yard, ids) = settled(small(SlowPolicy::Close), 3);
        yard.send(ids[0], b"first\n");
        assert_eq!(yard.read_some(ids[2], 5), "guest");
        for i in 0..1000 {
            yard.say(ids[0], format!("line {i} {}\n", "x".repeat(100)).as_bytes());
            yard.flush_only(&[ids[0], ids[1]], |_, _| {});
        }
        let last = yard.read(ids[2]);
        let lines: Vec<&str> = last.lines().collect();
        assert_eq!(lines[0], "1: first");
        assert!(lines[1].ends_with("lines skipped: you are reading too slowly"));
        assert_eq!(lines[2..], ["! closed: you are reading too slowly"]);
        assert_eq!(yard.reap(), [ids[2]]);
        assert_eq!(yard.hub.totals().slow_closed, 1);
    }

    #[test]
    fn who_has_been_given_all_loses_nothing_more() {
        let (mut yard, ids) = settled(small(SlowPolicy::Skip), 2);
        yard.hub.finish(yard.now, ids[1]);
        for i in 0..1000 {
            yard.say(ids[0], format!("line {i} {}\n", "x".repeat(100)).as_bytes());
            yard.flush_only(&[ids[0]], |_, _| {});
        }
        assert_eq!(yard.hub.totals().skipped_lines, 0);
        assert_eq!(yard.reap(), [ids[1]]);
    }

    #[test]
    fn a_slow_raw_member_that_has_finished_is_given_lines_up_to_the_first_that_it_lost() {
        // Overtaken beyond what it was to be given, and within that.
        for (owed, more) in [(100, 900), (380, 100)] {
            let mut yard = Yard::new(small(SlowPolicy::Skip));
            let knock = |yard: &mut Yard| yard.knock(Wire::Raw).unwrap();
            let (speaker, slow) = (knock(&mut yard), knock(&mut yard));
            let say = |yard: &mut Yard, i: usize| {
                yard.say(speaker, format!("{i} {}\n", "x".repeat(100)).as_bytes());
                yard.flush_only(&[speaker], |_, _| {});
            };
            (0..owed).for_each(|i| say(&mut yard, i));
            yard.hub.finish(yard.now, slow);
            let mut given = yard.read_some(slow, 150);
            (owed..owed + more).for_each(|i| say(&mut yard, i));
            given += &yard.read(slow);
            let numbers = given.lines().map(|line| line.split_once(' ').unwrap().0);
            assert_eq!(numbers.collect::<Vec<_>>(), ["0", "1"]);
            assert_eq!(yard.reap(), [slow]);
            let totals = yard.hub.totals();
            assert_eq!(totals.slow_closed, 1);
            assert!((1..=owed as u64 - 2).contains(&totals.skipped_lines));
        }
    }

    #[test]
    fn with_wait_nobody_loses_anything_and_who_makes_no_progress_is_closed() {
        let (mut yard, ids) = settled(small(SlowPolicy::Wait), 3);
        let (mut said, mut slow) = (0, String::new());
        for round in 0..20_000 {
            let line = format!("line {said} {}\n", "x".repeat(100));
            if yard.send(ids[0], line.as_bytes()) == Resume::Read {
                said += 1;
            }
            yard.flush_only(&[ids[0], ids[1]], |_, _| {});
            yard.pass(1000);
            if round % 8 == 0 {
                slow += &yard.read_some(ids[2], 300);
            }
            yard.run();
        }
        assert!(said < 15_000, "the sender was made to wait");
        slow += &yard.read(ids[2]);
        yard.run();
        slow += &yard.read(ids[2]);
        assert_eq!(tally(&slow), (said, 0));
        let limits = yard.hub.limits.clone();
        while yard.hub.crowd.rooms[LOBBY]
            .full_since(yard.now, &limits)
            .is_none()
        {
            yard.say(ids[0], &[&[b'y'; 200][..], b"\n"].concat());
            yard.flush_only(&[ids[0], ids[1]], |_, _| {});
        }
        assert_eq!(yard.send(ids[0], b"not yet\n"), Resume::Wait);
        assert!(yard.reap().is_empty());
        yard.pass(yard.hub.limits.slow_timeout_us);
        yard.run();
        assert_eq!(yard.send(ids[0], b"at last\n"), Resume::Read);
        assert!(
            yard.read(ids[2])
                .ends_with("! closed: you are reading too slowly\n")
        );
        assert_eq!(yard.reap(), [ids[2]]);
    }

    #[test]
    fn a_flood_waits_for_readers_that_keep_up_and_for_no_others() {
        let (mut yard, ids) = settled(Limits::default(), 2);
        let flood = b"a\n".repeat(4000);
        let mut paused = 0;
        for _ in 0..1000 {
            paused += u32::from(yard.send(ids[0], &flood) == Resume::Wait);
            yard.run();
            yard.flush_only(&[ids[0]], |_, _| {});
            let room = &yard.hub.crowd.rooms[LOBBY];
            assert!(room.log.live_bytes() < yard.hub.limits.late_bytes() + 2 * 32 * 1024);
            while yard.hub.crowd.rooms[LOBBY].log.late() > 0 {
                yard.read_some(ids[1], 10_000);
            }
        }
        assert!(paused > 100);
        // Now it reads no more.
        let before = yard.hub.totals().lines;
        for _ in 0..1000 {
            yard.say(ids[0], &flood[..200]);
            yard.run();
            yard.flush_only(&[ids[0]], |_, _| {});
        }
        assert!(yard.hub.totals().lines >= before + 100_000);
    }

    #[test]
    fn who_was_given_up_is_awaited_again_if_it_has_been_reading() {
        let (mut yard, ids) = settled(Limits::default(), 2);
        let (speaker, listener) = (ids[0], ids[1]);
        let awaited = |yard: &Yard| {
            let slot = listener.slot() as usize;
            yard.hub.clients[slot].outbox.is_awaited()
        };
        let room = |yard: &Yard| yard.hub.crowd.rooms[LOBBY].retry_at;
        // `say` lets time pass for as long as others are waited for, so that the listener is given up.
        while awaited(&yard) {
            yard.say(speaker, &b"a\n".repeat(200));
            yard.run();
            yard.flush_only(&[speaker], |_, _| {});
        }
        yard.pass(LATE_RETRY_US);
        assert!(!awaited(&yard), "it has read nothing");
        for _ in 0..4 {
            yard.read_some(listener, 100);
            assert!(!awaited(&yard), "it has not caught up");
            yard.pass(LATE_RETRY_US / 4);
        }
        assert!(awaited(&yard), "it reads");
        assert_eq!(room(&yard), None, "nobody is to be tried again");
    }
}
