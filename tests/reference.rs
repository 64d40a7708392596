//! What scipy and scikit-image make of the committed images (`tests/data/expected.json`, made by `make.py` there), bit
//! for bit. Each case is computed in another tile shape.

use crate::house::{TILES, collect, data, digest, last};
use voxtile::{Pipeline, Recipe};
use voxtile_sched::model::Border;

#[derive(serde::Deserialize)]
struct Expected {
    results: Vec<Case>,
}

/// One row of `expected.json`.
#[derive(serde::Deserialize)]
struct Case {
    image: String,
    recipe: String,
    border: Option<String>,
    shape: Vec<u64>,
    dtype: String,
    sha256: String,
}

impl Case {
    fn pipeline(&self, tile: &[u64]) -> Pipeline {
        let pipeline =
            Pipeline::open(data(&self.image)).unwrap().recipe(Recipe::parse(&self.recipe).unwrap());
        let pipeline = match &self.border {
            Some(name) => pipeline.border(Border::from_name(name, 0.0).unwrap()),
            None => pipeline,
        };
        pipeline.tile(tile)
    }
}

fn cases() -> Vec<Case> {
    let text = std::fs::read_to_string(data("expected.json")).unwrap();
    serde_json::from_str::<Expected>(&text).unwrap().results
}

#[test]
fn results_are_those_of_scipy_and_skimage() {
    let mut wrong = Vec::new();
    let cases = cases();
    assert!(cases.len() > 150, "{} cases", cases.len());
    for (n, case) in cases.iter().enumerate() {
        let (image, _) = collect(|| case.pipeline(last(TILES[n % TILES.len()], case.shape.len())));
        let meta = image.meta();
        if meta.dims() != case.shape || meta.dtype.numpy_name() != case.dtype {
            wrong.push(format!("{} `{}`: {:?} {}", case.image, case.recipe, meta.dims(), meta.dtype));
        } else if digest(&image) != case.sha256 {
            let border = case.border.as_deref().unwrap_or("no border");
            wrong.push(format!("{} `{}` {border}: other values", case.image, case.recipe));
        }
    }
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn every_operation_has_a_reference() {
    // `rescale` has no reference function; tests/readers compares it with numpy's arithmetic.
    let used: Vec<String> = cases().iter().map(|c| c.recipe.clone()).collect();
    let used: Vec<&str> =
        used.iter().flat_map(|r| r.split('|')).filter_map(|s| s.split_whitespace().next()).collect();
    for spec in voxtile_kernels::ops::TABLE.iter().filter(|s| s.name != "rescale" && !s.makes_table()) {
        assert!(used.contains(&spec.name), "`{}` is not in expected.json", spec.name);
    }
    let tables = std::fs::read_to_string(data("tables.json")).unwrap();
    for spec in voxtile_kernels::ops::TABLE.iter().filter(|s| s.makes_table()) {
        assert!(tables.contains(spec.name), "`{}` is not in tables.json", spec.name);
    }
}

#[test]
fn the_same_voxels_in_tiff_and_in_shards() {
    let (tiff, zarr) =
        (crate::house::read(&data("lightsheet.tif")), crate::house::read(&data("lightsheet.zarr")));
    assert_eq!(digest(&tiff), digest(&zarr));
}
