//! What rules and groups are called in the kernel. The text of a rule is its identity: a rule whose target or
//! services change is another rule, and what the old one allowed goes with it.

use std::fmt::{Display, Write as _};

use sphere_common::abi::{GroupLabel, RuleLabel};

use crate::policy::{Group, InboundRule, Mode, Rule, Server, Service, Step};

/// The label of a rule of this group, its text cut to what fits; texts that are cut alike stay apart.
pub(super) fn rule(group: u32, text: &str, step: Option<Step>) -> RuleLabel {
    RuleLabel { group, used: RuleLabel::used_by(step.map_or(0, |step| step as u8)), text: fit(text) }
}

/// The label of a group.
pub(super) fn group(group: &Group) -> GroupLabel {
    GroupLabel { used: 1, enforce: u32::from(group.mode == Mode::Enforce), text: fit(group.name.as_str()) }
}

/// What a rule about destinations is called: `api.example.com tcp/443 udp/5000`.
pub(super) fn destination(rule: &Rule) -> String {
    let mut text = with_services(&rule.target, &rule.services);
    if rule.allow_private {
        text.push_str(" private");
    }
    text
}

/// What an inbound rule is called: `inbound 10.30.0.0/24 tcp/8080`.
pub(super) fn inbound(rule: &InboundRule) -> String {
    with_services(&format_args!("inbound {}", rule.from), &rule.services)
}

/// What the permission to ask a resolver is called.
pub(super) fn resolver(server: Server) -> String {
    format!("resolver {server}")
}

/// What the permission to renew an address is called.
pub(super) fn dhcp(server: Server) -> String {
    format!("dhcp {server}")
}

/// What the gateway's permission to reach devices is called.
pub(super) const GATEWAY: &str = "inbound gateway";

/// The name that the label of a rule about a name begins with.
#[must_use]
pub fn first_word(label: &RuleLabel) -> &str {
    let end = label.text.iter().position(|byte| matches!(byte, 0 | b' ')).unwrap_or(label.text.len());
    std::str::from_utf8(&label.text[..end]).unwrap_or_default()
}

/// The text before the first zero.
#[must_use]
pub fn until_zero(text: &[u8]) -> &str {
    let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
    std::str::from_utf8(&text[..end]).unwrap_or_default()
}

fn with_services<'a>(target: &dyn Display, services: impl IntoIterator<Item = &'a Service>) -> String {
    let mut text = target.to_string();
    for service in services {
        write!(text, " {service}").expect("writing to a string cannot fail");
    }
    text
}

/// Bytes of the digest behind a text that was cut.
const DIGEST_BYTES: usize = 17;

/// The text in a field of fixed size, zero behind it.
fn fit<const N: usize>(text: &str) -> [u8; N] {
    let mut field = [0; N];
    if text.len() <= N {
        field[..text.len()].copy_from_slice(text.as_bytes());
        return field;
    }
    let end = text.floor_char_boundary(N.saturating_sub(DIGEST_BYTES));
    let cut = format!("{}#{:016x}", &text[..end], digest(text));
    field[..cut.len()].copy_from_slice(cut.as_bytes());
    field
}

/// FNV-1a: the same on every machine and in every version, unlike the standard library's hasher.
fn digest(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_that_begin_alike_stay_apart() {
        let [one, two] = ["tcp/1", "tcp/2"].map(|end| rule(0, &format!("{} {end}", "ä".repeat(200)), None));
        assert_ne!(one.text, two.text);
        let text = std::str::from_utf8(&one.text).map(|text| text.trim_end_matches('\0').len());
        assert_eq!(text.map(|length| length <= one.text.len()), Ok(true));
    }

    #[test]
    fn a_text_that_fits_exactly_is_kept() {
        let text = "x".repeat(248);
        assert_eq!(rule(3, &text, None).text, *text.as_bytes());
    }

    #[test]
    fn the_first_word_of_a_label_is_its_target() {
        assert_eq!(first_word(&rule(0, "api.example.com tcp/443 private", None)), "api.example.com");
        assert_eq!(first_word(&rule(0, "alone", None)), "alone");
    }
}
