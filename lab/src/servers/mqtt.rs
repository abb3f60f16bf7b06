//! mosquitto: MQTT over TLS on 8883 and MQTT over WebSocket over TLS on 443, for DPS and the hub's names.
//!
//! Its WebSocket listener cannot be bound to an address, and nginx holds port 443 elsewhere: connections to
//! port 443 of the brokers' addresses are redirected to a port where it listens for all of them.

use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Result;

use super::socket;
use crate::net::Network;
use crate::pki::{Authority, Certificate};
use crate::process::Process;
use crate::vendor::{Service, names_of};

/// Where the WebSocket listener really listens.
const WEBSOCKET: u16 = 9443;

/// Every address that has to listen before the lab is ready.
pub(super) fn addresses() -> impl Iterator<Item = SocketAddr> {
    names_of(Service::Mqtt)
        .map(|name| socket(name.address, 8883))
        .chain([socket(Ipv4Addr::LOCALHOST, WEBSOCKET)])
}

/// Starts the broker in the internet.
pub(super) fn start(network: &Network, authority: &Authority) -> Result<Process> {
    let mut text = String::from(
        "user root\nallow_anonymous true\npersistence false\nlog_dest stderr\nlog_type error\n\
         log_type warning\n",
    );
    let mut listen = |at: &str, protocol: &str, issued: &Certificate| {
        let Certificate { certificate, key } = issued;
        let (certificate, key) = (certificate.display(), key.display());
        writeln!(
            text,
            "listener {at}\nprotocol {protocol}\ncertfile {certificate}\nkeyfile {key}"
        )
    };
    let names: Vec<_> = names_of(Service::Mqtt).collect();
    for name in &names {
        let issued = authority.issue(name.host)?;
        listen(&format!("8883 {}", name.address), "mqtt", &issued)?;
    }
    let hosts: Vec<&str> = names.iter().map(|name| name.host).collect();
    let issued = authority.issue_for("websocket", &hosts)?;
    listen(&WEBSOCKET.to_string(), "websockets", &issued)?;
    let addresses: Vec<String> = names.iter().map(|name| name.address.to_string()).collect();
    network.internet.nft(&format!(
        "table ip lab {{ chain prerouting {{ type nat hook prerouting priority dstnat; \
         ip daddr {{ {} }} tcp dport 443 redirect to :{WEBSOCKET}; }}\n}}\n",
        addresses.join(", ")
    ))?;
    let config = network.ground.path("mosquitto.conf");
    fs::write(&config, text)?;
    let mut command = network.internet.command("mosquitto");
    command.arg("-c").arg(&config);
    Process::start("mosquitto", command, &network.ground.path("mosquitto.log"))
}
