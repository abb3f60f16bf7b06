//! Reads the tables about the gateway as a whole: `[daemon]`, `[resolver]`, `[limits]`, `[timeouts]`.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    ops::{Range, RangeInclusive},
    path::PathBuf,
    time::Duration,
};

use super::{
    document::{Fields, Value},
    findings::Findings,
    settings::{DaemonSettings, FlowTimeouts, Limits, ResolverSettings},
    values,
};
use crate::resolve::Special;

/// Fields of a settings table: a key, where its value goes, and what bounds it.
macro_rules! fields {
    ($fields:ident, $findings:ident, $into:ident, $read:ident, { $($key:ident: $bounds:expr;)* }) => {
        $(
            if let Some(value) = $fields.take(stringify!($key)).and_then(|value| value.$read($bounds, $findings)) {
                $into.$key = value;
            }
        )*
    };
}

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Policies that may be kept: one to go back to, and no more than anybody looks through.
const POLICIES: RangeInclusive<u32> = 2..=1000;

/// Reads `[daemon]`.
pub(super) fn daemon(mut fields: Fields<'_>, findings: &mut Findings) -> DaemonSettings {
    let mut settings = DaemonSettings::default();
    if let Some(path) = path(&mut fields, "pin_root", findings) {
        settings.pin_root = path;
    }
    settings.history = path(&mut fields, "history", findings);
    if let Some(keep) = fields.take("keep_policies").and_then(|value| value.integer(POLICIES, findings)) {
        settings.keep_policies = keep as usize;
    }
    fields.finish(findings);
    settings
}

/// An absolute path.
fn path(fields: &mut Fields<'_>, key: &'static str, findings: &mut Findings) -> Option<PathBuf> {
    let text = fields.take(key).and_then(|value| values::line(&value, findings))?;
    let path = PathBuf::from(text.value);
    if !path.is_absolute() {
        findings.error(&text.span, format!("`{key}` is no absolute path"), "write a path that begins with `/`");
        return None;
    }
    Some(path)
}

/// Reads `[resolver]`.
pub(super) fn resolver(mut fields: Fields<'_>, findings: &mut Findings) -> ResolverSettings {
    let mut settings = ResolverSettings::default();
    if let Some(value) = fields.take("servers")
        && let Some(servers) = value.array("addresses", findings)
    {
        if servers.is_empty() {
            let remedy = "name a server, or leave `servers` out to use /etc/resolv.conf";
            findings.error(value.span(), "the resolver has no servers", remedy);
        }
        settings.servers = servers.iter().filter_map(|server| server_address(server, findings)).collect();
    }
    let floor = fields.take("ttl_floor");
    let ceiling = fields.take("ttl_ceiling");
    let ends = [&floor, &ceiling].map(|value| value.as_ref().map(|value| value.span().clone()));
    if let Some(value) = floor.and_then(|value| value.duration(&(Duration::ZERO..DAY), findings)) {
        settings.ttl_floor = value;
    }
    if let Some(value) = ceiling.and_then(|value| value.duration(&(SECOND..DAY * 8), findings)) {
        settings.ttl_ceiling = value;
    }
    fields!(fields, findings, settings, duration, {
        grace: &(Duration::ZERO..DAY * 31);
        timeout: &(SECOND / 10..SECOND * 60);
    });
    if settings.ttl_floor > settings.ttl_ceiling
        && let Some(span) = ends.into_iter().flatten().next()
    {
        let remedy = "raise `ttl_ceiling` or lower `ttl_floor` (their defaults are 1h and 60s)";
        findings.error(&span, "`ttl_floor` is above `ttl_ceiling`", remedy);
    }
    fields.finish(findings);
    settings
}

/// An address, or an address and a port.
fn server_address(value: &Value<'_>, findings: &mut Findings) -> Option<SocketAddr> {
    let text = value.string(findings)?;
    let bare = text.value.parse::<IpAddr>().map(|address| SocketAddr::new(address, 53));
    match bare.or_else(|_no_address| text.value.parse::<SocketAddr>()) {
        Ok(server) if server.port() != 0 && is_server(server.ip()) => Some(server),
        Ok(_) | Err(_) => {
            let remedy = "write an address, or an address and a port: \"192.0.2.53\", \"[2001:db8::53]:5353\"";
            findings.error(&text.span, format!("`{}` is no server address", text.value), remedy);
            None
        }
    }
}

/// Whether a server can have the address: that of a host, or one of the gateway's own.
fn is_server(address: IpAddr) -> bool {
    Special::of(address).is_none_or(|special| special.is_reachable() || special == Special::Loopback)
}

/// Where `[limits]` stands, and where the values of its keys stand.
#[derive(Debug, Default)]
pub(super) struct LimitPlaces {
    table: Range<usize>,
    values: BTreeMap<&'static str, Range<usize>>,
}

impl LimitPlaces {
    /// Where a limit is to be changed: at its value, else where it would be added.
    pub(super) fn of(&self, key: &str) -> Range<usize> {
        self.written(key).unwrap_or_else(|| self.table.clone())
    }

    /// Where the value of a limit stands, if it is written.
    pub(super) fn written(&self, key: &str) -> Option<Range<usize>> {
        self.values.get(key).cloned()
    }
}

/// Reads `[limits]`.
pub(super) fn limits(mut fields: Fields<'_>, findings: &mut Findings) -> (Limits, LimitPlaces) {
    const ENTRIES: RangeInclusive<u32> = 1..=16_777_216;
    let mut limits = Limits::default();
    let keys = ["endpoints", "cidrs", "rules", "devices"];
    let values = keys.iter().filter_map(|key| Some((*key, fields.get(key)?.span().clone()))).collect();
    let places = LimitPlaces { table: fields.span().clone(), values };
    fields!(fields, findings, limits, integer, {
        endpoints: ENTRIES;
        cidrs: ENTRIES;
        devices: 1..=1_048_576;
        flows_per_device: 16..=65_536;
        rules: 2..=1_048_576;
        events_per_second: 0..=10_000_000;
    });
    let flows = u64::from(limits.devices) * u64::from(limits.flows_per_device);
    if flows > MAX_FLOWS {
        let message = format!("`devices` times `flows_per_device` is {flows}, above {MAX_FLOWS}");
        findings.error(fields.span(), message, "lower one of them: each flow takes kernel memory");
    }
    fields.finish(findings);
    (limits, places)
}

/// Flow entries per family: 2 GiB of kernel memory at about 128 bytes each.
const MAX_FLOWS: u64 = 1 << 24;

/// Reads `[timeouts]`.
pub(super) fn timeouts(mut fields: Fields<'_>, findings: &mut Findings) -> FlowTimeouts {
    const LIFE: Range<Duration> = SECOND..Duration::from_secs(31 * 24 * 60 * 60);
    let mut timeouts = FlowTimeouts::default();
    fields!(fields, findings, timeouts, duration, {
        tcp_opening: &LIFE;
        tcp_established: &LIFE;
        tcp_closing: &LIFE;
        udp: &LIFE;
        icmp: &LIFE;
        fragment: &LIFE;
    });
    fields.finish(findings);
    timeouts
}
