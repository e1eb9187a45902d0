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
        let is_closed = self.hub.is_closed(id);
        let relayed = self.connections.relayed(id);
        let connection = self.connections.remove(id);
        let (of, net) = (connection.as_ref(), &self.net);
        self.log.closed(now, id, of, relayed, net, &self.hub);
        self.hub.disconnect(now, id);
        let Some(connection) = connection else { return };
        if is_closed && connection.end == End::None {
            // When the server itself ends, no peer is waited for.
            let is_over = self.hub.is_shutting_down();
            let until = now.after(if is_over { 0 } else { LINGER_US });
            let (socket, scratch) = (connection.socket, &mut self.scratch);
            self.lingering.add(&mut self.net, until, socket, scratch);
        }
    }
}
