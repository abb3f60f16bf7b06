//! Device ports: whether they are there, what carries them, and offloads that hide from the programs what passes.

use std::fs;
use std::path::Path;

use super::finding::{Area, Finding, State};
use super::said;
use crate::policy::{AttachMode, Policy};

/// Drivers with native XDP (`git grep ndo_bpf drivers/net` of the kernel).
const NATIVE: [&str; 26] = [
    "atlantic",
    "bnxt_en",
    "ena",
    "enetc",
    "fsl_dpaa2_eth",
    "gve",
    "hv_netvsc",
    "i40e",
    "ice",
    "igb",
    "igc",
    "ixgbe",
    "ixgbevf",
    "mana",
    "mlx4_en",
    "mlx5_core",
    "mvneta",
    "mvpp2",
    "nfp",
    "qede",
    "sfc",
    "st_gmac",
    "stmmac",
    "tun",
    "veth",
    "virtio_net",
];

pub(super) fn findings(policy: &Policy) -> Vec<Finding> {
    policy.interfaces.iter().flat_map(|port| of_port(port.name.as_str(), port.attach)).collect()
}

fn of_port(name: &str, attach: AttachMode) -> Vec<Finding> {
    let place = Path::new("/sys/class/net").join(name);
    if !place.exists() {
        let remedy =
            "name one of `ip link` in `interfaces`, or bring it up: the port is guarded as soon as it is there";
        return vec![Finding::new(Area::Ports, State::Problem, format!("there is no interface {name}"), remedy)];
    }
    let read = |file: &str| fs::read_to_string(place.join(file)).unwrap_or_default().trim().to_owned();
    let driver = fs::read_link(place.join("device/driver")).ok();
    let driver = driver.and_then(|path| Some(path.file_name()?.to_str()?.to_owned()));
    let driver = driver.or_else(|| driver_of(&said("ethtool", &["-i", name])?));
    let mut findings = vec![of_state(name, &read("operstate")), of_driver(name, driver.as_deref(), attach)];
    match said("ethtool", &["-k", name]) {
        Some(features) => findings.extend(of_features(name, &features)),
        None => {
            let what = format!("{name}: offloads are not looked at, for `ethtool` is not installed");
            findings.push(Finding::unknown(Area::Ports, what));
        }
    }
    findings
}

fn of_state(name: &str, state: &str) -> Finding {
    match state {
        "down" | "lowerlayerdown" => Finding::new(
            Area::Ports,
            State::Problem,
            format!("{name} is down"),
            format!("ip link set {name} up, and look at the cable"),
        ),
        _ => Finding::ok(Area::Ports, format!("{name} is there and {state}")),
    }
}

fn of_driver(name: &str, driver: Option<&str>, attach: AttachMode) -> Finding {
    let Some(driver) = driver else {
        let what = format!("{name}: its driver has no name; native XDP is tried, else tc is used");
        return Finding::unknown(Area::Ports, what);
    };
    if NATIVE.contains(&driver) {
        return Finding::ok(Area::Ports, format!("{name}: driver {driver} has native XDP"));
    }
    match attach {
        AttachMode::Xdp => Finding::new(
            Area::Ports,
            State::Warning,
            format!("{name}: driver {driver} is not known for native XDP, and the policy demands it"),
            format!("set mode = \"auto\" for {name} in [[interface]]"),
        ),
        _ => Finding::ok(Area::Ports, format!("{name}: driver {driver} is not known for native XDP; tc is used")),
    }
}

/// What `ethtool -k` says.
fn of_features(name: &str, features: &str) -> Vec<Finding> {
    let is_on = |feature: &str| {
        let line = features.lines().find_map(|line| line.trim().strip_prefix(feature)?.strip_prefix(": "));
        line.is_some_and(|value| value.starts_with("on"))
    };
    let mut findings = Vec::new();
    if is_on("large-receive-offload") {
        findings.push(Finding::new(
            Area::Ports,
            State::Problem,
            format!("{name}: large receive offload puts packets together before they are judged, and is wrong where packets are forwarded"),
            format!("ethtool -K {name} lro off"),
        ));
    }
    if is_on("hw-tc-offload") {
        findings.push(Finding::new(
            Area::Ports,
            State::Warning,
            format!("{name}: flows may be forwarded by the hardware, where nothing judges them"),
            format!("ethtool -K {name} hw-tc-offload off"),
        ));
    }
    if is_on("rx-vlan-offload") {
        findings.push(Finding::ok(
            Area::Ports,
            format!("{name}: the outer VLAN tag is taken off by the hardware: records do not have it (rxvlan)"),
        ));
    }
    if findings.iter().all(|finding| finding.state == State::Ok) {
        findings.push(Finding::ok(Area::Ports, format!("{name}: no offload hides packets")));
    }
    findings
}

/// The driver that `ethtool -i` names.
fn driver_of(said: &str) -> Option<String> {
    said.lines().find_map(|line| line.strip_prefix("driver: ")).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offloads_that_hide_packets_are_found() {
        let features = |lro: &str| {
            format!(
                "Features for lan0:\nrx-checksumming: on\nlarge-receive-offload: {lro}\n\
                                            rx-vlan-offload: on\nhw-tc-offload: off [fixed]\n"
            )
        };
        let states = |lro| of_features("lan0", &features(lro)).iter().map(|finding| finding.state).collect::<Vec<_>>();
        assert_eq!(states("on"), [State::Problem, State::Ok]);
        assert_eq!(states("off [fixed]"), [State::Ok, State::Ok]);
    }

    #[test]
    fn a_port_that_is_not_there_or_down_is_a_problem() {
        assert_eq!(of_port("nosuch0", AttachMode::Auto)[0].state, State::Problem);
        assert_eq!((of_state("lan0", "down").state, of_state("lan0", "up").state), (State::Problem, State::Ok));
        assert_eq!(driver_of("driver: veth\nversion: 1.0\n").as_deref(), Some("veth"));
        assert_eq!(of_driver("lan0", Some("r8169"), AttachMode::Xdp).state, State::Warning);
        assert_eq!(of_driver("lan0", Some("r8169"), AttachMode::Auto).state, State::Ok);
    }
}
