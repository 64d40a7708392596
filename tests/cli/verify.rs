//! `verify` of the structure: metadata, levels, labels, plates.

use super::Place;
use serde_json::{Value, json};

/// Changes a JSON file.
fn edit(place: &Place, name: &str, change: impl FnOnce(&mut Value)) {
    let path = place.path(name);
    let mut value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    change(&mut value);
    std::fs::write(path, value.to_string()).unwrap();
}

/// What is found in an image that was changed.
#[track_caller]
fn found(place: &Place, image: &str, words: &str) {
    let answer = place.run(&["verify", image]);
    assert_eq!(answer.code, Some(1), "{}{}", answer.stdout, answer.stderr);
    assert!(answer.stdout.contains(words), "no `{words}` in\n{}", answer.stdout);
}

/// An image with three levels.
fn pyramid(place: &Place, name: &str, more: &[&str]) {
    place.volume("in.zarr");
    let base = ["convert", "in.zarr", name, "--pyramid-until", "12", "--chunk", "8", "--overwrite"];
    let levels: &[&str] = if more.iter().any(|m| m.starts_with("--pyramid=")) { &[] } else { &["--pyramid"] };
    place.ok(&[&base[..], levels, more].concat());
    std::fs::remove_dir_all(place.path("in.zarr")).unwrap();
}

#[test]
fn what_voxtile_writes_has_nothing_to_mend() {
    let place = Place::new();
    for more in [
        &["--ome", "0.4"][..],
        &["--ome", "0.5"],
        &["--ome", "0.6"],
        &["--ome", "0.6", "--pyramid=max"],
        &["--pyramid=stride", "--pyramid-factor", "1,2,4"],
        &["--pyramid=mode", "--shard", "16"],
        &["--pyramid=gaussian"],
    ] {
        pyramid(&place, "out.zarr", more);
        let answer = place.ok(&["verify", "out.zarr"]);
        assert!(answer.stdout.contains(" decode; "), "{more:?}: {}", answer.stdout);
        let json = place.ok(&["verify", "out.zarr", "--json"]).json();
        assert_eq!(json["missing"], 0);
        let wrong = json["findings"].as_array().unwrap().iter().filter(|f| f["advice"] == false).count();
        assert_eq!(wrong, 0, "{json}");
        let method = more.iter().find_map(|m| m.strip_prefix("--pyramid=")).unwrap_or("mean");
        let levels = json["levels"].as_array().unwrap();
        assert!(levels.len() > 1 && levels.iter().all(|l| l["method"] == method), "{json}");
    }
}

#[test]
fn metadata_that_contradict_each_other_are_found() {
    let place = Place::new();
    let broken = |change: &dyn Fn(&mut Value), words: &str| {
        pyramid(&place, "out.zarr", &[]);
        edit(&place, "out.zarr/zarr.json", |v| change(&mut v["attributes"]["ome"]));
        found(&place, "out.zarr", words);
    };
    let level = |ome: &mut Value, n: usize| ome["multiscales"][0]["datasets"][n].take();
    broken(&|ome| ome["multiscales"][0]["axes"][2]["type"] = json!("time"), "axes are ordered by type");
    broken(&|ome| drop(ome["version"].take()), "the version must be");
    broken(
        &|ome| ome["multiscales"][0]["datasets"][1]["coordinateTransformations"][0]["scale"][2] = json!(3.0),
        "axis x has 24 voxels of scale 3, level 0 has 47 of 1",
    );
    broken(
        &|ome| ome["multiscales"][0]["datasets"][2]["path"] = json!("9"),
        "level 2 is `9`, where no array is",
    );
    broken(
        &|ome| {
            let (a, b) = (level(ome, 0), level(ome, 1));
            let list = ome["multiscales"][0]["datasets"].as_array_mut().unwrap();
            list[0] = b;
            list[1] = a;
        },
        "larger than the [10, 17, 24] of the level before",
    );
    broken(&|ome| ome["omero"] = json!({"channels": []}), "omero describes 0, the image has 1 channels");
    pyramid(&place, "out.zarr", &[]);
    edit(&place, "out.zarr/1/zarr.json", |v| v["dimension_names"] = json!(["z", "x", "y"]));
    found(&place, "out.zarr", "1: dimension_names are z, x, y, the image's axes z, y, x");
    pyramid(&place, "out.zarr", &[]);
    edit(&place, "out.zarr/1/zarr.json", |v| v["data_type"] = json!("int16"));
    found(&place, "out.zarr", "the sample type is int16, that of level 0 uint16");
    pyramid(&place, "out.zarr", &["--ome", "0.4"]);
    let attributes: Value =
        serde_json::from_slice(&std::fs::read(place.path("out.zarr/.zattrs")).unwrap()).unwrap();
    let mut ome = attributes;
    ome["version"] = json!("0.5");
    std::fs::write(place.path("out.zarr/.zattrs"), json!({ "ome": ome }).to_string()).unwrap();
    found(&place, "out.zarr", "OME-Zarr 0.5 is written in Zarr v3, and this is v2");
}

#[test]
fn a_level_that_is_not_made_of_the_one_before_is_found() {
    let place = Place::new();
    pyramid(&place, "out.zarr", &["--pyramid=max"]);
    pyramid(&place, "mean.zarr", &["--pyramid=mean"]);
    // One chunk of another image, which decodes well.
    std::fs::copy(place.path("mean.zarr/1/c/0/1/1"), place.path("out.zarr/1/c/0/1/1")).unwrap();
    found(&place, "out.zarr", "1: level 1 is not the max of level 0: 1 of ");
    pyramid(&place, "out.zarr", &["--pyramid=gaussian"]);
    std::fs::copy(place.path("mean.zarr/1/c/0/1/1"), place.path("out.zarr/1/c/0/1/1")).unwrap();
    found(&place, "out.zarr", "1: level 1 is not the gaussian of level 0: 1 of ");
    // The word of the metadata counts only where it holds.
    pyramid(&place, "out.zarr", &["--pyramid=max"]);
    edit(&place, "out.zarr/zarr.json", |v| {
        v["attributes"]["ome"]["multiscales"][0].as_object_mut().unwrap().remove("type");
    });
    let levels = place.ok(&["verify", "out.zarr", "--json"]).json()["levels"].clone();
    assert!(levels.as_array().unwrap().iter().all(|l| l["method"] == "max"), "{levels}");
    // Voxels that nobody can explain are told as advice.
    pyramid(&place, "other.zarr", &[]);
    std::fs::remove_dir_all(place.path("out.zarr/1")).unwrap();
    place.ok(&["run", "other.zarr", "noise.zarr", "invert", "--level", "1", "--ome", "0.5"]);
    std::fs::rename(place.path("noise.zarr/0"), place.path("out.zarr/1")).unwrap();
    let answer = place.run(&["verify", "out.zarr", "--strict"]);
    assert_eq!(answer.code, Some(1));
    assert!(answer.stdout.contains("in a way that is not known"), "{}", answer.stdout);
}

#[test]
fn chunks_that_are_not_stored_are_counted() {
    let place = Place::new();
    pyramid(&place, "out.zarr", &[]);
    std::fs::remove_file(place.path("out.zarr/0/c/0/0/0")).unwrap();
    let answer = place.run(&["verify", "out.zarr", "--json"]);
    assert_eq!(answer.json()["missing"], 1);
    let strict = place.run(&["verify", "out.zarr", "--strict"]);
    assert_eq!(strict.code, Some(1));
    assert!(strict.stdout.contains("0: 1 chunk of 90 are not stored"), "{}", strict.stdout);
    std::fs::write(place.path("out.zarr/2/c/0/0/0"), "no").unwrap();
    found(&place, "out.zarr", "1 of ");
    found(&place, "out.zarr", "2/c/0/0/0");
}
