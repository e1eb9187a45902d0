//! The time that the hub is told: real time, less the time that the process did not run. Knows no socket.

use crate::hub::Now;

/// Microseconds between two looks at the clock after which the process must have been stopped: no turn takes so long.
const PAUSE_US: u64 = 1_000_000;

/// Real time less pauses (SIGSTOP, a suspended virtual machine): a pause is nobody's silence, since nobody could be heard.
#[derive(Debug, Default)]
pub struct ServiceTime {
    /// Real time at the last look, or until when the process was allowed to wait after it.
    expected: Now,
    /// Microseconds of all pauses so far.
    paused_us: u64,
}

impl ServiceTime {
    /// The service time when the clock shows the real time `real`. Every look at the clock comes here: a pause before one that
    /// did not would not be noticed at the next.
    pub fn at(&mut self, real: Now) -> Now {
        let excess_us = real.as_micros().saturating_sub(self.expected.as_micros());
        if excess_us > PAUSE_US {
            self.paused_us += excess_us;
        }
        self.expected = real;
        Now::from_micros(real.as_micros().saturating_sub(self.paused_us))
    }

    /// The process may wait for so many microseconds after the last look.
    pub fn wait(&mut self, us: u64) {
        self.expected = self.expected.after(us);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_left_out_and_waiting_is_not() {
        let at = Now::from_micros;
        let mut time = ServiceTime::default();
        assert_eq!(time.at(at(500_000)), at(500_000));
        // A poll may wait as long as it was told to.
        time.wait(10_000_000);
        assert_eq!(time.at(at(10_500_000)), at(10_500_000));
        // Stopped for five seconds in the middle of a turn, and for three beyond a poll's timeout.
        assert_eq!(time.at(at(15_500_000)), at(10_500_000));
        time.wait(2_000_000);
        assert_eq!(time.at(at(20_500_000)), at(12_500_000));
        assert_eq!(time.at(at(20_500_100)), at(12_500_100));
        assert_eq!(time.paused_us, 8_000_000);
    }
}
