//! Somebody else's XDP program on the device port.

use anyhow::Result;

use crate::net::{Namespace, Network, pass};

/// Attaches it.
pub(super) fn attach(network: &Network) -> Result<()> {
    pass::attach(&network.ground, &network.gateway, "lan0", "someone_elses")
}

/// Takes it off again.
pub(super) fn detach(gateway: &Namespace) -> Result<()> {
    gateway.ip("link set dev lan0 xdpdrv off")
}
