//! What an operation promises that makes a table, run over many images.

use super::conformance::{IMAGES, SMALL, TILES, inputs, stages};
use super::device;
use super::execute::{WHOLE, tabulate};
use super::image::{Fill, Image, meta};
use crate::spec::{From, Spec};
use voxtile_sched::contract::{Table, Values};
use voxtile_sched::model::{Dtype, Meta, voxels};

/// Runs a step that makes a table over images of every shape and of these sample types: whole numbers and texts must be
/// the oracle's, other numbers to 1e-9 of their size, and all of them the same bits in any tiling.
///
/// # Panics
/// With the image, the tile and the first row that differs.
#[track_caller]
pub fn check_table(
    spec: &'static Spec,
    step: &str,
    dtypes: &[Dtype],
    accepts: fn(&Meta) -> bool,
    oracle: impl Fn(&[Image]) -> Table,
) {
    const FILLS: [Fill; 3] = [Fill::Few, Fill::Noise, Fill::Ramp];
    let mut met = 0;
    for (d, &dtype) in dtypes.iter().enumerate() {
        for (i, (axes, sizes)) in IMAGES.iter().enumerate().filter(|(_, (_, sizes))| !sizes.contains(&0)) {
            let meta = meta(axes, sizes, dtype);
            if !accepts(&meta) {
                continue;
            }
            met += 1;
            let fill = FILLS[(i + d) % FILLS.len()];
            let first = Image::filled(meta.clone(), fill, (100 * d + i) as u64);
            let other = |n: usize| Image::filled(meta.clone(), FILLS[n % FILLS.len()], n as u64);
            let images: Vec<Image> =
                std::iter::once(first).chain((1..inputs(spec, step)).map(other)).collect();
            let context = format!("`{step}` on {dtype} {axes} {sizes:?} of {fill:?}");
            let metas: Vec<Meta> = images.iter().map(|i| i.meta().clone()).collect();
            let stages = stages(spec, step, &metas).unwrap_or_else(|refused| panic!("{context}: {refused}"));
            let read: Vec<&Image> = images.iter().collect();
            let whole = tabulate(&stages, &read, WHOLE);
            if !device::only() {
                same(&whole, &oracle(&images), 1e-9, &format!("{context}: not the oracle's"));
            }
            let last = stages.last().expect("a step has a stage");
            let direct = |from: &From| match *from {
                From::Input(n) => Some(&images[n]),
                From::Stage(_) => None,
            };
            if let Some(read) = last.inputs.iter().map(direct).collect::<Option<Vec<&Image>>>() {
                device::compare_table(&*last.op, &read, &whole, || context.clone());
            }
            if device::only() {
                continue;
            }
            let large = voxels(&meta.shape) > SMALL;
            for tile in TILES.iter().filter(|tile| !large || voxels(tile) >= 200) {
                let tiled = tabulate(&stages, &read, *tile);
                same(&tiled, &whole, 0.0, &format!("{context}: in tiles of {tile:?}"));
            }
        }
    }
    assert!(met > 0, "`{step}` was given no image");
}

/// Asserts that two tables agree; real numbers may be so much of their size apart.
///
/// # Panics
/// With the first column and row that differ.
#[track_caller]
pub fn same(got: &Table, want: &Table, tolerance: f64, context: &str) {
    let names = |t: &Table| t.columns.iter().map(|c| c.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(got), names(want), "{context}: columns");
    assert_eq!(got.rows(), want.rows(), "{context}: rows");
    for (a, b) in got.columns.iter().zip(&want.columns) {
        let (Values::Real(x), Values::Real(y)) = (&a.values, &b.values) else {
            assert_eq!(a.values, b.values, "{context}: {}", a.name);
            continue;
        };
        for (row, (x, y)) in x.iter().zip(y).enumerate() {
            let near = x == y || (x - y).abs() <= tolerance * x.abs().max(y.abs()).max(1e-3);
            assert!(near || (x.is_nan() && y.is_nan()), "{context}: {} of row {row}: {x}, not {y}", a.name);
        }
    }
}
