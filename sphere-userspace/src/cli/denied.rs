//! `sphere denied`: what was denied, how often, since when and why, from the store.

use std::path::PathBuf;

use clap::Args;
use clap::builder::PossibleValuesParser;

use super::filter::Asked;
use super::{Exit, follow};
use crate::render::{self, Format};
use crate::store::{Field, Fields, Query};

/// Lines of a table when nothing else is said.
const TOP: usize = 20;
/// What makes a line when nothing else is said.
const BY: [Field; 6] = [Field::Device, Field::To, Field::Port, Field::Direction, Field::Verdict, Field::Reason];

/// What `--help` says below the options.
const HELP: &str = "\
Without --json and --csv: a table of the 20 lines with the most packets.
Totals are exact, and kept by the hour: --since and --until take what a flow
had in an hour whole, by its last and its first packet.

Examples:
  sphere denied --since 24h
  sphere denied --device 10.20.0.5 --by to,port,reason
  sphere denied --to example.com --by device
  sphere denied --by hour,reason --since 7d --csv
  sphere denied --follow --group cameras";

#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(super) struct Options {
    #[command(flatten)]
    asked: Asked,
    /// How many lines, those with the most packets; 0 for all
    #[arg(long, value_name = "N", value_parser = top)]
    top: Option<usize>,
    /// What makes a line, of: day, hour, device, group, to, name, protocol, port, direction, verdict, reason
    #[arg(long, value_name = "FIELDS", value_parser = fields(), hide_possible_values = true, value_delimiter = ',')]
    by: Vec<String>,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
    /// Print comma-separated values with a header (RFC 4180)
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Look once a second, and print what grew, until interrupted
    #[arg(long, conflicts_with_all = ["since", "until", "top"])]
    follow: bool,
}

impl Options {
    /// What is asked, and how the answer is to look.
    fn meaning(self) -> (PathBuf, Query, Format) {
        let format = match (self.json, self.csv) {
            (true, _) => Format::Json,
            (false, true) => Format::Csv,
            (false, false) => Format::Table,
        };
        let top = match self.top {
            None => (format == Format::Table).then_some(TOP),
            Some(0) => None,
            some => some,
        };
        let by: Fields = if self.by.is_empty() {
            BY.into_iter().collect()
        } else {
            self.by.iter().filter_map(|word| word.parse::<Field>().ok()).collect()
        };
        let (store, filter) = self.asked.meaning();
        (store, Query { filter, by, top }, format)
    }
}

pub(super) fn run(options: Options) -> anyhow::Result<Exit> {
    options.asked.check()?;
    let is_followed = options.follow;
    let (store, query, format) = options.meaning();
    if is_followed {
        return follow::run(store, query, format);
    }
    let answer = query.ask(&store)?;
    render::denied(&answer, format)?;
    Ok(Exit::without(&answer.left_out))
}

fn fields() -> PossibleValuesParser {
    PossibleValuesParser::new(Field::ALL.map(Field::word))
}

fn top(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_no_number| "write how many lines, 0 for all".to_owned())
}
