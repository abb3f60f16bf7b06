//! What leads to which step of the boot chain: rules, and endpoints of profiles that the policy leaves out.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::policy::{Policy, Protocol, Service, Step};
use crate::reconcile::{Installed, label_text};

const TCP: u8 = 6;
const UDP: u8 = 17;

/// One thing that devices reach, and to which step it belongs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signpost {
    /// A name (`{}` in it stands for one label, `*.` before it for what is below), an address, or a prefix.
    host: String,
    /// IP protocols and ports; port 0 stands for all.
    services: BTreeSet<(u8, u16)>,
    /// The step.
    pub step: Step,
    /// What would have to change in the policy; absent when a rule is there.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub remedy: Option<String>,
}

/// The signposts of each group, by its number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signposts(BTreeMap<u32, Vec<Signpost>>);

/// Where a packet that was denied was going.
#[derive(Clone, Copy, Debug)]
pub(super) struct Goal<'a> {
    /// The address.
    pub(super) peer: IpAddr,
    /// Names that stand for it.
    pub(super) names: &'a [String],
    /// IP protocol and port.
    pub(super) service: (u8, u16),
}

impl Signposts {
    /// Of a policy whose groups have the numbers that are installed.
    #[must_use]
    pub fn of_policy(policy: &Policy, installed: &Installed) -> Self {
        let numbers: BTreeMap<&str, u32> =
            installed.group_labels.iter().map(|(number, label)| (label_text(&label.text), *number)).collect();
        let mut signposts = Self::default();
        for group in &policy.groups {
            let Some(number) = numbers.get(group.name.as_str()) else { continue };
            let rules = group.rules.iter().filter_map(|rule| {
                let (host, services) = (rule.target.to_string(), services(&rule.services));
                Some(Signpost { host, services, step: rule.step?, remedy: None })
            });
            let left_out = group.left_out.iter().map(|left_out| Signpost {
                host: left_out.host.clone(),
                services: services(&left_out.services),
                step: left_out.step,
                remedy: Some(left_out.remedy.clone()),
            });
            signposts.0.insert(*number, rules.chain(left_out).collect());
        }
        signposts
    }

    /// Of what is installed alone: what the policy leaves out is unknown.
    #[must_use]
    pub fn of_tables(installed: &Installed) -> Self {
        let mut signposts = Self::default();
        for label in installed.rule_labels.values() {
            let step = Step::from_number(label.step()).filter(|step| Step::OF_ENDPOINTS.contains(step));
            let mut words = label_text(&label.text).split(' ');
            if let (Some(step), Some(host)) = (step, words.next()) {
                let services: BTreeSet<Service> = words.filter_map(|word| word.parse().ok()).collect();
                let services = self::services(&services);
                let signpost = Signpost { host: host.to_owned(), services, step, remedy: None };
                signposts.0.entry(label.group).or_default().push(signpost);
            }
        }
        signposts
    }

    /// What a name leads to that was asked for; a name itself comes before names of which it is one.
    pub(super) fn of_name(&self, group: u32, name: &str) -> Option<&Signpost> {
        let signposts = self.of_group(group);
        let itself = signposts.iter().find(|signpost| signpost.host == name);
        itself.or_else(|| signposts.iter().find(|signpost| signpost.is_named(name)))
    }

    /// What a packet leads to: the endpoint that it goes to; or the step that alone uses its service.
    pub(super) fn of_goal(&self, group: u32, goal: &Goal<'_>) -> Option<&Signpost> {
        let signposts = self.of_group(group);
        let leads =
            |signpost: &&Signpost| signpost.is_at(goal.peer) || goal.names.iter().any(|name| signpost.is_named(name));
        let serves = |signpost: &&Signpost| signpost.serves(goal.service);
        let exact = signposts.iter().filter(serves).find(leads);
        exact.or_else(|| signposts.iter().find(leads)).or_else(|| {
            let mut found = signposts.iter().filter(serves);
            let first = found.next()?;
            found.all(|other| other.step == first.step).then_some(first)
        })
    }

    fn of_group(&self, group: u32) -> &[Signpost] {
        self.0.get(&group).map(Vec::as_slice).unwrap_or_default()
    }
}

impl Signpost {
    fn is_named(&self, name: &str) -> bool {
        if let Some(above) = self.host.strip_prefix("*.") {
            return name.strip_suffix(above).is_some_and(|front| front.len() > 1 && front.ends_with('.'));
        }
        match self.host.split_once("{}") {
            None => self.host == name,
            Some((before, behind)) => {
                let label = name.strip_prefix(before).and_then(|rest| rest.strip_suffix(behind));
                label.is_some_and(|label| !label.is_empty() && !label.contains('.'))
            }
        }
    }

    fn is_at(&self, peer: IpAddr) -> bool {
        match self.host.parse::<IpAddr>() {
            Ok(address) => address == peer,
            Err(_) => self.host.parse::<IpNet>().is_ok_and(|net| net.contains(&peer)),
        }
    }

    fn serves(&self, (protocol, port): (u8, u16)) -> bool {
        self.services.contains(&(protocol, port)) || self.services.contains(&(protocol, 0))
    }
}

fn services(services: &BTreeSet<Service>) -> BTreeSet<(u8, u16)> {
    let numbers = |service: &Service| match service.protocol() {
        Protocol::Tcp => Some((TCP, service.port_number())),
        Protocol::Udp => Some((UDP, service.port_number())),
        Protocol::Icmp => None,
    };
    services.iter().filter_map(numbers).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signpost(host: &str, services: &[(u8, u16)], step: Step) -> Signpost {
        Signpost { host: host.to_owned(), services: services.iter().copied().collect(), step, remedy: None }
    }

    fn signposts() -> Signposts {
        let all = vec![
            signpost("check.example.net", &[(TCP, 80)], Step::ConnectionCheck),
            signpost("update.example.net", &[(TCP, 80), (TCP, 443)], Step::Update),
            signpost("update.example.org", &[(TCP, 443)], Step::Update),
            signpost("time.example.net", &[(UDP, 123)], Step::Time),
            signpost("192.0.2.0/28", &[(UDP, 123)], Step::Time),
            signpost("{}.hubs.example.net", &[(TCP, 8883)], Step::Application),
            signpost("*.fleet.example.net", &[(TCP, 8883)], Step::Application),
            signpost("own.fleet.example.net", &[(TCP, 443)], Step::Update),
        ];
        Signposts(BTreeMap::from([(3, all)]))
    }

    #[test]
    fn names_lead_to_their_step() {
        let signposts = signposts();
        let step = |name| signposts.of_name(3, name).map(|signpost| signpost.step);
        assert_eq!(step("check.example.net"), Some(Step::ConnectionCheck));
        assert_eq!(step("contoso.hubs.example.net"), Some(Step::Application));
        assert_eq!(step("a.b.hubs.example.net"), None, "one label");
        assert_eq!(step("x.y.fleet.example.net"), Some(Step::Application));
        assert_eq!(step("fleet.example.net"), None);
        assert_eq!(step("other.example.net"), None);
        assert_eq!(step("own.fleet.example.net"), Some(Step::Update), "a name before all names below another");
        assert_eq!(signposts.of_name(4, "check.example.net"), None, "another group");
    }

    #[test]
    fn packets_lead_to_the_step_of_their_endpoint_or_of_their_service() {
        let signposts = signposts();
        let step = |peer: [u8; 4], name: &str, service| {
            let names = [name.to_owned()];
            let goal = Goal { peer: peer.into(), names: if name.is_empty() { &[] } else { &names }, service };
            signposts.of_goal(3, &goal).map(|signpost| signpost.step)
        };
        let stranger = [198, 51, 100, 1];
        assert_eq!(step(stranger, "update.example.net", (TCP, 80)), Some(Step::Update));
        assert_eq!(step(stranger, "update.example.net", (TCP, 8080)), Some(Step::Update), "at another port");
        assert_eq!(step([192, 0, 2, 9], "", (TCP, 9)), Some(Step::Time), "an address of a rule");
        assert_eq!(step(stranger, "", (UDP, 123)), Some(Step::Time), "no other step uses the service");
        assert_eq!(step(stranger, "", (TCP, 80)), None, "two steps use it");
        assert_eq!(step(stranger, "", (TCP, 22)), None);
    }
}
