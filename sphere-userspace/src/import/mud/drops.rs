//! Entries that drop. What no entry allows is denied anyway, so they matter only as exceptions from what is allowed further
//! down the same list of entries; rules have no exceptions, so what is excepted from is not taken.

use ipnet::IpNet;

use super::entry::{Entry, Peer};
use crate::resolve::Special;

/// The entry before this one (by number) that drops some of what it allows.
pub(super) fn excepted(entries: &[Entry], number: usize) -> Option<&Entry> {
    let entry = entries.get(number)?;
    let before = entries.iter().take(number).filter(|other| !other.accepts && other.way == entry.way);
    before.into_iter().find(|other| overlap(other, entry))
}

fn overlap(drop: &Entry, accept: &Entry) -> bool {
    drop.family == accept.family && drop.traffic.overlaps(&accept.traffic) && meet(&drop.peer.value, &accept.peer.value)
}

/// Whether some host may be both.
fn meet(one: &Peer, other: &Peer) -> bool {
    match (one, other) {
        (Peer::Name(one), Peer::Name(other)) => one == other,
        (Peer::Net(one), Peer::Net(other)) => one.contains(other) || other.contains(one),
        (Peer::Name(_), Peer::Net(net)) | (Peer::Net(net), Peer::Name(_)) => !is_private(*net),
        // Nobody but the own network knows who is in a class.
        (Peer::Class(_), _) | (_, Peer::Class(_)) => true,
    }
}

/// Whether all of it is private: names do not lead there unless the policy says so.
fn is_private(net: IpNet) -> bool {
    let [first, last] = [net.network(), net.broadcast()].map(Special::of);
    net.prefix_len() >= 8 && first == Some(Special::Private) && last == first
}
