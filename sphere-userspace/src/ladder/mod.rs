//! At which step of its boot chain each device stands: one small record a device, fed from what devices leave in the
//! kernel's tables and from samples of refused questions, so that the time of the last success survives the flow.
//!
//! Place in the data flow: [`Traces`] and samples → [`Ladder`] → [`DevicesReport`]. The daemon keeps one and hands it out
//! through the control socket; commands bring it up to date from the tables, or begin with an empty one when no daemon runs.
//! Pure. Moments are milliseconds of the monotonic clock. Invariant: no more records than the policy allows devices.

mod remedy;
mod report;
mod shared;
mod signpost;
mod trail;

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use sphere_common::abi::{DeniedKey, RuleLabel, Ticks};
use sphere_common::decide::NO_GROUP;
use sphere_common::verdict::{Direction, Reason, Verdict};

pub use report::{BlockedReport, DenialReport, DeviceReport, DevicesReport, DnsReport, ResolverReport, RungReport};
pub use shared::Shared;
use signpost::Goal;
pub use signpost::{Signpost, Signposts};
use trail::{Denial, Trail};

use crate::datapath::{Account, Traces};
use crate::policy::Step;
use crate::reconcile::plain;

/// A question that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Who asked.
    pub device: IpAddr,
    /// Number of its group.
    pub group: u32,
    /// Whom it asked.
    pub resolver: IpAddr,
    /// IP protocol.
    pub protocol: u8,
    /// The name, in lower case and without the final dot.
    pub name: String,
    /// Why it was refused.
    pub reason: Reason,
    /// Refused, or would have been.
    pub verdict: Verdict,
    /// When, in milliseconds.
    pub at_ms: u64,
}

/// Where every device stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ladder {
    room: usize,
    signposts: Signposts,
    trails: BTreeMap<IpAddr, Trail>,
    /// When each rule was last seen in use, by its number.
    rules: BTreeMap<u32, u64>,
    /// Since when this is kept; absent: it was not kept.
    since_ms: Option<u64>,
    /// Devices for which there was no room.
    crowded_out: u64,
}

impl Ladder {
    /// One that has seen nothing, with room for so many devices.
    #[must_use]
    pub fn new(room: u32, since_ms: Option<u64>) -> Self {
        Self { room: room as usize, since_ms, ..Self::default() }
    }

    /// Goes by other signposts from here on, with room for so many devices.
    pub fn follow(&mut self, signposts: Signposts, room: u32) {
        (self.signposts, self.room) = (signposts, room as usize);
    }

    /// Takes up what devices have left in the tables; `names` are those of an address.
    pub fn take(&mut self, traces: &Traces, labels: &BTreeMap<u32, RuleLabel>, names: impl Fn(IpAddr) -> Vec<String>) {
        let ms = |ticks: Ticks| millis(traces, ticks);
        for (address, value) in &traces.devices {
            let trail = self.trails.entry(*address).or_default();
            trail.seen(value.group, ms(value.last_seen));
            if value.mac != [0; 6] {
                trail.mac = Some(value.mac);
            }
        }
        for ((device, rule), trace) in &traces.flows {
            let Some(label) = labels.get(rule) else { continue };
            let used = ms(trace.opened).max(trace.answered.map_or(0, ms));
            let last = self.rules.entry(*rule).or_default();
            *last = used.max(*last);
            let trail = self.trails.entry(*device).or_default();
            trail.seen(label.group, used);
            if let Some(step) = Step::from_number(label.step()) {
                let mark = trail.marks.entry(step).or_default();
                mark.tried(trace.answered.map(ms), trace.unanswered.map(ms), ms(trace.opened));
            }
        }
        self.rules.retain(|rule, _| labels.contains_key(rule));
        for account in &traces.accounts {
            self.take_account(account, ms(account.value.last), &names);
        }
        self.crowd_out();
    }

    fn take_account(&mut self, account: &Account, at_ms: u64, names: &impl Fn(IpAddr) -> Vec<String>) {
        let key = &account.key;
        let parts = (Reason::from_byte(key.reason), Verdict::from_byte(key.verdict));
        let (Some(reason), Some(verdict)) = parts else { return };
        let is_from_device = key.direction == Direction::Ingress as u8;
        if key.device == [0; 16] || key.group == NO_GROUP || !is_from_device || reason.is_quiet() {
            return;
        }
        let (device, peer) = (plain(key.device), plain(key.peer));
        let port = u16::from_be_bytes(key.peer_port_be);
        let service = (key.protocol, port);
        let trail = self.trails.entry(device).or_default();
        trail.seen(key.group, at_ms);
        // Accounts of other destinations do not say which.
        if account.is_others {
            return;
        }
        let denial = Denial::new(at_ms, (reason, verdict), (peer, service));
        match reason {
            Reason::Resolver | Reason::EncryptedDns => trail.ask_stranger(peer, at_ms),
            // Which name it was is in the sample alone.
            Reason::QueryName | Reason::QueryType => return,
            _ => {}
        }
        let names = names(peer);
        let goal = Goal { peer, names: &names, service };
        let found = self.signposts.of_goal(key.group, &goal);
        let step = match reason {
            Reason::Resolver | Reason::EncryptedDns | Reason::QueryMalformed | Reason::QuerySegment => Some(Step::Dns),
            _ if is_dhcp(key) => Some(Step::Dhcp),
            _ => found.map(|signpost| signpost.step),
        };
        if let Some(step) = step {
            let found = found.filter(|signpost| signpost.step == step);
            let name = names.into_iter().next();
            let denial = Denial { name, remedy: found.and_then(|signpost| signpost.remedy.clone()), ..denial };
            trail.marks.entry(step).or_default().denied(denial);
        }
    }

    /// Takes up the hardware address of a device that was denied. The tables have those of devices that opened flows, which
    /// count more.
    pub fn meet(&mut self, (device, group): (IpAddr, u32), mac: [u8; 6], at_ms: u64) {
        if self.has_room_for(device) {
            let trail = self.trails.entry(device).or_default();
            trail.seen(group, at_ms);
            trail.mac.get_or_insert(mac);
        }
    }

    fn has_room_for(&self, device: IpAddr) -> bool {
        self.trails.len() < self.room || self.trails.contains_key(&device)
    }

    /// Takes up a question that was refused. One that leads to no step is remembered as a name alone.
    pub fn refuse(&mut self, question: &Question) {
        let Question { device, group, resolver, protocol, ref name, reason, verdict, at_ms } = *question;
        if !self.has_room_for(device) {
            self.crowded_out += 1;
            return;
        }
        let trail = self.trails.entry(device).or_default();
        trail.seen(group, at_ms);
        match self.signposts.of_name(group, name) {
            Some(signpost) => {
                let denial = Denial {
                    name: Some(name.clone()),
                    remedy: signpost.remedy.clone(),
                    ..Denial::new(at_ms, (reason, verdict), (resolver, (protocol, DNS)))
                };
                trail.marks.entry(signpost.step).or_default().denied(denial);
            }
            None => trail.refused(name.clone(), at_ms),
        }
    }

    /// Takes up accounts that were closed: their packets are no longer in the tables.
    pub fn close(&mut self, closed: &[Account]) {
        for account in closed.iter().filter(|account| account.key.verdict == Verdict::Deny as u8) {
            if let Some(trail) = self.trails.get_mut(&plain(account.key.device)) {
                trail.closed_packets += account.value.packets;
            }
        }
    }

    /// When a rule was last seen in use, in milliseconds.
    #[must_use]
    pub fn last_use(&self, rule: u32) -> Option<u64> {
        self.rules.get(&rule).copied()
    }

    /// Since when this is kept, in milliseconds.
    #[must_use]
    pub const fn since_ms(&self) -> Option<u64> {
        self.since_ms
    }

    /// Lets go of those for whom there is no room: first who never got anywhere, then who was not seen for longest.
    fn crowd_out(&mut self) {
        let excess = self.trails.len().saturating_sub(self.room);
        if excess == 0 {
            return;
        }
        let mut order: Vec<(bool, u64, IpAddr)> =
            self.trails.iter().map(|(device, trail)| (trail.got_somewhere(), trail.seen_ms, *device)).collect();
        order.sort_unstable();
        for (.., device) in order.into_iter().take(excess) {
            self.trails.remove(&device);
        }
        self.crowded_out += excess as u64;
    }
}

const DNS: u16 = 53;
const UDP: u8 = 17;
const DHCP_SERVER_PORTS: [u16; 2] = [67, 547];

fn is_dhcp(key: &DeniedKey) -> bool {
    key.protocol == UDP && DHCP_SERVER_PORTS.contains(&u16::from_be_bytes(key.peer_port_be))
}

fn millis(traces: &Traces, ticks: Ticks) -> u64 {
    u64::try_from(traces.clock.moment_of(ticks).since_zero().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
