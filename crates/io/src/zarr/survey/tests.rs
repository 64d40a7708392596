//! Surveys of committed images, sound and changed.

use super::*;

fn data(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data").join(name)
}

/// What must be mended.
fn wrong(path: &Path) -> Vec<String> {
    let found = survey(path, "", &Remote::new()).unwrap().unwrap().findings;
    let wrong = found.iter().filter(|f| !f.fault.is_advice());
    wrong.map(|f| format!("{}: {}", f.place, f.fault)).collect()
}

#[test]
fn sound_images_have_nothing_to_mend() {
    let survey = survey(&data("five.ome.zarr"), "", &Remote::new()).unwrap().unwrap();
    assert_eq!(survey.images.len(), 1);
    assert_eq!((survey.images[0].levels, survey.images[0].version.as_deref()), (2, Some("0.4")));
    assert_eq!(wrong(&data("five.ome.zarr")), [] as [String; 0]);
    assert_eq!(wrong(&data("lightsheet.zarr")), [] as [String; 0]);
    assert!(super::survey(&data("nuclei.tif"), "", &Remote::new()).unwrap().is_none());
}

#[test]
fn damaged_metadata_are_found_and_the_rest_is_looked_at() {
    let place = tempfile::tempdir().unwrap();
    let root = place.path();
    std::fs::write(root.join("zarr.json"), r#"{"zarr_format": 3, "node_type": "group"}"#).unwrap();
    let good = std::fs::read(data("lightsheet.zarr/zarr.json")).unwrap();
    for (name, content) in [("a", &good[..]), ("b", b"{"), ("c", &good[..])] {
        std::fs::create_dir(root.join(name)).unwrap();
        std::fs::write(root.join(name).join("zarr.json"), content).unwrap();
    }
    let survey = survey(root, "", &Remote::new()).unwrap().unwrap();
    let paths: Vec<&str> = survey.images.iter().map(|i| i.path.as_str()).collect();
    assert_eq!(paths, ["a", "c"]);
    assert!(
        matches!(&survey.findings[..], [Finding { place, fault: StructureFault::Unreadable(_) }] if place == "b")
    );
    assert_eq!(super::survey(root, "c", &Remote::new()).unwrap().unwrap().images.len(), 1);
}
