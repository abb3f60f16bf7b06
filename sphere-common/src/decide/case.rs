//! One packet of a device under judgement: what both directions ask of it.

use super::Context;
use super::flows::{self, Opening};
use super::policy::Peer;
use crate::abi::{FlowState, SubnetValue, flow_flags, flow_kind};
use crate::family::{Family, Flow};
use crate::packet::transport::TCP;
use crate::packet::{Fragment, Network, Packet};
use crate::tables::{FamilyTables, Tables};
use crate::verdict::Reason;

/// A packet, the device that it comes from or goes to, and the peer.
pub(super) struct Case<'a, F: Family, P: ?Sized, T> {
    pub(super) packet: &'a P,
    pub(super) tables: &'a mut T,
    pub(super) context: &'a Context<'a>,
    pub(super) group: SubnetValue,
    pub(super) device: F::Address,
    pub(super) peer: F::Address,
    pub(super) network: Network,
}

impl<F: Family, P: Packet + ?Sized, T: Tables + FamilyTables<F>> Case<'_, F, P, T> {
    /// The flow between a port of the device and a port of the peer.
    #[inline(always)]
    pub(super) fn flow(&self, protocol: u8, (device_port_be, peer_port_be): (u16, u16), kind: u8) -> Flow<F::Address> {
        Flow { device: self.device, peer: self.peer, device_port_be, peer_port_be, protocol, kind }
    }

    /// The peer at a port, for the policy of this device's group.
    #[inline(always)]
    pub(super) fn peer(&self, protocol: u8, port_be: u16) -> Peer<F::Address> {
        Peer { group: self.group.group, address: self.peer, protocol, port_be }
    }

    /// Opens a flow.
    ///
    /// # Errors
    ///
    /// The reason why there is no room.
    #[inline(always)]
    pub(super) fn open(&mut self, flow: Flow<F::Address>, opening: Opening) -> Result<(), Reason> {
        flows::open::<F, P, T>((self.packet, self.tables), self.context, flow, opening)
    }

    /// Whether a flow with these flags allows packets: one that was only audited does not once the group enforces.
    #[inline(always)]
    pub(super) fn counts(&self, flags: u8) -> bool {
        flags & flow_flags::AUDITED == 0 || self.group.enforce == 0
    }

    /// Passes a packet of a known flow without connection state, and refreshes it. To a device, a flow that was only
    /// audited lets replies through while the group is in audit mode; from a device each packet is audited again.
    #[inline(always)]
    pub(super) fn known(&mut self, flow: Flow<F::Address>, reason: Reason) -> Option<(Reason, u32)> {
        let (key, value) = flows::alive::<F, T>(self.tables, self.context, flow)?;
        let reply = reason == Reason::Reply;
        let audited = value.flags & flow_flags::AUDITED != 0;
        if audited && !(reply && self.group.enforce == 0) {
            return None;
        }
        let inbound = value.flags & flow_flags::INBOUND != 0;
        let state = if inbound == reply { FlowState::from_byte(value.state) } else { FlowState::Established };
        flows::refresh::<F, T>(self.tables, self.context, (&key, value), state);
        Some((reason, value.rule))
    }

    /// In audit mode, notes a flow that would have been denied, so that its replies are no denial of their own.
    #[inline(always)]
    pub(super) fn note_audited(&mut self, flow: Flow<F::Address>) {
        if self.group.enforce != 0 {
            return;
        }
        let group = self.group.group;
        let opening = Opening { rule: 0, group, state: FlowState::Opening, flags: flow_flags::AUDITED };
        // Without room the reply is audited too: nothing else depends on it.
        if self.open(flow, opening).is_err() {}
    }

    /// Judges a later fragment: it follows its first one.
    ///
    /// # Errors
    ///
    /// [`Reason::FragmentOverlap`] when it would overwrite a TCP header (RFC 1858 section 4), [`Reason::Fragment`] when
    /// its first fragment was not allowed.
    #[inline(always)]
    pub(super) fn later_fragment(&mut self, offset: u16, kind: u8) -> Result<(Reason, u32), Reason> {
        if self.network.protocol == TCP && offset < 20 {
            return Err(Reason::FragmentOverlap);
        }
        let flow = self.fragments(kind);
        let (key, value) = flows::alive::<F, T>(self.tables, self.context, flow).ok_or(Reason::Fragment)?;
        flows::refresh::<F, T>(self.tables, self.context, (&key, value), FlowState::Opening);
        Ok((Reason::FragmentOfAllowed, value.rule))
    }

    /// Lets the later fragments of an allowed first one follow.
    ///
    /// # Errors
    ///
    /// The reason why there is no room.
    #[inline(always)]
    pub(super) fn first_fragment(&mut self, pass: (Reason, u32), kind: u8) -> Result<(Reason, u32), Reason> {
        debug_assert!(self.network.fragment == Fragment::First, "only a first fragment opens the way for others");
        let flow = self.fragments(kind);
        let group = self.group.group;
        self.open(flow, Opening { rule: pass.1, group, state: FlowState::Opening, flags: 0 })?;
        Ok(pass)
    }

    #[inline(always)]
    fn fragments(&self, kind: u8) -> Flow<F::Address> {
        debug_assert!(kind != flow_kind::TRANSPORT, "fragments have kinds of their own");
        // Over IPv6 the protocol behind the fragment header may differ between fragments (RFC 8200 section 4.5): the
        // identification alone names the datagram.
        let protocol = if F::ADDRESS_BITS == 32 { self.network.protocol } else { 0 };
        let [a, b, c, d] = self.network.identification_be.to_ne_bytes();
        let ports = (u16::from_ne_bytes([a, b]), u16::from_ne_bytes([c, d]));
        self.flow(protocol, ports, kind)
    }
}
