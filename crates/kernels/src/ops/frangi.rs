//! Frangi's vesselness: how much a voxel lies in a tube of any of several widths, from 0 to 1.
//!
//! Any sample type → f32, same shape; along two or three space axes, σ in voxels along each. From the Hessian's
//! eigenvalues at each scale, by magnitude: `(1 - exp(-Ra² / 2α²)) exp(-Rb² / 2β²) (1 - exp(-S² / 2γ²))`, where the first
//! factor is that of volumes alone; the largest of all scales is the result. γ is half of the largest S of the whole image at
//! the first scale, unless given. Dark ridges unless `black-ridges=no`. Cost: that of a `hessian` for each scale and 20 ns
//! per voxel; without γ one pass more over the first scale. Frangi et al. 1998.
//!
//! Equal to `skimage.filters.frangi(image.astype(float64), …)` as far as the f32 elements of the Hessian allow: the factors
//! are computed in f64. scikit-image's own result for f32 has few digits where it is small, since 1 - exp(-x) is f32 there.

use super::hessian;
use super::sato::{BLACK, SIGMAS, polarity};
use crate::conv::hessian::{OfMatrix, eigenvalues2, elements, of_matrix, scales, source};
use crate::device::sweep;
use crate::math::exp;
use crate::pointwise::{Parts, same_shape};
use crate::spec::{ArgError, Args, BORDER, Build, CVAL, Param, Spec, Stage, Value};
use crate::statistics::{Deferred, Found, Needs};
use crate::vectorised;
use std::sync::Arc;
use voxtile_sched::contract::device::{Argument, Slot};
use voxtile_sched::contract::{Footprint, Kernels, Op, Refused};
use voxtile_sched::model::{Dtype, Kind, Meta, Shape, Tile, TileMut};

/// `frangi sigmas=1,3,5`.
pub(super) static SPEC: Spec = Spec {
    name: "frangi",
    about: "vessels of several widths: Frangi's vesselness",
    params: &[
        SIGMAS,
        Param {
            name: "alpha",
            value: Value::Number,
            default: Some("0.5"),
            about: "tolerance for what is no plate",
        },
        Param {
            name: "beta",
            value: Value::Number,
            default: Some("0.5"),
            about: "tolerance for what is a blob",
        },
        Param {
            name: "gamma",
            value: Value::Number,
            default: Some(""),
            about: "second derivatives that count; without it, half of the largest in the whole image",
        },
        BLACK,
        BORDER,
        CVAL,
    ],
    inputs: 1,
    example: "frangi sigmas=1,3,5",
    build: Build::Chain(build),
};

fn build(args: &Args<'_>) -> Result<Vec<Stage>, ArgError> {
    let positive = |param| match args.finite(param)? {
        value if value > 0.0 => Ok(value),
        _ => Err(args.wrong(param, args.text(param).unwrap_or_default(), "a number above 0")),
    };
    let (alpha, beta) = (positive("alpha")?, positive("beta")?);
    let gamma = args.text("gamma").map(|_| positive("gamma")).transpose()?;
    let (sign, border) = polarity(args)?;
    let mut stages = Vec::new();
    let source = source(args, &mut stages);
    let mut inputs = Vec::new();
    for sigma in scales(args)? {
        let elements = elements(hessian::SPEC.name, &sigma, border, source, &mut stages);
        let mut push = |op, inputs| {
            stages.push(Stage { op, inputs });
            crate::spec::From::Stage(stages.len() - 1)
        };
        inputs.push(push(of_matrix(SPEC.name, Strength), elements.clone()));
        inputs.push(push(of_matrix(SPEC.name, Form { sign, alpha, beta }), elements));
    }
    let op: Arc<dyn Op> = match gamma {
        Some(gamma) => Arc::new(Vesselness { gamma }),
        None => Arc::new(Deferred {
            name: SPEC.name,
            dtype: Dtype::F32,
            needs: Needs::Ends,
            output: vessels,
            then: Box::new(|found| {
                let half = match found {
                    Found::Numbers(ends) => ends[1] / 2.0,
                    _ => 0.0,
                };
                Arc::new(Vesselness { gamma: if half == 0.0 { 1.0 } else { half } })
            }),
        }),
    };
    stages.push(Stage { op, inputs });
    Ok(stages)
}

fn vessels(input: &Meta) -> Meta {
    input.with_dtype(Dtype::F32).with_kind(Kind::Image)
}

/// S: the root of the sum of the eigenvalues' squares, which in a plane is taken of the elements.
#[derive(Clone, Copy)]
struct Strength;

impl OfMatrix for Strength {
    #[inline(always)]
    fn two(self, a: f32, b: f32, c: f32) -> f32 {
        let [a, b, c] = [a, b, c].map(f64::from);
        (a * a + 2.0 * (b * b) + c * c).sqrt() as f32
    }

    #[inline(always)]
    fn three(self, [a, b, c]: [f64; 3]) -> f32 {
        (a * a + b * b + c * c).sqrt() as f32
    }

    fn kernel(self) -> [f64; 3] {
        [2.0, 0.0, 0.0]
    }
}

/// The factors that only depend on the ratios of the eigenvalues.
#[derive(Clone, Copy)]
struct Form {
    sign: f32,
    alpha: f64,
    beta: f64,
}

impl Form {
    #[inline(always)]
    fn blob(self, ratio: f64) -> f64 {
        exp(-(ratio * ratio) / (2.0 * self.beta * self.beta))
    }
}

/// What eigenvalues are raised to that would be below.
const LEAST: f64 = 1e-10;

#[inline(always)]
fn raised(value: f64) -> f64 {
    if value < LEAST { LEAST } else { value }
}

/// By magnitude, the smaller first.
#[inline(always)]
fn rising(a: f64, b: f64) -> (f64, f64) {
    let swap = a.abs() > b.abs();
    (if swap { b } else { a }, if swap { a } else { b })
}

impl OfMatrix for Form {
    #[inline(always)]
    fn sign(self) -> f32 {
        self.sign
    }

    #[inline(always)]
    fn two(self, a: f32, b: f32, c: f32) -> f32 {
        let [first, second] = eigenvalues2(a, b, c);
        let (small, large) = rising(f64::from(first), f64::from(second));
        self.blob(small.abs() / raised(large)) as f32
    }

    #[inline(always)]
    fn three(self, [a, b, c]: [f64; 3]) -> f32 {
        let (a, b) = rising(a, b);
        let (b, c) = rising(b, c);
        let (a, b) = rising(a, b);
        let (b, c) = (raised(b), raised(c));
        let plate = b / c;
        let plate = 1.0 - exp(-(plate * plate) / (2.0 * self.alpha * self.alpha));
        (plate * self.blob(a.abs() / (b * c).sqrt())) as f32
    }

    fn kernel(self) -> [f64; 3] {
        [3.0, self.alpha, self.beta]
    }
}

/// The result, from S and the other factors at each scale.
struct Vesselness {
    gamma: f64,
}

impl Op for Vesselness {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        same_shape(inputs)?;
        Ok(vessels(&inputs[0]))
    }

    fn footprint(&self, _input: usize) -> Footprint {
        Footprint::Point
    }

    fn ns_per_voxel(&self) -> f64 {
        2.0
    }

    fn cpu(&self, inputs: &[Tile<'_>], mut output: TileMut<'_>, _scratch: &mut [u8]) {
        let parts = Parts::of(inputs, &output);
        let mut to = output.view::<f32>();
        let scale = 1.0 / (2.0 * self.gamma * self.gamma);
        parts.each(usize::MAX, |part| {
            let range = part.range(to.strides());
            let to = &mut to.raw()[range];
            to.fill(0.0);
            for pair in inputs.chunks_exact(2) {
                let [strength, form] = [&pair[0], &pair[1]].map(|tile| {
                    let view = tile.view::<f32>();
                    &view.raw()[part.range(view.strides())]
                });
                raise(strength, form, scale, to);
            }
        });
    }

    fn kernels(&self, inputs: &[Dtype], _output: Dtype, _shape: &Shape) -> Option<Kernels> {
        let scale = Argument::F64(1.0 / (2.0 * self.gamma * self.gamma));
        let pass = |n: usize| {
            let from = vec![Slot::Input(2 * n), Slot::Input(2 * n + 1), Slot::Output];
            let arguments = vec![scale.clone(), Argument::U32(u32::from(n == 0))];
            sweep("vessels_f32".to_owned(), from, Slot::Output, arguments)
        };
        Some(Kernels { sweeps: (0..inputs.len() / 2).map(pass).collect(), ..Kernels::default() })
    }
}

vectorised! {
    fn raise(strength: &[f32], form: &[f32], scale: f64, to: &mut [f32]) {
        for ((to, &s), &form) in to.iter_mut().zip(strength).zip(form) {
            let s = f64::from(s);
            let value = (f64::from(form) * (1.0 - exp(-(s * s) * scale))) as f32;
            *to = if value > *to || value.is_nan() { value } else { *to };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conforms;
    use crate::conv::hessian::tests::{eigenvalues_at, matrices};
    use crate::testing::{Image, meta, stages};
    use voxtile_sched::model::Border;

    fn oracle(image: &Image, sigmas: &[f64], sign: f32, gamma: Option<f64>) -> Image {
        let scales: Vec<Vec<Image>> = sigmas.iter().map(|&s| matrices(image, s, Border::Reflect)).collect();
        let norm = |elements: &[Image], at| match elements {
            [a, b, c] => {
                let [a, b, c] = [a, b, c].map(|e| f64::from(e.at::<f32>(at)));
                (a * a + 2.0 * b * b + c * c).sqrt() as f32
            }
            _ => eigenvalues_at(elements, at, 1.0).iter().map(|v| v * v).sum::<f64>().sqrt() as f32,
        };
        let flat = scales[0][0].meta().clone();
        let first = Image::from_fn(flat.clone(), |at| norm(&scales[0], at));
        let largest = first.values::<f32>().iter().fold(0f32, |a, &b| a.max(b));
        let half = if largest == 0.0 { 1.0 } else { f64::from(largest) / 2.0 };
        let gamma = gamma.unwrap_or(half);
        Image::from_fn(flat, |at| {
            let mut most = 0f32;
            for elements in &scales {
                let mut l = eigenvalues_at(elements, at, sign);
                let s = f64::from(norm(elements, at));
                l.sort_by(|a, b| a.abs().total_cmp(&b.abs()));
                let (small, last) = (l[0].abs(), l[l.len() - 1].max(1e-10));
                let (plate, blob) = match l[..] {
                    [_, _] => (f64::INFINITY, small / last),
                    _ => (l[1].max(1e-10) / last, small / (l[1].max(1e-10) * last).sqrt()),
                };
                let form = (1.0 - (-plate * plate / 0.32).exp()) * (-blob * blob / 0.5).exp();
                let value = f64::from(form as f32) * (1.0 - (-s * s / (2.0 * gamma * gamma)).exp());
                most = most.max(value as f32);
            }
            most
        })
    }

    const WHY: &str = "exponentials are the library's, and 1 - exp(-x) loses digits where x is small";

    conforms!(
        found_gamma: &SPEC, "frangi 0.8,1.2 alpha=0.4", |image| oracle(image, &[0.8, 1.2], 1.0, None),
        only(|meta| meta.axes.space().len() > 1), dtypes(&[Dtype::U8]), ulp(1 << 10, WHY),
    );
    conforms!(
        given_gamma: &SPEC, "frangi 1 alpha=0.4 gamma=30 black-ridges=no",
        |image| oracle(image, &[1.0], -1.0, Some(30.0)),
        only(|meta| meta.axes.space().len() > 1), dtypes(&[Dtype::U8]), ulp(1 << 10, WHY),
    );

    #[test]
    fn numbers_that_divide_nothing_are_refused() {
        let plane = [meta("yx", &[9, 9], Dtype::U8)];
        for step in ["frangi 1 alpha=0", "frangi 1 beta=-1", "frangi 1 gamma=0", "frangi 0"] {
            assert!(stages(&SPEC, step, &plane).is_err(), "{step}");
        }
    }
}
