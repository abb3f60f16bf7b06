//! Steps of a device's boot chain, and what leads to them.
//!
//! A device that boots takes one step after the other, and each needs the one before. Which endpoints belong to which step
//! is data of profiles and rules; only the first two, which every device has, are known from the infrastructure rules.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::service::Service;

/// A step, in the order in which devices take them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum Step {
    /// It gets an address.
    Dhcp = 1,
    /// It asks for names.
    Dns = 2,
    /// It looks whether it has a way to the internet.
    ConnectionCheck = 3,
    /// It sets its clock.
    Time = 4,
    /// It proves what it is.
    Attestation = 5,
    /// It looks for new software.
    Update = 6,
    /// Its application does what it is for.
    Application = 7,
}

impl Step {
    /// Every step, in its order.
    pub const ALL: [Self; 7] =
        [Self::Dhcp, Self::Dns, Self::ConnectionCheck, Self::Time, Self::Attestation, Self::Update, Self::Application];

    /// Those that endpoints can belong to.
    pub const OF_ENDPOINTS: [Self; 5] =
        [Self::ConnectionCheck, Self::Time, Self::Attestation, Self::Update, Self::Application];

    /// Word in policies, profiles, tables and JSON.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Dhcp => "dhcp",
            Self::Dns => "dns",
            Self::ConnectionCheck => "connection-check",
            Self::Time => "time",
            Self::Attestation => "attestation",
            Self::Update => "update",
            Self::Application => "application",
        }
    }

    /// The step of this number, as labels of rules have it.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|step| *step as u8 == number)
    }
}

/// An endpoint of a profile that the policy leaves out: what a device may try all the same, and what would open it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Its name; `{}` stands for any one label.
    pub host: String,
    /// At which protocols and ports.
    pub services: BTreeSet<Service>,
    /// The step that it belongs to.
    pub step: Step,
    /// What to change in the policy.
    pub remedy: String,
}
