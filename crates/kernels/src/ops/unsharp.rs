//! Unsharp mask: the image plus what a blur takes away.
//!
//! Any sample type → f32, same shape; acts on the space axes present: `image + amount · (image - blurred)`, not clamped.
//! σ in voxels or physical units, one or per axis. A filter and a sum. Cost: that of a `gaussian` and 0.2 ns per voxel.
//!
//! Bit-equal to `skimage.filters.unsharp_mask(image.astype(float32), radius=sigma, amount=amount,
//! preserve_range=True)`: f32, each operation rounded. We differ as `gaussian` does.

use crate::conv::{Join, Joining, SIGMA, blurred, join, sigmas};
use crate::spec::{ArgError, Args, BORDER, Build, CVAL, From, Param, Spec, Stage, Value};
use voxtile_sched::contract::device::Argument;

/// The table's entry.
pub(crate) static SPEC: Spec = Spec {
    name: "unsharp",
    about: "Sharpen: the image plus what a Gaussian blur takes away",
    params: &[
        SIGMA,
        Param {
            name: "amount",
            value: Value::Number,
            default: Some("1"),
            about: "how much of it is added; below 0 blurs",
        },
        BORDER,
        CVAL,
    ],
    inputs: 1,
    example: "unsharp sigma=2 amount=1.5",
    build: Build::Chain(build),
};

/// Where scikit-image cuts the Gaussian.
const TRUNCATE: f64 = 4.0;

fn build(args: &Args<'_>) -> Result<Vec<Stage>, ArgError> {
    let sigma = sigmas(args, SIGMA.name, TRUNCATE)?;
    let amount = args.finite("amount")?;
    let mut stages = Vec::new();
    let source = args.as_linear(&mut stages)?;
    let op = blurred(SPEC.name, &sigma, TRUNCATE, false, args.border()?);
    stages.push(Stage { op, inputs: vec![source] });
    let inputs = vec![From::Input(0), From::Stage(stages.len() - 1)];
    stages.push(Stage { op: join(SPEC.name, Sharpen { amount: amount as f32 }), inputs });
    Ok(stages)
}

#[derive(Clone, Copy)]
struct Sharpen {
    amount: f32,
}

impl Join for Sharpen {
    type Output = f32;

    #[inline(always)]
    fn at(self, image: f32, blurred: f32, _: f32) -> f32 {
        image + (image - blurred) * self.amount
    }

    fn kernel(self, images: usize) -> Joining {
        let arguments = vec![Argument::F64(f64::from(self.amount))];
        Joining { family: "sharpen", images, arguments }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conforms;
    use crate::testing::{Image, meta, stages, steps};
    use voxtile_sched::dispatch;
    use voxtile_sched::model::{Dtype, Element};

    /// The blur, which has an oracle of its own, and the sum.
    fn oracle(image: &Image, blur: &str, amount: f32) -> Image {
        let blurred = steps(blur, image);
        Image::from_fn(blurred.meta().clone(), |at| {
            let value = dispatch!(image.meta().dtype, T => image.at::<T>(at).to_f32());
            let less = value - blurred.at::<f32>(at);
            value + less * amount
        })
    }

    conforms!(once: &SPEC, "unsharp 0.9", |image| oracle(image, "gaussian 0.9", 1.0));
    conforms!(
        more: &SPEC, "unsharp 1.2 amount=2.3 border=wrap",
        |image| oracle(image, "gaussian 1.2 border=wrap", 2.3),
    );

    #[test]
    fn an_amount_is_one_finite_number() {
        for text in ["unsharp 1 amount=inf", "unsharp 1 amount=1,2", "unsharp 1 amount=much"] {
            assert!(stages(&SPEC, text, &[meta("yx", &[5, 5], Dtype::U8)]).is_err(), "{text}");
        }
    }
}
