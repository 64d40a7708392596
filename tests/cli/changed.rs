//! Images that change while they are read. The change is made in a callback of the run, at the same moment every time.

use super::resume::files;
use super::{Place, noise};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};
use voxtile::error::IoError;
use voxtile::{Error, Pipeline, Report};

/// Runs a recipe, and does something to the input when the first tile is done.
fn run(
    place: &Place,
    (input, recipe, output): (&str, &str, &str),
    resume: bool,
    change: impl Fn() + Send + Sync + 'static,
) -> Result<Report, Error> {
    let done = AtomicBool::new(false);
    let once = move |_: &voxtile::Progress| {
        if !done.swap(true, Ordering::Relaxed) {
            change();
        }
    };
    let pipeline = Pipeline::open(place.path(input))?.step(recipe).workers(1).tile(&[16]).resume(resume);
    pipeline.progress(once).write(place.path(output))?.run()
}

#[track_caller]
fn changed(answer: Result<Report, Error>) -> (PathBuf, Vec<String>) {
    let error = answer.expect_err("a run of an image that changes");
    let Some(IoError::Changed { file, what, .. }) = error.store() else { panic!("{error}") };
    (file.clone(), what.iter().map(|d| format!("{}: {} to {}", d.what, d.was, d.is)).collect())
}

fn touch(path: &Path, time: SystemTime) {
    File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

#[test]
fn what_is_made_of_a_changed_image_is_not_completed() {
    let place = Place::new();
    place.write("in.zarr", noise(&[32, 48, 48]), &[16]);
    let chunk = place.path("in.zarr/c/1/2/2");
    let before = std::fs::metadata(&chunk).unwrap().modified().unwrap();
    for (recipe, end) in [
        ("gaussian sigma=1", ".zarr"),
        ("median size=3", ".tif"),
        ("invert", ".npy"),
        ("threshold 2048 | label", ".zarr"),
        ("threshold 2048 | label | measure", ".csv"),
    ] {
        let (out, want) = (format!("out{end}"), format!("want{end}"));
        run(&place, ("in.zarr", recipe, &want), false, || {}).unwrap();
        let to = chunk.clone();
        let later = move || touch(&to, SystemTime::now() + Duration::from_secs(3600));
        let (file, what) = changed(run(&place, ("in.zarr", recipe, &out), false, later));
        assert_eq!((&file, &what[..]), (&chunk, &[][..]), "{recipe}");
        let look = place.run(&["info", &out]);
        assert_eq!(look.code, Some(2), "{recipe}: {}", look.stdout);
        let refused = run(&place, ("in.zarr", recipe, &out), true, || {}).expect_err("another input");
        assert!(matches!(refused.store(), Some(IoError::Differs { .. })), "{recipe}: {refused}");
        // The image is what it was: the run goes on.
        touch(&chunk, before);
        run(&place, ("in.zarr", recipe, &out), true, || {}).unwrap();
        assert!(files(&place, &out) == files(&place, &want), "{recipe}");
        for name in [&out, &want] {
            let path = place.path(name);
            if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) }.unwrap();
        }
    }
}

/// What cannot be read any more is not called damaged.
#[test]
fn an_image_that_is_cut_short_or_gone_has_changed() {
    let place = Place::new();
    place.write("in.zarr", noise(&[64, 64]), &[16]);
    place.ok(&["convert", "in.zarr", "in.tif", "--chunk", "16,16", "--codec", "none"]);
    let chunk = place.path("in.zarr/c/3/3");
    let (cut, bytes) = (chunk.clone(), std::fs::metadata(&chunk).unwrap().len());
    let shorter = move || File::options().write(true).open(&cut).unwrap().set_len(10).unwrap();
    let (file, what) = changed(run(&place, ("in.zarr", "invert", "a.zarr"), false, shorter));
    assert_eq!(file, chunk);
    let all = |last: u64| {
        let entries = files(&place, "in.zarr");
        entries.iter().filter(|(name, _)| *name != "/c/3/3").map(|(_, b)| b.len() as u64).sum::<u64>() + last
    };
    assert_eq!(what, [format!("bytes: {} to {}", all(bytes), all(10))]);
    let gone = place.path("in.tif");
    let (file, _) = changed(run(&place, ("in.tif", "invert", "b.zarr"), false, move || {
        std::fs::remove_file(&gone).unwrap();
    }));
    assert_eq!(file, place.path("in.tif"));
}

/// A label image is written into the image that it is made of, and other things may be.
#[test]
fn label_images_do_not_change_their_image() {
    let place = Place::new();
    place.write("in.zarr", noise(&[32, 48, 48]), &[16]);
    place.ok(&["convert", "in.zarr", "image.zarr", "--ome", "0.5"]);
    let root = place.path("image.zarr");
    let more = move || {
        std::fs::create_dir_all(root.join("labels/cells")).unwrap();
        std::fs::write(root.join("labels/cells/zarr.json"), "{}").unwrap();
        std::fs::write(root.join(".DS_Store"), "seen").unwrap();
    };
    run(&place, ("image.zarr", "invert", "out.zarr"), false, more).unwrap();
}
