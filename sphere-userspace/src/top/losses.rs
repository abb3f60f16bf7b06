//! What was lost: every queue and table is bounded, and what has no room is counted.

use sphere_common::abi::LessonCount;

use super::rate::{Elapsed, Rate};
use super::sample::Sample;

/// Something that can be lost.
#[derive(Clone, Debug, PartialEq)]
pub struct Loss {
    /// What.
    pub what: String,
    /// How much.
    pub lost: Rate,
}

/// Everything that can be lost, also what was not: first what the programs count, then the daemon.
pub(super) fn losses(earlier: &Sample, later: &Sample, elapsed: Elapsed) -> Vec<Loss> {
    let (before, now) = (&earlier.snapshot, &later.snapshot);
    let loss = |what: &str, from: u64, to: u64| Loss { what: what.to_owned(), lost: elapsed.rate(from, to) };
    let mut losses = vec![
        loss("samples of denied packets, beyond the budget or without room", before.events_lost, now.events_lost),
        loss("denied packets without an account", before.unaccounted.packets, now.unaccounted.packets),
    ];
    for (count, total) in &now.lessons {
        if let Some(what) = of_lesson(*count) {
            let from = before.lessons.iter().find(|(other, _)| other == count).map_or(0, |(_, total)| *total);
            losses.push(loss(what, from, *total));
        }
    }
    if let Some(store) = &later.store {
        let from = earlier.store.as_ref().unwrap_or(store);
        losses.push(loss("accounts of denials that could not be read", from.unreadable, store.unreadable));
        losses.push(loss("files of the store dropped for want of room", from.dropped_files, store.dropped_files));
        losses.push(loss("files of the store that are damaged", from.damaged_files, store.damaged_files));
    }
    for sink in &later.sinks {
        let from = earlier.sinks.iter().find(|other| other.sink == sink.sink).map_or(0, |other| other.lost);
        losses.push(loss(&format!("records for {}", sink.sink), from, sink.lost));
    }
    losses
}

/// What a count about queries and answers says is lost, if it is.
const fn of_lesson(count: LessonCount) -> Option<&'static str> {
    match count {
        LessonCount::Quota => Some("addresses in answers, beyond the share of a group"),
        LessonCount::UnjudgedLost => Some("answers that did not reach the daemon"),
        LessonCount::Unsighted => Some("learned addresses that are not noted for sphere names"),
        LessonCount::Unread => Some("answers that the daemon could not read"),
        LessonCount::Late => Some("answers that were not learned from in time"),
        LessonCount::Dropped => Some("answers that were held, and dropped"),
        LessonCount::Query
        | LessonCount::Answer
        | LessonCount::Address
        | LessonCount::Refused
        | LessonCount::Unjudged
        | LessonCount::Learned
        | LessonCount::Ignored
        | LessonCount::Unasked
        | LessonCount::Released => None,
    }
}
