//! Levels of an output that an earlier run has begun: what that run had put together of chunks that are not complete is
//! made again, of what it wrote.

use super::super::demand;
use super::super::tile_run;
use super::RunError;
use super::dispatch::StageRun;
use super::group::{Finish, Orders};
use super::units::{Notes, Turn, Turns};
use crate::contract::{Place, Sink};
use crate::model::{Grid, Region, Shape};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// A chunk of the output, or of level `above - 1`, of which a chunk of the next level is made.
struct Piece {
    above: usize,
    place: Place,
}

impl StageRun {
    /// Takes the levels to where they were when the groups that are done had been written.
    pub(super) async fn restore_levels(self: &Arc<Self>, finish: &Finish, notes: &Option<Notes>) {
        if self.levels.is_empty() {
            return;
        }
        let slots = Arc::new(Semaphore::new(self.shared.cpu.current_num_threads()));
        let mut tasks: JoinSet<()> = JoinSet::new();
        for piece in self.pieces(finish, notes) {
            let slot = slots.clone().acquire_owned().await.expect("slots are never closed");
            while tasks.try_join_next().is_some() {}
            if self.stopped() {
                break;
            }
            let this = self.clone();
            tasks.spawn(async move {
                let sink = this.version(piece.above);
                let region = Grid::new(sink.meta().shape, sink.layout().chunk).region(&piece.place.index);
                let _held = this.bytes(demand::bytes(&region, sink.meta().dtype.size())).await;
                let work = move |run: &Self| {
                    if let Err(error) = run.feed(&piece, region) {
                        run.fail(error);
                    }
                };
                this.on_cpu("restore", region, work).await;
                drop(slot);
            });
        }
        while tasks.join_next().await.is_some() {}
    }

    /// The output, or a level of it.
    fn version(&self, n: usize) -> &Arc<dyn Sink> {
        if n == 0 { &self.sink } else { &self.sink.levels()[n - 1] }
    }

    fn feed(&self, piece: &Piece, region: Region) -> Result<(), RunError> {
        let sink = self.version(piece.above);
        let memory = |source| RunError::Memory { region, source };
        let mut block = tile_run::block(&self.shared.pool, region, sink.meta().dtype).map_err(memory)?;
        let bytes = sink.reread(piece.place, block.tile_mut());
        let bytes = bytes.map_err(|source| RunError::Read { region, source })?;
        self.shared.meters.decoded(region.voxels(), bytes);
        self.levels.add(self, piece.above, &region, &block.tile())
    }

    /// The chunks that are there and whose next level is not.
    fn pieces(&self, finish: &Finish, notes: &Option<Notes>) -> Vec<Piece> {
        let versions: Vec<Grid> = std::iter::once(&self.sink)
            .chain(self.sink.levels())
            .map(|sink| Grid::new(sink.meta().shape, sink.layout().chunk))
            .collect();
        // Of each version, the places of the chunks that are there.
        let mut there: Vec<HashMap<u64, Place>> = vec![HashMap::new(); versions.len()];
        let mut orders = Orders::new(&self.sink);
        let mut turns = Turns::new(notes.clone());
        let mut before = None;
        let groups = self.tiles.iter().map(|at| at.group);
        for (n, group) in groups.filter(|group| before.replace(*group) != Some(*group)).enumerate() {
            let region = finish.region(&group).clip(&self.sink.meta().shape);
            let places = orders.places(&region);
            if matches!(turns.of(self, &group, &places), Turn::Done) {
                there[0].extend(places.into_iter().map(|place| (versions[0].linear(&place.index), place)));
            }
            self.levels.number(n as u32, &mut orders);
        }
        let mut pieces = Vec::new();
        for n in 1..versions.len() {
            let (above, grid) = (versions[n - 1], versions[n]);
            let from = |index: &Shape| self.levels.made_of(n - 1, index).map(|i| above.linear(&i));
            let held = |index: &Shape| {
                let complete = from(index).all(|number| there[n - 1].contains_key(&number));
                complete && self.version(n).holds(self.levels.place(n - 1, grid.linear(index)))
            };
            // Where one chunk of a shard is written, all are written anew.
            let shard = self.version(n).layout().shard.unwrap_or(grid.chunk);
            let of_shard =
                |index: &Shape| -> Shape { std::array::from_fn(|a| index[a] * grid.chunk[a] / shard[a]) };
            let anew: HashSet<Shape> =
                grid.iter().filter(|index| !held(index)).map(|i| of_shard(&i)).collect();
            // A chunk may be part of several.
            let mut known = BTreeMap::new();
            let mut kept = HashMap::new();
            for index in grid.iter() {
                let number = grid.linear(&index);
                if anew.contains(&of_shard(&index)) {
                    known.extend(from(&index).filter_map(|of| Some((of, *there[n - 1].get(&of)?))));
                } else {
                    self.levels.skip(n - 1, number);
                    kept.insert(number, self.levels.place(n - 1, number));
                }
            }
            there[n] = kept;
            pieces.extend(known.into_values().map(|place| Piece { above: n - 1, place }));
        }
        pieces
    }
}
