//! Calendar dates: when a profile was checked, and until when it is valid.

use std::{fmt, time::SystemTime};

use toml::value::Datetime;

/// A day of the calendar, without time or zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Date {
    year: u16,
    month: u8,
    day: u8,
}

impl Date {
    /// The day in UTC.
    #[must_use]
    pub(super) fn of(time: SystemTime) -> Self {
        // A clock outside the years that can be written is no reason to fail; 1970 makes no profile outdated.
        let in_range = time.duration_since(SystemTime::UNIX_EPOCH).is_ok_and(|since| since.as_secs() < 253_402_300_800);
        let time = if in_range { time } else { SystemTime::UNIX_EPOCH };
        let text = humantime::format_rfc3339_seconds(time).to_string();
        let number = |from: usize, to: usize| text.get(from..to).and_then(|digits| digits.parse::<u16>().ok());
        let small = |from, to| number(from, to).and_then(|value| u8::try_from(value).ok()).unwrap_or(1);
        Self { year: number(0, 4).unwrap_or(1970), month: small(5, 7), day: small(8, 10) }
    }

    /// The date of a TOML value that is a date and nothing else.
    pub(super) fn from_toml(value: &Datetime) -> Option<Self> {
        match (value.date, value.time, value.offset) {
            (Some(date), None, None) => Some(Self { year: date.year, month: date.month, day: date.day }),
            _ => None,
        }
    }
}

impl fmt::Display for Date {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&format!("{:04}-{:02}-{:02}", self.year, self.month, self.day))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn moments_have_a_day_and_impossible_ones_are_1970() {
        let after = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        assert_eq!(Date::of(after(0)).to_string(), "1970-01-01");
        assert_eq!(Date::of(after(951_782_399)).to_string(), "2000-02-28");
        assert_eq!(Date::of(after(951_782_400)).to_string(), "2000-02-29");
        assert_eq!(Date::of(after(253_402_300_799)).to_string(), "9999-12-31");
        assert_eq!(Date::of(after(253_402_300_800)).to_string(), "1970-01-01");
        assert_eq!(Date::of(SystemTime::UNIX_EPOCH - Duration::from_secs(1)).to_string(), "1970-01-01");
    }
}
