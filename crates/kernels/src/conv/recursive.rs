//! Gaussian blur along one axis at a cost that does not depend on its width: a sum of four exponentials, each carried from
//! voxel to voxel (Deriche 1993, "Recursively implementing the Gaussian and its derivatives", INRIA 1893, fourth order),
//! once forward and once backward.
//!
//! A recursion has no end, and where it starts would show. So the axis is cut into blocks that do not depend on tiles, each as
//! long as the recursion needs to forget its start: for a block it starts one block length before it (backward: behind it),
//! as if the first value had been there for ever. A tile therefore reads up to two block lengths on each side. What the
//! start leaves behind is less than 4·10⁻⁵ of the image's range.

use crate::device::why;
use crate::pointwise::for_rows;
use crate::vectorised;
use std::sync::Arc;
use voxtile_sched::contract::{Footprint, Op, Pass, Placed, Refused};
use voxtile_sched::dispatch;
use voxtile_sched::model::{Axis, Border, Dtype, Element, Kind, Meta, Region, Shape, Tile, TileMut};

/// Below it, in voxels, four exponentials are no Gaussian, and sums cost less.
pub(crate) const LEAST_SIGMA: f64 = 2.0;

/// Standard deviations after which a recursion has forgotten its start.
const REACH: f64 = 6.0;

/// Deriche's two pairs of exponentials: weights of cosine and sine, decay and frequency per standard deviation.
const PAIRS: [[f64; 4]; 2] = [[1.68, 3.735, 1.783, 0.6318], [-0.6803, -0.2598, 1.723, 1.997]];

/// Rows along x that are carried side by side.
const LANES: usize = 32;

/// A pair of exponentials as a complex number whose powers they are: the state is multiplied by it from voxel to voxel, and
/// the next value added.
#[derive(Clone, Copy)]
struct Pole {
    factor: [f64; 2],
    /// State after a value of 1 that was there for ever.
    for_ever: [f64; 2],
    /// Weights of the state's two parts in the result at its own voxel, and at the next.
    here: [f64; 2],
    next: [f64; 2],
}

impl Pole {
    /// The pairs for that standard deviation, with weights for a total of 1.
    fn pairs(sigma: f64) -> [Self; 2] {
        let mut poles = PAIRS.map(|[cosine, sine, decay, frequency]| {
            let (length, angle) = ((-decay / sigma).exp(), frequency / sigma);
            let [re, im] = [length * angle.cos(), length * angle.sin()];
            let norm = (1.0 - re) * (1.0 - re) + im * im;
            Self {
                factor: [re, im],
                for_ever: [(1.0 - re) / norm, im / norm],
                here: [cosine, sine],
                next: [cosine * re + sine * im, sine * re - cosine * im],
            }
        });
        let of = |weights: [f64; 2], state: [f64; 2]| weights[0] * state[0] + weights[1] * state[1];
        let total: f64 = poles.iter().map(|p| of(p.here, p.for_ever) + of(p.next, p.for_ever)).sum();
        for pole in &mut poles {
            (pole.here, pole.next) = (pole.here.map(|w| w / total), pole.next.map(|w| w / total));
        }
        poles
    }
}

vectorised! {
    /// The states after values that were there for ever; real parts, then imaginary ones.
    fn begin<T: Element>(pole: &Pole, row: &[T], re: &mut [f64], im: &mut [f64]) {
        for ((re, im), value) in re.iter_mut().zip(im).zip(row) {
            let value = f64::from(value.to_f32());
            (*re, *im) = (pole.for_ever[0] * value, pole.for_ever[1] * value);
        }
    }
}

vectorised! {
    /// One voxel on.
    fn step<T: Element>(pole: &Pole, row: &[T], re: &mut [f64], im: &mut [f64]) {
        let [a, b] = pole.factor;
        for ((re, im), value) in re.iter_mut().zip(im).zip(row) {
            let value = f64::from(value.to_f32());
            (*re, *im) = (*re * a - *im * b + value, *im * a + *re * b);
        }
    }
}

vectorised! {
    /// What the states of both pairs give with these weights, in place of what is there or added to it.
    fn give(weights: [[f64; 2]; 2], states: &[f64], add: bool, out: &mut [f32]) {
        let [w, v] = weights;
        let n = out.len();
        let (states, fourth) = states.split_at(states.len() / 4 * 3);
        let (states, third) = states.split_at(states.len() / 3 * 2);
        let (first, second) = states.split_at(states.len() / 2);
        let (first, second, third, fourth) = (&first[..n], &second[..n], &third[..n], &fourth[..n]);
        for (k, out) in out.iter_mut().enumerate() {
            let sum = (first[k] * w[0] + second[k] * w[1]) + (third[k] * v[0] + fourth[k] * v[1]);
            *out = if add { (f64::from(*out) + sum) as f32 } else { sum as f32 };
        }
    }
}

/// A block, or the part of one that lies in a tile: positions in what is read.
struct Part {
    /// From where to where the recursions run.
    first: usize,
    end: usize,
    /// What they give.
    given: std::ops::Range<usize>,
}

/// The blur along one axis.
pub(crate) struct Recursive {
    name: &'static str,
    axis: Axis,
    poles: [Pole; 2],
    /// Voxels of a block, and of the way before it.
    block: i64,
    border: Border,
}

impl Recursive {
    /// `sigma` in voxels, [`LEAST_SIGMA`] at least.
    pub(crate) fn op(name: &'static str, axis: Axis, sigma: f64, border: Border) -> Arc<dyn Op> {
        Arc::new(Self { name, axis, poles: Pole::pairs(sigma), block: (REACH * sigma).ceil() as i64, border })
    }

    /// The parts of a tile at `region`, which has read `from`.
    fn parts(&self, region: &Region, from: &Region) -> impl Iterator<Item = Part> + use<> {
        let (a, block) = (self.axis.index(), self.block);
        let (start, end) = (region.start[a], region.end(a));
        let (origin, last) = (from.start[a], from.end(a) - block);
        let place = move |p: i64| (p - origin) as usize;
        (start.div_euclid(block)..=(end - 1).div_euclid(block)).map(move |n| {
            let (begin, close) = (n * block, ((n + 1) * block).min(last));
            Part {
                first: place(begin - block),
                end: place(close + block),
                given: place(begin.max(start))..place(close.min(end)),
            }
        })
    }

    /// Where the tile begins in what is read.
    fn lead(&self, region: &Region, from: &Region) -> usize {
        let a = self.axis.index();
        (region.start[a] - from.start[a]) as usize
    }

    /// Runs over one part, forward and backward. `into` is given a position, weights and states, and whether to add.
    fn run<'a, T: Element>(
        &self,
        part: &Part,
        states: &mut [f64],
        row: impl Fn(usize) -> &'a [T],
        mut into: impl FnMut(usize, [[f64; 2]; 2], &[f64], bool),
    ) {
        let width = states.len() / 4;
        let all = |states: &mut [f64], go: fn(&Pole, &[T], &mut [f64], &mut [f64]), row: &[T]| {
            for (pole, state) in self.poles.iter().zip(states.chunks_exact_mut(2 * width)) {
                let (re, im) = state.split_at_mut(width);
                go(pole, row, re, im);
            }
        };
        let (here, next) = (self.poles.map(|p| p.here), self.poles.map(|p| p.next));
        all(states, begin::<T>, row(part.first));
        for p in part.first + 1..part.given.end {
            all(states, step::<T>, row(p));
            if p >= part.given.start {
                into(p, here, states, false);
            }
        }
        // Backward, the voxel itself is left out: it has counted.
        all(states, begin::<T>, row(part.end - 1));
        for p in (part.given.start..part.end - 1).rev() {
            if p < part.given.end {
                into(p, next, states, true);
            }
            all(states, step::<T>, row(p));
        }
    }

    /// Along z or y: rows are carried as they lie.
    fn down<T: Element>(
        &self,
        region: &Region,
        from: &Region,
        input: &Tile<'_>,
        output: &mut TileMut<'_>,
        scratch: &mut [u8],
    ) {
        let (rows, mut out) = (input.view::<T>(), output.view::<f32>());
        let (a, lead) = (self.axis.index(), self.lead(region, from));
        let mut across = out.shape();
        across[a] = 1;
        let states: &mut [f64] = &mut bytemuck::cast_slice_mut(scratch)[..4 * across[4]];
        for_rows(across, |t, c, z, y| {
            let at = |p: usize| {
                let mut at = [t, c, z, y];
                at[a] = p;
                at
            };
            for part in self.parts(region, from) {
                let row = |p: usize| {
                    let [t, c, z, y] = at(p);
                    rows.row(t, c, z, y)
                };
                self.run(&part, states, row, |p, weights, states, add| {
                    let [t, c, z, y] = at(p - lead);
                    give(weights, states, add, out.row(t, c, z, y));
                });
            }
        });
    }

    /// Along x: columns of some rows are carried as if they were rows.
    fn along<T: Element>(
        &self,
        region: &Region,
        from: &Region,
        input: &Tile<'_>,
        output: &mut TileMut<'_>,
        scratch: &mut [u8],
    ) {
        let (rows, mut out) = (input.view::<T>(), output.view::<f32>());
        let (read, [nt, nc, nz, ny, _], lead) = (rows.shape()[4], out.shape(), self.lead(region, from));
        let (states, lines) = bytemuck::cast_slice_mut::<u8, f64>(scratch).split_at_mut(4 * LANES);
        let (columns, results) = bytemuck::cast_slice_mut::<f64, f32>(lines).split_at_mut(read * LANES);
        let place = |n: usize| (n / ny / nz / nc, n / ny / nz % nc, n / ny % nz, n % ny);
        let count = nt * nc * nz * ny;
        for first in (0..count).step_by(LANES) {
            let some = first..count.min(first + LANES);
            for (lane, n) in some.clone().enumerate() {
                let (t, c, z, y) = place(n);
                for (column, value) in columns.chunks_exact_mut(LANES).zip(rows.row(t, c, z, y)) {
                    column[lane] = value.to_f32();
                }
            }
            for part in self.parts(region, from) {
                self.run(
                    &part,
                    states,
                    |p| &columns[p * LANES..][..LANES],
                    |p, weights, states, add| {
                        give(weights, states, add, &mut results[(p - lead) * LANES..][..LANES]);
                    },
                );
            }
            for (lane, n) in some.enumerate() {
                let (t, c, z, y) = place(n);
                for (out, column) in out.row(t, c, z, y).iter_mut().zip(results.chunks_exact(LANES)) {
                    *out = column[lane];
                }
            }
        }
    }
}

impl Op for Recursive {
    fn name(&self) -> &'static str {
        self.name
    }

    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        Ok(inputs[0].with_dtype(Dtype::F32).with_kind(Kind::Image))
    }

    fn footprint(&self, _input: usize) -> Footprint {
        Footprint::Mapped { padded: true }
    }

    fn reads(&self, _input: usize, out: &Region, image: &Shape) -> Region {
        if out.is_empty() {
            return *out;
        }
        let (a, block) = (self.axis.index(), self.block);
        let start = (out.start[a].div_euclid(block) - 1) * block;
        // Behind the image there are no blocks.
        let close = ((out.end(a) - 1).div_euclid(block) + 1) * block;
        let end = close.min(out.end(a).max(image[a] as i64)) + block;
        out.with_axis(self.axis, start, (end - start) as u64)
    }

    fn border(&self) -> Border {
        self.border
    }

    fn scratch(&self, output: &Shape) -> u64 {
        if self.axis != Axis::X {
            return 32 * output[4];
        }
        let columns = 2 * output[4] + 4 * self.block as u64 + 1;
        LANES as u64 * (32 + 4 * columns)
    }

    fn ns_per_voxel(&self) -> f64 {
        8.0
    }

    fn pass(&self) -> Pass<'_> {
        Pass::Placed(self)
    }

    fn no_kernels(&self) -> Option<&'static str> {
        Some(why::RECURSIVE)
    }

    fn cpu(&self, _inputs: &[Tile<'_>], _output: TileMut<'_>, _scratch: &mut [u8]) {
        unreachable!("the contract tells where the tile lies");
    }
}

impl Placed for Recursive {
    fn fill(
        &self,
        region: &Region,
        inputs: &[Tile<'_>],
        from: &[Region],
        mut output: TileMut<'_>,
        scratch: &mut [u8],
    ) {
        if output.is_empty() {
            return;
        }
        let (input, output) = (&inputs[0], &mut output);
        dispatch!(input.dtype(), T => match self.axis {
            Axis::X => self.along::<T>(region, &from[0], input, output, scratch),
            _ => self.down::<T>(region, &from[0], input, output, scratch),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conv::gaussian_weights;

    #[test]
    fn four_exponentials_are_nearly_a_gaussian() {
        for (sigma, most) in [(2.0, 6.5e-4), (3.3, 6.5e-4), (10.0, 6.5e-4), (100.0, 6.5e-4)] {
            let poles = Pole::pairs(sigma);
            let radius = (10.0 * sigma) as usize;
            let exact = gaussian_weights(sigma, radius);
            // Powers of the factors, one after the other.
            let mut states = [[1.0, 0.0]; 2];
            let mut differ = 0.0;
            for (k, want) in exact.iter().enumerate() {
                let of = |p: &Pole, s: [f64; 2]| p.here[0] * s[0] + p.here[1] * s[1];
                let got = of(&poles[0], states[0]) + of(&poles[1], states[1]);
                differ += (got - want).abs() * if k == 0 { 1.0 } else { 2.0 };
                for (pole, state) in poles.iter().zip(&mut states) {
                    let ([a, b], [re, im]) = (pole.factor, *state);
                    *state = [re * a - im * b, im * a + re * b];
                }
            }
            // What an image of range 1 can differ by is half of it: the weights of both have the same total.
            assert!((most / 2.0..most).contains(&differ), "sigma {sigma}: {differ}");
        }
    }
}
