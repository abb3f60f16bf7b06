//! What the device asks, and what it hears.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::clients::asker::{Asker, ask_over_tcp};
use crate::message::{A, AAAA, NULL, Question, TXT, response_code};
use crate::net::Device;
use crate::report::Report;

/// A domain that no rule allows, as it also stands in a message: one label.
pub(super) const UNLISTED: &str = "unlisted-domain";
/// A name that a rule allows.
pub(super) const ALLOWED: &str = "allowed.example.net";
/// How long to listen where no answer may come.
pub(super) const SILENCE: Duration = Duration::from_millis(200);
/// How long a refusal may take.
const REFUSAL: Duration = Duration::from_millis(500);
/// Questions without a refusal after which it is no use to go on.
const ENOUGH: u64 = 20;

/// What came of questions.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) asked: u64,
    pub(super) refused: u64,
    /// Nanoseconds from each question to its refusal.
    took: Vec<u64>,
}

impl Asked {
    pub(super) fn join(&mut self, other: Self) {
        self.asked += other.asked;
        self.refused += other.refused;
        self.took.extend(other.took);
    }

    pub(super) fn median_ns(&self) -> u64 {
        let mut took = self.took.clone();
        took.sort_unstable();
        took.get(took.len() / 2).copied().unwrap_or(u64::MAX)
    }
}

/// Asks for so many random names, one after the other, of every type in turn.
pub(super) fn random_names(asker: &mut Asker, count: u32) -> Result<Asked> {
    let mut asked = Asked::default();
    for (number, kind) in (0..count).zip([A, AAAA, TXT, NULL].into_iter().cycle()) {
        if asked.asked - asked.refused >= ENOUGH {
            break;
        }
        let name = random_name(number);
        let sent = Instant::now();
        let question = asker.send(&name, kind)?;
        asked.asked += 1;
        let answer = asker.receive(REFUSAL)?;
        if answer.is_some_and(|answer| question.is_refused_by(&answer)) {
            asked.took.push(u64::try_from(sent.elapsed().as_nanos())?);
            asked.refused += 1;
        }
    }
    Ok(asked)
}

/// Asks for so many random names at once, and counts the answers.
pub(super) fn unanswered_names(asker: &mut Asker, count: u32) -> Result<u64> {
    for number in 0..count {
        asker.send(&random_name(number), A)?;
    }
    let mut answers = 0;
    while asker.receive(SILENCE)?.is_some() {
        answers += 1;
    }
    Ok(answers)
}

/// The `number`th of names that look as if they carried something: another each, up to the longest that there is.
pub(super) fn random_name(number: u32) -> String {
    const DIGITS: &[u8] = b"abcdefghijklmnopqrstuvwxyz234567";
    // Steps of splitmix64.
    let mut state = u64::from(number) << 32;
    let mut digit = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let [.., last] = (mixed >> 27).to_be_bytes();
        char::from(DIGITS.get(usize::from(last) % DIGITS.len()).copied().unwrap_or(b'a'))
    };
    let labels = 1 + number % 3;
    let mut name = String::new();
    for _label in 0..labels {
        name.extend((0..12 + number % 50).map(|_| digit()));
        name.push('.');
    }
    format!("{name}n{number}.{UNLISTED}.example")
}

/// A name that is allowed: its addresses may be asked for, its texts not.
pub(super) fn allowed_name(asker: &mut Asker, place: &str, report: &mut Report) -> Result<()> {
    let answer = asker.ask(ALLOWED, A)?;
    let code = response_code(&answer).unwrap_or(u16::MAX);
    report.check(format!("{place}: addresses of {ALLOWED}"), "answered", (format!("code {code}"), code == 0));
    for kind in [TXT, NULL] {
        let question = asker.send(ALLOWED, kind)?;
        let refused = asker.receive(REFUSAL)?.is_some_and(|answer| question.is_refused_by(&answer));
        let seen = if refused { "refused" } else { "not refused" };
        report.check(format!("{place}: type {kind} of {ALLOWED}"), "refused", (seen, refused));
    }
    Ok(())
}

/// Over connections, in one segment and in several: an allowed name is answered, an unlisted one is not.
pub(super) fn over_tcp(device: &Device, resolver: IpAddr, (place, report): (&str, &mut Report)) -> Result<()> {
    let mut ask = |name: &str, piece: usize, answered: bool| -> Result<()> {
        let question = Question { id: 1, name: name.to_owned(), kind: A };
        let limit = if answered { REFUSAL * 4 } else { SILENCE };
        let answer = ask_over_tcp(&device.namespace, resolver, &question, (piece, limit))?;
        let expected = if answered { "answered" } else { "no answer" };
        let seen = if answer.is_some() { "answered" } else { "no answer" };
        let how = if piece == usize::MAX { "in one segment".to_owned() } else { format!("{piece} bytes a segment") };
        report.check(format!("{place}: {name} over TCP, {how}"), expected, (seen, seen == expected));
        Ok(())
    };
    ask(ALLOWED, usize::MAX, true)?;
    for (number, piece) in [usize::MAX, 2, 1, 14, 30].into_iter().enumerate() {
        ask(&random_name(u32::try_from(number)?), piece, false)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_valid_and_each_is_another() {
        let names: BTreeSet<String> = (0..5_000).map(random_name).collect();
        assert_eq!(names.len(), 5_000);
        assert!(names.iter().all(|name| name.len() <= 253 && name.split('.').all(|label| label.len() <= 63)));
    }
}
