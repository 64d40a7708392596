//! Gaussian blur as an operation, for `gaussian` and for the steps that it is a part of; and the parameters of all of
//! them.

use super::{Half, Separable, gaussian_weights, in_f32, radius};
use crate::spec::{ArgError, Args, Param, Value};
use std::sync::Arc;
use voxtile_sched::contract::Op;
use voxtile_sched::model::{Border, PerAxis};

/// The parameter `sigma`.
pub(crate) const SIGMA: Param = Param {
    name: "sigma",
    value: Value::Length,
    default: None,
    about: "standard deviation, one or per axis",
};

/// The parameter `truncate`.
pub(crate) const TRUNCATE: Param = Param {
    name: "truncate",
    value: Value::Number,
    default: Some("4"),
    about: "radius at which the Gaussian is cut, in standard deviations",
};

/// Radius in voxels beyond which an image would have to be absurd.
const MAX_RADIUS: u64 = 100_000;

/// The value of [`TRUNCATE`].
pub(crate) fn truncation(args: &Args<'_>) -> Result<f64, ArgError> {
    let truncate = args.number(TRUNCATE.name)?;
    if truncate >= 0.0 && truncate.is_finite() {
        return Ok(truncate);
    }
    let text = args.text(TRUNCATE.name).unwrap_or_default();
    Err(args.wrong(TRUNCATE.name, text, "a number of 0 or more"))
}

/// Standard deviations in voxels, whose radius is no absurdity.
pub(crate) fn sigmas(args: &Args<'_>, name: &'static str, truncate: f64) -> Result<PerAxis<f64>, ArgError> {
    let sigma = args.lengths_px(name)?;
    if sigma.iter().all(|&s| radius(s, truncate) <= MAX_RADIUS) {
        return Ok(sigma);
    }
    let text = args.text(name).unwrap_or_default();
    Err(args.wrong(name, text, format!("a length with a radius of at most {MAX_RADIUS} px")))
}

/// The blur with those standard deviations in voxels. Up to 10⁻¹⁵ there is none, as in scipy. `fast` as
/// [`Separable::Fast`].
pub(crate) fn blurred(
    name: &'static str,
    sigma: &PerAxis<f64>,
    truncate: f64,
    fast: bool,
    border: Border,
) -> Arc<dyn Op> {
    let weights = [2, 3, 4].map(|a| match sigma[a] > 1e-15 {
        true => gaussian_weights(sigma[a], radius(sigma[a], truncate) as usize),
        false => vec![1.0],
    });
    let filter = match fast {
        true => Separable::Fast(weights.map(|w| Half::even(in_f32(&w)))),
        false => Separable::Exact(weights.map(Half::even)),
    };
    filter.op(name, border)
}
