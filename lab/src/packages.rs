//! The Debian packages that the lab takes its programs from.

/// Names for `apt-get install`.
pub const PACKAGES: [&str; 17] = [
    "iproute2",
    "ethtool",
    "nftables",
    "util-linux",
    "unbound",
    "dnsmasq-base",
    "nginx",
    "mosquitto",
    "mosquitto-clients",
    "chrony",
    "bind9-dnsutils",
    "curl",
    "openssl",
    "sqlite3",
    "rsyslog",
    "rsyslog-openssl",
    // Brings busybox, whose ping is used too.
    "udhcpc",
];
