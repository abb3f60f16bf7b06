//! rsyslog as receiver of records, over TCP, or over TLS with certificates on both sides.

use std::fs;
use std::net::SocketAddr;

use anyhow::Result;

use super::receiver::{Receiver, numbers_behind};
use super::{listens, socket};
use crate::net::Network;
use crate::net::plan::server;
use crate::pki::Authority;
use crate::process::Process;

/// Where it listens without TLS.
const TCP: u16 = 601;
/// Where it listens with TLS (RFC 5425 section 4.1).
const TLS: u16 = 6514;
/// What every line of its file begins with, as it took the message apart: facility and severity, version, program and
/// kind of message (RFC 5424 section 6).
const HEADER: &str = "132 1 sphere denied CEF:0|Sphere|Sphere|";

/// Starts it in the internet, without TLS.
///
/// # Errors
/// When it does not listen, with the end of its log.
pub fn over_tcp(network: &Network) -> Result<Receiver> {
    let at = socket(server(6, 1), TCP);
    let module = "module(load=\"imtcp\")";
    let table = format!("type = \"syslog\"\nserver = \"{at}\"\ntransport = \"tcp\"\n");
    receiver(network, ("rsyslog-tcp", at), module, table)
}

/// Starts it in the internet, with TLS: it takes records only from who shows a certificate.
///
/// # Errors
/// When it does not listen, with the end of its log.
pub fn over_tls(network: &Network, authority: &Authority) -> Result<Receiver> {
    let at = socket(server(6, 2), TLS);
    let own = authority.issue(&at.ip().to_string())?;
    let gateway = authority.issue("gateway")?;
    let root = authority.certificate();
    let module = format!(
        "global(defaultNetstreamDriverCAFile=\"{}\" defaultNetstreamDriverCertFile=\"{}\" \
         defaultNetstreamDriverKeyFile=\"{}\")\n\
         module(load=\"imtcp\" StreamDriver.Name=\"ossl\" StreamDriver.Mode=\"1\" \
         StreamDriver.AuthMode=\"x509/certvalid\")",
        root.display(),
        own.certificate.display(),
        own.key.display(),
    );
    let table = format!(
        "type = \"syslog\"\nserver = \"{at}\"\ntransport = \"tls\"\nroots = \"{}\"\ncertificate = \"{}\"\nkey = \"{}\"\n",
        root.display(),
        gateway.certificate.display(),
        gateway.key.display()
    );
    receiver(network, ("rsyslog-tls", at), &module, table)
}

fn receiver(network: &Network, (name, at): (&str, SocketAddr), module: &str, table: String) -> Result<Receiver> {
    let ground = &network.ground;
    let (config, taken, log) =
        (ground.path(&format!("{name}.conf")), ground.path(name), ground.path(&format!("{name}.log")));
    let text = format!(
        "{module}\n\
         template(name=\"taken\" type=\"string\" string=\"%pri% %protocol-version% %app-name% %msgid%%msg:::sp-if-no-1st-sp%%msg%\\n\")\n\
         ruleset(name=\"taken\") {{ action(type=\"omfile\" file=\"{}\" template=\"taken\" flushOnTXEnd=\"on\") }}\n\
         input(type=\"imtcp\" address=\"{}\" port=\"{}\" ruleset=\"taken\")\n",
        taken.display(),
        at.ip(),
        at.port()
    );
    fs::write(&config, text)?;
    let namespace = network.internet.name().to_owned();
    let start = move || {
        let mut command = std::process::Command::new("ip");
        command.args(["netns", "exec", &namespace, "rsyslogd", "-n", "-i", "NONE", "-f"]).arg(&config);
        let process = Process::start("rsyslogd", command, &log)?;
        listens(&namespace, at)?;
        Ok(process)
    };
    let heard = move || {
        let text = fs::read_to_string(&taken).unwrap_or_default();
        let whole = text.lines().filter(|line| line.starts_with(HEADER));
        Ok(whole.flat_map(|line| numbers_behind(" dpt=", line)).collect())
    };
    Receiver::open((format!("syslog {at}"), table), None, start, heard)
}
