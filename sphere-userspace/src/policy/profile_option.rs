//! Reads the options that a profile declares.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use super::{
    date::Date,
    document::{Fields, Value},
    findings::{Findings, Located},
    profile::Kind,
    suggest::suggestion,
    values,
};

/// An option as it was declared.
pub(super) struct OptionWritten {
    /// Where its name stands.
    pub(super) at: Range<usize>,
    /// `None` when it could not be read, and that was reported.
    pub(super) kind: Option<Kind>,
}

/// The options of a profile by name.
pub(super) type Declared = BTreeMap<String, OptionWritten>;

/// Reads `[option]`, a table of tables.
pub(super) fn read(table: &Fields<'_>, findings: &mut Findings) -> Declared {
    let mut declared = Declared::new();
    for key in table.rest() {
        let fields = table.get(key.value).and_then(|value| value.table("an option", findings));
        let kind = fields.and_then(|fields| option(fields, findings));
        declared.insert(key.value.to_owned(), OptionWritten { at: key.span, kind });
    }
    proxies(&declared, findings);
    shared_words(&declared, findings);
    declared
}

fn proxies(declared: &Declared, findings: &mut Findings) {
    let is_proxy = |option: &&OptionWritten| matches!(option.kind, Some(Kind::Proxy));
    let mut proxies: Vec<_> = declared.values().filter(is_proxy).map(|option| &option.at).collect();
    proxies.sort_by_key(|at| at.start);
    if let [first, second, ..] = proxies[..] {
        let message = "two options are of the kind `proxy`".to_owned();
        findings.error_beside(second, (message, "remove one: all traffic goes to one proxy"), (first, "the first one"));
    }
}

/// `editions` names words alone: a word of two options would stand for either.
fn shared_words(declared: &Declared, findings: &mut Findings) {
    let mut options: Vec<_> = declared.values().collect();
    options.sort_by_key(|option| option.at.start);
    let mut seen: BTreeMap<&str, &Range<usize>> = BTreeMap::new();
    for option in options {
        let Some(Kind::Choice { words, .. }) = &option.kind else { continue };
        let taken = words.iter().find_map(|word| Some((word, *seen.get(word.as_str())?)));
        if let Some((word, first)) = taken {
            let message = format!("`{word}` is a choice of two options");
            findings.error_beside(&option.at, (message, "use other words for one of them"), (first, "the first one"));
        }
        seen.extend(words.iter().map(|word| (word.as_str(), &option.at)));
    }
}

fn option(mut fields: Fields<'_>, findings: &mut Findings) -> Option<Kind> {
    let kinds = [("choice", 0), ("switch", 1), ("servers", 2), ("list", 3), ("proxy", 4)];
    let kind = fields.require("kind", findings).and_then(|value| value.one_of(&kinds, findings));
    fields.require("about", findings).and_then(|value| values::line(&value, findings));
    // Without a kind, no other key can be told from an unknown one.
    let kind = match kind? {
        0 => choice(&mut fields, findings),
        1 => default(&mut fields, findings).map(|default| Kind::Switch { default }),
        2 => servers(&mut fields, findings),
        3 => Some(Kind::List),
        _ => Some(Kind::Proxy),
    };
    fields.finish(findings);
    kind
}

fn default(fields: &mut Fields<'_>, findings: &mut Findings) -> Option<bool> {
    fields.require("default", findings).and_then(|value| value.boolean(findings))
}

fn servers(fields: &mut Fields<'_>, findings: &mut Findings) -> Option<Kind> {
    let services = fields.require("ports", findings).map(|value| values::services(&value, findings));
    let most = fields.require("most", findings).and_then(|value| value.integer(1..=16, findings));
    let default = default(fields, findings);
    Some(Kind::Servers { default: default?, services: services?, most: most? as usize })
}

fn choice(fields: &mut Fields<'_>, findings: &mut Findings) -> Option<Kind> {
    let words = fields.require("choices", findings).and_then(|value| words(&value, findings));
    let default = fields.require("default", findings).and_then(|value| value.string(findings));
    let dates = fields.take("valid_until").and_then(|value| value.table("the dates of choices", findings));
    let dates = dates.map(|dates| each_date(&dates, findings)).unwrap_or_default();
    let (words, default) = (words?, default?);
    for word in dates.iter().map(|(word, _)| word).chain([&default]) {
        known(word, &words, findings);
    }
    let valid_until = dates.into_iter().map(|(word, date)| (word.value.to_owned(), date)).collect();
    Some(Kind::Choice { words, default: default.value.to_owned(), valid_until })
}

/// The dates of single words.
fn each_date<'a>(dates: &Fields<'a>, findings: &mut Findings) -> Vec<(Located<&'a str>, Date)> {
    let date = |word: Located<&'a str>| Some((word.clone(), dates.get(word.value)?.date(findings)?));
    dates.rest().into_iter().filter_map(date).collect()
}

/// The words that can be chosen: at least one, each once.
fn words(value: &Value<'_>, findings: &mut Findings) -> Option<Vec<String>> {
    let list = value.array("words", findings)?;
    if list.is_empty() {
        findings.error(value.span(), "there is nothing to choose", "name the choices");
    }
    let mut seen = BTreeSet::new();
    for word in list.iter().filter_map(|word| values::line(word, findings)).collect::<Vec<_>>() {
        if !seen.insert(word.value) {
            findings.error(&word.span, format!("the choice `{}` is there twice", word.value), "remove one");
        }
    }
    Some(list.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}

/// Whether a word can be chosen.
fn known(word: &Located<&str>, words: &[String], findings: &mut Findings) {
    if !words.iter().any(|known| known == word.value) {
        findings.error(&word.span, format!("`{}` is none of the choices", word.value), suggestion(word.value, words));
    }
}
