//! Which option of a shipped profile allows something that no rule allows yet.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::diagnostic::Source;
use super::{
    findings::{Findings, Located},
    group::{Group, Origin, Target},
    name::DomainName,
    profile::{Endpoint, Kind, Library, Profile},
    profile_source,
    service::Service,
    step::Step,
};

/// An option of a profile, and the value that allows what was asked about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ProfileOption {
    /// Name of the profile.
    pub(crate) profile: String,
    /// Name of the option.
    pub(crate) option: String,
    /// Its value.
    pub(crate) value: OptionValue,
}

/// Value of an option.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum OptionValue {
    /// `true`.
    On,
    /// One of the words of a choice.
    Word(String),
    /// One more entry of a list, of at most so many.
    Entry(String, Option<usize>),
}

/// What a shipped profile has for a name.
#[derive(Debug)]
pub(crate) struct KnownEndpoint {
    /// Its services.
    pub(crate) services: BTreeSet<Service>,
    /// Its step of the boot chain.
    pub(crate) step: Option<Step>,
    /// When a group that uses the profile has it, in words.
    pub(crate) words: String,
}

/// A profile that ships with the daemon, and what its options are for.
#[derive(Debug)]
pub(crate) struct ShippedProfile(std::rc::Rc<Profile>);

impl ShippedProfile {
    /// Every one of them.
    pub(crate) fn all() -> Vec<Self> {
        let mut findings = Findings::new(Source::new("profiles", ""));
        let mut library = Library::new(None, None);
        let find = |name| library.find(&Located { value: name, span: 0..0 }, &mut findings);
        profile_source::shipped().filter_map(find).map(Self).collect()
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.0.name
    }

    /// What the profile has for a name.
    pub(crate) fn endpoint(&self, name: &DomainName) -> Option<KnownEndpoint> {
        let profile = self.name();
        let (endpoint, entry) =
            self.0.endpoints.iter().find_map(|endpoint| Some((endpoint, entry(endpoint, name)?)))?;
        let words = match (&endpoint.each, &endpoint.when) {
            (Some(list), _) => format!("`{list} = [\"{entry}\"]` in [group.{profile}] allows it too"),
            (None, Some(switch)) => format!("the profile {profile} has it already, unless `{switch}` says otherwise"),
            (None, None) => format!("the profile {profile} has it already"),
        };
        Some(KnownEndpoint { services: endpoint.services.clone(), step: endpoint.step, words })
    }

    /// The prefix around an address that never appears on a device port, and the name of the profile.
    pub(crate) fn reserving(&self, address: Ipv4Addr) -> Option<(Ipv4Net, &str)> {
        self.0.reserved.iter().find(|net| net.contains(&address)).map(|net| (*net, self.name()))
    }

    /// Whether it has an option for a proxy.
    pub(crate) fn knows_proxies(&self) -> bool {
        self.0.options.values().any(|kind| matches!(kind, Kind::Proxy))
    }

    /// Whether the group's devices are to use a proxy that an option names.
    pub(crate) fn has_proxy(&self, group: &Group) -> bool {
        self.rows_of(group).any(|(row, _)| row == 0)
    }

    /// The services that the profile has for a name, whatever its options.
    pub(crate) fn services(&self, name: &DomainName) -> BTreeSet<Service> {
        let endpoints = self.0.endpoints.iter().filter(|endpoint| entry(endpoint, name).is_some());
        endpoints.flat_map(|endpoint| &endpoint.services).copied().collect()
    }

    /// The option that allows a target; [`None`] when there is none, or when it opens nothing as the group uses a proxy.
    pub(crate) fn option(&self, target: &Target, service: Option<Service>, group: &Group) -> Option<ProfileOption> {
        let option = |option: &String, value| {
            Some(ProfileOption { profile: self.0.name.clone(), option: option.clone(), value })
        };
        let fits = |services: &BTreeSet<Service>| service.is_none_or(|service| services.contains(&service));
        let name = match target {
            Target::Name(pattern) => pattern.exact(),
            Target::Address(_) | Target::Cidr(_) => None,
        };
        let has_proxy = self.has_proxy(group);
        let endpoints = self.0.endpoints.iter().filter(|endpoint| endpoint.direct || !has_proxy);
        for endpoint in endpoints.filter(|endpoint| fits(&endpoint.services)) {
            let Some(entry) = name.and_then(|name| entry(endpoint, name)) else { continue };
            if let Some(list) = &endpoint.each {
                return option(list, OptionValue::Entry(entry, None));
            }
            if let Some(switch) = &endpoint.when {
                return option(switch, OptionValue::On);
            }
            let word = endpoint.choices.as_ref().and_then(BTreeSet::first)?;
            let choice = self
                .0
                .options
                .iter()
                .find(|(_, kind)| matches!(kind, Kind::Choice { words, .. } if words.contains(word)));
            return choice.and_then(|(name, _)| option(name, OptionValue::Word(word.clone())));
        }
        let service = service?;
        let of_servers = |(name, kind): (&String, &Kind)| match kind {
            Kind::Servers { services, most, .. } if services.contains(&service) => Some((name.clone(), *most)),
            Kind::Servers { .. } | Kind::Choice { .. } | Kind::Switch { .. } | Kind::List | Kind::Proxy => None,
        };
        let (name, most) = self.0.options.iter().find_map(of_servers)?;
        option(&name, OptionValue::Entry(target.to_string(), Some(most)))
    }

    /// The entries that an option has in the group: labels of a list, or servers of the operator's own.
    pub(crate) fn entries(&self, option: &str, group: &Group) -> BTreeSet<String> {
        let of_row = |(row, target): (usize, &Target)| {
            let endpoint = self.0.endpoints.iter().find(|endpoint| endpoint.row == row)?;
            let text = target.to_string();
            let name = DomainName::parse(&text).ok();
            if endpoint.each.as_deref() == Some(option) {
                return entry(endpoint, &name?);
            }
            let is_own = endpoint.when.as_deref() == Some(option) && text != endpoint.host;
            let is_servers = matches!(self.0.options.get(option), Some(Kind::Servers { .. }));
            let is_default = self.0.endpoints.iter().any(|endpoint| endpoint.host == text);
            (is_own && is_servers && !is_default).then_some(text)
        };
        self.rows_of(group).filter_map(of_row).collect()
    }

    /// Rows of the profile that the group has rules of, with their targets.
    fn rows_of<'a>(&'a self, group: &'a Group) -> impl Iterator<Item = (usize, &'a Target)> {
        group.rules.iter().filter_map(|rule| match &rule.origin {
            Origin::Profile { profile, row } if *profile == self.0.name => Some((*row, &rule.target)),
            Origin::Profile { .. } | Origin::File { .. } => None,
        })
    }
}

/// What stands in the place of `{}` when the name is one of the endpoint; of an endpoint without, its name.
fn entry(endpoint: &Endpoint, name: &DomainName) -> Option<String> {
    let name = name.as_str();
    if endpoint.each.is_none() {
        return (endpoint.host == name).then(|| name.to_owned());
    }
    let (front, back) = endpoint.host.split_once("{}")?;
    let label = name.strip_prefix(front)?.strip_suffix(back)?;
    (!label.is_empty() && !label.contains('.')).then(|| label.to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use super::super::{name::NamePattern, parse};
    use super::*;

    fn group(options: &str) -> Group {
        let text = format!(
            "version = 1\n[[group]]\nname = \"g\"\nmode = \"audit\"\ninterfaces = [\"lan0\"]\n\
             subnets = [\"10.20.0.0/24\"]\nprofiles = [\"azure-sphere\"]\n[group.azure-sphere]\n{options}"
        );
        parse(&text, "policy.toml").unwrap().groups.remove(0)
    }

    fn option(target: &str, service: &str, group: &Group) -> Option<(String, OptionValue)> {
        let target = target.parse().map_or_else(|_| Target::Name(NamePattern::parse(target).unwrap()), Target::Address);
        let service = service.parse().ok();
        let profile = ShippedProfile::all().remove(0);
        profile.option(&target, service, group).map(|found| (found.option, found.value))
    }

    #[test]
    fn the_option_that_allows_something_is_found_with_its_value() {
        let plain = group("");
        let found = |target, service| option(target, service, &plain);
        let entry =
            |option: &str, text: &str, most| Some((option.to_owned(), OptionValue::Entry(text.to_owned(), most)));
        assert_eq!(found("contoso.azure-devices.net", "tcp/8883"), entry("hubs", "contoso", None));
        assert_eq!(found("contoso.device.azure-devices.net", ""), entry("hubs", "contoso", None));
        assert_eq!(found("contoso.azure-devices.net", "tcp/22"), None);
        assert_eq!(found("a.b.azure-devices.net", "tcp/443"), None);
        assert_eq!(found("pool.example.org", "udp/123"), entry("ntp", "pool.example.org", Some(2)));
        assert_eq!(found("20.0.0.1", "udp/123"), entry("ntp", "20.0.0.1", Some(2)));
        assert_eq!(found("time.sphere.azure.net", "udp/123"), Some(("ntp".to_owned(), OptionValue::On)));
        assert_eq!(found("anse.azurewatson.microsoft.com", ""), Some(("telemetry".to_owned(), OptionValue::On)));
        assert_eq!(found("example.com", "tcp/443"), None);
    }

    #[test]
    fn what_an_option_has_already_is_kept_and_a_proxy_closes_the_others() {
        let profile = ShippedProfile::all().remove(0);
        let with = group("hubs = [\"contoso\", \"fabrikam\"]\nntp = [\"20.0.0.9\", \"time.example.org\"]");
        assert_eq!(profile.entries("hubs", &with), ["contoso", "fabrikam"].map(str::to_owned).into());
        assert_eq!(profile.entries("ntp", &with), ["20.0.0.9", "time.example.org"].map(str::to_owned).into());
        assert!(profile.entries("ntp", &group("")).is_empty() && !profile.has_proxy(&with));
        let behind = group("proxy = { host = \"proxy.example.net\", port = 3128 }");
        assert!(profile.has_proxy(&behind) && profile.knows_proxies());
        assert_eq!(option("contoso.azure-devices.net", "tcp/443", &behind), None);
        assert!(option("time.sphere.azure.net", "udp/123", &behind).is_some());
    }
}
