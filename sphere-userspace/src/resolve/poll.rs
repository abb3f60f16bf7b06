//! The shell around [`Schedule`]: waits, asks, and hands over what came of it.

use std::{
    collections::{BTreeSet, HashMap, hash_map::RandomState},
    future::Future,
    hash::{BuildHasher, Hasher},
    sync::Arc,
};

use tokio::{
    sync::{mpsc, watch},
    task::{Id, JoinError, JoinSet},
};
use tokio_util::sync::CancellationToken;

use super::{
    ask::{Asker, ResolverError},
    outcome::{Outcome, Question, Resolution},
    schedule::Schedule,
};
use crate::{
    datapath::monotonic::now,
    policy::{DomainName, Policy, ResolverSettings},
};

/// Questions that may be asked at the same time.
const AT_ONCE: usize = 64;

/// What is to be polled, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orders {
    /// The names.
    pub names: BTreeSet<DomainName>,
    /// The servers, and how long their answers hold.
    pub settings: ResolverSettings,
}

impl From<&Policy> for Orders {
    fn from(policy: &Policy) -> Self {
        Self { names: policy.names(), settings: policy.resolver.clone() }
    }
}

/// Polls the names that are ordered until it is cancelled, or until nobody takes what comes of it.
///
/// # Errors
///
/// When at the start there is no server to ask. Orders that come later and cannot be followed are reported, and the
/// servers stay the same.
pub async fn poll(
    mut orders: watch::Receiver<Orders>,
    results: mpsc::Sender<Resolution>,
    cancel: CancellationToken,
) -> Result<(), ResolverError> {
    let mut current = orders.borrow_and_update().clone();
    let mut poller = Poller {
        asker: Arc::new(Asker::new(&current.settings)?),
        schedule: Schedule::new(current.settings.ttl_ceiling, RandomState::new().build_hasher().finish()),
        asking: JoinSet::new(),
        questions: HashMap::new(),
    };
    poller.schedule.want(&current.names, current.settings.ttl_ceiling, now());
    loop {
        poller.start_what_is_due();
        let due = poller.wait();
        tokio::select! {
            biased;
            () = cancel.cancelled() => return Ok(()),
            Ok(()) = orders.changed() => {
                let new = orders.borrow_and_update().clone();
                poller.follow(&current, &new);
                current = new;
            }
            Some(ended) = poller.asking.join_next_with_id() => {
                let Some(resolution) = poller.end(ended) else { continue };
                tracing::debug!(question = %resolution.question, outcome = resolution.outcome.word(), "resolved");
                poller.schedule.record(&resolution);
                tokio::select! {
                    () = cancel.cancelled() => return Ok(()),
                    sent = results.send(resolution) => if sent.is_err() { return Ok(()) },
                }
            }
            () = due => {}
        }
    }
}

struct Poller {
    asker: Arc<Asker>,
    schedule: Schedule,
    asking: JoinSet<Outcome>,
    questions: HashMap<Id, Question>,
}

impl Poller {
    fn follow(&mut self, old: &Orders, new: &Orders) {
        self.schedule.want(&new.names, new.settings.ttl_ceiling, now());
        if (&old.settings.servers, old.settings.timeout) == (&new.settings.servers, new.settings.timeout) {
            return;
        }
        match Asker::new(&new.settings) {
            Ok(asker) => self.asker = Arc::new(asker),
            Err(error) => tracing::error!(error = &error as &dyn std::error::Error, "the resolver's servers stay"),
        }
    }

    fn start_what_is_due(&mut self) {
        while self.asking.len() < AT_ONCE
            && let Some(question) = self.schedule.take(now())
        {
            let (asker, asked) = (Arc::clone(&self.asker), question.clone());
            let task = self.asking.spawn(async move { asker.ask(&asked).await });
            self.questions.insert(task.id(), question);
        }
    }

    /// What came of the question of a task.
    fn end(&mut self, ended: Result<(Id, Outcome), JoinError>) -> Option<Resolution> {
        let (id, outcome) = match ended {
            Ok(ended) => ended,
            // The question must come up again, whatever went wrong in the library below.
            Err(error) => (error.id(), Outcome::Failed(error.to_string())),
        };
        let question = self.questions.remove(&id)?;
        Some(Resolution { question, outcome, at: now() })
    }

    /// Ends when a question is due that may be asked; never when there is none.
    fn wait(&self) -> impl Future<Output = ()> + use<> {
        let due = self.schedule.next_due().filter(|_| self.asking.len() < AT_ONCE);
        async move {
            match due {
                Some(due) => tokio::time::sleep(due.since(now())).await,
                None => std::future::pending().await,
            }
        }
    }
}
