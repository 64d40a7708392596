//! The components that stay, as numbers or as a mask.

use super::{Mark, Runs, Same, paint, part, part_of, scratch};
use crate::device::why;
use crate::pack::{packed, unpacked};
use std::any::Any;
use voxtile_sched::contract::device::{Argument, Buffer, Slot, Sweep, Threads};
use voxtile_sched::contract::{
    Components, Footprint, Joining, Joins, Kernels, Merge, Merger, Numbers, Op, Part, Pass, Refused,
    Resolution,
};
use voxtile_sched::model::{AxisSet, Dtype, Kind, Meta, Region, Shape, Tile, TileMut, voxels};

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

    fn no_kernels(&self) -> Option<&'static str> {
        matches!(self.same, Same::Value | Same::Label).then_some(why::JOINED)
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

    /// The foreground as bits; runs and components are made of them here. Values need the voxels.
    fn kernels(&self, inputs: &[Dtype], shape: &Shape) -> Option<Kernels> {
        let zero = match self.same {
            Same::NonZero => 0,
            Same::Zero => 1,
            Same::Value | Same::Label => return None,
        };
        // A warp makes a word, four warps are a block.
        let mut words = *shape;
        words[4] = shape[4].div_ceil(32);
        let blocks = [voxels(&words).div_ceil(4).min(1 << 20) as u32, 1, 1];
        let threads = Threads::Blocks { blocks, threads: [128, 1, 1], shared: 0 };
        let bits = |n: usize, zero: u32| {
            let (from, to) = (vec![Slot::Input(n)], vec![Slot::Result(n)]);
            let kernel = format!("foreground_{}", inputs[n]);
            Sweep::new(kernel, from, to, vec![Argument::U32(zero)]).by(threads)
        };
        let mut sweeps = vec![bits(0, zero)];
        if matches!(self.marks, Marks::Second) {
            sweeps.push(bits(1, 0));
        }
        let results = vec![Buffer::any(Dtype::U32, words).into(); sweeps.len()];
        Some(Kernels { results, sweeps, ..Kernels::default() })
    }

    fn part(&self, results: &[&[u8]], region: &Region, image: &Shape) -> Option<Part> {
        let mark = match self.marks {
            Marks::Nothing => Mark::Nothing,
            Marks::Edge(axes) => Mark::Edge(axes),
            Marks::Second => Mark::Bits(results[1]),
        };
        let runs = Runs::of_bits(results[0], region.shape.map(|n| n as usize));
        Some(part_of(&runs, self.same, self.joining.connectivity, mark, (region, image)))
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
