//! Masks of the components that stay.

use super::{Mark, Same, paint, part, scratch};
use voxtile_sched::contract::{
    Footprint, Joining, Joins, Merge, Merger, Numbers, Op, Part, Pass, Refused, Resolution,
};
use voxtile_sched::model::{AxisSet, Dtype, Kind, Meta, Region, Shape, Tile, TileMut};

/// Writes 1 where a component stays, 0 where one does not, and the same everywhere else.
pub(crate) struct Selection {
    pub(crate) name: &'static str,
    pub(crate) joining: Joining,
    pub(crate) same: Same,
    pub(crate) marks: Marks,
    /// The mask where there is no component.
    pub(crate) elsewhere: u8,
}

/// What marks a component.
#[derive(Clone, Copy)]
pub(crate) enum Marks {
    /// Touching the edge of the image along these axes.
    Edge(AxisSet),
    /// A voxel that is not 0 in the second input.
    Second,
}

impl Op for Selection {
    fn name(&self) -> &'static str {
        self.name
    }

    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        Ok(inputs[0].with_dtype(Dtype::U8).with_kind(Kind::Mask))
    }

    fn footprint(&self, _input: usize) -> Footprint {
        Footprint::Point
    }

    fn scratch(&self, tile: &Shape) -> u64 {
        scratch(tile)
    }

    fn ns_per_voxel(&self) -> f64 {
        0.5
    }

    fn pass(&self) -> Pass<'_> {
        Pass::Merge(self)
    }

    fn cpu(&self, _: &[Tile<'_>], _: TileMut<'_>, _: &mut [u8]) {
        unreachable!("components are merged")
    }
}

impl Merge for Selection {
    fn local(&self, inputs: &[Tile<'_>], region: &Region, image: &Shape) -> Part {
        let mark = match self.marks {
            Marks::Edge(axes) => Mark::Edge(axes),
            Marks::Second => Mark::Where(&inputs[1]),
        };
        part(&inputs[0], self.same, self.joining.connectivity, mark, (region, image))
    }

    fn merger(&self, image: &Shape, joins: &Joins) -> Box<dyn Merger> {
        (joins.components)(&self.joining, image)
    }

    fn paint(&self, kept: &[u8], region: &Region, resolution: &Resolution, mut output: TileMut<'_>) {
        let numbers: &Numbers = resolution.downcast_ref().expect("what joins of components resolve to");
        paint(kept, numbers.of(region), &mut output, self.elsewhere, |number| u8::from(number > 0));
    }
}
