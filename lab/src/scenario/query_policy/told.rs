//! What the records say about the device that went on asking.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use anyhow::Result;
use sphere_common::verdict::Reason;

use crate::report::Report;
use crate::sphere::{Records, Sphere};
use crate::wait;

/// How long the record of a window may take.
const RECORDED: Duration = Duration::from_secs(12);

/// The records of denied questions over UDP, by device: packets that each stands for.
pub(super) struct Told {
    records: Records,
    lines: BTreeMap<IpAddr, Vec<u64>>,
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
                self.lines.entry(device).or_default().push(record.count.unwrap_or(1));
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
            let all = |device| self.lines.get(device).is_some_and(|lines| lines.iter().sum::<u64>() >= packets.into());
            devices.iter().all(all).then_some(Ok(()))
        })?
    }

    /// One line at once and one for the rest.
    pub(super) fn check(&mut self, device: IpAddr, packets: u32, (place, report): (&str, &mut Report)) -> Result<()> {
        self.read()?;
        let lines = self.lines.get(&device).cloned().unwrap_or_default();
        let what = format!("{place}: records of {packets} questions of {device}, packets in each");
        let expected = [1, u64::from(packets) - 1];
        report.check(what, format!("{expected:?}"), (format!("{lines:?}"), lines == expected));
        Ok(())
    }
}
