//! Ranges of IP addresses (CIDR, RFC 4632 and RFC 4291, section 2.3): how they are written and read, and what is in them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Bits of an IPv6 prefix that one host may have for itself alone: a host that has one address of it has all.
const HOST_PREFIX_V6: u8 = 64;
/// Bits before the IPv4 address in an IPv4-mapped IPv6 address (RFC 4291, section 2.5.5.2).
const MAPPED_PREFIX: u8 = 96;

/// All addresses whose first `bits` are those of `base`. In the order of their first addresses; a range comes before the
/// ranges in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Range {
    family: Family,
    /// The first address; of IPv4 in the upper 32 bits. Bits after the first `bits` are 0.
    base: u128,
    bits: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Family {
    V4,
    V6,
}

impl Range {
    /// What a ban of this address bans: of IPv6 its /64. An IPv4-mapped address counts as IPv4.
    pub fn of(address: IpAddr) -> Range {
        match address.to_canonical() {
            IpAddr::V4(_) => Range::new(address, 32),
            IpAddr::V6(_) => Range::new(address, HOST_PREFIX_V6),
        }
    }

    /// The range of `bits` around an address.
    fn new(address: IpAddr, bits: u8) -> Range {
        let (family, whole) = left_aligned(address);
        Range {
            family,
            base: whole & mask(bits),
            bits,
        }
    }

    /// The same, but an address alone means that address: where others are trusted, its neighbours are not.
    pub fn parse_exact(text: &str) -> Option<Range> {
        match text.parse() {
            Ok(address @ IpAddr::V6(_)) if address.to_canonical().is_ipv6() => {
                Some(Range::new(address, 128))
            }
            _ => Range::parse(text),
        }
    }

    /// Reads `10.1.0.0/16`, `2001:db8::/32`, or an [address](Range::of) alone.
    pub fn parse(text: &str) -> Option<Range> {
        let Some((address, bits)) = text.split_once('/') else {
            return text.parse().ok().map(Range::of);
        };
        let address: IpAddr = address.parse().ok()?;
        if bits.is_empty() || !bits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let bits: u8 = bits.parse().ok()?;
        match (address, address.to_canonical()) {
            (IpAddr::V6(_), IpAddr::V4(_)) if bits >= MAPPED_PREFIX => {
                (bits <= 128).then(|| Range::new(address, bits - MAPPED_PREFIX))
            }
            // More than IPv4-mapped addresses: of these there are none here.
            (IpAddr::V6(v6), _) => (bits <= 128).then(|| Range {
                family: Family::V6,
                base: u128::from(v6) & mask(bits),
                bits,
            }),
            (IpAddr::V4(_), _) => (bits <= 32).then(|| Range::new(address, bits)),
        }
    }

    /// Whether an address is in it.
    pub fn contains(self, address: IpAddr) -> bool {
        let (family, address) = left_aligned(address);
        family == self.family && address & mask(self.bits) == self.base
    }

    /// Whether all of another range is in it.
    fn includes(self, other: Range) -> bool {
        let begins_alike = other.base & mask(self.bits) == self.base;
        self.family == other.family && self.bits <= other.bits && begins_alike
    }

    /// Whether it is all addresses of a family.
    pub fn is_all(self) -> bool {
        self.bits == 0
    }

    /// The last range, in order, that can contain this address.
    pub fn last_around(address: IpAddr) -> Range {
        let (family, base) = left_aligned(address);
        Range {
            family,
            base,
            bits: 128,
        }
    }

    /// The last range, in order, that can contain both this address and this range, which comes before it and does not
    /// contain it: whatever contains both has their common bits at most. `None` for ranges of two families.
    pub fn last_around_both(self, address: IpAddr) -> Option<Range> {
        let (family, address) = left_aligned(address);
        let common = (self.base ^ address).leading_zeros() as u8;
        let bits = common.min(self.bits);
        (family == self.family).then(|| Range {
            family,
            base: address & mask(bits),
            bits,
        })
    }
}

/// A set of ranges, in which an address is found in O(log n).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranges {
    /// In order, and apart from one another.
    apart: Vec<Range>,
}

impl Ranges {
    /// Whether there is no address in it.
    pub fn is_empty(&self) -> bool {
        self.apart.is_empty()
    }

    /// Whether an address is in one of them.
    pub fn contains(&self, address: IpAddr) -> bool {
        let last = Range::last_around(address);
        let after = self.apart.partition_point(|range| *range <= last);
        let around = after.checked_sub(1).map(|nth| self.apart[nth]);
        around.is_some_and(|range| range.contains(address))
    }
}

impl FromIterator<Range> for Ranges {
    fn from_iter<I: IntoIterator<Item = Range>>(ranges: I) -> Ranges {
        let mut apart: Vec<Range> = ranges.into_iter().collect();
        apart.sort_unstable();
        // A range comes before those in it.
        apart.dedup_by(|range, before| before.includes(*range));
        Ranges { apart }
    }
}

/// The bits of an address, from the left.
fn left_aligned(address: IpAddr) -> (Family, u128) {
    match address.to_canonical() {
        IpAddr::V4(v4) => (Family::V4, u128::from(u32::from(v4)) << 96),
        IpAddr::V6(v6) => (Family::V6, u128::from(v6)),
    }
}

/// The first `bits` of 128.
fn mask(bits: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0)
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = match self.family {
            Family::V4 => IpAddr::V4(Ipv4Addr::from((self.base >> 96) as u32)),
            Family::V6 => IpAddr::V6(Ipv6Addr::from(self.base)),
        };
        match (self.family, self.bits) {
            (Family::V4, 32) => write!(f, "{address}"),
            (_, bits) => write!(f, "{address}/{bits}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(text: &str) -> Range {
        Range::parse(text).unwrap_or_else(|| panic!("{text}"))
    }

    #[test]
    fn ranges_are_read_as_they_are_written() {
        for (text, shown) in [
            ("10.0.0.1", "10.0.0.1"),
            ("10.0.0.1/32", "10.0.0.1"),
            ("10.1.2.3/16", "10.1.0.0/16"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("2001:db8::1", "2001:db8::/64"),
            ("2001:db8::1/128", "2001:db8::1/128"),
            ("2001:db8:1::/33", "2001:db8::/33"),
            ("::ffff:10.0.0.1", "10.0.0.1"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::/0", "::/0"),
        ] {
            assert_eq!(range(text).to_string(), shown);
            assert_eq!(range(shown), range(text));
        }
        for text in [
            "",
            "/",
            "/8",
            "10.0.0.1/",
            "10.0.0.1/33",
            "10.0.0.1/+8",
            "::/129",
            "::/999",
            "kim",
            "10.0.0/8",
            "10.0.0.1/8/8",
            "fe80::1%eth0",
            "10.0.0.1 ",
            "[::1]",
        ] {
            assert_eq!(Range::parse(text), None, "{text}");
        }
    }

    #[test]
    fn an_address_alone_means_its_host_or_itself() {
        for (text, host, exact) in [
            ("10.0.0.1", "10.0.0.1", "10.0.0.1"),
            ("::ffff:10.0.0.1", "10.0.0.1", "10.0.0.1"),
            ("2001:db8::1", "2001:db8::/64", "2001:db8::1/128"),
            ("2001:db8::/32", "2001:db8::/32", "2001:db8::/32"),
        ] {
            assert_eq!(range(text).to_string(), host);
            assert_eq!(Range::parse_exact(text).unwrap().to_string(), exact);
        }
        assert_eq!(Range::parse_exact("10.0.0.1/33"), None);
    }

    #[test]
    fn an_address_is_in_a_set_if_it_is_in_one_of_its_ranges() {
        for seed in 0..300 {
            let mut rng = fastrand::Rng::with_seed(seed);
            // Few bits differ, so that ranges are nested and addresses are near them.
            let address = |rng: &mut fastrand::Rng| -> IpAddr {
                let (high, low) = (rng.u32(..) & 0xa000_8081, rng.u32(..) & 0x8000_0003);
                match rng.bool() {
                    true => Ipv4Addr::from(high).into(),
                    false => Ipv6Addr::from(u128::from(high) << 96 | u128::from(low)).into(),
                }
            };
            let ranges = (0..rng.usize(..30)).map(|_| {
                let address = address(&mut rng);
                Range::new(
                    address,
                    rng.u8(0..=if address.is_ipv4() { 32 } else { 128 }),
                )
            });
            let ranges: Vec<Range> = ranges.collect();
            let set: Ranges = ranges.iter().copied().collect();
            assert_eq!(set.is_empty(), ranges.is_empty());
            for _ in 0..100 {
                let address = address(&mut rng);
                let expected = ranges.iter().any(|range| range.contains(address));
                assert_eq!(set.contains(address), expected, "seed {seed}: {address}");
            }
        }
    }

    #[test]
    fn a_range_contains_what_begins_as_it_does() {
        for (text, address, expected) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("10.0.0.0/8", "::ffff:10.0.0.1", true),
            ("::/0", "10.0.0.1", false),
            ("a00::/8", "10.0.0.1", false),
            ("2001:db8::1", "2001:db8::ffff:1", true),
            ("2001:db8::1", "2001:db8:0:1::1", false),
            ("0.0.0.0/0", "255.1.1.1", true),
            ("::ffff:0:0/96", "1.1.1.1", true),
        ] {
            assert_eq!(
                range(text).contains(address.parse().unwrap()),
                expected,
                "{text} {address}"
            );
        }
        assert!(range("::ffff:0:0/96").is_all() && range("::/0").is_all());
    }
}
