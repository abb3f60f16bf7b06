//! What devices have left in the tables: their entries, their flows, and the accounts of what they were denied.
//!
//! Entries that have ended are read too: they stay until a sweep or the next flow of the device takes their place, and tell
//! what was.

use std::collections::HashMap;
use std::net::IpAddr;
use std::os::fd::AsFd as _;
use std::path::Path;

use sphere_common::abi::{DeviceValue, FlowState, FlowValue, Ticks, flow_flags, flow_kind};

use super::clock;
use super::config;
use super::denied::Account;
use super::error::DatapathError;
use super::maps::Maps;
use super::object::Programs;
use super::pins::Pins;
use crate::reconcile::{Clock, plain};

/// What the flows of one device by one rule tell. Ticks are those of the programs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// Flows that are open.
    pub open: usize,
    /// When a flow that the other side had answered was last seen.
    pub answered: Option<Ticks>,
    /// When the first of the flows without an answer was opened.
    pub unanswered: Option<Ticks>,
    /// When the latest flow was opened.
    pub opened: Ticks,
}

/// What devices have left in the tables.
#[derive(Clone, Debug)]
pub struct Traces {
    /// The kernel's ticks next to the monotonic clock.
    pub clock: Clock,
    /// Devices that have opened flows.
    pub devices: Vec<(IpAddr, DeviceValue)>,
    /// What the flows that they opened tell, by device and number of the rule.
    pub flows: HashMap<(IpAddr, u32), Trace>,
    /// Accounts of denials.
    pub accounts: Vec<Account>,
}

impl Traces {
    /// Reads what is pinned under a root.
    ///
    /// # Errors
    ///
    /// [`DatapathError::NotPinned`] when nothing is, or when a table cannot be read.
    pub fn pinned(pin_root: &Path) -> Result<Self, DatapathError> {
        let pins = Pins::existing(pin_root)?;
        let (maps, programs) = (Maps::open(&pins)?, Programs::open(&pins)?);
        let clock = clock::now(programs.clock.as_fd(), &maps, config::in_force(&maps)?.ticks_per_second.max(1))?;
        Self::read(&maps, clock, 0)
    }

    /// Nothing but the time.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { clock, devices: Vec::new(), flows: HashMap::new(), accounts: Vec::new() }
    }

    /// Reads the tables; of the accounts those with a packet since a tick.
    pub(super) fn read(maps: &Maps, clock: Clock, since: Ticks) -> Result<Self, DatapathError> {
        let mut traces = Self::new(clock);
        maps.devices.visit(|key, value| traces.devices.push((plain(key.address), *value)))?;
        maps.flows4.visit(|key, value| traces.add(key.kind, key.device.into(), value))?;
        maps.flows6.visit(|key, value| traces.add(key.kind, key.device.into(), value))?;
        for (table, is_others) in [(&maps.denied, false), (&maps.denied_others, true)] {
            table.visit(|key, value| {
                if value.last >= since {
                    traces.accounts.push(Account { key: *key, is_others, value: *value });
                }
            })?;
        }
        Ok(traces)
    }

    fn add(&mut self, kind: u8, device: IpAddr, flow: &FlowValue) {
        if kind != flow_kind::TRANSPORT || flow.flags & (flow_flags::INBOUND | flow_flags::AUDITED) != 0 {
            return;
        }
        let trace = self.flows.entry((device, flow.rule)).or_default();
        trace.open += usize::from(self.clock.anchor_ticks < flow.ends);
        trace.opened = trace.opened.max(flow.created);
        if FlowState::from_byte(flow.state).was_answered() {
            trace.answered = trace.answered.max(Some(flow.last_seen));
        } else {
            trace.unanswered = Some(trace.unanswered.map_or(flow.created, |first| first.min(flow.created)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reconcile::Moment;

    #[test]
    fn a_connection_that_was_refused_is_no_answer_and_one_that_has_closed_is() {
        let device = IpAddr::from([10, 20, 0, 5]);
        let clock = Clock { ticks_per_second: 250, anchor: Moment::default(), anchor_ticks: 1_000 };
        let mut traces = Traces::new(clock);
        let flow = |state: FlowState, created, ends, rule| FlowValue {
            state: state as u8,
            created,
            last_seen: created + 5,
            ends,
            rule,
            ..FlowValue::default()
        };
        for flow in [
            flow(FlowState::Refused, 200, 2_000, 1),
            flow(FlowState::Opening, 100, 900, 1),
            flow(FlowState::Closing, 300, 900, 2),
            flow(FlowState::Established, 400, 2_000, 2),
        ] {
            traces.add(flow_kind::TRANSPORT, device, &flow);
        }
        let audited = FlowValue { flags: flow_flags::AUDITED, ..flow(FlowState::Established, 1, 2_000, 0) };
        traces.add(flow_kind::TRANSPORT, device, &audited);
        traces.add(flow_kind::QUERY, device, &flow(FlowState::Opening, 1, 2_000, 3));
        let trace = |rule| traces.flows.get(&(device, rule)).copied();
        assert_eq!(trace(1), Some(Trace { open: 1, answered: None, unanswered: Some(100), opened: 200 }));
        assert_eq!(trace(2), Some(Trace { open: 1, answered: Some(405), unanswered: None, opened: 400 }));
        assert_eq!((trace(0), trace(3)), (None, None));
    }
}
