//! Histogram equalisation: each voxel becomes the share of the image that is not above it.
//!
//! Any sample type → f32 from 0 to 1, same shape; every axis and channel counts together. Integers: the share of voxels
//! that are not larger, exactly; those of 32 and 64 bits up to 2^20 values from the lowest to the highest. Of those farther
//! apart and of floats: that share at the centres of 256 bins between the ends, and on straight lines between them. Voxels that are not finite do not
//! count; NaN stays NaN. A constant image becomes 1. Cost: one pass more over what the step reads, two for the wider
//! types; 1 ns per voxel then.
//!
//! Equal to `skimage.exposure.equalize_hist(image)`, rounded to f32.

use crate::device::{constants, sweep};
use crate::pointwise::{Sample, for_rows};
use crate::spec::{Build, Spec};
use crate::statistics::{Deferred, Found, Histogram, Lookup, Needs};
use std::sync::Arc;
use voxtile_sched::contract::device::{Argument, Slot};
use voxtile_sched::contract::{Footprint, Kernels, Op, Refused};
use voxtile_sched::dispatch;
use voxtile_sched::model::{Dtype, Kind, Meta, Shape, Tile, TileMut};

/// `equalize`.
pub(super) static SPEC: Spec = Spec {
    name: "equalize",
    about: "histogram equalisation: the share of the whole image that is not above the voxel",
    params: &[],
    inputs: 1,
    example: "equalize",
    build: Build::One(|args| {
        let dtype = args.input().dtype;
        Ok(Arc::new(Deferred {
            name: SPEC.name,
            dtype,
            needs: Needs::Histogram,
            output: equalized,
            then: Box::new(move |found| Arc::new(Equalize { curve: Curve::new(found, dtype) })),
        }))
    }),
};

fn equalized(input: &Meta) -> Meta {
    input.with_dtype(Dtype::F32).with_kind(Kind::Image)
}

/// The share of the voxels up to a value.
enum Curve {
    /// Of every integer from the first one up.
    Values(Lookup),
    /// Through points: values, shares, and how steep it is after each.
    Points { values: Vec<f64>, shares: Vec<f64>, slopes: Vec<f64>, per_unit: f64 },
}

impl Curve {
    fn new(found: &Found, dtype: Dtype) -> Self {
        let Found::Histogram(image) = found else {
            return Self::Values(Lookup { first: 0, values: vec![1.0] });
        };
        let total = image.total() as f64;
        let mut below = 0;
        let running = image.counts.iter().map(|n| {
            below += n;
            below as f64 / total
        });
        match image.first() {
            Some(first) => {
                Self::Values(Lookup { first, values: running.map(|share| share as f32).collect() })
            }
            None => {
                let single = dtype == Dtype::F32;
                let round = |share: f64| if single { f64::from(share as f32) } else { share };
                Self::points(image, running.map(round).collect())
            }
        }
    }

    fn points(image: &Histogram, shares: Vec<f64>) -> Self {
        let values: Vec<f64> = (0..shares.len()).map(|n| image.value(n)).collect();
        let slope = |n: usize| (shares[n + 1] - shares[n]) / (values[n + 1] - values[n]);
        let slopes = (0..shares.len() - 1).map(slope).collect();
        let last = values.len() - 1;
        let per_unit = last as f64 / (values[last] - values[0]);
        Self::Points { values, shares, slopes, per_unit }
    }

    fn row<T: Sample>(&self, from: &[T], to: &mut [f32]) {
        match self {
            Self::Values(table) => table.row(from, to),
            Self::Points { values, shares, slopes, per_unit } => {
                let last = values.len() - 1;
                for (to, from) in to.iter_mut().zip(from) {
                    let v = from.to_f64();
                    *to = if v.is_nan() {
                        f32::NAN
                    } else if v <= values[0] {
                        shares[0] as f32
                    } else if v >= values[last] {
                        shares[last] as f32
                    } else {
                        let mut n = (((v - values[0]) * per_unit) as usize).min(last - 1);
                        while v < values[n] {
                            n -= 1;
                        }
                        while v >= values[n + 1] {
                            n += 1;
                        }
                        (slopes[n] * (v - values[n]) + shares[n]) as f32
                    };
                }
            }
        }
    }
}

struct Equalize {
    curve: Curve,
}

impl Op for Equalize {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        Ok(equalized(&inputs[0]))
    }

    fn footprint(&self, _input: usize) -> Footprint {
        Footprint::Point
    }

    fn ns_per_voxel(&self) -> f64 {
        1.0
    }

    fn cpu(&self, inputs: &[Tile<'_>], mut output: TileMut<'_>, _scratch: &mut [u8]) {
        let mut to = output.view::<f32>();
        dispatch!(inputs[0].dtype(), T => {
            let from = inputs[0].view::<T>();
            for_rows(from.shape(), |t, c, z, y| {
                self.curve.row::<T>(from.row(t, c, z, y), to.row(t, c, z, y));
            });
        });
    }

    fn kernels(&self, inputs: &[Dtype], _output: Dtype, _shape: &Shape) -> Option<Kernels> {
        let Curve::Points { values, shares, slopes, per_unit } = &self.curve else {
            let Curve::Values(table) = &self.curve else { return None };
            return Some(table.kernels(inputs[0]));
        };
        // Three rows of one length: after the last point nothing rises.
        let table = [&values[..], shares, slopes, &[0.0]].concat();
        let from = vec![Slot::Input(0), Slot::Constants(0)];
        let arguments = vec![Argument::F64(*per_unit)];
        let sweeps = vec![sweep(format!("points_{}", inputs[0]), from, Slot::Output, arguments)];
        Some(Kernels { constants: vec![constants(&table)], sweeps, ..Kernels::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::SPEC;
    use crate::conforms;
    use crate::testing::{Image, steps};
    use voxtile_sched::dispatch;
    use voxtile_sched::model::Dtype;

    const SMALL: [Dtype; 4] = [Dtype::U8, Dtype::I8, Dtype::U16, Dtype::I16];

    /// Each voxel compared with all.
    fn oracle(image: &Image) -> Image {
        dispatch!(image.meta().dtype, T => {
            let values = image.values::<T>().to_vec();
            image.map(|v: T| {
                let below = values.iter().filter(|w| **w <= v).count();
                (below as f64 / values.len() as f64) as f32
            })
        })
    }

    conforms!(every_value: &SPEC, "equalize", |image| oracle(image), dtypes(&SMALL));

    #[test]
    fn wide_integers_are_counted_one_by_one_and_those_far_apart_in_bins() {
        for first in [i64::MIN, -3, i64::MAX - 9] {
            let values: Vec<i64> = [3, 1, 1, 9, 0].iter().map(|v| first + v).collect();
            let image = Image::of::<i64>("x", &[5], &values);
            image_is(&steps("equalize", &image), &[0.8, 0.6, 0.6, 1.0, 0.2]);
        }
        let wide: Vec<i64> = (0..=256).map(|n| i64::MIN + (n << 50)).collect();
        let found = steps("equalize", &Image::of::<i64>("x", &[257], &wide));
        assert!((found.values::<f32>()[100] - 100.5 / 257.0).abs() < 1e-6);
        image_is(&steps("equalize", &Image::of::<u32>("x", &[2], &[0, 1 << 20])), &[0.5, 1.0]);
    }

    #[test]
    fn floats_lie_on_lines_between_the_middles_of_bins() {
        let mut values: Vec<f32> = (0..=256).map(|n| n as f32).collect();
        values.extend([f32::NAN, f32::INFINITY, f32::NEG_INFINITY]);
        let image = Image::of::<f32>("x", &[260], &values);
        let found = steps("equalize", &image);
        let found = found.values::<f32>();
        // The middle of bin n is n + 0.5; up to it lie n + 1 of 257 voxels, 257 up to the last.
        assert_eq!(found[0], 1.0 / 257.0);
        assert!((found[100] - 100.5 / 257.0).abs() < 1e-7);
        assert_eq!(found[256], 1.0);
        assert!(found[257].is_nan() && found[258] == 1.0 && found[259] == found[0]);
    }

    fn image_is(image: &Image, values: &[f32]) {
        assert_eq!(image.values::<f32>(), values);
    }
}
