//! A tile for which the system has no memory is computed in parts: the result has the same bits.

use super::demand;
use super::pool::{OutOfMemory, Pool};
use super::stage::Stage;
use super::tile_run::{self, Block, Chunk};
use crate::model::{NDIM, Region};
use std::sync::Arc;

/// How often a tile is halved.
const HALVINGS: u32 = 6;

/// Computes a tile in halves, each of which may be halved again; `refused` is what the system said to the whole.
pub(super) fn compute(
    pool: &Arc<Pool>,
    stage: &Stage,
    tile: &Region,
    chunks: &[Vec<Arc<Chunk>>],
    refused: OutOfMemory,
) -> Result<Vec<Arc<Vec<Block>>>, OutOfMemory> {
    let whole = demand::demand(stage, tile);
    // What takes the tile must find it in the first buffer of the only value, and read nothing around it.
    let plain = stage.reader.is_none() && matches!(whole.roots[..], [(0, region)] if region == *tile);
    if !plain {
        return Err(refused);
    }
    tracing::warn!(%tile, bytes = refused.bytes, "no memory for a tile; it is computed in parts");
    let mut out = tile_run::block(pool, *tile, stage.meta(stage.roots[0]).dtype)?;
    part(pool, stage, tile, chunks, &mut out, HALVINGS)?;
    Ok(vec![Arc::new(vec![out])])
}

fn part(
    pool: &Arc<Pool>,
    stage: &Stage,
    tile: &Region,
    chunks: &[Vec<Arc<Chunk>>],
    out: &mut Block,
    halvings: u32,
) -> Result<(), OutOfMemory> {
    let longest = (0..NDIM).max_by_key(|&a| tile.shape[a]).unwrap_or(NDIM - 1);
    let first = tile.shape[longest] / 2;
    let mut halves = [*tile, *tile];
    halves[0].shape[longest] = first;
    halves[1].shape[longest] -= first;
    halves[1].start[longest] += first as i64;
    for half in halves.iter().filter(|half| !half.is_empty()) {
        let demand = demand::demand(stage, half);
        match tile_run::compute(pool, stage, &demand, chunks.to_vec()) {
            Ok(made) => {
                let (buffer, region) = demand.roots[0];
                let to = half.translate(&out.region.start.map(|s| -s));
                out.tile_mut().part(&to).copy_from(&made[0][buffer].part(&region));
            }
            Err(refused) if halvings == 0 || half.voxels() <= 1 => return Err(refused),
            Err(_) => part(pool, stage, half, chunks, out, halvings - 1)?,
        }
    }
    Ok(())
}
