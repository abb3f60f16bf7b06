//! Where the programs are that the lab runs besides Debian's.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

/// The lab's own program: this one, or what `SPHERE_LAB_BIN` names (for tests that use the library).
///
/// # Errors
/// When the running program cannot be found.
pub fn lab() -> Result<PathBuf> {
    match std::env::var_os("SPHERE_LAB_BIN") {
        Some(path) => Ok(path.into()),
        None => std::env::current_exe().context("cannot find the running program"),
    }
}

/// The daemon: what `SPHERE_BIN` names, or `sphere` beside the lab's program.
///
/// # Errors
/// When there is none.
pub fn sphere() -> Result<PathBuf> {
    let path = match std::env::var_os("SPHERE_BIN") {
        Some(path) => path.into(),
        None => lab()?.with_file_name("sphere"),
    };
    if !path.is_file() {
        bail!("no daemon at {}: build it with `cargo xtask build`, or name it in SPHERE_BIN", path.display());
    }
    Ok(path)
}
