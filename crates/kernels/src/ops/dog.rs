//! Difference of Gaussians: what lies between two scales.
//!
//! Any sample type → f32, same shape; acts on the space axes present: the image blurred with σ = `low` minus the image
//! blurred with σ = `high`. Without `high` that is 1.6 · `low`, which is close to a Laplacian of a Gaussian. σ in voxels
//! or physical units, one or per axis. Two filters and a subtraction. Cost: that of two `gaussian`s.
//!
//! Bit-equal to `gaussian_filter(image.astype(float32), low) - gaussian_filter(image.astype(float32), high)`, and so to
//! `skimage.filters.difference_of_gaussians(image.astype(float32), low, high, mode=border)`, whose border is `nearest`
//! unless told. We differ as `gaussian` does.

use crate::conv::{Join, Joining, TRUNCATE, blurred, join, sigmas, truncation};
use crate::spec::{ArgError, Args, BORDER, Build, CVAL, Param, Spec, Stage, Value};
use voxtile_sched::model::PerAxis;

/// The table's entry.
pub(crate) static SPEC: Spec = Spec {
    name: "dog",
    about: "Difference of Gaussians: what lies between two scales",
    params: &[
        Param {
            name: "low",
            value: Value::Length,
            default: None,
            about: "standard deviation of the narrow Gaussian, one or per axis",
        },
        Param {
            name: "high",
            value: Value::Length,
            default: Some(""),
            about: "standard deviation of the wide Gaussian, 1.6 times the narrow one's if not given",
        },
        TRUNCATE,
        BORDER,
        CVAL,
    ],
    inputs: 1,
    example: "dog low=1 high=2",
    build: Build::Chain(build),
};

fn build(args: &Args<'_>) -> Result<Vec<Stage>, ArgError> {
    let (truncate, border) = (truncation(args)?, args.border()?);
    let low = sigmas(args, "low", truncate)?;
    let high: PerAxis<f64> = match args.text("high") {
        Some(_) => sigmas(args, "high", truncate)?,
        None => low.map(|s| 1.6 * s),
    };
    if low.iter().zip(&high).any(|(low, high)| low > high) {
        let text = args.text("high").unwrap_or_default();
        return Err(args.wrong("high", text, "at least as wide as `low` along every axis"));
    }
    let mut stages = Vec::new();
    let source = args.as_linear(&mut stages)?;
    let mut inputs = Vec::new();
    for sigma in [low, high] {
        stages.push(Stage { op: blurred(SPEC.name, &sigma, truncate, false, border), inputs: vec![source] });
        inputs.push(crate::spec::From::Stage(stages.len() - 1));
    }
    stages.push(Stage { op: join(SPEC.name, Difference), inputs });
    Ok(stages)
}

#[derive(Clone, Copy)]
struct Difference;

impl Join for Difference {
    type Output = f32;

    #[inline(always)]
    fn at(self, a: f32, b: f32, _: f32) -> f32 {
        a - b
    }

    fn kernel(self, images: usize) -> Joining {
        Joining { family: "subtract", images, arguments: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conforms;
    use crate::testing::{Image, meta, stages, steps};
    use voxtile_sched::model::{Dtype, Element};

    /// The two blurs, which have an oracle of their own, and the difference.
    fn oracle(image: &Image, low: &str, high: &str) -> Image {
        let (low, high) = (steps(low, image), steps(high, image));
        Image::from_fn(low.meta().clone(), |at| low.at::<f32>(at) - high.at::<f32>(at))
    }

    conforms!(two_scales: &SPEC, "dog low=0.7 high=1.3", |i| oracle(i, "gaussian 0.7", "gaussian 1.3"));
    conforms!(
        usual_ratio: &SPEC, "dog 0.5 border=constant cval=0.5",
        |i| oracle(i, "gaussian 0.5 border=constant cval=0.5", "gaussian 0.8 border=constant cval=0.5"),
    );

    #[test]
    fn scales_in_the_wrong_order_are_refused() {
        let image = [meta("yx", &[5, 5], Dtype::U8)];
        let refused = stages(&SPEC, "dog low=2 high=1", &image).err().unwrap();
        assert_eq!(refused.to_string(), "`dog`: `high=1` is not at least as wide as `low` along every axis");
        assert!(f32::from_f64(1.6 * 0.5) == 0.8, "the ratio of the test above");
    }
}
