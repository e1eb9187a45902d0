//! The time of day.

/// The local time, for a timestamp.
pub fn time_of_day() -> String {
    jiff::Zoned::now().strftime("%H:%M").to_string()
}
