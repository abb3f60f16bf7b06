//! Puts the data plane into the binary: `SPHERE_EBPF_OBJECT`, or what `cargo xtask build` left under `target/bpf`.
//!
//! Without an object the crate still builds (`sphere check` and the unit tests need no data plane); `sphere run` then
//! says what is missing.

use std::path::PathBuf;
use std::{env, fs, io};

/// Where `cargo xtask build` puts the object, from the root of the workspace.
const BUILT: &str = "target/bpf/bpfel-unknown-none/bpf/sphere-ebpf";

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-env-changed=SPHERE_EBPF_OBJECT");
    let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let object = env::var_os("SPHERE_EBPF_OBJECT").map_or_else(|| manifest.join("..").join(BUILT), PathBuf::from);
    println!("cargo:rerun-if-changed={}", object.display());

    let bytes = match fs::read(&object) {
        Ok(bytes) => bytes,
        Err(error) => {
            println!(
                "cargo:warning=no data plane at {} ({error}): build it with `cargo xtask build`",
                object.display()
            );
            Vec::new()
        }
    };
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    println!("cargo:rustc-env=SPHERE_EBPF_FINGERPRINT={:016x}-{}", fnv1a(&bytes), bytes.len());
    fs::write(out.join("sphere-ebpf"), bytes)
}

/// FNV-1a, 64 bits: tells one build of the object from another; nothing depends on it being hard to forge.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
