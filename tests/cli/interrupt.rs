#![cfg(unix)]

use super::{Place, noise};
use crate::house;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

/// Starts a run, waits until its output is made, then sends the signal of Ctrl-C: what it answered, and how long that took.
fn interrupted(place: &Place, args: &[&str]) -> (Output, Duration) {
    let mut command = house::voxtile(args);
    let child =
        command.current_dir(place.path("")).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let started = Instant::now();
    while !place.path("out.zarr").exists() {
        assert!(started.elapsed() < Duration::from_secs(60), "nothing was written");
        std::thread::sleep(Duration::from_millis(5));
    }
    let asked = Instant::now();
    let signal = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(signal.success());
    (child.wait_with_output().unwrap(), asked.elapsed())
}

/// One tile that takes far longer than anybody waits.
#[test]
fn ctrl_c_does_not_wait_for_a_long_tile_and_leaves_nothing() {
    let place = Place::new();
    place.write("in.zarr", noise(&[900, 900]), &[300]);
    let slow = ["run", "in.zarr", "out.zarr", "tv-denoise weight=20 iterations=1000", "--workers", "1"];
    let (output, took) = interrupted(&place, &slow);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{stderr}");
    assert!(stderr.starts_with("interrupted after "), "{stderr}");
    assert!(stderr.contains("nothing was left at `out.zarr`") && !stderr.contains("--resume"), "{stderr}");
    assert!(took < Duration::from_secs(12), "{took:?}");
    assert_eq!(place.names(), ["in.zarr"]);
}

/// Objects are joined when all tiles have been seen, and written then: killed at any time, a run leaves nothing that is
/// taken for an image, and another run makes the right one in its place (`--overwrite` removes what is there).
#[test]
fn a_killed_merge_leaves_no_image() {
    let place = Place::new();
    place.write("in.zarr", noise(&[64, 128, 256]), &[32]);
    let run = ["run", "in.zarr", "out.zarr", "threshold 1500 | label", "--workers", "1", "--tile", "16"];
    let temporary = place.path("tmp");
    std::fs::create_dir(&temporary).unwrap();
    let started = Instant::now();
    place.ok(&run);
    let whole = started.elapsed();
    let want = place.read::<u32>("out.zarr");
    let (mut before, mut during) = (0, 0);
    // Fractions of the time that a run takes here; how far it has come by then does not matter.
    for n in 1..=12 {
        if place.path("out.zarr").exists() {
            std::fs::remove_dir_all(place.path("out.zarr")).unwrap();
        }
        let mut command = house::voxtile(&run);
        command.current_dir(place.path("")).env("TMPDIR", &temporary);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(whole * n / 13);
        child.kill().unwrap();
        if child.wait().unwrap().success() {
            assert_eq!(place.read::<u32>("out.zarr"), want);
            continue;
        }
        let there = place.path("out.zarr").exists();
        (before, during) = if there { (before, during + 1) } else { (before + 1, during) };
        // Killed between the last write and its end, it has made the whole image.
        if place.run(&["info", "out.zarr"]).code != Some(2) {
            assert_eq!(place.read::<u32>("out.zarr"), want, "after {n} of 13");
        }
        assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0, "after {n} of 13");
        place.ok(&[&run[..], &["--overwrite"]].concat());
        assert_eq!(place.read::<u32>("out.zarr"), want, "after {n} of 13");
    }
    assert!(before + during > 0, "every run ended before it was killed");
}
