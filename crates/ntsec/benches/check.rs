//! The numbers of docs/ntsec.md: `cargo bench -p ringfence-ntsec`.
#![allow(missing_docs, clippy::unwrap_used, reason = "criterion's macros define undocumented items; a bench may panic")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ringfence_ntsec::{AccessCheck, AccessMask, ObjectType, SecurityDescriptor, Sid, Token, WriteReading};

/// What a developer's token looks like: a dozen groups, write-restricted by three SIDs.
fn token() -> Token {
    let groups: String = (0..6).map(|rid| format!("group S-1-5-21-1-2-3-{}\n", 5000 + rid)).collect();
    format!(
        "user S-1-5-21-1-2-3-1001\ngroup WD\ngroup BU\ngroup AU\ngroup IU\ngroup BA deny-only\n\
         group S-1-5-5-0-77 logon\n{groups}privilege SeChangeNotifyPrivilege\n\
         restricting S-1-5-21-7-7-7-3735000001\nrestricting S-1-5-21-8-8-8-3735000002\nrestricting S-1-5-5-0-77\n\
         write-restricted"
    )
    .parse()
    .unwrap()
}

/// 50 ACEs, of which the last ones decide: the whole list is walked.
fn fifty_aces() -> SecurityDescriptor {
    let strangers: String = (0..48).map(|rid| format!("(A;OICI;0x1301bf;;;S-1-5-21-1-2-3-{})", 20_000 + rid)).collect();
    format!("O:BAG:SYD:{strangers}(A;OICI;FA;;;WD)(A;OICI;0x1301bf;;;S-1-5-21-7-7-7-3735000001)").parse().unwrap()
}

fn access_check(criterion: &mut Criterion) {
    let (token, descriptor) = (token(), fifty_aces());
    let check = AccessCheck::new(&token, &descriptor, ObjectType::File).with_write_reading(WriteReading::Wide);
    let mut group = criterion.benchmark_group("access check of 50 ACEs");
    let write = AccessMask::GENERIC_READ | AccessMask::GENERIC_WRITE | AccessMask::DELETE;
    assert!(check.allows(write));
    group.bench_function("read and write, both passes", |bencher| bencher.iter(|| check.decide(black_box(write))));
    group.bench_function("maximum allowed, both passes", |bencher| {
        bencher.iter(|| check.decide(black_box(AccessMask::MAXIMUM_ALLOWED)));
    });
    group.bench_function("explained", |bencher| bencher.iter(|| check.explain(black_box(write))));
    group.finish();
}

fn sddl(criterion: &mut Criterion) {
    let text = fifty_aces().to_sddl().unwrap();
    let windows = "O:SYG:SYD:PAI(A;OICIIO;GA;;;CO)(A;OICIIO;GA;;;SY)(A;;0x1301bf;;;SY)(A;OICIIO;GA;;;BA)\
                   (A;;0x1301bf;;;BA)(A;OICIIO;GXGR;;;BU)(A;;0x1200a9;;;BU)(A;CIIO;GA;;;S-1-5-80-956008885-\
                   3418522649-1831038044-1853292631-2271478464)(A;;0x1200a9;;;AC)(A;OICIIO;GXGR;;;AC)";
    let mut group = criterion.benchmark_group("SDDL");
    for (name, text) in [("parse 50 ACEs", text.as_str()), ("parse C:\\Windows", windows)] {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(name, |bencher| bencher.iter(|| black_box(text).parse::<SecurityDescriptor>().unwrap()));
    }
    let descriptor = fifty_aces();
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("write 50 ACEs", |bencher| bencher.iter(|| black_box(&descriptor).to_sddl().unwrap()));
    group.finish();
}

fn binary(criterion: &mut Criterion) {
    let descriptor = fifty_aces();
    let bytes = descriptor.to_bytes().unwrap();
    let mut group = criterion.benchmark_group("binary");
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("parse 50 ACEs", |bencher| {
        bencher.iter(|| SecurityDescriptor::from_bytes(black_box(&bytes)).unwrap());
    });
    group.bench_function("write 50 ACEs", |bencher| bencher.iter(|| black_box(&descriptor).to_bytes().unwrap()));
    group.finish();
    criterion.bench_function("workspace SID", |bencher| {
        bencher.iter(|| Sid::ringfence_workspace(black_box(&[7; 32]), 1, 2));
    });
}

criterion_group!(benches, access_check, sddl, binary);
criterion_main!(benches);
