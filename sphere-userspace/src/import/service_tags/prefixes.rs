//! The prefixes of tags, each where it stands, and the fewest that hold the same addresses.

use std::collections::BTreeMap;

use ipnet::IpNet;

use super::super::json::Node;
use super::Family;
use crate::policy::{Findings, plain};
use crate::resolve::Special;

/// Prefixes, with the line of each.
#[derive(Debug, Default)]
pub(super) struct Prefixes(BTreeMap<IpNet, usize>);

impl Prefixes {
    /// Adds those of a list, of one family or both; how many of IPv4 and of IPv6.
    pub(super) fn add(&mut self, list: &[Node], family: Option<Family>, findings: &mut Findings) -> (usize, usize) {
        let (mut v4, mut v6) = (0, 0);
        for node in list {
            let Some(net) = prefix(node, findings) else { continue };
            let (of, count) = match net {
                IpNet::V4(_) => (Family::V4, &mut v4),
                IpNet::V6(_) => (Family::V6, &mut v6),
            };
            if family.is_none_or(|family| family == of) {
                *count += 1;
                self.0.entry(net).or_insert_with(|| findings.line(&node.span));
            }
        }
        (v4, v6)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The fewest prefixes with exactly the same addresses, each with the line of its first part.
    pub(super) fn aggregated(&self) -> Vec<(IpNet, usize)> {
        let all: Vec<IpNet> = self.0.keys().copied().collect();
        // The first address of what comes out is the first address of something that went in.
        let lines: BTreeMap<_, _> = self.0.iter().rev().map(|(net, line)| (net.network(), *line)).collect();
        let with_line = |net: IpNet| (net, lines.get(&net.network()).copied().unwrap_or_default());
        let mut aggregated: Vec<_> = IpNet::aggregate(&all).into_iter().map(with_line).collect();
        aggregated.sort_unstable();
        aggregated
    }
}

/// A prefix in which there are hosts of the internet.
fn prefix(node: &Node, findings: &mut Findings) -> Option<IpNet> {
    let text = node.text(findings)?;
    let remedy = "load the file again from its publisher";
    let Ok(net) = text.parse::<IpNet>() else {
        findings.error(&node.span, format!("`{}` is no prefix", plain(text)), remedy);
        return None;
    };
    if net.trunc() != net {
        findings.error(&node.span, format!("`{net}` has bits set behind its prefix length"), remedy);
        return None;
    }
    let special = Special::of(net.network()).or_else(|| Special::of(net.broadcast()));
    if let Some(special) = special.filter(|_| net.prefix_len() > 0) {
        let remedy = "look into the file: a published prefix is of the internet";
        findings.warn(&node.span, format!("no rule for `{net}`: it is {special}"), remedy);
        return None;
    }
    if net.prefix_len() == 0 {
        findings.error(&node.span, format!("`{net}` is every address"), remedy);
        return None;
    }
    Some(net)
}
