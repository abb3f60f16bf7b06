//! A device asks for names that no rule allows: nothing leaves the gateway, and the device is told so at once.

mod ask;
mod told;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};
use sphere_common::verdict::{Direction, Reason, Verdict};

use super::Scenario;
use crate::clients::asker::Asker;
use crate::lab::Lab;
use crate::link::{Link, contains};
use crate::message::Answer;
use crate::net::plan::{SCRIPTED, SCRIPTED6, server};
use crate::report::Report;
use crate::servers::responder::Responder;
use crate::sphere::{Sphere, Status};
use ask::{ALLOWED, Asked, UNLISTED};
use told::Told;

/// Random names that are asked for over each family, at each hook.
const NAMES: u32 = 1_000;
/// Names that are asked for where queries are dropped in silence.
const DROPPED: u32 = 50;

/// Where the programs see what devices send.
struct Hook {
    mode: &'static str,
    /// How long like denials are gathered.
    window: &'static str,
    /// Whether the daemon is stopped before the window is over.
    stops_early: bool,
    figure: &'static str,
}

const HOOKS: [Hook; 2] = [
    Hook { mode: "xdp", window: "1m", stops_early: true, figure: "xdp_refused_after_median_ns" },
    Hook { mode: "tc", window: "3s", stops_early: false, figure: "tc_refused_after_median_ns" },
];

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct QueryPolicy;

impl Scenario for QueryPolicy {
    fn name(&self) -> &'static str {
        "query-policy"
    }

    fn purpose(&self) -> &'static str {
        "random names under an unlisted domain: none leaves, each is refused at once, one line tells of all"
    }

    fn run(&self, lab: &mut Lab, report: &mut Report) -> Result<()> {
        lab.address_devices()?;
        let reached = Arc::new(AtomicU64::new(0));
        let _over_v4 = listen(lab, SCRIPTED.into(), &reached)?;
        let _over_v6 = listen(lab, SCRIPTED6.into(), &reached)?;
        let wire = Link::open(&lab.network.internet, "eth0")?;
        let mut asked = Asked::default();
        for hook in &HOOKS {
            asked.join(at_hook(lab, hook, report)?);
            dropped_in_silence(lab, hook, report)?;
        }
        let left = wire.drain()?.iter().filter(|frame| contains(frame, UNLISTED.as_bytes())).count();
        let reached = reached.load(Ordering::Relaxed);
        report.figure("asked", asked.asked);
        report.figure("answered_refused", asked.refused);
        report.figure("reached_resolver", reached);
        report.figure("left_gateway", left);
        let wanted = u64::from(NAMES) * 2 * HOOKS.len() as u64;
        report.check_equal("questions for unlisted names that were refused", wanted, asked.refused);
        report.check_equal("of all unlisted names, those that the resolver heard", 0, reached);
        report.check_equal("frames outside that carry an unlisted name", 0, left as u64);
        Ok(())
    }
}

/// The approved resolver; counts what it should never hear.
fn listen(lab: &Lab, address: IpAddr, reached: &Arc<AtomicU64>) -> Result<Responder> {
    let reached = Arc::clone(reached);
    Responder::start(&lab.network.internet, address, move |question, _over| {
        if question.name.contains(UNLISTED) {
            reached.fetch_add(1, Ordering::Relaxed);
        }
        vec![Answer::to(question).addresses([IpAddr::V4(server(90, 1))], 300).bytes()]
    })
}

fn protect(lab: &mut Lab, hook: &Hook, dns: &str) -> Result<Sphere> {
    let sphere = lab.protect(|policy| {
        policy.ingress = hook.mode;
        policy.denied_window = hook.window;
        policy.group = format!("dns = \"{dns}\"\n");
        policy.more = format!("\n[[group.allow]]\nhost = \"{ALLOWED}\"\nports = [\"tcp/443\"]\n");
    })?;
    lab.warm_up()?;
    Ok(sphere)
}

/// Everything with the programs at one hook.
fn at_hook(lab: &mut Lab, hook: &Hook, report: &mut Report) -> Result<Asked> {
    let sphere = protect(lab, hook, "refuse")?;
    let port = sphere.status()?.ports.first().and_then(|port| port.ingress.clone()).unwrap_or_default();
    report.check("hook on the device port", hook.mode, (port.clone(), port.starts_with(hook.mode)));
    let mut told = Told::follow(&sphere);
    let device = lab.device(0)?;
    let families = [(IpAddr::V4(SCRIPTED), IpAddr::V4(device.ipv4)), (SCRIPTED6.into(), device.ipv6.into())];
    let before = query_names(&sphere.status()?);
    let mut asked = Asked::default();
    for (resolver, _own) in families {
        asked.join(ask::random_names(&mut Asker::open(&device.namespace, resolver)?, NAMES)?);
    }
    let denied = query_names(&sphere.status()?) - before;
    report.check_equal(&format!("{}: questions that the kernel counted", hook.mode), u64::from(2 * NAMES), denied);
    report.figure(hook.figure, asked.median_ns());
    if !hook.stops_early {
        told.wait(families.map(|(_resolver, own)| own), NAMES)?;
    }
    for (resolver, _own) in families {
        let place = format!("{}, {resolver}", hook.mode);
        ask::allowed_name(&mut Asker::open(&device.namespace, resolver)?, &place, report)?;
        ask::over_tcp(device, resolver, (&place, report))?;
    }
    stop(lab)?;
    for (_resolver, own) in families {
        told.check(own, NAMES, (hook.mode, report))?;
    }
    Ok(asked)
}

/// The option to drop queries without a word; afterwards the programs are gone.
fn dropped_in_silence(lab: &mut Lab, hook: &Hook, report: &mut Report) -> Result<()> {
    let sphere = protect(lab, hook, "drop")?;
    let device = lab.device(0)?;
    let before = query_names(&sphere.status()?);
    let mut answers = 0;
    for resolver in [IpAddr::V4(SCRIPTED), SCRIPTED6.into()] {
        answers += ask::unanswered_names(&mut Asker::open(&device.namespace, resolver)?, DROPPED)?;
    }
    let denied = query_names(&sphere.status()?) - before;
    report.check_equal(&format!("{}, dns = \"drop\": answers", hook.mode), 0, answers);
    report.check_equal(&format!("{}, dns = \"drop\": denials", hook.mode), u64::from(2 * DROPPED), denied);
    stop(lab)?;
    sphere.detach().map(drop)
}

fn stop(lab: &mut Lab) -> Result<()> {
    lab.daemon.take().context("no daemon runs")?.stop().map(drop)
}

fn query_names(status: &Status) -> u64 {
    status.counters().of(Direction::Ingress, Verdict::Deny, Reason::QueryName)
}
