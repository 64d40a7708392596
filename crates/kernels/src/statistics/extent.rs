//! The lowest and the highest voxel.

use super::counting;
use super::key::{ends, key};
use crate::pointwise::{Sample, for_rows};
use crate::vectorised;
use std::any::Any;
use voxtile_sched::contract::device::{Buffer, Slot};
use voxtile_sched::contract::{Kernels, Statistic};
use voxtile_sched::dispatch;
use voxtile_sched::model::{Dtype, Element, Region, Shape, Tile};

/// Voxels that are compared side by side.
const LANES: usize = 32;

/// The ends of the values that occur, as keys. Of floats, the finite ones.
pub(crate) struct Extent {
    pub(super) dtype: Dtype,
    /// Above the second one: no voxel counted yet.
    pub(super) ends: [u64; 2],
}

impl Extent {
    pub(crate) fn new(dtype: Dtype) -> Self {
        Self { dtype, ends: [u64::MAX, 0] }
    }
}

vectorised! {
    /// Moves `ends` apart as far as the finite voxels of a row lie.
    fn widen<T: Sample>(row: &[T], allowed: [T; 2], ends: &mut [T; 2]) {
        let (mut lows, mut highs) = ([ends[0]; LANES], [ends[1]; LANES]);
        let (blocks, rest) = row.as_chunks::<LANES>();
        for block in blocks {
            for ((&v, low), high) in block.iter().zip(&mut lows).zip(&mut highs) {
                *low = if v < *low && v >= allowed[0] { v } else { *low };
                *high = if v > *high && v <= allowed[1] { v } else { *high };
            }
        }
        for &v in rest {
            lows[0] = if v < lows[0] && v >= allowed[0] { v } else { lows[0] };
            highs[0] = if v > highs[0] && v <= allowed[1] { v } else { highs[0] };
        }
        for (low, high) in lows.into_iter().zip(highs) {
            ends[0] = if low < ends[0] { low } else { ends[0] };
            ends[1] = if high > ends[1] { high } else { ends[1] };
        }
    }
}

impl Statistic for Extent {
    fn observe(&mut self, tile: &Tile<'_>, _region: &Region) {
        dispatch!(self.dtype, T => {
            let (view, allowed) = (tile.view::<T>(), ends::<T>());
            // From beyond what counts, so that equal ends mean a voxel was seen.
            let mut found = [T::HIGHEST, T::LOWEST];
            let mut any = false;
            for_rows(tile.shape(), |t, c, z, y| {
                let row = view.row(t, c, z, y);
                any |= !row.is_empty();
                widen(row, allowed, &mut found);
            });
            if any && found[0] <= found[1] {
                self.ends = [self.ends[0].min(key(found[0])), self.ends[1].max(key(found[1]))];
            }
        });
    }

    fn kernels(&self, tile: Dtype, _shape: &Shape) -> Option<Kernels> {
        let (low, high) =
            (Buffer { fill: Some(0xff), ..Buffer::row(Dtype::U32, 1) }, Buffer::row(Dtype::U32, 1).zeroed());
        let to = vec![Slot::Result(0), Slot::Result(1)];
        let sweep = counting(format!("extent_{tile}"), vec![Slot::Input(0)], to, Vec::new());
        (tile == Dtype::F32).then(|| Kernels { results: vec![low.into(), high.into()], ..sweep.into() })
    }

    fn take(&mut self, results: &[&[u8]], _region: &Region) -> bool {
        let [low, high] = [0, 1].map(|n| u64::from(bytemuck::pod_read_unaligned::<u32>(&results[n][..4])));
        if low <= high {
            self.ends = [self.ends[0].min(low), self.ends[1].max(high)];
        }
        true
    }

    fn merge(&mut self, other: Box<dyn Statistic>) {
        let other = other.into_any().downcast::<Self>().expect("statistics of one operation");
        self.ends = [self.ends[0].min(other.ends[0]), self.ends[1].max(other.ends[1])];
    }

    fn empty(&self) -> Box<dyn Statistic> {
        Box::new(Self::new(self.dtype))
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}
