//! Reads `[metrics]`: whether figures of the gateway are served, and where.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use super::{
    document::{Fields, Value},
    findings::Findings,
    settings::MetricsListen,
    values,
};

/// Longest path of a Unix socket in bytes: what `sockaddr_un` holds (unix(7)), without its final zero.
const MAX_SOCKET_PATH: usize = 107;
const FORMS: &str = "write \"unix:/run/sphere/metrics.sock\", or a loopback address and a port: \"127.0.0.1:9469\"";

/// Reads the table. That it is there is enough: the socket has a usual place.
pub(super) fn metrics(mut fields: Fields<'_>, findings: &mut Findings) -> MetricsListen {
    let network = fields.take("network").and_then(|value| value.boolean(findings)).unwrap_or_default();
    let reach = if network { Reach::Network } else { Reach::Machine };
    let listen = fields.take("listen").and_then(|value| listen(&value, reach, findings));
    fields.finish(findings);
    listen.unwrap_or_default()
}

/// Who may read the figures.
#[derive(Clone, Copy)]
enum Reach {
    /// Who is on this machine.
    Machine,
    /// Whoever reaches the address.
    Network,
}

fn listen(value: &Value<'_>, reach: Reach, findings: &mut Findings) -> Option<MetricsListen> {
    let text = values::line(value, findings)?;
    if let Some(path) = text.value.strip_prefix("unix:") {
        return socket_path(path, value, findings).map(MetricsListen::Unix);
    }
    match text.value.parse::<SocketAddr>() {
        Ok(address) if address.port() != 0 => {
            is_within(reach, address.ip(), value, findings).then_some(MetricsListen::Tcp(address))
        }
        Ok(_) => {
            findings.error(&text.span, format!("`{}` has no port", text.value), FORMS);
            None
        }
        Err(_) => {
            findings.error(&text.span, format!("`{}` is no place to listen", text.value), FORMS);
            None
        }
    }
}

fn socket_path(path: &str, value: &Value<'_>, findings: &mut Findings) -> Option<PathBuf> {
    if !path.starts_with('/') || path.ends_with('/') {
        findings.error(value.span(), format!("`{path}` is no absolute path of a socket"), FORMS);
        return None;
    }
    if path.len() > MAX_SOCKET_PATH {
        let message = format!("the path of the socket is longer than {MAX_SOCKET_PATH} bytes");
        findings.error(value.span(), message, "the kernel takes none that is longer: choose a shorter one");
        return None;
    }
    Some(PathBuf::from(path))
}

/// Whether an address may be listened at. The figures name groups, rules and names, and nobody is asked for a password.
fn is_within(reach: Reach, address: IpAddr, value: &Value<'_>, findings: &mut Findings) -> bool {
    if address.to_canonical().is_loopback() {
        return true;
    }
    match reach {
        Reach::Machine => {
            let message = format!("`{address}` is no loopback address: whoever reaches it could read the metrics");
            let remedy = "write \"unix:/run/sphere/metrics.sock\" or a loopback address; or add `network = true` if your \
                          firewall lets the collector alone reach it";
            findings.error(value.span(), message, remedy);
            false
        }
        Reach::Network => {
            let message = format!("metrics are served at {address}: whoever reaches it reads them, devices too");
            findings.warn(value.span(), message, "let your firewall allow the collector alone");
            true
        }
    }
}
