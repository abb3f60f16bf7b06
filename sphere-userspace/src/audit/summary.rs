//! Like denials as one: what they have in common, how many they are, and from when to when.

use sphere_common::abi::Event;
use sphere_common::verdict::Direction;

use super::asked::Asked;
use super::question::{Question, head};

/// One or more samples.
#[derive(Clone, Debug)]
pub struct Summary {
    /// What all have in common; what they differ in is as in a sample that does not have it.
    pub event: Event,
    /// How many there are.
    pub count: u64,
    /// Bytes of their frames together.
    pub bytes: u64,
    /// Time of the first, nanoseconds of the monotonic clock.
    pub first_ns: u64,
    /// Time of the last.
    pub last_ns: u64,
    /// What they asked for, when they are DNS queries.
    pub asked: Asked,
}

impl Summary {
    /// A single sample.
    #[must_use]
    pub fn of(event: &Event) -> Self {
        let Event { monotonic_ns, frame_bytes, .. } = *event;
        Self {
            event: *event,
            count: 1,
            bytes: frame_bytes.into(),
            first_ns: monotonic_ns,
            last_ns: monotonic_ns,
            asked: Asked::of(Question::of(event)),
        }
    }

    /// Adds a sample of the same group, verdict, reason, direction, addresses, protocol and port of the peer.
    pub(super) fn add(&mut self, event: &Event) {
        self.count += 1;
        self.bytes += u64::from(event.frame_bytes);
        // Samples of different processors may come out of order.
        self.first_ns = self.first_ns.min(event.monotonic_ns);
        self.last_ns = self.last_ns.max(event.monotonic_ns);
        self.asked.add(Question::of(event));
        let common = &mut self.event;
        keep(&mut common.device_port_be, event.device_port_be);
        keep(&mut common.ethertype_be, event.ethertype_be);
        keep(&mut common.vlan, event.vlan);
        keep(&mut common.ifindex, event.ifindex);
        if device_mac(common) != device_mac(event) {
            common.head_bytes = 0;
        }
    }
}

/// The device's hardware address: source of what it sends, destination of what it gets.
pub(crate) fn device_mac(event: &Event) -> Option<&[u8]> {
    if event.direction == Direction::Ingress as u8 { head(event).get(6..12) } else { head(event).get(..6) }
}

/// Forgets a value that is not the same everywhere.
fn keep<T: Copy + PartialEq + Default>(common: &mut T, other: T) {
    if *common != other {
        *common = T::default();
    }
}
