//! mosquitto: MQTT over TLS on 8883 and MQTT over WebSocket over TLS on 443, for DPS and the hub's names.
//!
//! Its WebSocket listener cannot be bound to an address, and nginx holds port 443 elsewhere: connections to
//! port 443 of the brokers' addresses are redirected to a port where it listens for all of them.

use std::fmt::Write as _;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::Result;

use super::socket;
use crate::net::Network;
use crate::net::plan::server;
use crate::pki::Authority;
use crate::process::Process;
use crate::vendor::{Service, names_of};

/// Where the WebSocket listener really listens.
const WEBSOCKET: u16 = 9443;

/// The `index`th address that a broker's name can move to.
#[must_use]
pub fn rotation(index: u8) -> IpAddr {
    server(3, 100 + index % 100).into()
}

/// Every address that has to listen before the lab is ready.
pub(super) fn addresses() -> impl Iterator<Item = SocketAddr> {
    [8883, WEBSOCKET].into_iter().map(|port| socket(Ipv4Addr::LOCALHOST, port))
}

/// Starts the broker in the internet.
pub(super) fn start(network: &Network, authority: &Authority) -> Result<Process> {
    let hosts: Vec<&str> = names_of(Service::Mqtt).map(|name| name.host).collect();
    let issued = authority.issue_for("mqtt", &hosts)?;
    let mut text = String::from(
        "user root\nallow_anonymous true\npersistence false\nlog_dest stderr\nlog_type error\nlog_type warning\n",
    );
    for (port, protocol) in [(8883, "mqtt"), (WEBSOCKET, "websockets")] {
        writeln!(
            text,
            "listener {port}\nprotocol {protocol}\ncertfile {}\nkeyfile {}",
            issued.certificate.display(),
            issued.key.display()
        )?;
    }
    network.internet.nft(&format!(
        "table ip lab {{ chain prerouting {{ type nat hook prerouting priority dstnat; \
         ip daddr {}/24 tcp dport 443 redirect to :{WEBSOCKET}; }}\n}}\n",
        server(3, 0)
    ))?;
    let config = network.ground.path("mosquitto.conf");
    fs::write(&config, text)?;
    let mut command = network.internet.command("mosquitto");
    command.arg("-c").arg(&config);
    Process::start("mosquitto", command, &network.ground.path("mosquitto.log"))
}
