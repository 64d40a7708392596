//! Which chunk is decoded when, and how long it stays: decided before the run, because the order of tiles is known.
//!
//! The cache evicts the chunk whose next use is farthest away (Belady). The run follows this list, so the number of
//! chunks decoded is planned, not hoped for.

use super::demand;
use super::pad;
use super::stage::Stage;
use super::tiles::Tiling;
use crate::model::{Border, Grid, Region};
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;

/// A chunk of a feed: its number and its row-major number in the feed's grid.
pub(crate) type Key = (usize, u64);

/// What one cache makes of the order of tiles.
#[derive(Default)]
pub(crate) struct Schedule {
    keys: Arc<Vec<Key>>,
    /// Chunks that tiles read, by their place in `keys`, doubled; one more where the chunk is decoded for that tile.
    uses: Vec<u32>,
    drops: Vec<u32>,
    /// Where the lists of each tile end.
    ends: Vec<(u32, u32)>,
    /// Chunks decoded, repeats included.
    pub(crate) decoded: u64,
    /// Voxels decoded, per feed.
    pub(crate) voxels: Vec<u64>,
    /// Most bytes that chunks hold while one tile runs.
    pub(crate) peak_bytes: u64,
    /// Most bytes that one tile decodes.
    pub(crate) peak_load: u64,
}

impl Schedule {
    /// All chunks that tile `n` reads; `true` where the chunk is decoded for it.
    pub(crate) fn uses(&self, n: usize) -> impl Iterator<Item = (Key, bool)> {
        let start = n.checked_sub(1).map_or(0, |before| self.ends[before].0);
        let uses = &self.uses[start as usize..self.ends[n].0 as usize];
        uses.iter().map(|u| (self.keys[(u >> 1) as usize], u & 1 == 1))
    }

    /// Chunks that leave the cache after tile `n` has taken what it needs.
    pub(crate) fn drops(&self, n: usize) -> impl Iterator<Item = Key> {
        let start = n.checked_sub(1).map_or(0, |before| self.ends[before].1);
        self.drops[start as usize..self.ends[n].1 as usize].iter().map(|&id| self.keys[id as usize])
    }

    /// Bytes that making the list takes, where it is long enough to count.
    pub(crate) fn list_bytes(&self) -> u64 {
        list_bytes(self.uses.len() as u64, self.keys.len() as u64)
    }
}

/// Bytes that a list of so many reads of so many chunks takes to make, where it is long enough to count.
pub(crate) fn list_bytes(reads: u64, chunks: u64) -> u64 {
    const PER_READ: u64 = 32;
    // Its key, size and number, and the place of the number.
    const PER_CHUNK: u64 = 80;
    (reads * PER_READ + chunks * PER_CHUNK).saturating_sub(4 << 20)
}

/// The chunks of all feeds that a tile reads.
fn chunks_of(stage: &Stage, grids: &[Grid], tile: &Region) -> Vec<Key> {
    let demand = demand::demand(stage, tile);
    let mut out = Vec::new();
    for (k, grid) in grids.iter().enumerate() {
        let hold = &demand.holds[k];
        let wrapped = hold.buffers.iter().filter(|b| b.border == Some(Border::Wrap));
        let parts = wrapped.flat_map(|b| pad::periodic(&b.region, &grid.image)).map(|(part, _)| part);
        let mut found: Vec<u64> = std::iter::once(hold.inside)
            .chain(parts)
            .flat_map(|r| grid.covering(&r))
            .map(|i| grid.linear(&i))
            .collect();
        found.sort_unstable();
        found.dedup();
        out.extend(found.into_iter().map(|n| (k, n)));
    }
    out
}

/// What the tiles of one order read, ready to be played through caches of any size.
pub(crate) struct Needs {
    keys: Arc<Vec<Key>>,
    bytes: Vec<u64>,
    voxels: Vec<u64>,
    feeds: usize,
    /// For tile `n`, `uses[starts[n]..starts[n + 1]]` are the chunks that it reads.
    starts: Vec<usize>,
    uses: Vec<u32>,
    /// For each use, the next tile that reads the same chunk.
    next: Vec<u32>,
}

const NEVER: u32 = u32::MAX;

/// Collects what all tiles read.
pub(crate) fn needs(stage: &Stage, grids: &[Grid], tiling: &Tiling) -> Needs {
    let mut keys = Vec::new();
    let mut out = Needs {
        keys: Arc::default(),
        bytes: Vec::new(),
        voxels: Vec::new(),
        feeds: grids.len(),
        starts: vec![0],
        uses: Vec::new(),
        next: Vec::new(),
    };
    let mut ids: HashMap<Key, u32> = HashMap::new();
    for tile in tiling.iter() {
        for key in chunks_of(stage, grids, &tile.region) {
            let id = *ids.entry(key).or_insert_with(|| {
                let region = grids[key.0].region(&grids[key.0].index(key.1));
                keys.push(key);
                out.bytes.push(stage.feeds[key.0].chunk_bytes(&region));
                out.voxels.push(region.voxels());
                keys.len() as u32 - 1
            });
            out.uses.push(id);
        }
        out.starts.push(out.uses.len());
    }
    let mut seen = vec![NEVER; keys.len()];
    out.keys = Arc::new(keys);
    out.next = vec![NEVER; out.uses.len()];
    for tile in (0..out.starts.len() - 1).rev() {
        for u in out.starts[tile]..out.starts[tile + 1] {
            let id = out.uses[u] as usize;
            out.next[u] = std::mem::replace(&mut seen[id], tile as u32);
        }
    }
    out
}

impl Needs {
    /// Plays the tiles through a cache of `capacity` bytes.
    pub(crate) fn play(&self, capacity: u64) -> Schedule {
        let (mut uses, mut drops) = (Vec::with_capacity(self.uses.len()), Vec::new());
        let mut ends = Vec::with_capacity(self.starts.len() - 1);
        let out = self.walk(capacity, |step| match step {
            Step::Use(id, decode) => uses.push(id << 1 | u32::from(decode)),
            Step::Drop(id) => drops.push(id),
            Step::Next => ends.push((uses.len() as u32, drops.len() as u32)),
        });
        Schedule { keys: self.keys.clone(), uses, drops, ends, ..out }
    }

    /// What [`play`](Self::play) would need, without the list.
    pub(crate) fn count(&self, capacity: u64) -> Schedule {
        self.walk(capacity, |_| {})
    }

    fn walk(&self, capacity: u64, mut told: impl FnMut(Step)) -> Schedule {
        let mut out = Schedule { voxels: vec![0; self.feeds], ..Schedule::default() };
        // What is kept, by next use: the farthest leaves first. What was used meanwhile stays behind, below all others.
        let mut order: BinaryHeap<(u32, u32)> = BinaryHeap::new();
        let mut kept = vec![NEVER; self.keys.len()];
        let mut held = 0u64;
        for now in 0..self.starts.len() - 1 {
            let range = self.starts[now]..self.starts[now + 1];
            let mut load = 0;
            for &id in &self.uses[range.clone()] {
                let hit = kept[id as usize] == now as u32;
                kept[id as usize] = NEVER;
                told(Step::Use(id, !hit));
                if !hit {
                    out.decoded += 1;
                    out.voxels[self.keys[id as usize].0] += self.voxels[id as usize];
                    load += self.bytes[id as usize];
                }
            }
            held += load;
            out.peak_bytes = out.peak_bytes.max(held);
            out.peak_load = out.peak_load.max(load);
            for u in range {
                let id = self.uses[u];
                kept[id as usize] = self.next[u];
                if self.next[u] == NEVER {
                    told(Step::Drop(id));
                    held -= self.bytes[id as usize];
                } else {
                    order.push((self.next[u], id));
                }
            }
            while held > capacity {
                let Some((next, id)) = order.pop() else { break };
                debug_assert_eq!(kept[id as usize], next, "what is still needed comes before what was");
                kept[id as usize] = NEVER;
                told(Step::Drop(id));
                held -= self.bytes[id as usize];
            }
            told(Step::Next);
        }
        out
    }
}

/// What happens while tiles are played.
enum Step {
    /// A tile reads a chunk; `true` where it is decoded for it.
    Use(u32, bool),
    /// A chunk leaves.
    Drop(u32),
    /// The tile is done.
    Next,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Tiles that read these chunks, of these sizes.
    fn needs(tiles: &[Vec<u32>], bytes: &[u64]) -> Needs {
        let mut starts = vec![0];
        let (mut uses, mut next) = (Vec::new(), Vec::new());
        for (n, tile) in tiles.iter().enumerate() {
            for id in tile {
                let later = tiles[n + 1..].iter().position(|t| t.contains(id));
                next.push(later.map_or(NEVER, |later| (n + 1 + later) as u32));
                uses.push(*id);
            }
            starts.push(uses.len());
        }
        let keys = Arc::new((0..bytes.len() as u64).map(|n| (0, n)).collect());
        Needs { keys, bytes: bytes.to_vec(), voxels: bytes.to_vec(), feeds: 1, starts, uses, next }
    }

    /// The same cache, looked through from end to end at every step: what each tile decodes and drops.
    fn plainly(tiles: &[Vec<u32>], bytes: &[u64], capacity: u64) -> Vec<(Vec<u32>, Vec<u32>)> {
        let mut kept: Vec<u32> = Vec::new();
        let mut out = Vec::new();
        for (n, tile) in tiles.iter().enumerate() {
            let fresh: Vec<u32> = tile.iter().copied().filter(|id| !kept.contains(id)).collect();
            kept.extend(&fresh);
            let after = |id: &u32| tiles[n + 1..].iter().position(|t| t.contains(id));
            let mut drops: Vec<u32> = kept.iter().copied().filter(|id| after(id).is_none()).collect();
            kept.retain(|id| !drops.contains(id));
            while kept.iter().map(|&id| bytes[id as usize]).sum::<u64>() > capacity {
                let far = *kept.iter().max_by_key(|id| (after(id), **id)).unwrap();
                kept.retain(|id| *id != far);
                drops.push(far);
            }
            drops.sort_unstable();
            out.push((fresh, drops));
        }
        out
    }

    proptest! {
        #[test]
        fn the_chunk_that_is_needed_last_leaves_first(
            tiles in proptest::collection::vec(proptest::collection::btree_set(0u32..12, 0..6), 1..20),
            bytes in proptest::collection::vec(1u64..5, 12), capacity in 0u64..30,
        ) {
            let tiles: Vec<Vec<u32>> = tiles.into_iter().map(|t| t.into_iter().collect()).collect();
            let needs = needs(&tiles, &bytes);
            let played = needs.play(capacity);
            let mut decoded = 0;
            for (n, (fresh, drops)) in plainly(&tiles, &bytes, capacity).into_iter().enumerate() {
                decoded += fresh.len() as u64;
                let got: Vec<u32> = played.uses(n).filter(|u| u.1).map(|(key, _)| key.1 as u32).collect();
                prop_assert_eq!(got, fresh, "tile {}", n);
                let mut got: Vec<u32> = played.drops(n).map(|key| key.1 as u32).collect();
                got.sort_unstable();
                prop_assert_eq!(got, drops, "tile {}", n);
            }
            let counted = needs.count(capacity);
            prop_assert_eq!((played.decoded, counted.decoded), (decoded, decoded));
            prop_assert_eq!((played.peak_bytes, played.peak_load), (counted.peak_bytes, counted.peak_load));
        }
    }
}
