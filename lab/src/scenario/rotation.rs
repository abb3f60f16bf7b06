//! Addresses change under open flows: flows stay, new connections follow, and what is left behind closes.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use sphere_common::verdict::Reason;

use super::Scenario;
use super::session::{Session, deliver};
use crate::clients::{Trust, http};
use crate::lab::Lab;
use crate::net::Device;
use crate::report::Report;
use crate::servers::{mqtt as broker, web};
use crate::sphere::Sphere;
use crate::vendor::{HUB, UPDATE};
use crate::wait;

/// How often the addresses change.
const ROUNDS: u8 = 3;
/// How long a new address may take until it is allowed: the daemon asks again when the answer's time is over.
const FOLLOWS: Duration = Duration::from_secs(15);
/// How long an address that is left behind may stay open.
const CLOSES: Duration = Duration::from_secs(30);
/// Two names with one address: one moves away, the other must keep it.
const SHARED: [&str; 2] = ["prod.device.core.sphere.azure.net", "prod.dinsights.core.sphere.azure.net"];
const SHORT: Duration = Duration::from_millis(500);

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Rotation;

impl Scenario for Rotation {
    fn name(&self) -> &'static str {
        "rotation"
    }

    fn purpose(&self) -> &'static str {
        "addresses change under open flows: flows stay, new connections follow"
    }

    fn run(&self, lab: &mut Lab, report: &mut Report) -> Result<()> {
        lab.address_devices()?;
        let sphere = lab.protect(|policy| policy.grace_seconds = 3)?;
        lab.warm_up()?;
        let mut sessions = [Session::open(lab, lab.device(1)?, 1)?];
        let mut flows = Vec::new();
        for round in 0..ROUNDS {
            move_names(lab, round)?;
            let device = lab.device(0)?;
            report.figure(FOLLOWED[usize::from(round)], follow(lab, device)?);
            flows.push(HttpFlow::open(device, web::rotation(round))?);
            deliver(lab, &mut sessions).with_context(|| format!("round {}", round + 1))?;
            let alive = flows.iter_mut().filter_map(|flow| flow.ask().ok()).count();
            let what = format!("round {}: flows alive on {} addresses", round + 1, flows.len());
            report.check_equal(&what, flows.len() as u64, alive as u64);
        }
        check_left_behind(lab, &sphere, report)?;
        let alive = flows.iter_mut().filter_map(|flow| flow.ask().ok()).count();
        report.check_equal("flows alive after their addresses closed", flows.len() as u64, alive as u64);
        deliver(lab, &mut sessions)?;
        report.check_equal("connections of the MQTT session", 1, sessions.iter().map(Session::connections).sum());
        check_shared(lab, report)
    }
}

const FOLLOWED: [&str; ROUNDS as usize] = ["followed_1_ms", "followed_2_ms", "followed_3_ms"];

fn move_names(lab: &mut Lab, round: u8) -> Result<()> {
    lab.servers.dns.change(|zone| {
        zone.move_to(UPDATE, vec![web::rotation(round)]);
        zone.move_to(HUB, vec![broker::rotation(round)]);
        zone.move_to(SHARED[0], vec![web::rotation(round)]);
    })
}

/// Connects to the name until it works; the device resolves it each time. Returns how long it took.
fn follow(lab: &Lab, device: &Device) -> Result<u64> {
    let started = Instant::now();
    let trust = Trust { root: &lab.root, limit: SHORT };
    wait::until("a connection to the new address", FOLLOWS, || {
        let attempt = http::fetch(device, &format!("http://{UPDATE}/"), UPDATE, trust);
        attempt.map(|attempt| attempt.succeeded.then_some(())).transpose()
    })??;
    Ok(u64::try_from(started.elapsed().as_millis())?)
}

/// An address that no name leads to any more closes for new connections.
fn check_left_behind(lab: &Lab, sphere: &Sphere, report: &mut Report) -> Result<()> {
    let device = lab.device(0)?;
    let old = web::rotation(0);
    let trust = Trust { root: &lab.root, limit: SHORT };
    let mut records = sphere.records();
    wait::until("the old address to close", CLOSES, || {
        let attempt = http::fetch_at(device, (&format!("http://{UPDATE}/"), Some(old)), UPDATE, trust);
        attempt.map(|attempt| (!attempt.succeeded).then_some(())).transpose()
    })??;
    let record = records.wait(SHORT * 4, |record| record.peer == Some(old) && record.peer_port == Some(80))?;
    let expected = [Reason::Expired, Reason::Destination].map(Reason::word);
    let ok = expected.contains(&record.reason.as_str());
    report.check("new connection to the first address", "deny (expired or destination)", (record.reason, ok));
    Ok(())
}

/// The name that stayed keeps the address that the other one left.
fn check_shared(lab: &Lab, report: &mut Report) -> Result<()> {
    let trust = Trust { root: &lab.root, limit: SHORT * 4 };
    let url = format!("https://{}/", SHARED[1]);
    let attempt = http::fetch(lab.device(0)?, &url, SHARED[1], trust)?;
    report.check(
        format!("{} after {} left their address", SHARED[1], SHARED[0]),
        "pass",
        (attempt.detail, attempt.succeeded),
    );
    Ok(())
}

/// A connection that is kept open and used again.
struct HttpFlow {
    stream: TcpStream,
}

impl HttpFlow {
    fn open(device: &Device, address: IpAddr) -> Result<Self> {
        let address = SocketAddr::new(address, 80);
        let stream = device.namespace.enter(|| TcpStream::connect_timeout(&address, SHORT * 4))??;
        stream.set_read_timeout(Some(SHORT * 4))?;
        Ok(Self { stream })
    }

    fn ask(&mut self) -> Result<()> {
        write!(self.stream, "GET / HTTP/1.1\r\nHost: {UPDATE}\r\n\r\n")?;
        let mut answer = Vec::new();
        let mut buffer = [0; 1024];
        // The body ends the answer.
        while !answer.ends_with(UPDATE.as_bytes()) {
            let length = self.stream.read(&mut buffer)?;
            ensure!(length > 0, "closed");
            answer.extend_from_slice(buffer.get(..length).unwrap_or_default());
        }
        Ok(())
    }
}
