//! What the filters share that order the values of a window: minimum, maximum, median and grey morphology.
//!
//! Samples are compared as keys ([`codec`]): integers as they are, floats as integers in their order, so that the
//! result does not depend on the order of comparison, and with that not on the tile.

mod codec;
mod difference;
mod extremum;
mod median;
mod network;
mod select;
mod small;
mod three;
mod vector;
mod window;

pub(crate) use difference::Difference;
pub(crate) use extremum::{Extreme, Extremum};
pub(crate) use median::Median;
pub(crate) use window::{Origin, SIZE, Window};

#[cfg(test)]
pub(crate) mod testing;

use crate::spec::{ArgError, Args, From, Stage};
use std::sync::Arc;
use voxtile_sched::contract::Op;

/// Erosion, then dilation.
pub(crate) fn opening(args: &Args<'_>) -> Result<Vec<Stage>, ArgError> {
    Ok(one_after_the_other(erosion(args)?, dilation(args)?))
}

/// Dilation, then erosion.
pub(crate) fn closing(args: &Args<'_>) -> Result<Vec<Stage>, ArgError> {
    Ok(one_after_the_other(dilation(args)?, erosion(args)?))
}

/// Grey erosion: the minimum.
pub(crate) fn erosion(args: &Args<'_>) -> Result<Arc<dyn Op>, ArgError> {
    Ok(Extremum::of("erode", Extreme::Min, Window::from_args(args, Origin::Centre)?))
}

/// Grey dilation: the maximum over the reflected box.
pub(crate) fn dilation(args: &Args<'_>) -> Result<Arc<dyn Op>, ArgError> {
    Ok(Extremum::of("dilate", Extreme::Max, Window::from_args(args, Origin::Reflected)?))
}

fn one_after_the_other(first: Arc<dyn Op>, second: Arc<dyn Op>) -> Vec<Stage> {
    vec![
        Stage { op: first, inputs: vec![From::Input(0)] },
        Stage { op: second, inputs: vec![From::Stage(0)] },
    ]
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
