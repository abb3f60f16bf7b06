//! What is handed to the store, and what tells one account from another.

use std::net::IpAddr;
use std::time::SystemTime;

use sphere_common::verdict::{Direction, Reason, Verdict};

/// One account of denials as the kernel holds it now: absolute totals of an episode, which begins when the account is
/// opened and ends when it is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The device; `::` when the frame named none.
    pub device: IpAddr,
    /// Number of its group.
    pub group_number: u32,
    /// Name of its group when the account was opened; empty when it has none.
    pub group: String,
    /// The other side, `::` when the frame named none; [`None`] in an account of other destinations.
    pub peer: Option<IpAddr>,
    /// Names that led to the other side when the account was opened.
    pub peer_names: Vec<String>,
    /// IP protocol; [`None`] in an account of other destinations.
    pub protocol: Option<u8>,
    /// Port of the other side, for ICMP type and code, for frames that are not IP the EtherType; [`None`] in an account of other destinations.
    pub peer_port: Option<u16>,
    /// Which way the packets went.
    pub direction: Direction,
    /// Denied, or would have been.
    pub verdict: Verdict,
    /// Why.
    pub reason: Reason,
    /// Tick of the first packet: identity of the episode within the boot.
    pub episode: u64,
    /// Identity of the boot.
    pub boot: u64,
    /// Packets since the episode began.
    pub packets: u64,
    /// Bytes since the episode began.
    pub bytes: u64,
    /// When the first packet came.
    pub first: SystemTime,
    /// When the last packet came.
    pub last: SystemTime,
}

/// What tells accounts apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Account {
    pub(super) boot: u64,
    pub(super) episode: u64,
    pub(super) device: IpAddr,
    pub(super) peer: Option<IpAddr>,
    pub(super) kind: Kind,
}

/// Everything about a denial but who, to whom and when: few are shared by many accounts.
///
/// The group is its number: a group that gets another name, or is no longer in the policy, keeps its accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Kind {
    pub(super) group: u32,
    pub(super) direction: Direction,
    pub(super) verdict: Verdict,
    pub(super) reason: Reason,
    pub(super) protocol: Option<u8>,
    pub(super) port: Option<u16>,
}

impl From<&Denial> for Account {
    fn from(denial: &Denial) -> Self {
        let Denial { boot, episode, device, peer, direction, verdict, reason, protocol, peer_port, .. } = *denial;
        let (device, peer) = (device.to_canonical(), peer.map(|peer| peer.to_canonical()));
        let kind = Kind { group: denial.group_number, direction, verdict, reason, protocol, port: peer_port };
        Self { boot, episode, device, peer, kind }
    }
}
