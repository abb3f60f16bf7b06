//! What `sphere status --json` says.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use sphere_common::abi::LessonCount;
use sphere_common::verdict::{Direction, Reason, Verdict};

/// `sphere.status/1`, as far as the lab looks at it.
#[derive(Clone, Debug, Deserialize)]
pub struct Status {
    schema: String,
    /// `running` or `stopped`.
    pub daemon: String,
    /// The loaded programs.
    pub programs: Vec<Program>,
    /// The device ports.
    pub ports: Vec<Port>,
    counters: Vec<Counter>,
    lessons: BTreeMap<String, u64>,
    overheard: BTreeMap<String, u64>,
    sinks: Vec<Sink>,
}

/// What became of the records of one sink.
#[derive(Clone, Debug, Deserialize)]
pub struct Sink {
    sink: String,
    /// Records that were delivered.
    pub delivered: u64,
    /// Records that wait.
    pub waiting: u64,
    /// Records that were lost.
    pub lost: u64,
    /// Why it does not work.
    pub failure: Option<String>,
}

/// One loaded program.
#[derive(Clone, Debug, Deserialize)]
pub struct Program {
    /// Its name.
    pub name: String,
    /// Its id in the kernel.
    pub id: u32,
    /// Instructions that the verifier looked at.
    pub verified_instructions: Option<u32>,
}

/// One device port.
#[derive(Clone, Debug, Deserialize)]
pub struct Port {
    /// Name of the interface.
    pub interface: String,
    /// How packets from devices are seen.
    pub ingress: Option<String>,
    /// How packets to devices are seen.
    pub egress: Option<String>,
    /// `protected`, or why not.
    pub state: String,
}

#[derive(Clone, Debug, Deserialize)]
struct Counter {
    direction: String,
    verdict: String,
    reason: String,
    packets: u64,
}

impl Status {
    pub(super) fn parse(text: &str) -> Result<Self> {
        let status: Self = serde_json::from_str(text).context("sphere status --json")?;
        ensure!(status.schema == "sphere.status/1", "unknown schema {}", status.schema);
        Ok(status)
    }

    /// What happened to queries and answers.
    #[must_use]
    pub fn lessons(&self, count: LessonCount) -> u64 {
        let counts = if count.is_of_daemon() { &self.overheard } else { &self.lessons };
        counts.get(count.word()).copied().unwrap_or(0)
    }

    /// What became of the records of a sink.
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn sink(&self, name: &str) -> Result<&Sink> {
        let found = self.sinks.iter().find(|sink| sink.sink == name);
        found.with_context(|| format!("no sink {name} among {:?}", self.sinks))
    }

    /// The exact counters.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let mut packets = BTreeMap::new();
        for counter in &self.counters {
            let key = (counter.direction.clone(), counter.verdict.clone(), counter.reason.clone());
            *packets.entry(key).or_default() += counter.packets;
        }
        Counters { packets }
    }
}

/// Packets by direction, verdict and reason.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    packets: BTreeMap<(String, String, String), u64>,
}

impl Counters {
    /// Packets with this outcome.
    #[must_use]
    pub fn of(&self, direction: Direction, verdict: Verdict, reason: Reason) -> u64 {
        let key = (direction.word().to_owned(), verdict.word().to_owned(), reason.word().to_owned());
        self.packets.get(&key).copied().unwrap_or(0)
    }

    /// Denied packets, without the chatter that every network has.
    #[must_use]
    pub fn denied_aloud(&self) -> u64 {
        let reasons = Reason::ALL.iter().filter(|reason| !reason.is_quiet());
        let each = reasons.flat_map(|reason| Direction::ALL.map(|direction| (direction, *reason)));
        each.map(|(direction, reason)| self.of(direction, Verdict::Deny, reason)).sum()
    }

    /// Denied packets in all.
    #[must_use]
    pub fn denied(&self) -> u64 {
        let denied = self.packets.iter().filter(|((_, verdict, _), _)| verdict == Verdict::Deny.word());
        denied.map(|(_, packets)| packets).sum()
    }
}
