//! Forward on a device: computes one tile of a stage there, and decides while planning which stages are.

use super::cost;
use super::demand::{self, Demand};
use super::graph::Graph;
use super::lower::lower;
use super::plan::Planned;
use super::pool::{OutOfMemory, Pool};
use super::stage::{Stage, Value};
use super::tile_run::{self, Block, Chunk};
use crate::contract::{Device, DeviceError, Pass};
use crate::model::Dtype;
use std::sync::Arc;

/// Where a stage is computed, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Placement {
    /// On the CPU; there was no choice.
    #[default]
    Only,
    /// On the CPU, because of this.
    Cpu(String),
    /// On the device.
    Device {
        /// Bytes that a tile needs there.
        bytes: u64,
        /// Tiles that are there at one time.
        jobs: usize,
    },
}

/// What a stage takes on a device.
struct Needs {
    /// Bytes of its memory, per tile.
    bytes: u64,
    /// Bytes copied to and from it, per tile.
    copied: u64,
}

/// Moves a stage to the device, if all of its steps have kernels there and `room` bytes are enough for the device's driver
/// and for what is copied.
pub(crate) fn place(graph: &Graph, planned: &mut Planned, device: &dyn Device, room: u64) {
    let needs = match needs(graph, planned, device) {
        Ok(needs) => needs,
        Err(why) => {
            planned.placement = Placement::Cpu(why);
            return;
        }
    };
    let jobs =
        device.jobs().min(planned.inflight).min((device.memory() / needs.bytes.max(1)) as usize).max(1);
    // Inputs and results of a tile are here at one time, and what is being copied twice.
    let bytes = &planned.bytes;
    let more = (bytes.input + bytes.output).saturating_sub(bytes.total);
    let tiles = more * planned.inflight as u64;
    let copies = needs.copied * jobs as u64;
    let needed = device.host_bytes() + tiles + copies;
    if needed > room {
        let [needed, room] = [needed.div_ceil(1 << 20), room >> 20];
        planned.placement = Placement::Cpu(format!(
            "the device needs {needed} MiB of this process's memory, and the budget leaves {room} MiB"
        ));
        return;
    }
    planned.bytes.total += more;
    planned.pool_bytes += tiles;
    planned.scratch += copies;
    planned.placement = Placement::Device { bytes: needs.bytes, jobs };
}

/// What a tile takes, or why the stage cannot be there.
fn needs(graph: &Graph, planned: &Planned, device: &dyn Device) -> Result<Needs, String> {
    let stage = &planned.stage;
    if stage.nodes.is_empty() {
        return Err("nothing is computed before the end of the stage".to_owned());
    }
    for node in &stage.nodes {
        let step = &graph.steps[node.step].label;
        let dtypes: Vec<Dtype> = node.inputs.iter().map(|&input| stage.meta(input).dtype).collect();
        let known = match node.op.pass() {
            Pass::Local | Pass::Global(_) => node.op.kernels(&dtypes, node.meta.dtype, &[1; 5]),
            _ => None,
        };
        if !known.is_some_and(|kernels| kernels.sweeps.iter().all(|sweep| device.has(sweep))) {
            return Err(format!("`{step}` has no kernel from {} to {}", list(&dtypes), node.meta.dtype));
        }
    }
    let mut most = Needs { bytes: 0, copied: 0 };
    for tile in cost::samples(&planned.tiling) {
        let Some(lowered) = lower(stage, &demand::demand(stage, &tile)) else {
            return Err("a step has no kernels for its tiles".to_owned());
        };
        most.bytes = most.bytes.max(lowered.job.bytes);
        most.copied = most.copied.max(lowered.job.copied());
    }
    if most.bytes > device.memory() {
        let [needed, free] = [most.bytes.div_ceil(1 << 20), device.memory() >> 20];
        return Err(format!("a tile needs {needed} MiB of the device's memory, and {free} MiB are free"));
    }
    Ok(most)
}

fn list(dtypes: &[Dtype]) -> String {
    dtypes.iter().map(|dtype| dtype.name()).collect::<Vec<_>>().join(" and ")
}

/// Why a tile was not computed.
pub(crate) enum Failed {
    Memory(OutOfMemory),
    Device(DeviceError),
}

impl From<OutOfMemory> for Failed {
    fn from(error: OutOfMemory) -> Self {
        Self::Memory(error)
    }
}

/// As [`tile_run::compute`], with all steps on the device.
pub(crate) fn compute(
    pool: &Arc<Pool>,
    stage: &Stage,
    demand: &Demand,
    chunks: Vec<Vec<Arc<Chunk>>>,
    device: &dyn Device,
) -> Result<Vec<Arc<Vec<Block>>>, Failed> {
    let Some(lowered) = lower(stage, demand) else {
        return Ok(tile_run::compute(pool, stage, demand, chunks)?);
    };
    let mut feeds = Vec::with_capacity(stage.feeds.len());
    for (k, chunks) in chunks.into_iter().enumerate() {
        feeds.push(Arc::new(tile_run::feed(pool, stage, demand, k, &chunks)?));
    }
    let mut made = Vec::with_capacity(lowered.outputs.len());
    for &(slot, b) in &lowered.outputs {
        made.push(tile_run::block(pool, demand.holds[slot].buffers[b].region, stage.slot_type(slot).0)?);
    }
    let inputs: Vec<&[u8]> = lowered.inputs.iter().map(|&(k, b)| feeds[k][b].bytes()).collect();
    let mut outputs: Vec<&mut [u8]> = made.iter_mut().map(Block::bytes_mut).collect();
    device.run(&lowered.job, &inputs, &mut outputs).map_err(Failed::Device)?;
    let mut made: Vec<(usize, Block)> = lowered.outputs.iter().map(|(slot, _)| *slot).zip(made).collect();
    let mut slots: Vec<(usize, Arc<Vec<Block>>)> = Vec::new();
    while let Some(&(slot, _)) = made.first() {
        let rest = made.iter().position(|(s, _)| *s != slot).unwrap_or(made.len());
        slots.push((slot, Arc::new(made.drain(..rest).map(|(_, block)| block).collect())));
    }
    let of_root = |root: &Value| match root {
        Value::Feed(k) => feeds[*k].clone(),
        Value::Node(_) => {
            let slot = stage.slot(*root);
            let found = slots.iter().find(|(s, _)| *s == slot);
            found.expect("every computed root is an output").1.clone()
        }
    };
    Ok(stage.roots.iter().map(of_root).collect())
}
