//! `sphere store`: what the files are, and what is taken out of them.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::{Command, Output};

use serde_json::Value;
use sphere_common::verdict::Reason;

use crate::{Place, denial, text};

fn store(arguments: &[&str], place: &Place) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sphere"));
    command.arg("store").args(arguments).arg("--store").arg(&place.0).env_clear().output().unwrap()
}

#[test]
fn info_shows_each_file() {
    let place = Place::with("info", &[denial(5, 7, Reason::Destination, 12), denial(6, 7, Reason::Destination, 3)]);
    let info: Value = serde_json::from_slice(&store(&["info", "--json"], &place).stdout).unwrap();
    let file = &info["files"][0];
    assert_eq!(
        (&info["schema"], &file["records"], &file["packets"]),
        (&"sphere.store/1".into(), &2.into(), &15.into())
    );
    let shown = text(&store(&["info"], &place).stdout);
    assert!(shown.contains("denied-") && shown.contains("1 file, 2 records"), "{shown}");
    assert!(shown.lines().skip(1).all(|line| line.chars().count() <= 80), "{shown}");
}

#[test]
fn an_export_is_a_parquet_file() {
    let place = Place::with("export", &[denial(5, 7, Reason::Destination, 12)]);
    let file = place.0.join("out.parquet");
    let output = store(&["export", "--parquet", file.to_str().unwrap()], &place);
    assert!(output.status.success() && text(&output.stdout).contains("1 row"), "{output:?}");
    let bytes = fs::read(&file).unwrap();
    assert!(bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1"), "{} bytes", bytes.len());
}

#[test]
fn no_store_and_no_place_for_the_file_end_with_what_is_wrong() {
    let place = Place::new("nowhere");
    let output = store(&["info"], &place);
    assert!(output.status.code() == Some(5) && text(&output.stderr).contains("no store at"), "{output:?}");
    let place = Place::with("unwritable", &[denial(5, 7, Reason::Destination, 12)]);
    let output = store(&["export", "--parquet", "/nonexistent/out.parquet"], &place);
    assert!(
        output.status.code() == Some(1) && text(&output.stderr).contains("cannot write /nonexistent/"),
        "{output:?}"
    );
}

#[test]
fn an_export_replaces_files_only() {
    let place = Place::with("device", &[denial(5, 7, Reason::Destination, 12)]);
    let (file, link) = (place.0.join("out.parquet"), place.0.join("link"));
    fs::write(&file, "what was there").unwrap();
    symlink(&file, &link).unwrap();
    for other in [link.as_path(), place.0.as_path()] {
        let output = store(&["export", "--parquet", other.to_str().unwrap()], &place);
        assert!(output.status.code() == Some(2) && text(&output.stderr).contains("no file"), "{output:?}");
    }
    assert_eq!(fs::read_to_string(&link).unwrap(), "what was there");
    assert!(store(&["export", "--parquet", file.to_str().unwrap()], &place).status.success());
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
}
