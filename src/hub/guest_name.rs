//! Names of guests: `guest17`, and on a node of a cluster `guest2-17`, so that nodes need not agree on whose a number is.
//! Knows neither client nor directory.

/// A guest's name begins with this.
pub const GUEST: &str = "guest";

/// A guest's number has its node's number in the bits above these, which count the guests of that node.
const COUNT_BITS: u32 = 48;

/// The number of a node's guest. The node's number is 0 without a cluster; `count` is at least 1, and grows.
pub fn number(node: u16, count: u64) -> u64 {
    debug_assert!((1..1 << COUNT_BITS).contains(&count));
    u64::from(node) << COUNT_BITS | count
}

/// The node and the count in a guest's number.
pub fn parts(number: u64) -> (u16, u64) {
    let count = number & ((1 << COUNT_BITS) - 1);
    ((number >> COUNT_BITS) as u16, count)
}

/// Appends the name to a line. This is done for each line that is said: without a `String`.
pub fn append(number: u64, out: &mut Vec<u8>) {
    let (node, count) = parts(number);
    out.extend_from_slice(GUEST.as_bytes());
    if node > 0 {
        append_digits(node.into(), out);
        out.push(b'-');
    }
    append_digits(count, out);
}

fn append_digits(mut number: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut first = digits.len();
    while number > 0 {
        first -= 1;
        digits[first] = b'0' + (number % 10) as u8;
        number /= 10;
    }
    out.extend_from_slice(&digits[first..]);
}

/// The number in a guest's name; `None` if this is not a guest's name as [`append`] writes it.
pub fn guest_number(name: &str) -> Option<u64> {
    let digits = name.strip_prefix(GUEST)?;
    let (node, count) = match digits.split_once('-') {
        Some((node, count)) => (u16::try_from(counted(node)?).ok()?, count),
        None => (0, digits),
    };
    let count = counted(count).filter(|&count| count < 1 << COUNT_BITS)?;
    Some(number(node, count))
}

/// A number from 1, without a sign and without zeros before it.
fn counted(digits: &str) -> Option<u64> {
    let is_plain = digits.starts_with(|c: char| c.is_ascii_digit() && c != '0');
    is_plain.then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guests_names_are_read_as_they_are_written() {
        let most = (1 << COUNT_BITS) - 1;
        for (node, count, name) in [
            (0, 1, "guest1"),
            (0, 1200, "guest1200"),
            (1, 1, "guest1-1"),
            (2, 17, "guest2-17"),
            (u16::MAX, most, "guest65535-281474976710655"),
        ] {
            let mut out = Vec::new();
            append(number(node, count), &mut out);
            assert_eq!(str::from_utf8(&out), Ok(name));
            assert_eq!(guest_number(name).map(parts), Some((node, count)));
        }
    }

    #[test]
    fn what_is_written_otherwise_is_no_guests_name() {
        for name in [
            "kim",
            "guest",
            "guest0",
            "guest01",
            "guest1x",
            "Guest1",
            "guest+1",
            "guest1-",
            "guest-1",
            "guest0-1",
            "guest1-0",
            "guest01-1",
            "guest1-01",
            "guest1-2-3",
            "guest1_2",
            "guest1-+2",
            "guest65536-1",
            "guest281474976710656",
            "guest1-281474976710656",
            "guest99999999999999999999",
        ] {
            assert_eq!(guest_number(name), None, "{name}");
        }
    }
}
