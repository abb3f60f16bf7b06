//! The address plan.
//!
//! Server addresses look public, because the daemon refuses answers from special-purpose ranges (which
//! include the documentation prefixes) for public names. No packet with them leaves the namespaces.

use std::net::{Ipv4Addr, Ipv6Addr};

/// The devices' IPv4 subnet.
pub const DEVICES4: &str = "10.20.0.0/24";
/// The devices' IPv6 subnet.
pub const DEVICES6: &str = "fd00:20::/64";
/// The gateway on the device port.
pub const GATEWAY4: Ipv4Addr = Ipv4Addr::new(10, 20, 0, 1);
/// The gateway on the device port, IPv6.
pub const GATEWAY6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x20, 0, 0, 0, 0, 0, 1);
/// The MAC address of the gateway's device port.
pub const GATEWAY_MAC: &str = "02:00:00:20:00:fe";
/// The gateway towards the internet.
pub const WAN4: Ipv4Addr = Ipv4Addr::new(20, 41, 0, 2);
/// The gateway towards the internet, IPv6.
pub const WAN6: Ipv6Addr = Ipv6Addr::new(0x2a01, 0x111, 0xff, 0, 0, 0, 0, 2);
/// The internet's router.
pub const INTERNET4: Ipv4Addr = Ipv4Addr::new(20, 41, 0, 1);
/// The internet's router, IPv6.
pub const INTERNET6: Ipv6Addr = Ipv6Addr::new(0x2a01, 0x111, 0xff, 0, 0, 0, 0, 1);
/// Prefixes whose every address the internet namespace answers for.
pub const SERVED: [&str; 5] =
    ["20.40.0.0/16", "20.66.0.0/16", "192.168.35.0/24", "2a01:111:40::/64", "2a01:111:66::/64"];
/// The resolver of the internet: approved for devices, and the daemon's own.
pub const RESOLVER: Ipv4Addr = server(0, 53);
/// Where scenarios put a resolver of their own making: approved for devices.
pub const SCRIPTED: Ipv4Addr = server(0, 54);
/// The same over IPv6.
pub const SCRIPTED6: Ipv6Addr = Ipv6Addr::new(0x2a01, 0x111, 0x40, 0, 0, 0, 0, 0x54);
/// A resolver that nobody approved.
pub const FOREIGN_RESOLVER: Ipv4Addr = stranger(53);
/// The lab's own service for probes (echo).
pub const PROBE: Ipv4Addr = server(5, 2);
/// The lab's own service for probes, IPv6.
pub const PROBE6: Ipv6Addr = Ipv6Addr::new(0x2a01, 0x111, 0x40, 0, 0, 0, 5, 2);
/// The echo port that the policy allows.
pub const PROBE_PORT: u16 = 7000;
/// A port where the same service echoes, and which the policy does not allow.
pub const DENIED_PORT: u16 = 7001;

/// The `index`th of 50,000 addresses of the fleet's prefix where nothing listens: the internet refuses connections.
#[must_use]
pub fn refusing(index: u32) -> Ipv4Addr {
    const PER_NET: u32 = 250;
    let [.., net] = (16 + index / PER_NET % 200).to_be_bytes();
    let [.., host] = (1 + index % PER_NET).to_be_bytes();
    server(net, host)
}

/// An address of a server the fleet may use.
#[must_use]
pub const fn server(kind: u8, number: u8) -> Ipv4Addr {
    Ipv4Addr::new(20, 40, kind, number)
}

/// An address of a server that no policy allows.
#[must_use]
pub const fn stranger(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(20, 66, 0, number)
}

/// An IPv6 address of a server that no policy allows.
#[must_use]
pub const fn stranger6(number: u16) -> Ipv6Addr {
    Ipv6Addr::new(0x2a01, 0x111, 0x66, 0, 0, 0, 0, number)
}
