//! What the programs learned, and what they may still learn.

use std::collections::BTreeMap;
use std::net::IpAddr;

use sphere_common::abi::{
    Flow4Key, Flow6Key, FlowState, FlowValue, LessonCount, SightingKey, SightingValue, Ticks, flow_flags, flow_kind,
};
use sphere_common::decide::lesson::query_mark;
use sphere_common::name::{NameBuffer, Taken};

use super::config;
use super::error::DatapathError;
use super::maps::Maps;

const TCP: u8 = 6;
const UDP: u8 = 17;
const DNS: u16 = 53;

/// An answer on its way to a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// The device.
    pub device: IpAddr,
    /// Its port.
    pub device_port: u16,
    /// The resolver.
    pub resolver: IpAddr,
    /// Whether it goes over TCP.
    pub is_tcp: bool,
    /// Transaction identifier.
    pub id: u16,
    /// The asked name, in lower case, without the final dot.
    pub name: String,
    /// The asked record type.
    pub kind: u16,
}

/// Sets what each group may still learn.
pub(super) fn set_shares(maps: &Maps, shares: &BTreeMap<u32, u32>) -> Result<(), DatapathError> {
    let (groups, shares): (Vec<u32>, Vec<u32>) = shares.iter().unzip();
    maps.learn_quota.insert_all(&groups, &shares)
}

/// How often the programs have learned or prolonged an address.
pub(super) fn learned(maps: &Maps) -> Result<u64, DatapathError> {
    let rows = maps.lesson_counters.rows()?;
    Ok(rows.get(LessonCount::Address as usize).map_or(0, |row| row.iter().sum()))
}

/// Notes sightings beside those of the programs. They only explain: those that find no room are left out.
pub(super) fn note_sightings(maps: &Maps, sightings: &[(SightingKey, SightingValue)]) -> Result<(), DatapathError> {
    let (keys, values): (Vec<_>, Vec<_>) = sightings.iter().copied().unzip();
    match maps.sightings.insert_all(&keys, &values) {
        Err(DatapathError::Full { map, capacity }) => {
            tracing::debug!(map, capacity, "no room for sightings");
            Ok(())
        }
        other => other,
    }
}

/// Whether an answer belongs to something that the device asked.
///
/// The programs note each query over UDP with a keyed hash of its name. Of a query over TCP they note the connection:
/// it must have been there before the answer, and must not be one that somebody else opened.
pub(super) fn is_asked(maps: &Maps, exchange: &Exchange, now: Ticks) -> Result<bool, DatapathError> {
    let config = config::in_force(maps)?;
    let protocol = if exchange.is_tcp { TCP } else { UDP };
    let Some(mark) = mark_of(&exchange.name, exchange.kind, config.seed) else { return Ok(false) };
    let asked =
        |flow: FlowValue| flow.mark == mark && now <= flow.last_seen.saturating_add(Ticks::from(config.timeouts.query));
    if flow(maps, exchange, (protocol, exchange.id, flow_kind::QUERY))?.is_some_and(asked) {
        return Ok(true);
    }
    let is_open = |flow: FlowValue| {
        let flags = flow_flags::INBOUND | flow_flags::AUDITED;
        // A device that has what it wanted may have closed the connection already.
        flow.flags & flags == 0 && FlowState::from_byte(flow.state).was_answered()
    };
    Ok(exchange.is_tcp && flow(maps, exchange, (TCP, DNS, flow_kind::TRANSPORT))?.is_some_and(is_open))
}

fn flow(
    maps: &Maps,
    exchange: &Exchange,
    (protocol, peer_port, kind): (u8, u16, u8),
) -> Result<Option<FlowValue>, DatapathError> {
    let (device_port_be, peer_port_be) = (exchange.device_port.to_be_bytes(), peer_port.to_be_bytes());
    match (exchange.device, exchange.resolver) {
        (IpAddr::V4(device), IpAddr::V4(peer)) => {
            let (device, peer) = (device.octets(), peer.octets());
            maps.flows4.lookup(&Flow4Key { device, peer, device_port_be, peer_port_be, protocol, kind, pad: [0; 2] })
        }
        (IpAddr::V6(device), IpAddr::V6(peer)) => {
            let (device, peer) = (device.octets(), peer.octets());
            maps.flows6.lookup(&Flow6Key { device, peer, device_port_be, peer_port_be, protocol, kind, pad: [0; 2] })
        }
        _ => Ok(None),
    }
}

/// What the programs note with a query for a name; [`None`] for a name that they refuse.
fn mark_of(name: &str, kind: u16, seed: u32) -> Option<u64> {
    let mut buffer = NameBuffer::EMPTY;
    buffer.clear(u64::from(seed));
    for label in name.split('.') {
        let length = u8::try_from(label.len()).ok()?;
        for byte in std::iter::once(length).chain(label.bytes()) {
            if buffer.push(byte) != Taken::More {
                return None;
            }
        }
    }
    (buffer.push(0) == Taken::End).then_some(query_mark(buffer.hash, kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_the_hash_that_the_programs_give_it() {
        let mut buffer = NameBuffer::EMPTY;
        buffer.clear(7);
        let taken: Vec<Taken> = b"\x03ApI\x07eXample\0".iter().map(|byte| buffer.push(*byte)).collect();
        assert_eq!(taken.last(), Some(&Taken::End));
        assert_eq!(mark_of("api.example", 28, 7), Some(query_mark(buffer.hash, 28)));
        assert_ne!(mark_of("api.example", 1, 7), Some(query_mark(buffer.hash, 28)));
        assert_ne!(mark_of("api.example", 28, 8), Some(query_mark(buffer.hash, 28)));
        assert_eq!(mark_of("a..b", 1, 7), None);
    }
}
