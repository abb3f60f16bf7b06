//! What a device is told by its resolver: an answer is read on its way to the device, and the addresses in it are in the
//! endpoint table before it goes on. What cannot be read here is handed to the daemon.

use super::case::Case;
use super::lesson::{Lesson, read};
use super::policy::Outcome;
use super::{Context, Errand, errand, flows};
use crate::abi::{LessonCount, flow_kind, group_flags, unjudged_why};
use crate::classify::Kind;
use crate::dns::MAX_RECORDS;
use crate::family::Family;
use crate::packet::transport::UDP;
use crate::packet::{Fragment, Packet};
use crate::tables::{FamilyTables, Lessons, Tables};
use crate::verdict::Reason;

/// Judges the answer that a packet carries which would pass otherwise, and learns from it.
// A function of its own: BPF programs have 512 bytes of stack in all.
#[inline(never)]
pub(super) fn judge<F: Family, P: Packet, T: Tables + FamilyTables<F> + Lessons>(
    (packet, tables): (&P, &mut T),
    context: &Context<'_>,
    (case, lesson): (&mut Case<F>, &mut Lesson),
    errand: &mut Errand,
) {
    if case.network.fragment != Fragment::Whole {
        return hand_over((tables, case, errand), unjudged_why::FRAGMENTS, false);
    }
    if case.transport.kind == Kind::Tcp {
        return hand_over((tables, case, errand), unjudged_why::TCP, false);
    }
    let Some(header) = read::<F, P, T>((packet, tables), context, (case, lesson), 0) else {
        return hand_over((tables, case, errand), unjudged_why::LONG, false);
    };
    let kind = lesson.asks();
    case.set_flow(UDP, (case.flow.device_port_be, header.id_be), flow_kind::QUERY);
    let asked = match kind {
        Some((kind, _class)) => flows::find::<F, T>(tables, context, case) && case.known.mark == lesson.mark(kind),
        None => false,
    };
    if !header.is_answer() || !asked {
        // A query for a name without a rule left no mark where names are not policed.
        if case.group.flags & group_flags::DNS_POLICY != 0 {
            case.outcome = Outcome::deny(Reason::AnswerUnasked);
        }
        return;
    }

    // A truncated answer is no answer: the device asks again over TCP (RFC 2181 section 9).
    if !header.is_noerror() || header.is_truncated() || !tables.find_name(lesson) {
        return;
    }
    if header.answers > MAX_RECORDS {
        return hand_over((tables, case, errand), unjudged_why::RECORDS, true);
    }
    lesson.expect(header.answers);
}

/// Learns from the answer that a packet carries, where [`judge`] said that there is something to learn. It does not
/// depend on the family that the packet came in: the verifier walks the answers once for both.
#[inline(always)]
pub(super) fn learn<T: Lessons>(tables: &mut T, lesson: &mut Lesson) {
    if lesson.walks() {
        tables.walk_answers(lesson);
    }
}

/// What follows from how far the answer could be walked.
#[inline(always)]
pub(super) fn learned<F: Family, T: Lessons>(
    tables: &mut T,
    (case, lesson): (&mut Case<F>, &mut Lesson),
    errand: &mut Errand,
) {
    if !lesson.walks() {
        return;
    }
    if !lesson.ended() {
        return hand_over((tables, case, errand), unjudged_why::RECORDS, true);
    }
    tables.count(LessonCount::Answer);
}

/// Says that the daemon must see the answer; where its group wants that, the answer waits for it. Of fragments the first
/// one waits: without it the others are nothing to the device.
#[inline(always)]
fn hand_over<F: Family, T: Lessons>((tables, case, errand): (&mut T, &mut Case<F>, &mut Errand), why: u8, asked: bool) {
    tables.count(LessonCount::Unjudged);
    let is_later = matches!(case.network.fragment, Fragment::Later { .. });
    let held = case.group.flags & group_flags::DNS_HOLD != 0 && case.group.enforce != 0 && !is_later;
    errand.what = errand::HAND_OVER;
    errand.why = why;
    errand.asked = u8::from(asked);
    errand.held = u8::from(held);
    if held {
        case.outcome = Outcome::deny(Reason::AnswerHeld);
    }
}
