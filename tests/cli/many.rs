//! Many images in one run.

use super::{Place, noise};

const PEAKS: &str = "gaussian sigma=1 | peaks min-distance=3 num-peaks=4";

/// A directory with three images, two of them of one shape.
fn plate() -> Place {
    let place = Place::new();
    std::fs::create_dir(place.path("plate")).unwrap();
    for (name, shape) in [("b.tif", [40, 50]), ("a.tif", [40, 50]), ("c.tif", [31, 17])] {
        place.write(&format!("plate/{name}"), noise(&shape), &[16, 16]);
    }
    place
}

#[test]
fn one_table_of_all_images_in_the_order_of_their_names() {
    let place = plate();
    place.ok(&["run", "plate", "folder.csv", PEAKS]);
    place.ok(&["run", "plate/*.tif", "pattern.csv", PEAKS, "--workers", "3"]);
    std::fs::write(place.path("list.txt"), "# mine\nplate/a.tif\nplate/b.tif\n\nplate/c.tif\n").unwrap();
    let answer = place.ok(&["run", "list.txt", "list.csv", PEAKS, "--workers", "1"]);
    assert!(answer.stderr.starts_with("3 images → list.csv, 12 rows in "), "{}", answer.stderr);
    let read = |name: &str| std::fs::read_to_string(place.path(name)).unwrap();
    let table = read("folder.csv");
    assert_eq!(table, read("pattern.csv"));
    assert_eq!(table, read("list.csv"));
    let images: Vec<&str> = table.lines().skip(1).map(|line| line.split(',').next().unwrap()).collect();
    assert_eq!(images, [["a.tif"; 4], ["b.tif"; 4], ["c.tif"; 4]].concat());
    // Each image alone has the same rows.
    let alone: String = ["a", "b", "c"]
        .map(|name| {
            place.ok(&["run", &format!("plate/{name}.tif"), &format!("{name}.csv"), PEAKS]);
            read(&format!("{name}.csv")).split_once('\n').unwrap().1.to_owned()
        })
        .concat();
    assert_eq!(table.split_once('\n').unwrap().1, alone);
}

#[test]
fn one_output_for_each() {
    let place = plate();
    place.ok(&["run", "plate/?.tif", "{name}.zarr", "median size=3"]);
    for name in ["a", "b", "c"] {
        place.ok(&["run", &format!("plate/{name}.tif"), "alone.zarr", "median size=3", "--overwrite"]);
        place.ok(&["verify", &format!("{name}.zarr"), "alone.zarr"]);
    }
    place.ok(&["convert", "plate", "{name}.npy"]);
    assert!(place.names().contains(&"c.npy".to_owned()));
}

#[test]
fn a_damaged_image_does_not_stop_the_others() {
    let place = plate();
    std::fs::write(place.path("plate/b.tif"), b"II*\0 this is no picture").unwrap();
    let answer = place.run(&["run", "plate", "out.csv", PEAKS]);
    assert_eq!(answer.code, Some(1), "{}", answer.stderr);
    assert!(answer.stderr.contains("failed: plate/b.tif: "), "{}", answer.stderr);
    assert!(answer.stderr.contains("2 images of 3 → out.csv, 8 rows"), "{}", answer.stderr);
    let json = place.run(&["run", "plate", "out.csv", PEAKS, "--json", "--overwrite"]).json();
    assert_eq!(json["failed"][0]["image"], "plate/b.tif");
    assert_eq!((json["images"].as_u64(), json["rows"].as_u64()), (Some(2), Some(8)));
}

#[test]
fn what_cannot_hold_many_is_refused() {
    let place = plate();
    std::fs::create_dir(place.path("empty")).unwrap();
    std::fs::create_dir(place.path("more")).unwrap();
    place.write("more/a.tif", noise(&[9, 9]), &[16, 16]);
    std::fs::write(place.path("list.txt"), "plate/a.tif\nmore/a.tif\n").unwrap();
    let refusals: [(&[&str], &str, &str); 5] = [
        (
            &["plate", "{name}.zarr", "label", "--table", "t.csv"],
            "3 images, and `t.csv` can hold",
            "t/{name}.csv",
        ),
        (
            &["plate", "out.zarr", "median 3"],
            "3 images, and `out.zarr` can hold the result of one",
            "{name}.zarr",
        ),
        (
            &["list.txt", "{name}.zarr", "median 3"],
            "would both be written to `a.zarr`",
            "one after the other",
        ),
        (&["empty", "out.csv", "peaks"], "`empty` is no image, and names none", "a quoted pattern"),
        (
            &["plate/*.czi", "out.csv", "peaks"],
            "`plate/*.czi` is no image, and names none",
            "a quoted pattern",
        ),
    ];
    for (args, want, hint) in refusals {
        let answer = place.run(&[&["run"], args].concat());
        assert_eq!(answer.code, Some(2), "{args:?}\n{}", answer.stderr);
        assert!(answer.stderr.contains(want) && answer.stderr.contains(hint), "{args:?}\n{}", answer.stderr);
    }
    assert_eq!(place.names(), ["empty", "list.txt", "more", "plate"]);
}

#[test]
fn the_cause_is_named_and_a_missing_folder_found_at_once() {
    let place = plate();
    let whole = std::fs::read(place.path("plate/b.tif")).unwrap();
    std::fs::write(place.path("plate/b.tif"), &whole[..whole.len() - 900]).unwrap();
    let answer = place.run(&["run", "plate", "{name}.zarr", "median 3"]);
    assert_eq!(answer.code, Some(1), "{}", answer.stderr);
    let failed = answer.stderr.lines().find(|line| line.starts_with("failed: plate/b.tif: ")).unwrap();
    assert!(failed.contains("damaged") || failed.contains("header"), "{}", answer.stderr);
    let answer = place.run(&["run", "plate", "masks/{name}.tif", "median 3"]);
    assert_eq!(answer.code, Some(2), "{}", answer.stderr);
    assert!(answer.stderr.contains("hint: make the directory first: `mkdir -p masks`"), "{}", answer.stderr);
}

#[test]
fn plans_and_descriptions_of_many() {
    let place = plate();
    let plans = place.ok(&["plan", "plate/*.tif", "median 3", "--json"]).json();
    let images: Vec<&str> = plans.as_array().unwrap().iter().map(|p| p["image"].as_str().unwrap()).collect();
    assert_eq!(images, ["plate/a.tif", "plate/b.tif", "plate/c.tif"]);
    assert!(plans[2]["plan"]["stages"][0]["shape"] == serde_json::json!([31, 17]), "{plans}");
    std::fs::write(place.path("plate/b.tif"), b"II*\0 this is no picture").unwrap();
    let answer = place.run(&["info", "plate"]);
    assert_eq!(answer.code, Some(1), "{}", answer.stderr);
    assert!(answer.stdout.contains("plate/c.tif\nfile "), "{}", answer.stdout);
    assert!(answer.stderr.starts_with("failed: plate/b.tif: "), "{}", answer.stderr);
}

#[test]
fn a_table_of_many_images_that_is_complete_is_left_as_it_is() {
    let place = Place::new();
    for n in 1..4 {
        place.write(&format!("in{n}.zarr"), super::noise(&[40, 40 + n]), &[16]);
    }
    let run = ["run", "in*.zarr", "all.csv", "gaussian sigma=1 | peaks", "--resume"];
    place.ok(&run);
    let before = std::fs::metadata(place.path("all.csv")).unwrap().modified().unwrap();
    let again = place.ok(&run);
    assert_eq!(again.stderr, "3 images → all.csv: nothing was left to do\n");
    assert_eq!(std::fs::metadata(place.path("all.csv")).unwrap().modified().unwrap(), before);
    let other = place.run(&["run", "in*.zarr", "all.csv", "gaussian sigma=2 | peaks", "--resume"]);
    assert_eq!(other.code, Some(2));
    assert!(
        other.stderr.contains("recipe: was gaussian sigma=1 | peaks, is gaussian sigma=2"),
        "{}",
        other.stderr
    );
}
