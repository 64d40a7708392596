//! The colours of a stained slide as those of another: what two laboratories made of one tissue looks alike.
//!
//! Any sample type with red, green and blue along `c`, kept: rounded half to even, saturated; further channels stay. What the
//! slide's colours are is found in the whole image, over the pixels whose absorbance is at least `beta` in every channel and
//! in none as high as 6, so that glass and black do not count; all pixels are changed. `white` is full light as for
//! `absorbance`. Methods:
//!
//! `macenko`: two stains are found as `stain macenko` finds them (Macenko et al. 2009), and the strength of each, the 99th
//! percentile of its absorbance over the pixels that count. Amounts, below 0 too, are scaled to the target's strengths and
//! mixed with its vectors; what the two stains leave is dropped: `white · 10^-(Σ amount · strength'/strength · vector')`. `target=`
//! has eight numbers: red, green and blue absorbance of two stains and their strengths, in powers of ten. If it is not given:
//! the vectors and, over ln 10, the strengths that programs for MATLAB and Python after Veta's take.
//! `reinhard`: means and standard deviations of l, α and β, of decimal logarithms of cones' responses to shares of light
//! (Reinhard et al. 2001), are brought to the target's. `target=` has six numbers, means then deviations. If it is not given:
//! those of the pixels that count in OpenSlide's CMU-1-Small-Region.
//!
//! Cost: `macenko` five passes more over what the step reads, and 3 ns per voxel; `reinhard` one, and 6.
//! We differ from those programs: percentiles and means are of the pixels that count, not of glass; Macenko's absorbances
//! are powers of ten and black is not brightened (they add 1 to every sample); no amount is cut.

use crate::spec::{ArgError, Args, Build, Param, Spec, Value};
use crate::stains::macenko::{self, Macenko};
use crate::stains::reinhard::{Reinhard, Spread};
use crate::stains::waiting::{Found, Needs, Then, Waiting};
use crate::stains::{
    BETA, Logs, Matrix, PERCENTILE, Recolour, WHITE, all_or_own, beta, inverse, percentile, recoloured,
    recolouring, white,
};
use std::sync::Arc;
use voxtile_sched::contract::Op;

/// `normalize-stain`.
pub(super) static SPEC: Spec = Spec {
    name: "normalize-stain",
    about: "the colours of a stained slide brought to those of a target, by the whole image's own",
    params: &[
        Param {
            name: "method",
            value: Value::Choice(&["macenko", "reinhard"]),
            default: Some("macenko"),
            about: "macenko: two stains and their strengths; reinhard: means and spreads of opponent colours",
        },
        Param {
            name: "target",
            value: Value::Numbers,
            default: Some(""),
            about: "macenko: red, green, blue of two stains and their strengths; reinhard: means and deviations of l, α, β",
        },
        WHITE,
        BETA,
        PERCENTILE,
    ],
    inputs: 1,
    example: "normalize-stain",
    build: Build::One(build),
};

/// Of the amounts of a stain: its strength.
const STRENGTH: f64 = 99.0;

/// Two vectors and strengths.
const TARGET_STAINS: [f64; 8] = [0.5626, 0.7201, 0.4062, 0.2159, 0.8012, 0.5581, 0.8558, 0.4477];

/// Means and deviations.
const TARGET_SPREAD: [f64; 6] = [-0.82, -0.098, 0.027, 0.344, 0.081, 0.022];

fn build(args: &Args<'_>) -> Result<Arc<dyn Op>, ArgError> {
    let (white, beta, dtype) = (white(args)?, beta(args)?, args.input().dtype);
    let (needs, then): (_, Then) = match args.choice("method")? {
        "reinhard" => {
            if let Some(text) = args.text(PERCENTILE.name) {
                return Err(args.wrong(PERCENTILE.name, text, "a parameter of method=reinhard"));
            }
            let [a, b, c, d, e, f] = target(args, &TARGET_SPREAD)?[..] else { unreachable!("six numbers") };
            let target = Spread { means: [a, b, c], deviations: [d, e, f] };
            let then = move |found: &Found| -> Arc<dyn Op> {
                let Found::Spread(found) = found else { unreachable!("what was asked for") };
                Arc::new(Recolour::spread(SPEC.name, white, found, &target))
            };
            (Needs::Reinhard(Reinhard { dtype, white, beta }), Box::new(then))
        }
        _ => {
            let percent = percentile(args)?;
            let target = target(args, &TARGET_STAINS)?;
            let then = move |found: &Found| -> Arc<dyn Op> {
                let Found::Stains(found) = found else { unreachable!("what was asked for") };
                Arc::new(Recolour::logs(SPEC.name, white, Logs::new(white, dtype), mixed(found, &target)))
            };
            let strength = Some(STRENGTH);
            (Needs::Macenko(Macenko { dtype, white, beta, percent, strength }), Box::new(then))
        }
    };
    Ok(Arc::new(Waiting {
        name: SPEC.name,
        needs,
        output: recoloured,
        reads: all_or_own,
        then,
        kernels: recolouring,
    }))
}

/// As many numbers as the default has.
fn target(args: &Args<'_>, default: &[f64]) -> Result<Vec<f64>, ArgError> {
    let Some(text) = args.text("target") else { return Ok(default.to_vec()) };
    let given = args.number_list("target")?;
    match given.len() == default.len() {
        true => Ok(given),
        false => {
            let method = args.choice("method")?;
            Err(args.wrong("target", text, format!("{} numbers, as method={method} has", default.len())))
        }
    }
}

/// A row of weights of the logarithms for the logarithm of each colour: through the amounts of two stains.
fn mixed(found: &macenko::Found, target: &[f64]) -> Matrix {
    let inverse = inverse(&found.vectors).expect("found with an inverse");
    let amount = |s: usize| target[6 + s] / found.strengths[s];
    [0, 1, 2].map(|to: usize| {
        [0, 1, 2].map(|from: usize| {
            let part = |s: usize| inverse[from][s] * amount(s) * target[3 * s + to];
            part(0) + part(1)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conforms;
    use crate::math;
    use crate::stains::testing::{estimate, opponents, stained};
    use crate::testing::{Float, Image, WHOLE, apply, meta, stages};
    use voxtile_sched::dispatch;
    use voxtile_sched::model::{Dtype, Element, Meta};

    /// Every pixel through `change`, from shares of light to shares of light.
    fn recoloured(image: &Image, white: f64, change: impl Fn([f64; 3]) -> [f64; 3]) -> Image {
        dispatch!(image.meta().dtype, T => Image::from_fn(image.meta().clone(), |at| {
            let [t, c, z, y, x] = at;
            if c >= 3 {
                return image.at::<T>(at);
            }
            let share = |c: u64| {
                let share = image.at::<T>([t, c, z, y, x]).to_f64() / white;
                if share < 1e-6 { 1e-6 } else { share }
            };
            T::from_f64(white * change([share(0), share(1), share(2)])[c as usize])
        }))
    }

    fn by_stains(image: &Image, white: f64, target: &[f64]) -> Image {
        let (vectors, strengths) = estimate(image, white, 0.0, 5.0);
        let weights = mixed(&macenko::Found { vectors, strengths }, target);
        recoloured(image, white, |shares| {
            let [r, g, b] = shares.map(math::ln);
            weights.map(|w| math::exp((r * w[0] + g * w[1]) + b * w[2]))
        })
    }

    fn by_spread(image: &Image, white: f64, target: &[f64]) -> Image {
        let space = opponents(image, white, 0.0);
        recoloured(image, white, |shares| {
            let mut numbers = space.of(shares);
            for (k, number) in numbers.iter_mut().enumerate() {
                let factor = target[3 + k] / space.deviations[k];
                *number = *number * factor + (target[k] - space.means[k] * factor);
            }
            space.back(numbers)
        })
    }

    fn colours(meta: &Meta) -> bool {
        meta.shape[1] >= 3
    }

    conforms!(
        stains_of_bytes: &SPEC, "normalize-stain beta=0 percentile=5",
        |image| by_stains(image, 255.0, &TARGET_STAINS), only(colours), dtypes(&[Dtype::U8]),
    );
    conforms!(
        stains_of_floats: &SPEC, "normalize-stain beta=0 percentile=5 white=1000",
        |image| by_stains(image, 1000.0, &TARGET_STAINS), only(colours),
        finite("few of such pixels have a colour"), dtypes(&[Dtype::F32]),
    );
    conforms!(
        spread: &SPEC, "normalize-stain reinhard beta=0 white=300",
        |image| by_spread(image, 300.0, &TARGET_SPREAD), only(colours), dtypes(&[Dtype::U8]),
    );

    #[test]
    fn a_normalized_image_has_the_targets_stains() {
        let image = stained([[0.7, 0.6, 0.387_298], [0.1, 0.95, 0.295_8]], Dtype::F32);
        let step = stages(&SPEC, "normalize-stain beta=0.02", &[image.meta().clone()]).unwrap();
        let whole = apply(&step, &[&image], WHOLE);
        for tile in [[1, 1, 1, 3, 5], [1, 2, 1, 7, 64]] {
            let tiled = apply(&step, &[&image], tile);
            tiled.assert_same(&whole, Float::Exact, || format!("{tile:?}"));
        }
        let (vectors, _) = estimate(&whole, 1.0, 0.02, 1.0);
        for (v, want) in vectors[..2].iter().flatten().zip(&TARGET_STAINS) {
            assert!((v - want).abs() < 0.02, "{vectors:?}");
        }
    }

    #[test]
    fn a_normalized_image_has_the_targets_spread() {
        let image = stained([[0.7, 0.6, 0.387_298], [0.1, 0.95, 0.295_8]], Dtype::F32);
        let text = "normalize-stain reinhard beta=0 target=-0.5,-0.05,0.01,0.1,0.03,0.01";
        let step = stages(&SPEC, text, &[image.meta().clone()]).unwrap();
        let made = opponents(&apply(&step, &[&image], WHOLE), 1.0, 0.0);
        for (v, want) in made.means.iter().chain(&made.deviations).zip([-0.5, -0.05, 0.01, 0.1, 0.03, 0.01]) {
            assert!((v - want).abs() < 1e-4, "{:?} {:?}", made.means, made.deviations);
        }
    }

    #[test]
    fn targets_of_another_method_are_refused() {
        let image = [meta("cyx", &[3, 4, 5], Dtype::U8)];
        let refused = |step| stages(&SPEC, step, &image).map(|_| ()).unwrap_err().to_string();
        for (step, end) in [
            ("normalize-stain target=1,2", "`target=1,2` is not 8 numbers, as method=macenko has"),
            ("normalize-stain reinhard percentile=2", "`percentile=2` is not a parameter of method=reinhard"),
        ] {
            assert!(refused(step).ends_with(end), "{step}: {}", refused(step));
        }
    }
}
