//! One volume of a tile as keys: where a filter reads, and where its result goes.

use super::codec::{Sample, Samples};
use super::vector::Key;
use voxtile_sched::model::{View, ViewMut};

/// What a filter over the space axes is given of one time and channel.
pub(super) struct Volume<'a, K, const FLOAT: bool> {
    /// Output voxels along `z, y, x`.
    pub(super) out: [usize; 3],
    pub(super) samples: Samples<K, FLOAT>,
    pub(super) src: &'a [K],
    /// Keys between planes and rows.
    pub(super) src_step: [usize; 2],
    pub(super) dst: &'a mut [K],
    /// Keys between planes and rows.
    pub(super) dst_step: [usize; 2],
    pub(super) scratch: &'a mut [u8],
}

impl<K: Key, const FLOAT: bool> Volume<'_, K, FLOAT> {
    /// Calls `work` with every volume of a tile; `reversed` keys give the largest where the least is looked for.
    pub(super) fn each<T: Sample<Key = K>>(
        from: &View<'_, T>,
        to: &mut ViewMut<'_, T>,
        reversed: bool,
        scratch: &mut [u8],
        mut work: impl FnMut(Volume<'_, K, FLOAT>),
    ) {
        let ([nt, nc, nz, ny, nx], fs, ts) = (to.shape(), from.strides(), to.strides());
        for t in 0..nt {
            for c in 0..nc {
                work(Volume {
                    out: [nz, ny, nx],
                    samples: Samples::of(T::DTYPE, reversed),
                    src: T::raw(&from.raw()[t * fs[0] + c * fs[1]..]),
                    src_step: [fs[2], fs[3]],
                    dst: T::raw_mut(&mut to.raw()[t * ts[0] + c * ts[1]..]),
                    dst_step: [ts[2], ts[3]],
                    scratch,
                });
            }
        }
    }
}
