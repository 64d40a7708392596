//! The minimum over a small set, several times in a row, in one sweep: what one step makes of a plane is read by the next
//! while it is in the second-level cache.
//!
//! ```text
//! input    0 1 2 3 4 5 6
//! step 1     0 1 2 3 4     plane n is made when plane n + 2 below it is there
//! step 2       0 1 2       the last step writes the output
//! ```
//!
//! A diamond of radius `r` is `r` steps of the smallest cross, which cost seven loads each in a volume, where its runs are
//! more than `r²`. Between steps only the planes that the next one still reads are kept. Rows of kept planes follow each
//! other without gaps, so that a plane is made as one long row; what that makes of the ends of rows is not used.

use super::codec::Codec;
use super::set::{Run, Set, diamond};
use super::vector::{Kernel, Key, Two, Vector};
use super::volume::Volume;
use super::{GROUP_BYTES, carve, carved_bytes, panel};

/// What every step looks at, and how many there are.
#[derive(Clone, Debug)]
pub(super) struct Steps {
    /// Distances from the centre along `z, y, x`.
    places: Vec<[i64; 3]>,
    /// The largest of them: 0 or 1.
    reach: [usize; 3],
    times: usize,
}

impl Steps {
    /// Output bytes of a block along x, of volumes and of planes that are swept row by row.
    const PANEL_BYTES: [usize; 2] = [512, 4096];
    /// Most output rows of a block.
    const ROWS: usize = 32;
    /// Most steps of one sweep, lest blocks be mostly what the next steps need.
    pub(super) const MOST: usize = 32;
    /// What the voxels around the blocks and the stores add to the loads.
    const MORE: f64 = 1.5;

    /// The smallest cross in a plane or a volume, or the ball of 19 voxels, so many times in a row; `None` of other sets.
    pub(super) fn new(set: &Set, times: usize) -> Option<Self> {
        let (reach, _) = set.reach();
        let small = reach.iter().all(|&n| n <= 1) && set.is_solid();
        let fits = small && matches!(set.count(), 5 | 7 | 19) && (1..=Self::MOST).contains(&times);
        let places = |run: &Run| {
            let Run { z, y, x, len } = *run;
            (x..x + len).map(move |x| [z, y, x])
        };
        fits.then(|| Self {
            places: set.runs().iter().flat_map(places).collect(),
            reach: reach.map(|n| n as usize),
            times,
        })
    }

    /// The steps that make up a set, if they are fewer comparisons than its runs: `cost` of them.
    pub(super) fn of(set: &Set, cost: f64) -> Option<Self> {
        let (reach, _) = set.reach();
        let radius = reach.iter().copied().max().unwrap_or(0);
        let around = |r: u64| diamond(reach.map(|n| n.min(r) as f64));
        let steps = if radius <= Self::MOST as u64 && *set == around(radius) {
            Self::new(&around(1), radius as usize)
        } else {
            Self::new(set, 1)
        };
        steps.filter(|steps| steps.cost() < cost)
    }

    /// Comparisons of vectors for an output vector.
    pub(super) fn cost(&self) -> f64 {
        Self::MORE * (self.times * self.places.len()) as f64
    }

    /// Scratch for output tiles of that many voxels along `z, y, x`.
    pub(super) fn bytes<K>(&self, out: [usize; 3]) -> usize {
        carved_bytes::<K>(Sweep::new(self, out, size_of::<K>()).elements())
    }
}

/// How a volume is swept: along z, or along y if no step reaches along z; then every plane alone.
struct Sweep {
    /// Volumes that are swept, and outputs along the sweep, down and across.
    volumes: usize,
    out: [usize; 3],
    /// Whether y takes the place of z.
    turned: bool,
    /// One step's reach along the sweep, down and across.
    reach: [usize; 3],
    times: usize,
    /// Most output rows of a block, and output keys along x.
    block: [usize; 2],
    /// Keys between kept rows.
    pitch: usize,
}

impl Sweep {
    fn new(steps: &Steps, [nz, ny, nx]: [usize; 3], bytes: usize) -> Self {
        let [hz, hy, hx] = steps.reach;
        let turned = hz == 0;
        let (volumes, out, reach) =
            if turned { (nz, [ny, 1, nx], [hy, 0, hx]) } else { (1, [nz, ny, nx], steps.reach) };
        let panel = panel(nx, Steps::PANEL_BYTES[usize::from(turned)] / bytes, GROUP_BYTES / bytes);
        let block = [out[1].min(Steps::ROWS), panel];
        let pitch = panel + 2 * reach[2] * steps.times;
        Self { volumes, out, turned, reach, times: steps.times, block, pitch }
    }

    /// Kept planes of the input, and of every step but the last.
    fn planes(&self) -> usize {
        2 * self.reach[0] + 1
    }

    /// Keys of a kept plane.
    fn plane(&self) -> usize {
        (self.block[0] + 2 * self.reach[1] * self.times) * self.pitch
    }

    /// Keys that are kept: the planes, and one of the last step.
    fn elements(&self) -> usize {
        (self.times * self.planes() + 1) * self.plane()
    }

    /// Rows and columns of a block's plane that are used after so many steps.
    fn used(&self, rows: usize, steps: usize) -> [usize; 2] {
        let ahead = self.times - steps;
        [rows + 2 * self.reach[1] * ahead, self.block[1] + 2 * self.reach[2] * ahead]
    }
}

/// All steps over one volume.
pub(super) struct Swept<'a, K, const FLOAT: bool> {
    pub(super) steps: &'a Steps,
    pub(super) volume: Volume<'a, K, FLOAT>,
}

impl<K: Key, const FLOAT: bool> Kernel<K> for Swept<'_, K, FLOAT> {
    #[inline(always)]
    fn run<V: Vector<Key = K>>(self, proof: V::Proof) {
        if self.volume.out[2] < Two::<V>::COUNT {
            self.all::<V>(proof);
        } else {
            self.all::<Two<V>>(proof);
        }
    }
}

impl<K: Key, const FLOAT: bool> Swept<'_, K, FLOAT> {
    #[inline(always)]
    fn all<V: Vector<Key = K>>(self, proof: V::Proof) {
        let Self { steps, volume: Volume { out, samples, src, src_step, dst, dst_step, scratch } } = self;
        let sweep = Sweep::new(steps, out, size_of::<K>());
        let (kept, _) = carve::<K>(scratch, sweep.elements());
        let along = |[plane, row]: [usize; 2]| if sweep.turned { [row, row] } else { [plane, row] };
        let (from, to) = (along(src_step), along(dst_step));
        let [_, ny, nx] = sweep.out;
        for volume in 0..sweep.volumes {
            let (src, dst) = (&src[volume * src_step[0]..], &mut dst[volume * dst_step[0]..]);
            for top in (0..ny).step_by(sweep.block[0]) {
                let rows = sweep.block[0].min(ny - top);
                for left in (0..nx).step_by(sweep.block[1]) {
                    // The last block overlaps the one before.
                    let left = left.min(nx - sweep.block[1]);
                    let src = (&src[top * from[1] + left..], from);
                    let dst = (&mut dst[top * to[1] + left..], to);
                    match steps.places.len() {
                        5 => block::<V, 5>(proof, steps, &sweep, rows, samples, src, dst, kept),
                        7 => block::<V, 7>(proof, steps, &sweep, rows, samples, src, dst, kept),
                        _ => block::<V, 19>(proof, steps, &sweep, rows, samples, src, dst, kept),
                    }
                }
            }
        }
    }
}

/// One block of `rows` output rows, through all planes. With keys come the distances between planes and rows.
#[inline(always)]
fn block<V: Vector, const N: usize>(
    proof: V::Proof,
    steps: &Steps,
    sweep: &Sweep,
    rows: usize,
    samples: impl Codec<V::Key>,
    (src, src_step): (&[V::Key], [usize; 2]),
    (dst, dst_step): (&mut [V::Key], [usize; 2]),
    kept: &mut [V::Key],
) {
    let (planes, size, pitch, times) = (sweep.planes(), sweep.plane(), sweep.pitch, sweep.times);
    let [reach, ..] = sweep.reach;
    // Planes further along the sweep, and keys further on in a plane.
    let places: [(usize, usize); N] = std::array::from_fn(|n| {
        let [z, y, x] = steps.places[n];
        let [z, y, x] = if sweep.turned { [y, 0, x] } else { [z, y, x] };
        let ahead = |axis: usize, n: i64| sweep.reach[axis].wrapping_add_signed(n as isize);
        (ahead(0, z), ahead(1, y) * pitch + ahead(2, x))
    });
    for arrived in 0..sweep.out[0] + 2 * reach * times {
        let [height, width] = sweep.used(rows, 0);
        for y in 0..height {
            let from = &src[arrived * src_step[0] + y * src_step[1]..][..width];
            let to = &mut kept[arrived % planes * size + y * pitch..][..width];
            copied::<V>(from, to, |raw| samples.encode(proof, raw), proof);
        }
        for step in 1..=times {
            let Some(plane) = arrived.checked_sub(2 * reach * step) else { break };
            let (before, after) = kept.split_at_mut(step * planes * size);
            let before = &before[(step - 1) * planes * size..];
            let after = if step == times { after } else { &mut after[plane % planes * size..] };
            let [height, width] = sweep.used(rows, step);
            let long = (height - 1) * pitch + width;
            let read = places.map(|(z, at)| &before[(plane + z) % planes * size + at..][..long]);
            least::<V, N>(proof, read, &mut after[..long]);
            if step == times {
                for y in 0..rows {
                    let to = &mut dst[plane * dst_step[0] + y * dst_step[1]..][..width];
                    copied::<V>(&after[y * pitch..][..width], to, |key| samples.decode(proof, key), proof);
                }
            }
        }
    }
}

/// A row of keys, each changed on the way.
#[inline(always)]
fn copied<V: Vector>(from: &[V::Key], to: &mut [V::Key], change: impl Fn(V) -> V, proof: V::Proof) {
    let width = to.len();
    for x in (0..width).step_by(V::COUNT) {
        // The last vector overlaps the one before.
        let x = x.min(width - V::COUNT);
        change(V::load(proof, &from[x..])).store(&mut to[x..]);
    }
}

/// The minimum of rows of one length.
#[inline(always)]
fn least<V: Vector, const N: usize>(proof: V::Proof, rows: [&[V::Key]; N], out: &mut [V::Key]) {
    let width = out.len();
    let rows = rows.map(|row| &row[..width]);
    for x in (0..width).step_by(V::COUNT) {
        // The last vector overlaps the one before.
        let x = x.min(width - V::COUNT);
        let mut least = V::load(proof, &rows[0][x..]);
        for row in &rows[1..] {
            least = least.min(V::load(proof, &row[x..]));
        }
        least.store(&mut out[x..]);
    }
}

#[cfg(test)]
mod tests {
    use crate::ops::find;
    use crate::rank::testing::{Rank, ball, oracle_over};
    use crate::testing::{Fill, Float, Image, meta, step};
    use voxtile_sched::model::{Border, Dtype};

    /// Some rows more than a block has, and some columns more than a panel, of which the last overlaps.
    #[test]
    fn blocks_and_panels_join() {
        for (axes, shape, dtype) in [
            ("zyx", &[5, 70, 530][..], Dtype::U8),
            ("zyx", &[4, 35, 150], Dtype::F32),
            ("yx", &[37, 4200], Dtype::I8),
        ] {
            let image = Image::filled(meta(axes, shape, dtype), Fill::Noise, 3);
            let wanted = (0..3).fold(image.clone(), |image, _| {
                oracle_over(&image, [1; 3], &ball(1), Border::Reflect, Rank::Least)
            });
            let got = step(find("min").expect("in the table"), "min shape=diamond radius=3", &image);
            got.assert_same(&wanted, Float::Exact, || format!("{shape:?}"));
        }
    }
}
