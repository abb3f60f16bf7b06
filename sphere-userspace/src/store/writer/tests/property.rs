//! Any sequence of packets, batches, crashes and days.

use proptest::prelude::*;

use super::*;

const DAY: Duration = Duration::from_secs(86_400);
/// Accounts that the kernel in memory may have.
const ACCOUNTS: usize = 8;

/// What happens next.
#[derive(Clone, Debug)]
enum Event {
    /// Packets of an account, and time goes on.
    Packets { account: usize, packets: u64, seconds: u64 },
    /// The collector reads some accounts and hands them over.
    Collect { accounts: u8 },
    /// It hands an earlier batch over again.
    Again { back: usize },
    /// The account is read to the last and closed.
    Close { account: usize },
    /// The process dies and another begins.
    Crash,
    /// The process dies within a transaction, parts of which are on disk.
    CrashWithin { accounts: u8 },
    /// Somebody holds the file while a batch comes.
    Held { accounts: u8 },
    /// So many days pass.
    Days { days: u32 },
    /// The clock is set back by a day.
    Back,
    /// The machine starts again: its accounts are gone.
    Reboot,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (0..ACCOUNTS, 1_u64..100, 0_u64..5000)
            .prop_map(|(account, packets, seconds)| Event::Packets { account, packets, seconds }),
        5 => any::<u8>().prop_map(|accounts| Event::Collect { accounts }),
        1 => (0_usize..4).prop_map(|back| Event::Again { back }),
        1 => (0..ACCOUNTS).prop_map(|account| Event::Close { account }),
        1 => Just(Event::Crash),
        1 => any::<u8>().prop_map(|accounts| Event::CrashWithin { accounts }),
        1 => any::<u8>().prop_map(|accounts| Event::Held { accounts }),
        1 => (1_u32..4).prop_map(|days| Event::Days { days }),
        1 => Just(Event::Back),
        1 => Just(Event::Reboot),
    ]
}

/// The kernel's accounts, the store, and what should be in it.
struct World {
    place: Place,
    store: Store,
    now: SystemTime,
    tick: u64,
    boot: u64,
    open: BTreeMap<usize, Denial>,
    handed: Vec<Vec<Denial>>,
    /// The most of each episode that was written.
    written: BTreeMap<(u64, u64), Denial>,
}

impl World {
    fn new() -> Self {
        let place = Place::new();
        let store = open(&place);
        let now = time("2026-11-25T20:00:00Z");
        let (open, handed, written) = (BTreeMap::new(), Vec::new(), BTreeMap::new());
        Self { place, store, now, tick: 0, boot: u64::MAX, open, handed, written }
    }

    fn happen(&mut self, event: &Event) {
        match *event {
            Event::Packets { account, packets, seconds } => self.packets(account, packets, seconds),
            Event::Collect { accounts } => {
                let batch = self.read(accounts);
                self.hand(&batch);
                self.handed.push(batch);
            }
            Event::Again { back } => {
                if let Some(batch) = self.handed.iter().rev().nth(back).cloned() {
                    self.hand(&batch);
                }
            }
            Event::Close { account } => {
                let last: Vec<Denial> = self.open.remove(&account).into_iter().collect();
                self.hand(&last);
            }
            Event::Crash => self.crash(),
            Event::CrashWithin { accounts } => self.crash_within(accounts),
            Event::Held { accounts } => self.held(accounts),
            Event::Days { days } => self.now += DAY * days,
            Event::Back => self.now -= DAY,
            Event::Reboot => {
                self.open.clear();
                self.boot = self.boot.wrapping_mul(0x9e37_79b9_7f4a_7c15);
                self.tick = 0;
            }
        }
    }

    fn packets(&mut self, account: usize, packets: u64, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        // Some begin at the same tick.
        self.tick += seconds % 2;
        let (now, tick, boot) = (self.now, self.tick, self.boot);
        let open = self.open.entry(account).or_insert_with(|| of_account(account, tick, boot, now));
        open.packets += packets;
        open.bytes += packets * 100 + 1;
        open.last = now;
    }

    /// The accounts of a mask, as they are now.
    fn read(&self, mask: u8) -> Vec<Denial> {
        let in_mask = self.open.iter().filter(|(account, _)| mask & (1 << **account) != 0);
        in_mask.map(|(_, denial)| denial.clone()).collect()
    }

    fn hand(&mut self, batch: &[Denial]) {
        assert_eq!(self.store.ingest(batch, self.now).unwrap(), Outcome::Written);
        for denial in batch {
            let account = u64::from(denial.device.to_string().bytes().last().unwrap()) ^ denial.boot;
            let most = self.written.entry((account, denial.episode)).or_insert_with(|| denial.clone());
            if most.packets < denial.packets {
                *most = denial.clone();
            }
        }
    }

    /// What is on disk at this moment is all that the next process has.
    fn crash(&mut self) {
        let place = Place::new();
        fs::create_dir_all(&place.0).unwrap();
        if let Ok(found) = fs::read_dir(&self.place.0) {
            for entry in found.map(Result::unwrap).filter(|entry| !entry.path().to_string_lossy().ends_with("-shm")) {
                fs::copy(entry.path(), place.0.join(entry.file_name())).unwrap();
            }
        }
        self.store = open(&place);
        self.place = place;
    }

    fn crash_within(&mut self, mask: u8) {
        let batch = self.read(mask);
        let mut current = self.store.current_for(Day::of(self.now)).unwrap();
        // So little memory that the transaction is on disk before it is committed.
        current.connection.pragma_update(None, "cache_size", 1).unwrap();
        self.store.put(&mut current, &batch).unwrap();
        self.crash();
        drop(current);
    }

    fn held(&mut self, mask: u8) {
        let batch = self.read(mask);
        // With nothing, so that the day's file is there.
        self.hand(&[]);
        let holder = Connection::open(&self.store.current.as_ref().unwrap().path).unwrap();
        holder.execute_batch("BEGIN IMMEDIATE").unwrap();
        self.store.current.as_ref().unwrap().connection.busy_timeout(Duration::ZERO).unwrap();
        assert_eq!(self.store.ingest(&batch, self.now).unwrap(), Outcome::Paused);
    }

    fn check(&self) {
        let mut expected: BTreeMap<Line, (i64, i64)> = BTreeMap::new();
        for denial in self.written.values() {
            let peer = denial.peer.map(|peer| peer.to_string());
            let line = (denial.device.to_string(), peer, denial.reason.word().to_owned());
            let total = expected.entry(line).or_default();
            *total = (total.0 + count(denial.packets), total.1 + count(denial.bytes));
        }
        assert_eq!(self.place.totals(), expected);
    }
}

fn count(number: u64) -> i64 {
    i64::try_from(number).unwrap()
}

/// A store that forgets soon, and begins another file soon.
fn open(place: &Place) -> Store {
    let mut store = Store::open(place.settings()).unwrap();
    store.bases.set_room(3);
    store.part_bytes = 150_000;
    store
}

/// One device each: destinations, and other destinations.
fn of_account(account: usize, tick: u64, boot: u64, now: SystemTime) -> Denial {
    let device = u8::try_from(account).unwrap();
    let is_others = account % 3 == 2;
    Denial {
        peer: (!is_others).then_some(IpAddr::from([198, 51, 100, device / 2])),
        protocol: (!is_others).then_some(6),
        peer_port: (!is_others).then_some(443),
        reason: if account.is_multiple_of(2) { Reason::Destination } else { Reason::QueryName },
        peer_names: if account % 4 == 1 { vec![format!("n{account}.example.com")] } else { Vec::new() },
        boot,
        bytes: 0,
        ..denial(device, tick, 0, now)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, max_shrink_iters: 400, ..ProptestConfig::default() })]
    #[test]
    fn the_files_have_what_the_kernel_counted(events in prop::collection::vec(event(), 1..40)) {
        let mut world = World::new();
        for event in &events {
            world.happen(event);
        }
        // At last everything is handed over, and all that the kernel ever showed is there.
        let batch = world.read(u8::MAX);
        world.hand(&batch);
        world.check();
    }
}
