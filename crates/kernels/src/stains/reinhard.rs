//! The mean colour of an image and how far colours spread: Reinhard et al. 2001, Color transfer between images.
//!
//! Shares of light become responses of the eye's three cones, their decimal logarithms the lightness l and two opponents
//! of colours, α (yellow and blue) and β (red and green), which are nearly independent in natural scenes (Ruderman 1998).
//! Sums of numbers and of squares, rounded to multiples of 2⁻⁴⁰, are exact: nothing depends on which tile is added to which.

use super::{Block, COLOURS, DARKEST, Matrix, blocks, inverse, shares};
use crate::math;
use crate::pointwise::{Sample, for_rows};
use crate::vectorised;
use std::any::Any;
use std::f64::consts::{LN_10, LOG10_E};
use voxtile_sched::contract::{Refused, Statistic};
use voxtile_sched::dispatch;
use voxtile_sched::model::{Dtype, Region, Tile};

/// Cones' responses to red, green and blue, a row for each.
const CONES: Matrix = [[0.3811, 0.5783, 0.0402], [0.1967, 0.7244, 0.0782], [0.0241, 0.1288, 0.8444]];

/// Opponents of the cones' logarithms, a row for each: before each is divided by its length.
const OPPONENTS: Matrix = [[1.0, 1.0, 1.0], [1.0, 1.0, -2.0], [1.0, -1.0, 0.0]];

/// Means of l, α and β, and their standard deviations.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) means: [f64; 3],
    pub(crate) deviations: [f64; 3],
}

/// Colours to opponents and back.
#[derive(Clone, Copy)]
pub(super) struct Space {
    opponents: Matrix,
    cones_of_opponents: Matrix,
    colours_of_cones: Matrix,
}

#[inline(always)]
fn times(rows: &Matrix, v: [f64; 3]) -> [f64; 3] {
    let row = |r: [f64; 3]| (r[0] * v[0] + r[1] * v[1]) + r[2] * v[2];
    [row(rows[0]), row(rows[1]), row(rows[2])]
}

impl Space {
    pub(super) fn new() -> Self {
        let opponents = OPPONENTS.map(|row| {
            let length = row.iter().map(|v| v * v).sum::<f64>().sqrt();
            row.map(|v| v / length)
        });
        // Rows at right angles of length 1: columns are the inverse.
        let cones_of_opponents = [0, 1, 2].map(|c: usize| opponents.map(|row| row[c]));
        let colours_of_cones = inverse(&CONES).expect("cones that differ");
        Self { opponents, cones_of_opponents, colours_of_cones }
    }

    /// All matrices, row by row: cones, opponents, and back.
    pub(super) fn numbers(&self) -> Vec<f64> {
        [&CONES, &self.opponents, &self.cones_of_opponents, &self.colours_of_cones]
            .map(|rows| rows.as_flattened())
            .concat()
    }

    /// l, α and β of shares of light.
    #[inline(always)]
    pub(super) fn opponents(&self, shares: [f64; 3]) -> [f64; 3] {
        let [l, m, s] = times(&CONES, shares);
        times(&self.opponents, [math::ln(l) * LOG10_E, math::ln(m) * LOG10_E, math::ln(s) * LOG10_E])
    }

    /// Shares of light of l, α and β.
    #[inline(always)]
    pub(super) fn colours(&self, opponents: [f64; 3]) -> [f64; 3] {
        let [l, m, s] = times(&self.cones_of_opponents, opponents);
        times(&self.colours_of_cones, [math::exp(l * LN_10), math::exp(m * LN_10), math::exp(s * LN_10)])
    }
}

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Reinhard {
    pub(crate) dtype: Dtype,
    pub(crate) white: [f64; COLOURS],
    pub(crate) beta: f64,
}

impl Reinhard {
    /// The empty statistic.
    pub(crate) fn start(self) -> Box<dyn Statistic> {
        Box::new(Sums { of: self, most: 10f64.powf(-self.beta), pixels: 0, sums: [0; 3], squares: [0; 3] })
    }

    /// What a merged statistic says.
    pub(crate) fn found(statistic: Box<dyn Statistic>) -> Result<Spread, Refused> {
        let sums = statistic.into_any().downcast::<Sums>().expect("what this started");
        let refused = |why: &str| {
            let why = format!("{why}; a lower `beta` counts paler pixels, `white` says what full light is");
            Err(Refused::Param { param: "reinhard", why })
        };
        if sums.pixels == 0 {
            return refused("no pixel counts");
        }
        let mean = |sum: i128| sum as f64 / sums.pixels as f64 / ONE;
        let means = sums.sums.map(mean);
        let deviations =
            [0, 1, 2].map(|k: usize| (mean(sums.squares[k]) - means[k] * means[k]).max(0.0).sqrt());
        if deviations.iter().any(|d| *d < LEAST) {
            return refused("the pixels that count have one colour");
        }
        Ok(Spread { means, deviations })
    }
}

/// The steps in which sums are counted, per unit.
const ONE: f64 = 1_099_511_627_776.0;
/// Its last place is such a step: adding it rounds a smaller number to that, and leaves it in the low bits of the sum.
const ROUNDING: f64 = 1.5 * 4096.0;
/// Standard deviations below this are rounding.
const LEAST: f64 = 1e-5;

struct Sums {
    of: Reinhard,
    /// The largest share that counts.
    most: f64,
    pixels: u64,
    sums: [i128; 3],
    squares: [i128; 3],
}

vectorised! {
    fn add(space: &Space, most: f64, shares: &Block, len: usize, sums: &mut [[i64; 3]; 2], pixels: &mut u64) {
        let [red, green, blue] = shares;
        for ((&red, &green), &blue) in red[..len].iter().zip(&green[..len]).zip(&blue[..len]) {
            let one = |share: f64| share > DARKEST && share <= most;
            let counted = one(red) & one(green) & one(blue);
            let numbers = space.opponents([red, green, blue]);
            for (k, number) in numbers.into_iter().enumerate() {
                let number = if counted { number } else { 0.0 };
                for (sums, number) in sums.iter_mut().zip([number, number * number]) {
                    let whole = (number + ROUNDING).to_bits().wrapping_sub(ROUNDING.to_bits());
                    sums[k] = sums[k].wrapping_add(whole as i64);
                }
            }
            *pixels += u64::from(counted);
        }
    }
}

impl Sums {
    fn take<T: Sample>(&mut self, tile: &Tile<'_>) {
        let (view, space, white) = (tile.view::<T>(), Space::new(), self.of.white);
        let [nt, _, nz, ny, nx] = view.shape();
        for_rows([nt, 1, nz, ny, nx], |t, _, z, y| {
            let rows = [0, 1, 2].map(|c| view.row(t, c, z, y));
            let fill = |colour: usize, from: &[T], to: &mut [f64]| shares(white[colour], from, to);
            blocks(rows, fill, |range, block| {
                let mut fresh = [[0; 3]; 2];
                add(&space, self.most, block, range.len(), &mut fresh, &mut self.pixels);
                for k in 0..3 {
                    self.sums[k] += i128::from(fresh[0][k]);
                    self.squares[k] += i128::from(fresh[1][k]);
                }
            });
        });
    }
}

impl Statistic for Sums {
    fn observe(&mut self, tile: &Tile<'_>, _region: &Region) {
        dispatch!(self.of.dtype, T => self.take::<T>(tile));
    }

    fn merge(&mut self, other: Box<dyn Statistic>) {
        let other = other.into_any().downcast::<Self>().expect("statistics of one operation");
        self.pixels += other.pixels;
        for k in 0..3 {
            self.sums[k] += other.sums[k];
            self.squares[k] += other.squares[k];
        }
    }

    fn empty(&self) -> Box<dyn Statistic> {
        self.of.start()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}
