//! One thing that was looked at.

use serde::Serialize;

/// What it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Area {
    /// The kernel, and what the process may do.
    Kernel,
    /// Device ports.
    Ports,
    /// Forwarding and address translation.
    Forwarding,
    /// The clock.
    Clock,
    /// Resolvers.
    Resolvers,
    /// What the policy lets devices reach.
    Endpoints,
}

impl Area {
    /// Its word for people.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Kernel => "KERNEL",
            Self::Ports => "DEVICE PORTS",
            Self::Forwarding => "FORWARDING",
            Self::Clock => "CLOCK",
            Self::Resolvers => "RESOLVERS",
            Self::Endpoints => "ENDPOINTS",
        }
    }
}

/// How it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// As it should be.
    Ok,
    /// It could not be looked at.
    Unknown,
    /// It may be meant.
    Warning,
    /// Devices will not get what the policy allows, or more than it allows.
    Problem,
}

impl State {
    /// Its word for people.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Unknown => "unknown",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is about.
    pub area: Area,
    /// How it stands.
    pub state: State,
    /// What was seen.
    pub what: String,
    /// The command, or the change, that mends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl Finding {
    /// It is as it should be.
    pub(super) fn ok(area: Area, what: impl Into<String>) -> Self {
        Self { area, state: State::Ok, what: what.into(), remedy: None }
    }

    /// It could not be looked at.
    pub(super) fn unknown(area: Area, what: impl Into<String>) -> Self {
        Self { area, state: State::Unknown, what: what.into(), remedy: None }
    }

    /// It is not.
    pub(super) fn new(area: Area, state: State, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { area, state, what: what.into(), remedy: Some(remedy.into()) }
    }
}
