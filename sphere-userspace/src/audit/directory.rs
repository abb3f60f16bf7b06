//! The names behind numbers and addresses: what many readers share and few tasks write.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use dashmap::DashMap;

/// Names of one address that are kept; an address of a large content network may have any number.
const NAMES_PER_ADDRESS: usize = 8;

/// Names of addresses, groups and interfaces.
#[derive(Debug, Default)]
pub struct Directory {
    addresses: DashMap<IpAddr, Vec<Arc<str>>>,
    groups: DashMap<u32, Arc<str>>,
    interfaces: DashMap<u32, Arc<str>>,
}

impl Directory {
    /// Notes that a name stands for these addresses, beside other names that they have.
    pub fn learn(&self, name: &str, addresses: impl IntoIterator<Item = IpAddr>) {
        let name: Arc<str> = name.into();
        for address in addresses {
            let mut names = self.addresses.entry(address).or_default();
            if !names.contains(&name) {
                // The latest first: that is the likeliest explanation of a packet now.
                names.insert(0, Arc::clone(&name));
                names.truncate(NAMES_PER_ADDRESS);
            }
        }
    }

    /// Forgets addresses that are no longer known.
    pub fn keep(&self, known: &BTreeSet<IpAddr>) {
        self.addresses.retain(|address, _| known.contains(address));
    }

    /// Names of an address, the latest first.
    #[must_use]
    pub fn names(&self, address: IpAddr) -> Vec<Arc<str>> {
        self.addresses.get(&address).map(|names| names.clone()).unwrap_or_default()
    }

    /// Replaces the names of the groups.
    pub fn set_groups(&self, groups: impl IntoIterator<Item = (u32, String)>) {
        replace(&self.groups, groups);
    }

    /// Replaces the names of the interfaces.
    pub fn set_interfaces(&self, interfaces: impl IntoIterator<Item = (u32, String)>) {
        replace(&self.interfaces, interfaces);
    }

    /// Name of a group.
    #[must_use]
    pub fn group(&self, number: u32) -> Option<Arc<str>> {
        self.groups.get(&number).map(|name| Arc::clone(&name))
    }

    /// Name of an interface.
    #[must_use]
    pub fn interface(&self, ifindex: u32) -> Option<Arc<str>> {
        self.interfaces.get(&ifindex).map(|name| Arc::clone(&name))
    }
}

fn replace(map: &DashMap<u32, Arc<str>>, entries: impl IntoIterator<Item = (u32, String)>) {
    let mut numbers = BTreeSet::new();
    for (number, name) in entries {
        numbers.insert(number);
        map.insert(number, name.into());
    }
    map.retain(|number, _| numbers.contains(number));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_keeps_its_latest_names_and_goes_when_it_is_no_longer_known() {
        let directory = Directory::default();
        let address = IpAddr::from([192, 0, 2, 1]);
        for number in 0..20 {
            directory.learn(&format!("n{number}.example"), [address]);
        }
        directory.learn("n19.example", [address]);
        let names = directory.names(address);
        assert_eq!(names.len(), NAMES_PER_ADDRESS);
        assert_eq!(names.first().map(AsRef::as_ref), Some("n19.example"));
        directory.keep(&BTreeSet::new());
        assert!(directory.names(address).is_empty());
    }

    #[test]
    fn groups_are_replaced_as_a_whole() {
        let directory = Directory::default();
        directory.set_groups([(0, "a".to_owned()), (1, "b".to_owned())]);
        directory.set_groups([(1, "c".to_owned())]);
        assert_eq!(directory.group(0), None);
        assert_eq!(directory.group(1).as_deref(), Some("c"));
    }
}
