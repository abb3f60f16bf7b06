//! `sphere suggest`: what the policy would have to say to allow what was denied.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use clap::Args;

use super::Exit;
use super::filter::Asked;
use crate::policy::{self, Policy, SinkTarget};
use crate::render;
use crate::store::{Filter, Query};
use crate::suggest::{Bounds, Evidence, Flow, RecordsError, RecordsRead, suggest};

/// What `--help` says below the options.
const HELP: &str = "\
Prints lines for the policy file, each with its evidence and with what to think
of, and at the end what is not suggested and why. Nothing is changed: what was
denied may have been denied for good reason.

With --config: nothing that the policy allows already, and options of profiles
where they do it. The store does not keep names of denied queries and ports of
devices: records do, see docs/suggest.md.

Examples:
  sphere suggest --config /etc/sphere/policy.toml --since 7d
  sphere suggest --group cameras --min-devices 3 --min-packets 10
  sphere suggest --records /var/log/sphere/denied.jsonl --reason query-name";

#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(super) struct Options {
    #[command(flatten)]
    asked: Asked,
    /// Suggest only what so many packets were denied of
    #[arg(long, value_name = "N", default_value_t = 1)]
    min_packets: u64,
    /// Suggest only what so many devices tried
    #[arg(long, value_name = "N", default_value_t = 1)]
    min_devices: usize,
    /// Policy file, to suggest only what it lacks
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// File of records, - for standard input; without it the files of the policy's sinks
    #[arg(long, value_name = "FILE")]
    records: Vec<PathBuf>,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

pub(super) fn run(options: Options) -> anyhow::Result<Exit> {
    options.asked.check()?;
    let policy = options.config.as_deref().map(policy::load).transpose()?;
    let (store, filter) = options.asked.meaning();
    let query = Query { filter, by: Flow::fields(), top: None };
    let answer = query.ask(&store)?;
    let mut evidence = Evidence::default();
    evidence.flows.extend(answer.lines.iter().filter_map(Flow::of));
    let unknown = answer.lines.len() - evidence.flows.len();
    if unknown > 0 {
        tracing::warn!(lines = unknown, "the store has words of another version: left out");
    }
    read_records(&mut evidence, (&options.records, policy.as_ref()), &query.filter)?;
    let bounds = Bounds { packets: options.min_packets, devices: options.min_devices };
    let suggestions = suggest(&evidence, policy.as_ref(), bounds);
    if options.json {
        render::suggestions_json(&suggestions)?;
    } else {
        render::suggestions(&suggestions)?;
    }
    Ok(Exit::without(&answer.left_out))
}

/// Reads the files that are named, else those to which the policy has records written: some may not be there yet.
fn read_records(
    evidence: &mut Evidence,
    (named, policy): (&[PathBuf], Option<&Policy>),
    filter: &Filter,
) -> anyhow::Result<()> {
    for path in named {
        let read = read_file(evidence, path, filter)?;
        tell(path, read);
    }
    let sinks = policy.filter(|_| named.is_empty()).into_iter().flat_map(|policy| &policy.records.sinks);
    for sink in sinks {
        let SinkTarget::File(file) = &sink.target else { continue };
        match read_file(evidence, &file.path, filter) {
            Ok(read) => tell(&file.path, read),
            Err(error) => tracing::warn!("{error}"),
        }
    }
    Ok(())
}

fn read_file(evidence: &mut Evidence, path: &Path, filter: &Filter) -> Result<RecordsRead, RecordsError> {
    let named = |source| RecordsError { path: path.to_owned(), source };
    let read = if path == Path::new("-") {
        evidence.read_records(io::stdin().lock(), filter)
    } else {
        File::open(path).and_then(|file| evidence.read_records(BufReader::new(file), filter))
    };
    read.map_err(named)
}

/// Warns of what was not used.
fn tell(path: &Path, read: RecordsRead) {
    let RecordsRead { records, unreadable, left_out } = read;
    let path = policy::plain(&path.display().to_string());
    if unreadable > 0 {
        tracing::warn!("{path}: {unreadable} lines are no records of schema sphere.record/1, {records} are");
    }
    if left_out > 0 {
        tracing::warn!("{path}: {left_out} names or ports are left out: filter for fewer");
    }
}
