//! Forwarding and address translation: without them devices reach nothing, whatever the policy says.

use std::fs;
use std::net::IpAddr;

use serde_json::Value;

use super::finding::{Area, Finding, State};
use super::said;
use crate::policy::Policy;
use crate::resolve::Special;

pub(super) fn findings(policy: &Policy) -> Vec<Finding> {
    let subnets: Vec<IpAddr> = policy.groups.iter().flat_map(|group| &group.subnets).map(ipnet::IpNet::addr).collect();
    let read = |path: &str| fs::read_to_string(path).ok();
    let mut findings = Vec::new();
    if subnets.iter().any(IpAddr::is_ipv4) {
        let value = read("/proc/sys/net/ipv4/ip_forward");
        findings.push(of_forwarding("IPv4", value.as_deref(), "net.ipv4.ip_forward"));
    }
    if subnets.iter().any(IpAddr::is_ipv6) {
        let value = read("/proc/sys/net/ipv6/conf/all/forwarding");
        findings.push(of_forwarding("IPv6", value.as_deref(), "net.ipv6.conf.all.forwarding"));
    }
    if subnets.iter().any(|address| address.is_ipv4() && Special::of(*address) == Some(Special::Private)) {
        let rules = said("nft", &["-j", "list", "ruleset"]);
        findings.push(of_translation(rules.as_deref(), said("iptables-save", &["-t", "nat"]).as_deref()));
        let ports: Vec<&str> = policy.interfaces.iter().map(|port| port.name.as_str()).collect();
        findings.extend(of_flowtables(rules.as_deref(), &ports));
    }
    findings
}

fn of_forwarding(family: &str, value: Option<&str>, key: &str) -> Finding {
    match value.map(str::trim) {
        Some("0") => Finding::new(
            Area::Forwarding,
            State::Problem,
            format!("{family} is not forwarded: devices reach nothing beyond the gateway"),
            format!("sysctl -w {key}=1"),
        ),
        Some(_) => Finding::ok(Area::Forwarding, format!("{family} is forwarded")),
        None => Finding::unknown(Area::Forwarding, format!("whether {family} is forwarded cannot be read")),
    }
}

/// Devices with private addresses need address translation, here or further on.
fn of_translation(nft: Option<&str>, iptables: Option<&str>) -> Finding {
    let is_there = |text: &str| {
        text.contains("masquerade")
            || text.contains("MASQUERADE")
            || text.contains("\"snat\"")
            || text.contains("-j SNAT")
    };
    match (nft, iptables) {
        (None, None) => Finding::unknown(
            Area::Forwarding,
            "address translation is not looked at: neither `nft` nor `iptables-save` tells of it".to_owned(),
        ),
        (nft, iptables) if nft.is_some_and(is_there) || iptables.is_some_and(is_there) => {
            Finding::ok(Area::Forwarding, "there is a rule that translates source addresses")
        }
        _ => Finding::new(
            Area::Forwarding,
            State::Warning,
            "devices have private addresses, and no rule here translates them",
            "nft add rule ip nat postrouting oifname \"WAN\" masquerade, unless a router further on does it",
        ),
    }
}

/// Flow tables forward packets past what judges them later.
fn of_flowtables(nft: Option<&str>, ports: &[&str]) -> Vec<Finding> {
    let rules: Value = nft.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let items = rules["nftables"].as_array().cloned().unwrap_or_default();
    let mut findings = Vec::new();
    for table in items.iter().filter_map(|item| item.get("flowtable")) {
        let devices: Vec<&str> = match &table["dev"] {
            Value::String(device) => vec![device],
            Value::Array(devices) => devices.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let is_offloaded = table["flags"].as_str() == Some("offload");
        let shared: Vec<&str> = devices.iter().copied().filter(|device| ports.contains(device)).collect();
        if !shared.is_empty() && is_offloaded {
            findings.push(Finding::new(
                Area::Forwarding,
                State::Problem,
                format!(
                    "the flow table {} is offloaded to hardware on {}: what it forwards is not judged",
                    table["name"],
                    shared.join(", ")
                ),
                "remove `flags offload` of the flow table, or its device ports",
            ));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_that_does_not_forward_is_told_how_to() {
        let finding = of_forwarding("IPv4", Some("0\n"), "net.ipv4.ip_forward");
        assert_eq!(
            (finding.state, finding.remedy.as_deref()),
            (State::Problem, Some("sysctl -w net.ipv4.ip_forward=1"))
        );
        assert_eq!(of_forwarding("IPv4", Some("1\n"), "x").state, State::Ok);
    }

    #[test]
    fn translation_is_found_in_either_language() {
        let nft = r#"{"nftables":[{"rule":{"expr":[{"masquerade":null}]}}]}"#;
        assert_eq!(of_translation(Some(nft), None).state, State::Ok);
        assert_eq!(of_translation(None, Some("-A POSTROUTING -o wan0 -j MASQUERADE")).state, State::Ok);
        assert_eq!(of_translation(Some("{}"), None).state, State::Warning);
        assert_eq!(of_translation(None, None).state, State::Unknown);
    }

    #[test]
    fn only_offloaded_flow_tables_on_device_ports_are_a_problem() {
        let nft = |device: &str, flags: &str| {
            format!(r#"{{"nftables":[{{"flowtable":{{"name":"f","dev":["{device}","wan0"]{flags}}}}}]}}"#)
        };
        let count = |text: &str| of_flowtables(Some(text), &["lan0"]).len();
        assert_eq!(count(&nft("lan0", r#","flags":"offload""#)), 1);
        assert_eq!(count(&nft("lan0", "")), 0);
        assert_eq!(count(&nft("lan9", r#","flags":"offload""#)), 0);
    }
}
