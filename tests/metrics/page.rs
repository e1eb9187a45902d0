//! A strict reader of the page, in both formats, that shares nothing with the program that writes it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use crate::http::get;

/// A page that is valid.
#[derive(Debug)]
pub(crate) struct Page {
    /// The kind of every family, by the name under which its figures stand.
    pub(crate) families: BTreeMap<String, String>,
    /// Every figure by its name and labels, as they are written.
    figures: BTreeMap<String, f64>,
}

/// The page in Prometheus' text format.
#[track_caller]
pub(crate) fn page_of(addr: SocketAddr) -> Page {
    let answer = get(addr, "/metrics", "*/*");
    assert_eq!(answer.status, 200, "{}", answer.body);
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    assert_eq!(answer.field("content-type"), Some(kind));
    Page::parse(&answer.body, false)
}

fn is_name(name: &str) -> bool {
    let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(is_part)
}

/// Reads `{label="value"}` strictly: the rest after it.
fn labels(text: &str) -> &str {
    let (name, mut rest) = text.split_once("=\"").expect("a label and its value");
    assert!(is_name(name), "odd label {name:?}");
    loop {
        let at = rest.find(['"', '\\', '\n']).expect("an end of the value");
        match rest.as_bytes()[at] {
            b'"' => return rest[at + 1..].strip_prefix('}').expect("one label"),
            b'\\' => {
                assert!(
                    matches!(rest.as_bytes()[at + 1], b'\\' | b'"' | b'n'),
                    "odd escape"
                );
                rest = &rest[at + 2..];
            }
            _ => panic!("a line end in a value"),
        }
    }
}

impl Page {
    /// Reads a page.
    #[track_caller]
    pub(crate) fn parse(text: &str, is_openmetrics: bool) -> Self {
        let mut page = Page {
            families: BTreeMap::new(),
            figures: BTreeMap::new(),
        };
        let text = match is_openmetrics {
            true => text.strip_suffix("# EOF\n").expect("an end"),
            false => text,
        };
        assert!(text.ends_with('\n') && !text.contains("\n\n") && !text.contains('\r'));
        for family in text.split("# HELP ").skip(1) {
            page.family(family, is_openmetrics);
        }
        assert!(text.starts_with("# HELP "));
        page
    }

    fn family(&mut self, text: &str, is_openmetrics: bool) {
        let (help, rest) = text.split_once('\n').expect("a line");
        let (name, help) = help.split_once(' ').expect("a meaning");
        assert!(is_name(name) && help.ends_with('.'), "{name}: {help}");
        let (kind, mut rest) = rest.split_once('\n').expect("a line");
        let kind = kind
            .strip_prefix(&format!("# TYPE {name} "))
            .expect("a kind");
        if let Some(unit) = rest.strip_prefix(&format!("# UNIT {name} ")) {
            let unit = unit.split_once('\n').expect("a line");
            assert!(
                is_openmetrics && name.ends_with(&format!("_{}", unit.0)),
                "{name}"
            );
            rest = unit.1;
        }
        let suffix = match (kind, is_openmetrics) {
            ("counter", true) => "_total",
            ("info", true) => "_info",
            ("counter" | "gauge" | "histogram", _) => "",
            _ => panic!("{name}: odd kind {kind}"),
        };
        let figures = format!("{name}{suffix}");
        assert_eq!(figures.ends_with("_total"), kind == "counter", "{name}");
        let mut histogram = Vec::new();
        for line in rest.lines() {
            let (series, value) = self.figure(line);
            let sample = series.split('{').next().unwrap_or_default();
            match sample.strip_prefix(&*figures) {
                Some("") => assert_ne!(kind, "histogram"),
                Some(part @ ("_bucket" | "_sum" | "_count")) if kind == "histogram" => {
                    histogram.push((part.to_owned(), series, value));
                }
                _ => panic!("{series} is not of {name}"),
            }
        }
        if kind == "histogram" {
            check_histogram(&histogram);
        }
        let kind = kind.replace("info", "gauge");
        assert!(
            self.families.insert(figures, kind).is_none(),
            "{name} twice"
        );
    }

    /// Reads one figure.
    fn figure(&mut self, line: &str) -> (String, f64) {
        let end = line.find(['{', ' ']).expect("a value");
        assert!(is_name(&line[..end]), "odd name in {line}");
        let rest = match line[end..].strip_prefix('{') {
            Some(inner) => labels(inner),
            None => &line[end..],
        };
        let value = rest.strip_prefix(' ').expect("a space");
        let value: f64 = value
            .parse()
            .unwrap_or_else(|_| panic!("odd value in {line}"));
        assert!(value >= 0.0 && value.is_finite(), "{line}");
        let series = line[..line.len() - rest.len()].to_owned();
        assert!(
            self.figures.insert(series.clone(), value).is_none(),
            "{series} twice"
        );
        (series, value)
    }

    /// The figure of this name and these labels.
    #[track_caller]
    pub(crate) fn value(&self, series: &str) -> f64 {
        let value = self.figures.get(series);
        *value.unwrap_or_else(|| panic!("no {series} in {:#?}", self.figures))
    }

    /// Every name with its labels.
    pub(crate) fn series(&self) -> BTreeSet<&str> {
        self.figures.keys().map(String::as_str).collect()
    }

    /// The names of all figures, without labels.
    pub(crate) fn sample_names(&self) -> BTreeSet<String> {
        let names = self.figures.keys().map(|series| series.split('{').next());
        names.flatten().map(str::to_owned).collect()
    }
}

/// Bounds grow, counts do not shrink, and the last one is the number of all.
fn check_histogram(figures: &[(String, String, f64)]) {
    let (buckets, rest): (Vec<_>, Vec<_>) = figures.iter().partition(|it| it.0 == "_bucket");
    let bounds = buckets.iter().map(|(_, series, count)| {
        let bound = series.split('"').nth(1).expect("a bound");
        (
            bound.replace('+', "").parse::<f64>().expect("a number"),
            *count,
        )
    });
    let bounds: Vec<(f64, f64)> = bounds.collect();
    assert!(bounds.is_sorted() && bounds.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1));
    let last = bounds.last().expect("a bound");
    assert!(last.0.is_infinite());
    let parts: Vec<_> = rest.iter().map(|it| &*it.0).collect();
    assert_eq!(parts, ["_sum", "_count"]);
    assert_eq!(rest[1].2, last.1);
}
