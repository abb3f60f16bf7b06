//! Where records go. Each sink has a thread and a bounded queue of its own: a stalled pipe or a full disk holds up
//! nobody else.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::policy::DeniedSink;

/// Lines that wait for a slow sink.
const QUEUE_LINES: usize = 4096;
/// How long a broken sink is left alone before it is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// Lines that a sink could not take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkLoss {
    /// Name of the sink.
    pub sink: String,
    /// Lines lost so far.
    pub lines: u64,
}

/// Every sink.
#[derive(Debug, Default)]
pub struct Sinks {
    sinks: Vec<Sink>,
}

#[derive(Debug)]
struct Sink {
    name: String,
    queue: SyncSender<Arc<str>>,
    lost: Arc<AtomicU64>,
    ended: Receiver<()>,
}

impl Sinks {
    /// Starts the sinks of a policy.
    ///
    /// # Errors
    ///
    /// When a thread cannot be started. (A file that cannot be opened is tried again and again.)
    pub fn start(wanted: &[DeniedSink]) -> io::Result<Self> {
        let sinks = wanted.iter().map(|sink| match sink {
            DeniedSink::Stdout => Sink::start("stdout", Box::new(io::stdout)),
            DeniedSink::File(path) => Sink::start(&path.display().to_string(), Box::new(Rotated::new(path))),
        });
        Ok(Self { sinks: sinks.collect::<Result<_, _>>()? })
    }

    /// Hands a line to every sink; never waits.
    pub fn send(&self, line: &Arc<str>) {
        for sink in &self.sinks {
            match sink.queue.try_send(Arc::clone(line)) {
                Ok(()) => {}
                Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                    sink.lost.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }

    /// What was lost so far, by sink.
    #[must_use]
    pub fn losses(&self) -> Vec<SinkLoss> {
        let loss = |sink: &Sink| SinkLoss { sink: sink.name.clone(), lines: sink.lost.load(Ordering::Relaxed) };
        self.sinks.iter().map(loss).collect()
    }

    /// Ends the sinks, giving what waits in their queues until the deadline to get out.
    pub fn drain(self, deadline: Duration) {
        let until = Instant::now() + deadline;
        let ends: Vec<Receiver<()>> = self.sinks.into_iter().map(|sink| sink.ended).collect();
        for end in ends {
            // Disconnected: the thread has ended. A thread that hangs in a write is left to the end of the process.
            match end.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(()) | Err(RecvTimeoutError::Disconnected) => {}
                Err(RecvTimeoutError::Timeout) => tracing::warn!("a sink did not finish in time"),
            }
        }
    }
}

/// Something that lines can be written to, found anew before each batch.
trait Output: Send {
    fn open(&mut self) -> io::Result<Box<dyn Write + '_>>;
}

impl<F: FnMut() -> io::Stdout + Send> Output for F {
    fn open(&mut self) -> io::Result<Box<dyn Write + '_>> {
        Ok(Box::new(self().lock()))
    }
}

/// A file that others may rotate away: it is opened again when its name leads to another file, or to none.
#[derive(Debug)]
struct Rotated {
    path: PathBuf,
    file: Option<File>,
}

impl Rotated {
    fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), file: None }
    }
}

impl Output for Rotated {
    fn open(&mut self) -> io::Result<Box<dyn Write + '_>> {
        let current = std::fs::metadata(&self.path).map(|m| (m.dev(), m.ino())).ok();
        let held = self.file.as_ref().and_then(|file| file.metadata().map(|m| (m.dev(), m.ino())).ok());
        if held.is_none() || held != current {
            self.file = None;
            self.file = Some(OpenOptions::new().create(true).append(true).open(&self.path)?);
        }
        match &self.file {
            Some(file) => Ok(Box::new(file)),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

impl Sink {
    fn start(name: &str, output: Box<dyn Output>) -> io::Result<Self> {
        let (queue, lines) = sync_channel(QUEUE_LINES);
        let lost = Arc::new(AtomicU64::new(0));
        let (end, ended) = sync_channel(0);
        let (counter, label) = (Arc::clone(&lost), name.to_owned());
        thread::Builder::new().name("sink".to_owned()).spawn(move || {
            write_lines(&lines, output, &label, &counter);
            drop(end);
        })?;
        Ok(Self { name: name.to_owned(), queue, lost, ended })
    }
}

/// Writes lines until their sender is gone.
fn write_lines(lines: &Receiver<Arc<str>>, mut output: Box<dyn Output>, name: &str, lost: &AtomicU64) {
    let mut broken: Option<Instant> = None;
    while let Ok(first) = lines.recv() {
        let mut batch = String::from(&*first);
        let mut count = 1;
        for line in lines.try_iter().take(QUEUE_LINES) {
            batch.push_str(&line);
            count += 1;
        }
        if broken.is_some_and(|since| since.elapsed() < RETRY) {
            lost.fetch_add(count, Ordering::Relaxed);
            continue;
        }
        let written =
            output.open().and_then(|mut output| output.write_all(batch.as_bytes()).and_then(|()| output.flush()));
        match written {
            Ok(()) if broken.take().is_some() => {
                tracing::info!(sink = name, lost = lost.load(Ordering::Relaxed), "sink works again");
            }
            Ok(()) => {}
            Err(error) => {
                lost.fetch_add(count, Ordering::Relaxed);
                if broken.replace(Instant::now()).is_none() {
                    tracing::warn!(sink = name, %error, "sink is broken, its records are lost until it works again");
                }
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("sphere-sink-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    #[test]
    fn a_rotated_file_is_opened_again() {
        let directory = scratch("rotate");
        let path = directory.join("denied.jsonl");
        let mut output = Rotated::new(&path);
        output.open().unwrap().write_all(b"one\n").unwrap();
        std::fs::rename(&path, directory.join("old")).unwrap();
        output.open().unwrap().write_all(b"two\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "two\n");
        assert_eq!(std::fs::read_to_string(directory.join("old")).unwrap(), "one\n");
        std::fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn what_was_sent_is_written_before_the_drain_ends() {
        let directory = scratch("drain");
        let path = directory.join("denied.jsonl");
        let sinks = Sinks::start(&[DeniedSink::File(path.clone())]).unwrap();
        for _ in 0..1_000 {
            sinks.send(&"line\n".into());
        }
        sinks.drain(Duration::from_secs(10));
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 1_000);
        std::fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn a_full_disk_counts_its_losses_and_the_other_sink_goes_on() {
        let directory = scratch("full");
        let path = directory.join("denied.jsonl");
        let sinks = Sinks::start(&[DeniedSink::File("/dev/full".into()), DeniedSink::File(path.clone())]).unwrap();
        for _ in 0..100 {
            sinks.send(&"line\n".into());
        }
        let until = Instant::now() + Duration::from_secs(10);
        while sinks.losses()[0].lines < 100 && Instant::now() < until {
            thread::yield_now();
        }
        assert_eq!(sinks.losses()[0].lines, 100);
        assert_eq!(sinks.losses()[1].lines, 0);
        sinks.drain(Duration::from_secs(10));
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 100);
        std::fs::remove_dir_all(directory).unwrap();
    }
}
