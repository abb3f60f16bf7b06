//! Device ports: the interfaces that the programs guard.

use std::fmt;

/// Name of a network interface, as the kernel accepts it: 1 to 15 bytes, no `/`, no blank.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InterfaceName(String);

impl InterfaceName {
    /// Reads an interface name; [`None`] when no interface can be called so (`dev_valid_name` in the kernel).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let fits = !text.is_empty() && text.len() <= 15;
        let plain = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/' && byte != b':');
        (fits && plain && text != "." && text != "..").then(|| Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InterfaceName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

/// Where the programs are attached on a device port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum AttachMode {
    /// Native XDP, else tc.
    #[default]
    Auto,
    /// Native XDP only.
    Xdp,
    /// tc only.
    Tc,
    /// Generic XDP.
    Generic,
}

impl AttachMode {
    /// Word in policies and tables.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Xdp => "xdp",
            Self::Tc => "tc",
            Self::Generic => "generic",
        }
    }
}

/// What happens to sources in no device subnet of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtherSources {
    /// They pass untouched.
    Pass,
    /// They pass untouched but for link-local ones, which would reach the gateway itself unjudged.
    PassGlobal,
    /// They are denied.
    Deny,
}

impl OtherSources {
    /// Word in policies and tables.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::PassGlobal => "pass-global",
            Self::Deny => "deny",
        }
    }
}

/// What it means that sources in no device subnet pass on a port, and what ends it; [`None`] when none of either family
/// pass.
#[must_use]
pub fn unjudged_sources(port: &str, v4: OtherSources, v6: OtherSources) -> Option<(String, String)> {
    let (families, keys) = match (v4 != OtherSources::Deny, v6 != OtherSources::Deny) {
        (false, false) => return None,
        (true, false) => ("IPv4", "`other_sources = \"deny\"`"),
        (false, true) => ("IPv6", "`other_sources_v6 = \"deny\"`"),
        (true, true) => ("IPv4 and IPv6", "`other_sources = \"deny\"` and `other_sources_v6 = \"deny\"`"),
    };
    let message = format!(
        "{families} sources in no device subnet pass on `{port}`: a device that takes such an address is not judged"
    );
    Some((message, format!("set {keys} for `{port}` in [[interface]], unless hosts that are no devices use the port")))
}

/// A device port: an interface that the programs guard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: InterfaceName,
    /// Where the programs are attached.
    pub attach: AttachMode,
    /// IPv4 sources in no device subnet of this port.
    pub other_sources_v4: OtherSources,
    /// IPv6 sources in no device subnet of this port (`auto` is already decided).
    pub other_sources_v6: OtherSources,
}
