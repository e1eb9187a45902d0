//! What is written to a client, and what is when it has been: nearly always its room's log alone; otherwise from its outbox,
//! and to a telnet client with CRs.

use super::crlf::Crlf;
use super::{Client, State};
use crate::hub::limits::SLICES_MAX;
use crate::hub::room::log::Log;
use crate::hub::types::Now;
use crate::protocol::Notice;
use std::io::IoSlice;

impl Client {
    /// Lends what to write next, and returns how many slices that is; 0: nothing. What is written to a telnet client is
    /// put into `telnet_write`.
    pub fn output<'a>(
        &'a mut self,
        log: &'a Log,
        slices: &mut [IoSlice<'a>],
        telnet_write: &'a mut Vec<u8>,
    ) -> usize {
        if matches!(self.state, State::Closed(_) | State::CutShort(_)) {
            return 0;
        }
        let until = self.log_until(log.end());
        if let (Some(range), [slice, ..]) = (self.outbox.only_log(until), &mut *slices) {
            *slice = IoSlice::new(log.bytes(range));
            return 1;
        }
        self.output_with_pending(log, until, slices, telnet_write)
    }

    #[inline(never)]
    fn output_with_pending<'a>(
        &'a mut self,
        log: &'a Log,
        until: u64,
        slices: &mut [IoSlice<'a>],
        telnet_write: &'a mut Vec<u8>,
    ) -> usize {
        self.outbox
            .tell_skipped(until, |out, lines| Notice::Skipped { lines }.write(out));
        let filled = self.outbox.output(log, until, slices);
        match self.outbox.crlf() {
            Some(crlf) => crlf.output(&mut slices[..filled], telnet_write),
            None => filled,
        }
    }

    /// The first `n` bytes that [`output`](Client::output) lent have been written. Returns whether more is to be written.
    pub fn sent(&mut self, now: Now, log: &mut Log, n: usize) -> bool {
        let until = self.log_until(log.end());
        self.progress_at = now;
        self.outbox.written = self.outbox.written.saturating_add(n as u32);
        if let Some(range) = self.outbox.only_log(until) {
            debug_assert!(n as u64 <= range.end - range.start);
            self.outbox.log_sent(log, range.start + n as u64);
            return self.outbox.cursor() < until;
        }
        self.sent_with_pending(log, until, n)
    }

    #[inline(never)]
    fn sent_with_pending(&mut self, log: &mut Log, until: u64, mut n: usize) -> bool {
        if let Some(mut crlf) = self.outbox.crlf() {
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let filled = self.outbox.output(log, until, &mut slices);
            n = crlf.sent(&slices[..filled], n);
            self.outbox.set_crlf(crlf);
        }
        self.outbox.sent(log, until, n);
        self.outbox.has_output(until)
    }

    /// From now on lines to it end with CR LF.
    pub fn end_lines_with_crlf(&mut self) {
        self.outbox
            .set_crlf(self.outbox.crlf().unwrap_or(Crlf::Text));
    }
}
