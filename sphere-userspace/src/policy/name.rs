//! DNS names in one canonical form: lower-case ASCII, absolute, without the trailing dot.
//!
//! The rules are those of the DNS (RFC 1035 section 2.3.4, RFC 2181 section 11), not those of host names: labels may
//! hold underscores and begin with digits. Two spellings of one name are one [`DomainName`], so that a policy, an
//! answer and a counter never disagree.

use std::{fmt, net::IpAddr};

use idna::{
    AsciiDenyList,
    uts46::{DnsLength, Hyphens, Uts46},
};

/// Longest name in text form, without the trailing dot (RFC 1035: 255 bytes on the wire).
pub(super) const MAX_NAME_BYTES: usize = 253;
/// Longest label.
pub(super) const MAX_LABEL_BYTES: usize = 63;

/// An absolute DNS name: `prod.update.sphere.azure.net`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DomainName(String);

/// Why a text is no DNS name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing but dots or blanks.
    #[error("the name is empty")]
    Empty,
    /// An address, or a number that resolvers read as an address.
    #[error("`{0}` is an address, not a name")]
    Address(String),
    /// Two dots in a row, or a leading dot.
    #[error("`{0}` has an empty label")]
    EmptyLabel(String),
    /// A label is longer than 63 bytes.
    #[error("the label `{0}` is longer than {MAX_LABEL_BYTES} bytes")]
    LongLabel(String),
    /// The name is longer than 253 bytes.
    #[error("the name is longer than {MAX_NAME_BYTES} bytes")]
    LongName,
    /// A character that no name has.
    #[error("`{1}` may not occur in a name")]
    Character(String, char),
    /// A label that IDNA (UTS 46) refuses, for example bad punycode.
    #[error("`{0}` is no valid internationalised name")]
    Idna(String),
    /// A star anywhere but as the first label.
    #[error("`*` may only be the first label, as in `*.example.com`")]
    Star,
}

impl DomainName {
    /// Reads a name: any letter case, with or without the trailing dot, in Unicode or in ASCII.
    ///
    /// # Errors
    /// Says what is wrong with the text; see [`NameError`].
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let bare = text.strip_suffix('.').unwrap_or(text);
        if bare.trim_matches(['.', ' ', '\t']).is_empty() {
            return Err(NameError::Empty);
        }
        if bare.parse::<IpAddr>().is_ok() {
            return Err(NameError::Address(bare.to_owned()));
        }
        let ascii = to_ascii(bare)?;
        check_labels(&ascii)?;
        // After folding: full-width digits become an address too. A last label of digits only is read as an
        // IPv4 address by inet_aton and by browsers, so nobody means it as a name.
        let last = ascii.rsplit('.').next().unwrap_or_default();
        if last.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(NameError::Address(ascii));
        }
        Ok(Self(ascii))
    }

    /// The canonical text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The labels, the leftmost first.
    pub fn labels(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('.')
    }
}

impl fmt::Display for DomainName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

fn to_ascii(text: &str) -> Result<String, NameError> {
    if let Some(bad) = text.chars().find(|c| c.is_ascii() && !is_name_character(*c)) {
        return Err(match bad {
            '*' => NameError::Star,
            other => NameError::Character(text.to_owned(), other),
        });
    }
    // Pure ASCII without punycode needs no mapping, and IDNA would refuse some names the DNS allows.
    if text.is_ascii() && !text.to_ascii_lowercase().contains("xn--") {
        return Ok(text.to_ascii_lowercase());
    }
    Uts46::new()
        .to_ascii(text.as_bytes(), AsciiDenyList::EMPTY, Hyphens::Allow, DnsLength::Ignore)
        .map(std::borrow::Cow::into_owned)
        .map_err(|_refused| NameError::Idna(text.to_owned()))
        .and_then(|ascii| match ascii.chars().find(|c| !is_name_character(*c)) {
            // Mapping can produce ASCII that the first look did not see, such as U+FF0F, a full-width slash.
            Some(bad) => Err(NameError::Character(text.to_owned(), bad)),
            None => Ok(ascii),
        })
}

const fn is_name_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
}

fn check_labels(name: &str) -> Result<(), NameError> {
    for label in name.split('.') {
        if label.is_empty() {
            return Err(NameError::EmptyLabel(name.to_owned()));
        }
        if label.len() > MAX_LABEL_BYTES {
            return Err(NameError::LongLabel(label.to_owned()));
        }
    }
    if name.len() > MAX_NAME_BYTES {
        return Err(NameError::LongName);
    }
    Ok(())
}

/// What a rule says about names: one name, or every name below one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NamePattern {
    /// Exactly this name.
    Exact(DomainName),
    /// Every name with at least one more label: `*.example.com`.
    Below(DomainName),
}

impl NamePattern {
    /// Reads a name or `*.` and a name.
    ///
    /// # Errors
    /// As [`DomainName::parse`].
    pub fn parse(text: &str) -> Result<Self, NameError> {
        match text.strip_prefix("*.") {
            Some(suffix) => DomainName::parse(suffix).map(Self::Below),
            None => DomainName::parse(text).map(Self::Exact),
        }
    }

    /// The name, when the pattern is one.
    #[must_use]
    pub const fn exact(&self) -> Option<&DomainName> {
        match self {
            Self::Exact(name) => Some(name),
            Self::Below(_) => None,
        }
    }

    /// Whether the pattern covers the name.
    #[must_use]
    pub fn covers(&self, name: &DomainName) -> bool {
        match self {
            Self::Exact(exact) => exact == name,
            Self::Below(suffix) => {
                name.as_str().strip_suffix(suffix.as_str()).is_some_and(|front| front.len() > 1 && front.ends_with('.'))
            }
        }
    }
}

/// Whether a name is another one, or below it; both in lower case and without the final dot.
#[must_use]
pub fn is_at_or_below(name: &str, above: &str) -> bool {
    name.strip_suffix(above).is_some_and(|front| front.is_empty() || front.ends_with('.'))
}

impl fmt::Display for NamePattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => formatter.pad(name.as_str()),
            Self::Below(name) => formatter.pad(&format!("*.{name}")),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

    use proptest::prelude::*;

    use super::*;

    fn canonical(text: &str) -> String {
        DomainName::parse(text).unwrap().to_string()
    }

    #[test]
    fn names_have_one_canonical_form() {
        for (text, expected) in [
            ("ExAmPle.COM", "example.com"),
            ("example.com.", "example.com"),
            ("_mqtt._tcp.x", "_mqtt._tcp.x"),
            ("a_b.x", "a_b.x"),
            ("1and1.example", "1and1.example"),
            ("-odd-.example", "-odd-.example"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("BÜCHER.example", "xn--bcher-kva.example"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("XN--BCHER-KVA.example", "xn--bcher-kva.example"),
        ] {
            assert_eq!(canonical(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_name_is_refused_with_its_cause() {
        let long_label = "a".repeat(64);
        let long_name = ["a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(63)].join(".");
        assert_eq!(DomainName::parse(""), Err(NameError::Empty));
        assert_eq!(DomainName::parse("."), Err(NameError::Empty));
        assert!(matches!(DomainName::parse("192.0.2.1"), Err(NameError::Address(_))));
        assert!(matches!(DomainName::parse("2001:db8::1"), Err(NameError::Address(_))));
        assert!(matches!(DomainName::parse("010.1"), Err(NameError::Address(_))));
        assert!(matches!(DomainName::parse("１９２.0.2.1"), Err(NameError::Address(_))));
        assert!(matches!(DomainName::parse("a..b"), Err(NameError::EmptyLabel(_))));
        assert!(matches!(DomainName::parse(".a.b"), Err(NameError::EmptyLabel(_))));
        assert!(matches!(DomainName::parse("a b.x"), Err(NameError::Character(_, ' '))));
        assert!(matches!(DomainName::parse("https://a.x"), Err(NameError::Character(_, ':'))));
        assert!(matches!(DomainName::parse("xn--a-ecp.ru-\u{200d}xn--zzzz"), Err(NameError::Idna(_))));
        assert!(matches!(DomainName::parse("xn--\u{fc}.x"), Err(NameError::Idna(_))));
        assert!(matches!(DomainName::parse(&long_label), Err(NameError::LongLabel(_))));
        assert_eq!(DomainName::parse(&long_name), Err(NameError::LongName));
        assert_eq!(DomainName::parse("a.*.x"), Err(NameError::Star));
    }

    #[test]
    fn a_wildcard_covers_names_below_it_and_respects_label_boundaries() {
        let pattern = NamePattern::parse("*.Example.com").unwrap();
        let name = |text| DomainName::parse(text).unwrap();
        assert!(pattern.covers(&name("a.example.com")));
        assert!(pattern.covers(&name("a.b.example.com")));
        assert!(!pattern.covers(&name("example.com")));
        assert!(!pattern.covers(&name("badexample.com")));
        assert_eq!(pattern.to_string(), "*.example.com");
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_is_idempotent(text in ".{0,80}") {
            if let Ok(name) = DomainName::parse(&text) {
                prop_assert_eq!(DomainName::parse(name.as_str()), Ok(name));
            }
        }
    }
}
