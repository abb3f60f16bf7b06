//! The polling task: results through a bounded channel, new orders, and an end.

use std::collections::BTreeSet;
use std::time::Duration;

use hickory_proto::op::Query;
use sphere_userspace::policy::DomainName;
use sphere_userspace::resolve::{Family, Orders, Outcome, Question, Resolution, poll};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::server::{Reply, Server, a};

const PATIENCE: Duration = Duration::from_secs(20);

fn names(texts: &[&str]) -> BTreeSet<DomainName> {
    texts.iter().map(|text| DomainName::parse(text).unwrap()).collect()
}

async fn collect(results: &mut mpsc::Receiver<Resolution>, count: usize) -> Vec<Resolution> {
    let mut collected = Vec::new();
    while collected.len() < count {
        collected.push(timeout(PATIENCE, results.recv()).await.unwrap().unwrap());
    }
    collected
}

fn answering(query: &Query) -> Reply {
    Reply::Records(vec![a(&query.name().to_string(), 1, 60)], false)
}

#[tokio::test]
async fn every_name_is_asked_in_both_families_and_new_orders_are_followed() {
    let server = Server::start(|query: &Query, _| answering(query)).await;
    let orders = Orders { names: names(&["a.test", "b.test"]), settings: server.settings(PATIENCE) };
    let (order, orders) = watch::channel(orders);
    let (sender, mut results) = mpsc::channel(4);
    let cancel = CancellationToken::new();
    let task = tokio::spawn(poll(orders, sender, cancel.clone()));
    let first = collect(&mut results, 4).await;
    let answered: BTreeSet<Question> = first.iter().map(|resolution| resolution.question.clone()).collect();
    assert_eq!(answered.len(), 4);
    for resolution in &first {
        let expected = if resolution.question.family == Family::V4 { "answer" } else { "nodata" };
        assert_eq!(resolution.outcome.word(), expected, "{}", resolution.question);
    }

    let other = Server::start(|query: &Query, _| answering(query)).await;
    let changed = Orders { names: names(&["b.test", "c.test"]), settings: other.settings(PATIENCE) };
    order.send(changed).unwrap();
    // The families without addresses are asked again soon; what matters is that the new name comes, from elsewhere.
    let mut seen = BTreeSet::new();
    while seen.len() < 2 {
        let resolution = collect(&mut results, 1).await.remove(0);
        assert_ne!(resolution.question.name.as_str(), "a.test");
        if resolution.question.name.as_str() == "c.test" {
            seen.insert(resolution.question);
        }
    }
    assert_eq!((other.count("c.test"), server.count("c.test")), (2, 0));

    cancel.cancel();
    assert!(timeout(PATIENCE, task).await.unwrap().unwrap().is_ok());
    assert!(results.recv().await.is_none());
}

#[tokio::test]
async fn nobody_who_takes_results_stops_the_task_but_not_its_end() {
    let server = Server::start(|query: &Query, _| answering(query)).await;
    let many: Vec<String> = (0..200).map(|n| format!("n{n}.test")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let (_order, orders) = watch::channel(Orders { names: names(&many), settings: server.settings(PATIENCE) });
    let (sender, results) = mpsc::channel(1);
    let cancel = CancellationToken::new();
    let task = tokio::spawn(poll(orders, sender, cancel.clone()));
    while server.asked.lock().unwrap().len() < 64 {
        tokio::task::yield_now().await;
    }
    // 64 at once, one in the channel, one on its way into it.
    let asked = server.asked.lock().unwrap().len();
    assert!(asked <= 66, "{asked} questions although nobody takes the answers");
    cancel.cancel();
    assert!(timeout(PATIENCE, task).await.unwrap().unwrap().is_ok());
    drop(results);
}

#[tokio::test]
async fn a_question_under_way_ends_with_the_task() {
    let late = |query: &Query, _| Reply::Late(Duration::from_secs(3_600), vec![a(&query.name().to_string(), 1, 60)]);
    let server = Server::start(late).await;
    let hour = Duration::from_secs(3_600);
    let (_order, orders) = watch::channel(Orders { names: names(&["a.test"]), settings: server.settings(hour) });
    let (sender, mut results) = mpsc::channel(1);
    let cancel = CancellationToken::new();
    let task = tokio::spawn(poll(orders, sender, cancel.clone()));
    while server.asked.lock().unwrap().len() < 2 {
        tokio::task::yield_now().await;
    }
    cancel.cancel();
    assert!(timeout(PATIENCE, task).await.unwrap().unwrap().is_ok());
    assert!(results.recv().await.is_none());
}

#[tokio::test]
async fn a_name_that_times_out_does_not_hold_up_the_others() {
    let server = Server::start(|query: &Query, _| match query.name().to_string().as_str() {
        "silent.test." => Reply::Silence,
        _ => answering(query),
    })
    .await;
    let settings = server.settings(Duration::from_millis(500));
    let (_order, orders) = watch::channel(Orders { names: names(&["silent.test", "a.test"]), settings });
    let (sender, mut results) = mpsc::channel(8);
    let cancel = CancellationToken::new();
    let task = tokio::spawn(poll(orders, sender, cancel.clone()));
    let all = collect(&mut results, 4).await;
    let words: Vec<(String, &str)> =
        all.iter().map(|resolution| (resolution.question.name.to_string(), resolution.outcome.word())).collect();
    assert_eq!(words[0].0, "a.test");
    assert_eq!(words[1].0, "a.test");
    assert_eq!(words[2..], [("silent.test".to_owned(), "timeout"), ("silent.test".to_owned(), "timeout")]);
    assert!(all.iter().any(|resolution| matches!(resolution.outcome, Outcome::Answer(_))));
    cancel.cancel();
    assert!(timeout(PATIENCE, task).await.unwrap().unwrap().is_ok());
}
