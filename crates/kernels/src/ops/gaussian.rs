//! Gaussian blur, separable.
//!
//! Any sample type → f32, same shape; acts on the space axes present. σ in voxels or physical units, one or per axis;
//! along an axis of σ = 0 nothing happens. The radius is `int(truncate · σ + 0.5)`, as in scipy.ndimage. Cost:
//! `O(voxels · Σ (radius + 1))`, from 1.5 ns per voxel at σ = 2 in three dimensions.
//!
//! `precision=exact`: the image is rounded to f32 once; sums are f64, a product and then an addition, the centre
//! first and then the pairs from the outside in; rounded to f32 after each of the axes z, y, x. Bit-equal to
//! `scipy.ndimage.gaussian_filter(image.astype(float32), …)` with the same weights. `precision=fast`: sums are f32
//! with fused multiply-add, at most 4 ULP away on images of one sign up to σ = 8 (6 at 20), twice as fast, the same bits
//! everywhere.
//!
//! `method=recursive` is another filter, for large σ: its cost does not depend on σ. Along axes of σ from 2 voxels on, the
//! result is within 0.04 % of the image's range of the exact one per axis, in the same bits in any tiling; see `conv::recursive`.
//!
//! We differ: (1) scipy rounds integer images to integers after every axis, towards zero; ours are f32. (2) scipy's
//! weights differ between machines in the last bit of an f64, see `conv::weights`; ours do not. That shows in about
//! one voxel in 10⁸. (3) `cval` is rounded to f32.

use crate::conv::{LEAST_SIGMA, Recursive, SIGMA, TRUNCATE, blurred, sigmas, truncation};
use crate::spec::{ArgError, Args, BORDER, Build, CVAL, From as Reads, Param, Spec, Stage, Value};
use voxtile_sched::model::{Axis, PerAxis};

/// The table's entry.
pub(crate) static SPEC: Spec = Spec {
    name: "gaussian",
    about: "Blur with a Gaussian",
    params: &[
        SIGMA,
        TRUNCATE,
        Param {
            name: "precision",
            value: Value::Choice(&["exact", "fast"]),
            default: Some("exact"),
            about: "exact: sums in f64, equal to scipy; fast: sums in f32, a few ULP away",
        },
        Param {
            name: "method",
            value: Value::Choice(&["direct", "recursive"]),
            default: Some("direct"),
            about: "recursive: a cost that does not depend on sigma, within 0.04 % of the range per axis",
        },
        BORDER,
        CVAL,
    ],
    inputs: 1,
    example: "gaussian sigma=2",
    build: Build::Chain(stages),
};

fn stages(args: &Args<'_>) -> Result<Vec<Stage>, ArgError> {
    let truncate = truncation(args)?;
    let sigma = sigmas(args, SIGMA.name, truncate)?;
    let (fast, border) = (args.choice("precision")? == "fast", args.border()?);
    let recursive = args.choice("method")? == "recursive";
    for (name, other) in [("precision", fast), (TRUNCATE.name, Some(truncate) != standard())] {
        if recursive && other {
            let text = args.text(name).unwrap_or_default();
            return Err(args.wrong(name, text, "left out with method=recursive"));
        }
    }
    let carried = |a: usize| recursive && sigma[a] >= LEAST_SIGMA;
    let rest: PerAxis<f64> = std::array::from_fn(|a| if carried(a) { 0.0 } else { sigma[a] });
    let mut stages = Vec::new();
    let mut inputs = vec![args.as_linear(&mut stages)?];
    if rest.iter().any(|&s| s > 0.0) || ![2, 3, 4].into_iter().any(carried) {
        stages.push(Stage { op: blurred(SPEC.name, &rest, truncate, fast, border), inputs });
        inputs = vec![Reads::Stage(stages.len() - 1)];
    }
    for axis in [Axis::Z, Axis::Y, Axis::X].into_iter().filter(|axis| carried(axis.index())) {
        stages.push(Stage { op: Recursive::op(SPEC.name, axis, sigma[axis.index()], border), inputs });
        inputs = vec![Reads::Stage(stages.len() - 1)];
    }
    Ok(stages)
}

/// Where the Gaussian is cut unless told.
fn standard() -> Option<f64> {
    TRUNCATE.default.and_then(|text| text.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conforms;
    use crate::conv;
    use crate::testing::{Fill, Float, Image, meta, stages, step};
    use voxtile_sched::dispatch;
    use voxtile_sched::model::{Border, Dtype, Element, NDIM};

    /// One axis after the other, every voxel on its own; σ along z, y, x.
    fn oracle(image: &Image, sigma: [f64; 3], truncate: f64, border: Border, fast: bool) -> Image {
        let mut image: Image = dispatch!(image.meta().dtype, T => image.map(|v: T| v.to_f32()));
        for axis in [2, 3, 4] {
            let sigma = sigma[axis - 2];
            if sigma == 0.0 {
                continue;
            }
            let radius = (truncate * sigma + 0.5).floor() as i64;
            let weights = conv::gaussian_weights(sigma, radius as usize);
            let single = conv::in_f32(&weights);
            let at = |at: [u64; 5], offset: i64| {
                let mut from = at;
                match border.map(at[axis] as i64 + offset, image.meta().shape[axis]) {
                    Some(p) => from[axis] = p as u64,
                    None => return if let Border::Constant(c) = border { c as f32 } else { unreachable!() },
                }
                image.at::<f32>(from)
            };
            image = Image::from_fn(image.meta().clone(), |p| {
                if fast {
                    let mut sum = at(p, 0) * single[0];
                    for k in (1..=radius).rev() {
                        sum = (at(p, -k) + at(p, k)).mul_add(single[k as usize], sum);
                    }
                    return sum;
                }
                let mut sum = f64::from(at(p, 0)) * weights[0];
                for k in (1..=radius).rev() {
                    sum += (f64::from(at(p, -k)) + f64::from(at(p, k))) * weights[k as usize];
                }
                sum as f32
            });
        }
        image
    }

    /// σ along the space axes that the image has.
    fn along(image: &Image, sigma: f64) -> [f64; 3] {
        let axes = image.meta().axes;
        [2, 3, 4].map(|a| if axes.space().iter().any(|axis| axis.index() == a) { sigma } else { 0.0 })
    }

    conforms!(exact: &SPEC, "gaussian sigma=0.8", |image| {
        oracle(image, along(image, 0.8), 4.0, Border::Reflect, false)
    });
    conforms!(wide: &SPEC, "gaussian sigma=2.3 truncate=3.1 border=mirror", |image| {
        oracle(image, along(image, 2.3), 3.1, Border::Mirror, false)
    });
    conforms!(constant: &SPEC, "gaussian sigma=1 border=constant cval=3", |image| {
        oracle(image, along(image, 1.0), 4.0, Border::Constant(3.0), false)
    });
    conforms!(fast: &SPEC, "gaussian sigma=1.2 precision=fast border=wrap", |image| {
        oracle(image, along(image, 1.2), 4.0, Border::Wrap, true)
    });
    conforms!(fast_and_wide: &SPEC, "gaussian sigma=2.2 precision=fast border=nearest", |image| {
        oracle(image, along(image, 2.2), 4.0, Border::Nearest, true)
    });

    /// Every voxel on its own: Deriche's sum of exponentials over its block and one more on either side, beyond which the
    /// first and the last value stand.
    fn recursive(image: &Image, sigma: f64, border: Border) -> Image {
        let weight = |k: i64| {
            let x = k.abs() as f64 / sigma;
            (1.68 * (0.6318 * x).cos() + 3.735 * (0.6318 * x).sin()) * (-1.783 * x).exp()
                - (0.6803 * (1.997 * x).cos() + 0.2598 * (1.997 * x).sin()) * (-1.723 * x).exp()
        };
        let (block, far) = ((6.0 * sigma).ceil() as i64, (25.0 * sigma) as i64);
        let total: f64 = (-far..=far).map(weight).sum();
        let mut image: Image = dispatch!(image.meta().dtype, T => image.map(|v: T| v.to_f32()));
        for axis in image.meta().axes.space().iter().map(Axis::index).collect::<Vec<_>>() {
            let extent = image.meta().shape[axis] as i64;
            image = Image::from_fn(image.meta().clone(), |at: [u64; NDIM]| {
                let here = at[axis] as i64;
                let begin = here / block * block;
                let ends = (begin - block, (begin + block).min(extent) + block - 1);
                let value = |k: i64| {
                    let mut from = at;
                    match border.map((here + k).clamp(ends.0, ends.1), extent as u64) {
                        Some(p) => from[axis] = p as u64,
                        None => return if let Border::Constant(c) = border { c } else { unreachable!() },
                    }
                    f64::from(image.at::<f32>(from))
                };
                ((-far..=far).map(|k| weight(k) * value(k)).sum::<f64>() / total) as f32
            });
        }
        image
    }

    const ROUNDED: &str = "forward and backward parts are rounded each";
    conforms!(
        carried: &SPEC, "gaussian 2 method=recursive",
        |image| recursive(image, 2.0, Border::Reflect),
        dtypes(&[Dtype::U8, Dtype::U16]), ulp(8, ROUNDED),
    );
    conforms!(
        carried_constant: &SPEC, "gaussian 3.1 method=recursive border=constant cval=5",
        |image| recursive(image, 3.1, Border::Constant(5.0)),
        dtypes(&[Dtype::U16]), ulp(8, ROUNDED),
    );

    #[test]
    fn recursive_is_within_its_bound() {
        let edges = |axes, sizes: &[u64], scale: u64| {
            let meta = meta(axes, sizes, Dtype::U16);
            // Ranges of 1000, in patches as large as the blur.
            Image::from_fn(meta, |p| 1000 * (p.iter().map(|v| v / scale).sum::<u64>() % 2) as u16)
        };
        for (sigma, scale) in [("2", 1), ("2", 5), ("3.5", 9), ("8", 15), ("20", 40)] {
            for image in [
                edges("x", &[700], scale),
                edges("yx", &[90, 210], scale),
                edges("zyx", &[20, 40, 70], scale),
            ] {
                let exact = step(&SPEC, &format!("gaussian {sigma}"), &image);
                let carried = step(&SPEC, &format!("gaussian {sigma} method=recursive"), &image);
                let pairs = exact.values::<f32>().iter().zip(carried.values::<f32>());
                let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                let bound = 0.4 * image.meta().axes.len() as f32;
                assert!(worst < bound && worst > 1e-4, "sigma {sigma}: {worst}");
            }
        }
    }

    #[test]
    fn narrow_axes_are_summed_and_what_recursions_have_not_is_refused() {
        let image = Image::noise("yx", &[40, 50], Dtype::U16, 9);
        let direct = step(&SPEC, "gaussian 1.9", &image);
        step(&SPEC, "gaussian 1.9 method=recursive", &image)
            .assert_same(&direct, Float::Exact, || "1.9".to_owned());
        for step in ["gaussian 5 method=recursive precision=fast", "gaussian 5 method=recursive truncate=3"] {
            let refused = stages(&SPEC, step, &[image.meta().clone()]).err().unwrap().to_string();
            assert!(refused.contains("left out with method=recursive"), "{step}: {refused}");
        }
    }

    #[test]
    fn fast_is_near_exact_on_images_of_one_sign() {
        let volume = Image::filled(meta("zyx", &[30, 40, 50], Dtype::U16), Fill::Noise, 5);
        let plane = Image::filled(meta("yx", &[150, 200], Dtype::U16), Fill::Noise, 6);
        for (sigma, noise, ulp) in [
            ("0.6", &volume, 4),
            ("1", &volume, 4),
            ("2", &volume, 4),
            ("4", &volume, 4),
            ("8", &plane, 4),
            ("20", &plane, 6),
            ("50", &plane, 8),
        ] {
            let exact = step(&SPEC, &format!("gaussian {sigma}"), noise);
            let fast = step(&SPEC, &format!("gaussian {sigma} precision=fast"), noise);
            fast.assert_same(&exact, Float::Ulp(ulp), || format!("sigma {sigma}"));
            assert!(fast.bytes() != exact.bytes(), "sigma {sigma}: the same sums");
        }
    }
}
