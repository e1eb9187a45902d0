//! Connections by address, and what each address has used of its rate: a limit that ended with a connection would be none.
//! Knows no client but its slot.

use super::client::rate::RateLimiter;
use super::limits::{ADDRESSES_OWING_MAX, Limits};
use super::types::Now;
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};

/// Addresses, where there is a limit for them. IPv4-mapped addresses count as IPv4, IPv6 addresses by their /64 prefix,
/// since a host that has one of them has all of them.
#[derive(Debug, Default)]
pub struct Addresses {
    entries: BTreeMap<IpAddr, Entry>,
    /// The address of each connection that is counted, by slot.
    by_slot: BTreeMap<u32, IpAddr>,
    /// Addresses without connections whose rate is not paid back, in the order in which they lost their last connection;
    /// `0 <= len <= ADDRESSES_OWING_MAX`.
    owing: VecDeque<IpAddr>,
    /// What clients without a counted address have used of their rate, by slot.
    without_address: BTreeMap<u32, RateLimiter>,
}

#[derive(Debug, Default)]
struct Entry {
    connections: usize,
    rate: RateLimiter,
    /// It is in `owing`.
    is_owing: bool,
}

/// What an address counts as.
pub fn key(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let prefix = u128::from(address) & !u128::from(u64::MAX);
            Ipv6Addr::from(prefix).into()
        }
        address @ IpAddr::V4(_) => address,
    }
}

impl Addresses {
    /// How many connections come from an address.
    pub fn count(&self, address: IpAddr) -> usize {
        let entry = self.entries.get(&key(address));
        entry.map_or(0, |entry| entry.connections)
    }

    /// Counts a connection, unless it is counted already.
    pub fn add(&mut self, now: Now, address: IpAddr, slot: u32, limits: &Limits) {
        let address = key(address);
        if self.by_slot.insert(slot, address).is_none() {
            let entry = self.entries.entry(address).or_default();
            entry.connections += 1;
            entry.rate.cap(now, limits);
        }
    }

    /// A connection has ended; it may not have been counted.
    pub fn remove(&mut self, now: Now, slot: u32) {
        self.without_address.remove(&slot);
        if let Some(address) = self.by_slot.remove(&slot)
            && let Some(entry) = self.entries.get_mut(&address)
        {
            entry.connections -= 1;
            if entry.connections == 0 && !entry.is_owing {
                entry.is_owing = true;
                self.owing.push_back(address);
            }
        }
        self.forget_paid(now);
    }

    /// Forgets the oldest addresses without connections whose rate is paid back, or that are too many.
    fn forget_paid(&mut self, now: Now) {
        while let Some(address) = self.owing.front()
            && let Some(entry) = self.entries.get_mut(address)
        {
            let is_paid = entry.rate.is_paid(now) || self.owing.len() > ADDRESSES_OWING_MAX;
            if entry.connections == 0 && !is_paid {
                break;
            }
            entry.is_owing = false;
            if entry.connections == 0 {
                self.entries.remove(address);
            }
            self.owing.pop_front();
        }
    }

    /// What a connection has used of its rate, together with all others of its address, if that is counted.
    pub fn rate(&mut self, slot: u32) -> &mut RateLimiter {
        let address = self.by_slot.get(&slot);
        match address.and_then(|address| self.entries.get_mut(address)) {
            Some(entry) => &mut entry.rate,
            None => self.without_address.entry(slot).or_default(),
        }
    }

    /// Under new limits, a connection owes no more of its rate than they allow.
    pub fn cap_rate(&mut self, now: Now, slot: u32, limits: &Limits) {
        let address = self.by_slot.get(&slot);
        let entry = address.and_then(|address| self.entries.get_mut(address));
        let rate = match entry {
            Some(entry) => Some(&mut entry.rate),
            None => self.without_address.get_mut(&slot),
        };
        if let Some(rate) = rate {
            rate.cap(now, limits);
        }
    }

    /// When a connection may send its next line: not later than now means at once.
    pub fn free_at(&self, slot: u32, limits: &Limits) -> Now {
        let counted = self.by_slot.get(&slot);
        let counted = counted.and_then(|address| Some(&self.entries.get(address)?.rate));
        let rate = counted.or_else(|| self.without_address.get(&slot));
        rate.copied().unwrap_or_default().free_at(limits)
    }

    /// Whether connections are counted under these limits.
    pub fn are_counted(limits: &Limits) -> bool {
        limits.clients_per_ip_max > 0 || limits.rate_lines > 0
    }

    /// How many addresses have connections that are counted.
    pub fn len(&self) -> usize {
        let entries = self.entries.values();
        entries.filter(|entry| entry.connections > 0).count()
    }

    /// Panics if an invariant is broken. For tests: looks at everything.
    pub fn check(&self) {
        let entries = self.entries.values();
        let connections: usize = entries.map(|entry| entry.connections).sum();
        assert_eq!(connections, self.by_slot.len());
        let entries = self.entries.values();
        assert_eq!(
            entries.filter(|entry| entry.is_owing).count(),
            self.owing.len()
        );
        let mut entries = self.entries.values();
        assert!(entries.all(|entry| entry.connections > 0 || entry.is_owing));
        assert!(self.owing.len() <= ADDRESSES_OWING_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_counted_until_their_last_connection_ends() {
        let mut addresses = Addresses::default();
        let now = Now::default();
        let parse = |address: &str| address.parse::<IpAddr>().unwrap();
        for (slot, address) in ["10.0.0.1", "::ffff:10.0.0.1", "2001:db8::1", "2001:db8::2"]
            .into_iter()
            .enumerate()
        {
            addresses.add(now, parse(address), slot as u32, &Limits::default());
        }
        assert_eq!(addresses.count(parse("10.0.0.1")), 2);
        assert_eq!(addresses.count(parse("2001:db8::ffff")), 2);
        assert_eq!(addresses.count(parse("2001:db8:0:1::1")), 0);
        for slot in [0, 0, 1, 2, 3] {
            addresses.remove(now, slot);
            addresses.check();
        }
        assert!(addresses.len() == 0 && addresses.entries.is_empty());
    }

    #[test]
    fn an_address_owes_its_rate_after_its_connections_have_ended() {
        let limits = Limits {
            rate_lines: 1,
            burst_lines: 1,
            ..Limits::default()
        };
        let (mut addresses, now) = (Addresses::default(), Now::from_micros(9));
        let address: IpAddr = [10, 0, 0, 1].into();
        addresses.add(now, address, 1, &limits);
        addresses.rate(1).charge(now, &limits);
        addresses.remove(now, 1);
        addresses.check();
        addresses.add(now, address, 2, &limits);
        assert!(addresses.free_at(2, &limits) > now);
        addresses.remove(now, 2);
        let later = now.after(1_000_000);
        addresses.add(now, [10, 0, 0, 2].into(), 3, &limits);
        addresses.remove(later, 3);
        assert!(addresses.entries.is_empty(), "it is paid back by now");
        addresses.check();
    }
}
