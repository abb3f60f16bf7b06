//! Sizes as people write them: `"1GiB"`, `"500 MB"`.

use std::ops::RangeInclusive;

use super::{document::Value, findings::Findings};

const REMEDY: &str = "write a whole number with its unit, such as \"512MiB\" or \"2GiB\"";

/// Units, the largest first, so that one is found that measures a size without rest.
const UNITS: [(&str, u64); 10] = [
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("kB", 1_000),
    ("KB", 1_000),
    ("B", 1),
];

/// A number of bytes within bounds.
pub(super) fn bytes(value: &Value<'_>, bounds: &RangeInclusive<u64>, findings: &mut Findings) -> Option<u64> {
    if value.is_integer() {
        findings.error(value.span(), "a size needs a unit", REMEDY);
        return None;
    }
    let text = value.string(findings)?;
    let Some(bytes) = parse(text.value) else {
        findings.error(&text.span, format!("\"{}\" is no size", text.value), REMEDY);
        return None;
    };
    if !bounds.contains(&bytes) {
        let remedy = format!("use at least {} and at most {}", in_words(*bounds.start()), in_words(*bounds.end()));
        findings.error(&text.span, format!("the size \"{}\" is out of bounds", text.value), remedy);
        return None;
    }
    Some(bytes)
}

/// The bytes of a text; one that is too large for a number is as large as there is.
fn parse(text: &str) -> Option<u64> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let (_, factor) = UNITS.iter().find(|(word, _)| *word == unit.trim_start_matches(' '))?;
    let digits = !number.is_empty();
    digits.then(|| number.parse::<u64>().unwrap_or(u64::MAX).saturating_mul(*factor))
}

fn in_words(bytes: u64) -> String {
    let unit = UNITS.iter().find(|(_, factor)| bytes >= *factor && bytes.is_multiple_of(*factor));
    unit.map_or_else(|| bytes.to_string(), |(word, factor)| format!("{}{word}", bytes / factor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_whole_numbers_with_a_unit() {
        assert_eq!(parse("1GiB"), Some(1 << 30));
        assert_eq!(parse("500 MB"), Some(500_000_000));
        assert_eq!(parse("7B"), Some(7));
        assert_eq!(parse("99999999999999999999999TiB"), Some(u64::MAX));
        for text in ["", "7", "GiB", "1.5GiB", "-1GiB", "1gib", "1 G", "1GiB ", " 1GiB", "0x1B"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_size_is_told_in_the_unit_that_measures_it() {
        assert_eq!([16 << 20, 1 << 40, 1_000_000, 1_500].map(in_words), ["16MiB", "1TiB", "1MB", "1500B"]);
    }
}
