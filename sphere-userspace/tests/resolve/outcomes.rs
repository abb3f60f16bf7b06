//! Each outcome of a question is told apart, and none is taken for another.

use std::net::IpAddr;
use std::time::Duration;

use hickory_proto::op::{Query, ResponseCode};
use hickory_proto::rr::{Record, RecordType};
use sphere_userspace::policy::{DomainName, ResolverSettings};
use sphere_userspace::resolve::{Answer, Asker, Family, Outcome, Question};

use crate::server::{Reply, Server, Way, a, aaaa, cname};

const PATIENCE: Duration = Duration::from_secs(3);
const IMPATIENCE: Duration = Duration::from_millis(300);

fn question(name: &str, family: Family) -> Question {
    Question { name: DomainName::parse(name).unwrap(), family }
}

async fn ask(settings: &ResolverSettings, name: &str, family: Family) -> Outcome {
    Asker::new(settings).unwrap().ask(&question(name, family)).await
}

async fn ask_a(server: &Server, name: &str) -> Outcome {
    ask(&server.settings(PATIENCE), name, Family::V4).await
}

fn answer(outcome: Outcome) -> Answer {
    match outcome {
        Outcome::Answer(answer) => answer,
        other => panic!("no answer but {other:?}"),
    }
}

fn records(records: Vec<Record>) -> Reply {
    Reply::Records(records, false)
}

#[tokio::test]
async fn response_codes_are_told_apart() {
    let server = Server::start(|query: &Query, _| match query.name().to_string().as_str() {
        "nodata.test." => Reply::Records(Vec::new(), true),
        "bare.test." => Reply::Records(Vec::new(), false),
        "nxdomain.test." => Reply::Code(ResponseCode::NXDomain),
        "servfail.test." => Reply::Code(ResponseCode::ServFail),
        "refused.test." => Reply::Code(ResponseCode::Refused),
        "notimp.test." => Reply::Code(ResponseCode::NotImp),
        _ => Reply::Silence,
    })
    .await;
    for (name, expected) in [
        ("nodata.test", "nodata"),
        ("bare.test", "nodata"),
        ("nxdomain.test", "nxdomain"),
        ("servfail.test", "servfail"),
        ("refused.test", "refused"),
        ("notimp.test", "failed"),
    ] {
        assert_eq!(ask_a(&server, name).await.word(), expected, "{name}");
    }
    let outcome = ask(&server.settings(IMPATIENCE), "silent.test", Family::V4).await;
    assert_eq!(outcome, Outcome::Timeout);
}

#[tokio::test]
async fn a_closed_port_is_a_failure_and_not_an_answer() {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let closed = socket.local_addr().unwrap();
    drop(socket);
    let settings = ResolverSettings { servers: vec![closed], timeout: IMPATIENCE, ..ResolverSettings::default() };
    let outcome = ask(&settings, "a.test", Family::V4).await;
    assert!(matches!(outcome, Outcome::Timeout | Outcome::Failed(_)), "{outcome:?}");
}

#[tokio::test]
async fn each_family_has_its_own_outcome() {
    let server = Server::start(|query: &Query, _| match query.query_type() {
        RecordType::A => records(vec![a("half.test.", 1, 60)]),
        _ => Reply::Code(ResponseCode::ServFail),
    })
    .await;
    assert_eq!(answer(ask_a(&server, "half.test").await).records.len(), 1);
    assert_eq!(ask(&server.settings(PATIENCE), "half.test", Family::V6).await, Outcome::ServerFailure);
    assert_eq!(server.asked.lock().unwrap().len(), 2, "each was asked once, and neither asked for the other");
}

#[tokio::test]
async fn each_record_has_its_own_ttl_and_strangers_are_left_out() {
    let server = Server::start(|_: &Query, _| {
        records(vec![
            a("TTL.test.", 1, 5),
            a("ttl.TEST.", 2, 300),
            a("other.test.", 3, 300),
            aaaa("ttl.test.", 4, 300),
            a("ttl.test.", 1, 9),
            a("ttl.test.", 5, u32::MAX),
        ])
    })
    .await;
    let answer = answer(ask_a(&server, "ttl.test").await);
    let found: Vec<(String, u64)> =
        answer.records.iter().map(|record| (record.address.to_string(), record.ttl.as_secs())).collect();
    assert_eq!(found, [("20.0.0.1".into(), 9), ("20.0.0.2".into(), 300), ("20.0.0.5".into(), 0)]);
    assert_eq!((answer.chain.len(), answer.chain_ttl), (0, None));
}

#[tokio::test]
async fn any_number_of_records_is_taken() {
    for count in [1_u8, 24, 25, 60, 255] {
        let server = Server::start(move |query: &Query, way| {
            let owner = query.name().to_string();
            let all: Vec<Record> = (1..=count).map(|last| a(&owner, last, 60)).collect();
            // 1232 bytes hold about 70 records.
            if way == Way::Udp && count > 60 { Reply::Truncated } else { records(all) }
        })
        .await;
        assert_eq!(answer(ask_a(&server, "many.test").await).records.len(), usize::from(count));
    }
}

#[tokio::test]
async fn a_truncated_answer_is_asked_for_over_tcp() {
    let server = Server::start(|query: &Query, way| match way {
        Way::Udp => Reply::Truncated,
        Way::Tcp => records((1..=60).map(|last| a(&query.name().to_string(), last, 60)).collect()),
    })
    .await;
    assert_eq!(answer(ask_a(&server, "big.test").await).records.len(), 60);
    let ways: Vec<Way> = server.asked.lock().unwrap().iter().map(|(_, way)| *way).collect();
    assert_eq!(ways, [Way::Udp, Way::Tcp]);
}

#[tokio::test]
async fn a_truncated_answer_without_tcp_is_no_answer() {
    let server = Server::without_tcp(|_: &Query, _| Reply::Truncated).await;
    assert_eq!(ask(&server.settings(IMPATIENCE), "big.test", Family::V4).await, Outcome::Truncated);
    let server = Server::start(|_: &Query, way| if way == Way::Udp { Reply::Truncated } else { Reply::Silence }).await;
    assert_eq!(ask(&server.settings(IMPATIENCE), "big.test", Family::V4).await, Outcome::Truncated);
    let server = Server::start(|_: &Query, _| Reply::Truncated).await;
    assert_eq!(ask(&server.settings(IMPATIENCE), "big.test", Family::V4).await, Outcome::Truncated);
}

#[tokio::test]
async fn a_chain_in_any_order_leads_from_the_asked_name_to_the_addresses() {
    let server = Server::start(|_: &Query, _| {
        let mut all = vec![a("n9.test.", 1, 30), a("n9.test.", 2, 40)];
        all.extend((0..9).rev().map(|n| cname(&format!("N{n}.test."), &format!("n{}.test.", n + 1), 100 + n)));
        records(all)
    })
    .await;
    let answer = answer(ask_a(&server, "n0.test").await);
    assert_eq!(answer.records.len(), 2);
    let chain: Vec<&str> = answer.chain.iter().map(DomainName::as_str).collect();
    assert_eq!(chain, (1..=9).map(|n| format!("n{n}.test")).collect::<Vec<_>>());
    assert_eq!(answer.chain_ttl, Some(Duration::from_secs(100)));
}

#[tokio::test]
async fn an_alias_alone_is_followed_by_asking_for_its_target() {
    let server = Server::start(|query: &Query, _| match query.name().to_string().as_str() {
        "front.test." => records(vec![cname("front.test.", "middle.test.", 50)]),
        "middle.test." => records(vec![cname("middle.test.", "back.test.", 20)]),
        _ => records(vec![a("back.test.", 1, 60)]),
    })
    .await;
    let answer = answer(ask_a(&server, "front.test").await);
    assert_eq!(
        answer.records.iter().map(|record| record.address).collect::<Vec<_>>(),
        ["20.0.0.1".parse::<IpAddr>().unwrap()]
    );
    assert_eq!((answer.chain.len(), answer.chain_ttl), (2, Some(Duration::from_secs(20))));
}

#[tokio::test]
async fn aliases_to_nothing_and_in_circles_come_to_an_end() {
    let server = Server::start(|query: &Query, _| match query.name().to_string().as_str() {
        "empty.test." => Reply::Records(vec![cname("empty.test.", "nothing.test.", 50)], true),
        "circle.test." => records(vec![cname("circle.test.", "b.test.", 50), cname("b.test.", "circle.test.", 50)]),
        "self.test." => records(vec![cname("self.test.", "self.test.", 50)]),
        other => {
            // Every answer is an alias to another name: a server without an end.
            let next = format!("x{other}");
            records(vec![cname(other, &next, 50)])
        }
    })
    .await;
    assert_eq!(ask_a(&server, "empty.test").await, Outcome::NoData);
    for name in ["circle.test", "self.test", "endless.test"] {
        let outcome = ask_a(&server, name).await;
        assert!(matches!(outcome, Outcome::Failed(_)), "{name}: {outcome:?}");
    }
    assert!(server.count("xx") <= 12);
}

#[tokio::test]
async fn another_server_is_asked_when_one_fails_and_remembered_when_it_answers() {
    let broken = Server::start(|_: &Query, _| Reply::Code(ResponseCode::ServFail)).await;
    let sound = Server::start(|query: &Query, _| records(vec![a(&query.name().to_string(), 1, 60)])).await;
    let servers = vec![broken.address, sound.address];
    let settings = ResolverSettings { servers, timeout: PATIENCE, ..ResolverSettings::default() };
    let asker = Asker::new(&settings).unwrap();
    for _ in 0..3 {
        answer(asker.ask(&question("a.test", Family::V4)).await);
    }
    assert_eq!((broken.count("a.test"), sound.count("a.test")), (1, 3));
}

#[tokio::test]
async fn names_are_absolute_and_special_names_are_asked_like_any_other() {
    let server = Server::start(|query: &Query, _| records(vec![a(&query.name().to_string(), 1, 60)])).await;
    for name in ["localhost", "single", "x.local", "a.invalid"] {
        assert_eq!(answer(ask_a(&server, name).await).records.len(), 1, "{name}");
    }
    let asked: Vec<String> = server.asked.lock().unwrap().iter().map(|(query, _)| query.clone()).collect();
    assert_eq!(asked, ["localhost. A", "single. A", "x.local. A", "a.invalid. A"]);
}

#[tokio::test]
async fn nothing_is_kept_between_two_questions() {
    let server = Server::start(|query: &Query, _| records(vec![a(&query.name().to_string(), 1, 3_600)])).await;
    let asker = Asker::new(&server.settings(PATIENCE)).unwrap();
    for _ in 0..5 {
        answer(asker.ask(&question("a.test", Family::V4)).await);
    }
    assert_eq!(server.count("a.test"), 5);
}
