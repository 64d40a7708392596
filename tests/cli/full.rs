//! A disk that is full half way. Needs a file system of its own, which only root can mount: elsewhere nothing is tested
//! here, and the faulty store of `voxtile-io` (its quota) has tests of the same.

#![cfg(target_os = "linux")]

use super::Place;
use std::path::PathBuf;
use std::process::Command;

/// A small file system, gone when dropped.
struct Disk(PathBuf);

impl Disk {
    /// `None` where it cannot be mounted.
    fn new(place: &Place, kib: u64) -> Option<Self> {
        let at = place.path("disk");
        std::fs::create_dir(&at).unwrap();
        let size = format!("size={kib}k");
        let done =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&at).output().ok()?;
        done.status.success().then_some(Self(at))
    }

    fn grow(&self, kib: u64) {
        let size = format!("remount,size={kib}k");
        assert!(Command::new("mount").args(["-o", &size]).arg(&self.0).status().unwrap().success());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_is_named_and_the_run_goes_on_when_there_is_space() {
    let place = Place::new();
    place.write("in.zarr", super::noise(&[64, 96, 96]), &[32]);
    for (output, more) in [("out.zarr", &["--chunk", "32"][..]), ("out.tif", &["--chunk", "32,32"])] {
        place.ok(&[&["run", "in.zarr", output, "invert", "--codec", "none", "--tile", "32"], more].concat());
        // 1152 KiB of voxels.
        let Some(disk) = Disk::new(&place, 640) else {
            crate::house::skipped("no file system can be mounted here");
            return;
        };
        let on_disk = format!("disk/{output}");
        let run = [&["run", "in.zarr", &on_disk, "invert", "--codec", "none", "--tile", "32"], more].concat();
        let answer = place.run(&run);
        assert_eq!(answer.code, Some(2), "{}", answer.stderr);
        assert!(answer.stderr.contains("No space left on device"), "{}", answer.stderr);
        assert!(answer.stderr.contains("`df -h disk"), "{}", answer.stderr);
        assert!(answer.stderr.contains("--resume` goes on"), "{}", answer.stderr);
        assert_eq!(place.run(&["info", &on_disk]).code, Some(2), "an unfinished output is no image");
        disk.grow(4096);
        let report = place.ok(&[&run[..], &["--resume", "--json"]].concat()).json();
        assert!(report["report"]["tiles_skipped"].as_u64().unwrap() > 0, "{report}");
        super::resume::same_files(&place, &on_disk, output);
        drop(disk);
        std::fs::remove_dir(place.path("disk")).unwrap();
    }
}

#[test]
fn a_place_that_may_not_be_written_is_named() {
    let place = Place::new();
    place.write("in.zarr", super::noise(&[16, 16]), &[16]);
    let Some(disk) = Disk::new(&place, 64) else {
        crate::house::skipped("no file system can be mounted here");
        return;
    };
    assert!(Command::new("mount").args(["-o", "remount,ro"]).arg(&disk.0).status().unwrap().success());
    for output in ["disk/out.zarr", "disk/out.tif", "disk/out.npy"] {
        let answer = place.run(&["convert", "in.zarr", output, "--codec", "none"]);
        assert_eq!(answer.code, Some(2), "{}", answer.stderr);
        assert!(answer.stderr.contains("Read-only file system"), "{}", answer.stderr);
    }
}
