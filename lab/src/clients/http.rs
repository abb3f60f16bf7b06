//! HTTP and HTTPS with curl, which resolves, connects and verifies as a device would.

use std::net::IpAddr;

use anyhow::Result;

use super::{Attempt, Trust};
use crate::net::Device;

/// Fetches `url` and compares the body with `expected`.
///
/// # Errors
/// When curl cannot be run at all.
pub fn fetch(device: &Device, url: &str, expected: &str, trust: Trust<'_>) -> Result<Attempt> {
    fetch_at(device, (url, None), expected, trust)
}

/// Like [`fetch`], from a given address instead of what the name resolves to.
///
/// # Errors
/// When curl cannot be run at all.
pub fn fetch_at(
    device: &Device,
    (url, address): (&str, Option<IpAddr>),
    expected: &str,
    trust: Trust<'_>,
) -> Result<Attempt> {
    let root = trust.root.display().to_string();
    let seconds = trust.limit.as_secs_f32().to_string();
    let pinned = address.map(|address| match address {
        IpAddr::V4(address) => format!("::{address}:"),
        IpAddr::V6(address) => format!("::[{address}]:"),
    });
    let mut arguments = vec!["-q", "-sS", "--noproxy", "*", "--max-time", &seconds];
    arguments.extend(["--cacert", &root]);
    if let Some(pinned) = &pinned {
        arguments.extend(["--connect-to", pinned]);
    }
    arguments.push(url);
    let done = device.run("curl", &arguments, trust.limit * 2)?;
    Ok(Attempt::judge(&done, |done| (done.stdout == expected).then(|| format!("\"{expected}\""))))
}
