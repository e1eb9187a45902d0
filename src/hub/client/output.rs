//! What is written to a client, and what is when it has been: from its outbox, and to a telnet client with CRs, on a path
//! of its own, so that this costs other clients nothing.

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
        if self.outbox.crlf.is_some() {
            return self.telnet_output(log, slices, telnet_write);
        }
        self.plain_output(log, slices)
    }

    #[inline(always)]
    fn plain_output<'a>(&'a mut self, log: &'a Log, slices: &mut [IoSlice<'a>]) -> usize {
        if matches!(self.state, State::Closed(_)) {
            return 0;
        }
        let until = self.log_until(log.end());
        self.outbox
            .tell_skipped(until, |out, lines| Notice::Skipped { lines }.write(out));
        self.outbox.output(log, until, slices)
    }

    /// The first `n` bytes that [`output`](Client::output) lent have been written. Returns whether more is to be written.
    pub fn sent(&mut self, now: Now, log: &mut Log, n: usize) -> bool {
        if self.outbox.crlf.is_some() {
            return self.telnet_sent(now, log, n);
        }
        self.plain_sent(now, log, n)
    }

    #[inline(always)]
    fn plain_sent(&mut self, now: Now, log: &mut Log, n: usize) -> bool {
        let until = self.log_until(log.end());
        self.outbox.sent(log, until, n);
        self.outbox.written = self.outbox.written.saturating_add(n as u32);
        self.progress_at = now;
        self.outbox.has_output(until)
    }

    /// From now on lines to it end with CR LF.
    pub fn end_lines_with_crlf(&mut self) {
        self.outbox.crlf.get_or_insert_default();
    }

    /// As [`output`](Client::output).
    #[cold]
    #[inline(never)]
    fn telnet_output<'a>(
        &'a mut self,
        log: &'a Log,
        slices: &mut [IoSlice<'a>],
        telnet_write: &'a mut Vec<u8>,
    ) -> usize {
        let crlf = self.outbox.crlf.unwrap_or(Crlf::Text);
        let filled = self.plain_output(log, slices);
        crlf.output(&mut slices[..filled], telnet_write)
    }

    /// As [`sent`](Client::sent).
    #[cold]
    #[inline(never)]
    fn telnet_sent(&mut self, now: Now, log: &mut Log, n: usize) -> bool {
        let until = self.log_until(log.end());
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let filled = self.outbox.output(log, until, &mut slices);
        let mut crlf = self.outbox.crlf.unwrap_or(Crlf::Text);
        let n = crlf.sent(&slices[..filled], n);
        self.outbox.crlf = Some(crlf);
        self.plain_sent(now, log, n)
    }
}
