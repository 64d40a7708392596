//! `slices/z{z}.tif`: many files are one image.

use super::{Place, noise};
use ndarray::{ArrayD, Axis};
use serde_json::json;

/// Writes the planes of a volume along an axis, each to the name that `name` gives.
fn write_planes(place: &Place, volume: &ArrayD<u16>, along: usize, name: impl Fn(usize) -> String) {
    for (n, plane) in volume.axis_iter(Axis(along)).enumerate() {
        place.write(&name(n), plane.to_owned(), &[16]);
    }
}

#[test]
fn numbered_slices_are_a_volume() {
    let place = Place::new();
    std::fs::create_dir(place.path("slices")).unwrap();
    let volume = noise(&[12, 33, 47]);
    // More than nine, without leading zeros: numbers are ordered by size.
    write_planes(&place, &volume, 0, |n| format!("slices/run7_z{}.tif", n + 5));
    place.ok(&["convert", "slices/*_z{z}.tif", "out.zarr", "--chunk", "4,16,16"]);
    assert_eq!(place.read::<u16>("out.zarr"), volume);
    let info = place.ok(&["info", "slices/run7_z{z}.tif", "--json"]).json();
    assert_eq!(info["shape"], json!([12, 33, 47]));
    place.ok(&["verify", "slices/run7_z{z}.tif", "out.zarr"]);
    // A filter reads across the files.
    place.ok(&["run", "slices/*{z}.tif", "a.zarr", "median 3", "--chunk", "16"]);
    place.ok(&["run", "out.zarr", "b.zarr", "median 3", "--chunk", "16"]);
    place.ok(&["verify", "a.zarr", "b.zarr"]);
}

#[test]
fn times_channels_and_slices_are_numbered_together() {
    let place = Place::new();
    let five = noise(&[2, 3, 4, 10, 12]);
    for t in 0..2 {
        for (c, dye) in ["DAPI", "GFP", "mCherry"].into_iter().enumerate() {
            std::fs::create_dir_all(place.path(dye)).unwrap();
            let stack = five.index_axis(Axis(0), t).index_axis(Axis(0), c).to_owned();
            write_planes(&place, &stack, 0, |z| format!("{dye}/t{t}_{dye}_z{z:02}.tif"));
        }
    }
    place.ok(&["convert", "{c}/t{t}_{c}_z{z}.tif", "out.zarr", "--chunk", "8"]);
    assert_eq!(place.read::<u16>("out.zarr"), five);
    let shown = place.ok(&["info", "out.zarr"]).stdout;
    assert!(shown.contains("(tczyx)") && shown.contains("DAPI, GFP, mCherry"), "{shown}");
}

#[test]
fn a_missing_or_doubled_file_is_named() {
    let place = Place::new();
    write_planes(&place, &noise(&[5, 8, 8]), 0, |n| format!("z{n}.tif"));
    let refused = |args: &[&str], words: &str| {
        let answer = place.run(args);
        assert_eq!(answer.code, Some(2), "{}", answer.stdout);
        assert!(answer.stderr.contains(words), "{}", answer.stderr);
    };
    std::fs::remove_file(place.path("z3.tif")).unwrap();
    refused(&["info", "z{z}.tif"], "z goes from 2 to 4: 3 is missing");
    refused(&["info", "z{z}.tif"], "none left out");
    place.write("z3.tif", noise(&[8, 9]), &[16]);
    refused(&["info", "z{z}.tif"], "`z3.tif` is [8, 9] u16, and `z0.tif` [8, 8] u16");
    std::fs::copy(place.path("z1.tif"), place.path("z1b.tif")).unwrap();
    refused(&["info", "*{z}*.tif"], "are in the same place");
    refused(&["info", "slice{z}.tif"], "no file has a name like that");
    write_planes(&place, &noise(&[3, 8, 8]), 0, |n| format!("t{}_c{}.tif", n / 2, n % 2));
    refused(&["info", "t{t}_c{c}.tif"], "the file with t = 1, c = 1 is missing");
    place.write("v1.zarr", noise(&[3, 4, 5]), &[16]);
    refused(&["info", "v{z}.zarr"], "has z itself");
    refused(&["info", "v{z}.zarr", "--level", "1"], "no level `1`");
}

#[test]
fn files_of_a_folder_or_pattern_are_stacked() {
    let place = Place::new();
    std::fs::create_dir(place.path("slices")).unwrap();
    let volume = noise(&[11, 18, 25]);
    write_planes(&place, &volume, 0, |n| format!("slices/cut {}.tif", n + 3));
    std::fs::write(place.path("slices/notes.txt"), "3 to 13").unwrap();
    for input in ["slices", "slices/*.tif", "slices/cut ?*.tif"] {
        place.ok(&["convert", input, "out.zarr", "--stack", "z", "--chunk", "4,16,16", "--overwrite"]);
        assert_eq!(place.read::<u16>("out.zarr"), volume);
    }
    assert_eq!(place.ok(&["info", "slices", "--stack", "t", "--json"]).json()["axes"][0]["axis"], json!("t"));
    std::fs::remove_file(place.path("slices/cut 9.tif")).unwrap();
    let answer = place.run(&["info", "slices", "--stack", "z"]);
    assert_eq!(answer.code, Some(2), "{}", answer.stdout);
    assert!(answer.stderr.contains("the numbers go from 8 to 10: 9 is missing"), "{}", answer.stderr);
    assert!(!answer.stderr.contains("Zarr directories"), "{}", answer.stderr);
}
