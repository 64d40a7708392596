//! Slides against what tifffile reads of them (`tests/data/slides`, made by `make_slides.py`).

use crate::tiff::tests::read_all;
use crate::{IoError, OpenOptions, Opened};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/slides")
}

fn expectations(which: &str) -> serde_json::Map<String, Value> {
    let text = std::fs::read_to_string(data().join("expected.json")).unwrap();
    let mut all: Value = serde_json::from_str(&text).unwrap();
    std::mem::take(all[which].as_object_mut().unwrap())
}

fn open(name: &str, options: &OpenOptions) -> Opened {
    crate::open(&data().join(name), options).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn list(value: &Value) -> Vec<u64> {
    value.as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect()
}

#[track_caller]
fn same(opened: &Opened, want: &Value, name: &str) {
    assert_eq!(opened.source.meta().dims(), list(&want["shape"]), "{name}");
    let crc = libdeflater::crc32(&read_all(&*opened.source));
    assert_eq!(u64::from(crc), want["crc32"].as_u64().unwrap(), "{name}");
}

#[test]
fn slides_have_the_levels_pictures_and_sizes_that_tifffile_finds() {
    let all = expectations("expected");
    assert!(all.len() > 9, "{} files", all.len());
    for (name, want) in &all {
        let opened = open(name, &OpenOptions::default());
        let meta = opened.source.meta();
        let levels = want["levels"].as_array().unwrap();
        assert_eq!(opened.info.levels.len(), levels.len(), "{name}: {:?}", opened.info.levels);
        for (level, want) in levels.iter().enumerate() {
            assert_eq!(opened.info.levels[level].shape, list(&want["shape"]), "{name} level {level}");
            let options = OpenOptions { level, ..OpenOptions::default() };
            same(&open(name, &options), want, &format!("{name} level {level}"));
        }
        let associated = want["associated"].as_object().unwrap();
        let roles: BTreeSet<&str> = associated.keys().map(String::as_str).collect();
        let got: BTreeSet<&str> = opened.info.associated.iter().map(|a| a.name.as_str()).collect();
        assert_eq!(got, roles, "{name}");
        assert!(opened.info.arrays.is_empty(), "{name}: {:?}", opened.info.arrays);
        for (role, want) in associated {
            let options = OpenOptions { array: Some(role.clone()), ..OpenOptions::default() };
            let image = open(name, &options);
            same(&image, want, &format!("{name} {role}"));
            let told = opened.info.associated.iter().find(|a| a.name == *role).unwrap();
            assert_eq!(told.shape, image.source.meta().dims(), "{name} {role}");
        }
        assert_eq!(opened.info.format, want["format"].as_str().unwrap(), "{name}");
        let scale: Vec<f64> = want["scale"].as_array().unwrap().iter().map(|s| s.as_f64().unwrap()).collect();
        for (axis, want) in (0..5).rev().zip(scale.iter().rev()) {
            let got = meta.spacing[axis].as_ref().unwrap_or_else(|| panic!("{name}: no size"));
            assert!((got.scale / want - 1.0).abs() < 1e-6, "{name}: {got:?}");
            assert_eq!(got.unit.as_deref(), Some("micrometer"), "{name}");
        }
        let objective = opened.info.details.iter().find(|d| d.0 == "objective").map(|d| d.1.as_str());
        assert_eq!(objective, want["objective"].as_str(), "{name}");
        if let Some(called) = want["called"].as_str() {
            assert_eq!(meta.name.as_deref(), Some(called), "{name}");
        }
        if let Some(channels) = want["channels"].as_array() {
            let got: Vec<Value> =
                meta.channels.iter().map(|c| serde_json::json!([c.name, c.color])).collect();
            assert_eq!(&got, channels, "{name}");
        }
    }
}

#[test]
fn what_only_its_maker_reads_is_refused_by_name() {
    for (name, word) in &expectations("refused") {
        match crate::open(&data().join(name), &OpenOptions::default()) {
            Err(e @ IoError::Unsupported { .. }) => {
                assert!(e.to_string().contains(word.as_str().unwrap()), "{name}: {e}");
            }
            Err(e) => panic!("{name}: {e}"),
            Ok(_) => panic!("{name} was opened"),
        }
    }
}

#[test]
fn a_picture_that_a_slide_lacks_is_named() {
    let asked = OpenOptions { array: Some("barcode".to_owned()), ..OpenOptions::default() };
    match crate::open(&data().join("svs_jpeg.svs"), &asked) {
        Err(IoError::NoSuch { what: "image", found, .. }) => {
            assert_eq!(found, ["0", "thumbnail", "label", "macro"]);
        }
        other => panic!("{:?}", other.map(|o| o.info)),
    }
}
