//! Interface names as names of pins: the BPF file system reserves dots, which interface names may hold (`eth0.10`).

/// As the file name of a pin.
pub(super) fn escape(interface: &str) -> String {
    interface.replace('%', "%25").replace('.', "%2e")
}

/// From the file name of a pin.
pub(super) fn unescape(text: &str) -> String {
    text.replace("%2e", ".").replace("%25", "%")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_interface_name_survives() {
        for interface in ["lan0", "eth0.10", "br-lan", "a%2e", "w%.b"] {
            assert!(!escape(interface).contains('.'));
            assert_eq!(unescape(&escape(interface)), interface);
        }
    }
}
