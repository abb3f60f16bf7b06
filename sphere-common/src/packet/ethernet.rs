//! Ethernet II, IEEE 802.1Q and 802.1ad tags, IEEE 802.3 length frames.

use super::Packet;
use crate::verdict::Reason;

/// Length of an untagged header in bytes.
pub const HEADER_BYTES: u16 = 14;
/// IPv4 (RFC 894).
pub const IPV4_BE: u16 = 0x0800_u16.to_be();
/// IPv6 (RFC 2464).
pub const IPV6_BE: u16 = 0x86dd_u16.to_be();
/// Address resolution (RFC 826).
pub const ARP_BE: u16 = 0x0806_u16.to_be();
/// Port authentication, IEEE 802.1X.
pub const EAPOL_BE: u16 = 0x888e_u16.to_be();
/// Link layer discovery, IEEE 802.1AB.
pub const LLDP_BE: u16 = 0x88cc_u16.to_be();
const CUSTOMER_TAG_BE: u16 = 0x8100_u16.to_be();
const SERVICE_TAG_BE: u16 = 0x88a8_u16.to_be();
const OLD_SERVICE_TAG_BE: u16 = 0x9100_u16.to_be();
/// Values below are lengths (IEEE 802.3 clause 3.2.6).
const FIRST_ETHERTYPE: u16 = 0x0600;

/// What stands behind the addresses and tags of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// EtherType behind the tags, or the length of an 802.3 frame.
    pub ethertype_be: u16,
    /// Identifiers of outer and inner tag plus one; 0 without the tag.
    pub vlan: [u16; 2],
    /// Offset of what follows, at most 22.
    pub payload_at: u16,
}

impl Link {
    /// A header of which nothing is known yet.
    pub const UNKNOWN: Self = Self { ethertype_be: 0, vlan: [0; 2], payload_at: 0 };

    /// Offset of what follows.
    #[must_use]
    #[inline(always)]
    pub fn payload(&self) -> usize {
        usize::from(self.payload_at)
    }

    /// Reads the link header. Up to two tags are followed.
    ///
    /// # Errors
    ///
    /// [`Reason::Malformed`] when it is cut off, [`Reason::VlanDepth`] with a third tag.
    #[inline(always)]
    pub fn parse<P: Packet>(packet: &P) -> Result<Self, Reason> {
        let untagged = packet.u16_be(12).ok_or(Reason::Malformed)?;
        if !is_tag(untagged) {
            return Ok(Self { ethertype_be: untagged, vlan: [0, 0], payload_at: HEADER_BYTES });
        }
        let outer = packet.u16_be(14).ok_or(Reason::Malformed)?;
        let once_tagged = packet.u16_be(16).ok_or(Reason::Malformed)?;
        if !is_tag(once_tagged) {
            return Ok(Self { ethertype_be: once_tagged, vlan: [identifier(outer), 0], payload_at: 18 });
        }
        let inner = packet.u16_be(18).ok_or(Reason::Malformed)?;
        let twice_tagged = packet.u16_be(20).ok_or(Reason::Malformed)?;
        if is_tag(twice_tagged) {
            return Err(Reason::VlanDepth);
        }
        Ok(Self { ethertype_be: twice_tagged, vlan: [identifier(outer), identifier(inner)], payload_at: 22 })
    }
}

#[inline(always)]
fn is_tag(ethertype_be: u16) -> bool {
    ethertype_be == CUSTOMER_TAG_BE || ethertype_be == SERVICE_TAG_BE || ethertype_be == OLD_SERVICE_TAG_BE
}

/// The 12-bit identifier plus one, so that a priority tag (identifier 0) differs from no tag.
#[inline(always)]
fn identifier(tag_be: u16) -> u16 {
    (u16::from_be(tag_be) & 0x0fff) + 1
}

/// Whether an 802.3 length frame goes to one of the addresses 01:80:c2:00:00:00 to 0f that bridges never forward
/// (IEEE 802.1Q table 8-1): spanning tree, link aggregation and the like.
#[inline(always)]
pub fn is_link_control<P: Packet>(packet: &P, ethertype_be: u16) -> bool {
    if ethertype_be == EAPOL_BE || ethertype_be == LLDP_BE {
        return true;
    }
    let high = packet.u32_be(0).unwrap_or(0);
    let low = packet.u16_be(4).map_or(0xffff, u16::from_be);
    u16::from_be(ethertype_be) < FIRST_ETHERTYPE && high == 0x0180_c200_u32.to_be() && low < 0x0010
}

/// Hardware address of the sender.
#[inline(always)]
pub fn source_mac<P: Packet>(packet: &P) -> [u8; 6] {
    let high = packet.u32_be(6).unwrap_or(0).to_ne_bytes();
    let low = packet.u16_be(10).unwrap_or(0).to_ne_bytes();
    let ([a, b, c, d], [e, f]) = (high, low);
    [a, b, c, d, e, f]
}
