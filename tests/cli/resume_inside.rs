//! Runs that are stopped go on where the output is a part of another image, or has levels that are copied.

#![cfg(unix)]

use super::resume::{files, killed, same_files};
use super::{Place, noise};

#[test]
fn label_images_go_on_where_they_were() {
    let place = Place::new();
    place.write("in.zarr", noise(&[96, 128, 128]), &[32]);
    for version in ["0.4", "0.5"] {
        let image = format!("image-{version}.zarr");
        place.ok(&["convert", "in.zarr", &image, "--ome", version, "--chunk", "32"]);
        let to = |name: &str| format!("labels:{image}/{name}");
        let recipe = "bilateral sigma-color=500 size=7 | threshold 2048 | label";
        let limits = ["--workers", "1", "--tile", "32", "--pyramid", "--pyramid-until", "64"];
        place.ok(&[&["run", &image, &to("want"), recipe], &limits[..]].concat());
        let cells = to("cells");
        let run = [&["run", &image, &cells, recipe], &limits[..], &["--resume"]].concat();
        let output = format!("{image}/labels/cells");
        for stop in [5, 60] {
            killed(&place, &run, &output, stop);
            let seen = place.ok(&["info", &image, "--json"]).json();
            assert_eq!(
                seen["arrays"],
                serde_json::json!(["labels/want"]),
                "an unfinished label image is listed"
            );
        }
        let again = place.run(&[&run[..run.len() - 1]].concat());
        assert_eq!(again.code, Some(2));
        assert!(again.stderr.contains("was stopped and can go on"), "{}", again.stderr);
        let report = place.ok(&[&run[..], &["--json"]].concat()).json();
        assert!(report["report"]["tiles_skipped"].as_u64().unwrap() >= 60, "{report}");
        same_files(&place, &output, &format!("{image}/labels/want"));
        let left = place.ok(&run);
        assert!(left.stderr.contains("nothing was left to do"), "{}", left.stderr);
        let names = files(&place, &format!("{image}/labels"));
        let others = names.keys().filter(|name| !name.starts_with("/cells") && !name.starts_with("/want"));
        let known = ["/.cells.voxtile-done", "/.zattrs", "/.zgroup", "/zarr.json"];
        assert!(
            others.clone().all(|name| known.contains(&name.as_str())),
            "{:?}",
            others.collect::<Vec<_>>()
        );
        place.ok(&["verify", &image]);
    }
}

#[test]
fn copied_levels_go_on_where_they_were() {
    let place = Place::new();
    place.write("flat.zarr", noise(&[96, 128, 128]), &[16]);
    place.ok(&["convert", "flat.zarr", "in.zarr", "--pyramid", "--pyramid-until", "32", "--chunk", "16"]);
    let more = ["--pyramid=input", "--codec", "gzip:9", "--workers", "1", "--tile", "16"];
    place.ok(&[&["convert", "in.zarr", "want.zarr"], &more[..]].concat());
    let run = [&["convert", "in.zarr", "out.zarr"], &more[..], &["--resume"]].concat();
    // The levels have 48 and 8 chunks and come first, then 384 of the image.
    for stop in [20, 150] {
        killed(&place, &run, "out.zarr", stop);
        assert_eq!(
            place.run(&["info", "out.zarr"]).code,
            Some(2),
            "an unfinished output is taken for an image"
        );
    }
    let report = place.ok(&[&run[..], &["--json"]].concat()).json();
    let count = |name: &str| report["report"][name].as_u64().unwrap();
    assert!(count("tiles") + 150 <= 440, "{report}");
    same_files(&place, "out.zarr", "want.zarr");
    assert_eq!(place.names(), [".out.zarr.voxtile-done", "flat.zarr", "in.zarr", "out.zarr", "want.zarr"]);
}
