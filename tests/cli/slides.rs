//! Slides on the command line: pictures of the whole, tiles that are kept, JPEG that is written.

use super::Place;
use serde_json::json;

fn slide(place: &Place) {
    place.copy("slides/svs_jpeg.svs", "in.svs");
}

#[test]
fn pictures_of_the_whole_slide_are_listed_and_read_by_name() {
    let place = Place::new();
    slide(&place);
    let seen = place.ok(&["info", "in.svs", "--json"]).json();
    let names: Vec<&str> =
        seen["associated"].as_array().unwrap().iter().map(|a| a["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["thumbnail", "label", "macro"]);
    assert_eq!(seen["arrays"], json!([]));
    assert_eq!(seen["details"]["objective"], "20×");
    assert_eq!(
        place.ok(&["info", "in.svs", "--array", "macro", "--json"]).json()["shape"],
        json!([3, 100, 114])
    );
    let text = place.ok(&["info", "in.svs"]).stdout;
    assert!(text.contains("associated thumbnail: 3 × 60 × 68 uint8 (--array thumbnail)"), "{text}");
    assert!(text.contains("objective  20×"), "{text}");
    place.copy("slides/stains.qptiff", "in.qptiff");
    let text = place.ok(&["info", "in.qptiff"]).stdout;
    assert!(text.contains("DAPI (#0000FF), Opal 520 (#00FF00), Opal 690 (#FF0000)"), "{text}");
    place.ok(&["convert", "in.svs", "label.zarr", "--array", "label"]);
    assert_eq!(place.read::<u8>("label.zarr").shape(), [3, 90, 70]);
}

#[test]
fn tiles_of_jpeg_are_kept() {
    let place = Place::new();
    for name in ["svs_jpeg.svs", "svs_ycbcr.svs"] {
        place.copy(&format!("slides/{name}"), name);
        let made = place.ok(&["convert", name, "out.ome.tif", "--keep-jpeg", "--overwrite", "--json"]).json();
        assert_eq!((&made["kept"]["levels"], &made["kept"]["tiles"]), (&json!(2), &json!(30 + 9)));
        for level in ["0", "1"] {
            place.ok(&["verify", name, "out.ome.tif", "--level", level]);
        }
        let (from, to) =
            (place.ok(&["info", name, "--json"]).json(), place.ok(&["info", "out.ome.tif", "--json"]).json());
        assert_eq!(to["format"], "OME-TIFF");
        for key in ["levels", "chunk", "codec", "dtype"] {
            let without_path = |v: &serde_json::Value| v.to_string().replace("SubIFD 0 of page 0", "page 2");
            assert_eq!(without_path(&to[key]), without_path(&from[key]), "{key}");
        }
        assert_eq!(to["axes"][1]["scale"], json!(0.499));
        assert_eq!(to["details"]["objective"], "20×");
        // What is there is not replaced unless that is asked for.
        assert_eq!(place.run(&["convert", name, "out.ome.tif", "--keep-jpeg"]).code, Some(2));
    }
}

#[test]
fn a_part_of_the_tiles_begins_at_whole_ones() {
    let place = Place::new();
    slide(&place);
    let said = place.ok(&["convert", "in.svs", "a.tif", "--keep-jpeg", "--crop", "128:290,64:"]).stderr;
    // 128 / 2 is a tile of the level, 64 / 2 is not.
    assert!(said.contains("left out") && said.contains("3 × 150 × 170"), "{said}");
    place.ok(&["convert", "in.svs", "a.zarr", "--crop", "128:290,64:"]);
    place.ok(&["verify", "a.tif", "a.zarr"]);
    let made =
        place.ok(&["convert", "in.svs", "b.tif", "--keep-jpeg", "--crop", "128:290,0:200", "--json"]).json();
    assert_eq!(made["kept"]["levels"], 2);
    assert_eq!(place.ok(&["info", "b.tif", "--json"]).json()["levels"][1]["shape"], json!([3, 81, 100]));
    // From the second level on, whose pixels are twice as large.
    place.ok(&["convert", "in.svs", "c.tif", "--keep-jpeg", "--level", "1"]);
    place.ok(&["convert", "in.svs", "c.zarr", "--level", "1"]);
    place.ok(&["verify", "c.tif", "c.zarr"]);
    assert_eq!(place.ok(&["info", "c.tif", "--json"]).json()["axes"][1]["scale"], json!(0.998));
    place.ok(&["convert", "in.svs", "l1.zarr", "--level", "1", "--crop", "64:145,0:100"]);
    place.ok(&["convert", "b.tif", "b1.zarr", "--level", "1"]);
    place.ok(&["verify", "b1.zarr", "l1.zarr"]);
}

#[test]
fn what_cannot_be_kept_is_refused_with_the_reason() {
    let place = Place::new();
    slide(&place);
    place.copy("nuclei.tif", "plain.tif");
    let refused = |args: &[&str], words: &str| {
        let answer = place.run(args);
        assert_eq!(answer.code, Some(2), "{args:?} {}", answer.stderr);
        assert!(answer.stderr.contains(words), "{args:?}: {}", answer.stderr);
        assert!(!place.path("o.tif").exists());
    };
    let keep = |input, more: &[&'static str], words| {
        refused(&[&["convert", input, "o.tif", "--keep-jpeg"], more].concat(), words);
    };
    keep(
        "in.svs",
        &["--crop", "10:,:"],
        "y begins at 10, between tiles of 64 pixels; they begin at 0 and 64",
    );
    keep("in.svs", &["--crop", "0:2,:,:"], "all of c");
    keep("in.svs", &["--crop", "0:900,:"], "inside the image");
    keep("in.svs", &["--codec", "zstd"], "cannot be used with");
    keep("in.svs", &["--dtype", "u16"], "cannot be used with");
    keep("in.svs", &["--array", "macro"], "in strips, not tiles");
    keep("plain.tif", &[], "coded by Deflate, not JPEG");
    refused(&["convert", "in.svs", "o.zarr", "--keep-jpeg"], "is no TIFF by its name");
    refused(&["convert", "in.svs", "in.svs.tif", "--keep-jpeg", "--range", "0,9"], "cannot be used with");
}

#[test]
fn jpeg_is_written_for_pictures_and_nothing_else() {
    let place = Place::new();
    place.copy("tissue.tif", "in.tif");
    place.ok(&["convert", "in.tif", "out.tif", "--codec", "jpeg:95:444", "--chunk", "64"]);
    let (a, b) = (place.read::<u8>("in.tif"), place.read::<u8>("out.tif"));
    let apart: f64 = a.iter().zip(&b).map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / a.len() as f64;
    assert!(apart > 0.0 && apart < 3.0, "{apart}");
    let refused = |args: &[&str], words: &str| {
        let answer = place.run(&[&["run", "in.tif"], args].concat());
        assert_eq!(answer.code, Some(2), "{args:?} {}", answer.stderr);
        assert!(answer.stderr.contains(words), "{args:?}: {}", answer.stderr);
    };
    refused(&["o.tif", "gray | gaussian 1", "--codec", "jpeg"], "8 bits, not f32");
    refused(&["o.tif", "gray | threshold otsu", "--codec", "jpeg"], "labels and masks");
    refused(&["o.zarr", "invert", "--codec", "jpeg"], "jpeg:90:420");
}

#[test]
fn convert_crops_and_maps_ranges() {
    let place = Place::new();
    let image = place.volume("in.zarr");
    place.ok(&["convert", "in.zarr", "part.zarr", "--crop", "3:9,:,5:40"]);
    assert_eq!(place.read::<u16>("part.zarr"), image.slice(ndarray::s![3..9, .., 5..40]).into_dyn());
    place.ok(&["convert", "in.zarr", "bytes.zarr", "--dtype", "u8", "--range", "100,4000"]);
    let want =
        image.mapv(|v| ((f64::from(v) - 100.0) * (255.0 / 3900.0)).round_ties_even().clamp(0.0, 255.0) as u8);
    assert_eq!(place.read::<u8>("bytes.zarr"), want);
    place.ok(&["convert", "in.zarr", "unit.npy", "--dtype", "f32", "--range", "100,4000"]);
    let unit = place.read::<f32>("unit.npy");
    assert!(unit.iter().all(|v| (0.0..=1.0).contains(v)) && unit.iter().any(|v| *v > 0.0));
    assert_eq!(place.run(&["convert", "in.zarr", "o.zarr", "--range", "0,9"]).code, Some(2));
}
