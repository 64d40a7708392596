//! One brightness from several channels.
//!
//! Any type with a channel axis → f32; `c` disappears, the other axes stay. Σ weight · channel over the first
//! channels, one per weight, summed in f64 in the order of the channels and rounded once. The default weights are
//! those of `skimage.color.rgb2gray`, but values keep their range (scikit-image divides integers by their maximum, and
//! sums float32 images in float32: its results differ from ours on the same values by up to 1e-6 relative).
//! Cost: one read of the channels and one write; no scratch. Channels without a weight (alpha) are not read.

use crate::device::{CHANNELS, why};
use crate::pointwise::{Sample, for_rows};
use crate::spec::{Build, Param, Spec, Value};
use crate::vectorised;
use std::sync::Arc;
use voxtile_sched::contract::device::{Argument, Sweep};
use voxtile_sched::contract::{Footprint, Kernels, Op, Refused};
use voxtile_sched::dispatch;
use voxtile_sched::model::{Axis, Dtype, Kind, Meta, NDIM, Shape, Tile, TileMut, View};

/// `gray`.
pub(super) static SPEC: Spec = Spec {
    name: "gray",
    about: "weighted sum of the channels, as float",
    params: &[Param {
        name: "weights",
        value: Value::Numbers,
        default: Some("0.2125,0.7154,0.0721"),
        about: "one weight for each of the first channels",
    }],
    inputs: 1,
    example: "gray",
    build: Build::One(|args| Ok(Arc::new(Gray { weights: args.number_list("weights")? }))),
};

struct Gray {
    weights: Vec<f64>,
}

vectorised! {
    fn three<T: Sample>(weights: [f64; 3], r: &[T], g: &[T], b: &[T], out: &mut [f32]) {
        for (((out, r), g), b) in out.iter_mut().zip(r).zip(g).zip(b) {
            *out = (weights[0] * r.to_f64() + weights[1] * g.to_f64() + weights[2] * b.to_f64()) as f32;
        }
    }
}

vectorised! {
    fn any<T: Sample>(weights: &[f64], rows: &View<'_, T>, at: [usize; 3], out: &mut [f32]) {
        let [t, z, y] = at;
        let mut sums = [0f64; 64];
        for (n, out) in out.chunks_mut(sums.len()).enumerate() {
            let from = n * sums.len();
            for (c, &weight) in weights.iter().enumerate() {
                let row = &rows.row(t, c, z, y)[from..from + out.len()];
                for (sum, v) in sums.iter_mut().zip(row) {
                    let part = weight * v.to_f64();
                    *sum = if c == 0 { part } else { *sum + part };
                }
            }
            for (out, &sum) in out.iter_mut().zip(&sums) {
                *out = sum as f32;
            }
        }
    }
}

/// One f32 image from the channels of another.
pub(super) fn single(image: &Meta) -> Meta {
    let mut meta = image.with_dtype(Dtype::F32).with_kind(Kind::Image);
    meta.axes = meta.axes.without(Axis::C);
    meta.shape[Axis::C.index()] = 1;
    meta.spacing[Axis::C.index()] = None;
    meta.channels.clear();
    meta
}

impl Op for Gray {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        let input = &inputs[0];
        if !input.axes.contains(Axis::C) {
            return Err(Refused::Axis { axis: Axis::C, axes: input.axes });
        }
        let channels = input.shape[Axis::C.index()];
        if channels < self.weights.len() as u64 {
            let why = format!("{} weights for {channels} channels", self.weights.len());
            return Err(Refused::Param { param: "weights", why });
        }
        Ok(single(input))
    }

    /// The only channel of the output reads the channels that have a weight.
    fn footprint(&self, _input: usize) -> Footprint {
        let mut block = [1; NDIM];
        block[Axis::C.index()] = self.weights.len() as u64;
        Footprint::blocks(block)
    }

    fn ns_per_voxel(&self) -> f64 {
        0.12 * self.weights.len() as f64
    }

    fn cpu(&self, inputs: &[Tile<'_>], mut output: TileMut<'_>, _scratch: &mut [u8]) {
        dispatch!(inputs[0].dtype(), T => {
            let rows = inputs[0].view::<T>();
            let mut out = output.view::<f32>();
            for_rows(out.shape(), |t, _, z, y| {
                let out = out.row(t, 0, z, y);
                match self.weights[..] {
                    [r, g, b] => {
                        let row = |c| rows.row(t, c, z, y);
                        three([r, g, b], row(0), row(1), row(2), out);
                    }
                    _ => any(&self.weights, &rows, [t, z, y], out),
                }
            });
        });
    }

    fn no_kernels(&self) -> Option<&'static str> {
        (self.weights.len() > CHANNELS).then_some(why::CHANNELS)
    }

    fn kernels(&self, inputs: &[Dtype], _output: Dtype, _shape: &Shape) -> Option<Kernels> {
        let count = self.weights.len();
        let arguments = vec![Argument::U32(count as u32), Argument::F64s(self.weights.clone(), CHANNELS)];
        (1..=CHANNELS).contains(&count).then(|| Sweep::over(format!("gray_{}", inputs[0]), arguments).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conforms;
    use crate::testing::{Image, meta, stages};
    use voxtile_sched::model::{Channel, Element};

    fn oracle(image: &Image, weights: &[f64]) -> Image {
        let mut meta = image.meta().with_dtype(Dtype::F32);
        meta.axes = meta.axes.without(Axis::C);
        meta.shape[1] = 1;
        dispatch!(image.meta().dtype, T => Image::from_fn(meta, |[t, _, z, y, x]| {
            let part = |c: usize| weights[c] * image.at::<T>([t, c as u64, z, y, x]).to_f64();
            (1..weights.len()).fold(part(0), |sum, c| sum + part(c)) as f32
        }))
    }

    fn channels(meta: &Meta, least: u64) -> bool {
        meta.axes.contains(Axis::C) && meta.shape[1] >= least
    }

    conforms!(
        luminance: &SPEC, "gray",
        |image| oracle(image, &[0.2125, 0.7154, 0.0721]),
        only(|m| channels(m, 3)),
    );
    conforms!(one_of_many: &SPEC, "gray 0.5", |image| oracle(image, &[0.5]), only(|m| channels(m, 1)));
    conforms!(
        five: &SPEC, "gray weights=1,2,-3,0.1,0",
        |image| oracle(image, &[1., 2., -3., 0.1, 0.]),
        only(|m| channels(m, 5)),
    );

    #[test]
    fn too_few_channels_are_refused() {
        let refused = |meta: Meta| {
            let stages = stages(&SPEC, "gray", std::slice::from_ref(&meta)).unwrap();
            stages[0].op.output(std::slice::from_ref(&meta)).unwrap_err()
        };
        assert!(matches!(refused(meta("yx", &[4, 4], Dtype::U8)), Refused::Axis { axis: Axis::C, .. }));
        assert!(matches!(
            refused(meta("cyx", &[2, 4, 4], Dtype::U8)),
            Refused::Param { param: "weights", .. }
        ));
    }

    #[test]
    fn the_channel_axis_and_what_was_known_of_it_disappear() {
        let mut rgb = meta("cyx", &[3, 4, 4], Dtype::U8);
        rgb.channels = vec![Channel::default(); 3];
        let stages = stages(&SPEC, "gray", std::slice::from_ref(&rgb)).unwrap();
        let gray = stages[0].op.output(&[rgb]).unwrap();
        assert_eq!((gray.axes.to_string().as_str(), gray.channels.len(), gray.dims()), ("yx", 0, vec![4, 4]));
    }
}
