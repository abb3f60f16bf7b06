//! What was read at one moment.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use crate::audit::SinkState;
use crate::daemon::StoreState;
use crate::datapath::snapshot::Snapshot;
use crate::datapath::{OpenFlow, Traces};
use crate::names::View;
use crate::reconcile::Moment;

/// What was read at one moment.
#[derive(Clone, Debug)]
pub struct Sample {
    /// When the counters were read.
    pub at: Moment,
    /// What is pinned.
    pub snapshot: Snapshot,
    /// Devices and the accounts of their denials, with the moment at which these were read.
    pub traces: Traces,
    /// Flows that are open.
    pub flows: Vec<OpenFlow>,
    /// What is known of names. Shared: it is read less often.
    pub names: Arc<View>,
    /// The names of each address.
    pub by_address: Arc<BTreeMap<IpAddr, Vec<String>>>,
    /// The account on disk, when the daemon tells of it.
    pub store: Option<StoreState>,
    /// The sinks, when the daemon tells of them.
    pub sinks: Vec<SinkState>,
    /// Why the daemon does not answer, when one runs and does not.
    pub silence: Option<String>,
}

impl Sample {
    /// Name of a group.
    #[must_use]
    pub fn group(&self, number: u32) -> Option<&str> {
        let group = self.snapshot.groups.iter().find(|group| group.number == number);
        group.map(|group| group.name.as_str())
    }
}
