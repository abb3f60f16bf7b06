//! The kernel: its release and features, the BPF file system, capabilities, the clock.

use std::fs;
use std::path::Path;

use super::finding::{Area, Finding, State};
use crate::datapath::{DatapathError, Pins, monotonic};
use crate::privilege;

/// The release with TCX (`BPF_TCX_INGRESS`); before it clsact is used.
const TCX: (u32, u32) = (6, 6);

pub(super) fn findings(pin_root: &Path) -> Vec<Finding> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    vec![
        of_release(release.trim(), privilege::check_kernel()),
        found(
            privilege::check_capabilities(),
            "this process may load and attach programs",
            "run it as root: `sudo sphere doctor`",
        ),
        found(
            Pins::new(pin_root).check_bpffs(),
            &format!("{} is on a BPF file system", pin_root.display()),
            "mount -t bpf bpf /sys/fs/bpf",
        ),
        of_jit(fs::read_to_string("/proc/sys/net/core/bpf_jit_enable").ok().as_deref()),
        of_clock(monotonic::is_synchronized()),
    ]
}

fn of_release(release: &str, checked: Result<(), DatapathError>) -> Finding {
    match checked {
        Err(error) => Finding::new(
            Area::Kernel,
            State::Problem,
            format!("kernel {release}: {error}"),
            "boot a kernel of 6.1 or later",
        ),
        Ok(()) => {
            let attached =
                if privilege::version(release) >= Some(TCX) { "TCX" } else { "clsact, as there is no TCX yet" };
            Finding::ok(Area::Kernel, format!("kernel {release}: tc programs are attached by {attached}"))
        }
    }
}

fn found(checked: Result<(), DatapathError>, fine: &str, remedy: &str) -> Finding {
    match checked {
        Ok(()) => Finding::ok(Area::Kernel, fine),
        Err(error) => Finding::new(Area::Kernel, State::Problem, error.to_string(), remedy),
    }
}

/// `/proc/sys/net/core/bpf_jit_enable` (Documentation/admin-guide/sysctl/net.rst).
fn of_jit(value: Option<&str>) -> Finding {
    match value.map(str::trim) {
        Some("0") => Finding::new(
            Area::Kernel,
            State::Problem,
            "programs are interpreted: each packet costs many times as much",
            "sysctl -w net.core.bpf_jit_enable=1",
        ),
        Some(_) => Finding::ok(Area::Kernel, "programs are compiled (bpf_jit_enable)"),
        None => Finding::unknown(Area::Kernel, "whether programs are compiled cannot be read"),
    }
}

fn of_clock(synchronized: std::io::Result<bool>) -> Finding {
    match synchronized {
        Ok(true) => Finding::ok(Area::Clock, "the kernel's clock is synchronized"),
        Ok(false) => Finding::new(
            Area::Clock,
            State::Warning,
            "the kernel does not know its clock to be right: records and the store are dated by it",
            "start an NTP client: systemctl enable --now systemd-timesyncd, or install chrony",
        ),
        Err(error) => Finding::unknown(Area::Clock, format!("the clock's state cannot be read: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_comes_with_what_mends_it() {
        assert_eq!(of_jit(Some("1\n")).state, State::Ok);
        assert_eq!(of_jit(Some("0\n")).remedy.as_deref(), Some("sysctl -w net.core.bpf_jit_enable=1"));
        assert_eq!((of_clock(Ok(true)).state, of_clock(Ok(false)).state), (State::Ok, State::Warning));
        let old = of_release("5.10.0", Err(DatapathError::NoKernelFeature { feature: "bpf_loop" }));
        assert!(old.state == State::Problem && old.what.contains("5.10.0"), "{old:?}");
        assert!(of_release("6.1.0-40", Ok(())).what.contains("clsact"));
    }
}
