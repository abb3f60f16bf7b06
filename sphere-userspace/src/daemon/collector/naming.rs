//! Numbers and ticks of an account become names and times, as they are at the moment.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::SystemTime;

use sphere_common::abi::Ticks;
use sphere_common::verdict::{Direction, Reason, Verdict};

use crate::audit::{Directory, WallClock};
use crate::datapath::Account;
use crate::reconcile::{Clock, Moment};
use crate::store::Denial;

/// Where the kernel tells which boot this is.
const BOOT: &str = "/proc/sys/kernel/random/boot_id";

/// What the kernel's ticks are on the wall clock, as of one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    clock: Clock,
    wall: WallClock,
}

impl Times {
    /// From readings of the wall clock and the monotonic one, taken together.
    pub(super) fn new(clock: &Clock, wall: SystemTime, monotonic: Moment) -> Self {
        Self { clock: *clock, wall: WallClock::new(wall, monotonic.since_zero()) }
    }

    fn at(&self, ticks: Ticks) -> SystemTime {
        self.wall.at(self.clock.moment_of(ticks).since_zero())
    }
}

/// Gives names to accounts.
#[derive(Debug)]
pub(super) struct Naming {
    boot: u64,
    directory: Arc<Directory>,
    unreadable: u64,
}

impl Naming {
    /// For accounts of this boot.
    ///
    /// # Errors
    ///
    /// When the kernel does not say which boot it is.
    pub(super) fn new(directory: Arc<Directory>) -> io::Result<Self> {
        let boot = fs::read_to_string(BOOT).and_then(|text| boot(&text).ok_or(io::ErrorKind::InvalidData.into()));
        let named = |error: io::Error| io::Error::new(error.kind(), format!("cannot read {BOOT}: {error}"));
        Ok(Self::of_boot(boot.map_err(named)?, directory))
    }

    /// For accounts of a boot.
    pub(super) const fn of_boot(boot: u64, directory: Arc<Directory>) -> Self {
        Self { boot, directory, unreadable: 0 }
    }

    /// Accounts whose numbers are of another version of the programs.
    pub(super) const fn unreadable(&self) -> u64 {
        self.unreadable
    }

    /// The account as the store takes it.
    pub(super) fn denial(&mut self, account: &Account, times: &Times) -> Option<Denial> {
        let denial = self.read(account, times);
        self.unreadable += u64::from(denial.is_none());
        denial
    }

    fn read(&self, account: &Account, times: &Times) -> Option<Denial> {
        let (key, value) = (&account.key, &account.value);
        let peer = address(key.peer);
        let names = || self.directory.names(peer).iter().map(|name| (**name).to_owned()).collect();
        Some(Denial {
            device: address(key.device),
            group_number: key.group,
            group: self.directory.group(key.group).map(|name| (*name).to_owned()).unwrap_or_default(),
            peer: (!account.is_others).then_some(peer),
            peer_names: if account.is_others { Vec::new() } else { names() },
            protocol: (!account.is_others).then_some(key.protocol),
            peer_port: (!account.is_others).then_some(u16::from_be_bytes(key.peer_port_be)),
            direction: Direction::ALL.into_iter().find(|direction| *direction as u8 == key.direction)?,
            verdict: Verdict::from_byte(key.verdict)?,
            reason: Reason::from_byte(key.reason)?,
            episode: value.first,
            boot: self.boot,
            packets: value.packets,
            bytes: value.bytes,
            first: times.at(value.first),
            last: times.at(value.last),
        })
    }
}

/// An address of the tables.
const fn address(bytes: [u8; 16]) -> IpAddr {
    IpAddr::V6(Ipv6Addr::from_octets(bytes)).to_canonical()
}

/// The number of a boot, out of its UUID.
fn boot(text: &str) -> Option<u64> {
    let digits: String = text.trim().chars().filter(|c| *c != '-').collect();
    let (high, low) = digits.split_at_checked(16).filter(|(_, low)| low.len() == 16)?;
    Some(u64::from_str_radix(high, 16).ok()? ^ u64::from_str_radix(low, 16).ok()?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use super::*;

    #[test]
    fn every_boot_has_a_number_of_its_own() {
        let one = boot("21a8ba45-2a35-4f1c-9f6d-2d1d3f0f6b51\n").unwrap();
        let two = boot("21a8ba45-2a35-4f1c-9f6d-2d1d3f0f6b52\n").unwrap();
        assert_ne!(one, two);
        for text in ["", "21a8ba45", "21a8ba45-2a35-4f1c-9f6d-2d1d3f0f6bxx"] {
            assert_eq!(boot(text), None, "{text}");
        }
    }
}
