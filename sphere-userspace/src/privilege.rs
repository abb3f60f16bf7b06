//! What the process may do and what the kernel can: found before anything is touched, told with the remedy.

use std::fs;

use crate::datapath::DatapathError;

/// Capabilities that loading and attaching need, with their numbers (`include/uapi/linux/capability.h`).
const NEEDED: [(u32, &str); 3] = [(12, "CAP_NET_ADMIN"), (39, "CAP_BPF"), (38, "CAP_PERFMON")];
/// Stands for `CAP_BPF` and `CAP_PERFMON`.
const SYS_ADMIN: u32 = 21;
/// The first kernel with everything the programs use: `bpf_loop` (5.17) and XDP over fragments (5.18).
const OLDEST: (u32, u32) = (5, 18);

/// Checks the effective capabilities of this thread.
///
/// # Errors
///
/// [`DatapathError::NoCapability`] naming the first that is missing.
pub fn check_capabilities() -> Result<(), DatapathError> {
    let status = fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    match effective(&status).and_then(missing) {
        Some(capability) => Err(DatapathError::NoCapability { capability }),
        // Without /proc nothing is known; the kernel will say no where it must.
        None => Ok(()),
    }
}

/// Checks the release of the kernel.
///
/// # Errors
///
/// [`DatapathError::NoKernelFeature`].
pub fn check_kernel() -> Result<(), DatapathError> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    match version(&release) {
        Some(version) if version < OLDEST => {
            Err(DatapathError::NoKernelFeature { feature: "bpf_loop and XDP over fragments" })
        }
        _ => Ok(()),
    }
}

fn effective(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

fn missing(effective: u64) -> Option<&'static str> {
    let has = |number: u32| effective & (1 << number) != 0;
    NEEDED
        .into_iter()
        .find(|(number, _)| !has(*number) && (*number < SYS_ADMIN || !has(SYS_ADMIN)))
        .map(|(_, name)| name)
}

/// The first two numbers of a kernel's release.
pub(crate) fn version(release: &str) -> Option<(u32, u32)> {
    let mut parts = release.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_missing_capability_is_named() {
        let status = |mask: u64| format!("Name:\tsphere\nCapEff:\t{mask:016x}\nCapBnd:\t0\n");
        let named = |mask| effective(&status(mask)).and_then(missing);
        assert_eq!(named(0), Some("CAP_NET_ADMIN"));
        assert_eq!(named(1 << 12), Some("CAP_BPF"));
        assert_eq!(named(1 << 12 | 1 << 39), Some("CAP_PERFMON"));
        assert_eq!(named(1 << 12 | 1 << 39 | 1 << 38), None);
        assert_eq!(named(1 << 12 | 1 << 21), None);
        assert_eq!(named(1 << 21), Some("CAP_NET_ADMIN"));
    }

    #[test]
    fn releases_are_read_whatever_follows_the_numbers() {
        assert_eq!(version("6.1.0-40-amd64\n"), Some((6, 1)));
        assert_eq!(version("5.17"), Some((5, 17)));
        assert!(version("5.17.3-x") < Some(OLDEST));
        assert_eq!(version("unknown"), None);
    }
}
