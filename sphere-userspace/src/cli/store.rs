//! `sphere store`: the files of the store, and what they have taken elsewhere.

use std::path::PathBuf;
use std::time::SystemTime;

use clap::{Args, Subcommand};

use super::Exit;
use super::filter::{Backwards, time};
use crate::render;
use crate::store::{self, DEFAULT_DIRECTORY, FileInfo, Filter};

/// What is done with the store.
#[derive(Debug, Subcommand)]
pub(super) enum StoreCommand {
    /// Write what the store has to a Parquet file
    ///
    /// A row is what a flow had in an hour. The file gets its name when it is whole; one that is there is replaced.
    Export(Export),
    /// Show the files of the store, what they have and how large they are
    Info {
        /// Directory of the store
        #[arg(long, value_name = "DIR", default_value = DEFAULT_DIRECTORY)]
        store: PathBuf,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
}

/// What is exported, and where to.
#[derive(Debug, Args)]
pub(super) struct Export {
    /// The file to write
    #[arg(long, value_name = "FILE")]
    parquet: PathBuf,
    /// Directory of the store
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DIRECTORY)]
    store: PathBuf,
    /// Only from this time on: 2026-01-31T08:00:00Z, 2026-01-31, or 2h or 7d ago
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<SystemTime>,
    /// Only until this time
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<SystemTime>,
}

pub(super) fn run(command: StoreCommand) -> anyhow::Result<Exit> {
    match command {
        StoreCommand::Export(Export { parquet, store, since, until }) => {
            Backwards::unless_in_order(since, until)?;
            let filter = Filter { since, until, ..Filter::default() };
            let exported = store::export(&store, &filter, &parquet)?;
            let rows = exported.rows;
            render::line(&format!("{}: {rows} {}", parquet.display(), if rows == 1 { "row" } else { "rows" }))?;
            Ok(Exit::without(&exported.left_out))
        }
        StoreCommand::Info { store, json } => {
            let info = store::info(&store)?;
            if json {
                render::json(&info)?;
            } else {
                render::store(&info)?;
            }
            let problem = |file: &FileInfo| Some(format!("{}: {}", file.name, file.problem?));
            Ok(Exit::without(&info.files.iter().filter_map(problem).collect::<Vec<_>>()))
        }
    }
}
