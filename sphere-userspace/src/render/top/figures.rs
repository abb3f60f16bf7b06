//! Numbers in a few columns.

use crate::top::Rate;

/// Names of a thousand, a million, and so on.
const THOUSANDS: [&str; 5] = ["k", "M", "G", "T", "P"];
/// Totals below are written out.
const WRITTEN_OUT: u64 = 10_000_000;

/// How fast a counter grows, by second.
pub(super) fn speed(rate: Rate) -> String {
    match rate.per_second {
        None => "-".to_owned(),
        Some(rate) if rate <= 0.0 => "0".to_owned(),
        Some(rate) if rate < 0.1 => "<0.1".to_owned(),
        Some(rate) if rate < 9.95 => format!("{rate:.1}"),
        Some(rate) if rate < 9_999.5 => format!("{rate:.0}"),
        Some(rate) => short(rate),
    }
}

/// A total.
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
pub(super) fn count(total: u64) -> String {
    if total < WRITTEN_OUT { total.to_string() } else { short(total as f64) }
}

/// Three digits of a large number.
fn short(mut number: f64) -> String {
    let mut names = THOUSANDS.iter();
    let mut name = "";
    while number >= 999.5 {
        let Some(next) = names.next() else { break };
        (name, number) = (next, number / 1000.0);
    }
    if number < 99.95 { format!("{number:.1}{name}") } else { format!("{number:.0}{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_take_few_columns() {
        for (rate, text) in [
            (None, "-"),
            (Some(0.0), "0"),
            (Some(0.017), "<0.1"),
            (Some(1.0), "1.0"),
            (Some(9.96), "10"),
            (Some(9_999.0), "9999"),
            (Some(12_345.0), "12.3k"),
            (Some(999_600.0), "1.0M"),
            (Some(1.25e11), "125G"),
        ] {
            assert_eq!(speed(Rate { total: 0, per_second: rate }), text);
        }
        let counts = [0, 9_999_999, 10_000_000, u64::MAX].map(count);
        assert_eq!(counts, ["0", "9999999", "10.0M", "18447P"]);
    }
}
