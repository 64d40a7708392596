//! What the filters share that order the values of a window: minimum, maximum, median and grey morphology.
//!
//! Samples are compared as keys ([`codec`]): integers as they are, floats as integers in their order, so that the
//! result does not depend on the order of comparison, and with that not on the tile.

mod background;
mod codec;
mod difference;
mod extremum;
mod network;
mod ranked;
mod runs;
mod select;
mod set;
mod sliding;
mod small;
mod steps;
mod three;
mod vector;
mod volume;
mod window;

pub(crate) use background::RollingBall;
pub(crate) use difference::Difference;
pub(crate) use extremum::{Extreme, Extremum};
pub(crate) use ranked::Ranked;
pub(crate) use window::{FOOTPRINT, Origin, RADIUS, SHAPE, SIZE, Window};

#[cfg(test)]
pub(crate) mod testing;

use crate::spec::{ArgError, Args, From, Number, Param, Stage, Value};
use voxtile_sched::contract::Op;

use std::sync::Arc;
use voxtile_sched::model::{Border, Dtype};

/// The parameter `iterations` of morphology.
pub(crate) const ITERATIONS: Param = Param {
    name: "iterations",
    value: Value::Number,
    default: Some("1"),
    about: "how many times one after the other",
};

/// Erosion, then dilation.
pub(crate) fn opening(args: &Args<'_>) -> Result<Vec<Stage>, ArgError> {
    Ok(one_after_the_other(eroded(args)?, dilated(args)?))
}

/// The most voxels of a box around a ball, and around any other set that is no box: they are walked while planning.
pub(crate) const BALL_LIMIT: f64 = (1 << 24) as f64;

/// Erosion, then dilation with a ball of these radii along `z, y, x`.
pub(crate) fn opening_with_ball(radius: [f64; 3], border: Border, dtype: Dtype) -> Vec<Stage> {
    let window = |origin| Window::of(set::ball(radius), origin, border, dtype);
    let eroded = Extremum::of("erode", Extreme::Min, window(Origin::Centre));
    let dilated = Extremum::of("dilate", Extreme::Max, window(Origin::Reflected));
    one_after_the_other(vec![eroded], vec![dilated])
}

/// Dilation, then erosion.
pub(crate) fn closing(args: &Args<'_>) -> Result<Vec<Stage>, ArgError> {
    Ok(one_after_the_other(dilated(args)?, eroded(args)?))
}

/// Grey erosion: the minimum.
pub(crate) fn erosion(args: &Args<'_>) -> Result<Vec<Stage>, ArgError> {
    Ok(one_after_the_other(eroded(args)?, Vec::new()))
}

/// Grey dilation: the maximum over the reflected window.
pub(crate) fn dilation(args: &Args<'_>) -> Result<Vec<Stage>, ArgError> {
    Ok(one_after_the_other(dilated(args)?, Vec::new()))
}

fn eroded(args: &Args<'_>) -> Result<Vec<Arc<dyn Op>>, ArgError> {
    repeated(args, "erode", Extreme::Min, Origin::Centre)
}

fn dilated(args: &Args<'_>) -> Result<Vec<Arc<dyn Op>>, ArgError> {
    repeated(args, "dilate", Extreme::Max, Origin::Reflected)
}

/// As many filters as `iterations` says, or fewer that do the same.
fn repeated(
    args: &Args<'_>,
    name: &'static str,
    extreme: Extreme,
    origin: Origin,
) -> Result<Vec<Arc<dyn Op>>, ArgError> {
    /// More are an absurd chain.
    const MOST: i128 = 1000;
    let window = Window::from_args(args, origin)?;
    let times = match args.text(ITERATIONS.name) {
        None => 1,
        Some(text) => match args.exact(ITERATIONS.name)? {
            Number::Whole(times @ 1..=MOST) => times as usize,
            _ => return Err(args.wrong(ITERATIONS.name, text, format!("a whole number from 1 to {MOST}"))),
        },
    };
    Ok(window.repeated(times).into_iter().map(|window| Extremum::of(name, extreme, window)).collect())
}

/// Filters in a row.
fn one_after_the_other(first: Vec<Arc<dyn Op>>, then: Vec<Arc<dyn Op>>) -> Vec<Stage> {
    let reads = |n: usize| if n == 0 { From::Input(0) } else { From::Stage(n - 1) };
    let ops = first.into_iter().chain(then).enumerate();
    ops.map(|(n, op)| Stage { op, inputs: vec![reads(n)] }).collect()
}

/// Bytes of the largest vectors that extrema are taken of: two side by side.
const GROUP_BYTES: usize = 128;

/// Length of the panels that rows of `width` are cut into: at most `most`, and about equal, as the last one is laid over
/// the one before. `most` is a multiple of `lanes`, or the width.
fn panel(width: usize, most: usize, lanes: usize) -> usize {
    let panels = width.div_ceil(most).max(1);
    width.div_ceil(panels).next_multiple_of(lanes).min(width)
}

/// Takes `count` elements from the front of a scratch buffer aligned to 64 bytes; the rest stays aligned.
fn carve<K: bytemuck::Pod>(scratch: &mut [u8], count: usize) -> (&mut [K], &mut [u8]) {
    let (front, rest) = scratch.split_at_mut(carved_bytes::<K>(count));
    (&mut bytemuck::cast_slice_mut(front)[..count], rest)
}

/// Bytes that [`carve`] takes.
const fn carved_bytes<K>(count: usize) -> usize {
    (count * size_of::<K>()).next_multiple_of(64)
}

#[cfg(test)]
mod tests {
    use crate::ops::find;
    use crate::testing::{meta, stages};
    use voxtile_sched::model::Dtype;

    #[test]
    fn iterations_become_one_filter_where_that_is_the_same_and_costs_less() {
        let image = [meta("zyx", &[9, 9, 9], Dtype::U8)];
        for (step, count) in [
            ("erode shape=cross radius=1 iterations=5", 1),
            ("dilate 5 iterations=10", 1),
            ("dilate shape=cross radius=1 iterations=70", 3),
            ("open shape=ball radius=1.5 iterations=4", 2),
            ("erode 4 iterations=3", 3),
            ("erode footprint=110 iterations=3", 3),
            ("erode footprint=010/111/010 iterations=3", 1),
            ("close shape=ball radius=7 iterations=50", 100),
        ] {
            let spec = find(step.split(' ').next().expect("a name")).expect("in the table");
            assert_eq!(stages(spec, step, &image).expect(step).len(), count, "{step}");
        }
    }

    #[test]
    fn windows_that_are_not_described_are_refused() {
        let image = [meta("yx", &[9, 9], Dtype::U8)];
        for (step, wanted) in [
            ("min", "`min` needs `size`"),
            ("min shape=ball", "`min` needs `size`"),
            ("min 4 shape=ball", "`min`: `size=4` is not odd, as the width of that shape is"),
            ("min 3 radius=2", "`min`: `radius=2` is not for a step that gives its `size`"),
            ("min footprint=11 radius=2", "`min`: `radius=2` is not for a drawn `footprint`"),
            ("min footprint=11 shape=cross", "`min`: `shape=cross` is not for a drawn `footprint`"),
            (
                "min footprint=11/1",
                "`min`: `footprint=11/1` is not rows of 0 and 1 of one length, with a 1 in them, such as 010/111/010",
            ),
            (
                "min footprint=11//11",
                "`min`: `footprint=11//11` is not drawn along the space axes of the image (yx)",
            ),
            ("min shape=ball radius=5000", "`min`: `radius=5000` is not a shape of at most 16777216 voxels"),
            ("erode 3 iterations=0", "`erode`: `iterations=0` is not a whole number from 1 to 1000"),
        ] {
            let spec = find(step.split(' ').next().expect("a name")).expect("in the table");
            let refused = stages(spec, step, &image).map(|_| ()).expect_err(step);
            assert_eq!(refused.to_string(), wanted);
        }
    }
}
