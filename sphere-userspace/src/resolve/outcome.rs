//! What can come of asking for one name and one family. Each outcome is its own: none is taken for another.

use std::{fmt, net::IpAddr, time::Duration};

use crate::policy::DomainName;

/// An address family, and the record type that carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// A records.
    V4,
    /// AAAA records.
    V6,
}

impl Family {
    /// Both families.
    pub const ALL: [Self; 2] = [Self::V4, Self::V6];

    /// Name of the record type.
    #[must_use]
    pub const fn record_type(self) -> &'static str {
        match self {
            Self::V4 => "A",
            Self::V6 => "AAAA",
        }
    }

    /// The family of an address.
    #[must_use]
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.record_type())
    }
}

/// One question: a name and a family.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Question {
    /// The absolute name.
    pub name: DomainName,
    /// The family.
    pub family: Family,
}

impl fmt::Display for Question {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.name, self.family)
    }
}

/// One address record at the end of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AddressRecord {
    /// The address.
    pub address: IpAddr,
    /// The record's own TTL.
    pub ttl: Duration,
}

/// A positive answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Addresses with their own TTLs, each address once; never empty.
    pub records: Vec<AddressRecord>,
    /// The names the question led through (CNAME targets), in order.
    pub chain: Vec<DomainName>,
    /// The smallest TTL of the chain: when the chain may change, not how long the addresses hold.
    pub chain_ttl: Option<Duration>,
}

/// What came of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// NOERROR with addresses.
    Answer(Answer),
    /// NOERROR without addresses of this family.
    NoData,
    /// NXDOMAIN.
    NoSuchName,
    /// SERVFAIL.
    ServerFailure,
    /// REFUSED.
    Refused,
    /// No answer in time.
    Timeout,
    /// The answer did not fit into UDP, and asking over TCP failed too.
    Truncated,
    /// Anything else: another response code, an answer that makes no sense, no network.
    Failed(String),
}

impl Outcome {
    /// Whether the question was answered at all, be it with nothing.
    #[must_use]
    pub const fn is_definite(&self) -> bool {
        matches!(self, Self::Answer(_) | Self::NoData | Self::NoSuchName)
    }

    /// Word for people and records.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Answer(_) => "answer",
            Self::NoData => "nodata",
            Self::NoSuchName => "nxdomain",
            Self::ServerFailure => "servfail",
            Self::Refused => "refused",
            Self::Timeout => "timeout",
            Self::Truncated => "truncated",
            Self::Failed(_) => "failed",
        }
    }
}

/// A question that came to its end: what the shell of the resolver sends to the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolution {
    /// What was asked.
    pub question: Question,
    /// What came of it.
    pub outcome: Outcome,
    /// When the reply came, or was given up.
    pub at: crate::reconcile::Moment,
}
