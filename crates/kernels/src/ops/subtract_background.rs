//! The image minus its background: what varies slowly is taken away, what is smaller than the radius stays.
//!
//! Every sample type, which is kept; acts on the space axes that the radius reaches along. The difference stops at the
//! ends of an integer type. Radius in voxels or physical units. Methods:
//!
//! `rolling-ball`: the background is what a ball of that radius touches that rolls below the image, its height in units
//! of the samples; outside the image there is nothing to touch (`border` does not count). Equal to `image -
//! skimage.restoration.rolling_ball(image, radius=…)`: heights are f64 (f32 for f32 images), and the background of an
//! integer image is rounded towards 0. Integers of 64 bits are exact if unsigned, else go through f64 as there. One
//! radius for all axes; 0 along an axis works plane by plane. ImageJ shrinks the image and smooths it first: its
//! background is another one.
//! `tophat`: the opening with a ball of that radius (`open shape=ball`): `tophat shape=ball radius=…`.
//! `gaussian`: the blurred image, σ = `radius`, rounded half to even to the sample type of the image.
//!
//! Cost: of `rolling-ball` on unsigned integers the number of whole steps in each row of the ball, over the lanes of a
//! vector (`rank/background.rs`); else the number of its voxels. `tophat` and `gaussian` as those operations.

use crate::conv::{blurred, sigmas};
use crate::ops;
use crate::rank::{BALL_LIMIT, Difference, RollingBall, opening_with_ball};
use crate::spec::{ArgError, Args, BORDER, Build, CVAL, From, Param, Spec, Stage, Value};
use voxtile_sched::model::PerAxis;

/// The operation.
pub(crate) static SPEC: Spec = Spec {
    name: "subtract-background",
    about: "Image minus its smooth background",
    params: &[
        Param {
            name: "radius",
            value: Value::Length,
            default: None,
            about: "radius of the ball, or standard deviation; larger than the objects that stay",
        },
        Param {
            name: "method",
            value: Value::Choice(&["rolling-ball", "tophat", "gaussian"]),
            default: Some("rolling-ball"),
            about: "rolling-ball as scikit-image, tophat: opening with a ball, gaussian: blurred image",
        },
        BORDER,
        CVAL,
    ],
    inputs: 1,
    example: "subtract-background radius=25",
    build: Build::Chain(build),
};

/// Standard deviations after which the Gaussian is cut off.
const TRUNCATE: f64 = 4.0;

fn build(args: &Args<'_>) -> Result<Vec<Stage>, ArgError> {
    let (border, dtype) = (args.border()?, args.input().dtype);
    let mut stages = match args.choice("method")? {
        "gaussian" => {
            let mut stages = Vec::new();
            let source = args.as_linear(&mut stages)?;
            let sigma: PerAxis<f64> = sigmas(args, "radius", TRUNCATE)?;
            stages.push(Stage {
                op: blurred(SPEC.name, &sigma, TRUNCATE, false, border),
                inputs: vec![source],
            });
            stages.push(Stage { op: ops::as_dtype(dtype), inputs: vec![From::Stage(stages.len() - 1)] });
            stages
        }
        "tophat" => opening_with_ball(radii(args)?, border, dtype),
        _ => {
            let radii = radii(args)?;
            let radius = radii.into_iter().fold(0.0, f64::max);
            if radii.iter().any(|&r| r > 0.0 && r != radius) {
                let text = args.text("radius").unwrap_or_default();
                return Err(args.wrong("radius", text, "one radius in voxels for all axes, or 0"));
            }
            let ball = RollingBall::of(SPEC.name, radius, radii.map(|r| r > 0.0), dtype);
            vec![Stage { op: ball, inputs: vec![From::Input(0)] }]
        }
    };
    let background = From::Stage(stages.len() - 1);
    stages.push(Stage { op: Difference::of(SPEC.name), inputs: vec![From::Input(0), background] });
    Ok(stages)
}

/// Radii of a ball along `z, y, x`.
fn radii(args: &Args<'_>) -> Result<[f64; 3], ArgError> {
    let [.., z, y, x] = args.lengths_px("radius")?;
    if [z, y, x].iter().map(|r| 2.0 * r.floor() + 1.0).product::<f64>() > BALL_LIMIT {
        let text = args.text("radius").unwrap_or_default();
        return Err(args.wrong("radius", text, format!("a ball of at most {BALL_LIMIT} voxels")));
    }
    Ok([z, y, x])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conforms;
    use crate::rank::testing::minus;
    use crate::testing::{Float, Image, meta, stages, steps};
    use voxtile_sched::dispatch;
    use voxtile_sched::model::{Axis, Dtype, Element, NDIM};

    /// Every voxel of the ball for every voxel of the image, as scikit-image has it; axes that `flat` names are left
    /// alone.
    fn rolled(image: &Image, radius: f64, flat: &[Axis]) -> Image {
        let (meta, reach) = (image.meta().clone(), radius.ceil() as i64);
        let along = |axis: Axis| {
            let reach = if meta.axes.contains(axis) && !flat.contains(&axis) { reach } else { 0 };
            -reach..=reach
        };
        let background = dispatch!(meta.dtype, T => Image::from_fn(meta.clone(), |p| {
            let mut lowest = f64::INFINITY;
            for z in along(Axis::Z) {
                for y in along(Axis::Y) {
                    for x in along(Axis::X) {
                        let square = (z * z + y * y + x * x) as f64;
                        let at: Vec<i64> = [0, 0, z, y, x].iter().zip(p).map(|(d, p)| d + p as i64).collect();
                        let inside = (0..NDIM).all(|a| (0..meta.shape[a] as i64).contains(&at[a]));
                        if square > radius * radius || !inside {
                            continue;
                        }
                        let value: T = image.at(std::array::from_fn(|a| at[a] as u64));
                        let (top, here) = (radius, (radius * radius - square).sqrt());
                        let value = if T::DTYPE == Dtype::F32 {
                            f64::from(value.to_f32() + (top as f32 - here as f32))
                        } else {
                            value.to_f64() + (top - here)
                        };
                        if value < lowest {
                            lowest = value;
                        }
                    }
                }
            }
            T::from_f64(if T::DTYPE.is_float() { lowest } else { lowest.trunc() })
        }));
        minus(image, &background)
    }

    /// Integers of 64 bits are not what f64 makes of them.
    const NARROW: &[Dtype] =
        &[Dtype::U8, Dtype::I8, Dtype::U16, Dtype::I16, Dtype::U32, Dtype::I32, Dtype::F32, Dtype::F64];

    conforms!(small: &SPEC, "subtract-background 2", |image| rolled(image, 2.0, &[]), dtypes(NARROW));
    conforms!(
        between: &SPEC, "subtract-background radius=3.4", |image| rolled(image, 3.4, &[]),
        dtypes(&[Dtype::U8, Dtype::I16, Dtype::F32])
    );
    conforms!(
        wide: &SPEC, "subtract-background radius=40", |image| rolled(image, 40.0, &[]),
        dtypes(&[Dtype::U8, Dtype::U16, Dtype::F32]), only(|meta| meta.axes.space().len() == 1)
    );
    conforms!(
        plane_by_plane: &SPEC, "subtract-background radius=4,4", |image| rolled(image, 4.0, &[Axis::Z]),
        dtypes(&[Dtype::U16, Dtype::F64]), only(|meta| meta.axes.space().len() == 3)
    );
    conforms!(
        tophat: &SPEC, "subtract-background radius=2 method=tophat border=mirror",
        |image| steps("tophat shape=ball radius=2 border=mirror", image)
    );
    conforms!(
        gaussian: &SPEC, "subtract-background radius=1.5 method=gaussian",
        |image| minus(image, &steps(&format!("gaussian 1.5 | cast {}", image.meta().dtype.name()), image))
    );

    /// Voxels at which the ball is lower than a sample can be high.
    #[test]
    fn a_ball_may_be_higher_than_the_samples() {
        let image = Image::from_fn(meta("x", &[700], Dtype::U8), |p| if p[4] == 350 { 0u8 } else { 255 });
        let got = steps("subtract-background 300", &image);
        got.assert_same(&rolled(&image, 300.0, &[]), Float::Exact, || "radius 300".to_owned());
    }

    #[test]
    fn a_ball_is_round_and_not_larger_than_a_limit() {
        let image = [meta("zyx", &[9, 9, 9], Dtype::U8)];
        let refused = |step| stages(&SPEC, step, &image).map(|_| ()).unwrap_err().to_string();
        assert_eq!(
            refused("subtract-background 2,3,3"),
            "`subtract-background`: `radius=2,3,3` is not one radius in voxels for all axes, or 0"
        );
        assert!(refused("subtract-background 1000").ends_with("is not a ball of at most 16777216 voxels"));
        assert!(stages(&SPEC, "subtract-background 2,3,3 method=tophat", &image).is_ok());
    }
}
