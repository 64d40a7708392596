//! Tables are those of scikit-image (`tests/data/tables.json`, made by `make_tables.py` there), in any tiling; and what the
//! command line makes of them.

use crate::house::{Kind, TILES, data, last, voxtile};
use std::collections::BTreeMap;
use voxtile::{Pipeline, Recipe, Table, Values};

#[derive(serde::Deserialize)]
struct Case {
    image: String,
    kind: Kind,
    recipe: String,
    columns: BTreeMap<String, Vec<f64>>,
}

fn numbers(table: &Table, name: &str) -> Vec<f64> {
    match table.column(name).unwrap_or_else(|| panic!("no column {name}")) {
        Values::Whole(v) => v.iter().map(|&n| n as f64).collect(),
        Values::Real(v) => v.clone(),
        Values::Text(_) => panic!("{name} is text"),
    }
}

fn table(case: &Case, tile: &[u64], workers: usize) -> Table {
    let pipeline = case.kind.pipeline(&case.image).recipe(Recipe::parse(&case.recipe).unwrap());
    let rank = pipeline.meta().axes.len();
    pipeline.tile(last(tile, rank)).workers(workers).run().unwrap().table.unwrap()
}

#[test]
fn tables_are_those_of_skimage_in_any_tiling() {
    let cases: Vec<Case> =
        serde_json::from_str(&std::fs::read_to_string(data("tables.json")).unwrap()).unwrap();
    assert!(cases.len() > 10, "{} cases", cases.len());
    for case in &cases {
        let whole = table(case, &[1000; 3], 1);
        for (name, want) in &case.columns {
            let got = numbers(&whole, name);
            assert_eq!(got.len(), want.len(), "`{}` on {} as {}: {name}", case.recipe, case.image, case.kind);
            for (row, (got, want)) in got.iter().zip(want).enumerate() {
                // Of flat objects scikit-image's minor axis is the root of a rounding error.
                let leeway = if name == "axis_minor_px" { 1e-6 } else { 1e-9 };
                let near =
                    (got - want).abs() <= 1e-9 * want.abs().max(1e-3) || (got - want).abs() <= leeway * 1e-3;
                let context =
                    format!("`{}` on {} as {}: {name} of row {row}", case.recipe, case.image, case.kind);
                assert!(
                    near || name.ends_with("_minor_px") && (got - want).abs() < 1e-5,
                    "{context}: {got}, not {want}"
                );
            }
        }
        for (n, tile) in TILES.iter().enumerate() {
            let tiled = table(case, tile, 1 + n % 2);
            assert!(
                tiled == whole,
                "`{}` on {} as {}: other values in tiles of {tile:?}",
                case.recipe,
                case.image,
                case.kind
            );
        }
    }
}

#[test]
fn a_table_beside_an_image_measures_it() {
    let dir = tempfile::tempdir().unwrap();
    let place = |name: &str| dir.path().join(name).display().to_string();
    let (labels, beside, alone) = (place("labels.zarr"), place("beside.csv"), place("alone.csv"));
    let input = data("nuclei.tif").display().to_string();
    let recipe = "gaussian sigma=1 | threshold otsu | label min-size=30";
    let run = |args: &[&str]| {
        let out = voxtile(args).output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    };
    run(&[
        "run",
        &input,
        &labels,
        "gaussian sigma=1 | cast u16 | threshold otsu | label min-size=30",
        "--table",
        &beside,
    ]);
    run(&[
        "run",
        &input,
        &alone,
        &format!("{} | measure intensity=input", recipe.replace(" | thr", " | cast u16 | thr")),
    ]);
    let (beside, alone) = (std::fs::read_to_string(beside).unwrap(), std::fs::read_to_string(alone).unwrap());
    assert!(beside.lines().count() > 5, "{beside}");
    assert_eq!(beside, alone);
    assert!(beside.starts_with("image,label,area_px,"), "{beside}");
    assert!(beside.lines().nth(1).unwrap().starts_with("nuclei.tif,1,"), "{beside}");
}

#[test]
fn tables_and_images_are_not_taken_for_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let place = |name: &str| dir.path().join(name).display().to_string();
    let input = data("nuclei.tif").display().to_string();
    let refusals: [(&[&str], &str); 6] = [
        (&[&place("t.csv"), "label | measure", "--table", &place("u.csv")], "would be a second one"),
        (&[&place("t.zarr"), "label | measure"], "makes a table"),
        (&[&place("t.csv"), "label"], "the recipe makes an image"),
        (&[&place("t.csv"), "label | measure | median 3"], "it must come last"),
        (&[&place("t.zarr"), "median 3", "--table", &place("t.csv")], "nothing to measure"),
        (&[&place("t.zarr"), "label", "--table", &place("t.xlsx")], "a .csv or a .parquet"),
    ];
    for (args, want) in refusals {
        let out = voxtile(&[&["run", &input], args].concat()).output().unwrap();
        let text = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(2), "{text}");
        assert!(text.contains(want), "{args:?}: {text}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "{args:?}");
    }
}

#[test]
fn every_column_is_documented() {
    let page = std::fs::read_to_string(crate::house::root().join("docs/tables.md")).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for (image, recipe) in [
        ("nuclei.tif", "threshold 100 | label | measure intensity=input"),
        ("lightsheet.tif", "threshold 200 | label | measure intensity=input"),
        ("lightsheet.tif", "gaussian 2 | peaks num-peaks=3 refine=yes"),
        ("five.ome.zarr", "stats"),
        ("five.ome.zarr", "threshold 100 | label | measure intensity=input"),
    ] {
        let pipeline = Pipeline::open(data(image)).unwrap().recipe(Recipe::parse(recipe).unwrap());
        let table = pipeline.run().unwrap().table.unwrap();
        seen.extend(table.columns.into_iter().map(|column| column.name));
    }
    assert!(seen.len() > 35, "{seen:?}");
    for name in seen {
        assert!(page.contains(&format!("`{name}`")), "docs/tables.md lacks `{name}`");
    }
}
