//! Thresholds that the image itself gives, for `threshold`.
//!
//! Each method finds a value in the counts of all values of the whole image, one counter per value, every axis and
//! channel together, in the arithmetic of scikit-image 0.26: counts are rounded to f32 where it does so, and of equal
//! criteria the lowest value wins. 8- and 16-bit integers. A constant image has its value as threshold, an image without
//! voxels has none; so in both nothing is above it. Cost: one pass more over what the step reads; 1.5 MiB per worker.
//! Otsu 1979; Li and Tam 1998; Zack, Rogers and Latt 1977 (triangle); Ridler and Calvard 1978 (isodata).
//! We differ: scikit-image's Li wraps where a signed image's range exceeds its type; ours does not.

use super::threshold;
use crate::histogram::{Counts, Histogram};
use crate::spec::Number;
use std::sync::Arc;
use voxtile_sched::contract::{Footprint, Global, Op, Pass, Refused, Resolved, Statistic};
use voxtile_sched::model::{Dtype, Kind, Meta, Tile, TileMut};

/// How the value is found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Method {
    Otsu,
    Li,
    Triangle,
    Isodata,
    Mean,
    Percentile(f64),
}

/// Names of the methods without a parameter.
pub(super) const NAMES: [&str; 5] = ["otsu", "li", "triangle", "isodata", "mean"];

impl Method {
    pub(super) fn from_name(name: &str) -> Option<Self> {
        let all = [Self::Otsu, Self::Li, Self::Triangle, Self::Isodata, Self::Mean];
        NAMES.iter().position(|n| *n == name).map(|n| all[n])
    }

    /// The threshold of an image with voxels.
    fn find(self, image: &Histogram) -> f64 {
        let first = image.first as f64;
        match self {
            _ if image.counts.len() == 1 => first,
            Self::Otsu => first + otsu(image) as f64,
            Self::Li => first + li(image),
            Self::Triangle => first + triangle(&image.counts) as f64,
            Self::Isodata => first + isodata(image) as f64,
            Self::Mean => image.mean(),
            Self::Percentile(percent) => image.percentile(percent),
        }
    }
}

fn counts_f32(image: &Histogram) -> Vec<f32> {
    image.counts.iter().map(|&n| n as f32).collect()
}

/// Index of the largest; of equal ones the first.
fn argmax(values: impl Iterator<Item = f64>) -> usize {
    let mut best = (0, f64::NEG_INFINITY);
    for (n, value) in values.enumerate() {
        if value > best.1 {
            best = (n, value);
        }
    }
    best.0
}

/// Greatest variance between the two classes.
fn otsu(image: &Histogram) -> usize {
    let counts = counts_f32(image);
    let weighted = |n: usize| f64::from(counts[n]) * (image.first + n as i64) as f64;
    let len = counts.len();
    // Of the voxels from each value up: how many, and their mean.
    let mut above = vec![(0f32, 0f64); len];
    let (mut weight, mut sum) = (0f32, 0f64);
    for n in (0..len).rev() {
        weight += counts[n];
        sum += weighted(n);
        above[n] = (weight, sum / f64::from(weight));
    }
    let (mut weight, mut sum) = (0f32, 0f64);
    argmax((0..len - 1).map(|n| {
        weight += counts[n];
        sum += weighted(n);
        let (others, mean) = above[n + 1];
        let apart = sum / f64::from(weight) - mean;
        f64::from(weight * others) * (apart * apart)
    }))
}

/// Least cross entropy, by iteration from the mean; relative to the lowest value.
fn li(image: &Histogram) -> f64 {
    let counts = counts_f32(image);
    let mean = |from: usize, to: usize| {
        let (mut weight, mut sum) = (0.0, 0.0);
        for n in from..to {
            weight += f64::from(counts[n]);
            sum += f64::from(counts[n]) * n as f64;
        }
        sum / weight
    };
    let relative = Histogram { first: 0, counts: image.counts.clone() };
    let (mut next, mut now) = (relative.mean(), -1.0f64);
    while (next - now).abs() > 0.5 {
        now = next;
        let cut = now.floor() as usize + 1;
        let (back, fore) = (mean(0, cut), mean(cut, counts.len()));
        if back == 0.0 {
            break;
        }
        next = (back - fore) / (back.ln() - fore.ln());
    }
    next
}

/// Farthest below the line from the peak to the farther end.
fn triangle(counts: &[u64]) -> usize {
    let last = counts.len() - 1;
    let peak = argmax(counts.iter().map(|&n| n as f64));
    let flip = peak < last - peak;
    let at = |n: usize| counts[if flip { last - n } else { n }] as f64;
    let width = if flip { last - peak } else { peak };
    let (height, wide) = (counts[peak] as f64, width as f64);
    let norm = (height * height + wide * wide).sqrt();
    let (height, wide) = (height / norm, wide / norm);
    let level = argmax((0..width).map(|n| height * n as f64 - wide * at(n)));
    if flip { last - level } else { level }
}

/// The lowest value midway between the means of what it separates.
fn isodata(image: &Histogram) -> usize {
    let counts = counts_f32(image);
    let value = |n: usize| (image.first + n as i64) as f64;
    let mut below = Vec::with_capacity(counts.len());
    let (mut weight, mut sum) = (0f32, 0f64);
    for (n, &count) in counts.iter().enumerate() {
        weight += count;
        sum += f64::from(count) * value(n);
        below.push((weight, sum));
    }
    let midway = |n: &usize| {
        let (own, part) = below[*n];
        let middle = (part / f64::from(own) + (sum - part) / f64::from(weight - own)) / 2.0;
        (0.0..1.0).contains(&(middle - value(*n)))
    };
    (0..counts.len() - 1).find(midway).unwrap_or(0)
}

/// `threshold` before its value is known.
pub(super) struct Automatic {
    pub(super) method: Method,
    pub(super) dtype: Dtype,
}

impl Op for Automatic {
    fn name(&self) -> &'static str {
        threshold::SPEC.name
    }

    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        let dtype = inputs[0].dtype;
        if dtype.size() > 2 {
            let why =
                "a threshold found in the image needs 8- or 16-bit integers; `cast u16` before it makes them";
            return Err(Refused::Dtype { dtype, why: why.to_owned() });
        }
        Ok(inputs[0].with_dtype(Dtype::U8).with_kind(Kind::Mask))
    }

    fn footprint(&self, _input: usize) -> Footprint {
        Footprint::Point
    }

    fn ns_per_voxel(&self) -> f64 {
        0.6
    }

    fn pass(&self) -> Pass<'_> {
        Pass::Global(self)
    }

    fn cpu(&self, _inputs: &[Tile<'_>], _output: TileMut<'_>, _scratch: &mut [u8]) {
        unreachable!("a fixed threshold when it runs")
    }
}

impl Global for Automatic {
    fn start(&self) -> Box<dyn Statistic> {
        Box::new(Counts::new(self.dtype))
    }

    fn bytes(&self) -> u64 {
        Counts::bytes(self.dtype)
    }

    fn resolve(&self, statistic: Box<dyn Statistic>) -> Result<Resolved, Refused> {
        let counts = statistic.into_any().downcast::<Counts>().expect("started by this operation");
        let image = counts.histogram();
        let value = if image.counts.is_empty() { f64::INFINITY } else { self.method.find(&image) };
        Ok(Resolved::Local(Arc::new(threshold::Threshold { value: Number::Real(value) })))
    }
}

#[cfg(test)]
mod tests {
    use super::threshold::SPEC;
    use crate::conforms;
    use crate::testing::{Image, meta, stages, steps};
    use voxtile_sched::dispatch;
    use voxtile_sched::model::{Dtype, Element};

    const SMALL: [Dtype; 4] = [Dtype::U8, Dtype::I8, Dtype::U16, Dtype::I16];

    /// The mask above what `find` makes of all values in rising order.
    fn above(image: &Image, find: impl Fn(&[f64]) -> f64) -> Image {
        dispatch!(image.meta().dtype, T => {
            let mut values: Vec<f64> = image.values::<T>().iter().map(|v| v.to_f64()).collect();
            values.sort_by(f64::total_cmp);
            let value = if values.is_empty() { 0.0 } else { find(&values) };
            image.map(|v: T| u8::from(v.to_f64() > value))
        })
    }

    conforms!(
        above_the_mean: &SPEC, "threshold mean",
        |image| above(image, |v| v.iter().sum::<f64>() / v.len() as f64), dtypes(&SMALL),
    );
    conforms!(
        above_the_lower_quarter: &SPEC, "threshold percentile=25",
        |image| above(image, |v| {
            let (at, part) = ((v.len() - 1) / 4, ((v.len() - 1) % 4) as f64 / 4.0);
            v[at] + part * (v[(at + 1).min(v.len() - 1)] - v[at])
        }),
        dtypes(&SMALL),
    );

    #[test]
    fn every_method_leaves_a_constant_and_an_empty_image_dark() {
        for method in super::NAMES {
            let step = format!("threshold {method}");
            assert_eq!(steps(&step, &Image::of::<i16>("x", &[3], &[-7; 3])).values::<u8>(), [0; 3], "{step}");
            assert!(steps(&step, &Image::of::<u8>("x", &[0], &[])).bytes().is_empty(), "{step}");
            // A range that the type does not hold.
            let far = Image::of::<i16>("x", &[4], &[-30000, -29000, 29000, 30000]);
            assert_eq!(steps(&step, &far).values::<u8>()[3], 1, "{step}");
        }
    }

    #[test]
    fn arguments_that_say_two_things_or_nothing_are_refused() {
        let image = [meta("yx", &[3, 4], Dtype::U16)];
        for step in ["threshold", "threshold otsu percentile=5", "threshold percentile=101", "threshold otto"]
        {
            assert!(stages(&SPEC, step, &image).is_err(), "{step}");
        }
        for dtype in [Dtype::F32, Dtype::U32, Dtype::I64] {
            let image = [meta("yx", &[3, 4], dtype)];
            let stages = stages(&SPEC, "threshold otsu", &image).unwrap();
            assert!(stages[0].op.output(&image).is_err(), "{dtype}");
        }
    }
}
