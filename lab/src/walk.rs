//! The boot chain of a device, step by step, with a row for every row of the vendor's table.

use std::path::Path;

use anyhow::Result;
use sphere_common::verdict::Verdict;

use crate::clients::{Attempt, PATIENCE, Trust, dhcp, dns, http, mqtt, ntp, websocket};
use crate::net::plan::{GATEWAY4, RESOLVER};
use crate::net::{Device, Network};
use crate::report::Flow;
use crate::servers::web::CONNECT_TEST_BODY;
use crate::vendor::{CONNECT_TEST, DEVICE_AUTH, HUB, Service, UPDATE, names_of};
use crate::zone::{DUAL_HOST, DUAL6};

/// The client that a row uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// udhcpc.
    Dhcp,
    /// dig over UDP.
    Dig,
    /// dig over TCP.
    DigTcp,
    /// curl without TLS.
    Curl,
    /// curl with TLS.
    CurlTls,
    /// curl with TLS, over IPv6.
    CurlTls6,
    /// chronyd from source port 124.
    Chrony,
    /// mosquitto_pub.
    Mosquitto,
    /// The lab's client for MQTT over WebSocket.
    WebSocket,
}

impl Client {
    /// Name for people and reports.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Dhcp => "udhcpc",
            Self::Dig => "dig",
            Self::DigTcp => "dig +tcp",
            Self::Curl | Self::CurlTls => "curl",
            Self::CurlTls6 => "curl -6",
            Self::Chrony => "chronyd",
            Self::Mosquitto => "mosquitto_pub",
            Self::WebSocket => "mqtt-websocket",
        }
    }

    /// Transport protocol of the flow that matters.
    #[must_use]
    pub const fn protocol(self) -> &'static str {
        match self {
            Self::Dhcp | Self::Dig | Self::Chrony => "udp",
            Self::DigTcp | Self::Curl | Self::CurlTls | Self::CurlTls6 | Self::Mosquitto | Self::WebSocket => "tcp",
        }
    }
}

/// One thing a device does.
#[derive(Clone, Debug)]
pub struct Row {
    /// Step of the boot chain.
    pub step: &'static str,
    /// With which client.
    pub client: Client,
    /// Which name it is about.
    pub host: String,
    /// Destination port.
    pub port: u16,
    /// Whether it is a row of the vendor's table.
    pub vendor: bool,
}

impl Row {
    /// The row as a report shows it: it should pass.
    #[must_use]
    pub fn flow(self, device: &Device, attempt: Attempt) -> Flow {
        Flow {
            device: device.name().to_owned(),
            client: self.client.word().to_owned(),
            protocol: self.client.protocol().to_owned(),
            port: Some(self.port),
            expected: Verdict::Pass.word().to_owned(),
            verdict: if attempt.succeeded { Verdict::Pass } else { Verdict::Deny }.word(),
            reason: String::new(),
            step: self.step,
            seen: attempt.detail,
            ok: attempt.succeeded,
            name: self.host,
        }
    }
}

/// The whole chain, in order.
#[must_use]
pub fn chain() -> Vec<Row> {
    let mut rows = Vec::new();
    let mut row = |step, client, host: &str, port, vendor| {
        let host = host.to_owned();
        rows.push(Row { step, client, host, port, vendor });
    };
    row("address", Client::Dhcp, "255.255.255.255", 67, false);
    row("names", Client::Dig, CONNECT_TEST, 53, true);
    row("names", Client::DigTcp, UPDATE, 53, false);
    row("names", Client::Dig, &format!("{CONNECT_TEST} at {GATEWAY4}"), 53, false);
    row("connection check", Client::Curl, CONNECT_TEST, 80, true);
    for name in names_of(Service::Ntp) {
        row("time", Client::Chrony, name.host, 123, true);
    }
    row("attestation", Client::CurlTls, DEVICE_AUTH, 443, true);
    for name in names_of(Service::Https).filter(|name| name.host != DEVICE_AUTH) {
        row("update and telemetry", Client::CurlTls, name.host, 443, true);
    }
    row("update and telemetry", Client::Curl, UPDATE, 80, true);
    for name in names_of(Service::Mqtt) {
        row("application", Client::Mosquitto, name.host, 8883, true);
        row("application", Client::WebSocket, name.host, 443, true);
    }
    row("application", Client::CurlTls6, DUAL_HOST, 443, false);
    debug_assert!(rows.iter().any(|row| row.host == HUB));
    rows
}

/// Does what a row says.
///
/// # Errors
/// When its client cannot be run at all.
pub fn take(network: &Network, device: &Device, row: &Row, root: &Path) -> Result<Attempt> {
    let trust = Trust { root, limit: PATIENCE };
    let host = row.host.as_str();
    match row.client {
        Client::Dhcp => dhcp::lease(network, device),
        Client::Dig => match host.split_once(" at ") {
            Some((host, _gateway)) => dns::ask(device, (host, "A"), Some(GATEWAY4.into()), dns::Transport::Udp),
            None => dns::ask(device, (host, "A"), None, dns::Transport::Udp),
        },
        Client::DigTcp => dns::ask(device, (host, "A"), Some(RESOLVER.into()), dns::Transport::Tcp),
        Client::Curl if host == CONNECT_TEST => {
            let url = format!("http://{host}/connecttest.txt");
            http::fetch(device, &url, CONNECT_TEST_BODY, trust)
        }
        Client::Curl => http::fetch(device, &format!("http://{host}/"), host, trust),
        Client::CurlTls => http::fetch(device, &format!("https://{host}/"), host, trust),
        Client::CurlTls6 => {
            // What it is told is its permission.
            let told = dns::ask(device, (host, "AAAA"), None, dns::Transport::Udp)?;
            if !told.succeeded {
                return Ok(told);
            }
            let url = format!("https://{host}/");
            http::fetch_at(device, (&url, Some(DUAL6.into())), host, trust)
        }
        Client::Chrony => ntp::ask(network, device, host, 6),
        Client::Mosquitto => mqtt::publish(device, host, row.port, trust),
        Client::WebSocket => websocket::publish(device, host, row.port, trust),
    }
}
