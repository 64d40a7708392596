//! Hints about recipes.

use voxtile::error::{ArgError, Problem, RecipeError, Refused};
use voxtile_kernels::ops;

pub(super) fn recipe(error: &RecipeError) -> Option<String> {
    let explains = |op: &str| format!("`voxtile ops {op}` explains its parameters");
    let example = |op: &str| {
        ops::find(op)
            .map_or_else(|| explains(op), |s| format!("for example `{}`; {}", s.example, explains(op)))
    };
    Some(match &error.problem {
        Problem::Empty => {
            "`voxtile ops` lists the operations; `voxtile convert` copies an image as it is".to_owned()
        }
        Problem::UnknownOp { nearest: Some(op), .. } => format!("`voxtile ops {op}` explains `{op}`"),
        Problem::EmptyStep | Problem::UnknownOp { nearest: None, .. } => {
            "`voxtile ops` lists the operations".to_owned()
        }
        Problem::UnknownParam { op, known, .. } if known.is_empty() => format!("`{op}` has no parameters"),
        Problem::UnknownParam { op, known, .. } => {
            format!("`{op}` takes {}; {}", known.join(", "), explains(op))
        }
        Problem::Stray { .. } => "lists are written without spaces: `size=3,15,15`".to_owned(),
        Problem::UnknownName { known, .. } => {
            format!("name a result with `as NAME` at the end of its step; there is: {}", known.join(", "))
        }
        Problem::Inputs { wanted: 1, .. } => {
            "name one result: `on=NAME`, where `input` is the image".to_owned()
        }
        Problem::Inputs { .. } => "name them: `on=A,B`, where `input` is the image".to_owned(),
        Problem::InputsInFormula { op } => explains(op),
        Problem::Unused => {
            "name it with `as NAME` and read it with `on=NAME`, or leave the step out".to_owned()
        }
        Problem::Argument(ArgError::NoPixelSize { param, .. }) => {
            format!(
                "give it in voxels, as `{param}=4px`; `voxtile info` shows what the image says of its size"
            )
        }
        // An example would be refused as well.
        Problem::Argument(ArgError::Impossible { op, .. }) => {
            format!("`voxtile info` shows the axes and sizes of an image; {}", explains(op))
        }
        Problem::Argument(
            ArgError::Missing { op, .. } | ArgError::Value { op, .. } | ArgError::TooMany { op, .. },
        ) => example(op),
        Problem::TooMany { .. } => "cut the recipe in two, and store what lies between".to_owned(),
        Problem::As => "for example `gaussian sigma=4 as blurred`".to_owned(),
        Problem::Unclosed => "end it with the quote that begins it".to_owned(),
        Problem::Toml { .. } => {
            "a step is a line `[[step]]`, a line `op = \"gaussian\"`, and its parameters, as `sigma = 2`"
                .to_owned()
        }
        Problem::Refused { refused: Refused::Axis { .. }, .. } => {
            "`voxtile info` shows the axes of an image, `--axes` names them anew".to_owned()
        }
        // Some say themselves which cast they need.
        Problem::Refused { refused: Refused::Dtype { why, .. }, op } if !why.contains('`') => {
            format!("convert first, as in `cast f32 | {op}`; {}", explains(op))
        }
        Problem::Refused { refused: Refused::Table { step }, .. } => {
            format!("end the recipe with `{step}`, or read an image with `on=NAME`")
        }
        Problem::Refused { op, .. } => explains(op),
        _ => return None,
    })
}
