//! Replays every seed and every crash that was ever found, and cheap mutations of them.

use std::path::{Path, PathBuf};

fn seeds(target: &str) -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
    let mut seeds: Vec<PathBuf> = std::fs::read_dir(&directory)
        .unwrap_or_else(|error| panic!("{}: {error}", directory.display()))
        .map(|entry| entry.expect("a directory that can be read").path())
        .collect();
    seeds.sort();
    assert!(!seeds.is_empty(), "no seeds in {}", directory.display());
    seeds
}

/// A target's function, its seeds, and how many inputs are derived from each.
fn replay(target: &str, judge: fn(&[u8]), mutations: u32) {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for seed in seeds(target) {
        let input = std::fs::read(&seed).unwrap_or_else(|error| panic!("{}: {error}", seed.display()));
        judge(&input);
        for length in 0..input.len() {
            judge(&input[..length]);
        }
        for _ in 0..mutations {
            let mut mutant = input.clone();
            random.mutate(&mut mutant);
            judge(&mutant);
        }
    }
}

/// xorshift64: the same inputs in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 32) as usize % end.max(1)
    }

    fn mutate(&mut self, input: &mut Vec<u8>) {
        for _ in 0..=self.below(3) {
            let at = self.below(input.len());
            match self.below(4) {
                _ if input.is_empty() => return,
                0 => input[at] = self.below(256) as u8,
                1 => input[at] ^= 1 << self.below(8),
                2 => drop(input.remove(at)),
                _ => input.insert(at, self.below(256) as u8),
            }
        }
    }
}

#[test]
fn dns_messages() {
    replay("dns", sphere_fuzz::dns::read, 10_000);
}

#[test]
fn dns_messages_are_accepted_and_refused_by_either_reader() {
    let mut outcomes = std::collections::BTreeSet::new();
    let mut learned = 0;
    for seed in seeds("dns") {
        let input = std::fs::read(&seed).unwrap_or_else(|error| panic!("{}: {error}", seed.display()));
        let (outcome, addresses) = sphere_fuzz::dns::outcome(&input);
        println!("{:28} {outcome:?}, {addresses} learned", seed.file_name().unwrap_or_default().display());
        outcomes.insert(outcome);
        learned += addresses;
    }
    assert_eq!(outcomes.len(), 4, "the seeds reach only {outcomes:?}");
    assert!(learned >= 10, "only {learned} addresses are learned");
}

#[test]
fn imports() {
    replay("import", sphere_fuzz::import::read, 500);
}

#[test]
fn imports_are_accepted_as_each_kind_and_refused() {
    let mut kinds = std::collections::BTreeSet::new();
    let mut refused = 0;
    for seed in seeds("import") {
        let input = std::fs::read(&seed).unwrap_or_else(|error| panic!("{}: {error}", seed.display()));
        let accepted = sphere_fuzz::import::accepted(&input);
        refused += usize::from(accepted.is_empty());
        kinds.extend(accepted);
    }
    assert!(kinds.len() == 2 && refused >= 3, "accepted as {kinds:?}, {refused} refused");
}

#[test]
fn mud_files() {
    replay("mud", sphere_fuzz::mud::read, 300);
}

#[test]
fn mud_files_are_accepted_and_refused() {
    let (mut rules, mut withheld, mut refused) = (0, 0, 0);
    for seed in seeds("mud") {
        let input = std::fs::read(&seed).unwrap_or_else(|error| panic!("{}: {error}", seed.display()));
        match sphere_fuzz::mud::imported(&input, &Default::default()) {
            Some(imported) => {
                rules += imported.rules.len() + imported.inbound.len();
                withheld += imported.withheld.len();
            }
            None => refused += 1,
        }
    }
    assert!(rules >= 40 && withheld >= 20 && refused >= 1, "{rules} rules, {withheld} withheld, {refused} refused");
}

#[test]
fn packets() {
    replay("packet", sphere_fuzz::packet::judge, 10_000);
}

#[test]
fn packets_reach_many_reasons() {
    let mut reasons = std::collections::BTreeSet::new();
    for seed in seeds("packet") {
        let input = std::fs::read(&seed).unwrap_or_else(|error| panic!("{}: {error}", seed.display()));
        for decision in sphere_fuzz::packet::decisions(&input) {
            println!(
                "{:28} {:?} {:?}",
                seed.file_name().unwrap_or_default().display(),
                decision.verdict,
                decision.reason
            );
            reasons.insert(decision.reason.word());
        }
    }
    assert!(reasons.len() >= 30, "the seeds reach only {reasons:?}");
}

#[test]
fn policies() {
    replay("policy", sphere_fuzz::policy::read, 3_000);
}

#[test]
fn policies_are_accepted_and_refused() {
    let read = |seed: &PathBuf| std::fs::read(seed).unwrap_or_else(|error| panic!("{}: {error}", seed.display()));
    let accepted = seeds("policy").iter().filter(|seed| sphere_fuzz::policy::accepted(&read(seed)).is_some()).count();
    assert!((1..seeds("policy").len()).contains(&accepted), "{accepted} accepted");
}
