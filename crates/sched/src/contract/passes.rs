//! Operations that need more than their own tile: its place, reductions, statistics, labels, propagation.
//!
//! None of them sees the image; each sees tiles, and what it keeps between tiles is its own, bounded and merged by
//! the scheduler in plan order.

use super::{Joins, Kernels, Op, Refused, Table};
use crate::model::{Axis, Dtype, Meta, Region, Shape, Tile, TileMut};
use std::any::Any;
use std::sync::Arc;

/// An operation whose arithmetic depends on where its output lies: sampling between the voxels of another grid.
pub trait Placed: Send + Sync {
    /// As [`Op::cpu`], for the output tile at `region`; `inputs[i]` holds the voxels of `from[i]`, which is what
    /// [`Op::reads`] says. Other tiles must give the same voxels.
    fn fill(
        &self,
        region: &Region,
        inputs: &[Tile<'_>],
        from: &[Region],
        output: TileMut<'_>,
        scratch: &mut [u8],
    );

    /// As [`Op::kernels`], for the output tile at `region`, made from `from`.
    fn kernels(
        &self,
        _inputs: &[Dtype],
        _output: Dtype,
        _region: &Region,
        _from: &[Region],
    ) -> Option<Kernels> {
        None
    }
}

/// A reduction along one axis. The scheduler feeds slabs in rising order, so sums do not depend on the tiling.
pub trait Fold: Send + Sync {
    /// The axis that disappears.
    fn axis(&self) -> Axis;

    /// Bytes of state per output voxel.
    fn state_size(&self) -> usize;

    /// Sets the state of all voxels before the first slab. `state` is aligned to 64 bytes.
    fn start(&self, state: &mut [u8]);

    /// Adds a slab: any extent along the axis, and the output tile's shape (and order in `state`) otherwise.
    fn add(&self, slab: &Tile<'_>, state: &mut [u8]);

    /// Turns the state into output voxels; `count` is the extent of the axis.
    fn finish(&self, count: u64, state: &[u8], output: TileMut<'_>);

    /// Kernels that make of a slab of that type and shape (`Slot::Input(0)`) one result: the state that
    /// [`start`](Self::start) and [`add`](Self::add) would give for it alone. `None`: the slab is added by the CPU. May
    /// depend on the shape: sums that must keep their order can be made where a slab holds the whole axis.
    fn kernels(&self, _slab: Dtype, _shape: &Shape) -> Option<Kernels> {
        None
    }

    /// Adds the state of the next slab, made by [`kernels`](Self::kernels), to the state of all before it.
    fn join(&self, _next: &[u8], _state: &mut [u8]) {
        unreachable!("only asked of a fold that has kernels")
    }
}

/// A statistic of part of an image that two tiles can merge.
pub trait Statistic: Send + Any {
    /// Takes a tile in; `region` is its place in the image.
    fn observe(&mut self, tile: &Tile<'_>, region: &Region);

    /// Takes the statistic of other tiles in. Must give the same result in any grouping.
    fn merge(&mut self, other: Box<dyn Statistic>);

    /// An empty statistic of the same pass, for another worker.
    fn empty(&self) -> Box<dyn Statistic>;

    /// Kernels that make of a tile of that type and shape (`Slot::Input(0)`) the results that [`take`](Self::take) takes
    /// in. `None`: the tile is observed by the CPU. Asked of the empty statistic of a pass.
    fn kernels(&self, _tile: Dtype, _shape: &Shape) -> Option<Kernels> {
        None
    }

    /// Takes in what [`kernels`](Self::kernels) made of the tile at `region`. False if that does not suffice: nothing was
    /// taken in, and the tile is observed by the CPU.
    fn take(&mut self, _results: &[&[u8]], _region: &Region) -> bool {
        false
    }

    /// For downcasting in [`Global::resolve`].
    fn into_any(self: Box<Self>) -> Box<dyn Any + Send>;
}

/// What follows a pass over the whole input.
pub enum Resolved {
    /// Another pass over the same input is needed, with this statistic.
    Again(Box<dyn Statistic>),
    /// The next of the observed inputs is to be gone over, with this statistic.
    Next(Box<dyn Statistic>),
    /// What was found, for all steps that ask for the same: [`Global::local`] makes their operations of it.
    Found(Arc<dyn Any + Send + Sync>),
    /// The operation as a local one.
    Local(Arc<dyn Op>),
}

/// An operation that depends on a statistic of whole inputs: a threshold by Otsu, a normalisation.
pub trait Global: Send + Sync {
    /// The inputs that are gone over, in this order. They need not have the shape of the output, nor be read again.
    fn observes(&self) -> &[usize] {
        &[0]
    }

    /// An axis that every tile spans which is observed, where voxels along it count together: the channels of a pixel.
    fn spans(&self) -> Option<Axis> {
        None
    }

    /// The empty statistic of the first pass over the first of them.
    fn start(&self) -> Box<dyn Statistic>;

    /// Given the merged statistic of a whole input, the local operation or another pass. The local operation reads the
    /// same inputs with the same footprints.
    ///
    /// # Errors
    /// [`Refused`] if the statistic of this image does not allow the operation.
    fn resolve(&self, statistic: Box<dyn Statistic>) -> Result<Resolved, Refused>;

    /// The name of the statistic, if other steps may ask for the same: two steps whose names and observed inputs are equal
    /// are given one, which resolves to [`Resolved::Found`].
    fn shared(&self) -> Option<String> {
        None
    }

    /// The local operation that follows from what was [found](Resolved::Found), perhaps by another step that
    /// [shares](Self::shared) the statistic.
    fn local(&self, _found: &(dyn Any + Send + Sync)) -> Arc<dyn Op> {
        unreachable!("only asked of operations that resolve to what was found")
    }

    /// Bytes of one statistic, of which each worker has one.
    fn bytes(&self) -> u64 {
        4 << 10
    }

    /// Bytes that the local operation keeps, where they are many.
    fn kept(&self) -> u64 {
        0
    }

    /// How many passes over that input [`resolve`](Self::resolve) asks for, for the plan.
    fn passes(&self, _input: usize) -> usize {
        1
    }
}

/// What pass 1 of a [`Merge`] leaves of one tile.
pub struct Part {
    /// Whatever [`Merge::paint`] needs of this tile, compact: it is spilled to disk.
    pub kept: Vec<u8>,
    /// What the neighbours must know.
    pub faces: Box<dyn Any + Send>,
}

/// What a [`Merger`] knows at the end; shared by all tiles of pass 2.
pub type Resolution = Arc<dyn Any + Send + Sync>;

/// An operation that works tiles alone, joins them across their faces, and writes in a second pass: labels.
pub trait Merge: Send + Sync {
    /// Pass 1 on one tile; `region` is its place in the image of shape `image`.
    fn local(&self, inputs: &[Tile<'_>], region: &Region, image: &Shape) -> Part;

    /// Kernels that make of the inputs of a tile of that shape the results that [`part`](Self::part) reads. `None`: the CPU
    /// does it.
    fn kernels(&self, _inputs: &[Dtype], _shape: &Shape) -> Option<Kernels> {
        None
    }

    /// What [`local`](Self::local) would give, from what [`kernels`](Self::kernels) made; `None` if that does not suffice:
    /// the CPU does it then.
    fn part(&self, _results: &[&[u8]], _region: &Region, _image: &Shape) -> Option<Part> {
        None
    }

    /// The empty merge of an image of shape `image`: one of `joins`, or the operation's own.
    fn merger(&self, image: &Shape, joins: &Joins) -> Box<dyn Merger>;

    /// What pass 1 leaves for a tile's neighbours, as bytes, so that a later run need not go over the tile again; `None`
    /// where it has no such form.
    fn pack(&self, _faces: &(dyn Any + Send)) -> Option<Vec<u8>> {
        None
    }

    /// What was [packed](Self::pack); `None` if the bytes are not.
    fn unpack(&self, _bytes: &[u8]) -> Option<Box<dyn Any + Send>> {
        None
    }

    /// Pass 2 on one tile: writes it from what pass 1 kept; the source is not read again.
    fn paint(&self, kept: &[u8], region: &Region, resolution: &Resolution, output: TileMut<'_>);
}

/// Joins tiles. Tiles arrive in any order; the result must not depend on it.
pub trait Merger: Send {
    /// Takes in one tile's faces.
    fn absorb(&mut self, region: &Region, faces: Box<dyn Any + Send>);

    /// Bytes held now. They are not in the plan, which cannot know them; a run ends when they exceed the budget.
    fn bytes(&self) -> u64;

    /// Ends the merge.
    ///
    /// # Errors
    /// [`Refused`] if the result does not fit, as more labels than the output type counts.
    fn finish(self: Box<Self>) -> Result<Resolution, Refused>;
}

/// An operation that makes a table of the whole image instead of an image: measurements, peaks. It ends a recipe.
pub trait Tally: Send + Sync {
    /// What one tile tells; `region` is its place in the image.
    fn local(&self, inputs: &[Tile<'_>], region: &Region) -> Box<dyn Any + Send>;

    /// What a tile tells, as bytes, so that a later run need not go over it again; `None` where it has no such form.
    fn pack(&self, _part: &(dyn Any + Send)) -> Option<Vec<u8>> {
        None
    }

    /// What was [packed](Self::pack); `None` if the bytes are not.
    fn unpack(&self, _bytes: &[u8]) -> Option<Box<dyn Any + Send>> {
        None
    }

    /// Kernels that make of the inputs of a tile of that shape the results that [`part`](Self::part) reads. `None`: the CPU
    /// does it.
    fn kernels(&self, _inputs: &[Dtype], _shape: &Shape) -> Option<Kernels> {
        None
    }

    /// What [`local`](Self::local) would give, from what [`kernels`](Self::kernels) made; `None` if that does not suffice:
    /// the CPU does it then.
    fn part(&self, _results: &[&[u8]], _region: &Region) -> Option<Box<dyn Any + Send>> {
        None
    }

    /// The empty table of an image described by `image`.
    fn tabulator(&self, image: &Meta) -> Box<dyn Tabulator>;

    /// How many passes there will be, for the plan.
    fn passes(&self) -> usize {
        1
    }
}

/// Gathers what tiles tell. Tiles arrive in any order; the table must not depend on it.
pub trait Tabulator: Send {
    /// Takes in one tile's part.
    fn absorb(&mut self, part: Box<dyn Any + Send>);

    /// Bytes held now. They are not in the plan, which cannot know them; a run ends when they exceed the budget.
    fn bytes(&self) -> u64;

    /// The table, or another pass.
    ///
    /// # Errors
    /// [`Refused`] if this image has none.
    fn finish(self: Box<Self>) -> Result<Tabled, Refused>;
}

/// What follows a pass of a [`Tally`].
pub enum Tabled {
    /// Another pass over the same inputs, counted by this.
    Again(Arc<dyn Tally>),
    /// The table.
    Done(Table),
}

/// An operation whose values travel any distance: watershed, reconstruction. Its output is its own state; tiles are
/// revisited until none changes, so the result must not depend on the order of visits.
pub trait Propagate: Send + Sync {
    /// The first state of a tile; inputs and output have one shape.
    fn start(&self, inputs: &[Tile<'_>], state: TileMut<'_>);

    /// Brings a tile to rest. `inputs` and `state` cover the tile and one voxel around it on each present space
    /// axis, clipped to the image; `core` is the tile within them, the only part that may change.
    /// Returns whether anything changed.
    fn relax(&self, inputs: &[Tile<'_>], state: TileMut<'_>, core: &Region) -> bool;
}
