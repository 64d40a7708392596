//! Label images that belong to an OME-Zarr.

use super::Place;
use serde_json::{Value, json};

fn root(place: &Place, name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(place.path(name)).unwrap()).unwrap()
}

const FIND: &str = "gaussian 1 | threshold otsu | label";

fn refused(place: &Place, args: &[&str], words: &str, hint: &str) {
    let answer = place.run(args);
    assert_eq!(answer.code, Some(2), "{args:?}\n{}", answer.stdout);
    assert!(answer.stderr.contains(words) && answer.stderr.contains(hint), "{}", answer.stderr);
}

#[test]
fn labels_go_into_their_image() {
    let place = Place::new();
    place.copy("nuclei.tif", "in.tif");
    for version in ["0.4", "0.5", "0.6"] {
        let image = format!("image-{version}.zarr");
        place.ok(&["convert", "in.tif", &image, "--ome", version, "--chunk", "64"]);
        place.ok(&["run", "in.tif", "want.zarr", FIND, "--overwrite"]);
        let (cells, more) = (format!("labels:{image}/cells"), format!("labels:{image}/more"));
        let pyramid = ["--pyramid", "--pyramid-until", "64", "--chunk", "32"];
        place.ok(&[&["run", &image, &cells, FIND], &pyramid[..]].concat());
        place.ok(&["run", "in.tif", &more, "threshold 9 | label"]);
        let array = ["--array", "labels/cells"];
        place.ok(&[&["convert", &image, "got.zarr", "--overwrite"], &array[..]].concat());
        place.ok(&["verify", "got.zarr", "want.zarr"]);
        place.ok(&["verify", &image]);
        let seen = place.ok(&["info", &image, "--json"]).json();
        assert_eq!(seen["arrays"], json!(["labels/cells", "labels/more"]));
        assert_eq!(seen["format"], format!("OME-Zarr {version}"));
        let of = |path: &str| match version {
            "0.4" => root(&place, &format!("{image}/{path}/.zattrs")),
            _ => root(&place, &format!("{image}/{path}/zarr.json"))["attributes"]["ome"].clone(),
        };
        assert_eq!(of("labels")["labels"], json!(["cells", "more"]));
        let label = &of("labels/cells")["image-label"];
        assert_eq!(label["source"], json!({"image": "../../"}));
        let count =
            place.ok(&["info", "want.zarr", "--stats", "--json"]).json()["stats"]["max"].as_f64().unwrap();
        let colors = label["colors"].as_array().unwrap();
        assert_eq!((colors.len() as f64, &colors[4]["label-value"]), (count, &json!(5)));
        assert_eq!(label["version"].as_str(), (version == "0.4").then_some("0.4"));
    }
}

#[test]
fn one_label_image_is_replaced_and_the_others_stay() {
    let place = Place::new();
    place.copy("nuclei.tif", "in.tif");
    place.ok(&["convert", "in.tif", "image.zarr", "--ome", "0.5"]);
    for name in ["a", "b"] {
        place.ok(&["run", "image.zarr", &format!("labels:image.zarr/{name}"), FIND]);
    }
    refused(&place, &["run", "image.zarr", "labels:image.zarr/a", FIND], "exists", "--overwrite");
    place.ok(&["run", "image.zarr", "labels:image.zarr/a", "threshold 9 | label", "--overwrite"]);
    assert_eq!(root(&place, "image.zarr/labels/zarr.json")["attributes"]["ome"]["labels"], json!(["a", "b"]));
    place.ok(&["verify", "image.zarr"]);
    let names = std::fs::read_dir(place.path("image.zarr/labels")).unwrap().count();
    assert_eq!(names, 3);
    // A label image cannot be made of itself.
    let own =
        ["run", "image.zarr", "labels:image.zarr/b", "min-size 9", "--array", "labels/b", "--overwrite"];
    refused(&place, &own, "is the input", "another place");
    place.ok(&["run", "image.zarr", "labels:image.zarr/c", "min-size 9", "--array", "labels/b"]);
    place.ok(&["verify", "image.zarr"]);
}

#[test]
fn what_is_no_label_image_of_it_is_refused() {
    let place = Place::new();
    place.copy("nuclei.tif", "in.tif");
    place.volume("bare.zarr");
    place.ok(&["convert", "in.tif", "image.zarr", "--ome", "0.5"]);
    let to = "labels:image.zarr/cells";
    refused(
        &place,
        &["run", "image.zarr", to, "gaussian 2"],
        "f32 voxels, which number no objects",
        "| label",
    );
    refused(
        &place,
        &["run", "image.zarr", to, "median 3"],
        "intensities, which number no objects",
        "| label",
    );
    refused(
        &place,
        &["run", "bare.zarr", to, "threshold 9 | label"],
        "the labels are z 20, y 33, x 47",
        "voxtile info image.zarr",
    );
    refused(
        &place,
        &["run", "bare.zarr", "labels:bare.zarr/cells", "threshold 9 | label"],
        "is no OME-Zarr image",
        "labels:image.zarr/cells",
    );
    refused(
        &place,
        &["run", "image.zarr", "labels:image.zarr", FIND],
        "names no label image",
        "labels:image.zarr/cells",
    );
    refused(
        &place,
        &["run", "image.zarr", to, FIND, "--ome", "0.4"],
        "and its labels as well; not 0.4",
        "leave `--ome`",
    );
    assert!(!place.path("image.zarr/labels").exists());
    // Numbers of objects from elsewhere are taken as they are.
    place.ok(&["run", "in.tif", "numbers.tif", FIND]);
    place.ok(&["convert", "numbers.tif", to]);
    place.ok(&["verify", "image.zarr"]);
}

#[test]
fn versions_and_formats_that_do_not_go_together_are_refused() {
    let place = Place::new();
    place.volume("in.zarr");
    let convert = |more: &[&str], words: &str, hint: &str| {
        refused(&place, &[&["convert", "in.zarr"], more].concat(), words, hint);
    };
    convert(
        &["o.zarr", "--ome", "0.4", "--zarr-format", "3"],
        "OME-Zarr 0.4 is written in Zarr v2",
        "leave `--ome`",
    );
    convert(
        &["o.zarr", "--ome", "0.6", "--zarr-format", "2"],
        "OME-Zarr 0.6 is written in Zarr v3",
        "leave `--ome`",
    );
    convert(&["o.tif", "--ome", "0.6"], "is a TIFF by its name", "`o.zarr` makes a Zarr");
    convert(&["o.zarr", "--ome", "0.3"], "0.4, 0.5, 0.6", "");
}

#[test]
fn what_is_not_known_of_an_image_is_kept() {
    let place = Place::new();
    place.volume("in.zarr");
    place.ok(&["convert", "in.zarr", "a.zarr", "--ome", "0.5", "--pyramid"]);
    let path = place.path("a.zarr/zarr.json");
    let mut attributes: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    attributes["attributes"]["microscope"] = json!({"objective": "40x"});
    attributes["attributes"]["ome"]["omero"] = json!({"rdefs": {"model": "color"}, "channels": [
        {"label": "DAPI", "color": "0000FF", "lut": "blue", "window": {"min": 0, "max": 99, "start": 7, "end": 50}}]});
    std::fs::write(&path, attributes.to_string()).unwrap();
    place.ok(&["convert", "a.zarr", "b.zarr", "--ome", "0.6"]);
    let out = root(&place, "b.zarr/zarr.json")["attributes"].clone();
    assert_eq!(out["microscope"]["objective"], "40x");
    let omero = &out["ome"]["omero"];
    assert_eq!((&omero["rdefs"]["model"], &omero["channels"][0]["lut"]), (&json!("color"), &json!("blue")));
    assert_eq!(omero["channels"][0]["window"]["end"], 50);
    // Other values have another window.
    place.ok(&["run", "a.zarr", "c.zarr", "gaussian 1"]);
    let omero = root(&place, "c.zarr/zarr.json")["attributes"]["ome"]["omero"].clone();
    assert_eq!(omero["channels"][0]["label"], "DAPI");
    assert!(omero["channels"][0]["window"]["end"].as_f64().unwrap() > 1000.0, "{omero}");
    place.ok(&["verify", "b.zarr"]);
}
