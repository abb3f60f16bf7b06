//! What a policy says about the gateway as a whole: daemon, resolver, metrics, limits, time-outs.

use std::{
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

/// The daemon's own settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DaemonSettings {
    /// Directory of the pins, on a BPF file system; the ABI version is added by the data plane.
    pub pin_root: PathBuf,
    /// Where the policies that were in force are kept; absent: where [`Self::history_of`] says.
    pub history: Option<PathBuf>,
    /// How many of them are kept.
    pub keep_policies: usize,
}

impl Default for DaemonSettings {
    fn default() -> Self {
        Self { pin_root: PathBuf::from("/sys/fs/bpf/sphere"), history: None, keep_policies: 10 }
    }
}

impl DaemonSettings {
    /// Where the policies are kept of the daemon of a pin root: each pin root has a place of its own.
    #[must_use]
    pub fn history_of(&self, pin_root: &Path) -> PathBuf {
        let own = || {
            let name = pin_root.display().to_string();
            Path::new("/var/lib/sphere/policies").join(name.trim_matches('/').replace('/', "-"))
        };
        self.history.clone().unwrap_or_else(own)
    }
}

/// The daemon's own resolver, and how long its answers hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolverSettings {
    /// Servers to ask; empty: those of /etc/resolv.conf.
    pub servers: Vec<SocketAddr>,
    /// An answer holds at least this long, whatever its TTL.
    pub ttl_floor: Duration,
    /// An answer holds at most this long, whatever its TTL.
    pub ttl_ceiling: Duration,
    /// How long an address stays allowed after its answer has ended.
    pub grace: Duration,
    /// How long to wait for one answer.
    pub timeout: Duration,
}

impl Default for ResolverSettings {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            ttl_floor: Duration::from_secs(60),
            ttl_ceiling: Duration::from_secs(60 * 60),
            grace: Duration::from_secs(10 * 60),
            timeout: Duration::from_secs(3),
        }
    }
}

/// Where the daemon serves figures of the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetricsListen {
    /// A Unix socket.
    Unix(PathBuf),
    /// A TCP port.
    Tcp(SocketAddr),
}

impl Default for MetricsListen {
    fn default() -> Self {
        Self::Unix(PathBuf::from("/run/sphere/metrics.sock"))
    }
}

impl fmt::Display for MetricsListen {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(formatter, "unix:{}", path.display()),
            Self::Tcp(address) => address.fmt(formatter),
        }
    }
}

/// Room in the kernel tables, fixed when they are created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Exact endpoints, per family.
    pub endpoints: u32,
    /// Prefix rules, per family.
    pub cidrs: u32,
    /// Devices that hold open flows.
    pub devices: u32,
    /// Flows per device and family.
    pub flows_per_device: u32,
    /// Rule numbers, the unused number 0 included.
    pub rules: u32,
    /// Event samples a second, per CPU.
    pub events_per_second: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            endpoints: 65_536,
            cidrs: 16_384,
            devices: 1_024,
            flows_per_device: 256,
            rules: 8_192,
            events_per_second: 1_000,
        }
    }
}

/// How long a flow may be idle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowTimeouts {
    /// TCP, after packets of one side only.
    pub tcp_opening: Duration,
    /// TCP, after packets of both sides.
    pub tcp_established: Duration,
    /// TCP, after a FIN or RST.
    pub tcp_closing: Duration,
    /// UDP.
    pub udp: Duration,
    /// ICMP echo.
    pub icmp: Duration,
    /// Later fragments of an allowed datagram.
    pub fragment: Duration,
}

impl Default for FlowTimeouts {
    fn default() -> Self {
        Self {
            tcp_opening: Duration::from_secs(30),
            tcp_established: Duration::from_secs(12 * 60 * 60),
            tcp_closing: Duration::from_secs(60),
            udp: Duration::from_secs(3 * 60),
            icmp: Duration::from_secs(30),
            fragment: Duration::from_secs(30),
        }
    }
}
