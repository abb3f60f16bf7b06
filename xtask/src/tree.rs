//! Where things are in the source tree.

use std::path::PathBuf;

/// The root of the repository: of the tree that cargo runs in, for several may share one target directory.
pub(crate) fn root() -> PathBuf {
    let own = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let mut path = PathBuf::from(own);
    path.pop();
    path
}

/// The directory of what cargo builds for the host.
pub(crate) fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(directory) => root().join(directory),
        None => root().join("target"),
    }
}

/// The tools that setup builds: kept apart from the host's.
pub(crate) fn tools() -> PathBuf {
    root().join("target/tools")
}

/// The directory of what cargo builds for the BPF target.
pub(crate) fn bpf_target() -> PathBuf {
    root().join("target/bpf")
}

/// The object with the two programs, which the daemon embeds.
pub(crate) fn object() -> PathBuf {
    bpf_target().join("bpfel-unknown-none/bpf/sphere-ebpf")
}
