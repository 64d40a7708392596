//! Derivatives of a Gaussian, one component per axis: what `gradient` and `log-filter` are made of.

use super::{Half, Separable, derivative_weights, gaussian_weights, radius, sigmas, truncation};
use crate::spec::{ArgError, Args, From, Stage};
use voxtile_sched::model::{Border, PerAxis};

/// Which derivative is taken along the axis of a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    First,
    Second,
}

/// Appends the stages of all components, and returns where each comes from, along z, y, x. Axes with a standard deviation
/// of 0 have none. Each component is filtered along the axes in this order, and rounded to f32 after each, as scipy does.
pub(crate) fn components(
    args: &Args<'_>,
    name: &'static str,
    order: Order,
    stages: &mut Vec<Stage>,
) -> Result<Vec<From>, ArgError> {
    let (truncate, border) = (truncation(args)?, args.border()?);
    let sigma = sigmas(args, "sigma", truncate)?;
    let axes: Vec<usize> = (2..5).filter(|&a| sigma[a] > 0.0).collect();
    if axes.is_empty() || axes.iter().any(|&a| radius(sigma[a], truncate) == 0) {
        let text = args.text("sigma").unwrap_or_default();
        return Err(args.wrong("sigma", text, "a length whose radius is at least 1 px"));
    }
    let source = args.as_linear(stages)?;
    let mut made = Vec::new();
    for &along in &axes {
        made.push(derived(name, &sigma, truncate, (along, order), border, source, stages));
    }
    Ok(made)
}

/// Appends the stages of one component, and returns where it comes from. Every axis with a standard deviation is
/// smoothed but one, along which a derivative is taken.
pub(super) fn derived(
    name: &'static str,
    sigma: &PerAxis<f64>,
    truncate: f64,
    (along, order): (usize, Order),
    border: Border,
    source: From,
    stages: &mut Vec<Stage>,
) -> From {
    let axes: Vec<usize> = (2..5).filter(|&a| sigma[a] > 0.0).collect();
    let half = |axis: usize| {
        let (sigma, radius) = (sigma[axis], radius(sigma[axis], truncate) as usize);
        match (axis == along, order) {
            (false, _) if radius == 0 => Half::even(vec![1.0]),
            (false, _) => Half::even(gaussian_weights(sigma, radius)),
            (true, Order::First) => Half { weights: derivative_weights(sigma, radius, 1), odd: true },
            (true, Order::Second) => Half::even(derivative_weights(sigma, radius, 2)),
        }
    };
    let filter = |axes: &[usize]| {
        let weights = [2, 3, 4].map(|a| if axes.contains(&a) { half(a) } else { Half::even(vec![1.0]) });
        Separable::Exact(weights).op(name, border)
    };
    // A level has no derivative. So where a constant other than 0 stands beyond the edge, it is no longer there once
    // an axis was differentiated, and must be put there again before the next.
    let anew = matches!(border, Border::Constant(c) if c != 0.0) && along != axes[axes.len() - 1];
    let mut at = source;
    for axes in axes.chunks(if anew { 1 } else { 3 }) {
        stages.push(Stage { op: filter(axes), inputs: vec![at] });
        at = From::Stage(stages.len() - 1);
    }
    at
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::testing::Image;
    use voxtile_sched::dispatch;
    use voxtile_sched::model::{Axis, Element};

    /// One component, truncated at 4 σ: one axis after the other, every voxel on its own.
    pub(crate) fn component(image: &Image, sigma: f64, along: Axis, order: Order, border: Border) -> Image {
        cut_at(image, sigma, 4.0, along, order, border)
    }

    /// A first derivative, truncated at so many σ.
    pub(crate) fn first(image: &Image, sigma: f64, truncate: f64, along: Axis, border: Border) -> Image {
        cut_at(image, sigma, truncate, along, Order::First, border)
    }

    fn cut_at(image: &Image, sigma: f64, truncate: f64, along: Axis, order: Order, border: Border) -> Image {
        let mut image: Image = dispatch!(image.meta().dtype, T => image.map(|v: T| v.to_f32()));
        let radius = (truncate * sigma + 0.5).floor() as i64;
        for axis in image.meta().axes.space().iter() {
            let blur = gaussian_weights(sigma, radius as usize);
            let s2 = sigma * sigma;
            let weight = |k: i64| {
                let (x, w) = (k as f64, blur[k.unsigned_abs() as usize]);
                match (axis == along, order) {
                    (false, _) => w,
                    (true, Order::First) => x * (1.0 / s2) * w,
                    (true, Order::Second) => (x * x * ((1.0 / s2) * (1.0 / s2)) - 1.0 / s2) * w,
                }
            };
            let axis = axis.index();
            image = Image::from_fn(image.meta().clone(), |p| {
                let at = |offset: i64| {
                    let mut from = p;
                    match (border.map(p[axis] as i64 + offset, image.meta().shape[axis]), border) {
                        (Some(q), _) => from[axis] = q as u64,
                        (None, Border::Constant(c)) => return c,
                        (None, _) => unreachable!(),
                    }
                    f64::from(image.at::<f32>(from))
                };
                let mut sum = at(0) * weight(0);
                for k in (1..=radius).rev() {
                    let odd = weight(k) != weight(-k);
                    sum += (if odd { at(k) - at(-k) } else { at(-k) + at(k) }) * weight(k);
                }
                sum as f32
            });
        }
        image
    }
}
