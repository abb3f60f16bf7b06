//! Reads `[store]`: whether the account of denials is kept on disk, where, and how much of it.

use std::{
    ops::{Range, RangeInclusive},
    path::PathBuf,
    time::Duration,
};

use super::{
    document::{Fields, Value},
    findings::Findings,
    size, values,
};
use crate::store::{StoreSettings, WhenFull};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Ten years.
const AGES: Range<Duration> = DAY..DAY.saturating_mul(3_651);
/// A file of the store may have an eighth of it, and has some hundred kilobytes when it is empty.
const SIZES: RangeInclusive<u64> = 16 << 20..=16 << 40;

/// Reads the table.
pub(super) fn store(mut fields: Fields<'_>, findings: &mut Findings) -> StoreSettings {
    let mut settings = StoreSettings::default();
    if let Some(enabled) = fields.take("enabled").and_then(|value| value.boolean(findings)) {
        settings.enabled = enabled;
    }
    if let Some(directory) = fields.take("directory").and_then(|value| directory(&value, findings)) {
        settings.directory = directory;
    }
    if let Some(days) = fields.take("keep").and_then(|value| days(&value, findings)) {
        settings.keep_days = days;
    }
    if let Some(bytes) = fields.take("max_size").and_then(|value| size::bytes(&value, &SIZES, findings)) {
        settings.keep_bytes = bytes;
    }
    let when_full = [("drop-oldest", WhenFull::DropOldest), ("pause", WhenFull::Pause)];
    if let Some(when_full) = fields.take("when_full").and_then(|value| value.one_of(&when_full, findings)) {
        settings.when_full = when_full;
    }
    fields.finish(findings);
    settings
}

fn directory(value: &Value<'_>, findings: &mut Findings) -> Option<PathBuf> {
    let text = values::line(value, findings)?;
    let path = PathBuf::from(text.value);
    if !path.is_absolute() {
        findings.error(&text.span, "`directory` is no absolute path", "write a path that begins with `/`");
        return None;
    }
    Some(path)
}

/// An age in days: the store keeps and removes whole days.
fn days(value: &Value<'_>, findings: &mut Findings) -> Option<u32> {
    let age = value.duration(&AGES, findings)?;
    if age.as_secs() % DAY.as_secs() != 0 || age.subsec_nanos() != 0 {
        let remedy = "write a number of days, such as \"30d\": the store keeps a file for each day";
        findings.error(value.span(), "`keep` is no whole number of days", remedy);
        return None;
    }
    u32::try_from(age.as_secs() / DAY.as_secs()).ok()
}
