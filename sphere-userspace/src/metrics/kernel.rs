//! What is pinned, as samples: counters, tables, flows, ports, programs.

use sphere_common::abi::Counter;

use super::exposition::Exposition;
use super::table::{
    BYTES, DEVICES, DNS_EVENTS, FLOWS, GROUP_INFO, GROUP_LEARNABLE, Metric, PACKETS, PORT_INFO, PORT_PROTECTED,
    PROGRAM_INFO, PROGRAM_RUNS, PROGRAM_SECONDS, RULE_BYTES, RULE_PACKETS, SAMPLES, TABLE_CAPACITY, TABLE_ENTRIES,
    UNACCOUNTED_BYTES, UNACCOUNTED_PACKETS,
};
use crate::datapath::Attachment;
use crate::datapath::snapshot::Snapshot;

impl Exposition {
    /// Adds everything that a snapshot says.
    pub fn add_kernel(&mut self, snapshot: &Snapshot) {
        self.add_counters(snapshot);
        self.add_tables(snapshot);
        self.add_guard(snapshot);
    }

    fn add_counters(&mut self, snapshot: &Snapshot) {
        for counter in &snapshot.counters {
            let labels = [counter.direction.word(), counter.verdict.word(), counter.reason.word()];
            self.add_both((&PACKETS, &BYTES), labels, counter.count);
        }
        for rule in &snapshot.rules {
            let group = snapshot.groups.iter().find(|group| group.number == rule.group);
            let group = group.map_or_else(|| rule.group.to_string(), |group| group.name.clone());
            let labels = [group.as_str(), &rule.rule.to_string(), rule.label.as_str()];
            self.add_both((&RULE_PACKETS, &RULE_BYTES), labels, rule.count);
        }
        self.add_both((&UNACCOUNTED_PACKETS, &UNACCOUNTED_BYTES), [], snapshot.unaccounted);
        self.add(&SAMPLES, ["sent"], snapshot.events_sent);
        self.add(&SAMPLES, ["over-budget"], snapshot.events_refused);
        self.add(&SAMPLES, ["ring-full"], snapshot.events_lost.saturating_sub(snapshot.events_refused));
        for (count, total) in &snapshot.lessons {
            self.add(&DNS_EVENTS, [count.word()], *total);
        }
    }

    fn add_both<const LABELS: usize>(
        &mut self,
        (packets, bytes): (&'static Metric<LABELS>, &'static Metric<LABELS>),
        labels: [&str; LABELS],
        count: Counter,
    ) {
        self.add(packets, labels, count.packets);
        self.add(bytes, labels, count.bytes);
    }

    fn add_tables(&mut self, snapshot: &Snapshot) {
        for fill in &snapshot.tables {
            self.add(&TABLE_ENTRIES, [fill.map], fill.entries);
            self.add(&TABLE_CAPACITY, [fill.map], fill.capacity);
            if fill.map == sphere_common::abi::map::DEVICES {
                self.add(&DEVICES, [], fill.entries);
            }
        }
        for flows in &snapshot.flows {
            self.add(&FLOWS, [flows.family, "transport"], flows.transport);
            self.add(&FLOWS, [flows.family, "fragments"], flows.fragments);
            self.add(&FLOWS, [flows.family, "query"], flows.queries);
        }
        for group in &snapshot.groups {
            let mode = if group.enforce { "enforce" } else { "audit" };
            self.add(&GROUP_INFO, [group.name.as_str(), mode], true);
            self.add(&GROUP_LEARNABLE, [group.name.as_str()], group.learnable);
        }
    }

    fn add_guard(&mut self, snapshot: &Snapshot) {
        for port in &snapshot.ports {
            self.add(&PORT_PROTECTED, [port.interface.as_str()], port.unprotected().is_none());
            let ingress = port.ingress.map_or("none", Attachment::ingress_word);
            let egress = port.egress.map_or("none", Attachment::egress_word);
            self.add(&PORT_INFO, [port.interface.as_str(), ingress, egress], true);
        }
        for program in &snapshot.programs {
            self.add(&PROGRAM_INFO, [program.name, &format!("{:016x}", program.tag)], true);
            // The kernel counts runs only while it is told to.
            if program.runs > 0 {
                self.add(&PROGRAM_RUNS, [program.name], program.runs);
                self.add(&PROGRAM_SECONDS, [program.name], program.run_time.as_secs_f64());
            }
        }
    }
}
