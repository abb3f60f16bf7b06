//! What the kernel has learned and counted, held against what the host has.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use anyhow::Result;
use sphere_common::abi::LessonCount;
use sphere_common::verdict::{Direction, Reason, Verdict};

use crate::sphere::{Replica, Service, Sphere};
use crate::wait;

/// How long the kernel's account may take to be that of the host: frames may still be on their way.
const AGREES: Duration = Duration::from_secs(2);

/// Frames that are counted alike on both sides.
const JUDGED: [(Direction, Verdict, Reason); 6] = [
    (Direction::Ingress, Verdict::Deny, Reason::ForeignSource),
    (Direction::Ingress, Verdict::Deny, Reason::Destination),
    (Direction::Ingress, Verdict::Deny, Reason::QueryName),
    (Direction::Egress, Verdict::Deny, Reason::AnswerUnasked),
    (Direction::Egress, Verdict::Deny, Reason::Unsolicited),
    (Direction::Egress, Verdict::Pass, Reason::Reply),
];
const LESSONS: [LessonCount; 6] = [
    LessonCount::Query,
    LessonCount::Answer,
    LessonCount::Address,
    LessonCount::Refused,
    LessonCount::Quota,
    LessonCount::Unjudged,
];

/// Counts since the beginning, with the word for each, and endpoints beside those of the beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Account {
    counts: Vec<(&'static str, u64)>,
    learned: BTreeSet<Service>,
}

/// Both accounts.
pub(super) struct Books<'a> {
    sphere: &'a Sphere,
    begun: Account,
}

/// What a comparison showed.
#[derive(Debug)]
pub(super) struct Compared {
    /// What differs, in words; `None` when nothing does.
    pub(super) difference: Option<String>,
    /// What the kernel has learned and the host has not.
    pub(super) wrongly: BTreeSet<Service>,
}

impl<'a> Books<'a> {
    /// Opens the books: nothing has been learned yet.
    pub(super) fn open(sphere: &'a Sphere) -> Result<Self> {
        Ok(Self { sphere, begun: read(sphere)? })
    }

    /// Compares. The daemon, which sees answers that the programs cannot judge, may open addresses that they name too.
    pub(super) fn compare(&self, host: &Replica, named: &BTreeSet<IpAddr>) -> Result<Compared> {
        let counts = LESSONS.map(|count| (count.word(), host.lessons(count)));
        let judged = JUDGED.map(|(direction, _verdict, reason)| (reason.word(), host.judged(direction, reason)));
        let host = Account { counts: counts.into_iter().chain(judged).collect(), learned: host.learned() };
        let mut kernel = host.clone();
        let agreed = wait::until("the kernel's account", AGREES, || match self.kernel() {
            Ok(found) => {
                kernel = found;
                kernel.learned.retain(|service| host.learned.contains(service) || !named.contains(&service.0));
                (kernel == host).then_some(Ok(()))
            }
            Err(error) => Some(Err(error)),
        });
        let wrongly = kernel.learned.difference(&host.learned).copied().collect();
        let difference = match agreed {
            Ok(done) => done.map(|()| None)?,
            Err(_waited) => Some(difference(&kernel, &host)),
        };
        Ok(Compared { difference, wrongly })
    }

    fn kernel(&self) -> Result<Account> {
        let mut account = read(self.sphere)?;
        for ((_word, now), (_, begun)) in account.counts.iter_mut().zip(&self.begun.counts) {
            *now -= begun;
        }
        account.learned.retain(|service| !self.begun.learned.contains(service));
        Ok(account)
    }
}

fn read(sphere: &Sphere) -> Result<Account> {
    let learned = sphere.endpoints()?.into_keys().collect();
    let status = sphere.status()?;
    let counters = status.counters();
    let lessons = LESSONS.map(|count| (count.word(), status.lessons(count)));
    let judged = JUDGED.map(|(direction, verdict, reason)| (reason.word(), counters.of(direction, verdict, reason)));
    Ok(Account { counts: lessons.into_iter().chain(judged).collect(), learned })
}

fn difference(kernel: &Account, host: &Account) -> String {
    let counts = kernel.counts.iter().zip(&host.counts).filter(|(kernel, host)| kernel != host);
    let mut words: Vec<String> =
        counts.map(|((word, kernel), (_, host))| format!("{word}: kernel {kernel}, host {host}")).collect();
    let only = |one: &Account, other: &Account| one.learned.difference(&other.learned).count();
    words.push(format!("learned only by the kernel {}, only by the host {}", only(kernel, host), only(host, kernel)));
    words.join("; ")
}
