//! Forward: computes one tile of a stage in memory.

use super::demand::{self, Demand, Hold, Padded};
use super::pad;
use super::pool::{Buffer, OutOfMemory, Pool};
use super::stage::{Stage, Value};
use crate::contract::Pass;
use crate::model::{Dtype, NDIM, Region, Shape, Tile, TileMut};
use std::sync::Arc;

/// A decoded chunk, shared by all tiles that read it.
pub(crate) struct Chunk {
    /// Its voxels inside the image.
    pub(crate) region: Region,
    pub(crate) dtype: Dtype,
    pub(crate) data: Buffer,
    /// Its bytes in the budget, given back after `data`.
    pub(crate) _permit: tokio::sync::OwnedSemaphorePermit,
}

impl Chunk {
    pub(crate) fn tile(&self) -> Tile<'_> {
        Tile::new(self.dtype, self.region.shape.map(|n| n as usize), &self.data)
    }
}

/// The voxels of one value over a region.
pub(crate) enum Held {
    Own(Buffer),
    /// A chunk that is exactly what the value needs: not copied.
    Shared(Arc<Chunk>),
}

/// A value and what it covers.
pub(crate) struct Block {
    pub(crate) region: Region,
    pub(crate) dtype: Dtype,
    pub(crate) held: Held,
}

impl Block {
    pub(crate) fn tile(&self) -> Tile<'_> {
        let shape = self.region.shape.map(|n| n as usize);
        match &self.held {
            Held::Own(b) => Tile::new(self.dtype, shape, b),
            Held::Shared(c) => c.tile(),
        }
    }

    pub(crate) fn tile_mut(&mut self) -> TileMut<'_> {
        let shape = self.region.shape.map(|n| n as usize);
        match &mut self.held {
            Held::Own(b) => TileMut::new(self.dtype, shape, b),
            Held::Shared(_) => unreachable!("shared chunks are not written"),
        }
    }

    /// All of its bytes, row-major.
    pub(crate) fn bytes(&self) -> &[u8] {
        match &self.held {
            Held::Own(b) => b,
            Held::Shared(c) => &c.data,
        }
    }

    /// The same, to be written.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        match &mut self.held {
            Held::Own(b) => b,
            Held::Shared(_) => unreachable!("shared chunks are not written"),
        }
    }

    /// The part at `region` of the image.
    pub(crate) fn part(&self, region: &Region) -> Tile<'_> {
        if region.is_empty() {
            return self.tile().part(&Region::new([0; NDIM], [0; NDIM]));
        }
        self.tile().part(&region.translate(&self.region.start.map(|s| -s)))
    }
}

pub(crate) fn block(pool: &Arc<Pool>, region: Region, dtype: Dtype) -> Result<Block, OutOfMemory> {
    let data = pool.take(demand::bytes(&region, dtype.size()))?;
    Ok(Block { region, dtype, held: Held::Own(data) })
}

/// Fills the buffers of one feed from decoded chunks.
pub(crate) fn feed(
    pool: &Arc<Pool>,
    stage: &Stage,
    demand: &Demand,
    feed: usize,
    chunks: &[Arc<Chunk>],
) -> Result<Vec<Block>, OutOfMemory> {
    let meta = &stage.feeds[feed].meta;
    let hold = &demand.holds[feed];
    if let ([buffer], [chunk]) = (&hold.buffers[..], chunks)
        && buffer.border.is_none()
        && buffer.region == chunk.region
    {
        return Ok(vec![Block {
            region: chunk.region,
            dtype: meta.dtype,
            held: Held::Shared(chunk.clone()),
        }]);
    }
    let make = |buffer: &Padded| {
        let mut out = block(pool, buffer.region, meta.dtype)?;
        let mut tile = out.tile_mut();
        if buffer.border == Some(crate::model::Border::Wrap) {
            for (part, at) in pad::periodic(&buffer.region, &meta.shape) {
                let to = Region::new(at, part.shape);
                for chunk in chunks {
                    pad::copy_common(&mut tile.part(&to), &part, &chunk.tile(), &chunk.region);
                }
            }
        } else {
            for chunk in chunks {
                pad::copy_common(&mut tile, &buffer.region, &chunk.tile(), &chunk.region);
            }
            if let Some(border) = buffer.border {
                pad::fill(&mut tile, &buffer.region, &hold.inside, &meta.shape, border);
            }
        }
        Ok(out)
    };
    hold.buffers.iter().map(make).collect()
}

/// Computes the roots of a stage over one tile. `chunks[k]` holds the decoded chunks that feed `k` needs.
pub(crate) fn compute(
    pool: &Arc<Pool>,
    stage: &Stage,
    demand: &Demand,
    chunks: Vec<Vec<Arc<Chunk>>>,
) -> Result<Vec<Arc<Vec<Block>>>, OutOfMemory> {
    let last = demand::last_reads(stage);
    let mut values: Vec<Option<Arc<Vec<Block>>>> = Vec::with_capacity(stage.slots());
    for (k, chunks) in chunks.into_iter().enumerate() {
        values.push(Some(Arc::new(feed(pool, stage, demand, k, &chunks)?)));
    }
    for (n, node) in stage.nodes.iter().enumerate() {
        let slot = stage.slot(Value::Node(n));
        let hold = &demand.holds[slot];
        let mut out = block(pool, hold.buffers[0].region, node.meta.dtype)?;
        if !hold.inside.is_empty() {
            let inputs: Vec<Tile<'_>> = node
                .inputs
                .iter()
                .zip(&demand.reads[n])
                .map(|(&input, (buffer, region))| {
                    let blocks = values[stage.slot(input)].as_ref().expect("kept until its last read");
                    blocks[*buffer].part(region)
                })
                .collect();
            let mut scratch = pool.take(node.op.scratch(&hold.inside.shape))?;
            let back = hold.inside.translate(&out.region.start.map(|s| -s));
            let mut tile = out.tile_mut();
            if let Pass::Placed(placed) = node.op.pass() {
                let from: Vec<Region> = demand.reads[n].iter().map(|(_, region)| *region).collect();
                placed.fill(&hold.inside, &inputs, &from, tile.part(&back), &mut scratch);
            } else {
                node.op.cpu(&inputs, tile.part(&back), &mut scratch);
            }
        }
        values.push(Some(Arc::new(padded(pool, hold, out, &node.meta.shape)?)));
        for (s, value) in values.iter_mut().enumerate() {
            if last[s] == n {
                *value = None;
            }
        }
    }
    Ok(stage.roots.iter().map(|&r| values[stage.slot(r)].clone().expect("roots are kept")).collect())
}

/// All buffers of a value, from the one that holds its voxels inside the image; each padded by its rule.
pub(crate) fn padded(
    pool: &Arc<Pool>,
    hold: &Hold,
    mut out: Block,
    image: &Shape,
) -> Result<Vec<Block>, OutOfMemory> {
    if let Some(border) = hold.buffers[0].border {
        pad::fill(&mut out.tile_mut(), &hold.buffers[0].region, &hold.inside, image, border);
    }
    let mut blocks = vec![out];
    for buffer in &hold.buffers[1..] {
        let mut copy = block(pool, buffer.region, blocks[0].dtype)?;
        let mut tile = copy.tile_mut();
        pad::copy_common(&mut tile, &buffer.region, &blocks[0].tile(), &blocks[0].region);
        if let Some(border) = buffer.border {
            pad::fill(&mut tile, &buffer.region, &hold.inside, image, border);
        }
        blocks.push(copy);
    }
    Ok(blocks)
}
