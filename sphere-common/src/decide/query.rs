//! What a device asks its resolver: which names it may ask for, over UDP and over TCP.
//!
//! A query is read before it leaves: its name must be in the table of names. It is noted as a flow of its own kind, so
//! that its answer can be told from a forged one.

use super::case::Case;
use super::lesson::{Lesson, read};
use super::policy::Outcome;
use super::stream::{Piece, QueryStream, Segment};
use super::{Context, Errand, errand, flows};
use crate::abi::{LessonCount, group_flags, name_flags};
use crate::classify::Kind;
use crate::dns::{CLASS_IN, TYPE_A, TYPE_AAAA};
use crate::family::Family;
use crate::packet::{Fragment, Packet, transport};
use crate::tables::{FamilyTables, Lessons, Tables};
use crate::verdict::Reason;

/// Notes in the case what a segment from a device is in the stream of its queries.
#[inline(never)]
fn place<F: Family, P: Packet, T: Tables + FamilyTables<F>>(
    (packet, tables): (&P, &mut T),
    context: &Context<'_>,
    case: &mut Case<F>,
) {
    case.piece = Piece::Stray;
    // A resolver may read another stream than what is said here: without the urgent byte, which may also be announced
    // before it is sent; or one byte further on.
    let flags = case.transport.flags;
    if flags.is_urgent() || flags.synchronizes() || !flows::find::<F, T>(tables, context, case) {
        return;
    }
    let Some(mut stream) = QueryStream::of_mark(case.known.mark) else {
        return;
    };
    let header_bytes = usize::from(case.transport.header_bytes);
    let at = case.network.payload();
    let sequence = u32::from_be(packet.u32_be(at + transport::SEQUENCE_AT).unwrap_or(0));
    let length = u32::from(u16::from_be(packet.u16_be(at + header_bytes).unwrap_or(0)));
    let bytes = case.network.payload_bytes.wrapping_sub(header_bytes as u32);
    case.piece = stream.take(Segment { sequence, bytes, length });
    case.stream_mark = stream.mark();
}

/// Notes where the stream of a device's queries begins, from the segment with which its resolver accepts the connection.
// A function of its own: BPF programs have 512 bytes of stack in all.
#[inline(never)]
pub(super) fn accepted<F: Family, P: Packet, T: Tables + FamilyTables<F>>(
    packet: &P,
    tables: &mut T,
    case: &mut Case<F>,
) {
    let acknowledged = packet.u32_be(case.network.payload() + transport::ACKNOWLEDGEMENT_AT).unwrap_or(0);
    let acknowledged = u32::from_be(acknowledged);
    if let Some(mark) = QueryStream::accepted((case.known.mark, case.known.begins), acknowledged) {
        flows::begin::<F, T>(tables, case, (acknowledged, mark));
    }
}

/// Bytes of the length before a message over TCP (RFC 1035 section 4.2.2).
const LENGTH_BYTES: u32 = 2;

/// Judges the query that a packet carries which would pass otherwise.
// A function of its own: BPF programs have 512 bytes of stack in all.
#[inline(never)]
pub(super) fn judge<F: Family, P: Packet, T: Tables + FamilyTables<F> + Lessons>(
    (packet, tables): (&P, &mut T),
    context: &Context<'_>,
    (case, lesson): (&mut Case<F>, &mut Lesson),
    errand: &mut Errand,
) {
    let is_tcp = case.transport.kind == Kind::Tcp;
    let polices = case.group.flags & group_flags::DNS_POLICY != 0;
    // Where names are not policed, only what is in the table is noted.
    if is_tcp && !polices {
        return;
    }
    case.piece = Piece::Message;
    if is_tcp {
        place::<F, P, T>((packet, tables), context, case);
    }
    let denied = match case.piece {
        // No query is as long as to need fragments, and what is in the later ones is not seen here.
        _ if case.network.fragment != Fragment::Whole => Reason::QueryMalformed,
        Piece::Stray => Reason::QuerySegment,
        Piece::Length => Reason::Endpoint,
        Piece::Message | Piece::Whole => {
            let skip = if case.piece == Piece::Whole { LENGTH_BYTES } else { 0 };
            question::<F, P, T>((packet, tables), context, (case, lesson), packet.merge_paths(skip as usize) as u32)
        }
    };
    if denied == Reason::Endpoint {
        if is_tcp {
            flows::mark::<F, T>(tables, case, case.stream_mark);
        }
        if case.piece != Piece::Length {
            tables.count(LessonCount::Query);
            case.asks = u16::from(!is_tcp);
        }
        return;
    }
    if !polices {
        return;
    }
    case.outcome = Outcome::deny(denied);
    case.opens = 0;
    let refuses = matches!(denied, Reason::QueryName | Reason::QueryType)
        && !is_tcp
        && case.network.fragment == Fragment::Whole
        && case.group.enforce != 0
        && case.group.flags & group_flags::DNS_DROP == 0;
    if refuses {
        errand.what = errand::REFUSE;
        errand.network_at = case.link.payload_at;
        errand.transport_at = case.network.payload_at;
    }
}

/// Whether the rules let the device ask this question. [`Reason::Endpoint`] when they do.
#[inline(always)]
fn question<F: Family, P: Packet, T: Tables + FamilyTables<F> + Lessons>(
    (packet, tables): (&P, &mut T),
    context: &Context<'_>,
    (case, lesson): (&mut Case<F>, &mut Lesson),
    skip: u32,
) -> Reason {
    let Some(header) = read::<F, P, T>((packet, tables), context, (case, lesson), skip) else {
        return Reason::QueryMalformed;
    };
    let Some((kind, class)) = lesson.asks() else {
        return Reason::QueryMalformed;
    };
    if !header.is_query() || class != CLASS_IN {
        return Reason::QueryMalformed;
    }
    if !tables.find_name(lesson) {
        return Reason::QueryName;
    }
    case.query_id_be = header.id_be;
    case.query_mark = lesson.mark(kind);
    let is_address = matches!(kind, TYPE_A | TYPE_AAAA);
    if !is_address && lesson.name.flags & name_flags::ANY_TYPE == 0 {
        return Reason::QueryType;
    }
    Reason::Endpoint
}
