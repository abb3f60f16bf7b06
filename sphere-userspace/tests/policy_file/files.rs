//! Files that are no policies, and texts that are no plain text: a clear error, and an end.

use std::path::PathBuf;

use nix::sys::stat::Mode;
use sphere_userspace::policy::{self, Diagnostic};

use crate::errors::{assert_each, replaced};
use crate::{Directory, GOOD, with};

/// The only thing that is wrong with a file.
#[track_caller]
fn refused(path: &std::path::Path) -> Diagnostic {
    let errors = policy::load(path).unwrap_err();
    let [error] = errors.diagnostics() else { panic!("{errors}") };
    assert!(errors.to_string().contains(&path.display().to_string()), "{errors}");
    error.clone()
}

#[test]
fn what_is_no_regular_file_is_refused_and_not_waited_for() {
    let directory = Directory::new("no-file");
    let pipe = directory.path("pipe");
    nix::unistd::mkfifo(&pipe, Mode::S_IRWXU).unwrap();
    let socket = directory.path("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    for (path, kind) in [
        (pipe, "a pipe"),
        (socket, "a socket"),
        (directory.path(""), "a directory"),
        (PathBuf::from("/dev/zero"), "a device"),
        (PathBuf::from("/nonexistent/policy.toml"), "cannot read"),
    ] {
        let error = refused(&path);
        assert!(error.message.contains(kind) && error.remedy.is_some(), "{error}");
    }
}

#[test]
fn a_link_to_a_policy_is_a_policy() {
    let directory = Directory::new("link");
    let file = directory.write("real.toml", GOOD);
    std::os::unix::fs::symlink(&file, directory.path("policy.toml")).unwrap();
    assert!(policy::load(&directory.path("policy.toml")).is_ok());
}

#[test]
fn a_file_over_a_mebibyte_is_refused_and_one_of_that_size_is_read() {
    let directory = Directory::new("large");
    let padded = |bytes: usize| format!("{GOOD}#{}", "x".repeat(bytes - GOOD.len() - 1));
    assert!(policy::load(&directory.write("fits.toml", padded(8 << 20))).is_ok());
    let error = refused(&directory.write("policy.toml", padded((8 << 20) + 1)));
    assert!(error.message.contains("larger than 8388608 bytes"), "{error}");
}

#[test]
fn bytes_that_are_no_text_are_named_with_their_place() {
    let directory = Directory::new("encoding");
    let error = refused(&directory.write("policy.toml", b"version = 1\n# \xc3\xbc \xff\xfe\n"));
    assert_eq!((error.message.as_str(), error.position()), ("byte 18 is not UTF-8", Some((2, 5))));
    let cut = refused(&directory.write("cut.toml", b"version = 1 # \xc3"));
    assert_eq!((cut.message.as_str(), cut.position()), ("byte 15 is not UTF-8", Some((1, 15))));
}

#[test]
fn a_profile_is_read_as_carefully() {
    let directory = Directory::new("profile-files");
    let path = directory.write("policy.toml", with("[\"azure-sphere\"]", "[\"azure-sphere\", \"./own.toml\"]"));
    let said = || policy::load(&path).unwrap_err();
    directory.write("own.toml", b"profile = \"own\"\n\xff");
    assert!(said().to_string().contains("own.toml:2:1"), "{}", said());
    std::fs::remove_file(directory.path("own.toml")).unwrap();
    nix::unistd::mkfifo(&directory.path("own.toml"), Mode::S_IRWXU).unwrap();
    let errors = said();
    let [error] = errors.diagnostics() else { panic!("{errors}") };
    assert!(error.to_string().contains("policy.toml:") && error.message.contains("own.toml is a pipe"), "{error}");
}

#[test]
fn texts_that_are_shown_hold_no_control_characters() {
    const COMMENT: &str = "\"maintenance\"";
    assert_each([
        replaced(COMMENT, "\"a\\u001b[2Jb\"", "\"a\\u001b[2Jb\"", &["\\u{1b}", "one line"]),
        replaced(COMMENT, "\"a\\nb\"", "\"a\\nb\"", &["\\u{a}"]),
        replaced(COMMENT, "\"a\u{202e}b\"", "\"a\u{202e}b\"", &["\\u{202e}"]),
        replaced("\"/sys/fs/bpf/gateway\"", "\"/sys/\\u0000\"", "\"/sys/\\u0000\"", &["\\u{0}"]),
        replaced("\"/var/log/sphere/denied.jsonl\"", "\"/a\\nb\"", "\"/a\\nb\"", &["\\u{a}"]),
    ]);
}

#[test]
fn what_a_file_says_never_acts_on_the_terminal() {
    for (from, to) in [
        ("\"video.example.net\"", "\"\\u001b[2J.example\""),
        ("\"cameras\"", "\"\\u001b[2J\""),
        ("mode = \"audit\"", "mode = \"\\u009b2J\""),
        ("learn = 2048", "\"\\u001b]0;x\\u0007\" = 2048"),
        ("hubs = [\"contoso\"]", "hubs = [\"\\u001b[2J\"]"),
        ("profiles = [\"azure-sphere\"]", "profiles = [\"\\u001b[2J\"]"),
    ] {
        let errors = policy::parse(&with(from, to), "policy.toml").unwrap_err();
        for found in errors.diagnostics() {
            for text in [found.render(), found.to_string()] {
                assert!(!text.chars().any(|character| character.is_control() && character != '\n'), "{text:?}");
            }
        }
    }
}
