//! Mask of the tissue on a slide, found in an image of blocks and as large as the slide.
//!
//! Any sample type with red, green and blue along `c` → u8 mask without `c`. Means of blocks of `factor` voxels along the space
//! axes (f32, as `downsample out=f32`) become one number each, and the mask is 1 in blocks whose number is above a threshold,
//! found over all of them as `threshold` finds it, or given. The number is, with `by=`:
//! `saturation`: (largest − smallest) / largest of the three colours, 0 where the largest is not above 0: that of
//! `skimage.color.rgb2hsv`. Glass and gray shadows have little, whatever their brightness.
//! `absorbance`: mean of the three absorbances, as `absorbance white=` makes them. Also finds what is dark without a colour, as
//! ink and folds, and pale tissue better.
//! Blocks at the far edges hold the voxels that exist. Cost: one pass more over the slide. What is too small to be tissue,
//! and holes in it: `label min-size=`, `fill-holes`, `open` and `close` after it.

use super::automatic::{Method, NAMES};
use super::downsample::{block_means, factor};
use super::gray::single;
use super::resample::repeated;
use super::threshold::Threshold;
use crate::math;
use crate::pointwise::for_rows;
use crate::spec::{ArgError, Args, Build, From, Param, Spec, Stage, Value};
use crate::stains::{Block, COLOURS, WHITE, blocks, colours, share, white};
use crate::vectorised;
use std::f64::consts::LOG10_E;
use std::sync::Arc;
use voxtile_sched::contract::device::{Argument, Sweep};
use voxtile_sched::contract::{Footprint, Kernels, Op, Refused};
use voxtile_sched::model::{Axis, Dtype, Meta, NDIM, Shape, Tile, TileMut};

/// `tissue`.
pub(super) static SPEC: Spec = Spec {
    name: "tissue",
    about: "mask of the tissue on a slide, found in blocks of pixels",
    params: &[
        Param {
            name: "factor",
            value: Value::Size,
            default: Some("32"),
            about: "voxels per block along each space axis",
        },
        Param {
            name: "by",
            value: Value::Choice(&["saturation", "absorbance"]),
            default: Some("saturation"),
            about: "what tissue has more of than glass",
        },
        Param {
            name: "threshold",
            value: Value::NumberOr(&NAMES),
            default: Some("otsu"),
            about: "blocks above it are tissue; a name finds it over all blocks",
        },
        WHITE,
    ],
    inputs: 1,
    example: "tissue factor=16",
    build: Build::Chain(build),
};

fn build(args: &Args<'_>) -> Result<Vec<Stage>, ArgError> {
    let (factor, image) = (factor(args)?, args.input());
    let by = match args.choice("by")? {
        "absorbance" => By::Absorbance(white(args)?),
        _ => match args.text(WHITE.name) {
            Some(text) => return Err(args.wrong(WHITE.name, text, "a parameter of by=saturation")),
            None => By::Saturation,
        },
    };
    let blocks = single(image);
    let threshold = args.text("threshold").unwrap_or_default();
    let above: Arc<dyn Op> = match Method::from_name(threshold.trim()) {
        Some(method) => method.deferred(blocks.dtype),
        None => {
            let wanted = || format!("a number, or one of {}", NAMES.join(", "));
            let value = args.exact("threshold").map_err(|_| args.wrong("threshold", threshold, wanted()))?;
            Arc::new(Threshold { value })
        }
    };
    let ops = [block_means(factor), Arc::new(Measure { by }), above, repeated(factor, &blocks)];
    let from = |n: usize| n.checked_sub(1).map_or(From::Input(0), From::Stage);
    Ok(ops.into_iter().enumerate().map(|(n, op)| Stage { op, inputs: vec![from(n)] }).collect())
}

/// What is compared with the threshold.
#[derive(Clone, Copy)]
enum By {
    Saturation,
    /// Of that full light.
    Absorbance([f64; COLOURS]),
}

/// One number from three colours; f32 → f32.
struct Measure {
    by: By,
}

vectorised! {
    fn saturations(colours: &Block, to: &mut [f32]) {
        let [red, green, blue] = colours;
        for (((to, &red), &green), &blue) in to.iter_mut().zip(red).zip(green).zip(blue) {
            let most = if green > red { green } else { red };
            let most = if blue > most { blue } else { most };
            let least = if green < red { green } else { red };
            let least = if blue < least { blue } else { least };
            *to = if most > 0.0 { ((most - least) / most) as f32 } else { 0.0 };
        }
    }
}

vectorised! {
    fn absorbances(white: [f64; COLOURS], colours: &Block, to: &mut [f32]) {
        let [red, green, blue] = colours;
        for (((to, &red), &green), &blue) in to.iter_mut().zip(red).zip(green).zip(blue) {
            let [r, g, b] = [share(red, white[0]), share(green, white[1]), share(blue, white[2])];
            *to = (((math::ln(r) + math::ln(g)) + math::ln(b)) * (-LOG10_E / 3.0)) as f32;
        }
    }
}

impl Op for Measure {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        colours(&inputs[0])?;
        Ok(single(&inputs[0]))
    }

    fn footprint(&self, _input: usize) -> Footprint {
        let mut block = [1; NDIM];
        block[Axis::C.index()] = COLOURS as u64;
        Footprint::blocks(block)
    }

    fn ns_per_voxel(&self) -> f64 {
        match self.by {
            By::Saturation => 0.6,
            By::Absorbance(_) => 2.5,
        }
    }

    fn cpu(&self, inputs: &[Tile<'_>], mut output: TileMut<'_>, _scratch: &mut [u8]) {
        let (from, mut to) = (inputs[0].view::<f32>(), output.view::<f32>());
        let fill = |_: usize, from: &[f32], to: &mut [f64]| {
            to.iter_mut().zip(from).for_each(|(to, from)| *to = f64::from(*from));
        };
        for_rows(to.shape(), |t, _, z, y| {
            let rows = [0, 1, 2].map(|c| from.row(t, c, z, y));
            let to = to.row(t, 0, z, y);
            blocks(rows, fill, |range, colours| match self.by {
                By::Saturation => saturations(colours, &mut to[range]),
                By::Absorbance(white) => absorbances(white, colours, &mut to[range]),
            });
        });
    }

    fn kernels(&self, inputs: &[Dtype], _output: Dtype, _shape: &Shape) -> Option<Kernels> {
        let (by, white) = match self.by {
            By::Saturation => (0, [1.0; COLOURS]),
            By::Absorbance(white) => (1, white),
        };
        let arguments = [&[Argument::U32(by)], &white.map(Argument::F64)[..]].concat();
        Some(Sweep::over(format!("tissue_{}", inputs[0]), arguments).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conforms;
    use crate::testing::{Image, meta, stages, steps};
    use voxtile_sched::model::{Dtype, Kind, Spacing};

    /// Means of blocks, a number for each, its threshold, and for every voxel the answer of its block.
    fn oracle(image: &Image, factor: u64, threshold: &str, number: impl Fn([f64; 3]) -> f64) -> Image {
        let low = steps(&format!("downsample {factor} out=f32"), image);
        let numbers = Image::from_fn(single(low.meta()), |[t, _, z, y, x]| {
            number([0, 1, 2].map(|c| f64::from(low.at::<f32>([t, c, z, y, x])))) as f32
        });
        let mask = steps(&format!("threshold {threshold}"), &numbers);
        let meta = single(image.meta()).with_dtype(Dtype::U8).with_kind(Kind::Mask);
        Image::from_fn(meta, |[t, c, z, y, x]| mask.at::<u8>([t, c, z / factor, y / factor, x / factor]))
    }

    fn saturation(colours: [f64; 3]) -> f64 {
        let most = colours.into_iter().fold(f64::NEG_INFINITY, f64::max);
        let least = colours.into_iter().fold(f64::INFINITY, f64::min);
        if most > 0.0 { (most - least) / most } else { 0.0 }
    }

    fn colours(meta: &Meta) -> bool {
        meta.shape[1] >= 3
    }

    conforms!(
        saturated: &SPEC, "tissue factor=2", |image| oracle(image, 2, "otsu", saturation), only(colours),
        finite("which of NaN and a number is larger"),
    );
    conforms!(
        absorbing: &SPEC, "tissue 3 by=absorbance white=200 threshold=0.3",
        |image| oracle(image, 3, "0.3", |colours| {
            let logs = colours.map(|v| math::ln((v / 200.0).max(1e-6)));
            ((logs[0] + logs[1]) + logs[2]) * (-LOG10_E / 3.0)
        }),
        only(colours), finite("which of NaN and a number is larger"),
    );

    #[test]
    fn the_mask_lies_where_the_slide_does() {
        let mut slide = meta("cyx", &[3, 70, 90], Dtype::U8);
        let pixel = |origin| Some(Spacing { scale: 0.499, origin, unit: Some("micrometer".to_owned()) });
        (slide.spacing[3], slide.spacing[4]) = (pixel(7.0), pixel(-3.5));
        let mut made = vec![slide.clone()];
        for stage in stages(&SPEC, "tissue factor=30", &[slide.clone()]).unwrap() {
            made.push(stage.op.output(&made[made.len() - 1..]).unwrap());
        }
        let mask = made.pop().unwrap();
        assert_eq!((mask.dims(), mask.dtype, mask.kind), (vec![70, 90], Dtype::U8, Kind::Mask));
        assert_eq!(mask.spacing, slide.spacing);
    }

    #[test]
    fn arguments_without_a_meaning_and_images_without_colours_are_refused() {
        let image = [meta("cyx", &[3, 4, 5], Dtype::U8)];
        assert!(stages(&SPEC, "tissue white=200", &image).is_err());
        assert!(stages(&SPEC, "tissue threshold=much", &image).is_err());
        let gray = [meta("yx", &[4, 5], Dtype::U8)];
        let found = stages(&SPEC, "tissue", &gray).unwrap();
        let blocks = found[0].op.output(&gray).unwrap();
        assert!(matches!(found[1].op.output(&[blocks]), Err(Refused::Axis { axis: Axis::C, .. })));
    }
}
