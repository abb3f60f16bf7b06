//! Any text: no panic, every finding has a place inside the text, and what is accepted can be compiled into tables.

use proptest::prelude::*;
use sphere_userspace::policy::{self, Policy};
use sphere_userspace::reconcile::{Clock, Desired, GatewayFacts, Inputs, Leases, Moment, Tables};

use crate::{GOOD, ORIGIN};

/// Words that policies are made of, and a few that they should not be made of.
const WORDS: [&str; 34] = [
    "[[group]]\n",
    "[group.azure-sphere]\n",
    "[[group.allow]]\n",
    "[limits]\n",
    "[daemon]\n",
    "[store]\n",
    "[metrics]\n",
    "listen = ",
    "network = ",
    "keep = ",
    "max_size = ",
    "name = ",
    "host = ",
    "cidr = ",
    "ports = ",
    "subnets = ",
    "proxy = ",
    "hubs = ",
    "ntp = ",
    "\"10.20.0.0/24\"",
    "\"::/0\"",
    "\"tcp/443\"",
    "\"a.example\"",
    "[",
    "]",
    "{",
    "}",
    "=",
    ",",
    "\"",
    "\n",
    "9999999999999999999999",
    "-1",
    "\u{1f4a3}\u{0}",
];

/// What must hold for every text.
fn hold(text: &str) -> Result<(), TestCaseError> {
    match policy::parse(text, ORIGIN) {
        Ok(policy) => {
            for warning in &policy.warnings {
                prop_assert!(!warning.render().is_empty());
            }
            compiles(&policy)
        }
        Err(errors) => {
            prop_assert!(errors.error_count() > 0);
            for found in errors.diagnostics() {
                let (line, _) = found.position().expect("a finding in a text has a place");
                prop_assert!((1..=text.split('\n').count()).contains(&line), "line {} of {:?}", line, text);
                prop_assert!(found.remedy.as_ref().is_some_and(|remedy| !remedy.is_empty()), "{}", found);
                prop_assert!(!found.render().is_empty());
            }
            Ok(())
        }
    }
}

/// What was accepted has what its types promise, and fits into the tables that it asks for.
fn compiles(policy: &Policy) -> Result<(), TestCaseError> {
    prop_assert!(!policy.groups.is_empty());
    for group in &policy.groups {
        prop_assert!(!group.interfaces.is_empty() && !group.subnets.is_empty(), "{:?}", group);
        prop_assert!(group.rules.iter().all(|rule| !rule.services.is_empty()));
        prop_assert!(group.inbound.iter().all(|rule| !rule.services.is_empty()));
        for interface in &group.interfaces {
            prop_assert!(policy.interfaces.iter().any(|port| port.name == *interface));
        }
    }
    let clock = Clock { ticks_per_second: 250, anchor: Moment::default(), anchor_ticks: 1 << 32 };
    let inputs = Inputs {
        policy,
        leases: &Leases::new(),
        facts: &GatewayFacts::default(),
        clock: &clock,
        now: Moment::default(),
    };
    let desired = Desired::new(&inputs, &Tables::default());
    prop_assert!(desired.is_ok(), "accepted, and then: {:?}", desired.err());
    Ok(())
}

/// The good policy with parts cut, doubled and replaced.
fn mutated() -> impl Strategy<Value = String> {
    let word = prop_oneof![prop::sample::select(WORDS.to_vec()).prop_map(str::to_owned), any::<String>()];
    let edit = (any::<prop::sample::Index>(), 0..40_usize, word);
    prop::collection::vec(edit, 1..8).prop_map(|edits| {
        let mut text = GOOD.to_owned();
        for (at, length, word) in edits {
            let start = text.floor_char_boundary(at.index(text.len() + 1));
            let end = text.ceil_char_boundary((start + length).min(text.len()));
            text.replace_range(start..end, &word);
        }
        text
    })
}

/// The good policy with single values of a kind swapped for others: most stay valid TOML.
fn swapped() -> impl Strategy<Value = String> {
    let quoted = || GOOD.split('"').skip(1).step_by(2).collect::<Vec<_>>();
    let swap = (prop::sample::select(quoted()), prop::sample::select(quoted()));
    prop::collection::vec(swap, 1..4).prop_map(|swaps| {
        swaps
            .into_iter()
            .fold(GOOD.to_owned(), |text, (from, to)| text.replacen(&format!("\"{from}\""), &format!("\"{to}\""), 1))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        hold(&text)?;
    }

    #[test]
    fn any_heap_of_policy_words_is_read_or_refused(words in prop::collection::vec(prop::sample::select(WORDS.to_vec()), 0..60)) {
        hold(&words.concat())?;
    }

    #[test]
    fn a_damaged_policy_is_read_or_refused(text in mutated()) {
        hold(&text)?;
    }

    #[test]
    fn a_policy_with_values_in_wrong_places_is_read_or_refused(text in swapped()) {
        hold(&text)?;
    }
}

#[test]
fn the_good_policy_compiles() {
    compiles(&crate::valid(GOOD)).unwrap();
}

#[test]
fn deep_nesting_is_refused_and_overflows_nothing() {
    for text in ["[".repeat(50_000), "a = ".to_owned() + &"[".repeat(50_000), "a.".repeat(50_000), "{a=".repeat(50_000)]
    {
        hold(&text).unwrap();
    }
}
