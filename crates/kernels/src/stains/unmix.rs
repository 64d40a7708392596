//! Amounts of stains from the light that passes.

use super::{Block, COLOURS, DARKEST, Logs, Matrix, colours, inverse};
use crate::math;
use crate::pointwise::{Sample, for_rows};
use crate::vectorised;
use voxtile_sched::contract::device::{Argument, Sweep};
use voxtile_sched::contract::{Footprint, Kernels, Op, Pass, Placed, Refused};
use voxtile_sched::dispatch;
use voxtile_sched::model::{Axis, Channel, Dtype, Kind, Meta, Region, Shape, Tile, TileMut};

/// Three images of amounts from three colours; any sample type → f32.
pub(crate) struct Unmix {
    name: &'static str,
    logs: Logs,
    /// Of the logarithm of each colour, for each stain.
    weights: Matrix,
    stains: [&'static str; 3],
}

impl Unmix {
    /// By vectors, a row for each stain; `None` if they lie in a plane. The amount 1 of a stain is the absorbance 6 times
    /// its vector, as in scikit-image.
    pub(crate) fn new(
        name: &'static str,
        logs: Logs,
        vectors: &Matrix,
        stains: [&'static str; 3],
    ) -> Option<Self> {
        let (inverse, unit) = (inverse(vectors)?, math::ln(DARKEST));
        let weights = [0, 1, 2].map(|s: usize| inverse.map(|row| row[s] / unit));
        Some(Self { name, logs, weights, stains })
    }

    /// The kernel, for a tile whose first channel is that stain.
    fn kernel(&self, input: Dtype, first: u32) -> Kernels {
        let numbers = [&self.logs.white[..], self.weights.as_flattened()].concat();
        let arguments = vec![Argument::U32(first), Argument::F64s(numbers, 12)];
        Sweep::over(format!("unmix_{input}"), arguments).into()
    }

    fn fill<T: Sample>(&self, first: usize, input: &Tile<'_>, output: &mut TileMut<'_>) {
        let (from, mut to) = (input.view::<T>(), output.view::<f32>());
        let [nt, stains, nz, ny, nx] = to.shape();
        for_rows([nt, 1, nz, ny, nx], |t, _, z, y| {
            let rows = [0, 1, 2].map(|c| from.row(t, c, z, y));
            self.logs.each(rows, |range, logs| {
                for stain in 0..stains {
                    amounts(self.weights[first + stain], logs, &mut to.row(t, stain, z, y)[range.clone()]);
                }
            });
        });
    }
}

vectorised! {
    /// Not below 0; NaN passes.
    fn amounts(weights: [f64; COLOURS], logs: &Block, to: &mut [f32]) {
        let [red, green, blue] = logs;
        for (((to, red), green), blue) in to.iter_mut().zip(red).zip(green).zip(blue) {
            let amount = (red * weights[0] + green * weights[1]) + blue * weights[2];
            let amount = if amount < 0.0 { 0.0 } else { amount };
            // No negative zero.
            *to = (amount + 0.0) as f32;
        }
    }
}

/// The kernel of any separation, as a plan asks for it.
pub(crate) fn unmixing(input: Dtype) -> Kernels {
    let arguments = vec![Argument::U32(0), Argument::F64s(Vec::new(), 12)];
    Sweep::over(format!("unmix_{input}"), arguments).into()
}

/// What a separation of an image into three stains is.
pub(crate) fn separated(image: &Meta, stains: [&str; 3]) -> Result<Meta, Refused> {
    colours(image)?;
    let mut meta = image.with_dtype(Dtype::F32).with_kind(Kind::Image);
    meta.shape[Axis::C.index()] = stains.len() as u64;
    meta.channels = stains.map(|name| Channel { name: Some(name.to_owned()), color: None }).to_vec();
    Ok(meta)
}

/// All colours, and no channel after them.
pub(crate) fn three(out: &Region) -> Region {
    out.with_axis(Axis::C, 0, COLOURS as u64)
}

impl Op for Unmix {
    fn name(&self) -> &'static str {
        self.name
    }

    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        separated(&inputs[0], self.stains)
    }

    fn footprint(&self, _input: usize) -> Footprint {
        Footprint::Mapped { padded: false }
    }

    fn reads(&self, _input: usize, out: &Region, _image: &Shape) -> Region {
        three(out)
    }

    fn ns_per_voxel(&self) -> f64 {
        1.2
    }

    fn pass(&self) -> Pass<'_> {
        Pass::Placed(self)
    }

    fn cpu(&self, _inputs: &[Tile<'_>], _output: TileMut<'_>, _scratch: &mut [u8]) {
        unreachable!("the contract tells where the tile lies")
    }
}

impl Placed for Unmix {
    fn fill(
        &self,
        region: &Region,
        inputs: &[Tile<'_>],
        _from: &[Region],
        mut output: TileMut<'_>,
        _scratch: &mut [u8],
    ) {
        let first = region.start[Axis::C.index()] as usize;
        dispatch!(inputs[0].dtype(), T => self.fill::<T>(first, &inputs[0], &mut output));
    }

    fn kernels(
        &self,
        inputs: &[Dtype],
        _output: Dtype,
        region: &Region,
        _from: &[Region],
    ) -> Option<Kernels> {
        Some(self.kernel(inputs[0], region.start[Axis::C.index()] as u32))
    }
}
