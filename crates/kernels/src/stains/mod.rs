//! Light that stains take away: how much of it passes, in which colours, and how much of each stain that means.
//!
//! A sample is light, `white` is all of it. The share that passes is `sample / white`, at least [`DARKEST`]; its logarithm
//! falls in proportion to the amount of stain (Beer and Lambert), for each stain in the proportions of its vector. So
//! amounts are what a matrix makes of logarithms: the inverse of that whose rows are the vectors. Ruifrok and Johnston
//! 2001, Quantification of histochemical staining by color deconvolution.

mod eigen;
pub(crate) mod macenko;
pub(crate) mod named;
mod recolour;
pub(crate) mod reinhard;
#[cfg(test)]
pub(crate) mod testing;
mod unmix;
pub(crate) mod waiting;

pub(crate) use recolour::{Recolour, all_or_own, recoloured, recolouring};
pub(crate) use unmix::{Unmix, separated, three, unmixing};

use crate::math;
use crate::pointwise::Sample;
use crate::spec::{ArgError, Args, Param, Value};
use crate::vectorised;
use std::ops::Range;
use voxtile_sched::contract::Refused;
use voxtile_sched::dispatch;
use voxtile_sched::model::{Axis, Dtype, Element, Meta};

/// Least share of the light that counts: the absorbance 6. What is darker is as dark, so that black has a logarithm.
pub(crate) const DARKEST: f64 = 1e-6;

/// Red, green and blue.
pub(crate) const COLOURS: usize = 3;

/// Three rows of three numbers.
pub(crate) type Matrix = [[f64; 3]; 3];

/// The parameter `white`.
pub(crate) const WHITE: Param = Param {
    name: "white",
    value: Value::Numbers,
    default: Some(""),
    about: "value of full light, one or one per channel; the highest of the sample type, 1 of floats, if not given",
};

/// The parameter `beta`, of what is estimated.
pub(crate) const BETA: Param = Param {
    name: "beta",
    value: Value::Number,
    default: Some(""),
    about: "absorbance that a pixel must have in every channel to count; 0.15 if not given",
};

/// The parameter `percentile`, of Macenko's estimate.
pub(crate) const PERCENTILE: Param = Param {
    name: "percentile",
    value: Value::Number,
    default: Some(""),
    about: "macenko: pixels beyond the two stains' directions on each side, in percent; 1 if not given",
};

/// The values of full light in so many channels.
pub(crate) fn whites(args: &Args<'_>, channels: usize) -> Result<Vec<f64>, ArgError> {
    let Some(text) = args.text(WHITE.name) else {
        return Ok(vec![full(args.input().dtype); channels]);
    };
    let given = args.number_list(WHITE.name)?;
    let possible = (given.len() == 1 || given.len() == channels) && given.iter().all(|w| *w > 0.0);
    if !possible {
        return Err(args.wrong(WHITE.name, text, format!("a number above 0, or {channels} of them")));
    }
    Ok(if given.len() == 1 { vec![given[0]; channels] } else { given })
}

/// Full light in the three colours.
pub(crate) fn white(args: &Args<'_>) -> Result<[f64; COLOURS], ArgError> {
    let whites = whites(args, COLOURS)?;
    Ok([whites[0], whites[1], whites[2]])
}

/// Full light, if nobody says otherwise.
fn full(dtype: Dtype) -> f64 {
    if dtype.is_float() { 1.0 } else { dispatch!(dtype, T => T::HIGHEST.to_f64()) }
}

/// The argument `beta`: from 0 to the absorbance of the darkest share.
pub(crate) fn beta(args: &Args<'_>) -> Result<f64, ArgError> {
    let Some(text) = args.text(BETA.name) else { return Ok(0.15) };
    let beta = args.finite(BETA.name)?;
    let possible = (0.0..-DARKEST.log10()).contains(&beta);
    possible.then_some(beta).ok_or_else(|| args.wrong(BETA.name, text, "an absorbance from 0 to less than 6"))
}

/// The argument `percentile`.
pub(crate) fn percentile(args: &Args<'_>) -> Result<f64, ArgError> {
    let Some(text) = args.text(PERCENTILE.name) else { return Ok(1.0) };
    let percent = args.finite(PERCENTILE.name)?;
    let possible = (0.0..50.0).contains(&percent);
    possible.then_some(percent).ok_or_else(|| args.wrong(PERCENTILE.name, text, "from 0 to less than 50"))
}

/// Refuses images without the three colours.
pub(crate) fn colours(image: &Meta) -> Result<(), Refused> {
    if !image.axes.contains(Axis::C) {
        return Err(Refused::Axis { axis: Axis::C, axes: image.axes });
    }
    match image.shape[Axis::C.index()] {
        0..3 => {
            let why =
                format!("red, green and blue are needed, the image has {}", image.shape[Axis::C.index()]);
            Err(Refused::Param { param: "channels", why })
        }
        _ => Ok(()),
    }
}

/// The share of the light; NaN passes.
#[inline(always)]
pub(crate) fn share(sample: f64, white: f64) -> f64 {
    let share = sample / white;
    if share < DARKEST { DARKEST } else { share }
}

vectorised! {
    fn logarithms<T: Sample>(white: f64, from: &[T], to: &mut [f64]) {
        for (to, from) in to.iter_mut().zip(from) {
            *to = math::ln(share(from.to_f64(), white));
        }
    }
}

vectorised! {
    pub(crate) fn shares<T: Sample>(white: f64, from: &[T], to: &mut [f64]) {
        for (to, from) in to.iter_mut().zip(from) {
            *to = share(from.to_f64(), white);
        }
    }
}

/// Pixels that are worked on together: their numbers stay in the first-level cache.
pub(crate) const BLOCK: usize = 256;

/// Neighbours along a row, colour by colour.
pub(crate) type Block = [[f64; BLOCK]; COLOURS];

/// Natural logarithms of shares.
pub(crate) struct Logs {
    white: [f64; COLOURS],
    /// Of every value of a type of 8 bits, by its bits, in each colour.
    tables: Option<Box<[[f64; 256]; COLOURS]>>,
}

impl Logs {
    /// Of images of that type.
    pub(crate) fn new(white: [f64; COLOURS], dtype: Dtype) -> Self {
        let table = |white: f64| {
            let mut table = [0.0; 256];
            dispatch!(dtype, T => {
                let values: Vec<T> = (0..256).map(T::from_word).collect();
                logarithms(white, &values, &mut table);
            });
            table
        };
        Self { white, tables: (dtype.size() == 1).then(|| Box::new(white.map(table))) }
    }

    fn row<T: Sample>(&self, colour: usize, from: &[T], to: &mut [f64]) {
        match &self.tables {
            None => logarithms(self.white[colour], from, to),
            Some(tables) => {
                let table = &tables[colour];
                for (to, from) in to.iter_mut().zip(from) {
                    *to = table[from.to_word() as usize & 255];
                }
            }
        }
    }

    /// Calls `work` with the logarithms of neighbours along three rows, one for each colour.
    #[inline]
    pub(crate) fn each<T: Sample>(&self, rows: [&[T]; COLOURS], work: impl FnMut(Range<usize>, &Block)) {
        blocks(rows, |colour, from, to| self.row(colour, from, to), work);
    }
}

/// Calls `work` with what `fill` makes of neighbours along three rows, one for each colour, and with their places.
#[inline]
pub(crate) fn blocks<T>(
    rows: [&[T]; COLOURS],
    fill: impl Fn(usize, &[T], &mut [f64]),
    mut work: impl FnMut(Range<usize>, &Block),
) {
    let mut block = [[0.0; BLOCK]; COLOURS];
    let len = rows[0].len();
    for from in (0..len).step_by(BLOCK) {
        let range = from..len.min(from + BLOCK);
        for (colour, (row, to)) in rows.iter().zip(&mut block).enumerate() {
            fill(colour, &row[range.clone()], &mut to[..range.len()]);
        }
        work(range, &block);
    }
}

/// The vector at right angles to two others.
pub(crate) fn cross(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    let part = |i: usize, j: usize| a[i] * b[j] - a[j] * b[i];
    [part(1, 2), part(2, 0), part(0, 1)]
}

pub(crate) fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

/// The inverse; `None` where the rows lie in a plane, as far as rounding tells.
pub(crate) fn inverse(rows: &Matrix) -> Option<Matrix> {
    let [a, b, c] = *rows;
    let columns = [cross(b, c), cross(c, a), cross(a, b)];
    let volume = dot(a, columns[0]);
    let size = rows.iter().map(|row| dot(*row, *row).sqrt()).product::<f64>();
    // NaN is no volume either.
    let possible = volume.abs() > 1e-9 * size;
    possible.then(|| [0, 1, 2].map(|i: usize| [0, 1, 2].map(|j: usize| columns[j][i] / volume)))
}

/// Two vectors, and what is left: the direction at right angles to both.
pub(crate) fn completed(two: [[f64; 3]; 2]) -> Matrix {
    [two[0], two[1], cross(two[0], two[1])]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inverse_undoes_its_matrix_and_a_plane_has_none() {
        let rows = [[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]];
        let inverse = inverse(&rows).unwrap();
        for (i, row) in rows.iter().enumerate() {
            for j in 0..3 {
                let sum: f64 = (0..3).map(|k| row[k] * inverse[k][j]).sum();
                assert!((sum - f64::from(u8::from(i == j))).abs() < 1e-15, "{i} {j}: {sum}");
            }
        }
        let plane = [[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [0.0, 1.0, 0.0]];
        assert!(super::inverse(&plane).is_none() && super::inverse(&[[0.0; 3]; 3]).is_none());
        assert!(super::inverse(&[[f64::NAN; 3]; 3]).is_none());
    }
}
