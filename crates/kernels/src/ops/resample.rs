//! The image on a finer or a coarser grid.
//!
//! Space axes; one of `shape` (voxels of the result), `size` (length of its voxels: `0.5um`, or voxels of the image) and
//! `factor` (voxels of the result per voxel). Both grids fill the same extent: output voxel `o` of `m` lies at
//! `(o + 0.5) · n / m − 0.5` in the image of `n`, so nothing shifts; a result of `size` or `factor` has the nearest whole
//! number of voxels. Pixel size and position follow. Nothing is blurred before voxels are left out: `gaussian` does.
//!
//! `nearest` keeps the type; `linear` and `cubic` give f32, summed in f64. Equal to `scipy.ndimage.zoom(…, grid_mode=True)`
//! of order 0, 1, 3 with the same border rule (its names are `grid-constant` and `grid-wrap` for two of them), which is
//! `skimage.transform.resize` without anti-aliasing. `cubic` goes through spline coefficients, which depend on all voxels of
//! a line; here on 12 to each side, which changes them by less than 3·10⁻⁷ of the largest value. Borders that do not continue
//! coefficients as they continue the image, `nearest` and `constant`, are padded far enough first.
//! Cost: from 1 ns per voxel; scratch of a few rows.

use super::pad::Pad;
use crate::conv::{Half, Separable};
use crate::sampling::{Method, Positions, Sampling};
use crate::spec::{ArgError, Args, BORDER, Build, CVAL, From, Param, Spec, Stage, Value};
use std::sync::Arc;
use voxtile_sched::contract::device::{Argument, Sweep};
use voxtile_sched::contract::{Footprint, Kernels, Op, Pass, Placed, Refused};
use voxtile_sched::dispatch;
use voxtile_sched::model::{Axis, Border, Dtype, Kind, Meta, PerAxis, Region, Shape, Spacing, Tile, TileMut};

/// `resample factor=2`.
pub(super) static SPEC: Spec = Spec {
    name: "resample",
    about: "the image on a finer or a coarser grid",
    params: &[
        Param {
            name: "factor",
            value: Value::Numbers,
            default: Some(""),
            about: "voxels per voxel: `2`, `1,0.5,0.5`",
        },
        Param { name: "shape", value: Value::Size, default: Some(""), about: "voxels of the result instead" },
        Param {
            name: "size",
            value: Value::Length,
            default: Some(""),
            about: "length of its voxels instead: `0.5um`",
        },
        Param {
            name: "method",
            value: Value::Choice(&["nearest", "linear", "cubic"]),
            default: Some("linear"),
            about: "how values between voxels are found; labels need `nearest`",
        },
        BORDER,
        CVAL,
    ],
    inputs: 1,
    example: "resample factor=1,0.5,0.5",
    build: Build::Chain(stages),
};

/// Coefficients on either side that a coefficient's voxels reach.
const RADIUS: i32 = 12;
/// How far coefficients beyond the image count.
const BEYOND: i64 = 2;

/// Voxels of the result along each axis.
fn shape(args: &Args<'_>) -> Result<Shape, ArgError> {
    let input = args.input();
    let given: Vec<&'static str> =
        ["factor", "shape", "size"].into_iter().filter(|name| args.text(name).is_some()).collect();
    let [name] = given[..] else {
        return Err(match given[..] {
            [] => ArgError::Missing { op: SPEC.name, param: "factor" },
            [first, second, ..] => {
                args.impossible(second, format!("`{first}` says it already: give one of them"))
            }
            [_] => unreachable!("bound above"),
        });
    };
    let wanted: PerAxis<Option<f64>> = match name {
        "factor" => args.factors(name)?,
        "shape" => {
            let given = args.space_list(name)?;
            let sizes = args.sizes_px(name)?;
            std::array::from_fn(|a| given[a].map(|_| sizes[a] as f64))
        }
        _ => args.lengths_px(name)?.map(|px| (px > 0.0).then_some(px)),
    };
    let mut out = input.shape;
    for axis in input.axes.space().iter() {
        let (a, n) = (axis.index(), input.shape[axis.index()] as f64);
        let Some(wanted) = wanted[a] else { continue };
        let voxels = match name {
            "factor" => (n * wanted).round_ties_even(),
            "shape" => wanted,
            _ => (n / wanted).round_ties_even(),
        };
        let text = args.text(name).unwrap_or_default();
        if voxels > 1e12 {
            return Err(args.wrong(name, text, "at most 1e12 voxels along an axis"));
        }
        if n == 0.0 && voxels > 0.0 {
            return Err(args.impossible(name, format!("the image has no voxels along {axis}")));
        }
        out[a] = if n == 0.0 { 0 } else { voxels.max(1.0) as u64 };
    }
    Ok(out)
}

fn stages(args: &Args<'_>) -> Result<Vec<Stage>, ArgError> {
    let method = match args.choice("method")? {
        "nearest" => Method::Nearest,
        "linear" => Method::Linear,
        _ => Method::Cubic,
    };
    let (shape, border, input) = (shape(args)?, args.border()?, args.input().shape);
    // Under other borders, coefficients continue as the image does.
    let grown = method == Method::Cubic && matches!(border, Border::Nearest | Border::Constant(_));
    let along = |a: usize| {
        let step = if shape[a] == input[a] { 1.0 } else { input[a] as f64 / shape[a] as f64 };
        let lead = if grown && step != 1.0 { BEYOND + i64::from(RADIUS) } else { 0 };
        Positions { method, step, lead }
    };
    let sampling = Sampling { along: [along(2), along(3), along(4)] };
    let mut stages = Vec::new();
    let mut inputs =
        vec![if method == Method::Nearest { From::Input(0) } else { args.as_linear(&mut stages)? }];
    if method == Method::Cubic {
        if grown {
            let amount = |a: usize| if a < 2 { 0 } else { sampling.along[a - 2].lead as u64 };
            let pad = Pad::around(std::array::from_fn(amount), border);
            stages.push(Stage { op: Arc::new(pad), inputs });
            inputs = vec![From::Stage(stages.len() - 1)];
        }
        let half = |p: &Positions| Half::even(if p.step == 1.0 { vec![1.0] } else { coefficients() });
        let filter = Separable::Exact(sampling.along.each_ref().map(half));
        stages.push(Stage { op: filter.op("spline coefficients", border), inputs });
        inputs = vec![From::Stage(stages.len() - 1)];
    }
    let mut spacing = args.input().spacing.clone();
    for (along, spacing) in sampling.along.iter().zip(&mut spacing[Axis::Z.index()..]) {
        if let Some(spacing) = spacing {
            spacing.origin += (along.step - 1.0) / 2.0 * spacing.scale;
            spacing.scale *= along.step;
        }
    }
    stages.push(Stage { op: Arc::new(Resample { sampling, shape, spacing, border }), inputs });
    Ok(stages)
}

/// Each voxel of an image of blocks for all voxels of its block: on the grid that the blocks were made of.
pub(super) fn repeated(factor: PerAxis<u64>, onto: &Meta) -> Arc<dyn Op> {
    let along = |a: usize| Positions { method: Method::Nearest, step: 1.0 / factor[a] as f64, lead: 0 };
    let sampling = Sampling { along: [along(2), along(3), along(4)] };
    Arc::new(Resample { sampling, shape: onto.shape, spacing: onto.spacing.clone(), border: Border::Nearest })
}

/// Weights of the voxels in a cubic spline's coefficient, centre first.
fn coefficients() -> Vec<f64> {
    let pole = 3f64.sqrt() - 2.0;
    let weights: Vec<f64> = (0..=RADIUS).map(|k| pole.powi(k)).collect();
    let sum = weights[0] + 2.0 * weights[1..].iter().sum::<f64>();
    weights.iter().map(|w| w / sum).collect()
}

struct Resample {
    sampling: Sampling,
    shape: Shape,
    /// Of the result.
    spacing: PerAxis<Option<Spacing>>,
    border: Border,
}

impl Op for Resample {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        let mut meta = Meta { shape: self.shape, spacing: self.spacing.clone(), ..inputs[0].clone() };
        if self.sampling.along[0].method != Method::Nearest {
            (meta.dtype, meta.kind) = (Dtype::F32, Kind::Image);
        }
        Ok(meta)
    }

    fn footprint(&self, _input: usize) -> Footprint {
        Footprint::Mapped { padded: true }
    }

    fn reads(&self, _input: usize, out: &Region, _image: &Shape) -> Region {
        let mut read = *out;
        for axis in [Axis::Z, Axis::Y, Axis::X] {
            let a = axis.index();
            let (start, end) = self.sampling.along[a - 2].reads(out.start[a], out.end(a));
            read = read.with_axis(axis, start, (end - start).max(0) as u64);
        }
        read
    }

    fn border(&self) -> Border {
        self.border
    }

    fn scratch(&self, output: &Shape) -> u64 {
        self.sampling.scratch(output)
    }

    fn ns_per_voxel(&self) -> f64 {
        match self.sampling.along[0].method {
            Method::Nearest => 0.5,
            Method::Linear => 2.0,
            Method::Cubic => 4.0,
        }
    }

    fn pass(&self) -> Pass<'_> {
        Pass::Placed(self)
    }

    fn cpu(&self, _inputs: &[Tile<'_>], _output: TileMut<'_>, _scratch: &mut [u8]) {
        unreachable!("the contract tells where the tile lies");
    }
}

impl Placed for Resample {
    fn fill(
        &self,
        region: &Region,
        inputs: &[Tile<'_>],
        from: &[Region],
        mut output: TileMut<'_>,
        scratch: &mut [u8],
    ) {
        if output.is_empty() {
            return;
        }
        let input = &inputs[0];
        dispatch!(input.dtype(), T => match self.sampling.along[0].method {
            Method::Nearest => self.sampling.nearest::<T>(region, input, &from[0], &mut output, scratch),
            _ => self.sampling.fill::<T>(region, input, &from[0], &mut output, scratch),
        });
    }

    fn kernels(&self, inputs: &[Dtype], _output: Dtype, region: &Region, from: &[Region]) -> Option<Kernels> {
        let along = &self.sampling.along;
        let starts = |region: &Region| region.start[2..].to_vec();
        let leads: Vec<i64> = along.iter().map(|a| a.lead).collect();
        let places = Argument::I64s([starts(region), starts(&from[0]), leads].concat());
        let steps = Argument::F64s(along.iter().map(|a| a.step).collect(), 3);
        let method = match along[0].method {
            Method::Nearest => {
                let kernel = format!("nearest_{}", inputs[0].size());
                return Some(Sweep::over(kernel, vec![places, steps]).into());
            }
            Method::Linear => 1,
            Method::Cubic => 2,
        };
        let arguments = vec![Argument::U32(method), places, steps];
        Some(Sweep::over(format!("resample_{}", inputs[0]), arguments).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conforms;
    use crate::testing::{Image, meta, stages, steps};
    use voxtile_sched::model::Element;

    /// Every voxel on its own: weights along z, y and x over what the border rule answers.
    fn oracle(image: &Image, shape: [u64; 3], method: Method, border: Border) -> Image {
        let full = image.meta().shape;
        let mut meta = image.meta().clone();
        (0..3).filter(|k| meta.axes.contains(Axis::ALL[2 + k])).for_each(|k| meta.shape[2 + k] = shape[k]);
        let value = |at: [i64; 5]| -> f64 {
            let mut from = [0; 5];
            for a in 0..5 {
                match border.map(at[a], full[a]) {
                    Some(p) => from[a] = p as u64,
                    None => return if let Border::Constant(v) = border { v } else { unreachable!() },
                }
            }
            dispatch!(image.meta().dtype, T => image.at::<T>(from).to_f64())
        };
        let along = |a: usize, o: u64, shape: &[u64; 5]| {
            let position = (o as f64 + 0.5) * (full[a] as f64 / shape[a] as f64) - 0.5;
            let (floor, x) = (position.floor() as i64, position - position.floor());
            match method {
                _ if shape[a] == full[a] => vec![(o as i64, 1.0)],
                Method::Nearest => vec![((position + 0.5).floor() as i64, 1.0)],
                _ => vec![(floor, 1.0 - x), (floor + 1, x)],
            }
        };
        let sum = |shape: [u64; 5], [t, c, z, y, x]: [u64; 5]| {
            let total = |terms: Vec<f64>| terms.into_iter().reduce(|a, b| a + b).unwrap();
            total(
                along(4, x, &shape)
                    .into_iter()
                    .map(|(x, wx)| {
                        wx * total(
                            along(3, y, &shape)
                                .into_iter()
                                .map(|(y, wy)| {
                                    wy * total(
                                        along(2, z, &shape)
                                            .into_iter()
                                            .map(|(z, wz)| wz * value([t as i64, c as i64, z, y, x]))
                                            .collect(),
                                    )
                                })
                                .collect(),
                        )
                    })
                    .collect(),
            )
        };
        if method == Method::Nearest {
            let shape = meta.shape;
            return dispatch!(meta.dtype, T => Image::from_fn(meta, |[t, c, z, y, x]| {
                let from = [t, c, z, y, x].map(|k| k as i64);
                let at: [u64; 5] = std::array::from_fn(|a| {
                    let near = if a < 2 { from[a] } else { along(a, from[a] as u64, &shape)[0].0 };
                    border.map(near, full[a]).unwrap() as u64
                });
                image.at::<T>(at)
            }));
        }
        let shape = meta.shape;
        Image::from_fn(meta.with_dtype(Dtype::F32), |at| sum(shape, at) as f32)
    }

    fn some(m: &Meta) -> bool {
        !m.shape.contains(&0)
    }

    fn volume(m: &Meta) -> bool {
        some(m) && m.axes.space().len() == 3
    }

    conforms!(
        linear: &SPEC, "resample shape=5,11,9",
        |image| oracle(image, [5, 11, 9], Method::Linear, Border::Reflect), only(volume),
    );
    conforms!(
        beyond_the_edge: &SPEC, "resample shape=4,3,20 border=constant cval=3",
        |image| oracle(image, [4, 3, 20], Method::Linear, Border::Constant(3.0)), only(volume),
    );
    conforms!(
        nearest: &SPEC, "resample shape=2,17,6 method=nearest border=wrap",
        |image| oracle(image, [2, 17, 6], Method::Nearest, Border::Wrap), only(volume),
    );
    conforms!(
        doubled: &SPEC, "resample 2",
        |image| {
            let [.., z, y, x] = image.meta().shape;
            oracle(image, [2 * z, 2 * y, 2 * x], Method::Linear, Border::Reflect)
        },
    );

    conforms!(
        lines_and_planes: &SPEC, "resample shape=9",
        |image| oracle(image, [9; 3], Method::Linear, Border::Reflect), only(some),
    );

    /// Splines through the image: coefficients by solving for all of them along a line, as a plain system.
    fn spline(image: &Image, m: usize, border: Border) -> Vec<f64> {
        let values: Vec<f64> = image.values::<f32>().iter().map(|v| f64::from(*v)).collect();
        let n = values.len();
        // So far beyond the edges that what is there does not matter.
        const FAR: usize = 30;
        let values: Vec<f64> = (0..n + 2 * FAR)
            .map(|k| match (border.map(k as i64 - FAR as i64, n as u64), border) {
                (Some(p), _) => values[p as usize],
                (None, Border::Constant(value)) => value,
                (None, _) => unreachable!(),
            })
            .collect();
        let mut coefficients = values.clone();
        for _ in 0..200 {
            let before = coefficients.clone();
            let at = |k: i64| before[k.clamp(0, values.len() as i64 - 1) as usize];
            for k in 0..values.len() as i64 {
                coefficients[k as usize] = (6.0 * values[k as usize] - at(k - 1) - at(k + 1)) / 4.0;
            }
        }
        let basis = |x: f64| match x.abs() {
            x if x < 1.0 => 2.0 / 3.0 - x * x + x * x * x / 2.0,
            x if x < 2.0 => (2.0 - x).powi(3) / 6.0,
            _ => 0.0,
        };
        let value = |o: usize| {
            let position = (o as f64 + 0.5) * (n as f64 / m as f64) - 0.5;
            let near = position.floor() as i64;
            let term = |k: i64| basis(position - k as f64) * coefficients[(k + FAR as i64) as usize];
            (near - 2..=near + 3).map(term).sum()
        };
        (0..m).map(value).collect()
    }

    #[test]
    fn cubic_is_the_spline_through_the_voxels() {
        for (n, m) in [(1, 5), (2, 7), (13, 40), (40, 13), (64, 65)] {
            let image = Image::noise("x", &[n], Dtype::F32, n);
            for border in
                [Border::Reflect, Border::Mirror, Border::Wrap, Border::Nearest, Border::Constant(300.0)]
            {
                let text = format!("resample shape={m} method=cubic cval=300 border={}", border.name());
                let made = steps(&text, &image);
                for (got, want) in made.values::<f32>().iter().zip(spline(&image, m, border)) {
                    assert!(
                        (f64::from(*got) - want).abs() < 1e-3,
                        "{border:?}, {n} to {m}: {got} for {want}"
                    );
                }
            }
        }
    }

    conforms!(
        cubic_in_tiles: &SPEC, "resample shape=11,9 method=cubic border=mirror",
        |image| crate::testing::steps("resample shape=11,9 method=cubic border=mirror", image),
        only(|m| some(m) && m.axes.len() == 2 && m.axes.contains(Axis::Y)), dtypes(&[Dtype::U8, Dtype::F32]),
    );

    conforms!(
        cubic_at_an_edge: &SPEC, "resample shape=11,9 method=cubic border=constant cval=7",
        |image| crate::testing::steps("resample shape=11,9 method=cubic border=constant cval=7", image),
        only(|m| some(m) && m.axes.len() == 2 && m.axes.contains(Axis::Y)), dtypes(&[Dtype::U8, Dtype::F32]),
    );

    #[test]
    fn pixel_size_and_position_follow() {
        let mut image = meta("yx", &[10, 10], Dtype::U16);
        image.spacing[4] = Some(Spacing { scale: 0.5, origin: 1.0, unit: Some("micrometer".into()) });
        let image = std::slice::from_ref(&image);
        let of = |text: &str| stages(&SPEC, text, image).unwrap().pop().unwrap().op.output(image).unwrap();
        let finer = of("resample size=0,0.25um");
        let spacing = finer.spacing[4].clone().unwrap();
        assert_eq!((finer.dims(), spacing.scale, spacing.origin), (vec![10, 20], 0.25, 0.875));
        assert_eq!(of("resample factor=0.25").dims(), vec![2, 2]);
        assert_eq!(of("resample shape=3").dims(), vec![3, 3]);
        assert_eq!(of("resample shape=7").dtype, Dtype::F32);
        assert_eq!(of("resample shape=7 method=nearest").dtype, Dtype::U16);
        for text in ["resample", "resample 2 shape=3", "resample 0", "resample factor=-1"] {
            assert!(stages(&SPEC, text, image).is_err(), "{text}");
        }
    }
}
