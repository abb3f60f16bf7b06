//! Hears the answers that the programs could not judge, has the core learn from them, and sends on what was held.
//!
//! The task reads the ring and puts answers together; the core learns between other things, asked through a bounded
//! channel. A held frame goes on as soon as its answers are learned, or there is nothing to learn. When that is not so
//! in time, or the answer cannot be read, the policy of its group says what becomes of it. Nothing waits for anything
//! else: an answer that is slow to learn holds up no other.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use sphere_common::abi::{LessonCount, Unjudged};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;
use zerocopy::FromBytes;

use super::core::{Core, DaemonError};
use super::sightings::Lesson;
use crate::audit::Directory;
use crate::datapath::{Datapath, DatapathError, Kernel, Ring, Sender, Tally, monotonic};
use crate::overhear::{Heard, HeldFrame, Listener, Overheard};
use crate::policy::{Policy, Unlearned};
use crate::reconcile::Moment;

/// Answers that wait for the core.
const WAITING: usize = 256;
/// The longest that any group holds an answer.
const LONGEST: Duration = Duration::from_millis(100);
/// Held frames that are older are of no use to anybody: they were left in the ring by a daemon that ended.
const STALE: Duration = Duration::from_secs(1);

/// How each group holds answers, by its name.
type Terms = BTreeMap<String, (Duration, Unlearned)>;

/// An answer for the core to learn from, and where it says what came of it.
#[derive(Debug)]
pub(super) struct Request {
    overheard: Overheard,
    reply: oneshot::Sender<Lesson>,
}

/// The core's end: what there is to learn.
#[derive(Debug)]
pub(super) struct Ears {
    requests: mpsc::Receiver<Request>,
    terms: watch::Sender<Arc<Terms>>,
}

impl Ears {
    /// Waits for an answer; [`None`] when no more come.
    pub(super) async fn next(&mut self) -> Option<Request> {
        self.requests.recv().await
    }

    /// Goes by the policy.
    pub(super) fn follow(&self, policy: &Policy) {
        self.terms.send_replace(Arc::new(terms(policy)));
    }
}

impl Request {
    /// Has the core learn from the answer, and says what came of it.
    pub(super) fn attend<D: Datapath>(self, core: &mut Core<D>) -> Result<(), DaemonError> {
        let lesson = core.overhear(&self.overheard)?;
        if self.reply.send(lesson).is_err() {
            // Whoever no longer waits has counted it as late.
            tracing::debug!(?lesson, "learned too late");
        }
        Ok(())
    }
}

fn terms(policy: &Policy) -> Terms {
    let held = policy.groups.iter().filter_map(|group| Some((group, group.dns_hold?)));
    held.map(|(group, limit)| (group.name.to_string(), (limit, group.dns_unlearned))).collect()
}

/// The task's end.
#[derive(Debug)]
pub(super) struct Overhearing {
    ring: Ring,
    desk: Desk,
}

/// Everything but the ring: what is done with what it brings.
#[derive(Debug)]
struct Desk {
    listener: Listener,
    requests: mpsc::Sender<Request>,
    terms: watch::Receiver<Arc<Terms>>,
    directory: Arc<Directory>,
    tally: Tally,
    /// Opened when the first group holds answers.
    sender: Option<Sender>,
    /// Answers that are being learned from.
    waiting: JoinSet<Learning>,
}

/// What came of the answers that became whole with one frame.
#[derive(Debug)]
struct Learning {
    /// [`None`]: not in time.
    lessons: Vec<Option<Lesson>>,
    /// Whether something of what the frames complete cannot be read, or is not known.
    is_unknown: bool,
    frames: Vec<HeldFrame>,
}

/// Opens both ends; to be called within the runtime.
///
/// # Errors
///
/// When the ring cannot be mapped, or a group holds answers and may not send them on.
pub(super) fn open(
    kernel: &mut Kernel,
    policy: &Policy,
    directory: Arc<Directory>,
) -> Result<(Ears, Overhearing), DatapathError> {
    let (sender, requests) = mpsc::channel(WAITING);
    let (terms, following) = watch::channel(Arc::new(terms(policy)));
    let may_send = if following.borrow().is_empty() { None } else { Some(Sender::open()?) };
    let desk = Desk {
        listener: Listener::default(),
        requests: sender,
        terms: following,
        directory,
        tally: kernel.tally(),
        sender: may_send,
        waiting: JoinSet::new(),
    };
    Ok((Ears { requests, terms }, Overhearing { ring: kernel.unjudged()?, desk }))
}

impl Overhearing {
    /// Hears and sends on, until cancelled.
    pub(super) async fn run(mut self, cancel: CancellationToken) -> anyhow::Result<()> {
        let Self { ring, desk } = &mut self;
        loop {
            let due = desk.next_due();
            tokio::select! {
                biased;
                () = cancel.cancelled() => return Ok(()),
                Some(learning) = desk.waiting.join_next() => match learning {
                    Ok(learning) => desk.conclude(learning),
                    Err(error) => tracing::error!(%error, "waiting for a lesson panicked"),
                },
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => desk.give_up_overdue(),
                ready = ring.readable() => {
                    ready?;
                    ring.drain(|record| desk.take_up(record));
                    // Leaves the thread to others even while answers keep coming.
                    tokio::task::yield_now().await;
                }
            }
        }
    }
}

impl Desk {
    fn take_up(&mut self, record: &[u8]) {
        let Some((head, frame)) = Unjudged::read_from_prefix(record).ok() else {
            self.count(LessonCount::Unread);
            tracing::warn!(bytes = record.len(), "unjudged answer of another version of the programs");
            return;
        };
        let copied = usize::try_from(head.copied_bytes).unwrap_or(usize::MAX).min(frame.len());
        let heard = self.listener.hear(&head, frame.get(..copied).unwrap_or_default());
        for _ in 0..heard.ignored {
            self.count(LessonCount::Ignored);
        }
        for _ in 0..heard.unreadable + heard.lost {
            self.count(LessonCount::Unread);
        }
        let Heard { answers, frames, given_up, unreadable, is_unjoined, .. } = heard;
        let is_unknown = unreadable > 0 || is_unjoined;
        for frame in &given_up {
            self.unlearned(frame);
        }
        if answers.is_empty() {
            self.conclude(Learning { lessons: Vec::new(), is_unknown, frames });
        } else {
            self.ask(answers, (frames, is_unknown));
        }
    }

    /// Asks the core to learn from these answers; the frames wait for it.
    fn ask(&mut self, answers: Vec<Overheard>, (frames, is_unknown): (Vec<HeldFrame>, bool)) {
        let deadline = frames.iter().map(|frame| frame.at + self.terms_of(frame.group).0).min().map(instant_of);
        let mut replies = Vec::new();
        for overheard in answers {
            let (reply, replied) = oneshot::channel();
            // Without room nobody replies.
            drop(self.requests.try_send(Request { overheard, reply }));
            replies.push(replied);
        }
        self.waiting.spawn(async move {
            let mut lessons = Vec::new();
            for reply in replies {
                lessons.push(match deadline {
                    Some(deadline) => timeout_at(deadline, reply).await.ok().and_then(Result::ok),
                    None => reply.await.ok(),
                });
            }
            Learning { lessons, is_unknown, frames }
        });
    }

    /// Counts what came of some answers, and sends on the frames that waited for it.
    fn conclude(&mut self, learning: Learning) {
        let mut is_known = !learning.is_unknown;
        for lesson in learning.lessons {
            let count = match lesson {
                Some(Lesson::Learned(_)) => LessonCount::Learned,
                Some(Lesson::Ignored) => LessonCount::Ignored,
                Some(Lesson::Unasked) => LessonCount::Unasked,
                None => LessonCount::Late,
            };
            self.count(count);
            is_known &= matches!(count, LessonCount::Learned | LessonCount::Ignored);
        }
        for frame in &learning.frames {
            if is_known { self.release(frame) } else { self.unlearned(frame) }
        }
    }

    /// Does what the policy says with a frame whose answer was not learned.
    fn unlearned(&mut self, frame: &HeldFrame) {
        match self.terms_of(frame.group).1 {
            Unlearned::Deliver => self.release(frame),
            Unlearned::Drop => self.count(LessonCount::Dropped),
        }
    }

    /// Sends a held frame on.
    fn release(&mut self, frame: &HeldFrame) {
        let is_stale = monotonic::now().since(frame.at) > STALE;
        let is_sent = !is_stale && self.send(frame);
        self.count(if is_sent { LessonCount::Released } else { LessonCount::Dropped });
    }

    fn send(&mut self, frame: &HeldFrame) -> bool {
        if self.sender.is_none() {
            match Sender::open() {
                Ok(sender) => self.sender = Some(sender),
                Err(error) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "held answers are lost");
                }
            }
        }
        let Some(sender) = &self.sender else { return false };
        let whole = frame.whole().map(|bytes| sender.send(frame.ifindex, &bytes));
        let sent = match whole {
            Some(Err(error)) if error.raw_os_error() != Some(Errno::EMSGSIZE as i32) => Err(error),
            Some(Ok(())) => return true,
            // Longer than the link takes, or cut: as segments that it takes.
            _ => {
                let segments = frame.segments();
                if segments.is_empty() {
                    return false;
                }
                segments.iter().try_for_each(|segment| sender.send(frame.ifindex, segment))
            }
        };
        sent.inspect_err(|error| tracing::debug!(%error, ifindex = frame.ifindex, "a held answer was not sent")).is_ok()
    }

    fn give_up_overdue(&mut self) {
        let Self { listener, directory, terms, .. } = self;
        let overdue = listener.overdue(monotonic::now(), |group| terms_of(directory, &terms.borrow(), group).0);
        for frame in &overdue {
            self.count(LessonCount::Late);
            self.unlearned(frame);
        }
    }

    /// When the next held fragment can wait no longer.
    fn next_due(&self) -> Option<Instant> {
        self.listener.next_due(|group| self.terms_of(group).0).map(instant_of)
    }

    /// How long a group holds answers, and what it does with one that is not learned.
    fn terms_of(&self, group: u32) -> (Duration, Unlearned) {
        terms_of(&self.directory, &self.terms.borrow(), group)
    }

    fn count(&self, what: LessonCount) {
        if let Err(error) = self.tally.count(what) {
            tracing::warn!(error = &error as &dyn std::error::Error, "cannot count");
        }
    }
}

/// The terms of a group; the mildest for one that has just ceased to hold answers.
fn terms_of(directory: &Directory, terms: &Terms, group: u32) -> (Duration, Unlearned) {
    let terms = directory.group(group).and_then(|name| terms.get(name.as_ref()).copied());
    terms.unwrap_or((LONGEST, Unlearned::Deliver))
}

/// The moment on the clock of the runtime.
fn instant_of(moment: Moment) -> Instant {
    Instant::now() + moment.since(monotonic::now())
}
