//! What capabilities of an application mean for the network, beyond hosts and ports.

use super::super::json::{Json, Member};
use crate::policy::{Findings, Located, nearest, plain};

/// Capabilities with a meaning for the network: what they let the application do, and what to do about it.
const TELLING: [(&str, &str, &str); 7] = [
    (
        "TimeSyncConfig",
        "the application may set time servers of its own, which the manifest does not name",
        "if it does, allow them at udp/123: with the option `ntp` of the profile azure-sphere, or by [[group.allow]]",
    ),
    (
        "NetworkConfig",
        "the application may set DNS servers, a static address or a proxy of its own, which the manifest does not name",
        "if it does: such resolvers belong into `resolvers`, a static address has to lie in `subnets`, and a proxy \
         belongs into the option `proxy` of the profile azure-sphere",
    ),
    (
        "HardwareAddressConfig",
        "the application may change the hardware address of the device",
        "if it does, look at DHCP reservations and at whatever else tells devices apart by that address",
    ),
    (
        "WifiConfig",
        "the application may join other wireless networks, where this gateway guards nothing",
        "if it does, see that every network it knows is behind the gateway",
    ),
    (
        "EnterpriseWifiConfig",
        "the application may join other wireless networks, where this gateway guards nothing",
        "if it does, see that every network it knows is behind the gateway",
    ),
    (
        "SntpService",
        "the device may be the time server of a network of its own",
        "nothing to allow: hosts there do not pass the gateway. See that the device is not asked from elsewhere",
    ),
    (
        "DhcpService",
        "the device may be the DHCP server of a network of its own",
        "nothing to allow: hosts there do not pass the gateway. See that it is another network than the gateway's, \
         where two DHCP servers lead devices astray",
    ),
];

/// Every other capability: of peripherals, storage and updates, and of talk between applications of one device.
const OTHERS: [&str; 15] = [
    "Adc",
    "AllowedApplicationConnections",
    "CertStore",
    "DeviceAuthentication",
    "Gpio",
    "I2cMaster",
    "I2sSubordinate",
    "MutableStorage",
    "PowerControls",
    "Pwm",
    "SoftwareUpdateDeferral",
    "SpiMaster",
    "SystemEventNotifications",
    "SystemTime",
    "Uart",
];

/// Capabilities that are read elsewhere.
const READ: [&str; 3] = ["AllowedConnections", "AllowedTcpServerPorts", "AllowedUdpServerPorts"];

/// Warns of a capability that means something for the network, and of one that nobody knows.
pub(super) fn warn(member: &Member, name: &str, findings: &mut Findings) {
    if let Some((_, message, remedy)) = TELLING.iter().find(|(telling, ..)| *telling == name) {
        // `null` and `false` are there in templates.
        if member.value.value != Json::Null && member.value.boolean(findings) == Some(true) {
            findings.warn(&member.key.span, format!("{name}: {message}"), *remedy);
        }
    } else if !OTHERS.contains(&name) {
        let known: Vec<&str> = READ.into_iter().chain(TELLING.map(|(telling, ..)| telling)).chain(OTHERS).collect();
        report_unknown((&member.key, name), &known, findings);
    }
}

/// Warns of a key that nobody knows: what it asks for is not read.
pub(super) fn report_unknown((key, name): (&Located<String>, &str), known: &[&str], findings: &mut Findings) {
    let remedy = match nearest(name, known.iter().copied(), 1).first() {
        Some(near) => format!("write \"{near}\", if that is meant: what stands here is not read"),
        None => "look up what it asks for: what stands here is not read".to_owned(),
    };
    findings.warn(&key.span, format!("unknown key `{}`", plain(name)), remedy);
}
