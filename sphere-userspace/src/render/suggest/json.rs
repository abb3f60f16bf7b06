//! Suggestions for machines: schema `sphere.suggestion/1`, one object a line. What does not apply is left out.

use std::io::{self, BufWriter, Write};
use std::net::IpAddr;

use serde::Serialize;

use super::policy_lines::{lines, wider_lines};
use super::{time, why};
use crate::policy::{Server, Service, Target};
use crate::render::json_text;
use crate::suggest::{Change, Seen, Suggestion, Suggestions, Unsuggested, Warning, Wider};

/// Devices that are named.
const DEVICES: usize = 10;

/// `docs/suggest.md` says what the keys mean.
#[derive(Debug, Default, Serialize)]
struct Row<'a> {
    schema: &'static str,
    state: &'static str,
    kind: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    group: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    toml: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ports: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ports_from: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    resolvers: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replaces: Option<usize>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<Word>,
    #[serde(flatten)]
    evidence: Option<Evidence>,
}

#[derive(Debug, Serialize)]
struct Word {
    warning: &'static str,
    message: String,
}

#[derive(Debug, Serialize)]
struct Evidence {
    reasons: Vec<&'static str>,
    verdicts: Vec<&'static str>,
    packets: u64,
    devices: usize,
    device_examples: Vec<IpAddr>,
    first_time: String,
    last_time: String,
}

/// Writes everything, suggestions first.
///
/// # Errors
///
/// When the output fails.
pub(in crate::render) fn write_json(output: &mut impl Write, all: &Suggestions) -> io::Result<()> {
    let mut output = BufWriter::new(output);
    let Suggestions { suggestions, wider, unsuggested } = all;
    let rows = suggestions.iter().map(suggested).chain(wider.iter().map(offered));
    for row in rows.chain(unsuggested.iter().map(not_suggested)) {
        writeln!(output, "{}", json_text(&row)?)?;
    }
    output.flush()
}

fn suggested(suggestion: &Suggestion) -> Row<'_> {
    let Suggestion { group, change, seen, warnings } = suggestion;
    let mut row = Row { group: group.as_str(), kind: change.word(), ..row(seen) };
    row.missing = change.missing();
    row.state = match (row.missing, change.is_table()) {
        (Some(_), _) => "incomplete",
        (None, true) => "complete",
        (None, false) => "key",
    };
    row.toml = row.missing.is_none().then(|| lines(change));
    row.warnings = warnings.iter().map(word).collect();
    match change {
        Change::Resolvers { added, .. } => {
            row.resolvers = added.iter().map(|address| Server::Address(*address).to_string()).collect();
        }
        Change::Option { profile, .. } => row.profile = Some(profile),
        Change::Allow { target, services, ports_from, .. } => {
            row.put_rule(target, services);
            row.ports_from = ports_from.as_deref();
        }
        Change::AnyType { name, .. } => row.target = Some(name.to_string()),
        Change::Inbound { from, services } => row.put_rule(&Target::Cidr(*from), services),
    }
    row
}

fn offered(wider: &Wider) -> Row<'_> {
    let Wider { group, target, services, count } = wider;
    let mut row = Row { schema: SCHEMA, state: "offered", kind: "wider", group: group.as_str(), ..Row::default() };
    row.put_rule(target, services);
    row.toml = Some(wider_lines(wider));
    row.replaces = Some(*count);
    row
}

fn not_suggested(one: &Unsuggested) -> Row<'_> {
    Row { state: "not-suggested", kind: one.why.word(), group: &one.group, why: Some(why(&one.why)), ..row(&one.seen) }
}

const SCHEMA: &str = "sphere.suggestion/1";

fn row(seen: &Seen) -> Row<'static> {
    let evidence = Evidence {
        reasons: seen.reasons.iter().copied().collect(),
        verdicts: seen.verdicts.iter().copied().collect(),
        packets: seen.packets,
        devices: seen.devices.len(),
        device_examples: seen.devices.iter().take(DEVICES).copied().collect(),
        first_time: time(seen.first),
        last_time: time(seen.last),
    };
    Row { schema: SCHEMA, evidence: Some(evidence), ..Row::default() }
}

impl Row<'_> {
    fn put_rule<'s>(&mut self, target: &Target, services: impl IntoIterator<Item = &'s Service>) {
        self.target = Some(target.to_string());
        self.ports = services.into_iter().map(ToString::to_string).collect();
    }
}

fn word(warning: &Warning) -> Word {
    Word { warning: warning.word(), message: warning.to_string() }
}
