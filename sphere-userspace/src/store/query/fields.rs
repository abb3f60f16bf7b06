//! What lines of an answer are made of.

use std::fmt;
use std::str::FromStr;

/// A thing that packets can have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Field {
    /// The day (UTC) in which they were counted.
    Day,
    /// The hour (UTC) in which they were counted.
    Hour,
    /// The device.
    Device,
    /// Its group.
    Group,
    /// The other side's address.
    To,
    /// The names that led to it.
    Name,
    /// The IP protocol.
    Protocol,
    /// The protocol and the other side's port.
    Port,
    /// Which way they went.
    Direction,
    /// Denied, or would have been.
    Verdict,
    /// Why.
    Reason,
}

impl Field {
    /// Every field, in the order in which they are shown.
    pub const ALL: [Self; 11] = [
        Self::Day,
        Self::Hour,
        Self::Device,
        Self::Group,
        Self::To,
        Self::Name,
        Self::Protocol,
        Self::Port,
        Self::Direction,
        Self::Verdict,
        Self::Reason,
    ];

    /// The word that stands for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Hour => "hour",
            Self::Device => "device",
            Self::Group => "group",
            Self::To => "to",
            Self::Name => "name",
            Self::Protocol => "protocol",
            Self::Port => "port",
            Self::Direction => "direction",
            Self::Verdict => "verdict",
            Self::Reason => "reason",
        }
    }

    const fn bit(self) -> u16 {
        1 << self as u8
    }
}

impl fmt::Display for Field {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.word())
    }
}

/// A word that stands for no field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nothing is called `{0}`")]
pub struct UnknownField(String);

impl FromStr for Field {
    type Err = UnknownField;

    fn from_str(text: &str) -> Result<Self, UnknownField> {
        Self::ALL.into_iter().find(|field| field.word() == text).ok_or_else(|| UnknownField(text.to_owned()))
    }
}

/// Some fields; none makes one line of everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fields(u16);

impl Fields {
    /// Whether a field is among them.
    #[must_use]
    pub const fn has(self, field: Field) -> bool {
        self.0 & field.bit() != 0
    }

    /// Those that are among them, in the order in which they are shown.
    pub fn iter(self) -> impl Iterator<Item = Field> {
        Field::ALL.into_iter().filter(move |field| self.has(*field))
    }
}

impl FromIterator<Field> for Fields {
    fn from_iter<I: IntoIterator<Item = Field>>(fields: I) -> Self {
        Self(fields.into_iter().fold(0, |bits, field| bits | field.bit()))
    }
}
