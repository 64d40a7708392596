//! What programs that feed recipes with arbitrary text call: the target under `fuzz/`, and the test that replays what it
//! has found. No part of the public interface.

use crate::{Pipeline, Recipe};
use ndarray::ArrayD;

/// Reads a text in both forms of a recipe, and plans what it asks for on images of several kinds. Nothing is run.
pub fn recipe(text: &str) {
    for recipe in [Recipe::parse(text), Recipe::from_toml(text, "recipe.toml")] {
        let Ok(recipe) = recipe else { continue };
        let again = Recipe::parse(&recipe.to_string());
        assert_eq!(again.as_ref(), Ok(&recipe), "{recipe}");
        plan::<u8>(&recipe, &[40, 50]);
        plan::<f32>(&recipe, &[7, 9, 11]);
        plan::<u16>(&recipe, &[2, 3, 4, 20, 30]);
    }
}

fn plan<T>(recipe: &Recipe, shape: &[usize])
where
    T: crate::op::Element + Default + Clone,
{
    let Ok(pipeline) = Pipeline::from_array(ArrayD::<T>::default(shape)) else { return };
    let plan = pipeline.recipe(recipe.clone()).memory(64 << 20).workers(2).device(crate::Device::Cpu).plan();
    if let Ok(plan) = plan {
        assert!(plan.summary().memory_bytes <= 64 << 20, "{recipe}");
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn what_fuzzing_has_found_in_recipes_stays_mended() {
        let mut replayed = 0;
        for below in ["tests/data/hostile/recipe", "fuzz/corpus/recipe"] {
            let Ok(entries) = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(below)) else {
                continue;
            };
            for entry in entries {
                let path = entry.unwrap().path();
                let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
                assert!(std::panic::catch_unwind(|| super::recipe(&text)).is_ok(), "{}", path.display());
                replayed += 1;
            }
        }
        assert!(replayed > 1, "{replayed} files");
    }
}
