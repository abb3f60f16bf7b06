//! Texts with every mistake that is told, and what `serde_json` makes of the same.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use proptest::strategy::Strategy as _;
use serde_json::Value;

use super::*;
use crate::policy::{Diagnostic, Source};

fn read_text(text: &str) -> (Option<Node>, Vec<Diagnostic>) {
    let mut findings = Findings::new(Source::new("a.json", text));
    let node = read(&mut findings);
    (node, findings.into_diagnostics())
}

/// Everything that is said of a text, one finding a line.
fn said(text: &str) -> Vec<String> {
    read_text(text).1.iter().map(ToString::to_string).collect()
}

/// What another reader would make of it.
fn as_value(node: &Node) -> Value {
    match &node.value {
        Json::Null | Json::Unreadable => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(digits) => serde_json::from_str(digits).unwrap(),
        Json::Text(text) => Value::String(text.clone()),
        Json::Array(elements) => elements.iter().map(as_value).collect(),
        Json::Object(members) => {
            members.iter().map(|member| (member.key.value.clone(), as_value(&member.value))).collect()
        }
    }
}

#[test]
fn every_value_and_key_knows_where_it_stands() {
    let text = "{\"a\": [1, \"\\u00fc\\ud83d\\ude00\\n\"],\n \"b\": {\"c\": -0.5e+3, \"d\": null, \"e\": true}}";
    let (node, found) = read_text(text);
    let node = node.unwrap();
    assert_eq!(found, []);
    assert_eq!(text.get(node.span.clone()), Some(text));
    let at = |node: &Node| text.get(node.span.clone()).unwrap().to_owned();
    let list = node.get("a").unwrap().array("anything", &mut Findings::new(Source::new("", ""))).unwrap();
    assert_eq!(list.iter().map(at).collect::<Vec<_>>(), ["1", "\"\\u00fc\\ud83d\\ude00\\n\""]);
    assert_eq!(list[1].as_text(), Some("ü\u{1f600}\n"));
    let keys: Vec<_> = node.members().iter().map(|member| text.get(member.key.span.clone()).unwrap()).collect();
    assert_eq!(keys, ["\"a\"", "\"b\""]);
    assert_eq!(at(node.get("b").unwrap().get("c").unwrap()), "-0.5e+3");
    assert_eq!(node.get("b").unwrap().get("f"), None);
}

#[test]
fn what_is_no_json_is_told_with_its_place() {
    for (text, place_and_word) in [
        ("", "1:1: error: the file holds no JSON value"),
        ("{\"a\": 1,}", "1:8: error: a comma before the end of the object"),
        ("[1, 2,\n]", "1:6: error: a comma before the end of the list"),
        ("[1 2]", "1:4: error: there is no comma"),
        ("[,1]", "1:2: error: a value is missing before the comma"),
        ("[1,,2]", "1:4: error: a value is missing before the comma"),
        ("{} {}", "1:4: error: there is text behind the end"),
        ("{\"a\": 1, \"a\": 2}", "1:10: error: the key `a` is there twice"),
        ("{\"p\": [<ip_port>, 1]}", "1:8: error: `<ip_port>` is a placeholder that nobody filled in"),
        ("{\"p\": [\n\"a.example, 1]}", "2:1: error: the closing quote is missing"),
        ("[\n a.example\", 1]", "2:2: error: the opening quote before `a.example` is missing"),
        ("[a.example]", "1:2: error: `a.example` stands without quotes"),
        ("{a: 1}", "1:2: error: the key `a` stands without quotes"),
        ("{a\": 1}", "1:2: error: the key `a` has no opening quote"),
        ("{\"a\" = 1}", "1:2: error: there is no colon behind the key"),
        ("['a']", "1:2: error: texts of JSON stand in double quotes"),
        ("[True]", "1:2: error: `True` is no word of JSON"),
        ("[080]", "1:2: error: `080` is no number"),
        ("[+1]", "1:2: error: `+1` is no number"),
        ("[1.]", "1:2: error: `1.` is no number"),
        ("[\"\\d\"]", "1:3: error: there is no such escape"),
        ("[\"\\ud800x\"]", "1:3: error: this is half of a character"),
        ("[\"a\tb\"]", "1:4: error: a control character in a text"),
        ("[1 /* x ]", "1:4: error: the comment has no end"),
        ("[1, {]", "1:6: error: `]` where a key is expected"),
        ("[1", "1:3: error: the file ends within the list"),
        ("{\"a\":", "1:6: error: the file ends where a value is expected"),
        ("[1}", "1:3: error: `}` where a comma or `]` is expected"),
        ("[&]", "1:2: error: `&` where a value is expected"),
    ] {
        let said = said(text);
        assert!(said[0].starts_with(&format!("a.json:{place_and_word}")), "{text:?}: {said:?}");
        // The other reader takes a key that is there twice.
        let is_json = serde_json::from_str::<Value>(text).is_ok() && !text.contains("\"a\": 2");
        assert!(!is_json, "{text:?} is JSON");
    }
}

#[test]
fn one_mistake_does_not_hide_the_next() {
    let text = "{\"a\": [<x>, <y>,], \"b\": True, \"a\": 'c'}";
    let places: Vec<_> = read_text(text).1.iter().map(|found| found.position().unwrap().1).collect();
    assert_eq!(places, [8, 13, 16, 25, 36, 31], "{:?}", said(text));
}

#[test]
fn a_mark_and_comments_are_read_over_with_one_warning_each() {
    let (node, found) = read_text("\u{feff}// one\n{\"a\": /* two */ 1} // three");
    assert_eq!(as_value(&node.unwrap()), serde_json::json!({"a": 1}));
    let said: Vec<_> = found.iter().map(ToString::to_string).collect();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].starts_with("a.json:1:1: warning: the file begins with a byte order mark"), "{said:?}");
    assert!(said[1].starts_with("a.json:1:1: warning: JSON has no comments"), "{said:?}");
}

#[test]
fn depth_and_errors_are_bounded() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(said(&nested(64)), [""; 0]);
    let deep = said(&nested(65));
    assert!(deep.len() == 1 && deep[0].contains("more than 64 lists"), "{deep:?}");
    assert_eq!(said(&"[".repeat(1 << 20)).len(), 1);
    for many in ["<x>,".repeat(5_000), "\"a\":1,".repeat(5_000)] {
        let open = if many.starts_with('<') { '[' } else { '{' };
        let found = said(&format!("{open}{many}"));
        assert!(found.len() <= 52 && found.iter().any(|line| line.contains("nothing behind this place")), "{found:?}");
    }
}

const TOKENS: [&str; 16] =
    ["{", "}", "[", "]", ",", ":", "\"a\"", "\"b\\n\"", "1", "-2.5e3", "true", "null", " ", "\n", "\"", "é"];

/// Texts that are JSON, or nearly.
fn nearly_json() -> impl proptest::strategy::Strategy<Value = String> {
    proptest::collection::vec(proptest::sample::select(&TOKENS[..]), 0..24).prop_map(|tokens| tokens.concat())
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(20_000))]

    #[test]
    fn what_is_accepted_is_json_and_means_the_same(text in nearly_json()) {
        let (node, found) = read_text(&text);
        let oracle = serde_json::from_str::<Value>(&text);
        // How large numbers may be is left to each reader (RFC 8259 section 6); here they stay as they are written.
        let is_too_large = oracle.as_ref().is_err_and(|error| error.to_string().contains("out of range"));
        proptest::prop_assume!(!is_too_large);
        if found.is_empty() {
            proptest::prop_assert_eq!(as_value(&node.unwrap()), oracle.unwrap(), "{}", text);
        } else {
            // A key that is there twice is the one thing that the other reader takes.
            let is_twice = found.iter().all(|found| found.message.contains("is there twice"));
            proptest::prop_assert!(oracle.is_err() || is_twice, "{}: {:?}", text, found);
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in ".{0,60}") {
        for found in read_text(&text).1 {
            proptest::prop_assert!(found.position().is_some() && !found.render().is_empty());
        }
    }
}
