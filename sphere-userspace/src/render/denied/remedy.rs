//! What would have to change, so that packets of a reason pass. The keys are those of `docs/policy.md`.

use sphere_common::verdict::Reason;

/// What would have to change; nothing for reasons why packets pass. `none in the policy`: no rule can allow it.
pub(in crate::render) const fn remedy(reason: Reason) -> Option<&'static str> {
    Some(match reason {
        Reason::Endpoint
        | Reason::Cidr
        | Reason::Flow
        | Reason::Reply
        | Reason::Inbound
        | Reason::Related
        | Reason::FragmentOfAllowed
        | Reason::Arp
        | Reason::LinkControl
        | Reason::Dhcp
        | Reason::NeighborDiscovery
        | Reason::OtherSubnet
        | Reason::Released => return None,
        Reason::Malformed => "none in the policy: find out why such packets are sent",
        Reason::VlanDepth => "none in the policy: at most two tags are read",
        Reason::EtherType => "none in the policy: rules are about IP",
        Reason::ExtensionDepth => "none in the policy: have it send fewer extension headers",
        Reason::Fragment => "allow what the first fragment needs, or have it send no fragments",
        Reason::FragmentOverlap => "none in the policy: find out who attacks",
        Reason::Reserved => "none in the policy: give that network another prefix",
        Reason::ForeignSource => "if it belongs there, add its prefix to `subnets` of a group there",
        Reason::Destination => "allow destination and port in a [[group.allow]] of the group",
        Reason::Expired => "have the device ask for the name again, or raise [resolver] `grace`",
        Reason::Resolver => "add it to the group's `resolvers`, or have DHCP name one of those",
        Reason::EncryptedDns => "allow the server, port 853, in a [[group.allow]] of the group",
        Reason::Protocol => "none in the policy: rules allow TCP, UDP and ICMP echo",
        Reason::Icmp => "allow \"icmp\" (echo) in a [[group.allow]]; no rule allows other kinds",
        Reason::LinkLocal => "none in the policy, and none needed: it stays on its link",
        Reason::FlowQuota => "raise [limits] `flows_per_device`, or find out why it opens so many",
        Reason::DeviceQuota => "raise [limits] `devices`",
        Reason::Unsolicited => "allow the sender in a [[group.inbound]] of the device's group",
        Reason::Multicast => "none in the policy: multicast is not forwarded",
        Reason::QueryName => "allow the name in a [[group.allow]], or set the group's `dns`",
        Reason::QueryType => "set `any_type` in the [[group.allow]] of the name",
        Reason::QueryMalformed | Reason::QuerySegment => "none in the policy: find out what it sends to resolvers",
        Reason::AnswerUnasked => "none in the policy: find out who sends such answers",
        Reason::AnswerHeld => "raise the group's `dns_hold`, or set `dns_unlearned` to \"deliver\"",
        Reason::SourceRoute => "none in the policy: have it send without that option",
        Reason::Unconfigured => "start the daemon: `sphere run`",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_denial_and_nothing_else_has_one_that_fits() {
        for reason in Reason::ALL {
            let remedy = remedy(*reason);
            assert_eq!(remedy.is_some(), reason.is_denial(), "{reason:?}");
            assert!(remedy.is_none_or(|remedy| remedy.len() <= 70), "{remedy:?}");
        }
    }
}
