//! What a policy leaves out of a profile, as far as devices take steps of their boot chain there: they may try it all the
//! same, and are then to be told apart from devices that try anything.

use super::{
    profile::{Endpoint, Kind, Profile},
    profile_choice::Chosen,
    step::LeftOut,
};

/// The endpoints of a profile that the options of the policy leave out, each with what would open it.
pub(super) fn left_out(profile: &Profile, chosen: &Chosen) -> Vec<LeftOut> {
    let left_out = |endpoint: &Endpoint| {
        let remedy = format!("{} in [group.{}]", change(endpoint, profile, chosen)?, profile.name);
        let Endpoint { host, services, .. } = endpoint;
        Some(LeftOut { host: host.clone(), services: services.clone(), step: endpoint.step?, remedy })
    };
    profile.endpoints.iter().filter_map(left_out).collect()
}

/// What would have to be written for the endpoint; [`None`] when it is there.
fn change(endpoint: &Endpoint, profile: &Profile, chosen: &Chosen) -> Option<String> {
    if let Some(option) = proxy_of(profile).filter(|_| chosen.proxy.is_some() && !endpoint.direct) {
        return Some(format!("have the device use the proxy, or remove `{option}`"));
    }
    if let Some(words) = &endpoint.choices
        && !chosen.words.values().any(|word| words.contains(&word.value))
    {
        let option = profile.options.iter().find_map(|(name, kind)| match kind {
            Kind::Choice { words: known, .. } => {
                known.iter().find(|word| words.contains(*word)).map(|word| (name, word))
            }
            _ => None,
        });
        return option.map(|(name, word)| format!("write `{name} = \"{word}\"`"));
    }
    if let Some(option) = &endpoint.when {
        if chosen.switches.get(option) == Some(&false) {
            return Some(format!("write `{option} = true`"));
        }
        if chosen.servers.contains_key(option) {
            return Some(format!("have the device use the servers of `{option}`, or write `{option} = true`"));
        }
    }
    // Entries that the list has are rules; every other one is left out.
    endpoint.each.as_ref().map(|option| format!("add the first label of the name to `{option}`"))
}

/// The option that names a proxy.
fn proxy_of(profile: &Profile) -> Option<&String> {
    profile.options.iter().find(|(_, kind)| matches!(kind, Kind::Proxy)).map(|(name, _)| name)
}
