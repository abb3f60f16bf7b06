//! The store, for who writes it: one batch is one transaction, and whatever fails is as if it had not begun.

use std::collections::HashMap;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::bases::{Base, Bases};
use super::batch::Batch;
use super::day::{self, Day, FileName};
use super::denial::{Account, Denial};
use super::denied::DeniedByGroup;
use super::file::{Current, Elder, finish_left};
use super::{StoreError, StoreSettings, WhenFull};

/// Denials of a batch that are looked up together.
const CHUNK: usize = 16_384;
/// A file may have this part of all bytes; then its day gets another.
const PARTS: u64 = 8;
/// A clock that shows less was not set since the machine started: 2026-01-01.
const CLOCK_IS_SET: Duration = Duration::from_secs(1_767_225_600);
/// How long to wait for the clock to be set; a gateway may have nobody to ask.
const CLOCK_PATIENCE: Duration = Duration::from_secs(600);
/// Time between two days that go because of their age: a clock that is wrong for a moment must not empty the store.
const AGEING: Duration = Duration::from_secs(3600);

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Outcome {
    /// It is written.
    Written,
    /// Nothing of it is written: there is no room, somebody holds the file, or the clock is not set. The kernel has the
    /// totals; they are to be handed over again.
    Paused,
}

/// What became of everything so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreStats {
    /// Denials that were written.
    pub written: u64,
    /// Denials that were not written when they were handed over.
    pub paused: u64,
    /// Files that went because of their age.
    pub aged_files: u64,
    /// Files that went because there was no room for them.
    pub dropped_files: u64,
    /// Files that could not be read.
    pub damaged_files: u64,
}

/// The store, open to be written. Dropping it closes the files; nothing waits to be written.
#[derive(Debug)]
pub struct Store {
    settings: StoreSettings,
    bases: Bases,
    current: Option<Current>,
    /// The file that is, or is to be, the current one.
    target: Option<FileName>,
    elders: Vec<Elder>,
    serial: u64,
    /// Bytes that a file may have.
    part_bytes: u64,
    opened: Instant,
    aged: Option<SystemTime>,
    /// Why nothing is written at the moment.
    pause: Option<String>,
    stats: StoreStats,
    denied: DeniedByGroup,
}

impl Store {
    /// Opens the store; its files are opened with the first batch.
    ///
    /// # Errors
    ///
    /// When the directory cannot be made or read.
    pub fn open(settings: StoreSettings) -> Result<Self, StoreError> {
        let directory = &settings.directory;
        // Who reaches what is nobody else's business.
        let made = DirBuilder::new().recursive(true).mode(0o750).create(directory);
        made.map_err(StoreError::directory("make", directory))?;
        day::files(directory)?;
        Ok(Self {
            part_bytes: settings.keep_bytes / PARTS,
            settings,
            bases: Bases::default(),
            current: None,
            target: None,
            elders: Vec::new(),
            serial: 0,
            opened: Instant::now(),
            aged: None,
            pause: None,
            stats: StoreStats::default(),
            denied: DeniedByGroup::default(),
        })
    }

    /// Writes what is new in a batch of absolute totals, all of it or nothing. It may be handed over again, in part or
    /// out of order: only what is new counts.
    ///
    /// # Errors
    ///
    /// When the files cannot be written, for other reasons than those of [`Outcome::Paused`].
    pub fn ingest(&mut self, batch: &[Denial], now: SystemTime) -> Result<Outcome, StoreError> {
        if now < UNIX_EPOCH + CLOCK_IS_SET && self.opened.elapsed() < CLOCK_PATIENCE {
            return Ok(self.pause(batch, "the clock is not set"));
        }
        loop {
            match self.write(batch, Day::of(now)) {
                Ok(()) => break,
                Err(error) if error.is_full() => {
                    if self.settings.when_full == WhenFull::Pause || !self.drop_oldest()? {
                        return Ok(self.pause(batch, &error.whole()));
                    }
                }
                Err(error) if error.is_busy() => return Ok(self.pause(batch, &error.whole())),
                Err(error) => {
                    self.stats.paused += batch.len() as u64;
                    return Err(error);
                }
            }
        }
        if self.pause.take().is_some() {
            tracing::info!("the store is written again");
        }
        self.stats.written += batch.len() as u64;
        self.tidy(now);
        Ok(Outcome::Written)
    }

    /// Removes what is too old or too much, as every batch does: for times when there is none.
    pub fn tidy(&mut self, now: SystemTime) {
        if let Err(error) = self.retain(now) {
            tracing::warn!(error = error.whole(), "old files stay");
        }
    }

    /// Bytes that the files take.
    ///
    /// # Errors
    ///
    /// When the directory cannot be read.
    pub fn bytes(&self) -> Result<u64, StoreError> {
        let directory = &self.settings.directory;
        Ok(day::files(directory)?.iter().map(|name| name.bytes(directory)).sum())
    }

    /// What became of everything so far.
    #[must_use]
    pub const fn stats(&self) -> StoreStats {
        self.stats
    }

    /// Why nothing is written at the moment; [`None`] when what comes is written.
    #[must_use]
    pub fn pause_reason(&self) -> Option<&str> {
        self.pause.as_deref()
    }

    /// What was written so far, by group.
    #[must_use]
    pub const fn denied(&self) -> &DeniedByGroup {
        &self.denied
    }

    fn pause(&mut self, batch: &[Denial], why: &str) -> Outcome {
        if self.pause.as_deref() != Some(why) {
            tracing::warn!(why, "the store pauses; the kernel keeps the totals");
            self.pause = Some(why.to_owned());
        }
        self.stats.paused += batch.len() as u64;
        Outcome::Paused
    }

    fn write(&mut self, batch: &[Denial], day: Day) -> Result<(), StoreError> {
        let mut current = self.current_for(day)?;
        if let Err(error) = self.write_into(&mut current, batch) {
            // What is remembered may not be what is written. Closing the file takes the transaction back.
            self.bases.forget();
            return Err(error);
        }
        self.current = Some(current);
        Ok(())
    }

    fn write_into(&mut self, current: &mut Current, batch: &[Denial]) -> Result<(), StoreError> {
        let denied = self.put(current, batch)?;
        current.connection.execute_batch("COMMIT").map_err(StoreError::file("write", &current.path))?;
        self.denied.merge(denied);
        Ok(())
    }

    /// Begins a transaction, and writes a batch in it; gives back what is new, by group.
    fn put(&mut self, current: &mut Current, batch: &[Denial]) -> Result<DeniedByGroup, StoreError> {
        let mut denied = DeniedByGroup::default();
        let path = current.path.clone();
        current.connection.execute_batch("BEGIN IMMEDIATE").map_err(StoreError::file("write", &path))?;
        for chunk in batch.chunks(CHUNK) {
            let accounts: Vec<Account> = chunk.iter().map(Account::from).collect();
            let mut bases = HashMap::with_capacity(accounts.len());
            for account in &accounts {
                if !bases.contains_key(account) {
                    bases.insert(*account, self.base(current, account)?);
                }
            }
            let written = write_chunk(current, (&mut bases, &mut denied), chunk.iter().zip(&accounts));
            current.coverage = written.map_err(StoreError::file("write", &path))?;
            for (account, base) in bases {
                current.note(&account);
                self.bases.remember(account, base);
            }
        }
        Ok(denied)
    }

    /// The base of an account: remembered, or as the files have it.
    fn base(&mut self, current: &Current, account: &Account) -> Result<Base, StoreError> {
        if let Some(base) = self.bases.recall(account) {
            return Ok(base);
        }
        let mut base = current.base(account)?;
        let mut damaged = Vec::new();
        for elder in &self.elders {
            match elder.base(account) {
                Ok(found) => base = base.later(found),
                Err(error) if error.is_unusable() => {
                    tracing::error!(%error, "a file of the store is damaged");
                    damaged.push(elder.name);
                }
                Err(error) => return Err(error),
            }
        }
        self.stats.damaged_files += damaged.len() as u64;
        self.elders.retain(|elder| !damaged.contains(&elder.name));
        Ok(base)
    }

    /// The file for a day, taken out of the store while it is written.
    fn current_for(&mut self, day: Day) -> Result<Current, StoreError> {
        let directory = self.settings.directory.clone();
        let has_grown = |name: FileName| name.bytes(&directory) >= self.part_bytes;
        if let Some(current) = self.current.take() {
            if current.name.day == day && !has_grown(current.name) {
                return Ok(current);
            }
            current.finish();
        }
        let files = day::files(&directory)?;
        let latest = files.iter().rev().find(|name| name.day == day).copied();
        let mut name = latest.map_or(FileName::first(day), |name| if has_grown(name) { name.next() } else { name });
        loop {
            self.target = Some(name);
            self.serial += 1;
            match Current::open(&directory, name, self.serial) {
                Ok(current) => {
                    self.gather(&files)?;
                    return Ok(current);
                }
                Err(error) if error.is_unusable() => {
                    tracing::error!(%error, "a file of the store is damaged: the day gets another");
                    self.stats.damaged_files += 1;
                    name = name.next();
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Opens every other file, to look for accounts that go on.
    fn gather(&mut self, files: &[FileName]) -> Result<(), StoreError> {
        let directory = &self.settings.directory;
        let target = self.target;
        self.elders.retain(|elder| Some(elder.name) != target && files.contains(&elder.name));
        for name in files.iter().filter(|name| Some(**name) != target) {
            if self.elders.iter().any(|elder| elder.name == *name) {
                continue;
            }
            let left = if name.is_unfinished(directory) { finish_left(directory, *name) } else { Ok(()) };
            match left.and_then(|()| Elder::open(directory, *name)) {
                Ok(elder) => self.elders.push(elder),
                Err(error) if error.is_unusable() => tracing::warn!(%error, "a file of the store is left alone"),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Removes what is too old, and what is too much.
    fn retain(&mut self, now: SystemTime) -> Result<(), StoreError> {
        let is_due = |at: SystemTime| now.duration_since(at).map_or(true, |since| since >= AGEING);
        if self.aged.is_none_or(is_due) {
            self.aged = Some(now);
            self.drop_expired(Day::of(now).back(self.settings.keep_days))?;
        }
        while self.bytes()? > self.settings.keep_bytes && self.drop_oldest()? {}
        Ok(())
    }

    /// Removes the oldest day, if it is not after `last`.
    fn drop_expired(&mut self, last: Day) -> Result<(), StoreError> {
        let files = day::files(&self.settings.directory)?;
        let Some(oldest) = files.first().filter(|name| name.day <= last) else { return Ok(()) };
        let target = self.target;
        for name in files.iter().filter(|name| name.day == oldest.day && Some(**name) != target) {
            self.remove(*name)?;
            self.stats.aged_files += 1;
        }
        Ok(())
    }

    /// Removes the oldest file, and says whether there was one beside that which is written.
    fn drop_oldest(&mut self) -> Result<bool, StoreError> {
        let files = day::files(&self.settings.directory)?;
        let Some(oldest) = files.into_iter().find(|name| Some(*name) != self.target) else { return Ok(false) };
        self.remove(oldest)?;
        self.stats.dropped_files += 1;
        Ok(true)
    }

    fn remove(&mut self, name: FileName) -> Result<(), StoreError> {
        self.elders.retain(|elder| elder.name != name);
        tracing::info!(file = %name.text(), "the store lets a file go");
        name.remove(&self.settings.directory)
    }
}

/// Writes some of a batch on top of its bases; gives back the hours that the file now has.
fn write_chunk<'a>(
    current: &mut Current,
    (bases, denied): (&mut HashMap<Account, Base>, &mut DeniedByGroup),
    chunk: impl Iterator<Item = (&'a Denial, &'a Account)>,
) -> rusqlite::Result<Option<(i64, i64)>> {
    let mut batch = Batch::new(&current.connection, &mut current.dictionary, current.serial, current.coverage)?;
    for (denial, account) in chunk {
        let base = bases.entry(*account).or_default();
        let before = std::mem::replace(base, batch.add((denial, account), *base)?);
        denied.add(denial, (base.packets - before.packets, base.bytes - before.bytes));
    }
    batch.finish()
}

#[cfg(test)]
pub(super) mod tests;
