//! Mask of the voxels where objects end.
//!
//! Label image or mask of an integer type → u8 mask of the same shape: 1 where a neighbour has another value. Neighbours
//! differ by one along at most `connectivity` space axes; outside the image there are none. `mode=thick` marks both sides,
//! `inner` those that are not 0, `outer` the background beside objects, and both objects where two touch (by a corner too).
//! Equal to `skimage.segmentation.find_boundaries(labels, connectivity, mode)` for values of 0 and more. Halo: one voxel. Cost:
//! 0.1 ns a voxel and neighbour; no scratch.

use super::label::{CONNECTIVITY, connectivity};
use crate::objects::{differ, whole_numbers};
use crate::pointwise::for_rows;
use crate::spec::{Build, Param, Spec, Value};
use crate::vectorised;
use std::sync::Arc;
use voxtile_sched::contract::device::{Argument, Sweep};
use voxtile_sched::contract::{Footprint, Kernels, Op, Refused};
use voxtile_sched::dispatch;
use voxtile_sched::model::{Axis, AxisSet, Border, Dtype, Element, Halo, Kind, Meta, Shape, Tile, TileMut};

/// `boundaries mode=inner`.
pub(super) static SPEC: Spec = Spec {
    name: "boundaries",
    about: "mask of the voxels where objects end",
    params: &[
        Param {
            name: "mode",
            value: Value::Choice(&["thick", "inner", "outer"]),
            default: Some("thick"),
            about: "which side of a boundary",
        },
        CONNECTIVITY,
    ],
    inputs: 1,
    example: "threshold 900 | label | boundaries mode=inner",
    build: Build::One(|args| {
        let mode = args.choice("mode")?;
        let space = args.input().axes.space();
        Ok(Arc::new(Boundaries {
            mode,
            space,
            connectivity: connectivity(args)?,
            near: offsets(space, connectivity(args)?),
            all: offsets(space, 3),
        }))
    }),
};

struct Boundaries {
    mode: &'static str,
    space: AxisSet,
    connectivity: u8,
    /// Where neighbours lie within the input, along z, y, x; the voxel itself is one further than the tile's on each axis
    /// that exists.
    near: Vec<[usize; 3]>,
    /// Those with a corner in common too.
    all: Vec<[usize; 3]>,
}

/// Places of neighbours that differ along at most so many axes.
fn offsets(space: AxisSet, connectivity: u8) -> Vec<[usize; 3]> {
    let exists = [Axis::Z, Axis::Y, Axis::X].map(|axis| space.contains(axis));
    let places = (0..27).map(|n| [n / 9, n / 3 % 3, n % 3]);
    let inside = places.filter(|p| (0..3).all(|a| exists[a] || p[a] == 1));
    let near =
        inside.filter(|p| (1..=connectivity).contains(&(p.iter().filter(|at| **at != 1).count() as u8)));
    near.map(|p| std::array::from_fn(|a| if exists[a] { p[a] } else { 0 })).collect()
}

impl Op for Boundaries {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        whole_numbers(&inputs[0])?;
        Ok(inputs[0].with_dtype(Dtype::U8).with_kind(Kind::Mask))
    }

    fn footprint(&self, _input: usize) -> Footprint {
        Footprint::Halo(Halo::symmetric(Axis::ALL.map(|axis| u64::from(self.space.contains(axis)))))
    }

    fn border(&self) -> Border {
        // A neighbour outside the image is the voxel itself, or one that is a neighbour anyway.
        Border::Nearest
    }

    fn ns_per_voxel(&self) -> f64 {
        0.1 * (1 + self.near.len() + if self.mode == "outer" { self.all.len() } else { 0 }) as f64
    }

    fn cpu(&self, inputs: &[Tile<'_>], mut output: TileMut<'_>, _scratch: &mut [u8]) {
        let mut out = output.view::<u8>();
        let shape = out.shape();
        let here = [Axis::Z, Axis::Y, Axis::X].map(|axis| usize::from(self.space.contains(axis)));
        dispatch!(inputs[0].dtype(), T => {
            let rows = inputs[0].view::<T>();
            for_rows(shape, |t, c, z, y| {
                let row = |at: [usize; 3]| &rows.row(t, c, z + at[0], y + at[1])[at[2]..][..shape[4]];
                let (own, out) = (row(here), out.row(t, c, z, y));
                out.fill(0);
                self.near.iter().for_each(|at| differ(own, row(*at), out));
                match self.mode {
                    "thick" => {}
                    "inner" => objects(own, out),
                    _ => {
                        self.all.iter().for_each(|at| touch(own, row(*at), out));
                        background(own, out);
                    }
                }
            });
        });
    }

    fn kernels(&self, inputs: &[Dtype], _output: Dtype, _shape: &Shape) -> Option<Kernels> {
        let has = |axis: Axis| u32::from(self.space.contains(axis));
        let axes = has(Axis::Z) << 2 | has(Axis::Y) << 1 | has(Axis::X);
        let mode = match self.mode {
            "thick" => 0,
            "inner" => 1,
            _ => 2,
        };
        let arguments = [axes, u32::from(self.connectivity), mode].map(Argument::U32).to_vec();
        Some(Sweep::over(format!("boundaries_{}", inputs[0].size()), arguments).into())
    }
}

vectorised! {
    /// Leaves what is not 0.
    fn objects<T: Element>(row: &[T], to: &mut [u8]) {
        for (to, v) in to.iter_mut().zip(row) {
            *to &= u8::from(*v != T::default());
        }
    }
}

vectorised! {
    /// Sets bit 1 beside other objects.
    fn touch<T: Element>(row: &[T], other: &[T], to: &mut [u8]) {
        for ((to, a), b) in to.iter_mut().zip(row).zip(other) {
            *to |= u8::from((a != b) & (*b != T::default())) << 1;
        }
    }
}

vectorised! {
    /// Leaves the background, and what has bit 1.
    fn background<T: Element>(row: &[T], to: &mut [u8]) {
        for (to, v) in to.iter_mut().zip(row) {
            *to &= u8::from(*v == T::default()) | *to >> 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::SPEC;
    use crate::conforms;
    use crate::testing::Image;
    use voxtile_sched::dispatch;
    use voxtile_sched::model::{Dtype, Element, Kind, Meta, PerAxis};

    const LABELS: [Dtype; 4] = [Dtype::U8, Dtype::U16, Dtype::U32, Dtype::I64];

    /// The voxels of the image that differ in place by one along at most `connectivity` space axes.
    fn near(image: &Image, at: PerAxis<u64>, connectivity: usize) -> Vec<PerAxis<u64>> {
        let offsets = (0..27).map(|n| [0, 0, n / 9 - 1, n / 3 % 3 - 1, n % 3 - 1i64]);
        let close = offsets.filter(|o| (1..=connectivity).contains(&o.iter().filter(|d| **d != 0).count()));
        let moved = close.map(|o| -> PerAxis<i64> { std::array::from_fn(|a| at[a] as i64 + o[a]) });
        let shape = image.meta().shape;
        let inside = moved.filter(|p| (0..5).all(|a| (0..shape[a] as i64).contains(&p[a])));
        inside.map(|p| p.map(|v| v as u64)).collect()
    }

    fn oracle(image: &Image, mode: &str, connectivity: usize) -> Image {
        let meta = Meta { kind: Kind::Mask, ..image.meta().with_dtype(Dtype::U8) };
        dispatch!(image.meta().dtype, T => Image::from_fn(meta.clone(), |at: PerAxis<u64>| {
            let value: T = image.at(at);
            let zero = <T as Element>::from_f64(0.0);
            let other = |near: &PerAxis<u64>| image.at::<T>(*near) != value;
            let object = |near: &PerAxis<u64>| other(near) && image.at::<T>(*near) != zero;
            let ends = near(image, at, connectivity).iter().any(other);
            u8::from(ends && match mode {
                "thick" => true,
                "inner" => value != zero,
                _ => value == zero || near(image, at, 3).iter().any(object),
            })
        }))
    }

    conforms!(both_sides: &SPEC, "boundaries", |image| oracle(image, "thick", 1), dtypes(&LABELS));
    conforms!(
        inside: &SPEC, "boundaries inner connectivity=2", |image| oracle(image, "inner", 2), dtypes(&LABELS),
        only(|meta| meta.axes.space().len() > 1),
    );
    conforms!(outside: &SPEC, "boundaries outer", |image| oracle(image, "outer", 1), dtypes(&LABELS));
}
