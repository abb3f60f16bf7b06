//! From a frame to a decision. [`ingress`] judges what a device sends, [`egress`] what goes to a device.
//!
//! The order of questions is the same both ways: link header, address family, is a device of this port concerned at
//! all, then headers, then policy and flows. What cannot be read is denied with the reason why; what concerns no
//! device passes untouched.

mod case;
pub mod flows;
mod from_device;
mod policy;
mod related;
mod subnet;
mod to_device;

use crate::abi::{Config, Ticks};
use crate::classify::Subject;
use crate::family::{V4, V6};
use crate::packet::ethernet::{self, Link};
use crate::packet::Packet;
use crate::tables::Tables;
use crate::verdict::{Reason, Verdict};

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
    fn pass(reason: Reason, rule: u32, group: u32) -> Self {
        Self { verdict: Verdict::Pass, reason, rule, group, subject: Subject::default() }
    }

    #[inline(always)]
    fn deny(reason: Reason, enforce: bool, group: u32, subject: Subject) -> Self {
        let verdict = if enforce { Verdict::Deny } else { Verdict::Audit };
        Self { verdict, reason, rule: 0, group, subject }
    }
}

/// Judges a frame that came in on a device port.
#[inline(always)]
pub fn ingress<P: Packet + ?Sized, T: Tables>(packet: &P, tables: &mut T, context: &Context<'_>) -> Decision {
    match link(packet, tables, context) {
        Ok(link) if link.ethertype_be == ethernet::IPV4_BE => {
            from_device::judge::<V4, P, T>(packet, tables, context, &link)
        }
        Ok(link) => from_device::judge::<V6, P, T>(packet, tables, context, &link),
        Err(decision) => decision,
    }
}

/// Judges a frame that is about to leave through a device port.
#[inline(always)]
pub fn egress<P: Packet + ?Sized, T: Tables>(packet: &P, tables: &mut T, context: &Context<'_>) -> Decision {
    match link(packet, tables, context) {
        Ok(link) if link.ethertype_be == ethernet::IPV4_BE => {
            to_device::judge::<V4, P, T>(packet, tables, context, &link)
        }
        Ok(link) => to_device::judge::<V6, P, T>(packet, tables, context, &link),
        Err(decision) => decision,
    }
}

/// The link header of a frame that carries IP; everything else is decided here.
#[inline(always)]
fn link<P: Packet + ?Sized, T: Tables>(
    packet: &P,
    tables: &T,
    context: &Context<'_>,
) -> Result<Link, Decision> {
    if context.config.ticks_per_second == 0 {
        return Err(Decision::deny(Reason::Unconfigured, true, NO_GROUP, Subject::default()));
    }
    let link = match Link::parse(packet) {
        Ok(link) => link,
        Err(reason) => return Err(unattributed(tables, context, reason, Subject::default())),
    };
    match link.ethertype_be {
        ethernet::IPV4_BE | ethernet::IPV6_BE => Ok(link),
        ethernet::ARP_BE => Err(Decision::pass(Reason::Arp, 0, NO_GROUP)),
        other if ethernet::is_link_control(packet, other) => {
            Err(Decision::pass(Reason::LinkControl, 0, NO_GROUP))
        }
        ethertype_be => {
            let subject = Subject { ethertype_be, vlan: link.vlan, ..Subject::default() };
            Err(unattributed(tables, context, Reason::EtherType, subject))
        }
    }
}

/// A denial of a frame that cannot be put to a group: the mode of its port counts.
#[inline(always)]
fn unattributed<T: Tables>(tables: &T, context: &Context<'_>, reason: Reason, subject: Subject) -> Decision {
    let enforce = tables.port(context.ifindex).is_none_or(|port| port.enforce != 0);
    Decision::deny(reason, enforce, NO_GROUP, subject)
}
