//! Sato's tubeness: how much a voxel lies on a ridge of any of several widths.
//!
//! Any sample type → f32, same shape; along two or three space axes, σ in voxels along each. At each scale the Hessian's
//! eigenvalues but the smallest, not below 0, are multiplied, their root is taken and multiplied by σ²; the largest of
//! all scales is the result. Dark ridges unless `black-ridges=no`. Cost: that of a `hessian` for each scale. Sato et al. 1998.
//!
//! Equal to `skimage.filters.sato(image.astype(float32), sigmas, black_ridges, mode=…)` as far as `hessian` is.

use super::hessian;
use crate::conv::hessian::{OfMatrix, eigenvalues2, elements, of_matrix, scales, source};
use crate::conv::{Join, Joining, join};
use crate::spec::{ArgError, Args, BORDER, Build, CVAL, From, Param, Spec, Stage, Value};
use voxtile_sched::model::Border;

/// `sato sigmas=1,3,5`.
pub(super) static SPEC: Spec = Spec {
    name: "sato",
    about: "ridges of several widths: Sato's tubeness",
    params: &[SIGMAS, BLACK, BORDER, CVAL],
    inputs: 1,
    example: "sato sigmas=1,3,5",
    build: Build::Chain(build),
};

/// The scales of a filter of ridges.
pub(super) const SIGMAS: Param = Param {
    name: "sigmas",
    value: Value::Numbers,
    default: Some("1,3,5,7,9"),
    about: "scales, in voxels: about the ridges' half widths",
};

/// Which ridges are looked for.
pub(super) const BLACK: Param = Param {
    name: "black-ridges",
    value: Value::Choice(&["yes", "no"]),
    default: Some("yes"),
    about: "yes: dark on bright; no: bright on dark",
};

/// The sign with which elements are taken, and the border of the image or of its negative.
pub(super) fn polarity(args: &Args<'_>) -> Result<(f32, Border), ArgError> {
    let border = args.border()?;
    Ok(match (args.choice(BLACK.name)?, border) {
        ("yes", _) => (1.0, border),
        // The negative is filtered, beyond whose edge stands what is given.
        (_, Border::Constant(value)) => (-1.0, Border::Constant(-value)),
        _ => (-1.0, border),
    })
}

fn build(args: &Args<'_>) -> Result<Vec<Stage>, ArgError> {
    let (sign, border) = polarity(args)?;
    let mut stages = Vec::new();
    let source = source(args, &mut stages);
    let mut largest: Option<From> = None;
    for sigma in scales(args)? {
        let inputs = elements(hessian::SPEC.name, &sigma, border, source, &mut stages);
        let scale = sigma[4].max(sigma[3]).powi(2) as f32;
        stages.push(Stage { op: of_matrix(SPEC.name, Tube { sign, scale }), inputs });
        let own = From::Stage(stages.len() - 1);
        largest = Some(match largest {
            None => own,
            Some(other) => {
                stages.push(Stage { op: join(SPEC.name, Larger), inputs: vec![other, own] });
                From::Stage(stages.len() - 1)
            }
        });
    }
    Ok(stages)
}

#[derive(Clone, Copy)]
struct Tube {
    sign: f32,
    scale: f32,
}

impl OfMatrix for Tube {
    #[inline(always)]
    fn sign(self) -> f32 {
        self.sign
    }

    #[inline(always)]
    fn two(self, a: f32, b: f32, c: f32) -> f32 {
        let largest = eigenvalues2(a, b, c)[0];
        self.scale * if largest < 0.0 { 0.0 } else { largest }
    }

    #[inline(always)]
    fn three(self, [first, second, _]: [f64; 3]) -> f32 {
        let [first, second] = [first, second].map(|v| if v < 0.0 { 0.0 } else { v });
        self.scale * (first * second).sqrt() as f32
    }

    fn kernel(self) -> [f64; 3] {
        [1.0, f64::from(self.scale), 0.0]
    }
}

/// The larger of two; NaN if one is.
#[derive(Clone, Copy)]
pub(super) struct Larger;

impl Join for Larger {
    type Output = f32;

    #[inline(always)]
    fn at(self, a: f32, b: f32, _: f32) -> f32 {
        if b > a || b.is_nan() { b } else { a }
    }

    fn kernel(self, images: usize) -> Joining {
        Joining::function(2, images)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conforms;
    use crate::conv::hessian::tests::{eigenvalues_at, matrices};
    use crate::testing::{Image, meta, stages};
    use voxtile_sched::model::Dtype;

    fn oracle(image: &Image, sigmas: &[f64], sign: f32, border: Border) -> Image {
        let scales: Vec<Vec<Image>> = sigmas.iter().map(|&s| matrices(image, s, border)).collect();
        Image::from_fn(scales[0][0].meta().clone(), |at| {
            let tube = |(elements, sigma): (&Vec<Image>, &f64)| {
                let values = eigenvalues_at(elements, at, sign);
                let root = match values[..] {
                    [first, _] => first.max(0.0),
                    _ => (values[0].max(0.0) * values[1].max(0.0)).sqrt(),
                };
                (sigma * sigma) as f32 * root as f32
            };
            scales.iter().zip(sigmas).map(tube).fold(0.0, f32::max)
        })
    }

    conforms!(
        dark: &SPEC, "sato 1.2,0.6", |image| oracle(image, &[1.2, 0.6], 1.0, Border::Reflect),
        only(|meta| meta.axes.space().len() > 1), dtypes(&[Dtype::U8, Dtype::F32]), finite("f32::max passes NaN over"),
    );
    conforms!(
        bright: &SPEC, "sato 0.9 black-ridges=no border=constant cval=30",
        |image| oracle(image, &[0.9], -1.0, Border::Constant(-30.0)),
        only(|meta| meta.axes.space().len() > 1), dtypes(&[Dtype::U8, Dtype::F32]), finite("f32::max passes NaN over"),
    );

    #[test]
    fn scales_that_are_none_are_refused() {
        let plane = [meta("yx", &[9, 9], Dtype::U8)];
        for step in ["sato 0", "sato 1,-1", "sato 1,0.01", "sato nan", "sato 1 black-ridges=maybe"] {
            assert!(stages(&SPEC, step, &plane).is_err(), "{step}");
        }
    }
}
