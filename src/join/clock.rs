//! The time of day.

/// How wide a timestamp is, and what stands in its place where the time is not known.
pub const NO_TIME: &str = "     ";

/// The local time, for a timestamp.
pub fn time_of_day() -> String {
    jiff::Zoned::now().strftime("%H:%M").to_string()
}
