//! One packet of a device under judgement, and the flow that it belongs to.
//!
//! A case lies where its caller keeps it, in a BPF map for the programs: their stack has 512 bytes in all, and what is
//! read back from a map makes the ways through a program merge for the verifier.

use super::policy::{DNS_BE, Outcome, Peer};
use super::stream::Piece;
use super::subnet::Membership;
use super::{Context, NO_GROUP, flows};
use crate::abi::{FlowState, FlowValue, SubnetValue, config_flags, flow_flags, flow_kind};
use crate::classify::{Kind, Transport};
use crate::family::{Family, Flow};
use crate::packet::ethernet::Link;
use crate::packet::transport::{TCP, UDP};
use crate::packet::{Fragment, Network, Packet};
use crate::tables::{FamilyTables, Tables};
use crate::verdict::Reason;

/// Mark of the flow of fragments that make up a DNS message.
const DNS_FRAGMENTS: u64 = 1;

/// A packet, the device that it comes from or goes to, and its flow.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Case<F: Family> {
    pub(super) flow: Flow<F::Address>,
    /// Bytes that the packet brings the device, until its flow has counted them.
    pub(super) uncounted: u32,
    /// The flow's entry, once it was found or opened.
    pub(super) known: FlowValue,
    pub(super) network: Network,
    pub(super) transport: Transport,
    pub(super) group: SubnetValue,
    pub(super) link: Link,
    /// Whose packet it is, of one that came from a device port.
    pub(super) membership: Membership,
    /// 1 when it is of no device, and its port denies such packets.
    pub(super) denies_foreign: u32,
    /// 1 when the packet opens its flow.
    pub(super) opens: u32,
    /// What becomes of the packet.
    pub(super) outcome: Outcome,
    /// 1 when a DNS message of it is to be read.
    pub(super) reads_dns: u32,
    /// 1 when it is the segment with which a resolver accepts a connection.
    pub(super) begins_stream: u32,
    /// Of a segment from a device to a resolver: [`Piece`], and the mark of its flow behind it.
    pub(super) piece: Piece,
    pub(super) stream_mark: u64,
    /// 1 when the packet asks a question whose answer is to be known again.
    pub(super) asks: u16,
    /// Transaction identifier of that question.
    pub(super) query_id_be: u16,
    /// Hash of the asked name, or [`DNS_FRAGMENTS`].
    pub(super) query_mark: u64,
}

impl<F: Family> Default for Case<F> {
    fn default() -> Self {
        Self {
            flow: Flow::default(),
            uncounted: 0,
            known: FlowValue::default(),
            network: Network::UNKNOWN,
            transport: Transport::UNKNOWN,
            group: SubnetValue::default(),
            link: Link::UNKNOWN,
            membership: Membership::Device,
            denies_foreign: 0,
            opens: 0,
            outcome: Outcome::deny(Reason::Unconfigured),
            reads_dns: 0,
            begins_stream: 0,
            piece: Piece::Stray,
            stream_mark: 0,
            asks: 0,
            query_id_be: 0,
            query_mark: 0,
        }
    }
}

impl<F: Family> Case<F> {
    /// Reads the headers behind the addresses; of a later fragment the network header only.
    ///
    /// # Errors
    ///
    /// The reason why they cannot be read.
    #[inline(always)]
    pub(super) fn read<P: Packet>(&mut self, packet: &mut P) -> Result<(), Reason> {
        let read = F::network(packet, self.link.payload(), &mut self.network);
        packet.renew();
        read?;
        if matches!(self.network.fragment, Fragment::Later { .. }) {
            return Ok(());
        }
        let read = self.read_transport(packet);
        packet.renew();
        read
    }

    // A function of its own that finds what it needs in the case and leaves what it reads there: the many ways through
    // the headers merge before it and behind it.
    #[inline(never)]
    fn read_transport<P: Packet>(&mut self, packet: &P) -> Result<(), Reason> {
        self.transport = Transport::parse::<F, P>(packet, &self.network)?;
        Ok(())
    }

    /// Says which flow of the device and the peer the packet belongs to.
    #[inline(always)]
    pub(super) fn set_flow(&mut self, protocol: u8, (device_port_be, peer_port_be): (u16, u16), kind: u8) {
        self.flow.device_port_be = device_port_be;
        self.flow.peer_port_be = peer_port_be;
        self.flow.protocol = protocol;
        self.flow.kind = kind;
    }

    /// The peer at a port, for the policy of this device's group.
    #[inline(always)]
    pub(super) fn peer(&self, port_be: u16) -> Peer<F::Address> {
        Peer { group: self.group.group, address: self.flow.peer, protocol: self.flow.protocol, port_be }
    }

    /// State of the known flow.
    #[inline(always)]
    pub(super) fn state(&self) -> FlowState {
        FlowState::from_byte(self.known.state)
    }

    /// Whether the peer opened the known flow.
    #[inline(always)]
    pub(super) fn is_inbound(&self) -> bool {
        self.known.flags & flow_flags::INBOUND != 0
    }

    /// Notes whether the packet carries a DNS message that is to be read: it would pass, and goes to or comes from the
    /// DNS port with something to say, or begins to say it. What follows the first fragment of such a message is known by
    /// the mark of the flow that the first one opens.
    #[inline(always)]
    pub(super) fn note_dns(&mut self, context: &Context<'_>) {
        let reads = if matches!(self.network.fragment, Fragment::Later { .. }) {
            self.flow.kind == flow_kind::FRAGMENT_IN && self.known.mark == DNS_FRAGMENTS
        } else {
            matches!(self.transport.kind, Kind::Udp | Kind::Tcp)
                && self.flow.peer_port_be == DNS_BE
                && (self.network.payload_bytes > u32::from(self.transport.header_bytes)
                    || self.network.fragment == Fragment::First
                    || self.transport.flags.is_urgent())
        };
        let reads = reads && context.config.flags & config_flags::NAMES != 0 && !self.outcome.is_denial();
        self.reads_dns = u32::from(reads);
        let begins = self.transport.kind == Kind::Tcp
            && self.transport.flags.accepts()
            && self.transport.ports.source_be == DNS_BE
            && self.network.fragment == Fragment::Whole
            && self.opens == 0
            && !self.outcome.is_denial();
        self.begins_stream = u32::from(begins);
        self.asks = 0;
        self.query_mark = if reads { DNS_FRAGMENTS } else { 0 };
    }

    /// Whether the packet may be, or be a piece of, what a resolver answers.
    #[inline(always)]
    pub(super) fn may_answer(&self) -> bool {
        matches!(self.network.fragment, Fragment::Later { .. })
            || (matches!(self.transport.kind, Kind::Udp | Kind::Tcp) && self.transport.ports.source_be == DNS_BE)
    }

    /// Says that the packet opens its flow; [`Case::settle`] does it, in one place for all ways that lead there.
    #[inline(always)]
    pub(super) fn open(&mut self, context: &Context<'_>, (state, flags): (FlowState, u8), outcome: Outcome) -> Outcome {
        self.opens = 1;
        self.known = FlowValue {
            last_seen: context.now,
            ends: 0,
            created: context.now,
            rule: outcome.rule,
            group: self.group.group,
            state: state as u8,
            flags,
            pad: [0; 2],
            begins: 0,
            mark: 0,
            received: u64::from(self.uncounted),
        };
        outcome
    }

    /// Opens the flow where the judgement said so; without room for it, a packet that would pass does not. Then notes the
    /// question that it asks, or lets the later fragments of an allowed first one follow.
    // A function of its own that finds all it needs in the case: the ways that lead here merge for the verifier.
    #[inline(never)]
    pub(super) fn settle<P: Packet, T: Tables + FamilyTables<F>>(
        &mut self,
        (packet, tables): (&P, &mut T),
        context: &Context<'_>,
        fragment_kind: u8,
    ) {
        if self.opens != 0 {
            self.opens = 0;
            let opened = flows::open::<F, P, T>(packet, tables, context, self);
            if opened != flows::Opened::Yes && !self.outcome.is_denial() {
                self.outcome = opened.denial();
            }
        }
        if self.outcome.is_denial() || self.group.group == NO_GROUP {
            return;
        }
        if self.asks != 0 {
            self.set_flow(UDP, (self.flow.device_port_be, self.query_id_be), flow_kind::QUERY);
        } else if self.network.fragment == Fragment::First {
            self.set_fragments(fragment_kind);
        } else {
            return;
        }
        self.outcome = self.open(context, (FlowState::Opening, 0), self.outcome);
        self.known.mark = self.query_mark;
        let opened = flows::open::<F, P, T>(packet, tables, context, self);
        if opened != flows::Opened::Yes {
            self.outcome = opened.denial();
        }
    }

    /// Passes a packet of a known flow without connection state, and refreshes it. To a device, a flow that was only
    /// audited lets replies through while the group is in audit mode; from a device each packet is audited again.
    #[inline(always)]
    pub(super) fn pass_known<T: Tables + FamilyTables<F>>(
        &mut self,
        tables: &mut T,
        context: &Context<'_>,
        reason: Reason,
    ) -> Option<Outcome> {
        if !flows::find::<F, T>(tables, context, self) {
            return None;
        }
        let reply = matches!(reason, Reason::Reply);
        if self.known.flags & flow_flags::AUDITED != 0 && !(reply && self.group.enforce == 0) {
            return None;
        }
        let state = if self.is_inbound() == reply { self.state() } else { FlowState::Established };
        flows::refresh::<F, T>(tables, context, self, state);
        Some(Outcome::pass(reason, self.known.rule))
    }

    /// In audit mode, notes a flow that would have been denied, so that its replies are no denial of their own.
    #[inline(always)]
    pub(super) fn note_audited(&mut self, context: &Context<'_>, denied: Outcome) -> Outcome {
        if self.group.enforce == 0 {
            // Without room the replies are audited too: nothing else depends on it.
            return self.open(context, (FlowState::Opening, flow_flags::AUDITED), denied);
        }
        denied
    }

    /// Judges a later fragment: it follows its first one, or is denied; so is one that would overwrite a TCP header
    /// (RFC 1858 section 4).
    #[inline(always)]
    pub(super) fn later_fragment<T: Tables + FamilyTables<F>>(
        &mut self,
        tables: &mut T,
        context: &Context<'_>,
        (offset, kind): (u16, u8),
    ) -> Outcome {
        if self.network.protocol == TCP && offset < 20 {
            return Outcome::deny(Reason::FragmentOverlap);
        }
        self.set_fragments(kind);
        if !flows::find::<F, T>(tables, context, self) {
            return Outcome::deny(Reason::Fragment);
        }
        flows::refresh::<F, T>(tables, context, self, FlowState::Opening);
        Outcome::pass(Reason::FragmentOfAllowed, self.known.rule)
    }

    #[inline(always)]
    fn set_fragments(&mut self, kind: u8) {
        debug_assert!(kind != flow_kind::TRANSPORT, "fragments have kinds of their own");
        // Over IPv6 the protocol behind the fragment header may differ between fragments (RFC 8200 section 4.5): the
        // identification alone names the datagram.
        let protocol = if F::ADDRESS_BITS == 32 { self.network.protocol } else { 0 };
        let [a, b, c, d] = self.network.identification_be.to_ne_bytes();
        self.set_flow(protocol, (u16::from_ne_bytes([a, b]), u16::from_ne_bytes([c, d])), kind);
    }
}
