//! What the records say about the device that went on asking.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use anyhow::Result;
use sphere_common::verdict::Reason;

use super::ask::UNLISTED;
use crate::report::Report;
use crate::sphere::{Record, Records, Sphere};
use crate::wait;

/// How long the record of a window may take.
const RECORDED: Duration = Duration::from_secs(12);

/// The records of denied questions over UDP, by device.
pub(super) struct Told {
    records: Records,
    lines: BTreeMap<IpAddr, Vec<Record>>,
}

impl Told {
    pub(super) fn follow(sphere: &Sphere) -> Self {
        Self { records: sphere.records(), lines: BTreeMap::new() }
    }

    fn read(&mut self) -> Result<()> {
        for record in self.records.news()? {
            if let Some(device) = record.device
                && record.reason == Reason::QueryName.word()
                && record.protocol.as_deref() == Some("udp")
            {
                self.lines.entry(device).or_default().push(record);
            }
        }
        Ok(())
    }

    /// Waits until the records of these devices stand for so many packets.
    pub(super) fn wait(&mut self, devices: [IpAddr; 2], packets: u32) -> Result<()> {
        wait::until("the records of what was gathered", RECORDED, || {
            if let Err(error) = self.read() {
                return Some(Err(error));
            }
            let all = |device: &IpAddr| self.packets(*device).iter().sum::<u64>() >= packets.into();
            devices.iter().all(all).then_some(Ok(()))
        })?
    }

    /// One record at once and one for the rest, with the name, or some of the names and their domain.
    pub(super) fn check(&mut self, device: IpAddr, packets: u32, (place, report): (&str, &mut Report)) -> Result<()> {
        self.read()?;
        let found = self.packets(device);
        let what = format!("{place}: records of {packets} questions of {device}, packets in each");
        let expected = [1, u64::from(packets) - 1];
        report.check(what, format!("{expected:?}"), (format!("{found:?}"), found == expected));
        let domain = format!("{UNLISTED}.example");
        let lines = self.lines.get(&device).map(Vec::as_slice).unwrap_or_default();
        let ok = |record: &Record| {
            let below = record.asked.iter().all(|name| name.ends_with(&format!(".{domain}")));
            let parent = (record.asked.len() > 1).then_some(domain.as_str());
            !record.asked.is_empty() && below && record.asked_in.as_deref() == parent
        };
        let named = lines.iter().filter(|record| ok(record)).count();
        let what = format!("{place}: of these records, those that name what was asked for, and of several the domain");
        report.check_equal(&what, lines.len() as u64, named as u64);
        Ok(())
    }

    fn packets(&self, device: IpAddr) -> Vec<u64> {
        self.lines.get(&device).into_iter().flatten().map(|record| record.packets).collect()
    }
}
