//! Thresholds that the image itself gives, for `threshold`.
//!
//! Each method finds a value in the counts of all values of the whole image, every axis and channel together, in the
//! arithmetic of scikit-image 0.26: counts are rounded to f32 where it does so, and of equal criteria the lowest value
//! wins. Integers are counted value by value, those of 32 and 64 bits up to 2^20 values from the lowest to the highest;
//! those farther apart and floats in 256 bins, whose centres are f64, of f32 images f32. Voxels that are not finite do not count. A constant image has its
//! value as threshold, an image without voxels has none; so in both nothing is above it. Cost: one pass more over what
//! the step reads, two for the wider types, three for Li's of floats.
//! Otsu 1979; Li and Tam 1998; Zack, Rogers and Latt 1977 (triangle); Yen, Chang and Chang 1995; Ridler and Calvard 1978
//! (isodata).
//! We differ: scikit-image's Li wraps where a signed image's range exceeds its type; ours does not. Li's and the mean of
//! floats are those of exact sums, scikit-image's are f32 for f32 images: within 1e-6. Images with NaN or infinities have
//! a threshold.

use super::threshold::{self, Threshold};
use crate::spec::Number;
use crate::statistics::{Deferred, Found, Histogram, Needs};
use std::sync::Arc;
use voxtile_sched::contract::Op;
use voxtile_sched::model::{Dtype, Kind};

/// How the value is found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Method {
    Otsu,
    Li,
    Triangle,
    Yen,
    Isodata,
    Mean,
    Percentile(f64),
}

/// Names of the methods without a parameter.
pub(super) const NAMES: [&str; 6] = ["otsu", "li", "triangle", "yen", "isodata", "mean"];

impl Method {
    pub(super) fn from_name(name: &str) -> Option<Self> {
        let all = [Self::Otsu, Self::Li, Self::Triangle, Self::Yen, Self::Isodata, Self::Mean];
        NAMES.iter().position(|n| *n == name).map(|n| all[n])
    }

    fn needs(self) -> Needs {
        match self {
            Self::Li => Needs::Li,
            Self::Mean => Needs::Mean,
            Self::Percentile(percent) => Needs::Percentiles(vec![percent]),
            Self::Otsu | Self::Triangle | Self::Yen | Self::Isodata => Needs::Histogram,
        }
    }

    /// The threshold of an image with at least two values.
    fn find(self, image: &Histogram) -> f64 {
        match self {
            Self::Otsu => image.value(otsu(image)),
            Self::Li => image.value(0) + li(image),
            Self::Triangle => image.value(triangle(&image.counts)),
            Self::Yen => image.value(yen(image)),
            Self::Isodata => image.value(isodata(image)),
            Self::Mean | Self::Percentile(_) => unreachable!("numbers need no counts"),
        }
    }

    /// `threshold` before its value is known.
    pub(super) fn deferred(self, dtype: Dtype) -> Arc<dyn Op> {
        let then = move |found: &Found| -> Arc<dyn Op> {
            let value = match found {
                Found::Nothing => f64::INFINITY,
                Found::Constant(value) => *value,
                Found::Numbers(values) => values[0],
                Found::Histogram(image) => self.find(image),
            };
            Arc::new(Threshold { value: Number::Real(value) })
        };
        Arc::new(Deferred {
            name: threshold::SPEC.name,
            dtype,
            needs: self.needs(),
            output: |input| input.with_dtype(Dtype::U8).with_kind(Kind::Mask),
            then: Box::new(then),
        })
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
    let round = |x: f64| image.round(x);
    let weighted = |n: usize| round(f64::from(counts[n]) * image.value(n));
    let len = counts.len();
    // Of the voxels from each value up: how many, and their mean.
    let mut above = vec![(0f32, 0f64); len];
    let (mut weight, mut sum) = (0f32, 0f64);
    for n in (0..len).rev() {
        weight += counts[n];
        sum = round(sum + weighted(n));
        above[n] = (weight, round(sum / f64::from(weight)));
    }
    let (mut weight, mut sum) = (0f32, 0f64);
    argmax((0..len - 1).map(|n| {
        weight += counts[n];
        sum = round(sum + weighted(n));
        let (others, mean) = above[n + 1];
        let apart = round(round(sum / f64::from(weight)) - mean);
        round(f64::from(weight * others) * round(apart * apart))
    }))
}

/// Least cross entropy of whole numbers, by iteration from the mean; relative to the lowest value.
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
    let (mut next, mut now) = (image.mean_above_first(), -1.0f64);
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

/// Greatest entropic correlation.
fn yen(image: &Histogram) -> usize {
    let counts = counts_f32(image);
    let total = pairwise_sum(&counts);
    let share: Vec<f32> = counts.iter().map(|n| n / total).collect();
    let running = |values: &mut dyn Iterator<Item = f32>| -> Vec<f32> {
        let mut sum = 0f32;
        let add = |value| {
            sum += value;
            sum
        };
        values.map(add).collect()
    };
    let below = running(&mut share.iter().copied());
    let below_squares = running(&mut share.iter().map(|p| p * p));
    let mut above_squares = running(&mut share.iter().rev().map(|p| p * p));
    above_squares.reverse();
    let criterion = |n: usize| {
        let spread = below[n] * (1.0 - below[n]);
        let value = (below_squares[n] * above_squares[n + 1]).recip() * (spread * spread);
        f64::from((f64::from(value)).ln() as f32)
    };
    let criteria: Vec<f64> = (0..counts.len() - 1).map(criterion).collect();
    // Where squares are too small for f32, numpy's first NaN is its largest.
    criteria.iter().position(|c| c.is_nan()).unwrap_or_else(|| argmax(criteria.iter().copied()))
}

/// numpy's sum of `f32`: eight sums side by side, halves of long rows apart.
fn pairwise_sum(values: &[f32]) -> f32 {
    const MOST: usize = 128;
    if values.len() > MOST {
        let half = values.len() / 2;
        let (first, second) = values.split_at(half - half % 8);
        return pairwise_sum(first) + pairwise_sum(second);
    }
    let (eights, rest) = values.as_chunks::<8>();
    let Some((first, others)) = eights.split_first() else { return rest.iter().sum() };
    let mut sums = *first;
    for eight in others {
        sums.iter_mut().zip(eight).for_each(|(sum, value)| *sum += value);
    }
    let [a, b, c, d, e, f, g, h] = sums;
    rest.iter().fold(((a + b) + (c + d)) + ((e + f) + (g + h)), |sum, value| sum + value)
}

/// The lowest value midway between the means of what it separates.
fn isodata(image: &Histogram) -> usize {
    let counts = counts_f32(image);
    let round = |x: f64| image.round(x);
    let mut below = Vec::with_capacity(counts.len());
    let (mut weight, mut sum) = (0f32, 0f64);
    for (n, &count) in counts.iter().enumerate() {
        weight += count;
        sum = round(sum + round(f64::from(count) * image.value(n)));
        below.push((weight, sum));
    }
    let width = image.step();
    let midway = |n: &usize| {
        let (own, part) = below[*n];
        let lower = round(part / f64::from(own));
        let higher = round(round(sum - part) / f64::from(weight - own));
        let apart = round(round(lower + higher) / 2.0 - image.value(*n));
        (0.0..width).contains(&apart)
    };
    (0..counts.len() - 1).find(midway).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::threshold::SPEC;
    use crate::conforms;
    use crate::testing::{Fill, Float, Image, WHOLE, apply, meta, stages, steps};
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
            assert!(steps(&step, &Image::of::<f32>("x", &[0], &[])).bytes().is_empty(), "{step}");
            for level in [0.0, -0.0, 2.5, f64::MAX, f64::NAN, f64::INFINITY] {
                let floats = Image::of::<f64>("x", &[3], &[level; 3]);
                assert_eq!(steps(&step, &floats).values::<u8>(), [0; 3], "{step}");
            }
            assert_eq!(steps(&step, &Image::of::<u64>("x", &[2], &[u64::MAX; 2])).values::<u8>(), [0; 2]);
            // A range that the type does not hold.
            let far = Image::of::<i16>("x", &[4], &[-30000, -29000, 29000, 30000]);
            assert_eq!(steps(&step, &far).values::<u8>()[3], 1, "{step}");
        }
    }

    #[test]
    fn thresholds_do_not_depend_on_tiles_nor_on_what_is_not_finite() {
        for dtype in [Dtype::F32, Dtype::F64, Dtype::U32, Dtype::I64] {
            for fill in [Fill::Noise, Fill::Special, Fill::Few] {
                let image = Image::filled(meta("zyx", &[4, 11, 13], dtype), fill, 8);
                for method in super::NAMES {
                    let step = format!("threshold {method}");
                    let stages = stages(&SPEC, &step, &[image.meta().clone()]).unwrap();
                    let whole = apply(&stages, &[&image], WHOLE);
                    for tile in [[1, 1, 2, 3, 5], [1, 1, 1, 11, 4]] {
                        let tiled = apply(&stages, &[&image], tile);
                        tiled.assert_same(&whole, Float::Exact, || format!("{step} on {dtype} {fill:?}"));
                    }
                    let above: usize = whole.values::<u8>().iter().map(|&v| usize::from(v)).sum();
                    assert!(0 < above && above < 4 * 11 * 13, "{step} on {dtype} {fill:?}: {above}");
                }
            }
        }
    }

    #[test]
    fn arguments_that_say_two_things_or_nothing_are_refused() {
        let image = [meta("yx", &[3, 4], Dtype::U16)];
        for step in ["threshold", "threshold otsu percentile=5", "threshold percentile=101", "threshold otto"]
        {
            assert!(stages(&SPEC, step, &image).is_err(), "{step}");
        }
    }
}
