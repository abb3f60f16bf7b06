//! What the daemon says, as samples: build, policy, names, resolver, store.

use std::time::{Duration, SystemTime};

use sphere_common::abi;

use super::exposition::Exposition;
use super::figures::Figures;
use super::table::{
    ANSWER_AGE, BUILD_INFO, GROUP_DENIED_BYTES, GROUP_DENIED_PACKETS, GROUP_LEARN_LIMIT, LEASES, NAME_FAILING,
    POLICY_CURRENT, POLICY_INFO, POLICY_LOADED, POLICY_LOADS, PORT_INFO, PORT_PROTECTED, QUESTIONS_BY_STATE,
    RESOLVER_OUTCOMES, SAMPLES_UNREADABLE, SCRAPE_OK, SCRAPE_SECONDS, SINK_CAPACITY, SINK_DELIVERED, SINK_LOST,
    SINK_WAITING, SINK_WORKS, STORE_BYTES, STORE_CLOSED, STORE_COMPLETE, STORE_FILES, STORE_LIMIT, STORE_OPEN,
    STORE_PAUSED, STORE_STATE, STORE_UNREADABLE, STORE_WAITS, STORE_WRITTEN, UPTIME,
};
use crate::audit::SinkState;
use crate::daemon::{StoreStanding, StoreState};
use crate::datapath::snapshot::Snapshot;

impl Exposition {
    /// Adds which daemon this is, and since when.
    pub fn add_build(&mut self, programs: &str, uptime: Duration) {
        self.add(&BUILD_INFO, [env!("CARGO_PKG_VERSION"), &abi::VERSION.to_string(), programs], true);
        self.add(&UPTIME, [], uptime.as_secs_f64());
    }

    /// Adds how this page came about.
    pub fn add_scrape(&mut self, parts: [(&'static str, bool); 2], took: Duration) {
        for (part, is_read) in parts {
            self.add(&SCRAPE_OK, [part], is_read);
        }
        self.add(&SCRAPE_SECONDS, [], took.as_secs_f64());
    }

    /// Adds figures of the daemon; and the ports of its policy that nothing is pinned for, if the pins could be read.
    pub fn add_daemon(&mut self, figures: &Figures, snapshot: Option<&Snapshot>) {
        self.add(&POLICY_INFO, [figures.policy.fingerprint.as_str()], true);
        if let Some(loads) = &figures.loads {
            if let Ok(at) = loads.at.duration_since(SystemTime::UNIX_EPOCH) {
                self.add(&POLICY_LOADED, [], at.as_secs_f64());
            }
            self.add(&POLICY_CURRENT, [], loads.is_current);
            self.add(&POLICY_LOADS, ["loaded"], loads.loaded);
            self.add(&POLICY_LOADS, ["refused"], loads.refused);
        }
        for (group, limit) in &figures.policy.learn {
            self.add(&GROUP_LEARN_LIMIT, [group.as_str()], *limit);
        }
        if let Some(bytes) = figures.policy.store_bytes {
            self.add(&STORE_LIMIT, [], bytes);
        }
        for interface in &figures.policy.interfaces {
            let is_pinned = |snapshot: &Snapshot| snapshot.ports.iter().any(|port| port.interface == *interface);
            if snapshot.is_some_and(|snapshot| !is_pinned(snapshot)) {
                self.add(&PORT_PROTECTED, [interface.as_str()], false);
                self.add(&PORT_INFO, [interface.as_str(), "none", "none"], true);
            }
        }
        for ((family, state), count) in &figures.questions {
            self.add(&QUESTIONS_BY_STATE, [family.record_type(), state], *count);
        }
        for ((family, outcome), count) in &figures.outcomes {
            self.add(&RESOLVER_OUTCOMES, [family.record_type(), outcome], *count);
        }
        for name in &figures.failing {
            self.add(&NAME_FAILING, [name.as_str()], true);
        }
        for (name, family, age) in &figures.ages {
            self.add(&ANSWER_AGE, [name.as_str(), family.record_type()], age.as_secs_f64());
        }
        for (source, count) in &figures.leases {
            self.add(&LEASES, [source], *count);
        }
    }

    /// Adds what became of records, and how many samples could not be read.
    pub fn add_records(&mut self, sinks: impl IntoIterator<Item = SinkState>, unreadable: u64) {
        self.add(&SAMPLES_UNREADABLE, [], unreadable);
        for SinkState { sink, delivered, waiting, room, lost, failure } in sinks {
            self.add(&SINK_DELIVERED, [sink.as_str()], delivered);
            self.add(&SINK_LOST, [sink.as_str()], lost);
            self.add(&SINK_WAITING, [sink.as_str()], waiting);
            self.add(&SINK_CAPACITY, [sink.as_str()], room);
            self.add(&SINK_WORKS, [sink.as_str()], failure.is_none());
        }
    }

    /// Adds how the store stands.
    pub fn add_store(&mut self, store: &StoreState) {
        for standing in StoreStanding::ALL {
            self.add(&STORE_STATE, [standing.word()], standing == store.standing);
        }
        if store.standing == StoreStanding::Off {
            return;
        }
        let complete = store.complete_at.as_deref().and_then(|at| humantime::parse_rfc3339(at).ok());
        if let Some(complete) = complete.and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok()) {
            self.add(&STORE_COMPLETE, [], complete.as_secs_f64());
        }
        self.add(&STORE_BYTES, [], store.bytes);
        self.add(&STORE_OPEN, [], store.open_accounts);
        self.add(&STORE_CLOSED, [], store.closed_accounts);
        self.add(&STORE_WRITTEN, [], store.written);
        self.add(&STORE_PAUSED, [], store.paused);
        self.add(&STORE_WAITS, [], store.waits);
        self.add(&STORE_UNREADABLE, [], store.unreadable);
        self.add(&STORE_FILES, ["aged"], store.aged_files);
        self.add(&STORE_FILES, ["dropped"], store.dropped_files);
        self.add(&STORE_FILES, ["damaged"], store.damaged_files);
        for ((group, verdict, reason), count) in store.denied.iter() {
            let labels = [group.as_str(), verdict.word(), reason.word()];
            self.add(&GROUP_DENIED_PACKETS, labels, count.packets);
            self.add(&GROUP_DENIED_BYTES, labels, count.bytes);
        }
    }
}
