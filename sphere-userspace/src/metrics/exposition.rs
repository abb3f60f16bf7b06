//! The text format, version 0.0.4: families in the order of the table, each with its help, type and samples.

use std::collections::BTreeMap;
use std::fmt;

use super::table::{self, Metric, SCRAPE_OMITTED};

/// The value of a sample: whole numbers are written whole, whatever their size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// A whole number.
    Whole(u64),
    /// Any number.
    Real(f64),
}

impl Number {
    fn plus(self, other: Self) -> Self {
        match (self, other) {
            (Self::Whole(one), Self::Whole(other)) => Self::Whole(one.saturating_add(other)),
            (one, other) => Self::Real(one.real() + other.real()),
        }
    }

    fn real(self) -> f64 {
        match self {
            Self::Whole(number) => number as f64,
            Self::Real(number) => number,
        }
    }
}

impl From<u64> for Number {
    fn from(number: u64) -> Self {
        Self::Whole(number)
    }
}

impl From<u32> for Number {
    fn from(number: u32) -> Self {
        Self::Whole(number.into())
    }
}

impl From<usize> for Number {
    fn from(number: usize) -> Self {
        Self::Whole(number as u64)
    }
}

impl From<bool> for Number {
    fn from(truth: bool) -> Self {
        Self::Whole(truth.into())
    }
}

impl From<f64> for Number {
    fn from(number: f64) -> Self {
        Self::Real(number)
    }
}

impl fmt::Display for Number {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(number) => number.fmt(formatter),
            Self::Real(number) if number.is_infinite() => {
                formatter.write_str(if *number > 0.0 { "+Inf" } else { "-Inf" })
            }
            Self::Real(number) => number.fmt(formatter),
        }
    }
}

/// The samples of one metric, by their labels as they are written.
#[derive(Debug, Default)]
struct Family {
    samples: BTreeMap<String, Number>,
    omitted: u64,
}

/// Samples, until they are written.
#[derive(Debug, Default)]
pub struct Exposition {
    families: BTreeMap<&'static str, Family>,
}

impl Exposition {
    /// Adds a sample. A series that is there already gets the sum, since a series may be there once only; one more than
    /// the metric may have is left out and counted.
    pub fn add<const LABELS: usize>(
        &mut self,
        metric: &'static Metric<LABELS>,
        values: [&str; LABELS],
        number: impl Into<Number>,
    ) {
        let family = self.families.entry(metric.name).or_default();
        let series = series(metric.labels, values);
        let number = number.into();
        if let Some(known) = family.samples.get_mut(&series) {
            *known = known.plus(number);
        } else if family.samples.len() < metric.most {
            family.samples.insert(series, number);
        } else {
            family.omitted += 1;
        }
    }

    /// The text. A metric without samples is not in it.
    #[must_use]
    pub fn text(mut self) -> String {
        let short = self.families.iter().filter(|(_, family)| family.omitted > 0);
        let short: Vec<(&'static str, u64)> = short.map(|(name, family)| (*name, family.omitted)).collect();
        for (name, omitted) in short {
            self.add(&SCRAPE_OMITTED, [name], omitted);
        }
        let mut text = String::new();
        for metric in table::ALL {
            let Some(family) = self.families.get(metric.name) else { continue };
            let name = metric.name;
            text.push_str(&format!("# HELP {name} {}\n", escaped(metric.help, false)));
            text.push_str(&format!("# TYPE {name} {}\n", metric.kind.word()));
            for (series, number) in &family.samples {
                text.push_str(&format!("{name}{series} {number}\n"));
            }
        }
        text
    }
}

/// The labels of a series as they are written.
fn series<const LABELS: usize>(labels: [&str; LABELS], values: [&str; LABELS]) -> String {
    if LABELS == 0 {
        return String::new();
    }
    let pairs = labels.iter().zip(values).map(|(label, value)| format!("{label}=\"{}\"", escaped(value, true)));
    format!("{{{}}}", pairs.collect::<Vec<_>>().join(","))
}

/// A help text or a label's value: in both, a backslash and the end of a line are escaped; in a value the quote too.
fn escaped(text: &str, is_value: bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' => escaped.push_str("\\\\"),
            '\n' => escaped.push_str("\\n"),
            '"' if is_value => escaped.push_str("\\\""),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::table::{DEVICES, GROUP_INFO, PORT_PROTECTED, UPTIME};

    #[test]
    fn labels_are_escaped_and_families_stand_in_the_order_of_the_table() {
        let mut exposition = Exposition::default();
        exposition.add(&UPTIME, [], 0.5);
        exposition.add(&GROUP_INFO, ["a \"b\" \\ \n", "audit"], true);
        exposition.add(&DEVICES, [], u64::MAX);
        let text = exposition.text();
        let samples: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        let group = r#"sphere_group_info{group="a \"b\" \\ \n",mode="audit"} 1"#;
        assert_eq!(samples, ["sphere_devices 18446744073709551615", group, "sphere_daemon_uptime_seconds 0.5"]);
        assert!(
            text.starts_with("# HELP sphere_devices Devices that hold room for flows.\n# TYPE sphere_devices gauge\n")
        );
    }

    #[test]
    fn a_series_is_there_once_and_too_many_are_counted() {
        let mut exposition = Exposition::default();
        for number in 0..PORT_PROTECTED.most + 3 {
            exposition.add(&PORT_PROTECTED, [&format!("lan{number}")], true);
        }
        exposition.add(&PORT_PROTECTED, ["lan0"], true);
        let text = exposition.text();
        assert_eq!(text.lines().filter(|line| line.starts_with("sphere_port_protected{")).count(), PORT_PROTECTED.most);
        assert!(text.contains("sphere_port_protected{interface=\"lan0\"} 2\n"), "{text}");
        assert!(text.contains("sphere_scrape_omitted_series{metric=\"sphere_port_protected\"} 3\n"), "{text}");
    }
}
