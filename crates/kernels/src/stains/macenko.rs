//! The vectors of two stains, found in the whole image: Macenko et al. 2009, A method for normalizing histology slides for
//! quantitative analysis.
//!
//! Pixels count whose absorbance is at least `beta` in every channel, and in none as high as the darkest share's. The plane
//! that fits them is that of the first two eigenvectors of the sum of products of their absorbances. Within it each pixel
//! has a slope, the tangent of its angle to the first one. The stains lie at the percentiles `percentile` and
//! 100 − `percentile` of the slopes; the one with more red absorbance is first.
//!
//! One pass for the products, which are rounded to multiples of 2⁻⁴⁰ and summed exactly; two for the percentiles, exact ones
//! of slopes as f32, interpolated between neighbours as slopes where the paper has angles; two more for the strengths of the
//! stains, where they are asked for. So nothing depends on which tile is added to which.

use super::eigen::eigenvectors;
use super::{BLOCK, Block, COLOURS, DARKEST, Logs, Matrix, completed, dot, inverse};
use crate::math;
use crate::pointwise::{Sample, for_rows};
use crate::statistics::{Ranks, Step};
use crate::vectorised;
use std::any::Any;
use std::f64::consts::{LN_10, LOG10_E};
use std::sync::Arc;
use voxtile_sched::contract::{Refused, Statistic};
use voxtile_sched::dispatch;
use voxtile_sched::model::{Dtype, Region, Tile};

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Macenko {
    pub(crate) dtype: Dtype,
    pub(crate) white: [f64; COLOURS],
    pub(crate) beta: f64,
    /// Of the slopes.
    pub(crate) percent: f64,
    /// Of the amounts of each stain, if its strength is asked for.
    pub(crate) strength: Option<f64>,
}

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Found {
    /// Rows: unit vectors of two stains, and the direction at right angles to both.
    pub(crate) vectors: Matrix,
    /// Absorbances of the two, at the percentile that was asked for; empty if none was.
    pub(crate) strengths: Vec<f64>,
}

/// After a pass.
pub(crate) enum Next {
    Again(Box<dyn Statistic>),
    Found(Found),
}

impl Macenko {
    /// The empty statistic of the first pass.
    pub(crate) fn start(self) -> Box<dyn Statistic> {
        let light =
            Arc::new(Light { logs: Logs::new(self.white, self.dtype), counts: Counts::of(self.beta) });
        Box::new(Search { light, dtype: self.dtype, pass: Pass::Products(Products::default()) })
    }

    /// Bytes of one statistic.
    pub(crate) fn bytes() -> u64 {
        2 * Ranks::bytes(2)
    }

    /// Passes over the image.
    pub(crate) fn passes(self) -> usize {
        let ranked = 1 + usize::from(self.strength.is_some());
        1 + ranked * Ranks::passes(Dtype::F32)
    }

    /// Given the merged statistic of a pass, the next one or what was found.
    pub(crate) fn next(self, statistic: Box<dyn Statistic>) -> Result<Next, Refused> {
        let search = statistic.into_any().downcast::<Search>().expect("what this started");
        let Search { light, dtype, pass } = *search;
        let again = |pass| Ok(Next::Again(Box::new(Search { light: light.clone(), dtype, pass })));
        match pass {
            Pass::Products(products) => {
                let Some(plane) = products.plane() else { return Err(refused("no pixel counts")) };
                let ranks = Ranks::new(Dtype::F32, vec![self.percent, 100.0 - self.percent]);
                again(Pass::Slopes { plane, ranks })
            }
            Pass::Slopes { plane, ranks } => match ranks.next() {
                Step::Again(ranks) => again(Pass::Slopes { plane, ranks }),
                Step::Found(slopes) => {
                    let vectors = at_slopes(&plane, &slopes)
                        .ok_or_else(|| refused("the pixels that count have one colour"))?;
                    let Some(percent) = self.strength else {
                        return Ok(Next::Found(Found { vectors, strengths: Vec::new() }));
                    };
                    let ranks = [(); 2].map(|()| Ranks::new(Dtype::F32, vec![percent]));
                    again(Pass::Amounts(Box::new(Amounts::of(vectors, ranks)?)))
                }
            },
            Pass::Amounts(amounts) => {
                let Amounts { vectors, weights, ranks } = *amounts;
                let [first, second] = ranks.map(Ranks::next);
                match (first, second) {
                    (Step::Again(first), Step::Again(second)) => {
                        again(Pass::Amounts(Box::new(Amounts { vectors, weights, ranks: [first, second] })))
                    }
                    (Step::Found(first), Step::Found(second)) => {
                        let strengths = [first, second].concat();
                        match strengths.len() == 2 && strengths.iter().all(|s| *s > 0.0) {
                            true => Ok(Next::Found(Found { vectors, strengths })),
                            false => Err(refused("one of two stains is nowhere")),
                        }
                    }
                    _ => unreachable!("as many passes for both"),
                }
            }
        }
    }
}

/// Why an image has no stains to be found.
pub(super) fn refused(why: &str) -> Refused {
    let why = format!(
        "{why}: no two stains can be found; a lower `beta` counts paler pixels, `white` says what full light is"
    );
    Refused::Param { param: "macenko", why }
}

/// Unit vectors at two slopes in a plane.
fn at_slopes(plane: &[[f64; 3]; 2], slopes: &[f64]) -> Option<Matrix> {
    let [low, high] = *slopes else { return None };
    let [mut first, mut second] = [low, high].map(|slope| {
        let vector = [0, 1, 2].map(|c: usize| plane[0][c] + slope * plane[1][c]);
        let length = dot(vector, vector).sqrt();
        vector.map(|v| v / length)
    });
    if second[0] > first[0] {
        (first, second) = (second, first);
    }
    let vectors = completed([first, second]);
    inverse(&vectors).map(|_| vectors)
}

/// The logarithms of pixels, and which of these count.
struct Light {
    logs: Logs,
    counts: Counts,
}

/// Bounds of logarithms: above the first, not above the second.
#[derive(Clone, Copy)]
struct Counts {
    above: f64,
    most: f64,
}

impl Counts {
    fn of(beta: f64) -> Self {
        Self { above: math::ln(DARKEST), most: -beta * LN_10 }
    }

    #[inline(always)]
    fn counts(self, logs: [f64; 3]) -> bool {
        let one = |log: f64| log > self.above && log <= self.most;
        // Without branches.
        one(logs[0]) & one(logs[1]) & one(logs[2])
    }
}

struct Search {
    light: Arc<Light>,
    dtype: Dtype,
    pass: Pass,
}

enum Pass {
    Products(Products),
    Slopes { plane: [[f64; 3]; 2], ranks: Ranks },
    Amounts(Box<Amounts>),
}

/// Sums of products of the absorbances: red · red, red · green, red · blue, green · green, green · blue, blue · blue.
#[derive(Default)]
struct Products {
    /// In multiples of 2⁻⁴⁰.
    sums: [u128; 6],
    pixels: u64,
}

/// The last place of 4096 is 2⁻⁴⁰: adding it rounds a smaller number to that, and leaves it in the low bits of the sum.
const ROUNDING: f64 = 4096.0;

vectorised! {
    /// Adds the products of the pixels that count; absorbances are below 6.
    fn add_products(counts: Counts, logs: &Block, len: usize, sums: &mut [u64; 6], pixels: &mut u64) {
        let [red, green, blue] = logs;
        for ((red, green), blue) in red[..len].iter().zip(&green[..len]).zip(&blue[..len]) {
            let counted = counts.counts([*red, *green, *blue]);
            let part = |log: f64| if counted { log * -LOG10_E } else { 0.0 };
            let (r, g, b) = (part(*red), part(*green), part(*blue));
            for (sum, product) in sums.iter_mut().zip([r * r, r * g, r * b, g * g, g * b, b * b]) {
                *sum += (product + ROUNDING).to_bits() - ROUNDING.to_bits();
            }
            *pixels += u64::from(counted);
        }
    }
}

impl Products {
    fn add(&mut self, counts: Counts, logs: &Block, len: usize) {
        let mut sums = [0; 6];
        add_products(counts, logs, len, &mut sums, &mut self.pixels);
        for (own, sum) in self.sums.iter_mut().zip(sums) {
            *own += u128::from(sum);
        }
    }

    /// The first two directions; `None` if no pixel counts.
    fn plane(&self) -> Option<[[f64; 3]; 2]> {
        let [rr, rg, rb, gg, gb, bb] = self.sums.map(|sum| sum as f64 / self.pixels as f64);
        let [first, second, _] = eigenvectors(&[[rr, rg, rb], [rg, gg, gb], [rb, gb, bb]]);
        (self.pixels > 0).then_some([first.1, second.1])
    }
}

/// Amounts of two stains.
struct Amounts {
    vectors: Matrix,
    /// Of the logarithm of each colour.
    weights: [[f64; 3]; 2],
    ranks: [Ranks; 2],
}

impl Amounts {
    fn of(vectors: Matrix, ranks: [Ranks; 2]) -> Result<Self, Refused> {
        let inverse = inverse(&vectors).ok_or_else(|| refused("the stains have one colour"))?;
        let weights = [0, 1].map(|s: usize| inverse.map(|row| row[s] * -LOG10_E));
        Ok(Self { vectors, weights, ranks })
    }
}

/// Of the pixels that count, a number each.
fn each(
    counts: Counts,
    logs: &Block,
    len: usize,
    number: impl Fn([f64; 3]) -> f64,
    work: impl FnOnce(&[f32]),
) {
    let (mut numbers, mut count) = ([0f32; BLOCK], 0);
    for n in 0..len {
        let pixel = logs.each_ref().map(|row| row[n]);
        numbers[count] = number(pixel) as f32;
        count += usize::from(counts.counts(pixel));
    }
    work(&numbers[..count]);
}

impl Search {
    fn take<T: Sample>(&mut self, tile: &Tile<'_>) {
        let view = tile.view::<T>();
        let [nt, _, nz, ny, nx] = view.shape();
        let (Light { logs, counts }, pass) = (&*self.light, &mut self.pass);
        for_rows([nt, 1, nz, ny, nx], |t, _, z, y| {
            let rows = [0, 1, 2].map(|c| view.row(t, c, z, y));
            logs.each(rows, |range, logs| match pass {
                Pass::Products(products) => products.add(*counts, logs, range.len()),
                Pass::Slopes { plane: [along, across], ranks } => {
                    let slope = |pixel| dot(pixel, *across) / dot(pixel, *along);
                    each(*counts, logs, range.len(), slope, |slopes| ranks.count(slopes));
                }
                Pass::Amounts(amounts) => {
                    let Amounts { weights, ranks, .. } = &mut **amounts;
                    for (weights, ranks) in weights.iter().zip(ranks) {
                        let amount = |pixel| dot(pixel, *weights);
                        each(*counts, logs, range.len(), amount, |amounts| ranks.count(amounts));
                    }
                }
            });
        });
    }
}

impl Statistic for Search {
    fn observe(&mut self, tile: &Tile<'_>, _region: &Region) {
        dispatch!(self.dtype, T => self.take::<T>(tile));
    }

    fn merge(&mut self, other: Box<dyn Statistic>) {
        let other = other.into_any().downcast::<Self>().expect("statistics of one operation");
        match (&mut self.pass, other.pass) {
            (Pass::Products(own), Pass::Products(other)) => {
                own.pixels += other.pixels;
                own.sums.iter_mut().zip(other.sums).for_each(|(own, other)| *own += other);
            }
            (Pass::Slopes { ranks: own, .. }, Pass::Slopes { ranks: other, .. }) => own.add(&other),
            (Pass::Amounts(own), Pass::Amounts(other)) => {
                own.ranks.iter_mut().zip(&other.ranks).for_each(|(own, other)| own.add(other));
            }
            _ => unreachable!("statistics of one pass"),
        }
    }

    fn empty(&self) -> Box<dyn Statistic> {
        let pass = match &self.pass {
            Pass::Products(_) => Pass::Products(Products::default()),
            Pass::Slopes { plane, ranks } => Pass::Slopes { plane: *plane, ranks: ranks.another() },
            Pass::Amounts(amounts) => {
                let Amounts { vectors, weights, ranks } = &**amounts;
                let ranks = ranks.each_ref().map(Ranks::another);
                Pass::Amounts(Box::new(Amounts { vectors: *vectors, weights: *weights, ranks }))
            }
        };
        Box::new(Self { light: self.light.clone(), dtype: self.dtype, pass })
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}
