//! The rows of a report: what was measured, the goal, and whether it was met. Nothing is measured here.

use std::time::Duration;

use madang::protocol::grouped;

/// Widths of the columns; the verdict and notes follow.
const NAME_WIDTH: usize = 46;
const MEASURED_WIDTH: usize = 36;
const GOAL_WIDTH: usize = 16;

/// What a number counts, and with how many digits it is shown.
#[derive(Clone, Copy)]
pub(crate) struct Unit {
    /// Follows the number, as in `12 ms`.
    pub(crate) suffix: &'static str,
    /// Digits after the point.
    pub(crate) decimals: usize,
}

const fn unit(suffix: &'static str, decimals: usize) -> Unit {
    Unit { suffix, decimals }
}

pub(crate) const NANOSECONDS: Unit = unit("ns", 0);
pub(crate) const MICROSECONDS: Unit = unit("µs", 0);
pub(crate) const MILLISECONDS: Unit = unit("ms", 2);
pub(crate) const SECONDS: Unit = unit("s", 2);
pub(crate) const BYTES: Unit = unit("bytes", 0);
pub(crate) const MEBIBYTES: Unit = unit("MiB", 2);
pub(crate) const LINES: Unit = unit("lines", 0);
pub(crate) const DESCRIPTORS: Unit = unit("descriptors", 0);
pub(crate) const MEMBERS: Unit = unit("members", 0);
pub(crate) const CALLS: Unit = unit("calls", 3);
pub(crate) const TIMES: Unit = unit("x", 3);
pub(crate) const PER_SECOND: Unit = unit("a second", 0);

/// Bytes in a MiB.
pub(crate) const MEBIBYTE: f64 = 1024.0 * 1024.0;

/// A time as a number of milliseconds.
pub(crate) fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// The goal of a figure.
#[derive(Clone, Copy)]
pub(crate) enum Goal {
    /// None: the figure is shown only.
    None,
    /// Met up to and including this.
    AtMost(f64),
    /// Met from this on.
    AtLeast(f64),
    /// Met below this.
    Below(f64),
    /// Not a matter of speed: with any other value the run fails, because lines were lost or came twice.
    MustBe(f64),
}

impl Goal {
    fn is_met_by(self, rounds: &Rounds) -> bool {
        match self {
            Self::None => true,
            Self::AtMost(limit) => rounds.median() <= limit,
            Self::AtLeast(limit) => rounds.median() >= limit,
            Self::Below(limit) => rounds.median() < limit,
            Self::MustBe(exact) => rounds.sorted.iter().all(|&value| value == exact),
        }
    }

    fn show(self, unit: Unit) -> String {
        match self {
            Self::None => String::new(),
            Self::AtMost(limit) => format!("<= {}", number(limit, unit.decimals)),
            Self::AtLeast(limit) => format!(">= {}", number(limit, unit.decimals)),
            Self::Below(limit) => format!("< {}", number(limit, unit.decimals)),
            Self::MustBe(exact) => format!("= {}", number(exact, unit.decimals)),
        }
    }
}

/// The values of the rounds of one measurement, sorted; the median stands for them.
pub(crate) struct Rounds {
    sorted: Vec<f64>,
}

impl Rounds {
    /// The values must be at least one, and none NaN.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = values.into_iter().collect();
        assert!(!sorted.is_empty(), "a measurement has at least one round");
        sorted.sort_by(f64::total_cmp);
        Self { sorted }
    }

    /// The smallest value that is not exceeded by at least this share (0 to 1) of all values.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let rank = (share * self.sorted.len() as f64).ceil() as usize;
        self.sorted[rank.clamp(1, self.sorted.len()) - 1]
    }

    /// The middle value.
    pub(crate) fn median(&self) -> f64 {
        let (lower, upper) = ((self.sorted.len() - 1) / 2, self.sorted.len() / 2);
        (self.sorted[lower] + self.sorted[upper]) / 2.0
    }

    /// `12 ms`, or `11 / 12 / 15 ms` (least, median, most) when there were several rounds.
    fn show(&self, unit: Unit) -> String {
        let shown = |value| number(value, unit.decimals);
        match self.sorted[..] {
            [only] => format!("{} {}", shown(only), unit.suffix),
            [least, .., most] => {
                let values = [least, self.median(), most].map(shown).join(" / ");
                format!("{values} {}", unit.suffix)
            }
            [] => unreachable!("`of` refuses an empty measurement"),
        }
    }
}

impl From<f64> for Rounds {
    fn from(value: f64) -> Self {
        Self::of([value])
    }
}

/// Prints the rows, and counts them for the last line and the exit status.
#[derive(Default)]
pub(crate) struct Report {
    met: usize,
    missed: usize,
    failures: usize,
}

impl Report {
    /// Prints the head: the conditions of the run, and what the columns mean.
    pub(crate) fn begin(conditions: &str) -> Self {
        println!("{conditions}");
        println!(
            "several rounds are shown as least / median / most; the median is compared with the goal"
        );
        Self::default()
    }

    /// Prints the headline of the rows to come.
    pub(crate) fn scenario(&mut self, name: &str, headline: &str) {
        println!("\n{name}: {headline}");
    }

    /// Prints a row without a goal.
    pub(crate) fn show(&mut self, name: &str, measured: impl Into<Rounds>, unit: Unit) {
        self.row(name, measured, unit, Goal::None);
    }

    /// Prints a row.
    pub(crate) fn row(&mut self, name: &str, measured: impl Into<Rounds>, unit: Unit, goal: Goal) {
        self.row_with_note(name, measured, unit, goal, "");
    }

    /// Prints a row that ends with a remark.
    pub(crate) fn row_with_note(
        &mut self,
        name: &str,
        measured: impl Into<Rounds>,
        unit: Unit,
        goal: Goal,
        note: &str,
    ) {
        let measured = measured.into();
        let met = goal.is_met_by(&measured);
        let verdict = match (goal, met) {
            (Goal::None, _) => "",
            (_, true) => "met",
            (_, false) => "NOT MET",
        };
        match (goal, met) {
            (Goal::None, _) => {}
            (_, true) => self.met += 1,
            (Goal::MustBe(_), false) => self.failures += 1,
            (_, false) => self.missed += 1,
        }
        let (shown, goal) = (measured.show(unit), goal.show(unit));
        let row = format!(
            "  {name:<NAME_WIDTH$}{shown:>MEASURED_WIDTH$}  {goal:<GOAL_WIDTH$}{verdict:<8}{note}"
        );
        println!("{}", row.trim_end());
    }

    /// Prints a remark.
    pub(crate) fn note(&mut self, text: &str) {
        println!("  {text}");
    }

    /// Prints a remark if there is one.
    pub(crate) fn note_if(&mut self, text: Option<String>) {
        if let Some(text) = text {
            self.note(&text);
        }
    }

    /// Prints that something could not be measured, which fails the run.
    pub(crate) fn failure(&mut self, problem: &str) {
        self.failures += 1;
        println!("  COULD NOT BE MEASURED: {problem}");
    }

    /// Prints how many goals were met; true unless something failed.
    pub(crate) fn end(self) -> bool {
        let Self {
            met,
            missed,
            failures,
        } = self;
        println!("\n{met} goals met, {missed} not met, {failures} failures");
        failures == 0
    }
}

/// A number with its thousands grouped: `1,234,567.89`.
pub(crate) fn number(value: f64, decimals: usize) -> String {
    let plain = format!("{:.decimals$}", value.abs());
    let (whole, fraction) = plain.split_at(plain.find('.').unwrap_or(plain.len()));
    let whole: u64 = whole.parse().unwrap_or(u64::MAX);
    let sign = if value < 0.0 { "-" } else { "" };
    format!("{sign}{}{fraction}", grouped(whole))
}
