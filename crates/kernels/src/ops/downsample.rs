//! A smaller image: one voxel for every block of voxels.
//!
//! Any type → same type; acts on the space axes, by a whole factor per axis. Blocks start at the first voxel; those at
//! the far edges hold the voxels that exist, and a factor beyond the image is the whole axis. `mean` sums exactly
//! (floats: in f64, column by column, then along x) and rounds half to even into the input's type, or to f32 with
//! `out=f32`; `max` and `min` let NaN through, as numpy; `mode` takes the most frequent value, of several the smallest
//! (floats by their bits); `stride` the first voxel. `gaussian` weighs the voxels around the middle of a block, beyond it and
//! beyond the image's edge (`reflect`) too: see `smooth.rs`.
//! A voxel grows by the factor and its centre moves to the middle of its block, except with `stride`.
//! Cost: one read; scratch of one input row (`mode`: one block; `gaussian`: one plane in f64).

use crate::blocks::{Join, Largest, Rows, Smallest, Sum, extremes, from_key, key, means, most_frequent};
use crate::device::{MODE, why};
use crate::pointwise::{Sample, for_rows};
use crate::smooth::Smooth;
use crate::spec::{ArgError, Args, Build, Param, Spec, Value};
use crate::totals::Total;
use crate::vectorised;
use std::sync::Arc;
use voxtile_sched::contract::device::{Argument, Sweep};
use voxtile_sched::contract::{Footprint, Kernels, Op, Refused};
use voxtile_sched::dispatch;
use voxtile_sched::model::{Axis, Dtype, Kind, Meta, PerAxis, Shape, Tile, TileMut};

/// `downsample 2 method=mean`.
pub(super) static SPEC: Spec = Spec {
    name: "downsample",
    about: "smaller image: one voxel for every block",
    params: &[
        Param {
            name: "factor",
            value: Value::Size,
            default: None,
            about: "voxels per block along each space axis: `2`, `1,2,2`",
        },
        Param {
            name: "method",
            value: Value::Choice(&["mean", "max", "min", "mode", "stride", "gaussian"]),
            default: Some("mean"),
            about: "how a block becomes a voxel; labels need `mode` or `stride`",
        },
        Param {
            name: "out",
            value: Value::Choice(&["same", "f32"]),
            default: Some("same"),
            about: "sample type of the mean, weighted or not",
        },
    ],
    inputs: 1,
    example: "downsample 2 method=mean",
    build: Build::One(|args| Ok(Arc::new(Downsample::new(args)?))),
};

#[derive(PartialEq)]
enum Method {
    Mean,
    Max,
    Min,
    Mode,
    Stride,
    Gaussian(Smooth),
}

struct Downsample {
    factor: PerAxis<u64>,
    method: Method,
    float: bool,
}

impl Downsample {
    fn new(args: &Args<'_>) -> Result<Self, ArgError> {
        let factor = factor(args)?;
        let method = match args.choice("method")? {
            "mean" => Method::Mean,
            "max" => Method::Max,
            "min" => Method::Min,
            "mode" => Method::Mode,
            "stride" => Method::Stride,
            _ => Method::Gaussian(Smooth::new(factor)),
        };
        let this = Self { factor, method, float: args.choice("out")? == "f32" };
        if this.float && !this.averages() {
            return Err(args.impossible("out", "only method=mean and method=gaussian make new values"));
        }
        Ok(this)
    }
}

/// Voxels per block: the argument `factor`. Beyond the image it is the whole image; blocks stay countable.
pub(super) fn factor(args: &Args<'_>) -> Result<PerAxis<u64>, ArgError> {
    let (shape, asked) = (args.input().shape, args.sizes_px("factor")?);
    Ok(std::array::from_fn(|a| if a < 2 { 1 } else { asked[a].min(shape[a].max(1)) }))
}

/// Means of blocks, as f32.
pub(super) fn block_means(factor: PerAxis<u64>) -> Arc<dyn Op> {
    Arc::new(Downsample { factor, method: Method::Mean, float: true })
}

impl Downsample {
    fn block(&self) -> u64 {
        self.factor.iter().product()
    }

    /// Whether it makes values that were not there.
    fn averages(&self) -> bool {
        matches!(self.method, Method::Mean | Method::Gaussian(_))
    }

    /// Calls `work` with every output row and the input rows that it is made of.
    fn rows(&self, input: [usize; 5], output: [usize; 5], mut work: impl FnMut([usize; 4], Rows)) {
        let range = |a: usize, at: usize| {
            let factor = self.factor[a] as usize;
            (at * factor, ((at + 1) * factor).min(input[a]))
        };
        for_rows(output, |t, c, z, y| work([t, c, z, y], Rows { t, c, z: range(2, z), y: range(3, y) }));
    }

    fn mean<T: Sample, A: Total, U: Sample>(
        &self,
        input: &Tile<'_>,
        output: &mut TileMut<'_>,
        scratch: &mut [u8],
    ) {
        let (input, mut out) = (input.view::<T>(), output.view::<U>());
        self.rows(input.shape(), out.shape(), |[t, c, z, y], rows| {
            let columns = rows.columns::<T, Sum<A>>(&input, scratch);
            means(columns, self.factor[4] as usize, rows.count(), out.row(t, c, z, y));
        });
    }

    fn extreme<T: Sample, J: Join<T, Held = T>>(
        &self,
        input: &Tile<'_>,
        output: &mut TileMut<'_>,
        scratch: &mut [u8],
    ) {
        let (input, mut out) = (input.view::<T>(), output.view::<T>());
        self.rows(input.shape(), out.shape(), |[t, c, z, y], rows| {
            let columns = rows.columns::<T, J>(&input, scratch);
            extremes::<T, J>(columns, self.factor[4] as usize, out.row(t, c, z, y));
        });
    }

    fn mode<T: Sample>(&self, input: &Tile<'_>, output: &mut TileMut<'_>, scratch: &mut [u8]) {
        let (input, mut out) = (input.view::<T>(), output.view::<T>());
        let keys: &mut [u64] = bytemuck::cast_slice_mut(scratch);
        let (factor, end) = (self.factor[4] as usize, input.shape()[4]);
        self.rows(input.shape(), out.shape(), |[t, c, z, y], rows| {
            for (n, out) in out.row(t, c, z, y).iter_mut().enumerate() {
                let columns = n * factor..((n + 1) * factor).min(end);
                let mut count = 0;
                rows.each(&input, |_, row| {
                    for &value in &row[columns.clone()] {
                        keys[count] = key(value);
                        count += 1;
                    }
                });
                *out = from_key(most_frequent(&mut keys[..count]));
            }
        });
    }

    fn stride<T: Sample>(&self, input: &Tile<'_>, output: &mut TileMut<'_>) {
        let (input, mut out) = (input.view::<T>(), output.view::<T>());
        self.rows(input.shape(), out.shape(), |[t, c, z, y], rows| {
            let (row, out) = (input.row(rows.t, rows.c, rows.z.0, rows.y.0), out.row(t, c, z, y));
            match self.factor[4] as usize {
                2 => every_second(row, out),
                factor => {
                    out.iter_mut().zip(row.iter().step_by(factor)).for_each(|(out, &value)| *out = value);
                }
            }
        });
    }

    /// The mean with sums that hold a whole block exactly.
    fn means<T: Sample, U: Sample>(&self, input: &Tile<'_>, output: &mut TileMut<'_>, scratch: &mut [u8]) {
        let small = size_of::<T>() <= 2 && self.block() <= 1 << 15;
        match T::DTYPE {
            Dtype::F32 | Dtype::F64 => self.mean::<T, f64, U>(input, output, scratch),
            Dtype::U64 | Dtype::I64 => self.mean::<T, i128, U>(input, output, scratch),
            _ if small => self.mean::<T, i32, U>(input, output, scratch),
            _ => self.mean::<T, i64, U>(input, output, scratch),
        }
    }
}

vectorised! {
    /// The first voxel of each pair, also of the last one if that is alone.
    fn every_second<T: Sample>(row: &[T], out: &mut [T]) {
        for (out, pair) in out.iter_mut().zip(row.chunks_exact(2)) {
            *out = pair[0];
        }
        if let ([last], Some(out)) = (row.chunks_exact(2).remainder(), out.last_mut()) {
            *out = *last;
        }
    }
}

impl Op for Downsample {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        let mut meta = inputs[0].clone();
        if self.float {
            meta.dtype = Dtype::F32;
        }
        if self.averages() && (self.float || meta.kind == Kind::Labels) {
            meta.kind = Kind::Image;
        }
        for axis in Axis::ALL {
            let factor = self.factor[axis.index()];
            meta.shape[axis.index()] = meta.shape[axis.index()].div_ceil(factor);
            if let Some(spacing) = &mut meta.spacing[axis.index()] {
                if self.method != Method::Stride {
                    spacing.origin += (factor - 1) as f64 / 2.0 * spacing.scale;
                }
                spacing.scale *= factor as f64;
            }
        }
        Ok(meta)
    }

    fn footprint(&self, _input: usize) -> Footprint {
        match &self.method {
            Method::Gaussian(smooth) => smooth.footprint(),
            _ => Footprint::blocks(self.factor),
        }
    }

    fn scratch(&self, output: &Shape) -> u64 {
        match &self.method {
            Method::Stride => 0,
            Method::Mode => 8 * self.block(),
            Method::Gaussian(smooth) => smooth.scratch(output),
            // A row of the widest sums.
            _ => 16 * output[4] * self.factor[4],
        }
    }

    fn ns_per_voxel(&self) -> f64 {
        let per_input = match &self.method {
            Method::Gaussian(smooth) => return smooth.ns_per_voxel(),
            Method::Stride => 0.05,
            Method::Mode => 3.0,
            _ => 0.2,
        };
        per_input * self.block() as f64
    }

    fn cpu(&self, inputs: &[Tile<'_>], mut output: TileMut<'_>, scratch: &mut [u8]) {
        let (input, output) = (&inputs[0], &mut output);
        dispatch!(input.dtype(), T => match &self.method {
            Method::Gaussian(smooth) if self.float => smooth.apply::<T, f32>(input, output, scratch),
            Method::Gaussian(smooth) => smooth.apply::<T, T>(input, output, scratch),
            Method::Mean if self.float => self.means::<T, f32>(input, output, scratch),
            Method::Mean => self.means::<T, T>(input, output, scratch),
            Method::Max => self.extreme::<T, Largest>(input, output, scratch),
            Method::Min => self.extreme::<T, Smallest>(input, output, scratch),
            Method::Mode => self.mode::<T>(input, output, scratch),
            Method::Stride => self.stride::<T>(input, output),
        });
    }

    fn no_kernels(&self) -> Option<&'static str> {
        match self.method {
            Method::Mode if self.block() > MODE => Some(why::MODE),
            Method::Gaussian(_) => Some(why::AROUND),
            _ => None,
        }
    }

    fn kernels(&self, inputs: &[Dtype], output: Dtype, _shape: &Shape) -> Option<Kernels> {
        let dtype = inputs[0];
        let mut arguments = [2, 3, 4].map(|a| Argument::U32(self.factor[a] as u32)).to_vec();
        let kernel = match self.method {
            Method::Mean if output == dtype => format!("pool_{dtype}"),
            Method::Mean => format!("pool_{output}_{dtype}"),
            Method::Max | Method::Min => {
                arguments.push(Argument::U32(u32::from(self.method == Method::Max)));
                format!("pool_extreme_{dtype}")
            }
            Method::Mode if self.no_kernels().is_some() => return None,
            Method::Mode => format!("pool_mode_{dtype}"),
            Method::Gaussian(_) => return None,
            Method::Stride => format!("pool_stride_{}", dtype.size()),
        };
        Some(Sweep::over(kernel, arguments).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conforms;
    use crate::testing::{Image, meta, stages, steps};
    use crate::totals::{larger, smaller};
    use voxtile_sched::model::{Element, Grid, Spacing};

    /// The voxels of every block, column by column and the columns from left to right, reduced as a list.
    fn oracle<T: Element, U: Element>(image: &Image, factor: [u64; 3], reduce: impl Fn(&[T]) -> U) -> Image {
        let shape = image.meta().shape;
        let factor = [1, 1, factor[0], factor[1], factor[2]];
        let meta = Meta {
            shape: std::array::from_fn(|a| shape[a].div_ceil(factor[a].min(shape[a].max(1)))),
            ..image.meta().with_dtype(U::DTYPE)
        };
        Image::from_fn(meta, |[t, c, z, y, x]| {
            let range = |a: usize, at: u64| at * factor[a]..((at + 1) * factor[a]).min(shape[a]);
            let mut block = Vec::new();
            for x in range(4, x) {
                for z in range(2, z) {
                    for y in range(3, y) {
                        block.push(image.at::<T>([t, c, z, y, x]));
                    }
                }
            }
            reduce(&block)
        })
    }

    /// Sums of floats follow the kernel's order: down each column, then the columns.
    fn mean(image: &Image, factor: [u64; 3]) -> Image {
        dispatch!(image.meta().dtype, T => oracle(image, factor, |block: &[T]| {
            let sum: i128 = block.iter().map(|v| v.to_i128()).sum();
            let n = block.len() as i128;
            // The whole number nearest to sum / n, the even one of two.
            let mut nearest = sum.div_euclid(n);
            let rest = sum - nearest * n;
            if 2 * rest > n || (2 * rest == n && nearest.rem_euclid(2) == 1) {
                nearest += 1;
            }
            *bytemuck::from_bytes::<T>(&nearest.to_le_bytes()[..size_of::<T>()])
        }))
    }

    fn column_sums<T: Element>(block: &[T], column: usize) -> f64 {
        let sum = |c: &[T]| c[1..].iter().fold(c[0].to_f64(), |s, v| s + v.to_f64());
        let sums: Vec<f64> = block.chunks(column).map(sum).collect();
        sums[1..].iter().fold(sums[0], |s, v| s + v)
    }

    const INTEGERS: [Dtype; 8] =
        [Dtype::U8, Dtype::I8, Dtype::U16, Dtype::I16, Dtype::U32, Dtype::I32, Dtype::U64, Dtype::I64];

    fn mode(image: &Image, factor: [u64; 3]) -> Image {
        dispatch!(image.meta().dtype, T => oracle(image, factor, |block: &[T]| {
            let count = |v: &T| block.iter().filter(|w| bytemuck::bytes_of(*w) == bytemuck::bytes_of(v)).count();
            let most = block.iter().map(count).max().unwrap();
            let frequent = block.iter().copied().filter(|v| count(v) == most);
            frequent.reduce(|a, b| if key(b) < key(a) { b } else { a }).unwrap()
        }))
    }

    fn extreme(image: &Image, factor: [u64; 3], max: bool) -> Image {
        dispatch!(image.meta().dtype, T => oracle(image, factor, |block: &[T]| {
            block.iter().copied().reduce(if max { larger } else { smaller }).unwrap()
        }))
    }

    /// No axis is shorter than its factor, so that the factor is not cut.
    fn large(m: &Meta, least: [u64; 3]) -> bool {
        let axes = [Axis::Z, Axis::Y, Axis::X];
        axes.iter().zip(least).all(|(a, n)| !m.axes.contains(*a) || m.shape[a.index()] >= n)
    }

    fn present(image: &Image, factor: [u64; 3]) -> [u64; 3] {
        [0, 1, 2]
            .map(|a| if image.meta().axes.contains([Axis::Z, Axis::Y, Axis::X][a]) { factor[a] } else { 1 })
    }

    conforms!(
        mean_2: &SPEC, "downsample 2",
        |image| mean(image, present(image, [2, 2, 2])),
        dtypes(&INTEGERS),
        only(|m| large(m, [2; 3])),
    );
    conforms!(
        mean_3_of_last_axes: &SPEC, "downsample 2,3",
        |image| mean(image, present(image, [1, 2, 3])),
        dtypes(&INTEGERS),
        only(|m| m.axes.contains(Axis::Y) && large(m, [1, 2, 3])),
    );
    conforms!(mean_of_floats: &SPEC, "downsample 2", |image| {
        let factor = present(image, [2, 2, 2]);
        match image.meta().dtype {
            Dtype::F32 => oracle(image, factor, |block: &[f32]| (block_mean(block, image, factor)) as f32),
            _ => oracle(image, factor, |block: &[f64]| block_mean(block, image, factor)),
        }
    }, dtypes(&[Dtype::F32, Dtype::F64]), only(|m| large(m, [2; 3]) && even(m)));
    conforms!(mean_as_float: &SPEC, "downsample factor=3 out=f32", |image| {
        dispatch!(image.meta().dtype, T => oracle(image, present(image, [3; 3]), |block: &[T]| {
            (block.iter().map(|v| v.to_i128()).sum::<i128>() as f64 / block.len() as f64) as f32
        }))
    }, dtypes(&INTEGERS), only(|m| large(m, [3; 3])));
    conforms!(
        max_3: &SPEC, "downsample 3 method=max",
        |image| extreme(image, present(image, [3; 3]), true),
        only(|m| large(m, [3; 3])),
    );
    conforms!(
        min_2: &SPEC, "downsample 2 method=min",
        |image| extreme(image, present(image, [2; 3]), false),
        only(|m| large(m, [2; 3])),
    );
    conforms!(
        mode_of_large_blocks: &SPEC, "downsample 4,9 method=mode",
        |image| mode(image, present(image, [1, 4, 9])),
        only(|m| m.axes.contains(Axis::Y) && large(m, [1, 4, 9])),
    );
    conforms!(
        mode_2: &SPEC, "downsample 2 method=mode",
        |image| mode(image, present(image, [2; 3])),
        only(|m| large(m, [2; 3])),
    );
    conforms!(stride_3: &SPEC, "downsample 3 method=stride", |image| {
        dispatch!(image.meta().dtype, T => oracle(image, present(image, [3; 3]), |block: &[T]| block[0]))
    }, only(|m| large(m, [3; 3])));

    /// Along z, y and x in turn: every voxel times its weight, from the first to the last, with the image mirrored at its edges.
    fn gaussian<T: Element, U: Element>(image: &Image, factor: [u64; 3]) -> Image {
        let mut shape = image.meta().shape;
        let positions = |shape: Shape| Grid::new(shape, [1; 5]).iter();
        let mut values: Vec<f64> = positions(shape).map(|p| image.at::<T>(p).to_f64()).collect();
        for (axis, f) in [2, 3, 4].into_iter().zip(factor) {
            let (weights, n) = (crate::smooth::weights(f), shape[axis] as i64);
            let before = (weights.len() as i64 - f as i64) / 2;
            let mut out = shape;
            out[axis] = shape[axis].div_ceil(f);
            let voxel = |mut p: Shape, k: usize| {
                let at = (p[axis] * f) as i64 - before + k as i64;
                let at = at.rem_euclid(2 * n);
                p[axis] = at.min(2 * n - 1 - at) as u64;
                weights[k] * values[Grid::new(shape, [1; 5]).linear(&p) as usize]
            };
            let sum = |p: Shape| (0..weights.len()).fold(0.0, |sum, k| sum + voxel(p, k));
            values = positions(out).map(sum).collect();
            shape = out;
        }
        let grid = Grid::new(shape, [1; 5]);
        let meta = Meta { shape, ..image.meta().with_dtype(U::DTYPE) };
        Image::from_fn(meta, |p| U::from_f64(values[grid.linear(&p) as usize]))
    }

    conforms!(gaussian_2: &SPEC, "downsample 2 method=gaussian", |image| {
        dispatch!(image.meta().dtype, T => gaussian::<T, T>(image, present(image, [2; 3])))
    }, only(|m| large(m, [2; 3])));
    conforms!(gaussian_of_last_axes_as_float: &SPEC, "downsample 3,4 method=gaussian out=f32", |image| {
        dispatch!(image.meta().dtype, T => gaussian::<T, f32>(image, present(image, [1, 3, 4])))
    }, only(|m| m.axes.contains(Axis::Y) && large(m, [1, 3, 4])));

    conforms!(stride_2: &SPEC, "downsample 2 method=stride", |image| {
        dispatch!(image.meta().dtype, T => oracle(image, present(image, [2; 3]), |block: &[T]| block[0]))
    }, only(|m| large(m, [2; 3])));

    /// Only whole blocks along z and y: every column then has the same length.
    fn even(m: &Meta) -> bool {
        [Axis::Z, Axis::Y].iter().all(|a| !m.axes.contains(*a) || m.shape[a.index()].is_multiple_of(2))
    }

    fn block_mean<T: Element>(block: &[T], image: &Image, factor: [u64; 3]) -> f64 {
        assert!(even(image.meta()));
        column_sums(block, (factor[0] * factor[1]) as usize) / block.len() as f64
    }

    #[test]
    fn halves_go_to_the_even_neighbour() {
        let image = Image::of::<u8>("x", &[8], &[0, 1, 1, 2, 254, 255, 2, 3]);
        assert_eq!(steps("downsample 2", &image).values::<u8>(), [0, 2, 254, 2]);
        let image = Image::of::<i16>("x", &[4], &[-1, 0, -2, -1]);
        assert_eq!(steps("downsample 2", &image).values::<i16>(), [0, -2]);
    }

    #[test]
    fn large_blocks_of_small_types_do_not_overflow() {
        let sizes = [300, 300];
        let image = Image::of::<u16>("yx", &sizes, &vec![u16::MAX; 90_000]);
        assert_eq!(steps("downsample 300", &image).values::<u16>(), [u16::MAX]);
        assert_eq!(steps("downsample 1000", &image).values::<u16>(), [u16::MAX]);
    }

    #[test]
    fn ties_of_the_mode_go_to_the_smallest() {
        let image = Image::of::<i32>("yx", &[2, 4], &[5, 5, -1, 7, -3, -3, 7, -1]);
        assert_eq!(steps("downsample 2 method=mode", &image).values::<i32>(), [-3, -1]);
    }

    #[test]
    fn keys_sort_as_values_and_return() {
        let values = [f32::NEG_INFINITY, -2.5, -0.0, 0.0, 1e-40, 3.0, f32::INFINITY];
        assert!(values.map(key).is_sorted());
        assert!(values.iter().all(|v| from_key::<f32>(key(*v)).to_bits() == v.to_bits()));
        assert!([i8::MIN, -1, 0, 1, i8::MAX].map(key).is_sorted());
        assert_eq!(from_key::<i8>(key(-5i8)), -5);
    }

    #[test]
    fn voxels_grow_and_their_centres_move_with_blocks() {
        let mut image = meta("yx", &[9, 10], Dtype::U16);
        image.spacing[4] = Some(Spacing { scale: 0.5, origin: 1.0, unit: None });
        let place = |text: &str| {
            let stages = stages(&SPEC, text, std::slice::from_ref(&image)).unwrap();
            let small = stages[0].op.output(std::slice::from_ref(&image)).unwrap();
            let spacing = small.spacing[4].clone().unwrap();
            (small.dims(), spacing.scale, spacing.origin)
        };
        assert_eq!(place("downsample 4"), (vec![3, 3], 2.0, 1.75));
        assert_eq!(place("downsample 4 method=stride"), (vec![3, 3], 2.0, 1.0));
    }

    #[test]
    fn only_the_mean_has_another_type() {
        let image = [meta("x", &[9], Dtype::U16)];
        assert!(stages(&SPEC, "downsample 2 method=max out=f32", &image).is_err());
    }
}
