//! What to think of before a suggestion is used.

use super::draft::{Draft, Key};
use super::known::Known;
use super::suggestion::Warning;
use super::tenants;
use crate::policy::{DomainName, Group, Target};

/// Ports of HTTP proxies.
const PROXY_PORTS: [&str; 2] = ["tcp/3128", "tcp/8080"];
/// Ports of DNS over TLS and QUIC (RFC 7858, RFC 9250).
const ENCRYPTED_DNS_PORTS: [&str; 2] = ["tcp/853", "udp/853"];

/// The warnings of a draft.
pub(super) fn warnings(known: &Known<'_>, group: Option<&Group>, (key, draft): (&Key, &Draft)) -> Vec<Warning> {
    let mut warnings = Vec::new();
    if !draft.others.is_empty() {
        warnings.push(Warning::Shared(draft.others.clone()));
    }
    if let Key::Allow(target) = key {
        about_target(target, draft, &mut warnings);
        about_profiles(known, group, (target, draft), &mut warnings);
    }
    if draft.is_private {
        warnings.push(Warning::Private);
    }
    if draft.seen.devices.len() == 1 {
        warnings.push(Warning::OneDevice);
    }
    warnings
}

fn name_of(target: &Target) -> Option<&DomainName> {
    match target {
        Target::Name(pattern) => pattern.exact(),
        Target::Address(_) | Target::Cidr(_) => None,
    }
}

fn about_target(target: &Target, draft: &Draft, warnings: &mut Vec<Warning>) {
    let name = name_of(target);
    if let Some((suffix, service)) = name.and_then(tenants::many_tenants) {
        warnings.push(Warning::ManyTenants { suffix, service });
    }
    let is_encrypted = has_one_of(draft, &ENCRYPTED_DNS_PORTS);
    if is_encrypted || name.is_some_and(tenants::is_encrypted_dns) {
        warnings.push(Warning::EncryptedDns);
    }
}

fn about_profiles(
    known: &Known<'_>,
    group: Option<&Group>,
    (target, draft): (&Target, &Draft),
    warnings: &mut Vec<Warning>,
) {
    for profile in &known.profiles {
        let used = group.filter(|group| group.profiles.contains_key(profile.name()));
        match used {
            Some(group) if profile.has_proxy(group) => warnings.push(Warning::AroundProxy),
            Some(_) if profile.knows_proxies() && has_one_of(draft, &PROXY_PORTS) => {
                warnings.push(Warning::MaybeProxy { profile: profile.name().to_owned() });
            }
            Some(_) => {}
            None if name_of(target).is_some_and(|name| !profile.services(name).is_empty()) => {
                warnings.push(Warning::OfProfile(profile.name().to_owned()));
            }
            None => {}
        }
    }
}

fn has_one_of(draft: &Draft, services: &[&str]) -> bool {
    draft.services.iter().any(|service| services.contains(&service.to_string().as_str()))
}
