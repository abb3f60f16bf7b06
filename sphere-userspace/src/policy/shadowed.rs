//! Rules that change nothing: what they allow, others of the same group allow too.

use std::ops::Range;

use super::difference::{Rules, has_all_of};
use super::findings::Findings;
use super::group::{Group, Origin, Rule};
use super::group_file::Written;

/// A rule that changes nothing.
pub(super) struct Shadowed {
    at: Range<usize>,
    message: String,
}

impl Shadowed {
    /// Warns of it.
    pub(super) fn warn(self, findings: &mut Findings) {
        findings.warn(&self.at, self.message, "remove it, or allow in it what the other does not");
    }
}

/// Finds rules of the policy file that others have in them.
pub(super) fn find(groups: &[Written]) -> Vec<Shadowed> {
    let mut found = Vec::new();
    for Written { group, rules_at, .. } in groups {
        let rules = Rules::of(group);
        for (index, at) in rules_at.iter().enumerate() {
            if let Some((rule, other)) = shadowed(group, &rules, index) {
                let message = format!("the rule for `{}` changes nothing: what {other} allows has it", rule.target);
                found.push(Shadowed { at: at.clone(), message });
            }
        }
    }
    found
}

/// A rule of the file, and the place of one that has some of it, where others have all of it.
fn shadowed<'a>(group: &'a Group, rules: &'a Rules<'_>, index: usize) -> Option<(&'a Rule, &'a Origin)> {
    let rule = group.rules.get(index)?;
    // A rule may be there for its step, and profiles say what they say.
    if rule.step.is_some() || !matches!(rule.origin, Origin::File { .. }) {
        return None;
    }
    let mut by = None;
    for service in &rule.services {
        // Of two that are alike the later one is too much; a profile counts as earlier.
        let is_before = |other: &(usize, &Rule)| {
            let is_later = other.0 > index && matches!(other.1.origin, Origin::File { .. });
            other.0 != index && !(is_later && has_all_of(rule, other.1))
        };
        let (_, other) = rules.allowing(rule, *service).find(is_before)?;
        by = by.or(Some(&other.origin));
    }
    Some((rule, by?))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use crate::policy::parse;

    /// Lines of the rules that change nothing.
    fn shadowed(rules: &[&str]) -> Vec<usize> {
        let head = "version = 1\n[[group]]\nname = \"a\"\nmode = \"audit\"\ninterfaces = [\"lan0\"]\n\
                    subnets = [\"10.1.0.0/24\"]\nprofiles = [\"azure-sphere\"]\n[group.azure-sphere]\n";
        let rules: Vec<String> = rules.iter().map(|rule| format!("[[group.allow]]\n{rule}")).collect();
        let policy = parse(&(head.to_owned() + &rules.join("\n")), "policy.toml").unwrap();
        let found = policy.warnings.iter().filter(|warning| warning.message.contains("changes nothing"));
        found
            .map(|warning| {
                let place = warning.place.as_ref().unwrap();
                (place.source.line(place.span.start) - 9) / 3
            })
            .collect()
    }

    #[test]
    fn a_rule_that_others_have_in_them_is_told() {
        let below = "host = \"*.example.com\"\nports = [\"tcp/*\"]";
        let exact = "host = \"a.example.com\"\nports = [\"tcp/443\", \"tcp/80\"]";
        assert_eq!(shadowed(&[exact, below]), [0]);
        assert_eq!(shadowed(&[below, exact]), [1]);
        assert_eq!(shadowed(&[exact, exact]), [1], "of two that are alike the later one");
        let net = "cidr = \"20.0.0.0/8\"\nports = [\"udp/5\"]";
        assert_eq!(shadowed(&[net, "address = \"20.1.2.3\"\nports = [\"udp/5\"]"]), [1]);
        let of_profile = "host = \"prod.deviceauth.sphere.azure.net\"\nports = [\"tcp/443\"]";
        assert_eq!(shadowed(&[of_profile]), [0], "the profile has it");
    }

    #[test]
    fn a_rule_that_adds_something_is_not() {
        let below = "host = \"*.example.com\"\nports = [\"tcp/443\"]";
        for rule in [
            "host = \"a.example.com\"\nports = [\"tcp/443\", \"tcp/80\"]",
            "host = \"example.com\"\nports = [\"tcp/443\"]",
            "host = \"a.example.com\"\nports = [\"tcp/443\"]\nallow_private = true",
            "host = \"a.example.com\"\nports = [\"tcp/443\"]\nstep = \"update\"",
            "address = \"20.1.2.3\"\nports = [\"tcp/443\"]",
        ] {
            assert_eq!(shadowed(&[below, rule]), [0; 0], "{rule}");
        }
    }
}
