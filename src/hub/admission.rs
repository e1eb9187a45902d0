//! Whether a newcomer may come in. Decides from numbers and its address alone.

use super::limits::{Limits, OPERATORS_MAX};
use crate::protocol::Refusal;
use std::net::IpAddr;

/// Why a newcomer is refused, if it is, beside so many `clients`, of which `from_address` come from its own address, if that
/// is counted.
pub fn refusal(
    limits: &Limits,
    clients: usize,
    from_address: Option<usize>,
) -> Option<Refusal<'static>> {
    if clients >= limits.clients_max {
        let clients_max = limits.clients_max;
        return Some(Refusal::ServerFull { clients_max });
    }
    let clients_max = limits.clients_per_ip_max;
    let is_full = from_address.is_some_and(|clients| clients >= clients_max);
    is_full.then_some(Refusal::AddressFull { clients_max })
}

/// Whether newcomers from this address may come.
pub fn may_come(limits: &Limits, address: IpAddr) -> bool {
    let is_allowed = limits.allow.is_empty() || limits.allow.contains(address);
    is_allowed && !limits.deny.contains(address)
}

/// The same of a newcomer at the control listener, beside so many there.
pub fn refusal_of_operator(operators: usize) -> Option<Refusal<'static>> {
    let clients_max = OPERATORS_MAX;
    (operators >= clients_max).then_some(Refusal::OperatorsFull { clients_max })
}

#[cfg(test)]
mod tests {
    use super::super::operators::range::{Range, Ranges};
    use super::*;

    #[test]
    fn an_address_is_denied_before_it_is_allowed() {
        let ranges = |all: &[&str]| -> Ranges {
            let ranges = all.iter().map(|text| Range::parse(text).unwrap());
            ranges.collect()
        };
        for (allow, deny, address, expected) in [
            (&[][..], &[][..], "10.0.0.1", true),
            (&[], &["10.0.0.0/8"], "10.0.0.1", false),
            (&[], &["10.0.0.0/8"], "::ffff:10.0.0.1", false),
            (&[], &["10.0.0.0/8"], "2001:db8::1", true),
            (&["10.0.0.0/8"], &[], "10.0.0.1", true),
            (&["10.0.0.0/8"], &[], "11.0.0.1", false),
            (&["10.0.0.0/8"], &[], "2001:db8::1", false),
            (&["10.0.0.0/8"], &["10.1.0.0/16"], "10.1.0.1", false),
            (&["10.0.0.0/8"], &["10.1.0.0/16"], "10.2.0.1", true),
            (&["10.1.0.0/16"], &["10.0.0.0/8"], "10.1.0.1", false),
        ] {
            let limits = Limits {
                allow: ranges(allow),
                deny: ranges(deny),
                ..Limits::default()
            };
            let may_come = may_come(&limits, address.parse().unwrap());
            assert_eq!(may_come, expected, "{allow:?} {deny:?} {address}");
        }
    }

    #[test]
    fn the_refusal_names_the_limit_that_is_reached() {
        let limits = Limits {
            clients_max: 3,
            clients_per_ip_max: 2,
            ..Limits::default()
        };
        let [server, address] = [
            Refusal::ServerFull { clients_max: 3 },
            Refusal::AddressFull { clients_max: 2 },
        ];
        assert_eq!(refusal(&limits, 2, None), None);
        assert_eq!(refusal(&limits, 2, Some(1)), None);
        assert_eq!(refusal(&limits, 2, Some(2)), Some(address));
        assert_eq!(refusal(&limits, 3, Some(2)), Some(server));
    }
}
