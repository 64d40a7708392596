//! The values of another image: each voxel becomes what has the same share of voxels below it in a reference.
//!
//! `on=IMAGE,REFERENCE`: two images of integers, of any shapes and types; f32 of IMAGE's shape. Every axis and channel counts
//! together. The share of IMAGE's voxels that are not above a voxel's value is looked up among the shares of REFERENCE's
//! values, on straight lines between them. Single values are counted, so floats are refused, and at run time integers of
//! 32 and 64 bits whose lowest and highest lie 2^20 or more apart. Cost: one pass over each image more, two for the wider
//! types; 0.6 ns per voxel then.
//!
//! Equal to `skimage.exposure.match_histograms(image, reference)`, which gives f64, rounded to f32.

use crate::pointwise::for_rows;
use crate::spec::{Build, Spec};
use crate::statistics::{Found, Lookup, Needs, Next};
use std::any::Any;
use std::sync::Arc;
use voxtile_sched::contract::{Footprint, Global, Kernels, Op, Pass, Refused, Resolved, Statistic};
use voxtile_sched::dispatch;
use voxtile_sched::model::{Dtype, Kind, Meta, NDIM, Region, Shape, Tile, TileMut, voxels};

/// `match-histogram on=image,reference`.
pub(super) static SPEC: Spec = Spec {
    name: "match-histogram",
    about: "the values of a reference, rank for rank of the whole image: on=IMAGE,REFERENCE",
    params: &[],
    inputs: 2,
    example: "invert as reference | match-histogram on=input,reference",
    build: Build::One(|args| {
        let dtypes = [args.inputs()[0].dtype, args.inputs()[1].dtype];
        Ok(Arc::new(Match { dtypes, table: None }))
    }),
};

/// What is counted of both images.
const NEEDS: Needs = Needs::Histogram;

struct Match {
    dtypes: [Dtype; 2],
    /// Known after both images were counted.
    table: Option<Lookup>,
}

/// How often values occur, in rising order.
struct Counted {
    first: i128,
    counts: Vec<u64>,
}

impl Counted {
    fn new(found: Found) -> Result<Self, Refused> {
        match found {
            Found::Histogram(histogram) => match histogram.first() {
                Some(first) => Ok(Self { first, counts: histogram.counts }),
                None => Err(Refused::Param {
                    param: "on",
                    why: "counts single values, and these lie 2^20 or more apart: `cast u16` before it"
                        .to_owned(),
                }),
            },
            Found::Constant(value) => Ok(Self { first: value as i128, counts: vec![1] }),
            Found::Nothing | Found::Numbers(_) => Ok(Self { first: 0, counts: vec![0] }),
        }
    }

    /// The share of the voxels up to each value.
    fn shares(&self) -> Vec<f64> {
        let total = self.counts.iter().sum::<u64>() as f64;
        let mut below = 0;
        let mut share = |n: &u64| {
            below += n;
            below as f64 / total
        };
        self.counts.iter().map(&mut share).collect()
    }

    /// What the reference has at each value's share.
    fn matched(&self, reference: &Self) -> Lookup {
        let present = reference.shares().into_iter().zip(&reference.counts).enumerate();
        let (shares, values): (Vec<f64>, Vec<f64>) = present
            .filter(|(_, (_, count))| **count > 0)
            .map(|(n, (share, _))| (share, (reference.first + n as i128) as f64))
            .unzip();
        let at = |share: f64| {
            let after = shares.partition_point(|s| *s <= share);
            match after.checked_sub(1) {
                None => values.first().map_or(0.0, |value| *value),
                Some(n) if after == shares.len() || shares[n] == share => values[n],
                Some(n) => {
                    let slope = (values[n + 1] - values[n]) / (shares[n + 1] - shares[n]);
                    slope * (share - shares[n]) + values[n]
                }
            }
        };
        Lookup {
            first: self.first,
            values: self.shares().into_iter().map(|share| at(share) as f32).collect(),
        }
    }
}

/// The counts of the reference, then, with those at hand, of the image.
struct Counting {
    reference: Option<Arc<Counted>>,
    statistic: Box<dyn Statistic>,
}

impl Statistic for Counting {
    fn observe(&mut self, tile: &Tile<'_>, region: &Region) {
        self.statistic.observe(tile, region);
    }

    fn merge(&mut self, other: Box<dyn Statistic>) {
        let other = other.into_any().downcast::<Self>().expect("statistics of one operation");
        self.statistic.merge(other.statistic);
    }

    fn empty(&self) -> Box<dyn Statistic> {
        Box::new(Self { reference: self.reference.clone(), statistic: self.statistic.empty() })
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}

impl Op for Match {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        if let Some(float) = inputs.iter().find(|i| i.dtype.is_float()) {
            let why = "counts single values: `rescale in=0,1 out=0,65535 | cast u16` before it".to_owned();
            return Err(Refused::Dtype { dtype: float.dtype, why });
        }
        if voxels(&inputs[1].shape) == 0 && voxels(&inputs[0].shape) > 0 {
            return Err(Refused::Param { param: "on", why: "the reference has no voxels".to_owned() });
        }
        Ok(inputs[0].with_dtype(Dtype::F32).with_kind(Kind::Image))
    }

    fn footprint(&self, input: usize) -> Footprint {
        if input == 0 { Footprint::Point } else { Footprint::Mapped { padded: false } }
    }

    fn reads(&self, input: usize, out: &Region, _image: &Shape) -> Region {
        if input == 0 { *out } else { Region::new([0; NDIM], [0; NDIM]) }
    }

    fn ns_per_voxel(&self) -> f64 {
        0.6
    }

    fn pass(&self) -> Pass<'_> {
        if self.table.is_some() { Pass::Local } else { Pass::Global(self) }
    }

    fn cpu(&self, inputs: &[Tile<'_>], mut output: TileMut<'_>, _scratch: &mut [u8]) {
        let Some(table) = &self.table else { unreachable!("counted when it runs") };
        let mut to = output.view::<f32>();
        dispatch!(inputs[0].dtype(), T => {
            let from = inputs[0].view::<T>();
            for_rows(from.shape(), |t, c, z, y| table.row::<T>(from.row(t, c, z, y), to.row(t, c, z, y)));
        });
    }

    fn kernels(&self, inputs: &[Dtype], _output: Dtype, _shape: &Shape) -> Option<Kernels> {
        let unknown = Lookup { first: 0, values: vec![0.0] };
        Some(self.table.as_ref().unwrap_or(&unknown).kernels(inputs[0]))
    }
}

impl Global for Match {
    fn observes(&self) -> &[usize] {
        &[1, 0]
    }

    fn start(&self) -> Box<dyn Statistic> {
        Box::new(Counting { reference: None, statistic: NEEDS.start(self.dtypes[1]) })
    }

    fn bytes(&self) -> u64 {
        self.dtypes.map(|dtype| NEEDS.bytes(dtype)).into_iter().max().unwrap_or(0)
    }

    fn passes(&self, input: usize) -> usize {
        NEEDS.passes(self.dtypes[input])
    }

    fn resolve(&self, statistic: Box<dyn Statistic>) -> Result<Resolved, Refused> {
        let counting = statistic.into_any().downcast::<Counting>().expect("what this started");
        let Counting { reference, statistic } = *counting;
        let counted = match NEEDS.next(statistic) {
            Next::Again(statistic) => {
                return Ok(Resolved::Again(Box::new(Counting { reference, statistic })));
            }
            Next::Found(found) => Counted::new(found)?,
        };
        Ok(match reference {
            None => {
                let statistic = NEEDS.start(self.dtypes[0]);
                Resolved::Next(Box::new(Counting { reference: Some(Arc::new(counted)), statistic }))
            }
            Some(reference) => {
                let table = Some(counted.matched(&reference));
                Resolved::Local(Arc::new(Self { dtypes: self.dtypes, table }))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::SPEC;
    use crate::conforms;
    use crate::testing::{Fill, Float, Image, WHOLE, apply, meta, stages};
    use voxtile_sched::dispatch;
    use voxtile_sched::model::{Dtype, Element};

    const SMALL: [Dtype; 4] = [Dtype::U8, Dtype::I8, Dtype::U16, Dtype::I16];

    fn numbers(image: &Image) -> Vec<f64> {
        dispatch!(image.meta().dtype, T => image.values::<T>().iter().map(|v| v.to_f64()).collect())
    }

    /// Of values in rising order.
    fn share(values: &[f64], v: f64) -> f64 {
        values.partition_point(|w| *w <= v) as f64 / values.len() as f64
    }

    /// Each voxel's share, and between which of the reference's it lies.
    fn oracle(image: &Image, reference: &Image) -> Image {
        let (mut values, mut all) = (numbers(image), numbers(reference));
        values.sort_by(f64::total_cmp);
        all.sort_by(f64::total_cmp);
        let mut levels = all.clone();
        levels.dedup();
        let shares: Vec<f64> = levels.iter().map(|v| share(&all, *v)).collect();
        dispatch!(image.meta().dtype, T => image.map(|v: T| {
            let at = share(&values, v.to_f64());
            let n = shares.iter().position(|s| *s >= at).unwrap();
            if n == 0 || shares[n] == at {
                return levels[n] as f32;
            }
            let slope = (levels[n] - levels[n - 1]) / (shares[n] - shares[n - 1]);
            (slope * (at - shares[n - 1]) + levels[n - 1]) as f32
        }))
    }

    conforms!(
        ranks_of_another: &SPEC, "match-histogram", all |images| oracle(&images[0], &images[1]), dtypes(&SMALL),
    );

    #[test]
    fn images_of_other_shapes_and_types_in_any_tiles() {
        let few = |axes, sizes: &[u64], dtype| Image::filled(meta(axes, sizes, dtype), Fill::Few, 4);
        for (a, b) in [(Dtype::U8, Dtype::I64), (Dtype::I32, Dtype::U16), (Dtype::U64, Dtype::U32)] {
            let (image, reference) = (few("yx", &[9, 14], a), few("zyx", &[3, 5, 4], b));
            let step = stages(&SPEC, "match-histogram", &[image.meta().clone(), reference.meta().clone()]);
            let step = step.unwrap();
            let want = oracle(&image, &reference);
            for tile in [WHOLE, [1, 1, 1, 3, 5], [1, 1, 2, 99, 2]] {
                let found = apply(&step, &[&image, &reference], tile);
                found.assert_same(&want, Float::Exact, || format!("{a} like {b} in {tile:?}"));
            }
        }
    }

    #[test]
    fn constant_images_have_the_ends_of_each_other() {
        let (flat, ramp) = (Image::of::<u8>("x", &[3], &[7; 3]), Image::of::<u8>("x", &[3], &[1, 2, 9]));
        let matched = |a: &Image, b: &Image| {
            let step = stages(&SPEC, "match-histogram", &[a.meta().clone(), b.meta().clone()]).unwrap();
            apply(&step, &[a, b], WHOLE).values::<f32>().to_vec()
        };
        assert_eq!(matched(&flat, &ramp), [9.0; 3]);
        assert_eq!(matched(&ramp, &flat), [7.0; 3]);
    }

    #[test]
    fn floats_and_a_reference_without_voxels_are_refused() {
        let refused = |a, b: u64, dtype| {
            let images = [meta("x", &[a], Dtype::U8), meta("x", &[b], dtype)];
            stages(&SPEC, "match-histogram", &images).unwrap()[0].op.output(&images).is_err()
        };
        assert!(refused(3, 3, Dtype::F32) && refused(3, 0, Dtype::U8));
        assert!(!refused(3, 3, Dtype::I64) && !refused(0, 0, Dtype::U8));
    }
}
