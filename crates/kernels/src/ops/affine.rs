//! An image turned, sheared, moved and scaled by a matrix.
//!
//! Space axes of the image, two or three. Output voxel `o` takes the value at `matrix · o + offset` in the image, both in
//! voxels along z, y, x. `linear` gives f32, summed in f64; `nearest` keeps the type. Places before the first or after the
//! last voxel along any axis give `cval`. Equal to `scipy.ndimage.affine_transform` of order 1 or 0 with mode `constant`.
//! Pixel sizes are the lengths of the matrix's columns. Cost: about 10 ns per voxel; a tile reads the box around its places.

use crate::affine::{Affine, with_space};
use crate::sampling::Method;
use crate::spec::{ArgError, Args, Build, CVAL, Param, Spec, Value};
use std::sync::Arc;
use voxtile_sched::dispatch;
use voxtile_sched::model::{Axis, Element};

/// `affine matrix=…`.
pub(super) static SPEC: Spec = Spec {
    name: "affine",
    about: "turned, sheared, moved and scaled by a matrix",
    params: &[
        Param {
            name: "matrix",
            value: Value::Numbers,
            default: None,
            about: "rows of the matrix from places of the result to places of the image",
        },
        Param {
            name: "offset",
            value: Value::Numbers,
            default: Some(""),
            about: "added to the place, in voxels",
        },
        Param {
            name: "shape",
            value: Value::Size,
            default: Some(""),
            about: "voxels of the result; the image's if not given",
        },
        METHOD,
        CVAL,
    ],
    inputs: 1,
    example: "affine matrix=1,0,0,0,0.9,-0.2,0,0.2,0.9 offset=0,4,-8",
    build: Build::One(|args| Ok(Arc::new(affine(args)?))),
};

/// How values between voxels are found.
pub(super) const METHOD: Param = Param {
    name: "method",
    value: Value::Choice(&["nearest", "linear"]),
    default: Some("linear"),
    about: "how values between voxels are found; labels need `nearest`",
};

/// The method of a step, if its outside is a value of the result.
pub(super) fn method(args: &Args<'_>) -> Result<(Method, f64), ArgError> {
    let cval = args.number("cval")?;
    if args.choice("method")? == "linear" {
        return Ok((Method::Linear, cval));
    }
    let dtype = args.input().dtype;
    let kept = dispatch!(dtype, T => T::from_f64(cval).to_f64());
    if !dtype.is_float() && kept != cval {
        return Err(args.wrong(
            "cval",
            args.text("cval").unwrap_or_default(),
            format!("a value of a {dtype} image"),
        ));
    }
    Ok((Method::Nearest, cval))
}

/// Voxels along an axis that no image has.
const MOST: u64 = 1_000_000_000;

fn affine(args: &Args<'_>) -> Result<Affine, ArgError> {
    let meta = args.input();
    let axes: Vec<usize> = meta.axes.space().iter().map(|axis| axis.index() - Axis::Z.index()).collect();
    let numbers = args.numbers("matrix", axes.len() * axes.len())?;
    let shifts = match args.text("offset") {
        None => vec![0.0; axes.len()],
        Some(_) => args.numbers("offset", axes.len())?,
    };
    if let Some(param) =
        [("matrix", &numbers), ("offset", &shifts)].iter().find(|p| p.1.iter().any(|v| !v.is_finite()))
    {
        return Err(args.wrong(param.0, args.text(param.0).unwrap_or_default(), "finite numbers"));
    }
    // An axis that the image lacks stays where it is.
    let (mut matrix, mut offset) = ([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], [0.0; 3]);
    for (i, &a) in axes.iter().enumerate() {
        offset[a] = shifts[i];
        for (j, &b) in axes.iter().enumerate() {
            matrix[a][b] = numbers[i * axes.len() + j];
        }
    }
    let mut output = meta.shape;
    if args.text("shape").is_some() {
        let (given, sizes) = (args.space_list("shape")?, args.sizes_px("shape")?);
        if sizes.iter().any(|n| *n > MOST) {
            let wanted = format!("at most {MOST} voxels along each axis");
            return Err(args.wrong("shape", args.text("shape").unwrap_or_default(), wanted));
        }
        (0..output.len()).filter(|&a| given[a].is_some()).for_each(|a| output[a] = sizes[a]);
    }
    let (method, cval) = method(args)?;
    let output = with_space(&meta.shape, [output[2], output[3], output[4]]);
    Ok(Affine { name: SPEC.name, matrix, offset, input: meta.shape, output, method, cval })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conforms;
    use crate::testing::{Image, meta, stages, steps};
    use voxtile_sched::model::{Dtype, Meta, Spacing};

    /// Every voxel on its own: its place, the voxels around it, their weights.
    fn oracle(
        image: &Image,
        matrix: [[f64; 3]; 3],
        offset: [f64; 3],
        shape: [u64; 3],
        linear: bool,
        cval: f64,
    ) -> Image {
        let full = image.meta().shape;
        let meta = Meta { shape: with_space(&full, shape), ..image.meta().clone() };
        let place = |at: [u64; 5]| -> Option<[f64; 3]> {
            let place: [f64; 3] = std::array::from_fn(|a| {
                (0..3).fold(offset[a], |sum, b| sum + at[2 + b] as f64 * matrix[a][b])
            });
            (0..3).all(|a| place[a] >= 0.0 && place[a] <= full[2 + a] as f64 - 1.0).then_some(place)
        };
        if !linear {
            return dispatch!(meta.dtype, T => Image::from_fn(meta, |at| match place(at) {
                None => T::from_f64(cval),
                Some(place) => {
                    let mut from = at;
                    (0..3).for_each(|a| from[2 + a] = (place[a] + 0.5).floor() as u64);
                    image.at::<T>(from)
                }
            }));
        }
        dispatch!(image.meta().dtype, T => Image::from_fn(meta.with_dtype(Dtype::F32), |at| {
            let Some(place) = place(at) else { return cval as f32 };
            let value = |k: [u64; 3]| {
                let mut from = at;
                (0..3).for_each(|a| from[2 + a] = k[a].min(full[2 + a] - 1));
                image.at::<T>(from).to_f64()
            };
            let [z, y, x] = place.map(|p| p.floor() as u64);
            let [rz, ry, rx] = place.map(|p| p - p.floor());
            let row = |z, y| value([z, y, x]) * (1.0 - rx) + value([z, y, x + 1]) * rx;
            let plane = |z| row(z, y) * (1.0 - ry) + row(z, y + 1) * ry;
            (plane(z) * (1.0 - rz) + plane(z + 1) * rz) as f32
        }))
    }

    fn volume(m: &Meta) -> bool {
        m.axes.space().len() == 3
    }

    fn plane(m: &Meta) -> bool {
        m.axes.space().len() == 2 && m.axes.contains(Axis::Y)
    }

    const TURNED: [[f64; 3]; 3] = [[0.9, -0.3, 0.1], [0.2, 0.8, -0.25], [0.05, 0.3, 1.1]];
    const PLANE: [[f64; 3]; 3] = [[1.0, 0.0, 0.0], [0.0, 0.7, -0.4], [0.0, 0.5, 0.75]];

    conforms!(
        turned: &SPEC, "affine 0.9,-0.3,0.1,0.2,0.8,-0.25,0.05,0.3,1.1 offset=0.5,-1,0.25 shape=5,6,9 cval=7",
        |image| oracle(image, TURNED, [0.5, -1.0, 0.25], [5, 6, 9], true, 7.0), only(volume),
        finite("a voxel of no weight is left out where the oracle multiplies by 0"),
    );
    conforms!(
        nearest: &SPEC, "affine 0.9,-0.3,0.1,0.2,0.8,-0.25,0.05,0.3,1.1 offset=0.5,-1,0.25 method=nearest cval=1",
        |image| {
            let [.., z, y, x] = image.meta().shape;
            oracle(image, TURNED, [0.5, -1.0, 0.25], [z, y, x], false, 1.0)
        },
        only(volume),
    );
    conforms!(
        planes: &SPEC, "affine 0.7,-0.4,0.5,0.75 offset=3,-2",
        |image| {
            let [.., z, y, x] = image.meta().shape;
            oracle(image, PLANE, [0.0, 3.0, -2.0], [z, y, x], true, 0.0)
        },
        only(plane), finite("a voxel of no weight is left out where the oracle multiplies by 0"),
    );

    #[test]
    fn whole_steps_move_voxels_unchanged() {
        let image = Image::noise("yx", &[9, 12], Dtype::F32, 2);
        let moved = steps("affine 0,1,1,0 shape=12,9", &image);
        let turned = steps("transpose", &image);
        assert_eq!(moved.values::<f32>(), turned.values::<f32>());
    }

    #[test]
    fn pixel_sizes_are_those_of_the_columns_and_other_matrices_are_refused() {
        let mut image = meta("yx", &[9, 12], Dtype::U8);
        let spacing = |scale| Some(Spacing { scale, origin: 0.0, unit: Some("micrometer".into()) });
        (image.spacing[3], image.spacing[4]) = (spacing(2.0), spacing(0.5));
        let image = std::slice::from_ref(&image);
        let made = stages(&SPEC, "affine 1,0,4,2", image).unwrap()[0].op.output(image).unwrap();
        assert_eq!(made.spacing[3].as_ref().unwrap().scale, 8f64.sqrt());
        assert_eq!(made.spacing[4].as_ref().unwrap().scale, 1.0);
        for text in [
            "affine 1,0,0",
            "affine 1,0,0,inf",
            "affine 1,0,0,1 offset=1",
            "affine 1,0,0,1 method=nearest cval=0.5",
        ] {
            assert!(stages(&SPEC, text, image).is_err(), "{text}");
        }
    }
}
