//! What is kept, and what begins, over a directory of its own.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::fs;

use super::*;

struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("sphere-history-{}-{name}", std::process::id()));
        drop(fs::remove_dir_all(&path));
        Self(path)
    }

    fn open(&self) -> History {
        History::open(&self.0, 3).unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

const CONFIG: &str = "/etc/sphere/policy.toml";
const MINUTE: Duration = Duration::from_secs(60);

fn texts(text: &str) -> Texts {
    Texts::from([(CONFIG.into(), text.to_owned())])
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000 + seconds)
}

impl History {
    fn take(&mut self, text: &str) -> u64 {
        self.take_up(Path::new(CONFIG), &texts(text), at(0)).unwrap()
    }

    fn attempt(&mut self, text: &str) -> Result<u64, HistoryError> {
        self.try_out(Path::new(CONFIG), &texts(text), (at(0), MINUTE))
    }
}

#[test]
fn what_the_files_say_begins_until_one_goes_back_and_again_when_they_say_something_else() {
    let place = Place::new("back");
    let mut history = place.open();
    assert_eq!(history.begin(Some(&texts("a")), at(0)).unwrap(), Beginning::Files);
    assert_eq!((history.take("a"), history.take("a"), history.take("b")), (1, 1, 2));
    assert_eq!(history.go_back(None).unwrap().texts, texts("a"));
    assert!(matches!(history.go_back(None), Err(HistoryError::NothingBefore)));
    drop(history);
    let mut history = place.open();
    let Beginning::GoneBack(entry) = history.begin(Some(&texts("b")), at(0)).unwrap() else {
        panic!("it begins again")
    };
    assert_eq!(entry.texts, texts("a"));
    assert_eq!(history.begin(Some(&texts("c")), at(0)).unwrap(), Beginning::Files);
    assert_eq!(history.take("c"), 3);
    assert_eq!(history.begin(Some(&texts("b")), at(0)).unwrap(), Beginning::Files, "it was gone back from before");
    assert!(history.is_noted());
    assert!(matches!(history.go_back(Some(9)), Err(HistoryError::Absent(9))));
    assert!(matches!(history.go_back(Some(3)), Err(HistoryError::InForce(3))));
    assert_eq!(history.go_back(Some(2)).unwrap().texts, texts("b"));
}

#[test]
fn a_trial_that_is_not_confirmed_ends_in_the_policy_before_also_when_nobody_was_there() {
    let place = Place::new("trial");
    let mut history = place.open();
    assert!(matches!(history.attempt("b"), Err(HistoryError::NothingBefore)));
    history.take("a");
    assert_eq!(history.attempt("b").unwrap(), 2);
    assert!(matches!(history.attempt("c"), Err(HistoryError::OnTrial)));
    drop(history);
    let mut history = place.open();
    let Beginning::OnTrial(entry, trial) = history.begin(Some(&texts("c")), at(20)).unwrap() else {
        panic!("no trial")
    };
    assert_eq!((entry.texts, trial.left(at(20))), (texts("b"), MINUTE - Duration::from_secs(20)));
    assert_eq!(trial.left(UNIX_EPOCH), MINUTE, "a clock that was set back makes it no longer");
    let Beginning::TrialEnded(entry) = history.begin(Some(&texts("b")), at(60)).unwrap() else {
        panic!("still on trial")
    };
    assert_eq!(entry.texts, texts("a"));
    drop(history);
    assert!(matches!(place.open().begin(Some(&texts("b")), at(61)).unwrap(), Beginning::GoneBack(_)));
    assert!(matches!(place.open().confirm(), Err(HistoryError::NotOnTrial)));
}

#[test]
fn what_is_confirmed_stays_and_what_could_not_be_put_in_force_was_never_noted() {
    let place = Place::new("confirm");
    let mut history = place.open();
    history.take("a");
    let before = history.noted().unwrap();
    history.attempt("b").unwrap();
    history.undo(before).unwrap();
    assert_eq!((history.in_force(), history.trial()), (1, None));
    history.attempt("b").unwrap();
    assert_eq!(history.confirm().unwrap(), history.in_force());
    assert_eq!(history.begin(Some(&texts("b")), at(1_000)).unwrap(), Beginning::Files);
    assert_eq!(history.go_back(None).unwrap().texts, texts("a"));
}

#[test]
fn no_more_are_kept_than_wanted_and_those_that_are_needed_stay() {
    let place = Place::new("keep");
    let mut history = place.open();
    for text in ["a", "b", "c", "d", "e"] {
        history.take(text);
    }
    let numbers = |history: &History| history.entries().unwrap().iter().map(|entry| entry.number).collect::<Vec<_>>();
    assert_eq!(numbers(&history), [3, 4, 5]);
    history.go_back(Some(3)).unwrap();
    history.attempt("f").unwrap();
    assert_eq!(numbers(&history), [3, 5, 6]);
}

#[test]
fn going_back_again_and_again_never_leads_to_what_failed_its_trial() {
    let place = Place::new("chain");
    let mut history = History::open(&place.0, 9).unwrap();
    history.take("a");
    history.attempt("failed").unwrap();
    assert_eq!(history.go_back(None).unwrap().texts, texts("a"));
    history.take("b");
    history.take("c");
    let back: Vec<Texts> = (0..2).map(|_| history.go_back(None).unwrap().texts).collect();
    assert_eq!(back, [texts("b"), texts("a")]);
    assert!(matches!(history.go_back(None), Err(HistoryError::NothingBefore)));
}

#[test]
fn a_disk_that_cannot_be_written_keeps_nobody_from_going_back() {
    let place = Place::new("disk");
    let mut history = place.open();
    history.take("a");
    history.attempt("b").unwrap();
    // In the place of what is written: a directory, which nothing replaces.
    fs::remove_file(place.0.join("state.json")).unwrap();
    fs::create_dir_all(place.0.join("state.json/x")).unwrap();
    assert_eq!(history.go_back(None).unwrap().texts, texts("a"));
    assert!(!history.is_noted() && history.in_force() == 1);
    assert!(history.take_up(Path::new(CONFIG), &texts("c"), at(0)).is_err());
    assert_eq!((history.in_force(), history.go_back(None).unwrap().texts), (0, texts("a")));
}

#[test]
fn where_the_files_say_nothing_a_trial_and_what_was_gone_back_to_begin() {
    let place = Place::new("nothing");
    let mut history = place.open();
    history.take("a");
    assert_eq!(history.begin(None, at(0)).unwrap(), Beginning::Files);
    history.attempt("b").unwrap();
    assert!(matches!(history.begin(None, at(1)).unwrap(), Beginning::OnTrial(..)));
    assert!(matches!(history.begin(None, at(60)).unwrap(), Beginning::TrialEnded(_)));
    assert!(matches!(history.begin(None, at(61)).unwrap(), Beginning::GoneBack(_)));
}

#[test]
fn a_directory_has_one_owner() {
    let place = Place::new("owner");
    let history = place.open();
    assert!(matches!(History::open(&place.0, 3), Err(HistoryError::Shared(_))));
    drop(history);
    drop(place.open());
}

#[test]
fn a_file_that_is_damaged_is_named() {
    let place = Place::new("damaged");
    place.open().take("a");
    fs::write(place.0.join("state.json"), "{").unwrap();
    let error = History::open(&place.0, 3).unwrap_err().to_string();
    assert!(error.contains("state.json") && error.contains("remove it"), "{error}");
}
