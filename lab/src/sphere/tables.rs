//! The kernel's tables as bpftool shows them: what is really there, read without the product.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use sphere_common::abi::{self, map};

use super::{LIMIT, Sphere};
use crate::process;

#[derive(Deserialize)]
struct Entry {
    key: Vec<String>,
    value: Found,
}

/// What bpftool says of an entry: it may go between its key and its value.
#[derive(Deserialize)]
#[serde(untagged)]
enum Found {
    Bytes(Vec<String>),
    Gone {
        #[serde(rename = "error")]
        _error: String,
    },
}

impl Entry {
    fn bytes(&self) -> Option<Result<Bytes>> {
        let Found::Bytes(value) = &self.value else { return None };
        Some(bytes(&self.key).and_then(|key| Ok((key, bytes(value)?))))
    }
}

/// Key and value as they lie in memory.
type Bytes = (Vec<u8>, Vec<u8>);

/// An exact endpoint: address, port and protocol.
pub type Service = (IpAddr, u16, u8);

/// Exact endpoints, and the tick at which each ends.
pub type Endpoints = BTreeMap<Service, u64>;

impl Sphere {
    /// The exact endpoints of both families.
    ///
    /// # Errors
    /// When the tables cannot be read.
    pub fn endpoints(&self) -> Result<Endpoints> {
        let mut endpoints = Endpoints::new();
        for (key, value) in self.dump(map::ENDPOINTS4)? {
            let address = <[u8; 4]>::try_from(key.get(4..8).context("endpoint key")?)?;
            endpoints.insert(service(Ipv4Addr::from(address).into(), &key, 8)?, end(&value)?);
        }
        for (key, value) in self.dump(map::ENDPOINTS6)? {
            let address = <[u8; 16]>::try_from(key.get(4..20).context("endpoint key")?)?;
            endpoints.insert(service(Ipv6Addr::from(address).into(), &key, 20)?, end(&value)?);
        }
        Ok(endpoints)
    }

    /// Moves the kernel's clock: it then runs `seconds` ahead. The daemon follows it when it reads the tables again.
    ///
    /// # Errors
    /// When the configuration cannot be written.
    pub fn set_clock_ahead(&self, seconds: u64) -> Result<()> {
        let active = self.dump(map::ACTIVE)?;
        let slot = active.first().and_then(|(_key, value)| value.first().copied()).context("no active slot")? & 1;
        let slots = self.dump(map::CONFIG)?;
        let (key, mut config) = slots.get(usize::from(slot)).cloned().context("no configuration")?;
        // The offset is the first field, the tick rate the second.
        let rate = u64::from(u32::from_ne_bytes(config.get(8..12).context("configuration")?.try_into()?));
        let offset = config.get_mut(..8).context("configuration")?;
        offset.copy_from_slice(&(seconds * rate).to_ne_bytes());
        let mut command = self.bpftool("update", map::CONFIG);
        command.args(["key", "hex"]).args(hex(&key)).args(["value", "hex"]).args(hex(&config));
        process::must(command, LIMIT).map(drop)
    }

    pub(super) fn dump(&self, name: &str) -> Result<Vec<Bytes>> {
        let text = process::must(self.bpftool("dump", name), LIMIT)?;
        let entries: Vec<Entry> = serde_json::from_str(&text).with_context(|| format!("bpftool dump of {name}"))?;
        entries.iter().filter_map(Entry::bytes).collect()
    }

    fn bpftool(&self, action: &str, name: &str) -> Command {
        let pin: PathBuf = self.pin_root.join(format!("v{}", abi::VERSION)).join("maps").join(name);
        let mut command = Command::new("bpftool");
        command.args(["-j", "map", action, "pinned"]).arg(pin);
        command
    }
}

fn service(address: IpAddr, key: &[u8], at: usize) -> Result<Service> {
    let port = u16::from_be_bytes(key.get(at..at + 2).context("endpoint key")?.try_into()?);
    Ok((address, port, *key.get(at + 2).context("endpoint key")?))
}

fn end(value: &[u8]) -> Result<u64> {
    Ok(u64::from_ne_bytes(value.get(..8).context("endpoint value")?.try_into()?))
}

fn bytes(words: &[String]) -> Result<Vec<u8>> {
    let byte = |word: &String| {
        let digits = word.strip_prefix("0x");
        ensure!(digits.is_some(), "no hexadecimal byte: {word}");
        Ok(u8::from_str_radix(digits.unwrap_or_default(), 16)?)
    };
    words.iter().map(byte).collect()
}

fn hex(bytes: &[u8]) -> impl Iterator<Item = String> {
    bytes.iter().map(|byte| format!("{byte:02x}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that panics has failed")]
    use std::mem::{offset_of, size_of};

    use super::*;

    #[test]
    fn the_layout_is_that_of_the_kernel() {
        assert_eq!((offset_of!(abi::Endpoint4Key, address), offset_of!(abi::Endpoint4Key, port_be)), (4, 8));
        assert_eq!((offset_of!(abi::Endpoint6Key, address), offset_of!(abi::Endpoint6Key, port_be)), (4, 20));
        assert_eq!(offset_of!(abi::EndpointValue, expires), 0);
        assert_eq!((offset_of!(abi::Config, clock_offset), offset_of!(abi::Config, ticks_per_second)), (0, 8));
        assert_eq!(size_of::<abi::Config>() % 8, 0);
    }

    #[test]
    fn an_entry_that_goes_meanwhile_is_left_out() {
        let text =
            r#"[{"key":["0x01"],"value":["0x02"]},{"key":["0x03"],"value":{"error":"No such file or directory"}}]"#;
        let entries: Vec<Entry> = serde_json::from_str(text).unwrap();
        let read: Vec<Bytes> = entries.iter().filter_map(Entry::bytes).collect::<Result<_>>().unwrap();
        assert_eq!(read, [(vec![1], vec![2])]);
    }

    #[test]
    fn bytes_are_read_as_bpftool_writes_them() {
        assert_eq!(bytes(&["0x00".to_owned(), "0xff".to_owned()]).unwrap(), [0, 255]);
        assert!(bytes(&["12".to_owned()]).is_err());
        assert_eq!(hex(&[0, 255]).collect::<Vec<_>>(), ["00", "ff"]);
    }
}
