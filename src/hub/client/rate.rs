//! How often one client may send: a steady rate with bursts. Knows no client.

use crate::hub::limits::Limits;
use crate::hub::types::Now;

/// The generic cell rate algorithm (ITU-T I.371): one time stamp instead of a bucket.
#[derive(Clone, Copy, Debug, Default)]
pub struct RateLimiter {
    /// When all lines sent so far would have been sent at the steady rate.
    paid_until: Now,
}

impl RateLimiter {
    /// Counts one line. The limit may be exceeded by one line, the one that has been received already.
    pub fn charge(&mut self, now: Now, limits: &Limits) {
        if limits.rate_lines > 0 {
            self.paid_until = self.paid_until.max(now).after(interval_us(limits));
        }
    }

    /// The rate has changed: no more than a burst and a line is owed, or what was owed at a slow rate would take as long at a
    /// fast one.
    pub fn cap(&mut self, now: Now, limits: &Limits) {
        let most_us = u64::from(limits.burst_lines) * interval_us(limits);
        self.paid_until = self.paid_until.min(now.after(most_us));
    }

    /// Whether it is as if nothing had been sent.
    pub fn is_paid(self, now: Now) -> bool {
        self.paid_until <= now
    }

    /// When the next line may be sent: not later than `now` means at once.
    pub fn free_at(self, limits: &Limits) -> Now {
        let burst_us = u64::from(limits.burst_lines.saturating_sub(1)) * interval_us(limits);
        Now::from_micros(self.paid_until.as_micros().saturating_sub(burst_us))
    }
}

/// Microseconds a line at the steady rate; 0: no limit.
fn interval_us(limits: &Limits) -> u64 {
    1_000_000u64
        .checked_div(u64::from(limits.rate_lines))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_at_once_and_then_the_rate_holds() {
        let limits = Limits {
            rate_lines: 10,
            burst_lines: 3,
            ..Limits::default()
        };
        let start = Now::from_micros(50_000_000);
        let (mut rate, mut now, mut sent) = (RateLimiter::default(), start, Vec::new());
        for _ in 0..6 {
            now = now.max(rate.free_at(&limits));
            rate.charge(now, &limits);
            sent.push((now.as_micros() - start.as_micros()) / 1000);
        }
        assert_eq!(sent, [0, 0, 0, 100, 200, 300]);
        let later = now.after(60_000_000);
        rate.charge(later, &limits);
        rate.charge(later, &limits);
        assert!(
            rate.free_at(&limits) <= later,
            "a pause permits one burst at most"
        );
        rate.charge(later, &limits);
        assert!(rate.free_at(&limits) > later);
    }
}
