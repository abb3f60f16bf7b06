//! Two resolvers tell different addresses for the same names: the daemon asks one, the devices ask the other.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use sphere_common::abi::LessonCount;

use super::Scenario;
use crate::clients::dial::{Dialled, dial};
use crate::lab::Lab;
use crate::message::{A, Answer};
use crate::net::plan::{SCRIPTED, server};
use crate::report::Report;
use crate::servers::responder::Responder;
use crate::sphere::Sphere;
use crate::vendor::{self, DEVICE_AUTH, Service};
use crate::wait;
use crate::walk;

/// How long the daemon may take to resolve every name once.
const RESOLVED: Duration = Duration::from_secs(15);

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct SplitView;

impl Scenario for SplitView {
    fn name(&self) -> &'static str {
        "split-view"
    }

    fn purpose(&self) -> &'static str {
        "daemon and devices are told different addresses: every step of the boot chain succeeds"
    }

    fn run(&self, lab: &mut Lab, report: &mut Report) -> Result<()> {
        lab.address_devices()?;
        let _other = other_view(lab)?;
        let sphere = lab.protect(|policy| policy.resolver = SCRIPTED)?;
        check_disjoint(lab, &sphere, report)?;
        let before = sphere.status()?;
        let (mut rows, mut passed) = (0_u64, 0_u64);
        for device in &lab.network.devices {
            for row in walk::chain() {
                let attempt = walk::take(&lab.network, device, &row, &lab.root)?;
                rows += 1;
                passed += u64::from(attempt.succeeded);
                report.flows.push(row.flow(device, attempt));
            }
        }
        let after = sphere.status()?;
        let denials = after.counters().denied_aloud() - before.counters().denied_aloud();
        let learned = after.lessons(LessonCount::Address) - before.lessons(LessonCount::Address);
        report.figure("rows_tried", rows);
        report.figure("rows_passed", passed);
        report.figure("denials", denials);
        report.figure("addresses_learned", learned);
        report.check_equal("packets of the chain that were denied", 0, denials);
        Ok(())
    }
}

/// The daemon's view: another address for each question.
fn other_view(lab: &Lab) -> Result<Responder> {
    let count = Arc::new(AtomicU64::new(0));
    Responder::start(&lab.network.internet, SCRIPTED, move |question, _over| {
        let answer = Answer::to(question);
        if question.kind != A {
            return vec![answer.bytes()];
        }
        let number = count.fetch_add(1, Ordering::Relaxed) % 250;
        let address = server(200, u8::try_from(number + 1).unwrap_or(u8::MAX));
        vec![answer.addresses([IpAddr::V4(address)], 30).bytes()]
    })
}

/// The daemon has its view of every name, and nothing in it is an address that devices will be told.
fn check_disjoint(lab: &Lab, sphere: &Sphere, report: &mut Report) -> Result<()> {
    let in_view = |address: &IpAddr| matches!(address, IpAddr::V4(v4) if v4.octets()[..3] == [20, 40, 200]);
    let of_devices: Vec<IpAddr> = vendor::NAMES.iter().map(|name| name.address.into()).collect();
    let endpoints = wait::until("the daemon's view", RESOLVED, || match sphere.endpoints() {
        Ok(endpoints) => {
            let known = endpoints.keys().filter(|(address, ..)| in_view(address)).count();
            (known >= vendor::NAMES.len()).then_some(Ok(endpoints))
        }
        Err(error) => Some(Err(error)),
    })??;
    let shared = endpoints.keys().filter(|(address, ..)| of_devices.contains(address)).count();
    report.figure("endpoints_of_the_daemon", endpoints.keys().filter(|(address, ..)| in_view(address)).count());
    report.check_equal("endpoints that both views share", 0, shared as u64);
    let address = auth_address();
    let early = lab.device(0)?.namespace.enter(|| dial(address.into(), 443))??;
    let seen = if early == Dialled::Silence { "deny" } else { "pass" };
    report.check(format!("{DEVICE_AUTH} before a device has asked"), "deny", (seen, early == Dialled::Silence));
    Ok(())
}

fn auth_address() -> Ipv4Addr {
    let mut names = vendor::names_of(Service::Https).filter(|name| name.host == DEVICE_AUTH);
    names.next().map_or(Ipv4Addr::UNSPECIFIED, |name| name.address)
}
