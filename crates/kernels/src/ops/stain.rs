//! Stains separated: how much of each a pixel of a brightfield image has.
//!
//! Any sample type with red, green and blue along `c` → f32, one channel per stain, named; further channels (alpha) are not
//! read. The logarithm of the share of light that passes, `max(sample / white, 1e-6)`, divided by that of 1e-6, is
//! multiplied by the inverse of a matrix whose rows are the stains' absorbances of red, green and blue; what is below 0
//! becomes 0. So an amount of 1 is the absorbance 6 times the stain's vector, and 6 · amount · vector the absorbance in the
//! units of `absorbance`. Vectors are taken as they are, not brought to unit length. `white` is full light: 255 for u8, 65535
//! for u16, 1 for floats, if not given.
//!
//! `stain hed` and other names: vectors that were measured (`stains/named.rs`), those of scikit-image, and `he`: haematoxylin
//! and eosin as ImageJ has them. Where there are two, the third channel is what they leave: its vector is at right angles to
//! both, their cross product. `vectors=` gives two or three rows. `stain macenko` finds two in the whole image, as
//! `stains/macenko.rs` says: unit vectors, the one with more red absorbance (haematoxylin of H&E) first.
//!
//! Equal to `skimage.color.separate_stains(image, inv(matrix))`, which computes f32 images in f32 and others in f64: ours is
//! the f64 result rounded to f32 once. Cost: 1.2 ns per voxel; `macenko` three passes more over what the step reads.

use crate::spec::{ArgError, Args, Build, Param, Spec, Value};
use crate::stains::macenko::Macenko;
use crate::stains::named::{NAMES, Named, RESIDUAL};
use crate::stains::waiting::{Found, Needs, Waiting};
use crate::stains::{
    BETA, Logs, Matrix, PERCENTILE, Unmix, WHITE, beta, completed, percentile, separated, three, unmixing,
    white,
};
use std::sync::Arc;
use voxtile_sched::contract::Op;

/// `stain he`.
pub(super) static SPEC: Spec = Spec {
    name: "stain",
    about: "colour deconvolution: the amount of each stain in a brightfield image",
    params: &[
        Param {
            name: "stains",
            value: Value::Choice(&WORDS),
            default: Some(""),
            about: "h haematoxylin, e eosin, d and dab DAB, others as in scikit-image; macenko finds two in the image",
        },
        Param {
            name: "vectors",
            value: Value::Numbers,
            default: Some(""),
            about: "instead of a name: absorbances of red, green and blue of two or three stains",
        },
        WHITE,
        BETA,
        PERCENTILE,
    ],
    inputs: 1,
    example: "stain he",
    build: Build::One(build),
};

const WORDS: [&str; NAMES.len() + 1] = {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m] = NAMES;
    [a, b, c, d, e, f, g, h, i, j, k, l, m, "macenko"]
};

fn build(args: &Args<'_>) -> Result<Arc<dyn Op>, ArgError> {
    let (white, dtype) = (white(args)?, args.input().dtype);
    if args.text("stains") == Some("macenko") {
        if let Some(text) = args.text("vectors") {
            return Err(args.wrong("vectors", text, "a parameter of `stain macenko`"));
        }
        let (beta, percent) = (beta(args)?, percentile(args)?);
        let then = move |found: &Found| -> Arc<dyn Op> {
            let Found::Stains(found) = found else { unreachable!("what was asked for") };
            let logs = Logs::new(white, dtype);
            Arc::new(Unmix::new(SPEC.name, logs, &found.vectors, ESTIMATED).expect("found with an inverse"))
        };
        return Ok(Arc::new(Waiting {
            name: SPEC.name,
            needs: Needs::Macenko(Macenko { dtype, white, beta, percent, strength: None }),
            output: |image| separated(image, ESTIMATED),
            reads: three,
            then: Box::new(then),
            kernels: unmixing,
        }));
    }
    for param in [BETA.name, PERCENTILE.name] {
        if let Some(text) = args.text(param) {
            return Err(args.wrong(param, text, "a parameter without `stain macenko`"));
        }
    }
    let (param, (matrix, stains)) = match (args.text("stains"), args.text("vectors")) {
        (Some(text), Some(_)) => return Err(args.wrong("stains", text, "allowed beside `vectors`")),
        (None, None) => return Err(ArgError::Missing { op: SPEC.name, param: "stains" }),
        (None, Some(_)) => ("vectors", given(args)?),
        (Some(_), None) => {
            let named = Named::of(args.choice("stains")?).expect("choice lists the names");
            ("stains", (named.matrix(), named.stains))
        }
    };
    let unmix = Unmix::new(SPEC.name, Logs::new(white, dtype), &matrix, stains);
    Ok(Arc::new(unmix.ok_or_else(|| args.impossible(param, "these stains lie in one plane of colours"))?))
}

/// The names of what is found.
const ESTIMATED: [&str; 3] = ["stain 1", "stain 2", RESIDUAL];

/// The rows of `vectors`, and what to call them.
fn given(args: &Args<'_>) -> Result<(Matrix, [&'static str; 3]), ArgError> {
    match args.number_list("vectors")?[..] {
        [a, b, c, d, e, f] => Ok((completed([[a, b, c], [d, e, f]]), ESTIMATED)),
        [a, b, c, d, e, f, g, h, i] => {
            Ok(([[a, b, c], [d, e, f], [g, h, i]], ["stain 1", "stain 2", "stain 3"]))
        }
        _ => Err(args.wrong(
            "vectors",
            args.text("vectors").unwrap_or_default(),
            "6 numbers for two stains, or 9 for three",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conforms;
    use crate::stains::inverse;
    use crate::stains::testing::{estimate, stained};
    use crate::testing::{Float, Image, WHOLE, apply, meta, stages, steps};
    use voxtile_sched::contract::Refused;
    use voxtile_sched::dispatch;
    use voxtile_sched::model::{Dtype, Element, Meta};

    /// One pixel after the other, by the definition.
    fn oracle(image: &Image, rows: Matrix, white: Option<f64>) -> Image {
        let inverse = inverse(&rows).unwrap();
        let mut meta = image.meta().with_dtype(Dtype::F32);
        meta.shape[1] = 3;
        dispatch!(image.meta().dtype, T => {
            let full = if T::DTYPE.is_float() { 1.0 } else { T::HIGHEST.to_f64() };
            Image::from_fn(meta, |[t, c, z, y, x]| {
                let part = |from: u64| {
                    let share = image.at::<T>([t, from, z, y, x]).to_f64() / white.unwrap_or(full);
                    let share = if share < 1e-6 { 1e-6 } else { share };
                    share.ln() / 1e-6f64.ln() * inverse[from as usize][c as usize]
                };
                let amount = part(0) + part(1) + part(2);
                if amount <= 0.0 { 0.0 } else { amount as f32 }
            })
        })
    }

    fn colours(meta: &Meta) -> bool {
        meta.shape[1] >= 3
    }

    const HED: Matrix = [[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]];
    const WHY: &str = "another last bit of f64 may round to another f32, more so where parts nearly cancel";

    conforms!(named: &SPEC, "stain hed", |image| oracle(image, HED, None), only(colours), ulp(2, WHY));
    conforms!(
        two: &SPEC, "stain vectors=0.65,0.7,0.29,0.07,0.99,0.11 white=200",
        |image| oracle(image, completed([HED[0], HED[1]]), Some(200.0)), only(colours), ulp(2, WHY),
    );
    /// Separated by the vectors that every pixel at once gives.
    fn by_estimate(image: &Image, white: f64) -> Image {
        let (vectors, _) = estimate(image, white, 0.0, 5.0);
        let text: Vec<String> = vectors[..2].iter().flatten().map(|v| format!("{v:?}")).collect();
        steps(&format!("stain vectors={} white={white}", text.join(",")), image)
    }

    conforms!(
        estimated: &SPEC, "stain macenko beta=0 percentile=5", |image| by_estimate(image, 255.0),
        only(colours), dtypes(&[Dtype::U8]),
    );
    conforms!(
        estimated_of_floats: &SPEC, "stain macenko beta=0 percentile=5 white=1000",
        |image| by_estimate(image, 1000.0), only(colours), finite("few of such pixels have a colour"),
        dtypes(&[Dtype::F32]),
    );

    /// Amounts of two stains are mixed into colours, and found again.
    #[test]
    fn the_stains_of_a_mixture_are_found() {
        let want = [[0.7, 0.6, 0.387_298], [0.1, 0.95, 0.295_8]];
        let image = stained(want, Dtype::F32);
        let (vectors, _) = estimate(&image, 1.0, 0.02, 1.0);
        for (row, want) in vectors.iter().zip(want) {
            for (v, want) in row.iter().zip(want) {
                assert!((v - want).abs() < 0.02, "{vectors:?}");
            }
        }
        let step = "stain macenko beta=0.02";
        let found = stages(&SPEC, step, &[image.meta().clone()]).unwrap();
        let whole = apply(&found, &[&image], WHOLE);
        for tile in [[1, 1, 1, 3, 5], [1, 2, 1, 7, 64]] {
            let tiled = apply(&found, &[&image], tile);
            tiled.assert_same(&whole, Float::Exact, || format!("{tile:?}"));
        }
    }

    #[test]
    fn what_is_no_separation_is_refused() {
        let image = [meta("cyx", &[3, 4, 5], Dtype::U8)];
        let refused = |step| stages(&SPEC, step, &image).map(|_| ()).unwrap_err().to_string();
        assert_eq!(refused("stain"), "`stain` needs `stains`");
        for (step, end) in [
            ("stain he vectors=1,0,0,0,1,0", "`stains=he` is not allowed beside `vectors`"),
            ("stain vectors=1,0,0", "`vectors=1,0,0` is not 6 numbers for two stains, or 9 for three"),
            ("stain he beta=1", "`beta=1` is not a parameter without `stain macenko`"),
            ("stain macenko beta=6", "`beta=6` is not an absorbance from 0 to less than 6"),
            ("stain macenko percentile=50", "`percentile=50` is not from 0 to less than 50"),
            ("stain vectors=1,2,3,2,4,6", "is not possible: these stains lie in one plane of colours"),
        ] {
            assert!(refused(step).ends_with(end), "{step}: {}", refused(step));
        }
        for (axes, sizes) in [("yx", &[4, 4][..]), ("cyx", &[2, 4, 4])] {
            for step in ["stain he", "stain macenko"] {
                let image = [meta(axes, sizes, Dtype::U8)];
                let refused = stages(&SPEC, step, &image).unwrap()[0].op.output(&image).unwrap_err();
                assert!(matches!(refused, Refused::Axis { .. } | Refused::Param { .. }));
            }
        }
    }
}
