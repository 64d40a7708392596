//! The same on a GPU, where there is one: every stage that has kernels gives the bits of the CPU.

use super::execute::{WHOLE, cut_inputs, run, surround};
use super::image::{Float, Image, Random};
use crate::device;
use crate::spec::{From as Reads, Stage};
use std::sync::{Arc, OnceLock};
use voxtile_sched::contract::device::{Job, Launch, Place, Slot, Span};
use voxtile_sched::contract::{Device, Op, Pass};
use voxtile_sched::model::{Dtype, Meta, NDIM, PerAxis, Region, Shape, voxels};

/// The GPU of the tests; says once why there is none.
fn gpu() -> Option<&'static Arc<dyn Device>> {
    static GPU: OnceLock<Option<Arc<dyn Device>>> = OnceLock::new();
    let found = GPU.get_or_init(|| {
        device::first().inspect_err(|why| eprintln!("skipped: nothing is compared on a GPU: {why}")).ok()
    });
    found.as_ref()
}

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
        if let Some(got) = on(&**gpu, &*stage.op, &read) {
            compared += 1;
            got.assert_same(&wanted, Float::Exact, || format!("{}: the GPU has other bits", context()));
        }
        made.push(wanted);
    }
    compared
}

/// What the kernels of an operation make of whole images, if it has any. Its tiles lie in larger buffers of random bytes.
fn on(gpu: &dyn Device, op: &dyn Op, inputs: &[&Image]) -> Option<Image> {
    let metas: Vec<Meta> = inputs.iter().map(|image| image.meta().clone()).collect();
    let meta = op.output(&metas).unwrap_or_else(|refused| panic!("`{}` {refused}", op.name()));
    let dtypes: Vec<Dtype> = metas.iter().map(|meta| meta.dtype).collect();
    if !matches!(op.pass(), Pass::Local) || voxels(&meta.shape) == 0 {
        return None;
    }
    let kernels = op.kernels(&dtypes, meta.dtype, &meta.shape)?;
    if !kernels.sweeps.iter().all(|sweep| gpu.has(sweep)) {
        return None;
    }
    let mut random = Random::new(11);
    let mut job = Job::default();
    let mut sent: Vec<Image> = Vec::new();
    let mut send = |image: &Image, job: &mut Job| {
        let (larger, place) = surround(image, &mut random);
        let whole = buffer(job, image.meta().dtype, larger.meta().shape);
        job.uploads.push(Span { at: whole.at, len: larger.bytes().len() as u64 });
        sent.push(larger);
        (part(&whole, &place), place)
    };
    let read = cut_inputs(op, inputs, &Region::whole(meta.shape));
    let from: Vec<Place> = read.iter().map(|image| send(image, &mut job).0).collect();
    let (to, place) = send(&Image::with_fill(meta, 0xA5), &mut job);
    let scratch: Vec<Place> =
        kernels.scratch.iter().map(|(dtype, shape)| buffer(&mut job, *dtype, *shape)).collect();
    for sweep in kernels.sweeps {
        let find = |slot: &Slot| match *slot {
            Slot::Input(n) => from[n].clone(),
            Slot::Scratch(n) => scratch[n].clone(),
            Slot::Output => to.clone(),
        };
        let (from, to) = (sweep.from.iter().map(find).collect(), find(&sweep.to));
        job.launches.push(Launch { kernel: sweep.kernel, step: 0, from, to, arguments: sweep.arguments });
    }
    let last = *job.uploads.last().expect("the output is sent too");
    job.downloads.push(last);
    let before = sent.last().expect("the output is sent too").clone();
    let mut after = before.clone();
    let bytes: Vec<&[u8]> = sent.iter().map(Image::bytes).collect();
    gpu.run(&job, &bytes, &mut [after.bytes_mut()])
        .unwrap_or_else(|error| panic!("`{}`: {error}", op.name()));
    let made = after.part(&place);
    after.tile_mut().part(&place).copy_from(&before.part(&place).tile());
    assert!(after.bytes() == before.bytes(), "`{}` writes outside its output tile on the GPU", op.name());
    Some(made)
}

/// A buffer behind those that a job has.
fn buffer(job: &mut Job, dtype: Dtype, shape: Shape) -> Place {
    let at = job.bytes;
    job.bytes = (at + voxels(&shape) * dtype.size() as u64).next_multiple_of(256);
    let mut strides: PerAxis<u64> = [1; NDIM];
    for a in (0..NDIM - 1).rev() {
        strides[a] = strides[a + 1] * shape[a + 1];
    }
    Place { dtype, at, shape, strides }
}

fn part(whole: &Place, place: &Region) -> Place {
    let skipped: u64 = (0..NDIM).map(|a| place.start[a] as u64 * whole.strides[a]).sum();
    Place { at: whole.at + skipped * whole.dtype.size() as u64, shape: place.shape, ..whole.clone() }
}
