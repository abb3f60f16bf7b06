//! What a policy says about records: how like ones are gathered, and the sinks that they go to.

use std::{fmt, path::PathBuf, time::Duration};

/// Records, and where they go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordSettings {
    /// How long denials like one that was just recorded are gathered into one record; zero: each is a record of its own.
    pub window: Duration,
    /// Where records go; empty: nowhere.
    pub sinks: Vec<SinkSettings>,
}

impl Default for RecordSettings {
    fn default() -> Self {
        Self { window: Duration::from_secs(10), sinks: vec![SinkSettings::new(SinkTarget::Stdout)] }
    }
}

/// A sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkSettings {
    /// Where its records go.
    pub target: SinkTarget,
    /// Records that wait while it cannot take them; what comes beyond is lost.
    pub queue: usize,
}

impl SinkSettings {
    /// Records that wait, unless the policy says otherwise.
    pub const QUEUE: usize = 4096;

    /// A sink with the default queue.
    #[must_use]
    pub const fn new(target: SinkTarget) -> Self {
        Self { target, queue: Self::QUEUE }
    }
}

/// Where records go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SinkTarget {
    /// Standard output of the daemon, as JSON lines.
    Stdout,
    /// A file, as JSON lines.
    File(RecordFile),
    /// The journal, over its native protocol.
    Journald {
        /// Its socket.
        socket: PathBuf,
    },
    /// A syslog server, as CEF.
    Syslog {
        /// The server.
        server: HostPort,
        /// How its connection is secured; `None`: not at all.
        tls: Option<TlsSettings>,
    },
    /// A collector of OpenTelemetry, over OTLP/HTTP.
    Otlp {
        /// Where logs are sent to, such as `https://collector.example:4318/v1/logs`.
        url: String,
        /// How its connection is secured, when the URL says that it is.
        tls: TlsSettings,
        /// A file whose first line is the value of the header `Authorization`.
        authorization: Option<PathBuf>,
    },
}

impl fmt::Display for SinkTarget {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdout => formatter.write_str("stdout"),
            Self::File(file) => write!(formatter, "file {}", file.path.display()),
            Self::Journald { socket } => write!(formatter, "journald {}", socket.display()),
            Self::Syslog { server, .. } => write!(formatter, "syslog {server}"),
            Self::Otlp { url, .. } => write!(formatter, "otlp {url}"),
        }
    }
}

/// A file of records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordFile {
    /// Its path.
    pub path: PathBuf,
    /// Size in bytes above which it is put aside and a new one begun.
    pub rotate_bytes: Option<u64>,
    /// Files put aside that are kept; `None`: others put it aside, it is only opened anew.
    pub keep: Option<u32>,
}

impl RecordFile {
    /// Files put aside that are kept, unless the policy says otherwise.
    pub const KEEP: u32 = 5;
}

/// A host by name or address, and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    /// Name or address, without brackets.
    pub host: String,
    /// The port, not 0.
    pub port: u16,
}

impl HostPort {
    /// Reads `name:port`, `address:port` or `[address]:port`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        // A number may have a sign; a port may not.
        let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
        let port = port.parse().ok().filter(|port| *port != 0 && is_number)?;
        let host = match bare {
            Some(bare) => bare.parse::<std::net::Ipv6Addr>().ok().map(|address| address.to_string())?,
            None => host.to_owned(),
        };
        let is_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let fits = bare.is_some() || (!host.is_empty() && host.chars().all(is_host));
        fits.then_some(Self { host, port })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(formatter, "[{}]:{}", self.host, self.port)
        } else {
            write!(formatter, "{}:{}", self.host, self.port)
        }
    }
}

/// How a TLS server is told from others, and what it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSettings {
    /// File of the certificates that are trusted, PEM.
    pub roots: PathBuf,
    /// Files of the daemon's own certificate, with what leads to a root, and of its key, PEM.
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl Default for TlsSettings {
    fn default() -> Self {
        Self { roots: PathBuf::from("/etc/ssl/certs/ca-certificates.crt"), identity: None }
    }
}

#[cfg(test)]
mod tests {
    use super::HostPort;

    #[test]
    fn servers_are_names_or_addresses_with_a_port() {
        for (text, host, port) in [
            ("logs.example.net:6514", "logs.example.net", 6514),
            ("192.0.2.7:601", "192.0.2.7", 601),
            ("[2001:db8::0:7]:1", "2001:db8::7", 1),
        ] {
            let server = HostPort::parse(text);
            assert_eq!(server, Some(HostPort { host: host.to_owned(), port }), "{text}");
        }
        for text in
            ["", "a", "a:", ":1", "a:0", "a:65536", "a:+1", "2001:db8::7:1", "[a]:1", "a b:1", "tcp://a:1", "[::1]"]
        {
            assert_eq!(HostPort::parse(text), None, "{text}");
        }
    }
}
