//! Plates: read, written from an existing one or from names of files, and measured.

use super::{Place, noise};
use serde_json::json;
use voxtile::{Output, Pipeline};

/// Two wells with two fields of two channels, one file for each.
fn files(place: &Place) {
    std::fs::create_dir(place.path("raw")).unwrap();
    for (n, name) in ["B02_s1", "B02_s2", "B03_s1", "B03_s2"].into_iter().enumerate() {
        for c in 0..2 {
            let image = noise(&[30, 40]).mapv(|v| v / 2 + (n * 2 + c) as u16);
            let path = place.path(&format!("raw/x_{name}_w{}.tif", c + 1));
            Pipeline::from_array(image).unwrap().write_to(Output::to(path)).unwrap().run().unwrap();
        }
    }
}

#[test]
fn a_plate_is_made_of_files_and_of_a_plate() {
    let place = Place::new();
    files(&place);
    for version in ["0.4", "0.5", "0.6"] {
        let (made, copied) = (format!("made-{version}.zarr"), format!("copied-{version}.zarr"));
        place.ok(&[
            "convert",
            "raw/*_{row}{col}_s{field}_w{c}.tif",
            &made,
            "--ome",
            version,
            "--pyramid",
            "--pyramid-until",
            "16",
        ]);
        place.ok(&["verify", &made]);
        let field = format!("{made}/B/3/1");
        place.ok(&["convert", "raw/x_B03_s2_w{c}.tif", "want.zarr", "--overwrite"]);
        place.ok(&["verify", &field, "want.zarr"]);
        let seen = place.ok(&["info", &made, "--json"]).json();
        let names: Vec<_> =
            seen.as_array().unwrap().iter().map(|i| i["image"].as_str().unwrap().to_owned()).collect();
        assert_eq!(names, ["B/2/0", "B/2/1", "B/3/0", "B/3/1"].map(|f| format!("{made}/{f}")));
        place.ok(&["run", &made, &copied, "median 3", "--ome", version]);
        place.ok(&["verify", &copied]);
        place.ok(&["run", &field, "want.zarr", "median 3", "--overwrite"]);
        place.ok(&["verify", &format!("{copied}/B/3/1"), "want.zarr"]);
        // Again only where that is asked for, and never over its own input.
        let again = place.run(&["run", &made, &copied, "median 3"]);
        assert_eq!(again.code, Some(2), "{}", again.stderr);
        place.ok(&["run", &made, &copied, "median 5", "--overwrite"]);
        assert_eq!(place.run(&["run", &made, &made, "median 5", "--overwrite"]).code, Some(2));
        place.ok(&["verify", &made]);
    }
}

#[test]
fn one_table_names_the_wells() {
    let place = Place::new();
    files(&place);
    place.ok(&["convert", "raw/*_{row}{col}_s{field}_w{c}.tif", "plate.zarr"]);
    place.ok(&["run", "plate.zarr", "cells.csv", "channel 0 | threshold 1500 | label | measure"]);
    let table = std::fs::read_to_string(place.path("cells.csv")).unwrap();
    let mut lines = table.lines();
    assert!(lines.next().unwrap().starts_with("image,well,field,"), "{table}");
    let mut places: Vec<String> =
        lines.map(|line| line.split(',').take(3).collect::<Vec<_>>().join(" ")).collect();
    places.dedup();
    assert_eq!(places, ["plate.zarr B2 0", "plate.zarr B2 1", "plate.zarr B3 0", "plate.zarr B3 1"]);
    place.ok(&["run", "plate.zarr", "{name}.tif", "channel 1"]);
    assert!(place.names().contains(&"B3_1.tif".to_owned()), "{:?}", place.names());
}

#[test]
fn a_plate_that_lacks_a_field_is_found() {
    let place = Place::new();
    files(&place);
    place.ok(&["convert", "raw/*_{row}{col}_s{field}_w{c}.tif", "plate.zarr"]);
    std::fs::remove_dir_all(place.path("plate.zarr/B/3/1")).unwrap();
    let answer = place.run(&["verify", "plate.zarr"]);
    assert_eq!(answer.code, Some(1));
    assert!(answer.stdout.contains("B/3: `1` is listed, and is no image"), "{}", answer.stdout);
    // A field that cannot be read is left out, and the others are written.
    std::fs::write(place.path("raw/x_B02_s1_w1.tif"), "no image").unwrap();
    let answer = place.run(&["convert", "raw/*_{row}{col}_s{field}_w{c}.tif", "rest.zarr", "--json"]);
    assert_eq!(answer.code, Some(1), "{}", answer.stderr);
    assert_eq!(answer.json()["images"], json!(3));
    place.ok(&["verify", "rest.zarr"]);
    assert_eq!(place.ok(&["info", "rest.zarr", "--json"]).json().as_array().unwrap().len(), 3);
    // Two files of one field are no image.
    let twice = place.run(&["convert", "raw/*_{row}{col}_s1_*.tif", "no.zarr"]);
    assert!(twice.stderr.contains("are of one field"), "{}", twice.stderr);
}
