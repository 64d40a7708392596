//! Nanoseconds per output voxel of the convolutions, on one core, for every instruction set that this CPU has.
//!
//! `cargo bench -p voxtile-kernels --bench conv [-- FILTER]`. The halo is read but not counted, as in the engine; the
//! time is the least of several runs. Tiles are checked against each other: all instruction sets give the same bits.

use std::time::Instant;
use voxtile_kernels::cpu::{self, Isa};
use voxtile_kernels::ops;
use voxtile_kernels::testing::{Fill, Image, Random, meta, stages};
use voxtile_sched::dispatch;
use voxtile_sched::model::{Dtype, Element, Meta, Region};

/// Step, axes, size of the tile along each of them, sample type.
const CASES: &[(&str, &str, u64, Dtype)] = &[
    ("gaussian 1", "zyx", 128, Dtype::U16),
    ("gaussian 2", "zyx", 128, Dtype::U16),
    ("gaussian 4", "zyx", 128, Dtype::U16),
    ("gaussian 8", "zyx", 128, Dtype::U16),
    ("gaussian 2", "yx", 2048, Dtype::U16),
    ("gaussian 8", "yx", 2048, Dtype::U16),
    ("gaussian 1 precision=fast", "zyx", 128, Dtype::U16),
    ("gaussian 2 precision=fast", "zyx", 128, Dtype::U16),
    ("gaussian 4 precision=fast", "zyx", 128, Dtype::U16),
    ("gaussian 8 precision=fast", "zyx", 128, Dtype::U16),
    ("gaussian 2 precision=fast", "yx", 2048, Dtype::U16),
    ("gaussian 8 precision=fast", "yx", 2048, Dtype::U16),
    ("mean 3", "zyx", 128, Dtype::U16),
    ("mean 15", "zyx", 128, Dtype::U16),
    ("mean 3", "yx", 2048, Dtype::U16),
    ("mean 15", "yx", 2048, Dtype::U16),
    ("sobel", "zyx", 128, Dtype::U8),
    ("sobel", "zyx", 128, Dtype::U16),
    ("sobel", "zyx", 128, Dtype::F32),
    ("sobel", "yx", 2048, Dtype::U16),
    ("sobel", "yx", 2048, Dtype::F32),
];

/// Noise on a background, as cameras make it.
fn camera(meta: Meta) -> Image {
    let mut random = Random::new(1);
    let mut image = Image::filled(meta, Fill::Few, 0);
    dispatch!(image.meta().dtype, T => {
        for v in image.values_mut::<T>() {
            *v = T::from_f64(100.0 + (random.unit() * 11.0).exp2());
        }
    });
    image
}

fn main() {
    let filter = std::env::args().skip(1).find(|a| !a.starts_with('-')).unwrap_or_default();
    println!("{:<28} axes  type portable     AVX2  AVX-512", "ns per output voxel");
    for &(step, axes, size, dtype) in CASES {
        if !format!("{step} {axes} {dtype}").contains(&filter) {
            continue;
        }
        let tile = meta(axes, &vec![size; axes.len()], dtype);
        let spec = ops::find(step.split(' ').next().unwrap_or(step)).expect("an operation of the table");
        let op = &stages(spec, step, std::slice::from_ref(&tile)).expect("a valid step")[0].op;
        let read = op.reads(0, &Region::whole(tile.shape), &tile.shape).shape;
        let input = camera(Meta { shape: read, ..tile.clone() });
        let mut output = Image::new(op.output(std::slice::from_ref(&tile)).expect("an accepted image"));
        let mut scratch = vec![0u64; op.scratch(&tile.shape) as usize / 8 + 8];
        let scratch: &mut [u8] = bytemuck::cast_slice_mut(&mut scratch);
        let (skip, bytes) = (scratch.as_ptr().align_offset(64), op.scratch(&tile.shape) as usize);
        let scratch = &mut scratch[skip..skip + bytes];
        print!("{step:<28} {axes:<5} {dtype:<4}");
        let mut first: Option<Image> = None;
        for isa in [Isa::Portable, Isa::Avx2, Isa::Avx512] {
            if !cpu::available().any(|i| i == isa) {
                continue;
            }
            let mut best = f64::INFINITY;
            let began = Instant::now();
            while began.elapsed().as_secs_f64() < 0.6 {
                let from = Instant::now();
                cpu::with_isa(isa, || op.cpu(&[input.tile()], output.tile_mut(), scratch));
                best = best.min(from.elapsed().as_secs_f64());
            }
            print!(" {:>8.3}", best * 1e9 / tile.shape.iter().product::<u64>() as f64);
            let same = first.get_or_insert_with(|| output.clone());
            assert!(same.bytes() == output.bytes(), "{step}: {isa:?} gives other bits");
        }
        println!("  ns");
    }
}
