//! Pixels in other colours, of the same sample type.

use super::reinhard::{Space, Spread};
use super::{Block, COLOURS, Logs, Matrix, blocks, colours, shares};
use crate::device::SPACES;
use crate::math;
use crate::pointwise::{Sample, for_rows, from_f64};
use crate::vectorised;
use voxtile_sched::contract::device::{Argument, Sweep};
use voxtile_sched::contract::{Footprint, Kernels, Op, Pass, Placed, Refused};
use voxtile_sched::dispatch;
use voxtile_sched::model::{Axis, Dtype, Meta, Region, Shape, Tile, TileMut};

/// Three colours from three colours; channels after them stay.
pub(crate) struct Recolour {
    name: &'static str,
    white: [f64; COLOURS],
    way: Way,
}

enum Way {
    /// Logarithms through a matrix: a row of weights for each colour.
    Logs(Logs, Matrix),
    /// l, α and β times the first, plus the second.
    Opponents(Space, [[f64; 3]; 2]),
}

impl Recolour {
    /// Logarithms of shares through a matrix.
    pub(crate) fn logs(name: &'static str, white: [f64; COLOURS], logs: Logs, weights: Matrix) -> Self {
        Self { name, white, way: Way::Logs(logs, weights) }
    }

    /// From one mean colour and spread to another.
    pub(crate) fn spread(name: &'static str, white: [f64; COLOURS], from: &Spread, to: &Spread) -> Self {
        let factors = [0, 1, 2].map(|k: usize| to.deviations[k] / from.deviations[k]);
        let shifts = [0, 1, 2].map(|k: usize| to.means[k] - from.means[k] * factors[k]);
        Self { name, white, way: Way::Opponents(Space::new(), [factors, shifts]) }
    }

    fn fill<T: Sample>(&self, first: usize, input: &Tile<'_>, output: &mut TileMut<'_>) {
        let (from, mut to) = (input.view::<T>(), output.view::<T>());
        let [nt, channels, nz, ny, nx] = to.shape();
        let coloured = channels.min(COLOURS.saturating_sub(first));
        for_rows([nt, 1, nz, ny, nx], |t, _, z, y| {
            if coloured > 0 {
                let rows = [0, 1, 2].map(|c| from.row(t, c, z, y));
                let mut each = |made: &Block, range: std::ops::Range<usize>| {
                    for c in 0..coloured {
                        let (white, made) = (self.white[first + c], &made[first + c][..range.len()]);
                        lit(white, made, &mut to.row(t, c, z, y)[range.clone()]);
                    }
                };
                match &self.way {
                    Way::Logs(logs, weights) => logs.each(rows, |range, logs| {
                        let mut made = *logs;
                        through(weights, logs, range.len(), &mut made);
                        each(&made, range);
                    }),
                    Way::Opponents(space, change) => {
                        let fill = |c: usize, from: &[T], to: &mut [f64]| shares(self.white[c], from, to);
                        blocks(rows, fill, |range, shares| {
                            let mut made = *shares;
                            moved(space, change, range.len(), &mut made);
                            each(&made, range);
                        });
                    }
                }
            }
            // Where the tile has none of the colours, what is read begins with its first channel.
            let skipped = if coloured > 0 { 0 } else { first };
            for c in coloured..channels {
                to.row(t, c, z, y).copy_from_slice(from.row(t, first + c - skipped, z, y));
            }
        });
    }
}

vectorised! {
    /// Shares of light after their logarithms went through a matrix.
    fn through(weights: &Matrix, logs: &Block, len: usize, made: &mut Block) {
        let [red, green, blue] = logs;
        for (weights, made) in weights.iter().zip(made) {
            let logs = red[..len].iter().zip(&green[..len]).zip(&blue[..len]);
            for (made, ((red, green), blue)) in made[..len].iter_mut().zip(logs) {
                *made = math::exp((red * weights[0] + green * weights[1]) + blue * weights[2]);
            }
        }
    }
}

vectorised! {
    /// Shares of light of other opponents.
    fn moved(space: &Space, change: &[[f64; 3]; 2], len: usize, made: &mut Block) {
        let [red, green, blue] = made;
        let pixels = red[..len].iter_mut().zip(&mut green[..len]).zip(&mut blue[..len]);
        for ((red, green), blue) in pixels {
            let [l, a, b] = space.opponents([*red, *green, *blue]);
            let [factors, shifts] = change;
            let other = [l * factors[0] + shifts[0], a * factors[1] + shifts[1], b * factors[2] + shifts[2]];
            [*red, *green, *blue] = space.colours(other);
        }
    }
}

vectorised! {
    /// Samples of shares of light: rounded half to even, saturated.
    fn lit<T: Sample>(white: f64, shares: &[f64], to: &mut [T]) {
        for (to, share) in to.iter_mut().zip(shares) {
            *to = from_f64(white * share);
        }
    }
}

/// All colours for any of them; of channels after them each its own.
pub(crate) fn all_or_own(out: &Region) -> Region {
    let c = Axis::C.index();
    if out.start[c] >= COLOURS as i64 {
        return *out;
    }
    out.with_axis(Axis::C, 0, (COLOURS as u64).max(out.end(c) as u64))
}

/// The kernel of any change, as a plan asks for it.
pub(crate) fn recolouring(input: Dtype) -> Kernels {
    let arguments = vec![Argument::U32(0), Argument::U32(0), Argument::F64s(Vec::new(), SPACES)];
    Sweep::over(format!("recolour_{input}"), arguments).into()
}

/// What an image in other colours is.
pub(crate) fn recoloured(image: &Meta) -> Result<Meta, Refused> {
    colours(image)?;
    Ok(image.clone())
}

impl Op for Recolour {
    fn name(&self) -> &'static str {
        self.name
    }

    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        recoloured(&inputs[0])
    }

    fn footprint(&self, _input: usize) -> Footprint {
        Footprint::Mapped { padded: false }
    }

    fn reads(&self, _input: usize, out: &Region, _image: &Shape) -> Region {
        all_or_own(out)
    }

    fn ns_per_voxel(&self) -> f64 {
        match self.way {
            Way::Logs(..) => 3.0,
            Way::Opponents(..) => 6.0,
        }
    }

    fn pass(&self) -> Pass<'_> {
        Pass::Placed(self)
    }

    fn cpu(&self, _inputs: &[Tile<'_>], _output: TileMut<'_>, _scratch: &mut [u8]) {
        unreachable!("the contract tells where the tile lies")
    }
}

impl Placed for Recolour {
    fn fill(
        &self,
        region: &Region,
        inputs: &[Tile<'_>],
        _from: &[Region],
        mut output: TileMut<'_>,
        _scratch: &mut [u8],
    ) {
        let first = region.start[Axis::C.index()] as usize;
        dispatch!(output.dtype(), T => self.fill::<T>(first, &inputs[0], &mut output));
    }

    fn kernels(
        &self,
        inputs: &[Dtype],
        _output: Dtype,
        region: &Region,
        _from: &[Region],
    ) -> Option<Kernels> {
        let first = region.start[Axis::C.index()] as u32;
        let (way, numbers) = match &self.way {
            Way::Logs(_, weights) => (0, weights.as_flattened().to_vec()),
            Way::Opponents(space, [factors, shifts]) => (1, [&space.numbers()[..], factors, shifts].concat()),
        };
        let numbers = [&self.white[..], &numbers].concat();
        let arguments = vec![Argument::U32(first), Argument::U32(way), Argument::F64s(numbers, SPACES)];
        Some(Sweep::over(format!("recolour_{}", inputs[0]), arguments).into())
    }
}
