//! Feeds the ladder out of samples, as they come: refused questions, and hardware addresses of devices that get nowhere.

use std::net::{IpAddr, Ipv6Addr};

use sphere_common::abi::Event;
use sphere_common::decide::NO_GROUP;
use sphere_common::verdict::{Direction, Reason, Verdict};
use zerocopy::FromBytes as _;

use crate::audit;
use crate::ladder::{Question, Shared};

/// Takes up what concerns the ladder in a sample. A sample of another version of the programs is told of elsewhere.
pub(super) fn take_sample(ladder: &Shared, sample: &[u8]) {
    let Ok((event, _)) = Event::read_from_prefix(sample) else { return };
    let is_of_device = event.direction == Direction::Ingress as u8 && event.group != NO_GROUP;
    let mac = audit::device_mac(&event).and_then(|mac| mac.try_into().ok()).filter(|_| is_of_device);
    let question = question(&event);
    if mac.is_none() && question.is_none() {
        return;
    }
    ladder.with(|ladder| {
        if let Some(mac) = mac {
            ladder.meet((address(event.device), event.group), mac, event.monotonic_ns / 1_000_000);
        }
        if let Some(question) = question {
            ladder.refuse(&question);
        }
    });
}

/// The refused question that a sample is of.
fn question(event: &Event) -> Option<Question> {
    let reason = Reason::from_byte(event.reason)?;
    if !matches!(reason, Reason::QueryName | Reason::QueryType) {
        return None;
    }
    Some(Question {
        device: address(event.device),
        group: event.group,
        resolver: address(event.peer),
        protocol: event.protocol,
        name: audit::Question::of(event)?.name(),
        reason,
        verdict: Verdict::from_byte(event.verdict)?,
        at_ms: event.monotonic_ns / 1_000_000,
    })
}

const fn address(bytes: [u8; 16]) -> IpAddr {
    IpAddr::V6(Ipv6Addr::from_octets(bytes)).to_canonical()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that panics has failed")]
    use etherparse::PacketBuilder;
    use sphere_common::abi::EVENT_HEAD_BYTES;
    use zerocopy::{FromZeros as _, IntoBytes as _};

    use super::*;
    use crate::ladder::{Ladder, Signposts};

    /// A sample of a refused question for Time.example.net.
    fn sample() -> Event {
        let message = b"\0\x07\x01\0\0\x01\0\0\0\0\0\0\x04Time\x07example\x03net\0\0\x01\0\x01";
        let link = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
        let mut frame = Vec::new();
        link.ipv4([10, 20, 0, 5], [192, 0, 2, 53], 64).udp(4000, 53).write(&mut frame, message).unwrap();
        let mut event = Event::new_zeroed();
        let bytes = frame.len().min(EVENT_HEAD_BYTES);
        event.head[..bytes].copy_from_slice(&frame[..bytes]);
        event.head_bytes = u16::try_from(bytes).unwrap();
        (event.reason, event.verdict, event.group) = (Reason::QueryName as u8, Verdict::Deny as u8, 3);
        event.device = std::net::Ipv4Addr::new(10, 20, 0, 5).to_ipv6_mapped().octets();
        event.peer_port_be = 53_u16.to_be_bytes();
        event.monotonic_ns = 5_000_000_000;
        event
    }

    #[test]
    fn a_refused_name_is_read_from_its_sample() {
        let found = question(&sample()).unwrap();
        assert_eq!((found.name.as_str(), found.device), ("time.example.net", [10, 20, 0, 5].into()));
        assert_eq!((found.group, found.reason, found.at_ms), (3, Reason::QueryName, 5_000));
        assert_eq!(question(&Event { reason: Reason::Destination as u8, ..sample() }), None);
    }

    #[test]
    fn a_sample_that_is_cut_changes_nothing() {
        let whole = sample();
        let mut ladder = Ladder::new(8, None);
        ladder.follow(Signposts::default(), 8);
        let shared = Shared::new(ladder.clone());
        for bytes in 0..whole.as_bytes().len() {
            take_sample(&shared, &whole.as_bytes()[..bytes]);
        }
        assert_eq!(shared.with(|ladder| ladder.clone()), ladder);
        take_sample(&shared, whole.as_bytes());
        assert_ne!(shared.with(|ladder| ladder.clone()), ladder);
    }
}
