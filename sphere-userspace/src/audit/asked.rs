//! The names of many questions, told in few words: some of them, and the domain that they have in common.

use super::question::{Question, name};

/// Names that are kept as samples.
const SAMPLES: usize = 5;

/// What like denials asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// The first few different names.
    samples: Vec<String>,
    /// Labels that all names end in.
    shared: Vec<String>,
    /// Record type, as long as all ask for the same.
    kind: Option<u16>,
}

impl Asked {
    /// What one query asks; nothing, when it is none.
    pub(super) fn of(question: Option<Question>) -> Self {
        let Some(Question { labels, kind }) = question else { return Self::default() };
        Self { samples: vec![name(&labels)], shared: labels, kind: Some(kind) }
    }

    /// Adds what another query asks.
    pub(super) fn add(&mut self, question: Option<Question>) {
        let Some(question) = question else { return };
        if self.samples.is_empty() {
            *self = Self::of(Some(question));
            return;
        }
        self.kind = self.kind.filter(|kind| *kind == question.kind);
        let alike = self.shared.iter().rev().zip(question.labels.iter().rev());
        let alike = alike.take_while(|(one, other)| one == other).count();
        self.shared.drain(..self.shared.len() - alike);
        let name = name(&question.labels);
        if self.samples.len() < SAMPLES && !self.samples.contains(&name) {
            self.samples.push(name);
        }
    }

    /// Whether none is a DNS query.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// The name, when there is only one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.samples.first().filter(|_| self.samples.len() == 1).map(String::as_str)
    }

    /// Some of the names, when there are several.
    #[must_use]
    pub fn names(&self) -> &[String] {
        if self.samples.len() > 1 { &self.samples } else { &[] }
    }

    /// The domain that all of several names are in; [`None`] when that is the root.
    #[must_use]
    pub fn parent(&self) -> Option<String> {
        (self.samples.len() > 1 && !self.shared.is_empty()).then(|| name(&self.shared))
    }

    /// The record type, when all ask for the same.
    #[must_use]
    pub fn kind(&self) -> Option<u16> {
        self.kind
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(name: &str, kind: u16) -> Option<Question> {
        Some(Question { labels: name.split('.').map(str::to_owned).collect(), kind })
    }

    #[test]
    fn one_name_is_told_as_it_is() {
        let mut asked = Asked::of(question("a.example", 1));
        asked.add(question("a.example", 28));
        asked.add(None);
        assert_eq!((asked.name(), asked.names(), asked.parent()), (Some("a.example"), [].as_slice(), None));
        assert_eq!(asked.kind(), None, "two types");
    }

    #[test]
    fn of_a_thousand_names_a_few_and_their_domain_are_told() {
        let mut asked = Asked::default();
        for number in 0..1_000 {
            asked.add(question(&format!("{number}.tunnel.example"), 16));
        }
        assert_eq!(asked.name(), None);
        assert_eq!(asked.names().len(), SAMPLES);
        assert_eq!(asked.parent().as_deref(), Some("tunnel.example"));
        assert_eq!(asked.kind(), Some(16));
        asked.add(question("other.tunnel.org", 16));
        assert_eq!(asked.parent(), None);
    }

    #[test]
    fn a_name_and_what_is_below_it_share_the_name() {
        let mut asked = Asked::of(question("a.example", 1));
        asked.add(question("b.a.example", 1));
        assert_eq!(asked.parent().as_deref(), Some("a.example"));
    }
}
