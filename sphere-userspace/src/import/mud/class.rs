//! Classes of hosts that only the own network can fill (RFC 8520 section 4), and who belongs to them by the map.

use std::collections::BTreeMap;

use super::entry::{Class, Family, Way};
use super::meaning::is_at;
use crate::policy::{Protocol, Service, Target, plain};

/// Name servers on site (RFC 8520 section 4.6).
pub(super) const DNS: &str = "urn:ietf:params:mud:dns";
/// Time servers on site.
pub(super) const NTP: &str = "urn:ietf:params:mud:ntp";
/// The gateway: in no standard, and in many files.
pub(super) const GATEWAY: &str = "urn:ietf:params:mud:gateway";

/// Who belongs to which class on the own network: what the operator says. A class that is not there is not filled by
/// anything else; one with an empty list has nobody in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Map {
    /// Hosts by the URI of the controllers that they are.
    pub controllers: BTreeMap<String, Vec<Target>>,
    /// Devices by their manufacturer's domain, in lower case.
    pub manufacturers: BTreeMap<String, Vec<Target>>,
    /// Devices by the MUD URL of their model.
    pub models: BTreeMap<String, Vec<Target>>,
    /// Controllers of the devices that the file is about.
    pub my_controller: Option<Vec<Target>>,
    /// Networks on site.
    pub local_networks: Option<Vec<Target>>,
    /// Devices of the manufacturer of the file.
    pub same_manufacturer: Option<Vec<Target>>,
    /// Time servers on site.
    pub ntp: Option<Vec<Target>>,
}

/// What a class comes to for a service.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Members<'a> {
    /// These hosts.
    Are(Vec<&'a Target>),
    /// Whoever they are, the group's infrastructure says it: its resolvers, its DHCP servers, the gateway.
    Infrastructure,
    /// The map does not say it: what to write there.
    Unknown(String),
}

impl Map {
    /// Who of the family is in the class, where flows of the service are opened by devices or to them. `maker` is the host
    /// of the file's own URL.
    pub(super) fn members(
        &self,
        class: &Class,
        (family, opened, service): (Family, Way, Service),
        maker: Option<&str>,
    ) -> Members<'_> {
        if is_infrastructure(class, opened, service) {
            return Members::Infrastructure;
        }
        let same = || self.same_manufacturer.as_ref().or_else(|| self.manufacturers.get(maker?));
        let (members, line) = match class {
            Class::Controller(uri) if uri == NTP => {
                (self.ntp.as_ref().or_else(|| self.controllers.get(uri)), "ntp = [\"…\"]".to_owned())
            }
            Class::Controller(uri) => (self.controllers.get(uri), in_table("controllers", uri)),
            Class::MyController => (self.my_controller.as_ref(), "my_controller = [\"…\"]".to_owned()),
            Class::LocalNetworks => (self.local_networks.as_ref(), "local_networks = [\"…\"]".to_owned()),
            Class::Manufacturer(host) => (self.manufacturers.get(host), in_table("manufacturers", host)),
            Class::SameManufacturer => (same(), "same_manufacturer = [\"…\"]".to_owned()),
            Class::Model(uri) => (self.models.get(uri), in_table("models", uri)),
        };
        match members {
            Some(members) => Members::Are(members.iter().filter(|target| is_of(family, target)).collect()),
            None => Members::Unknown(line),
        }
    }
}

/// What is open without a rule: the group's resolvers and DHCP servers, and flows from the gateway itself.
fn is_infrastructure(class: &Class, opened: Way, service: Service) -> bool {
    let Class::Controller(uri) = class else { return false };
    let is_dns = is_at(service, Protocol::Udp, &[53]) || is_at(service, Protocol::Tcp, &[53]);
    let is_dhcp = is_at(service, Protocol::Udp, &[67, 547]);
    match (uri.as_str(), opened) {
        (DNS, Way::FromDevice) => is_dns,
        (GATEWAY, Way::FromDevice) => is_dns || is_dhcp,
        (GATEWAY, Way::ToDevice) => true,
        _ => false,
    }
}

fn is_of(family: Family, target: &Target) -> bool {
    match target {
        Target::Name(_) => true,
        Target::Address(address) => family.has(&(*address).into()),
        Target::Cidr(net) => family.has(net),
    }
}

/// A line of a table of the map; what a file calls the class is a basic string of TOML there.
fn in_table(table: &str, key: &str) -> String {
    let key = plain(key).replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{key}\" = [\"…\"] in [{table}]")
}
