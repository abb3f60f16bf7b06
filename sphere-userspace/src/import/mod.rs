//! Files of other makers become parts of a policy: what they ask for, and what only the operator can say.
//!
//! Place in the data flow: text → `json` (values with places) → the reader of the format → [`Imported`], rules of the
//! policy's own types, for `sphere import` to print or for a policy that names the file to take up. Pure but for
//! [`read_file`]. Invariants: what a file does not say is never made up (a rule without services is one whose port the
//! operator has to say), a file with a mistake gives nothing at all, and no text makes a reader panic.

pub(crate) mod json;
pub mod manifest;
pub mod mud;
pub mod service_tags;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use ipnet::IpNet;

use crate::policy::{Diagnostic, Findings, InboundRule, Origin, PolicyErrors, Rule, Service, Severity, Source, Target};

/// What files ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// What devices are to reach. A rule with no services lacks its port: the operator has to say it.
    pub rules: Vec<Rule>,
    /// Who is to open flows to devices.
    pub inbound: Vec<InboundRule>,
    /// Rules that somebody has to complete or to look at before they are used.
    pub withheld: Vec<Withheld>,
    /// Ports that devices listen at, as long as nobody is named who may open flows to them.
    pub listeners: Vec<Listener>,
    /// What is worth knowing of the rules, and of the files.
    pub notes: Vec<Note>,
    /// What is worth a word to the operator, with its place.
    pub warnings: Vec<Diagnostic>,
}

/// Ports that a device listens at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Protocols and ports of the device; never empty.
    pub services: BTreeSet<Service>,
    /// Where they are written.
    pub origin: Origin,
}

/// A rule that somebody has to complete or to look at before it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withheld {
    /// What it is about.
    pub sketch: Sketch,
    /// At which protocols and ports; never empty.
    pub services: BTreeSet<Service>,
    /// Why it is no rule as it is: a sentence without its full stop.
    pub why: String,
    /// What to do: a sentence without its full stop.
    pub remedy: String,
    /// Where it is written.
    pub origin: Origin,
}

/// A rule as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sketch {
    /// Devices would reach this, if it is known.
    Allow(Option<Target>),
    /// Flows to devices would come from there, if it is known.
    Inbound(Option<IpNet>),
}

/// Something that is worth knowing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The rules that it is about, by what they allow to reach; [`None`]: a file as a whole.
    pub target: Option<Target>,
    /// What: without a full stop.
    pub text: String,
}

impl Imported {
    /// Adds what another file asks for.
    pub fn append(&mut self, mut other: Self) {
        self.rules.append(&mut other.rules);
        self.inbound.append(&mut other.inbound);
        self.withheld.append(&mut other.withheld);
        self.listeners.append(&mut other.listeners);
        self.notes.append(&mut other.notes);
        self.warnings.append(&mut other.warnings);
    }

    /// How many parts lack what only the operator can say: ports, hosts, who may open flows, or whether they are wanted.
    #[must_use]
    pub fn incomplete(&self) -> usize {
        self.rules.iter().filter(|rule| rule.services.is_empty()).count() + self.withheld.len() + self.listeners.len()
    }
}

/// Largest file of service tags that is read: some four times what is published.
pub const MOST_TAG_BYTES: u64 = 16 << 20;
/// Largest file of any other kind that is read.
pub const MOST_BYTES: u64 = 1 << 20;

/// Reads a file of at most so many bytes.
///
/// # Errors
///
/// When it is not readable, not regular, too large or not UTF-8.
pub fn read_file(path: &Path, most_bytes: u64) -> Result<Arc<Source>, PolicyErrors> {
    crate::policy::read_within(path, most_bytes).map_err(|error| PolicyErrors::new(vec![error.into()]))
}

/// What was read, with the warnings of reading it; or everything that is wrong.
fn finish(findings: Findings, imported: Option<Imported>) -> Result<Imported, PolicyErrors> {
    let found = findings.into_diagnostics();
    match imported {
        Some(mut imported) if found.iter().all(|found| found.severity == Severity::Warning) => {
            imported.warnings.extend(found);
            Ok(imported)
        }
        _ => Err(PolicyErrors::new(found)),
    }
}
