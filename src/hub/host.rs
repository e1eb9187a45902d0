//! The host: whoever sits at the server itself, as one connection more. How it comes and whether it has gone; in what it
//! differs from others is asked of [`Session::is_host`](super::session::Session::is_host) where that is decided.

use super::limits::SlowPolicy;
use super::session::{Phase, Wire};
use super::{ConnId, Hub, Now};

/// The host.
impl Hub {
    /// The host, whose name nobody else can have. It is to come first and comes once.
    ///
    /// It is a client as others are, but no limit that protects the server from strangers holds for it: it is let in
    /// however many there may be, says as much as it likes, may be silent for ever, and loses lines but never its
    /// connection if it is slow. Its lines come from a program that sends them whole, so none is passed on unfinished
    /// and none is taken for a browser's; and its end is always its end, whatever others are left at theirs.
    ///
    /// # Panics
    /// There has been a host before.
    pub fn connect_host(&mut self, now: Now) -> ConnId {
        assert!(self.host.is_none(), "there is one host");
        let slot = self.clients.vacant_key() as u32;
        let name = self.crowd.welcome_host(slot);
        let id = self.let_in(now, name, Wire::Chat);
        self.host = Some(id);
        id
    }

    /// Whether there was a host that has left, or is given no more than its last bytes: the server is to end with it.
    pub fn host_has_left(&self) -> bool {
        let speaks = |slot: u32| {
            let phase = self.clients[slot as usize].session.phase;
            !matches!(phase, Phase::Draining { .. } | Phase::Done)
        };
        self.host.is_some() && !self.host_slot().is_some_and(speaks)
    }

    /// Where the host is, if it is there.
    pub(super) fn host_slot(&self) -> Option<u32> {
        self.host.and_then(|id| self.slot(id))
    }

    /// Under `wait`: nobody waits for the host. If it is in this room, and so far behind that it would keep it full, it is
    /// moved forward before the room is full.
    pub(super) fn overtake_host(&mut self, now: Now, number: u32) {
        let Some(slot) = self.host_slot() else { return };
        let client = &self.clients[slot as usize];
        if client.room != number {
            return;
        }
        let kept_bytes = self.limits.log_open_bytes() / 2;
        let target = self.crowd.rooms[number as usize].skip_target(kept_bytes);
        if client.outbox.cursor() < target {
            self.too_slow(now, slot, target, SlowPolicy::Skip);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::limits::{HalfClose, Limits, PRIVATE_BYTES_MARK, ROOM_LOG_BYTES_MIN};
    use super::super::yard::Yard;
    use super::super::{Refusal, Resume};
    use super::*;

    /// A host and so many guests, all of whom have read what there was.
    fn hosted(limits: Limits, guests: usize) -> (Yard, ConnId, Vec<ConnId>) {
        let mut yard = Yard::new(limits);
        let host = yard.hub.connect_host(yard.now);
        let ids = (0..guests).map(|_| yard.join()).collect();
        yard.settle();
        (yard, host, ids)
    }

    #[test]
    fn the_host_is_one_of_the_room() {
        let mut yard = Yard::new(Limits::default());
        let host = yard.hub.connect_host(yard.now);
        assert_eq!(
            yard.read(host),
            "* you are host in lobby (1 here); /help lists commands\n"
        );
        let guest = yard.join();
        yard.settle();
        yard.send(host, b"hello\n/me waves\n/who\n");
        assert_eq!(yard.read(guest), "host: hello\n* host waves\n");
        assert_eq!(yard.read(host), "* here in lobby: guest1, host (2)\n");
        yard.send(guest, b"/nick kim\nhi\n");
        assert_eq!(yard.read(host), "* renamed: guest1 -> kim\nkim: hi\n");
        yard.send(host, b"/join garden\n");
        assert_eq!(yard.read(host), "* you are in garden (1 here)\n");
        assert!(yard.read(guest).ends_with("* left: host (1 here)\n"));
        assert_eq!(yard.hub.totals().connections, 2);
        assert_eq!(yard.hub.census().names, 2);
        assert!(!yard.hub.host_has_left());
    }

    #[test]
    fn whoever_writes_to_the_host_finds_it_however_it_is_spelt() {
        let (mut yard, host, ids) = hosted(Limits::default(), 1);
        for name in ["host", "HOST", "h0st"] {
            yard.send(ids[0], format!("/msg {name} psst\n").as_bytes());
            assert_eq!(yard.read(ids[0]), "you -> host: psst\n");
            assert_eq!(yard.read(host), "guest1 -> you: psst\n");
        }
        yard.send(host, b"/msg guest1 yes?\n/msg Host me?\n");
        assert_eq!(yard.read(ids[0]), "host -> you: yes?\n");
        assert_eq!(
            yard.read(host),
            "you -> guest1: yes?\n! line not sent: you are host\n"
        );
    }

    #[test]
    fn where_there_is_no_host_nobody_is_called_so() {
        let mut yard = Yard::new(Limits::default());
        let guest = yard.join();
        yard.send(guest, b"/msg host anybody there?\n/nick host\n");
        assert_eq!(
            yard.read(guest),
            "! line not sent: nobody is called host\n! name not changed: that name is the server's own\n"
        );
        assert!(!yard.hub.host_has_left());
    }

    #[test]
    fn the_host_keeps_its_name_and_nobody_takes_it() {
        let (mut yard, host, ids) = hosted(Limits::default(), 1);
        for name in ["kim", "host", "a b"] {
            yard.send(host, format!("/nick {name}\n").as_bytes());
            assert_eq!(yard.read(host), "! name not changed: the host stays host\n");
        }
        assert_eq!(yard.hub.totals().refused_lines, 3);
        yard.send(ids[0], b"/nick Host\n");
        assert_eq!(
            yard.read(ids[0]),
            "! name not changed: that name is the server's own\n"
        );
    }

    #[test]
    fn the_host_takes_nobodys_place() {
        let limits = Limits {
            clients_max: 2,
            ..Limits::default()
        };
        let (mut yard, _, _) = hosted(limits, 2);
        assert_eq!(yard.knock(Wire::Chat), Err(Refusal::Full(2)));
        assert_eq!(yard.hub.clients(), 3);
    }

    #[test]
    fn a_host_that_does_not_read_loses_lines_and_nothing_else() {
        for slow in [SlowPolicy::Skip, SlowPolicy::Close, SlowPolicy::Wait] {
            let limits = Limits {
                line_bytes_max: 256,
                room_log_bytes_max: ROOM_LOG_BYTES_MIN,
                slow,
                ..Limits::default()
            };
            let (mut yard, host, ids) = hosted(limits, 2);
            let began = yard.now;
            let mut heard = 0;
            for i in 0..2000 {
                let line = format!("line {i} {}\n", "x".repeat(100));
                yard.say(ids[0], line.as_bytes());
                yard.flush_only(&ids, |id, text| {
                    heard += if id == ids[1] {
                        text.lines().count()
                    } else {
                        0
                    };
                });
            }
            assert_eq!(heard, 2000, "{slow:?}");
            // They waited for it as for anybody who is late for the first time, and never again.
            assert!(yard.now < began.after(1_000_000), "{slow:?}");
            let given = yard.read(host);
            let (notice, lines) = given.split_once('\n').unwrap();
            let skipped = notice.strip_prefix("* ").unwrap();
            let (skipped, _) = skipped.split_once(" lines skipped: ").unwrap();
            let skipped: usize = skipped.parse().unwrap();
            assert_eq!(skipped + lines.lines().count(), 2000, "{slow:?}");
            assert_eq!(yard.hub.totals().slow_closed, 0);
            assert_eq!(yard.send(host, b"that was much\n"), Resume::Read);
            assert!(yard.reap().is_empty() && !yard.hub.host_has_left());
        }
    }

    #[test]
    fn a_host_that_keeps_a_room_full_beside_others_is_moved_on_when_its_time_is_over() {
        // A line that fills much of the log, so that the host is in the way though it was moved forward.
        let limits = Limits {
            line_bytes_max: 2048,
            room_log_bytes_max: ROOM_LOG_BYTES_MIN,
            slow: SlowPolicy::Wait,
            ..Limits::default()
        };
        let (mut yard, host, ids) = hosted(limits, 2);
        let line = "\u{1b}".repeat(2000) + "\n";
        let full = |yard: &mut Yard| {
            let limits = yard.hub.limits.clone();
            yard.hub.crowd.rooms[1]
                .full_since(yard.now, &limits)
                .is_some()
        };
        while !full(&mut yard) {
            yard.say(ids[0], line.as_bytes());
            yard.flush_only(&ids[..1], |_, _| {});
        }
        yard.read(ids[1]);
        assert!(full(&mut yard), "it is in the way");
        assert_eq!(yard.send(ids[0], line.as_bytes()), Resume::Wait);
        yard.pass(yard.hub.limits.slow_timeout_us);
        yard.run();
        assert_eq!(yard.send(ids[0], line.as_bytes()), Resume::Read);
        assert!(
            yard.reap().is_empty(),
            "who has read is not closed, nor is the host"
        );
        assert_eq!(yard.hub.totals().slow_closed, 0);
        assert!(yard.read(host).contains(" lines skipped: "));
    }

    #[test]
    fn what_limits_strangers_does_not_limit_the_host() {
        let limits = Limits {
            rate_lines: 1,
            burst_lines: 1,
            idle_timeout_us: 10_000_000,
            partial_after_us: 50_000,
            ..Limits::default()
        };
        let (mut yard, host, ids) = hosted(limits, 1);
        yard.send(host, b"1\n2\n3\nunfin");
        assert_eq!(yard.read(ids[0]), "host: 1\nhost: 2\nhost: 3\n");
        yard.pass(1_000_000);
        assert_eq!(
            yard.read(ids[0]),
            "",
            "its program is still writing the line"
        );
        yard.send(host, b"ished\n");
        assert_eq!(yard.read(ids[0]), "host: unfinished\n");
        yard.pass(10_000_000);
        assert_eq!(yard.read(ids[0]), "! closed: nothing received for 10 s\n");
        assert_eq!(yard.reap(), ids);
        yard.pass(3_000_000_000);
        assert!(yard.reap().is_empty() && !yard.hub.host_has_left());
    }

    #[test]
    fn a_first_line_like_a_browsers_is_what_the_host_says() {
        for first in [&b"GET / HTTP/1.1\n"[..], b"\x16\x03\n"] {
            let (mut yard, host, ids) = hosted(Limits::default(), 1);
            yard.send(host, first);
            assert!(yard.read(ids[0]).starts_with("host: "));
            assert!(!yard.hub.host_has_left());
        }
    }

    #[test]
    fn whichever_way_the_host_goes_it_has_left() {
        for half_close in [HalfClose::Close, HalfClose::Keep] {
            for way in 0..3 {
                let limits = Limits {
                    half_close,
                    ..Limits::default()
                };
                let (mut yard, host, ids) = hosted(limits, 1);
                yard.send(host, b"good ni");
                assert!(!yard.hub.host_has_left());
                match way {
                    0 => drop(yard.send(host, b"ght\n/quit\n")),
                    1 => yard.hub.finish(yard.now, host),
                    _ => yard.hub.disconnect(yard.now, host),
                }
                assert!(yard.hub.host_has_left(), "{half_close:?}, {way}");
                let heard = [
                    "host: good night\n",
                    "host: good ni\n",
                    "* left: host (1 here)\n",
                ];
                assert_eq!(yard.read(ids[0]), heard[way]);
                let last = yard.read(host);
                assert_eq!(last, ["* you left; goodbye\n", "", ""][way]);
                assert_eq!(yard.reap() == [host], way < 2);
                assert!(yard.hub.host_has_left());
                yard.send(ids[0], b"/msg host still there?\n");
                let answer = "! line not sent: nobody is called host\n";
                assert!(yard.read(ids[0]).contains(answer));
            }
        }
    }

    #[test]
    fn at_the_servers_end_the_host_is_told_and_let_go_as_everybody_is() {
        let (mut yard, host, ids) = hosted(Limits::default(), 1);
        yard.send(ids[0], b"last words\n");
        yard.hub.shutdown(yard.now);
        assert_eq!(
            yard.read(host),
            "* server is shutting down\nguest1: last words\n"
        );
        assert_eq!(yard.reap(), [host]);
        yard.read(ids[0]);
        assert_eq!(yard.reap(), ids);
        assert_eq!(yard.hub.census().names, 0);
    }

    #[test]
    fn a_host_that_is_owed_too_many_replies_is_not_read_until_it_takes_them() {
        let (mut yard, host, _) = hosted(Limits::default(), 0);
        while yard.send(host, b"/help\n") == Resume::Read {}
        assert!(yard.hub.clients[0].outbox.private_bytes() > PRIVATE_BYTES_MARK);
        assert!(!yard.hub.host_has_left());
        yard.read(host);
        yard.run();
        assert_eq!(yard.send(host, b"/help\n"), Resume::Read);
    }

    #[test]
    #[should_panic(expected = "there is one host")]
    fn there_is_no_second_host() {
        let mut yard = Yard::new(Limits::default());
        yard.hub.connect_host(yard.now);
        yard.hub.connect_host(yard.now);
    }
}
