//! What commands print, compared with files: `tests/snapshots`. `SPHERE_WRITE_SNAPSHOTS=1 cargo test` writes them anew.

#![allow(clippy::expect_used, reason = "a test that panics has failed")]

use std::path::Path;

/// Columns that people's output may take.
const COLUMNS: usize = 80;

/// Compares what is printed with the file of this name; text for people must fit.
pub(crate) fn check(name: &str, printed: &str) {
    check_columns(name, printed, COLUMNS);
}

/// The same, where a terminal has so many columns.
pub(crate) fn check_columns(name: &str, printed: &str, columns: usize) {
    check_file(&format!("tests/snapshots/{name}"), printed);
    if !name.ends_with(".json") {
        let wide = printed.lines().find(|line| line.chars().count() > columns);
        assert_eq!(wide, None, "wider than {columns} columns");
    }
}

/// Compares what is generated with a file that is shipped, by its path from the package.
pub(crate) fn check_file(name: &str, printed: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    if std::env::var_os("SPHERE_WRITE_SNAPSHOTS").is_some() {
        std::fs::write(&path, printed).expect("the snapshot can be written");
    }
    let kept = std::fs::read_to_string(&path).expect("the snapshot is there");
    assert_eq!(printed, kept, "{name} differs from what is kept");
}
