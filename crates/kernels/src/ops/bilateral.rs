//! Bilateral filter: a mean of the neighbours that are as bright as the voxel.
//!
//! Any sample type → f32, same shape; along the space axes. Each neighbour in the window counts with
//! `exp(-d² / 2σ²)` of its distance, σ in voxels or physical units, one or per axis, and of its difference in value, σ in the
//! voxels' unit. Voxels that are not finite are left out, and become NaN. Cost: 1.2 ns per neighbour, of which a volume
//! has many: 7³ at σ = 1. Tomasi and Manduchi 1998.
//!
//! As `skimage.restoration.denoise_bilateral` means it, to 1e-6 of the f64 result. We differ: (1) scikit-image 0.26 lays the
//! weights of distances out in rows of `win_size + 1` and reads them in rows of `win_size`, so its window is skewed.
//! (2) It looks differences up in 10 000 steps; we have no steps. (3) It has planes alone, and its border is `constant`
//! unless told. (4) Without `sigma_color` it takes the standard deviation of the image.

use crate::device::{DISTANCES, why};
use crate::spec::{ArgError, Args, BORDER, Build, CVAL, From, Param, Spec, Stage, Value};
use crate::vectorised;
use std::sync::Arc;
use voxtile_sched::contract::device::{Argument, Sweep};
use voxtile_sched::contract::{Footprint, Kernels, Op, Refused};
use voxtile_sched::model::{Border, Dtype, Kind, Meta, PerAxis, Shape, Tile, TileMut};

/// `bilateral sigma-color=50`.
pub(super) static SPEC: Spec = Spec {
    name: "bilateral",
    about: "smooth but for edges: mean of the neighbours of similar value",
    params: &[
        Param {
            name: "sigma-color",
            value: Value::Number,
            default: None,
            about: "standard deviation of differences in value that count, in the voxels' unit",
        },
        Param {
            name: "sigma-spatial",
            value: Value::Length,
            default: Some("1"),
            about: "standard deviation of distances, one or per axis",
        },
        Param {
            name: "size",
            value: Value::Size,
            default: Some(""),
            about: "window, odd; 3 standard deviations to each side, at least 5, if not given",
        },
        BORDER,
        CVAL,
    ],
    inputs: 1,
    example: "bilateral sigma-color=50 sigma-spatial=1",
    build: Build::Chain(build),
};

/// Below this the square of a difference by it is beyond f32.
const LEAST_COLOR: f64 = 1e-12;

/// Voxels of a window that would be absurd.
const MOST: u64 = 1 << 20;

fn build(args: &Args<'_>) -> Result<Vec<Stage>, ArgError> {
    let color = args.finite("sigma-color")?;
    if color < LEAST_COLOR {
        let wanted = format!("a number of {LEAST_COLOR:e} or more");
        return Err(args.wrong("sigma-color", args.text("sigma-color").unwrap_or_default(), wanted));
    }
    let sigma = args.lengths_px("sigma-spatial")?;
    let (param, size) = match args.text("size") {
        Some(_) => ("size", args.sizes_px("size")?),
        None => (
            "sigma-spatial",
            sigma.map(|s| if s > 0.0 { (2 * (3.0 * s).ceil() as u64).saturating_add(1).max(5) } else { 1 }),
        ),
    };
    let text = args.text(param).unwrap_or_default();
    if size.iter().any(|n| n % 2 == 0) {
        return Err(args.wrong(param, text, "an odd number of voxels along each axis"));
    }
    if size.iter().try_fold(1u64, |all, &n| all.checked_mul(n)).is_none_or(|all| all > MOST) {
        return Err(args.wrong(param, text, format!("a window of at most {MOST} voxels")));
    }
    let op = Arc::new(Bilateral { radius: size.map(|n| n / 2), sigma, color, border: args.border()? });
    // Differences are those of f32, also from what stands beyond the edge.
    Ok(vec![
        Stage { op: super::as_f32(), inputs: vec![From::Input(0)] },
        Stage { op, inputs: vec![From::Stage(0)] },
    ])
}

struct Bilateral {
    radius: PerAxis<u64>,
    sigma: PerAxis<f64>,
    color: f64,
    border: Border,
}

/// Voxels of a row that are filtered together.
const ROW: usize = 128;

/// Sums of weighted voxels, and of weights.
type Sums = [[f64; ROW]; 2];

impl Bilateral {
    /// The weight of a distance, from the offsets into the window.
    fn spatial(&self, at: [usize; 3]) -> f32 {
        let mut squares = 0.0;
        for (a, at) in (2..5).zip(at) {
            let d = at as f64 - self.radius[a] as f64;
            squares += if d == 0.0 { 0.0 } else { (d / self.sigma[a]).powi(2) };
        }
        (-0.5 * squares).exp() as f32
    }
}

/// `eˣ` for x up to 0, within 2e-7; 0 below -87 and for NaN.
#[inline(always)]
fn exp(x: f32) -> f32 {
    /// Adding 1.5 · 2^23 leaves the rounded value in the low bits of the sum.
    const SHIFT: f32 = 12_582_912.0;
    /// ln 2 in two parts, the first of few bits.
    const LN2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    const SERIES: [f32; 7] = [1.388_888_9e-3, 8.333_333e-3, 4.166_666_6e-2, 1.666_666_7e-1, 0.5, 1.0, 1.0];
    let counts = x >= -87.0;
    let x = if counts { x } else { -87.0 };
    let shifted = x * std::f32::consts::LOG2_E + SHIFT;
    let k = shifted - SHIFT;
    let r = (x - k * LN2[0]) - k * LN2[1];
    let mut e = SERIES[0];
    for term in &SERIES[1..] {
        e = e * r + term;
    }
    let power = f32::from_bits(shifted.to_bits().wrapping_sub(SHIFT.to_bits()).wrapping_add(127) << 23);
    if counts { e * power } else { 0.0 }
}

vectorised! {
    /// Adds one neighbour of each voxel of a row.
    fn add(own: &[f32], other: &[f32], spatial: f32, scale: f32, sums: &mut Sums) {
        let [values, weights] = sums;
        for (((&own, &other), value), weight) in own.iter().zip(other).zip(values).zip(weights) {
            let d = other - own;
            let w = spatial * exp(d * d * scale);
            let counts = w > 0.0;
            *value += if counts { f64::from(w) * f64::from(other) } else { 0.0 };
            *weight += f64::from(w);
        }
    }
}

impl Op for Bilateral {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        Ok(inputs[0].with_dtype(Dtype::F32).with_kind(Kind::Image))
    }

    fn footprint(&self, _input: usize) -> Footprint {
        Footprint::radius(self.radius)
    }

    fn border(&self) -> Border {
        self.border
    }

    fn ns_per_voxel(&self) -> f64 {
        1.2 * self.radius.iter().map(|r| (2 * r + 1) as f64).product::<f64>()
    }

    fn cpu(&self, inputs: &[Tile<'_>], mut output: TileMut<'_>, _scratch: &mut [u8]) {
        let (from, mut to) = (inputs[0].view::<f32>(), output.view::<f32>());
        let [rz, ry, rx] = [2, 3, 4].map(|a| self.radius[a] as usize);
        let scale = (-0.5 / (self.color * self.color)) as f32;
        let nx = to.shape()[4];
        crate::pointwise::for_rows(to.shape(), |t, c, z, y| {
            let to = to.row(t, c, z, y);
            let own = &from.row(t, c, z + rz, y + ry)[rx..];
            for x in (0..nx).step_by(ROW) {
                let len = ROW.min(nx - x);
                let mut sums: Sums = [[0.0; ROW]; 2];
                for dz in 0..2 * rz + 1 {
                    for dy in 0..2 * ry + 1 {
                        let row = from.row(t, c, z + dz, y + dy);
                        for dx in 0..2 * rx + 1 {
                            let spatial = self.spatial([dz, dy, dx]);
                            add(&own[x..][..len], &row[x + dx..][..len], spatial, scale, &mut sums);
                        }
                    }
                }
                for ((to, value), weight) in to[x..][..len].iter_mut().zip(&sums[0]).zip(&sums[1]) {
                    *to = (value / weight) as f32;
                }
            }
        });
    }

    fn no_kernels(&self) -> Option<&'static str> {
        let distances = self.radius[2..].iter().fold(1usize, |n, r| n.saturating_mul(*r as usize + 1));
        (distances > DISTANCES).then_some(why::DISTANCES)
    }

    fn kernels(&self, inputs: &[Dtype], _output: Dtype, _shape: &Shape) -> Option<Kernels> {
        let [.., rz, ry, rx] = self.radius.map(|n| n as usize);
        if self.no_kernels().is_some() {
            return None;
        }
        let mut distances = Vec::new();
        for dz in 0..=rz {
            for dy in 0..=ry {
                distances.extend((0..=rx).map(|dx| f64::from(self.spatial([rz + dz, ry + dy, rx + dx]))));
            }
        }
        let mut arguments = [rz, ry, rx].map(|n| Argument::U32(n as u32)).to_vec();
        arguments.push(Argument::F64(-0.5 / (self.color * self.color)));
        arguments.push(Argument::F64s(distances, DISTANCES));
        let window: f64 = self.radius.iter().map(|r| (2 * r + 1) as f64).product();
        Some(Sweep::over(format!("bilateral_{}", inputs[0]), arguments).weighing(2.0 * window).into())
    }
}

#[cfg(test)]
mod tests {
    use super::SPEC;
    use crate::conforms;
    use crate::testing::{Image, meta, stages, steps};
    use voxtile_sched::dispatch;
    use voxtile_sched::model::{Border, Dtype, Element};

    /// Every neighbour of every voxel, in f64.
    fn oracle(image: &Image, color: f64, spatial: f64, radius: i64, border: Border) -> Image {
        let meta = image.meta();
        let reach = [2, 3, 4].map(|a| {
            let present = meta.axes.space().iter().any(|axis| axis.index() == a);
            if present { radius } else { 0 }
        });
        dispatch!(meta.dtype, T => Image::from_fn(meta.with_dtype(Dtype::F32), |at| {
            let own = image.at::<T>(at).to_f64();
            let (mut sum, mut weights) = (0.0, 0.0);
            for dz in -reach[0]..=reach[0] {
                for dy in -reach[1]..=reach[1] {
                    for dx in -reach[2]..=reach[2] {
                        let mut from = at;
                        for (a, d) in (2..).zip([dz, dy, dx]) {
                            from[a] = border.map(at[a] as i64 + d, meta.shape[a]).unwrap() as u64;
                        }
                        let other = image.at::<T>(from).to_f64();
                        let distance = (dz * dz + dy * dy + dx * dx) as f64 / (spatial * spatial);
                        let weight = (-0.5 * (distance + ((other - own) / color).powi(2))).exp();
                        sum += weight * other;
                        weights += weight;
                    }
                }
            }
            (sum / weights) as f32
        }))
    }

    const UNSIGNED: [Dtype; 2] = [Dtype::U8, Dtype::U16];
    const WHY: &str = "weights are f32";

    conforms!(
        window_of_its_own: &SPEC, "bilateral 80 sigma-spatial=0.6",
        |image| oracle(image, 80.0, 0.6, 2, Border::Reflect), dtypes(&UNSIGNED), ulp(16, WHY),
    );
    conforms!(
        given_window: &SPEC, "bilateral 900 sigma-spatial=1.5 size=3 border=nearest",
        |image| oracle(image, 900.0, 1.5, 1, Border::Nearest), dtypes(&UNSIGNED), ulp(16, WHY),
    );

    #[test]
    fn what_is_not_finite_is_left_out() {
        let image = Image::of::<f32>("x", &[5], &[f32::NAN, 1.0, f32::INFINITY, 1.0, f32::NEG_INFINITY]);
        let found = steps("bilateral 9", &image);
        let found = found.values::<f32>();
        assert!(found[0].is_nan() && found[2].is_nan() && found[4].is_nan());
        assert_eq!((found[1], found[3]), (1.0, 1.0));
    }

    #[test]
    fn windows_that_are_none_are_refused() {
        let plane = [meta("yx", &[9, 9], Dtype::U8)];
        for step in
            ["bilateral 0", "bilateral 1 size=4", "bilateral 1 sigma-spatial=1e9", "bilateral 1 size=5000001"]
        {
            assert!(stages(&SPEC, step, &plane).is_err(), "{step}");
        }
    }
}
