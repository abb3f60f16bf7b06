//! Reads the figures that the metrics tell, when somebody asks for them.
//!
//! Place in the data flow: pins (read on a thread that may wait), the core (asked through a channel of one), the store's
//! state → the page → [`Server`]. One task owns the page: whoever asks within [`FRESH`] gets the one that is there, so
//! asking often reads nothing more.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::collector::StoreState;
use super::core::Core;
use super::run::{chain, spawn};
use crate::audit::{SinkCounts, SinkState};
use crate::datapath::snapshot::{self, Snapshot};
use crate::datapath::{Datapath, Object, monotonic};
use crate::metrics::{Exposition, Figures, Page, Server};
use crate::policy::MetricsListen;

/// How long a page is good.
const FRESH: Duration = Duration::from_secs(1);
/// How long the core may take to answer, between other things that it does.
const PATIENCE: Duration = Duration::from_secs(2);
/// Requests that wait for the page.
const WAITING: usize = 4;

/// A request for the core's figures.
pub(super) type Ask = oneshot::Sender<Figures>;

/// What the page is made of.
#[derive(Debug)]
pub(super) struct Meter {
    pub(super) pin_root: PathBuf,
    pub(super) begun: Instant,
    pub(super) store: watch::Receiver<StoreState>,
    pub(super) sinks: Vec<Arc<SinkCounts>>,
    /// Samples that could not be read.
    pub(super) unreadable: Arc<AtomicU64>,
    pub(super) core: mpsc::Sender<Ask>,
    /// What was wrong with the pins when they were last read.
    pub(super) problem: Option<String>,
}

/// Serves metrics where the policy says so. Without them enforcement goes on.
pub(super) fn start(
    listen: Option<&MetricsListen>,
    meter: Meter,
    tasks: &mut JoinSet<(&'static str, anyhow::Result<()>)>,
    cancel: &CancellationToken,
) {
    let Some(listen) = listen else { return };
    let server = match Server::bind(listen) {
        Ok(server) => server,
        Err(error) => {
            tracing::error!(error = %chain(&error), "no metrics are served");
            return;
        }
    };
    tracing::info!(%listen, "metrics are served");
    let (pages, asked) = mpsc::channel(WAITING);
    let served = cancel.clone();
    spawn(tasks, "metrics", async move {
        server.serve(pages, served).await;
        Ok(())
    });
    spawn(tasks, "figures", meter.run(asked, cancel.clone()));
}

impl Meter {
    async fn run(mut self, mut asked: mpsc::Receiver<Page>, cancel: CancellationToken) -> anyhow::Result<()> {
        let mut page: Option<(Instant, Arc<str>)> = None;
        loop {
            let ask = tokio::select! {
                () = cancel.cancelled() => return Ok(()),
                Some(ask) = asked.recv() => ask,
                else => return Ok(()),
            };
            let text = match &page {
                Some((at, text)) if at.elapsed() < FRESH => Arc::clone(text),
                _ => {
                    let text: Arc<str> = self.read().await?.into();
                    page = Some((Instant::now(), Arc::clone(&text)));
                    text
                }
            };
            // Who asked may have gone.
            drop(ask.send(text));
        }
    }

    /// Reads everything anew.
    async fn read(&mut self) -> anyhow::Result<String> {
        let begun = Instant::now();
        let pin_root = self.pin_root.clone();
        let pins = spawn_blocking(move || snapshot::read(&pin_root));
        let figures = self.figures().await;
        let pins = pins.await.context("reading the pins panicked")?;
        self.note(pins.as_ref().err().map(|error| chain(error)));
        let snapshot = pins.ok();
        let store = self.store.borrow().clone();
        let sinks = self.sinks.iter().map(|counts| counts.state()).collect();
        let records = (sinks, self.unreadable.load(Ordering::Relaxed));
        let uptime = self.begun.elapsed();
        // Tens of thousands of series take a moment to write.
        let page = move || page((snapshot.as_ref(), figures.as_ref()), (&store, records), (uptime, begun));
        spawn_blocking(page).await.context("writing the page panicked")
    }

    async fn figures(&self) -> Option<Figures> {
        let (ask, answered) = oneshot::channel();
        let figures = async {
            self.core.send(ask).await.ok()?;
            answered.await.ok()
        };
        timeout(PATIENCE, figures).await.ok()?
    }

    /// Tells of a problem when it is another than before.
    fn note(&mut self, problem: Option<String>) {
        if self.problem != problem {
            if let Some(problem) = &problem {
                tracing::warn!(%problem, "the metrics lack what is pinned");
            }
            self.problem = problem;
        }
    }
}

fn page(
    (snapshot, figures): (Option<&Snapshot>, Option<&Figures>),
    (store, (sinks, unreadable)): (&StoreState, (Vec<SinkState>, u64)),
    (uptime, begun): (Duration, Instant),
) -> String {
    let mut exposition = Exposition::default();
    exposition.add_build(Object::embedded().map_or("none", |object| object.fingerprint()), uptime);
    if let Some(snapshot) = snapshot {
        exposition.add_kernel(snapshot);
    }
    if let Some(figures) = figures {
        exposition.add_daemon(figures, snapshot);
    }
    exposition.add_store(store);
    exposition.add_records(sinks, unreadable);
    exposition.add_scrape([("kernel", snapshot.is_some()), ("daemon", figures.is_some())], begun.elapsed());
    exposition.text()
}

impl<D: Datapath> Core<D> {
    /// Figures of what only the core knows.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let figures = Figures::new(Arc::clone(&self.marks), &self.standings, &self.leases, monotonic::now());
        Figures { loads: Some(self.loads.clone()), ..figures }
    }
}
