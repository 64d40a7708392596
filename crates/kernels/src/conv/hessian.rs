//! Second derivatives at a scale, for `hessian`, `sato` and `frangi`.
//!
//! As `skimage.feature.hessian_matrix(…, use_gaussian_derivatives=True)`: a first derivative of a Gaussian of σ/√2 along one
//! axis, then another along the same or a later one, each filtered along z, y, x and rounded to f32 after each.

use super::derivative::{Order, derived};
use super::{radius, sigmas};
use crate::device::sweep;
use crate::pointwise::{Parts, same_shape};
use crate::spec::{ArgError, Args, From, Stage};
use crate::vectorised;
use std::f64::consts::FRAC_1_SQRT_2;
use std::sync::Arc;
use voxtile_sched::contract::device::{Argument, Slot};
use voxtile_sched::contract::{Footprint, Kernels, Op, Refused};
use voxtile_sched::model::{Border, Dtype, Kind, Meta, PerAxis, Shape, Tile, TileMut};

/// Where the Gaussians are cut. scikit-image cuts those up to σ = 1 at 100 σ, where their weights are 0.
const TRUNCATE: f64 = 8.0;

/// The standard deviations in the parameter `sigma`, all above 0 where the image has a space axis, of which there must be
/// two or three.
pub(crate) fn scale(args: &Args<'_>) -> Result<PerAxis<f64>, ArgError> {
    let sigma = sigmas(args, "sigma", TRUNCATE)?;
    let text = args.text("sigma").unwrap_or_default();
    check(args, "sigma", text, &sigma)?;
    Ok(sigma)
}

/// The standard deviations in the parameter `sigmas`, each for all space axes.
pub(crate) fn scales(args: &Args<'_>) -> Result<Vec<PerAxis<f64>>, ArgError> {
    let text = args.text("sigmas").unwrap_or_default();
    let space = args.input().axes.space();
    let mut scales = Vec::new();
    for value in args.number_list("sigmas")? {
        let mut sigma = [0.0; 5];
        space.iter().for_each(|axis| sigma[axis.index()] = value);
        check(args, "sigmas", text, &sigma)?;
        scales.push(sigma);
    }
    Ok(scales)
}

/// Voxels of a derivative's weights to each side, at most.
const MOST_RADIUS: u64 = 10_000;

fn check(args: &Args<'_>, param: &'static str, text: &str, sigma: &PerAxis<f64>) -> Result<(), ArgError> {
    let axes = args.input().axes.space();
    if axes.len() < 2 {
        return Err(args.wrong(param, text, "for an image of one space axis: ridges need two"));
    }
    let fits = |s: f64| s > 0.0 && (1..=MOST_RADIUS).contains(&radius(s * FRAC_1_SQRT_2, TRUNCATE));
    if axes.iter().all(|axis| fits(sigma[axis.index()])) {
        return Ok(());
    }
    let most = (MOST_RADIUS as f64 / TRUNCATE / FRAC_1_SQRT_2).floor();
    Err(args.wrong(param, text, format!("a scale above 0.1 px and up to {most} px along each space axis")))
}

/// Where the derivatives are taken of: the image as f32. In an integer type, what the outermost weights add would not show.
pub(crate) fn source(args: &Args<'_>, stages: &mut Vec<Stage>) -> From {
    if args.input().dtype == Dtype::F32 {
        return From::Input(0);
    }
    stages.push(Stage { op: crate::ops::as_f32(), inputs: vec![From::Input(0)] });
    From::Stage(stages.len() - 1)
}

/// Appends the stages of the matrix's elements, and returns where each comes from: row by row, from the diagonal on.
pub(crate) fn elements(
    name: &'static str,
    sigma: &PerAxis<f64>,
    border: Border,
    source: From,
    stages: &mut Vec<Stage>,
) -> Vec<From> {
    let sigma = sigma.map(|s| s * FRAC_1_SQRT_2);
    let axes: Vec<usize> = (2..5).filter(|&a| sigma[a] > 0.0).collect();
    let mut first = |source: From, along: usize| {
        derived(name, &sigma, TRUNCATE, (along, Order::First), border, source, stages)
    };
    let gradients: Vec<From> = axes.iter().map(|&along| first(source, along)).collect();
    let mut made = Vec::new();
    for (n, &gradient) in gradients.iter().enumerate() {
        made.extend(axes[n..].iter().map(|&along| first(gradient, along)));
    }
    made
}

/// A function of a symmetric matrix. Its methods must be `#[inline(always)]`.
pub(crate) trait OfMatrix: Copy + Send + Sync + 'static {
    /// What the matrix is multiplied by first.
    #[inline(always)]
    fn sign(self) -> f32 {
        1.0
    }

    /// Of two rows, `[a, b; b, c]`.
    fn two(self, a: f32, b: f32, c: f32) -> f32;

    /// Of three rows: of its eigenvalues, falling.
    fn three(self, values: [f64; 3]) -> f32;

    /// The same on a device: its number in `kernels/hessian.cu`, and two more that it is given.
    fn kernel(self) -> [f64; 3];
}

/// The operation that makes one image of the elements.
pub(crate) fn of_matrix(name: &'static str, f: impl OfMatrix) -> Arc<dyn Op> {
    Arc::new(Matrices { name, f })
}

struct Matrices<F> {
    name: &'static str,
    f: F,
}

impl<F: OfMatrix> Op for Matrices<F> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        same_shape(inputs)?;
        Ok(inputs[0].with_dtype(Dtype::F32).with_kind(Kind::Image))
    }

    fn footprint(&self, _input: usize) -> Footprint {
        Footprint::Point
    }

    fn ns_per_voxel(&self) -> f64 {
        20.0
    }

    fn cpu(&self, inputs: &[Tile<'_>], mut output: TileMut<'_>, _scratch: &mut [u8]) {
        let parts = Parts::of(inputs, &output);
        let mut to = output.view::<f32>();
        parts.each(usize::MAX, |part| {
            let row = |n: usize| {
                let view = inputs[n].view::<f32>();
                &view.raw()[part.range(view.strides())]
            };
            let to = {
                let range = part.range(to.strides());
                &mut to.raw()[range]
            };
            match inputs.len() {
                3 => twos(self.f, [0, 1, 2].map(row), to),
                _ => threes(self.f, [0, 1, 2, 3, 4, 5].map(row), to),
            }
        });
    }

    fn kernels(&self, inputs: &[Dtype], _output: Dtype, _shape: &Shape) -> Option<Kernels> {
        let [number, a, b] = self.f.kernel();
        let arguments = vec![Argument::F64s(vec![number, f64::from(self.f.sign()), a, b], 4)];
        let family = if inputs.len() == 3 { "plane" } else { "volume" };
        let from = (0..inputs.len()).map(Slot::Input).collect();
        Some(sweep(format!("{family}_{}", inputs[0]), from, Slot::Output, arguments).weighing(5.0).into())
    }
}

vectorised! {
    fn twos<F: OfMatrix>(f: F, rows: [&[f32]; 3], to: &mut [f32]) {
        let [a, b, c] = rows.map(|row| &row[..to.len()]);
        let sign = f.sign();
        for (n, to) in to.iter_mut().enumerate() {
            *to = f.two(a[n] * sign, b[n] * sign, c[n] * sign);
        }
    }
}

/// Matrices that are turned side by side.
const LANES: usize = 32;

/// One number of each.
type Lane = [f64; LANES];

vectorised! {
    fn threes<F: OfMatrix>(f: F, rows: [&[f32]; 6], to: &mut [f32]) {
        let sign = f64::from(f.sign());
        let mut lanes = [[0.0; LANES]; 6];
        for (n, to) in to.chunks_mut(LANES).enumerate() {
            for (lane, row) in lanes.iter_mut().zip(rows) {
                for (to, &from) in lane.iter_mut().zip(&row[n * LANES..][..to.len()]) {
                    *to = f64::from(from) * sign;
                }
            }
            let [first, second, third] = eigenvalues3(lanes);
            for (n, to) in to.iter_mut().enumerate() {
                *to = f.three([first[n], second[n], third[n]]);
            }
        }
    }
}

/// Both eigenvalues, the larger first: scikit-image's formula in f32.
#[inline(always)]
pub(crate) fn eigenvalues2(a: f32, b: f32, c: f32) -> [f32; 2] {
    let half = (a - c) / 2.0;
    let (middle, root) = ((a + c) / 2.0, (b * b + half * half).sqrt());
    [middle + root, middle - root]
}

/// Sweeps of Jacobi's method after which nothing is left beside the diagonal that f32 could show.
const SWEEPS: usize = 5;

/// The three eigenvalues of each matrix, falling: Jacobi's rotations in f64.
#[inline(always)]
fn eigenvalues3(matrices: [Lane; 6]) -> [Lane; 3] {
    let [mut a, mut b, mut c, mut d, mut e, mut f] = matrices;
    for _ in 0..SWEEPS {
        // Of rows 1 and 2, 1 and 3, 2 and 3; the other two elements turn with them.
        rotate(&mut a, &mut d, &mut b, &mut c, &mut e);
        rotate(&mut a, &mut f, &mut c, &mut b, &mut e);
        rotate(&mut d, &mut f, &mut e, &mut b, &mut c);
    }
    fall(&mut a, &mut d);
    fall(&mut d, &mut f);
    fall(&mut a, &mut d);
    [a, d, f]
}

/// A rotation that leaves nothing of `off`, which stands between the rows of `p` and `q`. `u` stands in the row of `p`
/// and `v` in that of `q`, in the third column.
#[inline(always)]
fn rotate(p: &mut Lane, q: &mut Lane, off: &mut Lane, u: &mut Lane, v: &mut Lane) {
    for ((((p, q), off), u), v) in p.iter_mut().zip(q).zip(off).zip(u).zip(v) {
        let theta = (*q - *p) / (2.0 * *off);
        let t = 1.0 / (theta.abs() + (theta * theta + 1.0).sqrt());
        let t = if theta < 0.0 { -t } else { t };
        let t = if *off == 0.0 { 0.0 } else { t };
        let cosine = 1.0 / (t * t + 1.0).sqrt();
        let sine = t * cosine;
        (*p, *q, *off) = (*p - t * *off, *q + t * *off, 0.0);
        (*u, *v) = (cosine * *u - sine * *v, sine * *u + cosine * *v);
    }
}

/// Puts the larger one first.
#[inline(always)]
fn fall(a: &mut Lane, b: &mut Lane) {
    for (a, b) in a.iter_mut().zip(b) {
        let swap = *a < *b;
        (*a, *b) = (if swap { *b } else { *a }, if swap { *a } else { *b });
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::conv::derivative::tests::first;
    use crate::testing::Image;
    use voxtile_sched::model::Axis;

    /// The elements, every voxel on its own.
    pub(crate) fn matrices(image: &Image, sigma: f64, border: Border) -> Vec<Image> {
        let axes: Vec<Axis> = image.meta().axes.space().iter().collect();
        let derived =
            |image: &Image, along: Axis| first(image, sigma * FRAC_1_SQRT_2, TRUNCATE, along, border);
        let mut made = Vec::new();
        for (n, &axis) in axes.iter().enumerate() {
            let gradient = derived(image, axis);
            made.extend(axes[n..].iter().map(|&along| derived(&gradient, along)));
        }
        made
    }

    /// [`eigenvalues3`] of one matrix.
    fn three(matrix: &[f32]) -> [f64; 3] {
        let lanes: [Lane; 6] = std::array::from_fn(|n| [f64::from(matrix[n]); LANES]);
        eigenvalues3(lanes).map(|lane| lane[LANES - 1])
    }

    /// Eigenvalues of the matrix at each voxel, falling; those of three are rounded only at the end.
    pub(crate) fn eigenvalues_at(elements: &[Image], at: PerAxis<u64>, sign: f32) -> Vec<f64> {
        let matrix: Vec<f32> = elements.iter().map(|e| e.at::<f32>(at) * sign).collect();
        match matrix[..] {
            [a, b, c] => eigenvalues2(a, b, c).map(f64::from).to_vec(),
            _ => three(&matrix).to_vec(),
        }
    }

    /// Eigenvalues of any symmetric matrix, falling: rotations until nothing is left.
    fn eigenvalues(elements: &[f32]) -> Vec<f64> {
        let size = if elements.len() == 3 { 2 } else { 3 };
        let mut m = vec![vec![0.0; size]; size];
        let mut next = elements.iter();
        for row in 0..size {
            for column in row..size {
                m[row][column] = f64::from(*next.next().unwrap());
                m[column][row] = m[row][column];
            }
        }
        for _ in 0..30 {
            for (p, q) in (0..size).flat_map(|p| (p + 1..size).map(move |q| (p, q))) {
                if m[p][q] == 0.0 {
                    continue;
                }
                let angle = 0.5 * (2.0 * m[p][q]).atan2(m[q][q] - m[p][p]);
                let (s, c) = angle.sin_cos();
                for k in 0..size {
                    let (u, v) = (m[k][p], m[k][q]);
                    (m[k][p], m[k][q]) = (c * u - s * v, s * u + c * v);
                }
                for k in 0..size {
                    let (u, v) = (m[p][k], m[q][k]);
                    (m[p][k], m[q][k]) = (c * u - s * v, s * u + c * v);
                }
            }
        }
        let mut values: Vec<f64> = (0..size).map(|n| m[n][n]).collect();
        values.sort_by(|a, b| b.total_cmp(a));
        values
    }

    #[test]
    fn eigenvalues_are_those_of_many_rotations() {
        let mut random = crate::testing::Random::new(3);
        for n in 0..2000 {
            let mut element =
                || (random.unit() * 2.0 - 1.0) as f32 * [1.0, 1e-3, 1e4][random.below(3) as usize];
            let mut m: [f32; 6] = std::array::from_fn(|_| element());
            if n % 5 == 0 {
                m = [m[0], 0.0, m[2], m[3], 0.0, m[0]];
            }
            let scale = m.iter().fold(0f64, |most, v| most.max(f64::from(v.abs())));
            for (got, want) in three(&m).into_iter().zip(eigenvalues(&m)) {
                assert!((got - want).abs() <= 1e-14 * scale, "{m:?}: {got} instead of {want}");
            }
            let want = eigenvalues(&m[..3]);
            for (got, want) in eigenvalues2(m[0], m[1], m[2]).into_iter().zip(want) {
                assert!((f64::from(got) - want).abs() <= 3e-7 * scale, "{m:?}: {got} instead of {want}");
            }
        }
    }
}
