//! Everything about a denial but who, to whom and when, as a file has it.

use std::sync::Arc;

use rusqlite::{Connection, Result};

/// A kind of denials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredKind {
    /// Name of the group.
    pub group: Arc<str>,
    /// `from-device` or `to-device`.
    pub direction: Arc<str>,
    /// `deny` or `audit`.
    pub verdict: Arc<str>,
    /// The reason's word.
    pub reason: Arc<str>,
    /// IP protocol; absent in an account of other destinations.
    pub protocol: Option<u8>,
    /// Port of the other side, for ICMP type and code; absent in an account of other destinations.
    pub port: Option<u16>,
}

impl StoredKind {
    /// Every kind of a file with its number.
    pub(super) fn all(file: &Connection) -> Result<Vec<(i64, Self)>> {
        let mut statement =
            file.prepare("SELECT id, grp, direction, verdict, reason, protocol, port FROM kind ORDER BY id")?;
        let kinds = statement.query_map([], |row| {
            let (protocol, port): (i64, i64) = (row.get(5)?, row.get(6)?);
            let kind = Self {
                group: row.get(1)?,
                direction: row.get(2)?,
                verdict: row.get(3)?,
                reason: row.get(4)?,
                protocol: u8::try_from(protocol).ok(),
                port: u16::try_from(port).ok(),
            };
            Ok((row.get(0)?, kind))
        })?;
        kinds.collect()
    }
}
