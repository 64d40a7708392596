//! Local thresholds: a voxel against its neighbourhood. The stages of `threshold local`.

use super::{Ending, Join, Joining, Moments, SIZE, Separable, Statistic, blurred, join, sizes};
use crate::spec::{ArgError, Args, From, Param, Stage, Value};
use voxtile_sched::contract::device::Argument;
use voxtile_sched::dispatch;
use voxtile_sched::model::Element;

/// The parameters, none of which has a meaning without `local`.
pub(crate) const LOCAL: [Param; 6] = [
    Param {
        name: "method",
        value: Value::Choice(&["gaussian", "mean", "niblack", "sauvola"]),
        default: Some(""),
        about: "local: what a voxel is compared with, gaussian if not given",
    },
    Param { default: Some(""), about: "local: width of the window, one or per axis", ..SIZE },
    Param {
        name: "sigma",
        value: Value::Length,
        default: Some(""),
        about: "local, gaussian: standard deviation, (size - 1) / 6 if not given",
    },
    Param {
        name: "offset",
        value: Value::Number,
        default: Some(""),
        about: "local, gaussian and mean: taken off the threshold, 0 if not given",
    },
    Param {
        name: "k",
        value: Value::Number,
        default: Some(""),
        about: "local, niblack and sauvola: weight of the standard deviation, 0.2 if not given",
    },
    Param {
        name: "r",
        value: Value::Number,
        default: Some(""),
        about: "local, sauvola: range of the standard deviation, half of the integer type's or 1 if not given",
    },
];

/// The mask of the voxels above a threshold of their neighbourhood.
pub(crate) fn above_local(name: &'static str, args: &Args<'_>) -> Result<Vec<Stage>, ArgError> {
    let method = args.text("method").map_or(Ok("gaussian"), |_| args.choice("method"))?;
    let takes: &[&str] = match method {
        "gaussian" => &["sigma", "offset"],
        "mean" => &["offset"],
        "niblack" => &["k"],
        _ => &["k", "r"],
    };
    for param in ["sigma", "offset", "k", "r"] {
        if let (Some(text), false) = (args.text(param), takes.contains(&param)) {
            return Err(args.wrong(param, text, format!("a parameter of method={method}")));
        }
    }
    let number = |name, default| args.text(name).map_or(Ok(default), |_| args.finite(name));
    let (size, border) = (sizes(args)?, args.border()?);
    let mut stages = Vec::new();
    let source = args.as_linear(&mut stages)?;
    let filter = match method {
        "gaussian" => {
            let sigma = match args.text("sigma") {
                Some(_) => super::sigmas(args, "sigma", 4.0)?,
                None => size.map(|n| (n - 1) as f64 / 6.0),
            };
            blurred(name, &sigma, 4.0, false, border)
        }
        "mean" => Separable::Mean([2, 3, 4].map(|a| size[a] as usize)).op(name, border),
        _ => {
            let (k, half) = (number("k", 0.2)?, dispatch!(args.input().dtype, T => half_range::<T>()));
            let statistic = match method {
                "niblack" => Window::Niblack { k },
                _ => Window::Sauvola { k, r: number("r", half)? },
            };
            let op = Moments { name, size, statistic, border }.op();
            stages.push(Stage { op, inputs: vec![source] });
            return Ok(stages);
        }
    };
    stages.push(Stage { op: filter, inputs: vec![source] });
    let inputs = vec![From::Input(0), From::Stage(stages.len() - 1)];
    stages.push(Stage { op: join(name, Above { offset: number("offset", 0.0)? as f32 }), inputs });
    Ok(stages)
}

/// Half of the range of an integer type, 1 for floats: what scikit-image takes.
fn half_range<T: Element>() -> f64 {
    if T::DTYPE.is_float() { 1.0 } else { 0.5 * (T::HIGHEST.to_f64() - T::LOWEST.to_f64()) }
}

#[derive(Clone, Copy)]
struct Above {
    offset: f32,
}

impl Join for Above {
    type Output = u8;

    #[inline(always)]
    fn at(self, voxel: f32, level: f32, _: f32) -> u8 {
        u8::from(voxel > level - self.offset)
    }

    fn kernel(self, images: usize) -> Joining {
        Joining { family: "above", images, arguments: vec![Argument::F64(f64::from(self.offset))] }
    }
}

/// Thresholds by mean and standard deviation.
#[derive(Clone, Copy)]
enum Window {
    Niblack { k: f64 },
    Sauvola { k: f64, r: f64 },
}

impl Statistic for Window {
    type Output = u8;

    #[inline(always)]
    fn at(self, voxel: f64, mean: f64, variance: f64) -> u8 {
        let deviation = variance.sqrt();
        let level = match self {
            Self::Niblack { k } => mean - k * deviation,
            Self::Sauvola { k, r } => mean * (1.0 + k * (deviation / r - 1.0)),
        };
        u8::from(voxel > level)
    }

    fn kernel(self) -> Ending {
        let (method, k, r) = match self {
            Self::Niblack { k } => (0, k, 1.0),
            Self::Sauvola { k, r } => (1, k, r),
        };
        Ending::Threshold { method, k, r }
    }
}
