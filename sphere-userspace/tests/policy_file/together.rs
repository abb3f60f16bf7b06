//! Many errors at once: none hides another, none brings others with it.

use crate::errors::{assert_each, errors_of, replaced};
use crate::{GOOD, invalid, lines, place_of, with};

#[test]
fn no_error_hides_another() {
    let text = GOOD
        .replace("grace = ", "grase = ")
        .replace("endpoints = 4096", "endpoints = -1")
        .replace("mode = \"xdp\"", "mode = \"fast\"")
        .replace("\"fd00:20::/64\"", "\"fd00:20::1/64\"")
        .replace("hubs = ", "hub = ")
        .replace("\"Api.Example.COM.\"", "\"1.2.3.4\"")
        .replace("\"udp/5000\"", "\"udp/0x5000\", \"tcp/70000\"")
        .replace("from = \"10.30.0.0/24\"", "from = \"everywhere\"")
        .replace("\"video.example.net\"", "\"video..example.net\"");
    let errors = invalid(&text);
    let words = [
        "grase",
        "-1",
        "fast",
        "fd00:20::1/64",
        "hub",
        "1.2.3.4",
        "0x5000",
        "70000",
        "everywhere",
        "video..example.net",
    ];
    let said = errors_of(&text);
    assert_eq!(said.len(), words.len(), "{said:#?}");
    for (error, word) in said.iter().zip(words) {
        assert!(error.contains(word), "`{word}` expected next, in the order of the text: {said:#?}");
    }
    assert!(errors.to_string().ends_with("the policy has 10 errors"), "{errors}");
}

#[test]
fn a_group_without_a_usable_name_is_checked_like_any_other() {
    for name in ["name = \"my cameras\"", "name = 7", ""] {
        let text = with("name = \"cameras\"", name)
            .replace("\"lan0\", \"lan1\"", "\"lan0\", \"lan1\", \"lan/2\"")
            .replace("[\"10.21.0.0/24\"]", "[\"10.20.0.0/16\"]\ndns = \"silence\"")
            .replace("\"tcp/8554\"", "\"tcp/99999\"");
        let errors = invalid(&text);
        let said = lines(errors.diagnostics());
        assert_eq!(said.len(), 5, "{said:#?}");
        for words in ["name", "lan/2", "10.20.0.0/16", "silence", "99999"] {
            assert!(said.iter().any(|error| error.contains(words)), "`{words}` is not in {said:#?}");
        }
    }
    // It may overlap with others, and they with it.
    let text = with("name = \"sensors\"", "name = \"\"").replace("10.21.0.0/24", "10.20.0.0/25");
    let said = errors_of(&text);
    assert!(said.iter().any(|error| error.contains("of another group on the same interface")), "{said:#?}");
}

#[test]
fn every_target_of_a_rule_is_read() {
    let text = with(
        "host = \"video.example.net\"",
        "host = \"video..example.net\"\naddress = \"192.0.2.300\"\ncidr = \"192.0.2.1/24\"",
    );
    let said = errors_of(&text);
    assert_eq!(said.len(), 4, "{said:#?}");
    for words in ["empty label", "several things", "192.0.2.300", "bits set"] {
        assert!(said.iter().any(|error| error.contains(words)), "`{words}` is not in {said:#?}");
    }
}

#[test]
fn a_value_of_the_wrong_kind_is_one_error() {
    assert_each([
        replaced("interfaces = [\"lan0\", \"lan1\"]", "interfaces = \"lan7\"", "\"lan7\"", &["in brackets"]),
        replaced("subnets = [\"10.21.0.0/24\"]", "subnets = \"10.21.0.0/24\"", "\"10.21.0.0/24\"", &["in brackets"]),
    ]);
    let errors = lines(invalid(&with("[\"gateway\", \"198.51.100.53\"]", "[\"router\"]")).diagnostics());
    assert_eq!(errors.len(), 1, "no warning about a resolver that was refused: {errors:?}");
}

#[test]
fn beyond_200_errors_are_counted_only() {
    let keys: String = (0..30_000).map(|number| format!("key{number} = 1\n")).collect();
    let errors = invalid(&format!("{GOOD}[wrong]\n").replace("version = 1\n", &format!("version = 1\n{keys}")));
    assert_eq!((errors.error_count(), errors.diagnostics().len()), (30_001, 200));
    let shown = errors.to_string();
    assert!(shown.contains("`key0`") && shown.contains("`key199`") && !shown.contains("`key200`"));
    assert!(shown.ends_with("the policy has 30001 errors, of which 200 are shown"), "{}", errors.summary());
}

#[test]
fn broken_syntax_hides_no_wrong_value_and_invents_no_missing_one() {
    let text = with("cidrs = 512", "cidrs = = 512").replace("\"tcp/8554\"", "\"tcp/99999\"");
    let errors = errors_of(&text);
    let lines_named: Vec<_> = errors.iter().filter_map(|error| error.split(':').nth(1)).collect();
    let (broken, wrong) = (place_of("= = 512", &text).0.to_string(), place_of("tcp/99999", &text).0.to_string());
    assert!(lines_named.contains(&broken.as_str()) && lines_named.contains(&wrong.as_str()), "{errors:#?}");
    assert!(!errors.iter().any(|error| error.contains("needs")), "{errors:#?}");
}
