//! The lab's certificate authority: the clients trust it and nothing else.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::process;

const LIMIT: Duration = Duration::from_secs(10);
const KEY: [&str; 4] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];

/// A certificate authority in a directory.
#[derive(Debug)]
pub struct Authority {
    directory: PathBuf,
}

/// A certificate and its key, both PEM files.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

impl Authority {
    /// Makes a new authority.
    ///
    /// # Errors
    /// When `openssl` fails.
    pub fn found(directory: &Path) -> Result<Self> {
        std::fs::create_dir_all(directory)?;
        let authority = Self { directory: directory.to_owned() };
        let mut command = request();
        command
            .args(KEY)
            .args(["-subj", "/CN=Sphere lab root", "-days", "30"])
            .args(["-addext", "keyUsage=critical,keyCertSign,cRLSign"])
            .arg("-keyout")
            .arg(authority.directory.join("ca.key"))
            .arg("-out")
            .arg(authority.certificate());
        process::must(command, LIMIT).context("cannot make the lab's root certificate")?;
        Ok(authority)
    }

    /// The root certificate, for `--cacert`.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.directory.join("ca.pem")
    }

    /// Issues a certificate for one name or address.
    ///
    /// # Errors
    /// When `openssl` fails.
    pub fn issue(&self, host: &str) -> Result<Certificate> {
        self.issue_for(host, &[host])
    }

    /// Issues one certificate, kept under the name `label`, for several names or addresses.
    ///
    /// # Errors
    /// When `openssl` fails.
    pub fn issue_for(&self, label: &str, hosts: &[&str]) -> Result<Certificate> {
        let issued = Certificate {
            certificate: self.directory.join(format!("{label}.pem")),
            key: self.directory.join(format!("{label}.key")),
        };
        let kind = |host: &str| if host.parse::<IpAddr>().is_ok() { "IP" } else { "DNS" };
        let names: Vec<String> = hosts.iter().map(|host| format!("{}:{host}", kind(host))).collect();
        let names = names.join(",");
        let mut command = request();
        command
            .args(KEY)
            // The common name of a certificate is at most 64 characters; the host is in the SAN.
            .args(["-subj", "/O=Sphere lab", "-days", "30"])
            .args(["-addext", &format!("subjectAltName={names}")])
            .args(["-addext", "basicConstraints=critical,CA:FALSE"])
            .arg("-CA")
            .arg(self.certificate())
            .arg("-CAkey")
            .arg(self.directory.join("ca.key"))
            .arg("-keyout")
            .arg(&issued.key)
            .arg("-out")
            .arg(&issued.certificate);
        process::must(command, LIMIT).with_context(|| format!("cannot make a certificate for {names}"))?;
        Ok(issued)
    }
}

fn request() -> Command {
    let mut command = Command::new("openssl");
    command.args(["req", "-x509", "-sha256", "-nodes"]);
    command
}
