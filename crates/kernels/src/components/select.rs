//! The components that stay, as numbers or as a mask.

use super::{Mark, Same, paint, part, scratch};
use crate::pack::{packed, unpacked};
use std::any::Any;
use voxtile_sched::contract::{
    Components, Footprint, Joining, Joins, Merge, Merger, Numbers, Op, Part, Pass, Refused, Resolution,
};
use voxtile_sched::model::{AxisSet, Dtype, Kind, Meta, Region, Shape, Tile, TileMut};

/// Finds components, and writes those that stay.
pub(crate) struct Selection {
    pub(crate) name: &'static str,
    pub(crate) joining: Joining,
    pub(crate) same: Same,
    pub(crate) marks: Marks,
    pub(crate) writes: Writes,
}

/// What is written of components.
#[derive(Clone, Copy)]
pub(crate) enum Writes {
    /// The number of each that stays, 0 elsewhere; in 64 bits where the joining is wide, else in 32.
    Numbers,
    /// 1 where one stays, 0 where one does not, and this where there is none.
    Mask { elsewhere: u8 },
}

/// What marks a component.
#[derive(Clone, Copy)]
pub(crate) enum Marks {
    /// Nothing does, or it does not matter.
    Nothing,
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
        Ok(match self.writes {
            Writes::Numbers => {
                let dtype = if self.joining.wide { Dtype::U64 } else { Dtype::U32 };
                inputs[0].with_dtype(dtype).with_kind(Kind::Labels)
            }
            Writes::Mask { .. } => inputs[0].with_dtype(Dtype::U8).with_kind(Kind::Mask),
        })
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
            Marks::Nothing => Mark::Nothing,
            Marks::Edge(axes) => Mark::Edge(axes),
            Marks::Second => Mark::Where(&inputs[1]),
        };
        part(&inputs[0], self.same, self.joining.connectivity, mark, (region, image))
    }

    fn pack(&self, faces: &(dyn Any + Send)) -> Option<Vec<u8>> {
        faces.downcast_ref::<Components>().map(packed)
    }

    fn unpack(&self, bytes: &[u8]) -> Option<Box<dyn Any + Send>> {
        unpacked::<Components>(bytes).map(|faces| Box::new(faces) as Box<dyn Any + Send>)
    }

    fn merger(&self, image: &Shape, joins: &Joins) -> Box<dyn Merger> {
        (joins.components)(&self.joining, image)
    }

    fn paint(&self, kept: &[u8], region: &Region, resolution: &Resolution, mut output: TileMut<'_>) {
        let narrow = resolution.downcast_ref::<Numbers>().map(|numbers| numbers.of(region));
        let wide = resolution.downcast_ref::<Numbers<u64>>().map(|numbers| numbers.of(region));
        match (self.writes, narrow, wide) {
            (Writes::Numbers, Some(numbers), _) => paint(kept, numbers, &mut output, 0, |number| number),
            (Writes::Numbers, _, Some(numbers)) => paint(kept, numbers, &mut output, 0, |number| number),
            (Writes::Mask { elsewhere }, Some(numbers), _) => {
                paint(kept, numbers, &mut output, elsewhere, |number| u8::from(number > 0));
            }
            _ => unreachable!("joins of components resolve to numbers, and masks need no wide ones"),
        }
    }
}
