//! An image within a mask.
//!
//! `on=IMAGE,MASK`: the voxel of IMAGE where MASK is not 0, else `outside`. Any sample types, IMAGE's is kept; both are of
//! one shape. NaN is not 0. Equal to `numpy.where(mask, image, outside)`. Cost: two reads and one write; no scratch.

use crate::choice::{Else, decided, fill};
use crate::device::sweep;
use crate::pointwise::{Parts, Sample, same_shape};
use crate::spec::{Build, Number, Param, Spec, Value};
use std::sync::Arc;
use voxtile_sched::contract::device::{Argument, Slot};
use voxtile_sched::contract::{Footprint, Kernels, Op, Refused};
use voxtile_sched::dispatch;
use voxtile_sched::model::{Dtype, Element, Meta, Shape, Tile, TileMut};

/// `mask on=IMAGE,MASK`.
pub(super) static SPEC: Spec = Spec {
    name: "mask",
    about: "an image within a mask, a value outside: on=IMAGE,MASK",
    params: &[Param {
        name: "outside",
        value: Value::Number,
        default: Some("0"),
        about: "value where the mask is 0",
    }],
    inputs: 2,
    example: "threshold 900 as bright | mask on=input,bright",
    build: Build::One(|args| Ok(Arc::new(Within { outside: args.exact("outside")? }))),
};

struct Within {
    outside: Number,
}

impl Within {
    /// The value outside, if the type holds it; floats round it.
    fn outside<T: Sample>(&self) -> Option<T> {
        if T::DTYPE.is_float() {
            return Some(T::from_f64(self.outside.to_f64()));
        }
        let whole = self.outside.floor();
        let held =
            whole == self.outside.ceil() && (T::LOWEST.to_i128()..=T::HIGHEST.to_i128()).contains(&whole);
        held.then(|| T::from_word(whole as u64))
    }
}

impl Op for Within {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        same_shape(inputs)?;
        dispatch!(inputs[0].dtype, T => match self.outside::<T>() {
            Some(_) => Ok(inputs[0].clone()),
            None => Err(Refused::Param {
                param: "outside",
                why: format!("{} is no value of a {} image", self.outside, T::DTYPE),
            }),
        })
    }

    fn footprint(&self, _input: usize) -> Footprint {
        Footprint::Point
    }

    fn ns_per_voxel(&self) -> f64 {
        0.15
    }

    fn cpu(&self, inputs: &[Tile<'_>], output: TileMut<'_>, _scratch: &mut [u8]) {
        let parts = Parts::of(inputs, &output);
        dispatch!(output.dtype(), T => {
            let outside = self.outside().unwrap_or_default();
            fill::<T>(&parts, &inputs[1], inputs[0].view(), Else::Value(outside), output);
        });
    }

    fn kernels(&self, inputs: &[Dtype], output: Dtype, shape: &Shape) -> Option<Kernels> {
        let mut kernels = Kernels::default();
        let which = decided(inputs[1], 1, shape, &mut kernels);
        let outside = dispatch!(output, T => self.outside::<T>().unwrap_or_default().to_word());
        let from = vec![Slot::Input(0), which];
        let kernel = format!("keep_{}", output.size());
        kernels.sweeps.push(sweep(kernel, from, Slot::Output, vec![Argument::U64(outside)]));
        Some(kernels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conforms;
    use crate::testing::{Image, meta, stages};
    use voxtile_sched::model::Dtype;

    fn oracle(images: &[Image], outside: f64) -> Image {
        dispatch!(images[0].meta().dtype, T => Image::from_fn(images[0].meta().clone(), |at| {
            let inside = dispatch!(images[1].meta().dtype, M => images[1].at::<M>(at).to_f64()) != 0.0;
            if inside { images[0].at::<T>(at) } else { T::from_f64(outside) }
        }))
    }

    conforms!(zero_outside: &SPEC, "mask", all |images| oracle(images, 0.0));
    conforms!(another_outside: &SPEC, "mask outside=100", all |images| oracle(images, 100.0));

    #[test]
    fn a_value_that_the_image_cannot_hold_is_refused() {
        let metas = [meta("x", &[3], Dtype::U8), meta("x", &[3], Dtype::U16)];
        for (text, taken) in
            [("mask outside=255", true), ("mask outside=256", false), ("mask outside=0.5", false)]
        {
            let stages = stages(&SPEC, text, &metas).unwrap();
            assert_eq!(stages[0].op.output(&metas).is_ok(), taken, "{text}");
        }
    }
}
