//! Rank filters on one core: nanoseconds per output voxel, by instruction set, of a 128³ tile and a 2048² image with
//! their halos in place. All instruction sets must give the same bits before the clock counts.
//!
//! `cargo bench -p voxtile-kernels --bench rank [-- PART-OF-A-LINE…]`. The time is the least of several runs, or their
//! mean on the CPU where that is less: on a busy machine. The last column is what an early prototype of such kernels
//! took with AVX2.

use std::time::Instant;
use voxtile_kernels::cpu::{Isa, available, with_isa};
use voxtile_kernels::ops;
use voxtile_kernels::spec::Stage;
use voxtile_kernels::testing::{Fill, Float, Image, meta, stages};
use voxtile_sched::dispatch;
use voxtile_sched::model::{Dtype, Element, Meta, Region, voxels};

/// Step, sample type, and the prototype's nanoseconds, if it had that step.
const CUBES: &[(&str, Dtype, Option<f64>)] = &[
    ("min 3", Dtype::U16, Some(0.12)),
    ("max 3", Dtype::U8, Some(0.062)),
    ("min 15", Dtype::U16, Some(0.27)),
    ("max 15", Dtype::U8, Some(0.16)),
    ("min 15", Dtype::F32, None),
    ("tophat 15", Dtype::U16, Some(0.92)),
    ("median 3", Dtype::U16, Some(0.52)),
    ("median 3", Dtype::U8, None),
    ("median 3", Dtype::F32, None),
    ("median 5", Dtype::U16, Some(9.4)),
    ("median 5", Dtype::U8, None),
    ("median 7", Dtype::U8, None),
];

/// As [`CUBES`], in the plane.
const SHEETS: &[(&str, Dtype, Option<f64>)] = &[
    ("min 3", Dtype::U16, Some(0.09)),
    ("max 3", Dtype::U8, Some(0.041)),
    ("min 15", Dtype::U16, Some(0.17)),
    ("max 15", Dtype::U8, Some(0.075)),
    ("median 3", Dtype::U16, Some(0.15)),
    ("median 5", Dtype::U16, Some(0.62)),
    ("median 5", Dtype::U8, Some(0.23)),
    ("median 5", Dtype::F32, None),
    ("median 7", Dtype::U16, None),
    ("median 7", Dtype::F32, None),
    ("median 15", Dtype::U8, None),
    ("median 15", Dtype::U16, None),
];

/// Bright round objects on a noisy ground, as a microscope sees nuclei.
fn nuclei(meta: Meta) -> Image {
    let noise = Image::filled(Meta { dtype: Dtype::U8, ..meta.clone() }, Fill::Noise, 1);
    let wave = |p: u64| (p as f64 / 9.0).sin();
    dispatch!(meta.dtype, T => Image::from_fn(meta, |p| {
        let bright = (wave(p[2]) + wave(p[3]) + wave(p[4]) - 1.2).max(0.0) * 900.0;
        let level = bright + 100.0 + f64::from(noise.at::<u8>(p) >> 2);
        T::from_f64(if size_of::<T>() == 1 { level / 8.0 } else { level })
    }))
}

/// Seconds that this thread has been on a CPU, as far as the system tells.
fn on_cpu() -> Option<f64> {
    let scheduled = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(scheduled.split_whitespace().next()?.parse::<f64>().ok()? * 1e-9)
}

/// Seconds that one stage takes for an output of that description, by instruction set.
fn seconds(stage: &Stage, output: &Meta) -> Vec<(Isa, f64)> {
    let region = Region::whole(output.shape);
    let read = |n: usize| stage.op.reads(n, &region, &output.shape).shape;
    let inputs: Vec<Image> =
        (0..stage.inputs.len()).map(|n| nuclei(Meta { shape: read(n), ..output.clone() })).collect();
    let tiles: Vec<_> = inputs.iter().map(Image::tile).collect();
    let mut scratch = vec![[0u64; 8]; stage.op.scratch(&output.shape).div_ceil(64) as usize + 1];
    let scratch: &mut [u8] = bytemuck::cast_slice_mut(&mut scratch);
    let scratch = &mut scratch[..];
    let aligned = scratch.as_ptr().align_offset(64);
    let mut first: Option<Image> = None;
    let mut run = |isa: Isa, out: &mut Image| {
        let start = Instant::now();
        with_isa(isa, || stage.op.cpu(&tiles, out.tile_mut(), &mut scratch[aligned..]));
        start.elapsed().as_secs_f64()
    };
    let mut times = Vec::new();
    for isa in available() {
        let mut out = Image::new(output.clone());
        let warm = run(isa, &mut out);
        let wanted = first.get_or_insert_with(|| out.clone());
        out.assert_same(wanted, Float::Exact, || format!("{} with {isa:?}", stage.op.name()));
        let runs = (0.5 / warm).clamp(3.0, 100.0) as usize;
        let start = on_cpu();
        let least = (0..runs).map(|_| run(isa, &mut out)).fold(warm, f64::min);
        // The system counts in steps of some milliseconds.
        let busy = start.zip(on_cpu()).map(|(start, end)| end - start).filter(|&busy| busy > 0.1);
        times.push((isa, busy.map_or(least, |busy| least.min(busy / runs as f64))));
    }
    times
}

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    println!("nanoseconds per output voxel");
    let cubes = CUBES.iter().map(|case| ("128³", "zyx", &[128u64; 3][..], case));
    let sheets = SHEETS.iter().map(|case| ("2048²", "yx", &[2048u64; 2][..], case));
    for (name, axes, sizes, &(step, dtype, prototype)) in cubes.chain(sheets) {
        let line = format!("{name} {dtype} {step}");
        if !wanted.iter().all(|w| line.contains(w.as_str())) {
            continue;
        }
        let image = meta(axes, sizes, dtype);
        let spec = step.split(' ').next().and_then(ops::find).expect("a step of the table");
        let stages = stages(spec, step, std::slice::from_ref(&image)).expect("good arguments");
        let times: Vec<Vec<(Isa, f64)>> = stages.iter().map(|stage| seconds(stage, &image)).collect();
        print!("{line:20}");
        for (n, (isa, _)) in times[0].iter().enumerate() {
            let total: f64 = times.iter().map(|stage| stage[n].1).sum();
            print!("  {isa:?} {:8.3}", total * 1e9 / voxels(&image.shape) as f64);
        }
        println!("{}", prototype.map_or(String::new(), |ns| format!("  ({ns})")));
    }
}
