//! MQTT over TLS with mosquitto's clients.

use anyhow::Result;

use super::{Attempt, Trust};
use crate::net::Device;

/// Connects and publishes one message, which the broker has to acknowledge.
///
/// # Errors
/// When mosquitto_pub cannot be run at all.
pub fn publish(device: &Device, host: &str, port: u16, trust: Trust<'_>) -> Result<Attempt> {
    let root = trust.root.display().to_string();
    let port = port.to_string();
    let arguments = ["-h", host, "-p", &port, "--cafile", &root, "-q", "1", "-t", "telemetry", "-m", "21.5", "-d"];
    let done = device.run("mosquitto_pub", &arguments, trust.limit)?;
    Ok(Attempt::judge(&done, |done| done.stdout.contains("received PUBACK").then(|| "PUBACK".to_owned())))
}
