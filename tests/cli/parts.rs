//! One plan in parts: processes side by side, of which one is killed and run again, make the files of one run.

#![cfg(unix)]

use super::resume::{files, records};
use super::{Place, noise};
use crate::house;
use std::process::{Child, Stdio};

const PARTS: u32 = 4;

/// Slow enough for one to be killed.
const SLOW_BLUR: &str = "bilateral sigma-color=500 size=7 | gaussian sigma=2";

fn part(place: &Place, part: u32, more: &[&str]) -> Child {
    let which = format!("{part}/{PARTS}");
    let args = ["work", "plan.json", "--part", which.as_str()];
    let mut command = house::voxtile(&[&args[..], more].concat());
    command.current_dir(place.path("")).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Runs some parts at once; each must end well.
#[track_caller]
fn round(place: &Place, parts: impl Iterator<Item = u32>) {
    let children: Vec<Child> = parts.map(|n| part(place, n, &[])).collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// The same with one run and with four parts, of which one is killed when it has noted something.
#[track_caller]
fn in_parts(out: &str, recipe: &str, more: &[&str], rounds: u64) {
    let place = Place::new();
    place.write("in.zarr", noise(&[96, 128, 128]), &[32]);
    let limits = ["--workers", "1", "--memory", "256MiB", "--tile", "32"];
    let want = format!("want-{out}");
    place.ok(&[&["run", "in.zarr", &want, recipe], &limits[..], more].concat());
    let save = ["plan", "in.zarr", recipe, "--output", out, "--save", "plan.json"];
    place.ok(&[&save[..], &limits, more].concat());
    let plan: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(place.path("plan.json")).unwrap()).unwrap();
    assert_eq!(plan["rounds"], rounds, "{recipe}");
    let mut victim = part(&place, 2, &[]);
    while records(&place, out) == 0 && victim.try_wait().unwrap().is_none() {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    // One that has ended is not killed any more; it has done its part then.
    victim.kill().unwrap();
    victim.wait().unwrap();
    for n in 0..rounds {
        // The one that was killed comes last.
        round(&place, (0..PARTS).filter(|n| *n != 2));
        let report = place.ok(&["work", "plan.json", "--part", "2/4", "--json"]).json();
        assert!(n > 0 || report["report"]["tiles_skipped"].as_u64() > Some(0), "{report}");
    }
    let finish = place.ok(&["finish", "plan.json"]);
    assert!(finish.stderr.contains(": complete\n"), "{}", finish.stderr);
    let (got, want) = (files(&place, out), files(&place, &want));
    assert_eq!(got.keys().collect::<Vec<_>>(), want.keys().collect::<Vec<_>>());
    assert!(got == want, "{recipe}: files differ");
    assert!(!place.path(&format!("{out}.voxtile-work")).exists());
}

#[test]
fn a_gaussian_in_parts_is_that_of_one_run() {
    in_parts("out.zarr", SLOW_BLUR, &["--chunk", "32"], 2);
    in_parts(
        "out.zarr",
        SLOW_BLUR,
        &["--chunk", "16", "--shard", "32", "--pyramid", "--pyramid-until", "20"],
        2,
    );
}

#[test]
fn statistics_and_stages_in_parts_are_those_of_one_run() {
    in_parts("out.zarr", "gaussian sigma=1 | threshold otsu", &["--chunk", "32"], 1);
    in_parts("out.zarr", "project z method=max | median size=5", &["--chunk", "32"], 2);
}

#[test]
fn labels_in_parts_are_those_of_one_run() {
    in_parts("out.zarr", "bilateral sigma-color=500 size=7 | threshold 2048 | label", &["--chunk", "32"], 2);
}

#[test]
fn tables_in_parts_are_those_of_one_run() {
    in_parts("out.csv", "bilateral sigma-color=500 size=7 | peaks min-distance=2", &[], 2);
    in_parts("out.csv", "median size=3 | threshold 2048 | label | measure intensity=input", &[], 3);
}

/// Whatever round it comes after.
#[test]
fn finish_does_what_is_left() {
    let place = Place::new();
    place.write("in.zarr", noise(&[96, 128, 128]), &[32]);
    let limits = ["--workers", "1", "--memory", "256MiB", "--tile", "32", "--chunk", "32"];
    let recipe = "gaussian sigma=1 | threshold 2048 | label";
    place.ok(&[&["run", "in.zarr", "want.zarr", recipe], &limits[..]].concat());
    place
        .ok(&[&["plan", "in.zarr", recipe, "--output", "out.zarr", "--save", "plan.json"], &limits[..]]
            .concat());
    round(&place, 1..3);
    let finish = place.ok(&["finish", "plan.json"]);
    assert!(finish.stderr.contains("had been left"), "{}", finish.stderr);
    assert!(files(&place, "out.zarr") == files(&place, "want.zarr"));
}

#[test]
fn a_job_array_says_which_part_it_is() {
    let place = Place::new();
    place.volume("in.zarr");
    place.ok(&["plan", "in.zarr", "max 3", "--output", "out.zarr", "--save", "plan.json"]);
    let work = |environment: &str| place.shell(&format!("{environment} $VOXTILE work plan.json --parts 3"));
    for (environment, part) in [
        ("SLURM_ARRAY_TASK_ID=5 SLURM_ARRAY_TASK_MIN=4", "1/3"),
        ("SLURM_ARRAY_TASK_ID=2", "2/3"),
        ("JOB_COMPLETION_INDEX=0", "0/3"),
        ("AWS_BATCH_JOB_ARRAY_INDEX=1", "1/3"),
    ] {
        let answer = work(environment);
        assert_eq!(answer.code, Some(0), "{}", answer.stderr);
        assert!(answer.stderr.starts_with(&format!("part {part} of ")), "{}", answer.stderr);
    }
    let beyond = work("JOB_COMPLETION_INDEX=3");
    assert!(
        beyond.stderr.starts_with("error: JOB_COMPLETION_INDEX says that this is part 3"),
        "{}",
        beyond.stderr
    );
    let none = work("");
    assert!(none.stderr.starts_with("error: no job array says which part this is"), "{}", none.stderr);
    place.ok(&["finish", "plan.json"]);
    place.ok(&["run", "in.zarr", "want.zarr", "max 3"]);
    place.ok(&["verify", "out.zarr", "want.zarr"]);
}

#[test]
fn what_parts_cannot_do_is_refused() {
    let place = Place::new();
    place.volume("in.zarr");
    let plan = |out: &str| place.run(&["plan", "in.zarr", "max 3", "--output", out, "--save", "plan.json"]);
    let tiff = plan("out.tif");
    assert_eq!(tiff.code, Some(2));
    assert!(tiff.stderr.contains("is one file, which parts cannot write side by side"), "{}", tiff.stderr);
    assert!(
        tiff.stderr.contains("out.zarr` takes parts; `voxtile convert` makes one file of it"),
        "{}",
        tiff.stderr
    );
    std::fs::write(place.path("plan.json"), "{}").unwrap();
    let none = place.run(&["work", "plan.json", "--part", "0/2"]);
    assert!(
        none.stderr.starts_with("error: `plan.json` is no plan that `voxtile plan --save` wrote"),
        "{}",
        none.stderr
    );
    std::fs::remove_file(place.path("plan.json")).unwrap();
    assert_eq!(plan("out.zarr").code, Some(0));
    // The input is another one now.
    place.write("in.zarr2", noise(&[20, 33, 47]), &[8]);
    std::fs::remove_dir_all(place.path("in.zarr")).unwrap();
    std::fs::rename(place.path("in.zarr2"), place.path("in.zarr")).unwrap();
    let changed = place.run(&["work", "plan.json", "--part", "0/2"]);
    assert_eq!(changed.code, Some(2));
    assert!(changed.stderr.contains("input.files: was "), "{}", changed.stderr);
}
