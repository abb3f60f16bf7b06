//! The policy of the lab's gateway, in the daemon's file format.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use crate::net::plan::{DEVICES4, DEVICES6, PROBE_PORT, RESOLVER, SCRIPTED, SCRIPTED6};
use crate::zone::{DUAL_HOST, PROBE_HOST};

/// A policy that scenarios vary before it is written.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Where records of denied flows go.
    pub denied: PathBuf,
    /// How long like denials are gathered into one record. By default not at all: most scenarios look for each.
    pub denied_window: &'static str,
    /// Where the account of denials is kept.
    pub store: PathBuf,
    /// Where the policies that were in force are kept.
    pub history: PathBuf,
    /// More lines of the sink of that file, and more sinks.
    pub records: String,
    /// How packets of devices are seen: `xdp` or `tc`.
    pub ingress: &'static str,
    /// `enforce` or `audit`.
    pub mode: &'static str,
    /// Shortest life of an answer, in seconds. Shorter than a gateway would use, so that the lab need not wait.
    pub ttl_floor_seconds: u32,
    /// How long an address outlives its answer, in seconds.
    pub grace_seconds: u32,
    /// What sources outside the device subnets may do.
    pub other_sources: &'static str,
    /// The resolver that the daemon itself asks.
    pub resolver: Ipv4Addr,
    /// Resolvers that devices may ask, as TOML.
    pub resolvers: String,
    /// The profile: its name, or a file beside the policy.
    pub profile: String,
    /// Options of the profile; of several for one key the last counts.
    pub options: Vec<&'static str>,
    /// Lines of `[limits]`.
    pub limits: String,
    /// More lines of the group.
    pub group: String,
    /// More rules, as TOML.
    pub more: String,
}

impl Policy {
    /// The policy that every scenario starts from.
    #[must_use]
    pub fn of_the_lab(denied: &Path, store: &Path, history: &Path) -> Self {
        Self {
            denied: denied.to_owned(),
            store: store.to_owned(),
            history: history.to_owned(),
            denied_window: "0s",
            records: String::new(),
            ingress: "xdp",
            mode: "enforce",
            ttl_floor_seconds: 5,
            grace_seconds: 600,
            other_sources: "deny",
            resolver: RESOLVER,
            resolvers: format!("\"gateway\", \"{RESOLVER}\", \"{SCRIPTED}\", \"{SCRIPTED6}\""),
            profile: "azure-sphere".to_owned(),
            options: vec![
                "edition = \"integrated\"",
                "ntp = true",
                "dps = true",
                "telemetry = true",
                "hubs = [\"contoso\"]",
            ],
            limits: "flows_per_device = 1024\nevents_per_second = 5000\n".to_owned(),
            group: String::new(),
            more: String::new(),
        }
    }

    /// The options, each key once.
    fn chosen_options(&self) -> String {
        let key = |line: &str| line.split_once('=').map(|(key, _)| key.trim().to_owned());
        let chosen: BTreeMap<_, _> = self.options.iter().map(|line| (key(line), line)).collect();
        chosen.values().map(|line| format!("{line}\n")).collect()
    }

    /// The policy file.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = format!(
            "version = 1\n\n\
             [records]\nwindow = \"{}\"\n\n[[records.sink]]\ntype = \"file\"\npath = \"{}\"\n{}\n\
             [store]\ndirectory = \"{}\"\n\n[daemon]\nhistory = \"{}\"\n\n\
             [resolver]\nservers = [\"{}\"]\nttl_floor = \"{}s\"\ngrace = \"{}s\"\ntimeout = \"1s\"\n\n\
             [limits]\n{}\n\
             [[interface]]\nname = \"lan0\"\nmode = \"{}\"\nother_sources = \"{}\"\n\n\
             [[group]]\nname = \"sphere\"\nmode = \"{}\"\ninterfaces = [\"lan0\"]\n\
             subnets = [\"{DEVICES4}\", \"{DEVICES6}\"]\nresolvers = [{}]\n{}\
             profiles = [\"{}\"]\n\n\
             [group.azure-sphere]\n{}",
            self.denied_window,
            self.denied.display(),
            self.records,
            self.store.display(),
            self.history.display(),
            self.resolver,
            self.ttl_floor_seconds,
            self.grace_seconds,
            self.limits,
            self.ingress,
            self.other_sources,
            self.mode,
            self.resolvers,
            self.group,
            self.profile,
            self.chosen_options(),
        );
        for (host, ports) in
            [(PROBE_HOST, format!("\"udp/{PROBE_PORT}\", \"tcp/{PROBE_PORT}\"")), (DUAL_HOST, "\"tcp/443\"".to_owned())]
        {
            write!(text, "\n[[group.allow]]\nhost = \"{host}\"\nports = [{ports}]\n")
                .expect("writing to a string cannot fail");
        }
        text + &self.more
    }
}
