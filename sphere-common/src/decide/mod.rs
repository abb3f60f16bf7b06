//! From a frame to a decision. [`ingress`] judges what a device sends, [`egress`] what goes to a device.
//!
//! The order of questions is the same both ways: link header, address family, is a device of this port concerned at
//! all, then headers, then policy and flows. What cannot be read is denied with the reason why; what concerns no
//! device passes untouched.

mod answer;
mod case;
pub mod flows;
mod from_device;
pub mod lesson;
mod policy;
mod query;
mod related;
pub mod stream;
mod subnet;
mod to_device;

use crate::abi::{Config, SubnetValue, Ticks, flow_kind};
use crate::classify::Subject;
use crate::family::{Family, V4, V6};
use crate::packet::ethernet::{self, Link};
use crate::packet::{Fragment, Packet, transport};
use crate::tables::{FamilyTables, Tables};
use crate::verdict::{Direction, Reason, Verdict};
use case::Case;
use lesson::Lesson;
use policy::Outcome;

/// Group of a frame that belongs to none.
pub const NO_GROUP: u32 = u32::MAX;

/// Where and when a frame is judged.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The configuration in force.
    pub config: &'a Config,
    /// Interface index of the device port.
    pub ifindex: u32,
    /// Kernel ticks now, with the configured offset added.
    pub now: Ticks,
}

/// What happens to a frame, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
#[repr(C)]
pub struct Decision {
    /// What happens.
    pub verdict: Verdict,
    /// Why.
    pub reason: Reason,
    /// Rule that allowed it, or 0.
    pub rule: u32,
    /// Group of the device, or [`NO_GROUP`].
    pub group: u32,
    /// Who talked to whom; filled in for denials only.
    pub subject: Subject,
}

impl Decision {
    #[inline(always)]
    fn pass(&mut self, outcome: Outcome, group: u32) {
        self.verdict = Verdict::Pass;
        self.reason = outcome.reason;
        self.rule = outcome.rule;
        self.group = group;
    }

    #[inline(always)]
    fn deny(&mut self, reason: Reason, group: &SubnetValue) {
        self.verdict = if group.enforce == 0 { Verdict::Audit } else { Verdict::Deny };
        self.reason = reason;
        self.rule = 0;
        self.group = group.group;
    }

    /// Denies a frame that cannot be put to a group: the mode of its port counts.
    #[inline(always)]
    fn deny_unattributed<T: Tables>(&mut self, tables: &T, context: &Context<'_>, reason: Reason) {
        let enforce = tables.port(context.ifindex).map_or(1, |port| port.enforce);
        self.deny(reason, &SubnetValue { group: NO_GROUP, enforce, ..SubnetValue::default() });
    }

    /// Takes over what became of the packet of a case.
    #[inline(always)]
    fn conclude<F: Family, P: Packet>(&mut self, packet: &P, case: &Case<F>, direction: Direction) {
        if case.outcome.is_denial() {
            self.name_transport::<F, P>(packet, case, direction);
            self.deny(case.outcome.reason, &case.group);
        } else {
            self.pass(case.outcome, case.group.group);
        }
    }

    /// Names device and peer.
    #[inline(always)]
    fn name<F: Family>(&mut self, case: &Case<F>) {
        self.subject.device = F::mapped(case.flow.device);
        self.subject.peer = F::mapped(case.flow.peer);
    }

    /// Names device and peer, protocol and ports, as far as the packet can be read. Type and code of a control message
    /// stand in the place of the peer's port.
    #[inline(always)]
    fn name_transport<F: Family, P: Packet>(&mut self, packet: &P, case: &Case<F>, direction: Direction) {
        // An ICMP error may have put the quoted packet's peer into the flow: the frame itself is named.
        let Ok((source, destination)) = F::addresses(packet, case.link.payload()) else {
            return;
        };
        let (device, peer) = match direction {
            Direction::Ingress => (source, destination),
            Direction::Egress => (destination, source),
        };
        self.subject.device = F::mapped(device);
        self.subject.peer = F::mapped(peer);
        self.subject.protocol = case.network.protocol;
        if matches!(case.network.fragment, Fragment::Later { .. }) {
            return;
        }
        match case.network.protocol {
            transport::TCP | transport::UDP => {
                let Some(ports) = transport::ports(packet, case.network.payload()) else {
                    return;
                };
                let (device_port_be, peer_port_be) = match direction {
                    Direction::Ingress => (ports.source_be, ports.destination_be),
                    Direction::Egress => (ports.destination_be, ports.source_be),
                };
                self.subject.device_port_be = device_port_be;
                self.subject.peer_port_be = peer_port_be;
            }
            protocol if protocol == F::ICMP => {
                self.subject.peer_port_be = packet.u16_be(case.network.payload()).unwrap_or(0);
            }
            _ => {}
        }
    }
}

/// What is known of the frame in hand. The caller keeps it: it would take much of a BPF program's stack, and what lies
/// in a map makes the ways through a program merge for the verifier.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Workspace {
    /// What happens to the frame.
    pub decision: Decision,
    link: Link,
    v4: Case<V4>,
    v6: Case<V6>,
    /// The DNS message in hand.
    pub lesson: Lesson,
    /// What is to be done about it beside the verdict; meaningful right after a judgement.
    pub errand: Errand,
}

impl Workspace {
    /// Whether the frame in hand carries IPv6.
    #[must_use]
    #[inline(always)]
    pub fn is_ipv6(&self) -> bool {
        self.link.ethertype_be == ethernet::IPV6_BE
    }

    /// Device and peer of the packet in hand, in bytes (IPv4 as `::ffff:a.b.c.d`).
    #[must_use]
    #[inline(always)]
    pub fn between(&self) -> ([u8; 16], [u8; 16]) {
        if self.is_ipv6() { between(&self.v6) } else { between(&self.v4) }
    }
}

#[inline(always)]
fn between<F: Family>(case: &Case<F>) -> ([u8; 16], [u8; 16]) {
    (zerocopy::transmute!(F::mapped(case.flow.device)), zerocopy::transmute!(F::mapped(case.flow.peer)))
}

/// What a DNS message makes the programs do beside the verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Errand {
    /// [`errand`].
    pub what: u32,
    /// [`crate::abi::unjudged_why`], for [`errand::HAND_OVER`].
    pub why: u8,
    /// 1 when the answer is known to belong to a query of the device.
    pub asked: u8,
    /// 1 when the answer is held back until the daemon releases it.
    pub held: u8,
    /// Zero.
    pub pad: u8,
    /// Offset of the network header.
    pub network_at: u16,
    /// Offset of the transport header.
    pub transport_at: u16,
}

/// Values of [`Errand::what`].
pub mod errand {
    /// Nothing.
    pub const NONE: u32 = 0;
    /// Answer the query with REFUSED in the place of its resolver.
    pub const REFUSE: u32 = 1;
    /// Hand the frame to the daemon.
    pub const HAND_OVER: u32 = 2;
}

impl Default for Workspace {
    fn default() -> Self {
        let (verdict, reason, subject) = (Verdict::Pass, Reason::OtherSubnet, Subject::default());
        let decision = Decision { verdict, reason, rule: 0, group: NO_GROUP, subject };
        Self {
            decision,
            link: Link::UNKNOWN,
            v4: Case::default(),
            v6: Case::default(),
            lesson: Lesson::default(),
            errand: Errand::default(),
        }
    }
}

/// Judges a frame that came in on a device port, and leaves the decision in the workspace.
#[inline(always)]
pub fn ingress<P: Packet, T: Tables>(packet: &mut P, tables: &mut T, context: &Context<'_>, workspace: &mut Workspace) {
    if !link(packet, tables, context, workspace) {
        return;
    }
    packet.renew();
    let Workspace { decision, link, v4, v6, lesson, errand } = workspace;
    if link.ethertype_be == ethernet::IPV4_BE {
        v4.link = *link;
        ingress_of::<V4, P, T>((packet, tables), context, (v4, decision), (lesson, errand));
    } else {
        v6.link = *link;
        ingress_of::<V6, P, T>((packet, tables), context, (v6, decision), (lesson, errand));
    }
}

#[inline(always)]
fn ingress_of<F: Family, P: Packet, T: Tables + FamilyTables<F>>(
    (packet, tables): (&mut P, &mut T),
    context: &Context<'_>,
    (case, decision): (&mut Case<F>, &mut Decision),
    (lesson, errand): (&mut Lesson, &mut Errand),
) {
    if !from_device::judge::<F, P, T>(packet, tables, context, (case, decision)) {
        return;
    }
    packet.renew();
    from_device::confine::<F, P, T>(packet, tables, context, case);
    packet.renew();
    if case.reads_dns != 0 {
        query::judge::<F, P, T>((packet, tables), context, (case, lesson), errand);
        packet.renew();
    }
    case.settle((packet, tables), context, flow_kind::FRAGMENT_OUT);
    packet.renew();
    decision.conclude::<F, P>(packet, case, Direction::Ingress);
}

/// Judges a frame that is about to leave through a device port, and leaves the decision in the workspace.
#[inline(always)]
pub fn egress<P: Packet, T: Tables>(packet: &mut P, tables: &mut T, context: &Context<'_>, workspace: &mut Workspace) {
    if !link(packet, tables, context, workspace) {
        return;
    }
    packet.renew();
    let Workspace { decision, link, v4, v6, lesson, errand } = workspace;
    lesson.rest();
    let concerns_device = if link.ethertype_be == ethernet::IPV4_BE {
        v4.link = *link;
        egress_of::<V4, P, T>((packet, tables), context, (v4, decision), (lesson, errand))
    } else {
        v6.link = *link;
        egress_of::<V6, P, T>((packet, tables), context, (v6, decision), (lesson, errand))
    };
    if !concerns_device {
        return;
    }
    answer::learn(tables, lesson);
    packet.renew();
    if link.ethertype_be == ethernet::IPV4_BE {
        answer::learned(tables, (v4, lesson), errand);
        decision.conclude::<V4, P>(packet, v4, Direction::Egress);
    } else {
        answer::learned(tables, (v6, lesson), errand);
        decision.conclude::<V6, P>(packet, v6, Direction::Egress);
    }
}

/// All but the walk through a DNS answer. False when no device is concerned, and the decision is made.
#[inline(always)]
fn egress_of<F: Family, P: Packet, T: Tables + FamilyTables<F>>(
    (packet, tables): (&mut P, &mut T),
    context: &Context<'_>,
    (case, decision): (&mut Case<F>, &mut Decision),
    (lesson, errand): (&mut Lesson, &mut Errand),
) -> bool {
    if !to_device::judge::<F, P, T>(packet, tables, context, (case, decision)) {
        return false;
    }
    packet.renew();
    case.settle((packet, tables), context, flow_kind::FRAGMENT_IN);
    packet.renew();
    if case.begins_stream != 0 {
        query::accepted::<F, P, T>(packet, tables, case);
        packet.renew();
    }
    if case.reads_dns != 0 && !case.outcome.is_denial() {
        answer::judge::<F, P, T>((packet, tables), context, (case, lesson), errand);
        packet.renew();
    }
    true
}

/// Reads the link header of a frame that carries IP; everything else is decided here, and false.
// A function of its own that leaves what it finds in the workspace: the ways through tags merge behind it.
#[inline(never)]
fn link<P: Packet, T: Tables>(packet: &P, tables: &T, context: &Context<'_>, workspace: &mut Workspace) -> bool {
    let Workspace { decision, link, errand, .. } = workspace;
    errand.what = errand::NONE;
    decision.subject = Subject::default();
    if context.config.ticks_per_second == 0 {
        decision.deny(Reason::Unconfigured, &SubnetValue { group: NO_GROUP, enforce: 1, ..SubnetValue::default() });
        return false;
    }
    *link = match Link::parse(packet) {
        Ok(link) => link,
        Err(reason) => {
            decision.deny_unattributed(tables, context, reason);
            return false;
        }
    };
    match link.ethertype_be {
        ethernet::IPV4_BE | ethernet::IPV6_BE => return true,
        ethernet::ARP_BE => decision.pass(Outcome::pass(Reason::Arp, 0), NO_GROUP),
        other if ethernet::is_link_control(packet, other) => {
            decision.pass(Outcome::pass(Reason::LinkControl, 0), NO_GROUP);
        }
        ethertype_be => {
            decision.subject.ethertype_be = ethertype_be;
            decision.subject.vlan = link.vlan;
            decision.deny_unattributed(tables, context, Reason::EtherType);
        }
    }
    false
}
