//! Figures as text for Prometheus (exposition format 0.0.4) and as OpenMetrics 1.0, and which of the two a client wants.
//! Knows no figure by name.

use super::families::{Family, Kind, Sample};
use std::fmt::Write;

/// How the page is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text format 0.0.4.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// What the `Accept` field of a request prefers (RFC 9110, section 12.5.1): OpenMetrics only if it is named, and is not
    /// less wanted than text.
    pub fn preferred(accept: &str) -> Format {
        // Of `text/plain`, `text/*` and `*/*`, the first that is named counts.
        let (mut openmetrics, mut text) = (0.0, [None::<f32>; 3]);
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
            let (mut quality, mut version) = (1.0_f32, None);
            for part in parts {
                match part
                    .split_once('=')
                    .map(|(name, value)| (name.trim(), value.trim()))
                {
                    Some(("q" | "Q", value)) => quality = value.parse().unwrap_or(0.0),
                    Some(("version", value)) => version = Some(value.trim_matches('"')),
                    _ => {}
                }
            }
            match &*kind {
                "application/openmetrics-text" if matches!(version, None | Some("1.0.0")) => {
                    openmetrics = quality.max(openmetrics);
                }
                "text/plain" | "text/*" | "*/*" => {
                    let nth = kind.matches('*').count();
                    text[nth] = Some(text[nth].map_or(quality, |best| best.max(quality)));
                }
                _ => {}
            }
        }
        let text = text.into_iter().flatten().next().unwrap_or(0.0);
        match openmetrics > 0.0 && openmetrics >= text {
            true => Format::OpenMetrics,
            false => Format::Text,
        }
    }

    /// The page's media type.
    pub fn content_type(self) -> &'static str {
        match self {
            Format::Text => "text/plain; version=0.0.4; charset=utf-8",
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// Writes the page.
    pub fn page(self, families: &[Family]) -> Vec<u8> {
        let mut page = String::with_capacity(16 * 1024);
        for family in families {
            self.head(&mut page, family);
            samples(&mut page, family);
        }
        if self == Format::OpenMetrics {
            page += "# EOF\n";
        }
        page.into_bytes()
    }

    fn head(self, page: &mut String, family: &Family) {
        let (suffix, kind) = match (self, family.kind) {
            (Format::OpenMetrics, Kind::Counter) => ("_total", "counter"),
            (Format::OpenMetrics, Kind::Info) => ("_info", "info"),
            (Format::Text, Kind::Counter) => ("", "counter"),
            (Format::Text, Kind::Info) | (_, Kind::Gauge) => ("", "gauge"),
            (_, Kind::Histogram { .. }) => ("", "histogram"),
        };
        // In OpenMetrics a family is named without what each of its samples ends with.
        let name = family.name.strip_suffix(suffix).unwrap_or(family.name);
        let help = family.help;
        push(
            page,
            format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"),
        );
        let units = ["bytes", "seconds"].into_iter();
        let mut units = units.filter(|unit| name.ends_with(&format!("_{unit}")));
        if self == Format::OpenMetrics
            && let Some(unit) = units.next()
        {
            push(page, format_args!("# UNIT {name} {unit}\n"));
        }
    }
}

fn samples(page: &mut String, family: &Family) {
    let name = family.name;
    let suffix = match family.kind {
        Kind::Histogram { .. } => "_bucket",
        _ => "",
    };
    for Sample { label, value } in &family.samples {
        match label {
            Some((label, of)) => {
                let of = escaped(of);
                push(
                    page,
                    format_args!("{name}{suffix}{{{label}=\"{of}\"}} {value}\n"),
                );
            }
            None => push(page, format_args!("{name}{suffix} {value}\n")),
        }
    }
    if let (Kind::Histogram { sum }, Some(Sample { value, .. })) =
        (family.kind, family.samples.last())
    {
        push(
            page,
            format_args!("{name}_sum {sum}\n{name}_count {value}\n"),
        );
    }
}

fn push(page: &mut String, text: std::fmt::Arguments<'_>) {
    page.write_fmt(text).expect("a string takes all");
}

/// A label's value as it stands between quotes.
fn escaped(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '\\' => escaped += "\\\\",
            '"' => escaped += "\\\"",
            '\n' => escaped += "\\n",
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::families::Value;

    #[test]
    fn the_format_is_negotiated() {
        let prometheus_2 = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        let prometheus_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        for accept in [
            prometheus_2,
            prometheus_3,
            "Application/OpenMetrics-Text",
            "application/openmetrics-text; version=\"1.0.0\"; q=0.5, text/*;q=0.4, */*",
        ] {
            assert_eq!(Format::preferred(accept), Format::OpenMetrics, "{accept}");
        }
        for accept in [
            "",
            "*/*",
            "text/plain",
            "application/json",
            "application/openmetrics-text;q=0",
            "application/openmetrics-text;version=2.0.0",
            "application/openmetrics-text;q=0.3,text/plain;q=0.4",
            "application/openmetrics-text;q=0.3,*/*",
            "application/openmetrics-text;q=high",
        ] {
            assert_eq!(Format::preferred(accept), Format::Text, "{accept}");
        }
    }

    fn family(kind: Kind, name: &'static str, label: Option<(&'static str, &str)>) -> Family {
        let label = label.map(|(label, of)| (label, of.to_owned()));
        let value = Value::Count(7);
        Family {
            name,
            help: "What it is.",
            kind,
            samples: vec![Sample { label, value }],
        }
    }

    #[test]
    fn both_formats_are_written_as_their_specifications_say() {
        let sum = Value::Float(0.5);
        let families = [
            family(Kind::Counter, "a_bytes_total", None),
            family(Kind::Gauge, "b", Some(("path", "x\\y\"z\n"))),
            family(Kind::Info, "c_info", Some(("version", "1"))),
            family(Kind::Histogram { sum }, "d_seconds", Some(("le", "+Inf"))),
        ];
        let page = |format: Format| String::from_utf8(format.page(&families)).unwrap();
        let text = r##"# HELP a_bytes_total What it is.
# TYPE a_bytes_total counter
a_bytes_total 7
# HELP b What it is.
# TYPE b gauge
b{path="x\\y\"z\n"} 7
# HELP c_info What it is.
# TYPE c_info gauge
c_info{version="1"} 7
# HELP d_seconds What it is.
# TYPE d_seconds histogram
d_seconds_bucket{le="+Inf"} 7
d_seconds_sum 0.5
d_seconds_count 7
"##;
        assert_eq!(page(Format::Text), text);
        let openmetrics = r##"# HELP a_bytes What it is.
# TYPE a_bytes counter
# UNIT a_bytes bytes
a_bytes_total 7
# HELP b What it is.
# TYPE b gauge
b{path="x\\y\"z\n"} 7
# HELP c What it is.
# TYPE c info
c_info{version="1"} 7
# HELP d_seconds What it is.
# TYPE d_seconds histogram
# UNIT d_seconds seconds
d_seconds_bucket{le="+Inf"} 7
d_seconds_sum 0.5
d_seconds_count 7
# EOF
"##;
        assert_eq!(page(Format::OpenMetrics), openmetrics);
    }
}
