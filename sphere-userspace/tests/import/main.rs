//! What `sphere import` makes of files of other makers, and what it says of each mistake.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod command;
#[path = "../support/imported.rs"]
mod imported;
mod manifest;
mod policy;
mod service_tags;

use std::path::{Path, PathBuf};

pub(crate) use imported::{check, each, lines, said};

/// Where files of these tests are.
pub(crate) fn directory(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import").join(name)
}

/// A policy with one group, and in it these lines.
pub(crate) fn policy_with(lines: &str) -> String {
    format!(
        "version = 1\n\n[[interface]]\nname = \"lan0\"\nother_sources = \"deny\"\n\n[[group]]\nname = \"sphere\"\n\
         mode = \"enforce\"\ninterfaces = [\"lan0\"]\nsubnets = [\"10.20.0.0/24\"]\n{lines}"
    )
}
