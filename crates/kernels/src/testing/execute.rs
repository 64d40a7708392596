//! A slow and plain executor: the reference for the engine, and for what users expect of their own operations.
//!
//! It reads nothing of the engine. Each output tile asks the operation for its footprint, the input is cut voxel by
//! voxel through the border rule, and the operation is called on it.

use super::image::{Bytes, Image, Random, linear, position};
use super::joins::JOINS;
use crate::spec::{From as Reads, Stage};
use std::any::Any;
use std::collections::VecDeque;
use std::sync::Arc;
use voxtile_sched::contract::{
    Fold, Footprint, Global, Merge, Op, Pass, Propagate, Resolved, Statistic, Table, Tabled, Tally,
};
use voxtile_sched::dispatch;
use voxtile_sched::model::{
    Axis, Border, Element, Grid, Halo, Meta, NDIM, PerAxis, Region, Shape, Tile, TileMut,
};

/// A tile shape that covers every test image.
pub const WHOLE: Shape = [1 << 40; NDIM];

/// Result of one operation over whole images, computed in tiles of that shape.
///
/// # Panics
/// If the operation refuses the inputs, or breaks the contract.
#[must_use]
pub fn run(op: &dyn Op, inputs: &[&Image], tile: Shape) -> Image {
    execute(op, inputs, tile, None)
}

/// Result of the stages of a step, each over the whole image that the stages before it made.
///
/// # Panics
/// As [`run`].
#[must_use]
pub fn apply(stages: &[Stage], inputs: &[&Image], tile: Shape) -> Image {
    apply_guarded(stages, inputs, tile, None)
}

/// As [`apply`]; with a seed, every tile lies within random bytes, as a part of a larger buffer would, and writing
/// outside the output tile is noticed.
pub(super) fn apply_guarded(stages: &[Stage], inputs: &[&Image], tile: Shape, guard: Option<u64>) -> Image {
    let mut made: Vec<Image> = Vec::new();
    for stage in stages {
        let read: Vec<&Image> = stage
            .inputs
            .iter()
            .map(|from| match *from {
                Reads::Input(n) => inputs[n],
                Reads::Stage(n) => &made[n],
            })
            .collect();
        made.push(execute(&*stage.op, &read, tile, guard));
    }
    made.pop().expect("a step has a stage")
}

/// The table that the last stage of a step makes of whole images.
///
/// # Panics
/// If the operation refuses the inputs, or makes no table.
#[must_use]
pub fn tabulate(stages: &[Stage], inputs: &[&Image], tile: Shape) -> Table {
    let (Stage { op, inputs: from }, before) = stages.split_last().expect("a step has a stage");
    let Pass::Tally(tally) = op.pass() else { panic!("`{}` makes no table", op.name()) };
    let made: Vec<Image> = (1..=before.len()).map(|n| apply(&before[..n], inputs, tile)).collect();
    let inputs: Vec<&Image> = from
        .iter()
        .map(|from| match *from {
            Reads::Input(n) => inputs[n],
            Reads::Stage(n) => &made[n],
        })
        .collect();
    let metas: Vec<Meta> = inputs.iter().map(|i| i.meta().clone()).collect();
    op.output(&metas).unwrap_or_else(|refused| panic!("`{}` {refused}", op.name()));
    let grid = Grid::new(metas[0].shape, tile);
    let regions: Vec<Region> = grid.iter().map(|i| grid.region(&i)).collect();
    let pass = |tally: &dyn Tally| {
        let mut table = tally.tabulator(&metas[0]);
        for region in regions.iter().rev() {
            let read = cut_inputs(&**op, &inputs, region);
            let tiles: Vec<Tile<'_>> = read.iter().map(Image::tile).collect();
            let part = tally.local(&tiles, region);
            table.absorb(again(part, |part| tally.pack(part), |bytes| tally.unpack(bytes)));
        }
        table.finish().unwrap_or_else(|refused| panic!("`{}` {refused}", op.name()))
    };
    let (mut tabled, mut passes) = (pass(tally), 1);
    while let Tabled::Again(next) = tabled {
        (tabled, passes) = (pass(&*next), passes + 1);
    }
    assert!(passes <= tally.passes(), "`{}` passes {passes} times", op.name());
    let Tabled::Done(table) = tabled else { unreachable!("the loop ends with a table") };
    table
}

/// What a tile tells, as a later run reads it, where the operation packs it.
fn again(
    told: Box<dyn Any + Send>,
    pack: impl Fn(&(dyn Any + Send)) -> Option<Vec<u8>>,
    unpack: impl Fn(&[u8]) -> Option<Box<dyn Any + Send>>,
) -> Box<dyn Any + Send> {
    match pack(&*told) {
        Some(bytes) => unpack(&bytes).expect("what was packed is unpacked"),
        None => told,
    }
}

fn execute(op: &dyn Op, inputs: &[&Image], tile: Shape, guard: Option<u64>) -> Image {
    let metas: Vec<Meta> = inputs.iter().map(|i| i.meta().clone()).collect();
    let meta = op.output(&metas).unwrap_or_else(|refused| panic!("`{}` {refused}", op.name()));
    // Voxels that no tile writes stay poisoned.
    let mut out = Image::with_fill(meta, 0xA5);
    let grid = Grid::new(out.meta().shape, tile);
    match op.pass() {
        Pass::Local | Pass::Placed(_) => {
            for region in grid.iter().map(|i| grid.region(&i)) {
                let read: Vec<Image> = cut_inputs(op, inputs, &region);
                let written = call(op, &read, &region, inputs, out.meta(), guard);
                out.tile_mut().part(&region).copy_from(&written.tile());
            }
        }
        Pass::Fold(fold) => {
            for region in grid.iter().map(|i| grid.region(&i)) {
                folded(fold, inputs[0], &region, tile[fold.axis().index()], &mut out);
            }
        }
        Pass::Global(global) => {
            let local = resolve(global, inputs, tile);
            return execute(&*local, inputs, tile, guard);
        }
        Pass::Merge(merge) => merged(op, merge, inputs, &grid, &mut out),
        Pass::Propagate(propagate) => propagated(propagate, inputs, &grid, &mut out),
        Pass::Tally(_) => panic!("`{}` makes a table", op.name()),
    }
    out
}

/// What the operation reads of each input to make `region`, padded at the edge of the image.
pub(super) fn cut_inputs(op: &dyn Op, inputs: &[&Image], region: &Region) -> Vec<Image> {
    let read = |(n, image): (usize, &&Image)| {
        let seen = reads(op, n, region, &image.meta().shape);
        let inside = Region::whole(image.meta().shape).contains(&seen);
        assert!(inside || op.footprint(n).is_padded(), "`{}` reads {seen} of input {n}", op.name());
        cut(image, &seen, op.border())
    };
    inputs.iter().enumerate().map(read).collect()
}

/// What the operation reads of an input; the same empty region for all that need nothing of it.
fn reads(op: &dyn Op, input: usize, out: &Region, image: &Shape) -> Region {
    let seen = op.reads(input, out, image);
    match op.footprint(input) {
        Footprint::Mapped { .. } if seen.is_empty() => Region::new([0; NDIM], [0; NDIM]),
        _ => seen,
    }
}

/// A region of an image that may reach beyond its edge, voxel by voxel through the border rule.
#[must_use]
pub fn cut(image: &Image, region: &Region, border: Border) -> Image {
    let shape = image.meta().shape;
    let mut out = Image::new(Meta { shape: region.shape, ..image.meta().clone() });
    dispatch!(image.meta().dtype, T => {
        for (n, value) in out.values_mut::<T>().iter_mut().enumerate() {
            let at = position(&region.shape, n);
            let mut from = [0; NDIM];
            let mut inside = true;
            for a in 0..NDIM {
                match border.map(region.start[a] + at[a] as i64, shape[a]) {
                    Some(p) => from[a] = p as u64,
                    None => inside = false,
                }
            }
            *value = match border {
                Border::Constant(constant) if !inside => T::from_f64(constant),
                _ => image.values::<T>()[linear(&shape, &from)],
            };
        }
    });
    out
}

/// One call of the operation on prepared inputs, with exactly the scratch that it declares, filled with garbage.
pub(super) fn call(
    op: &dyn Op,
    inputs: &[Image],
    region: &Region,
    images: &[&Image],
    meta: &Meta,
    guard: Option<u64>,
) -> Image {
    let shape = &region.shape;
    let bytes = usize::try_from(op.scratch(shape)).expect("scratch fits in memory");
    // NaN in every float type, and a large number in every integer type.
    let mut scratch = Bytes::new(bytes + 64, 0xFF);
    let skip = scratch.get().as_ptr().align_offset(64);
    let scratch = &mut scratch.get_mut()[skip..skip + bytes];
    let meta = Meta { shape: *shape, ..meta.clone() };
    let work = |tiles: &[Tile<'_>], out: TileMut<'_>, scratch: &mut [u8]| match op.pass() {
        Pass::Placed(placed) => {
            let shapes = images.iter().map(|image| image.meta().shape).enumerate();
            let from: Vec<Region> = shapes.map(|(n, shape)| reads(op, n, region, &shape)).collect();
            placed.fill(region, tiles, &from, out, scratch);
        }
        _ => op.cpu(tiles, out, scratch),
    };
    let Some(seed) = guard else {
        let mut out = Image::with_fill(meta, 0xA5);
        let tiles: Vec<Tile<'_>> = inputs.iter().map(Image::tile).collect();
        work(&tiles, out.tile_mut(), scratch);
        return out;
    };

    let mut random = Random::new(seed);
    let surrounded: Vec<(Image, Region)> = inputs.iter().map(|i| surround(i, &mut random)).collect();
    let tiles: Vec<Tile<'_>> = surrounded.iter().map(|(image, place)| image.tile().part(place)).collect();
    let (mut out, place) = surround(&Image::with_fill(meta, 0xA5), &mut random);
    let before = out.clone();
    work(&tiles, out.tile_mut().part(&place), scratch);
    let written = out.part(&place);
    let mut restored = out;
    restored.tile_mut().part(&place).copy_from(&before.part(&place).tile());
    assert!(restored.bytes() == before.bytes(), "`{}` writes outside its output tile", op.name());
    written
}

/// An image within a larger one of random bytes, and its place there.
pub(super) fn surround(image: &Image, random: &mut Random) -> (Image, Region) {
    let shape = image.meta().shape;
    let place = Region::new([1, 1, 2, 1, 3], shape);
    let shape = std::array::from_fn(|a| shape[a] + place.start[a] as u64 + [1, 1, 1, 2, 5][a]);
    let mut larger = Image::new(Meta { shape, ..image.meta().clone() });
    for chunk in larger.bytes_mut().chunks_mut(8) {
        let bits = random.bits().to_ne_bytes();
        chunk.copy_from_slice(&bits[..chunk.len()]);
    }
    larger.tile_mut().part(&place).copy_from(&image.tile());
    (larger, place)
}

/// A reduction of one output tile, in slabs of `thickness`.
fn folded(fold: &dyn Fold, image: &Image, region: &Region, thickness: u64, out: &mut Image) {
    let axis = fold.axis();
    let bytes = region.voxels() as usize * fold.state_size();
    let mut state = Bytes::new(bytes + 64, 0xFF);
    let skip = state.get().as_ptr().align_offset(64);
    let state = &mut state.get_mut()[skip..skip + bytes];
    fold.start(state);
    let count = image.meta().shape[axis.index()];
    let mut at = 0;
    while at < count {
        let len = thickness.min(count - at);
        fold.add(&image.tile().part(&region.with_axis(axis, at as i64, len)), state);
        at += len;
    }
    fold.finish(count, state, out.tile_mut().part(region));
}

/// The local operation that follows from the statistics of whole images. In each pass every tile has its own statistic,
/// and they are merged from both ends towards the middle.
///
/// # Panics
/// If the images have no such statistic.
#[must_use]
pub fn resolve(global: &dyn Global, inputs: &[&Image], tile: Shape) -> Arc<dyn Op> {
    resolve_by(global, inputs, tile, &mut |statistic, image, region| {
        statistic.observe(&image.tile().part(region), region);
    })
}

/// Who takes a region of an image into a statistic.
type Observer<'a> = &'a mut dyn FnMut(&mut dyn Statistic, &Image, &Region);

/// The same by another observer.
pub(super) fn resolve_by(
    global: &dyn Global,
    inputs: &[&Image],
    tile: Shape,
    observe: Observer<'_>,
) -> Arc<dyn Op> {
    let mut tile = tile;
    if let Some(axis) = global.spans() {
        tile[axis.index()] = WHOLE[axis.index()];
    }
    let mut observed = global.observes().iter();
    let mut next = || inputs[*observed.next().expect("another input to observe")];
    let (mut image, mut statistic) = (next(), global.start());
    loop {
        statistic = over(image, tile, statistic, observe);
        match global.resolve(statistic).unwrap_or_else(|refused| panic!("{refused}")) {
            Resolved::Local(op) => return op,
            Resolved::Found(found) => return global.local(&*found),
            Resolved::Again(empty) => statistic = empty,
            Resolved::Next(empty) => (image, statistic) = (next(), empty),
        }
    }
}

/// The statistic of a whole image. Several take its tiles in turn, and are merged from both ends towards the middle.
fn over(image: &Image, tile: Shape, empty: Box<dyn Statistic>, observe: Observer<'_>) -> Box<dyn Statistic> {
    let grid = Grid::new(image.meta().shape, tile);
    let mut parts: VecDeque<Box<dyn Statistic>> = (0..5).map(|_| empty.empty()).collect();
    for (n, region) in grid.iter().map(|i| grid.region(&i)).enumerate() {
        observe(&mut *parts[n % 5], image, &region);
    }
    let mut all = empty;
    while let Some(last) = parts.pop_back() {
        all.merge(last);
        if let Some(mut first) = parts.pop_front() {
            first.merge(all);
            all = first;
        }
    }
    all
}

/// Tiles alone, their faces in falling order, then every tile painted.
fn merged(op: &dyn Op, merge: &dyn Merge, inputs: &[&Image], grid: &Grid, out: &mut Image) {
    let image = out.meta().shape;
    let mut merger = merge.merger(&image, &JOINS);
    let mut kept = Vec::new();
    let regions: Vec<Region> = grid.iter().map(|i| grid.region(&i)).collect();
    for region in regions.iter().rev() {
        let read = cut_inputs(op, inputs, region);
        let tiles: Vec<Tile<'_>> = read.iter().map(Image::tile).collect();
        let part = merge.local(&tiles, region, &image);
        merger.absorb(region, again(part.faces, |faces| merge.pack(faces), |bytes| merge.unpack(bytes)));
        kept.push(part.kept);
    }
    let resolution = merger.finish().unwrap_or_else(|refused| panic!("`{}` {refused}", op.name()));
    for (region, kept) in regions.iter().rev().zip(&kept) {
        merge.paint(kept, region, &resolution, out.tile_mut().part(region));
    }
}

/// Every tile started, then visited in raster order until a whole round changes nothing.
fn propagated(propagate: &dyn Propagate, inputs: &[&Image], grid: &Grid, out: &mut Image) {
    let shape = out.meta().shape;
    let reach: PerAxis<u64> = Axis::ALL.map(|a| u64::from(a.is_space() && out.meta().axes.contains(a)));
    let regions: Vec<Region> = grid.iter().map(|i| grid.region(&i)).collect();
    for region in &regions {
        let tiles: Vec<Tile<'_>> = inputs.iter().map(|i| i.tile().part(region)).collect();
        propagate.start(&tiles, out.tile_mut().part(region));
    }
    let mut changed = true;
    while changed {
        changed = false;
        for region in &regions {
            let seen = region.grow(&Halo::symmetric(reach)).clip(&shape);
            let core = region.translate(&seen.start.map(|s| -s));
            let tiles: Vec<Tile<'_>> = inputs.iter().map(|i| i.tile().part(&seen)).collect();
            let mut state = out.part(&seen);
            changed |= propagate.relax(&tiles, state.tile_mut(), &core);
            out.tile_mut().part(region).copy_from(&state.tile().part(&core));
        }
    }
}
