#![cfg(unix)]

use super::{refused, snapshot};
use crate::cli::{Answer, Place, noise};
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// Whether permissions are checked for this user: they are not for root.
fn permissions_count(place: &Place) -> bool {
    let probe = place.path("probe");
    fs::write(&probe, "").unwrap();
    fs::set_permissions(&probe, fs::Permissions::from_mode(0o000)).unwrap();
    let counts = fs::read(&probe).is_err();
    fs::remove_file(&probe).unwrap();
    if !counts {
        crate::house::skipped("permissions do not count for root");
    }
    counts
}

#[test]
fn an_input_that_may_not_be_read() {
    let place = Place::new();
    if !permissions_count(&place) {
        return;
    }
    place.copy("nuclei.tif", "in.tif");
    fs::set_permissions(place.path("in.tif"), fs::Permissions::from_mode(0o000)).unwrap();
    refused(&place, "no_permission_to_read", &["info", "in.tif"]);
}

#[test]
fn a_directory_that_may_not_be_written() {
    let place = Place::new();
    if !permissions_count(&place) {
        return;
    }
    place.volume("in.zarr");
    fs::create_dir(place.path("shared")).unwrap();
    fs::set_permissions(place.path("shared"), fs::Permissions::from_mode(0o555)).unwrap();
    refused(&place, "no_permission_to_write", &["run", "in.zarr", "shared/out.zarr", "invert"]);
}

/// A file that may not grow meets the program as a full disk does, with another word of the system.
fn on_a_full_disk(place: &Place, args: &str) -> Answer {
    place.shell(&format!("trap '' XFSZ; ulimit -f 64; exec \"$VOXTILE\" {args}"))
}

#[test]
fn a_full_disk() {
    let place = Place::new();
    place.write("in.zarr", noise(&[8, 300, 300]), &[8, 300, 300]);
    for (name, output) in [("disk_full_zarr", "out.zarr"), ("disk_full_tiff", "out.tif")] {
        let args = format!("convert in.zarr {output} --codec none --workers 1");
        let answer = on_a_full_disk(&place, &args);
        assert_eq!(answer.code, Some(2), "{}", answer.stderr);
        assert_eq!(place.names(), ["in.zarr"], "something was left behind");
        snapshot(name, &args.split(' ').collect::<Vec<_>>(), &normal(&answer.stderr));
    }
}

/// A temporary name holds the process's number.
fn normal(text: &str) -> String {
    let mut out = String::new();
    let mut digits = 0;
    for c in text.chars() {
        digits = if c.is_ascii_digit() { digits + 1 } else { 0 };
        if digits < 4 {
            out.push(c);
        }
    }
    out
}

#[test]
fn a_full_stdout() {
    let place = Place::new();
    if !std::path::Path::new("/dev/full").exists() {
        crate::house::skipped("no /dev/full");
        return;
    }
    let answer = place.shell("\"$VOXTILE\" ops > /dev/full");
    assert_eq!(answer.code, Some(2));
    snapshot("stdout_full", &["ops"], &answer.stderr);
}
