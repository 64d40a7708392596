//! Components found by flooding, voxel by voxel.

use crate::pointwise::Sample;
use crate::testing::Image;
use std::collections::{HashMap, HashSet};
use voxtile_sched::dispatch;
use voxtile_sched::model::{Meta, PerAxis, Shape, voxels};

/// Which voxels are looked at, and which neighbours belong together.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Foreground {
    NonZero,
    Zero,
    /// Not zero, and equal to each other.
    Value,
}

/// The voxels of each component, in raster order of the first ones.
fn components(image: &Image, foreground: Foreground, connectivity: usize) -> Vec<Vec<PerAxis<u64>>> {
    dispatch!(image.meta().dtype, T => flood::<T>(image, foreground, connectivity))
}

fn flood<T: Sample>(image: &Image, foreground: Foreground, connectivity: usize) -> Vec<Vec<PerAxis<u64>>> {
    let shape = image.meta().shape;
    let value = |at: PerAxis<u64>| -> T { image.at(at) };
    let belongs = |at| (value(at) != T::from_f64(0.0)) != (foreground == Foreground::Zero);
    let mut seen = HashSet::new();
    let mut out = Vec::new();
    for first in (0..voxels(&shape)).map(|n| position(&shape, n)) {
        if !belongs(first) || !seen.insert(first) {
            continue;
        }
        let mut found = vec![first];
        let mut next = 0;
        while let Some(&at) = found.get(next) {
            next += 1;
            for near in neighbours(at, &shape, connectivity) {
                // Bits, because a NaN joins its like.
                let same = foreground != Foreground::Value || value(near).to_word() == value(at).to_word();
                if belongs(near) && same && seen.insert(near) {
                    found.push(near);
                }
            }
        }
        out.push(found);
    }
    out
}

/// The number of each voxel of the components that `stays` keeps, counted from 1.
pub(crate) fn numbers(
    image: &Image,
    foreground: Foreground,
    connectivity: usize,
    stays: impl Fn(&[PerAxis<u64>]) -> bool,
) -> HashMap<PerAxis<u64>, u32> {
    let staying = components(image, foreground, connectivity).into_iter().filter(|voxels| stays(voxels));
    let each = |(n, voxels): (usize, Vec<PerAxis<u64>>)| voxels.into_iter().map(move |at| (at, n as u32 + 1));
    staying.enumerate().flat_map(each).collect()
}

/// Whether none of the voxels lies at the edge of the image.
pub(crate) fn inside(meta: &Meta, voxels: &[PerAxis<u64>]) -> bool {
    let at_edge = |at: &PerAxis<u64>, a: usize| at[a] == 0 || at[a] + 1 == meta.shape[a];
    !voxels.iter().any(|at| meta.axes.space().iter().any(|axis| at_edge(at, axis.index())))
}

fn position(shape: &Shape, mut n: u64) -> PerAxis<u64> {
    let mut at = [0; 5];
    for a in (0..5).rev() {
        (at[a], n) = (n % shape[a], n / shape[a]);
    }
    at
}

fn neighbours(at: PerAxis<u64>, shape: &Shape, connectivity: usize) -> Vec<PerAxis<u64>> {
    let offsets = (0..27).map(|n| [0, 0, n / 9 - 1, n / 3 % 3 - 1, n % 3 - 1i64]);
    let near = offsets.filter(|o| (1..=connectivity).contains(&o.iter().filter(|d| **d != 0).count()));
    let moved = near.map(|o| -> PerAxis<i64> { std::array::from_fn(|a| at[a] as i64 + o[a]) });
    let inside = moved.filter(|p| (0..5).all(|a| (0..shape[a] as i64).contains(&p[a])));
    inside.map(|p| p.map(|v| v as u64)).collect()
}
