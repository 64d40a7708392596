//! The same on a GPU, where there is one: every stage that has kernels gives the bits of the CPU.

use super::execute::{WHOLE, cut_inputs, resolve_by, run, surround};
use super::image::{Bytes, Float, Image, Random};
use super::joins::JOINS;
use super::tables;
use crate::device;
use crate::spec::{From as Reads, Stage};
use std::sync::{Arc, OnceLock};
use voxtile_sched::contract::device::{Download, Job, Place};
use voxtile_sched::contract::{Device, Fold, Global, Kernels, Merge, Op, Pass, Table, Tabled};
use voxtile_sched::model::{Dtype, Grid, Meta, NDIM, Region, Shape, Tile, voxels};

/// The GPU of the tests; says once why there is none.
fn gpu() -> Option<&'static Arc<dyn Device>> {
    static GPU: OnceLock<Option<Arc<dyn Device>>> = OnceLock::new();
    let found = GPU.get_or_init(|| {
        device::first().inspect_err(|why| eprintln!("skipped: nothing is compared on a GPU: {why}")).ok()
    });
    found.as_ref()
}

/// Whether the environment asks (`VOXTILE_CHECK=gpu`) that nothing is checked but that a GPU gives the CPU's bits: the other
/// checks say nothing about it, and need not be run once more for each way to run kernels.
pub(super) fn only() -> bool {
    static ONLY: OnceLock<bool> = OnceLock::new();
    *ONLY.get_or_init(|| std::env::var_os("VOXTILE_CHECK").is_some_and(|value| value == "gpu"))
}

/// Tiles of what ends in no image.
const TILE: Shape = [1, 2, 3, 7, 11];

/// Compares each stage that has kernels with its CPU kernel, on the same inputs. How many were compared.
#[track_caller]
pub(super) fn compare(stages: &[Stage], inputs: &[&Image], context: impl Fn() -> String) -> usize {
    let Some(gpu) = gpu() else { return 0 };
    let mut made: Vec<Image> = Vec::new();
    let mut compared = 0;
    for stage in stages {
        let read = |from: &Reads| match *from {
            Reads::Input(n) => inputs[n],
            Reads::Stage(n) => &made[n],
        };
        let read: Vec<&Image> = stage.inputs.iter().map(read).collect();
        let wanted = run(&*stage.op, &read, WHOLE);
        if let Some(got) = on(&**gpu, &*stage.op, &read, &wanted) {
            compared += 1;
            got.assert_same(&wanted, Float::Exact, || format!("{}: the GPU has other bits", context()));
        }
        made.push(wanted);
    }
    compared
}

/// Compares what a table is made of on a GPU, if its operation has kernels.
#[track_caller]
pub(super) fn compare_table(
    op: &dyn Op,
    inputs: &[&Image],
    wanted: &Table,
    context: impl Fn() -> String,
) -> bool {
    let (Some(gpu), Pass::Tally(tally)) = (gpu(), op.pass()) else { return false };
    let image = inputs[0].meta();
    let grid = Grid::new(image.shape, TILE);
    let mut table = tally.tabulator(image);
    for region in grid.iter().map(|i| grid.region(&i)) {
        let read = cut_inputs(op, inputs, &region);
        let tiles: Vec<Tile<'_>> = read.iter().map(Image::tile).collect();
        let dtypes: Vec<Dtype> = read.iter().map(|image| image.meta().dtype).collect();
        let Some(kernels) = tally.kernels(&dtypes, &region.shape).filter(|k| has(&**gpu, k)) else {
            return false;
        };
        let given = given(&**gpu, op.name(), &kernels, &read);
        let given: Vec<&[u8]> = given.iter().map(Vec::as_slice).collect();
        // What does not suffice is made here, as in a run.
        table.absorb(tally.part(&given, &region).unwrap_or_else(|| tally.local(&tiles, &region)));
    }
    let Ok(Tabled::Done(got)) = table.finish() else { return false };
    tables::same(&got, wanted, 0.0, &format!("{}: the GPU has another table", context()));
    true
}

fn has(gpu: &dyn Device, kernels: &Kernels) -> bool {
    kernels.sweeps.iter().all(|sweep| gpu.has(sweep))
}

/// What the kernels of an operation make of whole images, if it has any; `wanted` is what the CPU makes.
fn on(gpu: &dyn Device, op: &dyn Op, inputs: &[&Image], wanted: &Image) -> Option<Image> {
    let meta = wanted.meta().clone();
    let whole = Region::whole(meta.shape);
    let dtypes: Vec<Dtype> = inputs.iter().map(|image| image.meta().dtype).collect();
    if voxels(&meta.shape) == 0 || inputs.iter().any(|image| voxels(&image.meta().shape) == 0) {
        return None;
    }
    let kernels = match op.pass() {
        Pass::Local => op.kernels(&dtypes, meta.dtype, &meta.shape)?,
        Pass::Placed(placed) => {
            let shapes = inputs.iter().map(|image| image.meta().shape).enumerate();
            let from: Vec<Region> = shapes.map(|(n, shape)| op.reads(n, &whole, &shape)).collect();
            placed.kernels(&dtypes, meta.dtype, &whole, &from)?
        }
        Pass::Fold(fold) => return folded(gpu, op, fold, inputs[0], meta),
        Pass::Global(global) => return observed(gpu, op, global, inputs),
        Pass::Merge(merge) => return merged(gpu, op, merge, inputs, meta),
        Pass::Propagate(_) | Pass::Tally(_) => return None,
    };
    has(gpu, &kernels).then(|| filled(gpu, op, &kernels, &cut_inputs(op, inputs, &whole), meta))
}

/// The output tile that kernels fill. All tiles lie in larger buffers of random bytes.
fn filled(gpu: &dyn Device, op: &dyn Op, kernels: &Kernels, inputs: &[Image], meta: Meta) -> Image {
    let mut sending = Sending::new(inputs);
    let (to, place) = sending.send(&Image::with_fill(meta, 0xA5));
    let Sending { mut job, sent, from, .. } = sending;
    let mut end = job.bytes;
    let added =
        kernels.add(&mut job, 0, &from, Some(&to), |wanted| buffer(&mut end, wanted.dtype, wanted.shape));
    added.unwrap_or_else(|| panic!("`{}` has kernels that read what there is not", op.name()));
    job.bytes = end;
    let span = *job.uploads.last().expect("the output is sent too");
    job.downloads.push(Download { span, counted: None });
    let before = sent.last().expect("the output is sent too").clone();
    let mut after = before.clone();
    let bytes: Vec<&[u8]> = sent.iter().map(Image::bytes).collect();
    gpu.run(&job, &bytes, &mut [after.bytes_mut()])
        .unwrap_or_else(|error| panic!("`{}`: {error}", op.name()));
    let made = after.part(&place);
    after.tile_mut().part(&place).copy_from(&before.part(&place).tile());
    assert!(after.bytes() == before.bytes(), "`{}` writes outside its output tile on the GPU", op.name());
    made
}

/// The results that kernels give of prepared inputs, which lie in larger buffers of random bytes.
fn given(gpu: &dyn Device, name: &str, kernels: &Kernels, inputs: &[Image]) -> Vec<Vec<u8>> {
    let Sending { mut job, sent, from, .. } = Sending::new(inputs);
    let mut end = job.bytes;
    let added = kernels.add(&mut job, 0, &from, None, |wanted| buffer(&mut end, wanted.dtype, wanted.shape));
    added.unwrap_or_else(|| panic!("`{name}` has kernels that read what there is not"));
    job.bytes = end;
    let mut results: Vec<Vec<u8>> = job.downloads.iter().map(|d| vec![0xA5; d.span.len as usize]).collect();
    let mut outputs: Vec<&mut [u8]> = results.iter_mut().map(Vec::as_mut_slice).collect();
    let bytes: Vec<&[u8]> = sent.iter().map(Image::bytes).collect();
    let ran = gpu.run(&job, &bytes, &mut outputs).unwrap_or_else(|error| panic!("`{name}`: {error}"));
    results.iter_mut().zip(ran.written).for_each(|(result, len)| result.truncate(len as usize));
    results
}

/// A reduction whose slabs are reduced there, one after the other.
fn folded(gpu: &dyn Device, op: &dyn Op, fold: &dyn Fold, image: &Image, meta: Meta) -> Option<Image> {
    let axis = fold.axis();
    let count = image.meta().shape[axis.index()];
    let mut state = Bytes::new(voxels(&meta.shape) as usize * fold.state_size() + 64, 0xFF);
    let skip = state.get().as_ptr().align_offset(64);
    let len = voxels(&meta.shape) as usize * fold.state_size();
    let state = &mut state.get_mut()[skip..skip + len];
    fold.start(state);
    // All at once, where sums must keep their order; else in two slabs.
    let dtype = image.meta().dtype;
    let halves = [count / 2, count - count / 2];
    let (_, thick) = (count, image.meta().shape);
    let alone = |len: u64| {
        let mut shape = thick;
        shape[axis.index()] = len;
        fold.kernels(dtype, &shape).filter(|kernels| has(gpu, kernels))
    };
    let slabs: &[u64] =
        if count > 1 && halves.iter().all(|len| alone(*len).is_some()) { &halves } else { &[count] };
    let mut at = 0;
    for &len in slabs {
        let kernels = alone(len)?;
        let slab = image.part(&Region::whole(thick).with_axis(axis, at, len));
        at += len as i64;
        fold.join(&given(gpu, op.name(), &kernels, &[slab])[0], state);
    }
    let mut out = Image::with_fill(meta, 0xA5);
    fold.finish(count, state, out.tile_mut());
    Some(out)
}

/// What an operation becomes by statistics that are counted there, on the CPU.
fn observed(gpu: &dyn Device, op: &dyn Op, global: &dyn Global, inputs: &[&Image]) -> Option<Image> {
    let mut any = false;
    let mut tile = TILE;
    if let Some(axis) = global.spans() {
        tile[axis.index()] = WHOLE[axis.index()];
    }
    let local = resolve_by(global, inputs, tile, &mut |statistic, image, region| {
        let part = image.part(region);
        let kernels =
            statistic.kernels(image.meta().dtype, &region.shape).filter(|kernels| has(gpu, kernels));
        let taken = kernels.is_some_and(|kernels| {
            let given = given(gpu, op.name(), &kernels, std::slice::from_ref(&part));
            let given: Vec<&[u8]> = given.iter().map(Vec::as_slice).collect();
            statistic.take(&given, region)
        });
        any |= taken;
        if !taken {
            statistic.observe(&part.tile(), region);
        }
    });
    any.then(|| run(&*local, inputs, WHOLE))
}

/// Tiles worked there, joined and painted.
fn merged(gpu: &dyn Device, op: &dyn Op, merge: &dyn Merge, inputs: &[&Image], meta: Meta) -> Option<Image> {
    let image = meta.shape;
    let mut merger = merge.merger(&image, &JOINS);
    let grid = Grid::new(image, TILE);
    let mut kept = Vec::new();
    for region in grid.iter().map(|i| grid.region(&i)) {
        let read = cut_inputs(op, inputs, &region);
        let tiles: Vec<Tile<'_>> = read.iter().map(Image::tile).collect();
        let dtypes: Vec<Dtype> = read.iter().map(|image| image.meta().dtype).collect();
        let kernels = merge.kernels(&dtypes, &region.shape).filter(|kernels| has(gpu, kernels))?;
        let given = given(gpu, op.name(), &kernels, &read);
        let given: Vec<&[u8]> = given.iter().map(Vec::as_slice).collect();
        let part =
            merge.part(&given, &region, &image).unwrap_or_else(|| merge.local(&tiles, &region, &image));
        merger.absorb(&region, part.faces);
        kept.push((region, part.kept));
    }
    let resolution = merger.finish().unwrap_or_else(|refused| panic!("`{}` {refused}", op.name()));
    let mut out = Image::with_fill(meta, 0xA5);
    for (region, kept) in &kept {
        merge.paint(kept, region, &resolution, out.tile_mut().part(region));
    }
    Some(out)
}

/// A job to which tiles are sent.
struct Sending {
    random: Random,
    job: Job,
    sent: Vec<Image>,
    from: Vec<Place>,
}

impl Sending {
    fn new(inputs: &[Image]) -> Self {
        let mut out =
            Self { random: Random::new(11), job: Job::default(), sent: Vec::new(), from: Vec::new() };
        for input in inputs {
            let (place, _) = out.send(input);
            out.from.push(place);
        }
        out
    }

    /// Sends an image within a larger one: where it lies in the memory of the job, and in the larger image.
    fn send(&mut self, image: &Image) -> (Place, Region) {
        let (larger, place) = surround(image, &mut self.random);
        let whole = buffer(&mut self.job.bytes, image.meta().dtype, larger.meta().shape);
        self.job.uploads.push(whole.span());
        self.sent.push(larger);
        let skipped: u64 = (0..NDIM).map(|a| place.start[a] as u64 * whole.strides[a]).sum();
        let at = whole.at + skipped * whole.dtype.size() as u64;
        (Place { at, shape: place.shape, ..whole }, place)
    }
}

/// A buffer behind what there is.
fn buffer(end: &mut u64, dtype: Dtype, shape: Shape) -> Place {
    let place = Place::packed(dtype, *end, shape);
    *end = (*end + place.span().len).next_multiple_of(256);
    place
}
