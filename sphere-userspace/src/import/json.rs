//! JSON with a place for every key and value, as strict as RFC 8259, for files that people wrote by hand.
//!
//! `serde_json` would stop at the first mistake and knows no places of values. Here every mistake gets its place and its
//! remedy, and where it is plain what was meant (a comma too many, a placeholder without quotes) reading goes on, so that
//! no error hides another. A byte order mark and comments are read over, with a warning: both are common in such files, and
//! change nothing of what they say. Everything else that is no JSON is an error. Never panics; depth and errors are bounded.

mod reader;
mod text;

use std::ops::Range;

use self::reader::Reader;
use crate::policy::{Findings, Located};

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    /// The value.
    pub(crate) value: Json,
    /// The bytes it was read from, quotes and brackets included.
    pub(crate) span: Range<usize>,
}

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Json {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as it is written.
    Number(String),
    /// A text, without its escapes.
    Text(String),
    /// A list.
    Array(Vec<Node>),
    /// An object; each key is there once.
    Object(Vec<Member>),
    /// What stands there is no value, and that was reported: nobody needs to report its type.
    Unreadable,
}

/// A key of an object, and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    /// The key; its place includes the quotes.
    pub(crate) key: Located<String>,
    /// The value.
    pub(crate) value: Node,
}

/// Reads the text of the findings' source. What is wrong with it is in the findings; [`None`] when nothing of it could be
/// read. Where an error was found, what is given back lacks what could not be read.
pub(crate) fn read(findings: &mut Findings) -> Option<Node> {
    let source = std::sync::Arc::clone(findings.source());
    if source.has_mark() {
        let remedy = "save the file as UTF-8 without a byte order mark, if other programs are to read it";
        findings.warn(&(0..0), "the file begins with a byte order mark, which JSON does not allow", remedy);
    }
    Reader::new(source.text(), findings).document().ok()
}

impl Node {
    /// The value of a key, when this is an object that has it.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        self.members().iter().find(|member| member.key.value == key).map(|member| &member.value)
    }

    /// The keys and values, when this is an object; none otherwise.
    pub(crate) fn members(&self) -> &[Member] {
        match &self.value {
            Json::Object(members) => members,
            _ => &[],
        }
    }

    /// The text, when this is one.
    pub(crate) fn as_text(&self) -> Option<&str> {
        match &self.value {
            Json::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A text; anything else is reported.
    pub(crate) fn text(&self, findings: &mut Findings) -> Option<&str> {
        self.as_text().or_else(|| self.wrong_type("a text in quotes", findings))
    }

    /// The elements of a list; anything else is reported.
    pub(crate) fn array(&self, what: &str, findings: &mut Findings) -> Option<&[Self]> {
        match &self.value {
            Json::Array(elements) => Some(elements),
            _ => self.wrong_type(&format!("a list of {what} in brackets"), findings),
        }
    }

    /// An object; anything else is reported.
    pub(crate) fn object(&self, what: &str, findings: &mut Findings) -> Option<&[Member]> {
        match &self.value {
            Json::Object(members) => Some(members),
            _ => self.wrong_type(what, findings),
        }
    }

    /// Yes or no; anything else is reported.
    pub(crate) fn boolean(&self, findings: &mut Findings) -> Option<bool> {
        match &self.value {
            Json::Bool(value) => Some(*value),
            _ => self.wrong_type("true or false", findings),
        }
    }

    /// Reports that something else was expected, unless what stands there was reported already.
    pub(crate) fn wrong_type<T>(&self, expected: &str, findings: &mut Findings) -> Option<T> {
        if self.value != Json::Unreadable {
            let message = format!("expected {expected}, found {}", self.value.kind());
            findings.error(&self.span, message, format!("write {expected}"));
        }
        None
    }
}

impl Json {
    /// What it is, in words.
    const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "true or false",
            Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            Self::Array(_) => "a list",
            Self::Object(_) => "an object",
            Self::Unreadable => "nothing that can be read",
        }
    }
}

#[cfg(test)]
mod tests;
