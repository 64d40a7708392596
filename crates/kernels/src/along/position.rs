//! Where along an axis the largest or the smallest value lies: `numpy.argmax`, `numpy.argmin`.
//!
//! The first of equal values; the first NaN, if there is one. Gives u32. 12 to 16 bytes of state per output voxel.

use super::{of_state, reduced};
use crate::device::numbers;
use crate::pointwise::{Sample, for_rows};
use crate::vectorised;
use voxtile_sched::contract::device::{Argument, Buffer};
use voxtile_sched::contract::{Fold, Footprint, Kernels, Op, Pass, Refused};
use voxtile_sched::dispatch;
use voxtile_sched::model::{Axis, AxisSet, Dtype, Meta, Shape, Tile, TileMut, voxels};

pub(crate) struct Position {
    pub(crate) name: &'static str,
    pub(crate) axis: Axis,
    pub(crate) largest: bool,
    /// Of the input.
    pub(crate) dtype: Dtype,
    pub(crate) extent: u64,
}

/// State of all output voxels: the best value so far and its position, and how many slices came before.
struct State<'a, T> {
    best: &'a mut [T],
    position: &'a mut [u32],
    seen: &'a mut [u32],
}

/// Cuts the state into its three lists, the widest first, so that all are aligned.
fn cut<T: Sample>(state: &mut [u8]) -> State<'_, T> {
    let count = state.len() / (size_of::<T>() + 8);
    if size_of::<T>() == 8 {
        let (best, rest) = state.split_at_mut(8 * count);
        let (position, seen) = bytemuck::cast_slice_mut(rest).split_at_mut(count);
        State { best: bytemuck::cast_slice_mut(best), position, seen }
    } else {
        let (numbers, best) = state.split_at_mut(8 * count);
        let (position, seen) = bytemuck::cast_slice_mut(numbers).split_at_mut(count);
        State { best: bytemuck::cast_slice_mut(best), position, seen }
    }
}

/// Whether a value takes the place of the best one before it.
#[inline(always)]
fn better<T: Sample>(value: T, best: T, largest: bool) -> bool {
    let beyond = if largest { value > best } else { value < best };
    #[expect(clippy::eq_op, reason = "NaN is the value that differs from itself")]
    let first_nan = value != value && best == best;
    beyond | first_nan
}

vectorised! {
    /// Slice number `k` of voxels side by side.
    fn beside<T: Sample>(row: &[T], k: u32, largest: bool, best: &mut [T], position: &mut [u32]) {
        let (best, position) = (&mut best[..row.len()], &mut position[..row.len()]);
        for i in 0..row.len() {
            let take = k == 0 || better(row[i], best[i], largest);
            best[i] = if take { row[i] } else { best[i] };
            position[i] = if take { k } else { position[i] };
        }
    }
}

/// Voxels of a row that are compared at once, each with those so many further on.
const LANES: usize = 64;

/// The better one of two.
#[inline(always)]
fn best_of<T: Sample>(first: T, second: T, largest: bool) -> T {
    if better(second, first, largest) { second } else { first }
}

vectorised! {
    /// The best value of a row that is not empty into `best`.
    fn best_of_row<T: Sample>(row: &[T], largest: bool, best: &mut T) {
        let (chunks, rest) = row.as_chunks::<LANES>();
        *best = row[0];
        if let Some(first) = chunks.first() {
            let mut lanes = *first;
            for chunk in &chunks[1..] {
                for i in 0..LANES {
                    lanes[i] = best_of(lanes[i], chunk[i], largest);
                }
            }
            let mut half = LANES / 2;
            while half > 0 {
                for i in 0..half {
                    lanes[i] = best_of(lanes[i], lanes[i + half], largest);
                }
                half /= 2;
            }
            *best = lanes[0];
        }
        for &value in rest {
            *best = best_of(*best, value, largest);
        }
    }
}

/// Whether two values are equal, NaN too.
#[inline(always)]
#[expect(clippy::eq_op, reason = "NaN is the value that differs from itself")]
fn same<T: Sample>(a: T, b: T) -> bool {
    (a == b) | ((a != a) & (b != b))
}

vectorised! {
    /// Where in a row the value first stands, into `place`.
    fn place_in_row<T: Sample>(row: &[T], value: T, place: &mut usize) {
        let (chunks, _) = row.as_chunks::<LANES>();
        let has = |chunk: &[T; LANES]| chunk.iter().fold(false, |has, &v| has | same(v, value));
        let start = LANES * chunks.iter().take_while(|chunk| !has(chunk)).count();
        *place = start + row[start..].iter().take_while(|&&v| !same(v, value)).count();
    }
}

/// Voxels of one row, the first of which is number `before`, into one state. Of equal values the first one counts.
fn along<T: Sample>(row: &[T], before: u32, largest: bool, best: &mut T, position: &mut u32) {
    let Some(&(mut found)) = row.first() else { return };
    best_of_row(row, largest, &mut found);
    if before == 0 || better(found, *best, largest) {
        let mut place = 0;
        place_in_row(row, found, &mut place);
        (*best, *position) = (found, before + place as u32);
    }
}

impl Position {
    fn take<T: Sample>(&self, slab: &Tile<'_>, state: &mut [u8]) {
        let State { best, position, seen } = cut::<T>(state);
        let Some(before) = seen.first().copied() else { return };
        let rows = slab.view::<T>();
        let mut shape = slab.shape();
        let extent = std::mem::replace(&mut shape[self.axis.index()], 1);
        let nx = shape[4];
        let mut n = 0;
        for_rows(shape, |t, c, z, y| {
            if self.axis == Axis::X {
                along(rows.row(t, c, z, y), before, self.largest, &mut best[n], &mut position[n]);
                n += 1;
                return;
            }
            for k in 0..extent {
                let mut at = [t, c, z, y];
                at[self.axis.index()] = k;
                let row = rows.row(at[0], at[1], at[2], at[3]);
                beside(row, before + k as u32, self.largest, &mut best[n..n + nx], &mut position[n..n + nx]);
            }
            n += nx;
        });
        seen[0] += extent as u32;
    }
}

impl Fold for Position {
    fn axis(&self) -> Axis {
        self.axis
    }

    fn state_size(&self) -> usize {
        self.dtype.size() + 8
    }

    fn start(&self, state: &mut [u8]) {
        state.fill(0);
    }

    fn add(&self, slab: &Tile<'_>, state: &mut [u8]) {
        dispatch!(self.dtype, T => self.take::<T>(slab, state));
    }

    fn finish(&self, _count: u64, state: &[u8], mut output: TileMut<'_>) {
        let count = output.len();
        let from = if self.dtype.size() == 8 { 8 * count } else { 0 };
        output.copy_from(&Tile::new(Dtype::U32, output.shape(), &state[from..from + 4 * count]));
    }

    fn kernels(&self, slab: Dtype, shape: &Shape) -> Option<Kernels> {
        if !matches!(slab, Dtype::U8 | Dtype::U16 | Dtype::F32) {
            return None;
        }
        let lines = voxels(shape) / shape[self.axis.index()].max(1);
        let buffer = Buffer::row(Dtype::U8, lines * self.state_size() as u64);
        let largest = [Argument::U32(u32::from(self.largest))];
        Some(of_state(format!("project_place_{slab}"), self.axis, buffer, &largest))
    }

    fn join(&self, next: &[u8], state: &mut [u8]) {
        dispatch!(self.dtype, T => {
            // The CPU's lists are aligned; what comes from a device need not be.
            let mut next = numbers::<u64>(next);
            let bytes = &mut bytemuck::cast_slice_mut::<u64, u8>(&mut next)[..state.len()];
            let (next, state) = (cut::<T>(bytes), cut::<T>(state));
            let Some(before) = state.seen.first().copied() else { return };
            for n in 0..state.best.len() {
                if before == 0 || better(next.best[n], state.best[n], self.largest) {
                    (state.best[n], state.position[n]) = (next.best[n], before + next.position[n]);
                }
            }
            state.seen[0] = before + next.seen[0];
        });
    }
}

impl Op for Position {
    fn name(&self) -> &'static str {
        self.name
    }

    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        if self.extent > u64::from(u32::MAX) {
            let why = format!("{} voxels along {} are more than u32 counts", self.extent, self.axis);
            return Err(Refused::Param { param: "axis", why });
        }
        reduced(&inputs[0], self.axis, Dtype::U32, false)
    }

    fn footprint(&self, _input: usize) -> Footprint {
        Footprint::Along(AxisSet::of(&[self.axis]))
    }

    fn ns_per_voxel(&self) -> f64 {
        let per_input = if self.axis == Axis::X { 1.0 } else { 0.2 };
        per_input * self.extent as f64
    }

    fn pass(&self) -> Pass<'_> {
        Pass::Fold(self)
    }

    fn cpu(&self, _inputs: &[Tile<'_>], _output: TileMut<'_>, _scratch: &mut [u8]) {
        unreachable!("the contract feeds a fold in slabs");
    }
}

#[cfg(test)]
mod tests {
    use super::super::{has, oracle};
    use crate::conforms;
    use crate::ops::PROJECT as SPEC;
    use crate::testing::{Fill, Float, Image, meta, steps};
    use voxtile_sched::dispatch;
    use voxtile_sched::model::{Axis, Dtype};

    fn wanted(image: &Image, axis: Axis, largest: bool) -> Image {
        dispatch!(image.meta().dtype, T => oracle(image, axis, |values: &[T]| {
            if let Some(nan) = values.iter().position(|v| v.partial_cmp(v).is_none()) {
                return nan as u32;
            }
            let beyond = |a: T, b: T| if largest { a > b } else { a < b };
            (0..values.len()).fold(0, |best, k| if beyond(values[k], values[best]) { k } else { best }) as u32
        }))
    }

    conforms!(
        largest_along_z: &SPEC, "project z method=argmax",
        |image| wanted(image, Axis::Z, true), only(|m| has(m, Axis::Z)),
    );
    conforms!(
        smallest_along_x: &SPEC, "project x method=argmin",
        |image| wanted(image, Axis::X, false), only(|m| has(m, Axis::X)),
    );
    conforms!(
        largest_channel: &SPEC, "project c method=argmax",
        |image| wanted(image, Axis::C, true), only(|m| has(m, Axis::C)),
    );

    #[test]
    fn the_first_nan_is_the_extreme() {
        let image = Image::of::<f32>("yx", &[1, 4], &[1.0, f32::NAN, 9.0, f32::NAN]);
        assert_eq!(steps("project x method=argmax", &image).values::<u32>(), [1]);
    }
    #[test]
    fn the_first_of_equal_values_counts_in_long_rows() {
        let sizes = [40, 3 * super::LANES as u64 + 17];
        for fill in [Fill::Few, Fill::Noise, Fill::Special] {
            let image = Image::filled(meta("yx", &sizes, Dtype::F32), fill, 7);
            for (step, largest) in [("project x method=argmax", true), ("project x method=argmin", false)] {
                let want = wanted(&image, Axis::X, largest);
                steps(step, &image).assert_same(&want, Float::Exact, || format!("{step} of {fill:?}"));
            }
        }
    }
}
