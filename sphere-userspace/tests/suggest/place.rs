//! A store of denials, files beside it, and the command.

use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::{Duration, SystemTime};

use sphere_common::verdict::{Direction, Reason, Verdict};
use sphere_userspace::store::{Denial, Outcome, Store, StoreSettings};

/// What the daemon wrote of queries, and of who knocked.
pub(crate) const RECORDS: &str = r#"{"schema":"sphere.record/1","@timestamp":"2026-11-25T10:00:00Z","event.action":"deny","event.reason":"query-name","network.direction":"outbound","network.iana_number":"17","network.packets":3,"source.ip":"10.20.0.15","source.port":40000,"destination.ip":"20.0.0.1","destination.port":53,"dns.question.name":"firmware.example.com","dns.question.type":"A","sphere.group":"sphere","sphere.device.ip":"10.20.0.15"}
{"schema":"sphere.record/1","@timestamp":"2026-11-25T10:00:10Z","event.start":"2026-11-25T10:00:01Z","event.action":"deny","event.reason":"query-name","network.direction":"outbound","network.iana_number":"17","network.packets":9,"source.ip":"10.20.0.15","destination.ip":"20.0.0.1","destination.port":53,"sphere.dns.names":["contoso.azure-devices.net","firmware.example.com"],"sphere.group":"sphere","sphere.device.ip":"10.20.0.15"}
{"schema":"sphere.record/1","@timestamp":"2026-11-25T10:00:20Z","event.action":"deny","event.reason":"unsolicited","network.direction":"inbound","network.iana_number":"6","network.packets":1,"source.ip":"20.3.0.1","source.port":50000,"destination.ip":"10.20.0.11","destination.port":8080,"sphere.group":"sphere","sphere.device.ip":"10.20.0.11"}
{"schema":"sphere.record/1","@timestamp":"2026-11-25T10:00:30Z","event.action":"deny","event.reason":"unsolicited","network.direction":"inbound","network.iana_number":"6","network.packets":1,"source.ip":"2a01:3::1","source.port":50001,"destination.ip":"10.20.0.12","destination.port":22,"sphere.group":"sphere","sphere.device.ip":"10.20.0.12"}
"#;

/// A store that goes with the test.
pub(crate) struct Place(PathBuf);

impl Place {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("sphere-suggest-{}-{name}", std::process::id()));
        drop(fs::remove_dir_all(&path));
        Self(path)
    }

    pub(crate) fn with(name: &str, denials: &[Denial]) -> Self {
        let place = Self::new(name);
        fs::create_dir_all(&place.0).unwrap();
        let mut store = Store::open(StoreSettings::new(place.store())).unwrap();
        assert_eq!(store.ingest(denials, SystemTime::now()).unwrap(), Outcome::Written);
        place
    }

    fn store(&self) -> PathBuf {
        self.0.join("store")
    }

    /// Writes a file; gives back its path.
    pub(crate) fn write(&self, name: &str, content: &str) -> String {
        let path = self.0.join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_sphere")).args(arguments).env_clear().output().unwrap()
    }

    pub(crate) fn suggest(&self, arguments: &[&str]) -> Output {
        let store = self.store();
        let arguments: Vec<&str> =
            ["suggest", "--store", store.to_str().unwrap()].iter().chain(arguments).copied().collect();
        self.run(&arguments)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// What a device of the group `sphere` was denied; devices are numbered, and each has one denial.
pub(crate) fn denial(device: u8, peer: &str, (protocol, port): (u8, u16), reason: Reason) -> Denial {
    let last = SystemTime::now() - Duration::from_secs(30);
    Denial {
        device: IpAddr::from([10, 20, 0, device]),
        group_number: 1,
        group: "sphere".to_owned(),
        peer: Some(peer.parse().unwrap()),
        peer_names: Vec::new(),
        protocol: Some(protocol),
        peer_port: Some(port),
        direction: Direction::Ingress,
        verdict: Verdict::Deny,
        reason,
        episode: u64::from(device),
        boot: 1,
        packets: u64::from(device) * 10,
        bytes: u64::from(device) * 740,
        first: last - Duration::from_secs(90),
        last,
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}
