//! Which denials a command is about: options that several commands have.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use clap::builder::PossibleValuesParser;
use clap::{Args, ValueEnum};
use ipnet::IpNet;
use sphere_common::verdict::{Direction, Reason, Verdict};

use crate::policy::GroupName;
use crate::store::{DEFAULT_DIRECTORY, Filter, Target, net};

/// The store, and what of it.
#[derive(Debug, Args)]
pub(super) struct Asked {
    /// Directory of the store
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DIRECTORY)]
    store: PathBuf,
    /// Only this device, or those of a network
    #[arg(long, value_name = "ADDRESS|CIDR", value_parser = net, value_delimiter = ',')]
    device: Vec<IpNet>,
    /// Only devices of this group
    #[arg(long, value_name = "NAME", value_parser = group, value_delimiter = ',')]
    group: Vec<String>,
    /// Only this other side; a name stands for those below it too
    #[arg(long, value_name = "NAME|ADDRESS|CIDR", value_parser = Target::parse)]
    to: Option<Target>,
    /// Only this port of the other side, over TCP and UDP unless it says which
    #[arg(long, value_name = "[PROTOCOL/]PORT", value_parser = port, value_delimiter = ',')]
    port: Vec<(Option<u8>, u16)>,
    /// Only this protocol: tcp, udp, icmp, icmpv6 or a number
    #[arg(long, value_name = "PROTOCOL", value_parser = protocol, value_delimiter = ',')]
    protocol: Vec<u8>,
    /// Only this reason, such as destination or query-name
    #[arg(long, value_name = "WORD", value_parser = reasons(), hide_possible_values = true, value_delimiter = ',')]
    reason: Vec<String>,
    /// Only what was denied, or only what would have been in enforce mode
    #[arg(long, value_name = "VERDICT")]
    verdict: Option<VerdictWord>,
    /// Only what came from devices, or only what went to them
    #[arg(long, value_name = "DIRECTION")]
    direction: Option<DirectionWord>,
    /// Only at this time or later: 2026-01-31T08:00:00Z, 2026-01-31, or 2h or 7d ago
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<SystemTime>,
    /// Only at this time or before
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<SystemTime>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum VerdictWord {
    Deny,
    Audit,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum DirectionWord {
    FromDevice,
    ToDevice,
}

impl Asked {
    /// Whether there can be anything between the times.
    pub(super) fn check(&self) -> Result<(), Backwards> {
        Backwards::unless_in_order(self.since, self.until)
    }

    /// Directory of the store, and the filter.
    pub(super) fn meaning(self) -> (PathBuf, Filter) {
        let filter = Filter {
            devices: self.device,
            groups: self.group,
            to: self.to,
            ports: self.port,
            protocols: self.protocol,
            reasons: denials().filter(|reason| self.reason.iter().any(|word| word == reason.word())).collect(),
            verdict: self.verdict.map(|word| match word {
                VerdictWord::Deny => Verdict::Deny,
                VerdictWord::Audit => Verdict::Audit,
            }),
            direction: self.direction.map(|word| match word {
                DirectionWord::FromDevice => Direction::Ingress,
                DirectionWord::ToDevice => Direction::Egress,
            }),
            since: self.since,
            until: self.until,
        };
        (self.store, filter)
    }
}

/// Times between which nothing can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("--since is later than --until, and nothing is between them: give the earlier time to --since")]
pub(super) struct Backwards;

impl Backwards {
    /// Whether there can be anything between two times.
    pub(super) fn unless_in_order(since: Option<SystemTime>, until: Option<SystemTime>) -> Result<(), Self> {
        if since.zip(until).is_some_and(|(since, until)| since > until) { Err(Self) } else { Ok(()) }
    }
}

fn denials() -> impl Iterator<Item = Reason> {
    Reason::ALL.iter().copied().filter(|reason| reason.is_denial())
}

fn reasons() -> PossibleValuesParser {
    PossibleValuesParser::new(denials().map(Reason::word))
}

fn group(text: &str) -> Result<String, String> {
    let name = GroupName::parse(text).ok_or("write the name of a group, as the policy has it")?;
    Ok(name.as_str().to_owned())
}

fn protocol(text: &str) -> Result<u8, String> {
    match text {
        "icmp" => Ok(1),
        "tcp" => Ok(6),
        "udp" => Ok(17),
        "icmpv6" => Ok(58),
        other => other.parse().map_err(|_no_number| "write tcp, udp, icmp, icmpv6 or a number up to 255".to_owned()),
    }
}

fn port(text: &str) -> Result<(Option<u8>, u16), String> {
    let (before, number) = text.split_once('/').map_or((None, text), |(before, number)| (Some(before), number));
    let number = number.parse().map_err(|_no_number| "write a port, such as 443 or tcp/443".to_owned())?;
    Ok((before.map(protocol).transpose()?, number))
}

/// A time, or how long it is ago.
pub(super) fn time(text: &str) -> Result<SystemTime, String> {
    if let Ok(ago) = humantime::parse_duration(text) {
        return SystemTime::now()
            .checked_sub(ago)
            .filter(|time| time.duration_since(SystemTime::UNIX_EPOCH).is_ok())
            .ok_or_else(|| "that is before 1970".to_owned());
    }
    let day = || humantime::parse_rfc3339(&format!("{text}T00:00:00Z"));
    humantime::parse_rfc3339_weak(text)
        .or_else(|_no_time| day())
        .ok()
        .or_else(|| elsewhere(text))
        .ok_or_else(|| "write 2026-01-31T08:00:00Z, 2026-01-31, or how long ago: 30m, 2h, 7d".to_owned())
}

/// A time with an offset from UTC behind it (RFC 3339, section 4.2): `2026-01-31T08:00:00+02:00`.
fn elsewhere(text: &str) -> Option<SystemTime> {
    let (local, offset) = text.split_at_checked(text.len().checked_sub(6)?)?;
    let (hours, minutes) = offset.get(1..)?.split_once(':')?;
    let number = |text: &str, below: u64| text.parse::<u64>().ok().filter(|number| text.len() == 2 && *number < below);
    let offset_seconds = Duration::from_secs(number(hours, 24)? * 3600 + number(minutes, 60)? * 60);
    let time = humantime::parse_rfc3339(&format!("{local}Z")).ok()?;
    match offset.chars().next()? {
        '+' => time.checked_sub(offset_seconds),
        '-' => time.checked_add(offset_seconds),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_absolute_or_ago() {
        let at = |text| humantime::format_rfc3339_seconds(time(text).unwrap()).to_string();
        assert_eq!(at("2026-01-31T08:00:00Z"), "2026-01-31T08:00:00Z");
        assert_eq!(at("2026-01-31 08:00:00"), "2026-01-31T08:00:00Z");
        assert_eq!(at("2026-01-31"), "2026-01-31T00:00:00Z");
        assert_eq!(at("2026-01-31T08:00:00+02:00"), "2026-01-31T06:00:00Z");
        assert_eq!(at("2026-01-31T08:00:00-05:30"), "2026-01-31T13:30:00Z");
        let ago = SystemTime::now().duration_since(time("2h").unwrap()).unwrap();
        assert!((7190..7260).contains(&ago.as_secs()), "{ago:?}");
        for text in [
            "",
            "yesterday",
            "2026-02-31",
            "99999999d",
            "7",
            "+02:00",
            "2026-01-31T08:00:00+2:00",
            "2026-01-31T08:00:00é02:00",
        ] {
            assert!(time(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_port_may_name_its_protocol() {
        assert_eq!(port("443"), Ok((None, 443)));
        assert_eq!(port("udp/53"), Ok((Some(17), 53)));
        for text in ["", "70000", "tcp/", "http/80", "/80"] {
            assert!(port(text).is_err(), "{text}");
        }
    }
}
