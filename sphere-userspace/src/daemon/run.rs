//! The shell around [`Core`]: waits for answers, changes of the gateway, signals and the clock, one at a time.

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use serde::Serialize;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};
use tokio_util::sync::CancellationToken;

use super::collector::{self, StoreState};
use super::core::{Core, DaemonError, Learned};
use super::metering::{self, Ask, Meter};
use super::news::tell_warnings;
use super::notify::notify;
use super::overhearing::{self, Ears};
use super::policies::{Policies, Reading, Reloaded};
use super::reload::Reload;
use super::resolver::resolve;
use super::watching::take_sample;
use crate::audit::{Digest, Directory, SinkCounts, SinkState, Sinks, Teller, read_events};
use crate::control::{Answer, Call, Listener, Request};
use crate::datapath::netlink::Watch;
use crate::datapath::{DatapathError, Kernel, Lock, Object, Pins, Survey};
use crate::names::View;
use crate::policy::{Policy, PolicyErrors, Texts};
use crate::privilege;
use crate::resolve::{Orders, Resolution};

/// How often what has ended is taken away.
const SWEEP: Duration = Duration::from_secs(10);
/// How often it is looked whether the programs saw addresses.
const SIGHTINGS: Duration = Duration::from_secs(1);
/// How long what waits for a sink may take to get out at the end.
const DRAIN: Duration = Duration::from_secs(2);
/// Calls that wait for their answer.
const CALLS: usize = 8;
/// Answers that wait to be taken up.
const ANSWERS: usize = 1024;
/// How long new addresses wait for others: names are asked in bursts.
const SOON: Duration = Duration::from_millis(100);
/// How long addresses that are in the tables wait for their new ends, and news for other news.
const LATER: Duration = Duration::from_secs(2);

/// What the daemon was started with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The policy file, read again on SIGHUP.
    pub config: PathBuf,
    /// Directory of the pins.
    pub pin_root: PathBuf,
}

/// Runs the daemon to its end: a signal, or a failure.
///
/// # Errors
///
/// When the policy cannot be put in force. What is in force stays in force, whatever happens.
pub fn run(settings: &Settings, read: Result<(Policy, Texts), PolicyErrors>) -> anyhow::Result<()> {
    let begun = Instant::now();
    privilege::check_capabilities()?;
    privilege::check_kernel()?;
    let object = Object::embedded()?;
    let pins = Pins::new(&settings.pin_root);
    pins.check_bpffs()?;
    let _lock = Lock::take(&settings.pin_root)?;
    let (mut policies, policy) = Policies::open(settings, read)?;
    tell_warnings(&policy);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.context("cannot start the runtime")?;
    // From here on a signal waits until it can be attended to; by default SIGHUP would end the process.
    let signals = {
        let _within = runtime.enter();
        Signals::catch().context("cannot catch signals")?
    };

    let directory = Arc::new(Directory::default());
    let kernel = Kernel::open(&settings.pin_root, &policy.limits, &object)?;
    let data_plane = kernel.origin().word();
    tracing::debug!(data_plane, "open");
    let mut core = Core::open(kernel, policy, Arc::clone(&directory))?;
    core.begin().with_context(|| policies.about_begin())?;
    notify("READY=1");
    // Whoever waits for enforcement does not wait for a disk.
    policies.begun();
    let (ports, groups) = (core.policy().interfaces.len(), core.policy().groups.len());
    tracing::info!(ports, groups, data_plane, after = %format_args!("{:.1?}", begun.elapsed()), "enforcing");

    let ended = runtime.block_on(serve((settings, begun), (core, policies), directory, signals));
    // A look-up or a write that hangs must not keep the process.
    runtime.shutdown_timeout(DRAIN);
    ended
}

/// Everything that can wake the daemon.
struct Wakers {
    watch: Watch,
    answers: mpsc::Receiver<Resolution>,
    calls: mpsc::Receiver<Call>,
    /// How the account of denials on disk stands.
    store: watch::Receiver<StoreState>,
    /// Who wants figures for the metrics.
    figures: mpsc::Receiver<Ask>,
    ears: Ears,
    signals: Signals,
    sinks: SinkView,
}

/// The sinks, as far as others may see them.
struct SinkView {
    counts: Vec<Arc<SinkCounts>>,
    rotate: Arc<Notify>,
}

impl SinkView {
    fn states(&self) -> Vec<SinkState> {
        self.counts.iter().map(|counts| counts.state()).collect()
    }
}

/// What the operator says.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
    rotate: Signal,
}

impl Signals {
    fn catch() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
            rotate: signal(SignalKind::user_defined1())?,
        })
    }
}

async fn serve(
    (settings, begun): (&Settings, Instant),
    (mut core, policies): (Core<Kernel>, Policies),
    directory: Arc<Directory>,
    signals: Signals,
) -> anyhow::Result<()> {
    let cancel = CancellationToken::new();
    let mut tasks = JoinSet::new();
    let records = &core.policy().records;
    let sinks = Sinks::start(&records.sinks).context("cannot start the sinks")?;
    let sink_view = SinkView { counts: sinks.counts(), rotate: Arc::default() };
    let heard_by = Arc::clone(&directory);
    let rotate = Arc::clone(&sink_view.rotate);
    let unreadable = Arc::default();
    let teller =
        Teller { digest: Digest::new(records.window), directory, sinks, rotate, unreadable: Arc::clone(&unreadable) };
    let ladder = core.ladder().clone();
    let ring = core.datapath_mut().events()?.watched(move |sample| take_sample(&ladder, sample));
    spawn(&mut tasks, "samples", {
        let cancel = cancel.clone();
        async move {
            let sinks = read_events(ring, teller, cancel).await?;
            tokio::task::spawn_blocking(move || finish(sinks)).await.context("the sinks panicked")
        }
    });
    let (ears, overhearing) = {
        let policy = core.policy().clone();
        overhearing::open(core.datapath_mut(), &policy, Arc::clone(&heard_by))?
    };
    spawn(&mut tasks, "answers of devices", overhearing.run(cancel.clone()));
    #[cfg(feature = "datapath-log")]
    follow_programs(&mut tasks, core.datapath().ingress_program(), &cancel);
    let (sender, answers) = mpsc::channel(ANSWERS);
    let (orders, ordered) = watch::channel(Orders::from(core.policy()));
    spawn(&mut tasks, "resolver", resolve(ordered, sender, cancel.clone()));
    let (caller, calls) = mpsc::channel(CALLS);
    listen(&mut tasks, settings, caller, &cancel);
    let watch = Watch::new()?;
    let store = collector::start(&core, &heard_by, &mut tasks, &cancel);
    let (asker, figures) = mpsc::channel(1);
    let meter = Meter {
        pin_root: settings.pin_root.clone(),
        begun,
        store: store.clone(),
        sinks: sink_view.counts.clone(),
        unreadable,
        core: asker,
        problem: None,
    };
    metering::start(core.policy().metrics.as_ref(), meter, &mut tasks, &cancel);
    let wakers = Wakers { watch, answers, calls, store, figures, ears, signals, sinks: sink_view };
    // What changed between the start and the subscription was not reported.
    core.look_around()?;
    let reload = Reload::new(settings.config.clone());
    let ended = attend((&mut core, policies, reload), wakers, &orders, &mut tasks).await;

    tracing::info!("stopping; enforcement stays");
    notify("STOPPING=1");
    cancel.cancel();
    let drained = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN * 2, drained).await.is_err() {
        tracing::warn!("some tasks did not end in time");
    }
    ended
}

/// Attends to whatever happens, until a signal says to stop.
async fn attend(
    (core, mut policies, mut reload): (&mut Core<Kernel>, Policies, Reload),
    mut wakers: Wakers,
    orders: &watch::Sender<Orders>,
    tasks: &mut JoinSet<(&'static str, anyhow::Result<()>)>,
) -> anyhow::Result<()> {
    let mut sweep = interval_at(Instant::now() + SWEEP, SWEEP);
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut sightings = interval_at(Instant::now() + SIGHTINGS, SIGHTINGS);
    sightings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Who waits for the policy to be read, and how it is to be taken.
    let mut reloading: Option<(Reading, Answer)> = None;
    // Whether the service manager was told that the policy is being read.
    let mut is_announced = false;
    // A sweep that is under way elsewhere.
    let mut surveys: JoinSet<(Result<Survey, DatapathError>, u64)> = JoinSet::new();
    let mut batch = Vec::new();
    // When the tables are to take up what was learned.
    let mut due: Option<Instant> = None;
    loop {
        let done = tokio::select! {
            biased;
            _ = wakers.signals.terminate.recv() => return Ok(()),
            _ = wakers.signals.interrupt.recv() => return Ok(()),
            changed = wakers.watch.changed() => {
                changed?;
                core.look_around()
            }
            _ = wakers.signals.hang_up.recv() => {
                notify("RELOADING=1");
                is_announced = true;
                reload.ask();
                Ok(())
            }
            Some(read) = reload.done() => {
                let (how, answer) = reloading.take().unzip();
                let reloaded = policies.take_over(read, core, how);
                follow(core, &reloaded, (orders, &mut wakers.ears));
                answer_with(answer, &reloaded);
                if std::mem::take(&mut is_announced) {
                    notify("READY=1");
                }
                Ok(())
            }
            () = sleep_until(policies.trial_ends().unwrap_or_else(Instant::now)), if policies.trial_ends().is_some() => {
                policies.end_trial(core);
                orders.send_replace(Orders::from(core.policy()));
                wakers.ears.follow(core.policy());
                Ok(())
            }
            _ = wakers.signals.rotate.recv() => {
                wakers.sinks.rotate.notify_one();
                Ok(())
            }
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                due = None;
                core.reconcile()
            }
            count = wakers.answers.recv_many(&mut batch, ANSWERS), if is_open(&wakers.answers) => {
                tracing::debug!(count, "answers");
                let learned = batch.drain(..).map(|resolution| core.learn(&resolution)).max();
                due = earlier(due, learned.unwrap_or(Learned::Nothing));
                Ok(())
            }
            _ = sightings.tick() => core.take_sightings().and_then(|learned| {
                due = earlier(due, learned);
                if surveys.is_empty() && core.is_share_short()? {
                    sweep.reset_immediately();
                }
                Ok(())
            }),
            _ = sweep.tick(), if surveys.is_empty() => core.begin_sweep().map(|(surveyor, writes)| {
                surveys.spawn_blocking(move || (surveyor(), writes));
            }),
            Some(Call { request, answer }) = wakers.calls.recv() => {
                match request {
                    Request::Reload(_) if reloading.is_some() => {
                        drop(answer.send(Err("the policy is being read already: try again".to_owned())));
                    }
                    Request::Reload(how) => {
                        reloading = Some((how, answer));
                        reload.ask();
                    }
                    Request::Rollback { to } => {
                        let reloaded = policies.go_back(core, to);
                        follow(core, &reloaded, (orders, &mut wakers.ears));
                        answer_with(Some(answer), &reloaded);
                    }
                    Request::Confirm => {
                        let confirmed = policies.confirm().map(|number| serde_json::json!({ "number": number }));
                        drop(answer.send(confirmed));
                    }
                    Request::Policies => drop(answer.send(policies.kept().and_then(|kept| value_of(&kept)))),
                    request => reply(core, (&wakers.store, &wakers.sinks), (request, answer)),
                }
                Ok(())
            }
            Some(survey) = surveys.join_next() => take_up(core, survey),
            Some(ended) = tasks.join_next() => {
                tell_end(ended);
                Ok(())
            }
            Some(ask) = wakers.figures.recv() => {
                // Who asked may have given up.
                drop(ask.send(core.figures()));
                Ok(())
            }
            // The last, for devices say how many there are: they can hold up nothing of the above.
            Some(request) = wakers.ears.next() => request.attend(core),
        };
        if let Err(error) = done {
            // What is in force stays in force; the next change or sweep tries again.
            tracing::error!(error = %chain(&error), "could not bring the tables up to date");
        }
    }
}

/// Listens on the control socket. Without it enforcement goes on.
fn listen(
    tasks: &mut JoinSet<(&'static str, anyhow::Result<()>)>,
    settings: &Settings,
    caller: mpsc::Sender<Call>,
    cancel: &CancellationToken,
) {
    match Listener::bind(&settings.pin_root) {
        Ok(listener) => {
            let cancel = cancel.clone();
            spawn(tasks, "control socket", async move { Ok(listener.serve(caller, cancel).await?) });
        }
        Err(error) => tracing::error!(%error, "no control socket: commands show only what is pinned"),
    }
}

/// Answers a question of the control socket; what changes something was attended to before.
fn reply(
    core: &Core<Kernel>,
    (store, sinks): (&watch::Receiver<StoreState>, &SinkView),
    (request, answer): (Request, Answer),
) {
    let value = match request {
        Request::Store => value_of(&*store.borrow()),
        Request::Sinks => value_of(&sinks.states()),
        Request::Ladder => core.ladder().with(|ladder| value_of(&*ladder)),
        Request::Names => value_of(&View::of_daemon(core.policy(), core.leases(), core.standings())),
        Request::Reload(_) | Request::Rollback { .. } | Request::Confirm | Request::Policies => {
            Err("it is not a question".to_owned())
        }
    };
    // Who asked may have gone.
    drop(answer.send(value));
}

fn value_of(value: &impl Serialize) -> Result<serde_json::Value, String> {
    serde_json::to_value(value).map_err(|error| error.to_string())
}

/// Tells who waits, if anybody does, what came of a policy.
fn answer_with(answer: Option<Answer>, reloaded: &Reloaded) {
    // Who asked may have gone.
    drop(answer.map(|answer| answer.send(value_of(reloaded))));
}

/// Has everybody go by the policy that is in force now.
fn follow(core: &Core<Kernel>, reloaded: &Reloaded, (orders, ears): (&watch::Sender<Orders>, &mut Ears)) {
    if reloaded.applied {
        orders.send_replace(Orders::from(core.policy()));
        ears.follow(core.policy());
        tracing::info!(number = reloaded.number, took_ms = reloaded.took_ms, "policy reloaded");
    }
}

/// Takes up what a sweep found.
fn take_up(
    core: &mut Core<Kernel>,
    survey: Result<(Result<Survey, DatapathError>, u64), tokio::task::JoinError>,
) -> Result<(), DaemonError> {
    match survey {
        Ok((survey, writes)) => core.end_sweep(survey?, writes),
        Err(error) => {
            tracing::error!(%error, "the sweep panicked");
            Ok(())
        }
    }
}

/// Whether answers may still come.
fn is_open(answers: &mpsc::Receiver<Resolution>) -> bool {
    !answers.is_closed() || !answers.is_empty()
}

/// When the tables are due after this was learned.
fn earlier(due: Option<Instant>, learned: Learned) -> Option<Instant> {
    let wait = match learned {
        Learned::Nothing => return due,
        Learned::News | Learned::Ends => LATER,
        Learned::Addresses => SOON,
    };
    let at = Instant::now() + wait;
    Some(due.map_or(at, |due| due.min(at)))
}

/// Lets what waits for the sinks get out, and tells what did not.
fn finish(sinks: Sinks) {
    for SinkState { sink, delivered, lost, .. } in sinks.drain(DRAIN).into_iter().filter(|state| state.lost > 0) {
        tracing::warn!(sink, delivered, lost, "records were lost");
    }
}

/// Hands the log lines of the programs to ours.
#[cfg(feature = "datapath-log")]
fn follow_programs(
    tasks: &mut JoinSet<(&'static str, anyhow::Result<()>)>,
    program: Option<u32>,
    cancel: &CancellationToken,
) {
    use crate::datapath::ProgramLog;

    let cancel = cancel.clone();
    spawn(tasks, "program log", async move {
        let log = ProgramLog::open(program.context("no program")?).context("cannot open the log of the programs")?;
        tokio::select! {
            ended = log.follow() => Ok(ended?),
            () = cancel.cancelled() => Ok(()),
        }
    });
}

/// Starts a named task.
pub(super) fn spawn(
    tasks: &mut JoinSet<(&'static str, anyhow::Result<()>)>,
    name: &'static str,
    work: impl Future<Output = anyhow::Result<()>> + Send + 'static,
) {
    tasks.spawn(async move { (name, work.await) });
}

fn tell_end(ended: Result<(&'static str, anyhow::Result<()>), tokio::task::JoinError>) {
    match ended {
        Ok((name, Ok(()))) => tracing::info!(task = name, "task ended"),
        Ok((name, Err(error))) => tracing::error!(task = name, error = format!("{error:#}"), "task failed"),
        Err(error) => tracing::error!(%error, "task panicked"),
    }
}

/// An error and what led to it.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
