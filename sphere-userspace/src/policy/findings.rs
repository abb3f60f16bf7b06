//! What was found while one text was read: errors and warnings, each with its place.

use std::{ops::Range, sync::Arc};

use toml::de::DeTable;

use super::diagnostic::{Diagnostic, Place, Severity, Source};

/// What the parser says of a key that is there twice.
const DUPLICATE: &str = "duplicate key";

/// A value and the bytes it was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Located<T> {
    /// The value.
    pub(crate) value: T,
    /// Where it stands.
    pub(crate) span: Range<usize>,
}

impl<T> Located<T> {
    /// The same place, with what is made of a reference to the value.
    pub(super) fn map_ref<U>(&self, make: impl FnOnce(&T) -> U) -> Located<U> {
        Located { value: make(&self.value), span: self.span.clone() }
    }
}

/// What was found wrong while one source was read.
#[derive(Debug)]
pub(crate) struct Findings {
    source: Arc<Source>,
    found: Vec<Diagnostic>,
    broken_syntax: bool,
}

impl Findings {
    /// Nothing yet.
    pub(crate) const fn new(source: Arc<Source>) -> Self {
        Self { source, found: Vec::new(), broken_syntax: false }
    }

    /// The text that is read.
    pub(crate) const fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// A place in the text.
    pub(crate) fn place(&self, span: &Range<usize>) -> Place {
        Place { source: Arc::clone(&self.source), span: span.clone() }
    }

    /// Line of a place, from 1.
    pub(crate) fn line(&self, span: &Range<usize>) -> usize {
        self.source.line(span.start)
    }

    /// An error at a place, and what to do about it.
    pub(crate) fn error(&mut self, span: &Range<usize>, message: impl Into<String>, remedy: impl Into<String>) {
        self.report((Severity::Error, span), message.into(), remedy.into());
    }

    /// A warning at a place, and what to do about it.
    pub(crate) fn warn(&mut self, span: &Range<usize>, message: impl Into<String>, remedy: impl Into<String>) {
        self.report((Severity::Warning, span), message.into(), remedy.into());
    }

    /// An error at a place, with another place that has to do with it, and how.
    pub(crate) fn error_beside(
        &mut self,
        span: &Range<usize>,
        (message, remedy): (String, &str),
        (other, how): (&Range<usize>, &str),
    ) {
        let (place, other) = (Some(self.place(span)), self.place(other));
        let related = Some((other, how.to_owned()));
        let remedy = Some(remedy.to_owned());
        self.found.push(Diagnostic { severity: Severity::Error, message, remedy, place, related });
    }

    /// An error that says that something is absent. Where the syntax is broken, it may stand in the broken part.
    pub(super) fn absent(&mut self, span: &Range<usize>, message: impl Into<String>, remedy: impl Into<String>) {
        if !self.broken_syntax {
            self.error(span, message, remedy);
        }
    }

    /// Adds findings made in another text.
    pub(crate) fn extend(&mut self, diagnostics: Vec<Diagnostic>) {
        self.found.extend(diagnostics);
    }

    /// Where the text is first no TOML.
    pub(super) fn broken_at(&self) -> Option<&Place> {
        let places = self.found.iter().filter(|_| self.broken_syntax).filter_map(|found| found.place.as_ref());
        places.min_by_key(|place| place.span.start)
    }

    /// Whether an error was found.
    pub(crate) fn has_errors(&self) -> bool {
        self.found.iter().any(|found| found.severity == Severity::Error)
    }

    /// Everything found.
    pub(crate) fn into_diagnostics(self) -> Vec<Diagnostic> {
        self.found
    }

    fn report(&mut self, (severity, span): (Severity, &Range<usize>), message: String, remedy: String) {
        let place = Some(self.place(span));
        self.found.push(Diagnostic { severity, message, remedy: Some(remedy), place, related: None });
    }

    /// Reads the text as TOML. What the parser could not read is reported, the rest is given back.
    pub(crate) fn parse<'a>(&mut self, text: &'a str) -> Located<DeTable<'a>> {
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            self.broken_syntax = true;
            let span = error.span().unwrap_or(0..0);
            let message = error.message().lines().collect::<Vec<_>>().join(", ");
            match text.get(span.clone()).filter(|_| message == DUPLICATE) {
                Some(key) => {
                    let message = format!("`{key}` is there twice: a table holds each key once");
                    self.error(&span, message, "remove one of the two, or put what they hold under one");
                }
                None => self.error(&span, message, "correct the TOML syntax here"),
            }
        }
        Located { span: table.span(), value: table.into_inner() }
    }
}
