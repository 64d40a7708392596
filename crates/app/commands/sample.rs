//! `verify --sample`: makes some regions of an output again, from what it records of itself, and compares them.

use super::verify::compare::Difference;
use super::{Done, Failure, Outcome, print, print_json};
use crate::args::{Global, Verify};
use crate::text;
use serde_json::{Value as Json, json};
use std::fmt::Write;
use voxtile::op::{Axis, Element};
use voxtile::{Error, Made, OnDamage, Pipeline, Recipe};
use voxtile_io::Opened;
use voxtile_sched::dispatch;
use voxtile_sched::model::{Grid, Meta, NDIM, Region, Shape, Tile, voxels};

/// Most voxels of one region.
const MOST: u64 = 1 << 21;

/// Random numbers of a seed (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % n.max(1)
    }
}

/// A region that does not come out as it is stored.
struct Wrong {
    region: Region,
    difference: Difference,
}

pub(super) fn sample(output: &Opened, args: &Verify, count: u64, global: Global) -> Done {
    let path = args.a.clone();
    let meta = output.source.meta();
    let Some(made) = meta.made.as_deref().and_then(Made::parse) else {
        return Err(Failure::NoRecord { path });
    };
    if made.on_damage.is_some() {
        return Err(Failure::MadeOfDamage { path });
    }
    let recipe = match made.recipe.is_empty() {
        true => Recipe::default(),
        false => Recipe::parse(&made.recipe).map_err(Error::from)?,
    };
    // A record is a file's word: what it asks to run, the user must have read.
    for (file, digest) in recipe.sources() {
        if !digest.as_ref().is_some_and(|digest| args.allow_kernel.contains(digest)) {
            return Err(Failure::KernelNotAllowed { path, file, digest });
        }
    }
    let input = &made.input.path;
    let open = || -> Result<Pipeline, Failure> {
        let pipeline = Pipeline::open_with(input, &made.input.options())?.recipe(recipe.clone());
        let pipeline =
            pipeline.memory(args.limits.memory()).workers(args.limits.workers()).on_damage(OnDamage::Stop);
        Ok(match made.border() {
            Some(border) => pipeline.border(border),
            None => pipeline,
        })
    };
    let now = open()?.made()?.map(|now| now.input.files);
    if now.as_ref() != Some(&made.input.files) {
        return Err(Failure::InputChanged { path, input: input.clone() });
    }
    let whole = open()?.plan()?.result().clone();
    if (whole.shape, whole.axes, whole.dtype) != (meta.shape, meta.axes, meta.dtype) {
        return Err(Failure::OtherResult { path, is: meta.dims(), makes: whole.dims() });
    }
    let grid = Grid::new(meta.shape, region_shape(&output.source.chunk(), &meta.shape));
    let mut random = Random(args.seed);
    let mut picked: Vec<u64> = match grid.len() <= count {
        true => (0..grid.len()).collect(),
        false => (0..count).map(|_| random.below(grid.len())).collect(),
    };
    picked.sort_unstable();
    picked.dedup();
    let mut wrong = Vec::new();
    for &n in &picked {
        let region = grid.region(&grid.index(n));
        let stored = Pipeline::from_source(output.source.clone());
        let stored = stored.memory(args.limits.memory()).workers(args.limits.workers());
        let made = region_of(open()?, &region, meta)?;
        let stored = region_of(stored, &region, meta)?;
        let shape = region.shape.map(|n| n as usize);
        let mut difference = Difference::default();
        let bytes = region.voxels() as usize * meta.dtype.size();
        let tile = |words| Tile::new(meta.dtype, shape, &bytemuck::cast_slice::<u64, u8>(words)[..bytes]);
        let (a, b) = (tile(&stored), tile(&made));
        difference.observe(&a, &b, &region, &Grid::new(meta.shape, [1; NDIM]));
        if difference.voxels > 0 {
            wrong.push(Wrong { region, difference });
        }
    }
    tell(args, &made, picked.len() as u64, &wrong, global)
}

/// Whole chunks, or a part of one.
fn region_shape(chunk: &Shape, image: &Shape) -> Shape {
    let mut shape: Shape = std::array::from_fn(|a| chunk[a].min(image[a].max(1)));
    while voxels(&shape) > MOST {
        let longest = (0..NDIM).max_by_key(|&a| shape[a]).unwrap_or(NDIM - 1);
        shape[longest] = shape[longest].div_ceil(2);
    }
    shape
}

/// The samples of a region of what a pipeline makes.
fn region_of(pipeline: Pipeline, region: &Region, meta: &Meta) -> Result<Vec<u64>, Failure> {
    let range = |axis: Axis| format!("{}:{}", region.start[axis.index()], region.end(axis.index()));
    let ranges: Vec<String> = meta.axes.iter().map(range).collect();
    let pipeline = pipeline.step(&format!("crop ranges={}", ranges.join(",")));
    Ok(dispatch!(meta.dtype, T => words(&pipeline.collect::<T>()?.into_raw_vec_and_offset().0)))
}

/// Samples of any type in words.
fn words<T: Element>(samples: &[T]) -> Vec<u64> {
    let bytes: &[u8] = bytemuck::cast_slice(samples);
    let mut out = vec![0; bytes.len().div_ceil(8)];
    bytemuck::cast_slice_mut(&mut out)[..bytes.len()].copy_from_slice(bytes);
    out
}

fn tell(args: &Verify, made: &Made, count: u64, wrong: &[Wrong], global: Global) -> Done {
    let name = args.a.display();
    if global.json {
        let one = |w: &Wrong| json!({ "voxels": w.region.to_string(), "differ": w.difference.voxels, "largest": w.difference.largest });
        let list: Vec<Json> = wrong.iter().map(one).collect();
        print_json(
            &json!({ "path": name.to_string(), "regions": count, "seed": args.seed, "wrong": list, "made": made }),
        )?;
    } else if wrong.is_empty() {
        if !global.quiet {
            let regions = text::counted(count, "region");
            print(&format!("{name}: {regions} made again by `{}`, all equal\n", made.recipe))?;
        }
    } else {
        let mut out = format!(
            "{name}: {} of {} differ from what `{}` makes of {}\n",
            wrong.len(),
            text::counted(count, "region"),
            made.recipe,
            made.input.path.display()
        );
        for Wrong { region, difference } in wrong {
            let _ = writeln!(
                out,
                "  voxels {region}: {} of {}, by {} at most",
                text::count(difference.voxels),
                text::count(region.voxels()),
                difference.largest
            );
        }
        print(&out)?;
    }
    Ok(if wrong.is_empty() { Outcome::Done } else { Outcome::Damaged })
}
