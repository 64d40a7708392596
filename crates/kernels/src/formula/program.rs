//! A formula as steps over rows of `f64`, each a vectorised loop.
//!
//! A row is short enough that all of them stay in the L1 or L2 cache. Rows: the images', the numbers', then those of
//! values on the way, which are used again once they have been read.

use super::{One, Tree, Two};
use crate::{math, vectorised};

/// Voxels of a row.
pub(crate) const WIDTH: usize = 256;

/// Functions of one value, and of two.
const ONES: usize = One::Round as usize + 1;
const TWOS: usize = Two::Or as usize + 1;

/// Which row.
type Row = usize;

/// One step.
#[derive(Clone, Debug, PartialEq)]
struct Step {
    what: What,
    to: Row,
}

#[derive(Clone, Debug, PartialEq)]
enum What {
    One(One, Row),
    Two(Two, Row, Row),
    /// A whole power.
    Power(u32, Row),
    Where(Row, Row, Row),
}

/// A formula ready to be evaluated.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    images: usize,
    numbers: Vec<f64>,
    steps: Vec<Step>,
    result: Row,
    rows: usize,
}

impl Program {
    /// The steps of a formula over so many images.
    pub(crate) fn new(tree: &Tree, images: usize) -> Self {
        let mut numbers = Vec::new();
        collect(tree, &mut numbers);
        let first = images + numbers.len();
        let mut program = Self { images, numbers, steps: Vec::new(), result: 0, rows: first };
        let mut free = Vec::new();
        program.result = program.add(tree, &mut free);
        program
    }

    /// Elements of scratch that [`row`](Self::row) needs.
    pub(crate) fn scratch(&self) -> usize {
        self.rows * WIDTH
    }

    /// Estimated nanoseconds per voxel on one core.
    pub(crate) fn ns_per_voxel(&self) -> f64 {
        let step = |step: &Step| match step.what {
            What::Two(Two::Pow, ..) => 2.5,
            What::One(One::Exp | One::Ln | One::Log2 | One::Log10, _) => 1.0,
            What::One(One::Sqrt, _) | What::Two(Two::Div, ..) => 0.5,
            _ => 0.1,
        };
        0.15 * (self.images + 1) as f64 + self.steps.iter().map(step).sum::<f64>()
    }

    /// Puts the numbers where they stay: once, before the first [`row`](Self::row).
    pub(crate) fn start(&self, scratch: &mut [f64]) {
        for (n, &value) in self.numbers.iter().enumerate() {
            self.image(scratch, self.images + n).fill(value);
        }
    }

    /// The row that holds the voxels of image `n`.
    pub(crate) fn image<'a>(&self, scratch: &'a mut [f64], n: usize) -> &'a mut [f64] {
        &mut scratch[n * WIDTH..][..WIDTH]
    }

    /// Evaluates the formula for the first `len` voxels of the rows of the images, and returns the result's.
    pub(crate) fn row<'a>(&self, scratch: &'a mut [f64], len: usize) -> &'a [f64] {
        for step in &self.steps {
            let (before, rest) = scratch.split_at_mut(step.to * WIDTH);
            let (to, after) = rest.split_at_mut(WIDTH);
            let to = &mut to[..len];
            let row = |n: Row| match n < step.to {
                true => &before[n * WIDTH..][..len],
                false => &after[(n - step.to - 1) * WIDTH..][..len],
            };
            match step.what {
                What::One(one, a) => self::one(one, row(a), to),
                What::Two(two, a, b) => self::two(two, row(a), row(b), to),
                What::Power(n, a) => power(n, row(a), to),
                What::Where(a, b, c) => choose(row(a), row(b), row(c), to),
            }
        }
        &scratch[self.result * WIDTH..][..len]
    }

    /// How many images it reads.
    pub(crate) const fn images(&self) -> usize {
        self.images
    }

    /// For a device: the steps as words, the numbers, and the row of the result. A word's bytes are what is done, from
    /// the lowest on (as `kernels/expr.cu` numbers it), the row that is written, up to three that are read, and the whole
    /// power. Values lie behind images and numbers. `None` if a row's number does not fit.
    pub(crate) fn words(&self, most_rows: usize) -> Option<(Vec<u64>, &[f64], usize)> {
        let word = |step: &Step| {
            let (what, rows, power) = match step.what {
                What::One(one, a) => (one as usize, [a, 0, 0], 0),
                What::Two(two, a, b) => (ONES + two as usize, [a, b, 0], 0),
                What::Power(n, a) => (ONES + TWOS, [a, 0, 0], n),
                What::Where(a, b, c) => (ONES + TWOS + 1, [a, b, c], 0),
            };
            let bytes = [what, step.to, rows[0], rows[1], rows[2]];
            (0..5).fold(u64::from(power) << 40, |word, n| word | (bytes[n] as u64) << (8 * n))
        };
        let fits = self.rows <= most_rows.min(256);
        fits.then(|| (self.steps.iter().map(word).collect(), &self.numbers[..], self.result))
    }

    /// Appends the steps of a tree and returns the row of its value. `free` holds rows whose values are not needed.
    fn add(&mut self, tree: &Tree, free: &mut Vec<Row>) -> Row {
        let what = match tree {
            Tree::Image(n) => return *n,
            Tree::Number(v) => {
                let same = |n: &f64| n.to_bits() == v.to_bits();
                return self.images + self.numbers.iter().position(same).expect("collected");
            }
            Tree::One(one, of) => What::One(*one, self.add(of, free)),
            Tree::Two(Two::Pow, of) => match (self.add(&of[0], free), &of[1]) {
                (a, &Tree::Number(n)) if (0.0..=64.0).contains(&n) && n.fract() == 0.0 => {
                    What::Power(n as u32, a)
                }
                // numpy's power of a half is its root too.
                (a, &Tree::Number(0.5)) => What::One(One::Sqrt, a),
                (a, b) => What::Two(Two::Pow, a, self.add(b, free)),
            },
            Tree::Two(two, of) => What::Two(*two, self.add(&of[0], free), self.add(&of[1], free)),
            Tree::Where(of) => {
                What::Where(self.add(&of[0], free), self.add(&of[1], free), self.add(&of[2], free))
            }
        };
        // The result's row must not be one that is read.
        let to = free.pop().unwrap_or_else(|| {
            self.rows += 1;
            self.rows - 1
        });
        let read = match what {
            What::One(_, a) | What::Power(_, a) => vec![a],
            What::Two(_, a, b) => vec![a, b],
            What::Where(a, b, c) => vec![a, b, c],
        };
        let kept = self.images + self.numbers.len();
        free.extend(read.into_iter().filter(|&row| row >= kept));
        self.steps.push(Step { what, to });
        to
    }
}

/// The numbers of a tree, each once.
fn collect(tree: &Tree, numbers: &mut Vec<f64>) {
    match tree {
        Tree::Image(_) => {}
        Tree::Number(v) => {
            if !numbers.iter().any(|n| n.to_bits() == v.to_bits()) {
                numbers.push(*v);
            }
        }
        Tree::One(_, of) => collect(of, numbers),
        Tree::Two(_, of) => of.iter().for_each(|t| collect(t, numbers)),
        Tree::Where(of) => of.iter().for_each(|t| collect(t, numbers)),
    }
}

vectorised! {
    fn one(one: One, a: &[f64], to: &mut [f64]) {
        match one {
            One::Neg => each(a, to, |a| -a),
            One::Not => each(a, to, |a| truth(a == 0.0)),
            One::Abs => each(a, to, f64::abs),
            One::Sqrt => each(a, to, f64::sqrt),
            One::Exp => each(a, to, math::exp),
            One::Ln => each(a, to, math::ln),
            One::Log2 => each(a, to, |a| math::ln(a) * std::f64::consts::LOG2_E),
            One::Log10 => each(a, to, |a| math::ln(a) * std::f64::consts::LOG10_E),
            One::Floor => each(a, to, f64::floor),
            One::Ceil => each(a, to, f64::ceil),
            One::Round => each(a, to, f64::round_ties_even),
        }
    }
}

vectorised! {
    fn two(two: Two, a: &[f64], b: &[f64], to: &mut [f64]) {
        match two {
            Two::Add => pairs(a, b, to, |a, b| a + b),
            Two::Sub => pairs(a, b, to, |a, b| a - b),
            Two::Mul => pairs(a, b, to, |a, b| a * b),
            Two::Div => pairs(a, b, to, |a, b| a / b),
            Two::Pow => pairs(a, b, to, math::pow),
            Two::Min => pairs(a, b, to, |a, b| if a < b || a.is_nan() { a } else { b }),
            Two::Max => pairs(a, b, to, |a, b| if a > b || a.is_nan() { a } else { b }),
            Two::Less => pairs(a, b, to, |a, b| truth(a < b)),
            Two::LessOrEqual => pairs(a, b, to, |a, b| truth(a <= b)),
            Two::Greater => pairs(a, b, to, |a, b| truth(a > b)),
            Two::GreaterOrEqual => pairs(a, b, to, |a, b| truth(a >= b)),
            Two::Equal => pairs(a, b, to, |a, b| truth(a == b)),
            Two::NotEqual => pairs(a, b, to, |a, b| truth(a != b)),
            Two::And => pairs(a, b, to, |a, b| truth(a != 0.0 && b != 0.0)),
            Two::Or => pairs(a, b, to, |a, b| truth(a != 0.0 || b != 0.0)),
        }
    }
}

vectorised! {
    fn power(n: u32, a: &[f64], to: &mut [f64]) {
        match n {
            2 => each(a, to, |a| a * a),
            n => each(a, to, |a| math::powi(a, n)),
        }
    }
}

vectorised! {
    fn choose(which: &[f64], a: &[f64], b: &[f64], to: &mut [f64]) {
        for (((to, &which), &a), &b) in to.iter_mut().zip(which).zip(a).zip(b) {
            *to = if which != 0.0 { a } else { b };
        }
    }
}

/// 1 or 0.
#[inline(always)]
fn truth(holds: bool) -> f64 {
    if holds { 1.0 } else { 0.0 }
}

#[inline(always)]
fn each(a: &[f64], to: &mut [f64], f: impl Fn(f64) -> f64) {
    for (to, &a) in to.iter_mut().zip(a) {
        *to = f(a);
    }
}

#[inline(always)]
fn pairs(a: &[f64], b: &[f64], to: &mut [f64], f: impl Fn(f64, f64) -> f64) {
    for ((to, &a), &b) in to.iter_mut().zip(a).zip(b) {
        *to = f(a, b);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Formula;
    use super::*;

    #[test]
    fn rows_are_used_again_and_numbers_are_held_once() {
        let formula = Formula::parse("(a+1)*(a+1)*(a+1)*(a+1) + 1").unwrap();
        let program = Program::new(&formula.tree, 1);
        assert_eq!(program.numbers, [1.0]);
        assert!(program.rows <= 5, "{program:?}");
        let mut scratch = vec![f64::NAN; program.scratch()];
        program.start(&mut scratch);
        program.image(&mut scratch, 0).fill(2.0);
        assert_eq!(program.row(&mut scratch, WIDTH), [82.0; WIDTH]);
    }

    #[test]
    fn numbers_differ_by_their_sign_too() {
        let formula = Formula::parse("a/0 + a/-0").unwrap();
        let program = Program::new(&formula.tree, 1);
        let mut scratch = vec![0.0; program.scratch()];
        program.start(&mut scratch);
        program.image(&mut scratch, 0).fill(1.0);
        assert!(program.row(&mut scratch, WIDTH).iter().all(|v| v.is_nan()));
    }
}
