//! Reading the policy again: elsewhere, since a large file or a slow disk must not keep the daemon from anything else.

use std::path::PathBuf;

use tokio::task::JoinSet;

use super::policies::said;
use crate::policy::{self, Policy, Texts};

/// A policy and the texts that it was read from, or what is wrong with it.
type Found = Result<(Policy, Texts), Vec<String>>;
/// What came of reading: [`None`] when it panicked, which was told.
pub(super) type Read = Option<Found>;

/// A policy file that is read when it is asked for, once at a time.
#[derive(Debug)]
pub(super) struct Reload {
    config: PathBuf,
    reading: JoinSet<Found>,
    /// Asked for while it was being read: it may have changed behind what was read already.
    is_stale: bool,
}

impl Reload {
    /// Nothing is being read.
    pub(super) fn new(config: PathBuf) -> Self {
        Self { config, reading: JoinSet::new(), is_stale: false }
    }

    /// Asks for the file to be read.
    pub(super) fn ask(&mut self) {
        self.is_stale = !self.reading.is_empty();
        if !self.is_stale {
            self.begin();
        }
    }

    fn begin(&mut self) {
        let config = self.config.clone();
        self.reading.spawn_blocking(move || policy::load_with_texts(&config).map_err(|errors| said(&errors)));
    }

    /// What the file says, as it is after it was asked for last; [`None`] when nobody has asked. Nothing is lost when
    /// this is no longer waited for.
    pub(super) async fn done(&mut self) -> Option<Read> {
        loop {
            let read = self.reading.join_next().await?;
            if std::mem::take(&mut self.is_stale) {
                self.begin();
                continue;
            }
            return Some(read.inspect_err(|error| tracing::error!(%error, "reading the policy panicked")).ok());
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use std::fs;

    use super::*;

    const POLICY: &str = "version = 1\n[[group]]\nname = \"a\"\nmode = \"audit\"\ninterfaces = [\"lan0\"]\n\
                          subnets = [\"10.1.0.0/24\"]\n[[group.allow]]\naddress = \"192.0.2.1\"\nports = [\"tcp/1\"]\n";

    #[tokio::test]
    async fn what_is_read_is_what_the_file_said_after_it_was_asked_for_last() {
        let path = std::env::temp_dir().join(format!("sphere-reload-{}.toml", std::process::id()));
        fs::write(&path, "nothing").unwrap();
        let mut reload = Reload::new(path.clone());
        assert!(reload.done().await.is_none(), "nobody has asked");
        for _ in 0..3 {
            reload.ask();
        }
        fs::write(&path, POLICY).unwrap();
        reload.ask();
        let read = reload.done().await.unwrap().unwrap();
        assert_eq!(read.map(|(policy, texts)| (policy.groups.len(), texts[&path] == POLICY)), Ok((1, true)));
        assert!(reload.done().await.is_none(), "it is read no more often than needed");
        fs::write(&path, "nothing").unwrap();
        reload.ask();
        assert!(reload.done().await.unwrap().unwrap().is_err());
        fs::remove_file(&path).unwrap();
    }
}
