//! The host's side of the classifier: one packet through ordinary collections, as tests and replay use it.
#![allow(missing_docs, reason = "the macros of criterion generate undocumented functions")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use sphere_benches::{Gateway, endpoint, segment};
use sphere_common::verdict::Reason;

fn classify(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("classify");
    group.throughput(Throughput::Elements(1));
    for endpoints in [60, 10_000, 1_000_000] {
        let mut gateway = Gateway::new(endpoints);
        let allowed = segment(endpoint(endpoints / 2), 443);
        let denied = segment([192, 0, 2, 1], 443);
        assert_eq!(gateway.ingress(&allowed), Reason::Endpoint);
        assert_eq!(gateway.ingress(&denied), Reason::Destination);
        group.bench_with_input(BenchmarkId::new("allowed", endpoints), &allowed, |bencher, frame| {
            bencher.iter(|| gateway.ingress(black_box(frame)));
        });
        group.bench_with_input(BenchmarkId::new("denied", endpoints), &denied, |bencher, frame| {
            bencher.iter(|| gateway.ingress(black_box(frame)));
        });
    }
    group.finish();
}

criterion_group!(benches, classify);
criterion_main!(benches);
