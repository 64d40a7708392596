//! Every operation of the table on one core: its example on a tile, nanoseconds per output voxel and GB/s of what is
//! read and written, by instruction set. All instruction sets must give the same bits before the clock counts.
//!
//! `cargo bench -p voxtile-kernels --bench ops [-- PART-OF-A-STEP…]`. Time is the least of several runs; the halo is
//! read but not counted as output. Of operations that take statistics of the whole image, the time of what follows from
//! them; those whose objects cross tiles, and those that make a table, are left to `benches/peers/ops.py`.

use std::sync::Arc;
use std::time::{Duration, Instant};
use voxtile_kernels::cpu::{Isa, available, with_isa};
use voxtile_kernels::ops;
use voxtile_kernels::spec::{From as Reads, Stage};
use voxtile_kernels::testing::{Float, Image, WHOLE, inputs, meta, resolve, stages};
use voxtile_sched::contract::{Op, Pass};
use voxtile_sched::model::{Dtype, Element, Meta, Region, Tile, voxels};
use voxtile_sched::{dispatch, model::Shape};

/// Steps beside the examples of the table, with the axes, sizes and sample type of their tile.
const FURTHER: &[(&str, &str, &[u64], Dtype)] = &[
    ("gray", "cyx", &[3, 2048, 2048], Dtype::U8),
    ("absorbance white=240,240,235", "cyx", &[3, 2048, 2048], Dtype::U8),
    ("absorbance", "zyx", &[128, 128, 128], Dtype::F32),
    ("stain he", "cyx", &[3, 2048, 2048], Dtype::U8),
    ("stain he", "cyx", &[3, 2048, 2048], Dtype::U16),
    ("normalize-stain", "cyx", &[3, 2048, 2048], Dtype::U8),
    ("normalize-stain reinhard", "cyx", &[3, 2048, 2048], Dtype::U8),
    ("tissue", "cyx", &[3, 2048, 2048], Dtype::U8),
    ("cast u8", "zyx", &[128, 128, 128], Dtype::F32),
    ("cast u16", "zyx", &[128, 128, 128], Dtype::F32),
    ("cast f32", "zyx", &[128, 128, 128], Dtype::U16),
    ("threshold 900", "yx", &[2048, 2048], Dtype::U16),
    ("invert", "zyx", &[128, 128, 128], Dtype::U8),
    ("ln", "zyx", &[128, 128, 128], Dtype::F32),
    ("sqrt", "zyx", &[128, 128, 128], Dtype::F32),
    ("expr (a-b)/(a+b+1)", "zyx", &[128, 128, 128], Dtype::U16),
    ("expr (a-b)/(a+b+1)", "zyx", &[128, 128, 128], Dtype::F32),
    ("median 15", "zyx", &[128, 128, 128], Dtype::U16),
    ("median 15", "zyx", &[128, 128, 128], Dtype::U8),
    ("median 15", "yx", &[2048, 2048], Dtype::U16),
    ("median 51", "yx", &[2048, 2048], Dtype::U16),
    ("median shape=ball radius=3", "zyx", &[128, 128, 128], Dtype::U16),
    ("open shape=ball radius=7", "zyx", &[128, 128, 128], Dtype::U16),
    ("open shape=ball radius=25", "yx", &[2048, 2048], Dtype::U16),
    ("dilate shape=cross radius=1 iterations=10", "zyx", &[128, 128, 128], Dtype::U8),
    ("subtract-background radius=25", "yx", &[2048, 2048], Dtype::U16),
    ("subtract-background radius=25", "yx", &[2048, 2048], Dtype::F32),
    ("laplace", "zyx", &[128, 128, 128], Dtype::F32),
    ("laplace", "yx", &[2048, 2048], Dtype::U16),
    ("sobel", "zyx", &[128, 128, 128], Dtype::F32),
    ("sobel", "yx", &[2048, 2048], Dtype::F32),
    ("scharr", "zyx", &[128, 128, 128], Dtype::F32),
    ("prewitt", "yx", &[2048, 2048], Dtype::U16),
    ("gradient 2", "yx", &[2048, 2048], Dtype::U16),
    ("log-filter 2", "yx", &[2048, 2048], Dtype::U16),
    ("dog low=1 high=2", "yx", &[2048, 2048], Dtype::U16),
    ("unsharp 2", "yx", &[2048, 2048], Dtype::U16),
    ("variance 5", "yx", &[2048, 2048], Dtype::U16),
    ("variance 15", "zyx", &[128, 128, 128], Dtype::U16),
    ("threshold local size=15", "zyx", &[128, 128, 128], Dtype::U16),
    ("threshold local size=15 method=mean", "zyx", &[128, 128, 128], Dtype::U16),
    ("threshold local size=15 method=niblack", "zyx", &[128, 128, 128], Dtype::U16),
    ("threshold local size=15 method=sauvola", "yx", &[2048, 2048], Dtype::U16),
    ("downsample 2", "yx", &[2048, 2048], Dtype::U8),
    ("downsample 3", "zyx", &[128, 128, 128], Dtype::U16),
    ("downsample 2 method=max", "zyx", &[128, 128, 128], Dtype::U16),
    ("downsample 2 method=mode", "zyx", &[128, 128, 128], Dtype::U16),
    ("downsample 2 method=stride", "zyx", &[128, 128, 128], Dtype::U16),
    ("flip x", "zyx", &[128, 128, 128], Dtype::U16),
    ("transpose xyz", "zyx", &[128, 128, 128], Dtype::U16),
    ("transpose", "yx", &[2048, 2048], Dtype::F32),
    ("rotate90 1", "yx", &[2048, 2048], Dtype::U8),
    ("channel 1", "cyx", &[3, 2048, 2048], Dtype::U16),
    ("resample 2", "zyx", &[64, 64, 64], Dtype::U16),
    ("resample 1.3", "yx", &[2048, 2048], Dtype::U16),
    ("resample 1.3 method=nearest", "yx", &[2048, 2048], Dtype::U16),
    ("resample 1.3 method=cubic", "zyx", &[96, 96, 96], Dtype::U16),
    ("affine 0.9,-0.3,0.3,0.9 offset=200,-300", "yx", &[2048, 2048], Dtype::U16),
    ("affine 0.9,-0.3,0.3,0.9 offset=200,-300 method=nearest", "yx", &[2048, 2048], Dtype::U16),
    ("deskew 32 step=2 view=slip", "zyx", &[128, 128, 128], Dtype::U16),
    ("cumsum x", "zyx", &[128, 128, 128], Dtype::U16),
    ("project z method=std", "zyx", &[128, 128, 128], Dtype::U16),
    ("project z method=std", "zyx", &[128, 128, 128], Dtype::F32),
    ("project z method=argmax", "zyx", &[128, 128, 128], Dtype::U16),
    ("project z method=median", "zyx", &[128, 128, 128], Dtype::U16),
    ("project z method=focus", "zyx", &[32, 512, 512], Dtype::U16),
    ("project z method=mean", "zyx", &[128, 128, 128], Dtype::U16),
    ("project z method=sum", "zyx", &[128, 128, 128], Dtype::F32),
    ("project x method=max", "zyx", &[128, 128, 128], Dtype::U16),
    ("project x method=sum", "zyx", &[128, 128, 128], Dtype::F32),
];

/// Bright round objects on a noisy ground, as a microscope sees nuclei: no constant areas.
fn nuclei(meta: Meta) -> Image {
    let mut state = 0x2545_f491_4f6c_dd1du64;
    let wave = |p: u64| (p as f64 / 9.0).sin();
    dispatch!(meta.dtype, T => Image::from_fn(meta, |[_, c, z, y, x]| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let bright = (wave(x) + wave(y) + wave(z + c) - 1.2).max(0.0) * 900.0;
        let level = bright + 100.0 + (state >> 58) as f64;
        T::from_f64(if size_of::<T>() == 1 { level / 8.0 } else { level })
    }))
}

/// One stage on a tile that is as large as the image, its halo in place.
struct Work {
    op: Arc<dyn Op>,
    inputs: Vec<Image>,
    /// The regions that the inputs hold.
    from: Vec<Region>,
    output: Image,
    scratch: Vec<[u64; 8]>,
    count: u64,
}

impl Work {
    /// The stage and the description of what it makes.
    fn new(stage: &Stage, metas: &[Meta]) -> Self {
        let op = match stage.op.pass() {
            Pass::Global(global) => {
                let images: Vec<Image> = metas.iter().map(|meta| nuclei(meta.clone())).collect();
                resolve(global, &images.iter().collect::<Vec<_>>(), WHOLE)
            }
            _ => stage.op.clone(),
        };
        let output = op.output(metas).unwrap_or_else(|refused| panic!("`{}` {refused}", op.name()));
        let region = Region::whole(output.shape);
        let from: Vec<Region> =
            metas.iter().enumerate().map(|(n, m)| op.reads(n, &region, &m.shape)).collect();
        let held = |(m, from): (&Meta, &Region)| nuclei(Meta { shape: from.shape, ..m.clone() });
        let inputs = metas.iter().zip(&from).map(held).collect();
        let bytes = match op.pass() {
            Pass::Fold(fold) => voxels(&output.shape) * fold.state_size() as u64,
            _ => op.scratch(&output.shape),
        };
        let scratch = vec![[0; 8]; bytes.div_ceil(64) as usize + 1];
        let count = match op.pass() {
            Pass::Fold(fold) => metas[0].shape[fold.axis().index()],
            _ => 0,
        };
        Self { op, inputs, from, output: Image::new(output), scratch, count }
    }

    fn run(&mut self, isa: Isa) -> Duration {
        let tiles: Vec<Tile<'_>> = self.inputs.iter().map(Image::tile).collect();
        let scratch: &mut [u8] = bytemuck::cast_slice_mut(&mut self.scratch);
        let from = scratch.as_ptr().align_offset(64);
        let len = scratch.len() / 64 * 64 - 64;
        let scratch = &mut scratch[from..from + len];
        let start = Instant::now();
        with_isa(isa, || match self.op.pass() {
            Pass::Fold(fold) => {
                let state = &mut scratch[..self.output.tile().len() * fold.state_size()];
                fold.start(state);
                fold.add(&tiles[0], state);
                fold.finish(self.count, state, self.output.tile_mut());
            }
            Pass::Placed(placed) => {
                let region = Region::whole(self.output.meta().shape);
                let declared = self.op.scratch(&region.shape) as usize;
                let scratch = &mut scratch[..declared];
                placed.fill(&region, &tiles, &self.from, self.output.tile_mut(), scratch);
            }
            _ => {
                let declared = self.op.scratch(&self.output.meta().shape) as usize;
                self.op.cpu(&tiles, self.output.tile_mut(), &mut scratch[..declared]);
            }
        });
        start.elapsed()
    }

    /// The least time of several runs, after the answer was compared with that of the portable version.
    fn seconds(&mut self, isa: Isa, portable: &Image) -> f64 {
        let mut least = self.run(isa);
        self.output.assert_same(portable, Float::Exact, || format!("{isa:?} of `{}`", self.op.name()));
        let runs = (0.5 / least.as_secs_f64().max(1e-6)).clamp(2.0, 60.0) as u32;
        (0..runs).for_each(|_| least = least.min(self.run(isa)));
        least.as_secs_f64()
    }
}

/// Runs all stages of a step and prints its line.
fn bench(step: &str, axes: &str, sizes: &[u64], dtype: Dtype) {
    let last = step.rsplit(" | ").next().unwrap_or_default();
    let spec = ops::find(last.split(' ').next().unwrap_or_default()).expect("in the table");
    let input = meta(axes, sizes, dtype);
    let given = vec![input.clone(); inputs(spec, step)];
    let stages = stages(spec, step, &given).expect("good arguments");
    if stages.iter().any(|s| matches!(s.op.pass(), Pass::Merge(_) | Pass::Propagate(_) | Pass::Tally(_))) {
        return;
    }
    let mut made: Vec<Meta> = Vec::new();
    let mut read = 0;
    let mut seconds: Vec<f64> = available().map(|_| 0.0).collect();
    for stage in &stages {
        let metas: Vec<Meta> = stage
            .inputs
            .iter()
            .map(|from| match *from {
                Reads::Input(_) => input.clone(),
                Reads::Stage(n) => made[n].clone(),
            })
            .collect();
        let mut work = Work::new(stage, &metas);
        if made.is_empty() {
            read = work.inputs.iter().map(|i| i.meta().bytes()).sum();
        }
        work.run(Isa::Portable);
        let portable = work.output.clone();
        for (isa, seconds) in available().zip(&mut seconds) {
            *seconds += work.seconds(isa, &portable);
        }
        made.push(work.output.meta().clone());
    }
    let shape: Shape = made.last().expect("a step has a stage").shape;
    let written = made.last().map_or(0, Meta::bytes);
    let name = format!("{last} on {dtype} {axes}");
    print!("{name:60}");
    for (isa, seconds) in available().zip(seconds) {
        let ns = seconds * 1e9 / voxels(&shape).max(1) as f64;
        let rate = (read + written) as f64 / seconds / 1e9;
        print!("  {:8} {ns:8.3} {rate:6.1}", format!("{isa:?}").to_lowercase());
    }
    println!();
}

fn main() {
    let filter: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    println!("ns per output voxel, then GB/s of the image read and the result written");
    let wanted = |step: &str| filter.iter().all(|f| step.contains(f.as_str()));
    for spec in ops::TABLE.iter().filter(|s| wanted(s.example)) {
        // Some need an axis that a volume lacks.
        if ["gray", "channel", "frame", "stain", "normalize-stain", "tissue"].contains(&spec.name) {
            continue;
        }
        bench(spec.example, "zyx", &[128, 128, 128], Dtype::U16);
    }
    for (step, axes, sizes, dtype) in FURTHER.iter().filter(|f| wanted(f.0)) {
        bench(step, axes, sizes, *dtype);
    }
}
