//! Reads what a device was denied out of one file.

use rusqlite::{Connection, Result, Statement};

use super::answer::{Came, Sum};
use super::filter::{Peers, Span, peers};
use super::kinds::UNWANTED;
use super::plan::FilePlan;
use super::{Field, Query, Target};
use crate::store::schema::Peer;

/// Kinds for which rows are sought one kind after the other. More are faster read and left.
const SOUGHT_KINDS: usize = 4;
/// Numbers that a condition lists. More are looked up here.
const LISTED: usize = 512;
const HOURS_A_DAY: i64 = 24;

/// What a line has in common, beside the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    /// Hour or day since the epoch.
    pub(super) time: i32,
    pub(super) kind: u32,
    pub(super) names: u32,
    pub(super) peer: Peer,
}

/// What is read of each row beside what makes a line of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reads {
    /// The packets only: half of the work.
    Packets,
    /// Everything that comes to a line.
    Sums,
}

/// How files are read for a question.
#[derive(Clone, Debug)]
pub(super) struct Scan {
    /// Whether lines are made of devices: then what one was denied is all there is to them.
    pub(super) is_by_device: bool,
    peers: Option<Peers>,
    needs_flows: bool,
    is_by_peer: bool,
    is_by_name: bool,
    /// Whether names are told that do not make a line.
    tells_names: bool,
    /// Hours that make a line's time.
    hours: Option<i64>,
}

impl Scan {
    pub(super) fn new(query: &Query) -> Self {
        let Query { filter, by, .. } = query;
        let (is_by_peer, is_by_name) = (by.has(Field::To), by.has(Field::Name));
        let hours = if by.has(Field::Hour) { Some(1) } else { by.has(Field::Day).then_some(HOURS_A_DAY) };
        let peers = match &filter.to {
            Some(Target::Net(net)) => Some(peers(*net)),
            Some(Target::Name(_)) | None => None,
        };
        let needs_flows = filter.to.is_some() || is_by_peer || is_by_name;
        let tells_names = is_by_peer && !is_by_name;
        Self { is_by_device: by.has(Field::Device), peers, needs_flows, is_by_peer, is_by_name, tells_names, hours }
    }

    /// Prepares to read a file.
    pub(super) fn prepare<'c>(&self, file: &'c Connection, plan: &FilePlan, reads: Reads) -> Result<Statement<'c>> {
        let mut text = String::from("SELECT kind, packets");
        for (column, is_read) in
            [("hour", self.hours.is_some()), ("peer", self.is_by_peer), ("names", self.reads_names(plan, reads))]
        {
            text.push_str(", ");
            text.push_str(if is_read { column } else { "NULL" });
        }
        if reads == Reads::Sums {
            text.push_str(", bytes, first, last");
        }
        text.push_str(if self.needs_flows { " FROM hit" } else { " FROM total" });
        text.push_str(" WHERE device = ?1");
        if let Some(kinds) = plan.kinds.few().filter(|kinds| kinds.len() <= LISTED) {
            // A plus keeps SQLite from seeking each.
            let column = if kinds.len() <= SOUGHT_KINDS { "kind" } else { "+kind" };
            condition(&mut text, column, kinds);
        }
        if self.peers.is_some() {
            text.push_str(" AND peer BETWEEN ?2 AND ?3");
        }
        if let Some(names) = plan.wanted_names.as_ref().filter(|names| names.len() <= LISTED) {
            condition(&mut text, "+names", names);
        }
        if plan.span.is_some() {
            text.push_str(" AND hour BETWEEN ?4 AND ?5 AND last >= ?6 AND first <= ?7");
        }
        let mut statement = file.prepare(&text)?;
        self.bind(&mut statement, plan.span)?;
        Ok(statement)
    }

    fn bind(&self, statement: &mut Statement<'_>, span: Option<Span>) -> Result<()> {
        if let Some((from, to)) = self.peers {
            statement.raw_bind_parameter(2, from)?;
            statement.raw_bind_parameter(3, to)?;
        }
        if let Some(span) = span {
            let (from, to) = span.hours();
            for (index, value) in (4..).zip([from, to, span.since, span.until]) {
                statement.raw_bind_parameter(index, value)?;
            }
        }
        Ok(())
    }

    fn reads_names(&self, plan: &FilePlan, reads: Reads) -> bool {
        self.is_by_name
            || (self.tells_names && reads == Reads::Sums)
            || plan.wanted_names.as_ref().is_some_and(|names| names.len() > LISTED)
    }

    /// Takes everything that a file has of a device.
    pub(super) fn read(
        &self,
        (statement, plan): (&mut Statement<'_>, &FilePlan),
        (device, reads): (i64, Reads),
        mut take: impl FnMut(Key, &Came),
    ) -> Result<()> {
        statement.raw_bind_parameter(1, device)?;
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next()? {
            let number = |index| -> Result<i64> { Ok(row.get_ref(index)?.as_i64()?) };
            let kind = plan.kinds.part(number(0)?);
            if kind == UNWANTED {
                continue;
            }
            let reads_names = self.reads_names(plan, reads);
            let names = if reads_names { number(4)? } else { 0 };
            if reads_names && plan.wanted_names.as_ref().is_some_and(|wanted| !wanted.contains(&names)) {
                continue;
            }
            let count = |index| -> Result<u64> { Ok(u64::try_from(number(index)?).unwrap_or(0)) };
            let packets = count(1)?;
            let sum = match reads {
                Reads::Packets => Sum { packets, ..Sum::default() },
                Reads::Sums => Sum { packets, bytes: count(5)?, first_ms: number(6)?, last_ms: number(7)? },
            };
            let key = Key {
                time: match self.hours {
                    Some(hours) => i32::try_from(number(2)?.div_euclid(hours)).unwrap_or(i32::MAX),
                    None => 0,
                },
                kind,
                names: if self.is_by_name { plan.name(names) } else { 0 },
                peer: if self.is_by_peer { Peer::read(row.get_ref(3)?).unwrap_or(Peer::Others) } else { Peer::Others },
            };
            let names = if self.tells_names { plan.name(names) } else { 0 };
            take(key, &Came { sum, names });
        }
        Ok(())
    }
}

/// `AND column IN (1, 2)`
fn condition<T: ToString>(text: &mut String, column: &str, numbers: impl IntoIterator<Item = T>) {
    let numbers: Vec<String> = numbers.into_iter().map(|number| number.to_string()).collect();
    text.push_str(&format!(" AND {column} IN ({})", numbers.join(", ")));
}
