//! Linear change of the values: one range onto another.
//!
//! Any type → f32, same shape, every axis: `c + (x − a) · (d − c) / (b − a)` for `in=a,b out=c,d`, not clamped.
//! Computed in f64 (64-bit integers are rounded to it once) as a subtraction, one product with the quotient and one
//! sum, then rounded once — also with `dtype=`, which casts as `cast` does but without a stop at f32.
//! Cost: one read and one write; no scratch.

use crate::pointwise::{Sample, for_rows, from_f64};
use crate::spec::{ArgError, Args, Build, Param, Spec, Value};
use crate::vectorised;
use std::sync::Arc;
use voxtile_sched::contract::device::{Argument, Sweep};
use voxtile_sched::contract::{Footprint, Kernels, Op, Refused};
use voxtile_sched::dispatch;
use voxtile_sched::model::{Dtype, Element, Kind, Meta, Shape, Tile, TileMut};

/// `rescale in=0,4095 out=0,1`.
pub(super) static SPEC: Spec = Spec {
    name: "rescale",
    about: "linear change of the values: one range onto another, not clamped",
    params: &[
        Param { name: "in", value: Value::Numbers, default: None, about: "two input values: `0,4095`" },
        Param { name: "out", value: Value::Numbers, default: Some("0,1"), about: "what they become" },
        Param {
            name: "dtype",
            value: Value::Dtype,
            default: Some("f32"),
            about: "sample type of the result",
        },
    ],
    inputs: 1,
    example: "rescale in=0,4095 out=0,1",
    build: Build::One(|args| Ok(Arc::new(Rescale::new(args)?))),
};

struct Rescale {
    line: Line,
    to: Dtype,
}

/// `to + (x − from) · slope`.
#[derive(Clone, Copy)]
struct Line {
    from: f64,
    to: f64,
    slope: f64,
}

impl Rescale {
    fn new(args: &Args<'_>) -> Result<Self, ArgError> {
        let (a, b) = args.pair("in")?;
        let (c, d) = args.pair("out")?;
        let slope = (d - c) / (b - a);
        if !(slope.is_finite() && (b - a).is_finite()) {
            let text = args.text("in").unwrap_or_default();
            return Err(args.wrong("in", text, "two finite numbers that differ"));
        }
        Ok(Self { line: Line { from: a, to: c, slope }, to: args.dtype("dtype")? })
    }
}

vectorised! {
    fn to_line<T: Element>(line: Line, from: &[T], to: &mut [f64]) {
        for (to, from) in to.iter_mut().zip(from) {
            *to = (from.to_f64() - line.from) * line.slope + line.to;
        }
    }
}

vectorised! {
    fn round<U: Sample>(from: &[f64], to: &mut [U]) {
        for (to, &from) in to.iter_mut().zip(from) {
            *to = from_f64(from);
        }
    }
}

impl Rescale {
    /// A run of voxels, in parts that stay in the first-level cache. So the loops are compiled once for each type,
    /// not once for each pair of types.
    fn run(&self, dtype: Dtype, from: &[u8], to: &mut [u8]) {
        let mut values = [0f64; 512];
        let parts = to.chunks_mut(values.len() * self.to.size());
        for (from, to) in from.chunks(values.len() * dtype.size()).zip(parts) {
            let values = &mut values[..from.len() / dtype.size()];
            dispatch!(dtype, T => to_line::<T>(self.line, bytemuck::cast_slice(from), values));
            dispatch!(self.to, U => round::<U>(values, bytemuck::cast_slice_mut(to)));
        }
    }
}

impl Op for Rescale {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        Ok(inputs[0].with_dtype(self.to).with_kind(Kind::Image))
    }

    fn footprint(&self, _input: usize) -> Footprint {
        Footprint::Point
    }

    fn ns_per_voxel(&self) -> f64 {
        0.25
    }

    fn cpu(&self, inputs: &[Tile<'_>], mut output: TileMut<'_>, _scratch: &mut [u8]) {
        let input = &inputs[0];
        if let (Some(from), Some(to)) = (input.bytes(), output.bytes_mut()) {
            return self.run(input.dtype(), from, to);
        }
        for_rows(input.shape(), |t, c, z, y| {
            self.run(input.dtype(), input.row_bytes(t, c, z, y), output.row_bytes_mut(t, c, z, y));
        });
    }

    fn kernels(&self, inputs: &[Dtype], output: Dtype, _shape: &Shape) -> Option<Kernels> {
        let Line { from, to, slope } = self.line;
        let arguments = [from, slope, to].map(Argument::F64).to_vec();
        Some(Sweep::over(format!("rescale_{}_{output}", inputs[0]), arguments).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conforms;
    use crate::testing::{Image, meta, stages, steps};

    fn oracle(image: &Image, to: Dtype, line: impl Fn(f64) -> f64) -> Image {
        dispatch!(image.meta().dtype, T => dispatch!(to, U => image.map(|v: T| U::from_f64(line(v.to_f64())))))
    }

    conforms!(
        to_unit: &SPEC, "rescale in=0,4095 out=0,1",
        |image| oracle(image, Dtype::F32, |v| (v - 0.0) * (1.0 / 4095.0) + 0.0),
    );
    conforms!(
        falling: &SPEC, "rescale 10,20 out=5,-5",
        |image| oracle(image, Dtype::F32, |v| -(v - 10.0) + 5.0),
    );
    conforms!(to_bytes: &SPEC, "rescale in=100,300 out=0,255 dtype=u8", |image| {
        oracle(image, Dtype::U8, |v| (v - 100.0) * 1.275)
    });

    #[test]
    fn the_ends_go_where_they_are_sent_and_nothing_is_clamped() {
        let image = Image::of::<u16>("x", &[4], &[0, 100, 300, 400]);
        assert_eq!(steps("rescale in=100,300", &image).values::<f32>(), [-0.5, 0.0, 1.0, 1.5]);
    }

    #[test]
    fn a_range_without_extent_is_refused() {
        let image = meta("x", &[3], Dtype::U8);
        for text in
            ["rescale in=5,5", "rescale in=1", "rescale in=1,2,3", "rescale in=a,b", "rescale in=0,inf"]
        {
            assert!(stages(&SPEC, text, std::slice::from_ref(&image)).is_err(), "{text}");
        }
    }
}
