//! `--on-damage`: chunks that cannot be decoded, and what the rest of a run makes of them.

use super::{Place, noise};
use ndarray::{ArrayD, Axis, Slice};

/// A volume whose chunk `c/1/1/1` is cut off, and what its voxels were.
fn damaged(place: &Place) -> ArrayD<u16> {
    let image = place.volume("in.zarr");
    let chunk = place.path("in.zarr/c/1/1/1");
    let bytes = std::fs::read(&chunk).unwrap();
    std::fs::write(&chunk, &bytes[..bytes.len() / 2]).unwrap();
    image
}

/// The part of an axis that a chunk of 16 voxels holds, and so many around it.
fn grown(len: usize, around: usize) -> Slice {
    Slice::from(16 - around..(32 + around).min(len))
}

/// The image with one value in the damaged chunk and around it.
fn with(image: &ArrayD<u16>, around: usize, value: u16) -> ArrayD<u16> {
    let mut out = image.clone();
    let shape = image.shape().to_vec();
    let mut part = out.view_mut();
    for (a, &len) in shape.iter().enumerate() {
        part.slice_axis_inplace(Axis(a), grown(len, around));
    }
    part.fill(value);
    out
}

#[test]
fn a_damaged_chunk_stops_the_run_unless_asked_otherwise() {
    let place = Place::new();
    damaged(&place);
    let answer = place.run(&["convert", "in.zarr", "out.zarr"]);
    assert_eq!(answer.code, Some(2), "{}", answer.stderr);
    assert!(answer.stderr.contains("chunk `c/1/1/1`"), "{}", answer.stderr);
    assert!(answer.stderr.contains("`--on-damage fill`"), "{}", answer.stderr);
    assert_eq!(place.names(), ["in.zarr"]);
}

#[test]
fn damage_counts_as_the_fill_value_and_is_listed() {
    let place = Place::new();
    let image = damaged(&place);
    // Of this array what was never written is 7.
    let metadata = std::fs::read_to_string(place.path("in.zarr/zarr.json")).unwrap();
    std::fs::write(
        place.path("in.zarr/zarr.json"),
        metadata.replace("\"fill_value\": 0", "\"fill_value\": 7"),
    )
    .unwrap();
    for tile in ["64", "5"] {
        let answer = place.run(&[
            "convert",
            "in.zarr",
            "out.zarr",
            "--on-damage",
            "fill",
            "--tile",
            tile,
            "--overwrite",
        ]);
        assert_eq!(answer.code, Some(1), "{}", answer.stderr);
        assert_eq!(place.read::<u16>("out.zarr"), with(&image, 0, 7), "tiles of {tile}");
        let list = answer.stderr.lines().skip(1).collect::<Vec<_>>();
        assert_eq!(list.len(), 2, "{}", answer.stderr);
        assert_eq!(list[0], "1 chunk of in.zarr was damaged:");
        assert!(list[1].starts_with("  `c/1/1/1`, voxels z 16–19, y 16–31, x 16–31: "), "{}", list[1]);
    }
    // The same as the image that has the fill value there.
    place.write("filled.zarr", with(&image, 0, 7), &[16]);
    let recipe = "gaussian sigma=1 | threshold otsu | label";
    place.ok(&["run", "filled.zarr", "want.zarr", recipe]);
    let answer = place.run(&["run", "in.zarr", "got.zarr", recipe, "--on-damage", "fill", "--json"]);
    assert_eq!(answer.code, Some(1), "{}", answer.stderr);
    assert_eq!(answer.json()["report"]["damaged"][0]["chunk"], "c/1/1/1");
    place.ok(&["verify", "want.zarr", "got.zarr"]);
}

#[test]
fn output_chunks_made_of_damage_are_left_out() {
    let place = Place::new();
    let image = damaged(&place);
    let skip = |output: &str, recipe: &str, more: &[&str]| {
        let args = [&["run", "in.zarr", output, recipe, "--on-damage", "skip"], more].concat();
        let answer = place.run(&args);
        assert_eq!(answer.code, Some(1), "{}", answer.stderr);
    };
    // A step that looks no further than a voxel spoils the chunk alone; one that looks two further, its neighbours too.
    skip("invert.zarr", "invert", &["--tile", "7"]);
    assert_eq!(place.read::<u16>("invert.zarr"), with(&image.mapv(|v| 65535 - v), 0, 0));
    skip("max.zarr", "max size=5", &["--chunk", "1,1,1", "--tile", "64"]);
    place.write("whole.zarr", image, &[16]);
    place.ok(&["run", "whole.zarr", "whole_max.zarr", "max size=5"]);
    assert_eq!(place.read::<u16>("max.zarr"), with(&place.read("whole_max.zarr"), 2, 0));
}

#[test]
fn damage_in_a_tiff_is_zero() {
    let place = Place::new();
    let image = noise(&[100, 130]);
    place.write("in.zarr", image.clone(), &[64]);
    place.ok(&["convert", "in.zarr", "in.tif", "--codec", "deflate", "--chunk", "64,64"]);
    let mut bytes = std::fs::read(place.path("in.tif")).unwrap();
    // In the first tile: the tiles follow the header in their order.
    bytes[2000] ^= 0xFF;
    std::fs::write(place.path("in.tif"), bytes).unwrap();
    let answer = place.run(&["convert", "in.tif", "out.zarr", "--on-damage", "fill"]);
    assert_eq!(answer.code, Some(1), "{}", answer.stderr);
    assert!(answer.stderr.contains("`tile 0`, voxels y 0–63, x 0–63: Deflate"), "{}", answer.stderr);
    let mut want = image;
    want.slice_each_axis_mut(|_| Slice::from(0..64)).fill(0);
    assert_eq!(place.read::<u16>("out.zarr"), want);
}

#[test]
fn one_damaged_image_of_many_is_listed() {
    let place = Place::new();
    damaged(&place);
    place.write("other.zarr", noise(&[20, 33]), &[16]);
    let answer = place.run(&["convert", "*.zarr", "out-{name}.zarr", "--on-damage", "fill"]);
    assert_eq!(answer.code, Some(1), "{}", answer.stderr);
    assert!(answer.stderr.contains("1 chunk of in.zarr was damaged"), "{}", answer.stderr);
    assert!(answer.stderr.contains("2 images →"), "{}", answer.stderr);
}
