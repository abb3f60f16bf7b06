//! The schema of a file. docs/store.md explains it for those who query it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::ToSql;
use rusqlite::types::{ToSqlOutput, Value, ValueRef};

/// Version of the schema, in `user_version`.
pub(super) const VERSION: i64 = 1;

/// What a file has.
///
/// `hit` holds what fell into an hour for each flow, in the order of devices: whatever is asked, what a device was denied
/// is read in one go. `total` is the same without the other side: few rows for many questions. `account` holds what the
/// kernel had counted when it was last written. Numbers stand for devices, names and kinds, so that a row of a flood is
/// small; other sides are in the rows themselves, since a flood has a new one in each.
pub(super) const SCHEMA: &str = "
CREATE TABLE device (id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, text TEXT NOT NULL) STRICT;
CREATE TABLE boot (id INTEGER PRIMARY KEY, hash INTEGER NOT NULL UNIQUE) STRICT;
CREATE TABLE kind (
    id INTEGER PRIMARY KEY, grp TEXT NOT NULL, direction TEXT NOT NULL, verdict TEXT NOT NULL, reason TEXT NOT NULL,
    protocol INTEGER NOT NULL, port INTEGER NOT NULL, group_number INTEGER NOT NULL,
    UNIQUE (port, protocol, reason, verdict, direction, group_number, grp)
) STRICT;
CREATE TABLE names (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE name (reversed TEXT NOT NULL, names INTEGER NOT NULL, PRIMARY KEY (reversed, names)) WITHOUT ROWID, STRICT;
CREATE TABLE account (
    boot INTEGER NOT NULL, episode INTEGER NOT NULL, device INTEGER NOT NULL, kind INTEGER NOT NULL, peer ANY NOT NULL,
    names INTEGER NOT NULL, packets INTEGER NOT NULL, bytes INTEGER NOT NULL,
    PRIMARY KEY (boot, episode, device, kind, peer)
) WITHOUT ROWID, STRICT;
CREATE TABLE hit (
    device INTEGER NOT NULL, kind INTEGER NOT NULL, peer ANY NOT NULL, names INTEGER NOT NULL, hour INTEGER NOT NULL,
    packets INTEGER NOT NULL, bytes INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
    PRIMARY KEY (device, kind, peer, names, hour)
) WITHOUT ROWID, STRICT;
CREATE TABLE total (
    device INTEGER NOT NULL, kind INTEGER NOT NULL, hour INTEGER NOT NULL, packets INTEGER NOT NULL,
    bytes INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, PRIMARY KEY (device, kind, hour)
) WITHOUT ROWID, STRICT;
CREATE INDEX total_hour ON total (hour);
CREATE TABLE coverage (id INTEGER PRIMARY KEY CHECK (id = 1), from_hour INTEGER NOT NULL, to_hour INTEGER NOT NULL) STRICT;
CREATE VIEW denied AS SELECT
    strftime('%Y-%m-%dT%H:00:00Z', hit.hour * 3600, 'unixepoch') AS hour, kind.grp, device.text AS device,
    CASE WHEN typeof(peer) = 'integer' THEN printf('%d.%d.%d.%d', peer >> 24, peer >> 16 & 255, peer >> 8 & 255, peer & 255)
        WHEN length(peer) = 16 THEN lower(printf('%s:%s:%s:%s:%s:%s:%s:%s', substr(hex(peer), 1, 4),
            substr(hex(peer), 5, 4), substr(hex(peer), 9, 4), substr(hex(peer), 13, 4), substr(hex(peer), 17, 4),
            substr(hex(peer), 21, 4), substr(hex(peer), 25, 4), substr(hex(peer), 29, 4)))
    END AS peer,
    names.text AS names, nullif(kind.protocol, -1) AS protocol, nullif(kind.port, -1) AS port,
    kind.direction, kind.verdict, kind.reason, hit.packets, hit.bytes,
    strftime('%Y-%m-%dT%H:%M:%SZ', hit.first / 1000, 'unixepoch') AS first,
    strftime('%Y-%m-%dT%H:%M:%SZ', hit.last / 1000, 'unixepoch') AS last
FROM hit JOIN kind ON kind.id = hit.kind JOIN device ON device.id = hit.device LEFT JOIN names ON names.id = hit.names;
CREATE VIEW denied_total AS SELECT
    strftime('%Y-%m-%dT%H:00:00Z', total.hour * 3600, 'unixepoch') AS hour, kind.grp, device.text AS device,
    nullif(kind.protocol, -1) AS protocol, nullif(kind.port, -1) AS port,
    kind.direction, kind.verdict, kind.reason, total.packets, total.bytes,
    strftime('%Y-%m-%dT%H:%M:%SZ', total.first / 1000, 'unixepoch') AS first,
    strftime('%Y-%m-%dT%H:%M:%SZ', total.last / 1000, 'unixepoch') AS last
FROM total JOIN kind ON kind.id = total.kind JOIN device ON device.id = total.device;
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

/// A device's address as it is ordered: IPv4 within `::ffff:0:0/96`.
pub(super) const fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

/// The other side as it is in a row: an integer for IPv4, sixteen bytes for IPv6, no bytes for an account of other
/// destinations. In this order they are sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Peer {
    /// An IPv4 address.
    V4(u32),
    /// None.
    Others,
    /// An IPv6 address.
    V6([u8; 16]),
}

impl Peer {
    /// Of an address, in its plain form.
    pub(super) const fn of(address: Option<IpAddr>) -> Self {
        match address {
            Some(IpAddr::V4(v4)) => Self::V4(v4.to_bits()),
            Some(IpAddr::V6(v6)) => Self::V6(v6.octets()),
            None => Self::Others,
        }
    }

    /// As a row has it; [`None`] when it is none that was written here.
    pub(super) fn read(value: ValueRef<'_>) -> Option<Self> {
        match value {
            ValueRef::Integer(number) => u32::try_from(number).ok().map(Self::V4),
            ValueRef::Blob([]) => Some(Self::Others),
            ValueRef::Blob(bytes) => bytes.try_into().ok().map(Self::V6),
            ValueRef::Null | ValueRef::Real(_) | ValueRef::Text(_) => None,
        }
    }

    /// Its address.
    pub(super) const fn address(self) -> Option<IpAddr> {
        match self {
            Self::V4(bits) => Some(IpAddr::V4(Ipv4Addr::from_bits(bits))),
            Self::V6(bytes) => Some(IpAddr::V6(Ipv6Addr::from_octets(bytes))),
            Self::Others => None,
        }
    }
}

impl ToSql for Peer {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::V4(bits) => ToSqlOutput::Owned(Value::Integer(i64::from(*bits))),
            Self::Others => ToSqlOutput::Borrowed(ValueRef::Blob(&[])),
            Self::V6(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
        })
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
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use super::*;

    #[test]
    fn names_below_one_begin_with_it_when_reversed() {
        assert_eq!(reversed("www.Example.com."), "com.example.www.");
        assert!(reversed("a.b.example.com").starts_with(&reversed("example.com")));
        assert!(!reversed("badexample.com").starts_with(&reversed("example.com")));
    }

    #[test]
    fn the_other_side_is_read_as_it_was_written() {
        for address in [None, Some("203.0.113.200"), Some("2001:db8::1")] {
            let peer = Peer::of(address.map(|text| text.parse().unwrap()));
            let read = match peer.to_sql().unwrap() {
                ToSqlOutput::Borrowed(value) => Peer::read(value),
                ToSqlOutput::Owned(value) => Peer::read(ValueRef::from(&value)),
                _ => None,
            };
            assert_eq!(read, Some(peer));
            assert_eq!(peer.address().map(|address| address.to_string()).as_deref(), address);
        }
        assert_eq!(Peer::read(ValueRef::Blob(&[1, 2, 3])), None);
    }
}
