//! What would have to change, so that a denial is none.

use sphere_common::verdict::Reason;

use super::trail::Denial;
use crate::resolve::Special;

/// What would have to change, in the words of the policy.
pub(super) fn of(denial: &Denial, reason: Reason, group: &str) -> String {
    if let Some(remedy) = &denial.remedy {
        return format!("{remedy} of group {group}");
    }
    let (peer, service) = (denial.peer, denial.service_text());
    let goal = denial.name.clone().unwrap_or_else(|| peer.to_string());
    match reason {
        Reason::EncryptedDns => format!(
            "allow \"{service}\" at {goal} in a [[group.allow]] of group {group}, or have the device ask at port 53"
        ),
        Reason::Resolver => {
            format!("add \"{peer}\" to `resolvers` of group {group}, or have DHCP name a resolver that is there")
        }
        Reason::QueryName => format!("allow {goal} in a [[group.allow]] of group {group}"),
        Reason::QueryType => format!("set `any_type` at a rule of group {group} for {goal}"),
        Reason::Destination if denial.service.1 == 67 || denial.service.1 == 547 => {
            format!("add \"{peer}\" to `dhcp_servers` of group {group}")
        }
        Reason::Destination if let Some(special) = Special::of(peer) => match &denial.name {
            Some(name) if special.is_reachable() => format!(
                "allow \"{service}\" at {name} with `allow_private = true` in a [[group.allow]] of group {group}: it \
                 leads to {peer}, a {special} address"
            ),
            Some(name) => format!("have {name} lead elsewhere: {peer} is a {special} address, where no host is"),
            None => format!(
                "if devices are to go there, allow \"{service}\" at {peer} in a [[group.allow]] of group {group}, or \
                 set `allow_private = true` at that of the name that leads there"
            ),
        },
        Reason::Destination if denial.name.is_none() => {
            format!("if devices are to go there, allow \"{service}\" at {goal} in a [[group.allow]] of group {group}")
        }
        Reason::Destination => format!("allow \"{service}\" at {goal} in a [[group.allow]] of group {group}"),
        Reason::Expired => {
            "have the device ask for the name again, or raise `grace` in [resolver]: its address is out of date"
                .to_owned()
        }
        Reason::FlowQuota => {
            "raise `flows_per_device` in [limits], or look why the device opens so many flows".to_owned()
        }
        Reason::DeviceQuota => "raise `devices` in [limits]".to_owned(),
        _ => format!("no rule can allow it: {}", reason.sentence()),
    }
}
