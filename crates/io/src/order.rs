//! The order in which a file has the axes of an image.

use crate::IoError;
use std::fmt;
use std::str::FromStr;
use voxtile_sched::model::{Axis, Meta, NDIM, PerAxis, Shape};

/// Axes from the outermost to the innermost: `zyxc`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AxisOrder(Vec<Axis>);

impl FromStr for AxisOrder {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = |letter: char| Axis::ALL.into_iter().find(|axis| axis.name() == letter.to_string());
        let axes: Option<Vec<Axis>> = text.chars().map(named).collect();
        let once = |axes: &Vec<Axis>| axes.iter().enumerate().all(|(n, axis)| !axes[..n].contains(axis));
        axes.filter(|axes| !axes.is_empty() && once(axes))
            .map(Self)
            .ok_or_else(|| "an order of axes is letters of tczyx, each once, as zyxc".to_owned())
    }
}

impl fmt::Display for AxisOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|axis| write!(f, "{axis}"))
    }
}

/// The axes of an image in the order that was asked for, else in their own. Refuses an order of other axes.
pub(crate) fn axes(asked: Option<&AxisOrder>, meta: &Meta) -> Result<Vec<Axis>, IoError> {
    let own: Vec<Axis> = meta.axes.iter().collect();
    let Some(order) = asked else { return Ok(own) };
    if order.0.len() == own.len() && order.0.iter().all(|axis| own.contains(axis)) {
        return Ok(order.0.clone());
    }
    let why = format!("`{order}` is no order of the image's axes, {}", meta.axes);
    Err(IoError::Option { option: "--axis-order", why })
}

/// How many voxels lie between neighbours along each axis, where a block of that shape has its axes in this order.
pub(crate) fn strides(order: &[Axis], shape: &Shape) -> PerAxis<u64> {
    let (mut out, mut step) = ([0; NDIM], 1);
    for axis in order.iter().rev() {
        out[axis.index()] = step;
        step *= shape[axis.index()];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use voxtile_sched::model::{AxisSet, Dtype};

    #[test]
    fn an_order_names_each_axis_once() {
        for wrong in ["", "zz", "zyxz", "zyw", "ZYX"] {
            assert!(wrong.parse::<AxisOrder>().is_err(), "{wrong}");
        }
        let order: AxisOrder = "zyxc".parse().unwrap();
        assert_eq!(order.to_string(), "zyxc");
        let set = AxisSet::parse("czyx").unwrap();
        let meta = Meta::new(set.spread(&[3, 4, 5, 6], 1), set, Dtype::U8);
        assert_eq!(strides(&axes(Some(&order), &meta).unwrap(), &meta.shape), [0, 1, 90, 18, 3]);
        assert!(axes(Some(&"zyx".parse().unwrap()), &meta).is_err());
        assert!(axes(Some(&"tzyx".parse().unwrap()), &meta).is_err());
    }
}
