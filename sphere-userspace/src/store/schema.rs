//! The schema of a file. docs/store.md explains it for those who query it.

use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

/// Version of the schema, in `user_version`.
pub(super) const VERSION: i64 = 1;

/// What a file has.
///
/// `hit` holds what fell into an hour for each flow, `total` the same without the other side: few rows for many
/// questions. Numbers stand for addresses, names and kinds, so that a row of a flood is small.
pub(super) const SCHEMA: &str = "
CREATE TABLE address (id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, text TEXT NOT NULL) STRICT;
CREATE TABLE boot (id INTEGER PRIMARY KEY, hash INTEGER NOT NULL UNIQUE) STRICT;
CREATE TABLE kind (
    id INTEGER PRIMARY KEY, grp TEXT NOT NULL, direction TEXT NOT NULL, verdict TEXT NOT NULL, reason TEXT NOT NULL,
    protocol INTEGER NOT NULL, port INTEGER NOT NULL, group_number INTEGER NOT NULL,
    UNIQUE (port, protocol, reason, verdict, direction, group_number, grp)
) STRICT;
CREATE TABLE names (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE name (reversed TEXT NOT NULL, names INTEGER NOT NULL, PRIMARY KEY (reversed, names)) WITHOUT ROWID, STRICT;
CREATE TABLE flow (
    id INTEGER PRIMARY KEY, boot INTEGER NOT NULL, episode INTEGER NOT NULL, device INTEGER NOT NULL,
    kind INTEGER NOT NULL, peer INTEGER NOT NULL, names INTEGER NOT NULL,
    packets_abs INTEGER NOT NULL, bytes_abs INTEGER NOT NULL,
    packets INTEGER NOT NULL, bytes INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX flow_account ON flow (boot, episode, device, kind, peer);
CREATE INDEX flow_device ON flow (device);
CREATE INDEX flow_kind ON flow (kind);
CREATE INDEX flow_peer ON flow (peer);
CREATE INDEX flow_names ON flow (names) WHERE names <> 0;
CREATE TABLE hit (
    flow INTEGER NOT NULL, hour INTEGER NOT NULL, packets INTEGER NOT NULL, bytes INTEGER NOT NULL,
    first INTEGER NOT NULL, last INTEGER NOT NULL, PRIMARY KEY (flow, hour)
) WITHOUT ROWID, STRICT;
CREATE INDEX hit_hour ON hit (hour);
CREATE TABLE total (
    device INTEGER NOT NULL, kind INTEGER NOT NULL, hour INTEGER NOT NULL, packets INTEGER NOT NULL,
    bytes INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, PRIMARY KEY (device, kind, hour)
) WITHOUT ROWID, STRICT;
CREATE INDEX total_kind ON total (kind);
CREATE INDEX total_hour ON total (hour);
CREATE TABLE coverage (id INTEGER PRIMARY KEY CHECK (id = 1), from_hour INTEGER NOT NULL, to_hour INTEGER NOT NULL) STRICT;
CREATE VIEW denied AS SELECT
    strftime('%Y-%m-%dT%H:00:00Z', hit.hour * 3600, 'unixepoch') AS hour, kind.grp, device.text AS device,
    peer.text AS peer, names.text AS names, nullif(kind.protocol, -1) AS protocol, nullif(kind.port, -1) AS port,
    kind.direction, kind.verdict, kind.reason, hit.packets, hit.bytes,
    strftime('%Y-%m-%dT%H:%M:%SZ', hit.first / 1000, 'unixepoch') AS first,
    strftime('%Y-%m-%dT%H:%M:%SZ', hit.last / 1000, 'unixepoch') AS last
FROM hit JOIN flow ON flow.id = hit.flow JOIN kind ON kind.id = flow.kind JOIN address AS device ON device.id = flow.device
    LEFT JOIN address AS peer ON peer.id = flow.peer LEFT JOIN names ON names.id = flow.names;
CREATE VIEW denied_total AS SELECT
    strftime('%Y-%m-%dT%H:00:00Z', total.hour * 3600, 'unixepoch') AS hour, kind.grp, device.text AS device,
    nullif(kind.protocol, -1) AS protocol, nullif(kind.port, -1) AS port,
    kind.direction, kind.verdict, kind.reason, total.packets, total.bytes,
    strftime('%Y-%m-%dT%H:%M:%SZ', total.first / 1000, 'unixepoch') AS first,
    strftime('%Y-%m-%dT%H:%M:%SZ', total.last / 1000, 'unixepoch') AS last
FROM total JOIN kind ON kind.id = total.kind JOIN address AS device ON device.id = total.device;
";

const MILLIS_AN_HOUR: i64 = 3_600_000;

/// Milliseconds since the epoch.
pub(super) fn millis(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Hours since the epoch.
pub(super) const fn hour_of(millis: i64) -> i64 {
    millis.div_euclid(MILLIS_AN_HOUR)
}

/// A count as SQLite can hold it.
pub(super) fn count(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// An address as it is ordered: IPv4 within `::ffff:0:0/96`.
pub(super) const fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

/// A name with its labels the other way round, so that names below one are together: `com.example.www.`.
pub(super) fn reversed(name: &str) -> String {
    let labels = name.trim_end_matches('.').rsplit('.');
    labels.flat_map(|label| [label, "."]).collect::<String>().to_ascii_lowercase()
}

/// A protocol or port as it is in `kind`: accounts of other destinations have none.
pub(super) fn number_or_none(number: Option<impl Into<i64>>) -> i64 {
    number.map_or(-1, Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_below_one_begin_with_it_when_reversed() {
        assert_eq!(reversed("www.Example.com."), "com.example.www.");
        assert!(reversed("a.b.example.com").starts_with(&reversed("example.com")));
        assert!(!reversed("badexample.com").starts_with(&reversed("example.com")));
    }
}
