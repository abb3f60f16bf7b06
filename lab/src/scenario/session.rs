//! An MQTT session that lasts through everything a scenario does.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::clients::{PATIENCE, Trust, mqtt};
use crate::lab::Lab;
use crate::net::Device;
use crate::process::Process;
use crate::vendor::HUB;
use crate::wait;

/// How long a new address of the hub may take until it is allowed.
const FOLLOWS: Duration = Duration::from_secs(15);

/// A session with the hub.
#[derive(Debug)]
pub(super) struct Session {
    process: Process,
    log: PathBuf,
}

impl Session {
    /// Opens a session from a device; `number` tells sessions apart.
    pub(super) fn open(lab: &Lab, device: &Device, number: usize) -> Result<Self> {
        let log = lab.network.ground.path(&format!("session-{number}.log"));
        let mut command = device.namespace.command("stdbuf");
        command.args(["-oL", "mosquitto_sub", "-d", "-h", HUB, "-p", "8883", "-k", "30"]);
        command.args(["-t", "telemetry", "--cafile"]).arg(&lab.root);
        let process = Process::start("mosquitto_sub", command, &log)?;
        let session = Self { process, log };
        wait::until("the MQTT session", PATIENCE, || session.text().contains("received SUBACK").then_some(()))?;
        Ok(session)
    }

    /// Messages that have arrived.
    pub(super) fn messages(&self) -> usize {
        self.text().matches("received PUBLISH").count()
    }

    /// How often the client had to connect.
    pub(super) fn connections(&self) -> u64 {
        self.text().matches("sending CONNECT").count() as u64
    }

    fn text(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

/// Publishes from another device, until it works, and waits until every session has received it.
pub(super) fn deliver(lab: &Lab, sessions: &mut [Session]) -> Result<()> {
    let before: Vec<usize> = sessions.iter().map(Session::messages).collect();
    let device = lab.device(2)?;
    let trust = Trust { root: &lab.root, limit: Duration::from_secs(2) };
    wait::until("a publication", FOLLOWS, || {
        let attempt = mqtt::publish(device, HUB, 8883, trust);
        attempt.map(|attempt| attempt.succeeded.then_some(())).transpose()
    })??;
    for (number, (session, before)) in sessions.iter_mut().zip(before).enumerate() {
        session.process.check()?;
        wait::until("the message on the session", PATIENCE, || (session.messages() > before).then_some(()))
            .with_context(|| format!("session {}", number + 1))?;
    }
    Ok(())
}
