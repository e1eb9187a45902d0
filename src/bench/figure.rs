//! Figures: how they are computed from what was measured, and how people read them. Nothing is measured here.

use crate::protocol::grouped;

/// `larger - smaller`, for two readings of which the second can never exceed the first.
///
/// # Errors
/// It does: a reading is wrong, and no figure may be made of it.
pub fn difference(what: &str, larger: u64, smaller: u64) -> Result<u64, String> {
    larger.checked_sub(smaller).ok_or_else(|| {
        let (larger, smaller) = (grouped(larger), grouped(smaller));
        format!("{what}: {larger} less {smaller} is below zero; one of them was measured wrongly")
    })
}

/// Events a second, from a count and the time that it took; 0 where no time has passed.
pub fn per_second(count: u64, ns: u64) -> f64 {
    if ns == 0 {
        return 0.0;
    }
    count as f64 * 1e9 / ns as f64
}

/// Nanoseconds as seconds.
pub fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

/// `1,000 lines in 0.52 s: 1,923 a second`
pub fn in_time(count: u64, what: &str, ns: u64) -> String {
    let rate = grouped(per_second(count, ns).round() as u64);
    format!(
        "{}{what} in {:.2} s: {rate} a second",
        grouped(count),
        seconds(ns)
    )
}

/// A time with three digits, in the unit that suits it.
pub fn time(ns: u64) -> String {
    let (value, unit) = match ns {
        ..1_000 => return format!("{ns} ns"),
        1_000..1_000_000 => (ns as f64 / 1e3, "µs"),
        1_000_000..1_000_000_000 => (ns as f64 / 1e6, "ms"),
        _ => (ns as f64 / 1e9, "s"),
    };
    let decimals = if value < 10.0 {
        2
    } else {
        usize::from(value < 100.0)
    };
    format!("{value:.decimals$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_below_zero_is_an_error() {
        assert_eq!(difference("lines lost", 7, 7), Ok(0));
        assert_eq!(difference("lines lost", u64::MAX, 1), Ok(u64::MAX - 1));
        let error = difference("lines lost", 3_999, 4_000).unwrap_err();
        assert!(
            error.starts_with("lines lost: 3,999 less 4,000 is below zero"),
            "{error}"
        );
    }

    #[test]
    fn times_have_three_digits() {
        for (ns, want) in [
            (7, "7 ns"),
            (1_234, "1.23 µs"),
            (12_345, "12.3 µs"),
            (123_456_789, "123 ms"),
            (2_000_000_000, "2.00 s"),
        ] {
            assert_eq!(time(ns), want);
        }
    }

    #[test]
    fn rates_are_whole_and_zero_where_no_time_has_passed() {
        assert_eq!(
            in_time(1000, " lines", 520_000_000),
            "1,000 lines in 0.52 s: 1,923 a second"
        );
        assert_eq!(in_time(0, "", 0), "0 in 0.00 s: 0 a second");
    }
}
