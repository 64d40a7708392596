//! Absorbance: how much light a stain takes away, in powers of ten.
//!
//! Any sample type → f32, same shape, every axis: `-log10(max(sample / white, 1e-6))`. `white` is the value of full light:
//! one number, or one per channel; if not given, the highest value of an integer type (255 of u8, 65535 of u16), 1 of floats.
//! No light at all is the absorbance 6; more than full light is a negative one; NaN stays. Computed in f64 and rounded once:
//! `numpy.log10` of the same, within 2 ULP of f64 before the rounding. Cost: one read and one write; integers of 8 and 16 bits
//! by a table of all values.
//!
//! scikit-image has no such function; the numbers within its `separate_stains` are a sixth of these.

use crate::device::{CHANNELS, why};
use crate::functions::{Real, tabled};
use crate::math;
use crate::spec::{ArgError, Args, Build, Spec};
use crate::stains::{WHITE, share, whites};
use std::f64::consts::LOG10_E;
use std::sync::Arc;
use voxtile_sched::contract::device::{Argument, Sweep};
use voxtile_sched::contract::{Footprint, Kernels, Op, Pass, Placed, Refused};
use voxtile_sched::model::{Axis, Dtype, Meta, Region, Shape, Tile, TileMut};

/// `absorbance`.
pub(super) static SPEC: Spec = Spec {
    name: "absorbance",
    about: "optical density: minus the decimal logarithm of the share of light that passes",
    params: &[WHITE],
    inputs: 1,
    example: "absorbance white=240",
    build: Build::One(build),
};

fn build(args: &Args<'_>) -> Result<Arc<dyn Op>, ArgError> {
    let one = args.text(WHITE.name).is_none_or(|text| !text.contains(','));
    let channels = if one { 1 } else { args.input().shape[Axis::C.index()] as usize };
    let of = |white| tabled(SPEC.name, 0.9, args.input().dtype, Absorbance { white });
    let whites = whites(args, channels)?;
    let mut channels: Vec<Arc<dyn Op>> = whites.iter().copied().map(of).collect();
    Ok(if one { channels.remove(0) } else { Arc::new(PerChannel { channels, whites }) })
}

#[derive(Clone, Copy)]
struct Absorbance {
    white: f64,
}

impl Real for Absorbance {
    #[inline(always)]
    fn of(self, x: f64) -> f64 {
        // In this order full light is a positive zero.
        0.0 - math::ln(share(x, self.white)) * LOG10_E
    }

    fn kernel(self) -> (u32, [f64; 3]) {
        (4, [self.white, 0.0, 0.0])
    }
}

/// An operation on single voxels for each channel.
struct PerChannel {
    channels: Vec<Arc<dyn Op>>,
    whites: Vec<f64>,
}

impl Op for PerChannel {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        self.channels[0].output(inputs)
    }

    fn footprint(&self, _input: usize) -> Footprint {
        Footprint::Point
    }

    fn scratch(&self, output: &Shape) -> u64 {
        self.channels[0].scratch(output)
    }

    fn ns_per_voxel(&self) -> f64 {
        self.channels[0].ns_per_voxel()
    }

    fn pass(&self) -> Pass<'_> {
        Pass::Placed(self)
    }

    fn no_kernels(&self) -> Option<&'static str> {
        (self.whites.len() > CHANNELS).then_some(why::CHANNELS)
    }

    fn cpu(&self, _inputs: &[Tile<'_>], _output: TileMut<'_>, _scratch: &mut [u8]) {
        unreachable!("the contract tells where the tile lies")
    }
}

impl Placed for PerChannel {
    fn fill(
        &self,
        region: &Region,
        inputs: &[Tile<'_>],
        _from: &[Region],
        mut output: TileMut<'_>,
        scratch: &mut [u8],
    ) {
        let c = Axis::C.index();
        let tile = Region::whole(region.shape);
        for n in 0..region.shape[c] as usize {
            let part = tile.with_axis(Axis::C, n as i64, 1);
            let op = &self.channels[region.start[c] as usize + n];
            op.cpu(&[inputs[0].part(&part)], output.part(&part), scratch);
        }
    }

    fn kernels(
        &self,
        inputs: &[Dtype],
        _output: Dtype,
        region: &Region,
        _from: &[Region],
    ) -> Option<Kernels> {
        if self.no_kernels().is_some() {
            return None;
        }
        let first = Argument::U32(region.start[Axis::C.index()] as u32);
        let arguments = vec![first, Argument::F64s(self.whites.clone(), CHANNELS)];
        Some(Sweep::over(format!("absorbance_{}", inputs[0]), arguments).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conforms;
    use crate::testing::{Image, meta, stages};
    use voxtile_sched::dispatch;
    use voxtile_sched::model::{Dtype, Element};

    fn oracle(image: &Image, whites: &[f64]) -> Image {
        let full =
            dispatch!(image.meta().dtype, T => if T::DTYPE.is_float() { 1.0 } else { T::HIGHEST.to_f64() });
        dispatch!(image.meta().dtype, T => Image::from_fn(image.meta().with_dtype(Dtype::F32), |at| {
            let white = whites.get(at[1] as usize).or(whites.first()).unwrap_or(&full);
            let share = image.at::<T>(at).to_f64() / white;
            let share = if share < 1e-6 { 1e-6 } else { share };
            (0.0 - share.log10()) as f32
        }))
    }

    const WHY: &str = "another last bit of f64 may round to another f32";

    conforms!(of_the_type: &SPEC, "absorbance", |image| oracle(image, &[]), ulp(1, WHY));
    conforms!(of_a_lamp: &SPEC, "absorbance 240.5", |image| oracle(image, &[240.5]), ulp(1, WHY));
    conforms!(
        of_each_channel: &SPEC, "absorbance white=240,235.5,250",
        |image| oracle(image, &[240.0, 235.5, 250.0]), only(|m| m.shape[1] == 3), ulp(1, WHY),
    );

    #[test]
    fn light_must_be_there_and_fit_the_channels() {
        let image = [meta("cyx", &[3, 4, 5], Dtype::U8)];
        let refused = |step| stages(&SPEC, step, &image).map(|_| ()).unwrap_err().to_string();
        assert_eq!(refused("absorbance 0"), "`absorbance`: `white=0` is not a number above 0, or 1 of them");
        assert_eq!(
            refused("absorbance 240,250"),
            "`absorbance`: `white=240,250` is not a number above 0, or 3 of them"
        );
    }
}
