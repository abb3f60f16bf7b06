//! Kinds of denials in a file: which a question is about, and what of them makes a line.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Connection, Error, Result};

use super::{Field, Fields, Filter};
use crate::store::StoredKind;

const TCP: u8 = 6;
const UDP: u8 = 17;

/// Stands for a kind that the question is not about.
pub(super) const UNWANTED: u32 = u32::MAX;

/// What of a kind makes a line; what does not is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KindPart {
    /// Name of the group.
    pub group: Option<Arc<str>>,
    /// IP protocol; absent in an account of other destinations too.
    pub protocol: Option<u8>,
    /// Port of the other side, for ICMP type and code; absent in an account of other destinations too.
    pub port: Option<u16>,
    /// Which way the packets went.
    pub direction: Option<Arc<str>>,
    /// `deny`, or `audit` for what would have been denied.
    pub verdict: Option<Arc<str>>,
    /// The reason's word.
    pub reason: Option<Arc<str>>,
}

fn is_wanted(kind: &StoredKind, filter: &Filter) -> bool {
    let Filter { groups, ports, protocols, reasons, verdict, direction, .. } = filter;
    let port = |(protocol, port): &(Option<u8>, u16)| {
        // Of other protocols it is no port: the type and code of ICMP, an EtherType.
        let fits = kind.protocol.is_some_and(|found| protocol.map_or(has_ports(found), |wanted| wanted == found));
        kind.port == Some(*port) && fits
    };
    (groups.is_empty() || groups.iter().any(|group| **group == *kind.group))
        && (ports.is_empty() || ports.iter().any(port))
        && (protocols.is_empty() || kind.protocol.is_some_and(|protocol| protocols.contains(&protocol)))
        && (reasons.is_empty() || reasons.iter().any(|reason| reason.word() == &*kind.reason))
        && verdict.is_none_or(|verdict| verdict.word() == &*kind.verdict)
        && direction.is_none_or(|direction| direction.word() == &*kind.direction)
}

/// Whether the packets of an IP protocol have ports.
const fn has_ports(protocol: u8) -> bool {
    matches!(protocol, TCP | UDP)
}

impl KindPart {
    /// What of a kind makes a line.
    fn of(kind: StoredKind, by: Fields) -> Self {
        let text = |field, text| by.has(field).then_some(text);
        Self {
            group: text(Field::Group, kind.group),
            protocol: kind.protocol.filter(|_| by.has(Field::Protocol) || by.has(Field::Port)),
            port: kind.port.filter(|_| by.has(Field::Port)),
            direction: text(Field::Direction, kind.direction),
            verdict: text(Field::Verdict, kind.verdict),
            reason: text(Field::Reason, kind.reason),
        }
    }
}

/// Numbers for values, in the order in which they came.
#[derive(Debug)]
pub(super) struct Numbers<T> {
    values: Vec<Arc<T>>,
    numbers: HashMap<Arc<T>, u32>,
}

impl<T: Eq + std::hash::Hash> Numbers<T> {
    pub(super) fn new() -> Self {
        Self { values: Vec::new(), numbers: HashMap::new() }
    }

    pub(super) fn number(&mut self, value: T) -> u32 {
        if let Some(number) = self.numbers.get(&value) {
            return *number;
        }
        let value = Arc::new(value);
        let number = u32::try_from(self.values.len()).unwrap_or(UNWANTED);
        self.values.push(Arc::clone(&value));
        self.numbers.insert(value, number);
        number
    }

    pub(super) fn value(&self, number: u32) -> Option<&Arc<T>> {
        self.values.get(number as usize)
    }
}

/// For each kind of a file the number of what makes a line of it.
#[derive(Debug)]
pub(super) struct Kinds {
    parts: Vec<u32>,
    /// Those that are wanted, unless all are.
    pub(super) wanted: Option<Vec<i64>>,
}

impl Kinds {
    pub(super) fn read(file: &Connection, filter: &Filter, by: Fields, all: &mut Numbers<KindPart>) -> Result<Self> {
        let kinds = StoredKind::all(file)?;
        // They are numbered from 1 on, and none ever goes.
        let (count, mut wanted) = (kinds.len(), Vec::new());
        let mut parts = vec![UNWANTED; count + 1];
        for (id, kind) in kinds.into_iter().filter(|(_, kind)| is_wanted(kind, filter)) {
            let part = usize::try_from(id).ok().and_then(|id| parts.get_mut(id));
            let part = part.ok_or(Error::IntegralValueOutOfRange(0, i64::MAX))?;
            *part = all.number(KindPart::of(kind, by));
            wanted.push(id);
        }
        Ok(Self { parts, wanted: (wanted.len() < count).then_some(wanted) })
    }

    /// Those that are wanted, when they are few enough to be worth a condition: most rows that it looks at are left out.
    pub(super) fn few(&self) -> Option<&[i64]> {
        self.wanted.as_deref().filter(|wanted| wanted.len() * 2 < self.parts.len())
    }

    /// The number of a kind's part, or [`UNWANTED`].
    #[inline]
    pub(super) fn part(&self, id: i64) -> u32 {
        usize::try_from(id).ok().and_then(|id| self.parts.get(id)).copied().unwrap_or(UNWANTED)
    }
}
