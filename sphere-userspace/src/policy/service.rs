//! What may be reached at a target: a protocol and a port, `tcp/443`, `udp/*`, `icmp`.

use std::{fmt, num::NonZeroU16, str::FromStr};

/// A transport that a rule can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP echo, for IPv6 ICMPv6 echo.
    Icmp,
}

impl Protocol {
    /// IP protocol number for IPv4.
    #[must_use]
    pub const fn number4(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Icmp => 1,
        }
    }

    /// IP protocol number for IPv6.
    #[must_use]
    pub const fn number6(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Icmp => 58,
        }
    }

    /// Word in policies and tables.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Icmp => "icmp",
        }
    }
}

/// The word of an IP protocol number, or the number where it has none here.
#[must_use]
pub fn protocol_text(number: u8) -> String {
    match number {
        1 => "icmp".to_owned(),
        6 => "tcp".to_owned(),
        17 => "udp".to_owned(),
        58 => "icmpv6".to_owned(),
        number => number.to_string(),
    }
}

/// Which ports of a protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PortMatch {
    /// Every port, and the only choice for ICMP.
    Any,
    /// One port.
    One(NonZeroU16),
}

/// A protocol and a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Service {
    protocol: Protocol,
    port: PortMatch,
}

/// Why a text is no service.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServiceError {
    /// No slash, and not `icmp`.
    #[error("`{0}` has no protocol")]
    NoProtocol(String),
    /// Not of the form `protocol/port`.
    #[error("`{0}` is no service")]
    Form(String),
    /// Another protocol.
    #[error("unknown protocol `{0}`")]
    Protocol(String),
    /// Not 1 to 65535.
    #[error("`{0}` is no port")]
    Port(String),
    /// Zeros before the number of the port.
    #[error("`{0}` has leading zeros")]
    LeadingZeros(String),
    /// A port range.
    #[error("`{0}` is a range of ports")]
    Range(String),
    /// ICMP with a port.
    #[error("`icmp` has no ports")]
    IcmpPort,
}

impl ServiceError {
    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            Self::NoProtocol(port) => format!("write `tcp/{port}` or `udp/{port}`"),
            Self::Form(_) => "write `tcp/PORT`, `udp/PORT`, `tcp/*`, `udp/*` or `icmp`".to_owned(),
            Self::Protocol(_) => "use `tcp`, `udp` or `icmp`, in lower case".to_owned(),
            Self::Port(_) => "use a port from 1 to 65535, or `*` for every port".to_owned(),
            Self::LeadingZeros(service) => format!("write `{}`", without_zeros(service)),
            Self::Range(_) => "list the ports one by one, or use `*` for every port".to_owned(),
            Self::IcmpPort => "write `icmp`".to_owned(),
        }
    }
}

impl Service {
    /// One UDP port.
    #[must_use]
    pub const fn udp(port: NonZeroU16) -> Self {
        Self { protocol: Protocol::Udp, port: PortMatch::One(port) }
    }

    /// One TCP port.
    #[must_use]
    pub const fn tcp(port: NonZeroU16) -> Self {
        Self { protocol: Protocol::Tcp, port: PortMatch::One(port) }
    }

    /// Every port of a protocol, and of ICMP what there is.
    #[must_use]
    pub const fn every(protocol: Protocol) -> Self {
        Self { protocol, port: PortMatch::Any }
    }

    /// The protocol.
    #[must_use]
    pub const fn protocol(self) -> Protocol {
        self.protocol
    }

    /// The port.
    #[must_use]
    pub const fn port(self) -> PortMatch {
        self.port
    }

    /// Every port of its protocol.
    #[must_use]
    pub const fn at_any_port(self) -> Self {
        Self { protocol: self.protocol, port: PortMatch::Any }
    }

    /// Port number as the kernel tables spell it: 0 stands for every port.
    #[must_use]
    pub const fn port_number(self) -> u16 {
        match self.port {
            PortMatch::Any => 0,
            PortMatch::One(port) => port.get(),
        }
    }

    /// Whether it stands for every port of a protocol that has ports.
    #[must_use]
    pub const fn is_wildcard(self) -> bool {
        matches!((self.protocol, self.port), (Protocol::Tcp | Protocol::Udp, PortMatch::Any))
    }
}

impl FromStr for Service {
    type Err = ServiceError;

    fn from_str(text: &str) -> Result<Self, ServiceError> {
        if text == "icmp" {
            return Ok(Self { protocol: Protocol::Icmp, port: PortMatch::Any });
        }
        let Some((protocol, port)) = text.split_once('/') else {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            let error = if digits { ServiceError::NoProtocol } else { ServiceError::Form };
            return Err(error(text.to_owned()));
        };
        let protocol = match protocol {
            "tcp" => Protocol::Tcp,
            "udp" => Protocol::Udp,
            "icmp" => return Err(ServiceError::IcmpPort),
            other => return Err(ServiceError::Protocol(other.to_owned())),
        };
        let service = Self { protocol, port: parse_port(port)? };
        if port.starts_with('0') { Err(ServiceError::LeadingZeros(text.to_owned())) } else { Ok(service) }
    }
}

/// The service as it is to be written.
fn without_zeros(service: &str) -> String {
    match service.split_once('/') {
        Some((protocol, port)) => format!("{protocol}/{}", port.trim_start_matches('0')),
        None => service.to_owned(),
    }
}

fn parse_port(text: &str) -> Result<PortMatch, ServiceError> {
    if text == "*" {
        return Ok(PortMatch::Any);
    }
    if text.contains(['-', ':', ',']) && text.bytes().any(|byte| byte.is_ascii_digit()) && !text.starts_with('-') {
        return Err(ServiceError::Range(text.to_owned()));
    }
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ServiceError::Port(text.to_owned()));
    }
    let port = text.parse::<NonZeroU16>().map_err(|_range| ServiceError::Port(text.to_owned()))?;
    Ok(PortMatch::One(port))
}

impl fmt::Display for Service {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.protocol, self.port) {
            (Protocol::Icmp, _) => formatter.pad("icmp"),
            (protocol, PortMatch::Any) => formatter.pad(&format!("{}/*", protocol.word())),
            (protocol, PortMatch::One(port)) => formatter.pad(&format!("{}/{port}", protocol.word())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_read_and_written_alike() {
        for text in ["tcp/443", "udp/1", "udp/65535", "tcp/*", "udp/*", "icmp"] {
            assert_eq!(text.parse::<Service>().map(|service| service.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn what_is_no_service_says_what_to_write() {
        let error = |text: &str| text.parse::<Service>().err();
        assert_eq!(error("443"), Some(ServiceError::NoProtocol("443".into())));
        assert_eq!(error(""), Some(ServiceError::Form(String::new())));
        assert_eq!(error("sctp/5"), Some(ServiceError::Protocol("sctp".into())));
        assert_eq!(error("TCP/5"), Some(ServiceError::Protocol("TCP".into())));
        assert_eq!(error("tcp/0"), Some(ServiceError::Port("0".into())));
        assert_eq!(error("tcp/65536"), Some(ServiceError::Port("65536".into())));
        assert_eq!(error("tcp/+5"), Some(ServiceError::Port("+5".into())));
        assert_eq!(error("tcp/-5"), Some(ServiceError::Port("-5".into())));
        assert_eq!(error("tcp/80-90"), Some(ServiceError::Range("80-90".into())));
        assert_eq!(error("tcp/00443"), Some(ServiceError::LeadingZeros("tcp/00443".into())));
        assert_eq!(error("icmp/8"), Some(ServiceError::IcmpPort));
    }
}
