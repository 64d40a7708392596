//! A percentile of the values in a window.
//!
//! Every sample type, which is kept; acts on the space axes. Of `n` values it is the one that `⌊n · percentile / 100⌋`
//! come before (for 100 the largest), without interpolation, as in `scipy.ndimage.percentile_filter`, which the result is
//! equal to; a negative percentile counts from 100 down. 50 is the `median`. Cost, NaN and −0 as in `median`; 0 and 100
//! are `min` and `max`.

use crate::rank::{FOOTPRINT, RADIUS, Ranked, SHAPE, SIZE};
use crate::spec::{ArgError, Args, BORDER, Build, CVAL, Param, Spec, Value};

use std::sync::Arc;
use voxtile_sched::contract::Op;

/// The operation.
pub(crate) static SPEC: Spec = Spec {
    name: "percentile",
    about: "Percentile of the values in a window",
    params: &[
        Param {
            name: "percentile",
            value: Value::Number,
            default: None,
            about: "from 0, the smallest value, to 100, the largest; negative ones count from 100",
        },
        SIZE,
        SHAPE,
        RADIUS,
        FOOTPRINT,
        BORDER,
        CVAL,
    ],
    inputs: 1,
    example: "percentile 20 size=5",
    build: Build::One(build),
};

fn build(args: &Args<'_>) -> Result<Arc<dyn Op>, ArgError> {
    let given = args.finite("percentile")?;
    let percentile = if given < 0.0 { given + 100.0 } else { given };
    if !(0.0..=100.0).contains(&percentile) {
        let text = args.text("percentile").unwrap_or_default();
        return Err(args.wrong("percentile", text, "from -100 to 100"));
    }
    Ranked::of(SPEC.name, args, |n| Ok((n - 1).min((n as f64 * percentile / 100.0) as usize)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conforms;
    use crate::rank::Origin;
    use crate::rank::testing::{Rank, ball, oracle, oracle_over};
    use crate::testing::{Image, meta, stages};
    use voxtile_sched::model::{Border, Dtype};

    /// All values of the box, sorted; the one that so many hundredths of them come before.
    fn naive(image: &Image, size: u64, border: Border, percent: f64) -> Image {
        oracle(image, [size; 3], Origin::Centre, border, Rank::Percent(percent))
    }

    conforms!(low: &SPEC, "percentile 20 size=3", |i| naive(i, 3, Border::Reflect, 20.0));
    conforms!(high: &SPEC, "percentile -12.5 size=4 border=wrap", |i| naive(i, 4, Border::Wrap, 87.5));
    conforms!(least: &SPEC, "percentile 0 size=5", |i| naive(i, 5, Border::Reflect, 0.0));
    conforms!(largest: &SPEC, "percentile 100 size=2", |i| naive(i, 2, Border::Reflect, 100.0));
    conforms!(
        of_a_ball: &SPEC, "percentile 75 shape=ball radius=2 border=constant cval=3",
        |i| oracle_over(i, [2; 3], &ball(2), Border::Constant(3.0), Rank::Percent(75.0)),
    );
    // Large enough to be counted.
    conforms!(
        large: &SPEC, "percentile 60 size=1,41", |i| oracle(i, [1, 1, 41], Origin::Centre, Border::Reflect, Rank::Percent(60.0)),
        dtypes(&[Dtype::U8, Dtype::I8, Dtype::U16, Dtype::I16]), only(|meta| meta.axes.space().len() == 2)
    );

    #[test]
    fn percentiles_beyond_the_ends_are_refused() {
        let image = [meta("yx", &[9, 9], Dtype::U8)];
        for percentile in ["-100.5", "101", "nan"] {
            let step = format!("percentile {percentile} size=3");
            assert!(stages(&SPEC, &step, &image).is_err(), "{step}");
        }
        assert!(stages(&SPEC, "percentile -100 size=3", &image).is_ok());
    }
}
