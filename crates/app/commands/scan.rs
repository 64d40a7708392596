//! A pass over regions of a store in parallel, with as many buffers as workers.

use super::Failure;
use crate::args::LimitArgs;
use crate::progress;
use indicatif::ProgressBar;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use voxtile_sched::contract::{Fetch, Source, StoreError};
use voxtile_sched::model::{Dtype, Grid, Region, Shape, Tile, TileMut, voxels};

/// Bytes of the process that are not buffers.
const BASE: u64 = 24 << 20;

/// Voxels in memory that are used again for the next region. `u64` for alignment.
#[derive(Default)]
pub(super) struct Buffer(Vec<u64>);

impl Buffer {
    fn tile(&mut self, dtype: Dtype, shape: &Shape) -> TileMut<'_> {
        let bytes = voxels(shape) as usize * dtype.size();
        if self.0.len() < bytes.div_ceil(8) {
            self.0.resize(bytes.div_ceil(8), 0);
        }
        let data = &mut bytemuck::cast_slice_mut::<u64, u8>(&mut self.0)[..bytes];
        TileMut::new(dtype, shape.map(|n| n as usize), data)
    }
}

/// Decodes one chunk.
pub(super) fn read<'a>(
    source: &dyn Source,
    grid: &Grid,
    index: &Shape,
    buffer: &'a mut Buffer,
) -> Result<TileMut<'a>, StoreError> {
    Ok(read_counted(source, grid, index, buffer)?.0)
}

/// Decodes one chunk, and says how many bytes of it are stored: 0 if it is not.
pub(super) fn read_counted<'a>(
    source: &dyn Source,
    grid: &Grid,
    index: &Shape,
    buffer: &'a mut Buffer,
) -> Result<(TileMut<'a>, u64), StoreError> {
    let mut tile = buffer.tile(source.meta().dtype, &grid.region(index).shape);
    let fetched = match source.fetch(index) {
        Fetch::InWorker => None,
        Fetch::Wait(coming) => Some(voxtile_io::contract::wait(coming)?),
    };
    let bytes = source.read(index, fetched, tile.reborrow())?;
    Ok((tile, bytes))
}

/// Decodes all chunks that touch a region into one tile.
pub(super) fn read_region<'a>(
    source: &dyn Source,
    grid: &Grid,
    region: &Region,
    chunk: &mut Buffer,
    whole: &'a mut Buffer,
) -> Result<Tile<'a>, StoreError> {
    let mut out = whole.tile(source.meta().dtype, &region.shape);
    for index in grid.covering(region) {
        let at = grid.region(&index);
        let common = at.intersect(region);
        let from = read(source, grid, &index, chunk)?;
        let relative = |to: &Region| common.translate(&to.start.map(|s| -s));
        out.part(&relative(region)).copy_from(&from.as_tile().part(&relative(&at)));
    }
    let shape = out.shape();
    let bytes = out.len() * source.meta().dtype.size();
    Ok(Tile::new(source.meta().dtype, shape, &bytemuck::cast_slice::<u64, u8>(&whole.0)[..bytes]))
}

/// How many workers a budget feeds, each holding `each` bytes.
pub(super) fn workers(limits: &LimitArgs, each: u64) -> Result<usize, Failure> {
    let allowed = limits.memory();
    let fit = allowed.saturating_sub(BASE) / each.max(1);
    if fit == 0 {
        return Err(Failure::Chunk { needed: each.saturating_add(BASE), allowed });
    }
    Ok(limits.workers().min(usize::try_from(fit).unwrap_or(usize::MAX)))
}

/// Calls `work` for every number below `count`, from several threads; each has its own state. Stops early when
/// `work` says so, or on Ctrl-C.
pub(super) fn parallel<S: Send>(
    workers: usize,
    count: u64,
    bar: &ProgressBar,
    state: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, u64) -> bool + Sync,
) -> Result<Vec<S>, Failure> {
    let cancel = progress::interrupt();
    let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    bar.set_length(count);
    let run = || {
        let mut own = state();
        while !stop.load(Ordering::Relaxed) && !cancel.is_cancelled() {
            let n = next.fetch_add(1, Ordering::Relaxed);
            if n >= count {
                break;
            }
            if !work(&mut own, n) {
                stop.store(true, Ordering::Relaxed);
            }
            bar.inc(1);
        }
        own
    };
    let states = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(run)).collect();
        let join = |t: std::thread::ScopedJoinHandle<'_, S>| match t.join() {
            Ok(state) => state,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        threads.into_iter().map(join).collect()
    });
    bar.finish_and_clear();
    if cancel.is_cancelled() { Err(Failure::Interrupted) } else { Ok(states) }
}
