//! Outputs that another run writes, has begun, or has made of something else; and plans in parts.

use super::refused;
use crate::cli::Place;
use serde_json::json;
use std::fs;
use voxtile_io::{Header, Work, WorkOptions};
use voxtile_sched::contract::{Journal as _, Unit};

/// An output that a run of a plan was stopped at.
fn begun(place: &Place, output: &str) {
    let header = Header { plan: json!({ "recipe": "max size=3" }), with: json!({}) };
    let work = Work::open(&place.path(output), &header, WorkOptions::default()).unwrap();
    work.done(Unit { stage: 0, pass: 0, number: 0 }, &[]).unwrap();
}

#[test]
fn a_run_that_was_stopped() {
    let place = Place::new();
    place.volume("in.zarr");
    begun(&place, "out.zarr");
    refused(&place, "unfinished", &["run", "in.zarr", "out.zarr", "max 3"]);
}

#[test]
fn an_output_that_another_machine_writes() {
    let place = Place::new();
    place.volume("in.zarr");
    fs::create_dir(place.path("out.tif.voxtile-work")).unwrap();
    let owner = json!({ "host": "node17", "pid": 4242, "start": "then" });
    fs::write(place.path("out.tif.voxtile-work/lock"), owner.to_string()).unwrap();
    refused(&place, "locked_elsewhere", &["run", "in.zarr", "out.tif", "max 3", "--resume"]);
    place.ok(&["run", "in.zarr", "out.tif", "max 3", "--resume", "--break-lock"]);
}

#[test]
fn parts_and_plans() {
    let place = Place::new();
    place.volume("in.zarr");
    let save = ["--save", "plan.json"];
    let tiff = [&["plan", "in.zarr", "max 3", "--output", "out.tif"][..], &save].concat();
    let answer = place.run(&tiff);
    assert_eq!(answer.code, Some(2), "{}", answer.stderr);
    fs::write(place.path("other.json"), "{}").unwrap();
    refused(&place, "no_plan", &["work", "other.json", "--part", "0/2"]);
    place.ok(&[&["plan", "in.zarr", "max 3", "--output", "out.zarr"][..], &save].concat());
    refused(&place, "no_part", &["work", "plan.json", "--parts", "3"]);
    refused(&place, "part_of_none", &["work", "plan.json", "--part", "4/4"]);
}
