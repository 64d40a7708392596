//! A short soak. `examples/soak` does the same for as long as one likes; long results lie in `docs/faults`.

#[path = "../examples/soak/disk.rs"]
mod disk;
#[path = "../examples/soak/faulty.rs"]
mod faulty;
#[path = "../examples/soak/jobs.rs"]
mod jobs;
#[path = "../examples/soak/killed.rs"]
mod killed;
#[path = "../examples/soak/random.rs"]
mod random;

use disk::Disk;
use jobs::{Bench, Row};
use std::path::Path;

#[track_caller]
fn faultless(row: &Row, seed: u64) {
    assert!(row.fault.is_empty(), "{} {} (seed {seed}): {}", row.kind, row.job, row.fault);
}

#[test]
fn runs_that_are_killed_end_as_one_that_nobody_disturbed() {
    let work = tempfile::tempdir().unwrap();
    let bench = Bench::new(work.path(), Path::new(env!("CARGO_BIN_EXE_voxtile"))).unwrap();
    for seed in 0..16 {
        faultless(&killed::killed(&bench, None, seed).unwrap(), seed);
    }
    let Ok(mut disk) = Disk::new(work.path()) else {
        crate::house::skipped("no file system can be mounted here");
        return;
    };
    for seed in 100..104 {
        faultless(&killed::killed(&bench, Some(&mut disk), seed).unwrap(), seed);
    }
}

#[test]
fn runs_on_stores_that_fail_end_as_one_on_a_store_that_does_not() {
    for seed in 0..12 {
        faultless(&faulty::run(seed).unwrap(), seed);
    }
}
