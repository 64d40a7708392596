//! What scipy and scikit-image make of the committed images (`tests/data/expected.json`, made by `make.py` there), bit
//! for bit, as u8, u16 and f32. Each case is computed in another tile shape.

use crate::house::{Kind, TILES, collect, data, digest, last, read};
use std::collections::BTreeSet;
use voxtile::{Pipeline, Recipe};
use voxtile_kernels::ops::{TABLE, find};
use voxtile_sched::model::{Border, Meta};

#[derive(serde::Deserialize)]
struct Expected {
    results: Vec<Case>,
}

/// One row of `expected.json`.
#[derive(serde::Deserialize)]
struct Case {
    image: String,
    kind: Kind,
    recipe: String,
    border: Option<String>,
    shape: Vec<u64>,
    dtype: String,
    sha256: String,
}

impl Case {
    fn pipeline(&self, tile: &[u64]) -> Pipeline {
        let pipeline = self.kind.pipeline(&self.image).recipe(Recipe::parse(&self.recipe).unwrap());
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
    assert!(cases.len() > 1000, "{} cases", cases.len());
    for (n, case) in cases.iter().enumerate() {
        let (image, _) = collect(|| case.pipeline(last(TILES[n % TILES.len()], case.shape.len())));
        let meta = image.meta();
        if meta.dims() != case.shape || meta.dtype.numpy_name() != case.dtype {
            wrong.push(format!(
                "{} as {} `{}`: {:?} {}",
                case.image,
                case.kind,
                case.recipe,
                meta.dims(),
                meta.dtype
            ));
        } else if digest(&image) != case.sha256 {
            let border = case.border.as_deref().unwrap_or("no border");
            wrong.push(format!("{} as {} `{}` {border}: other values", case.image, case.kind, case.recipe));
        }
    }
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

/// What a step was given: the operation, the sample type and the number of space axes of one of its inputs.
type Given = (String, Kind, usize);

/// The results that a step reads by name, in its parameters or in a formula.
fn names<'a>(steps: &[&'a str], n: usize) -> Vec<&'a str> {
    let step = steps[n].split(" as ").next().unwrap_or_default();
    let known =
        |name: &str| name == "input" || steps[..n].iter().any(|s| s.ends_with(&format!(" as {name}")));
    step.split(|c: char| !c.is_alphanumeric() && c != '_').skip(1).filter(|word| known(word)).collect()
}

/// The step that gives a result its name.
fn named(steps: &[&str], name: &str) -> usize {
    steps.iter().position(|step| step.ends_with(&format!(" as {name}"))).unwrap()
}

/// Step `n`, and all steps whose results it needs.
fn needed(steps: &[&str], n: usize, into: &mut BTreeSet<usize>) {
    if into.insert(n) {
        let names = names(steps, n);
        if names.is_empty() && n > 0 {
            needed(steps, n - 1, into);
        }
        names
            .iter()
            .filter(|name| **name != "input")
            .for_each(|name| needed(steps, named(steps, name), into));
    }
}

/// Everything that the steps of a recipe are given, by what is planned.
fn given(image: &str, kind: Kind, recipe: &str, into: &mut BTreeSet<Given>) {
    // No recipe here has a `|` within a formula.
    let steps: Vec<&str> = recipe.split('|').map(str::trim).collect();
    // What is read of the input, or made by a step.
    let result = |step: Option<usize>| -> Meta {
        let pipeline = kind.pipeline(image);
        let Some(step) = step else { return pipeline.meta().clone() };
        let mut some = BTreeSet::new();
        needed(&steps, step, &mut some);
        let some: Vec<&str> = some.into_iter().map(|n| steps[n]).collect();
        let plan = pipeline.recipe(Recipe::parse(&some.join(" | ")).unwrap()).plan();
        plan.unwrap_or_else(|error| panic!("`{recipe}`: {error}")).result().clone()
    };
    for (n, step) in steps.iter().enumerate() {
        let names = names(&steps, n);
        let mut reads: Vec<Option<usize>> =
            names.iter().map(|name| (*name != "input").then(|| named(&steps, name))).collect();
        if reads.is_empty() {
            reads.push(n.checked_sub(1));
        }
        for meta in reads.into_iter().map(result) {
            if let Some(kind) = Kind::of(meta.dtype) {
                let operation = step.split_whitespace().next().unwrap_or_default();
                into.insert((operation.to_owned(), kind, meta.axes.space().len()));
            }
        }
    }
}

/// What cannot be: an operation, the sample type or the number of space axes, and a word of its refusal.
const REFUSED: [(&str, Option<Kind>, Option<usize>, &str); 9] = [
    ("match-histogram", Some(Kind::F32), None, "counts single values"),
    ("deskew", None, Some(2), "is no volume"),
    ("reslice", None, Some(2), "is no volume"),
    ("min-size", Some(Kind::F32), None, "one whole number"),
    ("max-size", Some(Kind::F32), None, "one whole number"),
    ("clear-border", Some(Kind::F32), None, "one whole number"),
    ("relabel", Some(Kind::F32), None, "one whole number"),
    ("expand", Some(Kind::F32), None, "one whole number"),
    ("boundaries", Some(Kind::F32), None, "one whole number"),
];

#[test]
fn every_operation_has_references_of_every_kind_in_planes_and_volumes() {
    #[derive(serde::Deserialize)]
    struct Listed {
        image: String,
        kind: Kind,
        recipe: String,
    }
    let tables = std::fs::read_to_string(data("tables.json")).unwrap();
    let tables: Vec<Listed> = serde_json::from_str(&tables).unwrap();
    let listed = tables.into_iter().map(|t| (t.image, t.kind, t.recipe));
    let recipes: BTreeSet<_> =
        cases().into_iter().map(|c| (c.image, c.kind, c.recipe)).chain(listed).collect();
    let mut seen = BTreeSet::new();
    for (image, kind, recipe) in &recipes {
        given(image, *kind, recipe, &mut seen);
    }
    let mut missing = Vec::new();
    for spec in TABLE {
        for kind in Kind::ALL {
            for axes in [2, 3] {
                let refused = REFUSED.iter().any(|&(name, of, among, _)| {
                    name == spec.name && of.is_none_or(|k| k == kind) && among.is_none_or(|n| n == axes)
                });
                if refused == seen.contains(&(spec.name.to_owned(), kind, axes)) {
                    missing.push(format!("`{}` of {kind} in {axes} dimensions", spec.name));
                }
            }
        }
    }
    assert!(missing.is_empty(), "neither compared nor refused, or both:\n{}", missing.join("\n"));
}

#[test]
fn what_has_no_reference_is_refused() {
    for (name, kind, axes, word) in REFUSED {
        let image = if axes == Some(2) { "nuclei.tif" } else { "lightsheet.tif" };
        let example = find(name).unwrap().example;
        // The step alone, whose input another one would make, unless it names results.
        let step = if example.contains(" as ") { example } else { example.rsplit(" | ").next().unwrap() };
        let recipe = Recipe::parse(step).unwrap();
        let error = kind.unwrap_or(Kind::U16).pipeline(image).recipe(recipe).plan().err();
        let error = error.unwrap_or_else(|| panic!("`{name}` was planned")).to_string();
        assert!(error.contains(word), "`{name}`: {error}");
    }
}

#[test]
fn the_same_voxels_in_tiff_and_in_shards() {
    let (tiff, zarr) = (read(&data("lightsheet.tif")), read(&data("lightsheet.zarr")));
    assert_eq!(digest(&tiff), digest(&zarr));
}
