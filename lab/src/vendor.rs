//! The vendor's table, written down from its documentation a second time: the lab is an oracle for the
//! profile, so it does not read it.

use std::net::Ipv4Addr;

use crate::net::plan::server;

/// How many CNAMEs lead from a name to its addresses, how long the answer lives, and where it leads.
#[derive(Clone, Copy, Debug)]
pub struct VendorName {
    /// The host name.
    pub host: &'static str,
    /// Links of the chain before the addresses.
    pub cnames: usize,
    /// Time to live of every record, in seconds.
    pub ttl_seconds: u32,
    /// Its address.
    pub address: Ipv4Addr,
    /// What serves it.
    pub service: Service,
}

/// Kinds of servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// HTTP on port 80.
    Http,
    /// HTTPS on port 443.
    Https,
    /// MQTT over TLS on port 8883, MQTT over WebSocket over TLS on port 443.
    Mqtt,
    /// NTP.
    Ntp,
}

const fn name(
    host: &'static str,
    service: Service,
    address: Ipv4Addr,
    (cnames, ttl_seconds): (usize, u32),
) -> VendorName {
    VendorName { host, cnames, ttl_seconds, address, service }
}

/// The connection check.
pub const CONNECT_TEST: &str = "www.msftconnecttest.com";
/// The name whose CDN addresses change most.
pub const UPDATE: &str = "prod.update.sphere.azure.net";
/// Attestation.
pub const DEVICE_AUTH: &str = "prod.deviceauth.sphere.azure.net";
/// The provisioning service.
pub const DPS: &str = "global.azure-devices-provisioning.net";
/// The hub of the lab's policy (`hubs = ["contoso"]`).
pub const HUB: &str = "contoso.azure-devices.net";
/// The hub's second name.
pub const HUB_DEVICE: &str = "contoso.device.azure-devices.net";

use Service::{Http, Https, Mqtt, Ntp};

/// Every name of the vendor's table, and the two of one hub.
///
/// Chains and lifetimes are like those of the real names; two pairs share their address, as in reality.
pub const NAMES: [VendorName; 21] = [
    name(CONNECT_TEST, Http, server(1, 1), (3, 10)),
    name(UPDATE, Http, server(1, 2), (6, 5)),
    name("anse.azurewatson.microsoft.com", Https, server(2, 1), (2, 30)),
    name("prod.device.core.sphere.azure.net", Https, server(2, 2), (3, 10)),
    name(DEVICE_AUTH, Https, server(2, 3), (3, 10)),
    name("prod.dinsights.core.sphere.azure.net", Https, server(2, 2), (3, 10)),
    name("prod.releases.sphere.azure.net", Https, server(2, 4), (6, 30)),
    name("prod.core.sphere.azure.net", Https, server(2, 5), (3, 10)),
    name("prodmsimg.blob.core.windows.net", Https, server(2, 6), (1, 30)),
    name("prodptimg.blob.core.windows.net", Https, server(2, 7), (1, 30)),
    name("prodmsimg-secondary.blob.core.windows.net", Https, server(2, 8), (2, 30)),
    name("prodptimg-secondary.blob.core.windows.net", Https, server(2, 9), (2, 30)),
    name("sphereblobeus.azurewatson.microsoft.com", Https, server(2, 10), (4, 30)),
    name("sphereblobweus.azurewatson.microsoft.com", Https, server(2, 10), (4, 30)),
    name("sphere.sb.dl.delivery.mp.microsoft.com", Https, server(2, 11), (6, 5)),
    name(DPS, Mqtt, server(3, 1), (3, 10)),
    name(HUB, Mqtt, server(3, 2), (2, 10)),
    name(HUB_DEVICE, Mqtt, server(3, 3), (2, 10)),
    name("prod.time.sphere.azure.net", Ntp, server(4, 1), (2, 30)),
    name("time.sphere.azure.net", Ntp, server(4, 2), (1, 30)),
    name("time-a-g.nist.gov", Ntp, server(4, 3), (0, 30)),
];

/// The names that a kind of server serves.
pub fn names_of(service: Service) -> impl Iterator<Item = &'static VendorName> {
    NAMES.iter().filter(move |name| name.service == service)
}
