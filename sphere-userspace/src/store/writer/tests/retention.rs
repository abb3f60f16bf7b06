//! What goes, and when.

use super::*;

const DAY: Duration = Duration::from_secs(86_400);

#[test]
fn old_days_go() {
    let place = Place::new();
    let mut store = Store::open(StoreSettings { keep_days: 2, ..place.settings() }).unwrap();
    let begin = time("2026-11-25T12:00:00Z");
    for day in 0..4 {
        let at = begin + DAY * day;
        assert_eq!(store.ingest(&[denial(1, u64::from(day), 1, at)], at).unwrap(), Outcome::Written);
    }
    assert_eq!(place.names(), ["denied-2026-11-27.sqlite", "denied-2026-11-28.sqlite"]);
    assert_eq!(store.stats().aged_files, 2);
}

#[test]
fn old_days_go_even_when_nothing_is_denied() {
    let place = Place::new();
    let mut store = Store::open(StoreSettings { keep_days: 2, ..place.settings() }).unwrap();
    let at = time("2026-11-25T12:00:00Z");
    assert_eq!(store.ingest(&[denial(1, 7, 1, at)], at).unwrap(), Outcome::Written);
    assert_eq!(store.ingest(&[denial(1, 8, 1, at)], at + DAY).unwrap(), Outcome::Written);
    assert!(store.bytes().unwrap() > 0);
    store.tidy(at + DAY * 2);
    assert_eq!(place.names(), ["denied-2026-11-26.sqlite"]);
}

#[test]
fn a_clock_that_is_wrong_for_a_moment_does_not_empty_the_store() {
    let place = Place::new();
    let mut store = Store::open(StoreSettings { keep_days: 30, ..place.settings() }).unwrap();
    let begin = time("2026-11-01T12:00:00Z");
    for day in 0..10 {
        let at = begin + DAY * day;
        assert_eq!(store.ingest(&[denial(1, u64::from(day), 1, at)], at).unwrap(), Outcome::Written);
    }
    for second in 0..100 {
        let at = time("2036-11-11T12:00:00Z") + Duration::from_secs(second);
        assert_eq!(store.ingest(&[denial(1, 99, 1, at)], at).unwrap(), Outcome::Written);
    }
    assert_eq!(store.stats().aged_files, 1);
    assert_eq!(place.names().len(), 10);
}

#[test]
fn the_oldest_files_go_when_there_are_too_many_bytes() {
    let place = Place::new();
    let keep_bytes = 2 << 20;
    let mut store = Store::open(StoreSettings { keep_bytes, ..place.settings() }).unwrap();
    let begin = time("2026-11-25T00:00:00Z");
    // More than fits, within one day: a flood cannot make the store larger, and the latest is there.
    for batch in 0_u64..40 {
        let at = begin + Duration::from_secs(batch);
        let denials: Vec<Denial> = (0..1000)
            .map(|number| Denial {
                peer: Some(IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, batch as u16, number as u16])),
                ..denial(1, batch * 1000 + number, 1, at)
            })
            .collect();
        assert_eq!(store.ingest(&denials, at).unwrap(), Outcome::Written);
        let bytes: u64 = files(&place.0).unwrap().iter().map(|name| name.bytes(&place.0)).sum();
        assert!(bytes <= keep_bytes, "{bytes} bytes after batch {batch}");
    }
    assert!(store.stats().dropped_files > 0, "{:?}", store.stats());
    let has_latest = place.totals().into_keys().any(|(_, peer, _)| peer.as_deref() == Some("2001:db8::27:3e7"));
    assert!(has_latest, "the latest is not there");
    let left = place.names();
    assert!(left.len() > 2, "{left:?}");
}

#[test]
fn an_account_goes_on_after_its_file_has_gone() {
    let place = Place::new();
    let mut store = Store::open(StoreSettings { keep_days: 1, ..place.settings() }).unwrap();
    let one = time("2026-11-25T12:00:00Z");
    assert_eq!(store.ingest(&[denial(1, 7, 5, one)], one).unwrap(), Outcome::Written);
    let two = one + DAY;
    assert_eq!(store.ingest(&[denial(2, 8, 1, two)], two).unwrap(), Outcome::Written);
    assert_eq!(place.names(), ["denied-2026-11-26.sqlite"]);
    let later = Denial { last: two, ..denial(1, 7, 9, one) };
    assert_eq!(store.ingest(&[later], two).unwrap(), Outcome::Written);
    // What went with the file is not counted again.
    assert_eq!(place.packets(), 1 + 4);
}

#[test]
fn what_was_being_written_is_a_plain_file_the_next_day() {
    let place = Place::new();
    let one = time("2026-11-25T12:00:00Z");
    let mut store = Store::open(place.settings()).unwrap();
    assert_eq!(store.ingest(&[denial(1, 7, 5, one)], one).unwrap(), Outcome::Written);
    assert!(place.0.join("denied-2026-11-25.sqlite-wal").exists());
    assert_eq!(store.ingest(&[], one + DAY).unwrap(), Outcome::Written);
    assert!(!place.0.join("denied-2026-11-25.sqlite-wal").exists());
    let mode: String = Connection::open(place.0.join("denied-2026-11-25.sqlite"))
        .unwrap()
        .pragma_query_value(None, "journal_mode", |row| row.get(0))
        .unwrap();
    assert_eq!(mode, "delete");
}
