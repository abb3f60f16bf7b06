//! When questions are asked: no storm, no long pause, never twice at once.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use proptest::prelude::*;
use sphere_userspace::policy::DomainName;
use sphere_userspace::reconcile::Moment;
use sphere_userspace::resolve::{AddressRecord, Answer, Family, Outcome, Question, Resolution, Schedule};

const CEILING: Duration = Duration::from_secs(3_600);

fn names(count: usize) -> BTreeSet<DomainName> {
    (0..count).map(|n| DomainName::parse(&format!("n{n}.example.com")).unwrap()).collect()
}

fn start() -> Moment {
    Moment::new(Duration::from_secs(1_000))
}

fn answer(ttls: &[u64]) -> Outcome {
    let record = |(last, ttl): (u8, &u64)| {
        let address = IpAddr::V4(Ipv4Addr::new(20, 0, 0, last));
        AddressRecord { address, ttl: Duration::from_secs(*ttl) }
    };
    Outcome::Answer(Answer { records: (1..).zip(ttls).map(record).collect(), chain: Vec::new(), chain_ttl: None })
}

fn record(schedule: &mut Schedule, question: Question, outcome: Outcome, at: Moment) {
    schedule.record(&Resolution { question, outcome, at });
}

/// Takes whatever is due.
fn take_all(schedule: &mut Schedule, now: Moment) -> Vec<Question> {
    std::iter::from_fn(|| schedule.take(now)).collect()
}

/// One question, asked again and again with these outcomes: the time between each reply and the next question.
fn delays(outcomes: Vec<Outcome>) -> Vec<Duration> {
    let mut schedule = Schedule::new(CEILING, 7);
    schedule.want(&names(1), CEILING, start());
    // The other family is being asked all the time, and does not matter.
    let question = take_all(&mut schedule, start()).remove(0);
    let mut now = start();
    let mut delays = Vec::new();
    for outcome in outcomes {
        record(&mut schedule, question.clone(), outcome, now);
        let due = schedule.next_due().unwrap();
        delays.push(due.since(now));
        now = due;
        assert_eq!(schedule.take(now), Some(question.clone()));
    }
    delays
}

fn assert_within(delays: &[Duration], bounds: &[(f64, f64)]) {
    assert_eq!(delays.len(), bounds.len());
    for (delay, (low, high)) in delays.iter().zip(bounds) {
        assert!((*low..=*high).contains(&delay.as_secs_f64()), "{delays:?} is not within {bounds:?}");
    }
}

#[test]
fn both_families_of_a_new_name_are_asked_at_once() {
    let mut schedule = Schedule::new(CEILING, 1);
    schedule.want(&names(2), CEILING, start());
    let asked = take_all(&mut schedule, start());
    assert_eq!(asked.len(), 4);
    assert_eq!(asked.iter().filter(|question| question.family == Family::V6).count(), 2);
    assert_eq!(schedule.next_due(), None, "everything is being asked");
}

#[test]
fn an_answer_is_asked_for_again_before_the_first_of_its_records_ends() {
    let bounds = [(225.0, 270.0), (45.0, 54.0), (2_700.0, 3_240.0), (4.0, 4.5), (4.0, 4.0), (4.0, 4.0)];
    let answers = [&[300, 900][..], &[300, 60], &[86_400], &[5], &[1], &[0]];
    assert_within(&delays(answers.map(answer).into()), &bounds);
}

#[test]
fn a_short_alias_is_asked_for_again_before_it_may_change() {
    let Outcome::Answer(mut long) = answer(&[300]) else { unreachable!() };
    long.chain_ttl = Some(Duration::from_secs(20));
    assert_within(&delays(vec![Outcome::Answer(long)]), &[(15.0, 18.0)]);
}

#[test]
fn failures_back_off_from_five_seconds_to_two_minutes_and_an_answer_forgives_them() {
    for failure in [
        Outcome::Timeout,
        Outcome::ServerFailure,
        Outcome::Refused,
        Outcome::Truncated,
        Outcome::Failed("no route".into()),
    ] {
        let mut outcomes = vec![failure.clone(); 7];
        outcomes.extend([answer(&[60]), failure]);
        let bounds = [5.0, 10.0, 20.0, 40.0, 80.0, 120.0, 120.0].map(|full: f64| (full * 0.8, full));
        assert_within(&delays(outcomes), &[&bounds[..], &[(45.0, 54.0), (4.0, 5.0)]].concat());
    }
}

#[test]
fn empty_answers_back_off_like_failures() {
    for nothing in [Outcome::NoData, Outcome::NoSuchName] {
        let bounds = [5.0, 10.0, 20.0, 40.0, 80.0, 120.0].map(|full: f64| (full * 0.8, full));
        assert_within(&delays(vec![nothing; 6]), &bounds);
    }
}

#[test]
fn a_slow_server_is_asked_once_at_a_time_and_the_wait_counts_from_the_reply() {
    let mut schedule = Schedule::new(CEILING, 3);
    schedule.want(&names(1), CEILING, start());
    let question = take_all(&mut schedule, start()).remove(0);
    let reply = start() + Duration::from_secs(4);
    assert_eq!(schedule.take(reply), None, "it is still being asked");
    record(&mut schedule, question, answer(&[5]), reply);
    assert!(schedule.next_due().unwrap().since(reply) >= Duration::from_secs(4));
}

#[test]
fn when_a_silent_server_answers_again_everything_is_asked_soon() {
    let mut schedule = Schedule::new(CEILING, 5);
    schedule.want(&names(50), CEILING, start());
    let mut now = start();
    for _ in 0..6 {
        for question in take_all(&mut schedule, now) {
            record(&mut schedule, question, Outcome::Timeout, now);
        }
        now = now + Duration::from_secs(200);
    }
    let first = schedule.take(now).unwrap();
    for question in take_all(&mut schedule, now) {
        record(&mut schedule, question, Outcome::Timeout, now);
    }
    let all_wait = schedule.next_due().unwrap().since(now);
    assert!(all_wait > Duration::from_secs(90), "{all_wait:?}");
    record(&mut schedule, first, answer(&[300]), now);
    let soon = take_all(&mut schedule, now + Duration::from_secs(2));
    assert_eq!(soon.len(), 99);
}

#[test]
fn one_name_without_answer_among_many_with_is_not_asked_more_often() {
    let mut schedule = Schedule::new(CEILING, 5);
    schedule.want(&names(20), CEILING, start());
    let broken = DomainName::parse("n7.example.com").unwrap();
    let mut now = start();
    let mut asked = 0;
    while now.since(start()) < CEILING {
        for question in take_all(&mut schedule, now) {
            let outcome = if question.name == broken { Outcome::Timeout } else { answer(&[20]) };
            asked += usize::from(question.name == broken);
            record(&mut schedule, question, outcome, now);
        }
        now = schedule.next_due().unwrap();
    }
    // 5, 10, 20, 40, 80, then each 96 to 120 s, for two families.
    assert!((2 * 32..=2 * 42).contains(&asked), "{asked}");
}

#[test]
fn names_that_are_no_longer_wanted_are_not_asked() {
    let mut schedule = Schedule::new(CEILING, 5);
    schedule.want(&names(3), CEILING, start());
    let asked = schedule.take(start()).unwrap();
    let wanted: BTreeSet<DomainName> = names(4).into_iter().filter(|name| *name != asked.name).collect();
    schedule.want(&wanted, CEILING, start());
    assert_eq!(schedule.len(), 6);
    record(&mut schedule, asked.clone(), answer(&[10]), start());
    assert!(take_all(&mut schedule, start() + CEILING).iter().all(|question| question.name != asked.name));
}

#[test]
fn a_name_that_is_wanted_again_while_its_question_is_on_its_way_is_not_asked_twice() {
    let mut schedule = Schedule::new(CEILING, 5);
    schedule.want(&names(1), CEILING, start());
    let asked = take_all(&mut schedule, start());
    schedule.want(&names(0), CEILING, start());
    assert!(schedule.is_empty());
    schedule.want(&names(1), CEILING, start());
    assert_eq!(schedule.take(start() + CEILING), None);
    for question in asked {
        record(&mut schedule, question, answer(&[60]), start());
    }
    assert_eq!(take_all(&mut schedule, start() + CEILING).len(), 2);
}

#[derive(Clone, Debug)]
enum Event {
    Want(usize),
    Take,
    Record(usize, u8),
    Pass(u64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        1 => (0_usize..12).prop_map(Event::Want),
        4 => Just(Event::Take),
        4 => (any::<usize>(), any::<u8>()).prop_map(|(which, what)| Event::Record(which, what)),
        2 => (0_u64..90).prop_map(Event::Pass),
    ]
}

proptest! {
    #[test]
    fn no_question_is_lost_or_asked_twice_at_once(events in prop::collection::vec(event(), 1..300), seed in any::<u64>()) {
        let mut schedule = Schedule::new(CEILING, seed);
        let (mut now, mut asking, mut wanted) = (start(), Vec::<Question>::new(), names(0));
        for event in events {
            match event {
                Event::Want(count) => {
                    wanted = names(count);
                    schedule.want(&wanted, CEILING, now);
                }
                Event::Take => {
                    if let Some(question) = schedule.take(now) {
                        prop_assert!(wanted.contains(&question.name));
                        prop_assert!(!asking.contains(&question), "{} is being asked", question);
                        asking.push(question);
                    }
                }
                Event::Record(which, what) if !asking.is_empty() => {
                    let question = asking.swap_remove(which % asking.len());
                    let outcome = match what % 4 {
                        0 => answer(&[u64::from(what)]),
                        1 => Outcome::NoSuchName,
                        2 => Outcome::Timeout,
                        _ => Outcome::ServerFailure,
                    };
                    record(&mut schedule, question, outcome, now);
                }
                Event::Record(..) => {}
                Event::Pass(seconds) => now = now + Duration::from_secs(seconds),
            }
            prop_assert_eq!(schedule.len(), 2 * wanted.len());
        }
        // All that is not being asked is asked within the longest wait there is.
        asking.retain(|question| wanted.contains(&question.name));
        let rest = take_all(&mut schedule, now + CEILING);
        prop_assert_eq!(rest.len() + asking.len(), schedule.len());
    }
}
