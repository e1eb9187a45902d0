//! Spans of time as people write them: `30s`, `10m`, `2h`, `7d`, `1h30m`. How they are written and how they are read back.

use std::fmt;

/// The longest span that is read: a hundred years.
const SECONDS_MAX: u64 = 100 * 365 * 86_400;

const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3600), ('m', 60), ('s', 1)];

/// Reads a span, in seconds: numbers with units, the largest unit first, each at most once. Neither nothing nor 0 is a span.
pub fn parse(text: &str) -> Option<u64> {
    let (mut rest, mut seconds) = (text, 0_u64);
    for (unit, unit_seconds) in UNITS {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if digits > 0 && rest[digits..].starts_with(unit) {
            let number: u64 = rest[..digits].parse().ok()?;
            seconds = seconds.checked_add(number.checked_mul(unit_seconds)?)?;
            rest = &rest[digits + 1..];
        }
    }
    (rest.is_empty() && (1..=SECONDS_MAX).contains(&seconds)).then_some(seconds)
}

/// Writes a span of so many seconds.
pub fn shown(seconds: u64) -> impl fmt::Display {
    fmt::from_fn(move |f| {
        let mut rest = seconds;
        for (unit, unit_seconds) in UNITS {
            let number = rest / unit_seconds;
            rest %= unit_seconds;
            if number > 0 || unit == 's' && seconds == 0 {
                write!(f, "{number}{unit}")?;
            }
        }
        Ok(())
    })
}

/// Writes when something ends that does so after so many seconds: `in 10m`, or `never`.
pub fn ends(seconds: Option<u64>) -> String {
    seconds.map_or_else(
        || "never".into(),
        |seconds| format!("in {}", shown(seconds)),
    )
}

/// Reads what [`ends`] has written. `Some(None)` is `never`.
pub fn parse_ends(text: &str) -> Option<Option<u64>> {
    match text.strip_prefix("in ") {
        None => (text == "never").then_some(None),
        Some("0s") => Some(Some(0)),
        Some(span) => parse(span).map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_as_they_are_written() {
        for (text, seconds) in [
            ("30s", 30),
            ("10m", 600),
            ("2h", 7200),
            ("7d", 604_800),
            ("1h30m", 5400),
            ("1d1s", 86_401),
        ] {
            assert_eq!(parse(text), Some(seconds));
            assert_eq!(shown(seconds).to_string(), text);
        }
        assert_eq!(parse("90m"), Some(5400), "one unit may be large");
        for text in [
            "",
            "0s",
            "s",
            "10",
            "m10",
            "1m1h",
            "1h1h",
            "-1s",
            "1.5h",
            "10x",
            "kim",
            "99999999d",
            "99999999999999999999d",
            "1h ",
            "１h",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
        for seconds in [None, Some(0), Some(1), Some(86_399)] {
            assert_eq!(parse_ends(&ends(seconds)), Some(seconds));
        }
        assert_eq!(parse_ends("soon"), None);
    }
}
