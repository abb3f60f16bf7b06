//! What `sphere import mud` makes of the files in `tests/import/mud`, what it says of each mistake, and that an exported file
//! comes back as it was.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod files;
#[path = "../support/imported.rs"]
mod imported;
mod round_trip;

use std::path::{Path, PathBuf};

use imported::{check, each, lines, said};

/// Where files of these tests are.
fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import/mud")
}
