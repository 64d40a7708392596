//! Laplacian: the sum of the second differences.
//!
//! Any sample type → f32, same shape; acts on the space axes present: `left - 2 · centre + right` along each, added.
//! Cost: 0.4 ns per voxel; no scratch.
//!
//! Bit-equal to `scipy.ndimage.laplace(image.astype(float32))`: the image is rounded to f32, second differences are f64
//! sums rounded to f32 once, and added in f32 in the order z, y, x.

use crate::pointwise::for_rows;
use crate::spec::{ArgError, Args, BORDER, Build, CVAL, Spec};
use crate::vectorised;
use std::sync::Arc;
use voxtile_sched::contract::device::{Argument, Sweep};
use voxtile_sched::contract::{Footprint, Kernels, Op, Refused};
use voxtile_sched::dispatch;
use voxtile_sched::model::{AxisSet, Border, Dtype, Element, Kind, Meta, PerAxis, Shape, Tile, TileMut};

/// The table's entry.
pub(crate) static SPEC: Spec = Spec {
    name: "laplace",
    about: "Laplacian: sum of the second differences along the axes",
    params: &[BORDER, CVAL],
    inputs: 1,
    example: "laplace",
    build: Build::Linear(build),
};

fn build(args: &Args<'_>) -> Result<Arc<dyn Op>, ArgError> {
    Ok(Arc::new(Laplace { axes: args.input().axes.space(), border: args.border()? }))
}

struct Laplace {
    axes: AxisSet,
    border: Border,
}

impl Laplace {
    /// Voxels read on either side.
    fn reach(&self) -> PerAxis<usize> {
        self.axes.spread(&[1; 3][..self.axes.len()], 0)
    }
}

impl Op for Laplace {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        Ok(inputs[0].with_dtype(Dtype::F32).with_kind(Kind::Image))
    }

    fn footprint(&self, _input: usize) -> Footprint {
        Footprint::radius(self.reach().map(|n| n as u64))
    }

    fn border(&self) -> Border {
        self.border
    }

    fn ns_per_voxel(&self) -> f64 {
        0.4
    }

    fn cpu(&self, inputs: &[Tile<'_>], mut output: TileMut<'_>, _scratch: &mut [u8]) {
        let mut to = output.view::<f32>();
        let shape = to.shape();
        if shape.contains(&0) {
            return;
        }
        let [.., rz, ry, rx] = self.reach();
        dispatch!(inputs[0].dtype(), T => {
            let input = inputs[0].view::<T>();
            // Second differences of small integers are exact in f32.
            let line = if !T::DTYPE.is_float() && size_of::<T>() <= 2 { line::<T, f32> } else { line::<T, f64> };
            for_rows(shape, |t, c, z, y| {
                let row = |dz: usize, dy: usize, dx: usize| &input.row(t, c, z + dz, y + dy)[dx..dx + shape[4]];
                let pairs = [
                    (rz == 1).then(|| [row(0, ry, rx), row(2 * rz, ry, rx)]),
                    (ry == 1).then(|| [row(rz, 0, rx), row(rz, 2 * ry, rx)]),
                    (rx == 1).then(|| [row(rz, ry, 0), row(rz, ry, 2 * rx)]),
                ];
                line(row(rz, ry, rx), pairs, to.row(t, c, z, y));
            });
        });
    }

    fn kernels(&self, inputs: &[Dtype], _output: Dtype, _shape: &Shape) -> Option<Kernels> {
        let [.., z, y, x] = self.reach().map(|n| n as u32);
        let arguments = vec![Argument::U32(z << 2 | y << 1 | x)];
        (z + y + x > 0).then(|| Sweep::over(format!("laplace_{}", inputs[0]), arguments).into())
    }
}

/// What second differences are computed in.
trait Real: Copy {
    fn of(value: f32) -> Self;
    fn second(left: Self, centre: Self, right: Self) -> f32;
}

impl Real for f32 {
    #[inline(always)]
    fn of(value: f32) -> Self {
        value
    }
    #[inline(always)]
    fn second(left: Self, centre: Self, right: Self) -> f32 {
        centre * -2.0 + (left + right)
    }
}

impl Real for f64 {
    #[inline(always)]
    fn of(value: f32) -> Self {
        Self::from(value)
    }
    #[inline(always)]
    fn second(left: Self, centre: Self, right: Self) -> f32 {
        (centre * -2.0 + (left + right)) as f32
    }
}

vectorised! {
    /// A row of results from a row of samples and, along each axis that counts, its two neighbours.
    fn line<T: Element, R: Real>(centre: &[T], pairs: [Option<[&[T]; 2]>; 3], to: &mut [f32]) {
        let value = |v: &T| R::of(v.to_f32());
        match pairs {
            [Some([front, back]), Some([above, below]), Some([left, right])] => {
                let pairs = front.iter().zip(back).zip(above.iter().zip(below)).zip(left.iter().zip(right));
                for ((to, c), (((f, b), (a, d)), (l, r))) in to.iter_mut().zip(centre).zip(pairs) {
                    let c = value(c);
                    *to = R::second(value(f), c, value(b))
                        + R::second(value(a), c, value(d))
                        + R::second(value(l), c, value(r));
                }
            }
            _ => {
                let mut sum = false;
                for [left, right] in pairs.into_iter().flatten() {
                    for (((to, c), l), r) in to.iter_mut().zip(centre).zip(left).zip(right) {
                        let second = R::second(value(l), value(c), value(r));
                        *to = if sum { *to + second } else { second };
                    }
                    sum = true;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conforms;
    use crate::testing::Image;
    use voxtile_sched::model::Axis;

    fn oracle(image: &Image, border: Border) -> Image {
        let image: Image = dispatch!(image.meta().dtype, T => image.map(|v: T| v.to_f32()));
        Image::from_fn(image.meta().clone(), |p| {
            let second = |axis: usize| {
                let at = |offset: i64| {
                    let mut from = p;
                    match (border.map(p[axis] as i64 + offset, image.meta().shape[axis]), border) {
                        (Some(q), _) => from[axis] = q as u64,
                        (None, Border::Constant(c)) => return c,
                        (None, _) => unreachable!(),
                    }
                    f64::from(image.at::<f32>(from))
                };
                (at(0) * -2.0 + (at(-1) + at(1))) as f32
            };
            image.meta().axes.space().iter().map(Axis::index).map(second).reduce(|a, b| a + b).unwrap()
        })
    }

    conforms!(reflect: &SPEC, "laplace", |image| oracle(image, Border::Reflect));
    conforms!(mirror: &SPEC, "laplace border=mirror", |image| oracle(image, Border::Mirror));
    conforms!(constant: &SPEC, "laplace border=constant cval=7", |i| oracle(i, Border::Constant(7.0)));
}
