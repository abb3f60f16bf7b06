//! The kernel's verdicts against the host's: the same frames through the loaded programs (BPF_PROG_TEST_RUN) and through
//! the same deciding code over ordinary collections. Any difference is a bug in one of the machines.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that panics has failed, and what it prints is its report"
)]

mod accounts;
mod corpus;
mod held;
mod lessons;
mod machine;
mod samples;

use machine::{Machine, Program};
use sphere_common::verdict::Reason;

/// Random frames in one run of a program, mutated from the corpus.
const RANDOM_FRAMES: usize = 100_000;
/// Verified instructions that no program may exceed.
const MAX_VERIFIED: u32 = 75_000;

#[test]
#[ignore = "root: loads programs and runs them in the kernel"]
fn corpus_gets_the_same_verdicts_in_kernel_and_on_host() {
    for program in Program::ALL {
        let mut machine = Machine::new(program, true);
        let mut reasons = std::collections::BTreeSet::new();
        // Twice: the second time around flows are known.
        for round in 0..2 {
            for sample in corpus::samples() {
                let name = format!("{program:?} round {round}: {}", sample.name);
                reasons.extend(machine.compare(&name, &sample.frame).map(Reason::word));
            }
        }
        println!("{program:?}: {} reasons: {reasons:?}", reasons.len());
        let least = if program == Program::Egress { 12 } else { 20 };
        assert!(reasons.len() >= least, "the corpus reaches only {} reasons: {reasons:?}", reasons.len());
    }
}

#[test]
#[ignore = "root: loads programs and runs them in the kernel"]
fn audit_mode_agrees_too() {
    for program in Program::ALL {
        let mut machine = Machine::new(program, false);
        for sample in corpus::samples() {
            machine.compare(&format!("{program:?} in audit mode: {}", sample.name), &sample.frame);
        }
    }
}

#[test]
#[ignore = "root: loads programs and runs them in the kernel"]
fn random_frames_get_the_same_verdicts_in_kernel_and_on_host() {
    let samples = corpus::samples();
    for program in Program::ALL {
        let mut machine = Machine::new(program, true);
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        let (mut ran, mut round) = (0, 0);
        while ran < RANDOM_FRAMES {
            round += 1;
            assert!(round < 2 * RANDOM_FRAMES, "the kernel refuses to run most frames");
            let mut frame = samples[random.below(samples.len())].frame.clone();
            for _ in 0..=random.below(4) {
                mutate(&mut frame, &mut random);
            }
            if frame.len() >= 14 {
                ran += usize::from(machine.compare(&format!("{program:?} random frame {round}"), &frame).is_some());
            }
        }
    }
}

#[test]
#[ignore = "root: loads programs and runs them in the kernel"]
fn programs_verify_within_their_bound() {
    let verified = Program::ALL.map(|program| {
        let (instructions, taken) = Machine::new(program, true).verified();
        println!("{program:?}: {instructions} verified instructions, loaded in {taken:.1?}");
        instructions
    });
    assert!(verified.iter().all(|instructions| *instructions <= MAX_VERIFIED), "{verified:?} verified instructions");
}

pub(crate) fn mutate(frame: &mut Vec<u8>, random: &mut Random) {
    let at = random.below(frame.len());
    match random.below(8) {
        0 => frame.truncate(at.max(14)),
        1 => frame[at] ^= 1 << random.below(8),
        2 => frame[at] = 0,
        3 => frame[at] = 0xff,
        4 => frame.insert(at, random.next().to_le_bytes()[0]),
        5 => frame.extend(random.next().to_le_bytes()),
        // Headers are where it matters.
        _ => {
            let at = 12 + random.below(frame.len().saturating_sub(12).clamp(1, 50));
            if let Some(byte) = frame.get_mut(at) {
                *byte = random.next().to_le_bytes()[0];
            }
        }
    }
}

/// Xorshift64*: the same frames in every run.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() >> 33).unwrap() % bound
    }
}
