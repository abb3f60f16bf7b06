//! `docs/metrics.md`, written from the table.

use super::table::ALL;

const HEAD: &str = "# Metrics

<!-- Written from the table in the code; a test fails when it differs. To write it anew:
     SPHERE_WRITE_DOCS=1 cargo test -p sphere-userspace --test metrics -->

`sphere run` serves these at `GET /metrics` where the policy says so ([`[metrics]`](policy.md)), in Prometheus' text format
(version 0.0.4):

```sh
curl --unix-socket /run/sphere/metrics.sock http://localhost/metrics
```

They are read when somebody asks: the kernel's tables in batches, the rest from the daemon. What was read within the last
second is sent again, so that asking often costs no more. Reading is a task of its own, at most four connections are attended to
at once, each for ten seconds at most; enforcement waits for none of it. Counters of the kernel's tables live as long as the
tables do, across daemons; those of resolver, store and sinks begin with the daemon.

**Cardinality.** No metric has a label for a device, an address or a port: that is what the account of denials is for
([store.md](store.md)). The kernel counts outcomes by direction, verdict and reason, and what rules allow by rule; denials by
group come from the store, as it writes them, each second. Each metric has a bound of series; what would be more is left out and
counted in `sphere_scrape_omitted_series`. In practice the number of rules and names decides: two series a rule, up to three a
name.

**What can be lost**, and where it is counted: samples of denied packets (`sphere_samples_total`, `sphere_unreadable_samples_total`),
records (`sphere_sink_lost_records_total`), answers handed to the daemon and held frames (`sphere_dns_events_total`: `unjudged-lost`,
`unread`, `late`, `dropped`, `over-quota`), accounts of denials (`sphere_unaccounted_packets_total`,
`sphere_store_unreadable_accounts_total`), and whole days of the store (`sphere_store_files_total`). `sphere_packets_total` is exact
whatever else is lost.

**What a page costs**: with 100,899 endpoints in the tables, while a device sent 2.4 million denied packets in one run and 0.9
million in another, sixteen pages were read in 41 to 223 ms each, on two virtual processors that had other work as well; every
packet was counted. As root: `cargo test -p sphere-userspace --test root_metrics -- --nocapture`.

`packaging/` has alert rules for Prometheus and a dashboard for Grafana over these metrics.

| metric | type | labels | series at most | where from | what |
|---|---|---|---|---|---|
";

/// The reference of metrics, as Markdown.
#[must_use]
pub fn reference() -> String {
    let mut text = HEAD.to_owned();
    for metric in ALL {
        let labels = metric.labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ");
        let (name, kind, most, from, help) = (metric.name, metric.kind.word(), metric.most, metric.from, metric.help);
        text.push_str(&format!("| `{name}` | {kind} | {labels} | {most} | {from} | {help} |\n"));
    }
    text
}
