//! Total-variation denoising: flat where the image is noise, sharp where it has an edge. Chambolle's iteration.
//!
//! Any sample type → f32, same shape; along all space axes together. `weight` has the unit of the voxels: the larger it is,
//! the flatter the result. A fixed number of iterations, so the result reads that many voxels less one around each: many
//! iterations are dear in small tiles of volumes. The image ends at its edge, where differences are 0; NaN is left out in
//! the same way and stays NaN. Cost: 2.5 ns per voxel and iteration, and five images of scratch.
//! Chambolle 2004.
//!
//! Bit-equal to `skimage.restoration.denoise_tv_chambolle(image.astype(float32), weight, eps=0, max_num_iter=iterations)`.
//! We differ: scikit-image stops earlier where little changes in the whole image, unless `eps=0`; NaN spreads there.

use crate::conv::Scratch;
use crate::device::sweep;
use crate::spec::{ArgError, Args, Build, From, Param, Spec, Stage, Value};
use crate::vectorised;
use std::sync::Arc;
use voxtile_sched::contract::device::{Argument, Slot};
use voxtile_sched::contract::{Footprint, Kernels, Op, Refused};
use voxtile_sched::model::{Axis, AxisSet, Border, Dtype, Halo, Kind, Meta, PerAxis, Shape, Tile, TileMut};

/// `tv-denoise weight=20`.
pub(super) static SPEC: Spec = Spec {
    name: "tv-denoise",
    about: "total-variation denoising, by Chambolle's iteration",
    params: &[
        Param {
            name: "weight",
            value: Value::Number,
            default: None,
            about: "how flat the result is, in the voxels' unit",
        },
        Param {
            name: "iterations",
            value: Value::Number,
            default: Some("20"),
            about: "how many, from 1 to 1000; one less is the reach in voxels",
        },
    ],
    inputs: 1,
    example: "tv-denoise weight=20 iterations=10",
    build: Build::Chain(build),
};

/// Below this what is divided by it may be beyond f64.
const LEAST_WEIGHT: f64 = 1e-30;

fn build(args: &Args<'_>) -> Result<Vec<Stage>, ArgError> {
    let weight = args.finite("weight")?;
    if weight < LEAST_WEIGHT {
        let wanted = format!("a number of {LEAST_WEIGHT:e} or more");
        return Err(args.wrong("weight", args.text("weight").unwrap_or_default(), wanted));
    }
    let iterations = args.finite("iterations")?;
    if iterations.fract() != 0.0 || !(1.0..=1000.0).contains(&iterations) {
        let text = args.text("iterations").unwrap_or_default();
        return Err(args.wrong("iterations", text, "a whole number from 1 to 1000"));
    }
    let axes = args.input().axes.space();
    if axes.is_empty() {
        return Err(args.wrong(
            "weight",
            args.text("weight").unwrap_or_default(),
            "for an image without space axes",
        ));
    }
    let op = Arc::new(Denoise { weight, iterations: iterations as usize, axes });
    // The edge is marked by NaN, which integers do not have.
    Ok(vec![
        Stage { op: super::as_f32(), inputs: vec![From::Input(0)] },
        Stage { op, inputs: vec![From::Stage(0)] },
    ])
}

struct Denoise {
    weight: f64,
    iterations: usize,
    /// Space axes of the image.
    axes: AxisSet,
}

/// Where a line of the work lies, and how far its neighbours are.
struct Walk {
    /// Voxels along z, y, x of the tile with what is around it.
    shape: [usize; 3],
    /// From voxel to voxel along each axis; 0 along those that the image has not.
    step: [usize; 3],
}

impl Walk {
    /// Calls `work` with the start and the length of every line but for `margin` voxels at the ends of the axes.
    fn lines(&self, margin: usize, mut work: impl FnMut(usize, usize)) {
        let [nz, ny, nx] = self.shape;
        let margin = self.step.map(|step| if step == 0 { 0 } else { margin });
        for z in margin[0]..nz - margin[0] {
            for y in margin[1]..ny - margin[1] {
                work((z * ny + y) * nx + margin[2], nx - 2 * margin[2]);
            }
        }
    }
}

impl Denoise {
    fn halo(&self) -> Halo {
        let mut reach = [0; 5];
        self.axes.iter().for_each(|axis| reach[axis.index()] = self.iterations as u64 - 1);
        Halo::symmetric(reach)
    }

    /// Voxels of one image of scratch, with a plane before and behind that neighbours beyond the ends are read from.
    fn work(&self, output: PerAxis<usize>) -> usize {
        let reach = self.halo().lo.map(|n| n as usize);
        let [nz, ny, nx] = [2, 3, 4].map(|a| output[a] + 2 * reach[a]);
        (nz + 2) * ny * nx + 2 * (nx + 1)
    }

    /// One volume or plane, from `image`; the result lies in `out`.
    fn iterate(&self, walk: &Walk, image: &[f32], out: &mut [f32], p: &mut [&mut [f32]; 3], pad: usize) {
        let axes: Vec<usize> = (0..3).filter(|&a| walk.step[a] > 0).collect();
        let tau = 1.0 / (2.0 * axes.len() as f64);
        let scales = [tau as f32, (tau / self.weight) as f32];
        for i in 0..self.iterations {
            // What lies within the reach of the iterations to come is enough.
            walk.lines(i, |at, len| {
                let from = pad + at;
                let (image, out) = (&image[from..][..len], &mut out[from..][..len]);
                if i == 0 {
                    return out.copy_from_slice(image);
                }
                let own = [0, 1, 2].map(|a| &p[a][from..][..len]);
                let before = [0, 1, 2].map(|a| &p[a][from - walk.step[a]..][..len]);
                descend(image, own, before, out);
            });
            if i + 1 == self.iterations {
                break;
            }
            walk.lines(i, |at, len| {
                let from = pad + at;
                let after = [0, 1, 2].map(|a| &out[from + walk.step[a]..][..len]);
                let [p0, p1, p2] = p.each_mut().map(|p| &mut p[from..][..len]);
                ascend(&out[from..][..len], after, scales, p0, p1, p2);
            });
        }
    }
}

vectorised! {
    /// The image less the divergence. Along axes that the image has not, everything is 0.
    fn descend(image: &[f32], p: [&[f32]; 3], before: [&[f32]; 3], out: &mut [f32]) {
        let len = out.len();
        let image = &image[..len];
        let [p0, p1, p2] = p.map(|row| &row[..len]);
        let [b0, b1, b2] = before.map(|row| &row[..len]);
        for n in 0..len {
            let d = -(p0[n] + p1[n] + p2[n]) + b0[n] + b1[n] + b2[n];
            out[n] = image[n] + d;
        }
    }
}

/// The difference to a neighbour; 0 beyond the edge, and where the image has no neighbours along an axis.
#[inline(always)]
fn difference(own: f32, after: f32) -> f32 {
    let g = after - own;
    if g.is_nan() { 0.0 } else { g }
}

vectorised! {
    /// Steps along the gradient.
    fn ascend(own: &[f32], after: [&[f32]; 3], scales: [f32; 2], p0: &mut [f32], p1: &mut [f32], p2: &mut [f32]) {
        let len = own.len();
        let [a0, a1, a2] = after.map(|row| &row[..len]);
        let (p0, p1, p2) = (&mut p0[..len], &mut p1[..len], &mut p2[..len]);
        for n in 0..len {
            let own = own[n];
            let (g0, g1, g2) = (difference(own, a0[n]), difference(own, a1[n]), difference(own, a2[n]));
            let norm = (g0 * g0 + g1 * g1 + g2 * g2).sqrt() * scales[1] + 1.0;
            p0[n] = (p0[n] - scales[0] * g0) / norm;
            p1[n] = (p1[n] - scales[0] * g1) / norm;
            p2[n] = (p2[n] - scales[0] * g2) / norm;
        }
    }
}

impl Op for Denoise {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        Ok(inputs[0].with_dtype(Dtype::F32).with_kind(Kind::Image))
    }

    fn footprint(&self, _input: usize) -> Footprint {
        Footprint::Halo(self.halo())
    }

    fn border(&self) -> Border {
        Border::Constant(f64::NAN)
    }

    fn scratch(&self, output: &Shape) -> u64 {
        5 * Scratch::bytes::<f32>(self.work(output.map(|n| n as usize))) as u64
    }

    fn ns_per_voxel(&self) -> f64 {
        2.5 * self.iterations as f64
    }

    fn cpu(&self, inputs: &[Tile<'_>], mut output: TileMut<'_>, scratch: &mut [u8]) {
        let (from, mut to) = (inputs[0].view::<f32>(), output.view::<f32>());
        let shape = to.shape();
        if shape.contains(&0) {
            return;
        }
        let [nt, nc, nz, ny, nx] = from.shape();
        let steps = [ny * nx, nx, 1];
        let present = |a: usize| self.axes.iter().any(|axis| axis.index() == a + 2);
        let walk = Walk {
            shape: [nz, ny, nx],
            step: std::array::from_fn(|a| if present(a) { steps[a] } else { 0 }),
        };
        let pad = ny * nx + nx + 1;
        let work = self.work(shape);
        let mut scratch = Scratch::new(scratch);
        let [image, out, p0, p1, p2]: [&mut [f32]; 5] = std::array::from_fn(|_| scratch.take::<f32>(work));
        // Beyond the ends of the work nothing is.
        image.fill(f32::NAN);
        out.fill(f32::NAN);
        let mut p = [p0, p1, p2];
        let inner = [2, 3, 4].map(|a| (from.shape()[a] - shape[a]) / 2);
        for t in 0..nt {
            for c in 0..nc {
                p.iter_mut().for_each(|p| p.fill(0.0));
                for z in 0..nz {
                    for y in 0..ny {
                        image[pad + (z * ny + y) * nx..][..nx].copy_from_slice(from.row(t, c, z, y));
                    }
                }
                self.iterate(&walk, image, out, &mut p, pad);
                for z in 0..shape[2] {
                    for y in 0..shape[3] {
                        let at = pad + ((z + inner[0]) * ny + y + inner[1]) * nx + inner[2];
                        to.row(t, c, z, y).copy_from_slice(&out[at..][..shape[4]]);
                    }
                }
            }
        }
    }

    fn kernels(&self, inputs: &[Dtype], output: Dtype, shape: &Shape) -> Option<Kernels> {
        let has = |axis: Axis| u32::from(self.axes.contains(axis));
        let [z, y, x] = [Axis::Z, Axis::Y, Axis::X].map(has);
        let axes = Argument::U32(z << 2 | y << 1 | x);
        let tau = 1.0 / (2.0 * self.axes.len() as f64);
        let reach = self.halo().lo;
        let all = std::array::from_fn(|a| shape[a] + 2 * reach[a]);
        // The field's components, and the image less its divergence.
        let mut kernels = Kernels { scratch: vec![(Dtype::F32, all).into(); 4], ..Kernels::default() };
        let [image, made] = [Slot::Input(0), Slot::Scratch(3)];
        for i in 0..self.iterations {
            if i > 0 {
                let from = vec![image, Slot::Scratch(0), Slot::Scratch(1), Slot::Scratch(2)];
                kernels.sweeps.push(sweep(format!("descend_{}", inputs[0]), from, made, vec![axes.clone()]));
            }
            if i + 1 == self.iterations {
                break;
            }
            let of = if i == 0 { image } else { made };
            for axis in (2..5).filter(|n| [z, y, x][n - 2] == 1) {
                let component = Slot::Scratch(axis - 2);
                let numbers = [axis as u32, u32::from(i == 0)].map(Argument::U32);
                let scales = [tau, tau / self.weight].map(Argument::F64);
                let arguments = [std::slice::from_ref(&axes), &numbers[..], &scales[..]].concat();
                let kernel = format!("ascend_{}", inputs[0]);
                kernels.sweeps.push(sweep(kernel, vec![of, component], component, arguments));
            }
        }
        let from = if self.iterations == 1 { image } else { made };
        let places = [2, 3, 4].map(|a| Argument::U32(reach[a] as u32)).to_vec();
        kernels.sweeps.push(sweep(format!("part_{}", output.size()), vec![from], Slot::Output, places));
        Some(kernels)
    }
}

#[cfg(test)]
mod tests {
    use super::SPEC;
    use crate::conforms;
    use crate::testing::{Image, meta, stages};
    use voxtile_sched::dispatch;
    use voxtile_sched::model::{Axis, Dtype, Element, PerAxis};

    /// The iteration as it is written: whole images, neighbour by neighbour.
    fn oracle(image: &Image, weight: f64, iterations: usize) -> Image {
        let image: Image = dispatch!(image.meta().dtype, T => image.map(|v: T| v.to_f32()));
        let axes: Vec<Axis> = image.meta().axes.space().iter().collect();
        let shape = image.meta().shape;
        let tau = 1.0 / (2.0 * axes.len() as f64);
        let zero = Image::new(image.meta().clone());
        let beside = |at: PerAxis<u64>, axis: Axis, after: bool| {
            let (mut to, a) = (at, axis.index());
            to[a] = if after { at[a] + 1 } else { at[a].wrapping_sub(1) };
            (to[a] < shape[a]).then_some(to)
        };
        let mut p: Vec<Image> = axes.iter().map(|_| zero.clone()).collect();
        let mut out = image.clone();
        for _ in 1..iterations {
            let gradient = |at, axis: &Axis| {
                let Some(next) = beside(at, *axis, true) else { return 0.0 };
                let g = out.at::<f32>(next) - out.at::<f32>(at);
                if g.is_nan() { 0.0 } else { g }
            };
            p = (0..axes.len())
                .map(|n| {
                    Image::from_fn(image.meta().clone(), |at| {
                        let all: Vec<f32> = axes.iter().map(|axis| gradient(at, axis)).collect();
                        let squares = all.iter().map(|g| g * g).reduce(|a, b| a + b).unwrap();
                        let norm = squares.sqrt() * (tau / weight) as f32 + 1.0;
                        (p[n].at::<f32>(at) - tau as f32 * all[n]) / norm
                    })
                })
                .collect();
            out = Image::from_fn(image.meta().clone(), |at| {
                let sum = p.iter().map(|p| p.at::<f32>(at)).reduce(|a, b| a + b).unwrap();
                let before =
                    |d: f32, n: usize| d + beside(at, axes[n], false).map_or(0.0, |at| p[n].at::<f32>(at));
                image.at::<f32>(at) + (0..axes.len()).fold(-sum, before)
            });
        }
        out
    }

    conforms!(
        four: &SPEC, "tv-denoise 0.5 iterations=4", |image| oracle(image, 0.5, 4),
        dtypes(&[Dtype::U8, Dtype::I16, Dtype::F32]),
    );
    conforms!(two: &SPEC, "tv-denoise weight=90 iterations=2", |image| oracle(image, 90.0, 2));
    conforms!(one: &SPEC, "tv-denoise weight=9 iterations=1", |image| oracle(image, 9.0, 1));

    #[test]
    fn what_is_no_number_of_iterations_is_refused() {
        let plane = [meta("yx", &[9, 9], Dtype::U8)];
        for step in [
            "tv-denoise 0",
            "tv-denoise 1 iterations=0",
            "tv-denoise 1 iterations=2.5",
            "tv-denoise 1 iterations=1e9",
        ] {
            assert!(stages(&SPEC, step, &plane).is_err(), "{step}");
        }
        assert!(stages(&SPEC, "tv-denoise 1", &[meta("t", &[9], Dtype::U8)]).is_err());
    }
}
