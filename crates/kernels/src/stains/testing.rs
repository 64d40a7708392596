//! What estimates are compared with: every pixel at once, sums and sorted lists.

use super::eigen::eigenvectors;
use super::{Matrix, completed, dot, inverse};
use crate::math;
use crate::testing::{Image, Random, meta};
use std::f64::consts::{LN_10, LOG10_E};
use voxtile_sched::dispatch;
use voxtile_sched::model::{Dtype, Element};

/// The shares of light of every pixel of an image.
fn pixels(image: &Image, white: f64) -> Vec<[f64; 3]> {
    let [nt, _, nz, ny, nx] = image.meta().shape;
    let mut out = Vec::new();
    for t in 0..nt {
        for z in 0..nz {
            for y in 0..ny {
                for x in 0..nx {
                    out.push([0, 1, 2].map(|c| {
                        let sample =
                            dispatch!(image.meta().dtype, T => image.at::<T>([t, c, z, y, x]).to_f64());
                        let share = sample / white;
                        if share < 1e-6 { 1e-6 } else { share }
                    }));
                }
            }
        }
    }
    out
}

/// As numpy has it for float32.
fn percentile(values: impl Iterator<Item = f64>, percent: f64) -> f64 {
    let mut values: Vec<f32> = values.map(|v| v as f32).filter(|v| v.is_finite()).collect();
    values.sort_by(f32::total_cmp);
    let at = (values.len() - 1) as f64 * (percent / 100.0);
    let [a, b] = [at.floor(), at.ceil()].map(|n| values[n as usize]);
    let part = at - at.floor();
    f64::from(if part < 0.5 { a + (b - a) * part as f32 } else { b - (b - a) * (1.0 - part) as f32 })
}

/// Macenko's vectors, and the strengths of the two stains.
pub(crate) fn estimate(image: &Image, white: f64, beta: f64, percent: f64) -> (Matrix, Vec<f64>) {
    let mut counted: Vec<[f64; 3]> = pixels(image, white).iter().map(|shares| shares.map(math::ln)).collect();
    counted.retain(|logs| logs.iter().all(|l| *l > math::ln(1e-6) && *l <= -beta * LN_10));
    let mut sums = [[0i128; 3]; 3];
    for logs in &counted {
        let absorbed = logs.map(|l| l * -LOG10_E);
        for (i, a) in absorbed.iter().enumerate() {
            for (j, b) in absorbed.iter().enumerate() {
                sums[i][j] += (a * b * 40f64.exp2()).round_ties_even() as i128;
            }
        }
    }
    let [along, across, _] = eigenvectors(&sums.map(|row| row.map(|sum| sum as f64 / counted.len() as f64)));
    let slopes = || counted.iter().map(|logs| dot(*logs, across.1) / dot(*logs, along.1));
    let mut stains = [percent, 100.0 - percent].map(|percent| {
        let slope = percentile(slopes(), percent);
        let vector = [0, 1, 2].map(|c: usize| along.1[c] + slope * across.1[c]);
        vector.map(|v| v / dot(vector, vector).sqrt())
    });
    if stains[1][0] > stains[0][0] {
        stains.swap(0, 1);
    }
    let vectors = completed(stains);
    let inverse = inverse(&vectors).unwrap();
    let strength = |s: usize| {
        let weights = inverse.map(|row| row[s] * -LOG10_E);
        percentile(counted.iter().map(|logs| dot(*logs, weights)), 99.0)
    };
    (vectors, vec![strength(0), strength(1)])
}

/// Means and deviations of l, α and β, and the way there.
pub(crate) struct Opponents {
    space: super::reinhard::Space,
    pub(crate) means: [f64; 3],
    pub(crate) deviations: [f64; 3],
}

impl Opponents {
    pub(crate) fn of(&self, shares: [f64; 3]) -> [f64; 3] {
        self.space.opponents(shares)
    }

    pub(crate) fn back(&self, opponents: [f64; 3]) -> [f64; 3] {
        self.space.colours(opponents)
    }
}

/// Those of the pixels that count.
pub(crate) fn opponents(image: &Image, white: f64, beta: f64) -> Opponents {
    let space = super::reinhard::Space::new();
    let most = 10f64.powf(-beta);
    let mut counted = pixels(image, white);
    counted.retain(|shares| shares.iter().all(|s| *s > 1e-6 && *s <= most));
    let numbers: Vec<[f64; 3]> = counted.into_iter().map(|shares| space.opponents(shares)).collect();
    let one = 40f64.exp2();
    let mean = |k: usize, of: fn(f64) -> f64| {
        let sum: i128 = numbers.iter().map(|n| (of(n[k]) * one).round_ties_even() as i128).sum();
        sum as f64 / numbers.len() as f64 / one
    };
    let means = [0, 1, 2].map(|k| mean(k, |v| v));
    let deviations = [0, 1, 2].map(|k: usize| (mean(k, |v| v * v) - means[k] * means[k]).max(0.0).sqrt());
    Opponents { space, means, deviations }
}

/// A picture of two stains in many amounts, on glass.
pub(crate) fn stained(vectors: [[f64; 3]; 2], dtype: Dtype) -> Image {
    let mut random = Random::new(5);
    let amounts: Vec<[f64; 2]> = (0..31 * 40)
        .map(|n| match n % 7 {
            0 => [0.0, 0.0],
            1 | 2 => [0.3 + random.unit(), 0.0],
            3 | 4 => [0.0, 0.3 + random.unit()],
            _ => [random.unit(), random.unit()],
        })
        .collect();
    let meta = meta("cyx", &[3, 31, 40], dtype);
    let full = dispatch!(dtype, T => if T::DTYPE.is_float() { 1.0 } else { T::HIGHEST.to_f64() });
    dispatch!(dtype, T => Image::from_fn(meta, |[_, c, _, y, x]| {
        let [a, b] = amounts[(y * 40 + x) as usize];
        let absorbed = a * vectors[0][c as usize] + b * vectors[1][c as usize];
        T::from_f64(full * 10f64.powf(-absorbed))
    }))
}
