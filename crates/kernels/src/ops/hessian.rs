//! An eigenvalue of the Hessian: how strongly the image bends, in the direction in which it does so most or least.
//!
//! Any sample type → f32, same shape; along two or three space axes. σ in voxels or physical units, one or per axis, none
//! of them 0. The second derivatives are two first derivatives of Gaussians of σ/√2 cut at 8 standard deviations, each
//! padded at the edge of the image. Bright ridges have a strongly negative `smallest`, dark ones a positive `largest`.
//! Cost: that of three filters and then six (two and three in a plane), and 20 ns per voxel.
//!
//! Equal to `skimage.feature.hessian_matrix_eigvals(hessian_matrix(image.astype(float32), sigma, mode=…,
//! use_gaussian_derivatives=True))`: bit by bit in a plane (and where σ ≤ 1 cuts scikit-image's Gaussians elsewhere, nearly
//! so), in a volume to the rounding of the elements, since the eigenvalues are computed in f64, LAPACK's in f32.
//! scikit-image's border is `constant` unless told.

use crate::conv::SIGMA;
use crate::conv::hessian::{OfMatrix, eigenvalues2, elements, of_matrix, scale, source};
use crate::spec::{ArgError, Args, BORDER, Build, CVAL, Param, Spec, Stage, Value};

/// `hessian sigma=2 which=smallest`.
pub(super) static SPEC: Spec = Spec {
    name: "hessian",
    about: "an eigenvalue of the second derivatives at a scale",
    params: &[
        SIGMA,
        Param {
            name: "which",
            value: Value::Choice(&["largest", "middle", "smallest"]),
            default: Some("largest"),
            about: "by value, not by magnitude; a plane has no middle one",
        },
        BORDER,
        CVAL,
    ],
    inputs: 1,
    example: "hessian sigma=2 which=smallest",
    build: Build::Chain(build),
};

fn build(args: &Args<'_>) -> Result<Vec<Stage>, ArgError> {
    let sigma = scale(args)?;
    let which = args.choice("which")?;
    let rank = match which {
        "largest" => 0,
        "smallest" => 2,
        _ if args.input().axes.space().len() == 3 => 1,
        _ => {
            return Err(args.wrong(
                "which",
                which,
                "an eigenvalue of a plane, which has a largest and a smallest",
            ));
        }
    };
    let mut stages = Vec::new();
    let source = source(args, &mut stages);
    let inputs = elements(SPEC.name, &sigma, args.border()?, source, &mut stages);
    stages.push(Stage { op: of_matrix(SPEC.name, Eigenvalue { rank }), inputs });
    Ok(stages)
}

#[derive(Clone, Copy)]
struct Eigenvalue {
    /// From the largest, of three.
    rank: usize,
}

impl OfMatrix for Eigenvalue {
    #[inline(always)]
    fn two(self, a: f32, b: f32, c: f32) -> f32 {
        eigenvalues2(a, b, c)[self.rank / 2]
    }

    #[inline(always)]
    fn three(self, values: [f64; 3]) -> f32 {
        values[self.rank] as f32
    }

    fn kernel(self) -> [f64; 3] {
        [0.0, self.rank as f64, 0.0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conforms;
    use crate::conv::hessian::tests::{eigenvalues_at, matrices};
    use crate::testing::{Image, meta, stages};
    use voxtile_sched::model::{Border, Dtype, Meta};

    fn oracle(image: &Image, sigma: f64, rank: usize, border: Border) -> Image {
        let elements = matrices(image, sigma, border);
        Image::from_fn(elements[0].meta().clone(), |at| {
            let values = eigenvalues_at(&elements, at, 1.0);
            values[rank * (values.len() - 1) / 2] as f32
        })
    }

    fn planes(meta: &Meta) -> bool {
        meta.axes.space().len() == 2
    }

    const SOME: [Dtype; 4] = [Dtype::U8, Dtype::I16, Dtype::F32, Dtype::F64];

    conforms!(
        planes_largest: &SPEC, "hessian 1.2", |image| oracle(image, 1.2, 0, Border::Reflect), only(planes),
    );
    conforms!(
        planes_smallest: &SPEC, "hessian 0.7 which=smallest border=constant cval=2",
        |image| oracle(image, 0.7, 2, Border::Constant(2.0)), only(planes), dtypes(&SOME),
    );
    conforms!(
        volumes: &SPEC, "hessian 0.8 which=middle border=nearest",
        |image| oracle(image, 0.8, 1, Border::Nearest),
        only(|meta| meta.axes.space().len() == 3), dtypes(&SOME),
    );

    #[test]
    fn what_bends_in_no_plane_is_refused() {
        let plane = [meta("yx", &[9, 9], Dtype::U8)];
        for step in ["hessian 0", "hessian 1 which=middle", "hessian 2,0", "hessian 0.01"] {
            assert!(stages(&SPEC, step, &plane).is_err(), "{step}");
        }
        assert!(stages(&SPEC, "hessian 1", &[meta("x", &[9], Dtype::U8)]).is_err());
    }
}
