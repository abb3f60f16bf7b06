//! The collector between a kernel in memory and a real store.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::thread::JoinHandle;

use proptest::prelude::*;
use rusqlite::Connection;
use sphere_common::abi::{DeniedKey, DeniedValue, Ticks};
use sphere_common::verdict::{Direction, Reason, Verdict};

use super::*;
use crate::store::StoreSettings;

const RATE: u32 = 250;
/// Accounts that a device may have.
const PER_DEVICE: usize = 4;
/// Ticks of a minute and a little more.
const MINUTE: u64 = RATE as u64 * 61;

/// The kernel's side: accounts, and what was ever denied.
#[derive(Debug, Default)]
struct Tables {
    accounts: BTreeMap<(DeniedKey, bool), DeniedValue>,
    now: Ticks,
    counted: u64,
    /// Packets by device and reason.
    denied: BTreeMap<(IpAddr, String), u64>,
    reads: u64,
}

#[derive(Clone, Debug, Default)]
struct World(Arc<Mutex<Tables>>);

impl World {
    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.0.lock().unwrap()
    }

    fn pass(&self, ticks: u64) {
        self.tables().now += ticks;
    }

    /// Packets of a device to a destination; beyond what a device may have they go to other destinations.
    fn deny(&self, device: u8, peer: u8, packets: u64) {
        let mut tables = self.tables();
        let mut key = key(device, peer);
        let open = tables.accounts.keys().filter(|(known, others)| known.device == key.device && !others).count();
        let is_others = !tables.accounts.contains_key(&(key, false)) && open >= PER_DEVICE;
        if is_others {
            key = DeniedKey { peer: [0; 16], peer_port_be: [0; 2], protocol: 0, ..key };
        }
        let now = tables.now;
        let value = tables.accounts.entry((key, is_others)).or_insert(DeniedValue { first: now, ..Default::default() });
        (value.packets, value.bytes, value.last) = (value.packets + packets, value.bytes + packets * 60, now);
        let line = (IpAddr::from([10, 20, 0, device]), Reason::Destination.word().to_owned());
        *tables.denied.entry(line).or_default() += packets;
        tables.counted += packets;
    }
}

fn key(device: u8, peer: u8) -> DeniedKey {
    DeniedKey {
        device: Ipv4Addr::new(10, 20, 0, device).to_ipv6_mapped().octets(),
        peer: Ipv4Addr::new(198, 51, 100, peer).to_ipv6_mapped().octets(),
        group: 1,
        peer_port_be: 443_u16.to_be_bytes(),
        protocol: 6,
        reason: Reason::Destination as u8,
        verdict: Verdict::Deny as u8,
        direction: Direction::Ingress as u8,
        pad: [0; 2],
    }
}

impl Source for World {
    type Error = Infallible;

    fn clock(&self) -> Result<Clock, Infallible> {
        Ok(Clock { ticks_per_second: RATE, anchor: monotonic::now(), anchor_ticks: self.tables().now })
    }

    fn denied(&self) -> Result<u64, Infallible> {
        Ok(self.tables().counted)
    }

    fn visit(&self, mut show: impl FnMut(&Account)) -> Result<(), Infallible> {
        let mut tables = self.tables();
        tables.reads += 1;
        for ((key, is_others), value) in &tables.accounts {
            show(&Account { key: *key, is_others: *is_others, value: *value });
        }
        Ok(())
    }

    fn close(&self, idle: &[Account]) -> (Vec<Account>, Result<(), Infallible>) {
        let mut tables = self.tables();
        let take = |account: &Account| {
            let value = tables.accounts.remove(&(account.key, account.is_others))?;
            Some(Account { value, ..*account })
        };
        (idle.iter().filter_map(take).collect(), Ok(()))
    }
}

/// A directory that goes with the test.
#[derive(Debug)]
struct Place(PathBuf);

impl Place {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("sphere-collector-{}-{number}", std::process::id()));
        drop(fs::remove_dir_all(&path));
        Self(path)
    }

    fn query<T: rusqlite::types::FromSql>(&self, query: &str) -> Vec<(T, T, i64)> {
        let mut rows = Vec::new();
        for entry in fs::read_dir(&self.0).unwrap().map(Result::unwrap) {
            if entry.path().extension().is_some_and(|extension| extension == "sqlite") {
                let connection = Connection::open(entry.path()).unwrap();
                let mut statement = connection.prepare(query).unwrap();
                let found = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
                rows.extend(found.map(Result::unwrap));
            }
        }
        rows
    }

    /// Packets by device and reason.
    fn totals(&self) -> BTreeMap<(IpAddr, String), u64> {
        let mut totals = BTreeMap::new();
        for (device, reason, packets) in self.query::<String>("SELECT device, reason, packets FROM denied") {
            *totals.entry((device.parse().unwrap(), reason)).or_default() += packets.cast_unsigned();
        }
        totals
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// A daemon's part of it; dropped, it has died.
struct Daemon {
    collector: Option<Collector<World>>,
    keeper: Option<JoinHandle<()>>,
    state: watch::Receiver<StoreState>,
    directory: Arc<Directory>,
}

impl Daemon {
    fn start(world: &World, place: &Place) -> Self {
        let (queue, batches) = sync_channel(1);
        let keeper = Keeper::new(StoreSettings::new(&place.0));
        let (teller, state) = watch::channel(StoreState::new(&place.0));
        let directory = Arc::new(Directory::default());
        let naming = Naming::of_boot(7, Arc::clone(&directory));
        let collector = Some(Collector::new(world.clone(), naming, queue, teller));
        let keeper = Some(std::thread::spawn(move || keeper.run(&batches)));
        Self { collector, keeper, state, directory }
    }

    fn round(&mut self) -> bool {
        self.collector.as_mut().unwrap().round()
    }

    fn state(&self) -> StoreState {
        self.state.borrow().clone()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.collector.take());
        self.keeper.take().unwrap().join().unwrap();
    }
}

#[test]
fn what_is_denied_is_on_disk_after_a_round_and_only_what_changed_is_written() {
    let (world, place) = (World::default(), Place::new());
    let mut daemon = Daemon::start(&world, &place);
    world.pass(1000);
    for peer in 0..4 {
        world.deny(1, peer, 5);
    }
    assert!(daemon.round());
    assert_eq!(place.totals(), world.tables().denied);
    assert_eq!((daemon.state().standing, daemon.state().written), (StoreStanding::Written, 4));
    world.pass(u64::from(RATE) * 5);
    assert!(daemon.round());
    let before = daemon.state().written;
    world.deny(1, 2, 1);
    world.deny(1, 9, 7);
    assert!(daemon.round());
    assert_eq!(place.totals(), world.tables().denied);
    assert_eq!(daemon.state().written, before + 2);
    assert!(daemon.state().complete_at.is_some());
}

#[test]
fn names_are_those_of_the_moment() {
    let (world, place) = (World::default(), Place::new());
    let mut daemon = Daemon::start(&world, &place);
    daemon.directory.set_groups([(1, "sensors".to_owned())]);
    daemon.directory.learn("cdn.example", [IpAddr::from([198, 51, 100, 1])]);
    world.deny(1, 1, 3);
    assert!(daemon.round());
    daemon.directory.learn("later.example", [IpAddr::from([198, 51, 100, 1])]);
    daemon.directory.set_groups([]);
    world.deny(1, 1, 3);
    assert!(daemon.round());
    let named = place.query::<String>("SELECT grp, names, packets FROM denied");
    assert_eq!(named, [("sensors".to_owned(), "cdn.example".to_owned(), 6)]);
}

#[test]
fn an_account_that_is_over_is_closed_once_it_is_written() {
    let (world, place) = (World::default(), Place::new());
    let mut daemon = Daemon::start(&world, &place);
    world.deny(1, 1, 3);
    assert!(daemon.round());
    world.pass(MINUTE - 2 * u64::from(RATE));
    assert!(daemon.round());
    assert_eq!(world.tables().accounts.len(), 1, "it is idle for less than a minute");
    world.pass(2 * u64::from(RATE));
    assert!(daemon.round());
    assert_eq!(world.tables().accounts.len(), 0);
    assert_eq!(daemon.state().closed_accounts, 1);
    world.deny(1, 1, 4);
    assert!(daemon.round());
    assert_eq!(place.totals(), world.tables().denied);
}

#[test]
fn a_store_that_cannot_be_written_loses_nothing_and_no_account_is_closed() {
    let (world, place) = (World::default(), Place::new());
    // Where the directory should be is a file.
    fs::write(&place.0, "").unwrap();
    let mut daemon = Daemon::start(&world, &place);
    world.deny(1, 1, 3);
    assert!(!daemon.round());
    world.pass(MINUTE);
    world.deny(2, 1, 3);
    assert!(!daemon.round());
    let state = daemon.state();
    assert_eq!((state.standing, state.complete_at), (StoreStanding::Failing, None));
    assert!(state.problem.unwrap().contains("directory"));
    assert_eq!(world.tables().accounts.len(), 2);
    fs::remove_file(&place.0).unwrap();
    assert!(daemon.round());
    assert_eq!(daemon.state().standing, StoreStanding::Written);
    assert_eq!(place.totals(), world.tables().denied);
    assert_eq!(world.tables().accounts.len(), 1, "one was over");
}

#[test]
fn tables_without_news_are_not_read() {
    let (world, place) = (World::default(), Place::new());
    let mut daemon = Daemon::start(&world, &place);
    world.deny(1, 1, 3);
    for _second in 0..20 {
        assert!(daemon.round());
        world.pass(u64::from(RATE));
    }
    assert!(world.tables().reads <= 4, "{} reads", world.tables().reads);
}

#[test]
fn a_packet_that_is_counted_before_it_is_entered_is_not_forgotten() {
    let (world, place) = (World::default(), Place::new());
    let mut daemon = Daemon::start(&world, &place);
    world.pass(1000);
    world.deny(1, 1, 3);
    world.tables().counted += 1;
    assert!(daemon.round());
    world.pass(u64::from(RATE) / 2);
    world.deny(1, 1, 1);
    world.tables().counted -= 1;
    assert!(daemon.round());
    assert_eq!(place.totals(), world.tables().denied);
}

#[test]
fn what_other_programs_wrote_is_counted_as_unreadable() {
    let (world, place) = (World::default(), Place::new());
    let mut daemon = Daemon::start(&world, &place);
    world.deny(1, 1, 3);
    world.tables().accounts.insert((DeniedKey { reason: 255, ..key(3, 3) }, false), DeniedValue::default());
    assert!(daemon.round());
    assert_eq!((daemon.state().unreadable, daemon.state().written), (1, 1));
}

#[test]
fn times_are_those_of_the_packets() {
    let (world, place) = (World::default(), Place::new());
    let mut daemon = Daemon::start(&world, &place);
    world.pass(u64::from(RATE) * 3600);
    world.deny(1, 1, 1);
    world.pass(u64::from(RATE) * 7);
    world.deny(1, 1, 1);
    let before = SystemTime::now();
    assert!(daemon.round());
    let seconds = before.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis() as i64;
    let [(first, last, _)] = place.query::<i64>("SELECT first, last, packets FROM hit")[..] else { panic!() };
    assert!((last - seconds).abs() < 2000, "{last} is not {seconds}");
    assert!((last - first - 7000).abs() < 50, "{first} to {last}");
}

/// What happens next.
#[derive(Clone, Debug)]
enum Event {
    Packets {
        device: u8,
        peer: u8,
        packets: u64,
    },
    Ticks(u64),
    Round,
    /// The daemon dies, and another starts.
    Crash,
    /// The store's directory cannot be used for a round.
    Trouble,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => (0_u8..3, 0_u8..8, 1_u64..100).prop_map(|(device, peer, packets)| Event::Packets { device, peer, packets }),
        4 => prop_oneof![0..u64::from(RATE) * 3, MINUTE..MINUTE * 2].prop_map(Event::Ticks),
        4 => Just(Event::Round),
        1 => Just(Event::Crash),
        1 => Just(Event::Trouble),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 200, ..ProptestConfig::default() })]
    #[test]
    fn whatever_happens_the_disk_has_what_the_kernel_counted(events in prop::collection::vec(event(), 1..60)) {
        let (world, place) = (World::default(), Place::new());
        let mut daemon = Daemon::start(&world, &place);
        for event in events {
            match event {
                Event::Packets { device, peer, packets } => world.deny(device, peer, packets),
                Event::Ticks(ticks) => world.pass(ticks),
                Event::Round => prop_assert!(daemon.round()),
                Event::Crash => daemon = Daemon::start(&world, &place),
                Event::Trouble => {
                    // A store that was never opened, and cannot be.
                    let elsewhere = Place::new();
                    fs::write(&elsewhere.0, "").unwrap();
                    drop(daemon);
                    daemon = Daemon::start(&world, &elsewhere);
                    daemon.round();
                    daemon = Daemon::start(&world, &place);
                    drop(fs::remove_file(&elsewhere.0));
                }
            }
        }
        prop_assert!(daemon.round());
        let denied = world.tables().denied.clone();
        if !denied.is_empty() {
            prop_assert_eq!(place.totals(), denied);
        }
    }
}
