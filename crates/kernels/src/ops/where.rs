//! Voxels of one image or of another, as a third decides.
//!
//! `on=WHICH,A,B`: the voxel of A where WHICH is not 0, else that of B. WHICH is of any sample type, A and B are of one
//! type, which is kept; all three are of one shape. NaN is not 0. Equal to `numpy.where`. Cost: three reads and one
//! write; no scratch.

use crate::choice::{Else, decided, fill};
use crate::device::sweep;
use crate::pointwise::{Parts, same_dtype, same_shape};
use crate::spec::{Build, Spec};
use std::sync::Arc;
use voxtile_sched::contract::device::Slot;
use voxtile_sched::contract::{Footprint, Kernels, Op, Refused};
use voxtile_sched::dispatch;
use voxtile_sched::model::{Dtype, Meta, Shape, Tile, TileMut};

/// `where on=WHICH,A,B`.
pub(super) static SPEC: Spec = Spec {
    name: "where",
    about: "one image where another is not 0, elsewhere a third: on=WHICH,A,B",
    params: &[],
    inputs: 3,
    example: "median 3 as smooth | threshold 900 as bright | where on=bright,input,smooth",
    build: Build::One(|_| Ok(Arc::new(Where))),
};

struct Where;

impl Op for Where {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        same_shape(inputs)?;
        same_dtype(&inputs[1..])?;
        Ok(inputs[1].clone())
    }

    fn footprint(&self, _input: usize) -> Footprint {
        Footprint::Point
    }

    fn ns_per_voxel(&self) -> f64 {
        0.2
    }

    fn cpu(&self, inputs: &[Tile<'_>], output: TileMut<'_>, _scratch: &mut [u8]) {
        let parts = Parts::of(inputs, &output);
        dispatch!(output.dtype(), T => {
            fill::<T>(&parts, &inputs[0], inputs[1].view(), Else::Tile(inputs[2].view()), output);
        });
    }

    fn kernels(&self, inputs: &[Dtype], output: Dtype, shape: &Shape) -> Option<Kernels> {
        let mut kernels = Kernels::default();
        let which = decided(inputs[0], 0, shape, &mut kernels);
        let from = vec![Slot::Input(1), Slot::Input(2), which];
        kernels.sweeps.push(sweep(format!("choose_{}", output.size()), from, Slot::Output, Vec::new()));
        Some(kernels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conforms;
    use crate::testing::{Image, WHOLE, meta, run};
    use voxtile_sched::model::{Dtype, Element};

    fn oracle(images: &[Image]) -> Image {
        dispatch!(images[1].meta().dtype, T => Image::from_fn(images[1].meta().clone(), |at| {
            let which = dispatch!(images[0].meta().dtype, W => images[0].at::<W>(at).to_f64());
            images[if which == 0.0 { 2 } else { 1 }].at::<T>(at)
        }))
    }

    conforms!(three_images: &SPEC, "where", all |images| oracle(images));

    #[test]
    fn nan_and_numbers_below_one_are_true_and_zeros_of_both_signs_are_not() {
        let which = Image::of::<f32>("x", &[4], &[f32::NAN, 0.1, 0.0, -0.0]);
        let (a, b) = (Image::of::<u8>("x", &[4], &[1; 4]), Image::of::<u8>("x", &[4], &[2; 4]));
        assert_eq!(run(&Where, &[&which, &a, &b], WHOLE).values::<u8>(), [1, 1, 2, 2]);
    }

    #[test]
    fn images_that_do_not_fit_together_are_refused() {
        let image = |n, dtype| meta("x", &[n], dtype);
        let refused = |b: Meta| Where.output(&[image(3, Dtype::F64), image(3, Dtype::U8), b]);
        assert!(refused(image(3, Dtype::U8)).is_ok());
        assert!(matches!(refused(image(4, Dtype::U8)), Err(Refused::Shapes { .. })));
        assert!(matches!(refused(image(3, Dtype::I8)), Err(Refused::Dtype { .. })));
    }
}
