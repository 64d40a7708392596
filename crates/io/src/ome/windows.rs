//! The values that a channel is shown from and to: percentiles of some voxels of its coarsest level.

use std::sync::{Mutex, PoisonError};
use voxtile_sched::dispatch;
use voxtile_sched::model::{Element as _, Kind, Meta, Region, Tile, voxels};

/// Voxels that are looked at, all channels together.
const MOST: u64 = 1 << 18;
/// What becomes black and bright, in percent: as `voxtile preview` draws.
const PERCENTILES: (f64, f64) = (1.0, 99.8);

/// Values of some voxels, spread over the image: which ones does not depend on the order in which they come.
pub(crate) struct Windows {
    /// Every so many voxels along `z`, `y` and `x`.
    step: [u64; 3],
    channels: Vec<Mutex<Vec<f64>>>,
}

impl Windows {
    /// For the coarsest level of an image of intensities.
    pub(crate) fn new(meta: &Meta) -> Option<Self> {
        if meta.kind != Kind::Image {
            return None;
        }
        let mut step = [1; 3];
        let taken = |step: &[u64; 3]| {
            let [t, c, z, y, x] = meta.shape;
            voxels(&[t, c, z.div_ceil(step[0]), y.div_ceil(step[1]), x.div_ceil(step[2])])
        };
        while taken(&step) > MOST && step[2] < meta.shape[4] {
            step = std::array::from_fn(|a| (step[a] + 1).min(meta.shape[a + 2].max(1)));
        }
        let channels = (0..meta.shape[1]).map(|_| Mutex::default()).collect();
        Some(Self { step, channels })
    }

    /// Looks at a part of the image.
    pub(crate) fn look(&self, region: &Region, tile: &Tile<'_>) {
        let from = |a: usize| region.start[a + 2] as u64;
        let next = |a: usize| (from(a).next_multiple_of(self.step[a]) - from(a)) as usize;
        let steps = self.step.map(|n| n as usize);
        let [nt, nc, nz, ny, _] = tile.shape();
        for c in 0..nc {
            let channel = &self.channels[region.start[1] as usize + c];
            let mut values = channel.lock().unwrap_or_else(PoisonError::into_inner);
            for t in 0..nt {
                for z in (next(0)..nz).step_by(steps[0]) {
                    for y in (next(1)..ny).step_by(steps[1]) {
                        dispatch!(tile.dtype(), T => {
                            let row = tile.view::<T>().row(t, c, z, y);
                            let row = row.iter().skip(next(2)).step_by(steps[2]).map(|v| v.to_f64());
                            values.extend(row.filter(|v| v.is_finite()));
                        });
                    }
                }
            }
        }
    }

    /// Window of each channel; `None` if a channel has no two values.
    pub(crate) fn found(&self) -> Option<Vec<(f64, f64)>> {
        let window = |channel: &Mutex<Vec<f64>>| {
            let mut values = channel.lock().unwrap_or_else(PoisonError::into_inner).clone();
            values.sort_by(f64::total_cmp);
            let at = |percent: f64| {
                let place = percent / 100.0 * values.len().saturating_sub(1) as f64;
                values.get(place.round() as usize).copied()
            };
            let (low, high) = (at(PERCENTILES.0)?, at(PERCENTILES.1)?);
            let high = if high > low { high } else { values.last().copied()? };
            (high > low).then_some((low, high))
        };
        self.channels.iter().map(window).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use voxtile_sched::model::{AxisSet, Dtype};

    #[test]
    fn windows_are_percentiles_whatever_the_order() {
        let meta = Meta::new([1, 2, 1, 40, 100], AxisSet::parse("cyx").unwrap(), Dtype::U16);
        let voxels: Vec<u16> = (0..8000).map(|i| if i < 4000 { i % 1000 } else { 5 }).collect();
        let whole = Tile::new(meta.dtype, [1, 2, 1, 40, 100], bytemuck::cast_slice(&voxels));
        let windows = Windows::new(&meta).unwrap();
        for y in [20, 0] {
            let part = Region::new([0, 0, 0, y, 0], [1, 2, 1, 20, 100]);
            windows.look(&part, &whole.part(&part));
        }
        // The second channel is flat.
        assert_eq!(windows.found(), None);
        let first = Meta::new([1, 1, 1, 40, 100], meta.axes, Dtype::U16);
        let windows = Windows::new(&first).unwrap();
        let part = Region::new([0, 0, 0, 0, 0], [1, 1, 1, 40, 100]);
        windows.look(&part, &whole.part(&part));
        assert_eq!(windows.found(), Some(vec![(10.0, 997.0)]));
    }

    #[test]
    fn a_large_level_is_looked_at_here_and_there() {
        let meta = Meta::new([1, 1, 1, 3000, 3000], AxisSet::parse("yx").unwrap(), Dtype::U8);
        let windows = Windows::new(&meta).unwrap();
        let row: Vec<u8> = (0..3000).map(|i| (i % 200) as u8).collect();
        for y in 0..3000 {
            let part = Region::new([0, 0, 0, y, 0], [1, 1, 1, 1, 3000]);
            windows.look(&part, &Tile::new(Dtype::U8, [1, 1, 1, 1, 3000], &row));
        }
        let (low, high) = windows.found().unwrap()[0];
        assert!(low < 10.0 && high > 190.0, "{low} to {high}");
        assert!(windows.channels[0].lock().unwrap().len() as u64 <= MOST);
    }
}
