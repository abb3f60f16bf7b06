//! `sphere store`: what the files are, and what is taken out of them.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::{Command, Output};

use serde_json::Value;
use sphere_common::verdict::Reason;

use crate::{Place, denial, denied, text};

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
fn what_is_no_file_of_the_store_is_left_out_and_told_of() {
    let place = Place::with("foreign", &[denial(5, 7, Reason::Destination, 12)]);
    let name = |day: u32| place.0.join(format!("denied-2026-01-{day:02}.sqlite"));
    fs::create_dir(name(1)).unwrap();
    nix::unistd::mkfifo(&name(2), nix::sys::stat::Mode::S_IRWXU).unwrap();
    symlink("/dev/zero", name(3)).unwrap();
    fs::write(name(4), "").unwrap();
    fs::write(name(5), "no database").unwrap();
    let other = rusqlite::Connection::open(name(6)).unwrap();
    other.execute_batch("CREATE TABLE contacts (name TEXT); PRAGMA user_version = 1").unwrap();
    let newer = rusqlite::Connection::open(name(7)).unwrap();
    newer.execute_batch("CREATE TABLE hit (id INTEGER); PRAGMA user_version = 2").unwrap();
    let denied = denied(&place.0, &["--json"]);
    assert_eq!((denied.status.code(), text(&denied.stdout).lines().count()), (Some(7), 1), "{denied:?}");
    assert_eq!(text(&denied.stderr).matches("left out").count(), 7, "{denied:?}");
    let parquet = place.0.join("out.parquet");
    let exported = store(&["export", "--parquet", parquet.to_str().unwrap()], &place);
    assert_eq!(exported.status.code(), Some(7), "{exported:?}");
    assert!(text(&exported.stdout).contains("1 row"), "{exported:?}");
    let info = store(&["info", "--json"], &place);
    assert_eq!(info.status.code(), Some(7), "{info:?}");
    let info: Value = serde_json::from_slice(&info.stdout).unwrap();
    let problems: Vec<_> = info["files"].as_array().unwrap().iter().map(|file| file["problem"].as_str()).collect();
    let foreign = Some("foreign");
    let expected = [foreign, foreign, foreign, foreign, Some("damaged"), foreign, Some("other version"), None];
    assert_eq!(problems, expected);
}

#[test]
fn damage_costs_what_is_behind_it() {
    let denials: Vec<_> = (1..=250).flat_map(|device| (1..40).map(move |peer| (device, peer))).collect();
    let denials: Vec<_> = denials.iter().map(|(device, peer)| denial(*device, *peer, Reason::Destination, 3)).collect();
    let place = Place::with("page", &denials);
    let file = fs::read_dir(&place.0).unwrap().map(|entry| entry.unwrap().path());
    let file = file.into_iter().find(|path| path.extension().is_some_and(|end| end == "sqlite")).unwrap();
    let mut bytes = fs::read(&file).unwrap();
    // What describes the tables is at the beginning.
    let from = bytes.len() / 4 / 4096 * 4096;
    bytes[from..].fill(0xa5);
    fs::write(&file, bytes).unwrap();
    let parquet = place.0.join("out.parquet");
    let exported = store(&["export", "--parquet", parquet.to_str().unwrap()], &place);
    assert!(matches!(exported.status.code(), Some(7)), "{exported:?}");
    assert!(text(&exported.stderr).contains("left out"), "{exported:?}");
    assert!(fs::read(&parquet).unwrap().starts_with(b"PAR1"));
    let denied = denied(&place.0, &["--json"]);
    assert!(matches!(denied.status.code(), Some(7)), "{denied:?}");
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
    fs::create_dir_all(&place.0).unwrap();
    let file = place.0.join("file");
    fs::write(&file, "").unwrap();
    let mut info = Command::new(env!("CARGO_BIN_EXE_sphere"));
    let output = info.args(["store", "info", "--store"]).arg(&file).env_clear().output().unwrap();
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
    let own = fs::read_dir(&place.0).unwrap().map(|entry| entry.unwrap().path());
    let own = own.into_iter().find(|path| path.extension().is_some_and(|end| end == "sqlite")).unwrap();
    let output = store(&["export", "--parquet", own.to_str().unwrap()], &place);
    assert!(output.status.code() == Some(2) && text(&output.stderr).contains("store itself"), "{output:?}");
    assert_eq!(fs::read_to_string(&link).unwrap(), "what was there");
    assert!(store(&["export", "--parquet", file.to_str().unwrap()], &place).status.success());
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
}
