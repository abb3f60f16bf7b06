//! The one table of metrics: name, type, labels, how many series at most, where from, and what for.

use sphere_common::abi::{LessonCount, MAX_GROUPS};
use sphere_common::verdict::Reason;

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows; from zero again when what counts it is made anew.
    Counter,
    /// It goes up and down.
    Gauge,
}

impl Kind {
    /// Its word in the text format.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
        }
    }
}

/// A metric with so many labels.
#[derive(Debug)]
pub struct Metric<const LABELS: usize> {
    /// Its name.
    pub name: &'static str,
    /// Names of its labels.
    pub labels: [&'static str; LABELS],
    /// Series that it may have.
    pub most: usize,
}

/// A metric as it is documented.
#[derive(Debug)]
pub struct Declared {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Names of its labels.
    pub labels: &'static [&'static str],
    /// Series that it may have.
    pub most: usize,
    /// Where it is read.
    pub from: &'static str,
    /// What it says, in a sentence.
    pub help: &'static str,
}

macro_rules! metrics {
    ($($id:ident: $kind:ident $name:literal [$($label:literal),*] at most $most:expr, from $from:literal, $help:literal;)*) => {
        $(
            pub(super) static $id: Metric<{ <[&str]>::len(&[$($label),*]) }> =
                Metric { name: $name, labels: [$($label),*], most: $most };
        )*

        /// Every metric, in the order in which they are told.
        pub static ALL: &[Declared] = &[$(
            Declared {
                name: $name,
                kind: Kind::$kind,
                labels: &[$($label),*],
                most: $most,
                from: $from,
                help: $help,
            },
        )*];
    };
}

/// Directions, verdicts and reasons.
const OUTCOMES: usize = 2 * 3 * Reason::ALL.len();
const RULES: usize = 8_192;
const NAMES: usize = 4_096;
const INTERFACES: usize = 256;
const GROUPS: usize = MAX_GROUPS as usize;
/// More than there are.
const TABLES: usize = 32;
/// Verdicts and reasons of what was denied, or would have been, by group; and of what led to none.
const GROUP_OUTCOMES: usize = (GROUPS + 1) * 2 * Reason::ALL.len();
const PROGRAMS: usize = 4;
/// Outcomes of a question, those not asked yet among them, for each record type.
const QUESTIONS: usize = 2 * 9;
const SINKS: usize = 16;

metrics! {
    PACKETS: Counter "sphere_packets_total" ["direction", "verdict", "reason"] at most OUTCOMES,
        from "`COUNTERS`", "Packets by direction, verdict and reason, exactly; a series begins with its first packet.";
    BYTES: Counter "sphere_bytes_total" ["direction", "verdict", "reason"] at most OUTCOMES,
        from "`COUNTERS`", "Bytes of these packets, as frames without their check sequence.";
    RULE_PACKETS: Counter "sphere_rule_packets_total" ["group", "rule", "label"] at most RULES,
        from "`RULE_COUNTERS`", "Packets that a rule allowed; rule is its number, label what it allows.";
    RULE_BYTES: Counter "sphere_rule_bytes_total" ["group", "rule", "label"] at most RULES,
        from "`RULE_COUNTERS`", "Bytes of these packets.";
    GROUP_DENIED_PACKETS: Counter "sphere_group_denied_packets_total" ["group", "verdict", "reason"] at most GROUP_OUTCOMES,
        from "store", "Packets that were denied (deny), or would have been (audit), by group (empty: none), as far as the \
                       store has written them; absent without a store.";
    GROUP_DENIED_BYTES: Counter "sphere_group_denied_bytes_total" ["group", "verdict", "reason"] at most GROUP_OUTCOMES,
        from "store", "Bytes of these packets.";
    UNACCOUNTED_PACKETS: Counter "sphere_unaccounted_packets_total" [] at most 1,
        from "`DENIED_LOST`", "Denied packets that no account of a device had room for: counted by their reason only.";
    UNACCOUNTED_BYTES: Counter "sphere_unaccounted_bytes_total" [] at most 1,
        from "`DENIED_LOST`", "Bytes of these packets.";
    SAMPLES: Counter "sphere_samples_total" ["outcome"] at most 3,
        from "`EVENT_BUDGET`",
        "Samples of denied packets: sent, over-budget (more than events_per_second), ring-full (lost).";
    SAMPLES_UNREADABLE: Counter "sphere_unreadable_samples_total" [] at most 1,
        from "daemon", "Samples that the daemon could not read, since programs of another version had sent them.";
    DNS_EVENTS: Counter "sphere_dns_events_total" ["event"] at most LessonCount::ALL.len(),
        from "`LESSON_COUNTERS`", "Queries and answers of devices, and what was learned from them; see sphere status.";

    TABLE_ENTRIES: Gauge "sphere_table_entries" ["table"] at most TABLES,
        from "every table that can fill", "Entries in a kernel table.";
    TABLE_CAPACITY: Gauge "sphere_table_capacity_entries" ["table"] at most TABLES,
        from "every table that can fill", "Entries that a kernel table has room for.";
    FLOWS: Gauge "sphere_flows" ["family", "kind"] at most 6,
        from "`FLOWS4`, `FLOWS6`", "Open flows: transport, fragments of allowed datagrams, queries that wait.";
    DEVICES: Gauge "sphere_devices" [] at most 1,
        from "`DEVICES`", "Devices that hold room for flows.";
    GROUP_INFO: Gauge "sphere_group_info" ["group", "mode"] at most GROUPS,
        from "`GROUP_LABELS`", "1 for each group in force, with its mode: enforce or audit.";
    GROUP_LEARNABLE: Gauge "sphere_group_learnable_addresses" ["group"] at most GROUPS,
        from "`LEARN_QUOTA`", "Addresses that the programs may still learn for a group before the next sweep.";
    GROUP_LEARN_LIMIT: Gauge "sphere_group_learn_limit_addresses" ["group"] at most GROUPS,
        from "policy", "Addresses that a group may learn in all (its key learn).";
    PORT_PROTECTED: Gauge "sphere_port_protected" ["interface"] at most INTERFACES,
        from "the kernel's links", "Whether programs are attached to a device port on both sides: 1, or 0.";
    PORT_INFO: Gauge "sphere_port_info" ["interface", "ingress", "egress"] at most INTERFACES,
        from "the kernel's links", "1 for each device port, with what is attached on either side (none: nothing).";
    PROGRAM_INFO: Gauge "sphere_program_info" ["program", "tag"] at most PROGRAMS,
        from "pinned programs", "1 for each program, with the digest of its instructions.";
    PROGRAM_RUNS: Counter "sphere_program_runs_total" ["program"] at most PROGRAMS,
        from "pinned programs", "Runs of a program while the sysctl kernel.bpf_stats_enabled is 1; absent before.";
    PROGRAM_SECONDS: Counter "sphere_program_run_seconds_total" ["program"] at most PROGRAMS,
        from "pinned programs", "Time of these runs.";

    BUILD_INFO: Gauge "sphere_build_info" ["version", "abi", "programs"] at most 1,
        from "daemon", "1, with the daemon's version, the layout of its tables and the fingerprint of its programs.";
    POLICY_INFO: Gauge "sphere_policy_info" ["fingerprint"] at most 1,
        from "daemon", "1, with the fingerprint of the policy in force, as sphere check --json has it.";
    POLICY_LOADED: Gauge "sphere_policy_loaded_timestamp_seconds" [] at most 1,
        from "daemon", "When the policy in force was loaded (Unix time).";
    POLICY_CURRENT: Gauge "sphere_policy_current" [] at most 1,
        from "daemon", "Whether the policy that was read last is in force: 1; or 0 if it was refused, and an older one is.";
    POLICY_LOADS: Counter "sphere_policy_loads_total" ["outcome"] at most 2,
        from "daemon", "Policies that came into force (loaded, the one at the start too) or were refused.";
    UPTIME: Gauge "sphere_daemon_uptime_seconds" [] at most 1,
        from "daemon", "Seconds since the daemon was started.";
    QUESTIONS_BY_STATE: Gauge "sphere_questions" ["type", "state"] at most QUESTIONS,
        from "resolver", "Names of the policy by record type and what came of the last question (unasked: none yet).";
    NAME_FAILING: Gauge "sphere_name_failing" ["name"] at most NAMES,
        from "resolver", "1 for each name of the policy that was last answered with addresses in neither family.";
    ANSWER_AGE: Gauge "sphere_name_answer_age_seconds" ["name", "type"] at most NAMES,
        from "resolver", "Seconds since a name was last answered with addresses; absent before its first answer.";
    RESOLVER_OUTCOMES: Counter "sphere_resolver_outcomes_total" ["type", "outcome"] at most QUESTIONS,
        from "resolver", "Questions that came to an end, by what came of them.";
    LEASES: Gauge "sphere_leases" ["source"] at most 3,
        from "daemon", "Addresses held for names: polled, seen in answers to devices, restored at the start.";

    STORE_STATE: Gauge "sphere_store_state" ["state"] at most 5,
        from "store", "1 for how the store stands, 0 for the other states.";
    STORE_BYTES: Gauge "sphere_store_bytes" [] at most 1,
        from "store", "Bytes that the files of the store take.";
    STORE_LIMIT: Gauge "sphere_store_limit_bytes" [] at most 1,
        from "policy", "Bytes that the files of the store may take (max_size).";
    STORE_COMPLETE: Gauge "sphere_store_complete_timestamp_seconds" [] at most 1,
        from "store", "When the store last had everything that the kernel had counted (Unix time).";
    STORE_OPEN: Gauge "sphere_store_open_accounts" [] at most 1,
        from "store", "Accounts of denials that were open in the kernel when they were last read.";
    STORE_CLOSED: Counter "sphere_store_closed_accounts_total" [] at most 1,
        from "store", "Accounts that were closed after they were written.";
    STORE_WRITTEN: Counter "sphere_store_written_accounts_total" [] at most 1,
        from "store", "Accounts that were written; one that goes on counts each time.";
    STORE_PAUSED: Counter "sphere_store_paused_accounts_total" [] at most 1,
        from "store", "Accounts that could not be written when they were handed over; the kernel keeps them until they are.";
    STORE_WAITS: Counter "sphere_store_waits_total" [] at most 1,
        from "store", "Batches of accounts that had to wait because the store was busy.";
    STORE_UNREADABLE: Counter "sphere_store_unreadable_accounts_total" [] at most 1,
        from "store", "Accounts that could not be read, since programs of another version had written them.";
    STORE_FILES: Counter "sphere_store_files_total" ["fate"] at most 3,
        from "store", "Files of the store that were aged out, dropped for want of room, or found damaged.";
    SINK_DELIVERED: Counter "sphere_sink_delivered_records_total" ["sink"] at most SINKS,
        from "sinks", "Records of denied packets that a sink delivered.";
    SINK_LOST: Counter "sphere_sink_lost_records_total" ["sink"] at most SINKS,
        from "sinks", "Records that were lost: the sink had no room for them, or the receiver refused them.";
    SINK_WAITING: Gauge "sphere_sink_waiting_records" ["sink"] at most SINKS,
        from "sinks", "Records that wait for a sink.";
    SINK_CAPACITY: Gauge "sphere_sink_capacity_records" ["sink"] at most SINKS,
        from "sinks", "Records that may wait for a sink.";
    SINK_WORKS: Gauge "sphere_sink_works" ["sink"] at most SINKS,
        from "sinks", "Whether a sink works: 1, or 0.";

    SCRAPE_OK: Gauge "sphere_scrape_part_ok" ["part"] at most 2,
        from "this page", "Whether a part of this page could be read: kernel, daemon.";
    SCRAPE_SECONDS: Gauge "sphere_scrape_seconds" [] at most 1,
        from "this page", "How long it took to read what is on this page.";
    SCRAPE_OMITTED: Gauge "sphere_scrape_omitted_series" ["metric"] at most 64,
        from "this page", "Series that were left out because a metric has more than it may have; absent when none were.";
}
