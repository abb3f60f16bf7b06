//! nginx: HTTP for the two hosts on port 80, HTTPS for the thirteen on 443, each with its own certificate,
//! and the servers that no policy allows.
//!
//! Each HTTPS host answers with its own name, so that a client can tell which server it reached.

use std::fmt::Write as _;
use std::fs;
use std::net::{IpAddr, SocketAddr};

use anyhow::Result;

use super::socket;
use crate::net::Network;
use crate::net::plan::{server, stranger, stranger6};
use crate::pki::Authority;
use crate::process::Process;
use crate::vendor::{CONNECT_TEST, Service, UPDATE, names_of};
use crate::zone::{DUAL_HOST, DUAL4, DUAL6, UNLISTED_HOST};

/// What the connection check must find.
pub const CONNECT_TEST_BODY: &str = "Microsoft Connect Test";
/// An allowed host that listens on [`OTHER_PORT`] too.
pub const OTHER_PORT_HOST: &str = "prod.device.core.sphere.azure.net";
/// A port of an allowed host that the policy does not allow.
pub const OTHER_PORT: u16 = 8443;
/// AMQP over TLS: allowed by no row.
pub const AMQP_PORT: u16 = 5671;
/// How many addresses [`UPDATE`] can move to.
pub const ROTATION: u8 = 16;

/// The `index`th address that [`UPDATE`] can move to.
#[must_use]
pub fn rotation(index: u8) -> IpAddr {
    server(9, 1 + index % ROTATION).into()
}

/// Every address that has to listen before the lab is ready.
pub(super) fn addresses() -> impl Iterator<Item = SocketAddr> {
    let http = names_of(Service::Http).map(|name| socket(name.address, 80));
    let https = names_of(Service::Https).map(|name| socket(name.address, 443));
    http.chain(https).chain([socket(stranger(1), 443), socket(DUAL6, 443), socket(stranger6(1), 443)])
}

/// Starts nginx in the internet.
pub(super) fn start(network: &Network, authority: &Authority) -> Result<Process> {
    let directory = network.ground.path("nginx");
    fs::create_dir_all(&directory)?;
    let config = directory.join("nginx.conf");
    fs::write(&config, configuration(authority)?)?;
    let mut command = network.internet.command("nginx");
    command.arg("-p").arg(&directory).arg("-c").arg(&config);
    command.args(["-e", "stderr", "-g", "daemon off;"]);
    Process::start("nginx", command, &network.ground.path("nginx.log"))
}

fn configuration(authority: &Authority) -> Result<String> {
    let mut text = String::from(
        "worker_processes 1;\npid nginx.pid;\nuser root;\nerror_log stderr warn;\n\
         events { worker_connections 2048; }\nhttp {\naccess_log off;\nkeepalive_timeout 1h;\n\
         default_type text/plain;\nserver_names_hash_bucket_size 128;\n\
         client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; \
         uwsgi_temp_path uwsgi; scgi_temp_path scgi;\n",
    );
    writeln!(
        text,
        "server {{ listen {}:80; server_name {CONNECT_TEST}; location = /connecttest.txt {{ \
         return 200 \"{CONNECT_TEST_BODY}\"; }} }}",
        socket_text(CONNECT_TEST)
    )?;
    write!(text, "server {{ listen {}:80; ", socket_text(UPDATE))?;
    for index in 0..ROTATION {
        write!(text, "listen {}:80; ", rotation(index))?;
    }
    writeln!(text, "server_name {UPDATE}; location / {{ return 200 \"{UPDATE}\"; }} }}")?;
    for name in names_of(Service::Https) {
        let mut listen = vec![format!("{}:443", name.address)];
        if name.host == OTHER_PORT_HOST {
            listen.push(format!("{}:{OTHER_PORT}", name.address));
        }
        text += &secure(authority, name.host, &listen)?;
    }
    text += &secure(authority, DUAL_HOST, &[format!("{DUAL4}:443"), format!("[{DUAL6}]:443")])?;
    let hub = server(3, 2);
    let unlisted = [format!("{}:443", stranger(1)), format!("[{}]:443", stranger6(1)), format!("{hub}:{AMQP_PORT}")];
    text += &secure(authority, UNLISTED_HOST, &unlisted)?;
    text += "}\n";
    Ok(text)
}

/// A server block that answers over TLS with its own name.
fn secure(authority: &Authority, host: &str, listen: &[String]) -> Result<String> {
    let issued = authority.issue(host)?;
    let mut text = String::from("server { ");
    for address in listen {
        write!(text, "listen {address} ssl; ")?;
    }
    writeln!(
        text,
        "server_name {host}; ssl_certificate {}; ssl_certificate_key {}; \
         location / {{ return 200 \"{host}\"; }} }}",
        issued.certificate.display(),
        issued.key.display()
    )?;
    Ok(text)
}

fn socket_text(host: &str) -> String {
    let mut names = names_of(Service::Http).filter(|name| name.host == host);
    names.next().map_or_else(String::new, |name| name.address.to_string())
}
