//! TOML with a place for every value, read field by field so that no error hides another.
//!
//! `serde` would stop at the first field that is wrong. Here every field is read by itself, whatever is wrong goes
//! into the [`Findings`], and reading goes on. A table knows which keys were asked for: the rest is unknown.

use std::{
    ops::{Bound, Range, RangeBounds, RangeInclusive},
    time::Duration,
};

use toml::de::{DeTable, DeValue};

use super::{
    date::Date,
    findings::{Findings, Located},
    suggest::suggestion,
};

/// A table while its fields are read.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    table: &'a DeTable<'a>,
    span: Range<usize>,
    what: String,
    known: Vec<String>,
}

impl<'a> Fields<'a> {
    /// The table that `what` names, such as "a group".
    pub(crate) fn new(table: &'a DeTable<'a>, span: Range<usize>, what: impl Into<String>) -> Self {
        Self { table, span, what: what.into(), known: Vec::new() }
    }

    /// Where the table begins.
    pub(super) const fn span(&self) -> &Range<usize> {
        &self.span
    }

    /// The value of a key.
    pub(crate) fn take(&mut self, key: &str) -> Option<Value<'a>> {
        self.known.push(key.to_owned());
        self.get(key)
    }

    /// The value of a key that was asked for already, or that only the text knows.
    pub(crate) fn get(&self, key: &str) -> Option<Value<'a>> {
        self.table.get(key).map(|value| Value { value: value.get_ref(), span: value.span() })
    }

    /// Whether the key is one that was asked for.
    pub(super) fn knows(&self, key: &str) -> bool {
        self.known.iter().any(|known| known == key)
    }

    /// The value of a key that must be there.
    pub(super) fn require(&mut self, key: &str, findings: &mut Findings) -> Option<Value<'a>> {
        let value = self.take(key);
        if value.is_none() {
            findings.absent(&self.span, format!("{} needs `{key}`", self.what), format!("add `{key} = …` here"));
        }
        value
    }

    /// Keys that nobody asked for.
    pub(crate) fn rest(&self) -> Vec<Located<&'a str>> {
        let keys = self.table.keys().map(|key| Located { value: key.get_ref().as_ref(), span: key.span() });
        keys.filter(|key| !self.knows(key.value)).collect()
    }

    /// Reports the keys that nobody asked for.
    pub(crate) fn finish(self, findings: &mut Findings) {
        for key in self.rest() {
            self.report_unknown(&key, findings);
        }
    }

    /// Reports one key as unknown.
    pub(super) fn report_unknown(&self, key: &Located<&str>, findings: &mut Findings) {
        let message = format!("unknown key `{}` in {}", key.value, self.what);
        findings.error(&key.span, message, suggestion(key.value, &self.known));
    }
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Value<'a> {
    value: &'a DeValue<'a>,
    span: Range<usize>,
}

impl<'a> Value<'a> {
    /// Where it stands.
    pub(super) const fn span(&self) -> &Range<usize> {
        &self.span
    }

    /// The text, when it is one; nothing is reported otherwise.
    pub(super) fn as_str(&self) -> Option<&'a str> {
        self.value.as_str()
    }

    /// The truth value, when it is one; nothing is reported otherwise.
    pub(super) fn as_bool(&self) -> Option<bool> {
        self.value.as_bool()
    }

    /// Whether it is a whole number; nothing is reported otherwise.
    pub(super) fn is_integer(&self) -> bool {
        self.value.as_integer().is_some()
    }

    /// Whether it is a table; nothing is reported otherwise.
    pub(super) fn is_table(&self) -> bool {
        self.value.is_table()
    }

    /// Reports that something else was expected.
    pub(super) fn wrong_type<T>(&self, expected: &str, findings: &mut Findings) -> Option<T> {
        let message = format!("expected {expected}, found {}", self.value.type_str());
        findings.error(&self.span, message, format!("write {expected}"));
        None
    }

    /// A text.
    pub(crate) fn string(&self, findings: &mut Findings) -> Option<Located<&'a str>> {
        match self.value.as_str() {
            Some(value) => Some(Located { value, span: self.span.clone() }),
            None => self.wrong_type("a text in quotes", findings),
        }
    }

    /// One of a few words.
    pub(super) fn one_of<T: Copy>(&self, words: &[(&str, T)], findings: &mut Findings) -> Option<T> {
        let text = self.string(findings)?;
        let found = words.iter().find(|(word, _)| *word == text.value);
        if found.is_none() {
            let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            let remedy = format!("use one of: {}", known.join(", "));
            findings.error(&self.span, format!("unknown value `{}`", text.value), remedy);
        }
        found.map(|(_, meaning)| *meaning)
    }

    /// Yes or no.
    pub(super) fn boolean(&self, findings: &mut Findings) -> Option<bool> {
        self.as_bool().or_else(|| self.wrong_type("true or false", findings))
    }

    /// A whole number within bounds.
    pub(super) fn integer(&self, bounds: RangeInclusive<u32>, findings: &mut Findings) -> Option<u32> {
        let (low, high) = (*bounds.start(), *bounds.end());
        let Some(integer) = self.value.as_integer() else {
            return self.wrong_type(&format!("a number from {low} to {high}"), findings);
        };
        let digits: String = integer.as_str().chars().filter(|c| *c != '_').collect();
        let number = i128::from_str_radix(&digits, integer.radix()).unwrap_or(i128::MAX);
        match u32::try_from(number) {
            Ok(number) if bounds.contains(&number) => Some(number),
            _ => {
                let remedy = format!("use a number from {low} to {high}");
                findings.error(&self.span, format!("{} is out of bounds", integer.as_str()), remedy);
                None
            }
        }
    }

    /// A duration such as `"90s"` or `"1h 30m"`, within bounds.
    pub(super) fn duration(&self, bounds: &impl RangeBounds<Duration>, findings: &mut Findings) -> Option<Duration> {
        const REMEDY: &str = "write a number with its unit, such as \"30s\", \"10m\" or \"12h\"";
        if self.value.as_integer().is_some() {
            findings.error(&self.span, "a duration needs a unit", REMEDY);
            return None;
        }
        let text = self.string(findings)?;
        match humantime::parse_duration(text.value) {
            Ok(duration) if bounds.contains(&duration) => Some(duration),
            Ok(_) => {
                let remedy = format!("use {}", in_words(bounds));
                findings.error(&self.span, format!("the duration \"{}\" is out of bounds", text.value), remedy);
                None
            }
            Err(error) => {
                findings.error(&self.span, format!("\"{}\" is no duration: {error}", text.value), REMEDY);
                None
            }
        }
    }

    /// A date without quotes, such as `2026-11-25`.
    pub(super) fn date(&self, findings: &mut Findings) -> Option<Date> {
        let date = self.value.as_datetime().and_then(Date::from_toml);
        date.or_else(|| self.wrong_type("a date such as 2026-11-25", findings))
    }

    /// The elements of an array.
    pub(crate) fn array(&self, what: &str, findings: &mut Findings) -> Option<Vec<Value<'a>>> {
        match self.value.as_array() {
            Some(array) => {
                let element =
                    |value: &'a toml::Spanned<DeValue<'a>>| Value { value: value.get_ref(), span: value.span() };
                Some(array.iter().map(element).collect())
            }
            None => self.wrong_type(&format!("a list of {what} in brackets"), findings),
        }
    }

    /// A table.
    pub(crate) fn table(&self, what: &str, findings: &mut Findings) -> Option<Fields<'a>> {
        match self.value.as_table() {
            Some(table) => Some(Fields::new(table, self.span.clone(), what)),
            None => self.wrong_type("a table", findings),
        }
    }

    /// The tables of an array of tables, `[[…]]`.
    pub(super) fn tables(&self, what: &str, findings: &mut Findings) -> Vec<Fields<'a>> {
        let elements = self.array("tables", findings).unwrap_or_default();
        elements.iter().filter_map(|element| element.table(what, findings)).collect()
    }
}

/// Bounds of a duration for people.
fn in_words(bounds: &impl RangeBounds<Duration>) -> String {
    let low = match bounds.start_bound() {
        Bound::Included(low) => format!("at least {}", humantime::format_duration(*low)),
        Bound::Excluded(low) => format!("more than {}", humantime::format_duration(*low)),
        Bound::Unbounded => String::new(),
    };
    let high = match bounds.end_bound() {
        Bound::Included(high) => format!("at most {}", humantime::format_duration(*high)),
        Bound::Excluded(high) => format!("less than {}", humantime::format_duration(*high)),
        Bound::Unbounded => String::new(),
    };
    [low, high].into_iter().filter(|end| !end.is_empty()).collect::<Vec<_>>().join(" and ")
}
