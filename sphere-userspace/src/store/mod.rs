//! The account of denials on disk: what was denied to whom, how often, since when and why, in SQLite files by day.
//!
//! Place in the data flow: absolute totals from the kernel ([`Denial`]) → difference to what was written before → rows
//! by flow and hour. Invariant: at any moment, also after a crash, the totals in the files are what the kernel had
//! counted when they were last written: nothing is missing, nothing is there twice. docs/store.md describes the files.

mod bases;
mod batch;
mod day;
mod denial;
mod denied;
mod dictionary;
mod error;
mod export;
mod file;
mod follow;
mod info;
mod kind;
mod query;
mod records;
mod schema;
mod settings;
mod writer;

pub use denial::Denial;
pub use denied::{DeniedByGroup, DeniedKind};
pub use error::StoreError;
pub use export::{ExportError, Exported, export};
pub use follow::Follow;
pub use info::{FileInfo, StoreInfo, info};
pub use kind::StoredKind;
pub(crate) use query::net;
pub use query::{Answer, Field, Fields, Filter, KindPart, Line, Query, Sum, Target};
pub use settings::{DEFAULT_DIRECTORY, StoreSettings, WhenFull};
pub use writer::{Outcome, Store, StoreStats};
