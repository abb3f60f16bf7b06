//! DNS questions with dig.

use std::net::IpAddr;

use anyhow::Result;

use super::{Attempt, PATIENCE};
use crate::net::Device;

/// How a question travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Over UDP.
    Udp,
    /// Over TCP.
    Tcp,
}

/// Asks one question once; `kind` is the type of record, `None` as server the device's own resolver.
///
/// # Errors
/// When dig cannot be run at all.
pub fn ask(
    device: &Device,
    (host, kind): (&str, &str),
    server: Option<IpAddr>,
    transport: Transport,
) -> Result<Attempt> {
    let server = server.map(|server| format!("@{server}"));
    let mut arguments: Vec<&str> = server.as_deref().into_iter().collect();
    arguments.extend(["+short", "+tries=1", "+time=1", host, kind]);
    arguments.push(match transport {
        Transport::Udp => "+notcp",
        Transport::Tcp => "+tcp",
    });
    let done = device.run("dig", &arguments, PATIENCE)?;
    Ok(Attempt::judge(&done, |done| {
        let addresses = addresses(&done.stdout);
        let shown: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
        (!shown.is_empty()).then(|| shown.join(", "))
    }))
}

/// The addresses in the answer of `dig +short`, without the names on the way.
fn addresses(text: &str) -> Vec<IpAddr> {
    text.lines().filter_map(|line| line.trim().parse().ok()).collect()
}
