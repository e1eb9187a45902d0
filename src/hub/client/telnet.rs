//! Output to a telnet client: the plain output with CRs, on a path of its own, so that it costs other clients nothing.

use super::Client;
use super::crlf::Crlf;
use crate::hub::limits::SLICES_MAX;
use crate::hub::room::log::Log;
use crate::hub::types::Now;
use std::io::IoSlice;

impl Client {
    /// From now on lines to it end with CR LF.
    pub fn end_lines_with_crlf(&mut self) {
        self.crlf.get_or_insert_default();
    }

    /// As [`output`](Client::output).
    #[cold]
    #[inline(never)]
    pub(super) fn telnet_output<'a>(
        &'a mut self,
        log: &'a Log,
        slices: &mut [IoSlice<'a>],
        telnet_write: &'a mut Vec<u8>,
    ) -> usize {
        let crlf = self.crlf.unwrap_or(Crlf::Text);
        let filled = self.plain_output(log, slices);
        crlf.output(&mut slices[..filled], telnet_write)
    }

    /// As [`sent`](Client::sent).
    #[cold]
    #[inline(never)]
    pub(super) fn telnet_sent(&mut self, now: Now, log: &mut Log, n: usize) -> bool {
        let until = self.log_until(log.end());
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let filled = self.outbox.output(log, until, &mut slices);
        let crlf = self.crlf.get_or_insert_default();
        let n = crlf.sent(&slices[..filled], n);
        self.plain_sent(now, log, n)
    }
}
