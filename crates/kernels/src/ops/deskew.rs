//! The slanted planes of a light sheet put where they belong.
//!
//! A stage moves the sample by `step` along the cover slip between planes; the planes stand at `angle` to that direction, their
//! rows `y` along the slope. With `d` the step and `p` the pixel size, plane `s` and row `y` lie at
//!
//! ```text
//! along the stage   Y = s · d + y · p · cos(angle)
//! above the slip    Z = y · p · sin(angle)
//! ```
//!
//! `view=shear` keeps the planes and shifts each along y by `d · cos(angle) / p` pixels more than the one before, which makes
//! right angles of the slanted ones: output `(s, j)` is the image at row `j − s · d · cos(angle) / p`; planes are
//! `d · sin(angle)` apart. `view=slip` looks at the cover slip from above, in voxels of `p` on all sides: output `(k, j)`, at
//! `Z = k · p` and `Y = j · p`, is the image at row `y = k / sin(angle)` and plane `s = (j − k · cos(angle) / sin(angle)) · p / d`.
//! A negative angle is a stage that moves the other way: planes are taken from the last to the first.
//!
//! `linear` gives f32, `nearest` keeps the type; outside is `cval`. The sampling is that of `affine`, which is scipy's
//! `affine_transform`; `voxtile plan` shows the shape. Cost: about 10 ns per voxel of the result.

use super::affine::{METHOD, method};
use crate::affine::{Affine, with_space};
use crate::spec::{ArgError, Args, Build, CVAL, Param, Spec, Value};
use std::sync::Arc;
use voxtile_sched::contract::{Footprint, Op, Pass, Refused};
use voxtile_sched::model::{Axis, Meta, Region, Shape, Tile, TileMut};

/// `deskew angle=32 step=0.5um`.
pub(super) static SPEC: Spec = Spec {
    name: "deskew",
    about: "slanted planes of a light sheet put where they belong",
    params: &[
        Param {
            name: "angle",
            value: Value::Number,
            default: None,
            about: "degrees between planes and stage; negative: stage moves back",
        },
        Param {
            name: "step",
            value: Value::Number,
            default: Some(""),
            about: "way of the stage between planes, in pixels along y; from the voxel size if not given",
        },
        Param {
            name: "view",
            value: Value::Choice(&["shear", "slip"]),
            default: Some("shear"),
            about: "shear: the planes, shifted; slip: the sample from above the cover slip",
        },
        METHOD,
        CVAL,
    ],
    inputs: 1,
    example: "deskew angle=32 step=2",
    build: Build::One(|args| Ok(Arc::new(Deskew::new(args)?))),
};

struct Deskew {
    affine: Affine,
    /// Pixels along y that a step along z of the result is long.
    height: f64,
}

impl Deskew {
    fn new(args: &Args<'_>) -> Result<Self, ArgError> {
        let meta = args.input();
        let text = |name| args.text(name).unwrap_or_default();
        let angle = args.finite("angle")?;
        if !(0.0 < angle.abs() && angle.abs() <= 90.0) {
            return Err(args.wrong(
                "angle",
                text("angle"),
                "between 0 and 90 degrees, or negative for the other way",
            ));
        }
        if meta.axes.space().len() < 3 {
            return Err(args.impossible("angle", format!("the image ({}) is no volume", meta.axes)));
        }
        let step = match args.text("step") {
            Some(_) => args.finite("step")?,
            None => match (meta.micrometers(Axis::Z), meta.micrometers(Axis::Y)) {
                (Some(d), Some(p)) => d / p,
                _ => return Err(ArgError::Missing { op: SPEC.name, param: "step" }),
            },
        };
        if !(1e-6..=1e6).contains(&step) {
            return Err(args.wrong("step", text("step"), "pixels between a millionth and a million"));
        }
        let (sin, cos) = angle.abs().to_radians().sin_cos();
        // A right angle leaves nothing of the cosine.
        let cos = if angle.abs() == 90.0 { 0.0 } else { cos };
        let [_, _, nz, ny, nx] = meta.shape;
        let (last_z, last_y) = (nz.saturating_sub(1) as f64, ny.saturating_sub(1) as f64);
        // A whole number of pixels that rounding has touched stays that number.
        let (up, down) = (|v: f64| (v - 1e-9).ceil() as u64 + 1, |v: f64| (v + 1e-9).floor() as u64 + 1);
        let (mut matrix, mut offset) = ([[0.0; 3], [0.0; 3], [0.0, 0.0, 1.0]], [0.0; 3]);
        let (shape, height) = if args.choice("view")? == "shear" {
            matrix[0] = [1.0, 0.0, 0.0];
            matrix[1] = [-step * cos, 1.0, 0.0];
            ([nz, up(last_y + last_z * step * cos), nx], step * sin)
        } else {
            matrix[0] = [-cos / sin / step, 1.0 / step, 0.0];
            matrix[1] = [1.0 / sin, 0.0, 0.0];
            let above = down(last_y * sin);
            ([above, down(last_z * step + last_y * cos), nx], 1.0)
        };
        if angle < 0.0 {
            // Planes are counted from the last one; in a shear, the result's are as well.
            if args.choice("view")? == "shear" {
                offset[1] = matrix[1][0] * last_z;
                matrix[1][0] = -matrix[1][0];
            } else {
                matrix[0] = matrix[0].map(|v| -v);
                offset[0] = last_z;
            }
        }
        let (method, cval) = method(args)?;
        let shape = if nz == 0 || ny == 0 { [nz, ny, nx] } else { shape };
        let output = with_space(&meta.shape, shape);
        let affine = Affine { name: SPEC.name, matrix, offset, input: meta.shape, output, method, cval };
        Ok(Self { affine, height })
    }
}

impl Op for Deskew {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        let made = self.affine.output(inputs)?;
        let mut spacing = inputs[0].spacing.clone();
        spacing[Axis::Z.index()] = spacing[Axis::Y.index()].clone().map(|mut along| {
            along.scale *= self.height;
            along
        });
        Ok(Meta { spacing, ..made })
    }

    fn footprint(&self, input: usize) -> Footprint {
        self.affine.footprint(input)
    }

    fn reads(&self, input: usize, out: &Region, image: &Shape) -> Region {
        self.affine.reads(input, out, image)
    }

    fn ns_per_voxel(&self) -> f64 {
        self.affine.ns_per_voxel()
    }

    fn pass(&self) -> Pass<'_> {
        self.affine.pass()
    }

    fn cpu(&self, _inputs: &[Tile<'_>], _output: TileMut<'_>, _scratch: &mut [u8]) {
        unreachable!("the contract tells where the tile lies");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conforms;
    use crate::testing::{Image, meta, stages, steps};
    use voxtile_sched::dispatch;
    use voxtile_sched::model::{Dtype, Element, Spacing};

    /// The value at a place between planes and rows; 0 outside.
    fn between<T: Element>(image: &Image, [t, c, x]: [u64; 3], s: f64, y: f64) -> f32 {
        let [.., nz, ny, _] = image.meta().shape;
        if !(s >= 0.0 && s <= nz as f64 - 1.0 && y >= 0.0 && y <= ny as f64 - 1.0) {
            return 0.0;
        }
        let value = |s: u64, y: u64| image.at::<T>([t, c, s.min(nz - 1), y.min(ny - 1), x]).to_f64();
        let (s0, y0) = (s.floor() as u64, y.floor() as u64);
        let (rs, ry) = (s - s.floor(), y - y.floor());
        let plane = |s| value(s, y0) * (1.0 - ry) + value(s, y0 + 1) * ry;
        (plane(s0) * (1.0 - rs) + plane(s0 + 1) * rs) as f32
    }

    fn volume(m: &Meta) -> bool {
        m.axes.space().len() == 3 && !m.shape.contains(&0)
    }

    conforms!(
        shear: &SPEC, "deskew 60 step=1.5",
        |image| {
            let [t, c, nz, ny, nx] = image.meta().shape;
            let shift = 1.5 * 60f64.to_radians().cos();
            let rows = ((ny - 1) as f64 + (nz - 1) as f64 * shift - 1e-9).ceil() as u64 + 1;
            let meta = Meta { shape: [t, c, nz, rows, nx], ..image.meta().with_dtype(Dtype::F32) };
            dispatch!(image.meta().dtype, T => Image::from_fn(meta, |[t, c, z, y, x]| {
                between::<T>(image, [t, c, x], z as f64, z as f64 * -shift + y as f64)
            }))
        },
        only(volume), finite("a voxel of no weight is left out where the oracle multiplies by 0"),
    );
    conforms!(
        back: &SPEC, "deskew -60 step=1.5 view=slip",
        |image| {
            let [t, c, nz, ny, nx] = image.meta().shape;
            let (sin, cos) = 60f64.to_radians().sin_cos();
            let height = ((ny - 1) as f64 * sin + 1e-9).floor() as u64 + 1;
            let length = ((nz - 1) as f64 * 1.5 + (ny - 1) as f64 * cos + 1e-9).floor() as u64 + 1;
            let meta = Meta { shape: [t, c, height, length, nx], ..image.meta().with_dtype(Dtype::F32) };
            dispatch!(image.meta().dtype, T => Image::from_fn(meta, |[t, c, k, j, x]| {
                let s = ((nz - 1) as f64 + k as f64 * (cos / sin / 1.5)) + j as f64 * (-1.0 / 1.5);
                between::<T>(image, [t, c, x], s, k as f64 * (1.0 / sin))
            }))
        },
        only(volume), finite("a voxel of no weight is left out where the oracle multiplies by 0"),
    );

    #[test]
    fn a_point_is_found_where_the_geometry_puts_it() {
        // Plane 4 and row 6: Y = 4 · 2 + 6 · cos 30°, Z = 6 · sin 30° = 3.
        let mut image = Image::new(meta("zyx", &[9, 13, 1], Dtype::U8));
        image.values_mut::<u8>()[4 * 13 + 6] = 200;
        let made = steps("deskew 30 step=2 view=slip", &image);
        let [.., nk, nj, _] = made.meta().shape;
        assert_eq!((nk, nj), (7, 27));
        let brightest = (0..made.values::<f32>().len())
            .max_by(|&a, &b| made.values::<f32>()[a].total_cmp(&made.values::<f32>()[b]));
        let at = brightest.unwrap() as u64;
        assert_eq!((at / nj, at % nj), (3, (8.0 + 6.0 * 30f64.to_radians().cos()).round() as u64));
    }

    #[test]
    fn a_right_angle_changes_nothing_and_sizes_follow() {
        let image = Image::noise("zyx", &[3, 4, 5], Dtype::F32, 1);
        assert_eq!(steps("deskew 90 step=2", &image).values::<f32>(), image.values::<f32>());
        let mut meta = meta("zyx", &[3, 4, 5], Dtype::U8);
        let spacing = |scale| Some(Spacing { scale, origin: 0.0, unit: Some("micrometer".into()) });
        (meta.spacing[2], meta.spacing[3]) = (spacing(0.5), spacing(0.25));
        let meta = std::slice::from_ref(&meta);
        let made = stages(&SPEC, "deskew 30", meta).unwrap()[0].op.output(meta).unwrap();
        assert!((made.spacing[2].as_ref().unwrap().scale - 0.25).abs() < 1e-12);
        assert_eq!(made.dims(), [3, 8, 5]);
        for text in ["deskew 0", "deskew 91", "deskew 30 step=0"] {
            assert!(stages(&SPEC, text, meta).is_err(), "{text}");
        }
        let unknown = [crate::testing::meta("zyx", &[3, 4, 5], Dtype::U8)];
        assert!(stages(&SPEC, "deskew 30", &unknown).is_err());
    }
}
