//! Keys of MUD files as they are looked for: without the module before them, and whatever dialect they are written in.

use crate::import::json::{Json, Member, Node};
use crate::policy::Findings;

/// The key without its YANG module: `dst-dnsname` of `ietf-acldns:dst-dnsname` (RFC 7951 section 4).
pub(super) fn local(key: &str) -> &str {
    key.rsplit_once(':').map_or(key, |(_, name)| name)
}

/// The first of these keys that the object has, each a name in one of the dialects.
pub(super) fn find<'a>(object: &'a Node, names: &[&str]) -> Option<&'a Member> {
    object.members().iter().find(|member| names.contains(&local(&member.key.value)))
}

/// The value behind the first of these keys.
pub(super) fn value<'a>(object: &'a Node, names: &[&str]) -> Option<&'a Node> {
    find(object, names).map(|member| &member.value)
}

/// The objects of a list below two keys, such as `aces` and `ace`; anything else is reported.
pub(super) fn list<'a>(object: &'a Node, (outer, inner): (&[&str], &str), findings: &mut Findings) -> Vec<&'a Node> {
    let Some(holder) = value(object, outer) else { return Vec::new() };
    if holder.object("an object", findings).is_none() {
        return Vec::new();
    }
    let Some(list) = value(holder, &[inner]).and_then(|list| list.array("objects", findings)) else {
        return Vec::new();
    };
    list.iter().filter(|element| element.object("an object", findings).is_some()).collect()
}

/// A whole number up to `most`; a text of digits is read as one with a warning. Anything else is reported.
pub(super) fn number(node: &Node, most: u16, findings: &mut Findings) -> Option<u16> {
    let (digits, is_text) = match &node.value {
        Json::Number(digits) => (digits, false),
        Json::Text(digits) if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => (digits, true),
        Json::Text(_) | Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) | Json::Unreadable => {
            return node.wrong_type(&format!("a number from 0 to {most}"), findings);
        }
    };
    match digits.parse::<u16>() {
        Ok(number) if number <= most => {
            if is_text {
                findings.warn(&node.span, "the number is written as a text", format!("write {number} without quotes"));
            }
            Some(number)
        }
        _ => {
            findings.error(
                &node.span,
                format!("`{digits}` is out of bounds"),
                format!("use a number from 0 to {most}"),
            );
            None
        }
    }
}

/// One text, or a list of one text, as some generators write it; anything else is reported.
pub(super) fn single_text<'a>(node: &'a Node, findings: &mut Findings) -> Option<&'a str> {
    match &node.value {
        Json::Array(elements) if elements.len() == 1 => elements.first().and_then(|element| element.text(findings)),
        _ => node.text(findings),
    }
}

/// The name of a list or an entry, in either dialect; reported where there is none.
pub(super) fn name(object: &Node, names: &[&str], findings: &mut Findings) -> Option<String> {
    let Some(node) = value(object, names) else {
        let key = names.first().unwrap_or(&"name");
        findings.error(&object.span, format!("`{key}` is missing here"), format!("add `\"{key}\": \"…\"`"));
        return None;
    };
    node.text(findings).map(str::to_owned)
}
