//! What only all groups together can tell: names that are given twice, subnets that overlap or are reserved.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    net::IpAddr,
    ops::Range,
};

use ipnet::IpNet;

use super::{
    findings::{Findings, Located},
    group::{Server, Target},
    group_file::Written,
    port::InterfaceName,
    reserved::Reserved,
};

/// Checks the groups against each other and against what their profiles reserve.
pub(super) fn check(groups: &[Written], reserved: &Reserved, findings: &mut Findings) {
    names(groups, findings);
    overlaps(groups, findings);
    resolvers(groups, findings);
    for written in groups {
        unreached(written, reserved, findings);
    }
    for subnet in groups.iter().flat_map(|written| &written.subnets) {
        if let Some(taken) = reserved.overlapping(subnet.value) {
            let message = format!("`{}` overlaps {taken}, which a profile reserves", subnet.value);
            let remedy = "that prefix never appears on a device port: name the devices' subnet";
            findings.error(&subnet.span, message, remedy);
        }
    }
}

/// Destinations and sources that are reserved: packets to and from there are denied whatever the rules say.
fn unreached(written: &Written, reserved: &Reserved, findings: &mut Findings) {
    let group = &written.group;
    let targets = group.rules.iter().zip(&written.rules_at).filter_map(|(rule, at)| match &rule.target {
        Target::Address(address) => Some((IpNet::from(*address), at)),
        Target::Cidr(net) => Some((*net, at)),
        Target::Name(_) => None,
    });
    let sources = group.inbound.iter().zip(&written.inbound_at).map(|(rule, at)| (rule.from, at));
    let servers = written.resolvers.iter().chain(&written.dhcp_servers).filter_map(|server| match server.value {
        Server::Address(address) => Some((IpNet::from(address), &server.span)),
        Server::Gateway => None,
    });
    for (net, at) in targets.chain(sources).chain(servers) {
        if let Some(taken) = reserved.around(net) {
            let what = if net.prefix_len() == net.max_prefix_len() { net.addr().to_string() } else { net.to_string() };
            let message = format!("`{what}` lies in {taken}, which a profile reserves");
            findings.error(at, message, "remove it: that prefix is denied on device ports, whatever the rules say");
        }
    }
}

/// Resolvers among the devices: what could pass for their answers never comes in on a device port.
fn resolvers(groups: &[Written], findings: &mut Findings) {
    let mut subnets = BTreeSet::new();
    subnets.extend(groups.iter().flat_map(|written| &written.group.subnets).copied());
    for server in groups.iter().flat_map(|written| &written.resolvers) {
        let Server::Address(address) = server.value else { continue };
        let Some(subnet) = holder(address, &subnets) else { continue };
        let message = format!(
            "the resolver `{address}` lies in the device subnet {subnet}: unless it is the gateway itself, its answers \
             are denied, since none may come in on a device port"
        );
        let remedy = "write \"gateway\" if that is meant, or name a resolver that is behind no device port";
        findings.warn(&server.span, message, remedy);
    }
}

/// The narrowest of the prefixes that holds the address.
fn holder(address: IpAddr, prefixes: &BTreeSet<IpNet>) -> Option<IpNet> {
    let mut wider = std::iter::successors(Some(IpNet::from(address)), IpNet::supernet);
    wider.find(|net| prefixes.contains(net))
}

fn names(groups: &[Written], findings: &mut Findings) {
    let mut names: BTreeMap<&str, &Range<usize>> = BTreeMap::new();
    for written in groups {
        let (name, Some(at)) = (written.group.name.as_str(), &written.name_at) else { continue };
        match names.entry(name) {
            Entry::Vacant(vacant) => {
                vacant.insert(at);
            }
            Entry::Occupied(first) => {
                let message = format!("two groups are called `{name}`");
                findings.error_beside(at, (message, "rename one"), (first.get(), "the first one"));
            }
        }
    }
}

/// Pairs of a subnet and an interface beyond which overlaps are not looked for. A gateway holds a thousandth of that.
const PAIRS: usize = 1 << 20;

/// A subnet on one interface.
struct Placed<'a> {
    interface: &'a InterfaceName,
    subnet: &'a Located<IpNet>,
    written: &'a Written,
}

/// Subnets that share addresses on one interface. Of two that do, the later in the text is wrong.
fn overlaps(groups: &[Written], findings: &mut Findings) {
    let pairs: usize = groups.iter().map(|written| written.group.interfaces.len() * written.subnets.len()).sum();
    if pairs > PAIRS {
        return;
    }
    let placed = groups.iter().flat_map(|written| {
        let subnets = move |interface| written.subnets.iter().map(move |subnet| Placed { interface, subnet, written });
        written.group.interfaces.iter().flat_map(subnets)
    });
    let mut placed: Vec<Placed<'_>> = placed.collect();
    // Behind each prefix stand those that it holds, wider ones first: two prefixes nest, or have nothing in common.
    placed.sort_by_key(|placed| {
        let Located { value: net, span } = placed.subnet;
        (placed.interface, net.network(), net.prefix_len(), span.start)
    });
    let mut clashes: BTreeMap<usize, (&Placed<'_>, &Placed<'_>)> = BTreeMap::new();
    let mut around: Vec<&Placed<'_>> = Vec::new();
    for inner in &placed {
        let holds = |outer: &&Placed<'_>| {
            outer.interface == inner.interface && outer.subnet.value.contains(&inner.subnet.value)
        };
        while around.last().is_some_and(|outer| !holds(outer)) {
            around.pop();
        }
        for outer in &around {
            let is_first = outer.subnet.span.start < inner.subnet.span.start;
            let (first, second) = if is_first { (*outer, inner) } else { (inner, *outer) };
            let clash = clashes.entry(second.subnet.span.start).or_insert((second, first));
            if first.subnet.span.start < clash.1.subnet.span.start {
                clash.1 = first;
            }
        }
        // One of equal prefixes stands for all: otherwise each would be compared with each.
        if around.last().is_none_or(|outer| outer.subnet.value != inner.subnet.value) {
            around.push(inner);
        }
    }
    for (second, first) in clashes.into_values() {
        report(second, first, findings);
    }
}

fn report(second: &Placed<'_>, first: &Placed<'_>, findings: &mut Findings) {
    let owner = match &first.written.name_at {
        Some(_) => format!("group `{}`", first.written.group.name),
        None => "another group".to_owned(),
    };
    let (net, taken) = (second.subnet.value, first.subnet.value);
    let message = format!("`{net}` overlaps {taken} of {owner} on the same interface");
    let remedy = "give each address to one group only";
    findings.error_beside(&second.subnet.span, (message, remedy), (&first.subnet.span, "overlaps this one"));
}
