//! The background that a ball rolling below an image touches.
//!
//! Where the top of the ball is `h` lower, at distance `d` from its centre, the background is at most the image plus
//! `h = r − √(r² − d²)`. Of whole samples only whole steps of `h` count, and the voxels at which it is at most so many are
//! runs along x: a minimum over runs, as of any other set. Signed samples, which are rounded towards 0, and floats are
//! taken voxel by voxel.

use super::codec::Sample;
use super::runs::{Minima, Runs};
use super::set::{Run, Set, ball};
use super::vector;
use super::volume::Volume;
use crate::conv::Scratch;
use crate::device::{constants, sweep};
use crate::vectorised;
use std::sync::Arc;
use voxtile_sched::contract::device::{Argument, Constants, Slot};
use voxtile_sched::contract::{Footprint, Kernels, Op, Refused};
use voxtile_sched::dispatch;
use voxtile_sched::model::{Border, Dtype, Element, Halo, Meta, Shape, Tile, TileMut, View, ViewMut};

/// The background under a rolling ball.
pub(crate) struct RollingBall {
    name: &'static str,
    dtype: Dtype,
    halo: Halo,
    surface: Surface,
    /// For a device: how much lower the ball is, along z, y and x of the box around it; infinite outside.
    heights: Constants,
}

/// How far the ball falls away from its top.
enum Surface {
    /// In whole steps.
    Steps(Runs),
    /// For each row of the ball, how much at each distance along x from its centre.
    Heights(Vec<Row>),
}

/// A row of the ball.
struct Row {
    /// Planes and rows from the start of the box around the ball.
    at: [usize; 2],
    /// From the centre of the row outwards.
    heights: Vec<f64>,
}

impl RollingBall {
    /// The operation of that name. The ball has `radius` and reaches along the axes of `z, y, x` that are in `along`.
    pub(crate) fn of(name: &'static str, radius: f64, along: [bool; 3], dtype: Dtype) -> Arc<dyn Op> {
        let whole = ball(along.map(|along| if along { radius } else { 0.0 }));
        let unsigned = !dtype.is_float() && !dtype.is_signed_integer();
        let steps = if unsigned { steps(&whole, radius, dtype) } else { Vec::new() };
        // What is lower by more than a sample can be high touches nothing.
        let set = if unsigned { Set::joined(steps.iter().map(|&(run, _)| run).collect()) } else { whole };
        let (lo, hi) = set.reach();
        let heights = heights(&set, radius, dtype);
        let centre = lo.map(|n| n as usize);
        let halo = Halo { lo: [0, 0, lo[0], lo[1], lo[2]], hi: [0, 0, hi[0], hi[1], hi[2]] };
        let surface = if unsigned {
            Surface::Steps(Runs::new(centre.map(|n| 2 * n + 1), centre, &steps, dtype.size()))
        } else {
            let row = |run: &Run| {
                let at = [run.z, run.y];
                let heights = (0..=run.len / 2).map(|x| fall(radius, [run.z, run.y, x], dtype));
                Row {
                    at: std::array::from_fn(|a| (at[a] + lo[a] as i64) as usize),
                    heights: heights.collect(),
                }
            };
            Surface::Heights(set.runs().iter().map(row).collect())
        };
        Arc::new(Self { name, dtype, halo, surface, heights: constants(&heights) })
    }
}

/// How much lower than its top the ball is there: in f32 for f32, as scikit-image computes it, else in f64.
fn fall(radius: f64, d: [i64; 3], dtype: Dtype) -> f64 {
    let square = d.iter().map(|d| d * d).sum::<i64>() as f64;
    let (top, here) = ((radius * radius).sqrt(), (radius * radius - square).max(0.0).sqrt());
    if dtype == Dtype::F32 { f64::from(top as f32 - here as f32) } else { top - here }
}

/// How much lower than its top the ball is everywhere in the box around the set.
fn heights(set: &Set, radius: f64, dtype: Dtype) -> Vec<f64> {
    let (lo, hi) = set.reach();
    let size: [u64; 3] = std::array::from_fn(|a| lo[a] + hi[a] + 1);
    let mut out = vec![f64::INFINITY; size.iter().product::<u64>() as usize];
    for run in set.runs() {
        for x in run.x..run.x + run.len {
            let [z, row, column] = [run.z + lo[0] as i64, run.y + lo[1] as i64, x + lo[2] as i64];
            out[((z as u64 * size[1] + row as u64) * size[2] + column as u64) as usize] =
                fall(radius, [run.z, run.y, x], dtype);
        }
    }
    out
}

/// For each row of the ball and each whole step that such unsigned samples can count, the voxels at which the ball is at
/// most so much lower.
fn steps(set: &Set, radius: f64, dtype: Dtype) -> Vec<(Run, u64)> {
    let most = u64::MAX >> (64 - 8 * dtype.size());
    let mut steps: Vec<(Run, u64)> = Vec::new();
    for &run in set.runs() {
        for x in 0..=run.len / 2 {
            let step = fall(radius, [run.z, run.y, x], Dtype::F64) as u64;
            let run = Run { x: -x, len: 2 * x + 1, ..run };
            if step >= most {
                break;
            }
            match steps.last_mut() {
                // Further out, and no lower: it holds the one before.
                Some((before, last)) if *last == step && (before.z, before.y) == (run.z, run.y) => {
                    *before = run;
                }
                _ => steps.push((run, step)),
            }
        }
    }
    steps
}

impl Op for RollingBall {
    fn name(&self) -> &'static str {
        self.name
    }

    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        Ok(inputs[0].clone())
    }

    fn footprint(&self, _input: usize) -> Footprint {
        Footprint::Halo(self.halo)
    }

    /// Nothing that the ball could touch.
    fn border(&self) -> Border {
        Border::Constant(f64::INFINITY)
    }

    fn scratch(&self, output: &Shape) -> u64 {
        let bytes = match &self.surface {
            Surface::Steps(runs) => dispatch!(self.dtype, T => runs.bytes::<T>()),
            Surface::Heights(_) => {
                let width = output[4].min(PANEL as u64) as usize;
                Scratch::bytes::<f64>(width) + Scratch::bytes::<f64>(width + 2 * self.halo.lo[4] as usize)
            }
        };
        bytes as u64
    }

    fn ns_per_voxel(&self) -> f64 {
        let size = self.dtype.size() as f64;
        match &self.surface {
            Surface::Steps(runs) => 0.02 + 0.01 * runs.cost() * size,
            Surface::Heights(rows) => {
                0.03 * size * rows.iter().map(|row| row.heights.len()).sum::<usize>() as f64
            }
        }
    }

    fn cpu(&self, inputs: &[Tile<'_>], mut output: TileMut<'_>, scratch: &mut [u8]) {
        if output.is_empty() {
            return;
        }
        let dtype = output.dtype();
        dispatch!(dtype, T => {
            let (from, mut to) = (inputs[0].view::<T>(), output.view::<T>());
            match &self.surface {
                Surface::Steps(runs) => lowest::<T>(runs, &from, &mut to, scratch),
                Surface::Heights(rows) if dtype == Dtype::F32 => self.rolled::<T, f32>(rows, &from, &mut to, scratch),
                Surface::Heights(rows) => self.rolled::<T, f64>(rows, &from, &mut to, scratch),
            }
        });
    }

    fn kernels(&self, inputs: &[Dtype], _output: Dtype, _shape: &Shape) -> Option<Kernels> {
        let size = [2, 3, 4].map(|a| Argument::U32((self.halo.lo[a] + self.halo.hi[a] + 1) as u32));
        let from = vec![Slot::Input(0), Slot::Constants(0)];
        let rolled = sweep(format!("rolled_{}", inputs[0]), from, Slot::Output, size.to_vec());
        let sweeps = vec![rolled.weighing(1.0 + 0.4 * self.heights.len() as f64)];
        Some(Kernels { constants: vec![self.heights.clone()], sweeps, ..Kernels::default() })
    }
}

/// The background of unsigned samples.
fn lowest<T: Sample>(runs: &Runs, from: &View<'_, T>, to: &mut ViewMut<'_, T>, scratch: &mut [u8]) {
    // Unsigned: never floats.
    let minima = |volume: Volume<'_, _, false>| vector::run(volume.out[2], Minima { runs, volume });
    Volume::each(from, to, false, scratch, minima);
}

/// Most output voxels along x at once, so that a row stays in L1.
const PANEL: usize = 512;

impl RollingBall {
    /// The background of any samples, in floats of type `F`.
    fn rolled<T: Element, F: Element + std::ops::Add<Output = F>>(
        &self,
        rows: &[Row],
        from: &View<'_, T>,
        to: &mut ViewMut<'_, T>,
        scratch: &mut [u8],
    ) {
        let [nt, nc, nz, ny, nx] = to.shape();
        let reach = self.halo.lo[4] as usize;
        let panel = nx.min(PANEL);
        let mut scratch = Scratch::new(scratch);
        let (lowest, wide) = (scratch.take::<F>(panel), scratch.take::<F>(panel + 2 * reach));
        for (t, c, z, y) in places([nt, nc, nz, ny]) {
            for left in (0..nx).step_by(panel) {
                let lowest = &mut lowest[..panel.min(nx - left)];
                let wide = &mut wide[..lowest.len() + 2 * reach];
                lowest.fill(F::from_f64(f64::INFINITY));
                for row in rows {
                    let samples = &from.row(t, c, z + row.at[0], y + row.at[1])[left..][..wide.len()];
                    wide.iter_mut().zip(samples).for_each(|(to, from)| *to = F::from_f64(from.to_f64()));
                    for (x, &height) in row.heights.iter().enumerate() {
                        roll(F::from_f64(height), &wide[reach - x..], &wide[reach + x..], lowest);
                    }
                }
                let out = &mut to.row(t, c, z, y)[left..][..lowest.len()];
                for (out, lowest) in out.iter_mut().zip(&*lowest) {
                    let lowest = lowest.to_f64();
                    *out = T::from_f64(if T::DTYPE.is_float() { lowest } else { lowest.trunc() });
                }
            }
        }
    }
}

/// All of four indices.
fn places([nt, nc, nz, ny]: [usize; 4]) -> impl Iterator<Item = (usize, usize, usize, usize)> {
    (0..nt * nc * nz * ny).map(move |n| (n / ny / nz / nc, n / ny / nz % nc, n / ny % nz, n % ny))
}

vectorised! {
    fn roll<F: Rolling>(height: F, before: &[F], after: &[F], lowest: &mut [F]) {
        for ((lowest, &before), &after) in lowest.iter_mut().zip(before).zip(after) {
            // Comparisons with NaN are false: it does not count.
            let value = before + height;
            *lowest = if value < *lowest { value } else { *lowest };
            let value = after + height;
            *lowest = if value < *lowest { value } else { *lowest };
        }
    }
}

/// A float that heights are added to.
trait Rolling: Element + std::ops::Add<Output = Self> {}
impl<F: Element + std::ops::Add<Output = F>> Rolling for F {}
