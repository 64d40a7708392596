//! One step on an image from a file, on one core, as a run computes it: tile by tile, each padded by the border rule.
//!
//! `cargo bench -p voxtile-kernels --bench step -- STEP DTYPE AXES SIZES OUT IN…` reads row-major voxels without header
//! (`'gaussian 2' u16 zyx 256,256,256 out.raw in.raw`; a step of several inputs reads the last file again if there are
//! fewer), writes those of the result and prints a line of JSON: its type and sizes, and the least seconds of several runs.
//! Reading, writing and planning are not timed; every stage of the step, its padding copies and its statistics are. Stages
//! pass on whole images. `benches/peers/ops.py` compares with this.

use std::time::Instant;
use voxtile_kernels::ops;
use voxtile_kernels::spec::{From as Reads, Stage};
use voxtile_kernels::testing::{Image, inputs, meta, stages};
use voxtile_sched::contract::{Fold, Footprint, Global, Op, Pass, Resolved};
use voxtile_sched::dispatch;
use voxtile_sched::model::{Axis, Border, Dtype, Element, Grid, Meta, Region, Shape, Tile, TileMut, voxels};

/// Voxels of a tile: what the planner chooses for most steps, so that input and output stay in the third-level cache.
const TILE: u64 = 1 << 21;

/// Memory that is used again, aligned as vector code likes it.
#[derive(Default)]
struct Buffer(Vec<[u64; 8]>);

impl Buffer {
    fn bytes(&mut self, len: usize) -> &mut [u8] {
        let needed = len.div_ceil(64) + 1;
        if self.0.len() < needed {
            self.0.resize(needed, [0; 8]);
        }
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut self.0);
        let skip = bytes.as_ptr().align_offset(64);
        &mut bytes[skip..skip + len]
    }
}

/// What tiles need beside the images.
#[derive(Default)]
struct Space {
    scratch: Buffer,
    padded: Vec<Buffer>,
}

/// Tiles of whole rows where nothing around a voxel is read, small ones where all is copied twice; else with edges of like
/// length.
fn grid(op: &dyn Op, count: usize, shape: Shape) -> Grid {
    let [t, c, z, y, x] = shape;
    let around = |n| op.footprint(n).is_padded() && !matches!(op.footprint(n), Footprint::Mapped { .. });
    let tile = match ((0..count).any(around), z > 1) {
        (true, true) => [1, 1, 128, 128, 128],
        (true, false) => [1, 1, 1, 1024, 1024],
        (false, _) => {
            let most = if (0..count).any(|n| op.footprint(n).is_padded()) { TILE / 16 } else { TILE };
            let rows = (most / x.max(1)).clamp(1, y.max(1));
            let planes = (most / (rows * x).max(1)).clamp(1, z.max(1));
            [t, c, if rows == y { planes } else { 1 }, rows, x]
        }
    };
    Grid::new(shape, tile.map(|n| n.max(1)))
}

/// The voxels of a region, those beyond the image by the border rule.
fn pad<'a>(image: &Image, region: &Region, border: Border, buffer: &'a mut Buffer) -> Tile<'a> {
    let (dtype, image_shape) = (image.meta().dtype, image.meta().shape);
    let shape = region.shape.map(|n| n as usize);
    let bytes = buffer.bytes(region.voxels() as usize * dtype.size());
    dispatch!(dtype, T => {
        let whole = image.tile();
        let from = whole.view::<T>();
        let mut to = TileMut::new(dtype, shape, bytes);
        let mut to = to.view::<T>();
        let constant = if let Border::Constant(value) = border { T::from_f64(value) } else { T::default() };
        let place = |a: usize, k: usize| border.map(region.start[a] + k as i64, image_shape[a]).map(|p| p as usize);
        let first = (-region.start[4]).clamp(0, shape[4] as i64) as usize;
        let end = (image_shape[4] as i64 - region.start[4]).clamp(first as i64, shape[4] as i64) as usize;
        let beyond: Vec<(usize, Option<usize>)> =
            (0..first).chain(end..shape[4]).map(|k| (k, place(4, k))).collect();
        let start = (region.start[4] + first as i64) as usize;
        for t in 0..shape[0] {
            for c in 0..shape[1] {
                for z in 0..shape[2] {
                    let plane = (place(0, t), place(1, c), place(2, z));
                    for y in 0..shape[3] {
                        let row = to.row(t, c, z, y);
                        let ((Some(t), Some(c), Some(z)), Some(y)) = (plane, place(3, y)) else {
                            row.fill(constant);
                            continue;
                        };
                        let from = from.row(t, c, z, y);
                        row[first..end].copy_from_slice(&from[start..start + end - first]);
                        for &(k, x) in &beyond {
                            row[k] = x.map_or(constant, |x| from[x]);
                        }
                    }
                }
            }
        }
    });
    Tile::new(dtype, shape, bytes)
}

/// Computes the whole result of a stage.
fn compute(op: &dyn Op, inputs: &[&Image], output: &mut Image, space: &mut Space) {
    match op.pass() {
        Pass::Fold(fold) => return folded(fold, inputs[0], output, space),
        Pass::Global(global) => {
            let local = resolved(global, op, inputs);
            return compute(&*local, inputs, output, space);
        }
        Pass::Local | Pass::Placed(_) => {}
        _ => panic!("`{}` is not computed tile by tile", op.name()),
    }
    let grid = grid(op, inputs.len(), output.meta().shape);
    space.padded.resize_with(inputs.len(), Buffer::default);
    for region in grid.iter().map(|i| grid.region(&i)) {
        let seen: Vec<Region> = inputs
            .iter()
            .enumerate()
            .map(|(n, image)| op.reads(n, &region, &image.meta().shape))
            .map(|seen| if seen.is_empty() { Region::default() } else { seen })
            .collect();
        let tiles: Vec<Tile<'_>> = inputs
            .iter()
            .zip(&mut space.padded)
            .enumerate()
            .map(|(n, (image, buffer))| {
                if op.footprint(n).is_padded() {
                    pad(image, &seen[n], op.border(), buffer)
                } else {
                    image.tile().part(&seen[n])
                }
            })
            .collect();
        let scratch = space.scratch.bytes(op.scratch(&region.shape) as usize);
        let mut whole = output.tile_mut();
        match op.pass() {
            Pass::Placed(placed) => placed.fill(&region, &tiles, &seen, whole.part(&region), scratch),
            _ => op.cpu(&tiles, whole.part(&region), scratch),
        }
    }
}

/// A reduction, slab by slab.
fn folded(fold: &dyn Fold, image: &Image, output: &mut Image, space: &mut Space) {
    let axis = fold.axis();
    let count = image.meta().shape[axis.index()];
    let whole_rows = axis == Axis::X;
    let slab = if whole_rows {
        count.max(1)
    } else {
        (TILE / voxels(&output.meta().shape).max(1)).clamp(1, count.max(1))
    };
    let state = space.scratch.bytes(voxels(&output.meta().shape) as usize * fold.state_size());
    let whole = Region::whole(image.meta().shape);
    fold.start(state);
    for at in (0..count).step_by(slab as usize) {
        let part = whole.with_axis(axis, at as i64, slab.min(count - at));
        fold.add(&image.tile().part(&part), state);
    }
    fold.finish(count, state, output.tile_mut());
}

/// The step of one tile that follows from statistics of whole images.
fn resolved(global: &dyn Global, op: &dyn Op, inputs: &[&Image]) -> std::sync::Arc<dyn Op> {
    let mut observed = global.observes().iter();
    let mut next = || inputs[*observed.next().expect("another input to observe")];
    let (mut image, mut statistic) = (next(), global.start());
    loop {
        let grid = grid(op, 0, image.meta().shape);
        for region in grid.iter().map(|i| grid.region(&i)) {
            statistic.observe(&image.tile().part(&region), &region);
        }
        match global.resolve(statistic).unwrap_or_else(|refused| panic!("{refused}")) {
            Resolved::Local(op) => return op,
            Resolved::Found(found) => return global.local(&*found),
            Resolved::Again(empty) => statistic = empty,
            Resolved::Next(empty) => (image, statistic) = (next(), empty),
        }
    }
}

/// All stages of a step, each over the whole image that the stages before it made.
fn run(stages: &[Stage], inputs: &[Image], made: &mut [Image], space: &mut Space) -> f64 {
    let start = Instant::now();
    for (n, stage) in stages.iter().enumerate() {
        let (before, rest) = made.split_at_mut(n);
        let read = |from: &Reads| match *from {
            Reads::Input(n) => &inputs[n],
            Reads::Stage(n) => &before[n],
        };
        let read: Vec<&Image> = stage.inputs.iter().map(read).collect();
        compute(&*stage.op, &read, &mut rest[0], space);
    }
    start.elapsed().as_secs_f64()
}

fn main() -> std::io::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let [step, dtype, axes, sizes, out, files @ ..] = &args[..] else {
        println!("STEP DTYPE AXES SIZES OUT IN…");
        return Ok(());
    };
    let spec = ops::find(step.split(' ').next().unwrap_or_default()).expect("in the table");
    let sizes: Vec<u64> = sizes.split(',').map(|n| n.parse().expect("a size")).collect();
    let dtype = Dtype::ALL.into_iter().find(|d| d.to_string() == *dtype).expect("a sample type");
    let input = meta(axes, &sizes, dtype);
    let read = |n: usize| std::fs::read(&files[n.min(files.len() - 1)]);
    let images: Vec<Image> = (0..inputs(spec, step))
        .map(|n| Ok(Image::from_bytes(input.clone(), &read(n)?)))
        .collect::<std::io::Result<_>>()?;
    let stages = stages(spec, step, &vec![input; images.len()]).unwrap_or_else(|refused| panic!("{refused}"));
    let mut made: Vec<Image> = Vec::new();
    for stage in &stages {
        let metas: Vec<Meta> = stage
            .inputs
            .iter()
            .map(|from| match *from {
                Reads::Input(n) => images[n].meta().clone(),
                Reads::Stage(n) => made[n].meta().clone(),
            })
            .collect();
        let meta = stage.op.output(&metas).unwrap_or_else(|refused| panic!("{refused}"));
        made.push(Image::new(meta));
    }
    let mut space = Space::default();
    let mut least = run(&stages, &images, &mut made, &mut space);
    let runs = (1.0 / least.max(1e-6)).clamp(2.0, 200.0) as u32;
    (0..runs).for_each(|_| least = least.min(run(&stages, &images, &mut made, &mut space)));
    let last = made.last().expect("a step has a stage");
    std::fs::write(out, last.bytes())?;
    let Meta { dtype, .. } = last.meta();
    println!("{{\"seconds\": {least}, \"dtype\": \"{dtype}\", \"sizes\": {:?}}}", last.meta().dims());
    Ok(())
}
