//! The end of a connection: its last words, its line in the log, its socket. Why it ends is decided elsewhere.

use super::Scheduler;
use crate::hub::{ConnId, Now};
use crate::net::budgets::CLOSE_US;
use crate::net::connections::End;
use crate::net::linger::LINGER_US;
use crate::net::transport::Net;

impl<N: Net> Scheduler<N> {
    /// Closes what has ended, within the budget: at the end of a turn, so that few events are for what has gone.
    pub(super) fn close(&mut self) {
        let mut now = self.now();
        let deadline = now.after(CLOSE_US);
        while let Some(id) = self.next_closed(now) {
            if !self.must_flush(now, id) {
                self.close_one(now, id);
            }
            now = self.now();
            if now >= deadline {
                return;
            }
        }
        while self
            .lingering
            .expire_one(&mut self.net, now, &mut self.scratch)
        {
            now = self.now();
            if now >= deadline {
                return;
            }
        }
    }

    fn next_closed(&mut self, now: Now) -> Option<ConnId> {
        let ended = self.broken.pop_front().or_else(|| self.hub.next_closed());
        ended.or_else(|| self.closing.next_overdue(now))
    }

    /// Whether a connection that the hub has closed has last words that its socket does not take yet. It has as long for that
    /// as for its other output.
    fn must_flush(&mut self, now: Now, id: ConnId) -> bool {
        let is_closed = self.hub.is_closed(id);
        let Some(connection) = self.connections.find(id) else {
            return false;
        };
        let may_write = is_closed && !connection.end.is_gone();
        if !may_write || self.net.finish(&mut connection.socket) {
            return false;
        }
        connection.writable = false;
        let until = now.after(self.hub.limits().drain_us);
        self.closing.must_wait(now, id, until)
    }

    fn close_one(&mut self, now: Now, id: ConnId) {
        self.closing.forget(id);
        let (is_whole, is_cut_short) = (self.hub.is_closed(id), self.hub.is_cut_short(id));
        let relayed = self.connections.relayed(id);
        let connection = self.connections.remove(id);
        let (of, net) = (connection.as_ref(), &self.net);
        self.log.closed(now, id, of, relayed, net, &self.hub);
        self.hub.disconnect(now, id);
        let Some(connection) = connection else { return };
        // A last word of TLS would say that what was cut short is whole.
        let has_last_word = self.net.tls_version(&connection.socket).is_some();
        let may_linger = is_whole || is_cut_short && !has_last_word;
        if may_linger && connection.end == End::None {
            // When the server itself ends, no peer is waited for.
            let is_over = self.hub.is_shutting_down();
            let until = now.after(if is_over { 0 } else { LINGER_US });
            let (socket, scratch) = (connection.socket, &mut self.scratch);
            self.lingering.add(&mut self.net, until, socket, scratch);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::limits::Limits;
    use crate::hub::{Hub, Peer, Wire};
    use crate::net::transport::{Event, HandshakeId, Newcomer};
    use std::io::{self, ErrorKind, IoSlice};

    /// One TLS connection, whose peer has finished sending and takes so many bytes.
    #[derive(Debug, Default)]
    struct OnePeer {
        now_us: u64,
        has_come: bool,
        takes: usize,
        has_last_word: bool,
    }

    impl Net for OnePeer {
        type Socket = ();

        fn now(&self, _: u64) -> Now {
            Now::from_micros(self.now_us)
        }

        fn accept(&mut self, _: usize) -> io::Result<Newcomer<()>> {
            match std::mem::replace(&mut self.has_come, true) {
                true => Err(ErrorKind::WouldBlock.into()),
                false => Ok(((), Peer::new(None, Wire::Chat), None)),
            }
        }

        fn register(&mut self, (): &mut (), _: ConnId) -> io::Result<()> {
            Ok(())
        }

        fn register_newcomer(&mut self, (): &mut (), _: HandshakeId) -> io::Result<()> {
            Ok(())
        }

        fn reregister(&mut self, (): &mut (), _: ConnId) -> io::Result<()> {
            Ok(())
        }

        fn tls_version(&self, (): &()) -> Option<&'static str> {
            Some("1.3")
        }

        fn peek(&mut self, (): &mut (), _: &mut [u8]) -> io::Result<usize> {
            Ok(0)
        }

        fn read(&mut self, (): &mut (), _: &mut [u8]) -> io::Result<usize> {
            Ok(0)
        }

        fn write(&mut self, (): &mut (), slices: &[IoSlice<'_>]) -> io::Result<usize> {
            let n: usize = slices.iter().map(|slice| slice.len()).sum();
            let n = n.min(self.takes);
            self.takes -= n;
            match n {
                0 => Err(ErrorKind::WouldBlock.into()),
                n => Ok(n),
            }
        }

        fn finish(&mut self, (): &mut ()) -> bool {
            self.has_last_word = true;
            true
        }

        fn close_write(&mut self, socket: &mut ()) {
            self.finish(socket);
        }
    }

    /// Whether a peer that takes so many bytes, within the time for its output, is sent a last word. The connection ends since
    /// the peer has finished sending, or with the server.
    fn has_last_word(takes: usize, end_of_input: bool) -> bool {
        let net = OnePeer {
            takes,
            ..OnePeer::default()
        };
        let mut scheduler = Scheduler::new(net, Hub::new(Limits::default()), 1);
        scheduler.event(Event::Newcomers(0));
        scheduler.run();
        let (id, _) = scheduler.connections.at(0).expect("a connection");
        match end_of_input {
            true => scheduler.event(Event::Ready {
                id,
                readable: true,
                writable: false,
            }),
            false => scheduler.stop(),
        }
        for _ in 0..100 {
            if scheduler.hub().clients() == 0 {
                return scheduler.net().has_last_word;
            }
            let timeout = scheduler.timeout();
            scheduler.net().now_us += timeout.expect("it has a deadline");
            scheduler.run();
        }
        panic!("it is never closed");
    }

    #[test]
    fn output_that_is_cut_short_is_followed_by_no_last_word() {
        for end_of_input in [false, true] {
            assert!(has_last_word(usize::MAX, end_of_input));
            assert!(!has_last_word(0, end_of_input), "nothing was sent");
            assert!(!has_last_word(20, end_of_input), "a part of a line was");
        }
    }
}
