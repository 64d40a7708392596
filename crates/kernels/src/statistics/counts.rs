//! How often each value of an 8- or 16-bit image occurs. Statistics of such an image follow from it exactly.

use super::Histogram;
use crate::pointwise::for_rows;
use std::any::Any;
use voxtile_sched::contract::device::{Buffer, Slot, Sweep, Threads};
use voxtile_sched::contract::{Kernels, Statistic};
use voxtile_sched::model::{Dtype, Region, Shape, Tile};

/// Tables that take voxels in turn: a counter that two neighbours share would have to wait for itself.
const TABLES: usize = 4;

/// Counts of every value of a type of 8 or 16 bits; two tiles' counts add up.
pub(crate) struct Counts {
    dtype: Dtype,
    /// [`TABLES`] tables, indexed by the bits of a sample.
    fresh: Vec<u32>,
    /// Voxels in `fresh`: less than 2^32.
    pending: u64,
    totals: Vec<u64>,
}

impl Counts {
    /// Nothing counted yet.
    pub(crate) fn new(dtype: Dtype) -> Self {
        assert!(dtype.size() <= 2, "one counter for each value");
        let size = 1 << (8 * dtype.size());
        Self { dtype, fresh: vec![0; TABLES * size], pending: 0, totals: vec![0; size] }
    }

    /// The type of the voxels.
    pub(super) fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// Bytes of counts of a type.
    pub(crate) fn bytes(dtype: Dtype) -> u64 {
        (TABLES as u64 * 4 + 8) << (8 * dtype.size())
    }

    fn take<T>(&mut self, row: &[T], count: impl Fn(&[T], &mut [u32])) {
        for part in row.chunks(1 << 30) {
            if self.pending + part.len() as u64 > u64::from(u32::MAX) {
                self.settle();
            }
            self.pending += part.len() as u64;
            count(part, &mut self.fresh);
        }
    }

    /// Moves what is fresh to the totals.
    fn settle(&mut self) {
        for table in self.fresh.chunks_exact_mut(self.totals.len()) {
            for (total, fresh) in self.totals.iter_mut().zip(table) {
                *total += u64::from(std::mem::take(fresh));
            }
        }
        self.pending = 0;
    }

    /// The counts from the lowest to the highest value that occurs.
    pub(crate) fn histogram(mut self) -> Histogram {
        self.settle();
        let mut first = 0;
        if self.dtype.is_signed_integer() {
            let half = self.totals.len() / 2;
            self.totals.rotate_left(half);
            first = -(half as i64);
        }
        let from = self.totals.iter().position(|&n| n > 0).unwrap_or(0);
        let to = self.totals.iter().rposition(|&n| n > 0).map_or(0, |last| last + 1);
        Histogram::from_value(i128::from(first) + from as i128, self.totals[from..to].to_vec())
    }
}

impl Statistic for Counts {
    fn observe(&mut self, tile: &Tile<'_>, _region: &Region) {
        for_rows(tile.shape(), |t, c, z, y| {
            let row = tile.row_bytes(t, c, z, y);
            match self.dtype.size() {
                1 => self.take(row, count8),
                _ => self.take(bytemuck::cast_slice(row), count16),
            }
        });
    }

    fn merge(&mut self, other: Box<dyn Statistic>) {
        let mut other = other.into_any().downcast::<Self>().expect("statistics of one operation");
        other.settle();
        for (own, other) in self.totals.iter_mut().zip(&other.totals) {
            *own += other;
        }
    }

    fn empty(&self) -> Box<dyn Statistic> {
        Box::new(Self::new(self.dtype))
    }

    fn kernels(&self, tile: Dtype, _shape: &Shape) -> Option<Kernels> {
        let counts = Buffer::row(Dtype::U32, self.totals.len() as u64).zeroed();
        let (from, to) = (vec![Slot::Input(0)], vec![Slot::Result(0)]);
        let threads = Threads::Processors { blocks: 4, threads: 256, shared: 0 };
        let sweep = Sweep::new(format!("counts_{tile}"), from, to, Vec::new()).by(threads).weighing(3.0);
        Some(Kernels { results: vec![counts.into()], ..sweep.into() })
    }

    fn take(&mut self, results: &[&[u8]], _region: &Region) -> bool {
        let counts = results[0].chunks_exact(4).map(bytemuck::pod_read_unaligned::<u32>);
        for (total, count) in self.totals.iter_mut().zip(counts) {
            *total += u64::from(count);
        }
        true
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}

macro_rules! count {
    ($name:ident, $t:ty, $size:literal) => {
        fn $name(row: &[$t], tables: &mut [u32]) {
            // Arrays as long as the type has values need no check of the index.
            let (tables, _) = tables.as_chunks_mut::<$size>();
            let [a, b, c, d] = tables else { unreachable!("made with four tables") };
            let (fours, rest) = row.as_chunks::<4>();
            for &[v, w, x, y] in fours {
                a[usize::from(v)] += 1;
                b[usize::from(w)] += 1;
                c[usize::from(x)] += 1;
                d[usize::from(y)] += 1;
            }
            rest.iter().for_each(|&v| a[usize::from(v)] += 1);
        }
    };
}
count!(count8, u8, 256);
count!(count16, u16, 65536);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Fill, Image, meta};
    use std::collections::BTreeMap;
    use voxtile_sched::dispatch;
    use voxtile_sched::model::Element;

    #[test]
    fn every_value_is_counted_also_over_two_parts() {
        for dtype in [Dtype::U8, Dtype::I8, Dtype::U16, Dtype::I16] {
            for fill in [Fill::Noise, Fill::Extremes, Fill::Few] {
                let image = Image::filled(meta("zyx", &[3, 7, 13], dtype), fill, 5);
                let mut want: BTreeMap<i64, u64> = BTreeMap::new();
                dispatch!(dtype, T => for v in image.values::<T>() {
                    *want.entry(v.to_f64() as i64).or_default() += 1;
                });
                let mut whole = Box::new(Counts::new(dtype));
                let mut part = whole.empty();
                let region = Region::whole(image.meta().shape);
                whole.observe(&image.tile(), &region);
                part.observe(&image.tile(), &region);
                whole.merge(part);
                let found = whole.histogram();
                let listed = found.counts.iter().enumerate().filter(|(_, count)| **count > 0);
                let listed: BTreeMap<i64, u64> =
                    listed.map(|(n, count)| (found.value(n) as i64, count / 2)).collect();
                assert_eq!(listed, want, "{dtype} {fill:?}");
                assert_eq!(found.total(), 2 * 3 * 7 * 13);
            }
        }
    }
}
