//! `--pyramid`: every level is what `downsample` makes of the one before.

use super::Place;
use serde_json::{Value, json};

fn root(place: &Place, name: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(place.path(name)).unwrap()).unwrap()
}

/// How many levels an image has, and that each equals the one before, downsampled.
#[track_caller]
fn follow(place: &Place, image: &str, step: &str) -> usize {
    let levels = place.ok(&["info", image, "--json"]).json()["levels"].as_array().unwrap().len();
    for n in 1..levels {
        let (above, level) = ((n - 1).to_string(), n.to_string());
        place.ok(&["run", image, "want.zarr", step, "--level", &above, "--overwrite"]);
        place.ok(&["convert", image, "got.zarr", "--level", &level, "--overwrite"]);
        place.ok(&["verify", "got.zarr", "want.zarr"]);
    }
    levels
}

#[test]
fn levels_are_downsampled_one_from_the_other() {
    let place = Place::new();
    let image = place.volume("in.zarr");
    let pyramid = ["--pyramid", "--pyramid-until", "8", "--chunk", "8"];
    for (n, cut) in
        [&["--shard", "16"][..], &["--shard", "none"], &["--zarr-format", "2"]].into_iter().enumerate()
    {
        let out = format!("{n}.zarr");
        place.ok(&[&["convert", "in.zarr", &out], &pyramid[..], cut].concat());
        assert_eq!(place.read::<u16>(&out), image);
        assert_eq!(follow(&place, &out, "downsample 2"), 4, "{cut:?}");
    }
    for (method, factor) in [("max", "1,2,2"), ("stride", "3"), ("mode", "2,1,2"), ("gaussian", "2,3,2")] {
        let out = format!("{method}.zarr");
        let of = format!("--pyramid={method}");
        let factors = ["--pyramid-factor", factor, "--pyramid-until", "20", "--chunk", "6"];
        place.ok(&[&["convert", "in.zarr", &out, &of], &factors[..]].concat());
        assert!(follow(&place, &out, &format!("downsample {factor} method={method}")) > 1);
    }
    // Blocks may lie across chunks.
    let odd = ["--pyramid", "--pyramid-until", "8", "--chunk", "5,7,9"];
    place.ok(&[&["convert", "in.zarr", "odd.zarr"], &odd[..]].concat());
    assert_eq!(follow(&place, "odd.zarr", "downsample 2"), 4);
}

#[test]
fn a_recipe_a_reduction_and_colours_have_levels_too() {
    let place = Place::new();
    place.copy("tissue.tif", "tissue.tif");
    let pyramid = ["--pyramid", "--pyramid-until", "40", "--chunk", "32"];
    place.ok(&[&["convert", "tissue.tif", "colour.zarr"], &pyramid[..]].concat());
    assert!(follow(&place, "colour.zarr", "downsample 2") > 2);
    place.ok(&[&["run", "tissue.tif", "edges.zarr", "gray | sobel"], &pyramid[..]].concat());
    assert!(follow(&place, "edges.zarr", "downsample 2") > 2);
    place.copy("lightsheet.tif", "sheet.tif");
    place.ok(&[&["run", "sheet.tif", "flat.zarr", "project z method=max"], &pyramid[..]].concat());
    assert!(follow(&place, "flat.zarr", "downsample 2") > 1);
}

#[test]
fn labels_keep_their_numbers_on_all_levels() {
    let place = Place::new();
    place.copy("nuclei.tif", "in.tif");
    let pyramid = ["--pyramid", "--pyramid-until", "32", "--chunk", "16"];
    place.ok(&[&["run", "in.tif", "cells.zarr", "threshold otsu | label"], &pyramid[..]].concat());
    assert!(follow(&place, "cells.zarr", "downsample 2 method=mode") > 2);
    let ome = &root(&place, "cells.zarr/zarr.json")["attributes"]["ome"];
    assert!(ome["image-label"].is_object());
}

#[test]
fn scales_and_translations_are_those_of_the_blocks() {
    let place = Place::new();
    place.copy("lightsheet.tif", "in.tif");
    place.ok(&["convert", "in.tif", "out.zarr", "--pyramid", "--pyramid-until", "16", "--chunk", "8"]);
    let ome = &root(&place, "out.zarr/zarr.json")["attributes"]["ome"]["multiscales"][0];
    let place_of = |level: usize| {
        let level = &ome["datasets"][level];
        let all = level["coordinateTransformations"].as_array().unwrap();
        let of = |kind: &str| all.iter().find(|t| t["type"] == kind).map(|t| t[kind].clone());
        (level["path"].clone(), of("scale").unwrap(), of("translation"))
    };
    let (path, fine, at) = place_of(0);
    assert_eq!((path, at), (json!("0"), None));
    let numbers = |v: &Value| v.as_array().unwrap().iter().map(|n| n.as_f64().unwrap()).collect::<Vec<_>>();
    let (path, coarse, at) = place_of(1);
    assert_eq!(path, json!("1"));
    for ((fine, coarse), at) in numbers(&fine).into_iter().zip(numbers(&coarse)).zip(numbers(&at.unwrap())) {
        let factor = coarse / fine;
        assert!(factor == 1.0 || factor == 2.0);
        assert!((at - (factor - 1.0) / 2.0 * fine).abs() < 1e-12);
    }
    // z is coarser: it is left alone at first.
    assert_eq!(numbers(&fine)[0], numbers(&coarse)[0]);
}

#[test]
fn a_tiff_has_its_levels_below_each_page() {
    let place = Place::new();
    place.copy("tissue.tif", "tissue.tif");
    place.copy("lightsheet.tif", "sheet.tif");
    for codec in ["none", "lzw", "deflate", "zstd:3"] {
        let pyramid =
            ["--pyramid", "--pyramid-until", "24", "--chunk", "16,16", "--codec", codec, "--overwrite"];
        place.ok(&[&["convert", "tissue.tif", "colour.tif"], &pyramid[..]].concat());
        place.ok(&["verify", "tissue.tif", "colour.tif"]);
        assert!(follow(&place, "colour.tif", "downsample 2") > 2);
        place.ok(&[&["convert", "sheet.tif", "planes.tif"], &pyramid[..]].concat());
        place.ok(&["verify", "sheet.tif", "planes.tif"]);
        assert!(follow(&place, "planes.tif", "downsample 1,2,2") > 2);
        place.ok(&["convert", "colour.tif", "colour.zarr", "--pyramid", "--chunk", "16", "--overwrite"]);
        place.ok(&["verify", "colour.tif", "colour.zarr"]);
    }
}

#[test]
fn levels_of_the_input_are_copied() {
    let place = Place::new();
    place.volume("in.zarr");
    let pyramid = ["--pyramid=max", "--pyramid-until", "8", "--chunk", "8"];
    place.ok(&[&["convert", "in.zarr", "a.zarr"], &pyramid[..]].concat());
    // Voxels that no method makes of level 0 show that they are copied.
    std::fs::remove_file(place.path("a.zarr/1/c/0/0/0")).unwrap();
    for (n, more) in [&["--shard", "16"][..], &["--ome", "0.4"], &["--ome", "0.6", "--codec", "none"]]
        .into_iter()
        .enumerate()
    {
        let out = format!("{n}.zarr");
        place.ok(&[&["convert", "a.zarr", &out, "--pyramid=input"], more].concat());
        for level in ["0", "1", "2", "3"] {
            place.ok(&["convert", "a.zarr", "want.zarr", "--level", level, "--overwrite"]);
            place.ok(&["convert", &out, "got.zarr", "--level", level, "--overwrite"]);
            place.ok(&["verify", "got.zarr", "want.zarr"]);
        }
        let seen = place.run(&["verify", &out]);
        assert!(seen.stdout.contains("level 1 is not the max of level 0"), "{}", seen.stdout);
    }
    let refused = |args: &[&str], words: &str| {
        let answer = place.run(&[args, &["--pyramid=input"]].concat());
        assert_eq!(answer.code, Some(2), "{args:?}");
        assert!(answer.stderr.contains(words), "{}", answer.stderr);
        assert!(answer.stderr.contains("hint: `--pyramid` makes levels anew"), "{}", answer.stderr);
    };
    refused(&["run", "a.zarr", "b.zarr", "invert"], "not those of another image");
    refused(&["convert", "a.zarr", "b.zarr", "--dtype", "f32"], "not those of another image");
    refused(&["convert", "in.zarr", "b.zarr"], "has no smaller levels");
    refused(&["convert", "a.zarr", "b.tif"], "from Zarr to Zarr");
    assert!(!place.path("b.zarr").exists());
}

#[test]
fn a_plan_shows_the_levels() {
    let place = Place::new();
    place.volume("in.zarr");
    let plan =
        place.ok(&["plan", "in.zarr", "gaussian 1", "--pyramid", "--pyramid-until", "16", "--chunk", "8"]);
    assert!(plan.stdout.contains("levels  10×17×24, 5×9×12\n"), "{}", plan.stdout);
    let json =
        ["plan", "in.zarr", "gaussian 1", "--pyramid", "--pyramid-until", "16", "--chunk", "8", "--json"];
    let stage = &place.ok(&json).json()["plan"]["stages"][0];
    assert_eq!(stage["levels"], json!([[10, 17, 24], [5, 9, 12]]));
    assert!(stage["bytes"]["levels"].as_u64().unwrap() > 0);
}

#[test]
fn a_small_image_has_one_level_in_its_group() {
    let place = Place::new();
    let image = place.volume("in.zarr");
    place.ok(&["convert", "in.zarr", "out.zarr", "--pyramid"]);
    assert_eq!(root(&place, "out.zarr/zarr.json")["node_type"], "group");
    assert_eq!(place.read::<u16>("out.zarr"), image);
}

#[test]
fn what_has_no_levels_is_refused() {
    let place = Place::new();
    place.volume("in.zarr");
    place.write("line.zarr", super::noise(&[900]), &[64]);
    let refused = |args: &[&str], words: &str| {
        let answer = place.run(args);
        assert_eq!(answer.code, Some(2), "{args:?}");
        assert!(answer.stderr.contains(words), "{}", answer.stderr);
    };
    let deep =
        ["convert", "in.zarr", "out.tif", "--chunk", "16,16", "--pyramid", "--pyramid-factor", "2,2,2"];
    refused(&deep, "a TIFF keeps every plane");
    refused(&["convert", "in.zarr", "out.npy", "--pyramid"], ".npy file holds one array");
    refused(&["convert", "line.zarr", "out.zarr", "--pyramid"], "two space axes");
    for method in ["mean", "gaussian"] {
        let of = format!("--pyramid={method}");
        refused(&["run", "in.zarr", "out.zarr", "threshold 9 | label", &of], "third object");
    }
    refused(&["convert", "in.zarr", "out.zarr", "--pyramid=median"], "mean, max, mode, stride, gaussian");
    refused(&["convert", "in.zarr", "out.zarr", "--pyramid-factor", "2"], "--pyramid");
    assert_eq!(place.names(), ["in.zarr", "line.zarr"]);
}
