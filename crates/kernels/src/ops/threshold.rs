//! Mask of the voxels above a value, or above a threshold of their neighbourhood.
//!
//! Any type → u8 mask of the same shape, every axis: 1 where input **>** value, else 0; NaN is not above anything. The
//! comparison is exact in every type: values between integers, beyond the type's range or larger than 2^53 do what
//! the mathematics says. The value is a number, or found in the whole image first: `automatic.rs` says how. Cost: one read and
//! one write, one read more where the value is found; no scratch.
//!
//! `threshold local` compares each voxel, rounded to f32, with a level of the window around it, of `size` voxels along the
//! space axes: `gaussian` with `gaussian sigma=(size - 1)/6` less `offset`, `mean` with `mean size` less `offset`; masks
//! are those of `skimage.filters.threshold_local(image.astype(float32), size, method, offset)`. `niblack` with `m - k s`,
//! `sauvola` with `m (1 + k (s / r - 1))`, of the window's mean m and standard deviation s in f64; masks are those of
//! `threshold_niblack` and `threshold_sauvola` with border=mirror, except where a voxel is as near to its level as the
//! rounding of their sums.

use super::automatic::{Method, NAMES};
use crate::conv::{LOCAL, above_local};
use crate::pointwise::{Point, Sample, map};
use crate::spec::{ArgError, Args, BORDER, Build, CVAL, From, Number, Param, Spec, Stage, Value};
use std::sync::Arc;
use voxtile_sched::contract::device::{Argument, Sweep};
use voxtile_sched::contract::{Footprint, Kernels, Op, Refused};
use voxtile_sched::dispatch;
use voxtile_sched::model::{Dtype, Kind, Meta, Shape, Tile, TileMut};

/// `threshold 900`.
pub(super) static SPEC: Spec = Spec {
    name: "threshold",
    about: "mask of the voxels above a value",
    params: &{
        let [method, size, sigma, offset, k, r] = LOCAL;
        [VALUE, PERCENTILE, method, size, sigma, offset, k, r, BORDER, CVAL]
    },
    inputs: 1,
    example: "threshold 900",
    build: Build::Chain(build),
};

const WORDS: [&str; NAMES.len() + 1] = {
    let [a, b, c, d, e, f] = NAMES;
    [a, b, c, d, e, f, "local"]
};

const VALUE: Param = Param {
    name: "value",
    value: Value::NumberOr(&WORDS),
    default: Some(""),
    about: "the mask is 1 where the input is greater; a name finds the value in the whole image, local around each voxel",
};

const PERCENTILE: Param = Param {
    name: "percentile",
    value: Value::Number,
    default: Some(""),
    about: "0 to 100, instead of a value: that percentile of the whole image",
};

fn build(args: &Args<'_>) -> Result<Vec<Stage>, ArgError> {
    let value = args.text("value").map(str::trim);
    if let (Some(text), Some(_)) = (value, args.text("percentile")) {
        return Err(args.wrong("value", text, "allowed beside `percentile`"));
    }
    if value == Some("local") {
        return above_local(SPEC.name, args);
    }
    for param in LOCAL.map(|p| p.name) {
        if let Some(text) = args.text(param) {
            return Err(args.wrong(param, text, "a parameter without `threshold local`"));
        }
    }
    let method = match args.text("percentile") {
        Some(text) => match args.number("percentile")? {
            percent if (0.0..=100.0).contains(&percent) => Some(Method::Percentile(percent)),
            _ => return Err(args.wrong("percentile", text, "a number from 0 to 100")),
        },
        None => value.and_then(Method::from_name),
    };
    let op: Arc<dyn Op> = match method {
        Some(method) => method.deferred(args.input().dtype),
        None => {
            let words =
                |text: &str| args.wrong("value", text, format!("a number, or one of {}", WORDS.join(", ")));
            let value = args.exact("value").map_err(|e| value.map_or(e, words))?;
            Arc::new(Threshold { value })
        }
    };
    Ok(vec![Stage { op, inputs: vec![From::Input(0)] }])
}

pub(super) struct Threshold {
    pub(super) value: Number,
}

/// `x >= bound`, or nothing at all.
#[derive(Clone, Copy)]
struct AtLeast<T>(T);

#[derive(Clone, Copy)]
struct Above<T>(T);

#[derive(Clone, Copy)]
struct Never;

impl<T: Sample> Point<T, u8> for AtLeast<T> {
    #[inline(always)]
    fn at(self, value: T) -> u8 {
        u8::from(value >= self.0)
    }
}

impl<T: Sample> Point<T, u8> for Above<T> {
    #[inline(always)]
    fn at(self, value: T) -> u8 {
        u8::from(value > self.0)
    }
}

impl<T: Sample> Point<T, u8> for Never {
    #[inline(always)]
    fn at(self, _value: T) -> u8 {
        0
    }
}

/// What a sample is compared with. An integer is above `v` where it is at least ⌊v⌋ + 1; a float is above `v` where it
/// is above the largest number of its type that is not above `v`.
enum Bound<T> {
    AtLeast(T),
    Above(T),
    Never,
}

fn bound<T: Sample>(value: Number) -> Bound<T> {
    match T::DTYPE {
        Dtype::F32 => Bound::Above(T::from_word(u64::from(value.floor_f32().to_bits()))),
        Dtype::F64 => Bound::Above(T::from_word(value.floor_f64().to_bits())),
        _ => match value.floor().saturating_add(1).max(T::LOWEST.to_i128()) {
            bound if bound > T::HIGHEST.to_i128() => Bound::Never,
            bound => Bound::AtLeast(T::from_word(bound as u64)),
        },
    }
}

/// The mask of one tile.
fn mask<T: Sample>(value: Number, input: &Tile<'_>, output: TileMut<'_>) {
    match bound::<T>(value) {
        Bound::AtLeast(bound) => map::<T, u8>(AtLeast(bound), input, output),
        Bound::Above(bound) => map::<T, u8>(Above(bound), input, output),
        Bound::Never => map::<T, u8>(Never, input, output),
    }
}

impl Op for Threshold {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn output(&self, inputs: &[Meta]) -> Result<Meta, Refused> {
        Ok(inputs[0].with_dtype(Dtype::U8).with_kind(Kind::Mask))
    }

    fn footprint(&self, _input: usize) -> Footprint {
        Footprint::Point
    }

    fn ns_per_voxel(&self) -> f64 {
        0.06
    }

    fn cpu(&self, inputs: &[Tile<'_>], output: TileMut<'_>, _scratch: &mut [u8]) {
        dispatch!(inputs[0].dtype(), T => mask::<T>(self.value, &inputs[0], output));
    }

    fn kernels(&self, inputs: &[Dtype], _output: Dtype, _shape: &Shape) -> Option<Kernels> {
        let (word, rule) = dispatch!(inputs[0], T => match bound::<T>(self.value) {
            Bound::AtLeast(bound) => (bound.to_word(), 0),
            Bound::Above(bound) => (bound.to_word(), 1),
            Bound::Never => (0, 2),
        });
        let arguments = vec![Argument::U64(word), Argument::U32(rule)];
        Some(Sweep::over(format!("threshold_{}", inputs[0]), arguments).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conforms;
    use crate::conv::moments::tests::{along, windows};
    use crate::testing::{Image, meta, stages, steps};
    use voxtile_sched::model::{Border, Element};

    /// Integers in `i128` against the value's floor, floats in `f64`.
    fn oracle(image: &Image, value: f64) -> Image {
        dispatch!(image.meta().dtype, T => image.map(|v: T| {
            u8::from(if T::DTYPE.is_float() { v.to_f64() > value } else { v.to_i128() > value.floor() as i128 })
        }))
    }

    conforms!(zero: &SPEC, "threshold 0", |image| oracle(image, 0.0));
    conforms!(below_unsigned: &SPEC, "threshold value=-1", |image| oracle(image, -1.0));
    conforms!(between_integers: &SPEC, "threshold 1.5", |image| oracle(image, 1.5));
    conforms!(between_floats: &SPEC, "threshold 0.3", |image| oracle(image, 0.3));
    conforms!(highest_of_u8: &SPEC, "threshold 255", |image| oracle(image, 255.0));
    conforms!(beyond_all_integers: &SPEC, "threshold 1e29", |image| oracle(image, 1e29));
    conforms!(below_all_integers: &SPEC, "threshold -1e300", |image| oracle(image, -1e300));
    conforms!(infinite: &SPEC, "threshold -inf", |image| oracle(image, f64::NEG_INFINITY));

    #[test]
    fn large_integers_are_compared_exactly() {
        let image = Image::of::<u64>("x", &[3], &[(1 << 53) + 1, (1 << 53) + 2, u64::MAX]);
        assert_eq!(steps("threshold 9007199254740993", &image).values::<u8>(), [0, 1, 1]);
        assert_eq!(steps("threshold 18446744073709551614", &image).values::<u8>(), [0, 0, 1]);
        assert_eq!(steps("threshold 18446744073709551615", &image).values::<u8>(), [0, 0, 0]);
        let image = Image::of::<i64>("x", &[2], &[i64::MIN, i64::MIN + 1]);
        assert_eq!(steps("threshold -9223372036854775808", &image).values::<u8>(), [0, 1]);
        // 2^53 + 1 is no f64: the double 2^53 is not above it, the next double is.
        let image = Image::of::<f64>("x", &[2], &[9_007_199_254_740_992.0, 9_007_199_254_740_994.0]);
        assert_eq!(steps("threshold 9007199254740993", &image).values::<u8>(), [0, 1]);
    }

    #[test]
    fn nan_is_not_above_anything_and_the_result_is_a_mask() {
        let image = Image::of::<f32>("x", &[3], &[f32::NAN, f32::INFINITY, -1.0]);
        let mask = steps("threshold -2", &image);
        assert_eq!(mask.values::<u8>(), [0, 1, 1]);
        assert_eq!(mask.meta().kind, Kind::Mask);
    }

    /// Results that have an oracle of their own, and the comparison.
    fn against(image: &Image, filter: &str, offset: f32) -> Image {
        let level = steps(filter, image);
        Image::from_fn(image.meta().with_dtype(Dtype::U8), |at| {
            let voxel = dispatch!(image.meta().dtype, T => image.at::<T>(at).to_f32());
            u8::from(voxel > level.at::<f32>(at) - offset)
        })
    }

    conforms!(
        local_gaussian: &SPEC, "threshold local size=5 offset=3",
        |image| against(image, &format!("gaussian {}", 4.0 / 6.0), 3.0),
    );
    conforms!(
        local_gaussian_of_its_own_width: &SPEC, "threshold local size=5 sigma=1 border=nearest",
        |image| against(image, "gaussian 1 border=nearest", 0.0),
    );
    conforms!(
        local_mean: &SPEC, "threshold local method=mean size=3 offset=-0.5 border=constant cval=0.5",
        |image| against(image, "mean 3 border=constant cval=0.5", -0.5),
    );

    /// Integers whose sums are exact, so that no voxel is as near to its level as the rounding.
    const SMALL: [Dtype; 4] = [Dtype::U8, Dtype::I8, Dtype::U16, Dtype::I16];
    conforms!(
        niblack: &SPEC, "threshold local method=niblack size=3 k=0.3 border=mirror",
        |image| windows(image, along(image, 3), Border::Mirror, |v, m, s2| u8::from(v > m - 0.3 * s2.sqrt())),
        dtypes(&SMALL),
    );
    conforms!(
        sauvola: &SPEC, "threshold local method=sauvola size=4 r=50",
        |image| windows(image, along(image, 4), Border::Reflect, |v, m, s2| {
            u8::from(v > m * (1.0 + 0.2 * (s2.sqrt() / 50.0 - 1.0)))
        }),
        dtypes(&SMALL),
    );

    #[test]
    fn parameters_without_a_meaning_are_refused() {
        let image = [meta("yx", &[9, 9], Dtype::U8)];
        for (text, wanted) in [
            ("threshold 9 size=3", "`threshold`: `size=3` is not a parameter without `threshold local`"),
            ("threshold local", "`threshold` needs `size`"),
            ("threshold local size=3 k=1", "`threshold`: `k=1` is not a parameter of method=gaussian"),
            ("threshold local size=3 offset=inf", "`threshold`: `offset=inf` is not a finite number"),
        ] {
            assert_eq!(stages(&SPEC, text, &image).err().unwrap().to_string(), wanted);
        }
    }
}
